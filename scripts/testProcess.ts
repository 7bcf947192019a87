/**
 * Copies of the project in temporary folders, and a process for each that runs tests there again and again (`testRunner.ts`).
 * Both end with the process that made them.
 */
import { type ChildProcess, spawn } from "node:child_process"
import { cpSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { RegExp as Pattern } from "effect"
import type { Ran, Wanted } from "./testRunner.ts"

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

/** A copy of the project that tests can run in, with the same `node_modules`. */
export const makeCopy = (root: string): string => {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "network-effect-copy-")))
  folders.push(folder)
  for (const part of [
    "src",
    "layers",
    "scripts",
    "test",
    "package.json",
    "tsconfig.json",
    "README.md",
    "ARCHITECTURE.md"
  ]) {
    cpSync(join(root, part), join(folder, part), { recursive: true })
  }
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"))
  return folder
}

/** Which tests of a copy are run. */
export interface Tests {
  /** From the root of the copy. */
  readonly files: ReadonlyArray<string>
  /** Only tests with these titles; all when there are none. */
  readonly titles?: ReadonlyArray<string>
  /** Files whose text is another than it was, from the root of the copy. */
  readonly changed?: ReadonlyArray<string>
  /** Whether the first failure is the end. */
  readonly bail?: boolean
  /** After which a test that has no limit of its own is `endless`. */
  readonly timeoutMillis?: number
}

/** A process that runs tests in a copy; a new one where that had to be killed, or ended by itself. */
export class TestProcess {
  readonly copy: string
  readonly #setup: ReadonlyArray<string>
  readonly #env: Readonly<Record<string, string>>
  #child: ChildProcess | undefined

  /** `setup` runs before each test file; paths from the root of the copy. */
  constructor(copy: string, setup: ReadonlyArray<string> = [], env: Readonly<Record<string, string>> = {}) {
    this.copy = copy
    this.#setup = setup
    this.#env = env
  }

  /** What tests come to; `endless` when the process has not answered in time, and is gone. */
  async run(
    { bail, changed = [], files, timeoutMillis, titles = [] }: Tests,
    patienceMillis: number
  ): Promise<Ran | "endless"> {
    const child = (this.#child ??= await this.#start())
    const wanted: Wanted = {
      changed: changed.map((file) => join(this.copy, file)),
      files,
      pattern: titles.length === 0 ? undefined : `(?:${[...new Set(titles)].map(Pattern.escape).join("|")})$`,
      bail,
      timeoutMillis
    }
    return await new Promise((resolve) => {
      const end = (outcome: Ran | "endless") => {
        clearTimeout(patience)
        child.removeAllListeners()
        if (outcome === "endless" || child.exitCode !== null) {
          kill(child)
          children.delete(child)
          this.#child = undefined
        }
        resolve(outcome)
      }
      const patience = setTimeout(() => end("endless"), patienceMillis)
      child.on("message", (ran) => end(ran as Ran))
      // Its process ended by itself, so nothing is shown.
      child.on("close", () => end([]))
      child.send(wanted)
    })
  }

  /** Ends the process; the next run has another. */
  stop(): void {
    if (this.#child !== undefined) {
      kill(this.#child)
      children.delete(this.#child)
    }
    this.#child = undefined
  }

  async #start(): Promise<ChildProcess> {
    // A process group of its own: a worker in an endless loop would outlive the process that started it.
    const child = spawn(process.execPath, [join(this.copy, "scripts/testRunner.ts"), ...this.#setup], {
      cwd: this.copy,
      env: { ...process.env, ...this.#env },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
      detached: true
    })
    children.add(child)
    await new Promise((resolve) => child.once("message", resolve))
    return child
  }
}
