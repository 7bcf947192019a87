/**
 * Bytes of blocks per second that a node serves: a block of 1.9 MB, asked for again and again with `getdata`, and in the same run
 * a bare server of node:net that has the message ready and writes it.
 *
 *     npm run bench -- block [--count 200] [--clients 2] [--rounds 5]
 *
 * Both are processes of their own; the clients are this one, and count what they get without keeping it. Rounds alternate.
 * Loopback only, writes nothing.
 */
import { type ChildProcess, fork } from "node:child_process"
import * as net from "node:net"
import { parseArgs } from "node:util"
import { Context, Duration, Effect, Layer, Option, References, Result } from "effect"
import { Block, defaults, Message, Network, NodeAnswers, PeerSocketAddress, Policy, regtest } from "network-effect"
import { Node } from "network-effect/layers"
import { bigBlock } from "./support/block.ts"
import { type Client, connect, encoded, verack, version } from "./support/client.ts"
import { median } from "./support/figures.ts"

type Which = "node" | "bare"

const block = Result.getOrThrow(Block.Block.decode(bigBlock()))
const getdata = encoded(Message.Message.GetData({ items: [{ _tag: "Block", hash: block.hash }] }))

// -- the other process ----------------------------------------------------------------------------

/** Says where it listens, and its CPU time whenever it is asked. */
const serve = (port: number) => {
  process.on("message", () => {
    const { system, user } = process.cpuUsage()
    process.send?.(system + user)
  })
  process.send?.(port)
}

const nodeProcess = Effect.gen(function* () {
  const node = NodeAnswers.layerAdd({ block: () => Effect.succeed(Option.some(block)) }).pipe(
    Layer.provideMerge(
      Node.layer({ chain: regtest, listenAddress: PeerSocketAddress.fromStringUnsafe("127.0.0.1:0"), peers: [] })
    )
  )
  const services = yield* Layer.build(node)
  serve(Option.getOrThrow(Context.get(services, Network).listenAddress).port)
  return yield* Effect.never
}).pipe(
  Effect.scoped,
  Effect.provideService(Policy, {
    ...defaults,
    acceptInterval: Duration.zero,
    refuseInterval: Duration.zero,
    connectionsPerGroup: 1000
  }),
  Effect.provideService(References.MinimumLogLevel, "Error")
)

const bareProcess = Effect.callback<never>(() => {
  const hello = Buffer.concat([version(), verack])
  const message = encoded(Message.Message.Block({ block }))
  const server = net.createServer({ noDelay: true }, (socket) => {
    // Of the handshake first, then of what asks.
    let left = hello.length
    socket.on("error", () => socket.destroy())
    socket.on("data", (bytes) => {
      if (left === hello.length) socket.write(hello)
      for (left -= bytes.length; left <= -getdata.length; left += getdata.length) socket.write(message)
    })
  })
  server.listen(0, "127.0.0.1", () => serve((server.address() as net.AddressInfo).port))
})

// -- this one -------------------------------------------------------------------------------------

const told = (child: ChildProcess): Promise<number> => new Promise((resolve) => child.once("message", resolve))

const cpuMicros = (child: ChildProcess): Promise<number> => {
  const answer = told(child)
  child.send("cpu")
  return answer
}

/** Prints the table. */
export const run = async (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      count: { type: "string", default: "200" },
      clients: { type: "string", default: "2" },
      rounds: { type: "string", default: "5" }
    }
  })
  const [count, clients, rounds] = [Number(values.count), Number(values.clients), Number(values.rounds)]
  const sides: Array<{
    readonly which: Which
    readonly child: ChildProcess
    readonly open: ReadonlyArray<Client>
    readonly rates: Array<number>
    readonly cpu: Array<number>
  }> = []
  for (const which of ["bare", "node"] as const) {
    const child = fork(import.meta.filename, [which])
    // It is not to be waited for then.
    child.once("exit", (code) => code !== null && process.exit(1))
    const port = await told(child)
    const open = []
    for (let i = 0; i < clients; i++) open.push(await connect(port, "127.0.0.1"))
    sides.push({ which, child, open, rates: [], cpu: [] })
  }
  try {
    // The first round warms up.
    for (let round = 0; round <= rounds; round++) {
      for (const { child, cpu, open, rates } of sides) {
        const before = await cpuMicros(child)
        const started = process.hrtime.bigint()
        let left = count
        const drive = async (client: Client) => {
          while (left-- > 0) await client.ask(getdata, "block", 10_000)
        }
        await Promise.all(open.map(drive))
        const seconds = Number(process.hrtime.bigint() - started) / 1e9
        if (round === 0) continue
        rates.push((count * block.bytes.length) / seconds / 1e6)
        cpu.push(((await cpuMicros(child)) - before) / count)
      }
    }
  } finally {
    for (const { child, open } of sides) {
      for (const { socket } of open) socket.destroy()
      child.kill()
    }
  }
  const [bare] = sides
  console.table(
    sides.map(({ cpu, rates, which }) => ({
      what: which === "node" ? "a node" : "bare node:net",
      "MB per second": Math.round(median(rates)),
      least: Math.round(Math.min(...rates)),
      most: Math.round(Math.max(...rates)),
      share: Number((median(rates) / median(bare?.rates ?? [])).toFixed(2)),
      "ms of CPU each": Number((median(cpu) / 1000).toFixed(2))
    }))
  )
}

const [, script, which] = process.argv
if (process.send !== undefined && script === import.meta.filename)
  await Effect.runPromise(which === "node" ? nodeProcess : bareProcess)
