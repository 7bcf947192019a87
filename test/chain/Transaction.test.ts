import { assert, describe, it } from "@effect/vitest"
import { Option, Result } from "effect"
import { Block } from "../../src/chain/Block.ts"
import { branchIds, mainnet, upgradeOfBranchId } from "../../src/chain/ChainParams.ts"
import { Reader } from "../../src/bytes/Reader.ts"
import { Transaction } from "../../src/chain/Transaction.ts"
import { TransactionLayout, walk } from "../../src/chain/TransactionLayout.ts"
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
    assert.strictEqual(mainnet.activationHeights.NU7, 3_543_405)
    for (const id of [0x77190ad8, 0xfffffffe, 0xffffffff]) assert.isUndefined(upgradeOfBranchId(id))
    for (const id of ["d80a1977", "feffffff", "ffffffff"]) {
      for (const { bytes } of [transactions.v5Nu7, transactions.v6Nu7]) {
        assert.strictEqual(fails(replaced(bytes, 8, id)), "Malformed", id)
      }
    }
  })

  it("of version 4 is the same alone as among others (wire W14, v4_transactions_in_one_block_all_round_trip)", () => {
    const ofVersion4 = [transactions.v4, transactions.v4JoinSplits, transactions.v4Sapling]
    const { header } = Result.getOrThrow(Block.decode(genesis.mainnet.bytes))
    const bytes = Buffer.concat([
      header.bytes,
      Uint8Array.of(ofVersion4.length),
      ...ofVersion4.map((golden) => golden.bytes)
    ])
    const block = Result.getOrThrow(Block.decode(bytes))
    assert.deepStrictEqual(Buffer.from(block.bytes), bytes)
    for (const [index, golden] of ofVersion4.entries()) {
      const transaction = block.transactions[index]!
      assert.strictEqual(transaction.txId, golden.txId as never)
      assert.deepStrictEqual(Buffer.from(transaction.bytes), Buffer.from(golden.bytes))
      assert.deepStrictEqual(decoded(transaction.bytes).id, transaction.id)
    }
  })

  /** Actions of Orchard or Ironwood without any sense in them. */
  const actions = (count: number, flags: number, proofBytes = 2720 + 2272 * count): Buffer =>
    Buffer.concat([
      Uint8Array.of(count),
      Buffer.alloc(820 * count, 1),
      Uint8Array.of(flags),
      Buffer.alloc(8 + 32),
      Uint8Array.of(0xfd, proofBytes & 0xff, proofBytes >> 8),
      Buffer.alloc(proofBytes + 64 * count + 64, 2)
    ])
  const none = Uint8Array.of(0)
  const version6 = (branchId: string, orchard: Uint8Array, ironwood: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from(`0600008098b684d8${branchId}${"00".repeat(12)}`, "hex"), orchard, ironwood])
  const version5 = (branchId: string, orchard: Uint8Array): Buffer =>
    Buffer.concat([Buffer.from(`050000800a27a726${branchId}${"00".repeat(12)}`, "hex"), orchard])

  it("of version 6 is refused for upgrades before NU6.3 (wire W9, v6_transaction_rejects_pre_nu6_3_branch_ids)", () => {
    const withAction = version6("5b16a537", actions(1, 3), none)
    for (const bytes of [withAction, transactions.v6Nu7.bytes]) {
      assert.strictEqual(fails(replaced(bytes, 8, "5b16a537")), "accepted")
      // NU5, NU6, NU6.1, NU6.2, none.
      for (const id of ["b4d0d6c2", "5510e7c8", "f04dec4d", "30f33754", "00000000"]) {
        assert.strictEqual(fails(replaced(bytes, 8, id)), "Malformed", id)
      }
    }
    assert.strictEqual(Option.getOrThrow(decoded(withAction).orchard).actions, 1)
  })

  it("may cross addresses in Ironwood, not in Orchard (wire W10, v6_orchard_bundle_rejects_cross_address_flag_on_the_wire)", () => {
    assert.strictEqual(fails(version6("5b16a537", actions(1, 0b111), none)), "Malformed")
    const ironwood = version6("5b16a537", none, actions(1, 0b111))
    assert.deepStrictEqual(Buffer.from(decoded(ironwood).bytes), ironwood)
    assert.strictEqual(Option.getOrThrow(decoded(ironwood).ironwood).flags, 0b111)
    // NU5 to NU7, with which version 5 may be made.
    for (const id of ["b4d0d6c2", "5510e7c8", "f04dec4d", "30f33754", "5b16a537", "d90a1977"]) {
      assert.strictEqual(fails(version5(id, actions(1, 0b011))), "accepted", id)
      assert.strictEqual(fails(version5(id, actions(1, 0b111))), "Malformed", id)
    }
    for (const flag of [0b1000, 0b1_0000, 0b1000_0000]) {
      assert.strictEqual(fails(version6("5b16a537", none, actions(1, flag))), "Malformed")
      assert.strictEqual(fails(version6("5b16a537", actions(1, flag), none)), "Malformed")
    }
  })

  it("has a proof as long as its actions need, from NU6.2 on", () => {
    const proofs = [2720 + 2272, 2720 + 2273, 300]
    // NU5, NU6, NU6.1, NU6.2, NU6.3, NU7.
    for (const id of ["b4d0d6c2", "5510e7c8", "f04dec4d", "30f33754", "5b16a537", "d90a1977"]) {
      const late = ["30f33754", "5b16a537", "d90a1977"].includes(id)
      assert.deepStrictEqual(
        proofs.map((proof) => fails(version5(id, actions(1, 3, proof)))),
        ["accepted", late ? "Malformed" : "accepted", late ? "Malformed" : "accepted"],
        id
      )
    }
    // Canopy, and none: no Orchard at all.
    for (const id of ["a675ffe9", "00000000"]) {
      assert.strictEqual(fails(version5(id, actions(1, 3))), "Malformed", id)
      assert.strictEqual(fails(version5(id, none)), "accepted", id)
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
    assert.strictEqual(fails(coinbase(Uint8Array.of(0x51))), "Malformed")
    assert.strictEqual(fails(coinbase(Buffer.concat([height, new Uint8Array(97)]))), "Malformed")
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
    assert.strictEqual(fails(two("0151")), "Malformed")
    const second = Buffer.from(`0100000002${other}${nothing}0151ffffffff00${"00000000"}`, "hex")
    assert.strictEqual(fails(second), "Malformed")
  })

  it("of version 4 without a Sapling part has no balance there (wire W13, v4_value_balance_check_locates_the_field_with_joinsplits)", () => {
    for (const { bytes } of [transactions.v4, transactions.v4JoinSplits]) {
      const layout = new TransactionLayout()
      walk(new Reader(bytes), layout)
      assert.strictEqual(fails(bytes), "accepted")
      assert.strictEqual(fails(replaced(bytes, layout.saplingBalanceAt, "0100000000000000")), "Unbalanced")
    }
  })

  it.each([
    ["5", "050000800a27a726" + "b4d0d6c2", 1],
    ["6", "0600008098b684d8" + "5b16a537", 2]
  ])("of version %s that is a coinbase spends nothing of Sapling (wire 6.5; advisory W3)", (_version, head, parts) => {
    const nothing = "00".repeat(32) + "ffffffff"
    const something = "11".repeat(32) + "00000000"
    const from = (output: string, spends: number, outputs: number) =>
      Buffer.concat([
        Buffer.from(head + "00".repeat(8) + "01" + output + "025100" + "ffffffff" + "00", "hex"),
        Uint8Array.of(spends),
        Buffer.alloc(96 * spends),
        Uint8Array.of(outputs),
        Buffer.alloc(756 * outputs),
        // Balance, anchor, proofs, signatures.
        Buffer.alloc(8 + (spends > 0 ? 32 : 0) + (192 + 64) * spends + 192 * outputs + 64),
        // No actions.
        Buffer.alloc(parts)
      ])
    assert.strictEqual(fails(from(something, 1, 0)), "accepted")
    assert.strictEqual(fails(from(nothing, 0, 1)), "accepted")
    assert.strictEqual(fails(from(nothing, 1, 0)), "Malformed")
    assert.strictEqual(fails(from(nothing, 1, 1)), "Malformed")
  })

  it("of version 4 that is a coinbase spends nothing of Sapling", () => {
    const coinbaseOfVersion4 = (spends: number) =>
      Buffer.concat([
        Buffer.from("0400008085202f8901" + "00".repeat(32) + "ffffffff" + "025100" + "ffffffff" + "00", "hex"),
        Buffer.alloc(16),
        Uint8Array.of(spends),
        Buffer.alloc(384 * spends),
        Buffer.alloc(2 + (spends > 0 ? 64 : 0))
      ])
    assert.strictEqual(fails(coinbaseOfVersion4(0)), "accepted")
    assert.strictEqual(fails(coinbaseOfVersion4(1)), "Malformed")
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

/** So many bytes of one value: what a test looks for is told apart from what is beside it. */
const filled = (length: number, value: number): Buffer => Buffer.alloc(length, value)
const le32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32LE(value)
  return bytes
}
const le64 = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8)
  bytes.writeBigInt64LE(value)
  return bytes
}
const one = Uint8Array.of(1)
const two = Uint8Array.of(2)
const nothing = Uint8Array.of(0)

