/**
 * Shows that each requirement of `test/network/requirements.md` is held by its tests: takes it out of a copy of the source, as
 * `test/network/removals.ts` says, and runs them there. A test that still passes holds nothing, and the script fails.
 *
 *     npm run requirements [-- S1 C9]
 *
 * Takes some five minutes for all. Needs nothing, and leaves the working tree alone: the copy is in a temporary folder, which is
 * removed in the end.
 */
import { spawnSync } from "node:child_process"
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { RegExp as Pattern } from "effect"
import { type Edit, removals } from "../test/network/removals.ts"
import { type HoldingTest, requirements } from "../test/support/requirements.ts"

const wanted = new Set(process.argv.slice(2))
const chosen = requirements.filter(({ id }) => wanted.size === 0 || wanted.has(id))
if (chosen.length < wanted.size) {
  console.error(`No such requirement. Name some of ${requirements.map(({ id }) => id).join(", ")}.`)
  process.exit(1)
}

const root = new URL("..", import.meta.url).pathname
const copy = mkdtempSync(join(tmpdir(), "network-effect-requirements-"))
/** Without a rule something may go on without end. */
const patienceMillis = 90_000

interface Report {
  readonly testResults: ReadonlyArray<{
    readonly assertionResults: ReadonlyArray<{ readonly title: string; readonly status: string }>
  }>
}

/** How a test of the copy ends. */
const outcomeOf = ({ file, title }: HoldingTest): "passed" | "failed" | "endless" | "absent" => {
  const report = join(copy, "report.json")
  rmSync(report, { force: true })
  const pattern = `${Pattern.escape(title)}$`
  const vitest = join("node_modules", "vitest", "vitest.mjs")
  const options = [
    "--config",
    "test/vitest.config.ts",
    "--testTimeout",
    "20000",
    "--reporter=json",
    `--outputFile=${report}`
  ]
  const run = spawnSync(process.execPath, [vitest, "run", file, "-t", pattern, ...options], {
    cwd: copy,
    stdio: "ignore",
    timeout: patienceMillis,
    killSignal: "SIGKILL"
  })
  if (run.error !== undefined) return "endless"
  const { testResults } = JSON.parse(readFileSync(report, "utf8")) as Report
  const results = testResults
    .flatMap(({ assertionResults }) => assertionResults)
    .filter((result) => result.title === title && result.status !== "skipped")
  if (results.length === 0) return "absent"
  return results.some(({ status }) => status === "failed") ? "failed" : "passed"
}

/** Runs `look` with the edits made. */
const edited = <A>(edits: ReadonlyArray<Edit>, look: () => A): A => {
  const before = new Map(edits.map(({ file }) => [file, readFileSync(join(copy, file), "utf8")]))
  try {
    for (const { file, find, replace } of edits) {
      writeFileSync(
        join(copy, file),
        readFileSync(join(copy, file), "utf8").replace(find, () => replace)
      )
    }
    return look()
  } finally {
    for (const [file, text] of before) writeFileSync(join(copy, file), text)
  }
}

let unheld = 0
try {
  for (const part of ["src", "layers", "test", "package.json", "tsconfig.json"]) {
    cpSync(join(root, part), join(copy, part), { recursive: true })
  }
  symlinkSync(join(root, "node_modules"), join(copy, "node_modules"))
  for (const { id, tests } of chosen) {
    for (const [index, test] of tests.entries()) {
      const withRule = outcomeOf(test)
      const without = edited(removals[id]?.[index] ?? [], () => outcomeOf(test))
      const isHeld = withRule === "passed" && (without === "failed" || without === "endless")
      if (!isHeld) unheld++
      console.log(`${isHeld ? "held" : "NOT HELD"}  ${id}  ${test.title}: ${withRule}; without the rule ${without}`)
    }
  }
} finally {
  rmSync(copy, { recursive: true })
}
const count = chosen.reduce((sum, { tests }) => sum + tests.length, 0)
console.log(`${chosen.length} requirements, ${count} tests, ${unheld} that hold nothing`)
process.exitCode = unheld === 0 ? 0 : 1
