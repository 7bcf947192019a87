/** Identifiers as people type them and programs take them apart. */
import { assert, describe, it } from "@effect/vitest"
import { Option } from "effect"
import * as Hash from "../../src/chain/Hash.ts"
import { transactions } from "../support/goldens.ts"

const digits = "00112233445566778899aabbccddeeff".repeat(2)

describe("an identifier in text", () => {
  it("of a block has 64 digits, in either case, and is kept in small ones", () => {
    const found = Hash.blockHashFromString(digits.toUpperCase())
    assert.deepStrictEqual(found as Option.Option<string>, Option.some(digits))
    for (const text of ["", digits.slice(1), `${digits}0`, digits + digits, `0x${digits.slice(2)}`, ` ${digits}`]) {
      assert.deepStrictEqual(Hash.blockHashFromString(text), Option.none(), text)
    }
  })

  it("of a transaction has 64 or 128", () => {
    for (const length of [1, 2]) {
      const found = Hash.transactionIdFromString(digits.toUpperCase().repeat(length))
      assert.deepStrictEqual(found as Option.Option<string>, Option.some(digits.repeat(length)))
    }
    for (const text of ["", digits.slice(1), digits + digits.slice(1), digits.repeat(3), digits.replace("f", "g")]) {
      assert.deepStrictEqual(Hash.transactionIdFromString(text), Option.none(), text)
    }
  })
})

describe("the id of a transaction", () => {
  const { authDigest, txId } = transactions.v5Nu7

  it("of version 5 is two in one, the first of which stands alone (ZIP 239)", () => {
    const [long] = Option.toArray(Hash.transactionIdFromString(txId + authDigest))
    const [short] = Option.toArray(Hash.transactionIdFromString(txId))
    if (long === undefined || short === undefined) return assert.fail("no ids")
    assert.deepStrictEqual([Hash.isWitnessed(long), Hash.isWitnessed(short)], [true, false])
    assert.deepStrictEqual([Hash.txIdOf(long), Hash.txIdOf(short)] as ReadonlyArray<string>, [txId, txId])
  })
})
