/**
 * Block header and block: extent, identifier, Merkle root.
 *
 * A block's structure is checked when it is decoded, in one walk that builds nothing; after that a block is its bytes.
 * Passing it on looks at none of its transactions, and asking for their ids builds no transaction.
 *
 * Source: zebra-chain block/{serialize,header,hash,merkle}.rs.
 *
 * @module
 */
import { Buffer } from "node:buffer"
import { Result } from "effect"
import { displayHash, sha256d } from "../bytes/Hashing.ts"
import { maxMessageCompactSize, Reader, type ReadFailure } from "../bytes/Reader.ts"
import { type AuthDigest, type BlockHash, type MerkleRoot, type TransactionId, type TxId, wtxId } from "./Hash.ts"
import { Transaction } from "./Transaction.ts"
import * as Ids from "./TransactionId.ts"
import { isWitnessed, maxBlockBytes, TransactionLayout, walk, walkOn } from "./TransactionLayout.ts"

/**
 * Bytes of an Equihash solution: with n = 200, k = 9 on Mainnet and Testnets, and with n = 48, k = 5 on Regtest. Which of
 * them a chain uses is not checked.
 *
 * Source: zebra-chain work/equihash.rs.
 */
const solutionBytes = 1344
const regtestSolutionBytes = 36

/** Oldest version of a header. Newer ones than 4 exist on the chain. */
const minHeaderVersion = 4

/**
 * Most transactions of one block: what fits its 2,000,000 bytes at 54 each.
 *
 * Source: zebra-chain transaction/serialize.rs, `MAX_TRANSACTION_SIZE_MIN`.
 */
const maxTransactions = 37_037

/** From the start to before the length of the solution. */
const fixedHeaderBytes = 140

/** A header of any network, over its bytes: 140 and a solution of 36 or 1344. */
export class BlockHeader {
  /** The header as it travels, without the transaction count. */
  readonly bytes: Uint8Array
  readonly #buffer: Buffer
  #hash: BlockHash | undefined

  /** @internal Of bytes that `read` accepted. */
  constructor(accepted: Buffer) {
    this.bytes = accepted
    this.#buffer = accepted
  }

  /** Decodes a header; bytes after its end are ignored. The result refers to `bytes`: do not change them. */
  static decode(bytes: Uint8Array): Result.Result<BlockHeader, ReadFailure> {
    return decoded(bytes, BlockHeader.read)
  }

  /** Reads one; if the reader has a failure afterwards, the result is of no use. */
  static read(reader: Reader): BlockHeader {
    const start = reader.position
    skipHeader(reader)
    return new BlockHeader(reader.bytes.subarray(start, reader.position))
  }

