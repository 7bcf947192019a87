/** Who has what, for how long, and how much of it is kept. */
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Duration, Effect, Layer, References } from "effect"
import { TestClock } from "effect/testing"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import type { BlockHash, TxId, WtxId } from "../../src/chain/Hash.ts"
import { InventoryRegistry, type InventoryStatus } from "../../src/routing/InventoryRegistry.ts"
import { inventoryOf } from "../../src/peer/InboundMessages.ts"
import { defaults } from "../../src/Policy.ts"
import { type InventoryItem, Message } from "../../src/wire/Message.ts"
import { blockHash } from "../support/peerSetWorld.ts"
import { policyWith } from "../support/policy.ts"

const layer = InventoryRegistry.layer.pipe(Layer.provideMerge(BackgroundTasks.layer))
const zero: InventoryItem = { _tag: "Block", hash: blockHash(0) }
const digits = (n: number) => n.toString(16).padStart(64, "0")
const tx = (n: number): InventoryItem => ({ _tag: "Tx", id: digits(n) as TxId })
const blockOf = (n: number): InventoryItem => ({ _tag: "Block", hash: digits(n) as BlockHash })

const countsOf = (item: InventoryItem) =>
  Effect.map(InventoryRegistry, (registry) => {
    const { advertised, failed, missing } = registry.record(item)
    return { advertised: [...advertised], missing: [...missing], failed: [...failed] }
  })

const register = (connection: number, status: InventoryStatus, ...items: ReadonlyArray<InventoryItem>) =>
  Effect.flatMap(InventoryRegistry, (registry) => registry.register(connection, status, items))

const fail = (connection: number, item: InventoryItem) =>
  Effect.flatMap(InventoryRegistry, (registry) => registry.recordFailure(connection, item))

const nothing = { advertised: [], missing: [], failed: [] }