/** Two inputs, the second with a script of 300 bytes, and two outputs. Layout: Bitcoin's, and so the protocol specification 7.1. */
const transparent = Buffer.concat([
  two,
  filled(32, 0x11),
  le32(7),
  Buffer.from("03aabbcc", "hex"),
  le32(0xffff_fffe),
  filled(32, 0x22),
  le32(0),
  Buffer.from("fd2c01", "hex"),
  filled(300, 0x33),
  le32(5),
  two,
  le64(2_100_000_000_000_000n),
  Buffer.from("0176", "hex"),
  le64(1n),
  nothing
])

/** As it is said: hexadecimal digits for bytes. */
const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex")

describe("what a transaction is made of", () => {
  it("is its inputs and outputs, and in version 1 no more", () => {
    const transaction = decoded(Buffer.concat([le32(1), transparent, le32(499_999_999)]))
    assert.strictEqual(transaction.lockTime, 499_999_999)
    assert.deepStrictEqual(
      transaction.inputs.map(({ previousIndex, previousTxId, script, sequence }) => [
        previousTxId as string,
        previousIndex,
        hex(script),
        sequence
      ]),
      [
        ["11".repeat(32), 7, "aabbcc", 0xffff_fffe],
        ["22".repeat(32), 0, "33".repeat(300), 5]
      ]
    )
    assert.deepStrictEqual(
      transaction.outputs.map(({ script, value }) => [value, hex(script)]),
      [
        [2_100_000_000_000_000n, "76"],
        [1n, ""]
      ]
    )
    const { authDigest, branchId, coinbaseHeight, expiryHeight, ironwood, isCoinbase, orchard, sapling, sprout } =
      transaction
    assert.isFalse(isCoinbase)
    for (const absent of [authDigest, branchId, coinbaseHeight, expiryHeight, ironwood, orchard, sapling, sprout]) {
      assert.strictEqual(absent._tag, "None")
    }
  })

  it.each([
    // The protocol specification, 7.1: `hSigPubKey` and a signature end them; the proof has 296 bytes, in version 4 192.
    ["2", Buffer.concat([le32(2), transparent, le32(9)]), 296],
    ["3", Buffer.concat([le32(0x8000_0003), le32(0x03c4_8270), transparent, le32(9), le32(1_000)]), 296],
    [
      "4",
      Buffer.concat([
        le32(0x8000_0004),
        le32(0x892f_2085),
        transparent,
        le32(9),
        le32(1_000),
        le64(0n),
        nothing,
        nothing
      ]),
      192
    ]
  ])("is JoinSplits with two nullifiers each, in version %s", (version, before, proofBytes) => {
    const joinSplit = (nullifiers: number) =>
      Buffer.concat([
        le64(0n),
        le64(2n),
        filled(32, 0xaa),
        filled(32, nullifiers),
        filled(32, nullifiers + 1),
        filled(64, 0xbb),
        filled(32 + 32 + 64 + proofBytes + 2 * 601, 0xcc)
      ])
    const transaction = decoded(Buffer.concat([before, two, joinSplit(0x41), joinSplit(0x51), filled(96, 0xdd)]))
    assert.strictEqual(String(transaction.version), version)
    assert.strictEqual(transaction.lockTime, 9)
    assert.deepStrictEqual(transaction.expiryHeight, version === "2" ? Option.none() : Option.some(1_000))
    const sprout = Option.getOrThrow(transaction.sprout)
    assert.strictEqual(sprout.joinSplits, 2)
    assert.deepStrictEqual(
      sprout.nullifiers.map(hex),
      ["41", "42", "51", "52"].map((digits) => digits.repeat(32))
    )
  })

  it("is Sapling's spends and outputs, each spend with its anchor in version 4", () => {
    const spend = (nullifier: number) =>
      Buffer.concat([filled(32, 0xa1), filled(32, 0xa2), filled(32, nullifier), filled(32 + 192 + 64, 0xa3)])
    const transaction = decoded(
      Buffer.concat([
        le32(0x8000_0004),
        le32(0x892f_2085),
        nothing,
        nothing,
        le32(9),
        le32(1_000),
        le64(-5n),
        two,
        spend(0x61),
        spend(0x62),
        one,
        filled(948, 0xa4),
        nothing,
        filled(64, 0xa5)
      ])
    )
    const { nullifiers, ...rest } = Option.getOrThrow(transaction.sapling)
    assert.deepStrictEqual(rest, { spends: 2, outputs: 1, valueBalance: -5n })
    assert.deepStrictEqual(nullifiers.map(hex), ["61".repeat(32), "62".repeat(32)])
    assert.isTrue(Option.isNone(transaction.sprout))
  })

  it("is Sapling's spends and outputs, Orchard's and Ironwood's actions in version 6", () => {
    const spend = (nullifier: number) => Buffer.concat([filled(32, 0xa1), filled(32, nullifier), filled(32, 0xa2)])
    const actionsOf = (nullifiers: ReadonlyArray<number>, flags: number, balance: bigint, anchor: number) =>
      Buffer.concat([
        Uint8Array.of(nullifiers.length),
        // Value commitment, nullifier, key, commitment, ephemeral key, two ciphertexts.
        ...nullifiers.map((value) => Buffer.concat([filled(32, 1), filled(32, value), filled(32 * 3 + 580 + 80, 2)])),
        Uint8Array.of(flags),
        le64(balance),
        filled(32, anchor),
        Uint8Array.of(0xfd),
        le32(2720 + 2272 * nullifiers.length).subarray(0, 2),
        filled(2720 + 2272 * nullifiers.length + 64 * nullifiers.length + 64, 3)
      ])
    const transaction = decoded(
      Buffer.concat([
        le32(0x8000_0006),
        le32(0xd884_b698),
        le32(0x37a5_165b),
        le32(9),
        le32(1_000),
        nothing,
        nothing,
        two,
        spend(0x61),
        spend(0x62),
        one,
        filled(756, 0xa4),
        le64(7n),
        filled(32, 0xa5),
        filled((192 + 64) * 2 + 192 + 64, 0xa6),
        actionsOf([0x71], 0b01, -8n, 0x72),
        actionsOf([0x81, 0x82], 0b11, 9n, 0x83)
      ])
    )
    const sapling = Option.getOrThrow(transaction.sapling)
    assert.deepStrictEqual([sapling.spends, sapling.outputs, sapling.valueBalance], [2, 1, 7n])
    assert.deepStrictEqual(sapling.nullifiers.map(hex), ["61".repeat(32), "62".repeat(32)])
    assert.deepStrictEqual(
      [transaction.orchard, transaction.ironwood].map((part) => {
        const { actions, anchor, flags, nullifiers, valueBalance } = Option.getOrThrow(part)
        return [actions, flags, valueBalance, hex(anchor), nullifiers.map(hex)]
      }),
      [
        [1, 0b01, -8n, "72".repeat(32), ["71".repeat(32)]],
        [2, 0b11, 9n, "83".repeat(32), ["81".repeat(32), "82".repeat(32)]]
      ]
    )
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
