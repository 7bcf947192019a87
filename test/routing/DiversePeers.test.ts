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
