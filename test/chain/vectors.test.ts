/** Blocks and transactions of the real chains, and what another parser makes of them. */
import { assert, describe, it } from "@effect/vitest"
import { Option, Result } from "effect"
import { Block } from "../../src/chain/Block.ts"
import { Reader } from "../../src/bytes/Reader.ts"
import { Transaction } from "../../src/chain/Transaction.ts"
import * as Ids from "../../src/chain/TransactionId.ts"
import { TransactionLayout, walk } from "../../src/chain/TransactionLayout.ts"
import { hasVectors, readBytes, readJson } from "../support/vectors.ts"

const succeeded = <A, E>(result: Result.Result<A, E>): A => {
  if (Result.isFailure(result)) throw new Error(JSON.stringify(result.failure))
  return result.success
}

const totalBytes = (transactions: ReadonlyArray<Transaction>): number =>
  transactions.reduce((sum, { bytes }) => sum + bytes.length, 0)

interface BlockEntry {
  readonly file: string
  readonly network: string
  readonly height: number
  readonly bytes: number
  readonly hash: string
  readonly merkleRoot: string
  readonly prevHash: string
  readonly version: number
  readonly time: number
  readonly bits: string
  readonly headerBytes: number
  readonly txs: ReadonlyArray<{
    readonly bytes: number
    readonly version: number
    readonly txid: string
    readonly authDigest?: string
    readonly vin: number
    readonly vout: number
    readonly saplingSpends: number
    readonly saplingOutputs: number
    readonly joinSplits: number
    readonly orchardActions: number
  }>
}

describe.skipIf(!hasVectors)("blocks of the real chains", () => {
  const blocks = hasVectors ? readJson<ReadonlyArray<BlockEntry>>("blocks/manifest.json") : []

  it("are read to their last byte, with the ids another parser gives them", () => {
    assert.strictEqual(blocks.length, 81)
    for (const entry of blocks) {
      const bytes = readBytes(entry.file)
      const block = succeeded(Block.decode(bytes))
      const { header } = block
      assert.deepStrictEqual(
        {
          bytes: block.bytes.length,
          hash: header.hash,
          merkleRoot: header.merkleRoot,
          computedRoot: block.merkleRoot,
          prevHash: header.previous,
          version: header.version,
          time: header.timeSeconds,
          bits: header.bits.toString(16).padStart(8, "0"),
          headerBytes: header.bytes.length,
          transactions: block.transactionCount
        },
        {
          bytes: entry.bytes,
          hash: entry.hash as never,
          merkleRoot: entry.merkleRoot as never,
          computedRoot: entry.merkleRoot as never,
          prevHash: entry.prevHash as never,
          version: entry.version,
          time: entry.time,
          bits: entry.bits,
          headerBytes: entry.headerBytes,
          transactions: entry.txs.length
        },
        entry.file
      )
      assert.deepStrictEqual(
        block.txIds,
        entry.txs.map(({ txid }) => txid as never),
        entry.file
      )
      for (const [i, expected] of entry.txs.entries()) {
        const transaction = block.transactions[i]!
        const where = `${entry.file} ${i}`
        assert.deepStrictEqual(
          [
            transaction.bytes.length,
            transaction.version,
            transaction.inputs.length,
            transaction.outputs.length,
            Option.match(transaction.sapling, { onNone: () => 0, onSome: ({ spends }) => spends }),
            Option.match(transaction.sapling, { onNone: () => 0, onSome: ({ outputs }) => outputs }),
            Option.match(transaction.sprout, { onNone: () => 0, onSome: ({ joinSplits }) => joinSplits }),
            Option.match(transaction.orchard, { onNone: () => 0, onSome: ({ actions }) => actions })
          ],
          [
            expected.bytes,
            expected.version,
            expected.vin,
            expected.vout,
            expected.saplingSpends,
            expected.saplingOutputs,
            expected.joinSplits,
            expected.orchardActions
          ],
          where
        )
        if (expected.authDigest !== undefined) {
          assert.strictEqual(Option.getOrThrow(transaction.authDigest), expected.authDigest as never, where)
        }
        // Alone it is the same transaction.
        assert.strictEqual(succeeded(Transaction.decode(transaction.bytes)).id, transaction.id)
      }
    }
  })

  it("hold transactions that are the same alone (wire W14, v4_transactions_in_one_block_all_round_trip)", () => {
    const bytes = readBytes("blocks/block-main-419201.hex")
    const block = succeeded(Block.decode(bytes))
    assert.deepStrictEqual(Buffer.from(block.bytes), bytes)
    const alone = block.transactions.map((transaction) => succeeded(Transaction.decode(transaction.bytes)))
    assert.isAbove(alone.filter(({ version }) => version === 4).length, 1)
    assert.deepStrictEqual(
      alone.map(({ id }) => id),
      block.transactionIds
    )
    assert.deepStrictEqual(
      Buffer.concat(alone.map((transaction) => transaction.bytes)),
      bytes.subarray(-totalBytes(alone))
    )
  })

  it("are refused with a coinbase height that is not pushed canonically", () => {
    const bad = Block.decode(readBytes("blocks/block-main-202-bad-coinbase-height.hex"))
    assert.isTrue(Result.isFailure(bad))
    assert.match(JSON.stringify(bad), /coinbase|height/)
  })

  it("are refused without their last byte, and end there when more follow", () => {
    for (const { bytes: length, file } of blocks) {
      const bytes = readBytes(file)
      assert.isTrue(Result.isFailure(Block.decode(bytes.subarray(0, -1))), file)
      assert.strictEqual(succeeded(Block.decode(Buffer.concat([bytes, Buffer.alloc(3)]))).bytes.length, length, file)
    }
  })
})

