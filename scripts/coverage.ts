/**
 * Which branches the tests come by, as a map: every file of `src` and `layers` of which they see less than 90 % has a sentence in
 * `test/coverage.md` that says why. Says which file lacks one, and which no longer needs its own; exit code 1 when one lacks.
 *
 *     npm run test:coverage [-- --from FILE]
 *
 * Runs all tests, which takes half as long again as without. `--from` reads a `coverage-summary.json` of a run before, and runs
 * nothing. Writes `coverage`, and needs nothing. What runs in a browser or a process of its own is not counted.
 */
import { spawnSync } from "node:child_process"
import { existsSync, readFileSync, rmSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { parseArgs } from "node:util"

const root = new URL("..", import.meta.url).pathname

/** Branches of a file in percent, below which somebody has to say why. */
const enough = 90

const fail = (message: string): never => {
  console.error(`coverage: ${message}`)
  process.exit(1)
}

const readArguments = () => {
  try {
    return parseArgs({ options: { from: { type: "string" } } }).values
  } catch (error) {
    return fail(`${(error as Error).message.split(".")[0]}; see the top of scripts/coverage.ts`)
  }
}

const { from } = readArguments()
const summary = from ?? join(root, "coverage/coverage-summary.json")

/** Whether a test failed: the map is shown all the same, as most of it is true, and is no proof. */
let failed = false
if (from === undefined) {
  rmSync(summary, { force: true })
  const include = ["src/**/*.{ts,js}", "layers/**/*.{ts,js}"].map((glob) => `--coverage.include=${glob}`)
  const reporters = ["text-summary", "json-summary", "html"].map((name) => `--coverage.reporter=${name}`)
  const { status } = spawnSync(
    "vitest",
    ["run", "--config", "test/vitest.config.ts", "--coverage", "--coverage.reportOnFailure", ...include, ...reporters],
    // What the server is asked by a page in a browser counts.
    { cwd: root, stdio: "inherit", env: { ...process.env, NETWORK_EFFECT_BROWSER: "1" } }
  )
  failed = status !== 0
}
if (!existsSync(summary)) fail(`there is no ${summary}: run npm run test:coverage`)

interface Counted {
  readonly branches: { readonly total: number; readonly covered: number; readonly pct: number }
}

const { total: _, ...files } = JSON.parse(readFileSync(summary, "utf8")) as Record<string, Counted>
const low = new Map(
  Object.entries(files).flatMap(([path, { branches }]) =>
    branches.total > 0 && branches.pct < enough ? [[relative(root, path), branches] as const] : []
  )
)
/** The files that have a sentence, and folders, `folder/*`, of which each file has one. */
const explained = [...readFileSync(join(root, "test/coverage.md"), "utf8").matchAll(/^\| `([^`]+)` \|/gm)].map(
  ([, file = ""]) => file
)
const isAbout = (row: string, file: string): boolean =>
  row.endsWith("/*") ? dirname(file) === dirname(row) : row === file

const missing = [...low.keys()].filter((file) => !explained.some((row) => isAbout(row, file)))
for (const file of missing) {
  const { covered, total } = low.get(file) ?? { covered: 0, total: 0 }
  console.log(`${file}: ${covered} of ${total} branches, and test/coverage.md does not say why`)
}
for (const row of explained) {
  if (![...low.keys()].some((file) => isAbout(row, file)))
    console.log(`${row}: needs no sentence in test/coverage.md any more`)
}
console.log(
  `${Object.keys(files).length} files, ${low.size} below ${enough} % of branches, ${missing.length} of them without a sentence`
)
if (failed) fail("a test failed, so the map lacks what it comes by")
process.exitCode = missing.length === 0 ? 0 : 1
