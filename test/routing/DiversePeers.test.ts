/** The choice that quickness and numbers do not win. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Random } from "effect"
import { defaults } from "../../src/Policy.ts"
import { DiversePeers, type Facts } from "../../src/routing/DiversePeers.ts"

const hour = 3_600_000_000_000n
const nowNanos = 10n * hour

interface Peer extends Facts {
  readonly millis: number
}

/** A peer that we dialled an hour ago, in a network of its own, who answers in a tenth of a second and has nothing to do. */
const peer = (id: number, facts: Partial<Omit<Peer, "id" | "load">> = {}): Peer => {
  const one = {
    isInbound: false,
    trusted: false,
    network: `n${id}`,
    joinedAtNanos: nowNanos - hour,
    pending: 0,
    credit: 1,
    millis: 100,
    ...facts,
    id
  }
  return { ...one, load: () => one.millis * 1e6 * (one.pending + 1) }
}

const diverse = new DiversePeers(defaults)

const rounds = 20_000

/** How often each was chosen, as a share of 20,000 choices. */
const shares = (peers: ReadonlyArray<Peer>, tried: ReadonlySet<string> = new Set()) =>
  Effect.gen(function* () {
    const random = yield* Random.Random
    const draw = (bound: number) => Math.floor(random.nextDoubleUnsafe() * bound)
    const chosen = new Map<number, number>(peers.map(({ id }) => [id, 0]))
    for (let round = 0; round < rounds; round++) {
      const id = diverse.choose({ size: peers.length, at: (rank) => peers[rank]! }, draw, nowNanos, tried)
      chosen.set(id, (chosen.get(id) ?? 0) + 1)
    }
    return peers.map(({ id }) => (chosen.get(id) ?? 0) / rounds)
  }).pipe(Random.withSeed("diverse"))

const assertNear = (actual: ReadonlyArray<number>, expected: ReadonlyArray<number>) => {
  assert.strictEqual(actual.length, expected.length)
  for (const [n, share] of expected.entries()) assert.closeTo(actual[n]!, share, 0.015, `peer ${n + 1} of ${actual}`)
}

describe("the choice of a peer", () => {
  it.effect("falls on equals equally often", () =>
    Effect.gen(function* () {
      assertNear(yield* shares([1, 2, 3, 4].map((id) => peer(id))), [0.25, 0.25, 0.25, 0.25])
      assertNear(yield* shares([1, 2].map((id) => peer(id, { network: undefined }))), [0.5, 0.5])
    })
  )

  it.effect("does not look at who is quicker below a second", () =>
    Effect.gen(function* () {
      assertNear(yield* shares([peer(1, { millis: 1 }), peer(2, { millis: 990 })]), [0.5, 0.5])
      assertNear(yield* shares([peer(1, { millis: 1 }), peer(2, { millis: 1900 })]), [0.5, 0.5])
    })
  )

  it.effect("avoids who takes twice as long, above a second, but for one choice in 16", () =>
    Effect.gen(function* () {
      const slow = 0.5 / defaults.exploringShare
      assertNear(yield* shares([peer(1, { millis: 1 }), peer(2, { millis: 2100 })]), [1 - slow, slow])
      assertNear(yield* shares([peer(1, { millis: 3000 }), peer(2, { millis: 9000 })]), [1 - slow, slow])
    })
  )

  it.effect("looks at the time of one answer, however many are under way, whichever is drawn first", () =>
    Effect.gen(function* () {
      const slow = 0.5 / defaults.exploringShare
      const [quick, late] = [peer(1, { millis: 2000, pending: 2 }), peer(2, { millis: 5000 })]
      assertNear(yield* shares([quick, late]), [1 - slow, slow])
      assertNear(yield* shares([late, quick]), [slow, 1 - slow])
    })
  )

  it.effect("goes to who has less to do, among those alike", () =>
    Effect.gen(function* () {
      const busy = 0.5 / defaults.exploringShare
      assertNear(yield* shares([peer(1), peer(2, { pending: 1 })]), [1 - busy, busy])
      assertNear(yield* shares([peer(1, { millis: 60 }), peer(2, { pending: 1 })]), [1 - busy, busy])
    })
  )

  it.effect("does not leave who is at work for who is free because it answers at once", () =>
    Effect.gen(function* () {
      assertNear(yield* shares([peer(1, { millis: 10 }), peer(2, { pending: 1 })]), [0.5, 0.5])
      // Nor the other way round.
      const [quick, slow] = [peer(1, { millis: 10, pending: 1 }), peer(2, { millis: 2500 })]
      assert.isAbove((yield* shares([quick, slow]))[0]!, 0.95)
    })
  )

  it.effect("falls by half on whoever dialled us, and by half on whoever is new", () =>
    Effect.gen(function* () {
      const [whole, half, quarter] = [
        peer(1),
        peer(2, { isInbound: true }),
        { isInbound: true, joinedAtNanos: nowNanos }
      ]
      const explored = 0.5 / defaults.exploringShare
      const compared = 1 - 1 / defaults.exploringShare
      assertNear(yield* shares([whole, peer(2, { isInbound: true, trusted: true })]), [0.5, 0.5])
      assertNear(yield* shares([whole, half]), [explored + (compared * 2) / 3, explored + compared / 3])
      assertNear(yield* shares([whole, peer(3, quarter)]), [explored + compared * 0.8, explored + compared * 0.2])
    })
  )

  it.effect("falls less on whoever's word is believed less", () =>
    Effect.gen(function* () {
      const explored = 0.5 / defaults.exploringShare
      const compared = 1 - 1 / defaults.exploringShare
      const [, doubted] = yield* shares([peer(1), peer(2, { credit: 1 / 16 })])
      assert.closeTo(doubted!, explored + compared / 17, 0.015)
    })
  )

  it.effect("compares two of different networks only, so that a network lends nobody its turns", () =>
    Effect.gen(function* () {
      const crowd = [1, 2, 3].map((id) => peer(id, { network: "crowd" }))
      // Two of the crowd: whoever is drawn, at work or not.
      assertNear(yield* shares([crowd[0]!, { ...crowd[1]!, pending: 1 }]), [0.5, 0.5])
      const compared: Array<ReadonlyArray<number>> = []
      let loads: Array<number> = []
      const watched = [...crowd, peer(4), peer(5)].map((one) => ({ ...one, load: () => (loads.push(one.id), 1) }))
      const random = yield* Random.Random
      for (let round = 0; round < 1000; round++) {
        loads = []
        const draw = (bound: number) => Math.floor(random.nextDoubleUnsafe() * bound)
        diverse.choose({ size: 5, at: (rank) => watched[rank]! }, draw, nowNanos, new Set())
        compared.push(loads)
      }
      const pairs = compared.filter(({ length }) => length > 0)
      assert.isAbove(pairs.length, 500)
      assert.deepStrictEqual(
        pairs.filter(([one, other]) => one === other || (one! < 4 && other! < 4)),
        []
      )
    }).pipe(Random.withSeed("pairs"))
  )

  it.effect("goes to another network than those that were tried, as long as there is one", () =>
    Effect.gen(function* () {
      const crowd = Array.from({ length: 150 }, (_, n) => peer(n + 1, { network: "crowd", millis: 1 }))
      const chosen = yield* shares([...crowd, peer(200), peer(201)], new Set(["crowd", "n201"]))
      assert.strictEqual(chosen[150], 1)
      const tried = new Set(["crowd", "n200", "n201"])
      assert.closeTo((yield* shares([...crowd, peer(200), peer(201)], tried))[0]!, 1 / 152, 0.01)
    })
  )
})

