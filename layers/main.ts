/**
 * The network-effect command. The one place where an effect is run: by `run`, which `bin.js` calls.
 *
 * Most of a start is reading modules, so whoever names a command reads those of that one alone.
 *
 * @module
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Effect, Exit, Layer, Runtime, Stdio } from "effect"
import { Command } from "effect/cli"
import { layerOutput, root, withWords } from "../src/cli/root.ts"
import { version } from "../src/version.ts"
import * as Telemetry from "./Telemetry.ts"

/** Runs one of these commands, as the arguments say. */
const only = <const Commands extends ReadonlyArray<Command.Command.Any>>(
  load: () => Promise<{ readonly commands: Commands }>
) =>
  Effect.flatMap(Effect.promise(load), ({ commands }) =>
    Command.run(root.pipe(Command.withSubcommands(commands)), { version })
  )

const ask = only(() => import("./commands/ask.ts"))

/** By the word the arguments begin with. */
export const programs = {
  start: only(() => import("./commands/start.ts")),
  devnet: only(() => import("./commands/devnet.ts")),
  census: only(() => import("./commands/census.ts")),
  config: only(() => import("./commands/config.ts")),
  peers: ask,
  addresses: ask,
  why: ask,
  bans: ask,
  ban: ask,
  unban: ask,
  connect: ask,
  "log-level": ask,
  top: ask,
  replay: only(() => import("./commands/replay.ts")),
  doctor: only(() => import("./commands/doctor.ts"))
}

/** For help, for what is wrong, and for flags that stand before the command. */
const all = Effect.flatMap(
  Effect.promise(() => import("./commands/all.ts")),
  ({ command }) => Command.run(command, { version })
)

/** Says something about all commands, wherever it stands. */
const isAboutAll = (argument: string): boolean => /^--(completions|wizard)\b/.test(argument)

const isOne = (name: string): name is keyof typeof programs => Object.hasOwn(programs, name)

const program = Effect.gen(function* () {
  const args = yield* (yield* Stdio.Stdio).args
  const [name = ""] = args
  return yield* isOne(name) && !args.some(isAboutAll) ? programs[name] : all
})

/** What every command stands on. */
export const platform = Layer.merge(Telemetry.layerLogs, layerOutput).pipe(
  Layer.provideMerge(Layer.merge(NodeServices.layer, NodeCrypto.layerSecureRandom))
)

/** Runs the command. `onStart` is given what ends it in order, with an exit code. */
export const run = (onStart: (stop: (code: number) => void) => void): void => {
  let stoppedWith: number | undefined
  Runtime.makeRunMain(({ fiber, teardown }) => {
    onStart((code) => {
      stoppedWith = code
      fiber.interruptUnsafe(fiber.id)
    })
    fiber.addObserver((exit) =>
      teardown(exit, (code) => {
        const wasStopped = stoppedWith !== undefined && Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
        process.exit(wasStopped ? stoppedWith : code)
      })
    )
  })(program.pipe(withWords, Effect.provide(platform)))
}
