/**
 * Whom to drop when we cannot answer.
 *
 * Closing every connection whose request we cannot serve would empty the peer set exactly under load; closing none would
 * let one peer keep us at work. So a request that was shed closes its connection by chance: rarely the first time, more
 * likely the sooner it comes after the last one on the same connection.
 *
 * Pure.
 *
 * Source: Zebra peer/connection.rs, `overload_drop_connection_probability`.
 *
 * @module
 */
import { Duration } from "effect"
import type { Policy } from "../Policy.ts"

/** The part of `Policy` this decision needs. */
export type Limits = Pick<Policy, "overloadInterval" | "minOverloadDropProbability" | "maxOverloadDropProbability">

/**
 * Probability in 0..1 of closing a connection that overloads us now. `previousNanos` is when it last did; one in the
 * future counts as now.
 */
export const dropProbability = (nowNanos: bigint, previousNanos: bigint | undefined, limits: Limits): number => {
  const { maxOverloadDropProbability: most, minOverloadDropProbability: least } = limits
  if (previousNanos === undefined) return least
  const elapsed =
    Math.max(0, Number(nowNanos - previousNanos)) / Number(Duration.toNanosUnsafe(limits.overloadInterval))
  return Math.min(most, Math.max(least, most - elapsed * elapsed * (most - least)))
}
