/** Draws are exact, uniform and leave out whom they should. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Random, Schema } from "effect"
import * as PeerChoice from "../../src/routing/PeerChoice.ts"

const pool = (ids: ReadonlyArray<number>) => {
  const pool = new PeerChoice.PeerPool()
  for (const id of ids) pool.add(id)
  return pool
}

const members = (candidates: PeerChoice.Candidates) =>
  Array.from({ length: candidates.size }, (_, rank) => candidates.at(rank))

const ascending = (ids: Iterable<number>) => [...ids].sort((a, b) => a - b)

const draws = Effect.map(Random.Random, (random) => (bound: number) => Math.floor(random.nextDoubleUnsafe() * bound))

const id = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 30 })))
const ids = Schema.Array(id)

describe("PeerPool", () => {
  it.prop(
    "holds what was added and not removed, each at the position it says",
    { steps: Schema.Array(Schema.Struct({ adds: Schema.Boolean, id })) },
    ({ steps }) => {
      const tested = new PeerChoice.PeerPool()
      const expected = new Set<number>()
      for (const { adds, id } of steps) {
        if (adds) {
          tested.add(id)
          expected.add(id)
        } else {
          assert.strictEqual(tested.remove(id), expected.delete(id))
        }
        assert.strictEqual(tested.size, expected.size)
        for (const id of expected) assert.strictEqual(tested.at(tested.positionOf(id)!), id)
      }
      assert.deepStrictEqual(
        ascending(Array.from({ length: tested.size }, (_, i) => tested.at(i)!)),
        ascending(expected)
      )
    }
  )
})

describe("candidates", () => {
  it.prop(
    "are the members of the pools but those left out, each once",
    { a: ids, b: ids, without: ids, too: ids },
    (given) => {
      const first = pool(given.a)
      const second = pool(given.b.map((id) => id + 100))
      const without = [...given.without, ...given.without.map((id) => id + 100), 999]
      const all = [...new Set([...given.a, ...given.b.map((id) => id + 100)])]
      const expected = all.filter((id) => !without.includes(id) && !given.too.includes(id))
      const candidates = PeerChoice.among([first, second], without, given.too)
      assert.deepStrictEqual(ascending(members(candidates)), ascending(expected))
      assert.deepStrictEqual(ascending(all.filter(candidates.has)), ascending(expected))
    }
  )

  it("have no rank past their number", () => {
    assert.throws(() => PeerChoice.among([pool([1, 2])], [1]).at(1))
  })
})

describe("the less loaded of two", () => {
  it.effect("is nobody of nobody, and the only one of one", () =>
    Effect.gen(function* () {
      const draw = yield* draws
      assert.isUndefined(PeerChoice.lessLoaded(PeerChoice.these([]), draw, () => 0))
      assert.strictEqual(
        PeerChoice.lessLoaded(PeerChoice.these([7]), draw, () => 0),
        7
      )
    })
  )

  it.effect("is never the most loaded of all, and each pair is drawn equally often", () =>
    Effect.gen(function* () {
      const draw = yield* draws
      const chosen = new Map<number, number>()
      const rounds = 60_000
      for (let i = 0; i < rounds; i++) {
        const id = PeerChoice.lessLoaded(PeerChoice.these([1, 2, 3, 4]), draw, (id) => id)!
        chosen.set(id, (chosen.get(id) ?? 0) + 1)
      }
      // Of the six pairs three have 1 as the less loaded, two have 2, one has 3.
      assert.isUndefined(chosen.get(4))
      for (const [id, pairs] of [
        [1, 3],
        [2, 2],
        [3, 1]
      ] as const) {
        assert.closeTo(chosen.get(id)! / rounds, pairs / 6, 0.01)
      }
    }).pipe(Random.withSeed("pairs"))
  )

  it("is of two, whichever are drawn", () => {
    for (const [drawn, pair] of [
      [
        [0, 0],
        [1, 2]
      ],
      [
        [0, 1],
        [1, 3]
      ],
      [
        [1, 0],
        [2, 1]
      ],
      [
        [1, 1],
        [2, 3]
      ],
      [
        [2, 0],
        [3, 1]
      ],
      [
        [2, 1],
        [3, 2]
      ]
    ] as const) {
      for (const expected of pair) {
        const draws = [...drawn]
        const draw = () => draws.shift() ?? assert.fail("one draw too many")
        const load = (id: number) => (id === expected ? 1 : 2)
        assert.strictEqual(PeerChoice.lessLoaded(PeerChoice.these([1, 2, 3]), draw, load), expected)
      }
      const draws = [...drawn]
      const first = PeerChoice.lessLoaded(
        PeerChoice.these([1, 2, 3]),
        () => draws.shift() ?? 0,
        () => 1
      )
      assert.strictEqual(first, pair[0])
    }
  })

  it("is drawn from as many as there are", () => {
    const bounds: Array<number> = []
    const draw = (bound: number) => {
      bounds.push(bound)
      return 0
    }
    PeerChoice.lessLoaded(PeerChoice.these([1, 2, 3]), draw, () => 1)
    assert.deepStrictEqual(bounds, [3, 2])
  })

  it.effect("is the first drawn of equals, so equals are chosen equally often", () =>
    Effect.gen(function* () {
      const draw = yield* draws
      const chosen = [0, 0, 0]
      for (let i = 0; i < 30_000; i++) chosen[PeerChoice.lessLoaded(PeerChoice.these([0, 1, 2]), draw, () => 1)!]!++
      for (const count of chosen) assert.closeTo(count / 30_000, 1 / 3, 0.01)
    }).pipe(Random.withSeed("equals"))
  )
})

describe("a random subset", () => {
  it.effect("has as many distinct members as asked for, and every subset is as likely as any other", () =>
    Effect.gen(function* () {
      const draw = yield* draws
      const candidates = PeerChoice.among([pool([1, 2, 3]), pool([4, 5])], [3])
      const seen = new Map<string, number>()
      const rounds = 60_000
      for (let i = 0; i < rounds; i++) {
        const subset = PeerChoice.subset(candidates, 2, draw)
        assert.strictEqual(new Set(subset).size, 2)
        const key = ascending(subset).join()
        seen.set(key, (seen.get(key) ?? 0) + 1)
      }
      assert.deepStrictEqual([...seen.keys()].sort(), ["1,2", "1,4", "1,5", "2,4", "2,5", "4,5"])
      for (const count of seen.values()) assert.closeTo(count / rounds, 1 / 6, 0.01)
    }).pipe(Random.withSeed("subsets"))
  )

  it.effect("is all of them when there are not more", () =>
    Effect.gen(function* () {
      const draw = yield* draws
      assert.deepStrictEqual(ascending(PeerChoice.subset(PeerChoice.these([3, 1, 2]), 9, draw)), [1, 2, 3])
      assert.deepStrictEqual(PeerChoice.subset(PeerChoice.these([]), 1, draw), [])
    })
  )
})

describe("a broadcast", () => {
  it("goes to a third, rounded up, and on Regtest to all", () => {
    assert.deepStrictEqual(
      [0, 1, 2, 3, 4, 59, 60, 61].map((n) => PeerChoice.broadcastSize(n, 3, false)),
      [0, 1, 1, 1, 2, 20, 20, 21]
    )
    assert.strictEqual(PeerChoice.broadcastSize(59, 3, true), 59)
  })
})
