/**
 * What is logged of one connection. Its peer can set off all of it, so whatever shows at info or above is limited.
 *
 * @module
 */
import { type Cause, Effect } from "effect"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { LimitedLog } from "../LimitedLog.ts"
import * as ConnectedAddress from "./ConnectedAddress.ts"
import type { Outcome } from "./InboundRequests.ts"
import { codeOf, type ConnectionInfo, type PeerError } from "./Peer.ts"
import type { InboundRequest } from "./Request.ts"

/** A bug of this node. */
export const defect = (log: LimitedLog, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  bug(log, "a connection ended by a defect of this node", cause)

/** What became of a request of the peer, where that is not an answer. */
export const outcome = (
  log: LimitedLog,
  info: ConnectionInfo,
  request: InboundRequest,
  outcome: Outcome
): Effect.Effect<void> => {
  switch (outcome._tag) {
    case "Failed":
      return Effect.logDebug("no answer to a request of a peer").pipe(
        annotated(info),
        Effect.annotateLogs({ request: request._tag, cause: outcome.cause })
      )
    case "Broken":
      return bug(log, "the program that answers peers failed", outcome.cause)
    default:
      return Effect.void
  }
}

/** The connection is over. */
export const end = (log: LimitedLog, info: ConnectionInfo, error: PeerError | undefined): Effect.Effect<void> => {
  const isOverload = error?._tag === "PeerOverloaded" || error?._tag === "InboundTimeout"
  const line = isOverload
    ? log(error._tag, Effect.logInfo("a peer was closed for asking more than this node has time for"))
    : Effect.logDebug("connection ended")
  return line.pipe(annotated(info), Effect.annotateLogs({ error: error === undefined ? undefined : codeOf(error) }))
}

const annotated = ({ connectedAddress }: ConnectionInfo) =>
  PeerSocketAddress.annotateLogs("peer", ConnectedAddress.transientAddress(connectedAddress))

const bug = (log: LimitedLog, message: string, cause: Cause.Cause<unknown>): Effect.Effect<void> =>
  log(message, Effect.logError(message, cause))
