/** The peer set with real connections over a simulated network: what scripted peers might get wrong. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Scope } from "effect"
import { BlockAdvertiser } from "../../src/network/BlockAdvertiser.ts"
import { InventoryRegistry } from "../../src/routing/InventoryRegistry.ts"
import { PeerSet, RequestError } from "../../src/network/PeerSet.ts"
import { ConnectionReceiveTimeout, NotFoundResponse, type PeerError } from "../../src/peer/Peer.ts"
import type { Response } from "../../src/peer/Request.ts"
import { Message } from "../../src/wire/Message.ts"
import { peerAddress } from "../support/addresses.ts"
import { block, blockHash, isPending, start, world } from "../support/peerSetWorld.ts"
import { pass, rig, settle, world as network } from "../peer/rig.ts"

const layer = BlockAdvertiser.layer.pipe(Layer.provideMerge(world()), Layer.provideMerge(network))

/** How a caller hears of what became of its request at a peer. */
const asked = (reason: PeerError) => new RequestError({ reason })

const item = (byte: number) => ({ _tag: "Block", hash: blockHash(byte) }) as const

/** A peer of this number in the peer set, whose reports reach the registry as in a node. */
const join = (id: number, services = 1n, answer?: () => Effect.Effect<Response>) =>
  Effect.gen(function* () {
    const registry = yield* InventoryRegistry
    const connection = yield* rig({
      id,
      connected: { _tag: "InboundDirect", address: peerAddress(id) },
      remote: { services },
      ...(answer === undefined ? {} : { answer }),
      report: (report) => {
        if (report._tag === "InventoryAvailable") return registry.register(id, "available", report.items)
        if (report._tag === "InventoryMissing") return registry.register(id, "missing", report.items)
        return Effect.void
      }
    })
    yield* Effect.orDie((yield* PeerSet).add(connection.peer))
    return connection
  })

const record = (byte: number) => Effect.map(InventoryRegistry, (registry) => registry.record(item(byte)))

