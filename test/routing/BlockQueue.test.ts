/** In order, by hash, and how many could be helped by whom. */
import { assert, describe, it } from "@effect/vitest"
import { type WaitingBlock, WaitingBlocks } from "../../src/routing/BlockQueue.ts"
import { blockHash } from "../support/peerSetWorld.ts"

const entry = (byte: number, scope: WaitingBlock["scope"] = "serving"): WaitingBlock => ({
  hash: blockHash(byte),
  scope
})

describe("WaitingBlocks", () => {
  it("keeps the order of joining, also when an entry's scope changes", () => {
    const blocks = new WaitingBlocks<WaitingBlock>()
    const [first, second, third] = [entry(1), entry(2, "any"), entry(1)]
    for (const one of [first, second, third]) blocks.add(one)
    assert.deepStrictEqual([...blocks.values()], [first, second, third])
    assert.deepStrictEqual([blocks.size, blocks.any], [3, 1])
    blocks.rescope(first, "any")
    assert.strictEqual(blocks.any, 2)
    blocks.rescope(first, "any")
    assert.strictEqual(blocks.any, 2)
    blocks.rescope(second, "serving")
    blocks.rescope(third, "serving")
    assert.deepStrictEqual([...blocks.values()], [first, second, third])
    assert.strictEqual(blocks.any, 1)
  })

  it("finds entries by hash, and forgets a hash that nobody waits for", () => {
    const blocks = new WaitingBlocks<WaitingBlock>()
    const [first, second] = [entry(1), entry(1, "any")]
    blocks.add(first)
    blocks.add(second)
    assert.deepStrictEqual([...blocks.of(blockHash(1))], [first, second])
    assert.deepStrictEqual([...blocks.of(blockHash(2))], [])
    assert.deepStrictEqual([blocks.remove(first), blocks.remove(first)], [true, false])
    assert.isTrue(blocks.isWaitingFor(blockHash(1)))
    blocks.remove(second)
    assert.isFalse(blocks.isWaitingFor(blockHash(1)))
    assert.deepStrictEqual([blocks.size, blocks.any, blocks.has(first)], [0, 0, false])
    // Too late to matter.
    blocks.rescope(second, "any")
    assert.strictEqual(blocks.any, 0)
  })

  it("may lose entries while they are walked", () => {
    const blocks = new WaitingBlocks<WaitingBlock>()
    const entries = [entry(1), entry(2), entry(3)]
    for (const one of entries) blocks.add(one)
    const seen: Array<WaitingBlock> = []
    for (const one of blocks.values()) {
      seen.push(one)
      blocks.remove(one)
      blocks.remove(entries[1]!)
    }
    assert.deepStrictEqual(seen, [entries[0]!, entries[2]!])
  })
})
