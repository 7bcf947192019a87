/**
 * Block header and block: extent, identifier, Merkle root.
 *
 * @module
 */
import type { BlockHash } from "./Hash.ts"

export interface BlockHeader {
  readonly hash: BlockHash
  readonly previous: BlockHash
  /** The header as it travels, without the transaction count. */
  readonly bytes: Uint8Array
}

export interface Block {
  readonly hash: BlockHash
  readonly header: BlockHeader
  /** The whole block as it travels. */
  readonly bytes: Uint8Array
}
