/**
 * Runs simulated worlds from seeds, until all are done or one has failed.
 *
 *     npm run simulate -- [--scenario NAME] [--seed N | --seeds A..B] [--nodes N] [--hours H]
 *
 * Without a scenario, each seed runs one of them in turn. Needs nothing, writes nothing. Exit code 1 when a world failed.
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
        hours: { type: "string" }
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

const started = process.hrtime.bigint()
let virtualMillis = 0
let runs = 0
let told = started
for (let seed = Number(first); seed <= Number(last); seed++) {
  const scenario = chosen[seed % chosen.length] ?? fail("there are no scenarios")
  const outcome = Simulation.run({ scenario, seed, size, node: Simulated.worldNode })
  virtualMillis += outcome.atMillis
  runs++
  const seconds = Number(process.hrtime.bigint() - started) / 1e9
  if (outcome.failure !== undefined) {
    console.log(`${scenario.name}, seed ${seed}: FAILED at ${outcome.atMillis / 1000} s, event ${outcome.events}`)
    console.log(`  ${outcome.failure.reason}`)
    const { nodes } = outcome.failure
    const shown = outcome.recent.filter(({ node }) => nodes.length === 0 || nodes.includes(node)).slice(-20)
    for (const { atMillis, event, node } of shown) {
      console.log(`  ${(atMillis / 1000).toFixed(3).padStart(10)} s  node ${node}  ${JSON.stringify(event)}`)
    }
    const again = [`--scenario ${scenario.name}`, `--seed ${seed}`]
    if (nodes !== undefined && flags.nodes !== undefined) again.push(`--nodes ${flags.nodes}`)
    if (flags.hours !== undefined) again.push(`--hours ${flags.hours}`)
    console.log(`  again: npm run simulate -- ${again.join(" ")}`)
    process.exit(1)
  }
  for (const note of outcome.notes) console.log(`${scenario.name}, seed ${seed}: ${note}`)
  if (first === last || process.hrtime.bigint() - told > 2_000_000_000n) {
    told = process.hrtime.bigint()
    console.log(
      `${scenario.name}, seed ${seed}: ${outcome.events} events, hash ${outcome.hash}; ` +
        `${runs} worlds, ${(virtualMillis / 3_600_000).toFixed(1)} virtual hours in ${seconds.toFixed(1)} s`
    )
  }
}
const seconds = Number(process.hrtime.bigint() - started) / 1e9
console.log(
  `${runs} worlds held for ${(virtualMillis / 3_600_000).toFixed(1)} virtual hours in ${seconds.toFixed(1)} s: ` +
    `${Math.round(virtualMillis / 1000 / seconds)} times real time`
)
