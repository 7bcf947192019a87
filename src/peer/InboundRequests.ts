/**
 * Port: how this node answers what peers ask.
 *
 * `network/NodeAnswers.ts` is the usual implementation; a program overrides what it has an answer for.
 *
 * @module
 */
import { Context, Data, Effect, Layer } from "effect"
import type { InboundRequest, Response } from "./Request.ts"

/** This node has too much to do. The connection may be closed, by chance, more likely when it asks again at once. */
export class Overloaded extends Data.TaggedError("Overloaded")<{}> {}

/** Anything else that went wrong while answering. Logged; the peer gets no answer and stays connected. */
export class AnswerFailed extends Data.TaggedError("AnswerFailed")<{ readonly cause: unknown }> {}

export class InboundRequests extends Context.Service<
  InboundRequests,
  {
    /** Answers one request of a peer. Interrupted after `Policy.inboundTimeout`. `Nil` sends nothing. */
    readonly answer: (request: InboundRequest) => Effect.Effect<Response, Overloaded | AnswerFailed>
  }
>()("network-effect/peer/InboundRequests") {
  /** Answers nothing. What isolated connections use. */
  static readonly layerNone = Layer.succeed(
    InboundRequests,
    InboundRequests.of({ answer: () => Effect.succeed({ _tag: "Nil" }) })
  )
}
