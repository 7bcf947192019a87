/**
 * Handshakes per second through the whole stack on loopback, and in the same run bare connections of node:net that carry the
 * same bytes.
 *
 *     npm run bench -- handshake [--count 2000] [--concurrency 50] [--rounds 5] [--clients 2]
 *
 * The node, and what stands beside it, are processes of their own. Their other ends are `--clients` processes, which count the
 * bytes they hear and look at none but the length of the first message; so on a machine with as many processors to spare it is
 * the measured process that has no more time. Where it has, `per CPU second` says what it could do. Rounds alternate. The last
 * two rows have both ends in this process, both of the library, and a byte each way where there is no node. Needs as many open
 * files as handshakes; writes nothing.
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
import { verack, version } from "./support/client.ts"
import { median } from "./support/figures.ts"

/** Dials and accepts as fast as it can, as often from one host as it likes. The book never is full: `addresses` has what that costs. */
const policy = {
  ...defaults,
  targetPeers: 20_000,
  dialInterval: Duration.zero,
  acceptInterval: Duration.zero,
  refuseInterval: Duration.zero,
  connectionsPerGroup: 1_000_000,
  addressBookCapacity: 1_000_000
}

// -- each end a process of its own -----------------------------------------------------------------

type Which = "node" | "bare"

/** `ip:port`. */
type Target = string

/** Dials these, or listens in so many places until the next order. */
type Order = { readonly dial: ReadonlyArray<Target>; readonly concurrency: number } | { readonly listen: number }

/** What became of an order: the CPU time of the process so far, where it listens, and what went wrong first. */
interface Done {
  readonly cpuMicros: number
  readonly listening: ReadonlyArray<Target>
  readonly failure: string | undefined
}

type Dial = (target: Target) => Effect.Effect<void, { readonly message: string }>

/** Does what it is told, one order at a time, from when it says its first word. */
const serve = (port: number, dial: Dial, listen?: (count: number) => Promise<ReadonlyArray<Target>>) =>
  Effect.callback<never>(() => {
    const follow = async (order: Order): Promise<Done> => {
      let failure: string | undefined
      let listening: ReadonlyArray<Target> = []
      if ("listen" in order) listening = (await listen?.(order.listen)) ?? []
      else {
        const dials = Effect.forEach(order.dial, dial, { concurrency: order.concurrency, discard: true })
        failure = await Effect.runPromise(
          Effect.match(dials, { onFailure: ({ message }) => message, onSuccess: () => undefined })
        )
      }
      const { system, user } = process.cpuUsage()
      return { cpuMicros: system + user, listening, failure }
    }
    process.on("message", (order: Order) => void follow(order).then((done) => process.send?.(done)))
    process.send?.(port)
  })

const nodeProcess = Effect.gen(function* () {
  const services = yield* Layer.build(
    Node.layer({ chain: regtest, listenAddress: PeerSocketAddress.fromStringUnsafe("127.0.0.1:0"), peers: [] })
  )
  const { port } = Option.getOrThrow(Context.get(services, Network).listenAddress)
  const connector = Context.get(services, Connector)
  return yield* serve(port, (target) =>
    Effect.asVoid(connector.connect({ whom: PeerSocketAddress.fromStringUnsafe(target), why: "manual" }))
  )
}).pipe(
  Effect.scoped,
  Effect.provideService(Policy, policy),
  Effect.provideService(References.MinimumLogLevel, "Error")
)

