/**
 * Handshakes per second through the whole stack on loopback, and in the same run bare connections of node:net that carry the
 * same bytes.
 *
 *     npm run bench -- handshake [--count 2000] [--concurrency 50] [--rounds 5]
 *
 * The node, and what stands beside it, are processes of their own; their other end is this one, which speaks no more of the
 * protocol than it has to. Rounds alternate. The last two rows have both ends in this process, both of the library, and a byte
 * each way where there is no node. Needs as many open files as handshakes; writes nothing.
 */
import { type ChildProcess, fork } from "node:child_process"
import * as net from "node:net"
import { parseArgs } from "node:util"
import { Context, Duration, Effect, Layer, Option, References } from "effect"
import { SecureRandom } from "effect/crypto"
import {
  ChainParams,
  Connector,
  defaults,
  IsolatedPeer,
  Network,
  PeerSocketAddress,
  Policy,
  regtest,
  TcpTransport
} from "network-effect"
import { Node } from "network-effect/layers"
import { connect, shakeHands, verack, version } from "./support/client.ts"

/** Dials and accepts as fast as it can, as often from one host as it likes. */
const policy = {
  ...defaults,
  targetPeers: 20_000,
  dialInterval: Duration.zero,
  acceptInterval: Duration.zero,
  refuseInterval: Duration.zero,
  connectionsPerGroup: 1_000_000
}

// -- each end a process of its own -----------------------------------------------------------------

type Which = "node" | "bare"

/** Dials to these ports of 127.0.0.1. */
interface Order {
  readonly ports: ReadonlyArray<number>
  readonly concurrency: number
}

/** What became of an order: its seconds, the CPU time of the process so far, and what went wrong first. */
interface Done {
  readonly seconds: number
  readonly cpuMicros: number
  readonly failure: string | undefined
}

const timed = (work: Effect.Effect<void, { readonly message: string }>) =>
  Effect.gen(function* () {
    const started = process.hrtime.bigint()
    const failure = yield* Effect.match(work, { onFailure: ({ message }) => message, onSuccess: () => undefined })
    const { system, user } = process.cpuUsage()
    return { seconds: Number(process.hrtime.bigint() - started) / 1e9, cpuMicros: system + user, failure }
  })

/** Listens, and dials when it is told to. */
const serve = (port: number, dial: (port: number) => Effect.Effect<void, { readonly message: string }>) =>
  Effect.callback<never>(() => {
    process.on("message", ({ concurrency, ports }: Order) => {
      void Effect.runPromise(timed(Effect.forEach(ports, dial, { concurrency, discard: true }))).then((done) =>
        process.send?.(done satisfies Done)
      )
    })
    process.send?.(port)
  })

const nodeProcess = Effect.gen(function* () {
  const services = yield* Layer.build(
    Node.layer({ chain: regtest, listenAddress: PeerSocketAddress.fromStringUnsafe("127.0.0.1:0"), peers: [] })
  )
  const { port } = Option.getOrThrow(Context.get(services, Network).listenAddress)
  const connector = Context.get(services, Connector)
  return yield* serve(port, (port) =>
    Effect.asVoid(connector.connect({ whom: PeerSocketAddress.fromStringUnsafe(`127.0.0.1:${port}`), why: "manual" }))
  )
}).pipe(
  Effect.scoped,
  Effect.provideService(Policy, policy),
  Effect.provideService(References.MinimumLogLevel, "Error")
)

/** The same bytes, and no look at them: who has its number of bytes has shaken hands. */
const bareProcess = Effect.suspend(() => {
  const hello = Buffer.concat([version(), verack])
  const dial = (port: number) =>
    Effect.callback<void, Error>((resume) => {
      let heard = 0
      const socket = net.connect({ port, host: "127.0.0.1", noDelay: true }, () => socket.write(hello))
      socket.on("error", (error) => resume(Effect.fail(error)))
      socket.on("data", (bytes) => {
        heard += bytes.length
        if (heard >= hello.length) resume(Effect.void)
      })
    })
  return Effect.callback<number>((resume) => {
    const server = net.createServer({ noDelay: true }, (socket) => {
      socket.on("error", () => socket.destroy())
      socket.once("data", () => socket.write(hello))
    })
    server.listen(0, "127.0.0.1", 1024, () => resume(Effect.succeed((server.address() as net.AddressInfo).port)))
  }).pipe(Effect.flatMap((port) => serve(port, dial)))
})

interface Other {
  readonly child: ChildProcess
  readonly port: number
}

const start = async (which: Which): Promise<Other> => {
  const child = fork(import.meta.filename, [which])
  const port = await new Promise<number>((resolve, reject) => {
    child.once("message", resolve)
    child.once("exit", (code) => reject(new Error(`the process of the ${which} end is over: ${code}`)))
  })
  return { child, port }
}

const done = ({ child }: Other, order: Order): Promise<Done> =>
  new Promise((resolve, reject) => {
    child.once("message", (done: Done) =>
      done.failure === undefined ? resolve(done) : reject(new Error(done.failure))
    )
    child.send(order)
  })

