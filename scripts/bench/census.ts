/**
 * A census of nodes that listen in another process: nodes a minute, CPU and memory of the census alone, and in the same run
 * bare connections of node:net to the same listeners. Then what the command takes that knows 50 000 hosts, on Linux. With
 * --worlds, censuses of simulated networks of which the truth is known, one for each seed: recall, precision, the interval,
 * and what it took: time, and messages counted on the wire, for each node that was reached.
 *
 *     npm run bench -- census [--listeners 500] [--told 100]
 *     npm run bench -- census --worlds 1..10 [--nodes 5000]
 *     npm run bench -- census --watches 1..1000
 *
 * --watches watches an honest node and a stale one among Sybils, ten minutes each: false alarms, and when the truth is told.
 *
 * Needs loopback addresses, writes nothing.
 */
import { spawn } from "node:child_process"
import { readFileSync } from "node:fs"
import * as net from "node:net"
import { availableParallelism } from "node:os"
import { parseArgs } from "node:util"
import { isMainThread } from "node:worker_threads"
import { Effect, Layer, References, type Scope, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import {
  Census,
  CensusPolicy,
  ChainParams,
  type InboundTransport,
  type ListenError,
  Message,
  NODE_NETWORK,
  PeerSocketAddress,
  regtest,
  TcpTransport
} from "network-effect"
import { ScriptedPeer } from "network-effect/simulation"
import { watch } from "../../test/census/watchWorld.ts"
import { twoRuns } from "../../test/census/world.ts"
import { median } from "./support/figures.ts"
import { playAll, runThread } from "./support/threads.ts"

/** Not imported: it is what imports this. */
const file = new URL("support/run.ts", import.meta.url).pathname

const port = 28_333

const addressOf = (n: number) => PeerSocketAddress.fromStringUnsafe(`127.77.${n >> 8}.${n & 255}:${port}`)

/** The other process: listeners that tell of some others each, so that everybody can be found. */
const serve = (
  listeners: number,
  told: number
): Effect.Effect<void, ListenError, ChainParams | InboundTransport | Census> =>
  Effect.gen(function* () {
    for (let n = 1; n <= listeners; n++) {
      const addresses = Array.from({ length: told }, (_, step) => ({
        address: addressOf(((n + step * step) % listeners) + 1),
        services: NODE_NETWORK,
        lastSeenSeconds: 1
      }))
      yield* ScriptedPeer.listen(addressOf(n), {
        answer: (message, { say }) => {
          if (message._tag === "Ping") return Effect.as(say(Message.Message.Pong({ nonce: message.nonce })), true)
          if (message._tag === "GetAddr") return Effect.as(say(Message.Message.Addr({ addresses })), true)
          return Effect.succeed(false)
        }
      })
    }
    process.stdout.write("ready\n")
    return yield* Effect.never
  }).pipe(Effect.scoped)

const other = (listeners: number, told: number) =>
  Effect.acquireRelease(
    Effect.callback<ReturnType<typeof spawn>>((resume) => {
      const child = spawn(
        process.execPath,
        [file, "census", "--serve", "--listeners", String(listeners), "--told", String(told)],
        { stdio: ["ignore", "pipe", "inherit"] }
      )
      child.stdout.once("data", () => resume(Effect.succeed(child)))
    }),
    (child) => Effect.sync(() => child.kill())
  )

const measured = Effect.fnUntraced(function* <A, R>(effect: Effect.Effect<A, never, R>) {
  const cpu = process.cpuUsage()
  const started = process.hrtime.bigint()
  const value = yield* effect
  const { system, user } = process.cpuUsage(cpu)
  return { value, seconds: Number(process.hrtime.bigint() - started) / 1e9, cpuMillis: (system + user) / 1000 }
})

const bare = (listeners: number) =>
  Effect.forEach(
    Array.from({ length: listeners }, (_, n) => `127.77.${(n + 1) >> 8}.${(n + 1) & 255}`),
    (host) =>
      Effect.callback<void>((resume) => {
        const socket = net.connect({ host, port, noDelay: true }, () => socket.destroy())
        socket.on("error", () => socket.destroy())
        socket.on("close", () => resume(Effect.void))
      }),
    { concurrency: 50, discard: true }
  )

const counted = Effect.gen(function* () {
  let reached = 0
  yield* (yield* Census)
    .run({ from: [addressOf(1)] })
    .pipe(Stream.runForEach((finding) => Effect.sync(() => finding._tag === "Reached" && reached++)))
  return reached
})

/** The command among peers that tell of 990 hosts each where nobody listens: what it takes when it knows them all. */
const memory = Effect.gen(function* () {
  const tellers = Array.from({ length: 51 }, (_, n) => PeerSocketAddress.fromStringUnsafe(`127.77.9.${n + 1}:${port}`))
  for (const [n, address] of tellers.entries()) {
    const addresses = Array.from({ length: 990 }, (_, k) => ({
      address: PeerSocketAddress.fromStringUnsafe(`127.${100 + (k % 150)}.${n}.${1 + (k >> 3)}:${1000 + k}`),
      services: NODE_NETWORK,
      lastSeenSeconds: 1
    }))
    yield* ScriptedPeer.listen(address, {
      answer: (message, { say }) =>
        message._tag === "GetAddr"
          ? Effect.as(say(Message.Message.Addr({ addresses })), true)
          : Effect.succeed(message._tag === "Ping")
    })
  }
  const peers = tellers.flatMap((teller) => ["--peer", PeerSocketAddress.format(teller)])
  const child = yield* Effect.acquireRelease(
    Effect.sync(() =>
      spawn(
        process.execPath,
        ["layers/bin.js", "census", "run", "--network", "regtest", "--store", ":memory:", "--json", ...peers],
        { stdio: ["ignore", "pipe", "inherit"] }
      )
    ),
    (child) => Effect.sync(() => child.kill("SIGKILL"))
  )
  let known = 0
  child.stdout.on("data", (chunk: Buffer) => {
    for (const [, count] of chunk.toString().matchAll(/"known":(\d+)/g)) known = Number(count)
  })
  yield* Effect.sync(() => known).pipe(
    Effect.delay("1 second"),
    Effect.repeat({ until: (known) => known > 50_000 }),
    Effect.timeoutOption("1 minute")
  )
  yield* Effect.sleep("5 seconds")
  const status = readFileSync(`/proc/${child.pid}/status`, "utf8")
  const [, most] = /^VmHWM:\s+(\d+) kB/m.exec(status) ?? []
  console.log(`${known} known hosts: the command has had ${(Number(most) / 1000).toFixed(0)} MB at most`)
})

const table = Effect.fnUntraced(function* (
  listeners: number,
  told: number
): Effect.fn.Return<void, never, Census | ChainParams | InboundTransport | Scope.Scope> {
  yield* other(listeners, told)
  yield* measured(counted)
  const plain = yield* measured(bare(listeners))
  const census = yield* measured(counted)
  console.table([
    {
      what: "bare connections of node:net",
      "nodes a minute": Math.round((listeners / plain.seconds) * 60),
      "CPU a node": `${(plain.cpuMillis / listeners).toFixed(2)} ms`
    },
    {
      what: `census, no pace, ${census.value} of ${listeners} reached`,
      "nodes a minute": Math.round((census.value / census.seconds) * 60),
      "CPU a node": `${(census.cpuMillis / census.value).toFixed(2)} ms`
    }
  ])
  yield* Effect.orDie(memory)
}, Effect.scoped)

const boundsOf = (range: string): readonly [number, number] => {
  const [first = 1, last = first] = range.split("..").map(Number)
  return [first, last]
}

const watches = (range: string): void => {
  const [first, last] = boundsOf(range)
  const counts = { looks: 0, falseAlarms: 0, unknown: 0, staleAtOnce: 0, staleMissed: 0 }
  for (let seed = first; seed <= last; seed++) {
    for (const { verdict } of watch(seed, { height: (tip) => tip }, 10)) {
      counts.looks++
      if (verdict === "Unknown") counts.unknown++
      else if (verdict !== "WithQuorum") counts.falseAlarms++
    }
    const stale = watch(seed, { height: () => 4990 }, 10)
    if (stale[0]?.verdict === "Behind") counts.staleAtOnce++
    if (stale.every(({ verdict }) => verdict !== "Behind")) counts.staleMissed++
  }
  console.log(JSON.stringify({ seeds: last - first + 1, ...counts }))
}

interface Row {
  readonly holds: boolean
  readonly recall: number
  readonly wrong: number
  /** Of the interval, as a part of the truth. */
  readonly width: number
  /** Of the network's time, and both ways, whatever was sent to hosts that are no nodes included. */
  readonly "ms a node": number
  readonly "messages a node": number
}

/** One censused world. */
const playWorld = (seed: number, nodes: number): Row => {
  // Every dial in vain makes an error, whose stack nobody reads.
  Error.stackTraceLimit = 0
  const started = process.hrtime.bigint()
  const outcome = twoRuns({
    seed,
    nodes,
    reachable: 0.4,
    sessionMinutes: 120,
    liars: 0.1,
    pauseMinutes: 60,
    latency: [50, 150]
  })
  const { dials, found, messages, report, seconds, throughout, truth, wrong } = outcome
  const [low, high] = [report.low ?? 0, report.high ?? Number.POSITIVE_INFINITY]
  const row = {
    seed,
    truth,
    reached: report.reachable,
    estimate: report.estimate,
    low,
    high,
    holds: low <= truth && truth <= high,
    recall: Number((found / throughout).toFixed(4)),
    wrong,
    dials,
    sent: messages.sent,
    received: messages.received,
    "messages a node": Number(((messages.sent + messages.received) / report.reachable).toFixed(2)),
    "ms a node": Number(((1000 * seconds) / report.reachable).toFixed(1)),
    "virtual s": Math.round(seconds),
    "dials a second": Number((dials / seconds).toFixed(1)),
    "real s": Math.round(Number(process.hrtime.bigint() - started) / 1e9)
  }
  return { ...row, width: Number(((high - low) / truth).toFixed(4)) }
}

/** As many at a time as there are cores. */
const worlds = async (range: string, nodes: number): Promise<void> => {
  const rows: Array<Row> = []
  const tell = (row: Row): boolean => {
    console.log(JSON.stringify(row))
    return rows.push(row) > 0
  }
  const seeds = boundsOf(range)
  await playAll({ file: import.meta.filename, args: [String(nodes)], seeds, jobs: availableParallelism(), tell })
  const medianOf = (of: (row: Row) => number) => median(rows.map(of))
  console.log(
    `the interval holds the truth in ${rows.filter(({ holds }) => holds).length} of ${rows.length}, ` +
      `median width ${(100 * medianOf(({ width }) => width)).toFixed(1)} %, least recall ${Math.min(...rows.map(({ recall }) => recall))}, ` +
      `wrongly reached ${rows.reduce((sum, { wrong }) => sum + wrong, 0)}; for each node that was reached ` +
      `${medianOf((row) => row["messages a node"]).toFixed(2)} messages and ` +
      `${medianOf((row) => row["ms a node"]).toFixed(0)} ms of the network's time (medians)`
  )
}

/** Prints the tables. */
export const run = (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      listeners: { type: "string", default: "500" },
      told: { type: "string", default: "100" },
      serve: { type: "boolean", default: false },
      worlds: { type: "string" },
      watches: { type: "string" },
      nodes: { type: "string", default: "5000" }
    }
  })
  const [listeners, told] = [Number(values.listeners), Number(values.told)]
  if (values.worlds !== undefined) return worlds(values.worlds, Number(values.nodes))
  if (values.watches !== undefined) return Promise.resolve(watches(values.watches))
  const services = Census.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(TcpTransport.layer, Layer.succeed(ChainParams, regtest), SecureRandom.layerWebCrypto)
    ),
    Layer.provide(CensusPolicy.layer({ maxRate: Number.POSITIVE_INFINITY, maxUnderWay: 100 }))
  )
  const program = values.serve ? Effect.orDie(serve(listeners, told)) : table(listeners, told)
  return Effect.runPromise(
    Effect.provide(program, services).pipe(Effect.provideService(References.MinimumLogLevel, "Error"))
  )
}

if (!isMainThread) runThread((seed) => playWorld(seed, Number(process.argv[2])))
