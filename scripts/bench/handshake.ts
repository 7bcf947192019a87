/**
 * Handshakes per second through the whole stack on loopback, and in the same run bare connections of node:net: connect,
 * one byte each way, close. Both ends of both run in this process.
 *
 *     npm run bench -- handshake [--count 2000] [--concurrency 50]
 *
 * Needs nothing, writes nothing.
 */
import * as net from "node:net"
import { parseArgs } from "node:util"
import { Context, Duration, Effect, Layer, Option, References } from "effect"
import { SecureRandom } from "effect/crypto"
import {
  ChainParams,
  defaults,
  IsolatedPeer,
  Network,
  PeerSocketAddress,
  Policy,
  regtest,
  TcpTransport
} from "network-effect"
import { Node } from "network-effect/layers"

/** Accepts as fast as it can, as often from one host as it likes. */
const policy = {
  ...defaults,
  targetPeers: 20_000,
  acceptInterval: Duration.zero,
  refuseInterval: Duration.zero,
  connectionsPerGroup: 1_000_000
}

const bare = Effect.fnUntraced(function* (count: number, concurrency: number) {
  const server = yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer({ noDelay: true }, (socket) => {
        socket.on("error", () => socket.destroy())
        socket.on("data", (bytes) => socket.end(bytes))
      })
      server.listen(0, "127.0.0.1", 1024, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  const { port } = server.address() as net.AddressInfo
  const once = Effect.callback<void>((resume) => {
    const socket = net.connect({ port, host: "127.0.0.1", noDelay: true }, () => socket.write("x"))
    socket.on("data", () => {})
    socket.on("error", () => socket.destroy())
    socket.on("close", () => resume(Effect.void))
  })
  return yield* perSecond(once, count, concurrency)
}, Effect.scoped)

const whole = Effect.fnUntraced(function* (count: number, concurrency: number) {
  const services = yield* Layer.build(
    Node.layer({ chain: regtest, listenAddress: PeerSocketAddress.fromStringUnsafe("127.0.0.1:0"), peers: [] })
  )
  const address = Option.getOrThrow(Context.get(services, Network).listenAddress)
  // What dials beside the node: a node refuses to be given what it brings itself.
  const dialling = yield* Layer.build(
    Layer.mergeAll(TcpTransport.layer, Layer.succeed(ChainParams, regtest), SecureRandom.layerWebCrypto)
  )
  const once = Effect.scoped(IsolatedPeer.connect(address, { userAgent: "" })).pipe(
    Effect.provide(dialling),
    Effect.orDie
  )
  const rate = yield* perSecond(once, count, concurrency)
  return rate
}, Effect.scoped)

const perSecond = Effect.fnUntraced(function* <R>(
  once: Effect.Effect<void, never, R>,
  count: number,
  concurrency: number
) {
  const started = process.hrtime.bigint()
  yield* Effect.forEach(Array.from({ length: count }), () => once, { concurrency, discard: true })
  return count / (Number(process.hrtime.bigint() - started) / 1e9)
})

/** Prints the table. */
export const run = (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({
    args: [...args],
    options: { count: { type: "string", default: "2000" }, concurrency: { type: "string", default: "50" } }
  })
  const [count, concurrency] = [Number(values.count), Number(values.concurrency)]
  const program = Effect.gen(function* () {
    // Once each to warm up.
    yield* bare(count, concurrency)
    yield* whole(count, concurrency)
    const bareRate = yield* bare(count, concurrency)
    const rate = yield* whole(count, concurrency)
    console.table([
      { what: "bare connections of node:net", "per second": Math.round(bareRate), share: "100 %" },
      {
        what: "handshakes through the whole stack",
        "per second": Math.round(rate),
        share: `${Math.round((100 * rate) / bareRate)} %`
      }
    ])
  })
  return Effect.runPromise(
    program.pipe(Effect.provideService(Policy, policy), Effect.provideService(References.MinimumLogLevel, "Error"))
  )
}
