import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Result, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { BlockHash, TransactionId } from "../../src/chain/Hash.ts"
import { NetworkEvent, NetworkEvents } from "../../src/network/NetworkEvents.ts"
import { defaults, Policy } from "../../src/Policy.ts"
import { hash, transaction } from "../peer/items.ts"
import { seriesOf, withMetrics } from "../support/metrics.ts"

const tooSlow = Layer.succeed(Policy, { ...defaults, eventBuffer: 64 })

describe("NetworkEvents", () => {
  it.effect("tells a new reader the latest events first", () =>
    Effect.gen(function* () {
      const events = yield* NetworkEvents
      for (let count = 1; count <= 32 + 8; count++) yield* events.publish({ _tag: "InitialPeersFound", count })
      const first = yield* events.stream.pipe(Stream.take(1), Stream.runCollect)
      assert.deepStrictEqual(first, [{ _tag: "InitialPeersFound", at: 0, count: 9 }])
    }).pipe(Effect.provide(NetworkEvents.layer))
  )

  it.effect("tells a slow reader how many events it lost", () =>
    Effect.gen(function* () {
      const events = yield* NetworkEvents
      const released = yield* Latch.make(false)
      const seen: Array<string> = []
      const reader = yield* events.stream.pipe(
        Stream.takeUntil((event) => event._tag === "InitialPeersFound" && event.count === 199),
        Stream.runForEach((event) => {
          seen.push(event._tag === "EventsLost" ? `lost ${event.count}` : event._tag)
          return released.await
        }),
        Effect.forkChild({ startImmediately: true })
      )
      yield* events.publish({ _tag: "Listening", address: "127.0.0.1:18233" })
      yield* Effect.yieldNow
      for (let count = 0; count < 200; count++) yield* events.publish({ _tag: "InitialPeersFound", count })
      yield* released.open
      yield* Fiber.join(reader)
      const lost = seen.filter((entry) => entry.startsWith("lost"))
      assert.lengthOf(lost, 1)
      // Whatever arrived and whatever was reported lost is all there was.
      assert.strictEqual(Number(lost[0]?.slice("lost ".length)) + seen.length - 1, 201)
      assert.isAtMost(seen.length, 64 + 64 + 2)
    }).pipe(Effect.provide(NetworkEvents.layer.pipe(Layer.provide(tooSlow))))
  )

  it.effect("tells ids that can be asked for as they are, and are plain strings in JSON", () =>
    Effect.gen(function* () {
      const events = yield* NetworkEvents
      const [blocks, transactions] = [[hash(1)], [transaction(1).id]]
      yield* events.publish({ _tag: "InventoryAdvertised", connection: 1, blocks, transactions })
      const [event] = yield* events.stream.pipe(Stream.take(1), Stream.runCollect)
      if (event?._tag !== "InventoryAdvertised") return assert.fail(event?._tag)
      const asked: readonly [ReadonlyArray<BlockHash>, ReadonlyArray<TransactionId>] = [
        event.blocks,
        event.transactions
      ]
      assert.deepStrictEqual(asked, [blocks, transactions])
      const text = `{"_tag":"InventoryAdvertised","connection":1,"blocks":["${hash(1)}"],"transactions":["${transactions[0]}"],"at":0}`
      assert.strictEqual(JSON.stringify(event), text)
      assert.deepStrictEqual(Schema.decodeUnknownSync(NetworkEvent)(JSON.parse(text)), event)
    }).pipe(Effect.provide(NetworkEvents.layer))
  )

  it.effect("tells at most 1,000 ids a second of what peers advertise, how many events are missing, and all else", () =>
    Effect.gen(function* () {
      const events = yield* NetworkEvents
      const seen: Array<string> = []
      yield* events.stream.pipe(
        Stream.runForEach((event) =>
          Effect.sync(() => seen.push(event._tag === "EventsLost" ? `lost ${event.count}` : event._tag))
        ),
        Effect.forkChild({ startImmediately: true })
      )
      const transactions = Array.from({ length: 1000 }, (_, n) => transaction(n).id)
      const advertise = events.publish({ _tag: "InventoryAdvertised", connection: 1, blocks: [], transactions })
      for (let n = 0; n < 50; n++) yield* advertise
      yield* events.publish({ _tag: "Listening", address: "127.0.0.1:18233" })
      yield* TestClock.adjust("999 millis")
      yield* advertise
      yield* TestClock.adjust("1 millis")
      yield* advertise
      yield* advertise
      yield* TestClock.adjust("0 millis")
      assert.deepStrictEqual(seen, [
        "InventoryAdvertised",
        "InventoryAdvertised",
        "lost 48",
        "Listening",
        "lost 1",
        "InventoryAdvertised"
      ])
      assert.deepStrictEqual(yield* seriesOf("network_effect.events.omitted"), { "": 50 })
      // However long nobody advertised anything, no more than two seconds of it are made up for.
      seen.length = 0
      yield* TestClock.adjust("10 seconds")
      for (let n = 0; n < 4; n++) yield* advertise
      yield* TestClock.adjust("1 second")
      yield* advertise
      yield* TestClock.adjust("0 millis")
      assert.deepStrictEqual(seen, [
        "lost 1",
        "InventoryAdvertised",
        "InventoryAdvertised",
        "lost 2",
        "InventoryAdvertised"
      ])
    }).pipe(Effect.provide(NetworkEvents.layer), withMetrics)
  )

  it("of another process are refused when an id is none", () => {
    const event = { _tag: "InventoryAdvertised", at: 0, connection: 1, blocks: [], transactions: [] }
    const isRead = (change: object) =>
      Result.isSuccess(Schema.decodeUnknownResult(NetworkEvent)({ ...event, ...change }))
    for (const length of [64, 128]) assert.isTrue(isRead({ transactions: ["0".repeat(length)] }))
    for (const id of ["", "0".repeat(63), "0".repeat(65), "G".repeat(64), `${"0".repeat(64)}\n`]) {
      assert.isFalse(isRead({ blocks: [id] }), `a block ${JSON.stringify(id)}`)
      assert.isFalse(isRead({ transactions: [id] }), `a transaction ${JSON.stringify(id)}`)
    }
    assert.isFalse(isRead({ blocks: ["0".repeat(128)] }))
  })
})
