/** A book whose wall clock is set, back or forward, by seconds or by years, while the monotonic one goes on. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Duration, Effect, Option, References } from "effect"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import * as AddressRules from "../../src/addresses/AddressRules.ts"
import { BanList, isBannedIn } from "../../src/addresses/BanList.ts"
import type * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { defaults } from "../../src/Policy.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import { int } from "../support/addressChanges.ts"
import { address, books, bookWorldOf, gossiped } from "../support/bookWorld.ts"
import { twoClocks } from "../support/twoClocks.ts"

const quietly = Effect.provideService(References.MinimumLogLevel, "None")

const format = PeerSocketAddress.format

const [year, day] = [365 * 86_400, 86_400]

/** November 2026. */
const today = 1_795_000_000

const record = (change: PeerAddress.AddressChange) => Effect.flatMap(AddressBook, (book) => book.record(change))
const take = Effect.flatMap(AddressBook, (book) =>
  Effect.map(
    book.takeCandidate,
    Option.map((entry) => format(entry.address))
  )
)
const entries = Effect.flatMap(AddressBook, (book) => book.entries)
const stateOf = (text: string) =>
  Effect.flatMap(AddressBook, (book) => Effect.map(book.get(address(text)), (entry) => Option.getOrThrow(entry).state))

const responds = (text: string) => record({ _tag: "UpdateResponded", address: address(text), roundTrip: undefined })
const fails = (text: string) => record({ _tag: "UpdateFailed", address: address(text), services: undefined })

// -- any book, any clocks --------------------------------------------------------------------------

/** One step of a story: to whom what happens, and how both clocks go on. */
const step = Arbitrary.all([
  int(0, 79),
  int(0, 11),
  int(0, 400_000),
  int(0, 4),
  int(0, 40),
  // Mostly no jump; else of two days, or of years.
  Arbitrary.map(Arbitrary.all([int(0, 19), int(-2 * day, 2 * day), int(-20, 20)]), ([kind, days, years]) =>
    kind === 0 ? days : kind === 1 ? years * year : 0
  )
])

/** Some groups of four ports each, one of them the chain's own. */
const peerOf = (n: number) => address(`10.0.${n >> 2}.1:${[8233, 9000, 9001, 18_234][n & 3]!}`)

const changeOf = (
  peer: PeerSocketAddress.PeerSocketAddress,
  kind: number,
  nowSeconds: number,
  age: number,
  chance: number
): PeerAddress.AddressChange => {
  const services = chance === 0 ? 0n : NODE_NETWORK
  switch (kind) {
    case 0:
      return { _tag: "NewInitial", address: peer }
    case 1:
    case 2:
      return { _tag: "NewGossiped", address: peer, services, lastSeenSeconds: Math.max(0, nowSeconds - age) }
    case 3:
      return { _tag: "UpdateAttempt", address: peer }
    case 4:
    case 5:
      return { _tag: "UpdateFailed", address: peer, services: chance === 1 ? services : undefined }
    case 6:
      return {
        _tag: "UpdateConnected",
        address: peer,
        services,
        isInbound: chance === 2,
        userAgent: "",
        negotiatedVersion: 170_190
      }
    case 7:
      return chance === 3 ? { _tag: "NewConfigured", address: peer } : { _tag: "NewInitial", address: peer }
    default:
      return { _tag: "UpdateResponded", address: peer, roundTrip: undefined }
  }
}

/** Who may be dialled, found by looking at every entry, by the monotonic clock alone. */
const naiveCandidates = (all: ReadonlyArray<PeerAddress.PeerAddress>, monotonicMillis: number, perGroup: number) => {
  const secondsSince = (millis: number | undefined) =>
    millis === undefined ? Number.POSITIVE_INFINITY : (monotonicMillis - millis) / 1000
  const groups = new Map<string, number>()
  for (const { address, lastResponseMillis: millis } of all) {
    const group = AddressRules.limitKey(address)
    if (millis !== undefined) groups.set(group, Math.max(millis, groups.get(group) ?? millis))
  }
  return all.filter((entry) => {
    const isUseful =
      !entry.isInbound &&
      entry.services !== 0n &&
      (entry.state !== "Failed" || secondsSince(entry.lastResponseMillis ?? entry.untrustedLastSeenMillis) <= 3 * day)
    const times = [entry.lastAttemptMillis, entry.lastFailureMillis, entry.lastResponseMillis]
    const isRested = times.every((millis) => secondsSince(millis) > 119)
    const isAlone = perGroup > 1 || secondsSince(groups.get(AddressRules.limitKey(entry.address))) > 119
    return (isUseful || entry.isConfigured) && isRested && isAlone
  })
}

