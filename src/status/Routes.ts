/**
 * Every route of the status server: the API, its description, the page, and an answer for whatever else is asked.
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
import { HttpApiBuilder, OpenApi } from "effect/http-api"
import * as Documents from "./Documents.ts"
import * as Guard from "./Guard.ts"
import * as RpcRoutes from "./RpcRoutes.ts"
import { StatusApi } from "./StatusApi.ts"
import * as StatusHandlers from "./StatusHandlers.ts"

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

/** The methods of each path, of this interface and beside it; `{id}` stands for any text. */
const methods: ReadonlyArray<readonly [path: RegExp, allowed: ReadonlyArray<string>]> = Object.entries({
  ...Object.fromEntries(
    Object.entries(OpenApi.fromApi(StatusApi).paths).map(([path, operations]) => [
      path,
      Object.keys(operations).map((method) => method.toUpperCase())
    ])
  ),
  "/": ["GET", "POST"],
  "/rpc": ["POST"],
  "/docs": ["GET"],
  "/openapi.json": ["GET"]
}).map(([path, allowed]) => [new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`), allowed])

/** Of a path that is here, asked in a way that is not. */
const wrongMethod = ({ method, url }: HttpServerRequest.HttpServerRequest) => {
  const [path = ""] = url.split("?")
  const [, allowed] = methods.find(([known]) => known.test(path)) ?? []
  if (allowed === undefined || allowed.includes(method)) return undefined
  return HttpServerResponse.setHeader(
    problem(405, "Method Not Allowed", `This is asked by ${allowed.join(" or ")}, not by ${method}.`),
    "allow",
    allowed.join(", ")
  )
}

/** What the server refuses by itself, such as a path nobody knows or a body that is too long, is told like all the rest. */
const told = <E, R>(
  answer: Effect.Effect<HttpServerResponse.HttpServerResponse, E, R>,
  request: HttpServerRequest.HttpServerRequest
) =>
  answer.pipe(
    Effect.catchCauseIf(
      (cause) => !Cause.hasInterruptsOnly(cause),
      (cause) =>
        Effect.andThen(
          isNews(cause) ? Effect.logError("a status request ended in a defect", cause) : Effect.void,
          HttpServerRespondable.toResponseOrElse(Cause.squash(cause), HttpServerResponse.empty({ status: 500 }))
        )
    ),
    Effect.map((response) => {
      const { body, status } = response
      if (status < 400 || (body._tag !== "Empty" && status !== 415)) return response
      return (
        (status === 404 ? wrongMethod(request) : undefined) ??
        problem(status, "Refused", refusals[status] ?? `The request was refused with ${status}.`)
      )
    })
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
            refusal === undefined ? told(answer, request) : Effect.succeed(problem(403, "Forbidden", refusal)),
            (response) => HttpServerResponse.setHeaders(response, { ...Guard.securityHeaders, ...response.headers })
          )
        })
  ),
  { global: true }
)

/** Needs the services of the node whose status it is, and who may ask. */
export const layer = Layer.mergeAll(
  HttpApiBuilder.layer(StatusApi).pipe(
    Layer.provide(StatusHandlers.layer),
    Layer.provide([Guard.layerAccess, Guard.layerProblems])
  ),
  Documents.layer,
  RpcRoutes.layer,
  everywhere
).pipe(Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, maxBody)))
