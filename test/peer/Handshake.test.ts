import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import {
  Context,
  Duration,
  Effect,
  Exit,
  Layer,
  Logger,
  Metric,
  Option,
  References,
  Scope,
  SubscriptionRef
} from "effect"
import { SecureRandom } from "effect/crypto"
import { TestClock } from "effect/testing"
import { ChainParams, type ChainParamsShape, mainnet, regtest } from "../../src/chain/ChainParams.ts"
import { ChainTip, type Tip } from "../../src/chain/ChainTip.ts"
import { zeroBlockHash } from "../../src/chain/Hash.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../../src/chain/ProtocolVersion.ts"
import { defaultUserAgent, Handshake, HandshakeError, LocalNode } from "../../src/peer/Handshake.ts"
import { InboundRequests } from "../../src/peer/InboundRequests.ts"
import { MessageStream } from "../../src/peer/MessageStream.ts"
import type { ConnectedAddress, ConnectionHost, PeerReport } from "../../src/peer/Peer.ts"
import type { Request } from "../../src/peer/Request.ts"
import { defaults, totalLimit } from "../../src/Policy.ts"
import * as LinkRule from "../../src/simulation/LinkRule.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import type { ByteStream } from "../../src/transport/Transport.ts"
import * as Own from "../../src/transport/OwnAddress.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { Message, type Version } from "../../src/wire/Message.ts"
import { alice, bob as bobAddress, mallory } from "../support/addresses.ts"
import { seriesOf, withMetrics } from "../support/metrics.ts"
import { policyWith } from "../support/policy.ts"
import { chainNames, chainOf, heightsOf, oldestAt } from "../support/versions.ts"
import { bobsVersion, pass, remoteEnd, settle, start, streams, world } from "./rig.ts"

const outbound: ConnectedAddress = { _tag: "OutboundDirect", address: bobAddress }
const inbound: ConnectedAddress = { _tag: "InboundDirect", address: bobAddress }
const proxied: ConnectedAddress = { _tag: "OutboundProxy", proxyAddress: mallory, transientLocalAddress: bobAddress }
const isolated: ConnectedAddress = { _tag: "Isolated" }

const nobody: ConnectionHost = { report: () => Effect.void, mayAdvertise: () => Effect.succeed(true) }

const nowSeconds = 1_800_000_000
const tipOf = (height: number, ageSeconds = 0): Option.Option<Tip> =>
  Option.some({ height, hash: zeroBlockHash, blockTimeSeconds: nowSeconds - ageSeconds })

/** A node's handshake. */
const node = (
  options: {
    readonly chain?: ChainParamsShape
    readonly tip?: Option.Option<Tip>
    readonly own?: Own.Options
    readonly inbound?: Layer.Layer<InboundRequests>
  } = {}
) =>
  Handshake.layer.pipe(
    Layer.provide([
      options.inbound ?? InboundRequests.layerNone,
      Own.OwnAddress.layer(options.own ?? {}),
      Layer.succeed(ChainParams, options.chain ?? regtest),
      Layer.unwrap(Effect.map(SubscriptionRef.make(options.tip ?? Option.none<Tip>()), ChainTip.layerRef))
    ]),
    Layer.provideMerge(world)
  )

/** Alice shakes hands on a new stream. Bob does what the test says. */
const shake = Effect.fnUntraced(function* (connected: ConnectedAddress = inbound, chain: ChainParamsShape = regtest) {
  const { alices, alicesScope, bobs, bobsScope } = yield* streams
  const handshake = yield* Handshake
  const reports: Array<PeerReport> = []
  const host: ConnectionHost = {
    report: (_, report) => Effect.sync(() => reports.push(report)),
    mayAdvertise: () => Effect.succeed(true)
  }
  const run = yield* start(Scope.provide(handshake.run(alices, connected, host), alicesScope))
  return {
    bob: remoteEnd(bobs, chain),
    reports,
    run,
    /** The peer, or why there is none. */
    outcome: Effect.map(settle, () => {
      const result = run.result()
      return result === "pending" ? result : result instanceof HandshakeError ? result.reason : "agreed"
    }),
    peer: Effect.map(settle, () => {
      const result = run.result()
      assert(result !== "pending" && !(result instanceof HandshakeError))
      return result
    }),
    closeBob: Scope.close(bobsScope, Exit.void),
    closeAlice: Scope.close(alicesScope, Exit.void)
  }
})

type Shake = Effect.Success<ReturnType<typeof shake>>

const hearVersion = ({ bob }: Shake) =>
  Effect.map(bob.hears, (message): Version => {
    assert(message._tag === "Version")
    return message
  })

