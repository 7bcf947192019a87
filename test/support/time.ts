/** Virtual time that leaves nobody behind: whoever wakes has run on until it sleeps again before the clock moves further. */
import { Duration, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"

/** Lets everything run that can run at this moment. */
export const settle: Effect.Effect<void> = Effect.gen(function* () {
  for (let turn = 0; turn < 50; turn++) yield* Effect.yieldNow
})

/** Lets time pass in steps of at most `step`. */
export const elapse = Effect.fnUntraced(function* (time: Duration.Input, step: Duration.Input = "25 millis") {
  const stepMillis = Duration.toMillis(Duration.fromInputUnsafe(step))
  yield* settle
  for (let left = Duration.toMillis(Duration.fromInputUnsafe(time)); left > 0; left -= stepMillis) {
    yield* TestClock.adjust(Math.min(left, stepMillis))
    yield* settle
  }
})

/** How many turns another fiber had so far. It wants one whenever it can have it, until the scope closes. */
export const turnsOfOthers = Effect.gen(function* () {
  let turns = 0
  // Yields after each time.
  yield* Effect.forkScoped(Effect.forever(Effect.sync(() => turns++)), { startImmediately: true })
  return () => turns
})

/** Runs an effect that waits as if time were real: lets time pass in steps until it is done. */
export const inVirtualTime = <A, E, R>(effect: Effect.Effect<A, E, R>, step: Duration.Input = "1 millis") =>
  Effect.gen(function* () {
    const fiber = yield* Effect.forkChild(effect, { startImmediately: true })
    while (fiber.pollUnsafe() === undefined) yield* elapse(step, step)
    return yield* Fiber.join(fiber)
  })
