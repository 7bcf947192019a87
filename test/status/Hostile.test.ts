/** What clients can and cannot do to a status server, over real sockets. */
import { gunzipSync } from "node:zlib"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Schedule } from "effect"
import { NetAddress } from "effect/net"
import { NetworkEvents, type PeerSocketAddress } from "network-effect"
import { securityHeaders } from "../../src/status/Guard.ts"
import { answerTo, talk, until, withStatus } from "../support/statusWorld.ts"

const head = (path: string, ...lines: ReadonlyArray<string>) => [`GET ${path} HTTP/1.1`, ...lines, "", ""].join("\r\n")
const close = "Connection: close"
const local = "Host: 127.0.0.1"
const health = head("/health", local, close)

/** As if only one IP were on this machine, and all others were strangers. */
const onlyFrom = (own: string) => ({
  isLoopback: (ip: NetAddress.IpAddress) => NetAddress.formatIp(ip) === own
})

describe("a document of the status server", () => {
  it.live("is sent compressed, once, and then not at all", () =>
    Effect.gen(function* () {
      const { url } = yield* withStatus("127.0.11.1")
      for (const path of ["/", "/docs", "/openapi.json"]) {
        // `fetch` would undo it.
        const ask = (headers: Record<string, string>) => Effect.promise(() => fetch(`${url}${path}`, { headers }))
        const compressed = yield* ask({ "accept-encoding": "gzip" })
        const plain = yield* ask({ "accept-encoding": "gzip;q=0" })
        assert.strictEqual(compressed.headers.get("content-encoding"), "gzip", path)
        assert.isNull(plain.headers.get("content-encoding"), path)
        const length = Number(compressed.headers.get("content-length"))
        const text = yield* Effect.promise(() => plain.text())
        assert.isBelow(length, text.length / 2, path)
        assert.strictEqual(yield* Effect.promise(() => compressed.text()), text, path)
        const etag = compressed.headers.get("etag") ?? ""
        assert.strictEqual(plain.headers.get("etag"), etag)
        const again = yield* ask({ "if-none-match": `"other", ${etag}` })
        assert.strictEqual(again.status, 304, path)
        assert.strictEqual(yield* Effect.promise(() => again.text()), "")
        const changed = yield* ask({ "if-none-match": `"other"` })
        assert.strictEqual(changed.status, 200, path)
        yield* Effect.promise(() => changed.text())
      }
    }).pipe(Effect.scoped)
  )

  it.live("is whole for a client that undoes the compression itself", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.11.2")
      const { closed, socket } = yield* talk(at, head("/docs", local, close, "Accept-Encoding: gzip"))
      const pieces: Array<Buffer> = []
      socket.on("data", (piece) => pieces.push(piece))
      yield* closed
      const all = Buffer.concat(pieces)
      const body = all.subarray(all.indexOf("\r\n\r\n") + 4)
      assert.match(gunzipSync(body).toString(), /^<!DOCTYPE html>[^]*SwaggerUIBundle[^]*<\/html>$/)
    }).pipe(Effect.scoped)
  )
})

describe("every route of the status server", () => {
  const routes = ["/", "/docs", "/openapi.json", "/health", "/ready", "/peers", "/metrics", "/nothing"]

  it.live("has the same headers, whatever the answer is", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.11.3", { token: "open sesame" })
      for (const path of routes) {
        const { headers } = yield* answerTo(at, head(path, local, close))
        for (const [name, value] of Object.entries(securityHeaders)) {
          const document = ["/", "/docs", "/openapi.json"].includes(path)
          // A page may run what is in it, and nothing else may run anything.
          const scripts = path === "/" ? /'sha256-[\w+/=]{44}'( 'sha256-[\w+/=]{44}')*/g : /'unsafe-inline'/g
          const told = path === "/" || path === "/docs" ? headers[name]?.replace(scripts, "'none'") : headers[name]
          assert.strictEqual(told, name === "cache-control" && document ? "no-cache" : value, `${path} ${name}`)
        }
      }
    }).pipe(Effect.scoped)
  )

  it.live("has no answer for another site, or for a name that may be anybody's", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.11.4")
      for (const path of routes) {
        for (const lines of [
          ["Host: rebound.example"],
          ["Host: rebound.example:8234"],
          [local, "Origin: http://elsewhere.example"],
          [local, "Origin: null"],
          [local, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"]
        ]) {
          const answer = yield* answerTo(at, head(path, ...lines, close))
          assert.strictEqual(answer.status, 403, `${path} ${lines.join(" ")}`)
        }
      }
      for (const lines of [
        ["Host: LOCALHOST:8234"],
        ["Host: localhost."],
        ["Host: [::1]:8234"],
        [local, "Origin: http://127.0.0.1"],
        // A link on a page of another site.
        [local, "Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"]
      ]) {
        const answer = yield* answerTo(at, head("/health", ...lines, close))
        assert.strictEqual(answer.status, 200, lines.join(" "))
      }
    }).pipe(Effect.scoped)
  )

  it.live("answers whoever has the token, by whatever name and through whatever proxy", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.11.5", { token: "open sesame" })
      const asked = ["Host: zebra:8234", "Origin: https://status.example"]
      const token = "Authorization: Bearer open sesame"
      for (const path of ["/metrics", "/peers", "/docs"]) {
        assert.strictEqual((yield* answerTo(at, head(path, ...asked, token, close))).status, 200, path)
        assert.strictEqual((yield* answerTo(at, head(path, ...asked, `${token}!`, close))).status, 403, path)
        assert.strictEqual((yield* answerTo(at, head(path, ...asked, close))).status, 403, path)
      }
    }).pipe(Effect.scoped)
  )

  it.live("answers by a name the operator allowed, without a token", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.11.6", { server: { hosts: ["Zebra"] } })
      assert.strictEqual((yield* answerTo(at, head("/metrics", "Host: zebra:8234", close))).status, 200)
      assert.strictEqual((yield* answerTo(at, head("/metrics", "Host: zebra.example", close))).status, 403)
    }).pipe(Effect.scoped)
  )
})

