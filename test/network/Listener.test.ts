/** Who is let in. The same over real TCP and over a simulated network; handshakes are scripted. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, Layer, Option, References, Scope } from "effect"
import { NetAddress } from "effect/net"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import { ChainParams, mainnet } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ConnectionSlots } from "../../src/network/ConnectionSlots.ts"
import { Evictions } from "../../src/network/Evictions.ts"
import { Listener } from "../../src/network/Listener.ts"
import { NetworkEvents } from "../../src/network/NetworkEvents.ts"
import { PeerAdmission } from "../../src/network/PeerAdmission.ts"
import { Handshake, HandshakeError, HandshakeTimeout } from "../../src/peer/Handshake.ts"
import { ClientDropped, type ConnectionHost, type Peer } from "../../src/peer/Peer.ts"
import { defaults, Policy } from "../../src/Policy.ts"
import { TrustedPeers } from "../../src/routing/TrustedPeers.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import { ListeningPort } from "../../src/transport/ListeningPort.ts"
import * as TcpTransport from "../../src/transport/TcpTransport.ts"
import { type ByteStream, InboundTransport, OutboundTransport, StreamClosed } from "../../src/transport/Transport.ts"
import { collectEvents } from "../support/dialWorld.ts"
import { fakePeer } from "../support/fakePeer.ts"
import { kinds, simulated } from "../support/kinds.ts"
import { silentStream } from "../support/silentStream.ts"
import { elapse, turnsOfOthers } from "../support/time.ts"

type Outcome = "fails" | "leaves" | "stays" | "hangs"

interface Options {
  readonly listen?: string
  readonly targetPeers?: number
  readonly perGroup?: number
  readonly trusted?: ReadonlyArray<string>
  readonly outcome: Outcome
  readonly banned?: string
  /** Runs in each handshake. */
  readonly onHandshake?: (stream: ByteStream) => Effect.Effect<void>
  /** Runs whenever a connection is looked at. */
  readonly onLook?: Effect.Effect<void>
  readonly policy?: Partial<Policy>
}

const unlimited = 1_000_000