/** Whom is chosen when chance draws these numbers, one after the other, and no more. */
const chosenBy = (
  peers: ReadonlyArray<Peer>,
  draws: ReadonlyArray<readonly [below: number, drawn: number]>,
  tried: ReadonlySet<string> = new Set()
) => {
  const left = [...draws]
  const draw = (bound: number) => {
    const [below, drawn] = left.shift() ?? assert.fail(`a draw below ${bound} too many`)
    assert.strictEqual(bound, below)
    return drawn
  }
  const id = diverse.choose({ size: peers.length, at: (rank) => peers[rank]! }, draw, nowNanos, tried)
  assert.isEmpty(left)
  return id
}

/** Of two: the first is drawn first, and the choice is none of those that explore. */
const ofTwo = [
  [32, 1],
  [1, 0]
] as const

describe("who is asked of two, to the nanosecond", () => {
  const better: ReadonlyArray<readonly [what: string, first: Partial<Peer>, second: Partial<Peer>, isSecond: boolean]> =
    [
      ["twice as quick, above a second", { millis: 2000 }, { millis: 1000 }, true],
      ["not twice as quick", { millis: 1999.999_999 }, { millis: 1000 }, false],
      ["twice as quick, far above a second", { millis: 8000 }, { millis: 4000 }, true],
      ["not twice as quick, far above a second", { millis: 8000 }, { millis: 4000.000_001 }, false],
      ["quick below a second, which is as good as a second", { millis: 1999.999_999 }, { millis: 1 }, false],
      ["less at work", { pending: 2 }, { pending: 1 }, true],
      ["as much at work", { pending: 1 }, { pending: 1 }, false],
      ["less at work, and twice as slow", { millis: 1000, pending: 1 }, { millis: 2000 }, false],
      ["less at work, and not twice as slow", { millis: 1000, pending: 1 }, { millis: 1999.999_999 }, true],
      ["less at work, and twice as quick", { millis: 100, pending: 1 }, { millis: 50 }, true],
      ["less at work, and more than twice as quick", { millis: 100, pending: 1 }, { millis: 49.999_999 }, false]
    ]
  it.each(better)("the second, who is %s", (_, first, second, isSecond) => {
    assert.strictEqual(chosenBy([peer(1, first), peer(2, second)], ofTwo), isSecond ? 2 : 1)
  })

  it("the first drawn, whatever is known of it, one time in 16", () => {
    const [slow, quick] = [peer(1, { millis: 9000 }), peer(2)]
    assert.strictEqual(chosenBy([slow, quick], [[32, 0]]), 1)
    assert.strictEqual(chosenBy([slow, quick], [[32, 16]]), 2)
    for (const drawn of [1, 15])
      assert.strictEqual(
        chosenBy(
          [slow, quick],
          [
            [32, drawn],
            [1, 0]
          ]
        ),
        2
      )
    for (const drawn of [17, 31])
      assert.strictEqual(
        chosenBy(
          [slow, quick],
          [
            [32, drawn],
            [1, 0]
          ]
        ),
        2
      )
  })

  it("the second drawn as often as it weighs, beside the first", () => {
    const [whole, third] = [peer(1, { credit: 0.75 }), peer(2, { credit: 0.25 })]
    for (const [drawn, expected] of [
      [767, 1],
      [768, 2]
    ] as const) {
      assert.strictEqual(chosenBy([whole, third], [...ofTwo, [1024, drawn]]), expected, String(drawn))
    }
    // Whoever comes first by weight is left for one who is better all the same.
    const busy = [peer(1, { credit: 0.75 }), peer(2, { credit: 0.25, pending: 1 })]
    assert.strictEqual(chosenBy(busy, [...ofTwo, [1024, 768]]), 1)
    assert.strictEqual(chosenBy(busy, [...ofTwo, [1024, 767]]), 1)
  })

  it("weighs half until it has been here for ten minutes", () => {
    const tenMinutes = 600_000_000_000n
    // Equals are not weighed: no third number is drawn.
    assert.strictEqual(chosenBy([peer(1), peer(2, { joinedAtNanos: nowNanos - tenMinutes })], ofTwo), 1)
    const young = peer(2, { joinedAtNanos: nowNanos - tenMinutes + 1n })
    assert.strictEqual(chosenBy([peer(1), young], [...ofTwo, [1024, 682]]), 1)
    assert.strictEqual(chosenBy([peer(1), young], [...ofTwo, [1024, 683]]), 2)
  })

  it("is drawn again six times at most, when both are of one network", () => {
    const crowd = [1, 2, 3].map((id) => peer(id, { network: "crowd", pending: 3 - id }))
    const six = Array.from({ length: 6 }, (_, n) => [3, n % 2] as const)
    assert.strictEqual(chosenBy([...crowd, peer(4)], [[64, 1], ...six]), 1)
    assert.strictEqual(chosenBy([...crowd, peer(4)], [[64, 1], ...six.slice(1), [3, 2]]), 4)
  })
})

