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
import { singleBlock } from "./SingleItem.ts"

/** A peer answered or failed, or the caller gave up. */
export interface Landing {
  readonly request: Request
  readonly member: Member
  readonly exit: Exit.Exit<Response, PeerError>
}

/** Whether the end of such a request says something that the peer set keeps. */
export const saysSomething = (request: Request): boolean =>
  request._tag === "FindBlocks" || request._tag === "FindHeaders" || singleBlock(request) !== undefined

/** What the end of any request is, in a word. */
export const outcomeOf = (exit: Landing["exit"]): RequestOutcome => {
  if (Exit.isSuccess(exit)) return "Answered"
  const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
  if (error === undefined) return "GivenUp"
  return error._tag === "NotFoundResponse" ? "NotFound" : "Failed"
}

/** The peer neither delivered, nor said that it lacks the block, nor was it us who gave up. */
export const isFailedDelivery = ({ exit }: Landing): boolean => outcomeOf(exit) === "Failed"
