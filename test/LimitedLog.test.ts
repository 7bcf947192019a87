/** Lines that others can set off. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import * as LimitedLog from "../src/LimitedLog.ts"
import { twoClocks } from "./support/twoClocks.ts"

describe("a limited log", () => {
  it.effect("writes one line of a kind per interval, and says how many it left out; kinds do not share", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ fiber, message }) => {
      const { leftOut } = fiber.getRef(References.CurrentLogAnnotations)
      lines.push(leftOut === undefined ? String(message) : `${String(message)} (+${String(leftOut)})`)
    })
    return Effect.gen(function* () {
      const limited = LimitedLog.make(Duration.seconds(60))
      for (let i = 0; i < 1000; i++) yield* limited("inv", Effect.logInfo(`inv ${i}`))
      yield* limited("ping", Effect.logInfo("ping"))
      yield* TestClock.adjust("59 seconds")
      yield* limited("inv", Effect.logInfo("too soon"))
      yield* TestClock.adjust("1 second")
      yield* limited("inv", Effect.logInfo("next"))
      yield* TestClock.adjust("60 seconds")
      yield* limited("inv", Effect.logInfo("last"))
      assert.deepStrictEqual(lines, ["inv 0", "ping", "next (+1000)", "last"])
    }).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("keeps 64 kinds, and all others have one line an interval between them", () => {
    const lines: Array<unknown> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.gen(function* () {
      const limited = LimitedLog.make(Duration.seconds(60))
      for (let kind = 1; kind <= 70; kind++) yield* limited(`kind ${kind}`, Effect.logInfo(kind))
      assert.deepStrictEqual(
        lines,
        Array.from({ length: 65 }, (_, n) => String(n + 1))
      )
      yield* TestClock.adjust("60 seconds")
      yield* limited("kind 70", Effect.logInfo("again"))
      yield* limited("kind 69", Effect.logInfo("too soon"))
      assert.deepStrictEqual(lines.slice(65), ["again"])
    }).pipe(Effect.provide(Logger.layer([logger])))
  })

  it.effect("measures by the clock that nobody can set", () => {
    const lines: Array<unknown> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    const clocks = twoClocks(1_700_000_000)
    return Effect.gen(function* () {
      const limited = LimitedLog.make(Duration.seconds(60))
      yield* limited("inv", Effect.logInfo("first"))
      clocks.wallSeconds += 7200
      yield* limited("inv", Effect.logInfo("too soon"))
      clocks.pass(60)
      clocks.wallSeconds -= 10_000
      yield* limited("inv", Effect.logInfo("next"))
      assert.deepStrictEqual(lines, ["first", "next"])
    }).pipe(Effect.provide(Logger.layer([logger])), clocks.provide)
  })
})
