/**
 * Shows that each requirement of the tables in `test/support/requirements.ts` is held by its tests: takes it out of a copy of
 * the source, as the table says, and runs them there. A test that still passes holds nothing, and the script fails.
 *
 *     npm run requirements [-- [--list] [--jobs N] S1 C9]
 *
 * `--list` says what the requirements are, which tests hold them and where in the source they are, and runs nothing. `--jobs`
 * says how many copies are tested at the same time (2 unless given). All of them take some minutes. Needs nothing, and leaves
 * the working tree alone: the copies are in temporary folders, which are removed in the end.
 */
import { type ChildProcess, spawn } from "node:child_process"
import {
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join, relative } from "node:path"
import { parseArgs } from "node:util"
import { RegExp as Pattern } from "effect"
import { type HoldingTest, requirementsOf, tables } from "../test/support/requirements.ts"
import { applied, placeFor, readSources, showPlace } from "../test/support/sourceEdits.ts"

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
const jobs = Number(values.jobs ?? 2)
if (!Number.isInteger(jobs) || jobs < 1) fail(`--jobs ${values.jobs} is not a number from 1 on`)

const all = tables.flatMap((table) =>
  requirementsOf(table).map((requirement) => ({ ...requirement, removals: table.removals[requirement.id] ?? [] }))
)
const unknown = positionals.filter((wanted) => !all.some(({ id }) => id === wanted))
if (unknown.length > 0) {
  fail(`there is no ${unknown.join(", ")}; there are ${all.map(({ id }) => id).join(", ")}`)
}
const chosen = all.filter(({ id }) => positionals.length === 0 || positionals.includes(id))

const root = new URL("..", import.meta.url).pathname
const sources = readSources(root, ["src", "layers"])

if (values.list === true) {
  for (const { id, removals, tests, words } of chosen) {
    console.log(`${id}  ${words}`)
    for (const [index, { file, title }] of tests.entries()) {
      console.log(`    ${file}: ${title}`)
      for (const edit of removals[index] ?? []) console.log(`      ${showPlace(placeFor(sources, edit))}`)
    }
  }
  process.exit(0)
}

// -- what there is to do -----------------------------------------------------------------------

interface Trial extends HoldingTest {
  readonly id: string
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
  for (const { id, removals, tests } of chosen) {
    for (const [index, test] of tests.entries()) {
      const edits = removals[index] ?? []
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

// -- copies ------------------------------------------------------------------------------------

const folders: Array<string> = []
const children = new Set<ChildProcess>()

/** Kills a run with whatever it has started. */
const kill = ({ pid }: ChildProcess) => {
  try {
    if (pid !== undefined) process.kill(-pid, "SIGKILL")
  } catch {
    // It has ended by itself.
  }
}

process.on("exit", () => {
  for (const child of children) kill(child)
  for (const folder of folders) rmSync(folder, { recursive: true, force: true })
})
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1))

const makeCopy = (): string => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "network-effect-requirements-")))
  folders.push(folder)
  for (const part of ["src", "layers", "test", "package.json", "tsconfig.json"]) {
    cpSync(join(root, part), join(folder, part), { recursive: true })
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
  return folder
}

// -- runs --------------------------------------------------------------------------------------

/** `absent`: the test did not run, so nothing is shown. */
type Outcome = "passed" | "failed" | "endless" | "absent"

interface Report {
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly assertionResults: ReadonlyArray<{
      readonly title: string
      readonly status: string
      readonly failureMessages?: ReadonlyArray<string>
    }>
  }>
}

type Result = Report["testResults"][number]["assertionResults"][number]

const testTimeoutMillis = 20_000

