/**
 * What a node costs from its start on: the time until it listens, its memory then, and with peers after some minutes; beside
 * `node -e 0` in the same run.
 *
 *     npm run bench -- start [--ours PROGRAM] [--rounds 5] [--minutes 10] [--peers 20]
 *
 * Ours is the one of this folder, run from its source; `--ours node_modules/network-effect/dist/layers/bin.js` is an installed
 * one. With the status interface and without it. Every start but the first finds what V8 compiled in a folder of caches, as on
 * any machine. Then two nodes, one of each kind, are met by so many peers and left alone for those minutes; `--minutes 0` leaves
 * that out. Linux, loopback only; writes nothing that stays.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { parseArgs } from "node:util"
import { connect } from "./support/client.ts"
import { median, residentKiB } from "./support/figures.ts"

interface Started {
  readonly child: ChildProcess
  readonly port: number
  /** From the start of the process to the line that says that it listens. */
  readonly seconds: number
  readonly cpuSeconds: number
  readonly megabytes: number
}

/** Ticks of `/proc/PID/stat` a second. Source: proc_pid_stat(5), `sysconf(_SC_CLK_TCK)`, which is 100 on every Linux there is. */
const ticks = 100

const cpuOf = (pid: number | undefined): number => {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8")
    .replace(/^.*\) /, "")
    .split(" ")
  return (Number(fields[11]) + Number(fields[12])) / ticks
}

const listening = /"message":"listening".*?"address":"127\.0\.0\.1:(\d+)"/

/** Those that run: none stays when a start fails. */
const running = new Set<ChildProcess>()

const start = async (program: string, home: string, hasStatus: boolean): Promise<Started> => {
  const from = process.hrtime.bigint()
  const child = spawn(
    process.execPath,
    [
      program,
      "start",
      "--network",
      "regtest",
      "--listen",
      "127.0.0.1:0",
      "--status",
      hasStatus ? "127.0.0.1:0" : "off"
    ],
    { stdio: ["ignore", "ignore", "pipe"], env: { ...process.env, HOME: home, XDG_CACHE_HOME: home } }
  )
  running.add(child)
  child.once("exit", () => running.delete(child))
  let log = ""
  const said = (line: RegExp) =>
    new Promise<string>((resolve, reject) => {
      child.once("exit", (code) => reject(new Error(`the node ended with ${code}: ${log}`)))
      const look = () => {
        const found = line.exec(log)
        if (found !== null) resolve(found[1] ?? "")
      }
      child.stderr?.on("data", look)
      look()
    })
  child.stderr?.on("data", (chunk: Buffer) => (log = (log + chunk.toString()).slice(-65_536)))
  const port = Number(await said(listening))
  const seconds = Number(process.hrtime.bigint() - from) / 1e9
  const cpuSeconds = cpuOf(child.pid)
  // The status interface comes a moment later.
  if (hasStatus) await said(/"message":"status interface listens"/)
  return { child, port, seconds, cpuSeconds, megabytes: residentKiB(child) / 1024 }
}

const stop = async ({ child }: Started): Promise<void> => {
  child.kill("SIGTERM")
  await once(child, "exit")
}

/** Seconds of `node -e 0`. */
const nothing = async (): Promise<number> => {
  const from = process.hrtime.bigint()
  await once(spawn(process.execPath, ["-e", "0"], { stdio: "ignore" }), "exit")
  return Number(process.hrtime.bigint() - from) / 1e9
}

/** Prints two tables: starts, and memory with peers. */
export const run = async (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ours: { type: "string", default: new URL("../../layers/bin.js", import.meta.url).pathname },
      rounds: { type: "string", default: "5" },
      minutes: { type: "string", default: "10" },
      peers: { type: "string", default: "20" }
    }
  })
  const homes = mkdtempSync(join(tmpdir(), "network-effect-start-"))
  try {
    // What compiles here is there for all that follow.
    for (const hasStatus of [false, true]) await stop(await start(values.ours, homes, hasStatus))
    const plain: Array<number> = []
    const starts: Record<"without status" | "with status", Array<Started>> = { "without status": [], "with status": [] }
    for (let round = 0; round < Number(values.rounds); round++) {
      plain.push(await nothing())
      for (const kind of ["without status", "with status"] as const) {
        const started = await start(values.ours, homes, kind === "with status")
        starts[kind].push(started)
        await stop(started)
      }
    }
    console.table(
      Object.entries(starts).map(([what, all]) => {
        const seconds = median(all.map((each) => each.seconds))
        return {
          what,
          "seconds to listening": Number(seconds.toFixed(3)),
          "CPU seconds": Number(median(all.map((each) => each.cpuSeconds)).toFixed(2)),
          "times node -e 0": Number((seconds / median(plain)).toFixed(1)),
          "RSS MB": Math.round(median(all.map((each) => each.megabytes)))
        }
      })
    )

    if (Number(values.minutes) === 0) return
    const rows = []
    const nodes = []
    for (const kind of ["without status", "with status"] as const) {
      const home = mkdtempSync(join(homes, "home-"))
      const node = await start(values.ours, home, kind === "with status")
      // One host after the other: a node takes one inbound connection in a second.
      const clients = []
      for (let i = 0; i < Number(values.peers); i++) {
        for (let tries = 0; ; tries++) {
          const client = await connect(node.port, `127.${(i >> 8) + 2}.${i & 255}.1`).catch(() => undefined)
          if (client !== undefined) clients.push(client)
          if (client !== undefined || tries === 20) break
          await sleep(1000)
        }
      }
      nodes.push({ kind, node, clients })
    }
    await sleep(Number(values.minutes) * 60_000)
    for (const { clients, kind, node } of nodes) {
      const stayed = clients.filter(({ socket }) => !socket.destroyed)
      rows.push({ what: kind, peers: stayed.length, "RSS MB": Math.round(residentKiB(node.child) / 1024) })
      for (const { socket } of clients) socket.destroy()
      await stop(node)
    }
    console.table(rows)
  } finally {
    for (const child of running) child.kill("SIGKILL")
    rmSync(homes, { recursive: true, force: true })
  }
}