const tagOf = (outcome: { readonly _tag: string } | string) => (typeof outcome === "string" ? outcome : outcome._tag)

describe("shaking hands", () => {
  it.effect.each([outbound, inbound, isolated])("needs nobody to begin: $_tag", (connected) =>
    Effect.gen(function* () {
      const all = yield* shake(connected)
      yield* hearVersion(all)
      yield* all.bob.says(bobsVersion())
      assert.deepStrictEqual(yield* all.bob.hears, Message.Verack())
      assert.strictEqual(yield* all.outcome, "pending")
      assert.deepStrictEqual(all.reports, [])
      yield* all.bob.says(Message.Verack())
      assert.strictEqual(yield* all.outcome, "agreed")
      assert.deepStrictEqual(all.reports, [
        {
          _tag: "Connected",
          info: { connectedAddress: connected, remote: bobsVersion(), negotiatedVersion: ourProtocolVersion }
        }
      ])
    }).pipe(Effect.provide(node()))
  )

  it.effect("works between two of us", () =>
    Effect.gen(function* () {
      const { alices, bobs } = yield* streams
      const [bobsHandshake, alicesHandshake] = [yield* handshakeOfItsOwn, yield* handshakeOfItsOwn]
      const [toBob, toAlice] = yield* Effect.all(
        [
          alicesHandshake.run(alices, outbound, nobody),
          bobsHandshake.run(bobs, { _tag: "InboundDirect", address: alice }, nobody)
        ],
        { concurrency: 2 }
      )
      assert.deepStrictEqual([toBob.isInbound, toAlice.isInbound], [false, true])
      assert.strictEqual(toBob.info.negotiatedVersion, ourProtocolVersion)
      assert.deepStrictEqual(toAlice.transientAddress, alice)
      const { addresses } = yield* toAlice.request({ _tag: "Peers" })
      assert.strictEqual(addresses.length, 2)
    }).pipe(Effect.provide(world))
  )

  it.effect("agrees on the lower version and widens the limit of messages (peer 78)", () =>
    Effect.gen(function* () {
      const all = yield* shake()
      yield* all.bob.says(bobsVersion({ version: 170_160 }), Message.Verack())
      const peer = yield* all.peer
      assert.strictEqual(peer.info.negotiatedVersion, 170_160)
      const locator = new Uint8Array(4 + 1 + 32)
      new DataView(locator.buffer).setUint32(0, 170_160, true)
      yield* all.bob.saysRaw("getblocks", locator)
      yield* all.bob.saysRaw("odd", new Uint8Array(Frame.maxHandshakeBodyBytes + 1))
      yield* all.bob.says(Message.Ping({ nonce: 3n }))
      const heard = yield* all.bob.heard
      assert.deepStrictEqual(heard.at(-1), Message.Pong({ nonce: 3n }))
    }).pipe(Effect.provide(node()))
  )

  it.effect.each([
    ["getblocks", { _tag: "FindBlocks", known: [], stop: undefined }],
    ["getheaders", { _tag: "FindHeaders", known: [], stop: undefined }]
  ] as ReadonlyArray<[string, Request]>)("states the lower version in %s (wire 2.7)", ([command, request]) =>
    Effect.gen(function* () {
      const all = yield* shake()
      yield* all.bob.says(bobsVersion({ version: 170_160 }), Message.Verack())
      const peer = yield* all.peer
      yield* all.bob.hears
      yield* all.bob.hears
      yield* start(peer.request(request))
      const frame = Buffer.from(yield* all.bob.stream.read)
      assert.strictEqual(frame.toString("latin1", 4, 4 + command.length), command)
      assert.strictEqual(frame.readUInt32LE(Frame.headerBytes), 170_160)
    }).pipe(Effect.provide(node()))
  )

  it.effect("says nothing long before that: not a byte of it (peer 78)", () =>
    Effect.gen(function* () {
      const { alices } = yield* streams
      const messages = new MessageStream(alices, regtest.magic, defaults, yield* Effect.context<never>())
      const addr = (count: number) =>
        Message.Addr({
          addresses: Array.from({ length: count }, () => ({ address: alice, services: 0n, lastSeenSeconds: 0 }))
        })
      // 30 bytes each, and one for how many there are.
      yield* messages.send(addr(34))
      const error = yield* Effect.flip(messages.send(addr(35)))
      assert(error._tag === "Serialization" && error.cause._tag === "BodyTooLong")
      assert.deepStrictEqual([error.cause.length, error.cause.limit], [1051, 1024])
      assert.strictEqual(alices.bytesWritten(), 24 + 1021)
      messages.agree(ourProtocolVersion)
      yield* messages.send(addr(35))
    }).pipe(Effect.provide(world))
  )

  it.effect("loses nothing that came with the verack", () =>
    Effect.gen(function* () {
      const all = yield* shake()
      yield* all.bob.says(bobsVersion(), Message.Verack(), Message.Ping({ nonce: 3n }))
      assert.strictEqual(yield* all.outcome, "agreed")
      assert.deepStrictEqual((yield* all.bob.heard).at(-1), Message.Pong({ nonce: 3n }))
    }).pipe(Effect.provide(node()))
  )

  it.effect("judges what came in the segment of the verack by the limit that holds after it (advisory W1)", () =>
    Effect.gen(function* () {
      const all = yield* shake()
      yield* all.bob.says(bobsVersion())
      const segment = [
        { command: "verack", body: new Uint8Array() },
        { command: "other", body: new Uint8Array(1025) },
        { command: "ping", body: Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0) }
      ]
      yield* all.bob.sayBytes(Buffer.concat(segment.map((frame) => Frame.encode(regtest.magic, frame))))
      assert.strictEqual(yield* all.outcome, "agreed")
      assert.deepStrictEqual((yield* all.bob.heard).at(-1), Message.Pong({ nonce: 3n }))
    }).pipe(Effect.provide(node()))
  )
})

