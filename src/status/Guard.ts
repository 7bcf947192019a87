/**
 * Who may ask, and how a bad question is answered.
 *
 * **Security**
 *
 * A browser sends requests for any page it shows. A page of another site is told by its `Origin`, and one that made its
 * own name point here (DNS rebinding) by its `Host`, which then is neither an IP nor `localhost`. Neither gets an answer.
 *
 * @module
 */
import { Effect, Layer, type Option, Redacted, Result, SchemaIssue } from "effect"
import { Mac } from "effect/crypto"
import { HttpServerRequest } from "effect/http"
import { HttpApiMiddleware } from "effect/http-api"
import { NetAddress } from "effect/net"
import { sha256d } from "../bytes/Hashing.ts"
import { Access, BadRequest, Forbidden, Problems, ServerError, Unauthorized } from "./StatusApi.ts"

/** Whether a `Host` header names this machine in a way that no foreign name server can. */
const isOurHost = (host: string): boolean => {
  const name = host.replace(/:\d+$/, "")
  return name === "localhost" || Result.isSuccess(NetAddress.ipFromString(name.replace(/^\[(.*)\]$/, "$1")))
}

/** Takes the same time for every wrong token of a length, so that none can be guessed a byte at a time. */
const equals = (given: string, wanted: string): boolean => Mac.timingSafeEqual(digestOf(given), digestOf(wanted))

/** Of one length whatever the token's is: a comparison of the tokens themselves would tell it. */
const digestOf = (token: string): Uint8Array => sha256d(new TextEncoder().encode(token))

/** Lets requests through with the token; all of them, when there is none. */
export const layerAccess = (token: Option.Option<Redacted.Redacted>) =>
  Layer.succeed(Access, {
    bearer: (answer, { credential }) =>
      Effect.gen(function* () {
        const { headers } = yield* HttpServerRequest.HttpServerRequest
        const { host = "", origin } = headers
        if (!isOurHost(host)) {
          return yield* new Forbidden({ detail: `This server is asked by its IP or as localhost, not as ${host}.` })
        }
        if (origin !== undefined && origin !== `http://${host}`) {
          return yield* new Forbidden({ detail: `Pages of ${origin} may not ask this server.` })
        }
        if (token._tag === "Some" && !equals(Redacted.value(credential), Redacted.value(token.value))) {
          return yield* new Unauthorized({ detail: "Send the token of this node: Authorization: Bearer TOKEN." })
        }
        return yield* answer
      })
  })

/** What a user calls it. */
const parts = { Params: "path", Query: "query", Headers: "header", Payload: "body" } as const

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** Says in one sentence what a request has wrong. */
export const layerProblems = HttpApiMiddleware.layerSchemaErrorTransform(Problems, (error) => {
  const [first] = formatIssues(error.cause.issue).issues
  const where = (first?.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".")
  const what = first === undefined ? "it cannot be read" : first.message.split("\n")[0]
  if (error.kind === "Body" || error.kind === "ResponseHeaders") {
    return Effect.logError("an answer of the status interface does not fit its schema").pipe(
      Effect.annotateLogs({ where, what }),
      Effect.andThen(Effect.fail(new ServerError({ detail: "The answer could not be written, which is a bug." })))
    )
  }
  const part = parts[error.kind]
  return Effect.fail(new BadRequest({ detail: `The ${part} is wrong${where === "" ? "" : ` at ${where}`}: ${what}.` }))
})
