/**
 * Runs one benchmark, or all of them, or lists them.
 *
 *     npm run bench -- NAME [its own flags]
 *     npm run bench -- all [--json FILE]
 *
 * With `--json` the tables are also written to a file, with the date, the machine and the versions, so that two runs can be
 * compared. `all` leaves out those that need a program of others.
 *
 * Each prints its figures beside those of a plain counterpart in the same run, so they are ratios that mean the same on
 * every machine. Leaves nothing behind.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { enableCompileCache, flushCompileCache } from "node:module"
import { cpus, release, tmpdir, totalmem, type } from "node:os"
import { join } from "node:path"

const folder = new URL("bench", import.meta.url)
const names = readdirSync(folder, { withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => entry.name.replace(/\.ts$/, ""))

/** Those that say how their foreign program is given. */
const needsProgram = (name: string) =>
  readFileSync(new URL(`bench/${name}.ts`, import.meta.url), "utf8").includes("--command")

const [name = "", ...flags] = process.argv.slice(2)
const at = flags.indexOf("--json")
const [, jsonFile] = at < 0 ? [] : flags.splice(at, 2)
const chosen = name === "all" ? names.filter((each) => !needsProgram(each)) : names.filter((each) => each === name)

if (chosen.length === 0) {
  console.error(`bench: say which: ${names.join(", ")} or all; for example npm run bench -- ${names[0]}`)
  process.exit(1)
}
if (at >= 0 && (jsonFile === undefined || jsonFile.startsWith("--"))) {
  console.error("bench: --json needs the name of a file to write; for example npm run bench -- all --json figures.json")
  process.exit(1)
}

/** The tables that it printed. */
const measure = async (benchmark: string, cache: string): Promise<unknown> => {
  const { file, load } = await import("./bench/support/run.ts")
  await load(benchmark)
  flushCompileCache()
  const child = spawn(process.execPath, [file, benchmark, ...flags], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, NODE_COMPILE_CACHE: cache }
  })
  const tables: Array<unknown> = []
  child.on("message", (table) => tables.push(table))
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => child.kill(signal))
  const [code] = await once(child, "exit")
  if (code !== 0) process.exitCode = typeof code === "number" ? code : 1
  return tables
}

// Node takes the types out of a file by a WebAssembly module. Its memory grows, and from then on V8 checks at every access
// to a buffer that its memory is still there. Programs that use the built package do not pay for that. So this process only
// fills a cache of files without types, and another one, which never sees a type, measures.
const cache = mkdtempSync(join(tmpdir(), "network-effect-bench-"))
try {
  enableCompileCache(cache)
  const results: Record<string, unknown> = {}
  for (const each of chosen) {
    if (chosen.length > 1) console.log(each)
    results[each] = await measure(each, cache)
  }
  if (jsonFile !== undefined) {
    const cores = cpus()
    const machine = {
      processor: cores[0]?.model,
      cores: cores.length,
      memoryBytes: totalmem(),
      system: `${type()} ${release()}`
    }
    const report = { date: new Date().toISOString(), node: process.versions.node, machine, results }
    writeFileSync(jsonFile, `${JSON.stringify(report, undefined, 2)}\n`)
  }
} finally {
  rmSync(cache, { recursive: true, force: true })
}
