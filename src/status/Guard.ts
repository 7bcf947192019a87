/**
 * Who may ask, and how a bad question is answered.
 *
 * **Security**
 *
 * A browser sends requests for any page it shows. A page of another site is told by its `Origin`, and one that made its
 * own name point here (DNS rebinding) by its `Host`, which then is neither an IP nor `localhost`. Neither gets an answer
 * from any route, unless it has the token: no browser adds that by itself, so a program sent it that was given it. A browser
 * does add a user and a password it once asked for, so with those the `Origin` still counts.
 *
 * @module
 */
import { Context, Effect, Layer, Option, Redacted, Result, SchemaIssue } from "effect"
import { Mac } from "effect/crypto"
import { type Headers, HttpServerRequest } from "effect/http"
import { HttpApiMiddleware } from "effect/http-api"
import { NetAddress } from "effect/net"
import { sha256d } from "../bytes/Hashing.ts"
import * as LimitedLog from "../LimitedLog.ts"
import { Policy } from "../Policy.ts"
import { Access, BadRequest, Problems, ServerError, Unauthorized } from "./StatusApi.ts"

/** What is shown may load nothing but itself, and no other site can show it in a frame. */
export const contentPolicy = (scripts: string, styles: string): string =>
  `default-src 'none'; script-src ${scripts}; style-src ${styles}; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'`

/** Sent with every answer; nobody keeps it. */
export const securityHeaders = {
  "content-security-policy": contentPolicy("'none'", "'none'"),
  "x-content-type-options": "nosniff",
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
  "cross-origin-resource-policy": "same-origin",
  "cache-control": "no-store"
}

/** What tells the operator from others. */
export class StatusAccess extends Context.Service<
  StatusAccess,
  {
    /** Whoever has it may do everything. Without one, everybody may who reaches the server. */
    readonly token: Option.Option<Redacted.Redacted>
    /** User and password of JSON-RPC, `user:password`; the token is a password too, of any user. */
    readonly rpcLogin: Option.Option<Redacted.Redacted>
    /** Names this server is asked by, besides its IPs and `localhost`: in lower case, without a port. */
    readonly hosts: ReadonlyArray<string>
  }
>()("network-effect/status/StatusAccess") {}

type Credentials = Pick<StatusAccess["Service"], "token" | "rpcLogin">

/** Takes the same time for every wrong secret of a length, so that none can be guessed a byte at a time. */
const equals = (given: string, wanted: Redacted.Redacted): boolean =>
  Mac.timingSafeEqual(digestOf(given), digestOf(Redacted.value(wanted)))

/** Of one length whatever the secret's is: a comparison of the secrets themselves would tell it. */
const digestOf = (secret: string): Uint8Array => sha256d(new TextEncoder().encode(secret))

const isSecret = (given: string, wanted: Option.Option<Redacted.Redacted>): boolean =>
  Option.isSome(wanted) && equals(given, wanted.value)

/** `user:password` of a request, when it has them. */
const loginOf = (headers: Headers.Headers): string | undefined => {
  const [, encoded] = /^basic\s+(\S+)\s*$/i.exec(headers["authorization"] ?? "") ?? []
  return encoded === undefined ? undefined : Buffer.from(encoded, "base64").toString()
}

/** Whether a request has the token. */
const hasToken = (headers: Headers.Headers, { token }: Credentials): boolean => {
  const [, given] = /^bearer\s+(\S.*)$/i.exec(headers["authorization"] ?? "") ?? []
  return given !== undefined && isSecret(given, token)
}

const hasLogin = (headers: Headers.Headers, { rpcLogin, token }: Credentials): boolean => {
  const login = loginOf(headers)
  return login !== undefined && (isSecret(login, rpcLogin) || isSecret(login.slice(login.indexOf(":") + 1), token))
}

