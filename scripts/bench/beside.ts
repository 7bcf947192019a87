/**
 * A foreign node and ours, driven by the same clients in the same run, alternating.
 *
 *     npm run bench -- beside --command "PROGRAM --listen {listen} --peers {peers}" [--ours PROGRAM] [--rounds 5] [--requests 10000]
 *
 * In the command, `{listen}` becomes the address to listen on and `{peers}` the addresses to dial, with commas; a word that
 * holds `{peers}` is left out, with the flag before it, where there is nobody to dial. Ours is the one of this folder, run from
 * its source, which is slower and larger than the package: `--ours node_modules/.bin/network-effect` is the one of a folder that
 * it is installed in. Regtest, loopback only. Both nodes are
 * processes of their own, and so are the clients. Rounds are of nodes that run already: what V8 does with code that is new is over
 * after some ten thousand messages, which count for nothing. A node that takes one connection in a second is waited for, and what is
 * measured begins when it has taken it. Writes nothing that stays.
 */
import { type ChildProcess, fork, spawn } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { Message } from "network-effect"
import { type Client, connect, encoded, shakeHands } from "./support/client.ts"
import { median, percentile, residentKiB } from "./support/figures.ts"

type Kind = "ping" | "getaddr"

const asks: Readonly<Record<Kind, { readonly bytes: Uint8Array; readonly answer: string }>> = {
  ping: { bytes: encoded(Message.Message.Ping({ nonce: 1n })), answer: "pong" },
  getaddr: { bytes: encoded(Message.Message.GetAddr()), answer: "addr" }
}

const sleep = (millis: number) => new Promise((resolve) => setTimeout(resolve, millis))

// -- clients: a process of their own --------------------------------------------------------------

/** What the clients are told, and what they tell. */
interface Order {
  readonly port: number
  readonly clients: number
  readonly kind: Kind
  readonly requests: number
}
interface Told {
  readonly handshakes: ReadonlyArray<number>
  readonly perSecond: number
  readonly p50: number
  readonly p99: number
  readonly lost: number
}

let hosts = 0
/** Never the same one twice: a node remembers who came. */
const nextHost = () => {
  hosts++
  return `127.88.${(hosts >> 8) & 255}.${hosts & 255}`
}

/** Tries until it is let in. */
const connected = async (port: number): Promise<Client> => {
  for (let tries = 0; ; tries++) {
    try {
      return await connect(port, nextHost())
    } catch (error) {
      if (tries === 30) throw error
      await sleep(200)
    }
  }
}

const drive = async ({ clients: count, kind, port, requests }: Order): Promise<Told> => {
  const clients: Array<Client> = []
  for (let i = 0; i < count; i++) clients.push(await connected(port))
  const { answer, bytes } = asks[kind]
  const took: Array<number> = []
  let lost = 0
  const started = process.hrtime.bigint()
  await Promise.all(
    clients.map(async (client) => {
      for (let i = 0; i < requests / count; i++) {
        const began = process.hrtime.bigint()
        try {
          await client.ask(bytes, answer, 2000)
          took.push(Number(process.hrtime.bigint() - began) / 1e6)
        } catch {
          lost++
          // One that does not answer at all is not asked a thousand times.
          if (lost > 3) return
        }
      }
    })
  )
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  for (const { socket } of clients) socket.destroy()
  return {
    handshakes: clients.map(({ handshakeMillis }) => handshakeMillis),
    perSecond: took.length / seconds,
    p50: percentile(took, 0.5),
    p99: percentile(took, 0.99),
    lost
  }
}

if (import.meta.main) {
  process.on("message", (order: Order) => {
    void drive(order).then(
      (told) => process.send?.(told),
      (error: unknown) => process.send?.({ error: String(error) })
    )
  })
}

// -- nodes ----------------------------------------------------------------------------------------

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = net.createServer()
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo
      server.close(() => resolve(port))
    })
  })

interface Running {
  readonly port: number
  readonly child: ChildProcess
}

/** Each node has a folder of its own in here, or a second one would not start. */
let homes = ""

const run = (words: ReadonlyArray<string>): ChildProcess => {
  const [program = "", ...args] = words
  const home = mkdtempSync(join(homes, "home-"))
  return spawn(program, args, {
    stdio: "ignore",
    env: { ...process.env, NETWORK_EFFECT_STATUS: "off", HOME: home, XDG_CACHE_HOME: home }
  })
}

const isUp = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = net.connect({ host: "127.0.0.1", port, localAddress: nextHost() }, () => {
      socket.destroy()
      resolve(true)
    })
    socket.once("error", () => resolve(false))
  })

type Which = "theirs" | "ours"

/** How each node is started. */
type Commands = Readonly<Record<Which, string>>

const wordsOf = (
  which: Which,
  commands: Commands,
  listen: string,
  peers: ReadonlyArray<string>
): ReadonlyArray<string> => {
  if (which === "ours") {
    const dialled = peers.flatMap((peer) => ["--peer", peer])
    return [process.execPath, commands.ours, "start", "--network", "regtest", "--listen", listen, ...dialled]
  }
  const words = commands.theirs.split(/\s+/).filter((word) => word !== "")
  return words
    .filter((word, i) => peers.length > 0 || !(word.includes("{peers}") || words[i + 1]?.includes("{peers}")))
    .map((word) => word.replace("{listen}", listen).replace("{peers}", peers.join(",")))
}

