/**
 * Asks a running node over HTTP: `const client = yield* StatusClient.make({ url: "http://127.0.0.1:8234" })`.
 *
 * @module
 */
import { Effect, type Redacted } from "effect"
import { HttpClientRequest } from "effect/http"
import { HttpApiClient, HttpApiMiddleware } from "effect/http-api"
import { Access, StatusApi } from "./StatusApi.ts"

/** Which node is asked. */
export interface StatusClientOptions {
  /** Where the node's status interface is, `http://127.0.0.1:8234`. */
  readonly url: string
  /** Needed when the node was given one. */
  readonly token?: Redacted.Redacted | undefined
}

/** A function for each endpoint of `StatusApi`, with its types. Needs an `HttpClient`. */
export const make = ({ token, url }: StatusClientOptions) =>
  HttpApiClient.make(StatusApi, { baseUrl: url }).pipe(
    Effect.provide(
      HttpApiMiddleware.layerClient(Access, ({ next, request }) =>
        next(token === undefined ? request : HttpClientRequest.bearerToken(request, token))
      )
    )
  )

/** A function for each endpoint: `peers()`, `ban({ payload })`, `events()`, …. */
export type StatusClient = Effect.Success<ReturnType<typeof make>>
