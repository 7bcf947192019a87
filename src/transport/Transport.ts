/**
 * Opens and accepts streams of bytes. The only doors to the network, one outwards and one inwards.
 *
 * Everything above these services runs unchanged over TCP and over `simulation/SimNetwork.ts`. What only dials, a proxy for
 * instance, is one layer of `OutboundTransport`.
 *
 * @module
 */
import { Context, type Effect, Schema, type Scope } from "effect"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"

/** We could not open a stream to the address. Another try later may work. */
export class DialError extends Schema.TaggedError<DialError>()("DialError", {
  /** `ip:port` as dialled, redacted. */
  address: Schema.String,
  /** As the platform names it: `ECONNREFUSED`, `EADDRNOTAVAIL`, …; the simulator uses the same names. */
  code: Schema.String,
  cause: Schema.Defect()
}) {}

/** We could not listen. Almost always the port is taken or forbidden. */
export class ListenError extends Schema.TaggedError<ListenError>()("ListenError", {
  /** `ip:port` as asked for. It is our own address, so it is not redacted. */
  address: Schema.String,
  /** As the platform names it: `EADDRINUSE`, `EACCES`, `EADDRNOTAVAIL`, …. */
  code: Schema.String,
  cause: Schema.Defect()
}) {}

/**
 * The stream is over. `Eof`: the other side ended it. `Reset`: it broke. `Local`: we closed it. Every end is one of
 * these; there is no other.
 *
 * A plain value and no `Error`: each connection ends with one, and a stack trace would cost more than the rest of it.
 */
export class StreamClosed {
  readonly _tag = "StreamClosed"
  readonly reason: "Eof" | "Reset" | "Local"
  /** For `Reset`, as the platform names it: `ECONNRESET`, `ETIMEDOUT`, …; else empty. */
  readonly code: string
  constructor(fields: { readonly reason: "Eof" | "Reset" | "Local"; readonly code: string }) {
    this.reason = fields.reason
    this.code = fields.code
  }
}

/** Bytes both ways between two addresses, before anybody agreed on anything. */
export interface ByteStream {
  /**
   * Of a stream that was dialled the address that was asked for, whatever the bytes go through. Of an inbound one where it
   * came from; its port is ephemeral: never gossip it.
   */
  readonly remoteAddress: PeerSocketAddress
  /** Our end: of a stream through a proxy, the end of the stream to the proxy. */
  readonly localAddress: PeerSocketAddress
  /**
   * The proxy that the bytes go through; `undefined` when they come from `remoteAddress` itself. What came through a proxy
   * never changes what we know of an address.
   */
  readonly proxyAddress: PeerSocketAddress | undefined

  /**
   * The next chunk, never empty. Nothing is read from the network until somebody asks, so a slow reader slows the
   * sender. Interrupting it loses no bytes. One reader at a time. The caller copies what it keeps.
   */
  readonly read: Effect.Effect<Uint8Array, StreamClosed>

  /**
   * `read` for whoever has no fiber to wait with: `undefined` when nothing has come yet. Then `onReadable` is called, once, when
   * there may be something: soon, and not inside of what brings it. Left out by a stream that has `read` alone.
   */
  readonly readNow?: ((onReadable: () => void) => Uint8Array | StreamClosed | undefined) | undefined

  /** Hands over the bytes, which the caller leaves alone from then on; waits while the buffer is above its high-water mark. */
  readonly write: (bytes: Uint8Array) => Effect.Effect<void, StreamClosed>

  /**
   * `write` where there is nothing to wait for, as nearly always: no effect has to be run for it. `false` when that would wait or
   * fail, and is what `write` is for. Left out by a stream that cannot say.
   */
  readonly writeNow?: (bytes: Uint8Array) => boolean

  /** Bytes so far, for accounts per peer. */
  readonly bytesRead: () => number
  readonly bytesWritten: () => number
}

/** What a stream says to a second reader: a bug of whoever reads. */
export const twoReaders = "two read one stream; each stream has one reader"

/** An address that streams arrive at. */
export interface BoundListener {
  /** Its port is the real one when 0 was asked for. */
  readonly address: PeerSocketAddress

  /**
   * Waits for the next stream, which closes when the scope closes. Up to `maxWaitingStreams` wait while nobody accepts;
   * more are refused.
   */
  readonly accept: Effect.Effect<ByteStream, never, Scope.Scope>
}

/**
 * Streams that may wait to be accepted, on any transport: about one kernel listen backlog. The accept loop decides its
 * own pace, so a burst above the connection limit has to wait here to be looked at.
 */
export const maxWaitingStreams = 1024

/** Port: how streams to others come about. TCP, a network in memory, or whatever goes through a proxy. */
export class OutboundTransport extends Context.Service<
  OutboundTransport,
  {
    /**
     * Opens a stream, which closes when the scope closes: what was written is flushed for at most `Policy.closeGrace`,
     * then it is cut. No time limit of its own: interrupting `dial` closes the socket.
     */
    readonly dial: (address: PeerSocketAddress) => Effect.Effect<ByteStream, DialError, Scope.Scope>
  }
>()("network-effect/transport/OutboundTransport") {}

/** Port: how streams from others come about. TCP, or a network in memory. */
export class InboundTransport extends Context.Service<
  InboundTransport,
  {
    /** Listens until the scope closes. The caller sets the pace by accepting. */
    readonly listen: (address: PeerSocketAddress) => Effect.Effect<BoundListener, ListenError, Scope.Scope>
  }
>()("network-effect/transport/InboundTransport") {}
