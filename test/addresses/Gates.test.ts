/**
 * What bans and tables have to hold against numbers, from five fixed seeds: the gates that need no world. The others are in
 * `test/simulation/Eclipse.test.ts`. A million addresses where `NETWORK_EFFECT_LONG` is set, and a twentieth of them else; 20,001
 * bans are in `AddressBook.test.ts`, as many as a list of a twentieth takes in any order here.
 */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, HashMap, References } from "effect"
import { TestClock } from "effect/testing"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { byNetwork } from "../../src/addresses/AddressGroups.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import * as HardenedBook from "../../src/addresses/HardenedBook.ts"
import { Tables } from "../../src/addresses/Tables.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { address, bookWorld, connects, fails, gossiped, nowSeconds } from "../support/bookWorld.ts"
import { isLong } from "../support/long.ts"

const seeds = [1, 2, 3, 4, 5]
const range = (count: number) => Array.from({ length: count }, (_, n) => n)

/** Whole numbers from 0 to below a limit, of one seed. */
const drawer = (seed: number, what: string) => {
  const fraction = SeededRandom.fractions(SeededRandom.draws(seed, what))
  return (limit: number) => Math.floor(fraction() * limit)
}

describe("a ban that is not over", { timeout: 600_000 }, () => {
  const banCapacity = 1000

  for (const seed of seeds) {
    it.effect(`is there after one host more than fit was banned, in any order: seed ${seed} (X9, G6)`, () =>
      Effect.gen(function* () {
        const below = drawer(seed, "bans")
        const book = yield* AddressBook
        const bans = yield* BanList
        const old = address("192.0.2.1:8233")
        const oldAt = below(banCapacity / 2)
        // Other hosts come as fast as they like, and are banned for a day like anybody.
        for (const n of range(banCapacity + 1)) {
          if (n === oldAt) yield* book.ban({ address: old, reason: "operator", duration: Duration.hours(36) })
          const host = address(`${20 + below(160)}.${below(256)}.${n >> 8}.${n & 255}:${1 + below(65_535)}`)
          yield* book.ban({ address: host, reason: "misbehaved" })
          if (below(100) === 0) yield* TestClock.adjust(Duration.seconds(below(120)))
        }
        assert.strictEqual(HashMap.size(bans.bans.getUnsafe()), banCapacity)
        assert.isTrue(yield* bans.isBanned(old))
        // It is dialled by nobody, whoever tells of it.
        yield* book.addGossiped([gossiped("192.0.2.1:8233", yield* nowSeconds)])
        assert.strictEqual((yield* book.why(old)).against, "banned")
        yield* TestClock.adjust("36 hours")
        assert.isFalse(yield* bans.isBanned(old))
      }).pipe(Effect.provide(bookWorld({ banCapacity })), Effect.provideService(References.MinimumLogLevel, "None"))
    )
  }
})

/** Hosts of one IPv6 /32, which is one part of the internet, each in a /64 of its own. */
const hostOf = (n: number) => `[2a0e:97c0:${(n >> 16).toString(16)}:${(n & 0xffff).toString(16)}::1]:8233`
const keyOf = (seed: number) => Uint8Array.from(range(32).map(drawer(seed, "secret").bind(undefined, 256)))

describe("a part of the internet", { timeout: 600_000 }, () => {
  const perSecret = isLong ? 200_000 : 10_000

  for (const seed of seeds) {
    it(`has 8 of 256 buckets, and who tells of it 64 of 1,024, whatever it has: secret ${seed} of five with a million addresses (G8)`, () => {
      const tables = new Tables(keyOf(seed), 5000)
      const [heard, met] = [new Set<number>(), new Set<number>()]
      for (let n = 0; n < perSecret; n++) {
        // One source tells of all parts; one part has all addresses.
        heard.add(tables.newBucket(`2a0e:${n.toString(16)}`, "2a0e:97c0"))
        met.add(tables.triedBucket(hostOf(n), "2a0e:97c0"))
      }
      assert.isAtMost(heard.size, 64)
      assert.isAtMost(met.size, 8)
      // They are all used, or nearly: the bound is one that is reached.
      assert.isAtLeast(heard.size, 56)
      assert.isAtLeast(met.size, 6)
    })

    it.effect(`and of a book no more than these hold: secret ${seed} (G8)`, () =>
      Effect.gen(function* () {
        const rules = { ...HardenedBook.allRules, sourceTokens: false }
        const { book } = yield* HardenedBook.makeFrom({
          key: keyOf(seed),
          groups: byNetwork,
          rules,
          saved: [],
          anchors: []
        })
        const { shapes } = new Tables(keyOf(seed), 5000)
        const from = address("[2a0e:97c0::1]:8233")
        const told = range(2000).map((n) => gossiped(`[2a0f:${n.toString(16)}::1]:8233`, 0))
        yield* book.addGossiped(told, from)
        const heard = yield* book.sizes
        assert.isAtMost(heard.new, 64 * shapes.new.places)
        assert.isAtLeast(heard.new, 56 * shapes.new.places)
        for (const text of range(2000).map(hostOf)) {
          yield* Effect.provideService(connects(text), AddressBook, book)
          yield* Effect.provideService(fails(text), AddressBook, book)
        }
        const { tried } = yield* book.sizes
        assert.isAtMost(tried, 8 * shapes.tried.places)
        assert.isAtLeast(tried, 6 * shapes.tried.places)
      }).pipe(Effect.provide(bookWorld()))
    )
  }
})
