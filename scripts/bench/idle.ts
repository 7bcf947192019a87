/**
 * Memory of an idle inbound peer of a whole node, and of a bare socket of node:net in the same run.
 *
 *     npm run bench -- idle [--peers 1000]
 *
 * The peers are held by a second process. Needs as many open files as there are peers; writes nothing.
 */
import { fork } from "node:child_process"
import * as net from "node:net"
import { parseArgs } from "node:util"
import { Context, Duration, Effect, Layer, Option, References, Schedule } from "effect"
import { SecureRandom } from "effect/crypto"
import {
  ChainParams,
  defaults,
  IsolatedPeer,
  Network,
  PeerSet,
  PeerSocketAddress,
  Policy,
  regtest,
  TcpTransport
} from "network-effect"
import { Node } from "network-effect/layers"
import { bytesInUse } from "./support/memory.ts"

const policyFor = (peers: number): Policy => ({
  ...defaults,
  targetPeers: peers,
  acceptInterval: Duration.zero,
  refuseInterval: Duration.zero,
  connectionsPerGroup: peers
})

/** Bytes per peer, by what is in use before and after `count` of them came. */
const perPeer = Effect.fnUntraced(function* (
  kind: "bare" | "whole",
  port: number,
  count: number,
  connected: Effect.Effect<number>
) {
  const before = bytesInUse()
  yield* Effect.acquireRelease(
    Effect.sync(() => fork(import.meta.filename, [kind, String(port), String(count)])),
    (child) => Effect.sync(() => child.kill())
  )
  yield* connected.pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (now) => now === count }),
    Effect.timeout("60 seconds")
  )
  yield* Effect.sleep("500 millis")
  return (bytesInUse() - before) / count
}, Effect.scoped)

const bare = Effect.fnUntraced(function* (count: number) {
  const sockets = new Set<net.Socket>()
  const server = yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer({ noDelay: true }, (socket) => {
        sockets.add(socket)
        socket.on("error", () => socket.destroy())
        socket.on("data", () => undefined)
      })
      server.listen(0, "127.0.0.1", 1024, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  const { port } = server.address() as net.AddressInfo
  return yield* perPeer(
    "bare",
    port,
    count,
    Effect.sync(() => sockets.size)
  )
}, Effect.scoped)

const whole = Effect.fnUntraced(function* (count: number) {
  const services = yield* Layer.build(
    Node.layer({ chain: regtest, listenAddress: PeerSocketAddress.fromStringUnsafe("127.0.0.1:0"), peers: [] })
  )
  const { port } = Option.getOrThrow(Context.get(services, Network).listenAddress)
  const peers = Context.get(services, PeerSet).counts
  return yield* perPeer(
    "whole",
    port,
    count,
    Effect.map(peers, ({ inbound }) => inbound)
  )
}, Effect.scoped)

/** The second process: connects so often, one after the other, and stays. */
const hold = (kind: string, port: number, count: number) => {
  const address = PeerSocketAddress.fromStringUnsafe(`127.0.0.1:${port}`)
  const once =
    kind === "bare"
      ? Effect.callback<void>((resume) => {
          const socket = net.connect({ port, host: "127.0.0.1" }, () => resume(Effect.void))
          socket.on("error", () => process.exit(1))
        })
      : IsolatedPeer.connect(address, { userAgent: "" })
  return Effect.runPromise(
    Effect.forEach(Array.from({ length: count }), () => once, { discard: true }).pipe(
      Effect.andThen(Effect.never),
      Effect.scoped,
      Effect.provide([TcpTransport.layer, Layer.succeed(ChainParams, regtest), SecureRandom.layerWebCrypto])
    )
  )
}

/** Prints the table. */
export const run = (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({ args: [...args], options: { peers: { type: "string", default: "1000" } } })
  const count = Number(values.peers)
  const program = Effect.gen(function* () {
    const bareBytes = yield* bare(count)
    const wholeBytes = yield* whole(count)
    console.table([
      { what: `bare sockets of node:net (${count})`, "bytes each": Math.round(bareBytes) },
      { what: `idle inbound peers of a node (${count})`, "bytes each": Math.round(wholeBytes) },
      { what: "what a peer adds to its socket", "bytes each": Math.round(wholeBytes - bareBytes) }
    ])
  })
  return Effect.runPromise(
    program.pipe(
      Effect.provideService(Policy, policyFor(count)),
      Effect.provideService(References.MinimumLogLevel, "Error")
    )
  )
}

const [, script, kind = "", port, count] = process.argv
if (process.send !== undefined && script === import.meta.filename) await hold(kind, Number(port), Number(count))
