/**
 * Every command, in the order of the help.
 *
 * @module
 */
import { Command } from "effect/cli"
import { root } from "../../src/cli/root.ts"
import * as ask from "./ask.ts"
import * as census from "./census.ts"
import * as config from "./config.ts"
import * as devnet from "./devnet.ts"
import * as doctor from "./doctor.ts"
import * as replay from "./replay.ts"
import * as start from "./start.ts"

export const command = root.pipe(
  Command.withSubcommands([
    ...start.commands,
    ...devnet.commands,
    ...census.commands,
    ...config.commands,
    ...ask.commands,
    ...replay.commands,
    ...doctor.commands
  ])
)
