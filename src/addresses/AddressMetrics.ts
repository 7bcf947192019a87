/**
 * What the address book counts, by Zebra's names; and what no other book has, by ours.
 *
 * Source: Zebra address_book.rs, `update_metrics`.
 *
 * @module
 */
import { type Context, Metric } from "effect"
import type { ChainKind } from "../chain/ChainParams.ts"
import type { Sizes } from "./Book.ts"

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

export const isSame = (a: AddressMetrics, b: AddressMetrics): boolean =>
  a.responded === b.responded &&
  a.neverAttempted === b.neverAttempted &&
  a.failed === b.failed &&
  a.attemptPending === b.attemptPending &&
  a.recentlyLive === b.recentlyLive &&
  a.recentlyStoppedResponding === b.recentlyStoppedResponding &&
  a.total === b.total &&
  a.limit === b.limit

/** Sets the gauges of one network in the registry of `context`. */
export const gauges = (
  network: ChainKind,
  context: Context.Context<never>
): ((counts: AddressMetrics, sizes: Sizes) => void) => {
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
  const heardOf = gauge("zcash.net.addresses.new", "addresses in the table of those we heard of")
  const met = gauge("zcash.net.addresses.tried", "addresses in the table of those we met")
  const tested = gauge(
    "zcash.net.addresses.tested",
    "addresses we met that answer soon, or give their place to another"
  )
  const groups = gauge("zcash.net.addresses.groups", "parts of the internet that known addresses are in")
  const anchors = gauge("zcash.net.addresses.anchors", "outbound peers that would be dialled first after a start")
  return (counts, sizes) => {
    heardOf(sizes.new)
    met(sizes.tried)
    tested(sizes.tested)
    groups(sizes.groups)
    anchors(sizes.anchors)
    responded(counts.responded)
    gossiped(counts.neverAttempted)
    failed(counts.failed)
    pending(counts.attemptPending)
    recentlyLive(counts.recentlyLive)
    disconnected(counts.recentlyStoppedResponding)
  }
}