const handshakeOfItsOwn = Effect.map(
  Layer.build(
    Layer.fresh(Handshake.layer).pipe(
      Layer.provide([
        ChainTip.layerNone,
        InboundRequests.layerNone,
        Own.OwnAddress.layerNone,
        Layer.succeed(ChainParams, regtest)
      ])
    )
  ),
  Context.get(Handshake)
)

describe("a peer", () => {
  it.effect("has a number that no other one has, and is counted by its versions when we accept it", () =>
    Effect.gen(function* () {
      const ids: Array<number> = []
      for (let n = 0; n < 3; n++) {
        const { bob, peer } = yield* shake(inbound)
        yield* bob.says(bobsVersion(), Message.Verack())
        ids.push((yield* peer).id)
      }
      assert.strictEqual(new Set(ids).size, 3)
      const counted = yield* seriesOf("zcash.net.peers.connected")
      assert.deepStrictEqual(Object.values(counted), [3])
    }).pipe(Effect.provide(node()), withMetrics)
  )

  it.effect("that does not read is one that does not shake hands in time, whichever limit is the shorter", () =>
    Effect.gen(function* () {
      const handshake = yield* Handshake
      const stuck: ByteStream = {
        remoteAddress: bobAddress,
        localAddress: alice,
        proxyAddress: undefined,
        read: Effect.never,
        write: () => Effect.never,
        bytesRead: () => 0,
        bytesWritten: () => 0
      }
      const run = yield* start(Scope.provide(handshake.run(stuck, inbound, nobody), yield* Effect.scope))
      yield* pass("999 millis")
      assert.strictEqual(run.result(), "pending")
      yield* pass("1 millis")
      const result = run.result()
      assert.strictEqual(result instanceof HandshakeError ? result.reason._tag : result, "HandshakeTimeout")
    }).pipe(
      Effect.scoped,
      Effect.provide(node()),
      Effect.provide(policyWith({ requestTimeout: Duration.seconds(1), handshakeTimeout: Duration.seconds(3) }))
    )
  )
})

