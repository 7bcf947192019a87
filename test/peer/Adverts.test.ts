import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { PeerOverloaded } from "../../src/peer/Peer.ts"
import * as PeerMetrics from "../../src/peer/PeerMetrics.ts"
import type { Request } from "../../src/peer/Request.ts"
import { Message } from "../../src/wire/Message.ts"
import { StreamClosed } from "../../src/transport/Transport.ts"
import { alice } from "../support/addresses.ts"
import { blockItem, hash } from "./items.ts"
import { pass, rig, settle, start, world } from "./rig.ts"

const peers: Request = { _tag: "Peers" }
const advert = (n: number) => Message.Inv({ items: [blockItem(hash(n))] })
const tagOf = (result: unknown): unknown =>
  typeof result === "object" && result !== null && "_tag" in result ? result._tag : result
const count = (metric: Metric.Counter<number>) => Effect.map(Metric.value(metric), (state) => state.count)

describe("a block advert", () => {
  it.effect(
    "is counted, and one nobody waits for is not written (peer 87, block_advert_request_metrics_include_cancellation)",
    () =>
      Effect.gen(function* () {
        const { bob, peer } = yield* rig()
        const first = yield* start(peer.advertiseBlock(hash(1)))
        yield* settle
        assert.strictEqual(first.result(), undefined)
        const second = yield* start(peer.advertiseBlock(hash(2)))
        yield* second.cancel
        assert.deepStrictEqual(yield* bob.heard, [advert(1)])
        assert.strictEqual(yield* count(PeerMetrics.requestSent.AdvertiseBlock), 1)
        assert.strictEqual(yield* count(PeerMetrics.requestCanceled.AdvertiseBlock), 1)
        assert.strictEqual(yield* count(PeerMetrics.canceled), 1)
      }).pipe(Effect.provide(world))
  )

  it.effect("goes out while we wait for an answer, and is none (peer 88, block_advert_while_awaiting_response)", () =>
    Effect.gen(function* () {
      const { bob, ended, peer } = yield* rig()
      const first = yield* start(peer.advertiseBlock(hash(1)))
      assert.deepStrictEqual(yield* bob.heard, [advert(1)])
      assert.strictEqual(first.result(), undefined)
      const request = yield* start(peer.request(peers))
      assert.deepStrictEqual(yield* bob.heard, [Message.GetAddr()])
      const second = yield* start(peer.advertiseBlock(hash(2)))
      assert.deepStrictEqual(yield* bob.heard, [advert(2)])
      assert.strictEqual(second.result(), undefined)
      assert.strictEqual(request.result(), "pending")
      assert.strictEqual(peer.readiness(), "Ready")
      yield* bob.says(Message.Addr({ addresses: [] }))
      yield* settle
      assert.deepStrictEqual(request.result(), { _tag: "Peers", addresses: [] })
      assert.strictEqual(yield* ended, undefined)
    }).pipe(Effect.provide(world))
  )

  it.effect(
    "comes after the answer to a getblocks that is there (peer 89, getblocks_response_precedes_ready_block_advert)",
    () =>
      Effect.gen(function* () {
        const { bob, ended, peer } = yield* rig({
          answer: () => Effect.succeed({ _tag: "BlockHashes", hashes: [hash(3)], source: undefined })
        })
        yield* bob.says(Message.GetBlocks({ known: [], stop: undefined }))
        yield* start(peer.advertiseBlock(hash(4)))
        assert.deepStrictEqual(yield* bob.heard, [advert(3), advert(4)])
        assert.strictEqual(yield* ended, undefined)
      }).pipe(Effect.provide(world))
  )

  it.effect("comes before a request that came first", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig()
      yield* start(peer.request(peers))
      yield* start(peer.advertiseBlock(hash(4)))
      assert.deepStrictEqual(yield* bob.heard, [advert(4), Message.GetAddr()])
    }).pipe(Effect.provide(world))
  )

  it.effect(
    "succeeds when it is written, not when it is offered (peer 94, block_advert_success_waits_for_peer_write)",
    () =>
      Effect.gen(function* () {
        const { bob, peer } = yield* rig({ answer: () => Effect.as(Effect.sleep("1 second"), { _tag: "Nil" }) })
        yield* bob.says(Message.Mempool())
        yield* settle
        const offered = yield* start(peer.advertiseBlock(hash(1)))
        yield* settle
        assert.strictEqual(offered.result(), "pending")
        yield* pass("1 second")
        assert.strictEqual(offered.result(), undefined)
        assert.deepStrictEqual(yield* bob.heard, [advert(1)])
      }).pipe(Effect.provide(world))
  )

  it.effect("to a peer that is gone fails with why it went (peer 95, block_advert_reports_peer_write_failure)", () =>
    Effect.gen(function* () {
      const { closeBob, ended, peer } = yield* rig()
      const offered = yield* start(peer.advertiseBlock(hash(1)))
      yield* closeBob
      const error = yield* ended
      assert.isDefined(error)
      assert.strictEqual(offered.result(), error)
      // Later ones fail at once.
      assert.strictEqual(yield* Effect.flip(peer.advertiseBlock(hash(2))), error)
    }).pipe(Effect.provide(world))
  )

  it.effect("whose write fails ends the connection, and all hear why (peer 95)", () =>
    Effect.gen(function* () {
      let isBroken = false
      const { bob, ended, peer } = yield* rig({
        stream: (stream) => ({
          ...stream,
          write: (bytes) =>
            isBroken ? Effect.fail(new StreamClosed({ reason: "Reset", code: "EPIPE" })) : stream.write(bytes)
        })
      })
      const request = yield* start(peer.request(peers))
      yield* bob.hears
      isBroken = true
      const offered = yield* start(peer.advertiseBlock(hash(1)))
      const behind = yield* start(peer.advertiseBlock(hash(2)))
      const error = yield* ended
      assert(error?._tag === "Serialization")
      assert.deepStrictEqual(error.cause, new StreamClosed({ reason: "Reset", code: "EPIPE" }))
      for (const each of [offered, behind, request]) assert.strictEqual(each.result(), error)
    }).pipe(Effect.provide(world))
  )

  it.effect.each([
    ["idle", undefined],
    ["waiting for an answer", peers]
  ] as ReadonlyArray<[string, Request | undefined]>)(
    "is not written once the peer is banned or outdated: %s (peer 96, queued_block_advert_is_revoked; advisory P14)",
    ([, request]) =>
      Effect.gen(function* () {
        let isAllowed = true
        const { bob, ended, peer } = yield* rig({
          connected: { _tag: "InboundDirect", address: alice },
          mayAdvertise: Effect.sync(() => isAllowed)
        })
        // Without the addresses guessed of an inbound peer.
        yield* peer.request(peers)
        const waiting = request === undefined ? undefined : yield* start(peer.request(request))
        yield* bob.heard
        const offered = yield* start(peer.advertiseBlock(hash(1)))
        isAllowed = false
        assert.deepStrictEqual(yield* bob.heard, [])
        const error = yield* ended
        assert.strictEqual(tagOf(error), "AdvertAuthorizationRevoked")
        assert.strictEqual(offered.result(), error)
        if (waiting !== undefined) assert.strictEqual(waiting.result(), error)
      }).pipe(Effect.provide(world))
  )

  it.effect(
    "above four waiting ones fails at once (peer 97, block_advert_reports_full_and_closed_connection_queues; advisory P14)",
    () =>
      Effect.gen(function* () {
        const { bob, closeAlice, ended, peer } = yield* rig()
        for (let n = 1; n <= 4; n++) yield* (yield* start(peer.advertiseBlock(hash(n)))).cancel
        // Abandoned ones keep their places until their turn.
        const fifth = yield* start(peer.advertiseBlock(hash(5)))
        const full = fifth.result()
        assert(typeof full === "object" && full._tag === "AdvertNotDelivered")
        assert.strictEqual(full.reason, "queueFull")
        assert.deepStrictEqual(yield* bob.heard, [])
        assert.strictEqual(yield* ended, undefined)
        yield* closeAlice
        assert.strictEqual(tagOf(yield* Effect.flip(peer.advertiseBlock(hash(6)))), "ConnectionDropped")
      }).pipe(Effect.provide(world))
  )

  it.effect("that cannot be written in 20 s ends the connection for everybody (peer 99; advisory P14)", () =>
    Effect.gen(function* () {
      const { bob, ended, peer, stall } = yield* rig()
      const request = yield* start(peer.request(peers))
      yield* bob.hears
      yield* pass("10 seconds")
      yield* stall
      const offered = yield* start(peer.advertiseBlock(hash(1)))
      yield* settle
      const behind = yield* start(peer.advertiseBlock(hash(2)))
      yield* pass("19999 millis")
      assert.strictEqual(offered.result(), "pending")
      // While it is written, nothing else is looked at.
      assert.strictEqual(request.result(), "pending")
      assert.isAtMost(peer.bytesWritten(), 24 + 61)
      yield* pass("1 millis")
      const error = yield* ended
      assert.strictEqual(tagOf(error), "ConnectionSendTimeout")
      assert.strictEqual(offered.result(), error)
      assert.strictEqual(behind.result(), error)
      assert.strictEqual(request.result(), error)
    }).pipe(Effect.scoped, Effect.provide(world))
  )

  it.effect("does not touch the time of the request in flight (peer 99)", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig()
      const request = yield* start(peer.request(peers))
      yield* pass("10 seconds")
      yield* peer.advertiseBlock(hash(1))
      yield* pass("9999 millis")
      assert.strictEqual(request.result(), "pending")
      yield* pass("1 millis")
      assert.strictEqual(tagOf(request.result()), "ConnectionReceiveTimeout")
      assert.deepStrictEqual(yield* bob.heard, [Message.GetAddr(), advert(1)])
    }).pipe(Effect.provide(world))
  )

  it.effect("keeps its turn (peer 99)", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig()
      for (let n = 1; n <= 4; n++) yield* start(peer.advertiseBlock(hash(n)))
      assert.deepStrictEqual(yield* bob.heard, [advert(1), advert(2), advert(3), advert(4)])
    }).pipe(Effect.provide(world))
  )

  it.effect("is given up after 20 s in its place, without harm to the connection (2.12)", () =>
    Effect.gen(function* () {
      const { bob, ended, peer } = yield* rig({
        // Each within the program's 5 s, all of them together longer than an advert waits.
        answer: () => Effect.as(Effect.sleep("4500 millis"), { _tag: "Nil" })
      })
      yield* bob.says(...Array.from({ length: 5 }, () => Message.Mempool()))
      yield* settle
      const offered = yield* start(peer.advertiseBlock(hash(1)))
      yield* pass("20 seconds")
      const late = offered.result()
      assert(typeof late === "object" && late._tag === "AdvertNotDelivered")
      assert.strictEqual(late.reason, "timedOut")
      yield* pass("5 seconds")
      assert.strictEqual(yield* ended, undefined)
      assert.deepStrictEqual(yield* bob.heard, [])
    }).pipe(Effect.provide(world))
  )

  it.effect("is given up after 20 s, though its write has begun, and the write goes on (2.12)", () =>
    Effect.gen(function* () {
      const { bob, ended, peer, stall } = yield* rig({
        answer: () => Effect.as(Effect.sleep("4 seconds"), { _tag: "Nil" })
      })
      yield* bob.says(...Array.from({ length: 3 }, () => Message.Mempool()))
      yield* settle
      yield* stall
      const offered = yield* start(peer.advertiseBlock(hash(1)))
      // Its turn comes after 12 s, and then it is being written.
      yield* pass("19999 millis")
      assert.strictEqual(offered.result(), "pending")
      yield* pass("1 millis")
      const late = offered.result()
      assert(typeof late === "object" && late._tag === "AdvertNotDelivered")
      assert.strictEqual(late.reason, "timedOut")
      assert.strictEqual(yield* ended, undefined)
      yield* pass("11999 millis")
      assert.strictEqual(yield* ended, undefined)
      yield* pass("1 millis")
      assert.strictEqual(tagOf(yield* ended), "ConnectionSendTimeout")
    }).pipe(Effect.scoped, Effect.provide(world))
  )

  it.effect("behind a failure gets the error of the failure (peer 99)", () =>
    Effect.gen(function* () {
      const { ended, peer } = yield* rig()
      const offered = yield* start(peer.advertiseBlock(hash(1)))
      const error = new PeerOverloaded()
      yield* peer.close(error)
      assert.strictEqual(offered.result(), error)
      assert.strictEqual(yield* ended, error)
    }).pipe(Effect.provide(world))
  )
})
