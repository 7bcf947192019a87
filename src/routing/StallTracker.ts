/**
 * Who fails to answer find requests. Pure.
 *
 * An answer clears the count, also an empty one: a peer with nothing beyond our locator is honest. Only failures count,
 * and so many in a row end the connection. A request that was given up says nothing about the peer.
 *
 * Source: Zebra peer_set/stall_tracker.rs.
 *
 * @module
 */
import { Cause, Exit, Option } from "effect"
import type { PeerError } from "../peer/Peer.ts"
import type { Request, Response } from "../peer/Request.ts"

export type FindOutcome = "Answered" | "Stalled" | "Nothing"

/**
 * What the end of a find request says about its peer. While our tip is near the one of the network, silence in answer to
 * `FindBlocks` says nothing: a peer that has nothing beyond our locator does not answer at all.
 */
export const classify = (
  request: Request,
  exit: Exit.Exit<Response, PeerError>,
  isNearTip: () => boolean
): FindOutcome => {
  if (Exit.isSuccess(exit)) {
    return exit.value._tag === "BlockHashes" || exit.value._tag === "BlockHeaders" ? "Answered" : "Nothing"
  }
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  // Interrupted, or a defect of ours.
  if (error === undefined) return "Nothing"
  return error._tag === "ConnectionReceiveTimeout" && request._tag === "FindBlocks" && isNearTip()
    ? "Nothing"
    : "Stalled"
}

/** The failures in a row after an outcome. At `Policy.stallThreshold` the peer is to be disconnected. */
export const stallsAfter = (stalls: number, outcome: FindOutcome): number =>
  outcome === "Stalled" ? stalls + 1 : outcome === "Answered" ? 0 : stalls
