/**
 * A connection as the others see it.
 *
 * @module
 */
import type { Cause, Duration, Effect } from "effect"
import { Data } from "effect"
import type { BlockHash } from "../chain/Hash.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import type { FrameError } from "../wire/Frame.ts"
import type { InventoryItem, MessageError, Version } from "../wire/Message.ts"
import type { StreamClosed } from "../transport/Transport.ts"
import type { ConnectionId, Request, ResponseOf } from "./Request.ts"

/**
 * An error that only says what happened to a connection. No line of ours is to blame, so it does without a stack, which costs
 * more than the rest of it.
 */
const Ending = <Tag extends string>(tag: Tag): new () => Cause.YieldableError & { readonly _tag: Tag } =>
  class extends Data.TaggedError(tag)<{}> {
    constructor() {
      const { stackTraceLimit } = Error
      Error.stackTraceLimit = 0
      super()
      Error.stackTraceLimit = stackTraceLimit
    }
  }

/** The remote ended the stream between two messages. */
export class ConnectionClosed extends Ending("ConnectionClosed") {}
/** Our side of the connection was disposed of. */
export class ConnectionDropped extends Ending("ConnectionDropped") {}
/** We closed the connection on purpose. */
export class ClientDropped extends Ending("ClientDropped") {}
/** It had to go for a newcomer from a less crowded network: every inbound place was taken. */
export class PeerEvicted extends Ending("PeerEvicted") {}
/** The connection's fiber ended without saying why. */
export class ConnectionTaskExited extends Ending("ConnectionTaskExited") {}
/** The heartbeat was told to stop, for we end the connection: so does a ping that is under way. */
export class ClientCancelledHeartbeatTask extends Ending("ClientCancelledHeartbeatTask") {}
/** The heartbeat ended: its exchange took longer than `Policy.pingTimeout`. */
export class HeartbeatTaskExited extends Data.TaggedError("HeartbeatTaskExited")<{ readonly message: string }> {}
/** A message could not be written in time: the peer does not read. */
export class ConnectionSendTimeout extends Ending("ConnectionSendTimeout") {}
/** The peer did not answer in time. The connection stays open unless it was a ping. */
export class ConnectionReceiveTimeout extends Ending("ConnectionReceiveTimeout") {}
/** Bad bytes, or a stream that broke. */
export class Serialization extends Data.TaggedError("Serialization")<{
  readonly cause: FrameError | MessageError | StreamClosed
}> {}
/** `version` or `verack` after the handshake. */
export class DuplicateHandshake extends Ending("DuplicateHandshake") {}
/** This node was overloaded, and this peer was drawn. */
export class PeerOverloaded extends Ending("PeerOverloaded") {}
/** Answering this peer took too long, and it was drawn. */
export class InboundTimeout extends Ending("InboundTimeout") {}
/** What answers peers is gone. */
export class ServiceShutdown extends Ending("ServiceShutdown") {}
/** The peer was banned or outdated just before an advert was written. */
export class AdvertAuthorizationRevoked extends Ending("AdvertAuthorizationRevoked") {}
/** The advert was not written; the connection stays open. */
export class AdvertNotDelivered extends Data.TaggedError("AdvertNotDelivered")<{
  readonly reason: "queueFull" | "timedOut"
}> {}
/** The peer has none of the requested items. Another may. */
export class NotFoundResponse extends Data.TaggedError("NotFoundResponse")<{
  readonly hashes: ReadonlyArray<InventoryItem>
}> {}

/** Why a request to one peer failed, or why its connection ended. */
export type PeerError =
  | ConnectionClosed
  | ConnectionDropped
  | ClientDropped
  | PeerEvicted
  | ConnectionTaskExited
  | ClientCancelledHeartbeatTask
  | HeartbeatTaskExited
  | ConnectionSendTimeout
  | ConnectionReceiveTimeout
  | Serialization
  | DuplicateHandshake
  | PeerOverloaded
  | InboundTimeout
  | ServiceShutdown
  | AdvertAuthorizationRevoked
  | NotFoundResponse

/**
 * The shortest name of what ended a connection or its handshake, for events and logs: of a stream that broke the system's code,
 * else the tag. Whoever is full closes what it has not read, which is `ECONNRESET`, and has sent no rubbish.
 */
export const codeOf = (error: { readonly _tag: string }): string => {
  if (!(error instanceof Serialization)) return error._tag
  const { cause } = error
  return cause._tag === "StreamClosed" && cause.code !== "" ? cause.code : error._tag
}

/** How the connection came about, and which addresses that leaves us with. */
export type ConnectedAddress =
  | { readonly _tag: "OutboundDirect"; readonly address: PeerSocketAddress }
  | { readonly _tag: "InboundDirect"; readonly address: PeerSocketAddress }
  | {
      readonly _tag: "OutboundProxy"
      readonly proxyAddress: PeerSocketAddress
      readonly transientLocalAddress: PeerSocketAddress
    }
  | { readonly _tag: "InboundProxy"; readonly transientAddress: PeerSocketAddress }
  | { readonly _tag: "Isolated" }

