/**
 * Ask a peer, wait for one, or refuse: for one block or one transaction. Pure.
 *
 * A peer *may have* a block when it neither said that it lacks it nor failed to deliver it. A busy peer *qualifies* as a
 * reason to wait when it may have the block and serves blocks, or may have it and the block is *known*: somebody who is
 * connected advertised it and did not fail to deliver it. For a block, the first line that applies decides:
 *
 * | # | Peers                                                                 | Outcome |
 * | - | --------------------------------------------------------------------- | ------- |
 * | 1 | ready, advertised it, did not fail                                    | ask     |
 * | 2 | ready, serving, may have it                                           | ask     |
 * | 3 | ready, not serving, may have it; if known, or no busy peer qualifies  | ask     |
 * | 4 | a busy peer qualifies                                                 | wait    |
 * | 5 | ready, failed, did not say that it lacks it                           | ask     |
 * | 6 | busy, failed, did not say that it lacks it                            | wait    |
 * | 7 | none                                                                  | refuse  |
 *
 * Peers that do not serve lack most historic blocks, but have recent ones, which are those that somebody advertised.
 *
 * **Security**
 *
 * Services are a claim, and silence proves nothing about who has what: so a peer that withholds a block loses every
 * preference for it, and its own advertisement does not send requests to peers that do not serve.
 *
 * A decision costs O(k log k) in the k peers registered for the hash, whatever the number of peers.
 *
 * Source: Zebra peer_set/set.rs, `route_inv`.
 *
 * @module
 */
import type { ConnectionId } from "../peer/Request.ts"
import type { HashRecord } from "./InventoryRegistry.ts"
import * as PeerChoice from "./PeerChoice.ts"

export type Route =
  /** One of these, the less loaded of two. */
  | { readonly _tag: "Ask"; readonly among: PeerChoice.Candidates }
  /** Whose becoming ready can help: serving peers only, or any. */
  | { readonly _tag: "Wait"; readonly scope: "serving" | "any" }
  | { readonly _tag: "Refuse" }

/** One block: see the table above. */
export const routeBlock = (pools: PeerChoice.PeerPools, record: HashRecord): Route => {
  const { advertised, failed, missing } = record
  const advertisers = [...advertised].filter((id) => !failed.has(id))
  const readyAdvertisers = advertisers.filter((id) => isReady(pools, id))
  if (readyAdvertisers.length > 0) return ask(PeerChoice.these(readyAdvertisers))

  const serving = PeerChoice.among([pools.readyServing], missing, failed)
  if (serving.size > 0) return ask(serving)

  const known = advertisers.some((id) => isBusy(pools, id))
  const busyMayHaveIt = PeerChoice.among(known ? busyPools(pools) : [pools.busyServing], missing, failed)
  const qualifies = busyMayHaveIt.size > 0
  if (known || !qualifies) {
    const others = PeerChoice.among([pools.readyOther], missing, failed)
    if (others.size > 0) return ask(others)
  }
  if (qualifies) return { _tag: "Wait", scope: known ? "any" : "serving" }

  const lastResort = [...failed].filter((id) => !missing.has(id))
  const readyLastResort = lastResort.filter((id) => isReady(pools, id))
  if (readyLastResort.length > 0) return ask(PeerChoice.these(readyLastResort))
  if (lastResort.some((id) => isBusy(pools, id))) return { _tag: "Wait", scope: "any" }
  return { _tag: "Refuse" }
}

/**
 * One transaction: a ready peer that advertised it, else a ready one that did not say that it lacks it. Never waits: who
 * asks for a transaction does not ask again.
 */
export const routeTransaction = (pools: PeerChoice.PeerPools, { advertised, missing }: HashRecord): Route => {
  const advertisers = [...advertised].filter((id) => isReady(pools, id))
  if (advertisers.length > 0) return ask(PeerChoice.these(advertisers))
  const others = PeerChoice.among(PeerChoice.readyPools(pools), missing)
  return others.size > 0 ? ask(others) : { _tag: "Refuse" }
}

const ask = (among: PeerChoice.Candidates): Route => ({ _tag: "Ask", among })

const busyPools = (pools: PeerChoice.PeerPools) => [pools.busyServing, pools.busyOther]

const isReady = (pools: PeerChoice.PeerPools, id: ConnectionId): boolean =>
  pools.readyServing.has(id) || pools.readyOther.has(id)

const isBusy = (pools: PeerChoice.PeerPools, id: ConnectionId): boolean =>
  pools.busyServing.has(id) || pools.busyOther.has(id)
