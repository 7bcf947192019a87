/** A level of logs that changes while a program runs. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger, References } from "effect"
import { make } from "../../src/status/LogLevelControl.ts"

describe("the level of the logs", () => {
  it.effect("is what it was last set to, for whoever logs from then on", () => {
    const heard: Array<unknown> = []
    const control = make("Warn")
    const logger = control.filtered(Logger.make(({ message }) => heard.push(message)))
    return Effect.gen(function* () {
      yield* Effect.logInfo("too quiet")
      yield* control.set("Debug")
      assert.strictEqual(yield* control.get, "Debug")
      yield* Effect.logDebug("just right")
      yield* Effect.logTrace("too quiet again")
      yield* control.set("None")
      yield* Effect.logFatal("nobody listens")
      assert.deepStrictEqual(heard.flat(), ["just right"])
    }).pipe(Effect.provide(Logger.layer([logger])), Effect.provideService(References.MinimumLogLevel, "All"))
  })
})
