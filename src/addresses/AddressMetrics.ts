/**
 * What the address book counts, by Zebra's names.
 *
 * Source: Zebra address_book.rs, `update_metrics`.
 *
 * @module
 */
import { type Context, Metric } from "effect"
import type { ChainKind } from "../chain/ChainParams.ts"

/** Counts of the book; refreshed with each change or batch. */
export interface AddressMetrics {
  readonly responded: number
  readonly neverAttempted: number
  readonly failed: number
  readonly attemptPending: number
  readonly recentlyLive: number
  readonly recentlyStoppedResponding: number
  readonly total: number
  readonly limit: number
}

/** Sets the gauges of one network in the registry of `context`. */
export const gauges = (network: ChainKind, context: Context.Context<never>): ((counts: AddressMetrics) => void) => {
  const gauge = (name: string, description: string) => {
    const metric = Metric.withAttributes(Metric.gauge(name, { description }), { network })
    let shown: number | undefined
    return (value: number) => {
      if (value === shown) return
      shown = value
      metric.updateUnsafe(value, context)
    }
  }
  const responded = gauge("candidate_set.responded", "addresses that answered us once")
  const gossiped = gauge("candidate_set.gossiped", "addresses we only heard of")
  const failed = gauge("candidate_set.failed", "addresses that failed last")
  const pending = gauge("candidate_set.pending", "addresses that are dialled")
  const recentlyLive = gauge("candidate_set.recently_live", "addresses that answered lately")
  const disconnected = gauge("candidate_set.disconnected", "addresses that answered once and not lately")
  return (counts) => {
    responded(counts.responded)
    gossiped(counts.neverAttempted)
    failed(counts.failed)
    pending(counts.attemptPending)
    recentlyLive(counts.recentlyLive)
    disconnected(counts.recentlyStoppedResponding)
  }
}