/** The same bytes, and no look at them: who has its number of bytes has shaken hands. */
const bareProcess = Effect.suspend(() => {
  const hello = Buffer.concat([version(), verack])
  const dial: Dial = (target) =>
    Effect.callback<void, Error>((resume) => {
      let heard = 0
      const socket = net.connect({ ...placeOf(target), noDelay: true }, () => socket.write(hello))
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

/** The cheapest peer: `version`, then `verack` when it hears something, until as much has come as the other's two take. */
const greet = (socket: net.Socket, onAgreed: () => void) => {
  let heard = 0
  let expected = 0
  socket.on("data", (bytes: Buffer) => {
    if (heard === 0) {
      expected = 2 * verack.length + bytes.readUInt32LE(16)
      socket.write(verack)
    }
    heard += bytes.length
    if (heard >= expected) onAgreed()
  })
  socket.write(hello)
}

const hello = version()

const placeOf = (target: Target) => {
  const [host = "", port] = target.split(":")
  return { host, port: Number(port) }
}

const clientProcess = Effect.suspend(() => {
  const dial: Dial = (target) =>
    Effect.callback<void, Error>((resume) => {
      const socket = net.connect({ ...placeOf(target), noDelay: true }, () =>
        greet(socket, () => {
          socket.destroy()
          resume(Effect.void)
        })
      )
      socket.on("error", (error) => resume(Effect.fail(error)))
      socket.on("end", () => resume(Effect.fail(new Error("refused"))))
    })
  // A place for each dial, for a node does not dial whom it is still connected with, in many networks.
  let servers: ReadonlyArray<net.Server> = []
  const listener = (host: string) =>
    new Promise<net.Server>((resolve) => {
      const server = net.createServer({ noDelay: true }, (socket) => {
        socket.on("error", () => socket.destroy())
        greet(socket, () => socket.destroy())
      })
      server.listen(0, host, () => resolve(server))
    })
  const listen = async (count: number) => {
    for (const server of servers) server.close()
    servers = await Promise.all(Array.from({ length: count }, (_, n) => listener(`127.${n % 250}.0.1`)))
    return servers.map((server) => {
      const { address, port } = server.address() as net.AddressInfo
      return `${address}:${port}`
    })
  }
  return serve(0, dial, listen)
})

interface Other {
  readonly child: ChildProcess
  readonly port: number
}

const start = async (which: Which | "client"): Promise<Other> => {
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

/** How much of `count` each of so many does. */
const shares = (count: number, among: number): ReadonlyArray<number> =>
  Array.from({ length: among }, (_, n) => Math.floor((count + n) / among))

/** Makes so many handshakes ready, and gives what does them. */
type Way = (
  other: Other,
  clients: ReadonlyArray<Other>,
  count: number,
  concurrency: number
) => Promise<() => Promise<unknown>>

const accepted: Way = async (other, clients, count, concurrency) => () =>
  Promise.all(
    shares(count, clients.length).map((share, n) =>
      done(clients[n]!, {
        dial: Array.from({ length: share }, () => `127.0.0.1:${other.port}`),
        concurrency: Math.ceil(concurrency / clients.length)
      })
    )
  )

const dialled: Way = async (other, clients, count, concurrency) => {
  const listening = shares(count, clients.length).map((share, n) => done(clients[n]!, { listen: share }))
  const targets = (await Promise.all(listening)).flatMap(({ listening }) => listening)
  return () => done(other, { dial: targets, concurrency })
}

/** Rounds that count for nothing: V8 is at work on new code for some ten thousand handshakes. */
const warmUps = 4

/** Of each round. */
interface Figures {
  readonly perSecond: Array<number>
  /** Of the process that is measured. */
  readonly cpuMicros: Array<number>
}

const apart = async (
  count: number,
  concurrency: number,
  rounds: number,
  clientCount: number
): Promise<ReadonlyArray<object>> => {
  const others = { bare: await start("bare"), node: await start("node") }
  const clients = await Promise.all(Array.from({ length: clientCount }, () => start("client")))
  const ways = { accepted, dialled }
  const figures = new Map<string, Figures>()
  const of = (way: string, which: Which): Figures => {
    const found = figures.get(`${way} ${which}`) ?? { perSecond: [], cpuMicros: [] }
    figures.set(`${way} ${which}`, found)
    return found
  }
  try {
    for (let round = -warmUps; round < rounds; round++) {
      for (const [way, measure] of Object.entries(ways)) {
        for (const which of ["bare", "node"] as const) {
          const work = await measure(others[which], clients, count, concurrency)
          const before = await done(others[which], { dial: [], concurrency })
          const started = process.hrtime.bigint()
          await work()
          const seconds = Number(process.hrtime.bigint() - started) / 1e9
          const after = await done(others[which], { dial: [], concurrency })
          if (round < 0) continue
          of(way, which).perSecond.push(count / seconds)
          of(way, which).cpuMicros.push((after.cpuMicros - before.cpuMicros) / count)
        }
      }
    }
  } finally {
    for (const { child } of [...Object.values(others), ...clients]) child.kill()
  }
  return Object.keys(ways).flatMap((way) => {
    const bare = of(way, "bare")
    return [row(`${way}, bare`, bare, bare), row(`${way} by a node`, of(way, "node"), bare)]
  })
}

const row = (what: string, { cpuMicros, perSecond }: Figures, bare: Figures) => ({
  what,
  "per second": Math.round(median(perSecond)),
  least: Math.round(Math.min(...perSecond)),
  most: Math.round(Math.max(...perSecond)),
  share: `${Math.round((100 * median(perSecond)) / median(bare.perSecond))} %`,
  "µs of CPU each": Math.round(median(cpuMicros)),
  "per CPU second": Math.round(1e6 / median(cpuMicros))
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
      rounds: { type: "string", default: "5" },
      clients: { type: "string", default: "2" }
    }
  })
  const [count, concurrency, clients] = [Number(values.count), Number(values.concurrency), Number(values.clients)]
  const program = Effect.gen(function* () {
    const rows = yield* Effect.promise(() => apart(count, concurrency, Number(values.rounds), clients))
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
  await Effect.runPromise(which === "node" ? nodeProcess : which === "bare" ? bareProcess : clientProcess)
