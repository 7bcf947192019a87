/**
 * Identifiers of blocks and transactions, as values with equality.
 *
 * Each is a branded string of hexadecimal digits in **display order** (the reverse of the order on the wire), so a
 * `Map` or `Set` keys by it, two of them compare with `===`, and whatever prints one prints what block explorers show.
 * The wire order never leaves `bytes` and `wire`: only the functions below cross the border.
 *
 * @module
 */
import type { Brand } from "effect"

/** SHA-256d of a block header: 64 digits. */
export type BlockHash = string & Brand.Brand<"network-effect/BlockHash">

/** Identifier of a transaction without its authorising data (v5 and later) or of all its bytes: 64 digits. */
export type TxId = string & Brand.Brand<"network-effect/TxId">

/** BLAKE2b digest of a transaction's authorising data (ZIP 244): 64 digits. */
export type AuthDigest = string & Brand.Brand<"network-effect/AuthDigest">

/** A `TxId` followed by an `AuthDigest` (ZIP 239): 128 digits. */
export type WtxId = string & Brand.Brand<"network-effect/WtxId">

/** What names a transaction on the wire: `TxId` for v1 to v4, `WtxId` for v5 and later. Told apart by length. */
export type TransactionId = TxId | WtxId

/** Whether the id names its authorising data too. */
export const isWitnessed = (id: TransactionId): id is WtxId => id.length === 128

/** The all-zero block hash: previous block of a genesis block, and "no stop hash" on the wire. */
export const zeroBlockHash: BlockHash = "0".repeat(64) as BlockHash
