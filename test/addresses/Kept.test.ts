/** What a hardened book begins with and what it keeps for the next run; and when it counts a peer as connected. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option } from "effect"
import { TestClock } from "effect/testing"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { byNetwork } from "../../src/addresses/AddressGroups.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import * as HardenedBook from "../../src/addresses/HardenedBook.ts"
import type * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import type { Policy } from "../../src/Policy.ts"
import { address, bookWorld, bookWorldOf, connects, fails, gossiped, nowSeconds } from "../support/bookWorld.ts"

const saved = (text: string, facts: Partial<HardenedBook.SavedEntry> = {}): HardenedBook.SavedEntry => ({
  address: address(text),
  table: "new",
  source: undefined,
  services: 1n,
  untrustedLastSeenSeconds: undefined,
  lastResponseSeconds: undefined,
  firstSuccessSeconds: undefined,
  failures: 0,
  ...facts
})

const begin = (entries: ReadonlyArray<HardenedBook.SavedEntry>, anchors: ReadonlyArray<string> = []) =>
  HardenedBook.makeFrom({
    key: new Uint8Array(32).fill(3),
    groups: byNetwork,
    rules: HardenedBook.allRules,
    saved: entries,
    anchors: anchors.map(address)
  })

const inBook =
  (book: AddressBook["Service"]) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.provideService(effect, AddressBook, book)

const record = (change: PeerAddress.AddressChange) => Effect.flatMap(AddressBook, (book) => book.record(change))
const answers = (text: string) => record({ _tag: "UpdateResponded", address: address(text), roundTrip: undefined })
const comesFrom = (text: string) =>
  record({
    _tag: "UpdateConnected",
    address: address(text),
    services: 1n,
    isInbound: true,
    userAgent: "/x/",
    negotiatedVersion: 170_190
  })
const texts = (addresses: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) => addresses.map(PeerSocketAddress.format)
const entriesOf = (book: AddressBook["Service"]) =>
  Effect.map(book.entries, (entries) => texts(entries.map((entry) => entry.address)))

/** 2027, and long after the node was started. */
const start = Effect.andThen(TestClock.setTime(1_800_000_000_000), nowSeconds)

