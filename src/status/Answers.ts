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
import type { OpenApi } from "effect/http-api"
import * as LimitedLog from "../LimitedLog.ts"
import { Policy } from "../Policy.ts"
import * as Guard from "./Guard.ts"

/** Longest body of a request, in bytes: the longest that makes sense has some hundred. */
const maxBody = ByteSize.bytes(16_384)

const refusals: Readonly<Record<number, string>> = {
  404: "There is nothing here: /docs lists what there is.",
  415: "The body has to be JSON: send it with content-type: application/json.",
  413: `A request may have ${ByteSize.format(maxBody)} at most.`,
  500: "The request could not be answered, which is a bug."
}

const isNews = (cause: Cause.Cause<unknown>) => !HttpServerRespondable.isRespondable(Cause.squash(cause))

const problem = (status: number, title: string, detail: string) =>
  ProblemDetails.toResponse({ type: ProblemDetails.blankType, status, title, detail })

/** The paths of a server as OpenAPI writes them, `/peers/{id}`, each with the methods it is asked by. */
export type Paths = Readonly<Record<string, ReadonlyArray<string>>>

/** Those of an interface that is described. */
export const pathsOf = ({ paths }: OpenApi.OpenAPISpec): Paths =>
  Object.fromEntries(
    Object.entries(paths).map(([path, operations]) => [
      path,
      Object.keys(operations).map((method) => method.toUpperCase())
    ])
  )

/** The answer to whoever asks a path that is here in a way that is not; `undefined` for any other. */
const wrongMethodOf = (paths: Paths) => {
  const known = Object.entries(paths).map(
    ([path, allowed]) => [new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`), allowed] as const
  )
  return ({ method, url }: HttpServerRequest.HttpServerRequest) => {
    const [path = ""] = url.split("?")
    const [, allowed] = known.find(([pattern]) => pattern.test(path)) ?? []
    if (allowed === undefined || allowed.includes(method)) return undefined
    return HttpServerResponse.setHeader(
      problem(405, "Method Not Allowed", `This is asked by ${allowed.join(" or ")}, not by ${method}.`),
      "allow",
      allowed.join(", ")
    )
  }
}

/** What the server refuses by itself, such as a path nobody knows or a body that is too long, is told like all the rest. */
const told = <E, R>(
  answer: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  ifUnknown: () => HttpServerResponse.HttpServerResponse | undefined,
  log: LimitedLog.LimitedLog
) =>
  answer.pipe(
    Effect.catchCauseIf(
      (cause) => !Cause.hasInterruptsOnly(cause),
      (cause) =>
        Effect.andThen(
          isNews(cause) ? log("defect", Effect.logError("a status request ended in a defect", cause)) : Effect.void,
          HttpServerRespondable.toResponseOrElse(Cause.squash(cause), HttpServerResponse.empty({ status: 500 }))
        )
    ),
    Effect.map((response) => {
      const { body, status } = response
      if (status < 400 || (body._tag !== "Empty" && status !== 415)) return response
      return (
        (status === 404 ? ifUnknown() : undefined) ??
        problem(status, "Refused", refusals[status] ?? `The request was refused with ${status}.`)
      )
    })
  )

/** Whatever reads the body, it is given this much of it at most. */
const limited = Effect.provideService(HttpIncomingMessage.MaxBodySize, maxBody)

/** What holds for every route, and for what is none: who may ask at all, and the headers of every answer. */
const everywhere = (paths: Paths) => {
  const wrongMethod = wrongMethodOf(paths)
  return HttpRouter.middleware(
    Effect.map(
      Effect.all([
        Guard.StatusAccess,
        Effect.map(Policy, ({ statusLogInterval }) => LimitedLog.make(statusLogInterval))
      ]),
      ([access, log]) =>
        <E, R>(answer: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>) =>
          Effect.flatMap(HttpServerRequest.HttpServerRequest, (request) => {
            const refusal = Guard.refusal(request, access)
            return Effect.map(
              refusal === undefined
                ? told(limited(answer), () => wrongMethod(request), log)
                : Effect.succeed(problem(403, "Forbidden", refusal)),
              (response) => HttpServerResponse.setHeaders(response, { ...Guard.securityHeaders, ...response.headers })
            )
          })
    ),
    { global: true }
  )
}

/** The routes, with all of that; `paths` are theirs. */
export const layerEverywhere =
  (paths: Paths) =>
  <A, E, R>(routes: Layer.Layer<A, E, R>) =>
    Layer.merge(routes, everywhere(paths))
