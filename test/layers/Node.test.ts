/** A whole node, over TCP and in a simulated network: how it starts, whom it refuses, and how it ends. */
import { NodeDns, NodeFileSystem, NodePath } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import {
  Clock,
  Context,
  Duration,
  Effect,
  Exit,
  Fiber,
  FileSystem,
  Layer,
  Logger,
  Metric,
  Option,
  References,
  Schedule,
  Scope
} from "effect"
import { SecureRandom } from "effect/crypto"
import {
  AddressBook,
  BanList,
  ChainParams,
  type ChainParamsShape,
  defaults,
  Handshake,
  InboundTransport,
  InvalidSetting,
  IsolatedPeer,
  mainnet,
  Network,
  NODE_NETWORK,
  OutboundTransport,
  PeerSet,
  PeerSocketAddress,
  Policy,
  regtest,
  TcpTransport,
  testnet
} from "network-effect"
import { Node, Simulated } from "network-effect/layers"
import { SimNetwork } from "network-effect/simulation"
import { kinds } from "../support/kinds.ts"
import { freeAddress } from "../support/process.ts"

const address = PeerSocketAddress.fromStringUnsafe

const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

const withPolicy = (overrides: Partial<Policy>) => Layer.succeed(Policy, { ...defaults, ...overrides })

const until = <E, R>(holds: Effect.Effect<boolean, E, R>) =>
  holds.pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (held) => held }),
    Effect.timeout("100 seconds")
  )

const isListening = (at: PeerSocketAddress.PeerSocketAddress) =>
  Effect.flatMap(InboundTransport, (transport) => transport.listen(at)).pipe(
    Effect.scoped,
    Effect.isFailure,
    Effect.provide(TcpTransport.layer)
  )

const skipsIpv6 = process.env["SKIP_IPV6_TESTS"] !== undefined
if (skipsIpv6) console.log("IPv6 tests are skipped: SKIP_IPV6_TESTS is set")

const listenAddressOf = (chain: ChainParamsShape, listenAddress: PeerSocketAddress.PeerSocketAddress) =>
  Layer.build(Node.layer({ chain, listenAddress, peers: [] })).pipe(
    Effect.map((node) => Option.getOrThrow(Context.get(node, Network).listenAddress)),
    Effect.scoped
  )

describe("a node listens where it was told to, with the port it really has", () => {
  for (const [number, listen, name] of [
    [1, "0.0.0.0:0", "local_listener_unspecified_port_unspecified_addr_v4; NB-12"],
    [2, "[::]:0", "local_listener_unspecified_port_unspecified_addr_v6; NB-12"],
    [3, "127.0.0.1:0", "local_listener_unspecified_port_localhost_addr_v4; NB-12"],
    [4, "[::1]:0", "local_listener_unspecified_port_localhost_addr_v6; NB-12"]
  ] as const) {
    it.live.skipIf(skipsIpv6 && listen.startsWith("["))(`${listen} (network ${number}, ${name})`, () =>
      Effect.gen(function* () {
        for (const chain of [mainnet, testnet]) {
          const bound = yield* listenAddressOf(chain, address(listen))
          assert.deepStrictEqual(bound.address, address(listen).address)
          assert.isAbove(bound.port, 0)
        }
      }).pipe(quietly)
    )
  }

  for (const [number, ip, name] of [
    [5, "127.0.0.1:0", "local_listener_fixed_port_localhost_addr_v4; NB-12"],
    [6, "[::1]:0", "local_listener_fixed_port_localhost_addr_v6; NB-12"]
  ] as const) {
    it.live.skipIf(skipsIpv6 && ip.startsWith("["))(`${ip.slice(0, -1)}N (network ${number}, ${name})`, () =>
      Effect.gen(function* () {
        for (const chain of [mainnet, testnet]) {
          const free = yield* freeAddress(ip.slice(0, -2))
          assert.strictEqual(
            PeerSocketAddress.format(yield* listenAddressOf(chain, free)),
            PeerSocketAddress.format(free)
          )
        }
      }).pipe(quietly)
    )
  }
})

describe("a node that listens on the port of another network", () => {
  // Simulated: such a port may be taken here.
  it.effect("starts all the same, and says that nobody will dial it (PR-7)", () =>
    Effect.gen(function* () {
      const warnings: Array<unknown> = []
      const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
        if (logLevel === "Warn") warnings.push(message)
      })
      const start = (listen: string) =>
        Layer.build(
          Simulated.layer({ chain: mainnet, listenAddress: address(listen), host: address(listen), seed: 1 })
        ).pipe(
          Effect.map((node) => Option.getOrThrow(Context.get(node, Network).listenAddress)),
          Effect.scoped,
          Effect.provide(SimNetwork.layer),
          Effect.provide(Logger.layer([logger]))
        )
      assert.strictEqual(PeerSocketAddress.format(yield* start("127.0.0.77:18233")), "127.0.0.77:18233")
      assert.deepStrictEqual(warnings, [["other nodes will not dial this port"]])
      yield* start("127.0.0.77:8233")
      assert.strictEqual(warnings.length, 1)
    })
  )
})

