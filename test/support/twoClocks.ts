/** A wall clock that can be set, and a monotonic one that cannot: each goes its own way. */
import { Clock, Effect } from "effect"

/** Both clocks of an effect that is given them. */
export interface TwoClocks {
  /** Seconds since the Unix epoch. Whoever sets it is an operator, or NTP. */
  wallSeconds: number
  /** Never goes back. */
  monotonicMillis: number
  /** Time passes, on both. */
  readonly pass: (seconds: number) => void
  readonly provide: <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
}

export const twoClocks = (wallSeconds: number, monotonicMillis = 5_000_000): TwoClocks => {
  const clocks: TwoClocks = {
    wallSeconds,
    monotonicMillis,
    pass: (seconds) => {
      clocks.wallSeconds += seconds
      clocks.monotonicMillis += seconds * 1000
    },
    provide: (effect) =>
      Effect.flatMap(Clock.Clock, ({ sleep }) => {
        const millis = () => clocks.wallSeconds * 1000
        const wallNanos = () => BigInt(clocks.wallSeconds) * 1_000_000_000n
        const nanos = () => BigInt(Math.round(clocks.monotonicMillis * 1_000_000))
        return Effect.provideService(effect, Clock.Clock, {
          currentTimeMillisUnsafe: millis,
          currentTimeMillis: Effect.sync(millis),
          currentTimeNanosUnsafe: wallNanos,
          currentTimeNanos: Effect.sync(wallNanos),
          monotonicTimeNanosUnsafe: nanos,
          monotonicTimeNanos: Effect.sync(nanos),
          sleep
        })
      })
  }
  return clocks
}
