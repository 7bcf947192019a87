/**
 * `census` and what it has below it, with the stores and layers of each.
 *
 * @module
 */
import { Command } from "effect/cli"
import * as census from "../../src/cli/census.ts"
import { serve } from "../../src/cli/censusServe.ts"
import { watch } from "../../src/cli/censusWatch.ts"
import * as Census from "../Census.ts"
import * as Telemetry from "../Telemetry.ts"

export const commands = [
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
  )
] as const
