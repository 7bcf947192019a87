/** Blocks and transactions to ask for: as many as a test needs, each with a name of its own. */
import { Result } from "effect"
import { Block } from "../../src/chain/Block.ts"
import type { BlockHash, TxId, WtxId } from "../../src/chain/Hash.ts"
import { Transaction } from "../../src/chain/Transaction.ts"
import type { InventoryItem } from "../../src/wire/Message.ts"
import { genesis, transactions } from "../support/goldens.ts"

const numbered = (bytes: Uint8Array, offset: number, n: number): Uint8Array => {
  const copy = Buffer.from(bytes)
  copy.writeUInt32LE(n, offset)
  return copy
}

/** The Regtest genesis block with another nonce. */
export const block = (n: number): Block => Result.getOrThrow(Block.decode(numbered(genesis.regtest.bytes, 108, n)))

/** A transaction of version 1 with another lock time. */
export const transaction = (n: number): Transaction =>
  Result.getOrThrow(Transaction.decode(numbered(transactions.v1.bytes, transactions.v1.bytes.length - 4, n)))

/** A transaction of version 5 with another lock time. */
export const witnessed = (n: number): Transaction =>
  Result.getOrThrow(Transaction.decode(numbered(transactions.v5Nu7.bytes, 12, n)))

export const hash = (n: number): BlockHash => n.toString(16).padStart(64, "0") as BlockHash
export const txId = (n: number): TxId => n.toString(16).padStart(64, "0") as TxId
export const wtxId = (n: number): WtxId => (txId(n) + "f".repeat(64)) as WtxId

export const blockItem = (hash: BlockHash): InventoryItem => ({ _tag: "Block", hash })
export const txItem = (id: TxId): InventoryItem => ({ _tag: "Tx", id })
export const wtxItem = (id: WtxId): InventoryItem => ({ _tag: "Wtx", id })