describe("our version message", () => {
  it.effect("says who we are, where the peer is, and not quite what time it is", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime((nowSeconds + 299) * 1000)
      const { nonce, ...version } = yield* Effect.flatMap(shake(outbound, mainnet), hearVersion)
      assert.isTrue(nonce >= 0n)
      assert.deepStrictEqual(version, {
        _tag: "Version",
        version: 170_190,
        services: NODE_NETWORK,
        timestamp: BigInt(nowSeconds),
        addressReceiver: { address: bobAddress, services: NODE_NETWORK },
        addressFrom: { address: alice, services: NODE_NETWORK },
        userAgent: defaultUserAgent,
        startHeight: 3_000_000,
        relay: true
      })
    }).pipe(Effect.provide(node({ chain: mainnet, tip: tipOf(3_000_000), own: { listening: alice } })))
  )

  it.effect("says as little as can be on an isolated connection, whatever the node would say (peer 45)", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime((nowSeconds + 299) * 1000)
      const { nonce, ...version } = yield* Effect.flatMap(shake(isolated, mainnet), hearVersion)
      assert.isTrue(nonce >= 0n)
      const nowhere = PeerSocketAddress.fromStringUnsafe("0.0.0.0:8233")
      assert.deepStrictEqual(version, {
        _tag: "Version",
        version: 170_190,
        services: 0n,
        timestamp: BigInt(nowSeconds),
        addressReceiver: { address: nowhere, services: NODE_NETWORK },
        addressFrom: { address: nowhere, services: 0n },
        userAgent: "",
        startHeight: 0,
        relay: false
      })
    }).pipe(
      Effect.provide(node({ chain: mainnet, tip: tipOf(3_000_000), own: { listening: alice, external: mallory } })),
      Effect.provideService(LocalNode, { userAgent: "", services: NODE_NETWORK, relay: true })
    )
  )

  it.effect("states the external address, and height 0 without a tip", () =>
    Effect.gen(function* () {
      const version = yield* Effect.flatMap(shake(), hearVersion)
      assert.deepStrictEqual(version.addressFrom, { address: mallory, services: 0n })
      assert.strictEqual(version.services, 0n)
      assert.strictEqual(version.startHeight, 0)
      assert.strictEqual(version.relay, false)
      assert.strictEqual(version.userAgent, "/wallet:1.0/")
    }).pipe(
      Effect.provide(node({ own: { listening: alice, external: mallory } })),
      Effect.provideService(LocalNode, { userAgent: "/wallet:1.0/", services: 0n, relay: false })
    )
  )

  it.effect.each([
    [0xffff_ffff, 0x7fff_ffff],
    [0x8000_0000, 0x7fff_ffff],
    [0x7fff_ffff, 0x7fff_ffff],
    [-1, 0],
    [1.5, 1],
    [Number.NaN, 0]
  ] as ReadonlyArray<[number, number]>)(
    "of a program at height %d states %d, for a height is an int32 (ZIP 204)",
    ([height, expected]) =>
      Effect.gen(function* () {
        const { outcome, bob } = yield* shake(outbound, mainnet)
        const heard = yield* bob.hears
        assert(heard?._tag === "Version")
        assert.strictEqual(heard.startHeight, expected)
        yield* bob.says(bobsVersion({ version: 170_190 }))
        yield* bob.says(Message.Verack())
        assert.strictEqual(yield* outcome, "agreed")
      }).pipe(Effect.provide(node({ chain: mainnet, tip: tipOf(height) })))
  )

  it.effect("that cannot be written is the failure of that handshake", () =>
    Effect.gen(function* () {
      const { outcome } = yield* shake()
      assert.strictEqual(tagOf(yield* outcome), "Serialization")
    }).pipe(
      Effect.provide(node()),
      Effect.provideService(LocalNode, { userAgent: "/wallet:1.0/", services: 2n ** 64n, relay: false })
    )
  )

  it.effect("names no port while we do not listen, so that nobody dials it", () =>
    Effect.gen(function* () {
      const version = yield* Effect.flatMap(shake(), hearVersion)
      assert.strictEqual(PeerSocketAddress.format(version.addressFrom.address), "0.0.0.0:0")
    }).pipe(Effect.provide(node()))
  )

  it("carries the version of the package", () => {
    const manifest: { readonly version: string } = JSON.parse(
      readFileSync(new URL("../../package.json", import.meta.url), "utf8")
    )
    assert.strictEqual(defaultUserAgent, `/network-effect:${manifest.version}/`)
  })
})

