import { assert, describe, it } from "@effect/vitest"
import { dropOldest } from "../src/Bounded.ts"

describe("what is bounded", () => {
  it("loses what came first until it is as many as it may be, and nothing before", () => {
    for (const [limit, left] of [
      [5, "abcd"],
      [4, "abcd"],
      [3, "bcd"],
      [1, "d"],
      [0, ""]
    ] as const) {
      const map = new Map(["a", "b", "c", "d"].map((key) => [key, 0]))
      const set = new Set(map.keys())
      for (const kept of [map, set]) {
        dropOldest(kept, limit)
        assert.strictEqual([...kept.keys()].join(""), left, String(limit))
      }
    }
  })
})
