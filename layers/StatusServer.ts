/**
 * The status interface of a node, and the page of a census, on a port of this machine.
 *
 * @module
 */
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Effect, Layer, Option } from "effect"
import { SecureRandom } from "effect/crypto"
import { HttpRouter, HttpServer } from "effect/http"
import { NetAddress } from "effect/net"
import * as PeerSocketAddress from "../src/chain/PeerSocketAddress.ts"
import * as CensusRoutes from "../src/status/CensusRoutes.ts"
import { StatusAccess } from "../src/status/Guard.ts"
import * as RpcCookie from "../src/status/RpcCookie.ts"
import * as RpcMethods from "../src/status/RpcMethods.ts"
import * as Routes from "../src/status/Routes.ts"
import { check, StatusListening } from "../src/status/StatusAddress.ts"
import * as StatusListener from "../src/status/StatusListener.ts"
import { ListenError } from "../src/transport/Transport.ts"

export { check }

/** What a status server is told besides its address. */
export interface StatusServerOptions {
  /** Names it may be asked by without a token, besides its IPs and `localhost`: those of a proxy or a service. */
  readonly hosts?: ReadonlyArray<string> | undefined
  /** Where a login for JSON-RPC is left; it then needs that one, or the token. */
  readonly rpcCookie?: string | undefined
  /** Ends the process in order: what JSON-RPC's `stop` does. There is no such method without. */
  readonly stop?: Effect.Effect<void> | undefined
}

/** Serves routes until the scope closes, and says where. Port 0 takes a free one. */
const served = <A, E, R>(
  address: PeerSocketAddress.PeerSocketAddress,
  message: string,
  routes: Layer.Layer<A, E, R>
) => {
  const listening = StatusListener.layer(address).pipe(
    Layer.catchTag("ServeError", ({ cause }) =>
      Layer.effectContext(
        Effect.fail(
          new ListenError({
            address: PeerSocketAddress.format(address),
            code: cause instanceof Error && "code" in cause ? String(cause.code) : "unknown",
            cause
          })
        )
      )
    )
  )
  const told = Layer.effect(
    StatusListening,
    Effect.gen(function* () {
      const server = yield* HttpServer.HttpServer
      const bound = NetAddress.isInetAddress(server.address) ? PeerSocketAddress.make(server.address) : address
      yield* Effect.logInfo(message).pipe(Effect.annotateLogs({ address: PeerSocketAddress.format(bound) }))
      return StatusListening.of({ address: Option.some(bound) })
    })
  )
  return told.pipe(
    Layer.provideMerge(
      HttpRouter.serve(routes, { disableLogger: true, disableListenLog: true }).pipe(
        Layer.provideMerge(listening),
        Layer.provide(NodeHttpServer.layerHttpServices)
      )
    )
  )
}

/**
 * Serves the page of a census until the scope closes. Needs its store. The same rules hold as for a node's: on an address
 * others can reach it needs a token.
 */
export const layerCensus = (
  address: PeerSocketAddress.PeerSocketAddress,
  { hosts = [] }: Pick<StatusServerOptions, "hosts"> = {}
) =>
  Layer.unwrap(
    Effect.map(check(address), (secret) =>
      served(
        address,
        "census page listens",
        CensusRoutes.layer.pipe(
          Layer.provide(
            Layer.succeed(StatusAccess, {
              token: secret,
              rpcLogin: Option.none(),
              hosts: hosts.map((host) => host.toLowerCase())
            })
          )
        )
      )
    )
  ).pipe(Layer.provide(NodeServices.layer))

/**
 * Serves until the scope closes, at once then, whoever listens to events. Needs the services of a node.
 * Port 0 takes a free one: `StatusListening` says which.
 *
 * On an address others can reach it needs a token, else it fails with `StatusNeedsToken` and binds nothing.
 */
export const layer = (
  address: PeerSocketAddress.PeerSocketAddress,
  { hosts = [], rpcCookie, stop }: StatusServerOptions = {}
) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const secret = yield* check(address)
      // After the port is bound, so that a second process leaves the file of the first one alone.
      const access = Layer.merge(
        Layer.effect(
          StatusAccess,
          Effect.gen(function* () {
            yield* HttpServer.HttpServer
            const rpcLogin = rpcCookie === undefined ? Option.none() : Option.some(yield* RpcCookie.make(rpcCookie))
            return StatusAccess.of({ token: secret, rpcLogin, hosts: hosts.map((host) => host.toLowerCase()) })
          })
        ),
        Layer.succeed(RpcMethods.StopNode, Option.fromUndefinedOr(stop))
      ).pipe(Layer.provide(SecureRandom.layerWebCrypto))
      return served(address, "status interface listens", Routes.layer.pipe(Layer.provide(access)))
    })
  ).pipe(Layer.provide(NodeServices.layer))
