/**
 * One connection that tells nothing about this node.
 *
 * For sending a private transaction, or for asking one peer. Nothing it says or does depends on the node's state: no
 * services, no height, no address of ours, no nonces shared with other connections; it serves nothing but `pong`, is in
 * no peer set and no address book, and nothing it brings names where it came from.
 *
 * What still tells it from others: the timestamp in steps of five minutes, `NODE_NETWORK` in the receiver's address, a ping
 * every 59 s, and silence on requests for data. Over TCP, whoever watches the network sees both addresses.
 *
 * Source: Zebra isolated.rs.
 *
 * @module
 */
import { Context, Effect, Layer, type Scope } from "effect"
import type { SecureRandom } from "effect/crypto"
import type { ChainParams } from "../chain/ChainParams.ts"
import { ChainTip } from "../chain/ChainTip.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import { OwnAddress } from "../transport/OwnAddress.ts"
import { type ByteStream, type DialError, OutboundTransport } from "../transport/Transport.ts"
import { Handshake, type HandshakeError, LocalNode } from "./Handshake.ts"
import { InboundRequests } from "./InboundRequests.ts"
import type { ConnectionHost, Peer } from "./Peer.ts"

/** What an isolated connection says of itself, which is as little as can be. */
export interface Options {
  /** What the peer is told we are; the empty text says least. At most 256 bytes of UTF-8. */
  readonly userAgent: string
}

/** Hears nothing, and forbids nothing: a program that advertises a block through such a connection means to. */
const nobody: ConnectionHost = {
  report: () => Effect.void,
  mayAdvertise: () => Effect.succeed(true)
}

/**
 * Shakes hands over a stream of any kind. The connection ends with the scope, which also has to close the stream. Bounded
 * by `Policy.handshakeTimeout`.
 */
export const overStream = (
  stream: ByteStream,
  options: Options
): Effect.Effect<Peer, HandshakeError, Scope.Scope | ChainParams | SecureRandom.SecureRandom> =>
  // In the scope of the connection: its time limits and its heartbeat are the service's.
  Layer.build(ownHandshake).pipe(
    Effect.flatMap((services) => Context.get(services, Handshake).run(stream, { _tag: "Isolated" }, nobody)),
    Effect.provideService(LocalNode, { userAgent: options.userAgent, services: 0n, relay: false })
  )

/** Of one connection alone: its nonces must not tell that both connections are one node's. */
const ownHandshake = Layer.fresh(Handshake.layer).pipe(
  Layer.provide([ChainTip.layerNone, InboundRequests.layerNone, OwnAddress.layerNone])
)

/** Dials `address` and shakes hands. The dial has no time limit: bound the whole. */
export const connect = (
  address: PeerSocketAddress,
  options: Options
): Effect.Effect<
  Peer,
  DialError | HandshakeError,
  Scope.Scope | OutboundTransport | ChainParams | SecureRandom.SecureRandom
> =>
  Effect.gen(function* () {
    const transport = yield* OutboundTransport
    return yield* overStream(yield* transport.dial(address), options)
  })
