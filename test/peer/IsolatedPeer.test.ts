import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import { ChainParams, type ChainParamsShape, mainnet, regtest, testnet } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { HandshakeError, LocalNode } from "../../src/peer/Handshake.ts"
import * as IsolatedPeer from "../../src/peer/IsolatedPeer.ts"
import { ConnectionReceiveTimeout } from "../../src/peer/Peer.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import * as TcpTransport from "../../src/transport/TcpTransport.ts"
import { InboundTransport, OutboundTransport } from "../../src/transport/Transport.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import { Message, type Version } from "../../src/wire/Message.ts"
import { alice, bob as bobAddress, loopback, mallory } from "../support/addresses.ts"
import { block, blockItem, hash } from "./items.ts"
import { bobsVersion, pass, remoteEnd, settle, start, world } from "./rig.ts"

const chains = [mainnet, testnet, regtest]

/** Nothing of the node that runs it, whatever that node is. */
const assertAnonymous = (message: Message, chain: ChainParamsShape, userAgent: string): Version => {
  assert(message._tag === "Version")
  const nowhere = PeerSocketAddress.fromStringUnsafe(`0.0.0.0:${chain.defaultPort}`)
  const { nonce: _, timestamp, ...rest } = message
  assert.strictEqual(timestamp % 300n, 0n)
  assert.deepStrictEqual(rest, {
    _tag: "Version",
    version: 170_190,
    services: 0n,
    addressReceiver: { address: nowhere, services: NODE_NETWORK },
    addressFrom: { address: nowhere, services: 0n },
    userAgent,
    startHeight: 0,
    relay: false
  })
  return message
}

/** A node that has much to tell. */
const talkative: LocalNode = { userAgent: "/wallet-of-alice:1.0/", services: NODE_NETWORK, relay: true }

/** Alice connects, isolated; Bob has the other end. */
const connect = Effect.fnUntraced(function* (chain: ChainParamsShape = regtest, userAgent = "") {
  const network = yield* SimNetwork
  const listener = yield* network.host(bobAddress).listen(PeerSocketAddress.fromIp(bobAddress.address, 0))
  const connecting = yield* start(
    IsolatedPeer.connect(listener.address, { userAgent }).pipe(
      Effect.provideService(OutboundTransport, network.host(alice)),
      Effect.provideService(ChainParams, chain),
      Effect.provideService(SecureRandom.SecureRandom, yield* SecureRandom.SecureRandom),
      Effect.provideService(LocalNode, talkative),
      Effect.provideService(OwnAddress, OwnAddress.make({ listening: alice, external: mallory })),
      Effect.provideService(Scope.Scope, yield* Effect.scope)
    )
  )
  const bob = remoteEnd(yield* listener.accept, chain)
  return { bob, connecting }
})

