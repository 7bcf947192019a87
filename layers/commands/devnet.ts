/**
 * `devnet`, with the layers of the nodes it runs.
 *
 * @module
 */
import { Command } from "effect/cli"
import { devnet } from "../../src/cli/devnet.ts"
import * as Devnet from "../Devnet.ts"
import * as Telemetry from "../Telemetry.ts"

export const commands = [devnet.pipe(Command.provide(Devnet.layer), Command.provide(Telemetry.layer))] as const