describe("a node that can't start", () => {
  for (const [number, chain, name] of [
    [7, mainnet, "peer_limit_zero_mainnet"],
    [8, testnet, "peer_limit_zero_testnet"]
  ] as const) {
    it.live(`says which setting is wrong, before it listens: ${chain.name} (network ${number}, ${name})`, () =>
      Effect.gen(function* () {
        const free = yield* freeAddress("127.0.0.1")
        const error = yield* Effect.flip(
          Effect.scoped(Layer.build(Node.layer({ chain, listenAddress: free }))).pipe(
            Effect.provide(withPolicy({ targetPeers: 0 }))
          )
        )
        assert.deepStrictEqual(
          error,
          new InvalidSetting({ setting: "peerset_initial_target_size", value: 0, expected: "at least 1" })
        )
        assert.isFalse(yield* isListening(free))
      }).pipe(quietly)
    )
  }

  it.live("says that its port is taken", () =>
    Effect.gen(function* () {
      const free = yield* freeAddress("127.0.0.1")
      yield* Layer.build(Node.layer({ chain: regtest, listenAddress: free, peers: [] }))
      const error = yield* Effect.flip(
        Layer.build(Node.layer({ chain: regtest, listenAddress: free, peers: [] })).pipe(Effect.scoped)
      )
      assert.deepInclude(error, { _tag: "ListenError", address: PeerSocketAddress.format(free), code: "EADDRINUSE" })
    }).pipe(Effect.scoped, quietly)
  )
})

describe("a node that starts", () => {
  it.live("does not choke on many more first peers than it dials (network 39, add_initial_peers_deadlock; NB-5)", () =>
    Effect.gen(function* () {
      // Nobody listens there: each is refused at once.
      const peers = Array.from({ length: 200 }, (_, i) => address(`127.1.1.${i}:1`))
      const node = yield* Layer.build(Node.layer({ chain: mainnet, listenAddress: address("0.0.0.0:0"), peers }))
      yield* Context.get(node, Network).awaitStarted.pipe(Effect.timeout("100 seconds"))
      assert.strictEqual((yield* Context.get(node, AddressBook).entries).length, 200)
    }).pipe(Effect.scoped, Effect.provide(withPolicy({ targetPeers: 2 })), quietly)
  )
})

