/**
 * Why asking the network failed.
 *
 * @module
 */
import { Data } from "effect"
import type { NetworkEnd } from "../BackgroundTasks.ts"
import type { PeerError } from "../peer/Peer.ts"
import type { InventoryItem } from "../wire/Message.ts"

/**
 * No connected peer may have these, or none of those who may became free in time. Nobody was asked. What peers lack is
 * forgotten after at most twice `Policy.inventoryRotation`, so another try later may work.
 */
export class NotFoundRegistry extends Data.TaggedError("NotFoundRegistry")<{
  readonly hashes: ReadonlyArray<InventoryItem>
}> {}

/**
 * What a `RequestError` was about.
 *
 * `NotFoundResponse`: the peer that was asked has none of it; another peer may, so ask again. `NotFoundRegistry`: nobody
 * connected may have it now. (Of several items that were asked for, one that is missing is no error but an item of the
 * answer.) A `NetworkEnd`: asking again is in vain, `isNetworkEnd` tells. Everything else is the failure of one peer, and
 * another try asks another one.
 */
export type RequestErrorReason = NotFoundRegistry | PeerError | NetworkEnd

/** A request to the network failed. `Effect.catchReason("RequestError", "NotFoundRegistry", …)` catches one reason. */
export class RequestError extends Data.TaggedError("RequestError")<{ readonly reason: RequestErrorReason }> {
  override get message(): string {
    return this.reason.message === "" ? this.reason._tag : `${this.reason._tag}: ${this.reason.message}`
  }
}
