/**
 * The HTTP server under the status interface, with limits on what a client may cost it.
 *
 * **Security**
 *
 * Whoever reaches the port is a stranger until it has shown a token, and most of what is limited here comes before that: how
 * many connections and requests a client has (`Clients`), for how long it may send a request, and for how long it may leave
 * an answer unread.
 *
 * @module
 */
import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Context, Duration, Effect, Layer, Result, Schedule, Scope } from "effect"
import { HttpServer, HttpServerError } from "effect/http"
import { NetAddress } from "effect/net"
import * as AddressRules from "../addresses/AddressRules.ts"
import { runBeside } from "../BackgroundTasks.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { type Client, Clients, type ClientLimits, type Start } from "./Clients.ts"
import { securityHeaders } from "./Guard.ts"

export interface StatusLimits extends ClientLimits {
  /** Whether a client with this IP is on this machine, where the operator is. */
  readonly isLoopback: (ip: NetAddress.IpAddress) => boolean
  /** Time to send a request, head and body. It has 16 KiB at most, and most have some hundred bytes. */
  readonly sendTimeout: Duration.Duration
  /** How often that is looked at, and how often who was cut may come again. */
  readonly sendCheck: Duration.Duration
  /** A client that has room for no byte of what waits for it for so long is cut. */
  readonly stallTimeout: Duration.Duration
  /** Time to read an answer to its end; an event stream has none. */
  readonly readTimeout: Duration.Duration
}

/**
 * The limits in force; tests take lower ones. Two thousand clients with an event stream each cost some 30 MB; a client has a
 * tenth of that, more than any browser opens.
 */
export const StatusLimits = Context.Reference<StatusLimits>("network-effect/status/StatusLimits", {
  defaultValue: () => ({
    connections: 2000,
    keptForLoopback: 100,
    connectionsPerClient: 200,
    requests: 2000,
    requestsPerClient: 200,
    requestsPerConnection: 8,
    isLoopback: NetAddress.isLoopback,
    sendTimeout: Duration.seconds(10),
    sendCheck: Duration.seconds(1),
    stallTimeout: Duration.seconds(10),
    readTimeout: Duration.seconds(60)
  })
})

/** A connection, as Node names it. */
type Connection = IncomingMessage["socket"]

/** Answered without a body: it costs next to nothing, and says enough. */
const refusals: Readonly<Record<Exclude<Start<Connection>["_tag"], "Admitted" | "TooMany">, number>> = {
  ClientBusy: 429,
  ServerBusy: 503
}

/** What Node found wrong with bytes that were to be a request; for anything else it is 400. Source: Node's lib/_http_server.js. */
const unreadable: Readonly<Record<string, number>> = {
  HPE_CHUNK_EXTENSIONS_OVERFLOW: 413,
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408
}