const startNode = async (which: Which, commands: Commands): Promise<Running> => {
  const port = await freePort()
  const child = run(wordsOf(which, commands, `127.0.0.1:${port}`, []))
  for (let tries = 0; !(await isUp(port)); tries++) {
    if (tries > 200 || child.exitCode !== null) throw new Error(`${which} does not listen on 127.0.0.1:${port}`)
    await sleep(50)
  }
  return { port, child }
}

/**
 * Seconds from the start of a node that is given so many peers to its handshake with the last. Ours dials a host once, so each
 * peer has one of its own; Zebra's dials no loopback address but 127.0.0.1.
 */
const dialAll = async (which: Which, commands: Commands, count: number): Promise<number> => {
  const servers: Array<net.Server> = []
  const sockets: Array<net.Socket> = []
  let shaken = 0
  try {
    for (let i = 0; i < count; i++) {
      const server = net.createServer({ noDelay: true }, (socket) => {
        sockets.push(socket)
        shakeHands(socket, 10_000).then(
          () => shaken++,
          () => undefined
        )
      })
      await new Promise<void>((resolve) => server.listen(0, which === "ours" ? nextHost() : "127.0.0.1", resolve))
      servers.push(server)
    }
    const peers = servers.map((server) => {
      const { address, port } = server.address() as net.AddressInfo
      return `${address}:${port}`
    })
    const started = process.hrtime.bigint()
    const child = run(wordsOf(which, commands, `127.0.0.1:${await freePort()}`, peers))
    try {
      for (let tries = 0; shaken < count && tries < 3000; tries++) await sleep(10)
      return shaken < count ? Number.NaN : Number(process.hrtime.bigint() - started) / 1e9
    } finally {
      child.kill("SIGKILL")
    }
  } finally {
    for (const socket of sockets) socket.destroy()
    for (const server of servers) server.close()
  }
}

// -- the table ------------------------------------------------------------------------------------

/** Prints the table. */
const bench = async (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      command: { type: "string" },
      ours: { type: "string", default: new URL("../../layers/bin.js", import.meta.url).pathname },
      rounds: { type: "string", default: "5" },
      requests: { type: "string", default: "10000" },
      idle: { type: "string", default: "20" },
      dials: { type: "string", default: "20" }
    }
  })
  if (values.command === undefined) {
    console.error('bench: say which node to run: --command "PROGRAM --listen {listen} --peers {peers}"')
    process.exitCode = 1
    return
  }
  const commands = { theirs: values.command, ours: values.ours }
  homes = mkdtempSync(join(tmpdir(), "network-effect-beside-"))
  const clients = fork(import.meta.filename)
  const order = (what: Order) =>
    new Promise<Told>((resolve, reject) => {
      clients.once("message", (told: Told | { readonly error: string }) =>
        "error" in told ? reject(new Error(told.error)) : resolve(told)
      )
      clients.send(what)
    })
  const figures = new Map<string, Record<Which, Array<number>>>()
  const note = (what: string, which: Which, value: number) => {
    const row = figures.get(what) ?? { theirs: [], ours: [] }
    figures.set(what, row)
    row[which].push(value)
  }
  const running: Partial<Record<Which, Running>> = {}
  try {
    for (const which of ["theirs", "ours"] as const) running[which] = await startNode(which, commands)
    const requests = Number(values.requests)
    for (const which of ["theirs", "ours"] as const) {
      const port = running[which]?.port ?? 0
      await order({ port, clients: 5, kind: "ping", requests: 3 * requests })
      await order({ port, clients: 1, kind: "getaddr", requests: 1000 })
    }
    for (let round = 0; round < Number(values.rounds); round++) {
      for (const which of ["theirs", "ours"] as const) {
        const node = running[which]
        if (node === undefined) continue
        const before = residentKiB(node.child)
        for (const count of [1, 5]) {
          const told = await order({ port: node.port, clients: count, kind: "ping", requests })
          for (const millis of told.handshakes) note("handshake, ms", which, millis)
          note(`pings per second, ${count} clients`, which, told.perSecond)
          note(`ping of ${count} clients, p50 ms`, which, told.p50)
          note(`ping of ${count} clients, p99 ms`, which, told.p99)
          note("pings lost", which, told.lost)
        }
        const addresses = await order({ port: node.port, clients: 1, kind: "getaddr", requests: 500 })
        note("getaddr, p50 ms", which, addresses.p50)
        note("getaddr without an answer", which, addresses.lost)
        if (round === 0) {
          const idle: Array<Client> = []
          const empty = residentKiB(node.child)
          for (let i = 0; i < Number(values.idle); i++) idle.push(await connected(node.port))
          await sleep(1000)
          note("KiB per idle peer", which, (residentKiB(node.child) - empty) / idle.length)
          note("KiB resident", which, before)
          for (const { socket } of idle) socket.destroy()
        }
        note(`seconds to ${values.dials} dials`, which, await dialAll(which, commands, Number(values.dials)))
      }
    }
  } finally {
    for (const node of Object.values(running)) node.child.kill("SIGKILL")
    clients.kill()
    rmSync(homes, { recursive: true, force: true })
  }
  const shown = (value: number) => (Number.isNaN(value) ? "none" : Number(value.toPrecision(3)))
  console.table(
    [...figures].map(([what, { ours, theirs }]) => ({
      what,
      theirs: shown(median(theirs)),
      ours: shown(median(ours)),
      least: shown(Math.min(...ours)),
      most: shown(Math.max(...ours)),
      "ours to theirs": shown(median(ours) / median(theirs))
    }))
  )
}

export { bench as run }
