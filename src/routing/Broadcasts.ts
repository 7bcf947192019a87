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
import type { Policy } from "../Policy.ts"
import type { Call, Next } from "./Call.ts"
import type { ConnectedPeers } from "./ConnectedPeers.ts"
import type { Dispatch } from "./Dispatch.ts"
import * as PeerChoice from "./PeerChoice.ts"

export interface Options {
  readonly policy: Policy
  /** Broadcasts go to everybody. */
  readonly isRegtest: boolean
  readonly connected: ConnectedPeers
  readonly dispatch: Dispatch
  readonly draw: PeerChoice.DrawBelow
}

export class Broadcasts {
  readonly #options: Options
  /** What busy trusted peers have not got yet. Only the latest is kept for them. */
  #owed: { readonly request: Request; readonly ids: Set<ConnectionId> } | undefined

  constructor(options: Options) {
    this.#options = options
  }

  /** To a part of the ready peers. `undefined` when none of them turns out to be ready. */
  toSome(call: Call): Next | undefined {
    const { connected, dispatch } = this.#options
    return dispatch.all(call, this.#some(PeerChoice.among(PeerChoice.readyPools(connected.pools))))
  }

  /** To a part of the ready peers, and to every trusted one. */
  toSomeAndTrusted(call: Call): Next | undefined {
    const { connected, dispatch } = this.#options
    const trusted = [...connected.trusted]
    const ready = trusted.filter((id) => connected.isReady(id))
    const busy = trusted.filter((id) => !connected.isReady(id))
    // Whoever is still owed an earlier one is among them.
    this.#owed = { request: call.request, ids: new Set(busy) }
    const others = PeerChoice.among(PeerChoice.readyPools(connected.pools), trusted)
    return dispatch.all(call, [...ready, ...this.#some(others)])
  }

  /** Gives trusted peers that are ready now what they are owed. */
  deliverOwed(): void {
    if (this.#owed === undefined) return
    const { connected, dispatch } = this.#options
    const { ids, request } = this.#owed
    for (const id of ids) {
      // Nobody waits for the answers: the scope of the network keeps them going.
      const isSettled = connected.get(id) === undefined || (connected.isReady(id) && dispatch.unattended(request, id))
      if (isSettled) ids.delete(id)
    }
    if (ids.size === 0) this.#owed = undefined
  }

  forget(): void {
    this.#owed = undefined
  }

  #some(candidates: PeerChoice.Candidates): ReadonlyArray<ConnectionId> {
    const { connected, draw, isRegtest, policy } = this.#options
    return PeerChoice.subset(
      candidates,
      PeerChoice.broadcastSize(connected.ready, policy.broadcastShare, isRegtest),
      draw
    )
  }
}
