/**
 * The level below which logs are dropped, which can be changed while the process runs.
 *
 * @module
 */
import { Context, Effect, Logger, LogLevel } from "effect"

export interface LogLevelControl {
  readonly get: Effect.Effect<LogLevel.LogLevel>
  readonly set: (level: LogLevel.LogLevel) => Effect.Effect<void>
  /** A logger that hears only what is at or above the level of the moment. */
  readonly filtered: <Message, Output>(logger: Logger.Logger<Message, Output>) => Logger.Logger<Message, void>
}

/** A control that starts at `initial`. */
export const make = (initial: LogLevel.LogLevel): LogLevelControl => {
  let level = initial
  return {
    get: Effect.sync(() => level),
    set: (next) =>
      Effect.sync(() => {
        level = next
      }),
    filtered: (logger) =>
      Logger.make((options) => {
        if (LogLevel.isGreaterThanOrEqualTo(options.logLevel, level)) logger.log(options)
      })
  }
}

/** The control of this process's logs. Unless one is provided, setting it changes nothing. */
export const LogLevelControl = Context.Reference<LogLevelControl>("network-effect/status/LogLevelControl", {
  defaultValue: () => make("Info")
})
