/**
 * Shows that each requirement of the tables in `test/support/requirements.ts` is held by its tests: takes it out of a copy of
 * the source, as the table says, and runs them there. A test that still passes holds nothing, and the script fails.
 *
 *     npm run requirements [-- [--list] [--jobs N] S1 C9 "peer 12"]
 *
 * `--list` says what the requirements are, which tests hold them and where in the source they are, then which scenarios of the
 * acceptance list have no way to take them out yet, and runs nothing. `--jobs` says how many copies are tested at the same time
 * (3 unless given, for a few tests wait for what does not come any more). All of them take some minutes. Needs nothing, and
 * leaves the working tree alone: the copies are in temporary folders, which are removed in the end.
 */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import {
  heldOtherwise,
  requirementsOf,
  scenarioRemovals,
  scenariosWithout,
  tables
} from "../test/support/requirements.ts"
import { scenarios, scenariosIn } from "../test/support/scenarios.ts"
import { applied, type Edit, placeFor, readSources, showPlace } from "../test/support/sourceEdits.ts"
import { makeCopy, TestProcess } from "./testProcess.ts"
import type { Ran } from "./testRunner.ts"

const fail = (message: string): never => {
  console.error(`requirements: ${message}`)
  process.exit(1)
}

const readArguments = () => {
  try {
    return parseArgs({ allowPositionals: true, options: { list: { type: "boolean" }, jobs: { type: "string" } } })
  } catch (error) {
    return fail(`${(error as Error).message.split(".")[0]}; see the top of scripts/requirements.ts`)
  }
}

const { positionals, values } = readArguments()
const jobs = Number(values.jobs ?? 3)
if (!Number.isInteger(jobs) || jobs < 1) fail(`--jobs ${values.jobs} is not a number from 1 on`)

interface Rule {
  readonly id: string
  readonly words: string
  readonly parts: ReadonlyArray<{ readonly test: Omit<Trial, "id">; readonly edits: ReadonlyArray<Edit> }>
}

const all: ReadonlyArray<Rule> = [
  ...tables.flatMap((table) =>
    requirementsOf(table).map(({ id, tests, words }) => ({
      id,
      words,
      parts: tests.map((test, i) => ({ test, edits: table.removals[id]?.[i] ?? [] }))
    }))
  ),
  ...scenarioRemovals.map(({ edits, file, id, title }) => ({
    id,
    words: title ?? `scenario ${id}`,
    parts: [{ test: { file, title }, edits }]
  }))
]
const unknown = positionals.filter((wanted) => !all.some(({ id }) => id === wanted))
if (unknown.length > 0) {
  fail(`there is no ${unknown.join(", ")}; there are ${[...new Set(all.map(({ id }) => id))].join(", ")}`)
}
const chosen = all.filter(({ id }) => positionals.length === 0 || positionals.includes(id))

const root = new URL("..", import.meta.url).pathname
const sources = readSources(root, ["src", "layers"])

const whereIs = (edit: Edit): string => {
  try {
    return showPlace(placeFor(sources, edit))
  } catch (error) {
    return `NOWHERE: ${(error as Error).message}`
  }
}

if (values.list === true) {
  for (const { id, parts, words } of chosen) {
    console.log(`${id}  ${words}`)
    for (const { edits, test } of parts) {
      console.log(`    ${test.file}: ${test.title ?? "the tests that name it"}`)
      for (const edit of edits) console.log(`      ${whereIs(edit)}`)
    }
  }
  const without = scenariosWithout()
  console.log(`${scenarios.length - without.length} of ${scenarios.length} scenarios have a way to take them out; not`)
  for (const [name, ids] of Map.groupBy(without, (id) => /^\w+/.exec(id)?.[0] ?? "")) {
    console.log(`    ${name}: ${ids.map((id) => id.replace(/^(peer|network|wire|advisory) /, "")).join(", ")}`)
  }
  for (const [id, why] of Object.entries(heldOtherwise)) console.log(`${id} ${why}`)
  process.exit(0)
}

// -- what there is to do -----------------------------------------------------------------------

interface Trial {
  readonly id: string
  readonly file: string
  /** Of one test; without it, of all that name the scenario. */
  readonly title?: string | undefined
}

/** Trials that need the same changed files, and so one run. */
interface Run {
  /** Texts by file. */
  readonly changed: ReadonlyMap<string, string>
  readonly trials: ReadonlyArray<Trial>
}

/** Edits that have no place are a fault of their table: all are told, and nothing is run. */
const planned = (): ReadonlyArray<Run> => {
  const byEdits = new Map<string, Run>()
  const faults: Array<string> = []
  for (const { id, parts } of chosen) {
    for (const { edits, test } of parts) {
      const key = JSON.stringify(edits)
      const trial = { id, ...test }
      const run = byEdits.get(key)
      if (run !== undefined) {
        byEdits.set(key, { ...run, trials: [...run.trials, trial] })
        continue
      }
      try {
        byEdits.set(key, { changed: applied(sources, edits), trials: [trial] })
      } catch (error) {
        faults.push(`${id}: ${(error as Error).message}`)
      }
    }
  }
  if (faults.length > 0) fail(`not everything can be taken out of the source\n${faults.join("\n")}`)
  return [...byEdits.values()]
}

