import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { SimRuntime } from "network-effect/simulation"
import { AlarmClock, sleepers } from "../../src/peer/Alarms.ts"
import * as TimeLimit from "../../src/peer/TimeLimit.ts"

const limit = Duration.seconds(20)
const late = () => Effect.fail("late")

describe("a time limit", () => {
  it.effect("makes no timer for what is done at once, however that ends", () =>
    Effect.gen(function* () {
      const clock = yield* Clock.Clock
      let sleeps = 0
      const counting = Effect.provideService(Clock.Clock, {
        ...clock,
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe(),
        sleep: (duration) =>
          Effect.andThen(
            Effect.sync(() => sleeps++),
            clock.sleep(duration)
          )
      })
      const within = <A>(effect: Effect.Effect<A, string>) =>
        counting(Effect.exit(TimeLimit.within(effect, limit, late)))
      assert.deepStrictEqual(yield* within(Effect.succeed(1)), Exit.succeed(1))
      assert.deepStrictEqual(yield* within(Effect.fail("broken")), Exit.fail("broken"))
      assert.isTrue(Exit.hasDies(yield* within(Effect.die("a bug"))))
      assert.strictEqual(sleeps, 0)
      yield* Effect.forkChild(within(Effect.never), { startImmediately: true })
      assert.strictEqual(sleeps, 1)
    })
  )

  it.effect("gives back what comes in time, and interrupts what does not", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const after = (seconds: number) =>
        Effect.as(Effect.sleep(Duration.seconds(seconds)), seconds).pipe(
          Effect.onInterrupt(() => Effect.sync(() => interrupted++))
        )
      const [early, over] = yield* Effect.forEach([19, 21], (seconds) =>
        Effect.forkChild(Effect.exit(TimeLimit.within(after(seconds), limit, late)), { startImmediately: true })
      )
      yield* TestClock.adjust("19999 millis")
      assert.deepStrictEqual(yield* Fiber.join(early!), Exit.succeed(19))
      assert.isUndefined(over!.pollUnsafe())
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(over!), Exit.fail("late"))
      assert.strictEqual(interrupted, 1)
    })
  )

  it.effect("ends what it limits when it is given up itself", () =>
    Effect.gen(function* () {
      let interrupted = 0
      const work = Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
      const fiber = yield* Effect.forkChild(TimeLimit.within(work, limit, late), { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(interrupted, 1)
    })
  )
})

describe("a time limit that many share", () => {
  const shared = Effect.gen(function* () {
    return new TimeLimit.Shared(new AlarmClock(yield* sleepers, yield* Clock.Clock, limit), limit)
  })
  const seconds = (count: number) => Effect.sleep(Duration.seconds(count))

  it("is each one's own, and one sleep at a time is for all", () => {
    const runtime = new SimRuntime()
    const interrupted: Array<number> = []
    const ended: Array<{ readonly began: number; readonly exit: Exit.Exit<number, string>; readonly at: number }> = []
    const program = Effect.gen(function* () {
      const limited = yield* shared
      const run = Effect.fnUntraced(function* (began: number, takes: number) {
        yield* seconds(began)
        const work = Effect.as(seconds(takes), takes).pipe(
          Effect.onInterrupt(() => Effect.sync(() => interrupted.push(began)))
        )
        const exit = yield* Effect.exit(limited.within(work, late))
        ended.push({ began, exit, at: runtime.nowMillis() / 1000 })
      })
      const work = [run(0, 19), run(1, 300), run(2, 19), run(12, 300), run(50, 1), run(100, 300)]
      yield* Effect.all(work, { concurrency: "unbounded" })
    })
    const end = runtime.run(Effect.scoped(program), 3_600_000)
    assert.isTrue(end._tag === "Done" && end.exit._tag === "Success", JSON.stringify(end))
    assert.deepStrictEqual(ended, [
      { began: 0, exit: Exit.succeed(19), at: 19 },
      { began: 2, exit: Exit.succeed(19), at: 21 },
      { began: 1, exit: Exit.fail("late"), at: 21 },
      { began: 12, exit: Exit.fail("late"), at: 32 },
      { began: 50, exit: Exit.succeed(1), at: 51 },
      { began: 100, exit: Exit.fail("late"), at: 120 }
    ])
    assert.deepStrictEqual(interrupted, [1, 12, 100])
  })

  it("sleeps once for a thousand that are done in time", () => {
    const runtime = new SimRuntime()
    const program = Effect.gen(function* () {
      const limited = yield* shared
      const work = Effect.as(Effect.yieldNow, 1)
      for (let count = 0; count < 1000; count++)
        assert.deepStrictEqual(yield* Effect.exit(limited.within(work, late)), Exit.succeed(1))
      yield* Effect.sleep("10 minutes")
    })
    const end = runtime.run(Effect.scoped(program), 3_600_000)
    assert.isTrue(end._tag === "Done" && end.exit._tag === "Success", JSON.stringify(end))
    // And the program's own sleep.
    assert.strictEqual(runtime.work().timers, 2)
  })

  it.effect("ends what it limits before whoever gives it up goes on, and then rings no more", () =>
    Effect.gen(function* () {
      const limited = yield* shared
      let interrupted = 0
      let wasLate = 0
      const work = Effect.onInterrupt(Effect.never, () => Effect.sync(() => interrupted++))
      const orElse = () => Effect.sync(() => wasLate++)
      let seenByCaller: number | undefined
      const caller = Effect.onExit(limited.within(work, orElse), () => Effect.sync(() => (seenByCaller = interrupted)))
      const fiber = yield* Effect.forkChild(caller, { startImmediately: true })
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual({ seenByCaller, interrupted, wasLate }, { seenByCaller: 1, interrupted: 1, wasLate: 0 })
    })
  )
})
