/**
 * The network-effect command. The one place where an effect is run: by `run`, which `bin.js` calls.
 *
 * @module
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeDns from "@effect/platform-node/NodeDns"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Cause, Effect, Exit, Layer, Runtime } from "effect"
import { Command } from "effect/cli"
import * as BoundedFetch from "../src/cli/BoundedFetch.ts"
import * as census from "../src/cli/census.ts"
import { serve } from "../src/cli/censusServe.ts"
import { watch } from "../src/cli/censusWatch.ts"
import * as config from "../src/cli/config.ts"
import { devnet } from "../src/cli/devnet.ts"
import { doctor } from "../src/cli/doctor.ts"
import * as remote from "../src/cli/remote.ts"
import { replay } from "../src/cli/replay.ts"
import { layerOutput, root } from "../src/cli/root.ts"
import { start } from "../src/cli/start.ts"
import { top } from "../src/cli/top.ts"
import { version } from "../src/version.ts"
import * as Census from "./Census.ts"
import * as Devnet from "./Devnet.ts"
import * as Settings from "./Settings.ts"
import * as Standard from "./Standard.ts"
import * as Telemetry from "./Telemetry.ts"

/** Every command, with the layers it needs. */
export const command = root.pipe(
  Command.withSubcommands([
    start.pipe(
      Command.provide((flags) => Settings.layerNode(flags)),
      Command.provide(({ json }) => Standard.layerOutput(json)),
      Command.provide(Telemetry.layer)
    ),
    devnet.pipe(Command.provide(Devnet.layer), Command.provide(Telemetry.layer)),
    census.census.pipe(
      Command.withSubcommands([
        census.run.pipe(
          Command.provide((flags) => Census.layerRun(flags)),
          Command.provide(Telemetry.layer)
        ),
        census.report.pipe(Command.provide((flags) => Census.layerExistingStore(flags))),
        census.diff.pipe(Command.provide((flags) => Census.layerExistingStore(flags))),
        census.host.pipe(Command.provide((flags) => Census.layerExistingStore(flags))),
        census.exports.pipe(Command.provide((flags) => Census.layerExistingStore(flags))),
        serve.pipe(Command.provide((flags) => Census.layerServe(flags))),
        watch.pipe(
          Command.provide((flags) => Census.layerWatch(flags)),
          Command.provide(Telemetry.layer)
        )
      ])
    ),
    config.config.pipe(
      Command.withSubcommands([
        config.check,
        config.show.pipe(Command.provide((flags) => Settings.layerInForce(flags))),
        config.printDefault
      ])
    ),
    remote.peers,
    remote.addresses,
    remote.bans,
    remote.ban,
    remote.unban,
    remote.connect,
    remote.logLevel,
    replay,
    top,
    doctor.pipe(Command.provide((flags) => Layer.merge(Settings.layerDoctor(flags), NodeDns.layer)))
  ])
)

/** What every command stands on. */
export const platform = Layer.mergeAll(Telemetry.layerLogs, layerOutput, BoundedFetch.layer).pipe(
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
  })(Command.run(command, { version }).pipe(Effect.provide(platform)))
}
