import { assert, describe, it } from "@effect/vitest"
import * as Estimate from "../../src/census/Estimate.ts"

/** A run of a closed network: nobody comes or goes, and it took no time. */
const closed = {
  found: 0,
  again: 0,
  missed: 0,
  undialled: 0,
  before: 1000,
  gone: 0,
  secondsBetween: 3600,
  distances: []
}

describe("the estimate", () => {
  it("is Lincoln's and Petersen's: found times marked over found again", () => {
    // 150 of 200 marked nodes were found again, so 600 found are three quarters of 800.
    const estimate = Estimate.reachable({ ...closed, found: 600, again: 150, missed: 50 })
    assert.strictEqual(estimate?.estimate, 800)
    // Wilson's interval of 150 of 200 is 68.57 % to 80.49 %, and 600 over these are 875.1 and 745.4.
    assert.deepStrictEqual([estimate?.low, estimate?.high], [745, 876])
  })

  it("knows of Wilson's interval what is printed of it", () => {
    // Newcombe, Statist. Med. 17, 1998, table I, method 3.
    const shown = (hits: number, trials: number) => {
      const { high, low } = Estimate.wilson(hits, trials)
      return [low.toFixed(4), high.toFixed(4)]
    }
    assert.deepStrictEqual(shown(81, 263), ["0.2553", "0.3662"])
    assert.deepStrictEqual(shown(15, 148), ["0.0624", "0.1605"])
    assert.deepStrictEqual(shown(0, 20), ["0.0000", "0.1611"])
    assert.deepStrictEqual(shown(1, 29), ["0.0061", "0.1718"])
  })

  it("says nothing of a share of none, and takes two runs of one time for a network that stands still", () => {
    assert.deepStrictEqual(Estimate.wilson(0, 0), { low: 0, high: 1 })
    assert.strictEqual(Estimate.churnRate({ before: 10, gone: 5, secondsBetween: 0 }), 0)
    // Half a node of eleven in an hour: e to the power of minus the rate times the time is 21 / 22.
    const rate = Estimate.churnRate({ before: 10, gone: 0, secondsBetween: 3600 })
    assert.approximately(Math.exp(-rate * 3600), 21 / 22, 1e-12)
  })

  it("is nothing when no marked node was found again", () => {
    assert.isUndefined(Estimate.reachable({ ...closed, found: 600, missed: 3 }))
  })

  it("is never below what was seen, when nobody comes or goes", () => {
    const estimate = Estimate.reachable({ ...closed, found: 10, again: 9, missed: 1, gone: 0, secondsBetween: 1e12 })
    assert.isAtLeast(estimate?.low ?? 0, 11)
  })

  it("does not take certainty from a small number: three of three leave room", () => {
    const estimate = Estimate.reachable({ ...closed, found: 3, again: 3 })
    assert.strictEqual(estimate?.estimate, 3)
    assert.strictEqual(estimate?.low, 3)
    assert.isAtLeast(estimate?.high ?? 0, 6)
  })

  it("takes nodes it had no time to dial for missed at its upper end alone", () => {
    const dialled = Estimate.reachable({ ...closed, found: 600, again: 150, missed: 0 })
    const left = Estimate.reachable({ ...closed, found: 600, again: 150, missed: 0, undialled: 50 })
    assert.strictEqual(left?.estimate, dialled?.estimate)
    assert.strictEqual(left?.low, dialled?.low)
    assert.isAbove(left?.high ?? 0, 800)
  })

  describe("of a run that takes a while, when nodes come and go,", () => {
    // Of a thousand nodes 393 are gone after an hour: 0.5 changes an hour and node.
    const churning = { ...closed, found: 2000, again: 600, gone: 393 }
    const at = (seconds: number) =>
      Estimate.reachable({ ...churning, distances: Array.from({ length: 2000 }, () => seconds) })

    it("takes out those who left between their dial and the middle", () => {
      // 2000 × 0.5/h × 60 s are 17 nodes.
      assert.strictEqual(at(-60)?.estimate, 1983)
      assert.isAtLeast(at(-60)?.high ?? 0, 2000)
      assert.strictEqual(at(60)?.estimate, 2000)
      assert.isAtMost(at(60)?.low ?? 0, 1983)
    })

    it("leaves room for those who came in the last five minutes, whom nobody tells of", () => {
      // 2000 × 0.5/h × 300 s are 82 nodes, of whom the interval of 600 found of 600 knows nothing.
      const { estimate, high } = at(0) ?? { estimate: 0, high: 0 }
      assert.strictEqual(estimate, 2000)
      assert.isAtLeast(high, 2082)
      assert.isAtMost(high, 2082 + 2000 * (1 / Estimate.wilson(600, 600).low - 1) + 1)
    })

    it("is wider the longer the run takes", () => {
      const width = (seconds: number) => (at(seconds)?.high ?? 0) - (at(seconds)?.low ?? 0)
      // Two standard deviations of 33 changes are 11 each way, and 17 that nobody can see.
      assert.isAtLeast(width(-60), width(0) + 20)
      assert.isAtMost(width(-60), width(0) + 40)
      assert.isAtLeast(width(-600), width(0) + 200)
    })
  })
})