interface TransactionEntry {
  readonly tx: string
  readonly txid_serialized?: string
  readonly txid_display?: string
  readonly auth_digest_serialized?: string
  readonly version_group_id?: string
  readonly counts?: Readonly<Record<string, number>>
}

const reversed = (hex: string) => Buffer.from(hex, "hex").reverse().toString("hex")

describe.skipIf(!hasVectors)("transactions of every version", () => {
  for (const [file, count] of [
    ["legacy_v1_v4", 7],
    ["zip_0244_v5", 10],
    ["zip_0229_v6_derived", 5]
  ] as const) {
    it(`have the ids of their vectors: ${file}`, () => {
      const entries = readJson<ReadonlyArray<TransactionEntry>>(`transactions/${file}.json`)
      assert.strictEqual(entries.length, count)
      for (const entry of entries) {
        const bytes = Buffer.from(entry.tx, "hex")
        const transaction = succeeded(Transaction.decode(bytes))
        assert.deepStrictEqual(Buffer.from(transaction.bytes), bytes)
        assert.strictEqual(transaction.txId, (entry.txid_display ?? reversed(entry.txid_serialized ?? "")) as never)
        if (entry.auth_digest_serialized !== undefined) {
          const expected = reversed(entry.auth_digest_serialized)
          assert.strictEqual(Option.getOrThrow(transaction.authDigest), expected as never)
          assert.strictEqual(transaction.id, (transaction.txId + expected) as never)
        }
      }
    })
  }

  it("have the digests of drafts when told the drafts' ids, and are refused with ours", () => {
    const drafts = { groupId: 0xffff_ffff, isBranchId: (id: number) => id === 0xffff_ffff }
    const entries = readJson<ReadonlyArray<TransactionEntry>>("transactions/zip_0229_v6_placeholder_ids.json")
    assert.strictEqual(entries.length, 4)
    for (const { auth_digest_serialized, tx, txid_serialized } of entries) {
      const bytes = Buffer.from(tx, "hex")
      assert.isTrue(Result.isFailure(Transaction.decode(bytes)))
      const layout = new TransactionLayout()
      const reader = new Reader(bytes)
      walk(reader, layout, drafts)
      assert.isUndefined(reader.failure)
      assert.strictEqual(layout.end, bytes.length)
      assert.strictEqual(Ids.txId(bytes, layout).toString("hex"), txid_serialized)
      assert.strictEqual(Ids.authDigest(bytes, layout).toString("hex"), auth_digest_serialized)
    }
  })

  it("are refused or accepted at the edges of the format", () => {
    const { accept, reject } = readJson<
      Record<
        "accept" | "reject",
        ReadonlyArray<{
          readonly name: string
          readonly tx: string
          readonly consumed?: number
          readonly txid_display?: string
        }>
      >
    >("transactions/parser_edge_cases.json")
    assert.deepStrictEqual([reject.length, accept.length], [22, 5])
    for (const { name, tx } of reject) {
      assert.isTrue(Result.isFailure(Transaction.decode(Buffer.from(tx, "hex"))), name)
    }
    for (const { name, consumed, tx, txid_display } of accept) {
      const bytes = Buffer.from(tx, "hex")
      const transaction = succeeded(Transaction.decode(bytes))
      if (consumed !== undefined) assert.strictEqual(transaction.bytes.length, consumed, name)
      if (txid_display !== undefined) assert.strictEqual(transaction.txId, txid_display as never, name)
    }
  })
})
