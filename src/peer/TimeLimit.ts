/**
 * A time limit that costs next to nothing where it is not needed.
 *
 * Most of what a connection waits for is done at once: a message that the transport has room for, an answer that the program
 * has at hand. For those no timer is made, and nothing races. What does wait, and is nearly always done in time, is limited
 * by `Shared`: one fiber sleeps for all that have the same limit.
 *
 * @module
 */
import { Duration, Effect, Fiber } from "effect"
import type { AlarmClock } from "./Alarms.ts"

/** What `effect` ends with, or `orElse` if that is not within `limit`; then `effect` is interrupted first. It starts at once. */
export const within = <A, E, R, B, E2, R2>(
  effect: Effect.Effect<A, E, R>,
  limit: Duration.Duration,
  orElse: () => Effect.Effect<B, E2, R2>
): Effect.Effect<A | B, E | E2, R | R2> =>
  Effect.flatMap(
    Effect.forkChild(effect, { startImmediately: true }),
    (fiber) => fiber.pollUnsafe() ?? late(fiber, limit, orElse)
  )

const late = <A, E, B, E2, R2>(
  fiber: Fiber.Fiber<A, E>,
  limit: Duration.Duration,
  orElse: () => Effect.Effect<B, E2, R2>
): Effect.Effect<A | B, E | E2, R2> =>
  Fiber.join(fiber).pipe(
    Effect.timeoutOrElse({ duration: limit, orElse: () => Effect.andThen(Fiber.interrupt(fiber), orElse) }),
    Effect.onInterrupt(() => Fiber.interrupt(fiber))
  )

/** The same limit for many, each from when it begins, without a fiber or timer for each. */
export class Shared {
  readonly #alarmClock: AlarmClock
  readonly #limitNanos: bigint

  constructor(alarmClock: AlarmClock, limit: Duration.Duration) {
    this.#alarmClock = alarmClock
    this.#limitNanos = Duration.toNanosUnsafe(limit)
  }

  /** As `within`, with this limit. */
  within<A, E, R, B, E2, R2>(
    effect: Effect.Effect<A, E, R>,
    orElse: () => Effect.Effect<B, E2, R2>
  ): Effect.Effect<A | B, E | E2, R | R2> {
    return Effect.flatMap(
      Effect.forkChild(effect, { startImmediately: true }),
      (fiber) => fiber.pollUnsafe() ?? this.#late(fiber, orElse)
    )
  }

  #late<A, E, B, E2, R2>(
    fiber: Fiber.Fiber<A, E>,
    orElse: () => Effect.Effect<B, E2, R2>
  ): Effect.Effect<A | B, E | E2, R2> {
    return Effect.callback((resume) => {
      const alarm = this.#alarmClock.setIn(this.#limitNanos, () =>
        resume(Effect.flatMap(Fiber.interrupt(fiber), orElse))
      )
      fiber.addObserver((exit) => {
        this.#alarmClock.giveUp(alarm)
        resume(exit)
      })
      return Effect.suspend(() => {
        this.#alarmClock.giveUp(alarm)
        return Fiber.interrupt(fiber)
      })
    })
  }
}
