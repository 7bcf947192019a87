/**
 * What holds for every answer of a server: who may ask at all, the headers, the longest request, and how a refusal is told.
 *
 * @module
 */
import { ByteSize, Cause, Effect, Layer } from "effect"
import {
  HttpIncomingMessage,
  HttpRouter,
  HttpServerRequest,
  HttpServerRespondable,
  HttpServerResponse,
  ProblemDetails
} from "effect/http"
import * as Guard from "./Guard.ts"

/** Longest body of a request, in bytes: the longest that makes sense has some hundred. */
const maxBody = ByteSize.bytes(16_384)

const refusals: Readonly<Record<number, string>> = {
  404: "There is nothing here: /docs lists what there is.",
  413: `A request may have ${ByteSize.format(maxBody)} at most.`,
  500: "The request could not be answered, which is a bug."
}

const isNews = (cause: Cause.Cause<unknown>) => !HttpServerRespondable.isRespondable(Cause.squash(cause))

const problem = (status: number, title: string, detail: string) =>
  ProblemDetails.toResponse({ type: ProblemDetails.blankType, status, title, detail })

/** What the server refuses by itself, such as a path nobody knows or a body that is too long, is told like all the rest. */
const told = <E, R>(answer: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
  answer.pipe(
    Effect.catchCauseIf(
      (cause) => !Cause.hasInterruptsOnly(cause),
      (cause) =>
        Effect.andThen(
          isNews(cause) ? Effect.logError("a status request ended in a defect", cause) : Effect.void,
          HttpServerRespondable.toResponseOrElse(Cause.squash(cause), HttpServerResponse.empty({ status: 500 }))
        )
    ),
    Effect.map((response) =>
      response.status < 400 || response.body._tag !== "Empty"
        ? response
        : problem(
            response.status,
            "Refused",
            refusals[response.status] ?? `The request was refused with ${response.status}.`
          )
    )
  )

/** What holds for every route, and for what is none: who may ask at all, and the headers of every answer. */
const everywhere = HttpRouter.middleware(
  Effect.map(
    Guard.StatusAccess,
    (access) =>
      <E, R>(answer: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
        Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
          const refusal = Guard.refusal(request, access)
          return Effect.map(
            refusal === undefined ? told(answer) : Effect.succeed(problem(403, "Forbidden", refusal)),
            (response) => HttpServerResponse.setHeaders(response, { ...Guard.securityHeaders, ...response.headers })
          )
        })
  ),
  { global: true }
)

/** The routes, with all of that. */
export const layerEverywhere = <A, E, R>(routes: Layer.Layer<A, E, R>) =>
  Layer.merge(routes, everywhere).pipe(Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, maxBody)))
