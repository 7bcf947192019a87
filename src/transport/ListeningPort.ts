/**
 * The port of a node, bound before anything that needs to know where we are.
 *
 * Binding is apart from accepting: whoever shakes hands or tells addresses reads `OwnAddress`, whoever accepts takes streams
 * from `accept`, and neither has to come before the other.
 *
 * @module
 */
import { Context, Effect, Layer, Scope } from "effect"
import { BackgroundTasks } from "../BackgroundTasks.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as Spans from "../Spans.ts"
import { OwnAddress } from "./OwnAddress.ts"
import { type ByteStream, InboundTransport, type ListenError } from "./Transport.ts"

/**
 * What the system says of `[::]` where it has no IPv6, or none that is switched on. Source: POSIX, socket(2); Linux,
 * ip-sysctl, `disable_ipv6`.
 */
const withoutIpv6: ReadonlyArray<string> = ["EAFNOSUPPORT", "EADDRNOTAVAIL"]

/** How others reach us. */
export interface Options {
  /** Where others reach us, when that is not where we listen: behind a router that forwards, for instance. */
  readonly external?: PeerSocketAddress.PeerSocketAddress | undefined
}

/** Streams that arrive at the port of this node. */
export class ListeningPort extends Context.Service<
  ListeningPort,
  {
    /**
     * Waits for the next stream, which closes when the scope closes. Up to `maxWaitingStreams` wait while nobody accepts;
     * more are refused. Without a port it waits for ever.
     */
    readonly accept: Effect.Effect<ByteStream, never, Scope.Scope>
  }
>()("network-effect/transport/ListeningPort") {
  /**
   * Binds now, and fails when the address is taken or forbidden; port 0 takes a free one. `[::]`, which is everywhere, is
   * `0.0.0.0` where there is no IPv6, with a warning. The port is free again, and
   * streams that wait are cut, when the network ends.
   */
  static readonly layer = (
    address: PeerSocketAddress.PeerSocketAddress,
    options: Options = {}
  ): Layer.Layer<ListeningPort | OwnAddress, ListenError, InboundTransport | BackgroundTasks> =>
    Layer.effectContext(
      Effect.gen(function* () {
        const transport = yield* InboundTransport
        const { scope } = yield* BackgroundTasks
        const bound = yield* transport.listen(address).pipe(
          Effect.catch((error) =>
            withoutIpv6.includes(error.code) && PeerSocketAddress.format(address).startsWith("[::]:")
              ? Effect.andThen(
                  Effect.logWarning("this machine has no IPv6: listening on IPv4 only"),
                  transport.listen(PeerSocketAddress.fromStringUnsafe(`0.0.0.0:${address.port}`))
                )
              : Effect.fail(error)
          ),
          // Not the scope of this layer: the network may end long before its layers close.
          Effect.provideService(Scope.Scope, scope),
          Spans.within("open_listener", { attributes: { addr: PeerSocketAddress.format(address) } })
        )
        return yield* services(bound.accept, { listening: bound.address, external: options.external })
      })
    )

  /** A node that only dials. */
  static readonly layerNone = (options: Options = {}): Layer.Layer<ListeningPort | OwnAddress> =>
    Layer.effectContext(services(Effect.never, { external: options.external }))
}

const services = Effect.fnUntraced(function* (
  accept: ListeningPort["Service"]["accept"],
  own: Parameters<typeof OwnAddress.make>[0]
) {
  if (own.external !== undefined) {
    yield* Effect.logInfo("stating an external address").pipe(
      Effect.annotateLogs({ address: PeerSocketAddress.format(own.external) })
    )
  }
  return Context.make(OwnAddress, OwnAddress.make(own)).pipe(Context.add(ListeningPort, { accept }))
})
