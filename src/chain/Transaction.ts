/**
 * Transactions v1 to v6, as bytes whose structure was checked, with their fields on demand.
 *
 * Nothing but the bytes is kept until it is asked for, so a transaction that is only passed on costs no more than its
 * bytes. What the check covers and what it leaves to the program that validates is said in `TransactionLayout.ts`.
 *
 * @module
 */
import { Option, Result } from "effect"
import { displayHash } from "../bytes/Hashing.ts"
import { Reader, type ReadFailure } from "../bytes/Reader.ts"
import * as CoinbaseHeight from "./CoinbaseHeight.ts"
import { type AuthDigest, type TransactionId, type TxId, wtxId } from "./Hash.ts"
import * as Ids from "./TransactionId.ts"
import { type ActionsLayout, inputEnd, isWitnessed, TransactionLayout, walk, walkOn } from "./TransactionLayout.ts"

/** Money that came from an earlier transaction. */
export interface TransparentInput {
  readonly previousTxId: TxId
  readonly previousIndex: number
  readonly script: Uint8Array
  readonly sequence: number
}

/** An amount in zatoshis, and the script that may spend it. */
export interface TransparentOutput {
  /** In zatoshi, 0 to 2,100,000,000,000,000. */
  readonly value: bigint
  readonly script: Uint8Array
}

/** JoinSplits: versions 2 to 4. */
export interface SproutPart {
  readonly joinSplits: number
  /** Two of 32 bytes for each JoinSplit. */
  readonly nullifiers: ReadonlyArray<Uint8Array>
}

/** The Sapling part of a transaction: how many spends and outputs, and what they leave over. */
export interface SaplingPart {
  readonly spends: number
  readonly outputs: number
  /** Zatoshi that leave the pool; negative when they enter it. */
  readonly valueBalance: bigint
  /** One of 32 bytes for each spend. */
  readonly nullifiers: ReadonlyArray<Uint8Array>
}

/** Orchard (v5, v6) or Ironwood (v6). */
export interface ActionsPart {
  readonly actions: number
  readonly flags: number
  /** Zatoshi that leave the pool; negative when they enter it. */
  readonly valueBalance: bigint
  /** Root of the note commitment tree that is spent from: 32 bytes. */
  readonly anchor: Uint8Array
  /** One of 32 bytes for each action. */
  readonly nullifiers: ReadonlyArray<Uint8Array>
}

/** A transaction of version 1 to 6, over its bytes. Structure only: nothing is verified. */
export class Transaction {
  /** The whole transaction as it travels. */
  readonly bytes: Uint8Array
  readonly #buffer: Buffer
  #layout: TransactionLayout | undefined
  #id: TransactionId | undefined

  /** @internal Of bytes that `read` or a block accepted, without any behind the end. */
  constructor(accepted: Buffer) {
    this.bytes = accepted
    this.#buffer = accepted
  }

  /** Decodes a transaction; bytes after its end are ignored. The result refers to `bytes`: do not change them. */
  static decode(bytes: Uint8Array): Result.Result<Transaction, ReadFailure> {
    const reader = new Reader(bytes)
    const transaction = Transaction.read(reader)
    return reader.failure === undefined ? Result.succeed(transaction) : Result.fail(reader.failure)
  }

  /** Reads one; if the reader has a failure afterwards, the result is of no use. */
  static read(reader: Reader): Transaction {
    const layout = new TransactionLayout()
    walk(reader, layout)
    return new Transaction(reader.bytes.subarray(layout.start, layout.end))
  }

  /** The same, with a rest after every `most` inputs and outputs. */
  static *readSlices(reader: Reader, most: number): Generator<void, Transaction> {
    const layout = new TransactionLayout()
    reader.resume(most)
    walk(reader, layout)
    while (reader.isPaused) {
      yield
      reader.resume(most)
      walkOn(reader, layout)
    }
    return new Transaction(reader.bytes.subarray(layout.start, layout.end))
  }

  /** 1 to 2^31 - 1; above 6 only in the format of version 2. */
  get version(): number {
    return this.#buffer.readUInt32LE(0) & 0x7fff_ffff
  }

