/**
 * What a connection costs: request round trips per second over loopback TCP with 1, 50 and 200 peers, beside a bare echo of
 * frames over node:net in the same run, and bytes of an idle peer at 1,000 and 10,000.
 *
 *     npm run bench -- peer [--seconds 3] [--peers 1,50,200] [--idle 1000,10000] [--record]
 *
 * With --record the round trips are measured in short turns with nobody recording, with one end recorded and with both, to a
 * folder of their own, which is removed afterwards; nothing else is measured then. --seconds is the time of all turns of one
 * kind. One end is what a request meets between a node that records and a peer that does not, when they share a processor; both
 * ends are the dearest there can be, for all that the processor does is recorded: what recording adds to a node's own time. Of
 * each turn the ratio to the one beside it is taken, and of those the middle one.
 *
 * A round trip is `mempool` and the empty `inv` that answers it: both ends are connections of ours and share one process,
 * as both ends of the bare echo do. Idle peers are held by a second process, which needs as many open files as there are
 * peers. Writes nothing else.
 */
import { fork } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { NodeCrypto, NodeFileSystem, NodePath } from "@effect/platform-node"
import { Clock, Context, Deferred, Effect, Exit, Layer, Result } from "effect"
import { regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../../src/chain/ProtocolVersion.ts"
import type { LimitedLog } from "../../src/LimitedLog.ts"
import * as Alarms from "../../src/peer/Alarms.ts"
import * as Connection from "../../src/peer/Connection.ts"
import type { InboundRequests } from "../../src/peer/InboundRequests.ts"
import { MessageStream } from "../../src/peer/MessageStream.ts"
import type { ConnectionHost, Peer } from "../../src/peer/Peer.ts"
import { defaults } from "../../src/Policy.ts"
import * as RecordFolder from "../../src/recording/RecordFolder.ts"
import * as TcpTransport from "../../src/transport/TcpTransport.ts"
import { type ByteStream, InboundTransport, OutboundTransport } from "../../src/transport/Transport.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { median } from "./support/figures.ts"
import { bytesInUse } from "./support/memory.ts"

/** Of `mempool` and of an empty `inv`. */
const question: Frame.Unsealed = { command: "mempool", body: new Uint8Array() }
const answer: Frame.Unsealed = { command: "inv", body: Uint8Array.of(0) }

// -- round trips -------------------------------------------------------------------------------

/** Round trips per second, and the time of the processor that one takes, which does not depend on what else it does. */
interface Trips {
  readonly rate: number
  readonly cpuMicros: number
}

/** Runs `trip` over and over on each of `peers` until the time is over. */
const rate = Effect.fnUntraced(function* <A>(
  peers: ReadonlyArray<A>,
  seconds: number,
  trip: (peer: A) => Effect.Effect<unknown>
) {
  let trips = 0
  let isOver = false
  const started = process.hrtime.bigint()
  const before = process.cpuUsage()
  yield* Effect.forkChild(
    Effect.map(Effect.sleep(seconds * 1000), () => {
      isOver = true
    })
  )
  yield* Effect.forEach(
    peers,
    (peer) =>
      Effect.whileLoop({
        while: () => !isOver,
        body: () => trip(peer),
        step: () => {
          trips++
        }
      }),
    { concurrency: "unbounded", discard: true }
  )
  const { system, user } = process.cpuUsage(before)
  const rate = trips / (Number(process.hrtime.bigint() - started) / 1e9)
  return { rate, cpuMicros: (system + user) / trips } satisfies Trips
})

/** A socket that hands over whole frames and takes frames. */
const framed = (socket: net.Socket, onFrame: (frame: Frame.Frame) => void) => {
  const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
  socket.setNoDelay(true)
  socket.on("error", () => socket.destroy())
  socket.on("data", (chunk: Buffer) => {
    decoder.push(chunk)
    for (let frame = next(decoder); frame !== undefined; frame = next(decoder)) onFrame(frame)
  })
  return (frame: Frame.Unsealed) => socket.write(Frame.encode(regtest.magic, frame))
}

const next = (decoder: Frame.FrameDecoder): Frame.Frame | undefined => Result.getOrThrow(decoder.next())

/** Frames over node:net, without anything of ours above them. */
const bareRate = Effect.fnUntraced(function* (count: number, seconds: number) {
  const server = yield* Effect.acquireRelease(
    Effect.callback<net.Server>((resume) => {
      const server = net.createServer((socket) => {
        const send = framed(socket, () => send(answer))
      })
      server.listen(0, "127.0.0.1", 1024, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.sync(() => server.close())
  )
  const { port } = server.address() as net.AddressInfo
  const trips = yield* Effect.forEach(Array.from({ length: count }), () =>
    Effect.acquireRelease(
      Effect.callback<{ readonly socket: net.Socket; readonly trip: Effect.Effect<void> }>((resume) => {
        const socket = net.connect(port, "127.0.0.1", () => {
          let answered = () => {}
          const send = framed(socket, () => answered())
          const trip = Effect.callback<void>((resume) => {
            answered = () => resume(Effect.void)
            send(question)
          })
          resume(Effect.succeed({ socket, trip }))
        })
      }),
      ({ socket }) => Effect.sync(() => socket.destroy())
    )
  )
  return yield* rate(trips, seconds, ({ trip }) => trip)
}, Effect.scoped)

const host: ConnectionHost = { report: () => Effect.void, mayAdvertise: () => Effect.succeed(true) }

const inbound: InboundRequests["Service"] = {
  answer: () => Effect.succeed({ _tag: "TransactionIds", ids: [] })
}

const log: LimitedLog = (_kind, line) => line

/** What sleeps for all connections, as in a node. */
type Sleeping = Pick<Parameters<typeof Connection.make>[0], "sleepers" | "alarmClock">

/** A connection as after a handshake. */
const connectionWith = Effect.fnUntraced(function* (stream: ByteStream, sleeping: Sleeping) {
  const messages = new MessageStream(stream, regtest.magic, defaults, yield* Effect.context<never>())
  messages.agree(ourProtocolVersion)
  return yield* Connection.make({
    id: 1,
    info: {
      connectedAddress: { _tag: "OutboundDirect", address: stream.remoteAddress },
      remote: {
        _tag: "Version",
        version: ourProtocolVersion,
        services: 1n,
        timestamp: 0n,
        addressReceiver: { address: stream.localAddress, services: 1n },
        addressFrom: { address: stream.remoteAddress, services: 1n },
        nonce: 1n,
        userAgent: "/bench:1.0.0/",
        startHeight: 0,
        relay: true
      },
      negotiatedVersion: ourProtocolVersion
    },
    messages,
    host,
    inbound,
    policy: defaults,
    nonce: Effect.succeed(1n),
    log,
    ...sleeping
  })
})

const connecting = Effect.zipWith(Alarms.sleepers, Clock.Clock, (sleepers, clock) => {
  const alarmClock = new Alarms.AlarmClock(sleepers, clock, defaults.requestTimeout)
  return (stream: ByteStream) => connectionWith(stream, { sleepers, alarmClock })
})

const listen = Effect.flatMap(InboundTransport, (transport) =>
  transport.listen(PeerSocketAddress.fromStringUnsafe("127.0.0.1:0"))
)

const trip = (peer: Peer) => Effect.orDie(peer.request({ _tag: "MempoolTransactionIds" }))

/** What an end of a connection is made in: with somebody who records, or without. */
interface Ends {
  readonly dials: Context.Context<never>
  readonly accepts: Context.Context<never>
}

const neither: Ends = { dials: Context.empty(), accepts: Context.empty() }

/** Connections of ours, that are there as long as the scope. */
const connected = Effect.fnUntraced(function* (count: number, { accepts, dials }: Ends) {
  const transport = yield* OutboundTransport
  const listener = yield* listen
  const connection = yield* connecting
  const peers: Array<Peer> = []
  for (let i = 0; i < count; i++) {
    const dialled = yield* transport.dial(listener.address)
    peers.push(yield* Effect.provideContext(connection(dialled), dials))
    const accepted = yield* listener.accept
    yield* Effect.provideContext(connection(accepted), accepts)
  }
  return peers
})

/** Requests through connections of ours; those of the first second, or less, count for nothing. */
const ourRate = Effect.fnUntraced(function* (count: number, seconds: number) {
  const peers = yield* connected(count, neither)
  yield* rate(peers, Math.min(1, seconds / 2), trip)
  return yield* rate(peers, seconds, trip)
}, Effect.scoped)

/** Turns that are compared, each of all kinds, after some that count for nothing. */
const turns = { warm: 5, counted: 40 }

/** What recording costs: the same round trips without and with, in short turns, so that what else the machine does is of all. */
const recordedRates = Effect.fnUntraced(function* (peerCounts: ReadonlyArray<number>, seconds: number) {
  const rows: Array<Record<string, string | number>> = []
  for (const count of peerCounts) {
    const folder = yield* Effect.sync(() => mkdtempSync(join(tmpdir(), "network-effect-bench-")))
    const recording = RecordFolder.layerRecording({ directory: folder, totalBytes: recordedBytes }).pipe(
      Layer.provide([NodeFileSystem.layer, NodePath.layer, NodeCrypto.layerSecureRandom])
    )
    const measured = yield* Effect.scoped(
      Effect.gen(function* () {
        const recorded = yield* Layer.build(recording)
        const kinds = [neither, { dials: recorded, accepts: Context.empty() }, { dials: recorded, accepts: recorded }]
        const kept = yield* Effect.forEach(kinds, (ends) =>
          Effect.map(connected(count, ends), (peers) => ({ peers, trips: new Array<Trips>() }))
        )
        for (let i = -turns.warm; i < turns.counted; i++) {
          for (const { peers, trips } of kept) {
            const turn = yield* rate(peers, seconds / turns.counted, trip)
            if (i >= 0) trips.push(turn)
          }
        }
        return kept.map(({ trips }) => trips)
      })
    )
    const bytes = readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0)
    rmSync(folder, { recursive: true })
    const [plain = [], one = [], both = []] = measured
    const shares = (recorded: ReadonlyArray<Trips>, of: (trips: Trips) => number) =>
      `${Math.round(1000 * median(recorded.map((trips, round) => of(trips) / of(plain[round] ?? trips)))) / 10} %`
    rows.push({
      peers: count,
      "not recorded": perSecond(median(plain.map(({ rate }) => rate))),
      "one end": shares(one, ({ rate }) => rate),
      "both ends": shares(both, ({ rate }) => rate),
      "CPU µs each": median(plain.map(({ cpuMicros }) => cpuMicros)).toFixed(1),
      "CPU, one end": shares(one, ({ cpuMicros }) => cpuMicros),
      "CPU, both ends": shares(both, ({ cpuMicros }) => cpuMicros),
      "MB left": Math.round(bytes / 1e6)
    })
  }
  console.table(rows)
})

/** As much as a record may become in a node by default would fill small disks here. */
const recordedBytes = 100 * 1_048_576

// -- idle peers --------------------------------------------------------------------------------

/** Memory per idle connection. `open` brings the stream below it. */
const idleBytes = Effect.fnUntraced(function* <E, R>(count: number, open: Effect.Effect<ByteStream, E, R>) {
  const connection = yield* connecting
  const before = bytesInUse()
  const peers: Array<Peer> = []
  for (let i = 0; i < count; i++) peers.push(yield* Effect.flatMap(open, connection))
  yield* Effect.sleep("200 millis")
  const bytes = (bytesInUse() - before) / peers.length
  return bytes
})

/** A stream of nothing: what is left is the connection alone. */
const noStream: ByteStream = {
  remoteAddress: PeerSocketAddress.fromStringUnsafe("192.0.2.1:8233"),
  localAddress: PeerSocketAddress.fromStringUnsafe("192.0.2.2:8233"),
  proxyAddress: undefined,
  read: Effect.never,
  write: () => Effect.void,
  bytesRead: () => 0,
  bytesWritten: () => 0
}

const idleOverTcp = Effect.fnUntraced(function* (count: number) {
  const listener = yield* listen
  const child = yield* Effect.acquireRelease(
    Effect.sync(() => fork(import.meta.filename, [String(listener.address.port), String(count)])),
    (child) => Effect.sync(() => child.kill())
  )
  const failed = Deferred.makeUnsafe<never, string>()
  child.on("exit", (code) => Deferred.doneUnsafe(failed, Exit.fail(`the second process ended with ${code}`)))
  return yield* Effect.raceFirst(idleBytes(count, listener.accept), Deferred.await(failed))
}, Effect.scoped)

/** The second process: connects so often and stays. */
const holdPeers = (port: number, count: number) => {
  const connectNext = (left: number) => {
    if (left === 0) return
    const socket = net.connect(port, "127.0.0.1", () => connectNext(left - 1))
    socket.on("error", () => process.exit(1))
  }
  connectNext(count)
}

// -- the table ---------------------------------------------------------------------------------

const perSecond = (n: number) => `${Math.round(n).toLocaleString("en")}/s`

export const run = (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "3" },
      peers: { type: "string", default: "1,50,200" },
      idle: { type: "string", default: "1000,10000" },
      record: { type: "boolean", default: false }
    }
  })
  const seconds = Number(values.seconds)
  const program = Effect.gen(function* () {
    const peerCounts = values.peers.split(",").map(Number)
    if (values.record) return yield* recordedRates(peerCounts, seconds)
    const trips: Array<Record<string, string | number>> = []
    for (const count of peerCounts) {
      const { rate: bare } = yield* bareRate(count, seconds)
      const { rate: ours } = yield* ourRate(count, seconds)
      trips.push({
        peers: count,
        "bare frames": perSecond(bare),
        Connection: perSecond(ours),
        share: `${Math.round((100 * ours) / bare)} %`
      })
    }
    console.table(trips)
    const idle: Array<Record<string, string | number>> = []
    for (const count of values.idle.split(",").map(Number)) {
      const alone = yield* Effect.scoped(idleBytes(count, Effect.succeed(noStream)))
      const overTcp = yield* idleOverTcp(count)
      idle.push({ "idle peers": count, "bytes each": Math.round(alone), "with its socket": Math.round(overTcp) })
    }
    console.table(idle)
  })
  return Effect.runPromise(Effect.provide(Effect.scoped(program), TcpTransport.layer))
}

if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  holdPeers(Number(process.argv[2]), Number(process.argv[3]))
}
