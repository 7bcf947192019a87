/**
 * What the peer set counts, by Zebra's names. No label depends on a peer.
 *
 * Source: Zebra peer_set/set.rs.
 *
 * @module
 */
import { type Context, Metric } from "effect"
import type { ChainKind } from "../chain/ChainParams.ts"

export type FindFallback = "no_serving_peer" | "queue_full" | "expired"
export type InventoryRefusal = "instant" | "waited"

export interface PeerSetMetrics {
  /** Sets the gauges of connected peers, if they changed. */
  readonly peers: (ready: number, busy: number) => void
  readonly findQueued: () => void
  readonly findFallback: (reason: FindFallback) => void
  readonly inventoryQueued: () => void
  readonly inventoryRefusal: (kind: InventoryRefusal) => void
}

/** The metrics of one network, in the registry of `context`. */
export const make = (network: ChainKind, context: Context.Context<never>): PeerSetMetrics => {
  const gauge = (name: string, description: string) => {
    const metric = Metric.withAttributes(Metric.gauge(name, { description }), { network })
    return (value: number) => metric.updateUnsafe(value, context)
  }
  /** Zero from the start: whoever watches a rate needs the value before the first change. */
  const counter = (name: string, description: string, labels: Record<string, string> = {}) => {
    const metric = Metric.withAttributes(Metric.counter(name, { description, incremental: true }), {
      network,
      ...labels
    })
    metric.updateUnsafe(0, context)
    return () => metric.updateUnsafe(1, context)
  }

  const numReady = gauge("pool.num_ready", "peers that can be asked")
  const numUnready = gauge("pool.num_unready", "peers whose request slot is full")
  const numPeers = gauge("zcash.net.peers", "connected peers")
  const fallback = (reason: FindFallback) =>
    counter("zcash.net.peer_set.find_fallback", "find requests given to peers that do not serve blocks", { reason })
  const refusal = (kind: InventoryRefusal) =>
    counter("zcash.net.peer_set.inventory_refusal", "requests for one block or transaction that nobody was asked for", {
      kind
    })
  const fallbacks: Record<FindFallback, () => void> = {
    no_serving_peer: fallback("no_serving_peer"),
    queue_full: fallback("queue_full"),
    expired: fallback("expired")
  }
  // Advertised inventory is registered in the step that reports it: there is no queue that could drop any.
  const never = (name: string, description: string) =>
    Metric.counter(name, { description, incremental: true }).updateUnsafe(0, context)
  never("pool.inventory.dropped", "always 0: reports of inventory are never dropped")
  never("pool.inventory.dropped.messages", "always 0: reports of inventory are never dropped")

  const refusals: Record<InventoryRefusal, () => void> = { instant: refusal("instant"), waited: refusal("waited") }

  const shown = { ready: 0, busy: 0 }

  return {
    peers: (ready, busy) => {
      if (ready === shown.ready && busy === shown.busy) return
      shown.ready = ready
      shown.busy = busy
      numReady(ready)
      numUnready(busy)
      numPeers(ready + busy)
    },
    findQueued: counter("zcash.net.peer_set.find_queued", "find requests that waited for a peer that serves blocks"),
    findFallback: (reason) => fallbacks[reason](),
    inventoryQueued: counter(
      "zcash.net.peer_set.inventory_queued",
      "requests for one block that waited for a busy peer"
    ),
    inventoryRefusal: (kind) => refusals[kind]()
  }
}