  /** What it is asked for and advertised with: its `TxId` up to version 4, a `WtxId` from version 5 on. */
  get id(): TransactionId {
    return (this.#id ??= this.#computeId())
  }

  /** The id without the digest of the authorising data. */
  get txId(): TxId {
    return this.id.slice(0, 64) as TxId
  }

  /** `None` up to version 4. */
  get authDigest(): Option.Option<AuthDigest> {
    return this.id.length === 64 ? Option.none() : Option.some(this.id.slice(64) as AuthDigest)
  }

  /** The branch id it was made for: versions 5 and later; 0 stands for none. */
  get branchId(): Option.Option<number> {
    const layout = this.#laidOut()
    return isWitnessed(layout) ? Option.some(layout.branchId) : Option.none()
  }

  get lockTime(): number {
    return this.#buffer.readUInt32LE(this.#laidOut().lockTimeAt)
  }

  /** As it came, whatever its value: versions 3 and later. */
  get expiryHeight(): Option.Option<number> {
    const at = this.#laidOut().expiryHeightAt
    return at === 0 ? Option.none() : Option.some(this.#buffer.readUInt32LE(at))
  }

  /** Whether its only input is that of a coinbase. */
  get isCoinbase(): boolean {
    return this.#laidOut().isCoinbase
  }

  /** The height its script states, if it is a coinbase. */
  get coinbaseHeight(): Option.Option<number> {
    const layout = this.#laidOut()
    if (!layout.isCoinbase) return Option.none()
    const { script } = this.#inputAt(layout.inputsAt, inputEnd(this.#buffer, layout.inputsAt))
    return Result.getSuccess(CoinbaseHeight.coinbaseHeight(script, 0, script.length))
  }

  get inputs(): ReadonlyArray<TransparentInput> {
    const layout = this.#laidOut()
    const inputs: Array<TransparentInput> = []
    for (let i = 0, at = layout.inputsAt; i < layout.inputCount; i++) {
      const end = inputEnd(this.#buffer, at)
      inputs.push(this.#inputAt(at, end))
      at = end
    }
    return inputs
  }

  get outputs(): ReadonlyArray<TransparentOutput> {
    const { outputCount, outputsAt, outputsEnd } = this.#laidOut()
    const reader = new Reader(this.#buffer, outputsAt, outputsEnd)
    const outputs: Array<TransparentOutput> = []
    for (let i = 0; i < outputCount; i++) {
      const value = reader.u64("value")
      outputs.push({ value, script: reader.byteString(outputsEnd, "script") })
    }
    return outputs
  }

  /** `None` without JoinSplits. */
  get sprout(): Option.Option<SproutPart> {
    const { joinSplitCount, joinSplitsAt, joinSplitSize } = this.#laidOut()
    if (joinSplitCount === 0) return Option.none()
    const nullifiers: Array<Uint8Array> = []
    for (let i = 0; i < joinSplitCount; i++) {
      // After the two amounts and the anchor.
      const at = joinSplitsAt + i * joinSplitSize + 48
      nullifiers.push(this.#buffer.subarray(at, at + 32), this.#buffer.subarray(at + 32, at + 64))
    }
    return Option.some({ joinSplits: joinSplitCount, nullifiers })
  }

  /** `None` with neither spends nor outputs. */
  get sapling(): Option.Option<SaplingPart> {
    const { version, spendCount, spendsAt, saplingOutputCount, saplingBalanceAt } = this.#laidOut()
    if (spendCount + saplingOutputCount === 0) return Option.none()
    // Value commitment, in version 4 the anchor, then the nullifier.
    const [size, offset] = version === 4 ? [384, 64] : [96, 32]
    return Option.some({
      spends: spendCount,
      outputs: saplingOutputCount,
      valueBalance: this.#buffer.readBigInt64LE(saplingBalanceAt),
      nullifiers: this.#every(spendCount, spendsAt + offset, size)
    })
  }

  /** `None` without Orchard actions. */
  get orchard(): Option.Option<ActionsPart> {
    return this.#actions(this.#laidOut().orchard)
  }

  /** `None` without Ironwood actions. */
  get ironwood(): Option.Option<ActionsPart> {
    return this.#actions(this.#laidOut().ironwood)
  }

  #actions({ count, actionsAt, flagsAt }: ActionsLayout): Option.Option<ActionsPart> {
    if (count === 0) return Option.none()
    return Option.some({
      actions: count,
      flags: this.#buffer[flagsAt]!,
      valueBalance: this.#buffer.readBigInt64LE(flagsAt + 1),
      anchor: this.#buffer.subarray(flagsAt + 9, flagsAt + 41),
      nullifiers: this.#every(count, actionsAt + 32, 820)
    })
  }

  /** 32 bytes at `first` and every `size` bytes after it. */
  #every(count: number, first: number, size: number): ReadonlyArray<Uint8Array> {
    return Array.from({ length: count }, (_, i) => this.#buffer.subarray(first + i * size, first + i * size + 32))
  }

  #inputAt(at: number, end: number) {
    const reader = new Reader(this.#buffer, at, end)
    return {
      previousTxId: reader.displayHash("previous transaction") as TxId,
      previousIndex: reader.u32("previous index"),
      script: reader.byteString(end, "script"),
      sequence: reader.u32("sequence")
    }
  }

  #computeId(): TransactionId {
    const layout = this.#laidOut()
    const id = displayHash(Ids.txId(this.#buffer, layout)) as TxId
    return isWitnessed(layout) ? wtxId(id, displayHash(Ids.authDigest(this.#buffer, layout)) as AuthDigest) : id
  }

  #laidOut(): TransactionLayout {
    if (this.#layout === undefined) {
      this.#layout = new TransactionLayout()
      walk(new Reader(this.#buffer), this.#layout)
    }
    return this.#layout
  }
}
