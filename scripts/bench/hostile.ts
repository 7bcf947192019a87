/**
 * What strangers and a standard stream can do to an honest peer of a node, and to the machine the node is on.
 *
 *     npm run bench -- hostile [--seconds 10] [--only inv,drips] [--realtime]
 *
 * For each load a node of its own, as `network-effect start` runs it. An honest peer pings it twenty times a second before,
 * during and after the load; the load comes from a process of its own. Printed are that peer's pings, the node's memory, and
 * what it wrote to stdout and stderr, carried forward to an hour. Loopback only.
 *
 * On a machine with other work to do, `--realtime` (Linux, as root) puts the honest peer before the node, the node before its
 * load, and all of them before the rest. `chrt -r` is no way to do that: whoever shares a core then waits for a turn of 100 ms
 * to end, and that is what would be measured.
 */
import { execFileSync, fork, spawn, type ChildProcess } from "node:child_process"
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync } from "node:fs"
import * as net from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { regtest } from "../../src/chain/ChainParams.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { residentKiB } from "./support/figures.ts"

const framed = (command: string, body: Uint8Array = new Uint8Array()): Buffer =>
  Buffer.from(Frame.encode(regtest.magic, { command, body }))

// -- a peer of few words ---------------------------------------------------------------------------------------------

let drawn = 0

/** A `version` with a nonce of its own. */
const version = (): Buffer => {
  const body = Buffer.alloc(86)
  body.writeUInt32LE(170_190, 0)
  body.writeBigUInt64LE(1n, 4)
  body.writeBigInt64LE(BigInt(Math.floor(Date.now() / 1000)), 12)
  for (const at of [20, 46]) {
    body.writeBigUInt64LE(1n, at)
    body.set([0xff, 0xff, 127, 0, 0, 1], at + 18)
  }
  body.writeUInt32LE(process.pid, 72)
  body.writeUInt32LE(++drawn, 76)
  body[85] = 1
  return framed("version", body)
}

/** A connection with a node that has shaken hands. Answers nothing; `heard` is told each command with its body. */
const shakeHands = (port: number, localAddress: string, heard: (command: string, body: Buffer) => void = () => {}) =>
  new Promise<net.Socket>((resolve, reject) => {
    const socket = net.connect({ port, host: "127.0.0.1", localAddress })
    socket.setNoDelay(true)
    let bytes: Buffer = Buffer.alloc(0)
    socket.once("error", reject)
    socket.once("close", () => reject(new Error("the node closed the connection")))
    socket.once("connect", () => socket.write(version()))
    socket.on("data", (chunk: Buffer) => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk])
      while (bytes.length >= 24 && bytes.length >= 24 + bytes.readUInt32LE(16)) {
        const end = 24 + bytes.readUInt32LE(16)
        const command = bytes.toString("latin1", 4, 16).replace(/\0+$/, "")
        const body = bytes.subarray(24, end)
        if (command === "version") socket.write(framed("verack"))
        else if (command === "verack") resolve(socket)
        else if (command === "ping") socket.write(framed("pong", body))
        else heard(command, body)
        bytes = bytes.subarray(end)
      }
    })
  })

/** Inbound connections are let in one after the other, and some not at once. */
const joinWhenLetIn = async (port: number, localAddress: string, heard?: (command: string, body: Buffer) => void) => {
  for (let tries = 0; ; tries++) {
    try {
      return await shakeHands(port, localAddress, heard)
    } catch (error) {
      if (tries === 20) throw error
      await sleep(500)
    }
  }
}

// -- the loads, each in a process of its own ---------------------------------------------------------------------------

interface Place {
  readonly port: number
  readonly status: number
}

/** Sends one message over and over, as fast as it is taken, and in turns with others: a node that is quicker never says wait. */
const flood = (socket: net.Socket, bytes: () => Buffer): void => {
  const send = () => {
    if (!socket.destroyed && socket.write(bytes())) setImmediate(send)
  }
  socket.on("drain", send)
  send()
}

const inventory = (command: string, items: number) => {
  let sent = 0
  return () => {
    const body = Buffer.alloc(3 + 36 * items)
    body[0] = 0xfd
    body.writeUInt16LE(items, 1)
    sent++
    for (let item = 0; item < items; item++) {
      body.writeUInt32LE(1, 3 + 36 * item)
      body.writeUInt32LE(item, 7 + 36 * item)
      body.writeUInt32LE(sent, 11 + 36 * item)
    }
    return framed(command, body)
  }
}

const addresses = () => {
  const body = Buffer.alloc(3 + 30 * 1000)
  body[0] = 0xfd
  body.writeUInt16LE(1000, 1)
  for (let item = 0; item < 1000; item++) {
    const at = 3 + 30 * item
    body.writeUInt32LE(Math.floor(Date.now() / 1000), at)
    body.writeBigUInt64LE(1n, at + 4)
    body.set([0xff, 0xff, 10, item >> 8, item & 0xff, 1 + (drawn++ % 250)], at + 22)
    body.writeUInt16BE(18_233, at + 28)
  }
  return framed("addr", body)
}

