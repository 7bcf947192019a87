/** What a hardened book knows of one address or source and what follows from it: each limit, before it and at it. */
import { assert, describe, it } from "@effect/vitest"
import { FailureMemory } from "../../src/addresses/FailureMemory.ts"
import * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import { SourceTokens } from "../../src/addresses/SourceTokens.ts"
import * as Standing from "../../src/addresses/Standing.ts"
import { defaults } from "../../src/Policy.ts"
import { address } from "../support/bookWorld.ts"

const day = 86_400
const wallSeconds = 1_800_000_000
const now: PeerAddress.Now = { wallSeconds, monotonicMillis: 1_000_000_000 }
const bob = address("40.1.0.1:8233")

const entryOf = (facts: Partial<PeerAddress.PeerAddress> = {}): PeerAddress.PeerAddress => ({
  ...PeerAddress.apply({ _tag: "NewInitial", address: bob }, undefined, now, defaults)!,
  ...facts
})
const standingOf = (entry: PeerAddress.PeerAddress | undefined, facts: Partial<Standing.Standing> = {}) =>
  Object.assign(Standing.make(bob, "40.1", false, undefined), { entry }, facts)

describe("an address of which nothing is known yet", () => {
  it("is told of by who told of it, or by its own part of the internet", () => {
    assert.deepStrictEqual(
      [Standing.make(bob, "40.1", false, undefined), Standing.make(bob, "40.1", true, "50.2")].map(
        ({ isExempt, source }) => [source, isExempt]
      ),
      [
        ["40.1", false],
        ["50.2", true]
      ]
    )
    const { bucket, failures, isFeeler, table } = standingOf(undefined)
    assert.deepStrictEqual([bucket, failures, isFeeler, table], [0, 0, false, undefined])
  })

  it("answered before everybody, and whoever answered did then", () => {
    assert.strictEqual(Standing.answeredMillis(standingOf(undefined)), -Infinity)
    assert.strictEqual(Standing.answeredMillis(standingOf(entryOf())), -Infinity)
    assert.strictEqual(Standing.answeredMillis(standingOf(entryOf({ lastResponseMillis: -5 }))), -5)
  })
})

describe("tenure", () => {
  it("is of whoever was first met a day ago, to the second (E6)", () => {
    const has = (firstSuccessSeconds: number | undefined) =>
      Standing.hasTenure(standingOf(entryOf(), { firstSuccessSeconds }), now, defaults)
    assert.deepStrictEqual([undefined, wallSeconds - day + 1, wallSeconds - day, 0].map(has), [
      false,
      false,
      true,
      true
    ])
  })
})

describe("an address of no use", () => {
  const isUseless = (facts: Partial<PeerAddress.PeerAddress>, failures = 0) =>
    Standing.isUseless(standingOf(entryOf(facts), { failures }), now, defaults)
  const answered = (secondsAgo: number) => ({
    lastResponseSeconds: wallSeconds - secondsAgo,
    lastResponseMillis: now.monotonicMillis - secondsAgo * 1000
  })

  it("failed three times and never answered", () => {
    assert.deepStrictEqual(
      [0, 2, 3, 4].map((failures) => isUseless({}, failures)),
      [false, false, true, true]
    )
  })

  it("was seen by nobody for more than thirty days: by us, or else by others", () => {
    const seen = (secondsAgo: number) => ({ untrustedLastSeenSeconds: wallSeconds - secondsAgo })
    assert.deepStrictEqual(
      [seen(30 * day), seen(30 * day + 1), answered(30 * day), answered(30 * day + 1)].map((facts) => isUseless(facts)),
      [false, true, false, true]
    )
    // What we saw counts, whatever others say.
    assert.isFalse(isUseless({ ...answered(day), ...seen(40 * day) }))
    assert.isTrue(isUseless({ ...answered(40 * day), ...seen(day) }))
  })

  it("answered once, failed ten times since, and gave no answer for more than seven days", () => {
    assert.deepStrictEqual(
      [9, 10, 11].map((failures) => isUseless(answered(7 * day + 1), failures)),
      [false, true, true]
    )
    assert.deepStrictEqual(
      [7 * day, 7 * day + 1].map((ago) => isUseless(answered(ago), 10)),
      [false, true]
    )
  })

  it("is never the operator's, nor one that something happened to within 119 seconds", () => {
    const useless = answered(40 * day)
    assert.deepStrictEqual([isUseless(useless), isUseless({ ...useless, isConfigured: true })], [true, false])
    for (const millis of [119_000, 119_001]) {
      for (const facts of [
        { lastAttemptMillis: now.monotonicMillis - millis },
        { lastFailureMillis: now.monotonicMillis - millis }
      ]) {
        assert.strictEqual(isUseless({ ...useless, ...facts }, 20), millis > 119_000)
      }
    }
  })
})

describe("the tokens of a source (E8)", () => {
  it("are so many at first, one more in ten seconds up to as many, and what is refused costs none", () => {
    const tokens = new SourceTokens({ ...defaults, sourceBurst: 3, sourceRate: 0.1 })
    const taken = (source: string, millis: number, times: number) =>
      Array.from({ length: times }, () => tokens.take(source, millis)).filter(Boolean).length
    assert.strictEqual(taken("a", 0, 5), 3)
    assert.strictEqual(taken("b", 0, 1), 1)
    assert.strictEqual(taken("a", 9999, 9), 0)
    assert.strictEqual(taken("a", 10_000, 2), 1)
    assert.strictEqual(taken("a", 35_000, 4), 2)
    // Half of one was left over.
    assert.strictEqual(taken("a", 39_999, 1), 0)
    assert.strictEqual(taken("a", 40_000, 2), 1)
    assert.strictEqual(taken("a", 1e9, 9), 3)
    assert.strictEqual(taken("b", 1e9, 9), 3)
  })

  it("are remembered of so many sources, those that told something last", () => {
    const tokens = new SourceTokens({ ...defaults, sourceBurst: 1, sourceCapacity: 2 })
    const take = (source: string) => tokens.take(source, 0)
    assert.deepStrictEqual(["a", "b", "a", "c", "a", "c", "b"].map(take), [true, true, false, true, false, false, true])
    // Which pushed out the one that had waited for longest.
    assert.deepStrictEqual(["c", "a"].map(take), [false, true])
  })
})

describe("the failures of an earlier run", () => {
  it("are of long ago, and none is nothing to remember", () => {
    const memory = new FailureMemory(2)
    memory.restore("a", 0)
    memory.restore("b", 1)
    memory.restore("c", 7)
    assert.strictEqual(memory.size, 2)
    assert.isUndefined(memory.of("a"))
    assert.deepStrictEqual(memory.of("b"), { latestMillis: -Infinity, failures: 1 })
    memory.failed("c", 5)
    assert.deepStrictEqual(memory.of("c"), { latestMillis: 5, failures: 8 })
    memory.attempted("b", 6)
    assert.deepStrictEqual(memory.of("b"), { latestMillis: 6, failures: 1 })
    memory.attempted("d", 7)
    assert.deepStrictEqual([memory.of("c"), memory.of("d")], [undefined, { latestMillis: 7, failures: 0 }])
  })
})
