/**
 * Where logs, traces and metrics go. Logs go to stderr, for stdout is for what a command answers.
 *
 * @module
 */
import { Config, Effect, Layer, Logger, LogLevel, Option, References, Stdio, Tracer } from "effect"
import { ShowAddresses } from "../src/chain/PeerSocketAddress.ts"
import { explained, root } from "../src/cli/root.ts"
import { nearMiss, SettingsError } from "../src/cli/SettingsSource.ts"
import { loaded } from "./Loaded.ts"
import { bounded } from "./Standard.ts"
import { LogLevelControl, make as makeControl } from "../src/status/LogLevelControl.ts"

const pretty = Logger.consolePretty()
const json = Logger.withConsoleError(Logger.formatJson)
const toStderr = Layer.succeed(Logger.LogToStderr, true)

/** Pretty on a terminal, one JSON object per line otherwise. */
const defaultLogger = Effect.map(
  Effect.flatMap(Stdio.Stdio, ({ stderrIsTerminal }) => stderrIsTerminal),
  (isTerminal) => (isTerminal ? pretty : json)
)

/** Logs of a command before its flags are known. */
export const layerLogs = Layer.unwrap(
  Effect.map(defaultLogger, (logger) => Layer.merge(Logger.layer([logger]), toStderr))
)

/** The level of the flag, else of `NETWORK_EFFECT_LOG_LEVEL`, else `Info`. */
const initialLevel = Effect.gen(function* () {
  const name = yield* Effect.orDie(Config.option(Config.String("NETWORK_EFFECT_LOG_LEVEL")))
  const flag = yield* References.MinimumLogLevel
  if (Option.isNone(name) || flag !== "Info") return flag
  const level = LogLevel.values.find((level) => level.toLowerCase() === name.value.toLowerCase())
  if (level !== undefined) return level
  return yield* new SettingsError({
    message: `NETWORK_EFFECT_LOG_LEVEL is ${name.value}${nearMiss(name.value, LogLevel.values)}: say ${LogLevel.values.map((level) => level.toLowerCase()).join(", ")}`
  })
})

const collector = (url: string) =>
  loaded(
    () => import("./Collector.ts"),
    ({ layer }) => layer(url)
  )

/** Logs, traces and metrics as the flags want them; their level can be changed while the node runs. */
export const layer = Layer.unwrap(
  explained("")(
    Effect.gen(function* () {
      const { logFormat, otlp, showAddresses } = yield* root
      const level = yield* initialLevel
      const control = makeControl(level)
      const chosen = bounded(
        Option.isNone(logFormat) ? yield* defaultLogger : logFormat.value === "pretty" ? pretty : json
      )
      const collected = Option.isNone(otlp) ? Layer.empty : collector(otlp.value)
      const references = Layer.mergeAll(
        Logger.layer([control.filtered(chosen)]),
        toStderr,
        Layer.succeed(LogLevelControl, control),
        // The control decides; nothing is dropped before it.
        Layer.succeed(References.MinimumLogLevel, "All"),
        // A span per message is for whoever looks for a fault.
        Layer.succeed(Tracer.MinimumTraceLevel, LogLevel.isLessThan(level, "Info") ? level : "Info"),
        Layer.succeed(ShowAddresses, showAddresses)
      )
      return collected.pipe(Layer.provideMerge(references))
    })
  )
)