/** A listener at work, and what it lets in. */
const listenerWorld = (
  from: (ip: string) => Layer.Layer<OutboundTransport | InboundTransport, never, SimNetwork>,
  options: Options
) => {
  const log = {
    handshakes: [] as Array<string>,
    handshakeTimes: [] as Array<number>,
    peers: [] as Array<Peer>,
    welcomed: 0
  }
  const policy: Policy = {
    ...defaults,
    targetPeers: options.targetPeers ?? 1,
    connectionsPerGroup: options.perGroup ?? 1,
    acceptInterval: Duration.millis(2),
    refuseInterval: Duration.millis(1),
    ...options.policy
  }
  const handshake = Layer.succeed(Handshake, {
    nonceCount: Effect.succeed(0),
    run: (stream) =>
      Effect.gen(function* () {
        log.handshakes.push(PeerSocketAddress.format(stream.remoteAddress))
        log.handshakeTimes.push(yield* Clock.currentTimeMillis)
        if (options.onHandshake !== undefined) yield* Effect.forkScoped(options.onHandshake(stream))
        if (options.outcome === "fails") return yield* new HandshakeError({ reason: new HandshakeTimeout() })
        if (options.outcome === "hangs") return yield* Effect.never
        const address = PeerSocketAddress.format(stream.remoteAddress)
        const peer = fakePeer({ id: log.handshakes.length, address, inbound: true })
        log.peers.push(peer)
        if (options.outcome === "leaves") yield* peer.close(new ClientDropped())
        return peer
      })
  })
  const admission = Layer.succeed(PeerAdmission, {
    hostFor: (): ConnectionHost => ({ report: () => Effect.void, mayAdvertise: () => Effect.succeed(true) }),
    admit: (_peer, slot) => Effect.map(slot.markOpen, () => void log.welcomed++)
  })
  const { banned, onLook = Effect.void } = options
  const bans = Layer.effect(
    BanList,
    Effect.gen(function* () {
      const bans = yield* BanList
      if (banned !== undefined) {
        yield* bans.add({ address: PeerSocketAddress.fromStringUnsafe(`${banned}:1`), reason: "test" })
      }
      return { ...bans, isBanned: (address) => Effect.andThen(onLook, bans.isBanned(address)) }
    })
  ).pipe(Layer.provide(BanList.layer))
  const listenAddress = PeerSocketAddress.fromStringUnsafe(options.listen ?? "127.0.0.91:0")
  const layer = Listener.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(handshake, admission, Evictions.layerNone, ConnectionSlots.layer, NetworkEvents.layer)
    ),
    Layer.provideMerge(AddressBook.layerReference.pipe(Layer.provideMerge(bans))),
    Layer.provideMerge(ListeningPort.layer(listenAddress)),
    Layer.provideMerge(BackgroundTasks.layer),
    Layer.provide(from("127.0.0.91")),
    Layer.provideMerge(Layer.succeed(ChainParams, mainnet)),
    Layer.provide(TrustedPeers.layer((options.trusted ?? []).map(NetAddress.ipFromStringUnsafe))),
    Layer.provideMerge(Layer.succeed(Policy, policy))
  )

  /** Opens so many streams from an IP, which stay until the test is over. */
  const connect = Effect.fnUntraced(function* (ip: string, count: number) {
    const address = Option.getOrThrow((yield* Listener).address)
    const target = NetAddress.isUnspecified(address.address)
      ? PeerSocketAddress.fromStringUnsafe(`127.0.0.91:${address.port}`)
      : address
    const transport = yield* Layer.build(from(ip))
    return yield* Effect.forEach(Array.from({ length: count }), () =>
      Effect.flatMap(OutboundTransport, (transport) => transport.dial(target)).pipe(Effect.provideContext(transport))
    )
  })

  const run = <A, E>(
    test: (
      world: typeof log & { readonly connect: typeof connect; readonly decided: (count: number) => Effect.Effect<void> }
    ) => Effect.Effect<
      A,
      E,
      Scope.Scope | Listener | BanList | ConnectionSlots | AddressBook | NetworkEvents | SimNetwork
    >
  ) =>
    Effect.gen(function* () {
      const events = yield* collectEvents
      const refused = () => events.filter(({ _tag }) => _tag === "InboundRefused").length
      /** Waits until so many connections were either let in or refused: no more can come of them. */
      const decided = (count: number) => until(() => log.handshakes.length + refused() >= count)
      yield* test(Object.assign(log, { connect, decided }))
      assert.isUndefined((yield* BackgroundTasks).endedUnsafe())
    }).pipe(
      Effect.scoped,
      Effect.provide(layer.pipe(Layer.provideMerge(SimNetwork.layer))),
      Effect.provideService(References.MinimumLogLevel, "None")
    )
  return run
}

/** Waits for something that has to happen, for as long as the test may take. */
const until = (holds: () => boolean) => Effect.repeat(Effect.sleep("10 millis"), { until: holds })

const localAddress = PeerSocketAddress.fromStringUnsafe("127.0.0.91:1")

/** Streams that come one after the other as soon as somebody listens. */
const arriving = (
  streams: ReadonlyArray<Effect.Effect<ByteStream, never, Scope.Scope>>
): Layer.Layer<OutboundTransport | InboundTransport> => {
  const left = [...streams]
  const accept = Effect.suspend(() => left.shift() ?? Effect.never)
  return Layer.mergeAll(
    Layer.mock(InboundTransport, { listen: () => Effect.succeed({ address: localAddress, accept }) }),
    Layer.mock(OutboundTransport, {})
  )
}

/** Hosts that knock one after the other as soon as somebody listens, or that much later. */
const knocking = (hosts: ReadonlyArray<string>, after: Duration.Input = 0) => {
  const streamFrom = (remote: string) => silentStream(PeerSocketAddress.fromStringUnsafe(remote), localAddress)
  return arriving(hosts.map((host, at) => Effect.as(Effect.sleep(after), streamFrom(`${host}:${hosts.length - at}`))))
}
const address = (text: string) => PeerSocketAddress.fromStringUnsafe(text)

