/**
 * What readers of a node's events cost the node: the time of its requests to a peer without and with them, and the memory
 * each takes.
 *
 *     npm run bench -- status [--readers 1000]
 *
 * The readers are a second process; one of them never reads. Writes nothing.
 */
import { fork } from "node:child_process"
import * as http from "node:http"
import * as net from "node:net"
import { parseArgs } from "node:util"
import { ConfigProvider, Context, Effect, Layer, Option, References, Schedule } from "effect"
import { Hash, Network, NetworkEvents, NodeAnswers, PeerSet, PeerSocketAddress, regtest } from "network-effect"
import { Node, StatusServer } from "network-effect/layers"
import { percentile } from "./support/figures.ts"
import { bytesInUse } from "./support/memory.ts"

const statusPort = 18_299
const eventsPerSecond = 100
const trips = 2000

const id = Option.getOrThrow(Hash.transactionIdFromString("1".repeat(64)))

/** Milliseconds of each of some requests, one after the other, with events all the while. */
const latencies = Effect.fnUntraced(function* (services: Context.Context<PeerSet | NetworkEvents>) {
  const event = { _tag: "InventoryAdvertised", connection: 1, blocks: [], transactions: [id] } as const
  yield* Context.get(services, NetworkEvents)
    .publish(event)
    .pipe(Effect.repeat(Schedule.spaced(1000 / eventsPerSecond)), Effect.forkScoped)
  const took: Array<number> = []
  for (let trip = 0; trip < trips; trip++) {
    const started = process.hrtime.bigint()
    yield* Context.get(services, PeerSet).request({ _tag: "MempoolTransactionIds" })
    took.push(Number(process.hrtime.bigint() - started) / 1e6)
    yield* Effect.sleep("1 millis")
  }
  return took.toSorted((a, b) => a - b)
}, Effect.scoped)

const program = Effect.fnUntraced(function* (readers: number) {
  const address = (ip: string) => PeerSocketAddress.fromStringUnsafe(`${ip}:18233`)
  const node = (ip: string, peers: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) =>
    NodeAnswers.layerAdd({ mempool: Effect.succeed([id]) }).pipe(
      Layer.provideMerge(
        Node.layer({ chain: regtest, listenAddress: address(ip), dialFrom: address(ip).address, peers })
      )
    )
  yield* Layer.build(node("127.0.9.2", []))
  const services = yield* Layer.build(
    StatusServer.layer(PeerSocketAddress.fromStringUnsafe(`127.0.0.1:${statusPort}`)).pipe(
      Layer.provideMerge(node("127.0.9.1", [address("127.0.9.2")])),
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({})))
    )
  )
  yield* Context.get(services, Network).awaitReady({ peers: 1 })

  yield* latencies(services)
  const without = yield* latencies(services)
  const before = bytesInUse()
  yield* Effect.acquireRelease(
    Effect.callback<ReturnType<typeof fork>>((resume) => {
      const child = fork(import.meta.filename, [String(readers)])
      child.once("message", () => resume(Effect.succeed(child)))
    }),
    (child) => Effect.sync(() => child.kill())
  )
  const each = (bytesInUse() - before) / readers
  const during = yield* latencies(services)
  const grown = (bytesInUse() - before) / readers
  console.table([
    { what: "no reader", "p50 ms": percentile(without, 0.5), "p99 ms": percentile(without, 0.99) },
    {
      what: `${readers} readers, one of which never reads`,
      "p50 ms": percentile(during, 0.5),
      "p99 ms": percentile(during, 0.99),
      "bytes each, at first": Math.round(each),
      "and at the end": Math.round(grown)
    }
  ])
  console.log(
    `ratio of the medians: ${(percentile(during, 0.5) / percentile(without, 0.5)).toFixed(2)}, at ${eventsPerSecond} events per second to each reader`
  )
}, Effect.scoped)

/** Prints the table. */
export const run = (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({ args: [...args], options: { readers: { type: "string", default: "1000" } } })
  return Effect.runPromise(
    program(Number(values.readers)).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))
  )
}

/** The second process: so many readers, and one that asks and never reads. */
const read = async (count: number) => {
  const stalled = net.connect(statusPort, "127.0.0.1", () =>
    stalled.write(`GET /events HTTP/1.1\r\nHost: 127.0.0.1:${statusPort}\r\n\r\n`)
  )
  stalled.pause()
  const agent = new http.Agent({ maxSockets: Infinity })
  for (let reader = 1; reader < count; reader++) {
    await new Promise<void>((resolve) =>
      http.get({ host: "127.0.0.1", port: statusPort, path: "/events", agent }, (response) => {
        response.resume()
        resolve()
      })
    )
  }
  process.send?.("ready")
}

const [, script, count] = process.argv
if (process.send !== undefined && script === import.meta.filename) await read(Number(count))