/** What both sides of a connection agreed on. */
export interface ConnectionInfo {
  readonly connectedAddress: ConnectedAddress
  /** The remote's `version` message. */
  readonly remote: Version
  /** The lower of our version and theirs. */
  readonly negotiatedVersion: number
}

/** What a connection tells the node it belongs to. */
export type PeerReport =
  /** The handshake succeeded. */
  | { readonly _tag: "Connected"; readonly info: ConnectionInfo }
  /** A ping is about to be sent. Monotonic milliseconds, process-local. */
  | { readonly _tag: "PingSent"; readonly sentAtMillis: number }
  | { readonly _tag: "Responded"; readonly roundTrip: Duration.Duration }
  /** A heartbeat or the inbound stream failed. Services as in the handshake, when the stream failed. */
  | { readonly _tag: "Failed"; readonly services: bigint | undefined }
  /** The peer advertised these, or answered that it lacks them. At most `Policy.inventoryHashes`. */
  | { readonly _tag: "InventoryAvailable"; readonly items: ReadonlyArray<InventoryItem> }
  | { readonly _tag: "InventoryMissing"; readonly items: ReadonlyArray<InventoryItem> }

/**
 * What a connection needs of the node it belongs to, handed to it when it is made: `peer` knows neither the address
 * book nor the ban list.
 */
export interface ConnectionHost {
  /** Synchronous work only: the connection waits for it. `connection` is the id `Peer.id` will have. */
  readonly report: (connection: ConnectionId, report: PeerReport) => Effect.Effect<void>
  /** Whether a block advert may still go to this peer: not banned, not outdated. Read right before the write. */
  readonly mayAdvertise: (info: ConnectionInfo) => Effect.Effect<boolean>
}

/** Whether a request can be put into the peer's slot now. */
export type Readiness = "Ready" | "Busy" | "Failed"

/** Messages of one connection so far, its handshake included. Grows with the kinds of messages alone. */
export interface Traffic {
  /** By command, `ping`; what is unknown is not counted. */
  readonly messagesReceived: ReadonlyMap<string, number>
  readonly messagesSent: ReadonlyMap<string, number>
  /** Milliseconds since the Unix epoch of the latest message. */
  readonly lastReceivedMillis: number | undefined
  readonly lastSentMillis: number | undefined
}

/** One connected peer. */
export interface Peer {
  readonly id: ConnectionId
  readonly info: ConnectionInfo
  /** Key for logs and metrics of the remote; absent for isolated connections. */
  readonly transientAddress: PeerSocketAddress | undefined
  readonly isInbound: boolean

  /** Now, without waiting. `Busy` from `enqueueUnsafe` until the connection takes the request. */
  readonly readiness: () => Readiness
  /** Completes when the slot is free; fails with the connection's error when that ends first. */
  readonly awaitReady: Effect.Effect<void, PeerError>

  /**
   * Puts a request into the slot now and returns the wait for its answer. Interrupting the wait cancels the request.
   * Only while `readiness()` is `Ready`: otherwise it throws, which is our bug.
   */
  readonly enqueueUnsafe: <R extends Request>(request: R) => Effect.Effect<ResponseOf<R>, PeerError>

  /** Waits for the slot, then for the answer. For programs that hold one peer, and isolated connections. */
  readonly request: <R extends Request>(request: R) => Effect.Effect<ResponseOf<R>, PeerError>

  /**
   * Succeeds when the advert is with the transport. Never waits for a request in flight. Fails with `AdvertNotDelivered`
   * at once when too many wait already, and after `Policy.requestTimeout` when its write has not begun.
   */
  readonly advertiseBlock: (hash: BlockHash) => Effect.Effect<void, PeerError | AdvertNotDelivered>

  /** The error the connection ended with; waits for the end. */
  readonly awaitClosed: Effect.Effect<PeerError>
  /**
   * Calls back with that error, in the very step in which the connection ends, before anybody who waits for it goes on; at once when
   * it has ended. For whoever watches many: a fiber that waits has 900 bytes and its turn.
   */
  readonly onClosed: (told: (error: PeerError) => void) => void
  /** Ends the connection; the first error given is the one everybody sees. Does not wait for the socket. */
  readonly close: (error: PeerError) => Effect.Effect<void>

  /** Load estimate at `nowNanos` (monotonic): answer time × (pending + 1), in nanoseconds. */
  readonly load: (nowNanos: bigint) => number
  /**
   * Pings now, besides the heartbeat, and waits for the answer, which `roundTrip` then has. Does nothing while a ping is under
   * way. A peer that does not answer in `Policy.pingTimeout` is closed, as by the heartbeat.
   */
  readonly ping: Effect.Effect<void, PeerError>
  /** Last round trip of a ping. */
  readonly roundTrip: () => Duration.Duration | undefined
  /** For how long a ping has been waiting for its answer; `undefined` when none is under way. */
  readonly pingWait: () => Duration.Duration | undefined
  /** When the handshake was done, in milliseconds since the Unix epoch. */
  readonly connectedAtMillis: number
  /** Bytes so far, both ways. */
  readonly bytesRead: () => number
  readonly bytesWritten: () => number
  /** As of now; a later call shows more. */
  readonly traffic: () => Traffic
}