for (const { from, name, test } of kinds) {
  const world = (options: Options) => listenerWorld(from, options)

  describe.concurrent(`the listener over ${name}`, () => {
    test("with no inbound slots shakes hands with nobody (network 23, listener_peer_limit_zero_handshake_panic)", () =>
      world({ targetPeers: 0, outcome: "stays" })((log) =>
        Effect.gen(function* () {
          yield* log.connect("127.0.0.92", 1)
          yield* log.decided(1)
          assert.isEmpty(log.handshakes)
        })
      ))

    for (const [targetPeers, number, title] of [
      [1, 24, "listener_peer_limit_one_handshake_error"],
      [25, 33, "listener_peer_limit_default_handshake_error"]
    ] as const) {
      test(`goes on when every handshake fails, with a target of ${targetPeers} (network ${number}, ${title})`, () =>
        world({ targetPeers, outcome: "fails" })((log) =>
          Effect.gen(function* () {
            yield* log.connect("127.0.0.92", 10 * targetPeers + 1)
            yield* log.decided(10 * targetPeers + 1)
            // One: the others of this IP come too soon.
            assert.deepStrictEqual([log.handshakes.length, log.welcomed], [1, 0])
            const slots = yield* ConnectionSlots
            yield* until(() => slots.used("inbound") === 0)
            assert.strictEqual(log.welcomed, 0)
          })
        ))
    }

    for (const [targetPeers, number, title] of [
      [1, 25, "listener_peer_limit_one_handshake_ok_then_drop"],
      [25, 34, "listener_peer_limit_default_handshake_ok_then_drop"]
    ] as const) {
      test(`lets others in when peers leave, with a target of ${targetPeers} (network ${number}, ${title})`, () =>
        world({ targetPeers, perGroup: unlimited, outcome: "leaves" })((log) =>
          Effect.gen(function* () {
            yield* log.connect("127.0.0.92", 10 * targetPeers + 1)
            const slots = yield* ConnectionSlots
            yield* until(() => log.welcomed > 5 * targetPeers)
            yield* until(() => slots.used("inbound") === 0)
            assert.isAbove(log.welcomed, 5 * targetPeers)
          })
        ))
    }

    for (const [targetPeers, number, title] of [
      [1, 26, "listener_peer_limit_one_handshake_ok_stay_open"],
      [25, 35, "listener_peer_limit_default_handshake_ok_stay_open"]
    ] as const) {
      test(`keeps its limits when peers stay, with a target of ${targetPeers} (network ${number}, ${title})`, () =>
        Effect.gen(function* () {
          yield* world({ targetPeers, outcome: "stays" })((log) =>
            Effect.gen(function* () {
              yield* log.connect("127.0.0.92", 2 * 5 * targetPeers + 1)
              yield* log.decided(2 * 5 * targetPeers + 1)
              yield* until(() => log.welcomed > 0)
              assert.deepStrictEqual([log.handshakes.length, log.welcomed], [1, 1])
            })
          )
          yield* world({ targetPeers, perGroup: unlimited, outcome: "stays" })((log) =>
            Effect.gen(function* () {
              yield* log.connect("127.0.0.92", 2 * 5 * targetPeers + 1)
              yield* log.decided(2 * 5 * targetPeers + 1)
              yield* until(() => log.welcomed >= 5 * targetPeers)
              assert.deepStrictEqual([log.handshakes.length, log.welcomed], [5 * targetPeers, 5 * targetPeers])
              assert.strictEqual((yield* ConnectionSlots).used("inbound"), 5 * targetPeers)
            })
          )
        }))
    }

    test("keeps a slot for a trusted peer (network 27, listener_reserves_one_zcashd_compat_inbound_slot; NB-9)", () =>
      world({ perGroup: unlimited, trusted: ["127.0.0.93"], outcome: "stays" })((log) =>
        Effect.gen(function* () {
          yield* log.connect("127.0.0.92", 5)
          yield* log.decided(5)
          yield* log.connect("127.0.0.93", 2)
          yield* log.decided(7)
          const from = (ip: string) => log.handshakes.filter((address) => address.startsWith(`${ip}:`)).length
          assert.deepStrictEqual([from("127.0.0.92"), from("127.0.0.93")], [4, 1])
        })
      ))

    test("keeps a slot for a trusted peer whose IPv4 address was written as IPv6 (advisory A1)", () =>
      world({ perGroup: unlimited, trusted: ["::ffff:127.0.0.93"], outcome: "stays" })((log) =>
        Effect.gen(function* () {
          yield* log.connect("127.0.0.93", 1)
          const slots = yield* ConnectionSlots
          yield* until(() => slots.used("trusted") > 0)
          assert.strictEqual(slots.used("trusted"), 1)
        })
      ))

    test("lets a trusted peer come back at once (network 28, listener_zcashd_compat_reconnect_bypasses_recent_ip_limit)", () =>
      world({ trusted: ["127.0.0.93"], outcome: "leaves" })((log) =>
        Effect.gen(function* () {
          yield* log.connect("127.0.0.93", 1)
          yield* until(() => log.welcomed === 1)
          yield* log.connect("127.0.0.93", 1)
          yield* log.decided(2)
          yield* until(() => log.welcomed > 1)
          assert.strictEqual(log.welcomed, 2)
        })
      ))

    test("refuses who is banned, trusted or not (network 29, listener_bans_zcashd_compat_peer_before_reserved_slot)", () =>
      world({ trusted: ["127.0.0.93"], banned: "127.0.0.93", outcome: "stays" })((log) =>
        Effect.gen(function* () {
          yield* log.connect("127.0.0.93", 1)
          yield* log.decided(1)
          assert.isEmpty(log.handshakes)
          assert.isTrue(yield* (yield* BanList).isBanned(address("127.0.0.93:99")))
        })
      ))

    test("does not count against an IP what was refused for want of a slot", () =>
      world({ perGroup: 1, outcome: "stays" })((log) =>
        Effect.gen(function* () {
          const slots = yield* ConnectionSlots
          for (const last of [101, 102, 103, 104, 105]) yield* log.connect(`127.0.0.${last}`, 1)
          yield* until(() => log.welcomed === 5)
          yield* log.connect("127.0.0.106", 1)
          yield* log.decided(6)
          assert.strictEqual(log.handshakes.length, 5)
          yield* log.peers[0]!.close(new ClientDropped())
          yield* until(() => slots.used("inbound") === 4)
          yield* log.connect("127.0.0.106", 1)
          yield* log.decided(7)
          assert.strictEqual(log.handshakes.length, 6)
        })
      ))

    test("counts a failed handshake against its IP", () =>
      world({ perGroup: 1, outcome: "fails" })((log) =>
        Effect.gen(function* () {
          yield* log.connect("127.0.0.92", 2)
          yield* log.decided(2)
          assert.strictEqual(log.handshakes.length, 1)
        })
      ))

    test("frees slots and closes streams when it is stopped", () =>
      world({ perGroup: unlimited, outcome: "stays" })((log) =>
        Effect.gen(function* () {
          const scope = yield* Scope.make()
          const [stream] = yield* log.connect("127.0.0.92", 1).pipe(Scope.provide(scope))
          const slots = yield* ConnectionSlots
          yield* until(() => log.welcomed === 1)
          assert.strictEqual(slots.used("inbound"), 1)
          yield* log.peers[0]!.close(new ClientDropped())
          yield* Effect.flip(Effect.forever(stream!.read))
          yield* until(() => slots.used("inbound") === 0)
          assert.strictEqual(log.peers.length, 1)
          yield* Scope.close(scope, Exit.void)
        })
      ))
  })
}

