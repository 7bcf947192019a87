/**
 * A time limit that costs next to nothing where it is not needed.
 *
 * Most of what a connection waits for is done at once: a message that the transport has room for, an answer that the program
 * has at hand. For those no timer is made, and nothing races.
 *
 * @module
 */
import { type Duration, Effect, Fiber } from "effect"

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
