/**
 * Which one of several peers is asked.
 *
 * Routing decides who comes into question: ready peers that may have the block, that serve, that the caller did not
 * exclude. Where that leaves more than one, this decides. It plays no part in requests for hashes and headers, which go
 * around in turn (`FindRotation.ts`), nor in broadcasts, which are drawn without regard to anything (`PeerChoice.ts`).
 *
 * To choose otherwise, provide another value. It is asked for a chooser once per peer set, so what a chooser remembers
 * belongs to one node:
 *
 *     const longestConnected: PeerSelection = {
 *       make: () => ({
 *         choose: (candidates) => {
 *           let best = candidates.at(0)
 *           for (let rank = 1; rank < candidates.size; rank++) {
 *             const other = candidates.at(rank)
 *             if (other.joinedAtNanos < best.joinedAtNanos) best = other
 *           }
 *           return best.id
 *         }
 *       })
 *     }
 *     node.pipe(Layer.provide(Layer.succeed(PeerSelection, longestConnected)))
 *
 * This one looks at all candidates, of which there may be thousands. Facts of a candidate are looked up when it is asked for
 * (`at`), so a choice costs what it looks at.
 *
 * **Security**
 *
 * Peers can influence their own load, when they join and which addresses they come from: what a choice goes by is what an
 * attacker works at. The default, `diverse`, lets neither quickness nor numbers from one network decide; `twoAtRandom` lets
 * load decide between two that were drawn without it, so that whoever answers at once is asked nearly always.
 *
 * @module
 */
import { Context } from "effect"
import type { ConnectionId, Request } from "../peer/Request.ts"
import { DiversePeers } from "./DiversePeers.ts"
import type { Policy } from "../Policy.ts"
import * as PeerChoice from "./PeerChoice.ts"

/** What the peer set knows of a peer that may be asked. */
export interface PeerCandidate {
  readonly id: ConnectionId
  /** Its `version` said `NODE_NETWORK`. */
  readonly serving: boolean
  readonly isInbound: boolean
  /** Inbound, from an IP of `TrustedPeers`. */
  readonly trusted: boolean
  /** What counts as one host, `AddressRules.limitKey`; absent for a peer without an address. */
  readonly group: string | undefined
  /** Its part of the internet, `Origin.network`; absent for a peer without an address. */
  readonly network: string | undefined
  /** Requests put to it that have not ended. */
  readonly pending: number
  /** How far its word is believed, above 0 and up to 1: less the more often it did not deliver what it had advertised. */
  readonly credit: number
  /** When it joined the peer set, in nanoseconds of the monotonic clock. */
  readonly joinedAtNanos: bigint
  /** Answer time × (requests under way + 1), in nanoseconds. */
  readonly load: (nowNanos: bigint) => number
}

/** Two or more of them, each once, in no order that means anything. */
export type PeerCandidates = PeerChoice.Ranked<PeerCandidate>

/** How a request to a peer ended. `NotFound`: the peer said it has nothing of it. `GivenUp`: its caller did. */
export type RequestOutcome = "Answered" | "NotFound" | "Failed" | "GivenUp"

/** A request that has ended. */
export interface LandedRequest {
  readonly request: Request["_tag"]
  readonly outcome: RequestOutcome
  /** From asking to the end. */
  readonly nanos: bigint
}

/**
 * Chooses, for one peer set. Everything is synchronous, and runs while nothing else does: no waiting, and nothing that takes
 * long. When it throws, or chooses whom it was not given, that is logged, and `twoAtRandom` chooses.
 */
export interface PeerChooser {
  /**
   * One of the candidates. Chance comes from `draw`, so that tests and simulations repeat. `tried`: networks
   * (`PeerCandidate.network`) where the same block or transaction was asked for in vain, the latest of them.
   */
  readonly choose: (
    candidates: PeerCandidates,
    draw: PeerChoice.DrawBelow,
    nowNanos: bigint,
    tried: ReadonlySet<string>
  ) => ConnectionId
  /** A request that was put to a peer has ended, whoever chose the peer. */
  readonly landed?: (id: ConnectionId, landed: LandedRequest) => void
  /** The peer is gone, for good: ids are never used twice. Whatever is remembered of it can be forgotten. */
  readonly left?: (id: ConnectionId) => void
}

/** How peers are chosen. */
export interface PeerSelection {
  /** A chooser for one more peer set, with the numbers in force there. What it remembers must be its own. */
  readonly make: (policy: Policy) => PeerChooser
}

/** The less loaded of two that are drawn at random, as Zebra chooses; remembers nothing. */
export const twoAtRandom: PeerChooser = {
  choose: (candidates, draw, nowNanos) =>
    (PeerChoice.lessLoaded(candidates, draw, (candidate) => candidate.load(nowNanos)) ?? candidates.at(0)).id
}

/** Quick answers win nothing, and retries go to other networks: `DiversePeers.ts`. Remembers nothing. */
export const diverse: PeerSelection = { make: (policy) => new DiversePeers(policy) }

/** Provide another value to choose otherwise; `{ make: () => twoAtRandom }` chooses as Zebra does. */
export const PeerSelection = Context.Reference<PeerSelection>("network-effect/routing/PeerSelection", {
  defaultValue: () => diverse
})
