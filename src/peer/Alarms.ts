/**
 * The time limits of connections. Nearly all are given up long before their time, so setting one and giving it up costs
 * neither a fiber nor a timer of its own:
 *
 *     set ─▶ kept ─▶ given up
 *              └───▶ rings, when its time has come
 *
 * While some are kept one fiber sleeps for all connections: until the first of them, but no longer than `longestSleep`, so that
 * it need not be woken for one that comes a moment later and is due before. It ends when it finds none.
 *
 * @module
 */
import { type Clock, Duration, Effect, type Fiber, FiberSet, type Scope } from "effect"
import { Agenda, type Entry } from "../Agenda.ts"

/** A time limit that is kept: nanoseconds of the monotonic clock, and what rings. */
export type Alarm = Entry<() => void>

/** Begins what sleeps until an alarm. */
export type Sleepers = (sleep: Effect.Effect<void>) => Fiber.Fiber<void>

/** Those of many connections, in the context in force, until the scope closes. */
export const sleepers: Effect.Effect<Sleepers, never, Scope.Scope> = Effect.flatMap(FiberSet.make<void>(), (set) =>
  FiberSet.runtime(set)()
)

/** Wakes for the alarms of many connections. */
export class AlarmClock {
  readonly #sleepers: Sleepers
  readonly #clock: Clock.Clock
  readonly #longestSleepNanos: number
  readonly #kept = new Agenda<() => void>()
  #sleeper: Fiber.Fiber<void> | undefined
  #wakesAtNanos = 0

  /** `clock` is the one by which `sleepers` sleep. */
  constructor(sleepers: Sleepers, clock: Clock.Clock, longestSleep: Duration.Duration) {
    this.#sleepers = sleepers
    this.#clock = clock
    this.#longestSleepNanos = Number(Duration.toNanosUnsafe(longestSleep))
  }

  /** Calls `ring` at that time, in nanoseconds of the monotonic clock, from a fiber of its own, unless it is given up before. */
  set(atNanos: bigint, ring: () => void): Alarm {
    const alarm = this.#kept.add(Number(atNanos), ring)
    if (this.#sleeper !== undefined && this.#wakesAtNanos <= alarm.at) return alarm
    this.#sleeper?.interruptUnsafe()
    this.#sleeper = this.#sleepers(
      Effect.whileLoop({ while: () => this.#isAwaited(), body: () => this.#sleep(), step: () => this.#ring() })
    )
    return alarm
  }

  /** The same after so many nanoseconds. */
  setIn(nanos: bigint, ring: () => void): Alarm {
    return this.set(this.#clock.monotonicTimeNanosUnsafe() + nanos, ring)
  }

  /** Does nothing when it has rung. */
  giveUp(alarm: Alarm): void {
    this.#kept.remove(alarm)
  }

  /** Ends the sleep when nothing is kept, which else its end would show: for when a connection has ended, and may be the last. */
  rest(): void {
    if (this.#kept.nextAt() !== undefined) return
    this.#sleeper?.interruptUnsafe()
    this.#sleeper = undefined
  }

  #now(): number {
    return Number(this.#clock.monotonicTimeNanosUnsafe())
  }

  #isAwaited(): boolean {
    if (this.#kept.nextAt() !== undefined) return true
    this.#sleeper = undefined
    return false
  }

  #sleep(): Effect.Effect<void> {
    const now = this.#now()
    this.#wakesAtNanos = Math.min(this.#kept.nextAt() ?? now, now + this.#longestSleepNanos)
    return Effect.sleep(Duration.nanos(BigInt(this.#wakesAtNanos - now)))
  }

  #ring(): void {
    const now = this.#now()
    for (let due = this.#kept.takeDue(now); due !== undefined; due = this.#kept.takeDue(now)) {
      try {
        due.what()
      } catch (defect) {
        // A bug in one rings for nobody else.
        this.#sleepers(Effect.die(defect))
      }
    }
  }
}

/** Those of one connection. */
export class Alarms {
  readonly #clock: AlarmClock
  /** A handful, replaced, not changed: while none is set, nothing is kept. */
  #kept: ReadonlyArray<Alarm> = none
  #isOver = false

  constructor(clock: AlarmClock) {
    this.#clock = clock
  }

  /** Calls `ring` at that time, in nanoseconds of the monotonic clock, from a fiber of its own, unless it is given up before. */
  set(atNanos: bigint, ring: () => void): Alarm | undefined {
    if (this.#isOver) return undefined
    const alarm = this.#clock.set(atNanos, () => {
      this.#forget(alarm)
      ring()
    })
    this.#kept = [...this.#kept, alarm]
    return alarm
  }

  /** Does nothing when it has rung, or was never set. */
  giveUp(alarm: Alarm | undefined): void {
    if (alarm === undefined) return
    this.#clock.giveUp(alarm)
    this.#forget(alarm)
  }

  /** None rings any more, and none that is set from now on. */
  end(): void {
    this.#isOver = true
    for (const alarm of this.#kept) this.#clock.giveUp(alarm)
    this.#kept = none
  }

  #forget(alarm: Alarm): void {
    this.#kept = this.#kept.length === 1 && this.#kept[0] === alarm ? none : this.#kept.filter((kept) => kept !== alarm)
  }
}

const none: ReadonlyArray<never> = []
