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
import type { Policy } from "../Policy.ts"
import type { Call, Next } from "./Call.ts"
import type { ConnectedPeers } from "./ConnectedPeers.ts"
import type { Dispatch } from "./Dispatch.ts"
import type { FindFallback, PeerSetMetrics } from "./PeerSetMetrics.ts"
import type { Steps } from "./Steps.ts"

export interface Options {
  readonly policy: Policy
  readonly metrics: PeerSetMetrics
  readonly steps: Steps
  readonly connected: ConnectedPeers
  readonly dispatch: Dispatch
}

export class FindQueue {
  readonly #options: Options
  /** In the order they came; at most `Policy.findQueueCapacity`. */
  readonly #waiting = new Map<Call, "patient" | "late">()

  constructor(options: Options) {
    this.#options = options
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
    const { connected, metrics, policy, steps } = this.#options
    const asked = this.#askInTurn(call, "no_serving_peer", !this.#isServingConnected)
    if (asked !== undefined) return asked
    if (connected.pools.readyServing.size > 0 || connected.ready === 0) return undefined
    if (this.#waiting.size >= policy.findQueueCapacity) return this.#askInTurn(call, "queue_full", true)
    metrics.findQueued()
    this.#waiting.set(call, "patient")
    return call.waitAtMost(policy.servingPeerWait, () =>
      steps.run(() => {
        if (this.#waiting.has(call)) this.#waiting.set(call, "late")
      })
    )
  }

  /** Asks for those who wait, as far as they can be served now. */
  serve(): void {
    const { connected, steps } = this.#options
    for (const [call, patience] of this.#waiting) {
      if (connected.ready === 0) return
      const tell = call.waiter()
      const isAlone = !this.#isServingConnected
      const next = this.#askInTurn(call, isAlone ? "no_serving_peer" : "expired", isAlone || patience === "late")
      if (next === undefined) continue
      this.#waiting.delete(call)
      steps.later(() => tell(next))
    }
  }

  get #isServingConnected(): boolean {
    const { busyServing, readyServing } = this.#options.connected.pools
    return readyServing.size + busyServing.size > 0
  }

  /** Asks whose turn it is; one that does not serve only where `others` are allowed, which is counted as a fallback. */
  #askInTurn(call: Call, fallback: FindFallback, others: boolean): Next | undefined {
    const { connected, dispatch, metrics } = this.#options
    const { readyOther, readyServing } = connected.pools
    const rings = { serving: readyServing.size > 0, others: others && readyOther.size > 0 }
    const isReady = (id: ConnectionId) => connected.isReady(id)
    const isWanted = (id: ConnectionId) => isReady(id) && !call.exclude.has(id)
    const id = connected.rotation.next(isWanted, rings) ?? connected.rotation.next(isReady, rings)
    if (id === undefined) return undefined
    const isFallback = connected.get(id)?.serving === false
    const next = dispatch.one(call, id)
    if (next !== undefined && isFallback) metrics.findFallback(fallback)
    return next
  }
}