describe("the peer set with real connections", () => {
  it.effect(
    "asks another peer for a block after a notfound, which marks it missing (network 127; advisories N2 and N7)",
    () =>
      Effect.gen(function* () {
        const peerSet = yield* PeerSet
        const [sam, nina] = [yield* join(1), yield* join(2, 0n)]
        const first = yield* start(peerSet.request(block(2)))
        assert.deepStrictEqual(yield* sam.bob.heard, [Message.GetData({ items: [item(2)] })])
        yield* sam.bob.says(Message.NotFound({ items: [item(2)] }))
        yield* settle
        assert.deepStrictEqual(
          yield* Effect.flip(Fiber.join(first)),
          asked(new NotFoundResponse({ hashes: [item(2)] }))
        )
        const known = yield* record(2)
        assert.deepStrictEqual([[...known.missing], [...known.failed]], [[1], []])
        yield* start(peerSet.request(block(2)))
        assert.deepStrictEqual(yield* nina.bob.heard, [Message.GetData({ items: [item(2)] })])
      }).pipe(Effect.provide(layer))
  )

  it.effect("asks another peer for a block after 20 seconds of silence, which marks it failed (network 127)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const [sam, nina] = [yield* join(1), yield* join(2, 0n)]
      const first = yield* start(peerSet.request(block(2)))
      assert.strictEqual((yield* sam.bob.heard).length, 1)
      yield* pass("19999 millis")
      assert.isTrue(isPending(first))
      yield* pass("1 millis")
      assert.deepStrictEqual(yield* Effect.flip(Fiber.join(first)), asked(new ConnectionReceiveTimeout()))
      const known = yield* record(2)
      assert.deepStrictEqual([[...known.missing], [...known.failed]], [[], [1]])
      assert.isUndefined(yield* sam.ended)
      yield* start(peerSet.request(block(2)))
      assert.deepStrictEqual(yield* nina.bob.heard, [Message.GetData({ items: [item(2)] })])
    }).pipe(Effect.provide(layer))
  )

  it.effect("puts one request into a connection and one behind it, and the next waits", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const { bob } = yield* join(1)
      const [first, second, third] = [
        yield* start(peerSet.request({ _tag: "MempoolTransactionIds" })),
        yield* start(peerSet.request(block(2))),
        yield* start(peerSet.request({ _tag: "MempoolTransactionIds" }))
      ]
      assert.deepStrictEqual(yield* bob.heard, [Message.Mempool()])
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 0, busy: 1, inbound: 1, outbound: 0 })
      yield* Fiber.interrupt(third)
      yield* bob.says(Message.Inv({ items: [] }))
      assert.deepStrictEqual(yield* bob.heard, [Message.GetData({ items: [item(2)] })])
      assert.isFalse(isPending(first))
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 1, busy: 0, inbound: 1, outbound: 0 })
      yield* Fiber.interrupt(second)
      yield* start(peerSet.request({ _tag: "MempoolTransactionIds" }))
      assert.deepStrictEqual(yield* bob.heard, [Message.Mempool()])
    }).pipe(Effect.provide(layer))
  )

  it.effect("advertises a block to a peer that owes us an answer, and to one that just joined (network 81)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const advertiser = yield* BlockAdvertiser
      const sam = yield* join(1)
      const request = yield* start(peerSet.request({ _tag: "MempoolTransactionIds" }))
      yield* settle
      const nina = yield* join(2, 0n)
      const advert = yield* start(advertiser.advertiseToAll(blockHash(10)))
      const inv = Message.Inv({ items: [item(10)] })
      assert.deepStrictEqual(yield* sam.bob.heard, [Message.Mempool(), inv])
      assert.deepStrictEqual(yield* nina.bob.heard, [inv])
      assert.deepStrictEqual((yield* Fiber.join(advert)).toSorted(), [1, 2])
      assert.isTrue(isPending(request))
    }).pipe(Effect.provide(layer))
  )

  it.effect("asks another for a block when the one that serves them is kept busy for 20 seconds (peer 92)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const nil = { _tag: "Nil" } as const
      const sam = yield* join(1, 1n, () => Effect.delay(Effect.succeed(nil), "4900 millis"))
      const nina = yield* join(2, 0n)
      // The next advert is always there before the program has answered the last, so no request of ours gets its turn.
      for (let n = 20; n < 27; n++) yield* sam.bob.says(Message.Inv({ items: [item(n)] }))
      yield* settle
      yield* start(peerSet.request({ _tag: "FindBlocks", known: [], stop: undefined }))
      yield* settle
      const waiting = yield* start(peerSet.request(block(2)))
      yield* pass("1 second")
      assert.isTrue(isPending(waiting))
      assert.deepStrictEqual(yield* nina.bob.heard, [])
      yield* Fiber.interrupt(waiting)
      yield* pass("19001 millis")
      const again = yield* start(peerSet.request(block(2)))
      assert.deepStrictEqual(yield* nina.bob.heard, [Message.GetData({ items: [item(2)] })])
      yield* nina.bob.says(Message.NotFound({ items: [item(2)] }))
      yield* settle
      assert.strictEqual((yield* Effect.flip(Fiber.join(again))).reason._tag, "NotFoundResponse")
    }).pipe(Effect.provide(layer))
  )

  it.effect("forgets a peer that hangs up, and fails what it was asked", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const sam = yield* join(1)
      const request = yield* start(peerSet.request(block(2)))
      yield* settle
      yield* sam.closeBob
      yield* settle
      assert.strictEqual((yield* Effect.flip(Fiber.join(request))).reason._tag, "ConnectionClosed")
      assert.deepStrictEqual(yield* peerSet.peers, [])
    }).pipe(Effect.provide(layer))
  )

  it.effect("lets go of a peer that does not read for 20 seconds", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const sam = yield* join(1)
      yield* sam.stall
      const first = yield* start(peerSet.request({ _tag: "MempoolTransactionIds" }))
      yield* settle
      yield* start(peerSet.request(block(2)))
      yield* pass("20 seconds")
      assert.isFalse(isPending(first))
      assert.deepStrictEqual(yield* peerSet.peers, [])
      assert.isDefined(yield* sam.ended)
    }).pipe(Effect.provide(layer))
  )

  it.effect("ends its connections with its scope (network 138)", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const services = yield* Layer.buildWithScope(layer, scope)
      const sam = yield* Effect.provide(join(1), services)
      const request = yield* start(
        Effect.provide(
          Effect.flatMap(PeerSet, (peerSet) => peerSet.request(block(2))),
          services
        )
      )
      yield* settle
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Effect.flip(Fiber.join(request))).reason._tag, "NetworkClosed")
      assert.strictEqual((yield* sam.ended)?._tag, "ClientDropped")
    })
  )
})
