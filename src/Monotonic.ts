/**
 * Moments of the monotonic clock, which never goes back and which nobody can set: whatever measures an interval or paces
 * something uses it. Moments that are told to others or kept on disk are of the wall clock (`Clock.currentTimeMillis`).
 *
 * @module
 */
import { Clock, Effect } from "effect"

/** Now, in milliseconds with a fraction, by a clock at hand. Only differences mean something. */
export const millisUnsafe = (clock: Clock.Clock): number => Number(clock.monotonicTimeNanosUnsafe()) / 1_000_000

/** Now, in milliseconds with a fraction. Only differences mean something. */
export const millis: Effect.Effect<number> = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1_000_000)