// -- runs --------------------------------------------------------------------------------------

/** `absent`: the test did not run, so nothing is shown. */
type Outcome = "passed" | "failed" | "endless" | "absent"

/** Those of some tests that a trial is of: the one with its title, or all that name its scenario. */
const testsOf = (ran: Ran, { file, id, title }: Trial): Ran =>
  ran.filter(
    (test) => test.file === file && (title === undefined ? scenariosIn(test.fullName).has(id) : test.title === title)
  )

/** Of several tests, one has to notice. */
const outcomeOf = (ran: Ran | "endless", trial: Trial): Outcome => {
  if (ran === "endless") return "endless"
  const states = testsOf(ran, trial).map(({ state }) => state)
  if (states.length === 0) return "absent"
  if (states.includes("failed")) return "failed"
  return states.includes("endless") ? "endless" : "passed"
}

const secondsSince = (start: bigint): string => `${(Number(process.hrtime.bigint() - start) / 1e9).toFixed(1)} s`

const started = process.hrtime.bigint()
const runs = planned()
const trials = runs.flatMap((run) => run.trials)
const processes = Array.from({ length: Math.min(jobs, runs.length) }, () => new TestProcess(makeCopy(root)))

const filesOf = (trials: ReadonlyArray<Trial>) => [...new Set(trials.map(({ file }) => file))]

/**
 * What is slower without a rule by so much does not end. It is as busy as when it ran with all of them, on the same machine a few
 * minutes before; what waits for something that does not come is a matter of this limit alone, and a sixth of all trials do.
 */
const slowness = 20
const leastTimeoutMillis = 5000
/** Of a process in which a test goes on without giving it a turn. */
const patienceMillis = 120_000

/** Files in the order of their trials, in as many parts as there are processes; each begins where the others do not. */
const files = filesOf(trials)
const parts = processes.map((_, part) => files.filter((_, index) => index % processes.length === part))
const ranInParts = await Promise.all(
  processes.map((process, part) => process.run({ files: parts[part] ?? [] }, 20 * patienceMillis))
)
const withRules: Ran | "endless" = ranInParts.some((ran) => ran === "endless")
  ? "endless"
  : ranInParts.flatMap((ran) => (ran === "endless" ? [] : ran))
console.log(
  `${trials.length} tests ran with all rules in ${secondsSince(started)}; now ${runs.length} runs without one each`
)

/** Which tests name a scenario is known once they have run. */
const titlesOf = (trial: Trial): ReadonlyArray<string> =>
  withRules === "endless" ? [] : testsOf(withRules, trial).map(({ title }) => title)

/** How long it may take without its rule. */
const timeoutOf = (trials: ReadonlyArray<Trial>): number => {
  const own = withRules === "endless" ? [] : trials.flatMap((trial) => testsOf(withRules, trial))
  return Math.max(leastTimeoutMillis, slowness * Math.max(0, ...own.map(({ millis }) => millis)))
}

let done = 0
let unheld = 0
const waiting = [...runs]

const work = async (runner: TestProcess) => {
  let restored: ReadonlyArray<string> = []
  for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) {
    const runStarted = process.hrtime.bigint()
    const files = [...run.changed.keys()]
    for (const [file, text] of run.changed) writeFileSync(join(runner.copy, file), text)
    // Those of the run before are as they were.
    const without = await runner.run(
      {
        changed: [...files, ...restored],
        files: filesOf(run.trials),
        titles: run.trials.flatMap(titlesOf),
        timeoutMillis: timeoutOf(run.trials)
      },
      patienceMillis
    )
    for (const file of files) writeFileSync(join(runner.copy, file), sources.get(file)?.text ?? "")
    restored = files
    for (const trial of run.trials) {
      const before = outcomeOf(withRules, trial)
      const after = outcomeOf(without, trial)
      const isHeld = before === "passed" && (after === "failed" || after === "endless")
      if (!isHeld) unheld++
      const progress = `[${`${++done}`.padStart(`${trials.length}`.length)}/${trials.length}]`
      const verdict = isHeld ? "held    " : "NOT HELD"
      const time = secondsSince(runStarted)
      const what = trial.title ?? `its tests in ${trial.file}`
      console.log(`${progress} ${verdict}  ${trial.id}  ${what}: ${before}; without the rule ${after}, ${time}`)
    }
  }
}

await Promise.all(processes.map(work))
console.log(
  `${chosen.length} requirements, ${trials.length} tests, ${unheld} that hold nothing, in ${secondsSince(started)}`
)
// The processes that ran the tests are still there.
process.exit(unheld === 0 ? 0 : 1)
