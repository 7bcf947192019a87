/**
 * Moving average of a peer's answer times: how long a request to it would take.
 *
 * A slower answer counts at once, a faster one bit by bit, so a peer has to earn trust and loses it quickly. A new peer
 * starts above the longest answer time there is, and an idle one is forgotten slowly.
 *
 * Pure; all times are nanoseconds of the monotonic clock.
 *
 * Source: Zebra peer/load_tracked_client.rs; tower load/peak_ewma.rs.
 *
 * @module
 */

export interface Estimate {
  readonly answerNanos: number
  readonly updatedAtNanos: bigint
}

/** The estimate after an answer that took `sampleNanos`. `decayNanos` is `Policy.answerTimeDecay`. */
export const observed = (estimate: Estimate, sampleNanos: number, nowNanos: bigint, decayNanos: number): Estimate => ({
  answerNanos: sampleNanos > estimate.answerNanos ? sampleNanos : blended(estimate, sampleNanos, nowNanos, decayNanos),
  updatedAtNanos: nowNanos
})

/** What one more request would cost: the decayed estimate for each request that is not finished, and for the new one. */
export const load = (estimate: Estimate, pending: number, nowNanos: bigint, decayNanos: number): number =>
  blended(estimate, 0, nowNanos, decayNanos) * (pending + 1)

const blended = (estimate: Estimate, sampleNanos: number, nowNanos: bigint, decayNanos: number): number => {
  const elapsed = Math.max(0, Number(nowNanos - estimate.updatedAtNanos))
  const weight = Math.exp(-elapsed / decayNanos)
  return estimate.answerNanos * weight + sampleNanos * (1 - weight)
}
