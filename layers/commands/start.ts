/**
 * `start`, with the layers of the node it runs.
 *
 * @module
 */
import { Command } from "effect/cli"
import { start } from "../../src/cli/start.ts"
import * as Settings from "../Settings.ts"
import * as Standard from "../Standard.ts"
import * as Telemetry from "../Telemetry.ts"

export const commands = [
  start.pipe(
    Command.provide((flags) => Settings.layerNode(flags)),
    Command.provide(({ json }) => Standard.layerOutput(json)),
    Command.provide(Telemetry.layer)
  )
] as const
