/**
 * Random lives of the machine that decides for a connection, many more than the tests have time for.
 *
 *     node scripts/machine.ts [--events 1000000] [--seed 1]
 *
 * Prints how often each action was taken and how the lives ended. Needs nothing, writes nothing. Exit code 1 on the first
 * life that breaks a rule, which says its seed.
 */
import { parseArgs } from "node:util"
import { lives } from "../test/peer/machineWorld.ts"

const { values } = parseArgs({
  options: { events: { type: "string", default: "1000000" }, seed: { type: "string", default: "1" } }
})
const [events, seed] = [Number(values.events), Number(values.seed)]
if (!Number.isInteger(events) || events < 1 || !Number.isInteger(seed)) {
  console.error("machine: --events is a number from 1 on, and --seed a number")
  process.exit(1)
}
const seen = lives(seed, events)
console.table(Object.fromEntries(seen.actions))
console.table(Object.fromEntries(seen.endings))
console.log(`${seen.events} events`)