describe("an isolated peer", () => {
  it.effect.each(chains)("says nothing of its node on $name (peer 46, anonymised_version_message_mem)", (chain) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_800_000_123_456)
      const { bob, connecting } = yield* connect(chain)
      const version = assertAnonymous(yield* bob.hears, chain, "")
      assert.strictEqual(version.timestamp, 1_800_000_000n)
      yield* pass("1 second")
      assert.strictEqual(connecting.result(), "pending")
      assert.deepStrictEqual(yield* bob.heard, [])
    }).pipe(Effect.provide(world))
  )

  const overTcp = Effect.fnUntraced(
    function* (chain: ChainParamsShape) {
      const transport = yield* InboundTransport
      const listener = yield* transport.listen(loopback())
      const connecting = yield* Effect.forkScoped(IsolatedPeer.connect(listener.address, { userAgent: "" }))
      const bob = remoteEnd(yield* listener.accept, chain)
      assertAnonymous(yield* bob.hears, chain, "")
      yield* Effect.sleep("1 second")
      assert.strictEqual(connecting.pollUnsafe(), undefined)
      yield* Fiber.interrupt(connecting)
    },
    Effect.scoped,
    (test, chain) => Effect.provideService(test, ChainParams, chain)
  )

  it.live("says nothing of its node over TCP either, on any chain (peer 45, anonymised_version_message_tcp)", () =>
    Effect.forEach(chains, overTcp, { concurrency: "unbounded", discard: true }).pipe(
      Effect.provide([TcpTransport.layer, SecureRandom.layerWebCrypto]),
      Effect.provideService(LocalNode, talkative)
    )
  )

  it.effect("says the user agent it was given, as it is", () =>
    Effect.gen(function* () {
      const { bob } = yield* connect(regtest, "/a:1(b)/")
      assertAnonymous(yield* bob.hears, regtest, "/a:1(b)/")
    }).pipe(Effect.provide(world))
  )

  it.effect("takes a peer that serves nothing, but not one too old", () =>
    Effect.gen(function* () {
      const { bob, connecting } = yield* connect(mainnet)
      yield* bob.says(bobsVersion({ services: 0n, version: 170_149 }))
      yield* settle
      const error = connecting.result()
      assert(error instanceof HandshakeError)
      assert.strictEqual(error.reason._tag, "ObsoleteVersion")
    }).pipe(Effect.provide(world))
  )

  it.effect("gives up a silent peer after 3 s", () =>
    Effect.gen(function* () {
      const { connecting } = yield* connect()
      yield* pass("3 seconds")
      const error = connecting.result()
      assert(error instanceof HandshakeError)
      assert.strictEqual(error.reason._tag, "HandshakeTimeout")
    }).pipe(Effect.provide(world))
  )

  it.effect("cannot tell that it talks to its own node: nonces are not shared", () =>
    Effect.gen(function* () {
      const first = yield* connect()
      const version = yield* first.bob.hears
      assert(version._tag === "Version")
      const second = yield* connect()
      yield* second.bob.says(bobsVersion({ nonce: version.nonce }), Message.Verack())
      yield* settle
      assert.notStrictEqual(second.connecting.result(), "pending")
      const peer = second.connecting.result()
      assert(typeof peer === "object" && "readiness" in peer)
    }).pipe(Effect.provide(world))
  )

  it.effect("serves nothing but pong, asks what it is told to, and pings", () =>
    Effect.gen(function* () {
      const { bob, connecting } = yield* connect()
      yield* bob.says(bobsVersion({ services: 0n }), Message.Verack())
      yield* settle
      const peer = connecting.result()
      assert(typeof peer === "object" && "readiness" in peer)
      assert.strictEqual(peer.transientAddress, undefined)
      assert.strictEqual((yield* bob.heard).length, 2)

      yield* bob.says(
        Message.GetAddr(),
        Message.GetData({ items: [blockItem(hash(1))] }),
        Message.GetBlocks({ known: [], stop: undefined }),
        Message.GetHeaders({ known: [], stop: undefined }),
        Message.Mempool(),
        Message.Inv({ items: [blockItem(hash(1))] }),
        Message.Ping({ nonce: 1n })
      )
      assert.deepStrictEqual(yield* bob.heard, [Message.Pong({ nonce: 1n })])

      // No guessed addresses, and nothing it brings says where it came from.
      const asked = yield* start(peer.request({ _tag: "BlockDownload", hash: block(1).hash, advertiser: undefined }))
      yield* bob.hears
      yield* bob.says(Message.Block({ block: block(1) }))
      yield* settle
      assert.deepStrictEqual(asked.result(), {
        _tag: "Blocks",
        items: [{ _tag: "Available", value: block(1), source: undefined }]
      })
      yield* start(peer.request({ _tag: "Peers" }))
      assert.deepStrictEqual(yield* bob.heard, [Message.GetAddr()])

      // Nobody has banned it, and no version is too old for it.
      yield* peer.advertiseBlock(hash(1))
      assert.deepStrictEqual(yield* bob.heard, [Message.Inv({ items: [blockItem(hash(1))] })])
    }).pipe(Effect.provide(world))
  )

  it.effect("gives up a request that is not answered after 20 s", () =>
    Effect.gen(function* () {
      const { bob, connecting } = yield* connect()
      yield* bob.says(bobsVersion(), Message.Verack())
      yield* settle
      const peer = connecting.result()
      assert(typeof peer !== "string" && "request" in peer)
      const asked = yield* start(peer.request({ _tag: "Peers" }))
      yield* pass("19999 millis")
      assert.strictEqual(asked.result(), "pending")
      yield* pass("1 millis")
      assert.deepStrictEqual(asked.result(), new ConnectionReceiveTimeout())
    }).pipe(Effect.provide(world))
  )

  it.effect("pings after 59 s", () =>
    Effect.gen(function* () {
      const { bob } = yield* connect()
      yield* bob.says(bobsVersion(), Message.Verack())
      yield* settle
      yield* bob.heard
      yield* pass("59 seconds")
      assert.deepStrictEqual(
        (yield* bob.heard).map(({ _tag }) => _tag),
        ["Ping"]
      )
    }).pipe(Effect.provide(world))
  )
})