describe("a peer that serves no blocks (advisory N10)", () => {
  const idle = bobsVersion({ services: 0n })

  it.effect.each([
    ["33, outbound_direct_rejects_non_serving_peer_while_syncing", outbound, "MissingRequiredServices"],
    ["34, outbound_proxy_rejects_non_serving_peer_while_syncing", proxied, "MissingRequiredServices"],
    ["35, inbound_direct_accepts_non_serving_peer", inbound, "agreed"],
    ["36, isolated_accepts_non_serving_peer", isolated, "agreed"]
  ] as ReadonlyArray<[string, ConnectedAddress, string]>)(
    "while we catch up, and is not recorded then (peer 39; peer %s)",
    ([, connected, expected]) =>
      Effect.gen(function* () {
        const { bob, outcome, reports } = yield* shake(connected, mainnet)
        yield* bob.says(idle, Message.Verack())
        const result = yield* outcome
        assert.strictEqual(tagOf(result), expected)
        if (typeof result !== "string") {
          assert(result._tag === "MissingRequiredServices")
          assert.strictEqual(result.services, 0n)
          // Its address keeps what is known of it (rejected_non_serving_peer_is_not_recorded_with_services).
          assert.deepStrictEqual(reports, [])
          // And it is told nothing: our version, no verack.
          assert.strictEqual((yield* bob.heard).length, 1)
        } else {
          assert(reports[0]?._tag === "Connected")
          assert.strictEqual(reports[0].info.remote.services, 0n)
        }
      }).pipe(Effect.provide(node({ chain: mainnet })))
  )

  it.effect.each([
    ["block of this moment (peer 37, outbound_direct_accepts_non_serving_peer_at_tip)", tipOf(3_000_000), "agreed"],
    ["block of 75,000 s ago (peer 101)", tipOf(3_000_000, 75_000), "agreed"],
    ["block of 75,001 s ago (peer 101)", tipOf(3_000_000, 75_001), "MissingRequiredServices"],
    ["block of the next hour (peer 101)", tipOf(3_000_000, -3600), "agreed"],
    ["no tip (peer 101)", Option.none<Tip>(), "MissingRequiredServices"]
  ] as ReadonlyArray<[string, Option.Option<Tip>, string]>)("with a tip: %s", ([, tip, expected]) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(nowSeconds * 1000)
      const { bob, outcome } = yield* shake(outbound, mainnet)
      yield* bob.says(idle, Message.Verack())
      assert.strictEqual(tagOf(yield* outcome), expected)
    }).pipe((test) => Effect.provide(test, node({ chain: mainnet, tip })))
  )

  it.effect("is not one that does (peer 38, outbound_direct_accepts_serving_peer)", () =>
    Effect.gen(function* () {
      const { bob, outcome } = yield* shake(outbound, mainnet)
      yield* bob.says(bobsVersion(), Message.Verack())
      assert.strictEqual(yield* outcome, "agreed")
    }).pipe(Effect.provide(node({ chain: mainnet })))
  )
})

describe("a peer of another time", () => {
  it.effect.each(
    chainNames.flatMap((name) =>
      [undefined, ...heightsOf(name).filter((height) => height <= 5_000_000)].map(
        (height) => [`${name} at ${height ?? "no height"}`, name, height] as const
      )
    )
  )("has to speak what the height of the chain demands (peer 40 and 41): %s", ([, name, height]) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(nowSeconds * 1000)
      const chain = chainOf(name)
      const oldest = oldestAt(name, height ?? 0)
      for (const [version, expected] of [
        [oldest, "agreed"],
        [oldest - 1, "ObsoleteVersion"],
        [0, "ObsoleteVersion"],
        [4_294_967_295, "agreed"]
      ] as const) {
        const { bob, outcome } = yield* shake(inbound, chain)
        yield* bob.says(bobsVersion({ version }), Message.Verack())
        const result = yield* outcome
        assert.strictEqual(tagOf(result), expected)
        if (typeof result !== "string") {
          assert(result._tag === "ObsoleteVersion")
          assert.deepStrictEqual([result.version, result.minimumVersion], [version, oldest])
        }
      }
    }).pipe((test) =>
      Effect.provide(test, node({ chain: chainOf(name), tip: height === undefined ? Option.none() : tipOf(height) }))
    )
  )

  it.effect("is judged by the tip of the moment its version comes", () =>
    Effect.gen(function* () {
      const tip = yield* SubscriptionRef.make(tipOf(3_364_600))
      const layer = Handshake.layer.pipe(
        Layer.provide([
          InboundRequests.layerNone,
          Own.OwnAddress.layerNone,
          Layer.succeed(ChainParams, mainnet),
          ChainTip.layerRef(tip)
        ])
      )
      yield* Effect.gen(function* () {
        const { bob, outcome } = yield* shake(inbound, mainnet)
        yield* SubscriptionRef.set(tip, tipOf(3_428_143))
        yield* bob.says(bobsVersion({ version: 170_150 }), Message.Verack())
        assert.strictEqual(tagOf(yield* outcome), "ObsoleteVersion")
      }).pipe(Effect.provide(layer))
    }).pipe(Effect.provide(world))
  )
})

