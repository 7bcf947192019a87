/**
 * Why asking the network failed.
 *
 * @module
 */
import { Schema } from "effect"
import type { PeerError } from "../peer/Peer.ts"
import type { NotFoundRegistry } from "./Asking.ts"

/** The network was closed. */
export class NetworkClosed extends Schema.TaggedError<NetworkClosed>()("NetworkClosed", {}) {}

/** A task without which there is no network ended. That is a bug, or whatever `cause` says. */
export class BackgroundTaskExited extends Schema.TaggedError<BackgroundTaskExited>()("BackgroundTaskExited", {
  task: Schema.String,
  cause: Schema.Defect()
}) {}

/** The chain is past an upgrade that this build does not know. */
export class NodeOutdated extends Schema.TaggedError<NodeOutdated>()("NodeOutdated", {
  ourVersion: Schema.Int,
  requiredVersion: Schema.Int,
  height: Schema.Int
}) {
  override get message(): string {
    return (
      `This build speaks protocol version ${this.ourVersion}, but the chain demands ${this.requiredVersion} ` +
      `at height ${this.height}: update network-effect.`
    )
  }
}

/** The end of the network: every pending and later request fails with the same one. */
export type PeerSetClosed = NetworkClosed | BackgroundTaskExited | NodeOutdated

/** Why a request failed: no peer may have it, the peer's own failure, or the end of the network. */
export type PeerSetError = NotFoundRegistry | PeerError | PeerSetClosed
