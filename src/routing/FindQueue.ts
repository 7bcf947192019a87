/**
 * Requests for hashes and headers: whose turn it is, and who waits for a peer that serves blocks.
 *
 * While such peers are connected but busy, a request waits for one of them; after `Policy.servingPeerWait`, or when none is
 * left, any ready peer will do. It is never refused.
 *
 * Source: Zebra peer_set/set.rs.
 *
 * @module
 */
import type { ConnectionId } from "../peer/Request.ts"
import type { Asking, Call, Next } from "./Asking.ts"
import type { FindFallback } from "./PeerSetMetrics.ts"

export class FindQueue {
  readonly #asking: Asking
  /** In the order they came; at most `Policy.findQueueCapacity`. */
  readonly #waiting = new Map<Call, "patient" | "late">()

  constructor(asking: Asking) {
    this.#asking = asking
  }

  get size(): number {
    return this.#waiting.size
  }

  calls(): Iterable<Call> {
    return this.#waiting.keys()
  }

  leave(call: Call): void {
    this.#waiting.delete(call)
  }

  /** Asks or queues, while a peer is ready. `undefined` when none turns out to be. */
  route(call: Call): Next | undefined {
    const { metrics, policy } = this.#asking.around
    const { readyServing } = this.#asking.pools
    const asked = this.#askInTurn(call, "no_serving_peer", !this.#isServingConnected)
    if (asked !== undefined) return asked
    if (readyServing.size > 0 || this.#asking.ready === 0) return undefined
    if (this.#waiting.size >= policy.findQueueCapacity) return this.#askInTurn(call, "queue_full", true)
    metrics.findQueued()
    this.#waiting.set(call, "patient")
    return this.#asking.park(call, {
      duration: policy.servingPeerWait,
      whenLate: () => {
        if (this.#waiting.has(call)) this.#waiting.set(call, "late")
      }
    })
  }

  /** Asks for those who wait, as far as they can be served now. */
  serve(): void {
    for (const [call, patience] of this.#waiting) {
      if (this.#asking.ready === 0) return
      const { waiter } = call
      const isAlone = !this.#isServingConnected
      const next = this.#askInTurn(call, isAlone ? "no_serving_peer" : "expired", isAlone || patience === "late")
      if (next === undefined) continue
      this.#waiting.delete(call)
      this.#asking.tell(waiter, next)
    }
  }

  get #isServingConnected(): boolean {
    return this.#asking.pools.readyServing.size + this.#asking.pools.busyServing.size > 0
  }

  /** Asks whose turn it is; one that does not serve only where `others` are allowed, which is counted as a fallback. */
  #askInTurn(call: Call, fallback: FindFallback, others: boolean): Next | undefined {
    const { connected, metrics } = this.#asking.around
    const { readyOther, readyServing } = this.#asking.pools
    const rings = { serving: readyServing.size > 0, others: others && readyOther.size > 0 }
    const isReady = (id: ConnectionId) => connected.isReady(id)
    const isWanted = (id: ConnectionId) => isReady(id) && !call.exclude.has(id)
    const id = connected.rotation.next(isWanted, rings) ?? connected.rotation.next(isReady, rings)
    if (id === undefined) return undefined
    const isFallback = connected.get(id)?.serving === false
    const next = this.#asking.one(call, id)
    if (next !== undefined && isFallback) metrics.findFallback(fallback)
    return next
  }
}