const floodOf =
  (message: () => () => Buffer) =>
  async ({ port }: Place) => {
    const sockets = await Promise.all([1, 2, 3, 4].map((n) => joinWhenLetIn(port, `127.${n + 2}.0.1`)))
    for (const socket of sockets) {
      socket.removeAllListeners("error").on("error", () => {})
      flood(socket, message())
    }
  }

const http = (status: number, request: string) => {
  const socket = net.connect(status, "127.0.0.1", () => socket.write(request))
  socket.on("error", () => {})
  return socket
}

const get = (status: number, path: string) => `GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${status}\r\n\r\n`

/** Whoever was cut comes again. */
const again = (start: () => net.Socket): void => {
  start().once("close", () => setTimeout(() => again(start), 10))
}

const loads: Readonly<Record<string, (place: Place) => Promise<void>>> = {
  inv: floodOf(() => inventory("inv", 1000)),
  getdata: floodOf(() => inventory("getdata", 1000)),
  addr: floodOf(() => addresses),
  connects: async ({ port }) => {
    for (let n = 0; n < 40; n++) {
      const loop = () => {
        const socket = net.connect({ port, host: "127.0.0.1", localAddress: "127.3.0.1" }, () => socket.destroy())
        socket.on("error", () => {}).once("close", () => setImmediate(loop))
      }
      loop()
    }
  },
  "slow-readers": async ({ status }) => {
    for (let n = 0; n < 200; n++) again(() => http(status, get(status, "/docs")).pause())
  },
  pipelines: async ({ status }) => {
    const requests = get(status, "/docs").repeat(200)
    for (let n = 0; n < 10; n++) again(() => http(status, requests).resume())
  },
  drips: async ({ status }) => {
    for (let n = 0; n < 2000; n++) {
      again(() => {
        const socket = http(status, "GET / HTTP/1.1\r\n")
        const drip = setInterval(() => socket.write("x"), 1000)
        return socket.once("close", () => clearInterval(drip))
      })
    }
  },
  /** The node's stdout is a pipe that nobody reads, and its lines are JSON. */
  "stalled-stdout": floodOf(() => inventory("inv", 1000))
}

/** Who runs first where there are fewer cores than processes: the higher number. */
const turns = { peer: 30, node: 20, load: 10 }

const isRealtime = process.argv.includes("--realtime")

/** First in, first out among those of its number, and before everything that has none. */
const takeTurn = (who: keyof typeof turns, pid: number | undefined): void => {
  if (isRealtime) execFileSync("chrt", ["--all-tasks", "--fifo", "--pid", String(turns[who]), String(pid)])
}

// -- the node and the honest peer ----------------------------------------------------------------------------------------

const nodeWith = async (folder: string, isStalled: boolean) => {
  const [out, err] = ["out", "err"].map((name) => join(folder, name)) as [string, string]
  const descriptors = [openSync(out, "w"), openSync(err, "w")] as const
  const args = ["layers/bin.js", "start", "--network", "regtest", "--listen", "127.0.0.1:0", "--status", "127.0.0.1:0"]
  const child = spawn(process.execPath, [...args, ...(isStalled ? ["--json"] : [])], {
    cwd: new URL("../..", import.meta.url).pathname,
    stdio: ["ignore", isStalled ? "pipe" : descriptors[0], descriptors[1]],
    env: { ...process.env, HOME: folder, XDG_CACHE_HOME: folder }
  })
  descriptors.forEach(closeSync)
  takeTurn("node", child.pid)
  // Read as far as the addresses, and then no more.
  let head = ""
  child.stdout?.on("data", (chunk: Buffer) => {
    head += chunk.toString()
    if (head.includes("StatusListening")) child.stdout?.removeAllListeners("data").pause()
  })
  const logs = () => readFileSync(err, "utf8")
  const portOf = (message: string) =>
    Number(new RegExp(`"message":"${message}".*?"address":"127.0.0.1:(\\d+)"`).exec(logs())?.[1] ?? 0)
  for (let tries = 0; portOf("status interface listens") === 0; tries++) {
    if (tries > 600) throw new Error(`the node did not start: ${logs()}`)
    await sleep(100)
  }
  return {
    child,
    place: { port: portOf("listening"), status: portOf("status interface listens") },
    written: () => statSync(out).size + statSync(err).size,
    /** In megabytes. */
    memory: () => residentKiB(child) / 1024
  }
}