describe("a peer that is ourselves", () => {
  it.effect("shows our nonce, while we shake hands and ever after (peer 69)", () =>
    Effect.gen(function* () {
      const first = yield* shake()
      const { nonce } = yield* hearVersion(first)
      yield* first.bob.says(bobsVersion({ nonce }))
      assert.strictEqual(tagOf(yield* first.outcome), "RemoteNonceReuse")

      const second = yield* shake()
      const later = (yield* hearVersion(second)).nonce
      yield* second.bob.says(bobsVersion(), Message.Verack())
      assert.strictEqual(yield* second.outcome, "agreed")
      for (const old of [nonce, later]) {
        const third = yield* shake()
        yield* third.bob.says(bobsVersion({ nonce: old }))
        assert.strictEqual(tagOf(yield* third.outcome), "RemoteNonceReuse")
      }
    }).pipe(Effect.provide(node()))
  )

  it.effect("is that before it is anything else (peer 68)", () =>
    Effect.gen(function* () {
      const all = yield* shake(outbound)
      const { nonce } = yield* hearVersion(all)
      yield* all.bob.says(bobsVersion({ nonce, version: 1, services: 0n }))
      assert.strictEqual(tagOf(yield* all.outcome), "RemoteNonceReuse")
      const other = yield* shake(outbound)
      yield* other.bob.says(bobsVersion({ version: 1, services: 0n }))
      assert.strictEqual(tagOf(yield* other.outcome), "ObsoleteVersion")
    }).pipe(Effect.provide(node()))
  )

  it.effect(
    "is recognised among as many nonces as there may be connections (peer 63, remnant_nonces_from_outbound_connections_are_limited)",
    () =>
      Effect.gen(function* () {
        const handshake = yield* Handshake
        for (let attempt = 1; attempt <= 47; attempt++) {
          const { closeBob, outcome } = yield* shake(outbound)
          yield* closeBob
          assert.strictEqual(tagOf(yield* outcome), "ConnectionClosed")
          assert.strictEqual(yield* handshake.nonceCount, Math.min(attempt, 24))
        }
      }).pipe(Effect.provide(node().pipe(Layer.provide(policyWith({ targetPeers: 3 })))))
  )

  it.effect("is forgotten by age alone: the oldest of our nonces goes first (peer 63)", () =>
    Effect.gen(function* () {
      const nonces: Array<bigint> = []
      const shakeAndLeave = Effect.gen(function* () {
        const all = yield* shake(outbound)
        nonces.push((yield* hearVersion(all)).nonce)
        yield* all.closeBob
        yield* settle
      })
      for (let attempt = 1; attempt <= 24; attempt++) yield* shakeAndLeave
      const shows = Effect.fnUntraced(function* (nonce: bigint) {
        const { bob, outcome } = yield* shake(outbound)
        yield* bob.says(bobsVersion({ nonce }), Message.Verack())
        return tagOf(yield* outcome)
      })
      // Each look is a handshake of its own, and pushes out the oldest that is left.
      assert.strictEqual(yield* shows(nonces[23]!), "RemoteNonceReuse")
      assert.strictEqual(yield* shows(nonces[2]!), "RemoteNonceReuse")
      assert.strictEqual(yield* shows(nonces[0]!), "agreed")
      assert.strictEqual(yield* shows(nonces[23]!), "RemoteNonceReuse")
    }).pipe(Effect.provide(node().pipe(Layer.provide(policyWith({ targetPeers: 3 })))))
  )

  it("has as many nonces as connections (peer 63)", () => {
    assert.strictEqual(totalLimit({ ...defaults, targetPeers: 3 }), 24)
  })

  it.effect("cannot be told from a nonce drawn twice, so that one says nothing", () =>
    Effect.gen(function* () {
      yield* shake()
      const { bob, outcome } = yield* shake()
      assert.strictEqual(tagOf(yield* outcome), "LocalDuplicateNonce")
      assert.deepStrictEqual(yield* bob.heard, [])
    }).pipe(
      Effect.provide(
        Handshake.layer.pipe(
          Layer.provide([
            ChainTip.layerNone,
            InboundRequests.layerNone,
            Own.OwnAddress.layerNone,
            Layer.succeed(ChainParams, regtest),
            Layer.succeed(
              SecureRandom.SecureRandom,
              SecureRandom.make((size) => new Uint8Array(size).fill(1))
            )
          ]),
          Layer.provideMerge(world)
        )
      )
    )
  )
})

