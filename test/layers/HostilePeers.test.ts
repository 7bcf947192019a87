/** A whole node on real sockets, and what strangers do to it. Nobody else may notice, and nothing may be left. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Exit, Layer, Metric, Option, References, Schedule, Scope, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { NetAddress } from "effect/net"
import {
  type ByteStream,
  ChainParams,
  ConnectionSlots,
  defaults,
  Frame,
  IsolatedPeer,
  Network,
  type NetworkEvent,
  NetworkEvents,
  OutboundTransport,
  PeerSet,
  PeerSocketAddress,
  Policy,
  regtest,
  TcpTransport
} from "network-effect"
import { Node } from "network-effect/layers"

const host = PeerSocketAddress.fromStringUnsafe("127.0.0.61:0")
const policy: Policy = { ...defaults, acceptInterval: Duration.millis(5), refuseInterval: Duration.millis(1) }

const quiet = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

/** A node, and one honest peer of it that has to stay. */
const nodeWithPeer = Effect.gen(function* () {
  const node = yield* Layer.build(
    Node.layer({ chain: regtest, listenAddress: host, dialFrom: host.address, peers: [] })
  )
  const address = Option.getOrThrow(Context.get(node, Network).listenAddress)
  const events: Array<NetworkEvent> = []
  yield* Context.get(node, NetworkEvents).stream.pipe(
    Stream.runForEach((event) => Effect.sync(() => events.push(event))),
    Effect.forkScoped({ startImmediately: true })
  )
  const honest = yield* IsolatedPeer.connect(address, { userAgent: "/honest/" }).pipe(
    Effect.provide(TcpTransport.layerFrom(NetAddress.ipFromStringUnsafe("127.0.0.62")))
  )
  const slots = Context.get(node, ConnectionSlots)
  yield* until(() => slots.used("inbound") === 1 && events.some(({ _tag }) => _tag === "PeerConnected"))
  return { node, address, events, honest, slots, peerSet: Context.get(node, PeerSet) }
})

/** For as long as a busy machine may take. */
const patience = Duration.seconds(100)

/** Real sockets need real time. */
const until = (holds: () => boolean) =>
  Effect.sync(holds).pipe(
    Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (held) => held }),
    Effect.timeout(patience)
  )

/** A stranger with an IP of its own, for limits count per host. */
const stranger = (last: number, address: PeerSocketAddress.PeerSocketAddress) =>
  Effect.flatMap(OutboundTransport, (transport) => transport.dial(address)).pipe(
    Effect.provide(TcpTransport.layerFrom(NetAddress.ipFromStringUnsafe(`127.0.1.${last}`)))
  )

const end = (stream: ByteStream) => Effect.flip(Effect.forever(stream.read))

const header = (magic: ReadonlyArray<number>, command: string, length: number, checksum = 0): Buffer => {
  const bytes = Buffer.alloc(24)
  bytes.set(magic)
  bytes.write(command, 4, "latin1")
  bytes.writeUInt32LE(length, 16)
  bytes.writeUInt32LE(checksum, 20)
  return bytes
}

const attacks: ReadonlyArray<{ readonly name: string; readonly bytes: Uint8Array }> = [
  { name: "garbage", bytes: Buffer.from("GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n") },
  { name: "another chain's magic", bytes: header([0x24, 0xe9, 0x27, 0x64], "version", 0) },
  { name: "a length of 1 GiB", bytes: header(regtest.magic, "version", 2 ** 30) },
  { name: "a length above the limit of a handshake", bytes: header(regtest.magic, "version", 1025) },
  { name: "a wrong checksum", bytes: Buffer.concat([header(regtest.magic, "version", 4, 1), Buffer.alloc(4)]) },
  {
    name: "a version that breaks off",
    bytes: Frame.encode(regtest.magic, { command: "version", body: new Uint8Array(20) })
  }
]

const world = Layer.mergeAll(
  Layer.succeed(ChainParams, regtest),
  SecureRandom.layerWebCrypto,
  Layer.sync(Metric.MetricRegistry, () => new Map())
).pipe(Layer.provideMerge(Layer.succeed(Policy, policy)))

