/**
 * Port: how this node answers what peers ask.
 *
 * `network/NodeAnswers.ts` is the usual implementation; a program overrides what it has an answer for.
 *
 * @module
 */
import { Cause, Context, Data, type Duration, Effect, Exit, Layer, Option } from "effect"
import type { InboundRequest, Response } from "./Request.ts"
import * as TimeLimit from "./TimeLimit.ts"

/** This node has too much to do. The connection may be closed, by chance, more likely when it asks again at once. */
export class Overloaded extends Data.TaggedError("Overloaded")<{}> {}

/** Anything else that went wrong while answering. Logged; the peer gets no answer and stays connected. */
export class AnswerFailed extends Data.TaggedError("AnswerFailed")<{ readonly cause: unknown }> {}

/** Port: how this node answers its peers. */
export class InboundRequests extends Context.Service<
  InboundRequests,
  {
    /**
     * Answers one request of a peer. Interrupted after `Policy.inboundTimeout`, and when the connection ends. `Nil` sends
     * nothing. Until it is done the connection reads nothing more: hand long work over and answer `Nil`.
     */
    readonly answer: (request: InboundRequest) => Effect.Effect<Response, Overloaded | AnswerFailed>
  }
>()("network-effect/peer/InboundRequests") {
  /** Answers nothing. What isolated connections use. */
  static readonly layerNone: Layer.Layer<InboundRequests> = Layer.succeed(
    InboundRequests,
    InboundRequests.of({ answer: () => Effect.succeed({ _tag: "Nil" }) })
  )
}

/** What became of a request of a peer. */
export type Outcome =
  | { readonly _tag: "Answered"; readonly response: Response }
  | { readonly _tag: "Overloaded" }
  | { readonly _tag: "TooSlow" }
  | { readonly _tag: "Failed"; readonly cause: unknown }
  /** A bug of the program that answers, or it was shut down meanwhile. */
  | { readonly _tag: "Broken"; readonly cause: Cause.Cause<unknown> }

/** Asks for one answer, within `limit`. Whatever the program does, the result is one of the outcomes. */
export const outcomeOf = (
  service: InboundRequests["Service"],
  request: InboundRequest,
  limit: Duration.Duration
): Effect.Effect<Outcome> => {
  // A program may also throw before there is an effect.
  const answer = Effect.suspend(() => service.answer(request))
  return Effect.map(Effect.exit(TimeLimit.within(answer, limit, () => Effect.succeed(tooSlow))), (exit): Outcome => {
    if (Exit.isSuccess(exit))
      return exit.value._tag === "TooSlow" ? tooSlow : { _tag: "Answered", response: exit.value }
    const error = Cause.findErrorOption(exit.cause)
    if (Option.isNone(error)) return { _tag: "Broken", cause: exit.cause }
    return error.value._tag === "Overloaded" ? { _tag: "Overloaded" } : { _tag: "Failed", cause: error.value.cause }
  })
}

const tooSlow = { _tag: "TooSlow" } as const
