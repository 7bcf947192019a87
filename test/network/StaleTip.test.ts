/** One more peer when no block comes: when, who, and how many. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Layer, Metric, Option, SubscriptionRef } from "effect"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import * as AddressRules from "../../src/addresses/AddressRules.ts"
import { mainnet, regtest, targetSpacing } from "../../src/chain/ChainParams.ts"
import { ChainTip, type Tip } from "../../src/chain/ChainTip.ts"
import { BlockHash } from "../../src/chain/Hash.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ConnectionSlots } from "../../src/network/ConnectionSlots.ts"
import { Connector } from "../../src/network/Connector.ts"
import { InitialPeers } from "../../src/network/InitialPeers.ts"
import * as StaleTip from "../../src/network/StaleTip.ts"
import { ClientDropped } from "../../src/peer/Peer.ts"
import { SimRuntime } from "../../src/simulation/SimRuntime.ts"
import { address, connects, fails, gossiped, nowSeconds } from "../support/bookWorld.ts"
import { type DialLog, dialWorld, type DialWorldOptions, emptyLog } from "../support/dialWorld.ts"
import { seriesOf } from "../support/metrics.ts"

/** A height with 75 seconds between blocks, so that a tip is stale after 450. */
const height = 1_500_000
const patience = Duration.times(targetSpacing(mainnet, height), 6)

const block = (n: number): Option.Option<Tip> =>
  Option.some({ height: height + n, hash: BlockHash.make(String(n).padStart(64, "0")), blockTimeSeconds: 0 })

/** A node with three outbound places and a book that has met `met`, the longest ago. */
const story = <A, E>(
  met: ReadonlyArray<string>,
  test: (
    log: DialLog,
    tip: SubscriptionRef.SubscriptionRef<Option.Option<Tip>>,
    /** How many dials are counted. */
    counted: Effect.Effect<number | undefined>
  ) => Effect.Effect<A, E, Layer.Success<ReturnType<typeof dialWorld>>>,
  options: DialWorldOptions = {}
) => {
  const log = emptyLog()
  return Effect.gen(function* () {
    assert.deepStrictEqual(patience, Duration.seconds(450))
    const book = yield* AddressBook
    yield* book.addGossiped([...met, "60.1.1.1:8233"].map((text) => gossiped(text, 0)))
    for (const text of met) yield* connects(text)
    yield* Effect.sleep("6 seconds")
    for (const text of met) yield* fails(text)
    yield* Effect.sleep("1 hour")
    yield* book.addGossiped([gossiped("60.1.1.1:8233", yield* nowSeconds)])
    const tip = yield* SubscriptionRef.make<Option.Option<Tip>>(Option.none())
    const metrics = new Map()
    const { kind } = options.chain ?? mainnet
    const counted = Effect.map(seriesOf("zcash.net.stale_tip.dials"), (series) => series[`network=${kind}`])
    yield* Effect.forkScoped(
      Effect.provide(StaleTip.run, ChainTip.layerRef(tip)).pipe(Effect.provideService(Metric.MetricRegistry, metrics)),
      { startImmediately: true }
    )
    yield* test(log, tip, Effect.provideService(counted, Metric.MetricRegistry, metrics))
  }).pipe(
    Effect.provide(dialWorld(log, { policy: { targetPeers: 1 }, outcome: () => "stays", ...options })),
    Effect.scoped,
    SimRuntime.within("10 hours")
  )
}

const dialled = (log: DialLog) => log.dials.map((dial) => dial.address)
const held = (log: DialLog) => [...log.held].map(({ transientAddress }) => PeerSocketAddress.format(transientAddress!))