/** The answer to those, which Node would give without the headers that all have. */
const answerToNoRequest = (code: string | undefined): string => {
  const status = unreadable[code ?? ""] ?? 400
  const headers = Object.entries({ ...securityHeaders, connection: "close", "content-length": "0" })
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`
}

const clientOf = (connection: Connection, { isLoopback }: StatusLimits): Client => {
  const ip = NetAddress.ipFromString(connection.remoteAddress ?? "")
  if (Result.isFailure(ip)) return { key: "unknown", isLoopback: false }
  const address = PeerSocketAddress.make(NetAddress.inetAddressUnsafe(ip.success, 0))
  return { key: AddressRules.limitKey(address), isLoopback: isLoopback(address.address) }
}

const make = Effect.fnUntraced(function* (host: string, port: number) {
  const limits = yield* StatusLimits
  const clients = new Clients<Connection>(limits)
  /** Answers under way, by how often each was found complete and still unread. */
  const unread = new Map<Connection, Map<ServerResponse, number>>()
  const server = createServer({
    requestTimeout: Duration.toMillis(limits.sendTimeout),
    headersTimeout: Duration.toMillis(limits.sendTimeout),
    connectionsCheckingInterval: Duration.toMillis(limits.sendCheck),
    // A request without `Host` is refused as one with a foreign name is.
    requireHostHeader: false
  })
  /** At once: to end it would wait for the other side to, which may go on sending. */
  const cut = (connection: Connection) => {
    clients.cut(connection)
    connection.destroy()
  }
  server.on("clientError", (error: NodeJS.ErrnoException, connection: Connection) => {
    // In the middle of another answer it would be taken for a part of that.
    if (connection.writable && !clients.isBusy(connection)) connection.write(answerToNoRequest(error.code))
    cut(connection)
  })
  // A request goes on without what it expected; Node would refuse it without our headers.
  server.on("checkExpectation", (request: IncomingMessage, response: ServerResponse) =>
    server.emit("request", request, response)
  )

  server.on("connection", (connection: Connection) => {
    const entry = clients.enter(connection, clientOf(connection, limits))
    if (entry._tag === "Full") {
      connection.destroy()
      return
    }
    entry.instead?.destroy()
    // Node begins to read it in the next tick.
    if (clients.isLater(connection)) process.nextTick(() => connection.pause())
    connection.once("close", () => {
      clients.leave(connection)
      // Node does not tell those that still waited for an earlier answer of the connection.
      for (const response of unread.get(connection)?.keys() ?? []) if (response.socket === null) response.emit("close")
      unread.delete(connection)
    })
  })

  // Node asks again whenever bytes were written since, and not while the other end takes some.
  server.timeout = Duration.toMillis(limits.stallTimeout)
  server.on("timeout", (connection: Connection) => {
    if (!clients.isBusy(connection) || connection.writableLength > 0) connection.destroy()
  })

  yield* runBeside(
    "reading connections of clients that were cut",
    Effect.repeat(
      Effect.sync(() => clients.readOn().forEach((connection) => connection.resume())),
      Schedule.spaced(limits.sendCheck)
    )
  )

  const looks = 10
  const cutStalled = Effect.sync(() => {
    for (const [connection, responses] of unread) {
      for (const [response, seen] of responses) {
        if (!response.writableEnded) continue
        if (seen < looks) responses.set(response, seen + 1)
        else connection.destroy()
      }
    }
  })
  yield* runBeside(
    "looking for clients that do not read",
    Effect.repeat(cutStalled, Schedule.spaced(Duration.times(limits.readTimeout, 1 / looks)))
  )

  yield* Effect.addFinalizer(() =>
    Effect.callback<void>((resume) => {
      server.close(() => resume(Effect.void))
      server.closeAllConnections()
    })
  )
  yield* Effect.callback<void, HttpServerError.ServeError>((resume) => {
    // Stays for good: an error without a listener, as where no descriptor is left for who comes, would end the process. Once
    // bound, resuming again does nothing.
    server.on("error", (cause) => resume(Effect.fail(new HttpServerError.ServeError({ cause }))))
    server.listen({ host, port }, () => resume(Effect.void))
  })
  const bound = server.address()
  const address = yield* Effect.orDie(
    Effect.fromResult(
      typeof bound === "string" || bound === null
        ? Result.fail(new Error("no port was bound"))
        : NetAddress.inetAddressFromIpString(bound.address, bound.port)
    )
  )

  return HttpServer.make({
    address,
    serve: Effect.fnUntraced(function* (app, middleware) {
      const scope = Scope.forkUnsafe(yield* Effect.scope, "parallel")
      const answer = yield* NodeHttpServer.makeHandler(app, { middleware, scope })
      const handler = (request: IncomingMessage, response: ServerResponse) => {
        const connection = request.socket
        // What was sent after it is read with it, and is not answered.
        if (connection.destroyed) return
        const start = clients.start(connection)
        if (start._tag === "TooMany") {
          cut(connection)
          return
        }
        if (start._tag !== "Admitted") {
          response
            .writeHead(refusals[start._tag], { ...securityHeaders, "retry-after": "1", connection: "close" })
            .end()
          return
        }
        start.instead?.destroy()
        const responses = unread.get(connection) ?? new Map<ServerResponse, number>()
        unread.set(connection, responses.set(response, 0))
        response.once("close", () => {
          responses.delete(response)
          if (responses.size === 0) unread.delete(connection)
          clients.end(connection)
        })
        answer(request, response)
      }
      server.on("request", handler)
      yield* Effect.addFinalizer(() => Effect.sync(() => server.off("request", handler)))
      // Closed before what answers: event streams would keep it from closing.
      yield* Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections()))
    })
  })
})

/** Listens until the scope closes. Fails with `ServeError` when it cannot; port 0 takes a free one. */
export const layer = (
  address: PeerSocketAddress.PeerSocketAddress
): Layer.Layer<HttpServer.HttpServer, HttpServerError.ServeError> =>
  Layer.effect(HttpServer.HttpServer, make(NetAddress.formatIp(address.address), address.port))