describe("the listener in a simulated network", () => {
  it.effect("lets an IP in again when its time is over, and not before", () =>
    listenerWorld(simulated.from, {
      perGroup: 1,
      outcome: "leaves",
      policy: { reconnectDelay: Duration.seconds(119) }
    })((log) =>
      Effect.gen(function* () {
        const knock = Effect.forkScoped(log.connect("127.0.0.92", 1))
        yield* knock
        yield* elapse("118 seconds", "1 second")
        yield* knock
        yield* elapse("500 millis")
        assert.deepStrictEqual([log.handshakes.length, log.welcomed], [1, 1])
        yield* elapse("1 second")
        yield* knock
        yield* elapse("500 millis")
        assert.strictEqual(log.welcomed, 2)
      })
    )
  )

  it.effect("shakes hands once with an IP that knocks a thousand times, and keeps nothing of the others", () =>
    listenerWorld(simulated.from, { outcome: "stays" })((log) =>
      Effect.gen(function* () {
        const events = yield* collectEvents
        const network = yield* SimNetwork
        const knocking = yield* Effect.forkChild(log.connect("127.0.0.92", 1000), { startImmediately: true })
        yield* elapse("3 seconds")
        const streams = yield* Fiber.join(knocking)
        assert.strictEqual(log.handshakes.length, 1)
        const refused = events.filter((event) => event._tag === "InboundRefused")
        assert.deepStrictEqual(
          [refused.length, new Set(refused.map(({ reason }) => reason))],
          [999, new Set(["crowded", "too-soon"])]
        )
        assert.strictEqual((yield* ConnectionSlots).used("inbound"), 1)
        // Others are still let in.
        yield* Effect.forkScoped(log.connect("127.0.0.93", 1))
        yield* elapse("100 millis")
        assert.strictEqual(log.welcomed, 2)
        // Theirs, which nobody closed, and ours of the two that were let in.
        assert.strictEqual(network.openEnds(), streams.length + 1 + 2)
      })
    )
  )
})

