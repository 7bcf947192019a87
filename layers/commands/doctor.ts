/**
 * `doctor`, with the settings it looks at and what it tries them with.
 *
 * @module
 */
import * as NodeDns from "@effect/platform-node/NodeDns"
import { Effect, Layer } from "effect"
import { Command } from "effect/cli"
import * as BoundedFetch from "../../src/cli/BoundedFetch.ts"
import { doctor, DoctorSettings } from "../../src/cli/doctor.ts"
import * as TcpTransport from "../../src/transport/TcpTransport.ts"
import * as Settings from "../Settings.ts"

export const commands = [
  doctor.pipe(
    Command.provide((flags) =>
      Layer.unwrap(
        Effect.map(Settings.loadWithoutPeers(flags), ({ options, zones }) =>
          Layer.merge(
            Layer.succeed(DoctorSettings, DoctorSettings.of(options)),
            Layer.provide(TcpTransport.layer, zones)
          )
        )
      ).pipe(Layer.catchCause(Settings.failing("")))
    ),
    Command.provide(Layer.merge(NodeDns.layer, BoundedFetch.layer))
  )
] as const
