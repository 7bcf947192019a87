/**
 * Runs tests again and again in one process, which takes a tenth of the time of one process each: `scripts/requirements.ts`
 * starts it in a copy of the project, writes a changed source and asks for tests.
 *
 * Takes `Wanted` and answers with `Ran`, over the channel to the process that started it. A source that goes on without end
 * does not answer: whoever waits has to kill it. Arguments are modules that run before each test file.
 */
import { relative } from "node:path"
import { createVitest } from "vitest/node"

export interface Wanted {
  /** Files whose text is another than it was. Absolute. */
  readonly changed: ReadonlyArray<string>
  /** Test files, from the root of the copy. */
  readonly files: ReadonlyArray<string>
  /** Only tests whose names end so. */
  readonly pattern?: string | undefined
  /** Whether the first failure is the end. */
  readonly bail?: boolean | undefined
  /** After which a test that has no limit of its own is `endless`; 20 s unless given. */
  readonly timeoutMillis?: number | undefined
}

export interface Test {
  /** From the root of the copy. */
  readonly file: string
  readonly title: string
  /** With the names of what it is in. */
  readonly fullName: string
  readonly state: "passed" | "failed" | "endless"
  readonly millis: number
}

export type Ran = ReadonlyArray<Test>

const defaultTimeoutMillis = 20_000

process.env["NODE_ENV"] = "test"
process.env["VITEST"] = "1"
const root = process.cwd()
const vitest = await createVitest("test", {
  config: "test/vitest.config.ts",
  watch: false,
  maxWorkers: 1,
  reporters: [{}],
  setupFiles: ["test/support/chance.ts", ...process.argv.slice(2)],
  testTimeout: defaultTimeoutMillis
})

const run = async ({
  bail = false,
  changed,
  files,
  pattern,
  timeoutMillis = defaultTimeoutMillis
}: Wanted): Promise<Ran> => {
  for (const { config } of [vitest, ...vitest.projects]) {
    config.bail = bail ? 1 : 0
    config.testTimeout = timeoutMillis
  }
  for (const file of changed) vitest.invalidateFile(file)
  if (pattern === undefined) vitest.resetGlobalTestNamePattern()
  else vitest.setGlobalTestNamePattern(new RegExp(pattern))
  const { testModules } = await vitest.runTestSpecifications(await vitest.globTestSpecifications([...files]))
  return testModules.flatMap((module) => {
    const file = relative(root, module.moduleId)
    return [...module.children.allTests()].flatMap((test): ReadonlyArray<Test> => {
      const result = test.result()
      if (result.state !== "passed" && result.state !== "failed") return []
      const errors = result.state === "failed" ? result.errors : []
      const isEndless = errors.length > 0 && errors.every(({ message }) => /timed out in \d+ms/.test(String(message)))
      const state = isEndless ? "endless" : result.state
      return [{ file, title: test.name, fullName: test.fullName, state, millis: test.diagnostic()?.duration ?? 0 }]
    })
  })
}

let last = Promise.resolve()
process.on("message", (wanted: Wanted) => {
  last = last.then(async () => {
    process.send?.(await run(wanted))
  })
})
process.on("disconnect", () => process.exit())
process.send?.("ready")