describe("a book that begins with what an earlier run kept", () => {
  it.effect("has each once that can be dialled on this chain and is not banned", () =>
    Effect.gen(function* () {
      yield* start
      yield* (yield* BanList).add({ address: address("40.4.0.1:1"), reason: "x" })
      const { book } = yield* begin([
        saved("40.1.0.1:8233", { failures: 2 }),
        saved("40.1.0.1:8233", { failures: 5 }),
        saved("40.2.0.1:18233"),
        saved("40.3.0.1:0"),
        saved("40.4.0.1:8233"),
        saved("40.5.0.1:8233", { table: undefined })
      ])
      assert.deepStrictEqual((yield* entriesOf(book)).toSorted(), ["40.1.0.1:8233", "40.5.0.1:8233"])
      assert.deepInclude(yield* book.sizes, { new: 2, tried: 0, groups: 2 })
      assert.deepInclude(yield* book.why(address("40.1.0.1:8233")), { failures: 2, table: "new", against: undefined })
      // What the ban took is not known, and comes back as anybody.
      assert.strictEqual((yield* book.why(address("40.4.0.1:8233"))).against, "banned")
      yield* TestClock.adjust("24 hours")
      assert.strictEqual((yield* book.why(address("40.4.0.1:8233"))).against, "unknown")
      assert.strictEqual(yield* book.addGossiped([gossiped("40.4.0.1:8233", yield* nowSeconds)]), 1)
    }).pipe(Effect.provide(bookWorld()))
  )

  it.effect("counts their failures on, and rests as long for the next one", () =>
    Effect.gen(function* () {
      const now = yield* start
      const { book } = yield* begin([
        saved("40.1.0.1:8233", { failures: 1, untrustedLastSeenSeconds: now }),
        saved("40.2.0.1:8233", { untrustedLastSeenSeconds: now })
      ])
      const inside = inBook(book)
      yield* inside(connects("40.3.0.1:8233"))
      yield* inside(fails("40.1.0.1:8233"))
      yield* inside(fails("40.2.0.1:8233"))
      yield* TestClock.adjust("119001 millis")
      const against = (text: string) => Effect.map(book.why(address(text)), (found) => found.against)
      assert.deepStrictEqual([yield* against("40.1.0.1:8233"), yield* against("40.2.0.1:8233")], ["resting", undefined])
      yield* TestClock.adjust("59500 millis")
      assert.isUndefined(yield* against("40.1.0.1:8233"))
    }).pipe(Effect.provide(bookWorld()))
  )

  it.effect("has its anchors until it has some of its own, and not again when these are gone", () =>
    Effect.gen(function* () {
      const { book } = yield* begin([], ["40.1.0.1:8233", "40.2.0.1:8233"])
      const inside = inBook(book)
      assert.deepStrictEqual(texts(yield* book.anchors), ["40.1.0.1:8233", "40.2.0.1:8233"])
      // One that is only being dialled is none.
      yield* inside(record({ _tag: "UpdateAttempt", address: address("40.3.0.1:8233") }))
      assert.deepStrictEqual(texts(yield* book.anchors), ["40.1.0.1:8233", "40.2.0.1:8233"])
      yield* inside(connects("40.3.0.1:8233"))
      assert.deepStrictEqual(texts(yield* book.anchors), ["40.3.0.1:8233"])
      yield* TestClock.adjust("6 seconds")
      yield* inside(fails("40.3.0.1:8233"))
      assert.isEmpty(yield* book.anchors)
    }).pipe(Effect.provide(bookWorld()))
  )

  it.effect("knows which parts answered within a day, in whatever order they were written", () =>
    Effect.gen(function* () {
      const now = yield* start
      const met = (n: number, minutesAgo: number) =>
        saved(`40.${n}.0.1:8233`, {
          table: "tried",
          lastResponseSeconds: now - minutesAgo * 60,
          firstSuccessSeconds: now - minutesAgo * 60
        })
      const others = [6, 7, 8].map((n) => saved(`40.${n}.0.1:8233`))
      const { book } = yield* begin([met(1, 60), met(2, 22 * 60 + 30), ...others])
      const inside = inBook(book)
      const pass = (minutes: number) =>
        Effect.forEach(Array.from({ length: minutes }), () =>
          Effect.andThen(TestClock.adjust("1 minute"), inside(answers("40.5.0.1:8233")))
        )
      const hasSecond = book.hasRoom(address("40.5.0.2:8233"))
      yield* inside(connects("40.5.0.1:8233"))
      // No part was new for an hour, but each of three places is for the first one of a part that answered within a day.
      yield* pass(90)
      assert.isFalse(yield* hasSecond)
      // The second part did so more than a day ago.
      yield* pass(1)
      assert.isTrue(yield* hasSecond)
    }).pipe(Effect.provide(bookWorld({ targetPeers: 3, outboundMultiplier: 1, groupsForOneEach: 4 })))
  )

  it.effect("knows a part as long as somebody answers there, by whatever message", () =>
    Effect.gen(function* () {
      const { book } = yield* begin([6, 7, 8].map((n) => saved(`40.${n}.0.1:8233`)))
      const inside = inBook(book)
      const peers = ["40.1.0.1:8233", "40.2.0.1:8233"]
      yield* inside(Effect.forEach(peers, connects))
      for (let minute = 0; minute < 20; minute++) {
        yield* TestClock.adjust("1 minute")
        yield* inside(Effect.forEach(peers, answers))
      }
      // Both places are for these two.
      assert.isFalse(yield* book.hasRoom(address("40.1.0.2:8233")))
    }).pipe(
      Effect.provide(
        bookWorld({
          targetPeers: 2,
          outboundMultiplier: 1,
          groupsForOneEach: 3,
          groupsMet: Duration.minutes(1),
          groupMemory: Duration.minutes(10)
        })
      )
    )
  )
})

