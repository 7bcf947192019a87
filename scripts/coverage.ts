/**
 * Compares what the tests cover with `test/coverage.md`: every file of which they take fewer than nine branches in ten has a
 * sentence there that says why, and no other file has one. A map, not a goal.
 *
 *     npm run test:coverage
 *
 * runs the tests before. Needs `node_modules/.cache/coverage/coverage-summary.json`; writes nothing. Exit code 1 when the two differ.
 */
import { existsSync, readFileSync } from "node:fs"
import { relative } from "node:path"

const root = new URL("..", import.meta.url).pathname
const summaryFile = `${root}node_modules/.cache/coverage/coverage-summary.json`
if (!existsSync(summaryFile)) {
  console.error("coverage: there is no summary yet: npm run test:coverage makes one")
  process.exit(1)
}

const leastShare = 90

interface Covered {
  readonly branches: { readonly total: number; readonly covered: number; readonly pct: number }
}

const summary = JSON.parse(readFileSync(summaryFile, "utf8")) as Readonly<Record<string, Covered>>
const low = new Map(
  Object.entries(summary)
    .filter(([file, { branches }]) => file !== "total" && branches.pct < leastShare)
    .map(([file, { branches }]) => [relative(root, file), branches] as const)
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
)
const sentences = new Map(
  [...readFileSync(`${root}test/coverage.md`, "utf8").matchAll(/^- `([^`]+)`: (.{20,}\.)$/gm)].map(
    ([, file = "", sentence = ""]) => [file, sentence] as const
  )
)

for (const [file, { covered, pct, total }] of low) {
  console.log(
    `${pct.toFixed(1).padStart(5)} %  ${covered} of ${total}  ${file}: ${sentences.get(file) ?? "NO SENTENCE"}`
  )
}
const missing = [...low.keys()].filter((file) => !sentences.has(file))
const idle = [...sentences.keys()].filter((file) => !low.has(file))
for (const file of missing) console.error(`coverage: ${file} needs a sentence in test/coverage.md`)
for (const file of idle)
  console.error(`coverage: ${file} has ${leastShare} % or more, and needs no sentence in test/coverage.md`)
process.exitCode = missing.length + idle.length === 0 ? 0 : 1
