import { assert, describe, it } from "@effect/vitest"
import { load, observed } from "../../src/peer/PeerLoad.ts"

const second = 1e9
const decay = 200 * second
const at = (seconds: number) => BigInt(seconds) * BigInt(second)
const unknown = { answerNanos: 21 * second, updatedAtNanos: at(0) }

describe("the load estimate of a peer (peer 79)", () => {
  it("starts above the longest answer there is", () => {
    assert.strictEqual(load(unknown, 0, at(0), decay), 21 * second)
  })

  it("doubles with one request under way", () => {
    assert.strictEqual(load(unknown, 1, at(0), decay), 42 * second)
  })

  it("rises to a slower answer at once", () => {
    const slower = observed(unknown, 30 * second, at(40), decay)
    assert.deepStrictEqual(slower, { answerNanos: 30 * second, updatedAtNanos: at(40) })
  })

  it("falls to a faster answer bit by bit", () => {
    const faster = observed(unknown, second, at(200), decay)
    assert.closeTo(faster.answerNanos, (21 / Math.E + 1 * (1 - 1 / Math.E)) * second, 1)
  })

  it("forgets an idle peer slowly, however often it is looked at", () => {
    assert.closeTo(load(unknown, 0, at(200), decay), (21 / Math.E) * second, 1)
    assert.closeTo(load(unknown, 0, at(400), decay), (21 / Math.E ** 2) * second, 1)
  })

  it("does not grow when time does not pass, or goes back", () => {
    assert.strictEqual(load({ ...unknown, updatedAtNanos: at(10) }, 0, at(0), decay), 21 * second)
  })
})