describe("wrong messages (peer 68)", () => {
  const chatter = [
    Message.Ping({ nonce: 1n }),
    Message.GetAddr(),
    Message.Inv({ items: [{ _tag: "Block", hash: zeroBlockHash }] }),
    Message.Reject({ message: "version", code: 0x11, reason: "obsolete" }),
    Message.Mempool(),
    Message.Pong({ nonce: 1n })
  ]

  it.effect("that are well formed are dropped, before version and before verack", () =>
    Effect.gen(function* () {
      const { bob, outcome, reports } = yield* shake()
      yield* bob.says(...chatter)
      yield* bob.saysRaw("unheard", new Uint8Array(5))
      yield* bob.says(bobsVersion(), ...chatter, bobsVersion({ nonce: 8n }))
      assert.strictEqual(yield* outcome, "pending")
      yield* bob.saysRaw("sendaddrv2", new Uint8Array())
      yield* bob.says(Message.Verack())
      assert.strictEqual(yield* outcome, "agreed")
      // None was answered, then or now.
      assert.deepStrictEqual(
        (yield* bob.heard).map(({ _tag }) => _tag),
        ["Version", "Verack"]
      )
      // The first version counts.
      assert(reports[0]?._tag === "Connected")
      assert.strictEqual(reports[0].info.remote.nonce, 7n)
    }).pipe(Effect.provide(node()))
  )

  it.effect("do not count later: a verack before version is none", () =>
    Effect.gen(function* () {
      const { bob, outcome } = yield* shake()
      yield* bob.says(Message.Verack(), bobsVersion())
      yield* pass("3 seconds")
      assert.strictEqual(tagOf(yield* outcome), "HandshakeTimeout")
    }).pipe(Effect.provide(node()))
  )

  it.effect("that come without end do not extend the time", () =>
    Effect.gen(function* () {
      const { bob, outcome } = yield* shake()
      for (let i = 0; i < 29; i++) {
        yield* bob.says(...chatter)
        yield* pass("100 millis")
      }
      assert.strictEqual(yield* outcome, "pending")
      yield* pass("100 millis")
      assert.strictEqual(tagOf(yield* outcome), "HandshakeTimeout")
    }).pipe(Effect.provide(node()))
  )

  const valid = Frame.encode(regtest.magic, { command: "ping", body: new Uint8Array(8) })
  const changed = (from: number, to: number, value: number) => Uint8Array.from(valid).fill(value, from, to)
  const tooLong = Frame.encode(regtest.magic, { command: "inv", body: new Uint8Array(1025) })
  const longest = Frame.encode(regtest.magic, { command: "odd", body: new Uint8Array(1024) })

  it.effect.each([
    ["another magic", changed(0, 1, 0), "WrongMagic"],
    ["a wrong checksum", changed(20, 24, 0), "BadChecksum"],
    ["a body above 1024 bytes (peer 78)", tooLong, "BodyTooLong"],
    ["a header that announces all there is", changed(16, 20, 255), "BodyTooLong"],
    ["a body too short", Frame.encode(regtest.magic, { command: "ping", body: new Uint8Array(7) }), "WireEof"],
    [
      "a version without its end",
      Frame.encode(regtest.magic, { command: "version", body: new Uint8Array(40) }),
      "WireEof"
    ]
  ] as ReadonlyArray<[string, Uint8Array, string]>)("with %s end it, before version and after", ([, bytes, tag]) =>
    Effect.gen(function* () {
      for (const before of [[], [bobsVersion()]]) {
        const { bob, outcome, reports } = yield* shake()
        yield* bob.says(...before)
        yield* bob.sayBytes(bytes)
        const result = yield* outcome
        assert(typeof result !== "string" && result._tag === "Serialization")
        assert.strictEqual(result.cause._tag, tag)
        assert.deepStrictEqual(reports, [])
      }
    }).pipe(Effect.provide(node()))
  )

  it.effect("of 1024 bytes are read (peer 78)", () =>
    Effect.gen(function* () {
      const { bob, outcome } = yield* shake()
      yield* bob.sayBytes(longest)
      yield* bob.says(bobsVersion(), Message.Verack())
      assert.strictEqual(yield* outcome, "agreed")
    }).pipe(Effect.provide(node()))
  )
})

describe("a stream that ends during a handshake", () => {
  it.effect("between two messages was closed", () =>
    Effect.gen(function* () {
      const { bob, closeBob, outcome } = yield* shake()
      yield* bob.says(bobsVersion())
      yield* settle
      yield* closeBob
      assert.strictEqual(tagOf(yield* outcome), "ConnectionClosed")
    }).pipe(Effect.provide(node()))
  )

  it.effect("inside of a message is bad bytes", () =>
    Effect.gen(function* () {
      const { bob, closeBob, outcome } = yield* shake()
      yield* bob.sayBytes(Uint8Array.of(...regtest.magic, 1))
      yield* settle
      yield* closeBob
      const result = yield* outcome
      assert(typeof result !== "string" && result._tag === "Serialization" && result.cause._tag === "Truncated")
      assert.strictEqual(result.cause.bytesLeft, 5)
    }).pipe(Effect.provide(node()))
  )

  it.effect("by a reset is bad bytes too", () =>
    Effect.gen(function* () {
      const all = yield* shake()
      yield* (yield* SimNetwork).addRule(LinkRule.cutAfter(0, { from: [bobAddress] }))
      yield* Effect.ignore(all.bob.stream.write(new Uint8Array(10)))
      const result = yield* all.outcome
      assert(typeof result !== "string" && result._tag === "Serialization" && result.cause._tag === "StreamClosed")
      assert.strictEqual(result.cause.code, "ECONNRESET")
    }).pipe(Effect.scoped, Effect.provide(node()))
  )
})

