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
import { Duration, Effect, Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import { defaults, Handshake, IsolatedPeer, Policy, PeerSocketAddress, regtest, TcpTransport } from "network-effect"
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
  const address = PeerSocketAddress.fromStringUnsafe("127.0.0.1:18299")
  yield* Layer.build(Node.layer({ chain: regtest, listenAddress: address, peers: [], cacheDirectory: undefined }))
  const once = Effect.scoped(IsolatedPeer.connect(address, { userAgent: "" })).pipe(Effect.orDie)
  return yield* perSecond(once, count, concurrency)
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
