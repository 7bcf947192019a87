/**
 * Every route of the status server: the API, its description, the page, and an answer for whatever else is asked.
 *
 * @module
 */
import { Layer } from "effect"
import { HttpApiBuilder, OpenApi } from "effect/http-api"
import * as Answers from "./Answers.ts"
import * as Documents from "./Documents.ts"
import * as Guard from "./Guard.ts"
import * as RpcRoutes from "./RpcRoutes.ts"
import { StatusApi } from "./StatusApi.ts"
import * as StatusHandlers from "./StatusHandlers.ts"

/** Needs the services of the node whose status it is, and who may ask. */
export const layer = Layer.mergeAll(
  HttpApiBuilder.layer(StatusApi).pipe(
    Layer.provide(StatusHandlers.layer),
    Layer.provide([Guard.layerAccess, Guard.layerProblems])
  ),
  Documents.layer,
  RpcRoutes.layer
).pipe(
  Answers.layerEverywhere({
    ...Answers.pathsOf(OpenApi.fromApi(StatusApi)),
    "/": ["GET", "POST"],
    "/rpc": ["POST"],
    "/docs": ["GET"],
    "/openapi.json": ["GET"]
  })
)
