/**
 * `config` and what it has below it.
 *
 * @module
 */
import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import * as config from "../../src/cli/config.ts"
import * as Settings from "../Settings.ts"

export const commands = [
  config.config.pipe(
    Command.withSubcommands([
      config.check,
      config.show.pipe(
        Command.provide((flags) =>
          Layer.effect(
            config.InForce,
            Effect.map(Settings.loadWithoutPeers(flags), ({ options }) => config.InForce.of(options))
          ).pipe(Layer.catchCause(Settings.failing("")))
        )
      ),
      config.printDefault
    ])
  )
] as const
