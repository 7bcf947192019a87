/** Which requests are for exactly one block or transaction. */
import { assert, it } from "@effect/vitest"
import type { Request } from "../../src/peer/Request.ts"
import { singleBlock, singleTransaction } from "../../src/routing/SingleItem.ts"
import { hash, txId } from "../peer/items.ts"

const blocks = (...numbers: ReadonlyArray<number>): Request => ({
  _tag: "BlocksByHash",
  hashes: new Set(numbers.map(hash))
})
const transactions = (...numbers: ReadonlyArray<number>): Request => ({
  _tag: "TransactionsById",
  ids: new Set(numbers.map(txId))
})

it("a request for one item is one for a set of one, and for none or more it is not", () => {
  const download: Request = { _tag: "BlockDownload", hash: hash(3), advertiser: undefined }
  assert.deepStrictEqual([blocks(), blocks(1), blocks(1, 2), download].map(singleBlock), [
    undefined,
    hash(1),
    undefined,
    hash(3)
  ])
  assert.deepStrictEqual([transactions(), transactions(1), transactions(1, 2)].map(singleTransaction), [
    undefined,
    txId(1),
    undefined
  ])
})

it("a request for a block is none for a transaction, nor the other way round", () => {
  assert.deepStrictEqual([singleTransaction(blocks(1)), singleBlock(transactions(1))], [undefined, undefined])
})