describe("whichever way either clock goes, in the reference's order", () => {
  const bookWorld = bookWorldOf("reference")

  for (const [perGroup, addressBookCapacity] of [
    [1, 100],
    [2, 100],
    [2, 12]
  ] as const) {
    it.effect.prop(
      `the next candidate is the one that anybody would find who looked at everything: ${perGroup}, ${addressBookCapacity}`,
      { story: Arbitrary.array(step, { minLength: 40, maxLength: 160 }) },
      ({ story }) => {
        const clocks = twoClocks(today)
        const policy = { connectionsPerGroup: perGroup, addressBookCapacity, targetPeers: 5 }
        return Effect.gen(function* () {
          const book = yield* AddressBook
          const bans = yield* BanList
          const named = new Set<string>()
          for (const [n, kind, age, chance, seconds, jump] of story) {
            const peer = peerOf(n)
            if (kind === 9 && chance === 4) {
              yield* book.ban({ address: peer, reason: "", duration: Duration.seconds(age % 1000) })
            } else {
              const change = changeOf(peer, kind, clocks.wallSeconds, age, chance)
              if (change._tag === "NewConfigured" && named.size < addressBookCapacity) named.add(format(peer))
              yield* book.record(change)
            }
            clocks.pass(seconds)
            // Never before the Unix epoch.
            clocks.wallSeconds = Math.max(10 * day, clocks.wallSeconds + jump)
            const isFree = (peer: PeerSocketAddress.PeerSocketAddress) =>
              !isBannedIn(bans.bans.getUnsafe(), peer, clocks.wallSeconds)

            const count = yield* book.readyCount
            const all = yield* book.entries
            // A ban that was over is in force again when the clock is set back, and finds entries that came meanwhile.
            const expected = naiveCandidates(all, clocks.monotonicMillis, perGroup).filter(({ address }) =>
              isFree(address)
            )
            assert.strictEqual(count, expected.length)
            for (const entry of all) {
              assert.isAtMost(entry.lastResponseSeconds ?? 0, clocks.wallSeconds)
              assert.isAtMost(entry.untrustedLastSeenSeconds ?? 0, clocks.wallSeconds)
            }
            // Whom the operator named is always there, and always as such, but for a ban.
            const known = new Map(all.map((entry) => [format(entry.address), entry]))
            for (const text of named) {
              if (isFree(address(text))) assert.isTrue(known.get(text)?.isConfigured, text)
            }

            const recoverable = (yield* book.recoverable).map(format)
            assert.isAtMost(recoverable.length, 5)
            const proven = all.filter(
              (entry) =>
                entry.lastResponseMillis !== undefined &&
                (entry.isConfigured || (!entry.isInbound && entry.services !== 0n)) &&
                clocks.monotonicMillis - (entry.lastAttemptMillis ?? -Infinity) > 119_000 &&
                isFree(entry.address)
            )
            assert.strictEqual(recoverable.length, Math.min(5, proven.length))
            assert.includeMembers(
              proven.map((entry) => format(entry.address)),
              recoverable
            )

            if (kind < 10) continue
            const taken = yield* book.takeCandidate
            assert.deepStrictEqual(
              Option.getOrUndefined(Option.map(taken, (entry) => format(entry.address))),
              expected[0] === undefined ? undefined : format(expected[0].address)
            )
          }
        }).pipe(Effect.provide(bookWorld(policy)), clocks.provide, quietly)
      },
      { arbitrary: { runs: 60 } }
    )
  }
})

// -- the clock of one node -------------------------------------------------------------------------

