/** Who is asked, who waits, who is let go. Every peer is scripted: `test/support/fakePeer.ts`. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { ChainParams, mainnet } from "../../src/chain/ChainParams.ts"
import { NetworkClosed, PeerSet } from "../../src/network/PeerSet.ts"
import { ConnectionReceiveTimeout } from "../../src/peer/Peer.ts"
import { fakePeer } from "../support/fakePeer.ts"
import { policyWith } from "../support/policy.ts"

const layer = PeerSet.layer.pipe(Layer.provide(Layer.succeed(ChainParams, mainnet)))

const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })

describe("PeerSet", () => {
  it.effect("asks the one peer there is, and another thing after the first was given up (network 40)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = fakePeer({ id: 1, address: "127.0.0.1:1" })
      assert.isTrue(yield* peerSet.add(bob))
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
    }).pipe(Effect.provide(layer))
  )

  it.effect("goes on with the last peer when the others are gone, and waits when there is none (network 41)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const peers = [1, 2, 3].map((id) => fakePeer({ id, address: `127.0.0.1:${id}` }))
      for (const peer of peers) yield* peerSet.add(peer)
      assert.strictEqual((yield* peerSet.counts).ready, 3)
      yield* peers[0]!.close(new ConnectionReceiveTimeout())
      yield* peers[1]!.close(new ConnectionReceiveTimeout())
      const fiber = yield* start(peerSet.request({ _tag: "Peers" }))
      assert.strictEqual(peers[2]!.take()?.request._tag, "Peers")
      yield* Fiber.interrupt(fiber)
      yield* peers[2]!.close(new ConnectionReceiveTimeout())
      const waiting = yield* start(peerSet.request({ _tag: "Peers" }))
      yield* TestClock.adjust("10 seconds")
      assert.isUndefined(waiting.pollUnsafe())
    }).pipe(Effect.provide(layer), Effect.provide(policyWith({ connectionsPerGroup: 3 })))
  )

  it.effect("refuses connections past the limit per peer group, and closes them (network 42)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = fakePeer({ id: 1, address: "127.0.0.1:1" })
      const again = fakePeer({ id: 2, address: "127.0.0.1:2" })
      assert.isTrue(yield* peerSet.add(bob))
      assert.isFalse(yield* peerSet.add(again))
      assert.strictEqual((yield* peerSet.counts).ready, 1)
      assert.strictEqual(again.closedWith()?._tag, "ClientDropped")
      assert.isUndefined(bob.closedWith())
    }).pipe(Effect.provide(layer))
  )

  it.effect("fails waiting and later requests with what ended the network", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const waiting = yield* start(peerSet.request({ _tag: "Peers" }))
      assert.isTrue(peerSet.demand.takeUnsafe())
      yield* peerSet.fail(new NetworkClosed())
      assert.deepStrictEqual(yield* Fiber.await(waiting), Exit.fail(new NetworkClosed()))
      assert.deepStrictEqual(yield* Effect.exit(peerSet.request({ _tag: "Peers" })), Exit.fail(new NetworkClosed()))
    }).pipe(Effect.provide(layer))
  )
})