const fibers = Effect.map(Metric.snapshot, (metrics) => {
  const active = metrics.find(({ id }) => id === "child_fibers_active")
  return active?.type === "Gauge" ? Number(active.state.value) : 0
})

const openSockets = () => process.getActiveResourcesInfo().filter((kind) => kind === "TCPSocketWrap").length

describe("a node among strangers", () => {
  it.live("ends a connection that sends rubbish, with a reason, and keeps the others (advisory W1)", () =>
    Effect.gen(function* () {
      const { address, events, honest, slots } = yield* nodeWithPeer
      for (const [i, { bytes, name }] of attacks.entries()) {
        yield* Effect.gen(function* () {
          const stream = yield* stranger(i + 1, address)
          yield* stream.write(bytes)
          yield* end(stream).pipe(Effect.timeout(patience))
        }).pipe(Effect.scoped)
        yield* until(() => slots.used("inbound") === 1)
        const failures = events.filter((event) => event._tag === "HandshakeFailed")
        assert.deepStrictEqual([name, failures.length, failures.at(-1)?.reason], [name, i + 1, "Serialization"])
      }
      assert.strictEqual(honest.readiness(), "Ready")
      assert.strictEqual((yield* honest.request({ _tag: "Peers" }))._tag, "Peers")
    }).pipe(Effect.scoped, Effect.provide(world), quiet)
  )

  it.live("ends a connection that stays silent, or sends one byte every 100 ms, when a handshake's time is over", () =>
    Effect.gen(function* () {
      const { address, events, honest, slots } = yield* nodeWithPeer
      const silent = yield* stranger(21, address)
      const slow = yield* stranger(22, address)
      yield* Effect.forEach(header(regtest.magic, "version", 100), (byte) =>
        Effect.andThen(slow.write(Uint8Array.of(byte)), Effect.sleep("100 millis"))
      ).pipe(Effect.ignore, Effect.forkScoped)
      yield* Effect.all([end(silent), end(slow)], { concurrency: 2 }).pipe(Effect.timeout(patience))
      yield* until(() => slots.used("inbound") === 1)
      assert.deepStrictEqual(
        events.flatMap((event) => (event._tag === "HandshakeFailed" ? [event.reason] : [])),
        ["HandshakeTimeout", "HandshakeTimeout"]
      )
      assert.strictEqual(honest.readiness(), "Ready")
    }).pipe(Effect.scoped, Effect.provide(world), quiet)
  )

  it.live("stays within its slots when 200 come at once, and frees them all", () =>
    Effect.gen(function* () {
      const sockets = openSockets()
      const before = yield* fibers
      yield* Effect.gen(function* () {
        const { address, events, honest, peerSet, slots } = yield* nodeWithPeer
        const strangers = yield* Scope.make()
        yield* Effect.forEach(
          Array.from({ length: 200 }, (_, i) => i),
          (i) => stranger(i + 1, address),
          { concurrency: "unbounded", discard: true }
        ).pipe(Scope.provide(strangers))
        // One place is the honest peer's; whoever is past the last one is refused.
        const refused = () => events.filter(({ _tag }) => _tag === "InboundRefused").length
        yield* until(() => refused() === 200 - 124)
        assert.strictEqual(slots.used("inbound"), 125)
        yield* Scope.close(strangers, Exit.void)
        yield* until(() => slots.used("inbound") === 1)
        assert.deepStrictEqual(yield* peerSet.counts, { ready: 1, busy: 0, inbound: 1, outbound: 0 })
        assert.strictEqual(honest.readiness(), "Ready")
      }).pipe(Effect.scoped)
      yield* until(() => openSockets() <= sockets)
      assert.strictEqual(yield* fibers, before)
    }).pipe(
      Metric.enableRuntimeMetrics,
      // Nobody's handshake is over before all have come.
      Effect.provideService(Policy, { ...policy, handshakeTimeout: Duration.minutes(1) }),
      Effect.provide(world),
      quiet
    )
  )
})