describe.each(books)("a node whose wall clock was years ahead and is set back (%s)", (name) => {
  const bookWorld = bookWorldOf(name)

  it.effect.each([1, 2])(
    "dials again after 119 seconds who had responded, whatever it takes for a group: %s",
    (perGroup) => {
      const clocks = twoClocks(today + 14 * year)
      return Effect.gen(function* () {
        yield* responds("10.0.0.1:8233")
        clocks.pass(30)
        clocks.wallSeconds = today
        // It hears of what happens to it all the same.
        yield* fails("10.0.0.1:8233")
        assert.strictEqual(yield* stateOf("10.0.0.1:8233"), "Failed")
        clocks.pass(119)
        assert.deepStrictEqual(yield* take, Option.none())
        clocks.pass(1)
        assert.deepStrictEqual(yield* take, Option.some("10.0.0.1:8233"))
      }).pipe(Effect.provide(bookWorld({ connectionsPerGroup: perGroup })), clocks.provide, quietly)
    }
  )

  it.effect("dials others of a group that had responded, after 119 seconds", () => {
    const clocks = twoClocks(today + 14 * year)
    return Effect.gen(function* () {
      yield* responds("10.0.0.1:8233")
      clocks.wallSeconds = today
      yield* (yield* AddressBook).addGossiped([gossiped("10.0.0.1:9000", today)])
      clocks.pass(60)
      yield* fails("10.0.0.1:8233")
      clocks.pass(59)
      assert.deepStrictEqual(yield* take, Option.none())
      clocks.pass(1)
      assert.deepStrictEqual(yield* take, Option.some("10.0.0.1:9000"))
    }).pipe(Effect.provide(bookWorld()), clocks.provide, quietly)
  })

  it.effect("tells nobody of times to come, and keeps none", () => {
    const clocks = twoClocks(today + 14 * year)
    return Effect.gen(function* () {
      const book = yield* AddressBook
      yield* responds("10.0.0.1:8233")
      yield* book.addGossiped([gossiped("10.0.0.2:8233", today + 14 * year - 60)])
      clocks.wallSeconds = today
      const told = yield* book.gossip
      assert.strictEqual(told.length, 2)
      for (const { lastSeenSeconds } of told) assert.strictEqual(lastSeenSeconds, today - (today % 1800))
      const [first, second] = yield* entries
      assert.deepStrictEqual([first?.lastResponseSeconds, second?.untrustedLastSeenSeconds], [today, today])
      // From here on they age as any other.
      clocks.pass(3 * 3600 + 1800)
      assert.isEmpty(yield* book.gossip)
    }).pipe(Effect.provide(bookWorld({ gossipShare: 1 })), clocks.provide, quietly)
  })

  it.effect("gives up on who failed three days after it was seen, by our time, not by theirs", () => {
    const clocks = twoClocks(today + 14 * year)
    return Effect.gen(function* () {
      yield* responds("10.0.0.1:8233")
      clocks.wallSeconds = today
      clocks.pass(3 * day - 119)
      yield* fails("10.0.0.1:8233")
      clocks.pass(119)
      assert.deepStrictEqual(yield* take, Option.none())
      clocks.pass(1)
      assert.deepStrictEqual(yield* take, Option.none())
      // And so it is for whoever starts over.
      assert.deepStrictEqual((yield* (yield* AddressBook).recoverable).map(format), ["10.0.0.1:8233"])
    }).pipe(Effect.provide(bookWorld()), clocks.provide, quietly)
  })
})

describe.each(books)("a node that began in 1970 and is told the time (%s)", (name) => {
  const bookWorld = bookWorldOf(name)

  it.effect("still dials who had responded, and who was said to be seen, for three days", () => {
    const clocks = twoClocks(1000)
    return Effect.gen(function* () {
      const book = yield* AddressBook
      yield* responds("10.0.0.1:8233")
      yield* book.addGossiped([gossiped("10.2.0.1:8233", 990)])
      clocks.pass(30)
      yield* fails("10.0.0.1:8233")
      yield* fails("10.2.0.1:8233")
      clocks.wallSeconds = today
      clocks.pass(120)
      assert.sameDeepMembers([yield* take, yield* take], [Option.some("10.2.0.1:8233"), Option.some("10.0.0.1:8233")])
      yield* fails("10.0.0.1:8233")
      yield* fails("10.2.0.1:8233")
      clocks.pass(3 * day)
      assert.deepStrictEqual(yield* take, Option.none())
    }).pipe(Effect.provide(bookWorld()), clocks.provide, quietly)
  })

  it.effect("leaves alone whom it is connected to", () => {
    const clocks = twoClocks(1000)
    return Effect.gen(function* () {
      yield* responds("10.0.0.1:8233")
      clocks.pass(60)
      clocks.wallSeconds = today
      assert.deepStrictEqual(yield* take, Option.none())
      clocks.pass(59)
      assert.deepStrictEqual(yield* take, Option.none())
      assert.strictEqual((yield* (yield* AddressBook).recentlyLive).length, 1)
    }).pipe(Effect.provide(bookWorld()), clocks.provide, quietly)
  })
})

describe.each(books)("a wall clock that is set (%s)", (name) => {
  const bookWorld = bookWorldOf(name)

  it.effect.prop(
    "makes no dial come earlier or later: the same story without it dials the same at the same moments",
    { story: Arbitrary.array(step, { minLength: 20, maxLength: 120 }) },
    ({ story }) => {
      const dialsOf = (withJumps: boolean) => {
        const clocks = twoClocks(today)
        return Effect.gen(function* () {
          const dials: Array<string> = []
          for (const [n, kind, age, chance, seconds, jump] of story) {
            // What others claim is measured from the clock as it is, so it may not say the same.
            if (kind > 2) yield* record(changeOf(peerOf(n), kind, 0, age, chance))
            else yield* record({ _tag: "NewInitial", address: peerOf(n) })
            clocks.pass(seconds)
            if (withJumps) clocks.wallSeconds = Math.max(10 * day, clocks.wallSeconds + jump)
            const taken = yield* take
            if (Option.isSome(taken)) dials.push(`${taken.value} at ${clocks.monotonicMillis}`)
          }
          return dials.toSorted()
        }).pipe(Effect.provide(bookWorld({ ...defaults, connectionsPerGroup: 1 })), clocks.provide, quietly)
      }
      return Effect.gen(function* () {
        assert.deepStrictEqual(yield* dialsOf(true), yield* dialsOf(false))
      })
    },
    { arbitrary: { runs: 60 } }
  )
})
