import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber } from "effect"
import { TestClock } from "effect/testing"
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
