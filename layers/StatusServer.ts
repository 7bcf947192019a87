/**
 * The status interface of a node on a port of this machine.
 *
 * @module
 */
import { createServer } from "node:http"
import { NodeHttpServer, NodeServices } from "@effect/platform-node"
import { Effect, Layer, Option } from "effect"
import { HttpRouter, HttpServer } from "effect/http"
import { NetAddress } from "effect/net"
import * as PeerSocketAddress from "../src/chain/PeerSocketAddress.ts"
import * as Routes from "../src/status/Routes.ts"
import { StatusListening, StatusNeedsToken, token } from "../src/status/StatusAddress.ts"
import { ListenError } from "../src/transport/Transport.ts"

/** Clients at the same time, of which each may have an event stream open. One more is closed at once. */
const maxClients = 2000

/** Enough for any request, whose body is at most 16 KiB; a client that trickles is let go. */
const requestTimeoutMillis = 10_000

/**
 * Serves until the scope closes, within half a second then, whoever listens to events. Needs the services of a node.
 * Port 0 takes a free one: `StatusListening` says which.
 *
 * On an address others can reach it needs a token, else it fails with `StatusNeedsToken` and binds nothing.
 */
export const layer = (address: PeerSocketAddress.PeerSocketAddress) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const secret = yield* Effect.orDie(token)
      const text = PeerSocketAddress.format(address)
      if (Option.isNone(secret) && !NetAddress.isLoopback(address.address)) {
        return yield* new StatusNeedsToken({ address: text })
      }
      const server = createServer({ requestTimeout: requestTimeoutMillis, headersTimeout: requestTimeoutMillis })
      server.maxConnections = maxClients
      const listening = NodeHttpServer.layer(() => server, {
        host: NetAddress.formatIp(address.address),
        port: address.port,
        gracefulShutdownTimeout: "200 millis"
      }).pipe(
        Layer.catchTag("ServeError", ({ cause }) =>
          Layer.effectContext(
            Effect.fail(
              new ListenError({
                address: text,
                code: cause instanceof Error && "code" in cause ? String(cause.code) : "unknown",
                cause
              })
            )
          )
        )
      )
      // Closed first: event streams would keep the server from closing.
      const closing = Layer.effectDiscard(Effect.addFinalizer(() => Effect.sync(() => server.closeAllConnections())))
      const told = Layer.effect(
        StatusListening,
        Effect.gen(function* () {
          const server = yield* HttpServer.HttpServer
          const bound = NetAddress.isInetAddress(server.address) ? PeerSocketAddress.make(server.address) : address
          yield* Effect.logInfo("status interface listens").pipe(
            Effect.annotateLogs({ address: PeerSocketAddress.format(bound) })
          )
          return StatusListening.of({ address: Option.some(bound) })
        })
      )
      return Layer.merge(closing, told).pipe(
        Layer.provideMerge(
          HttpRouter.serve(Routes.layer(secret), { disableLogger: true, disableListenLog: true }).pipe(
            Layer.provideMerge(listening)
          )
        )
      )
    })
  ).pipe(Layer.provide(NodeServices.layer))
