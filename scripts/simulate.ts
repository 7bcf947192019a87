/**
 * Runs simulated worlds from seeds, until all are done or one has failed.
 *
 *     npm run simulate -- [--scenario NAME] [--seed N | --seeds A..B] [--nodes N] [--hours H] [--keep-going] [--replay]
 *                         [--record DIR] [--jobs N]
 *
 *     npm run simulate -- --scenario eclipse --book reference|hardened [--groups 1,8,32,128] [--seeds A..B] [--world distinct|crowded]
 *         [--script NAME] [--without RULE,…] [--hours H] [--results FILE] [--json]
 *
 * Without a scenario, each seed runs one of them in turn. As many worlds run at a time as the machine has cores, or `--jobs`, each
 * in a thread of its own; what they have to say is printed in the order of their seeds. With `--keep-going` a failure is told in two lines and the next
 * seed runs. What a scenario measures is summed up at the end. A world that fails runs once more and leaves the records of the
 * connections concerned, in DIR or in a new folder among the temporary files: `network-effect replay` reads them. With
 * `--replay` every world is recorded, and what its connections decided is compared with what their records make them decide.
 *
 * With `--book` the scenario `eclipse` is a node that dials and crawls without any bytes, for a day of each seed, and prints
 * what part of its outbound connections an attacker ends with; with `--json` as one line of JSON for each number of groups. With
 * `--results` the figures of each seed are appended to FILE, and those in it are not played again: a study of hours may be ended
 * at any time, and begun again by the same command. Who changes a rule begins a new file.
 *
 * Needs nothing, and writes nothing but those records and results. Exit code 1 when a world failed or a connection was replayed otherwise.
 */
import { appendFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs"
import { availableParallelism, tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { isMainThread } from "node:worker_threads"
import { Replay } from "network-effect"
import { Simulated } from "network-effect/layers"
import { Eclipse, EclipseRecords, scenarios, Simulation } from "network-effect/simulation"
import { playAll, runThread } from "./bench/support/threads.ts"

const fail = (message: string): never => {
  console.error(`simulate: ${message}`)
  process.exit(1)
}

const number = (flag: string, text: string, minimum: number): number => {
  const value = Number(text)
  return /^\d+(\.\d+)?$/.test(text) && value >= minimum
    ? value
    : fail(`--${flag} ${text} is not a number from ${minimum} on`)
}

const readFlags = () => {
  try {
    return parseArgs({
      options: {
        scenario: { type: "string" },
        seed: { type: "string" },
        seeds: { type: "string" },
        nodes: { type: "string" },
        hours: { type: "string" },
        "keep-going": { type: "boolean" },
        book: { type: "string" },
        groups: { type: "string", default: "1,8,32,128" },
        world: { type: "string", default: "distinct" },
        script: { type: "string", default: "front-run" },
        without: { type: "string", default: "" },
        results: { type: "string" },
        json: { type: "boolean" },
        record: { type: "string" },
        replay: { type: "boolean" },
        jobs: { type: "string" }
      }
    }).values
  } catch (error) {
    return fail(`${(error as Error).message.split(".")[0]}; see the top of scripts/simulate.ts`)
  }
}

const flags = readFlags()
const chosen = scenarios.filter(({ name }) => flags.scenario === undefined || name === flags.scenario)
if (chosen.length === 0) {
  fail(`there is no scenario ${flags.scenario}; there are ${scenarios.map(({ name }) => name).join(", ")}`)
}
const [, first = "1", last = first] =
  /^(\d+)\.\.(\d+)$/.exec(flags.seeds ?? `${flags.seed ?? 1}..${flags.seed ?? 1}`) ??
  fail(`--seeds ${flags.seeds} is not a range: say A..B, for example 1..100`)
if (Number(last) < Number(first)) fail(`--seeds ${flags.seeds} ends before it begins`)

/** What an earlier run of a study left, in a file that can be written. */
const readResults = (file: string): ReadonlyMap<string, Eclipse.Figures> => {
  try {
    appendFileSync(file, "")
    const { figures, unreadable } = EclipseRecords.parse(readFileSync(file, "utf8"))
    if (unreadable > 0) {
      // The one that was being written when it was ended, or something else. What follows begins a line of its own.
      console.error(`simulate: ${unreadable} lines of ${file} are not whole, and left aside`)
      appendFileSync(file, "\n")
    }
    return figures
  } catch (error) {
    return fail(`--results ${file} cannot be used: ${(error as Error).message}`)
  }
}

const keep = (file: string, line: string) => {
  try {
    appendFileSync(file, `${line}\n`)
  } catch (error) {
    fail(`--results ${file} cannot be written: ${(error as Error).message}`)
  }
}

/** What an attacker ends with for each number of groups, over all seeds. */
const study = (book: string) => {
  if (book !== "reference" && book !== "hardened") return fail(`--book ${book} is none: say reference or hardened`)
  const { json, results, script: name, without, world } = flags
  if (world !== "distinct" && world !== "crowded") return fail(`there is no world ${world}`)
  const script = Eclipse.scripts[name] ?? fail(`there is no script ${name}: ${Object.keys(Eclipse.scripts).join(", ")}`)
  const off = without === "" ? [] : without.split(",")
  const unknown = off.find((rule) => !(rule in Eclipse.rules))
  if (unknown !== undefined) fail(`there is no rule ${unknown}: ${Object.keys(Eclipse.rules).join(", ")}`)
  const rules = Object.fromEntries(off.map((rule) => [rule, false]))
  const hours = flags.hours === undefined ? {} : { hours: number("hours", flags.hours, 0) }
  const before = results === undefined ? new Map<string, Eclipse.Figures>() : readResults(results)
  Error.stackTraceLimit = 0
  const columns: Array<Record<string, string | number>> = []
  for (const text of script.groups === undefined ? flags.groups.split(",") : [String(script.groups)]) {
    const groups = number("groups", text, 0)
    const worlds: Array<Eclipse.Figures> = []
    for (let seed = Number(first); seed <= Number(last); seed++) {
      const played = { script: name, book, world, groups, without, seed, ...hours } as const
      const known = before.get(EclipseRecords.keyOf(played))
      const figures = known ?? Eclipse.run({ seed, book, world, rules, groups, ...script, ...hours })
      if (known === undefined && results !== undefined) keep(results, EclipseRecords.format(played, figures))
      worlds.push(figures)
    }
    if (json === true) {
      const spreads = Object.entries(measures(script)).map(([what, of]) => [what, EclipseRecords.spreadOf(worlds, of)])
      console.log(
        JSON.stringify({ script: name, book, world, groups, without, ...hours, ...Object.fromEntries(spreads) })
      )
      continue
    }
    const told = Object.entries(measures(script)).map(([what, of]) => {
      const spread = EclipseRecords.spreadOf(worlds, of)
      if (spread === undefined) return [what, "never"]
      const { high, low, median, values } = spread
      const some = values < worlds.length ? `, ${values} of ${worlds.length}` : ""
      const text = (value: number) => value.toFixed(what.startsWith("s to 8") || what.startsWith("h ") ? 1 : 0)
      return [what, `${text(median)} (${text(low)} to ${text(high)})${some}`]
    })
    columns.push({
      book,
      groups,
      seeds: worlds.length,
      ...Object.fromEntries(told),
      "fewest honest": Math.min(...worlds.map(({ honest }) => honest)),
      "s between dials of one, least": Math.min(...worlds.map(({ leastRedialSeconds }) => leastRedialSeconds)).toFixed(
        1
      )
    })
  }
  if (json === true) return process.exit(0)
  console.log(`${name}, ${world} groups${without === "" ? "" : `, without ${without}`}: median (5 % to 95 %)`)
  for (const key of Object.keys(columns[0] ?? {})) {
    console.log(`${key.padEnd(30)} ${columns.map((column) => String(column[key]).padEnd(24)).join("")}`)
  }
  const { system, user } = process.cpuUsage()
  console.log(`${((system + user) / 1e6).toFixed(0)} s of CPU`)
  return process.exit(0)
}

/** What is told of worlds, by name. */
function measures(script: Partial<Eclipse.Options>): Record<string, (figures: Eclipse.Figures) => number | undefined> {
  return {
    "attacker's share, %": ({ share }) => 100 * share,
    "honest outbound": ({ honest }) => honest,
    "share of book, %": ({ shareOfBook }) => 100 * shareOfBook,
    "share of cache file, %": ({ shareOfCache }) => 100 * shareOfCache,
    "s to 8": ({ secondsTo8 }) => secondsTo8,
    "s to 75": ({ secondsTo75 }) => secondsTo75,
    "h to half": ({ hoursToHalf }) => hoursToHalf,
    "h to 90 %": ({ hoursTo90 }) => hoursTo90,
    dials: ({ dials }) => dials,
    "dials in vain, %": ({ wasted }) => 100 * wasted,
    ...(script.restarts === true ? { "honest after restart": (figures) => figures.honestAfterRestart } : {}),
    ...(script.partition === true ? { "s to both sides": (figures) => figures.secondsToMixed } : {})
  }
}

if (flags.book !== undefined) study(flags.book)
const nodes = flags.nodes === undefined ? undefined : number("nodes", flags.nodes, 2)
const hours = flags.hours === undefined ? undefined : number("hours", flags.hours, 0)
const size = { ...(nodes === undefined ? {} : { nodes }), ...(hours === undefined ? {} : { hours }) }

/** The command that runs this world alone. */
const again = (scenario: string, seed: number) => {
  const words = [`--scenario ${scenario}`, `--seed ${seed}`]
  if (flags.nodes !== undefined) words.push(`--nodes ${flags.nodes}`)
  if (flags.hours !== undefined) words.push(`--hours ${flags.hours}`)
  return `npm run simulate -- ${words.join(" ")}`
}

/** Characters of records that a world may have in memory. */
const recordedCharacters = 128 * 1_048_576

/** Runs a world that failed once more, recorded, and leaves the records of the nodes it is about. Returns where. */
const leaveRecords = (scenario: (typeof chosen)[number], seed: number): string | undefined => {
  const { failure, records } = Simulation.run({ scenario, seed, size, node: Simulated.worldNode, recordedCharacters })
  const concerned = records.filter(
    ({ name }) => failure === undefined || failure.nodes.length === 0 || failure.nodes.includes(Number(name.node))
  )
  if (concerned.length === 0) return undefined
  const folder = flags.record ?? mkdtempSync(join(tmpdir(), "network-effect-world-"))
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  for (const { name, text } of concerned) {
    const { connection, node, segment } = name
    const file = `${scenario.name}-${seed}-n${node}-c${String(connection).padStart(6, "0")}-${segment}.ndjson`
    writeFileSync(join(folder, file), text, { mode: 0o600 })
  }
  return folder
}

/** What a world's thread tells of it. */
interface Told {
  readonly seed: number
  readonly scenario: string
  /** To be printed, whatever else is. */
  readonly lines: ReadonlyArray<string>
  readonly hasFailed: boolean
  readonly events: number
  readonly hash: string
  readonly virtualMillis: number
  readonly seconds: number
  readonly measures: ReadonlyMap<string, ReadonlyArray<number>>
  readonly replayed: { readonly segments: number; readonly events: number; readonly different: number }
}

const secondsSince = (from: bigint) => Number(process.hrtime.bigint() - from) / 1e9

/** Runs the world of a seed, in a thread of its own. */
const play = (seed: number): Told => {
  const scenario = chosen[seed % chosen.length] ?? fail("there are no scenarios")
  const lines: Array<string> = []
  const began = process.hrtime.bigint()
  const recorded = flags.replay === true ? { recordedCharacters } : {}
  const outcome = Simulation.run({ scenario, seed, size, node: Simulated.worldNode, ...recorded })
  const seconds = secondsSince(began)
  const replayed = { segments: 0, events: 0, different: 0 }
  for (const { name, text } of outcome.records) {
    const { difference, events } = Replay.replay(text)
    replayed.segments++
    replayed.events += events
    if (difference === undefined) continue
    replayed.different++
    const { connection, node, segment } = name
    lines.push(
      `${scenario.name}, seed ${seed}: connection ${connection} of node ${node}, segment ${segment}, event ` +
        `${difference.step.number}: ${difference.step.recorded.join("; ")} is now ${difference.step.decided.join("; ")}`
    )
  }
  if (outcome.failure !== undefined) {
    lines.push(`${scenario.name}, seed ${seed}: FAILED at ${outcome.atMillis / 1000} s, event ${outcome.events}`)
    lines.push(`  ${outcome.failure.reason}`)
    if (outcome.drawn !== "") lines.push(`  drawn: ${outcome.drawn}`)
    if (flags["keep-going"] !== true) {
      const { nodes } = outcome.failure
      const shown = outcome.recent.filter(({ node }) => nodes.length === 0 || nodes.includes(node)).slice(-20)
      for (const { atMillis, event, node } of shown) {
        lines.push(`  ${(atMillis / 1000).toFixed(3).padStart(10)} s  node ${node}  ${JSON.stringify(event)}`)
      }
    }
    const folder = leaveRecords(scenario, seed)
    if (folder !== undefined) lines.push(`  records: ${folder}`)
    lines.push(`  again: ${again(scenario.name, seed)}`)
  }
  for (const note of outcome.notes) lines.push(`${scenario.name}, seed ${seed}: ${note}`)
  if (first === last && outcome.drawn !== "") lines.push(`${scenario.name}, seed ${seed}: drawn: ${outcome.drawn}`)
  return {
    seed,
    scenario: scenario.name,
    lines,
    hasFailed: outcome.failure !== undefined,
    events: outcome.events,
    hash: outcome.hash,
    virtualMillis: outcome.atMillis,
    seconds,
    measures: outcome.measures,
    replayed
  }
}

const main = async () => {
  const jobs = flags.jobs === undefined ? availableParallelism() : number("jobs", flags.jobs, 1)
  const started = process.hrtime.bigint()
  /** Values of all worlds by what was measured, each with its seed. */
  const measures = new Map<string, Array<{ readonly value: number; readonly seed: number }>>()
  let virtualMillis = 0
  let runs = 0
  let failed = 0
  let slowest = { seconds: 0, seed: 0 }
  let lastLine = started
  const replayed = { segments: 0, events: 0, different: 0 }

  const tell = (world: Told): boolean => {
    const { seed } = world
    if (world.seconds > slowest.seconds) slowest = { seconds: world.seconds, seed }
    virtualMillis += world.virtualMillis
    runs++
    for (const [what, values] of world.measures) {
      const all = measures.get(what) ?? []
      measures.set(what, [...all, ...values.map((value) => ({ value, seed }))])
    }
    replayed.segments += world.replayed.segments
    replayed.events += world.replayed.events
    replayed.different += world.replayed.different
    for (const line of world.lines) console.log(line)
    if (world.hasFailed) {
      failed++
      if (flags["keep-going"] !== true) return false
    }
    if (first === last || secondsSince(lastLine) > 2) {
      lastLine = process.hrtime.bigint()
      console.log(
        `${world.scenario}, seed ${seed}: ${world.events} events, hash ${world.hash}; ` +
          `${runs} worlds, ${(virtualMillis / 3_600_000).toFixed(1)} virtual hours in ${secondsSince(started).toFixed(1)} s`
      )
    }
    return true
  }
  const seeds = [Number(first), Number(last)] as const
  await playAll({ file: import.meta.filename, args: process.argv.slice(2), seeds, jobs, tell })
  if (failed > 0 && flags["keep-going"] !== true) process.exit(1)

  for (const [what, unsorted] of measures) {
    const values = unsorted.toSorted((a, b) => a.value - b.value)
    const at = (share: number) => values[Math.min(values.length - 1, Math.floor(share * values.length))]
    const most = values.at(-1)
    console.log(
      `${what}: ${values.length} times, median ${at(0.5)?.value.toFixed(1)}, 95 % within ${at(0.95)?.value.toFixed(1)}, ` +
        `most ${most?.value.toFixed(1)} (seed ${most?.seed})`
    )
  }
  const seconds = secondsSince(started)
  const { system, user } = process.cpuUsage()
  const virtual = `${(virtualMillis / 3_600_000).toFixed(1)} virtual hours in ${seconds.toFixed(1)} s (${((system + user) / 1e6).toFixed(1)} s of CPU)`
  console.log(`the longest world took ${slowest.seconds.toFixed(1)} s (seed ${slowest.seed})`)
  if (flags.replay === true) {
    const { different, events, segments } = replayed
    console.log(`replayed ${events} events in ${segments} segments, of which ${different} had other actions`)
  }
  if (failed > 0) {
    console.log(`${failed} of ${runs} worlds failed, ${virtual}`)
    process.exit(1)
  }
  if (replayed.different > 0) process.exit(1)
  console.log(`${runs} worlds held for ${virtual}: ${Math.round(virtualMillis / 1000 / seconds)} times real time`)
}

if (isMainThread) await main()
else {
  // Every dial in vain makes an error, whose stack costs more than the rest of it; whoever wants one runs its seed alone.
  if (first !== last) Error.stackTraceLimit = 0
  runThread(play)
}
