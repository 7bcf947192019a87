import { assert, describe, it } from "@effect/vitest"
import { dropProbability } from "../../src/peer/Overload.ts"
import { defaults } from "../../src/Policy.ts"

const second = 1_000_000_000n
const now = 100n * second
const after = (nanos: bigint) => dropProbability(now, now - nanos, defaults)

describe("the chance of closing a connection that overloads us", () => {
  it("falls with the time since it last did (peer 13, overload_probability_reduces_over_time)", () => {
    assert.strictEqual(after(-second), 0.5)
    assert.strictEqual(after(0n), 0.5)

    const micro = after(1_000n)
    assert.isAtMost(micro, 0.5)
    assert.closeTo(micro, 0.5, 0.001)
    const milli = after(1_000_000n)
    assert.isBelow(milli, micro)
    assert.closeTo(milli, 0.5, 0.001)
    const tenMillis = after(10_000_000n)
    assert.isBelow(tenMillis, milli)
    assert.closeTo(tenMillis, 0.5, 0.001)
    const tenth = after(second / 10n)
    assert.isBelow(tenth, tenMillis)
    assert.closeTo(tenth, 0.5, 0.01)
    const whole = after(second)
    assert.isBelow(whole, tenth)
    assert.isAbove(0.5 - whole, 0.4)
    assert.isAtMost(after(5n * second), whole)

    assert.strictEqual(after(5n * second), 0.05)
    assert.strictEqual(after(10n * second), 0.05)
    assert.strictEqual(dropProbability(now, undefined, defaults), 0.05)
  })

  it.each([
    [1n, 0.49999955],
    [10n, 0.499955],
    [100n, 0.4955],
    [500n, 0.3875],
    [900n, 0.1355],
    [1000n, 0.05]
  ])("is, %d ms after the last time, %d", (millis, probability) => {
    assert.closeTo(after(millis * 1_000_000n), probability, 1e-9)
  })
})
