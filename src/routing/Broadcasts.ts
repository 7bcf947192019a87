/**
 * Requests that go to many peers at once: a part of those that are ready, drawn without regard to their load.
 *
 * Trusted peers get every pushed transaction: those that are busy, as soon as they are ready.
 *
 * Source: Zebra peer_set/set.rs.
 *
 * @module
 */
import type { ConnectionId, Request } from "../peer/Request.ts"
import type { Asking, Call, Next } from "./Asking.ts"
import * as PeerChoice from "./PeerChoice.ts"

export class Broadcasts {
  readonly #asking: Asking
  /** What busy trusted peers have not got yet. Only the latest is kept for them. */
  #owed: { readonly request: Request; readonly ids: Set<ConnectionId> } | undefined

  constructor(asking: Asking) {
    this.#asking = asking
  }

  /** To a part of the ready peers. `undefined` when none of them turns out to be ready. */
  toSome(call: Call): Next | undefined {
    return this.#asking.all(call, this.#some(PeerChoice.among(PeerChoice.readyPools(this.#asking.pools))))
  }

  /** To a part of the ready peers, and to every trusted one. */
  toSomeAndTrusted(call: Call): Next | undefined {
    const { connected } = this.#asking.around
    const trusted = [...connected.sidecars]
    const ready = trusted.filter((id) => connected.isReady(id))
    const busy = trusted.filter((id) => !connected.isReady(id))
    this.#owed = busy.length === 0 ? undefined : { request: call.request, ids: new Set(busy) }
    const others = PeerChoice.among(PeerChoice.readyPools(this.#asking.pools), trusted)
    return this.#asking.all(call, [...ready, ...this.#some(others)])
  }

  /** Gives trusted peers that are ready now what they are owed. */
  deliverOwed(): void {
    if (this.#owed === undefined) return
    const { connected } = this.#asking.around
    const { ids, request } = this.#owed
    for (const id of ids) {
      // Nobody waits for the answers: the scope of the peer set keeps them going.
      const isSettled =
        connected.get(id) === undefined || (connected.isReady(id) && this.#asking.unattended(request, id))
      if (isSettled) ids.delete(id)
    }
    if (ids.size === 0) this.#owed = undefined
  }

  forget(): void {
    this.#owed = undefined
  }

  #some(candidates: PeerChoice.Candidates): ReadonlyArray<ConnectionId> {
    const { draw, isRegtest, policy } = this.#asking.around
    return PeerChoice.subset(
      candidates,
      PeerChoice.broadcastSize(this.#asking.ready, policy.broadcastShare, isRegtest),
      draw
    )
  }
}