describe("InventoryRegistry", () => {
  it.effect("knows nothing at first, also after a rotation (network 61)", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* countsOf({ _tag: "Error" }), nothing)
      yield* TestClock.adjust(defaults.inventoryRotation)
      assert.deepStrictEqual(yield* countsOf({ _tag: "Error" }), nothing)
      assert.deepStrictEqual(yield* countsOf(zero), nothing)
    }).pipe(Effect.provide(layer))
  )

  it.effect("knows who advertised a block (network 62)", () =>
    Effect.gen(function* () {
      yield* register(1, "available", zero)
      assert.deepStrictEqual(yield* countsOf(zero), { ...nothing, advertised: [1] })
    }).pipe(Effect.provide(layer))
  )

  it.effect("knows who lacks a block (network 63)", () =>
    Effect.gen(function* () {
      yield* register(1, "missing", zero)
      assert.deepStrictEqual(yield* countsOf(zero), { ...nothing, missing: [1] })
    }).pipe(Effect.provide(layer))
  )

  it.effect.each([
    { first: "available", second: "missing" },
    { first: "missing", second: "available" }
  ] as const)("believes that it is missing, said after $first (network 64)", ({ first, second }) =>
    Effect.gen(function* () {
      yield* register(1, first, zero)
      yield* register(1, second, zero)
      assert.deepStrictEqual(yield* countsOf(zero), { ...nothing, missing: [1] })
    }).pipe(Effect.provide(layer))
  )

  it.effect.each([
    { first: "available", second: "missing" },
    { first: "missing", second: "available" }
  ] as const)("believes what was said after a rotation: $second (network 65)", ({ first, second }) =>
    Effect.gen(function* () {
      yield* register(1, first, zero)
      yield* TestClock.adjust(defaults.inventoryRotation)
      yield* register(1, second, zero)
      assert.deepStrictEqual(yield* countsOf(zero), {
        ...nothing,
        [second === "available" ? "advertised" : "missing"]: [1]
      })
    }).pipe(Effect.provide(layer))
  )

  it.effect.each([{ status: "available" }, { status: "missing" }] as const)(
    "bounds hashes and peers per hash, the newest stay ($status; network 66)",
    ({ status }) =>
      Effect.gen(function* () {
        const registry = yield* InventoryRegistry
        const side = status === "available" ? "advertised" : "missing"
        for (let n = 1; n <= 1010; n++) {
          yield* register(1, status, tx(n))
          assert.isTrue(registry.record(tx(n))[side].has(1))
          assert.strictEqual(registry.size().hashes, Math.min(n, 1000))
        }
        assert.isFalse(registry.record(tx(10))[side].has(1))
        assert.isTrue(registry.record(tx(11))[side].has(1))
        for (let peer = 0; peer < 80; peer++) {
          yield* register(peer, status, zero)
          assert.strictEqual(registry.size().hashes, 1000)
          assert.strictEqual(registry.record(zero)[side].size, Math.min(peer + 1, 70))
          assert.isTrue(registry.record(zero)[side].has(peer))
        }
        assert.isFalse(registry.record(zero)[side].has(9))
      }).pipe(Effect.provide(layer))
  )

  const items = (kinds: ReadonlyArray<number>): ReadonlyArray<InventoryItem> =>
    kinds.map((kind, index) => {
      const hash = digits(index + 1)
      const all: ReadonlyArray<InventoryItem> = [
        { _tag: "Error" },
        { _tag: "Tx", id: hash as TxId },
        { _tag: "Block", hash: hash as BlockHash },
        { _tag: "FilteredBlock", hash: hash as BlockHash },
        { _tag: "Wtx", id: (hash + hash) as WtxId }
      ]
      return all[kind]!
    })

  /** Every list of up to three kinds. */
  const kinds = [0, 1, 2, 3, 4]
  const pairs = kinds.flatMap((a) => kinds.map((b) => [a, b]))
  const kindLists = [[], ...kinds.map((a) => [a]), ...pairs, ...pairs.flatMap((pair) => kinds.map((c) => [...pair, c]))]

  it.effect.each([{ status: "available" }, { status: "missing" }] as const)(
    "takes from a message what it says of blocks and transactions ($status; network 67)",
    ({ status }) =>
      Effect.gen(function* () {
        for (const [index, kinds] of kindLists.entries()) {
          const connection = index + 1
          const list = items(kinds)
          const message = status === "available" ? Message.Inv({ items: list }) : Message.NotFound({ items: list })
          const report = inventoryOf(message, defaults.inventoryHashes)
          if (report?._tag === "InventoryAvailable") yield* register(connection, "available", ...report.items)
          if (report?._tag === "InventoryMissing") yield* register(connection, "missing", ...report.items)
          for (const item of list) {
            const supported = item._tag === "Tx" || item._tag === "Block" || item._tag === "Wtx"
            const registered = supported && (status === "missing" || list.length === 1 || item._tag !== "Block")
            const record = (yield* InventoryRegistry).record(item)
            assert.strictEqual(
              record[status === "available" ? "advertised" : "missing"].has(connection),
              registered,
              `${item._tag} of ${list.length}`
            )
          }
        }
      }).pipe(Effect.provide(layer), Effect.provide(policyWith({ peersPerHash: 1000 })))
  )

  it.effect("remembers a failure over an advert and one rotation, and not over two (network 133)", () =>
    Effect.gen(function* () {
      yield* fail(1, zero)
      assert.deepStrictEqual(yield* countsOf(zero), { ...nothing, failed: [1] })
      yield* register(1, "available", zero)
      assert.deepStrictEqual(yield* countsOf(zero), { ...nothing, advertised: [1], failed: [1] })
      yield* TestClock.adjust(defaults.inventoryRotation)
      assert.deepStrictEqual((yield* countsOf(zero)).failed, [1])
      yield* TestClock.adjust(defaults.inventoryRotation)
      assert.deepStrictEqual(yield* countsOf(zero), nothing)
    }).pipe(Effect.provide(layer))
  )

  it.effect("bounds failures like everything else, the oldest are forgotten (network 134)", () =>
    Effect.gen(function* () {
      const registry = yield* InventoryRegistry
      for (let peer = 0; peer < 71; peer++) yield* fail(peer, zero)
      const { failed } = registry.record(zero)
      assert.deepStrictEqual([failed.size, failed.has(0), failed.has(1), failed.has(70)], [70, false, true, true])
      for (let n = 1; n <= 1000; n++) yield* fail(1, blockOf(n))
      assert.strictEqual(registry.size().failures, 1000)
      assert.deepStrictEqual(yield* countsOf(zero), nothing)
    }).pipe(Effect.provide(layer))
  )

  it.effect("keeps a hash that failed again over those that did not (network 135)", () =>
    Effect.gen(function* () {
      for (let n = 0; n < 1000; n++) yield* fail(1, blockOf(n))
      yield* fail(2, blockOf(0))
      yield* fail(1, blockOf(1000))
      assert.deepStrictEqual((yield* countsOf(blockOf(0))).failed, [1, 2])
      assert.deepStrictEqual(yield* countsOf(blockOf(1)), nothing)
    }).pipe(Effect.provide(layer))
  )

  it.effect("keeps a peer that failed again over those that did not (network 136)", () =>
    Effect.gen(function* () {
      for (let peer = 0; peer < 70; peer++) yield* fail(peer, zero)
      yield* fail(0, zero)
      yield* fail(70, zero)
      const { failed } = (yield* InventoryRegistry).record(zero)
      assert.deepStrictEqual([failed.size, failed.has(0), failed.has(1), failed.has(70)], [70, true, false, true])
    }).pipe(Effect.provide(layer))
  )

  /** A clock whose timers never ring, though time passes. */
  const lateClock = Effect.gen(function* () {
    const test = yield* Clock.Clock
    let offsetMillis = 0
    const clock: Clock.Clock = {
      ...test,
      monotonicTimeNanosUnsafe: () => BigInt(offsetMillis * 1_000_000),
      currentTimeMillisUnsafe: () => offsetMillis,
      sleep: () => Effect.never
    }
    return {
      pass: (duration: Duration.Duration) => {
        offsetMillis += Duration.toMillis(duration)
      },
      context: Context.make(Clock.Clock, clock)
    }
  })

  it.effect("rotates once when its timer is very late, before it takes in anything new (network 129)", () =>
    Effect.gen(function* () {
      const { context, pass } = yield* lateClock
      yield* Effect.gen(function* () {
        yield* fail(1, zero)
        pass(Duration.seconds(159))
        yield* register(2, "available", blockOf(7))
        yield* fail(2, blockOf(7))
        for (let cycle = 0; cycle < 3; cycle++) assert.deepStrictEqual((yield* countsOf(zero)).failed, [1])
        // The interval starts anew: 159 seconds are three of them, and none is made up for.
        pass(Duration.seconds(52))
        assert.deepStrictEqual((yield* countsOf(zero)).failed, [1])
        pass(Duration.seconds(1))
        assert.deepStrictEqual((yield* countsOf(zero)).failed, [])
        assert.deepStrictEqual(yield* countsOf(blockOf(7)), { ...nothing, advertised: [2], failed: [2] })
      }).pipe(Effect.provide(layer), Effect.provide(context))
    })
  )

  it.effect("forgets on time though nobody asks", () =>
    Effect.gen(function* () {
      const registry = yield* InventoryRegistry
      yield* register(1, "available", zero, tx(1))
      yield* fail(1, zero)
      assert.deepStrictEqual(registry.size(), { hashes: 2, failures: 1 })
      yield* TestClock.adjust(Duration.times(defaults.inventoryRotation, 2))
      assert.deepStrictEqual(registry.size(), { hashes: 0, failures: 0 })
    }).pipe(Effect.provide(layer))
  )

  it.effect("takes no more of one change than it could keep (advisory P8)", () =>
    Effect.gen(function* () {
      const registry = yield* InventoryRegistry
      yield* register(1, "available", ...Array.from({ length: 1500 }, (_, n) => tx(n)))
      assert.deepStrictEqual([...registry.record(tx(999)).advertised], [1])
      assert.deepStrictEqual([...registry.record(tx(1000)).advertised], [])
    }).pipe(Effect.provide(layer))
  )

  it.effect("leaves nothing of a flood behind that only a full collection would find (advisory P8)", () =>
    Effect.gen(function* () {
      setFlagsFromString("--expose-gc")
      const collect = runInNewContext("gc") as (options?: { readonly type: "minor" }) => void
      const flood = Effect.forEach(Array.from({ length: 100 }), () =>
        register(1, "available", ...Array.from({ length: 1000 }, () => tx(next++)))
      )
      let next = 0
      yield* flood
      // What is there now is old.
      for (let times = 0; times < 3; times++) collect()
      const before = process.memoryUsage().heapUsed
      // 100,000 records are 25 MB, and 1,000 are kept.
      for (let times = 0; times < 4; times++) {
        yield* flood
        collect({ type: "minor" })
        assert.isBelow(process.memoryUsage().heapUsed - before, 10_000_000)
      }
    }).pipe(Effect.provide(layer))
  )

  it.effect("says which item changed, and when all may have", () =>
    Effect.gen(function* () {
      const changes: Array<InventoryItem | undefined> = []
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* (yield* InventoryRegistry).onChange((item) => changes.push(item))
          yield* register(1, "available", zero, { _tag: "Error" })
          yield* fail(1, blockOf(7))
          yield* TestClock.adjust(defaults.inventoryRotation)
        })
      )
      yield* register(1, "available", tx(1))
      assert.deepStrictEqual(changes, [zero, blockOf(7), undefined])
    }).pipe(Effect.provide(layer))
  )

  it.effect("knows already what it tells of", () =>
    Effect.gen(function* () {
      const registry = yield* InventoryRegistry
      const seen: Array<unknown> = []
      yield* registry.onChange((item = zero) => {
        const { advertised, failed, missing } = registry.record(item)
        seen.push([[...advertised], [...missing], [...failed]])
      })
      yield* register(1, "available", zero)
      yield* register(2, "missing", zero)
      yield* fail(3, zero)
      yield* TestClock.adjust(Duration.times(defaults.inventoryRotation, 2))
      assert.deepStrictEqual(seen, [
        [[1], [], []],
        [[1], [2], []],
        [[1], [2], [3]],
        [[1], [2], [3]],
        [[], [], []]
      ])
    }).pipe(Effect.scoped, Effect.provide(layer))
  )

  it.effect("tells everybody of a change, though one of them fails, which ends the network by name", () =>
    Effect.gen(function* () {
      const registry = yield* InventoryRegistry
      const heard: Array<string> = []
      yield* registry.onChange(() => heard.push("first"))
      yield* registry.onChange(() => {
        throw new Error("a bug")
      })
      yield* registry.onChange(() => heard.push("third"))
      yield* register(1, "available", zero)
      assert.deepStrictEqual(heard, ["first", "third"])
      const reason = yield* Effect.flip((yield* BackgroundTasks).awaitEnd)
      assert.include(reason, { _tag: "BackgroundTaskExited", task: "inventory" })
      assert.match(reason.message, /a bug/)
    }).pipe(Effect.scoped, Effect.provide(layer), Effect.provideService(References.MinimumLogLevel, "None"))
  )

  it.effect("tells a block from a transaction with the same digits", () =>
    Effect.gen(function* () {
      yield* register(1, "available", tx(7))
      yield* register(2, "missing", blockOf(7))
      assert.deepStrictEqual(yield* countsOf(tx(7)), { ...nothing, advertised: [1] })
      assert.deepStrictEqual(yield* countsOf(blockOf(7)), { ...nothing, missing: [2] })
    }).pipe(Effect.provide(layer))
  )
})
