import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { Overloaded } from "../../src/peer/InboundRequests.ts"
import { ClientDropped, DuplicateHandshake, type PeerError } from "../../src/peer/Peer.ts"
import type { Request } from "../../src/peer/Request.ts"
import { Message } from "../../src/wire/Message.ts"
import { pass, rig, type RigOptions, settle, start, world } from "./rig.ts"

const mempool: Request = { _tag: "MempoolTransactionIds" }
const peers: Request = { _tag: "Peers" }

describe("a peer as its holder sees it", () => {
  it.effect("is ready before anybody asks (peer 18, ok_without_readiness_check)", () =>
    Effect.gen(function* () {
      const { bob, ended, peer } = yield* rig()
      assert.strictEqual(peer.readiness(), "Ready")
      assert.strictEqual(yield* ended, undefined)
      assert.deepStrictEqual(yield* bob.heard, [])
    }).pipe(Effect.provide(world))
  )

  it.effect("is ready when asked, once or often, also after a wait was given up (peer 19 to 21)", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig()
      yield* peer.awaitReady
      yield* peer.awaitReady
      const inFlight = yield* start(peer.request(mempool))
      yield* bob.hears
      const queued = yield* start(peer.request(peers))
      const givenUp = yield* start(peer.awaitReady)
      yield* settle
      assert.strictEqual(givenUp.result(), "pending")
      yield* givenUp.cancel
      const kept = yield* start(peer.awaitReady)
      yield* bob.says(Message.Inv({ items: [] }))
      yield* settle
      assert.strictEqual(kept.result(), undefined)
      assert.strictEqual(peer.readiness(), "Ready")
      assert.notStrictEqual(inFlight.result(), "pending")
      assert.strictEqual(queued.result(), "pending")
    }).pipe(Effect.provide(world))
  )

  type Rig = Effect.Success<ReturnType<typeof rig>>

  it.effect.each<readonly [number, PeerError["_tag"], RigOptions, (rig: Rig) => Effect.Effect<unknown>]>([
    [
      22,
      "HeartbeatTaskExited",
      { answer: () => Effect.as(Effect.sleep("4 seconds"), { _tag: "Nil" }) },
      ({ bob }) => Effect.andThen(bob.says(...Array.from({ length: 40 }, () => Message.Mempool())), pass("118 seconds"))
    ],
    [23, "ConnectionDropped", {}, ({ closeAlice }) => closeAlice],
    [
      25,
      "PeerOverloaded",
      { answer: () => Effect.fail(new Overloaded()) },
      // Drawn by chance, the sooner the more are shed.
      ({ bob }) => Effect.andThen(bob.says(...Array.from({ length: 40 }, () => Message.Mempool())), pass("1 second"))
    ],
    [
      26,
      "DuplicateHandshake",
      {},
      ({ bob, closeBob, peer }) =>
        Effect.all([bob.says(Message.Verack()), settle, closeBob, peer.close(new ClientDropped()), settle])
    ]
  ])("fails with what the connection ended with (peer %d, $1)", ([, tag, options, happens]) =>
    Effect.gen(function* () {
      const made = yield* rig(options)
      const { ended, peer } = made
      yield* happens(made)
      const error = yield* ended
      assert.strictEqual(error?._tag, tag)
      assert.strictEqual(yield* Effect.flip(peer.awaitReady), error)
      assert.strictEqual(yield* Effect.flip(peer.enqueueUnsafe(peers)), error)
      assert.strictEqual(peer.readiness(), "Failed")
    }).pipe(Effect.provide(world))
  )

  it.effect("fails with the first error, and so does whatever waits", () =>
    Effect.gen(function* () {
      const { closeBob, ended, peer } = yield* rig()
      const waiting = yield* start(peer.request(mempool))
      const error = new DuplicateHandshake()
      yield* peer.close(error)
      yield* peer.close(new ClientDropped())
      yield* closeBob
      assert.strictEqual(waiting.result(), error)
      assert.strictEqual(yield* ended, error)
    }).pipe(Effect.provide(world))
  )

  it.effect("fails when the peer closed the stream (peer 24, ready_request_close)", () =>
    Effect.gen(function* () {
      const { closeBob, peer } = yield* rig()
      yield* closeBob
      yield* settle
      assert.strictEqual((yield* Effect.flip(peer.awaitReady))._tag, "ConnectionClosed")
    }).pipe(Effect.provide(world))
  )

  it.effect("shuts down with its scope (peer 27 and 28, drop_cleanup, handles_exited_connection_task)", () =>
    Effect.gen(function* () {
      const { bob, closeAlice, ended, peer } = yield* rig()
      yield* closeAlice
      assert.strictEqual((yield* ended)?._tag, "ConnectionDropped")
      assert.strictEqual((yield* Effect.flip(peer.awaitReady))._tag, "ConnectionDropped")
      // Nobody pings a peer that is gone.
      yield* pass("10 minutes")
      yield* bob.end
      assert.strictEqual(bob.stream.bytesRead(), 0)
    }).pipe(Effect.provide(world))
  )

  it.effect("fails when the heartbeat ended (peer 30, handles_exited_heartbeat_task)", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* rig({ answer: () => Effect.as(Effect.sleep("4 seconds"), { _tag: "Nil" }) })
      yield* bob.says(...Array.from({ length: 40 }, () => Message.Mempool()))
      yield* pass("118 seconds")
      assert.strictEqual((yield* Effect.flip(peer.awaitReady))._tag, "HeartbeatTaskExited")
    }).pipe(Effect.provide(world))
  )

  it.effect(
    "that keeps the connection at work leaves its place full, which its holder can see (3.9; advisory N13)",
    () =>
      Effect.gen(function* () {
        const { bob, peer } = yield* rig({ answer: () => Effect.as(Effect.sleep("4 seconds"), { _tag: "Nil" }) })
        yield* bob.says(...Array.from({ length: 10 }, () => Message.Mempool()))
        const waiting = yield* start(peer.request(peers))
        const room = yield* start(peer.awaitReady)
        yield* pass("20 seconds")
        assert.strictEqual(peer.readiness(), "Busy")
        assert.strictEqual(room.result(), "pending")
        assert.strictEqual(waiting.result(), "pending")
        // Whoever enforces the limit closes it, and nobody is told of a failure.
        const dropped = new ClientDropped()
        yield* peer.close(dropped)
        assert.strictEqual(room.result(), dropped)
        assert.strictEqual(waiting.result(), dropped)
      }).pipe(Effect.provide(world))
  )
})
