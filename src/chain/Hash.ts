/**
 * Identifiers of blocks and transactions, as values with equality.
 *
 * Each is a branded string of hexadecimal digits in **display order** (the reverse of the order on the wire), so a
 * `Map` or `Set` keys by it, two of them compare with `===`, and whatever prints one prints what block explorers show.
 * Bytes in the order of the wire become one only in `bytes/Reader.ts` and `bytes/Hashing.ts`, and bytes again only in
 * `bytes/Writer.ts`, so the two orders never meet.
 *
 * @module
 */
import { type Brand, Option, Schema } from "effect"

const digits64 = /^[0-9a-f]{64}$/
const digits128 = /^[0-9a-f]{128}$/

/** SHA-256d of a block header: 64 digits. In JSON it is the same string, checked when it is read. */
export const BlockHash = Schema.String.check(Schema.isPattern(digits64)).pipe(Schema.brand("network-effect/BlockHash"))
export type BlockHash = typeof BlockHash.Type

/** Identifier of a transaction without its authorising data (v5 and later) or of all its bytes: 64 digits. */
export const TxId = Schema.String.check(Schema.isPattern(digits64)).pipe(Schema.brand("network-effect/TxId"))
export type TxId = typeof TxId.Type

/** BLAKE2b digest of a transaction's authorising data (ZIP 244): 64 digits. */
export type AuthDigest = string & Brand.Brand<"network-effect/AuthDigest">

/** A `TxId` followed by an `AuthDigest` (ZIP 239): 128 digits. */
export const WtxId = Schema.String.check(Schema.isPattern(digits128)).pipe(Schema.brand("network-effect/WtxId"))
export type WtxId = typeof WtxId.Type

/** What names a transaction on the wire: `TxId` for v1 to v4, `WtxId` for v5 and later. Told apart by length. */
export const TransactionId = Schema.Union([TxId, WtxId])
export type TransactionId = typeof TransactionId.Type

/** Root of the tree of a block's transaction ids: 64 digits. */
export type MerkleRoot = string & Brand.Brand<"network-effect/MerkleRoot">

/** Whether the id names its authorising data too. */
export const isWitnessed = (id: TransactionId): id is WtxId => id.length === 128

/** The name of a transaction of version 5 or later (ZIP 239). */
export const wtxId = (id: TxId, digest: AuthDigest): WtxId => (id + digest) as WtxId

/** The part of an id that does not depend on authorising data. */
export const txIdOf = (id: TransactionId): TxId => id.slice(0, 64) as TxId

/** From 64 hexadecimal digits in display order, in either case. `None` for any other text. */
export const blockHashFromString = (text: string): Option.Option<BlockHash> => {
  const lower = text.toLowerCase()
  return digits64.test(lower) ? Option.some(lower as BlockHash) : Option.none()
}

/** From 64 digits (`TxId`) or 128 (`WtxId`) in display order, in either case. `None` for any other text. */
export const transactionIdFromString = (text: string): Option.Option<TransactionId> => {
  const lower = text.toLowerCase()
  return digits64.test(lower) || digits128.test(lower) ? Option.some(lower as TransactionId) : Option.none()
}

/** The all-zero block hash: previous block of a genesis block, and "no stop hash" on the wire. */
export const zeroBlockHash: BlockHash = "0".repeat(64) as BlockHash