describe("without a block", () => {
  it.effect("for six target spacings one more peer is asked in, who answered once, and nobody before (E14)", () =>
    story(["40.1.1.1:8233"], (log, tip, counted) =>
      Effect.gen(function* () {
        // Nothing is known of the chain.
        yield* Effect.sleep("1 hour")
        assert.isEmpty(log.dials)
        assert.strictEqual(yield* counted, 0)
        for (const n of [1, 2, 3]) {
          yield* SubscriptionRef.set(tip, block(n))
          yield* Effect.sleep("449 seconds")
        }
        // The same block again is no block.
        yield* SubscriptionRef.set(tip, block(3))
        assert.isEmpty(log.dials)
        yield* Effect.sleep("2 seconds")
        // Not whom it only heard of.
        assert.deepStrictEqual(held(log), ["40.1.1.1:8233"])
        // It stays, and nobody else is asked, as long as blocks come.
        for (const n of [4, 5, 6, 7]) {
          yield* SubscriptionRef.set(tip, block(n))
          yield* Effect.sleep("400 seconds")
        }
        assert.deepStrictEqual(held(log), ["40.1.1.1:8233"])
        assert.lengthOf(log.dials, 1)
      })
    )
  )

  it.effect("it has a place of its own beside the outbound ones, which are all taken", () =>
    story(["40.1.1.1:8233"], (log, tip) =>
      Effect.gen(function* () {
        const connector = yield* Connector
        const slots = yield* ConnectionSlots
        for (const n of [1, 2, 3]) yield* connector.connect({ whom: address(`50.${n}.1.1:8233`), why: "manual" })
        assert.isFalse(slots.hasRoom("outbound"))
        yield* SubscriptionRef.set(tip, block(1))
        yield* Effect.sleep("451 seconds")
        assert.deepStrictEqual([slots.used("outbound"), slots.used("stale tip")], [3, 1])
        assert.lengthOf(held(log), 4)
      })
    )
  )

  it.effect("for as long again another one takes its place, so there is one more at any time", () =>
    story(["40.1.1.1:8233", "40.2.1.1:8233", "40.3.1.1:8233"], (log, tip, counted) =>
      Effect.gen(function* () {
        const slots = yield* ConnectionSlots
        yield* SubscriptionRef.set(tip, block(1))
        yield* Effect.sleep("1 second")
        for (let times = 0; times < 12; times++) {
          const before = held(log)
          for (let part = 0; part < 9; part++) {
            for (const text of before) yield* connects(text)
            yield* Effect.sleep("50 seconds")
          }
          assert.strictEqual(slots.used("stale tip"), 1)
          assert.lengthOf(held(log), 1)
          assert.notDeepEqual(held(log), before)
        }
        assert.lengthOf(dialled(log), 12)
        assert.strictEqual(yield* counted, 12)
        assert.sameMembers([...new Set(dialled(log))], ["40.1.1.1:8233", "40.2.1.1:8233", "40.3.1.1:8233"])
        // One that left by itself is no reason to stop.
        yield* [...log.held][0]!.close(new ClientDropped())
        yield* Effect.sleep("450 seconds")
        assert.lengthOf(held(log), 1)
      })
    )
  )

  it.effect("a dial that fails is no reason to stop", () =>
    story(
      ["40.1.1.1:8233"],
      (log, tip, counted) =>
        Effect.gen(function* () {
          yield* SubscriptionRef.set(tip, block(1))
          yield* Effect.sleep("451 seconds")
          assert.lengthOf(log.dials, 1)
          yield* Effect.sleep("450 seconds")
          assert.deepStrictEqual(dialled(log), ["40.1.1.1:8233", "40.1.1.1:8233"])
          assert.strictEqual(yield* counted, 2)
          assert.isEmpty(held(log))
        }),
      { outcome: () => "fails" }
    )
  )

  it.effect("another block of the same height is a block", () =>
    story(["40.1.1.1:8233"], (log, tip) =>
      Effect.gen(function* () {
        const [first, second] = [block(1), block(2)].map(Option.getOrThrow)
        yield* SubscriptionRef.set(tip, Option.some(first!))
        yield* Effect.sleep("449 seconds")
        yield* SubscriptionRef.set(tip, Option.some({ ...second!, height: first!.height }))
        yield* Effect.sleep("449 seconds")
        assert.isEmpty(log.dials)
        yield* Effect.sleep("2 seconds")
        assert.lengthOf(log.dials, 1)
      })
    )
  )

  it.effect("nothing happens before the first dials are over", () => {
    const log = emptyLog()
    const started = Deferred.makeUnsafe<void>()
    return Effect.gen(function* () {
      const book = yield* AddressBook
      yield* book.addGossiped([gossiped("40.1.1.1:8233", 0)])
      yield* connects("40.1.1.1:8233")
      yield* Effect.sleep("6 seconds")
      yield* fails("40.1.1.1:8233")
      yield* Effect.sleep("1 hour")
      assert.isEmpty(log.dials)
      yield* Deferred.succeed(started, undefined)
      yield* Effect.sleep("449 seconds")
      assert.isEmpty(log.dials)
      yield* Effect.sleep("2 seconds")
      assert.deepStrictEqual(dialled(log), ["40.1.1.1:8233"])
    }).pipe(
      Effect.provide(
        StaleTip.layer.pipe(
          Layer.provide(Layer.mock(InitialPeers, { awaitStarted: Deferred.await(started) })),
          Layer.provide(Layer.unwrap(Effect.map(SubscriptionRef.make(block(1)), ChainTip.layerRef))),
          Layer.provideMerge(dialWorld(log, { policy: { targetPeers: 1 }, outcome: () => "stays" }))
        )
      ),
      SimRuntime.within("10 hours")
    )
  })

  it.effect("nobody is asked in from where somebody is connected, nor when nobody else was ever met", () =>
    story(["40.1.1.1:8233"], (log, tip) =>
      Effect.gen(function* () {
        // Somebody else of the same network is connected, and stays.
        yield* connects("40.1.9.9:8233")
        yield* SubscriptionRef.set(tip, block(1))
        for (let times = 0; times < 20; times++) {
          yield* Effect.sleep("100 seconds")
          yield* (yield* AddressBook).record({
            _tag: "UpdateResponded",
            address: address("40.1.9.9:8233"),
            roundTrip: undefined
          })
        }
        assert.isEmpty(log.dials)
      })
    )
  )

  it.effect("nobody is asked in on Regtest, where blocks come when somebody wants one", () =>
    story(
      ["40.1.1.1:8233"],
      (log, tip, counted) =>
        Effect.gen(function* () {
          yield* SubscriptionRef.set(tip, block(1))
          yield* Effect.sleep("2 hours")
          assert.isEmpty(log.dials)
          assert.strictEqual(yield* counted, 0)
        }),
      { chain: regtest }
    )
  )
})

it.effect("an address of elsewhere is one that answered, in an unused network, and is taken once", () =>
  story(["40.1.1.1:8233", "40.2.1.1:8233"], () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      const taken = [yield* book.takeElsewhere, yield* book.takeElsewhere, yield* book.takeElsewhere].map((entry) =>
        Option.getOrUndefined(Option.map(entry, (one) => AddressRules.networkKey(one.address)))
      )
      assert.sameMembers(taken, ["40.1", "40.2", undefined])
    })
  )
)
