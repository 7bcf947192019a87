/** The command as a process. */
import { type ChildProcess, spawn, type StdioOptions } from "node:child_process"
import { randomInt } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import { type AddressInfo, createServer } from "node:net"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { program } from "./program.ts"

/** Where everything a test's processes keep goes: nothing is read from or kept in the home of whoever runs the tests. */
export const makeHome = () => {
  const directory = mkdtempSync(join(tmpdir(), "network-effect-"))
  return { directory, remove: () => rmSync(directory, { recursive: true, force: true }) }
}

/** Shared by all processes of all tests: compiling takes longer than what most of them do. */
export const compiled = new URL("../../node_modules/.cache/compiled", import.meta.url).pathname

export interface Run {
  readonly child: ChildProcess
  readonly output: () => string
  readonly errors: () => string
  readonly ended: Promise<{ readonly code: number | null; readonly signal: string | null }>
}

/** A process that has been started, with what it prints. */
export const runOf = (child: ChildProcess): Run => {
  let [output, errors] = ["", ""]
  child.stdout?.on("data", (chunk: Buffer) => (output += chunk.toString()))
  child.stderr?.on("data", (chunk: Buffer) => (errors += chunk.toString()))
  return {
    child,
    output: () => output,
    errors: () => errors,
    ended: new Promise((resolve) => child.on("close", (code, signal) => resolve({ code, signal })))
  }
}

/** A node has a cache directory for itself, and refuses one that another node has; what else runs shares one. */
const cachesFor = (args: ReadonlyArray<string>, directory: string): string =>
  args.includes("start") ? mkdtempSync(join(directory, "caches-")) : directory

/**
 * Starts the command with its home in `directory`, without a status interface unless `env` says otherwise: as the package has it,
 * unless another file is given.
 */
export const startIn =
  (
    directory: string,
    env: Readonly<Record<string, string>> = {},
    stdio: StdioOptions = ["ignore", "pipe", "pipe"],
    file?: string
  ) =>
  (...args: ReadonlyArray<string>): Run =>
    runOf(
      spawn(process.execPath, [file ?? program(), ...args], {
        env: {
          PATH: process.env["PATH"] ?? "",
          HOME: directory,
          XDG_CACHE_HOME: env["XDG_CACHE_HOME"] ?? cachesFor(args, directory),
          NETWORK_EFFECT_STATUS: "off",
          NODE_COMPILE_CACHE: compiled,
          ...env
        },
        stdio
      })
    )

/**
 * A port of an IP that is free now, for whoever binds it in a moment. Not one that the system gives out by itself, or some
 * connection or listener could have it by then.
 */
export const freePort = (ip = "127.0.0.1"): Promise<number> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    const next = () => server.listen(randomInt(20_000, 30_000), ip)
    server.on("error", (error: NodeJS.ErrnoException) => (error.code === "EADDRINUSE" ? next() : reject(error)))
    server.on("listening", () => {
      const { port } = server.address() as AddressInfo
      server.close(() => resolve(port))
    })
    next()
  })

/** The same as an address, of `127.0.0.1` or `[::1]` and their like. */
export const freeAddress = (ip: string) =>
  Effect.map(
    Effect.promise(() => freePort(ip.replace(/[[\]]/g, ""))),
    (port) => PeerSocketAddress.fromStringUnsafe(`${ip}:${port}`)
  )

export const until = async (holds: () => boolean, what: string, seconds = 100) => {
  for (let tries = 0; !holds(); tries++) {
    if (tries > seconds * 100) throw new Error(`waited ${seconds} s for ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

export const isListening = (run: Run) => until(() => /^listening on /m.test(run.output()), "the node to listen")

/** The lines of stderr that are no logs, which are JSON where it is no terminal. */
export const withoutLogs = (errors: string): ReadonlyArray<string> =>
  errors.split("\n").filter((line) => line !== "" && !line.startsWith("{"))

/** Runs to the end: the code, what was printed, and each line of stderr that is no log. */
export const outcomeOf = async (run: Run) => {
  const { code } = await run.ended
  return { code, output: run.output(), errors: withoutLogs(run.errors()) }
}
