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
import { hash } from "node:crypto"
import { gzip } from "node:zlib"
import { Context, Data, Effect, FileSystem, Layer, Path } from "effect"
import { HttpClientRequest, HttpRouter, HttpServerRequest, HttpServerResponse, ProblemDetails } from "effect/http"
import { HttpApiSwagger, OpenApi } from "effect/http-api"
import { sha256d } from "../bytes/Hashing.ts"
import { contentPolicy } from "./Guard.ts"
import { assemble } from "./PageFiles.ts"
import { StatusApi } from "./StatusApi.ts"

/** A text that never changes, and what a browser may run of it. */
interface Text {
  /** As it is sent, where it need not be put together first. */
  readonly text: string | Uint8Array
  readonly contentType: string
  /** `Content-Security-Policy` in place of the usual one. */
  readonly policy?: string
}

/** The files of a page are not where they belong: a program that was bundled into one file has left them behind. */
class PageMissing extends Data.TaggedError("PageMissing")<{ readonly folder: string }> {}

/** Where a text is found, and how it is made. */
export type Route = readonly [
  path: `/${string}`,
  text: Effect.Effect<Text, PageMissing, FileSystem.FileSystem | Path.Path>
]

interface Document {
  readonly contentType: string
  readonly plain: Uint8Array
  readonly compressed: Uint8Array
  /** Weak: it is that of both. */
  readonly etag: string
  readonly policy: string | undefined
}

const compress = (bytes: Uint8Array) =>
  Effect.callback<Uint8Array>((resume) => {
    // On a thread of its own; the largest takes a tenth of a second.
    gzip(bytes, { level: 9 }, (error, compressed) =>
      resume(error === null ? Effect.succeed(compressed) : Effect.die(error))
    )
  })

const encode = Effect.fnUntraced(function* ({ contentType, policy, text }: Text) {
  const plain = typeof text === "string" ? Buffer.from(text) : text
  const etag = `W/"${Buffer.from(sha256d(plain)).toString("hex", 0, 12)}"`
  return { contentType, plain, compressed: yield* compress(plain), etag, policy } satisfies Document
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

/** What is missing, and what to do. */
const withoutPage = ({ folder }: PageMissing) =>
  ProblemDetails.toResponse({
    type: ProblemDetails.blankType,
    status: 404,
    title: "Not Found",
    detail: `The files of this page are not at ${folder}: copy the folder dist/src/status/page of network-effect there.`
  })

const answer = (document: Document) =>
  Effect.map(HttpServerRequest.HttpServerRequest, ({ headers: asked }) => {
    const { compressed, contentType, etag, plain, policy } = document
    // It may be kept, and is asked for again each time.
    const headers = {
      etag,
      vary: "accept-encoding",
      "cache-control": "no-cache",
      ...(policy === undefined ? {} : { "content-security-policy": policy })
    }
    if (isKnown(etag, asked["if-none-match"])) return HttpServerResponse.empty({ status: 304, headers })
    return takesGzip(asked["accept-encoding"])
      ? HttpServerResponse.uint8Array(compressed, { contentType, headers: { ...headers, "content-encoding": "gzip" } })
      : HttpServerResponse.uint8Array(plain, { contentType, headers })
  })

const html = "text/html; charset=utf-8"
const inline = "'unsafe-inline'"

/** As a policy names what may run: nothing that anybody else puts into the page does. */
const hashes = (texts: ReadonlyArray<string>): string =>
  texts.map((text) => `'sha256-${hash("sha256", text, "base64")}'`).join(" ")

/** A page, made of the files in the folder beside this file. */
export const page = (name: string) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const folder = yield* Effect.orDie(path.fromFileUrl(new URL("./page/", import.meta.url)))
    const texts = new Map<string, string>()
    const names = yield* Effect.catchReason(files.readDirectory(folder), "PlatformError", "NotFound", () =>
      Effect.fail(new PageMissing({ folder }))
    )
    for (const file of names) {
      texts.set(file, yield* files.readFileString(path.join(folder, file)))
    }
    const made = assemble(name, (file) => {
      const text = texts.get(file)
      if (text === undefined) throw new Error(`the page has no file ${file}`)
      return text
    })
    return { text: made.html, contentType: html, policy: contentPolicy(hashes(made.scripts), hashes(made.styles)) }
  }).pipe(Effect.catchTag("PlatformError", (error) => Effect.die(error)))

/**
 * Swagger's page, which Effect hands out only as a route: asked for once, of a router that has no other. Taken out of its answer
 * as it is: a `Request` of the web, and the text of a `Response`, would cost this process another eight megabytes.
 */
const documentation = Effect.gen(function* () {
  const routes = Layer.fresh(HttpApiSwagger.layer(StatusApi).pipe(Layer.provideMerge(HttpRouter.layer)))
  const router = Context.get(yield* Layer.build(routes), HttpRouter.HttpRouter)
  const response = yield* Effect.provideService(
    router.asHttpEffect(),
    HttpServerRequest.HttpServerRequest,
    HttpServerRequest.fromClientRequest(HttpClientRequest.get("http://localhost/docs"))
  )
  if (response.body._tag !== "Uint8Array") return yield* Effect.die("Swagger's page is no text")
  return response.body.body
}).pipe(Effect.scoped, Effect.orDie)

/** Adds routes. Who asks first for a text waits while it is made, for most nodes are never asked for the largest. */
export const layerOf = (routes: ReadonlyArray<Route>) =>
  HttpRouter.use(
    Effect.fnUntraced(function* (router) {
      const context = yield* Effect.context<FileSystem.FileSystem | Path.Path>()
      for (const [path, text] of routes) {
        // Once, also when the first who asked does not wait for it.
        const encoded = yield* text.pipe(
          Effect.flatMap(encode),
          Effect.provideContext(context),
          Effect.uninterruptible,
          Effect.cached
        )
        const told = Effect.flatMap(encoded, answer)
        yield* router.add(
          "GET",
          path,
          Effect.catchTag(told, "PageMissing", (error) => Effect.succeed(withoutPage(error)))
        )
      }
    })
  )

/** The documents of a node. */
export const layer = layerOf([
  ["/", page("node.html")],
  [
    "/openapi.json",
    Effect.sync(() => ({ text: JSON.stringify(OpenApi.fromApi(StatusApi)), contentType: "application/json" }))
  ],
  // Swagger's page has its script and styles inline, and they are not of one text.
  ["/docs", Effect.map(documentation, (text) => ({ text, contentType: html, policy: contentPolicy(inline, inline) }))]
])