/** Pings twenty times a second; the round trips in milliseconds of each time that is asked for. */
const honestPeer = async (port: number) => {
  let trips: Array<number> = []
  const sent = new Map<string, number>()
  const socket = await joinWhenLetIn(port, "127.2.0.1", (command, body) => {
    const at = command === "pong" ? sent.get(body.toString("hex")) : undefined
    if (at !== undefined) trips.push(performance.now() - at)
    sent.delete(body.toString("hex"))
  })
  let isLost = false
  socket.removeAllListeners("error").on("error", () => {})
  socket.once("close", () => (isLost = true))
  const pinging = setInterval(() => {
    const nonce = Buffer.alloc(8)
    nonce.writeUInt32LE(++drawn, 0)
    sent.set(nonce.toString("hex"), performance.now())
    socket.write(framed("ping", nonce))
  }, 50)
  return {
    isLost: () => isLost,
    during: async (seconds: number) => {
      trips = []
      await sleep(seconds * 1000)
      // What has no answer yet counts for as long as it waits.
      const open = [...sent.values()].map((at) => performance.now() - at)
      return [...trips, ...open].toSorted((a, b) => a - b)
    },
    leave: () => {
      clearInterval(pinging)
      socket.destroy()
    }
  }
}

const at = (sorted: ReadonlyArray<number>, part: number): number =>
  Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN) * 10) / 10

const ended = (child: ChildProcess) =>
  new Promise<void>((resolve) => {
    child.once("close", () => resolve())
    child.stdout?.resume()
    child.kill("SIGTERM")
  })

/** Of an idle machine. */
const goals = { p99: 100, max: 500, grown: 64, bytesPerHour: 1_000_000 }

const measure = async (load: string, seconds: number) => {
  const folder = mkdtempSync(join(tmpdir(), "network-effect-hostile-"))
  const node = await nodeWith(folder, load === "stalled-stdout")
  try {
    const peer = await honestPeer(node.place.port)
    const quiet = Math.min(5, seconds)
    await peer.during(2)
    const before = await peer.during(quiet)
    const [memoryBefore, writtenBefore] = [node.memory(), node.written()]
    const attacker = fork(import.meta.filename, [load, JSON.stringify(node.place)])
    takeTurn("load", attacker.pid)
    await new Promise((resolve) => attacker.once("message", resolve))
    let most = 0
    const looking = setInterval(() => (most = Math.max(most, node.memory())), 200)
    const during = await peer.during(seconds)
    clearInterval(looking)
    const written = node.written() - writtenBefore
    attacker.kill("SIGKILL")
    const after = await peer.during(quiet)
    const rows = Object.entries({ before, during, after }).map(([when, trips]) => ({
      load,
      when,
      "p50 ms": at(trips, 0.5),
      "p99 ms": at(trips, 0.99),
      "max ms": at(trips, 1),
      "RSS MB": Math.round(when === "before" ? memoryBefore : when === "during" ? most : node.memory()),
      "written, MB an hour": when === "during" ? Math.round((written * 3600) / seconds / 1e4) / 100 : ""
    }))
    const missed = [
      ...(peer.isLost() ? ["the honest peer was let go"] : []),
      ...(at(during, 0.99) > goals.p99 ? ["p99"] : []),
      ...(at(during, 1) > goals.max ? ["max"] : []),
      ...(most - memoryBefore > goals.grown ? ["memory"] : []),
      ...((written * 3600) / seconds > goals.bytesPerHour ? ["bytes written"] : [])
    ]
    peer.leave()
    return { rows, missed: missed.length === 0 ? "" : `${load}: ${missed.join(", ")}` }
  } finally {
    await ended(node.child)
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Prints the table, and which of the goals for an idle machine were missed. */
export const run = async (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seconds: { type: "string", default: "10" },
      only: { type: "string" },
      realtime: { type: "boolean", default: false }
    }
  })
  takeTurn("peer", process.pid)
  const names = values.only?.split(",") ?? Object.keys(loads)
  const unknown = names.filter((name) => !Object.hasOwn(loads, name))
  if (unknown.length > 0)
    throw new Error(`no such load: ${unknown.join(", ")}; there are ${Object.keys(loads).join(", ")}`)
  const results = []
  for (const name of names) results.push(await measure(name, Number(values.seconds)))
  console.table(results.flatMap(({ rows }) => rows))
  const missed = results.map(({ missed }) => missed).filter((text) => text !== "")
  const goalText = `p99 below ${goals.p99} ms, max below ${goals.max} ms, RSS below +${goals.grown} MB, 1 MB written an hour`
  console.log(missed.length === 0 ? `all within the goals: ${goalText}` : `missed (${goalText}):\n${missed.join("\n")}`)
}

const [, script, load = "", place = ""] = process.argv
if (process.send !== undefined && script === import.meta.filename) {
  await loads[load]?.(JSON.parse(place) as Place)
  process.send("ready")
}
