/**
 * Runs one benchmark, or all of them, or lists them.
 *
 *     npm run bench -- NAME[,NAME…] [--runs N] [--json FILE] [its own flags]
 *     npm run bench -- all [--runs N] [--json FILE]
 *
 * With `--json` the tables are also written to a file, with the date, the machine and the versions, so that two runs can be
 * compared. `all` leaves out those that need a program of others. `--runs` does them all so many times, one after the other and
 * from the first again, and then prints each figure as minimum, median and maximum of its runs.
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

const refuse = (message: string): never => {
  console.error(`bench: ${message}`)
  process.exit(1)
}

const [name = "", ...flags] = process.argv.slice(2)

/** Takes a flag that is not of the benchmarks out of the others. */
const taken = (flag: string, example: string): string | undefined => {
  const at = flags.indexOf(flag)
  if (at < 0) return undefined
  const [, value] = flags.splice(at, 2)
  return value === undefined || value.startsWith("--") ? refuse(`${flag} needs ${example}`) : value
}
const jsonFile = taken("--json", "the name of a file to write; for example npm run bench -- all --json figures.json")
const runsText = taken("--runs", "a number; for example npm run bench -- all --runs 5") ?? "1"
if (!/^[1-9]\d?$/.test(runsText)) refuse(`--runs ${runsText} is not a number from 1 to 99`)
const runs = Number(runsText)

const wanted = name.split(",")
const chosen =
  name === "all" ? names.filter((each) => !needsProgram(each)) : wanted.filter((each) => names.includes(each))
if (name !== "all" && chosen.length < wanted.length) {
  refuse(`say which: ${names.join(", ")} or all; for example npm run bench -- ${names[0]}`)
}

/** What stands in one place of a table in each run, as one text. */
const together = (cells: ReadonlyArray<unknown>): unknown => {
  const numbers = cells.filter((cell) => typeof cell === "number").toSorted((a, b) => a - b)
  if (numbers.length < cells.length) return new Set(cells).size === 1 ? cells[0] : cells.join(" | ")
  return new Set(numbers).size === 1
    ? numbers[0]
    : [numbers[0], numbers[numbers.length >> 1], numbers.at(-1)].join(" / ")
}

type Table = ReadonlyArray<Readonly<Record<string, unknown>>>

/** The tables of several runs of one benchmark as one: each place has the minimum, median and maximum of its figures. */
const summary = (tablesOfRuns: ReadonlyArray<ReadonlyArray<Table>>): ReadonlyArray<Table> =>
  (tablesOfRuns[0] ?? []).map((table, t) =>
    table.map((row, r) =>
      Object.fromEntries(
        Object.keys(row).map((column) => [column, together(tablesOfRuns.map((tables) => tables[t]?.[r]?.[column]))])
      )
    )
  )

/** The tables that it printed. */
const measure = async (benchmark: string, cache: string): Promise<ReadonlyArray<Table>> => {
  const { file, load } = await import("./bench/support/run.ts")
  await load(benchmark)
  flushCompileCache()
  const child = spawn(process.execPath, [file, benchmark, ...flags], {
    stdio: ["inherit", "inherit", "inherit", "ipc"],
    env: { ...process.env, NODE_COMPILE_CACHE: cache }
  })
  const tables: Array<Table> = []
  child.on("message", (table) => tables.push(table as Table))
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
  const tables = new Map<string, Array<ReadonlyArray<Table>>>(chosen.map((each) => [each, []]))
  for (let run = 1; run <= runs; run++) {
    for (const each of chosen) {
      if (chosen.length > 1 || runs > 1) console.log(runs > 1 ? `${each}, run ${run} of ${runs}` : each)
      tables.get(each)?.push(await measure(each, cache))
    }
  }
  const results: Record<string, ReadonlyArray<Table>> = {}
  for (const [each, ofRuns] of tables) {
    results[each] = summary(ofRuns)
    if (runs === 1) continue
    console.log(`${each}: minimum / median / maximum of ${runs} runs`)
    for (const table of results[each]) console.table(table)
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