/** Seconds in which it accepts so many handshakes. */
const accepted = async (other: Other, count: number, concurrency: number): Promise<number> => {
  const started = process.hrtime.bigint()
  let left = count
  const drive = async () => {
    while (left-- > 0) (await connect(other.port, "127.0.0.1")).socket.destroy()
  }
  await Promise.all(Array.from({ length: concurrency }, drive))
  return Number(process.hrtime.bigint() - started) / 1e9
}

/** Seconds in which it dials so many. Each listener once: a node does not dial whom it is still connected with. */
const dialled = async (other: Other, count: number, concurrency: number): Promise<number> => {
  const listener = () =>
    new Promise<net.Server>((resolve) => {
      const server = net.createServer({ noDelay: true }, (socket) => {
        const leave = () => socket.destroy()
        shakeHands(socket, 10_000).then(leave, leave)
      })
      server.listen(0, "127.0.0.1", () => resolve(server))
    })
  const servers = await Promise.all(Array.from({ length: count }, listener))
  const ports = servers.map((server) => (server.address() as net.AddressInfo).port)
  const { seconds } = await done(other, { ports, concurrency })
  for (const server of servers) server.close()
  return seconds
}

/** Of each round. */
interface Figures {
  readonly perSecond: Array<number>
  /** Of the process that is measured. */
  readonly cpuMicros: Array<number>
}

const apart = async (count: number, concurrency: number, rounds: number): Promise<ReadonlyArray<object>> => {
  const others = { bare: await start("bare"), node: await start("node") }
  const ways = { accepted, dialled }
  const figures = new Map<string, Figures>()
  const of = (way: string, which: Which): Figures => {
    const found = figures.get(`${way} ${which}`) ?? { perSecond: [], cpuMicros: [] }
    figures.set(`${way} ${which}`, found)
    return found
  }
  try {
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const [way, measure] of Object.entries(ways)) {
        for (const which of ["bare", "node"] as const) {
          const before = await done(others[which], { ports: [], concurrency })
          const seconds = await measure(others[which], count, concurrency)
          const after = await done(others[which], { ports: [], concurrency })
          if (round === 0) continue
          of(way, which).perSecond.push(count / seconds)
          of(way, which).cpuMicros.push((after.cpuMicros - before.cpuMicros) / count)
        }
      }
    }
  } finally {
    for (const { child } of Object.values(others)) child.kill()
  }
  return Object.keys(ways).flatMap((way) => {
    const bare = of(way, "bare")
    return [row(`${way}, bare`, bare, bare), row(`${way} by a node`, of(way, "node"), bare)]
  })
}

const median = (values: ReadonlyArray<number>): number => values.toSorted((a, b) => a - b)[values.length >> 1] ?? 0

const row = (what: string, { cpuMicros, perSecond }: Figures, bare: Figures) => ({
  what,
  "per second": Math.round(median(perSecond)),
  least: Math.round(Math.min(...perSecond)),
  most: Math.round(Math.max(...perSecond)),
  share: `${Math.round((100 * median(perSecond)) / median(bare.perSecond))} %`,
  "µs of CPU each": Math.round(median(cpuMicros))
})

// -- both ends in this process -------------------------------------------------------------------

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
  return yield* figuresOf(once, count, concurrency)
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
  return yield* figuresOf(once, count, concurrency)
}, Effect.scoped)

const figuresOf = Effect.fnUntraced(function* <R>(
  once: Effect.Effect<void, never, R>,
  count: number,
  concurrency: number
) {
  const cpuBefore = process.cpuUsage()
  const started = process.hrtime.bigint()
  yield* Effect.forEach(Array.from({ length: count }), () => once, { concurrency, discard: true })
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  const { system, user } = process.cpuUsage(cpuBefore)
  return { perSecond: [count / seconds], cpuMicros: [(system + user) / count] } satisfies Figures
})

/** Prints the table. */
export const run = (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      count: { type: "string", default: "2000" },
      concurrency: { type: "string", default: "50" },
      rounds: { type: "string", default: "5" }
    }
  })
  const [count, concurrency] = [Number(values.count), Number(values.concurrency)]
  const program = Effect.gen(function* () {
    const rows = yield* Effect.promise(() => apart(count, concurrency, Number(values.rounds)))
    // Once each to warm up.
    yield* bare(count, concurrency)
    yield* whole(count, concurrency)
    const bareFigures = yield* bare(count, concurrency)
    const figures = yield* whole(count, concurrency)
    console.table([
      ...rows,
      row("both ends here, bare", bareFigures, bareFigures),
      row("both ends here, the whole stack", figures, bareFigures)
    ])
  })
  return Effect.runPromise(
    program.pipe(Effect.provideService(Policy, policy), Effect.provideService(References.MinimumLogLevel, "Error"))
  )
}

const [, script, which] = process.argv
if (process.send !== undefined && script === import.meta.filename)
  await Effect.runPromise(which === "node" ? nodeProcess : bareProcess)
