/**
 * A time limit that costs next to nothing where it is not needed.
 *
 * Most of what a connection waits for is done at once: a message that the transport has room for, an answer that the program
 * has at hand. For those no timer is made, and nothing races. What does wait, and is nearly always done in time, is limited
 * by `Shared`: one fiber sleeps for all that have the same limit.
 *
 * @module
 */
import { type Clock, Duration, Effect, Fiber } from "effect"
import type { Sleepers } from "./Alarms.ts"

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

/** The same limit for many, each from when it begins: one fiber sleeps for all, until the first of them that still waits. */
export class Shared {
  readonly #sleepers: Sleepers
  readonly #clock: Clock.Clock
  readonly #limitNanos: bigint
  /** As long as each other, so in the order of their ends. */
  readonly #waiting = new Set<Waiting>()
  #isSleeping = false

  /** `clock` is the one by which `sleepers` sleep. */
  constructor(sleepers: Sleepers, clock: Clock.Clock, { duration }: { readonly duration: Duration.Duration }) {
    this.#sleepers = sleepers
    this.#clock = clock
    this.#limitNanos = Duration.toNanosUnsafe(duration)
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
      const waiting = this.#begin(() => resume(Effect.flatMap(Fiber.interrupt(fiber), orElse)))
      fiber.addObserver((exit) => {
        this.#waiting.delete(waiting)
        resume(exit)
      })
      return Effect.suspend(() => {
        this.#waiting.delete(waiting)
        return Fiber.interrupt(fiber)
      })
    })
  }

  #begin(isOver: () => void): Waiting {
    const waiting = { untilNanos: this.#clock.monotonicTimeNanosUnsafe() + this.#limitNanos, isOver }
    this.#waiting.add(waiting)
    if (!this.#isSleeping) this.#sleep(this.#limitNanos)
    return waiting
  }

  #sleep(nanos: bigint): void {
    this.#isSleeping = true
    this.#sleepers(Effect.map(Effect.sleep(Duration.nanos(nanos)), () => this.#wake()))
  }

  #wake(): void {
    this.#isSleeping = false
    const now = this.#clock.monotonicTimeNanosUnsafe()
    for (const waiting of this.#waiting) {
      if (waiting.untilNanos > now) return this.#sleep(waiting.untilNanos - now)
      this.#waiting.delete(waiting)
      waiting.isOver()
    }
  }
}

interface Waiting {
  /** Of the monotonic clock. */
  readonly untilNanos: bigint
  readonly isOver: () => void
}
