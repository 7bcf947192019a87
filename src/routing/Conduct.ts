/**
 * What the peer set learns from how requests end: who failed to deliver a block, who did not keep its word, who was useful,
 * and who has to go for failing too many find requests in a row.
 *
 * Source: Zebra peer_set/set.rs.
 *
 * @module
 */
import { Effect } from "effect"
import type { BlockHash } from "../chain/Hash.ts"
import type { ConnectionId } from "../peer/Request.ts"
import type { Policy } from "../Policy.ts"
import { deliveryOf, isBrokenPromise, isFailedDelivery, type Landing } from "./Landing.ts"
import type { Membership } from "./Membership.ts"
import { singleBlock } from "./SingleItem.ts"
import * as StallTracker from "./StallTracker.ts"

export interface Options {
  readonly policy: Policy
  readonly membership: Membership
  readonly isNearTip: () => boolean
  /** Of the monotonic clock. */
  readonly nowNanos: () => bigint
  /** Remembers that the peer failed to deliver the block. */
  readonly recordFailure: (id: ConnectionId, hash: BlockHash) => void
  /** Writes a line that peers can repeat. */
  readonly logLimited: (kind: string, line: Effect.Effect<void>) => void
}

export class Conduct {
  readonly #options: Options

  constructor(options: Options) {
    this.#options = options
  }

  /** What comes late from a connection that has gone says nothing about anybody. */
  learn(landing: Landing): void {
    const { member, request } = landing
    const { isNearTip, logLimited, membership, nowNanos, policy, recordFailure } = this.#options
    if (membership.connected.get(member.id) !== member) return
    if (isBrokenPromise(landing)) member.merit.contradicted()
    const delivered = deliveryOf(landing)
    if (delivered !== undefined) member.merit.delivered(delivered, nowNanos())
    const hash = singleBlock(request)
    if (hash !== undefined) {
      if (isFailedDelivery(landing)) recordFailure(member.id, hash)
    } else if ((request._tag === "FindBlocks" || request._tag === "FindHeaders") && !member.trusted) {
      member.stalls = StallTracker.stallsAfter(member.stalls, StallTracker.classify(request, landing.exit, isNearTip))
      if (member.stalls < policy.stallThreshold) return
      logLimited("stalled peer", Effect.logInfo("a peer failed too many requests for hashes in a row"))
      membership.remove(member.id)
    }
  }
}
