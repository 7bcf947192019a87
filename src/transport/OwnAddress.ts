/**
 * Where we are, as far as we know: decided once, before the first connection, and never by what a peer says.
 *
 * @module
 */
import { Context, Layer, Option } from "effect"
import { NetAddress } from "effect/net"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"

/** What our own address follows from. */
export interface Options {
  /** Where we listen, with the port that was really bound; `undefined` for a node that only dials. */
  readonly listening?: PeerSocketAddress.PeerSocketAddress | undefined
  /** Where others reach us, when that is not where we listen. */
  readonly external?: PeerSocketAddress.PeerSocketAddress | undefined
}

/** Our own address, and what others are told of it. */
export class OwnAddress extends Context.Service<
  OwnAddress,
  {
    /** Where we listen: its port is the one the system chose when 0 was asked for. `None` for a node that only dials. */
    readonly listening: Option.Option<PeerSocketAddress.PeerSocketAddress>
    /** What `version` messages say: the external address, else where we listen, else 0.0.0.0:0, which nobody dials. */
    readonly stated: PeerSocketAddress.PeerSocketAddress
    /** What answers to `getaddr` tell: as `stated`, but `None` where that is no address that somebody could dial. */
    readonly gossiped: Option.Option<PeerSocketAddress.PeerSocketAddress>
  }
>()("network-effect/transport/OwnAddress") {
  /** What follows from where we listen and how others reach us. */
  static readonly make = ({ external, listening }: Options): OwnAddress["Service"] => {
    const stated = external ?? listening ?? PeerSocketAddress.unspecified
    const isDialable = !NetAddress.isUnspecified(stated.address) && stated.port !== 0
    return {
      listening: Option.fromUndefinedOr(listening),
      stated,
      gossiped: isDialable ? Option.some(stated) : Option.none()
    }
  }

  /** Given, by whoever binds the port in another way. */
  static readonly layer = (options: Options): Layer.Layer<OwnAddress> =>
    Layer.succeed(OwnAddress, OwnAddress.make(options))

  /** A node that only dials, and that nobody reaches. */
  static readonly layerNone: Layer.Layer<OwnAddress> = OwnAddress.layer({})
}
