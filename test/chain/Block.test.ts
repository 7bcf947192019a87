/** A block's list of transactions and the root of their tree, over blocks put together here. */
import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { Block } from "../../src/chain/Block.ts"
import { genesis, transactions } from "../support/goldens.ts"

const header = (name: keyof typeof genesis) => Result.getOrThrow(Block.decode(genesis[name].bytes)).header

const blockOf = (...bodies: ReadonlyArray<Uint8Array>): Block =>
  Result.getOrThrow(Block.decode(Buffer.concat([header("mainnet").bytes, Uint8Array.of(bodies.length), ...bodies])))

const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest()
/** Of two ids in display order. Source: Bitcoin's tree of hashes, each node SHA-256 twice over its two children. */
const parent = (left: string, right: string): string => {
  const children = [left, right].map((id) => Buffer.from(id, "hex").reverse())
  return sha256(sha256(Buffer.concat(children)))
    .reverse()
    .toString("hex")
}

describe("the transactions of a block", () => {
  const { v1, v2, v5Nu7 } = transactions

  it("have a root, in which the last of an odd row is taken twice", () => {
    const root = parent(parent(v1.txId, v2.txId), parent(v5Nu7.txId, v5Nu7.txId))
    assert.strictEqual(blockOf(v1.bytes, v2.bytes, v5Nu7.bytes).merkleRoot as string, root)
    assert.strictEqual(blockOf(v1.bytes, v2.bytes).merkleRoot as string, parent(v1.txId, v2.txId))
    assert.strictEqual(blockOf().merkleRoot as string, "00".repeat(32))
  })

  it("are advertised by two digests from version 5 on, and are in the tree by the first", () => {
    const block = blockOf(v1.bytes, v5Nu7.bytes)
    assert.strictEqual(block.transactionCount, 2)
    assert.deepStrictEqual(block.transactionIds as ReadonlyArray<string>, [v1.txId, v5Nu7.txId + v5Nu7.authDigest])
    assert.deepStrictEqual(block.txIds as ReadonlyArray<string>, [v1.txId, v5Nu7.txId])
  })

  it("of a store that kept what is no block are nobody's to read", () => {
    const bytes = Buffer.concat([header("mainnet").bytes, Uint8Array.of(2), v1.bytes])
    assert.isTrue(Result.isFailure(Block.decode(bytes)))
    const stored = Result.getOrThrow(Block.fromStore(bytes))
    assert.strictEqual(stored.hash as string, genesis.mainnet.hash)
    assert.throws(() => stored.transactions, /was given bytes that are no block/)
  })
})

describe("a header", () => {
  it.each(["mainnet", "testnet", "regtest"] as const)("ends with the solution of its network: %s", (name) => {
    const { bytes, solution } = header(name)
    // Source: zcashd src/chainparams.cpp: Equihash with n = 200 and k = 9, on Regtest 48 and 5.
    const length = name === "regtest" ? 36 : 1344
    assert.strictEqual(solution.length, length)
    assert.deepStrictEqual(Buffer.from(solution), Buffer.from(bytes.subarray(bytes.length - length)))
  })
})