describe("the time of a handshake", () => {
  it.effect("is 3 s in all", () =>
    Effect.gen(function* () {
      const { bob, closeAlice, outcome } = yield* shake()
      yield* pass("2 seconds")
      yield* bob.says(bobsVersion())
      yield* pass("999 millis")
      assert.strictEqual(yield* outcome, "pending")
      yield* pass("1 millis")
      assert.strictEqual(tagOf(yield* outcome), "HandshakeTimeout")
      // The stream is the scope's.
      yield* closeAlice
      assert.strictEqual((yield* bob.end).reason, "Eof")
    }).pipe(Effect.provide(node()))
  )

  it.effect("is over too for a peer that does not read", () =>
    Effect.gen(function* () {
      const { alices } = yield* streams
      yield* (yield* SimNetwork).addRule(LinkRule.blackHole({ from: [alice] }))
      const run = yield* start(Effect.scoped(Effect.flip((yield* Handshake).run(alices, inbound, nobody))))
      yield* pass("3 seconds")
      const error = run.result()
      assert(error instanceof HandshakeError)
      assert.strictEqual(error.reason._tag, "HandshakeTimeout")
    }).pipe(Effect.scoped, Effect.provide(node()))
  )

  const fibers = Effect.map(Metric.snapshot, (metrics) => {
    const active = metrics.find(({ id }) => id === "child_fibers_active")
    return active?.type === "Gauge" ? Number(active.state.value) : 0
  })

  it.effect("given up from outside leaves neither fiber nor socket nor report (peer 77)", () =>
    Effect.gen(function* () {
      const before = yield* fibers
      yield* Effect.scoped(
        Effect.gen(function* () {
          const { bob, closeAlice, reports, run } = yield* shake(outbound)
          yield* bob.says(bobsVersion())
          yield* settle
          yield* run.cancel
          yield* bob.says(Message.Verack())
          yield* pass("10 seconds")
          assert.deepStrictEqual(reports, [])
          const outcomes = (yield* Metric.snapshot).filter(
            ({ attributes }) => attributes?.["outcome"] !== undefined && attributes["outcome"] !== "success"
          )
          assert.isNotEmpty(outcomes)
          for (const { attributes } of outcomes) assert.strictEqual(attributes?.["outcome"], "canceled")
          yield* closeAlice
          assert.strictEqual((yield* bob.end).reason, "Eof")
        })
      )
      assert.strictEqual((yield* SimNetwork).openEnds(), 0)
      assert.strictEqual(yield* fibers, before)
    }).pipe(Metric.enableRuntimeMetrics, Effect.provide(node()))
  )
})

describe("a bug that peers can set off", () => {
  const broken = Layer.succeed(InboundRequests, { answer: () => Effect.die("a bug of the program") })
  const minute = policyWith({ statusLogInterval: Duration.minutes(1) })

  it.effect("is told once a minute, with how often it was left out, whatever happens to the wall clock", () => {
    const lines: Array<unknown> = []
    const logger = Logger.make(({ fiber, logLevel, message }) => {
      const { leftOut } = fiber.getRef(References.CurrentLogAnnotations)
      if (logLevel === "Error") lines.push([Array.isArray(message) ? message[0] : message, leftOut])
    })
    return Effect.gen(function* () {
      yield* TestClock.setTime(nowSeconds * 1000)
      const setOff = Effect.gen(function* () {
        const { bob, peer } = yield* shake()
        yield* bob.says(bobsVersion(), Message.Verack(), Message.GetAddr())
        assert.strictEqual(tagOf(yield* (yield* peer).awaitClosed), "ServiceShutdown")
      })
      for (let n = 0; n < 3; n++) yield* setOff
      yield* TestClock.setTime(0)
      yield* TestClock.adjust("59 seconds")
      yield* setOff
      yield* TestClock.adjust("1 second")
      yield* setOff
      const message = "the program that answers peers failed"
      assert.deepStrictEqual(lines, [
        [message, undefined],
        [message, 3]
      ])
    }).pipe(
      Effect.provide(node({ inbound: broken }).pipe(Layer.provide(minute))),
      Effect.provide(Logger.layer([logger]))
    )
  })
})
