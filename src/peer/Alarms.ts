/**
 * The time limits of one connection. Nearly all are given up long before their time, so setting one and giving it up costs
 * neither a fiber nor a timer of its own:
 *
 *     set ─▶ kept ─▶ given up
 *              └───▶ rings, when its time has come
 *
 * While some are kept one fiber sleeps: until the first of them, but no longer than `longestSleep`, so that it need not be
 * woken for one that comes a moment later and is due before. It ends when it finds none.
 *
 * @module
 */
import { type Clock, Duration, Effect, type Fiber, FiberSet, type Scope } from "effect"

/** A time limit that is kept. */
export interface Alarm {
  /** Of the monotonic clock. */
  readonly atNanos: bigint
  readonly ring: () => void
}

/** Begins what sleeps until an alarm. */
export type Sleepers = (sleep: Effect.Effect<void>) => Fiber.Fiber<void>

/** Those of many connections, in the context in force, until the scope closes. */
export const sleepers: Effect.Effect<Sleepers, never, Scope.Scope> = Effect.flatMap(FiberSet.make<void>(), (set) =>
  FiberSet.runtime(set)()
)

export class Alarms {
  readonly #sleepers: Sleepers
  readonly #clock: Clock.Clock
  readonly #longestSleepNanos: bigint
  /** A handful, replaced, not changed: while none is set, nothing is kept. */
  #kept: ReadonlyArray<Alarm> = none
  #sleeper: Fiber.Fiber<void> | undefined
  #wakesAtNanos = 0n
  #isOver = false

  /** `clock` is the one by which `sleepers` sleep. */
  constructor(sleepers: Sleepers, clock: Clock.Clock, longestSleep: Duration.Duration) {
    this.#sleepers = sleepers
    this.#clock = clock
    this.#longestSleepNanos = Duration.toNanosUnsafe(longestSleep)
  }

  /** Calls `ring` at that time, from a fiber of its own, unless it is given up before. */
  set(atNanos: bigint, ring: () => void): Alarm {
    const alarm = { atNanos, ring }
    if (this.#isOver) return alarm
    this.#kept = [...this.#kept, alarm]
    if (this.#sleeper !== undefined && this.#wakesAtNanos <= atNanos) return alarm
    this.#sleeper?.interruptUnsafe()
    this.#beginSleep()
    return alarm
  }

  /** Does nothing when it has rung. */
  giveUp(alarm: Alarm): void {
    this.#kept = this.#kept.length === 1 && this.#kept[0] === alarm ? none : this.#kept.filter((kept) => kept !== alarm)
  }

  /** None rings any more, and none that is set from now on. */
  end(): void {
    this.#isOver = true
    this.#kept = none
    this.#sleeper?.interruptUnsafe()
    this.#sleeper = undefined
  }

  #beginSleep(): void {
    const now = this.#clock.monotonicTimeNanosUnsafe()
    this.#wakesAtNanos = this.#kept.reduce(
      (earliest, { atNanos }) => (atNanos < earliest ? atNanos : earliest),
      now + this.#longestSleepNanos
    )
    const sleep = Effect.sleep(Duration.nanos(this.#wakesAtNanos - now))
    this.#sleeper = this.#sleepers(Effect.map(sleep, () => this.#wake()))
  }

  #wake(): void {
    this.#sleeper = undefined
    const now = this.#clock.monotonicTimeNanosUnsafe()
    const due = this.#kept.filter(({ atNanos }) => atNanos <= now)
    if (due.length > 0) this.#kept = this.#kept.filter(({ atNanos }) => atNanos > now)
    // Before they ring, whatever that leads to.
    if (this.#kept.length > 0) this.#beginSleep()
    for (const { ring } of due) ring()
  }
}

const none: ReadonlyArray<never> = []
