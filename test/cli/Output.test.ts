/** What a node tells on stdout, whoever reads it and whatever peers do. */
import { assert, describe, it, vi } from "@effect/vitest"
import { Effect, Logger, Metric } from "effect"
import { TestClock } from "effect/testing"
import { bounded } from "../../layers/Standard.ts"
import { LineBudget } from "../../src/cli/LineBudget.ts"
import { type LineSink, maxWaitingBytes, Output } from "../../src/cli/Output.ts"

describe("a budget of lines", () => {
  it("lets so many through per second, and counts the others by kind", () => {
    const budget = new LineBudget({ linesPerSecond: 3, bytesPerHour: 1_000_000 })
    const taken = ["inv", "inv", "peer", "inv", "peer", "inv"].map((kind) => budget.take(kind, 10, 0))
    assert.deepStrictEqual(taken, [true, true, true, false, false, false])
    assert.isFalse(budget.take("inv", 10, 999))
    assert.deepStrictEqual(
      [...budget.takeOmitted()],
      [
        ["inv", 3],
        ["peer", 1]
      ]
    )
    assert.deepStrictEqual([...budget.takeOmitted()], [])
    assert.isTrue(budget.take("inv", 10, 1000))
  })

  it("lets so many bytes through per hour", () => {
    const budget = new LineBudget({ linesPerSecond: 1000, bytesPerHour: 100 })
    assert.deepStrictEqual(
      [0, 1000, 2000].map((now) => budget.take("inv", 50, now)),
      [true, true, false]
    )
    assert.isFalse(budget.take("inv", 50, 3_599_999))
    assert.isTrue(budget.take("inv", 50, 3_600_000))
  })

  it("lets so many of a kind through per minute, where each has a limit of its own", () => {
    const budget = new LineBudget({ linesPerSecond: 100, bytesPerHour: 1000, linesPerKindAndMinute: 2 })
    assert.deepStrictEqual(
      [0, 1, 2].map((at) => budget.take("a", 1, at)),
      [true, true, false]
    )
    assert.isTrue(budget.take("b", 1, 3))
    assert.isFalse(budget.take("a", 1, 59_999))
    assert.deepStrictEqual([...budget.takeOmitted()], [["a", 2]])
    assert.isTrue(budget.take("a", 1, 60_000))
  })

  it("keeps no more kinds than there can be", () => {
    const budget = new LineBudget({ linesPerSecond: 0, bytesPerHour: 0 })
    for (let i = 0; i < 1000; i++) budget.take(`kind ${i}`, 1, 0)
    const omitted = budget.takeOmitted()
    assert.strictEqual(omitted.size, 65)
    assert.strictEqual(omitted.get("other"), 1000 - 64)
  })
})

/** A sink that writes at once, or keeps everything, or is broken. */
const makeSink = () => {
  const state = { lines: [] as Array<string>, waiting: 0, isRead: true, isBroken: false }
  const sink: LineSink = {
    write: (line) => {
      if (state.isBroken) return false
      state.lines.push(line.trimEnd())
      if (!state.isRead) state.waiting += line.length
      return true
    },
    waitingBytes: () => state.waiting
  }
  return { state, sink }
}

describe("the output", () => {
  const counts = (kind: string, omitted: number) => `${omitted} of ${kind} left out`

  it.effect("prints what fits, and once a second how many of each kind it left out", () => {
    const { sink, state } = makeSink()
    return Effect.gen(function* () {
      const { line } = yield* Output
      for (let i = 0; i < 1000; i++) yield* line("inv", `inv ${i}`)
      assert.strictEqual(state.lines.length, 200)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(state.lines.slice(200), ["800 of inv left out"])
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(state.lines.length, 201)
      yield* line("peer", "connected")
      assert.strictEqual(state.lines.at(-1), "connected")
    }).pipe(Effect.provide(Output.layer(sink, counts)))
  })

  it.effect("keeps at most a megabyte for a reader that does not read, and goes on when it reads again", () => {
    const { sink, state } = makeSink()
    state.isRead = false
    return Effect.gen(function* () {
      const { line } = yield* Output
      for (let i = 0; i < 100; i++) yield* line("inv", "x".repeat(50_000))
      assert.isAtMost(state.waiting, maxWaitingBytes)
      assert.strictEqual(state.lines.length, 20)
      state.isRead = true
      state.waiting = 0
      yield* TestClock.adjust("1 second")
      assert.strictEqual(state.lines.at(-1), "80 of inv left out")
    }).pipe(Effect.provide(Output.layer(sink, counts)))
  })

  it.effect("writes nothing to a sink that is broken, and tells what was left out when it works again", () => {
    const { sink, state } = makeSink()
    return Effect.gen(function* () {
      const { line } = yield* Output
      state.isBroken = true
      for (let i = 0; i < 3; i++) yield* line("peer", "connected")
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(state.lines, [])
      // Whoever scrapes hears of it meanwhile.
      const omitted = (yield* Metric.snapshot).find(({ id }) => id === "network_effect.output.omitted")
      assert.deepInclude(omitted?.state, { count: 3 })
      state.isBroken = false
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(state.lines, ["3 of peer left out"])
    }).pipe(Effect.provide(Output.layer(sink, counts)), Effect.provideService(Metric.MetricRegistry, new Map()))
  })
})

describe("a log", () => {
  it.effect("that stderr has no room for is left out and counted", () =>
    Effect.gen(function* () {
      const lines: Array<unknown> = []
      const logger = bounded(Logger.make(({ message }) => void lines.push(message)))
      const log = (message: string) => Effect.logInfo(message).pipe(Effect.provide(Logger.layer([logger])))
      const waiting = vi.spyOn(process.stderr, "writableLength", "get").mockReturnValue(maxWaitingBytes + 1)
      for (const message of ["a", "b"]) yield* log(message)
      waiting.mockReturnValue(maxWaitingBytes)
      yield* log("c")
      waiting.mockRestore()
      assert.deepStrictEqual(lines, [["c"]])
      const omitted = (yield* Metric.snapshot).find(({ id }) => id === "network_effect.logs.omitted")
      assert.deepInclude(omitted?.state, { count: 2 })
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
