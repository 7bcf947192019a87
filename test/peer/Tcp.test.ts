import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Fiber, Layer, Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { ChainParams, regtest } from "../../src/chain/ChainParams.ts"
import { ChainTip } from "../../src/chain/ChainTip.ts"
import { Handshake } from "../../src/peer/Handshake.ts"
import { InboundRequests } from "../../src/peer/InboundRequests.ts"
import type { ConnectionHost } from "../../src/peer/Peer.ts"
import type { InboundRequest, Response } from "../../src/peer/Request.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import * as TcpTransport from "../../src/transport/TcpTransport.ts"
import { InboundTransport, OutboundTransport } from "../../src/transport/Transport.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { Message } from "../../src/wire/Message.ts"
import { loopback } from "../support/addresses.ts"
import { policyWith } from "../support/policy.ts"
import { block, blockItem, hash, txId, txItem } from "./items.ts"
import { bobsVersion, remoteEnd } from "./rig.ts"

const nobody: ConnectionHost = { report: () => Effect.void, mayAdvertise: () => Effect.succeed(true) }

/** A handshake whose node answers so. */
const handshakeWith = (answer: (request: InboundRequest) => Response) =>
  Effect.map(
    Layer.build(
      Layer.fresh(Handshake.layer).pipe(
        Layer.provide([
          ChainTip.layerNone,
          OwnAddress.layerNone,
          Layer.succeed(InboundRequests, { answer: (request) => Effect.succeed(answer(request)) }),
          Layer.succeed(ChainParams, regtest),
          SecureRandom.layerWebCrypto
        ])
      )
    ),
    Context.get(Handshake)
  )

const nil: Response = { _tag: "Nil" }

/** Two ends of one socket, each with its scope. */
const sockets = Effect.gen(function* () {
  const listener = yield* (yield* InboundTransport).listen(loopback())
  const [alicesScope, bobsScope] = [yield* Scope.fork(yield* Effect.scope), yield* Scope.fork(yield* Effect.scope)]
  const alices = yield* Scope.provide((yield* OutboundTransport).dial(listener.address), alicesScope)
  const bobs = yield* Scope.provide(listener.accept, bobsScope)
  return { alices, alicesScope, bobs, bobsScope, address: listener.address }
})

/** Alice has a peer over TCP; Bob's end is the test's. */
const connect = Effect.fnUntraced(function* (answer: (request: InboundRequest) => Response = () => nil) {
  const { address, alices, alicesScope, bobs, bobsScope } = yield* sockets
  const handshake = yield* handshakeWith(answer)
  const bob = remoteEnd(bobs)
  const running = yield* Effect.forkChild(
    Scope.provide(handshake.run(alices, { _tag: "OutboundDirect", address }, nobody), alicesScope)
  )
  yield* bob.says(bobsVersion(), Message.Verack())
  const peer = yield* Fiber.join(running)
  yield* bob.hears
  yield* bob.hears
  return { bob, peer, closeBob: Scope.close(bobsScope, Exit.void), closeAlice: Scope.close(alicesScope, Exit.void) }
})

