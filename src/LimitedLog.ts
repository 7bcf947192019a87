/**
 * Log lines that others can set off: one of a kind now and then, which says how many were left out since the last one.
 *
 * **Security**
 *
 * Whatever a peer can repeat and the log shows at info or above goes through here, so that nobody else decides how fast an
 * operator's disk fills.
 *
 * @module
 */
import { Duration, Effect } from "effect"
import * as Monotonic from "./Monotonic.ts"

/** Writes a line of a kind, or counts it. Kinds are few and fixed: never what a peer said. */
export type LimitedLog = (kind: string, line: Effect.Effect<void>) => Effect.Effect<void>

/** Kinds kept at most: one more is counted with the last one. A program has a dozen. */
const maxKinds = 64

/**
 * At most one line per kind and `interval`, by the monotonic clock. The line is annotated with `leftOut`, how many of its
 * kind were not written since the one before, when there were any; those are not written at any level.
 */
export const make = (interval: Duration.Duration): LimitedLog => {
  const intervalMillis = Duration.toMillis(interval)
  const kinds = new Map<string, { quietUntilMillis: number; leftOut: number }>()
  const rest = { quietUntilMillis: Number.NEGATIVE_INFINITY, leftOut: 0 }

  const stateOf = (kind: string) => {
    const known = kinds.get(kind)
    if (known !== undefined) return known
    if (kinds.size >= maxKinds) return rest
    const state = { quietUntilMillis: Number.NEGATIVE_INFINITY, leftOut: 0 }
    kinds.set(kind, state)
    return state
  }

  return (kind, line) =>
    Effect.flatMap(Monotonic.millis, (now) => {
      const state = stateOf(kind)
      if (now < state.quietUntilMillis) {
        state.leftOut++
        return Effect.void
      }
      const { leftOut } = state
      state.quietUntilMillis = now + intervalMillis
      state.leftOut = 0
      return leftOut === 0 ? line : Effect.annotateLogs(line, { leftOut })
    })
}
