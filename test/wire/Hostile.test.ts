/** What attackers send, the verdict, and how little of it is kept. */
import { assert, describe, it } from "@effect/vitest"
import { hostileCases, judge } from "../support/hostile.ts"

describe("a hostile message", () => {
  it("comes in fifteen kinds", () => {
    assert.strictEqual(hostileCases.length, 15)
  })

  for (const hostile of hostileCases) {
    it(`${hostile.name}: ${hostile.verdict}`, () => {
      const { maxBuffered, verdict } = judge(hostile)
      assert.strictEqual(verdict, hostile.verdict)
      // What was received, and never what was promised.
      assert.isAtMost(maxBuffered, Math.min(8_000_000, hostile.bytes.length))
    })
  }
})
