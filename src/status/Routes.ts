/**
 * Every route of the status server: the API, its description, the page, and an answer for whatever else is asked.
 *
 * @module
 */
import { ByteSize, Cause, Effect, FileSystem, Layer, type Option, Path, type Redacted } from "effect"
import { HttpIncomingMessage, HttpRouter, HttpServerRespondable, HttpServerResponse, ProblemDetails } from "effect/http"
import { HttpApiBuilder, HttpApiSwagger } from "effect/http-api"
import * as Guard from "./Guard.ts"
import { StatusApi } from "./StatusApi.ts"
import * as StatusHandlers from "./StatusHandlers.ts"

/** Longest body of a request, in bytes: the longest that makes sense has some hundred. */
const maxBody = ByteSize.bytes(16_384)

/**
 * What the page may load: itself. Nothing else answers for it, and no other site can show it in a frame.
 */
const pageHeaders = {
  "content-security-policy":
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  "cache-control": "no-store",
  "x-content-type-options": "nosniff"
}

/** The page at `/`, read once. */
const page = Layer.unwrap(
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const file = yield* path.fromFileUrl(new URL("./page.html", import.meta.url))
    const html = yield* files.readFileString(file)
    return HttpRouter.add(
      "GET",
      "/",
      Effect.succeed(HttpServerResponse.text(html, { contentType: "text/html; charset=utf-8", headers: pageHeaders }))
    )
  }).pipe(Effect.orDie)
)

const refusals: Readonly<Record<number, string>> = {
  404: "There is nothing here: /docs lists what there is.",
  413: `A request may have ${ByteSize.format(maxBody)} at most.`,
  500: "The request could not be answered, which is a bug."
}

const isNews = (cause: Cause.Cause<unknown>) => !HttpServerRespondable.isRespondable(Cause.squash(cause))

/** What the server refuses by itself, such as a path nobody knows or a body that is too long, is told like all the rest. */
const problems = HttpRouter.middleware(
  (answer) =>
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
          : ProblemDetails.toResponse({
              type: ProblemDetails.blankType,
              status: response.status,
              title: "Refused",
              detail: refusals[response.status] ?? `The request was refused with ${response.status}.`
            })
      )
    ),
  { global: true }
)

/** Needs the services of the node whose status it is. Without a token everybody who reaches the server may do everything. */
export const layer = (token: Option.Option<Redacted.Redacted>) =>
  Layer.mergeAll(
    HttpApiBuilder.layer(StatusApi, { openapiPath: "/openapi.json" }).pipe(
      Layer.provide(StatusHandlers.layer),
      Layer.provide([Guard.layerAccess(token), Guard.layerProblems])
    ),
    HttpApiSwagger.layer(StatusApi, { path: "/docs" }),
    page,
    problems
  ).pipe(Layer.provide(Layer.succeed(HttpIncomingMessage.MaxBodySize, maxBody)))