describe("a connection over TCP", () => {
  it.live("brings what the other node answers", () =>
    Effect.gen(function* () {
      const { address, alices, bobs } = yield* sockets
      const asker = yield* handshakeWith(() => nil)
      const server = yield* handshakeWith((request) =>
        request._tag === "BlocksByHash"
          ? { _tag: "Blocks", items: [{ _tag: "Available", value: block(1), source: undefined }] }
          : nil
      )
      const [peer] = yield* Effect.all(
        [
          asker.run(alices, { _tag: "OutboundDirect", address }, nobody),
          server.run(bobs, { _tag: "InboundDirect", address: bobs.remoteAddress }, nobody)
        ],
        { concurrency: 2 }
      )
      const { items } = yield* peer.request({ _tag: "BlockDownload", hash: block(1).hash, advertiser: undefined })
      assert.deepStrictEqual(items.length, 1)
      assert(items[0]?._tag === "Available")
      assert.strictEqual(items[0].value.hash, block(1).hash)
      assert.deepStrictEqual(items[0].source, { connection: peer.id, address })
    }).pipe(Effect.scoped, Effect.provide(TcpTransport.layer))
  )

  it.live("ends with the peer's", () =>
    Effect.gen(function* () {
      const { closeBob, peer } = yield* connect()
      const waiting = yield* Effect.forkChild(Effect.flip(peer.request({ _tag: "Peers" })))
      yield* closeBob
      const error = yield* peer.awaitClosed
      assert.strictEqual(error._tag, "ConnectionClosed")
      assert.strictEqual(yield* Fiber.join(waiting), error)
    }).pipe(Effect.scoped, Effect.provide(TcpTransport.layer))
  )

  it.live("ends with the peer's also where our answers to its last words find nobody", () =>
    Effect.gen(function* () {
      const { bob, closeBob, peer } = yield* connect()
      // All of it is there before the loop looks again, as after a sleep of this machine: the first answer makes Bob's host
      // say that he is gone, the second one hears it, and the end that Bob sent has not been read yet.
      yield* bob.says(...[1n, 2n, 3n].map((nonce) => Message.Ping({ nonce })))
      yield* closeBob
      assert.strictEqual((yield* peer.awaitClosed)._tag, "ConnectionClosed")
    }).pipe(Effect.scoped, Effect.provide(TcpTransport.layer))
  )

  it.live("ends with the peer's and not in the middle of a message of which the rest is lost that way", () =>
    Effect.gen(function* () {
      const { bob, closeBob, peer } = yield* connect()
      const ping = Frame.encode(regtest.magic, { command: "ping", body: new Uint8Array(8) })
      const long = Frame.encode(regtest.magic, { command: "odd", body: new Uint8Array(100_000) })
      yield* bob.sayBytes(Buffer.concat([ping, ping, long]))
      yield* closeBob
      assert.strictEqual((yield* peer.awaitClosed)._tag, "ConnectionClosed")
      // Of the long one the socket gave no more than its first chunk.
      assert.isBelow(peer.bytesRead(), long.length)
    }).pipe(Effect.scoped, Effect.provide(TcpTransport.layer))
  )

  it.live("ends for the peer with ours", () =>
    Effect.gen(function* () {
      const { bob, closeAlice, peer } = yield* connect()
      yield* closeAlice
      assert.strictEqual((yield* peer.awaitClosed)._tag, "ConnectionDropped")
      assert.strictEqual((yield* bob.end).reason, "Eof")
    }).pipe(Effect.scoped, Effect.provide(TcpTransport.layer))
  )

  it.live("ends when the peer does not read, long before everything was said", () =>
    Effect.gen(function* () {
      const ids = Array.from({ length: 25_000 }, (_, n) => txId(n))
      const { bob, peer } = yield* connect(() => ({ _tag: "TransactionIds", ids }))
      const message = Frame.headerBytes + 3 + 36 * ids.length
      // Many times what the buffers of both ends take.
      const asking = yield* Effect.forkChild(
        Effect.ignore(bob.says(...Array.from({ length: 100 }, () => Message.Mempool())))
      )
      const error = yield* peer.awaitClosed
      assert.strictEqual(error._tag, "ConnectionSendTimeout")
      assert.isBelow(peer.bytesWritten(), 100 * message)
      yield* Fiber.interrupt(asking)
    }).pipe(
      Effect.scoped,
      Effect.provide(TcpTransport.layer),
      Effect.provide(policyWith({ requestTimeout: Duration.millis(300) }))
    )
  )

  it.live("takes an advert while the peer is silent", () =>
    Effect.gen(function* () {
      const { bob, peer } = yield* connect()
      const waiting = yield* Effect.forkChild(peer.request({ _tag: "MempoolTransactionIds" }))
      assert.deepStrictEqual(yield* bob.hears, Message.Mempool())
      yield* peer.advertiseBlock(hash(1))
      assert.deepStrictEqual(yield* bob.hears, Message.Inv({ items: [blockItem(hash(1))] }))
      yield* bob.says(Message.Inv({ items: [txItem(txId(1))] }))
      assert.deepStrictEqual(yield* Fiber.join(waiting), { _tag: "TransactionIds", ids: [txId(1)] })
    }).pipe(Effect.scoped, Effect.provide(TcpTransport.layer))
  )
})