describe("what is kept of a book", () => {
  it.effect("is everybody it could dial, where each stands and what is known of it, and its anchors", () =>
    Effect.gen(function* () {
      const now = yield* start
      const { book, save } = yield* begin([])
      const inside = inBook(book)
      assert.deepStrictEqual(yield* save, { entries: [], anchors: [] })
      yield* book.addGossiped([gossiped("40.1.0.1:8233", now - 60)], address("50.1.0.1:8233"))
      yield* inside(connects("40.2.0.1:8233"))
      yield* inside(comesFrom("40.3.0.1:8233"))
      yield* TestClock.adjust("10 seconds")
      yield* inside(fails("40.1.0.1:8233"))
      const { anchors, entries } = yield* save
      assert.deepStrictEqual(texts(anchors), ["40.2.0.1:8233"])
      assert.deepStrictEqual(entries, [
        saved("40.1.0.1:8233", { source: "50.1", untrustedLastSeenSeconds: now - 60, failures: 1 }),
        saved("40.2.0.1:8233", {
          table: "tried",
          source: "40.2",
          lastResponseSeconds: now,
          firstSuccessSeconds: now
        })
      ])
    }).pipe(Effect.provide(bookWorld()))
  )
})

describe("a peer is connected", () => {
  const world = (policy: Partial<Policy> = {}) => bookWorldOf("hardened")(policy)
  const hasRoom = Effect.flatMap(AddressBook, (book) => book.hasRoom(address("40.1.0.9:8233")))

  it.effect("when it answers, though its handshake came too soon after a failure to count", () =>
    Effect.gen(function* () {
      const { anchors } = yield* AddressBook
      yield* fails("40.1.0.1:8233")
      yield* TestClock.adjust("1 second")
      yield* connects("40.1.0.1:8233")
      assert.deepStrictEqual([yield* hasRoom, texts(yield* anchors)], [true, []])
      yield* TestClock.adjust("6 seconds")
      yield* answers("40.1.0.1:8233")
      assert.deepStrictEqual([yield* hasRoom, texts(yield* anchors)], [false, ["40.1.0.1:8233"]])
      // An answer later does not make it newer.
      yield* TestClock.adjust("6 seconds")
      yield* connects("40.2.0.1:8233")
      yield* TestClock.adjust("6 seconds")
      yield* answers("40.1.0.1:8233")
      assert.deepStrictEqual(texts(yield* anchors), ["40.1.0.1:8233", "40.2.0.1:8233"])
    }).pipe(Effect.provide(world()))
  )

  it.effect("not when it was only looked at, and is when it is dialled once more", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      yield* book.addGossiped([gossiped("40.1.0.1:8233", yield* nowSeconds)])
      assert.isTrue(Option.isSome(yield* book.takeFeeler))
      yield* TestClock.adjust("1 second")
      yield* answers("40.1.0.1:8233")
      assert.isTrue(yield* hasRoom)
      yield* TestClock.adjust("6 seconds")
      yield* fails("40.1.0.1:8233")
      yield* TestClock.adjust(Duration.seconds(200))
      assert.isTrue(Option.isSome(yield* book.takeCandidate))
      yield* connects("40.1.0.1:8233")
      assert.isFalse(yield* hasRoom)
    }).pipe(Effect.provide(world()))
  )

  it.effect("from the first handshake on, of those that follow each other, and so was it met first", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      const now = yield* start
      yield* connects("40.1.0.1:8233")
      yield* TestClock.adjust("100 seconds")
      yield* connects("40.2.0.1:8233")
      yield* connects("40.1.0.1:8233")
      assert.deepStrictEqual(texts(yield* book.anchors), ["40.1.0.1:8233", "40.2.0.1:8233"])
      assert.strictEqual((yield* book.why(address("40.1.0.1:8233"))).firstSuccessSeconds, now)
    }).pipe(Effect.provide(world()))
  )
})
