import { assert, describe, it } from "@effect/vitest"
import { InboundThrottle } from "../../src/network/InboundThrottle.ts"

describe("InboundThrottle", () => {
  // Zebra recent_by_ip/tests.rs, old_connection_attempts_are_pruned.
  for (const limit of [1, 3]) {
    it(`forgets admissions at the end of the window, with a limit of ${limit} (network 68, NB-1)`, () => {
      const throttle = new InboundThrottle({ windowMillis: 5000, limit })
      const fill = (nowMillis: number) => {
        for (let i = 0; i < limit; i++) assert.isFalse(throttle.isPastLimitOrAdd("127.0.0.1", nowMillis))
        assert.isTrue(throttle.isPastLimitOrAdd("127.0.0.1", nowMillis))
      }
      fill(0)
      assert.isTrue(throttle.isPastLimitOrAdd("127.0.0.1", 5000 / 3))
      assert.isTrue(throttle.isPastLimitOrAdd("127.0.0.1", 5000 - 1e-6))
      assert.strictEqual(throttle.size, limit)
      fill(5000)
      assert.strictEqual(throttle.size, limit)
    })
  }

  it("does not count refusals", () => {
    const throttle = new InboundThrottle({ windowMillis: 119_000, limit: 1 })
    assert.isFalse(throttle.isPastLimitOrAdd("192.0.2.1", 0))
    for (let second = 1; second < 119; second++) {
      assert.isTrue(throttle.isPastLimitOrAdd("192.0.2.1", second * 1000))
    }
    assert.isFalse(throttle.isPastLimitOrAdd("192.0.2.1", 119_000))
  })

  it("remembers nothing of a group whose window is over", () => {
    const throttle = new InboundThrottle({ windowMillis: 1000, limit: 1 })
    for (let i = 0; i < 5000; i++) throttle.isPastLimitOrAdd(`10.0.${i >> 8}.${i & 255}`, i)
    assert.strictEqual(throttle.size, 1000)
  })
})
