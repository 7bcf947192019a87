/** Who is connected, who may stay, and how it ends. Every peer is scripted: `test/support/fakePeer.ts`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { BackgroundTaskExited, PeerSet } from "../../src/network/PeerSet.ts"
import { ConnectionClosed } from "../../src/peer/Peer.ts"
import { fakePeer } from "../support/fakePeer.ts"
import { block, isPending, join, start, world } from "../support/peerSetWorld.ts"

describe("PeerSet", () => {
  it.effect("asks the one peer there is, and another thing after the first was given up (network 40)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = yield* join(1)
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 1, busy: 0, inbound: 0, outbound: 1 })
      assert.strictEqual(bob.queued(), 0)

      const first = yield* start(peerSet.request({ _tag: "Peers" }))
      const asked = bob.take()
      assert.strictEqual(asked?.request._tag, "Peers")
      yield* Fiber.interrupt(first)
      assert.isTrue(asked?.isCanceled())

      const second = yield* start(peerSet.request({ _tag: "MempoolTransactionIds" }))
      const next = bob.take()
      assert.strictEqual(next?.request._tag, "MempoolTransactionIds")
      next?.answer({ _tag: "TransactionIds", ids: [] })
      assert.deepStrictEqual(yield* Fiber.join(second), { _tag: "TransactionIds", ids: [] })
    }).pipe(Effect.provide(world()))
  )

  it.effect("goes on with the last peer when the others are gone, and waits when there is none (network 41)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const [alice, bob, carol] = [yield* join(1), yield* join(2), yield* join(3)]
      assert.strictEqual((yield* peerSet.counts).ready, 3)
      yield* alice.close(new ConnectionClosed())
      yield* bob.close(new ConnectionClosed())
      const fiber = yield* start(peerSet.request({ _tag: "Peers" }))
      assert.strictEqual(carol.take()?.request._tag, "Peers")
      yield* Fiber.interrupt(fiber)
      yield* carol.close(new ConnectionClosed())
      const waiting = yield* start(peerSet.request({ _tag: "Peers" }))
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(isPending(waiting))
    }).pipe(Effect.provide(world({ policy: { connectionsPerGroup: 3 } })))
  )

  it.effect("refuses connections past the limit per host, and closes them (network 42)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = fakePeer({ id: 1, address: "127.0.0.1:1" })
      const again = fakePeer({ id: 2, address: "127.0.0.1:2" })
      assert.isTrue(yield* peerSet.add(bob))
      assert.isFalse(yield* peerSet.add(again))
      assert.strictEqual((yield* peerSet.counts).ready, 1)
      assert.strictEqual(again.closedWith()?._tag, "ClientDropped")
      assert.isUndefined(bob.closedWith())
    }).pipe(Effect.provide(world({ policy: { connectionsPerGroup: 1 } })))
  )

  it.effect("fails waiting, running and later requests with what ended the network, and closes its peers", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = yield* join(1, { places: 1 })
      const running = yield* start(peerSet.request({ _tag: "Peers" }))
      const waiting = yield* start(peerSet.request(block(1)))
      const error = new BackgroundTaskExited({ task: "crawler", cause: "it ended" })
      yield* peerSet.fail(error)
      assert.deepStrictEqual(yield* Fiber.await(running), Exit.fail(error))
      assert.deepStrictEqual(yield* Fiber.await(waiting), Exit.fail(error))
      assert.deepStrictEqual(yield* Effect.exit(peerSet.request({ _tag: "Peers" })), Exit.fail(error))
      assert.deepStrictEqual(yield* Effect.exit(peerSet.demand.await), Exit.fail(error))
      assert.deepStrictEqual(yield* Effect.exit(peerSet.awaitPeers({ peers: 1 })), Exit.fail(error))
      assert.isFalse(yield* peerSet.demand.offer)
      assert.strictEqual(bob.closedWith()?._tag, "ClientDropped")
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 0, busy: 0, inbound: 0, outbound: 0 })
    }).pipe(Effect.provide(world()))
  )
})