/** Whether a request may use JSON-RPC: it has the token or a login, or there is none to have. */
export const mayCall = (headers: Headers.Headers, credentials: Credentials): boolean =>
  (Option.isNone(credentials.token) && Option.isNone(credentials.rpcLogin)) ||
  hasToken(headers, credentials) ||
  hasLogin(headers, credentials)

/** The name in a `Host` header, as names are compared. */
const nameOf = (host: string): string => host.replace(/:\d*$/, "").replace(/\.$/, "").toLowerCase()

/** Whether a `Host` header names this server in a way that no foreign name server can. */
const isOurHost = (host: string, hosts: ReadonlyArray<string>): boolean => {
  const name = nameOf(host)
  return (
    name === "localhost" ||
    hosts.includes(name) ||
    Result.isSuccess(NetAddress.ipFromString(name.replace(/^\[(.*)\]$/, "$1")))
  )
}

/** Why a request gets no answer, in one sentence, whatever it asks for. */
export const refusal = (
  { headers, method }: Pick<HttpServerRequest.HttpServerRequest, "headers" | "method">,
  access: StatusAccess["Service"]
): string | undefined => {
  if (hasToken(headers, access)) return undefined
  const { host = "", origin } = headers
  if (!isOurHost(host, access.hosts) && !hasLogin(headers, access)) {
    return `This server is asked by its IP or as localhost, not as ${host}: send its token, or name it with --status-host.`
  }
  const isOwn = origin === undefined || origin === `http://${host}` || origin === `https://${host}`
  if (!isOwn) return `Pages of ${origin} may not ask this server.`
  // Following a link from there to here is no question of that page: it does not see the answer.
  const isLink = method === "GET" && headers["sec-fetch-mode"] === "navigate"
  return headers["sec-fetch-site"] === "cross-site" && !isLink
    ? "Pages of other sites may not ask this server."
    : undefined
}

/** Lets requests through with the token; all of them, when there is none. A wrong one is told to the operator, once a minute. */
export const layerAccess = Layer.effect(
  Access,
  Effect.gen(function* () {
    const access = yield* StatusAccess
    const log = LimitedLog.make((yield* Policy).statusLogInterval)
    return Access.of({
      bearer: Effect.fnUntraced(function* (answer) {
        const { headers } = yield* HttpServerRequest.HttpServerRequest
        if (Option.isSome(access.token) && !hasToken(headers, access)) {
          if (headers["authorization"] !== undefined) {
            yield* log("token", Effect.logWarning("the status interface was asked with a wrong token"))
          }
          return yield* new Unauthorized({ detail: "Send the token of this node: Authorization: Bearer TOKEN." })
        }
        return yield* answer
      })
    })
  })
)

/** What a user calls it. */
const parts = { Params: "path", Query: "query", Headers: "header", Payload: "body" } as const

const formatIssues = SchemaIssue.makeFormatterStandardSchemaV1()

/** An answer that does not fit is a bug, and whoever asks can repeat it. */
const problemsWith = (log: LimitedLog.LimitedLog) =>
  HttpApiMiddleware.layerSchemaErrorTransform(Problems, (error) => {
    const [first] = formatIssues(error.cause.issue).issues
    const where = (first?.path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".")
    const what = first === undefined ? "it cannot be read" : first.message.split("\n")[0]
    if (error.kind === "Body" || error.kind === "ResponseHeaders") {
      return log(
        "answer",
        Effect.logError("an answer of the status interface does not fit its schema").pipe(
          Effect.annotateLogs({ where, what })
        )
      ).pipe(
        Effect.andThen(Effect.fail(new ServerError({ detail: "The answer could not be written, which is a bug." })))
      )
    }
    const part = parts[error.kind]
    return Effect.fail(
      new BadRequest({ detail: `The ${part} is wrong${where === "" ? "" : ` at ${where}`}: ${what}.` })
    )
  })

/** Says in one sentence what a request has wrong. */
export const layerProblems = Layer.unwrap(
  Effect.map(Policy, ({ statusLogInterval }) => problemsWith(LimitedLog.make(statusLogInterval)))
)