const runTests = (copy: string, tests: ReadonlyArray<HoldingTest>, report: string, patienceMillis: number) =>
  new Promise<"ended" | "endless">((resolve) => {
    const files = new Set(tests.map(({ file }) => file))
    const titles = new Set(tests.map(({ title }) => Pattern.escape(title)))
    const options = [
      "--config=test/vitest.config.ts",
      `--testTimeout=${testTimeoutMillis}`,
      "--reporter=json",
      `--outputFile=${report}`,
      `--testNamePattern=(?:${[...titles].join("|")})$`
    ]
    const vitest = join("node_modules", "vitest", "vitest.mjs")
    // A process group of its own: a worker in an endless loop would outlive the process that started it.
    const child = spawn(process.execPath, [vitest, "run", ...files, ...options], {
      cwd: copy,
      stdio: "ignore",
      detached: true
    })
    children.add(child)
    const patience = setTimeout(() => kill(child), patienceMillis)
    child.on("close", (_code, signal) => {
      clearTimeout(patience)
      children.delete(child)
      resolve(signal === null ? "ended" : "endless")
    })
  })

const outcomeOf = (results: ReadonlyArray<Result>): Outcome => {
  if (results.length === 0) return "absent"
  const failures = results.filter(({ status }) => status === "failed")
  if (failures.length === 0) return "passed"
  const messages = failures.flatMap(({ failureMessages }) => failureMessages ?? [])
  return messages.every((message) => message.includes(`timed out in ${testTimeoutMillis}ms`)) ? "endless" : "failed"
}

/** How tests of a copy end, all in one process. */
const outcomesOf = async (
  copy: string,
  tests: ReadonlyArray<HoldingTest>,
  patienceMillis: number
): Promise<(test: HoldingTest) => Outcome> => {
  const report = join(copy, "report.json")
  rmSync(report, { force: true })
  if ((await runTests(copy, tests, report, patienceMillis)) === "endless") return () => "endless"
  // The tests could not even be started.
  if (!existsSync(report)) return () => "absent"
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as Report
  return ({ file, title }) =>
    outcomeOf(
      testResults
        .filter(({ name }) => relative(copy, name) === file)
        .flatMap(({ assertionResults }) => assertionResults)
        .filter((result) => result.title === title && result.status !== "skipped" && result.status !== "pending")
    )
}

const secondsSince = (start: bigint): string => `${(Number(process.hrtime.bigint() - start) / 1e9).toFixed(1)} s`

const started = process.hrtime.bigint()
const runs = planned()
const trials = runs.flatMap((run) => run.trials)
const copies = Array.from({ length: Math.min(jobs, runs.length) }, makeCopy)
const [firstCopy = fail("there are no requirements")] = copies

/** Without a rule something may go on without end. */
const patienceMillis = 90_000
const withRules = await outcomesOf(firstCopy, trials, 10 * patienceMillis)
console.log(
  `${trials.length} tests ran with all rules in ${secondsSince(started)}; now ${runs.length} runs without one each`
)

let done = 0
let unheld = 0
const waiting = [...runs]

const work = async (copy: string) => {
  for (let run = waiting.shift(); run !== undefined; run = waiting.shift()) {
    const runStarted = process.hrtime.bigint()
    for (const [file, text] of run.changed) writeFileSync(join(copy, file), text)
    const without = await outcomesOf(copy, run.trials, patienceMillis)
    for (const file of run.changed.keys()) writeFileSync(join(copy, file), sources.get(file)?.text ?? "")
    for (const trial of run.trials) {
      const before = withRules(trial)
      const after = without(trial)
      const isHeld = before === "passed" && (after === "failed" || after === "endless")
      if (!isHeld) unheld++
      const progress = `[${`${++done}`.padStart(`${trials.length}`.length)}/${trials.length}]`
      const verdict = isHeld ? "held    " : "NOT HELD"
      const time = secondsSince(runStarted)
      console.log(`${progress} ${verdict}  ${trial.id}  ${trial.title}: ${before}; without the rule ${after}, ${time}`)
    }
  }
}

await Promise.all(copies.map(work))
console.log(
  `${chosen.length} requirements, ${trials.length} tests, ${unheld} that hold nothing, in ${secondsSince(started)}`
)
process.exitCode = unheld === 0 ? 0 : 1