const skipsIpv6 = process.env["SKIP_IPV6_TESTS"] !== undefined
if (skipsIpv6) console.log("IPv6 tests are skipped: SKIP_IPV6_TESTS is set")

describe.skipIf(skipsIpv6)("the listener on a dual-stack socket", () => {
  const world = (options: Options) => listenerWorld(() => TcpTransport.layer, { ...options, listen: "[::]:0" })

  it.live("knows an IPv4 peer by its IPv4 address (network 30, listener_canonicalizes_ipv4_mapped_inbound_addrs)", () =>
    world({ perGroup: unlimited, outcome: "stays" })((log) =>
      Effect.gen(function* () {
        yield* log.connect("", 1)
        yield* log.decided(1)
        assert.strictEqual(log.handshakes.length, 1)
        assert.match(log.handshakes[0]!, /^127\.0\.0\.\d+:\d+$/)
      })
    )
  )

  it.live("refuses a banned IPv4 peer (network 31, listener_bans_ipv4_mapped_inbound_connection)", () =>
    world({ banned: "127.0.0.1", outcome: "stays" })((log) =>
      Effect.gen(function* () {
        yield* log.connect("", 1)
        yield* log.decided(1)
        assert.isEmpty(log.handshakes)
      })
    )
  )
})

describe("the pace of the listener", () => {
  const hosts = (count: number) => Array.from({ length: count }, (_, i) => `127.0.1.${i}`)
  const atOnce = { acceptInterval: Duration.zero, refuseInterval: Duration.zero }

  it.effect("is a second after whom it let in, and 10 ms after whom it refused", () => {
    const { acceptInterval, refuseInterval } = defaults
    const knocks = ["127.0.1.1", "127.0.1.1", "127.0.1.1", "127.0.1.1", "127.0.1.2"]
    return listenerWorld(() => knocking(knocks), {
      outcome: "stays",
      policy: { acceptInterval, refuseInterval }
    })((log) =>
      Effect.gen(function* () {
        const events = yield* collectEvents
        yield* elapse("3 seconds", "10 millis")
        // The second host comes after one more turn of the first one, not after all of them.
        assert.deepStrictEqual(log.handshakeTimes, [0, 1010])
        assert.deepStrictEqual(
          events.flatMap((event) => (event._tag === "InboundRefused" ? [event.at] : [])),
          [1000, 2010, 2020]
        )
      })
    )
  })

  it.effect("its end closes all its peers at once, each of which may take a second to flush", () => {
    let closed = 0
    // A peer whose stream has something left to write, as one that does not read has.
    const stalled = (host: string) =>
      Effect.gen(function* () {
        yield* Effect.addFinalizer(() => Effect.map(Effect.sleep("1 second"), () => void closed++))
        return silentStream(address(`${host}:1000`), localAddress)
      })
    const world = listenerWorld(() => arriving(hosts(5).map(stalled)), { outcome: "stays", targetPeers: 25 })
    return Effect.gen(function* () {
      const running = yield* Effect.forkChild(
        world((log) => Effect.map(Effect.sleep("1 second"), () => assert.strictEqual(log.welcomed, 5)))
      )
      yield* elapse("2500 millis", "10 millis")
      assert.strictEqual(closed, 5)
      yield* Fiber.join(running)
    })
  })

  it.effect("lets a newcomer of another network in after one more turn of a crowd, however large", () => {
    // Two thousand /64s of one /48, and one host from elsewhere after them.
    const crowd = Array.from({ length: 2000 }, (_, i) => `[2001:db8:0:${i.toString(16)}::1]`)
    const { acceptInterval, refuseInterval } = defaults
    return listenerWorld(() => knocking([...crowd, "198.51.100.7"]), {
      outcome: "stays",
      targetPeers: 25,
      policy: { acceptInterval, refuseInterval }
    })((log) =>
      Effect.gen(function* () {
        yield* elapse("2 seconds", "10 millis")
        assert.strictEqual(log.handshakes.length, 3)
        assert.match(log.handshakes[2] ?? "", /^198\.51\.100\.7:/)
      })
    )
  })

  it.effect.each([
    { who: "hosts of one network", perGroup: 1, waiting: 64, hostOf: (n: number) => `198.51.${n >> 8}.${n & 0xff}` },
    { who: "connections of one host", perGroup: 1, waiting: 4, hostOf: () => "198.51.100.7" },
    { who: "connections of one host", perGroup: 2, waiting: 8, hostOf: () => "198.51.100.7" }
  ])(
    "has $waiting places for $who to wait for a turn, where one may have $perGroup",
    ({ hostOf, perGroup, waiting }) => {
      // The first one has its turn at once, and the next turn is an hour away.
      const knocks = ["203.0.113.1", ...Array.from({ length: 70 }, (_, n) => hostOf(n))]
      return listenerWorld(() => knocking(knocks), {
        outcome: "stays",
        perGroup,
        targetPeers: 25,
        policy: { acceptInterval: Duration.hours(1) }
      })((log) =>
        Effect.gen(function* () {
          const events = yield* collectEvents
          yield* elapse("1 second", "100 millis")
          assert.lengthOf(log.handshakes, 1)
          const reasons = events.flatMap((event) => (event._tag === "InboundRefused" ? [event.reason] : []))
          assert.deepStrictEqual(
            reasons,
            Array.from({ length: 70 - waiting }, () => "crowded")
          )
        })
      )
    }
  )

  it.effect(
    "frees the streams of those who leave before their turn, whatever they said, and hears the others from the beginning",
    () =>
      Effect.gen(function* () {
        const streams: Array<{ readonly from: string; isOpen: boolean }> = []
        /** Each knocks and waits; those of 127.0.2 leave a moment later, those of 127.0.3 say something, those of 127.0.5 do both, and 127.0.4.1 stays and never stops. */
        const guests = [
          ...hosts(3),
          ...hosts(3).map((ip) => ip.replace(".1.", ".2.")),
          "127.0.3.1",
          "127.0.3.2",
          "127.0.5.1",
          "127.0.5.2",
          "127.0.4.1"
        ]
        const heard: Array<string> = []
        const stream = (ip: string) =>
          Effect.gen(function* () {
            const own = { from: ip, isOpen: true }
            streams.push(own)
            yield* Effect.addFinalizer(() => Effect.sync(() => void (own.isOpen = false)))
            const isTalker = ip.startsWith("127.0.4")
            // What is let go is not read any more: it could say a megabyte.
            let said = isTalker ? 1000 : /^127\.0\.[35]/.test(ip) ? 1 : 0
            const leaves = /^127\.0\.[25]/.test(ip) ? Effect.sleep("50 millis") : Effect.never
            const address = PeerSocketAddress.fromStringUnsafe(`${ip}:1000`)
            return {
              remoteAddress: address,
              localAddress: address,
              proxyAddress: undefined,
              read: Effect.suspend((): Effect.Effect<Uint8Array, StreamClosed> =>
                said-- > 0
                  ? Effect.succeed(Buffer.from(isTalker ? ip.padEnd(1000) : ip))
                  : Effect.andThen(leaves, Effect.fail(new StreamClosed({ reason: "Eof", code: "" })))
              ),
              write: () => Effect.void,
              bytesRead: () => 0,
              bytesWritten: () => 0
            } satisfies ByteStream
          })
        const open = () => streams.flatMap(({ from, isOpen }) => (isOpen ? [from] : []))
        yield* listenerWorld(() => arriving(guests.map(stream)), {
          outcome: "stays",
          targetPeers: 25,
          policy: { acceptInterval: Duration.seconds(1) },
          onHandshake: (stream) => Effect.ignore(Effect.map(stream.read, (chunk) => void heard.push(chunk.toString())))
        })(() =>
          Effect.gen(function* () {
            yield* elapse("100 millis", "10 millis")
            assert.sameMembers(open(), [...hosts(3), "127.0.3.1", "127.0.3.2"])
            yield* elapse("6 seconds", "100 millis")
            assert.sameMembers(heard, ["127.0.3.1", "127.0.3.2"])
          })
        )
      })
  )

  it.effect("gives everybody else a turn after each connection, let in, refused or banned", () =>
    Effect.gen(function* () {
      const turns = yield* turnsOfOthers
      const seen: Array<number> = []
      // The first look takes a moment, in which all the others come: from then on it waits for nobody.
      const onLook = Effect.suspend(() => (seen.push(turns()) === 1 ? Effect.sleep("1 millis") : Effect.void))
      yield* listenerWorld(() => knocking([...hosts(10), "127.0.0.99", "127.0.0.99", "127.0.0.99"]), {
        outcome: "stays",
        banned: "127.0.0.99",
        onLook,
        policy: atOnce
      })((log) =>
        Effect.gen(function* () {
          yield* elapse("10 millis")
          assert.strictEqual(log.welcomed, 5)
          assert.strictEqual(seen.length, 13)
          for (let i = 1; i < seen.length; i++) assert.isAbove(seen[i]!, seen[i - 1]!)
        })
      )
    }).pipe(Effect.scoped)
  )

  it.effect("does not depend on handshakes, which take their places when they begin", () =>
    listenerWorld(() => knocking(hosts(8)), { outcome: "hangs", policy: atOnce })((log) =>
      Effect.gen(function* () {
        yield* elapse("10 millis")
        assert.strictEqual(log.handshakes.length, 5)
        assert.strictEqual((yield* ConnectionSlots).used("inbound"), 5)
      })
    )
  )

  it.effect("has no end when nobody comes for hours", () =>
    listenerWorld(() => knocking(hosts(1), "5 hours"), { outcome: "stays" })((log) =>
      Effect.gen(function* () {
        yield* elapse("6 hours", "1 hour")
        assert.strictEqual(log.welcomed, 1)
      })
    )
  )

  it.effect("leaves one place to the public, however many are trusted", () => {
    const trusted = hosts(6)
    return listenerWorld(() => knocking([...trusted.slice(0, 4), "127.0.2.1", "127.0.2.2"]), {
      outcome: "stays",
      trusted,
      policy: atOnce
    })((log) =>
      Effect.gen(function* () {
        yield* elapse("10 millis")
        const from = log.handshakes.map((address) => address.split(":")[0])
        assert.deepStrictEqual(from, [...trusted.slice(0, 4), "127.0.2.1"])
      })
    )
  })
})