for (const { from, name, test } of kinds) {
  const transportFrom = (ip: string) =>
    Effect.map(Layer.build(from(ip)), (built) => ({
      ...Context.get(built, OutboundTransport),
      ...Context.get(built, InboundTransport)
    }))

  /** A node at an IP, which it dials from; it listens there on a free port unless told not to. */
  const nodeAt = (ip: string, options: Partial<Node.NodeOptions> = {}) =>
    Layer.build(
      Node.services({ chain: regtest, listenAddress: address(`${ip}:0`), peers: [], ...options }).pipe(
        Layer.provide(from(ip)),
        Layer.provide([SecureRandom.layerWebCrypto, NodeDns.layer, NodeFileSystem.layer, NodePath.layer])
      )
    )

  /** A peer that tells nothing about itself, from an IP of its own. */
  const stranger = (ip: string, to: PeerSocketAddress.PeerSocketAddress) =>
    IsolatedPeer.connect(to, { userAgent: "/test/" }).pipe(
      Effect.provide([from(ip), Layer.succeed(ChainParams, regtest), SecureRandom.layerWebCrypto])
    )

  const nobody = { ready: 0, busy: 0, inbound: 0, outbound: 0 }

  describe(`a node that runs over ${name}`, () => {
    test("lets go of a peer that misbehaved, and bans it (network 32, banned_connected_inbound_peer_is_dropped; advisory N5)", () =>
      Effect.gen(function* () {
        const node = yield* nodeAt("127.0.0.71")
        const network = Context.get(node, Network)
        const bound = Option.getOrThrow(network.listenAddress)
        const other = yield* nodeAt("127.0.0.72", { listenAddress: undefined, peers: [bound] })
        const others = Context.get(other, PeerSet).counts
        yield* network.awaitReady({ peers: 1 })
        yield* network.request({ _tag: "Peers" }).pipe(Effect.timeout("100 seconds"))
        // Two reports of one host, neither enough alone.
        yield* network.reportMisbehavior({ address: address("127.0.0.72:1"), score: 50, reason: "an invalid block" })
        yield* network.reportMisbehavior({ address: address("127.0.0.72:2"), score: 50, reason: "another" })
        yield* until(Effect.map(others, ({ outbound }) => outbound === 0))
        assert.isTrue(yield* Context.get(node, BanList).isBanned(address("127.0.0.72:9")))
        assert.deepStrictEqual(yield* Context.get(node, PeerSet).counts, nobody)
        assert.isTrue(Option.isNone(yield* network.request({ _tag: "Peers" }).pipe(Effect.timeoutOption("300 millis"))))
        // And does not come back.
        assert.isTrue(Exit.isFailure(yield* Effect.exit(stranger("127.0.0.72", bound))))
      }).pipe(
        Effect.scoped,
        Effect.provide(SimNetwork.layer),
        Effect.provide(withPolicy({ misbehaviorInterval: Duration.millis(100), acceptInterval: Duration.millis(5) })),
        quietly
      ))

    test("keeps over a restart the ban for what was reported right before it", () =>
      Effect.gen(function* () {
        const cacheDirectory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
        const mallory = address("127.0.0.78:1")
        yield* nodeAt("127.0.0.77", { cacheDirectory }).pipe(
          Effect.flatMap((node) =>
            Context.get(node, Network).reportMisbehavior({ address: mallory, score: 100, reason: "an invalid block" })
          ),
          Effect.scoped
        )
        const node = yield* nodeAt("127.0.0.77", { cacheDirectory })
        assert.isTrue(yield* Context.get(node, BanList).isBanned(mallory))
      }).pipe(Effect.scoped, Effect.provide([SimNetwork.layer, NodeFileSystem.layer]), quietly))

    test("does not stay connected to itself (network 37, peer 62, self_connections_should_fail; advisory A6)", () =>
      Effect.gen(function* () {
        const node = yield* nodeAt("127.0.0.73")
        const own = Option.getOrThrow(Context.get(node, Network).listenAddress)
        const book = Context.get(node, AddressBook)
        const hear = Effect.flatMap(Clock.currentTimeMillis, (now) =>
          book.addGossiped([{ address: own, services: NODE_NETWORK, lastSeenSeconds: Math.floor(now / 1000) }])
        )
        assert.strictEqual(yield* hear, 1)
        // Once tried, it is forgotten for good: nobody can make us dial it again.
        yield* until(Effect.map(book.get(own), Option.isNone))
        assert.strictEqual(yield* hear, 0)
        assert.deepStrictEqual(yield* Context.get(node, PeerSet).counts, nobody)
        // It recognised itself, and was asked nothing.
        const counted = (yield* Metric.snapshot).filter(({ type }) => type === "Counter")
        assert.isTrue(counted.some(({ attributes }) => attributes?.["outcome"] === "self_connection"))
        assert.deepStrictEqual(
          counted.filter(({ id }) => id === "zebra.net.in.requests"),
          []
        )
      }).pipe(
        Effect.provideService(Metric.MetricRegistry, new Map()),
        Effect.scoped,
        Effect.provide(SimNetwork.layer),
        Effect.provide(
          withPolicy({ targetPeers: 3, crawlInterval: Duration.millis(200), acceptInterval: Duration.millis(5) })
        ),
        quietly
      ))

    test("remembers no more nonces than it may have connections (network 38, remnant_nonces_…_are_limited)", () =>
      Effect.gen(function* () {
        const handshake = Context.get(yield* nodeAt("127.0.0.70", { listenAddress: undefined }), Handshake)
        const transport = yield* transportFrom("127.0.0.74")
        const listener = yield* transport.listen(address("127.0.0.74:0"))
        const host = { report: () => Effect.void, mayAdvertise: () => Effect.succeed(true) }
        for (let attempt = 1; attempt <= 47; attempt++) {
          yield* Effect.gen(function* () {
            const stream = yield* transport.dial(listener.address)
            const accepted = yield* Effect.forkScoped(Effect.scoped(listener.accept))
            const connected = { _tag: "OutboundDirect", address: listener.address } as const
            const outcome = yield* Effect.exit(handshake.run(stream, connected, host))
            yield* Fiber.join(accepted)
            assert.isTrue(Exit.isFailure(outcome))
          }).pipe(Effect.scoped)
          assert.strictEqual(yield* handshake.nonceCount, Math.min(24, attempt))
        }
      }).pipe(Effect.scoped, Effect.provide(SimNetwork.layer), Effect.provide(withPolicy({ targetPeers: 3 })), quietly))

    test("frees everything when its layer goes (network 142, dropping_network_handles_stops_owned_tasks)", () =>
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const network = Context.get(yield* nodeAt("127.0.0.75").pipe(Scope.provide(scope)), Network)
        const bound = Option.getOrThrow(network.listenAddress)
        const peer = yield* stranger("127.0.0.76", bound)
        yield* network.awaitReady({ peers: 1 })
        assert.strictEqual((yield* peer.request({ _tag: "Peers" }))._tag, "Peers")
        const waiting = yield* Effect.forkScoped(network.awaitEnd, { startImmediately: true })
        yield* Scope.close(scope, Exit.void)
        // The port is free: somebody else can have it.
        yield* Effect.scoped((yield* transportFrom("127.0.0.75")).listen(bound))
        yield* peer.awaitClosed.pipe(Effect.timeout("100 seconds"))
        assert.strictEqual((yield* Effect.flip(Fiber.join(waiting)))._tag, "NetworkClosed")
        assert.strictEqual((yield* Effect.flip(network.request({ _tag: "Peers" }))).reason._tag, "NetworkClosed")
      }).pipe(Effect.scoped, Effect.provide(SimNetwork.layer), quietly))
  })
}
