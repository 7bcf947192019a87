import { assert, describe, it } from "@effect/vitest"
import { Option, Result } from "effect"
import { Block } from "../../src/chain/Block.ts"
import { branchIds, upgradeOfBranchId } from "../../src/chain/ChainParams.ts"
import { Transaction } from "../../src/chain/Transaction.ts"
import { genesis, genesisTxId, transactions } from "../support/goldens.ts"

const decoded = (bytes: Uint8Array): Transaction => Result.getOrThrow(Transaction.decode(bytes))
const fails = (bytes: Uint8Array) => {
  const result = Transaction.decode(bytes)
  return Result.isFailure(result) ? result.failure._tag : "accepted"
}

const replaced = (bytes: Uint8Array, at: number, hex: string): Uint8Array => {
  const changed = Uint8Array.from(bytes)
  changed.set(Buffer.from(hex, "hex"), at)
  return changed
}

describe("a transaction", () => {
  for (const [name, golden] of Object.entries(transactions)) {
    it(`is read to its end, with its ids: ${name}`, () => {
      const transaction = decoded(golden.bytes)
      assert.deepStrictEqual(Buffer.from(transaction.bytes), Buffer.from(golden.bytes))
      assert.strictEqual(transaction.version, golden.version)
      assert.strictEqual(transaction.txId, golden.txId as never)
      assert.deepStrictEqual(transaction.authDigest, Option.fromUndefinedOr(golden.authDigest as never))
      // From version 5 on a transaction is known by both.
      assert.strictEqual(transaction.id, (golden.txId + (golden.authDigest ?? "")) as never)
    })

    it(`is refused when it breaks off anywhere: ${name}`, () => {
      for (let length = 0; length < golden.bytes.length; length += Math.ceil(golden.bytes.length / 100)) {
        assert.notStrictEqual(fails(golden.bytes.subarray(0, length)), "accepted", String(length))
      }
    })
  }

  it("of NU7 belongs to it; ids of no upgrade are refused (wire W6, nu7_branch_id_and_transaction_formats)", () => {
    for (const { bytes } of [transactions.v5Nu7, transactions.v6Nu7]) {
      const branchId = Option.getOrThrow(decoded(bytes).branchId)
      assert.strictEqual(branchId, branchIds.NU7)
      assert.strictEqual(upgradeOfBranchId(branchId), "NU7")
    }
    for (const id of [0x77190ad8, 0xfffffffe, 0xffffffff]) assert.isUndefined(upgradeOfBranchId(id))
    assert.strictEqual(fails(replaced(transactions.v5Nu7.bytes, 8, "d80a1977")), "Malformed")
  })

  it("of version 6 is refused for upgrades before NU6.3 (wire W9, v6_transaction_rejects_pre_nu6_3_branch_ids)", () => {
    assert.strictEqual(fails(replaced(transactions.v6Nu7.bytes, 8, "5b16a537")), "accepted")
    for (const id of ["b4d0d6c2", "5510e7c8", "f04dec4d", "30f33754", "00000000"]) {
      assert.strictEqual(fails(replaced(transactions.v6Nu7.bytes, 8, id)), "Malformed", id)
    }
  })

  const coinbase = (script: Uint8Array) =>
    Buffer.concat([
      Buffer.from("0100000001" + "00".repeat(32) + "ffffffff", "hex"),
      Uint8Array.of(script.length),
      script,
      Buffer.from("ffffffff00" + "00000000", "hex")
    ])

  it("that is a coinbase has a script of 2 to 100 bytes (wire W11, coinbase_script_len_bounds_enforced_at_parse)", () => {
    const height = Buffer.from("0320a107", "hex")
    assert.notStrictEqual(fails(coinbase(Uint8Array.of(0x51))), "accepted")
    assert.notStrictEqual(fails(coinbase(Buffer.concat([height, new Uint8Array(97)]))), "accepted")
    assert.strictEqual(fails(coinbase(Uint8Array.of(0x51, 0))), "accepted")
    const longest = decoded(coinbase(Buffer.concat([height, new Uint8Array(96)])))
    assert.isTrue(longest.isCoinbase)
    assert.deepStrictEqual(longest.coinbaseHeight, Option.some(500_000))
    assert.isTrue(Result.isSuccess(Block.decode(genesis.mainnet.bytes)))
  })

  it("with a null outpoint beside another is no coinbase, and its script has the same bounds (wire W12)", () => {
    const nothing = "00".repeat(32) + "ffffffff"
    const other = "11".repeat(32) + "00000000" + "00" + "ffffffff"
    const two = (script: string) => Buffer.from(`0100000002${nothing}${script}ffffffff${other}00${"00000000"}`, "hex")
    const transaction = decoded(two("025100"))
    assert.isFalse(transaction.isCoinbase)
    assert.strictEqual(transaction.inputs.length, 2)
    assert.notStrictEqual(fails(two("0151")), "accepted")
    const second = Buffer.from(`0100000002${other}${nothing}0151ffffffff00${"00000000"}`, "hex")
    assert.notStrictEqual(fails(second), "accepted")
  })

  it("of version 4 with a Sapling balance and no Sapling part is unbalanced (wire W13)", () => {
    // The v4 coinbase ends in its balance of 8 bytes and three counts of zero.
    const { bytes } = transactions.v4
    assert.strictEqual(fails(replaced(bytes, bytes.length - 11, "0100000000000000")), "Unbalanced")
  })

  it("keeps an expiry height beyond every height (wire W15, expiry_height_preserves_out_of_range_values)", () => {
    for (const expiry of [0, 499_999_999, 500_000_000, 2_147_483_648, 4_294_967_295]) {
      const bytes = Buffer.alloc(4)
      bytes.writeUInt32LE(expiry)
      const transaction = decoded(replaced(transactions.v5Nu7.bytes, 16, bytes.toString("hex")))
      assert.deepStrictEqual(transaction.expiryHeight, Option.some(expiry))
    }
  })
})

describe("the first block", () => {
  for (const [name, { bytes }] of Object.entries(genesis)) {
    it(`of ${name} is read to its end, and its Merkle root is its transaction's id`, () => {
      const block = Result.getOrThrow(Block.decode(bytes))
      assert.strictEqual(block.bytes.length, bytes.length)
      assert.deepStrictEqual(block.txIds, [genesisTxId as never])
      assert.strictEqual(block.merkleRoot, genesisTxId as never)
      assert.strictEqual(block.header.merkleRoot, genesisTxId as never)
    })
  }
})
