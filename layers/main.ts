#!/usr/bin/env node
/**
 * The network-effect command. The one place where an effect is run.
 *
 * @module
 */
import { NodeRuntime, NodeServices } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import { config } from "../src/cli/config.ts"
import { devnet } from "../src/cli/devnet.ts"
import { layerOutput, root } from "../src/cli/root.ts"
import { start } from "../src/cli/start.ts"
import * as Devnet from "./Devnet.ts"
import * as Settings from "./Settings.ts"
import * as Telemetry from "./Telemetry.ts"

const program = root.pipe(
  Command.withSubcommands([
    devnet.pipe(Command.provide(Devnet.layer), Command.provide(Telemetry.layer)),
    config,
    start.pipe(
      Command.provide((flags) => Settings.layerNode(flags)),
      Command.provide(Telemetry.layer)
    )
  ]),
  Command.run({ version: "0.0.0" })
)

const platform = Layer.merge(Telemetry.layerLogs, layerOutput).pipe(Layer.provideMerge(NodeServices.layer))

NodeRuntime.runMain(program.pipe(Effect.provide(platform)))