describe("who is asked of those in networks that were not tried", () => {
  const tried = new Set(["tried"])
  const crowd = (size: number, other: number) =>
    Array.from({ length: size }, (_, n) => peer(n, n === other ? {} : { network: "tried" }))

  it("is drawn six times at most, and then looked for one after the other, among 256", () => {
    const share = defaults.exploringShare
    const draws = (size: number, ...drawn: ReadonlyArray<number>) =>
      [[size * share, 0], ...drawn.map((rank) => [size, rank] as const)] as ReadonlyArray<readonly [number, number]>
    // By the fifth draw.
    assert.strictEqual(chosenBy(crowd(300, 7), draws(300, 1, 2, 3, 4, 7), tried), 7)
    // By none: from the sixth on.
    assert.strictEqual(chosenBy(crowd(300, 7), draws(300, 1, 2, 3, 4, 5, 7), tried), 7)
    assert.strictEqual(chosenBy(crowd(300, 255), draws(300, 0, 0, 0, 0, 0, 0), tried), 255)
    assert.strictEqual(chosenBy(crowd(300, 256), draws(300, 0, 0, 0, 0, 0, 0), tried), 0)
    // Round the end.
    assert.strictEqual(chosenBy(crowd(300, 3), draws(300, 9, 9, 9, 9, 9, 100), tried), 3)
    assert.strictEqual(chosenBy(crowd(20, 3), draws(20, 9, 9, 9, 9, 9, 4), tried), 3)
  })

  it("is compared with no one of the tried ones", () => {
    const [one, idle] = [peer(1, { pending: 1 }), peer(2, { network: "tried" })]
    const six = Array.from({ length: 6 }, () => [1, 0] as const)
    assert.strictEqual(chosenBy([one, idle], [[32, 1], ...six], tried), 1)
    // When all are, they are compared as ever.
    const both = [peer(1, { network: "tried", pending: 1 }), peer(2, { network: "other" })]
    const searched = Array.from({ length: 6 }, () => [2, 0] as const)
    assert.strictEqual(chosenBy(both, [[32, 1], ...searched, [1, 0]], new Set(["tried", "other"])), 2)
    // Nobody knows which network a peer without an address is in.
    assert.strictEqual(chosenBy([peer(1, { network: undefined, pending: 1 }), peer(2)], ofTwo, tried), 2)
  })
})
