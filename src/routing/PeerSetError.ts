/**
 * Why asking the network failed.
 *
 * @module
 */
import type { NetworkEnd } from "../BackgroundTasks.ts"
import type { PeerError } from "../peer/Peer.ts"
import type { NotFoundRegistry } from "./Asking.ts"

/** Why a request failed: no peer may have it, the peer's own failure, or the end of the network. */
export type PeerSetError = NotFoundRegistry | PeerError | NetworkEnd
