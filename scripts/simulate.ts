/**
 * Runs simulated worlds from seeds, until all are done or one has failed.
 *
 *     npm run simulate -- [--scenario NAME] [--seed N | --seeds A..B] [--nodes N] [--hours H] [--keep-going]
 *
 * Without a scenario, each seed runs one of them in turn. With `--keep-going` a failure is told in two lines and the next
 * seed runs. What a scenario measures is summed up at the end. Needs nothing, writes nothing. Exit code 1 when a world failed.
 */
import { parseArgs } from "node:util"
import { Simulated } from "network-effect/layers"
import { scenarios, Simulation } from "network-effect/simulation"

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
        "keep-going": { type: "boolean" }
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

// Every dial in vain makes an error, whose stack costs more than the rest of it; whoever wants one runs its seed alone.
if (flags["keep-going"] === true) Error.stackTraceLimit = 0
const started = process.hrtime.bigint()
const secondsSince = (from: bigint) => Number(process.hrtime.bigint() - from) / 1e9
/** Values of all worlds by what was measured, each with its seed. */
const measures = new Map<string, Array<{ readonly value: number; readonly seed: number }>>()
let virtualMillis = 0
let runs = 0
let failed = 0
let slowest = { seconds: 0, seed: 0 }
let told = started
for (let seed = Number(first); seed <= Number(last); seed++) {
  const scenario = chosen[seed % chosen.length] ?? fail("there are no scenarios")
  const began = process.hrtime.bigint()
  const outcome = Simulation.run({ scenario, seed, size, node: Simulated.worldNode })
  const took = secondsSince(began)
  if (took > slowest.seconds) slowest = { seconds: took, seed }
  virtualMillis += outcome.atMillis
  runs++
  for (const [what, values] of outcome.measures) {
    const all = measures.get(what) ?? []
    measures.set(what, [...all, ...values.map((value) => ({ value, seed }))])
  }
  if (outcome.failure !== undefined) {
    failed++
    console.log(`${scenario.name}, seed ${seed}: FAILED at ${outcome.atMillis / 1000} s, event ${outcome.events}`)
    console.log(`  ${outcome.failure.reason}`)
    if (outcome.drawn !== "") console.log(`  drawn: ${outcome.drawn}`)
    if (flags["keep-going"] !== true) {
      const { nodes } = outcome.failure
      const shown = outcome.recent.filter(({ node }) => nodes.length === 0 || nodes.includes(node)).slice(-20)
      for (const { atMillis, event, node } of shown) {
        console.log(`  ${(atMillis / 1000).toFixed(3).padStart(10)} s  node ${node}  ${JSON.stringify(event)}`)
      }
    }
    console.log(`  again: ${again(scenario.name, seed)}`)
    if (flags["keep-going"] !== true) process.exit(1)
  }
  for (const note of outcome.notes) console.log(`${scenario.name}, seed ${seed}: ${note}`)
  if (first === last && outcome.drawn !== "") console.log(`${scenario.name}, seed ${seed}: drawn: ${outcome.drawn}`)
  if (first === last || secondsSince(told) > 2) {
    told = process.hrtime.bigint()
    console.log(
      `${scenario.name}, seed ${seed}: ${outcome.events} events, hash ${outcome.hash}; ` +
        `${runs} worlds, ${(virtualMillis / 3_600_000).toFixed(1)} virtual hours in ${secondsSince(started).toFixed(1)} s`
    )
  }
}
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
if (failed > 0) {
  console.log(`${failed} of ${runs} worlds failed, ${virtual}`)
  process.exit(1)
}
console.log(`${runs} worlds held for ${virtual}: ${Math.round(virtualMillis / 1000 / seconds)} times real time`)