describe("a client that", () => {
  // Sockets of one machine hold some megabytes between them, and eight documents have sixteen.
  const documents = head("/docs", local).repeat(8)
  /** One place, and only strangers: while it is taken by who has a request under way, nobody else is answered. */
  const onePlace = { connections: 1, keptForLoopback: 0, isLoopback: () => false }
  const isRefused = ({ status }: { readonly status: number }) => status === 0
  const isAnswered = ({ status }: { readonly status: number }) => status === 200

  // The one limit that is not what is shown is an hour, so that nobody needs to be quick.
  const never = Duration.hours(1)

  it.live("does not read keeps its place until it is cut", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.11.17", {
        limits: { ...onePlace, stallTimeout: never, readTimeout: never }
      })
      const { text } = yield* talk(at, documents, { stops: true })
      yield* until(Effect.sync(text), (text) => text !== "")
      assert.isTrue(isRefused(yield* answerTo(at, health)))
    }).pipe(Effect.scoped)
  )

  it.live("does not read is cut, and its place is free again", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.11.7", {
        limits: { ...onePlace, stallTimeout: Duration.millis(300), readTimeout: never }
      })
      const { text } = yield* talk(at, documents, { stops: true })
      yield* until(Effect.sync(text), (text) => text !== "")
      yield* until(answerTo(at, health), isAnswered)
    }).pipe(Effect.scoped)
  )

  it.live("takes its answer too slowly is cut at the end of its time", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.11.8", {
        limits: { ...onePlace, readTimeout: Duration.millis(300), stallTimeout: never }
      })
      const { socket, text } = yield* talk(at, documents, { stops: true })
      yield* until(Effect.sync(text), (text) => text !== "")
      const sip = Effect.sync((): unknown => socket.read(1024))
      yield* Effect.forkScoped(Effect.repeat(sip, Schedule.spaced(5)))
      yield* until(answerTo(at, health), isAnswered)
    }).pipe(Effect.scoped)
  )

  it.live("sends its request byte by byte is let go", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.11.9", {
        limits: { sendTimeout: Duration.millis(300), sendCheck: Duration.millis(50) }
      })
      const { closed, text } = yield* talk(at, "GET /health HTTP/1.1\r\nX-Slow: ")
      yield* closed
      assert.match(text(), /^HTTP\/1\.1 408 /)
      const silent = yield* talk(at, "")
      yield* silent.closed
      // Also one that does not listen, and goes on.
      const { closed: gone, socket } = yield* talk(at, "GET /health HTTP/1.1\r\n", { isHalfOpen: true })
      yield* Effect.forkScoped(
        Effect.repeat(
          Effect.sync(() => socket.write("x")),
          Schedule.spaced(20)
        )
      )
      yield* gone
    }).pipe(Effect.scoped)
  )

  it.live("asks much at once without reading is cut; its other connections are not", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.11.10")
      const { closed, text } = yield* talk(at, head("/health", local).repeat(3000))
      yield* closed
      assert.isBelow(text().match(/HTTP\/1\.1 200/g)?.length ?? 0, 9)
      assert.strictEqual((yield* answerTo(at, health)).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("was cut is read again later, and others meanwhile", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.11.26", { limits: { ...onlyFrom("127.0.11.27"), sendCheck: never } })
      const flood = yield* talk(at, head("/health", local).repeat(3000), { from: "127.0.11.28" })
      yield* flood.closed
      const again = yield* talk(at, health, { from: "127.0.11.28" })
      for (const from of ["127.0.11.27", "127.0.11.29"]) {
        assert.strictEqual((yield* answerTo(at, health, { from })).status, 200)
      }
      assert.strictEqual(again.text(), "")
    }).pipe(Effect.scoped)
  )

  it.live("was cut is read again", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.11.30", { limits: { sendCheck: Duration.millis(50) } })
      for (const bytes of [head("/health", local).repeat(3000), "no request\r\n\r\n"]) {
        const cut = yield* talk(at, bytes)
        yield* cut.closed
        assert.strictEqual((yield* answerTo(at, health)).status, 200)
      }
    }).pipe(Effect.scoped)
  )

  it.live("is a stranger has its share, and the operator always has a place", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.11.11", {
        limits: {
          ...onlyFrom("127.0.11.12"),
          connections: 6,
          keptForLoopback: 2,
          connectionsPerClient: 3,
          requestsPerClient: 2
        }
      })
      const operator = { from: "127.0.11.12" }
      // Two clients that trickle, and then stay.
      for (const from of ["127.0.11.13", "127.0.11.14"]) {
        for (let n = 0; n < 5; n++) yield* talk(at, "GET /health HTTP/1.1\r\n", { from })
      }
      assert.strictEqual((yield* answerTo(at, health, operator)).status, 200)
      const events = head("/events", local)
      const streams = []
      for (let n = 0; n < 2; n++) streams.push(yield* talk(at, events, { from: "127.0.11.13" }))
      for (const { text } of streams) yield* until(Effect.sync(text), (text) => text.includes("200 OK"))
      const third = yield* answerTo(at, head("/events", local), { from: "127.0.11.13" })
      assert.strictEqual(third.status, 429)
      assert.strictEqual(third.headers["retry-after"], "1")
      for (let n = 0; n < 2; n++) streams.push(yield* talk(at, events, { from: "127.0.11.14" }))
      for (const { text } of streams) yield* until(Effect.sync(text), (text) => text.includes("200 OK"))
      // Strangers have all they may have, with a request on each.
      const refused = yield* talk(at, health, { from: "127.0.11.15" })
      yield* refused.closed
      assert.strictEqual(refused.text(), "")
      for (let n = 0; n < 10; n++) assert.strictEqual((yield* answerTo(at, health, operator)).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("takes every place and every request, here or elsewhere, leaves one for the operator", () =>
    Effect.gen(function* () {
      const events = head("/events", local)
      const limits = { connections: 8, keptForLoopback: 2, requests: 8, requestsPerClient: 4, requestsPerConnection: 4 }
      const takeAll = Effect.fnUntraced(function* (at: PeerSocketAddress.PeerSocketAddress, from: string) {
        for (let n = 0; n < 8; n++) yield* talk(at, events.repeat(4), { from })
      })
      const elsewhere = yield* withStatus("127.0.11.18", { limits: { ...limits, ...onlyFrom("127.0.11.19") } })
      for (const from of ["127.0.11.20", "127.0.11.21"]) yield* takeAll(elsewhere.at, from)
      yield* until(answerTo(elsewhere.at, health, { from: "127.0.11.22" }), ({ status }) => status !== 200)
      const here = yield* withStatus("127.0.11.23", { limits })
      yield* takeAll(here.at, "127.0.11.24")
      for (const { at } of [elsewhere, here]) {
        for (let n = 0; n < 20; n++) {
          assert.strictEqual((yield* answerTo(at, health, { from: "127.0.11.19" })).status, 200)
        }
      }
    }).pipe(Effect.scoped)
  )

  it.live("sends what is no request is told so, with the headers of every answer", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.11.25")
      for (const [status, bytes] of [
        [400, "\x16\x03\x01\x02\0\x01\0"],
        [400, "BREW / HTTP/1.1\r\n\r\n"],
        [400, head("/rpc", local, "Content-Length: 5", "Transfer-Encoding: chunked").replace("GET", "POST")],
        [431, head("/health", local, `X-Long: ${"x".repeat(20_000)}`)],
        [403, head("/health", close)],
        [200, head("/health", local, close, "Expect: soup")],
        [405, head("/health", local, close).replace("GET", "OPTIONS")]
      ] as const) {
        const answer = yield* answerTo(at, bytes)
        assert.strictEqual(answer.status, status, bytes.slice(0, 40))
        assert.deepInclude(answer.headers, securityHeaders, bytes.slice(0, 40))
      }
      assert.strictEqual((yield* answerTo(at, health)).status, 200)
    }).pipe(Effect.scoped)
  )

  it.live("comes back to the events with the id of the last one gets those it missed", () =>
    Effect.gen(function* () {
      const { at, services } = yield* withStatus("127.0.11.16")
      const { publish } = Context.get(services, NetworkEvents)
      yield* publish({ _tag: "InitialPeersFound", count: 71 })
      const first = yield* talk(at, head("/events", local))
      const text = yield* until(Effect.sync(first.text), (text) => text.includes(`"count":71`))
      const [, id = ""] = /id: (\S+)\n(?=data: .*"count":71)/.exec(text) ?? []
      first.socket.destroy()
      yield* publish({ _tag: "InitialPeersFound", count: 72 })
      const second = yield* talk(at, head("/events", local, `Last-Event-ID: ${id}`))
      const rest = yield* until(Effect.sync(second.text), (text) => text.includes(`"count":72`))
      assert.notInclude(rest, `"count":71`)
    }).pipe(Effect.scoped)
  )
})
