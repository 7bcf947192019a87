/**
 * Addresses as `version`, `addr` and `addrv2` write them.
 *
 * @module
 */
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"

/** Service bit 0: the peer serves blocks. All other bits are dropped on receipt. */
export const NODE_NETWORK = 1n

/** An address somebody told us about, with what they claim of it. */
export interface GossipedAddress {
  readonly address: PeerSocketAddress
  /** Known bits only: 0n or `NODE_NETWORK`. */
  readonly services: bigint
  /** Seconds since the Unix epoch, 0 to 4 294 967 295, by the clock of whoever told us. */
  readonly lastSeenSeconds: number
}

/** An address inside `version`: no time. */
export interface VersionAddress {
  readonly address: PeerSocketAddress
  readonly services: bigint
}
