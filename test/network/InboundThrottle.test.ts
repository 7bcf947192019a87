import { assert, describe, it } from "@effect/vitest"
import { NetAddress } from "effect/net"
import { limitKey } from "../../src/addresses/AddressRules.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
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

  it.each([
    [
      "of one /64 together (NB-13, ipv6_addresses_in_same_64_share_the_limit)",
      "2001:db8::a",
      "2001:db8::b",
      "2001:db8:1::a"
    ],
    [
      "of two IPv4 addresses apart (NB-14, ipv4_addresses_in_same_24_are_limited_separately)",
      "192.0.2.10",
      "192.0.2.10",
      "192.0.2.20"
    ],
    [
      "of both spellings together (NB-15, ipv4_mapped_ipv6_shares_the_ipv4_limit)",
      "192.0.2.10",
      "::ffff:192.0.2.10",
      "192.0.2.11"
    ]
  ])("counts peers %s", (_title, first, same, other) => {
    const throttle = new InboundThrottle({ windowMillis: 119_000, limit: 1 })
    const isRefused = (ip: string) =>
      throttle.isPastLimitOrAdd(limitKey(PeerSocketAddress.fromIp(NetAddress.ipFromStringUnsafe(ip), 1)), 0)
    assert.deepStrictEqual([first, same, other].map(isRefused), [false, true, false])
  })

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
