/**
 * How a request to a peer ended, and what that says about the peer. Pure.
 *
 * @module
 */
import { Cause, Exit, Option } from "effect"
import type { PeerError } from "../peer/Peer.ts"
import type { Request, Response } from "../peer/Request.ts"
import type { Member } from "./ConnectedPeers.ts"
import type { RequestOutcome } from "./PeerSelection.ts"

/** A peer answered or failed, or the caller gave up. */
export interface Landing {
  readonly request: Request
  readonly member: Member
  /** It had advertised or listed itself what it was asked for. */
  readonly promised: boolean
  readonly exit: Exit.Exit<Response, PeerError>
}

/** Whether the end of such a request says something that the peer set keeps of the peer. */
export const saysSomething = ({ _tag }: Request): boolean =>
  _tag === "BlocksByHash" ||
  _tag === "BlockDownload" ||
  _tag === "TransactionsById" ||
  _tag === "FindBlocks" ||
  _tag === "FindHeaders"

/** What a peer delivered of what it was asked for. */
export const deliveryOf = ({ exit }: Landing): "block" | "transaction" | undefined => {
  if (Exit.isFailure(exit)) return undefined
  const response = exit.value
  switch (response._tag) {
    case "Blocks":
      return response.items.some(({ _tag }) => _tag === "Available") ? "block" : undefined
    case "Transactions":
      return response.items.some(({ _tag }) => _tag === "Available") ? "transaction" : undefined
    default:
      return undefined
  }
}

/** It promised, and did not deliver: it said that it lacks the item, or nothing in time, or failed. */
export const isBrokenPromise = (landing: Landing): boolean => {
  if (!landing.promised) return false
  const outcome = outcomeOf(landing.exit)
  return outcome === "NotFound" || outcome === "Failed"
}

/** What the end of any request is, in a word. */
export const outcomeOf = (exit: Landing["exit"]): RequestOutcome => {
  if (Exit.isSuccess(exit)) return "Answered"
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  if (error === undefined) return "GivenUp"
  return error._tag === "NotFoundResponse" ? "NotFound" : "Failed"
}

/** The peer neither delivered, nor said that it lacks the block, nor was it us who gave up. */
export const isFailedDelivery = ({ exit }: Landing): boolean => outcomeOf(exit) === "Failed"
