/**
 * The command in the process of the tests: the same program, arguments and words, without the second that a process of its own
 * takes to start. For what a command says and ends with; what it does to a process, such as signals and streams that are full,
 * is for `process.ts`.
 */
import { Command } from "effect/cli"
import { ConfigProvider, Console, Effect, Runtime, Stdio } from "effect"
import { command } from "../../layers/commands/all.ts"
import { platform } from "../../layers/main.ts"
import { withWords } from "../../src/cli/root.ts"
import { version } from "../../src/version.ts"
import { withoutLogs } from "./process.ts"

export interface Outcome {
  readonly code: number
  readonly output: string
  /** Each line of stderr that is no log. */
  readonly errors: ReadonlyArray<string>
}

/** Neither stream is a terminal, as in a process whose output is read by another. */
const stdio = (args: ReadonlyArray<string>) => Stdio.layerTest({ args: Effect.succeed(args) })

/** Runs the command to its end, with its home in `directory`. */
export const runIn =
  (directory: string, env: Readonly<Record<string, string>> = {}) =>
  (...args: ReadonlyArray<string>): Promise<Outcome> =>
    Effect.gen(function* () {
      const [output, errors]: [Array<string>, Array<string>] = [[], []]
      const told = (lines: Array<string>) => (text: unknown) => void lines.push(`${String(text)}\n`)
      const console_: Console.Console = { ...console, log: told(output), error: told(errors) }
      const exit = yield* Command.run(command, { version }).pipe(
        withWords,
        Effect.provide(stdio(args)),
        Effect.provide(platform),
        Effect.provideService(Console.Console, console_),
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromEnv({
            env: { HOME: directory, XDG_CACHE_HOME: directory, NETWORK_EFFECT_STATUS: "off", ...env }
          })
        ),
        Effect.exit
      )
      let code = 0
      Runtime.defaultTeardown(exit, (chosen) => (code = chosen))
      return { code, output: output.join(""), errors: withoutLogs(errors.join("")) }
    }).pipe(Effect.runPromise)