  /** SHA-256d of the header, solution included. */
  get hash(): BlockHash {
    return (this.#hash ??= displayHash(sha256d(this.#buffer)) as BlockHash)
  }

  /** 4 to 2^31 - 1. */
  get version(): number {
    return this.#buffer.readUInt32LE(0)
  }

  get previous(): BlockHash {
    return displayHash(this.#buffer, 4) as BlockHash
  }

  /** What the header says; `Block.merkleRoot` is what the transactions have. */
  get merkleRoot(): MerkleRoot {
    return displayHash(this.#buffer, 36) as MerkleRoot
  }

  /** Reserved, Sapling root, history root or block commitments, by height: 32 bytes. */
  get commitment(): Uint8Array {
    return this.#buffer.subarray(68, 100)
  }

  /** Seconds since the Unix epoch, by the miner's clock. */
  get timeSeconds(): number {
    return this.#buffer.readUInt32LE(100)
  }

  /** Difficulty in its compact form. */
  get bits(): number {
    return this.#buffer.readUInt32LE(104)
  }

  /** 32 bytes. */
  get nonce(): Uint8Array {
    return this.#buffer.subarray(108, fixedHeaderBytes)
  }

  /** The Equihash solution: 1344 or 36 bytes. */
  get solution(): Uint8Array {
    const length = this.#buffer.length < solutionBytes ? regtestSolutionBytes : solutionBytes
    return this.#buffer.subarray(this.#buffer.length - length)
  }
}

/** A block, over its bytes. Its transactions are looked at when they are asked for. */
export class Block {
  readonly header: BlockHeader
  /** The whole block as it travels. */
  readonly bytes: Uint8Array
  readonly #buffer: Buffer
  #starts: ReadonlyArray<number> | undefined

  private constructor(header: BlockHeader, accepted: Buffer, starts: ReadonlyArray<number> | undefined) {
    this.header = header
    this.bytes = accepted
    this.#buffer = accepted
    this.#starts = starts
  }

  /** Decodes a block; bytes after its end are ignored. The result refers to `bytes`: do not change them. */
  static decode(bytes: Uint8Array): Result.Result<Block, ReadFailure> {
    return decoded(bytes, Block.read)
  }

  /**
   * A block out of a store whose blocks were decoded before they came in: only its header is looked at, so passing it on
   * costs nothing. What asks for the transactions of anything else throws.
   */
  static fromStore(bytes: Uint8Array): Result.Result<Block, ReadFailure> {
    return decoded(bytes, (reader) => new Block(BlockHeader.read(reader), reader.bytes, undefined))
  }

  /** Reads one of at most 2,000,000 bytes; if the reader has a failure afterwards, the result is of no use. */
  static read(reader: Reader): Block {
    const begun = Block.#begin(reader)
    begun.walk.goOn()
    return Block.#end(reader, begun)
  }

  /** The same, with a rest after every `most` transactions, inputs and outputs. */
  static *readSlices(reader: Reader, most: number): Generator<void, Block> {
    reader.resume(most)
    const begun = Block.#begin(reader)
    begun.walk.goOn()
    while (reader.isPaused) {
      yield
      reader.resume(most)
      begun.walk.goOn()
    }
    return Block.#end(reader, begun)
  }

  static #begin(reader: Reader): Begun {
    const start = reader.position
    const outerEnd = reader.end
    reader.end = Math.min(outerEnd, start + maxBlockBytes)
    const header = BlockHeader.read(reader)
    return { start, outerEnd, header, walk: new TransactionsWalk(reader, ignore) }
  }

  static #end(reader: Reader, { header, outerEnd, start, walk }: Begun): Block {
    reader.end = outerEnd
    return new Block(header, reader.bytes.subarray(start, reader.position), walk.starts)
  }

  get hash(): BlockHash {
    return this.header.hash
  }

  get transactionCount(): number {
    return this.#transactionStarts().length - 1
  }

  /** In their order; built anew each time. */
  get transactions(): ReadonlyArray<Transaction> {
    const starts = this.#transactionStarts()
    return Array.from(
      { length: starts.length - 1 },
      (_, i) => new Transaction(this.#buffer.subarray(starts[i], starts[i + 1]))
    )
  }

  /** What each transaction is asked for and advertised with, in their order; computed anew each time. */
  get transactionIds(): ReadonlyArray<TransactionId> {
    const ids: Array<TransactionId> = []
    this.#walk((layout) => {
      const id = displayHash(Ids.txId(this.#buffer, layout)) as TxId
      ids.push(isWitnessed(layout) ? wtxId(id, displayHash(Ids.authDigest(this.#buffer, layout)) as AuthDigest) : id)
    })
    return ids
  }

  /** The id of each transaction without authorising data, in their order; computed anew each time. */
  get txIds(): ReadonlyArray<TxId> {
    const ids: Array<TxId> = []
    this.#walk((layout) => ids.push(displayHash(Ids.txId(this.#buffer, layout)) as TxId))
    return ids
  }

  /**
   * Root of the tree of the transactions' ids; computed anew each time. A list with its tail repeated can have the root
   * of the list without (CVE-2012-2459), so equality with the header's does not prove the list.
   */
  get merkleRoot(): MerkleRoot {
    const leaves = Buffer.allocUnsafeSlow(32 * this.transactionCount)
    let at = 0
    this.#walk((layout) => (at += Ids.txId(this.#buffer, layout).copy(leaves, at)))
    return displayHash(merkleRoot(leaves)) as MerkleRoot
  }

  #transactionStarts(): ReadonlyArray<number> {
    return (this.#starts ??= this.#walk(ignore))
  }

  /** Visits the layout of every transaction; it is the same object each time. */
  #walk(visit: (layout: TransactionLayout) => void): ReadonlyArray<number> {
    const reader = new Reader(this.#buffer, this.header.bytes.length)
    const walk = new TransactionsWalk(reader, visit)
    walk.goOn()
    if (reader.failure !== undefined) throw new Error("Block.fromStore was given bytes that are no block")
    return walk.starts
  }
}

const decoded = <A>(bytes: Uint8Array, read: (reader: Reader) => A): Result.Result<A, ReadFailure> => {
  const reader = new Reader(bytes)
  const value = read(reader)
  return reader.failure === undefined ? Result.succeed(value) : Result.fail(reader.failure)
}

const skipHeader = (reader: Reader): void => {
  const version = reader.u32("header version")
  if (version > 0x7fff_ffff) reader.refuse("header version with the high bit set")
  else if (version < minHeaderVersion) reader.refuse("header version below 4")
  reader.skip(fixedHeaderBytes - 4, "header")
  const length = reader.compactSize(solutionBytes, "solution length")
  reader.skip(length, "solution")
  if (length !== solutionBytes && length !== regtestSolutionBytes)
    reader.refuse("solution of another length than 1344 or 36")
}

/** A block whose transactions are walked. */
interface Begun {
  readonly start: number
  readonly outerEnd: number
  readonly header: BlockHeader
  readonly walk: TransactionsWalk
}

/** Walks a count and that many transactions, as far as the reader goes. */
class TransactionsWalk {
  /** Where each transaction starts and, last, where they end. */
  readonly starts: Array<number>
  readonly #reader: Reader
  readonly #visit: (layout: TransactionLayout) => void
  readonly #count: number
  readonly #layout = new TransactionLayout()

  constructor(reader: Reader, visit: (layout: TransactionLayout) => void) {
    this.#reader = reader
    this.#visit = visit
    this.#count = reader.compactSize(maxMessageCompactSize, "transaction count")
    if (this.#count > maxTransactions) reader.refuse("transaction count above its limit")
    this.starts = [reader.position]
  }

  /** Up to the end, a failure, or a pause; after that it goes on where it was. */
  goOn(): void {
    const reader = this.#reader
    const layout = this.#layout
    const count = this.#count
    for (let i = this.starts.length - 1; i < count && (layout.isHalfway || reader.goesOn); i++) {
      if (layout.isHalfway) walkOn(reader, layout)
      else walk(reader, layout)
      if (reader.failure !== undefined) break
      this.starts.push(layout.end)
      this.#visit(layout)
    }
  }
}

const ignore = () => undefined

/**
 * Root of a tree over hashes of 32 bytes each: pairwise SHA-256d, the last of an odd level paired with itself. Uses
 * `hashes` as its working space. Of no hashes: 32 zero bytes.
 */
const merkleRoot = (hashes: Buffer): Buffer => {
  let count = hashes.length / 32
  if (count === 0) return Buffer.alloc(32)
  const pair = Buffer.allocUnsafe(64)
  while (count > 1) {
    const parents = Math.ceil(count / 2)
    for (let i = 0; i < parents; i++) {
      const left = i * 64
      hashes.copy(pair, 0, left, left + 32)
      const right = 2 * i + 1 < count ? left + 32 : left
      hashes.copy(pair, 32, right, right + 32)
      sha256d(pair).copy(hashes, i * 32)
    }
    count = parents
  }
  return hashes.subarray(0, 32)
}
