/**
 * Where logs go: to stderr, for stdout is for what a command answers.
 *
 * @module
 */
import { Effect, Layer, Logger, Stdio } from "effect"

/** Pretty on a terminal, one JSON object per line otherwise. */
export const layerLogs = Layer.unwrap(
  Effect.gen(function* () {
    const isTerminal = yield* (yield* Stdio.Stdio).stderrIsTerminal
    return isTerminal
      ? Layer.merge(Logger.layer([Logger.consolePretty()]), Layer.succeed(Logger.LogToStderr, true))
      : Logger.layer([Logger.withConsoleError(Logger.formatJson)])
  })
)
