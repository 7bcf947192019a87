/**
 * What things cost a node as its peers become more: the ping of one of them, a broadcast, a block's advert, a status request.
 *
 *     npm run bench -- growth [--peers 10,100,1000] [--rounds 50]
 *
 * The peers are a second process, each a socket that reads and answers pings. Needs as many open files as there are peers;
 * writes nothing.
 */
import { fork } from "node:child_process"
import * as http from "node:http"
import { parseArgs } from "node:util"
import { ConfigProvider, Context, Duration, Effect, Layer, Option, References } from "effect"
import {
  BlockAdvertiser,
  defaults,
  Hash,
  Message,
  Network,
  PeerSet,
  PeerSocketAddress,
  Policy,
  regtest
} from "network-effect"
import { Node, StatusServer } from "network-effect/layers"
import { StatusListening } from "../../src/status/StatusAddress.ts"
import { type Client, connect, encoded } from "./support/client.ts"
import { median } from "./support/figures.ts"

/** All come at once, and stay. */
const policyFor = (peers: number): Policy => ({
  ...defaults,
  targetPeers: peers,
  acceptInterval: Duration.zero,
  refuseInterval: Duration.zero,
  connectionsPerGroup: peers
})

const milliseconds = (from: bigint) => Number(process.hrtime.bigint() - from) / 1e6

// -- the peers, in their process ------------------------------------------------------------------

/** Connects, says so, and then times pings of the first whenever it is told to. */
const hold = async (port: number, count: number, rounds: number) => {
  const clients: Array<Client> = []
  for (let i = 0; i < count; i++) clients.push(await connect(port, `127.66.${i >> 8}.${i & 255 || 1}`))
  process.send?.("connected")
  const ping = encoded(Message.Message.Ping({ nonce: 1n }))
  process.on("message", () => {
    void (async () => {
      const took: Array<number> = []
      // The first ones, while this process is new, count for nothing.
      for (let i = -100 * rounds; i < 10 * rounds; i++) {
        const started = process.hrtime.bigint()
        await clients[0]?.ask(ping, "pong", 5000)
        if (i >= 0) took.push(milliseconds(started))
      }
      process.send?.(median(took))
    })()
  })
}

// -- the node -------------------------------------------------------------------------------------

/** Median milliseconds of an effect run so often. */
const timed = Effect.fnUntraced(function* <E, R>(
  rounds: number,
  once: (round: number) => Effect.Effect<unknown, E, R>
) {
  const took: Array<number> = []
  for (let round = 0; round < rounds; round++) {
    const started = process.hrtime.bigint()
    yield* once(round)
    took.push(milliseconds(started))
    yield* Effect.sleep("2 millis")
  }
  return median(took)
})

const get = (port: number, path: string) =>
  Effect.callback<number>((resume) => {
    http.get({ host: "127.0.0.1", port, path, agent: false }, (response) => {
      let bytes = 0
      response.on("data", (chunk: Buffer) => (bytes += chunk.length))
      response.on("end", () => resume(Effect.succeed(bytes)))
    })
  })

const measure = Effect.fnUntraced(function* (count: number, rounds: number) {
  const anyPort = PeerSocketAddress.fromStringUnsafe("127.0.0.1:0")
  const services = yield* Layer.build(
    StatusServer.layer(anyPort).pipe(
      Layer.provideMerge(Node.layer({ chain: regtest, listenAddress: anyPort, peers: [] })),
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({})))
    )
  )
  const { port } = Option.getOrThrow(Context.get(services, Network).listenAddress)
  const peerSet = Context.get(services, PeerSet)
  const advertiser = Context.get(services, BlockAdvertiser)
  const statusPort = Option.getOrThrow(Context.get(services, StatusListening).address).port
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => fork(import.meta.filename, [String(port), String(count), String(rounds)])),
    (child) => Effect.sync(() => child.kill())
  )
  const told = Effect.callback<unknown>((resume) => {
    child.once("message", (message) => resume(Effect.succeed(message)))
  })
  yield* told
  yield* peerSet.awaitPeers({ peers: count })
  yield* Effect.sync(() => child.send("ping"))
  const ping = Number(yield* told)
  const broadcast = yield* timed(rounds, () =>
    peerSet.request({ _tag: "AdvertiseTransactionIds", ids: new Set(), source: undefined })
  )
  const advert = yield* timed(rounds, (round) => advertiser.advertise(hashOf(round)))
  const status = yield* timed(rounds, () => get(statusPort, "/peers"))
  return {
    peers: count,
    "ping, ms": ping,
    "broadcast, ms": broadcast,
    "block's advert, ms": advert,
    "GET /peers, ms": status
  }
}, Effect.scoped)

const hashOf = (n: number) => Option.getOrThrow(Hash.blockHashFromString(n.toString(16).padStart(64, "0")))

/** Prints the table. */
export const run = (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({
    args: [...args],
    options: { peers: { type: "string", default: "10,100,1000" }, rounds: { type: "string", default: "50" } }
  })
  const program = Effect.gen(function* () {
    const rows: Array<Record<string, number>> = []
    const of = (count: number) => Effect.provideService(measure(count, Number(values.rounds)), Policy, policyFor(count))
    // Counts for nothing: V8 is at work on new code.
    yield* of(100)
    for (const count of values.peers.split(",").map(Number)) {
      const row = yield* of(count)
      rows.push(Object.fromEntries(Object.entries(row).map(([what, value]) => [what, Number(value.toPrecision(3))])))
    }
    console.table(rows)
  })
  return Effect.runPromise(Effect.provideService(program, References.MinimumLogLevel, "Error"))
}

const [, script, port, count, rounds] = process.argv
if (process.send !== undefined && script === import.meta.filename)
  await hold(Number(port), Number(count), Number(rounds))
