/**
 * Every route of a census' server: its page, what that asks, and the description of it.
 *
 * @module
 */
import { Effect, Layer } from "effect"
import { HttpRouter, HttpServerResponse } from "effect/http"
import { HttpApiBuilder, OpenApi } from "effect/http-api"
import * as Answers from "./Answers.ts"
import { CensusApi } from "./CensusApi.ts"
import * as CensusView from "./CensusView.ts"
import * as Documents from "./Documents.ts"
import * as Guard from "./Guard.ts"

const handlers = HttpApiBuilder.group(
  CensusApi,
  "census",
  Effect.fnUntraced(function* (handlers) {
    const view = yield* CensusView.make
    return handlers.handleAll({
      overview: ({ query }) => view.overview(query.network),
      host: ({ query }) => view.host(query.network, query.host)
    })
  })
)

/** Whoever comes to the server's address wants the page. */
const toPage = HttpRouter.add("GET", "/", HttpServerResponse.redirect("/census"))

/** Needs the store that is looked at, and who may ask. */
export const layer = Layer.mergeAll(
  HttpApiBuilder.layer(CensusApi).pipe(
    Layer.provide(handlers),
    Layer.provide([Guard.layerAccess, Guard.layerProblems])
  ),
  Documents.layerOf([
    ["/census", Documents.page("census.html")],
    [
      "/openapi.json",
      Effect.sync(() => ({ text: JSON.stringify(OpenApi.fromApi(CensusApi)), contentType: "application/json" }))
    ]
  ]),
  toPage
).pipe(
  Answers.layerEverywhere({
    ...Answers.pathsOf(OpenApi.fromApi(CensusApi)),
    "/": ["GET"],
    "/census": ["GET"],
    "/openapi.json": ["GET"]
  })
)
