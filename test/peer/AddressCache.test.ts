import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import * as AddressCache from "../../src/peer/AddressCache.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { peerAddress } from "../support/addresses.ts"

const gossiped = (from: number, count: number): AddressCache.AddressCache =>
  Array.from({ length: count }, (_, i) => ({ address: peerAddress(from + i), services: 1n, lastSeenSeconds: i }))

const size = (maximum: number) => Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum })))
const random = SeededRandom.fractions(SeededRandom.draws("addresses", "cache"))

describe("the address cache of a connection", () => {
  it.prop(
    "keeps at most 1000, and gives as many as were asked for if it has them (peer 17, cache_is_updated_correctly)",
    { cached: size(1000), fresh: size(1000), count: size(37) },
    ({ cached, count, fresh }) => {
      const before = gossiped(0, cached)
      const arrived = gossiped(1000, fresh)
      const { cache, taken } = AddressCache.take(before, arrived, count, 1000, random)
      const total = cached + fresh
      assert.isAtMost(cache.length, 1000)
      assert.isAtMost(taken.length, count)
      assert.isAtMost(cache.length + taken.length, total)
      assert.strictEqual(taken.length, Math.min(count, total))
      assert.strictEqual(cache.length === 0, total <= count)
      // Nothing is invented, and nothing is both taken and kept.
      const all = new Set([...before, ...arrived])
      const seen = new Set([...taken, ...cache])
      assert.strictEqual(seen.size, taken.length + cache.length)
      for (const each of seen) assert.isTrue(all.has(each))
    },
    { arbitrary: { runs: 64 } }
  )

  it("drops what is new when it is full, so that nobody can flush it (peer 75)", () => {
    const full = gossiped(0, 1000)
    assert.deepStrictEqual(AddressCache.add(full, gossiped(1000, 10), 1000), full)
    // Nor does one that holds more than it may take anything in, or lose what it has.
    assert.deepStrictEqual(AddressCache.add(full, gossiped(1000, 10), 998), full)
    const almostFull = gossiped(0, 995)
    assert.deepStrictEqual(
      AddressCache.add(almostFull, gossiped(995, 10), 1000),
      gossiped(0, 995).concat(gossiped(995, 5))
    )
  })

  it("keeps the order of what came unasked, doubles included", () => {
    const once = gossiped(0, 3)
    assert.deepStrictEqual(AddressCache.add(once, once, 1000), [...once, ...once])
  })

  it("takes at random, so that a peer does not decide by its order what we learn", () => {
    const times = new Map<number, number>()
    for (let i = 0; i < 2000; i++) {
      for (const { lastSeenSeconds } of AddressCache.take(gossiped(0, 10), [], 2, 1000, random).taken) {
        times.set(lastSeenSeconds, (times.get(lastSeenSeconds) ?? 0) + 1)
      }
    }
    // Each of the ten is expected 400 times; the standard deviation is 18.
    for (let i = 0; i < 10; i++) assert.closeTo(times.get(i) ?? 0, 400, 90)
  })
})
