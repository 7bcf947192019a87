/**
 * What the status server tells everybody and never changes: the page, the description of the interface, its documentation.
 *
 * **Security**
 *
 * No token is needed for these, and the largest has two megabytes. So each is encoded once, in both ways it may be asked for,
 * and one request costs what any other does: all answers share the same bytes.
 *
 * @module
 */
import { gzip } from "node:zlib"
import { Context, Effect, FileSystem, Layer, Path } from "effect"
import { HttpRouter, HttpServerRequest, HttpServerResponse } from "effect/http"
import { HttpApiSwagger, OpenApi } from "effect/http-api"
import { sha256d } from "../bytes/Hashing.ts"
import { StatusApi } from "./StatusApi.ts"

interface Document {
  readonly contentType: string
  readonly plain: Uint8Array
  readonly compressed: Uint8Array
  /** Weak: it is that of both. */
  readonly etag: string
}

const compress = (bytes: Uint8Array) =>
  Effect.callback<Uint8Array>((resume) => {
    // On a thread of its own; the largest takes a tenth of a second.
    gzip(bytes, { level: 9 }, (error, compressed) =>
      resume(error === null ? Effect.succeed(compressed) : Effect.die(error))
    )
  })

const encode = Effect.fnUntraced(function* (text: string, contentType: string) {
  const plain = Buffer.from(text)
  const etag = `W/"${Buffer.from(sha256d(plain)).toString("hex", 0, 12)}"`
  return { contentType, plain, compressed: yield* compress(plain), etag } satisfies Document
})

/** As `If-None-Match` says it: a list, or anything at all. */
const isKnown = (etag: string, ifNoneMatch: string | undefined): boolean =>
  ifNoneMatch?.split(",").some((known) => {
    const text = known.trim()
    return text === "*" || text === etag || `W/${text}` === etag
  }) ?? false

/** Whether `Accept-Encoding` has gzip and does not rule it out. */
const takesGzip = (acceptEncoding: string | undefined): boolean =>
  acceptEncoding?.split(",").some((part) => /^\s*(gzip|x-gzip|\*)\s*(;\s*q=(?!0(\.0*)?\s*$).*)?$/i.test(part)) ?? false

const answer = (document: Document) =>
  Effect.map(HttpServerRequest.HttpServerRequest, ({ headers: asked }) => {
    const { compressed, contentType, etag, plain } = document
    // It may be kept, and is asked for again each time.
    const headers = { etag, vary: "accept-encoding", "cache-control": "no-cache" }
    if (isKnown(etag, asked["if-none-match"])) return HttpServerResponse.empty({ status: 304, headers })
    return takesGzip(asked["accept-encoding"])
      ? HttpServerResponse.uint8Array(compressed, { contentType, headers: { ...headers, "content-encoding": "gzip" } })
      : HttpServerResponse.uint8Array(plain, { contentType, headers })
  })

/** The page, as it is beside this file. */
const page = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  return yield* files.readFileString(yield* path.fromFileUrl(new URL("./page.html", import.meta.url)))
}).pipe(Effect.orDie)

/** Swagger's page, which Effect hands out only as a route: asked for once, of a router that has no other. */
const documentation = Effect.gen(function* () {
  const routes = Layer.fresh(HttpApiSwagger.layer(StatusApi).pipe(Layer.provideMerge(HttpRouter.layer)))
  const router = Context.get(yield* Layer.build(routes), HttpRouter.HttpRouter)
  const response = yield* Effect.provideService(
    router.asHttpEffect(),
    HttpServerRequest.HttpServerRequest,
    HttpServerRequest.fromWeb(new Request("http://localhost/docs"))
  )
  return yield* Effect.promise(() => HttpServerResponse.toWeb(response).text())
}).pipe(Effect.scoped, Effect.orDie)

/** Adds the routes. Encoding goes on after that; who asks earlier waits for it. */
export const layer = HttpRouter.use(
  Effect.fnUntraced(function* (router) {
    const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
    const documents: ReadonlyArray<
      readonly [`/${string}`, Effect.Effect<string, never, FileSystem.FileSystem | Path.Path>, string]
    > = [
      ["/", page, "text/html; charset=utf-8"],
      ["/openapi.json", Effect.sync(() => JSON.stringify(OpenApi.fromApi(StatusApi))), "application/json"],
      ["/docs", documentation, "text/html; charset=utf-8"]
    ]
    for (const [path, text, contentType] of documents) {
      const encoded = yield* text.pipe(
        Effect.flatMap((text) => encode(text, contentType)),
        Effect.provideContext(context),
        Effect.cached
      )
      yield* Effect.forkScoped(encoded)
      yield* router.add("GET", path, Effect.flatMap(encoded, answer))
    }
  })
)
