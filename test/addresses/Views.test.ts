/** What others see of a book: why an address is not dialled, where some stand, who is alive, and what it counts. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option, Stream } from "effect"
import { TestClock } from "effect/testing"
import { AddressBook, type AddressBookChange } from "../../src/addresses/AddressBook.ts"
import type * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import { mainnet, regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { address, books, bookWorldOf, connects, fails, gossiped, nowSeconds } from "../support/bookWorld.ts"
import { settle } from "../support/time.ts"

const record = (change: PeerAddress.AddressChange) => Effect.flatMap(AddressBook, (book) => book.record(change))
const answers = (text: string) => record({ _tag: "UpdateResponded", address: address(text), roundTrip: undefined })
const names = (text: string) => record({ _tag: "NewConfigured", address: address(text) })
const comesFrom = (text: string, services = 1n) =>
  record({
    _tag: "UpdateConnected",
    address: address(text),
    services,
    isInbound: true,
    userAgent: "/x/",
    negotiatedVersion: 170_190
  })
const tell = (...texts: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const now = yield* nowSeconds
    return yield* (yield* AddressBook).addGossiped(texts.map((text) => gossiped(text, now)))
  })
const why = (text: string) => Effect.flatMap(AddressBook, (book) => book.why(address(text)))
const against = (text: string) => Effect.map(why(text), (found) => found.against)
const format = ({ address }: PeerAddress.PeerAddress) => PeerSocketAddress.format(address)

describe.each(books)("why an address is not dialled next (%s)", (name) => {
  const world = bookWorldOf(name)

  it.effect("is the first that holds: a ban, no entry, nobody who serves there, of late, out of reach, its host", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      const one = "40.1.0.1:8233"
      assert.strictEqual(yield* against(one), "unknown")
      yield* comesFrom("40.2.0.1:8233")
      assert.strictEqual(yield* against("40.2.0.1:8233"), "not-dialable")
      yield* connects("40.3.0.1:8233")
      assert.strictEqual(yield* against("40.3.0.1:8233"), "recently-updated")
      // Another port of a host that answered.
      yield* tell("40.3.0.1:9000")
      assert.strictEqual(yield* against("40.3.0.1:9000"), "host-connected")
      // Nobody ever saw it.
      yield* book.addPeer(address(one))
      assert.isUndefined(yield* against(one))
      yield* fails(one)
      yield* names("40.4.0.1:8233")
      yield* fails("40.4.0.1:8233")
      yield* TestClock.adjust("119 seconds")
      assert.deepStrictEqual(
        [yield* against(one), yield* against("40.4.0.1:8233"), yield* against("40.3.0.1:9000")],
        ["recently-updated", "recently-updated", "host-connected"]
      )
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(
        [yield* against(one), yield* against("40.4.0.1:8233"), yield* against("40.3.0.1:9000")],
        ["unreachable", undefined, undefined]
      )
      yield* book.ban({ address: address("40.3.0.1:1"), reason: "x", duration: Duration.hours(1) })
      assert.strictEqual(yield* against("40.3.0.1:8233"), "banned")
      const { limit } = yield* why("40.3.0.1:8233")
      assert.deepStrictEqual(limit, { group: "40.3.0.1", isBanned: true })
      assert.deepStrictEqual((yield* why(one)).limit, { group: "40.1.0.1", isBanned: false })
      assert.strictEqual((yield* why(one)).entry?.state, "Failed")
    }).pipe(Effect.provide(world({}, mainnet)))
  )

  it.effect("is no host that answered where more than one connection to it is allowed", () =>
    Effect.gen(function* () {
      yield* connects("10.3.0.1:18233")
      yield* tell("10.3.0.1:9000")
      assert.isUndefined(yield* against("10.3.0.1:9000"))
    }).pipe(Effect.provide(world({ connectionsPerGroup: 2 }, regtest)))
  )
})

describe("why a hardened book does not dial an address next", () => {
  const world = bookWorldOf("hardened")

  it.effect("is that it rests after some failures, until it has rested", () =>
    Effect.gen(function* () {
      yield* tell("40.1.0.1:8233", "40.2.0.1:8233")
      yield* connects("40.1.0.1:8233")
      for (const _ of [1, 2]) {
        yield* TestClock.adjust("6 seconds")
        yield* fails("40.2.0.1:8233")
      }
      // Half as much again after the second one.
      yield* TestClock.adjust("119 seconds")
      assert.strictEqual(yield* against("40.2.0.1:8233"), "recently-updated")
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* against("40.2.0.1:8233"), "resting")
      yield* TestClock.adjust("59499 millis")
      assert.strictEqual(yield* against("40.2.0.1:8233"), "resting")
      yield* TestClock.adjust("1 millis")
      assert.isUndefined(yield* against("40.2.0.1:8233"))
      const { failures, firstSuccessSeconds, table } = yield* why("40.2.0.1:8233")
      assert.deepStrictEqual([failures, firstSuccessSeconds, table], [2, undefined, "new"])
      yield* connects("40.2.0.1:8233")
      assert.deepInclude(yield* why("40.2.0.1:8233"), { failures: 0, table: "tried" })
    }).pipe(Effect.provide(world()))
  )

  it.effect("is no full part of a private network on Regtest, which is none", () =>
    Effect.gen(function* () {
      yield* connects("10.0.0.1:18233")
      yield* tell("10.0.0.2:18233")
      assert.deepInclude(yield* why("10.0.0.2:18233"), { against: undefined, group: "10.0.0.2", table: "new" })
      assert.isTrue(yield* Effect.flatMap(AddressBook, (book) => book.hasRoom(address("10.0.0.1:18233"))))
      yield* connects("203.0.113.1:18233")
      yield* tell("203.0.113.2:18233")
      assert.deepInclude(yield* why("203.0.113.2:18233"), { against: "group-full", group: "203.0" })
    }).pipe(Effect.provide(world({}, regtest)))
  )

  it.effect("says of one that is not in the book where it would be, and nothing else", () =>
    Effect.gen(function* () {
      const { bucket, entry, failures, firstSuccessSeconds, group, isAnchor, table } = yield* why("40.9.0.1:8233")
      assert.deepStrictEqual(
        [bucket, entry, failures, firstSuccessSeconds, group, isAnchor, table],
        [undefined, undefined, 0, undefined, "40.9", false, undefined]
      )
      // In the book and in no table it has no bucket.
      yield* comesFrom("40.9.0.1:8233")
      assert.deepInclude(yield* why("40.9.0.1:8233"), { table: undefined, bucket: undefined })
    }).pipe(Effect.provide(world()))
  )

  it.effect("says where some stand, in the order in which they were asked for", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      yield* tell("40.1.0.1:8233", "40.2.0.1:8233")
      yield* connects("40.2.0.1:8233")
      const asked = ["40.2.0.1:8233", "40.1.0.1:8233", "40.3.0.1:8233"].map(address)
      assert.deepStrictEqual(yield* book.standings(asked), [
        { group: "40.2", table: "tried", isAnchor: true },
        { group: "40.1", table: "new", isAnchor: false },
        { group: "40.3", table: undefined, isAnchor: false }
      ])
      assert.deepStrictEqual(yield* book.sizes, { new: 1, tried: 1, groups: 2, tested: 0, anchors: 1 })
    }).pipe(Effect.provide(world()))
  )
})

describe("what the reference's book says of where an address stands", () => {
  it.effect("is its network, for it has no tables, no anchors and room everywhere", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      yield* connects("40.1.0.1:8233")
      assert.deepStrictEqual(yield* book.standings([address("40.1.0.1:8233")]), [
        { group: "40.1", table: undefined, isAnchor: false }
      ])
      assert.deepInclude(yield* why("40.1.0.1:8233"), {
        group: "40.1",
        table: undefined,
        bucket: undefined,
        isAnchor: false,
        failures: 0,
        firstSuccessSeconds: undefined
      })
      assert.deepStrictEqual(yield* book.sizes, { new: 0, tried: 0, groups: 0, tested: 0, anchors: 0 })
      assert.isEmpty(yield* book.anchors)
      assert.isTrue(yield* book.hasRoom(address("40.1.0.2:8233")))
      assert.deepStrictEqual([yield* book.takeFeeler, yield* book.takeElsewhere], [Option.none(), Option.none()])
    }).pipe(Effect.provide(bookWorldOf("reference")()))
  )
})

describe.each(books)("whom a book knows (%s)", (name) => {
  const world = bookWorldOf(name)

  it.effect("to be alive is whoever answered within 119 seconds and did not fail, silent for longest first", () =>
    Effect.gen(function* () {
      const live = Effect.flatMap(AddressBook, (book) => Effect.map(book.recentlyLive, (found) => found.map(format)))
      const counts = Effect.flatMap(AddressBook, (book) => book.metrics.get)
      // The last one of the order by address is the first one here.
      for (const text of ["40.3.0.1:8233", "40.2.0.1:8233", "40.1.0.1:8233"]) {
        yield* connects(text)
        yield* TestClock.adjust("10 seconds")
      }
      yield* fails("40.2.0.1:8233")
      yield* tell("40.4.0.1:8233")
      assert.deepStrictEqual(yield* live, ["40.3.0.1:8233", "40.1.0.1:8233"])
      assert.deepInclude(yield* counts, {
        responded: 2,
        recentlyLive: 2,
        recentlyStoppedResponding: 0,
        failed: 1,
        neverAttempted: 1,
        attemptPending: 0,
        total: 4,
        limit: 5000
      })
      // 30 s ago; 119 s and one more.
      yield* TestClock.adjust("89 seconds")
      assert.deepStrictEqual(yield* live, ["40.3.0.1:8233", "40.1.0.1:8233"])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* live, ["40.1.0.1:8233"])
      yield* record({ _tag: "UpdateAttempt", address: address("40.4.0.1:8233") })
      assert.deepInclude(yield* counts, {
        responded: 2,
        recentlyLive: 1,
        recentlyStoppedResponding: 1,
        neverAttempted: 0,
        attemptPending: 1
      })
    }).pipe(Effect.provide(world()))
  )

  it.effect("is counted anew when a count is another one, and not for every answer", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      const counts: Array<readonly [total: number, live: number]> = []
      yield* book.metrics.changes.pipe(
        Stream.runForEach(({ recentlyLive, total }) => Effect.sync(() => counts.push([total, recentlyLive]))),
        Effect.forkScoped({ startImmediately: true })
      )
      yield* settle
      yield* connects("40.1.0.1:8233")
      for (const _ of [1, 2, 3]) {
        yield* TestClock.adjust("59 seconds")
        yield* answers("40.1.0.1:8233")
        yield* settle
      }
      assert.deepStrictEqual(counts, [
        [0, 0],
        [1, 1]
      ])
      yield* TestClock.adjust("120 seconds")
      yield* tell("40.2.0.1:8233")
      yield* settle
      assert.deepStrictEqual(counts.slice(2), [[2, 0]])
    }).pipe(Effect.provide(world()))
  )

  it.effect("is told when somebody goes: one that is its own, and the first one for which there is no room", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      const told: Array<string> = []
      const textOf = (change: AddressBookChange) =>
        change._tag === "Updated"
          ? `is ${format(change.entry)}`
          : change._tag === "Removed"
            ? `gone ${PeerSocketAddress.format(change.address)}`
            : `banned ${change.removed}`
      yield* book.changes.pipe(
        Stream.runForEach((change) => Effect.sync(() => told.push(textOf(change)))),
        Effect.forkScoped({ startImmediately: true })
      )
      yield* settle
      yield* book.markOwn(address("40.1.0.1:8233"))
      yield* connects("40.2.0.1:8233")
      yield* TestClock.adjust("1 hour")
      yield* connects("40.3.0.1:8233")
      yield* book.markOwn(address("40.3.0.1:8233"))
      yield* connects("40.4.0.1:8233")
      yield* connects("40.5.0.1:8233")
      yield* settle
      assert.deepStrictEqual(told, [
        "is 40.2.0.1:8233",
        "is 40.3.0.1:8233",
        "gone 40.3.0.1:8233",
        "is 40.4.0.1:8233",
        "is 40.5.0.1:8233",
        "gone 40.2.0.1:8233"
      ])
    }).pipe(Effect.provide(world({ addressBookCapacity: 2 })))
  )

  it.effect("once had answered are whom it goes back to, for a start without names: the latest first", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      for (const text of ["40.1.0.1:8233", "40.2.0.1:8233"]) {
        yield* answers(text)
        yield* TestClock.adjust("1 second")
      }
      // Seen by others alone, the later claim and then the lower address is first.
      const now = yield* nowSeconds
      yield* book.addGossiped([
        gossiped("40.4.0.1:8233", now - 60),
        gossiped("40.3.0.1:8233", now - 60),
        gossiped("40.5.0.1:8233", now - 59),
        gossiped("40.5.0.2:8233", now)
      ])
      const kept = (yield* book.cacheable).map(PeerSocketAddress.format)
      assert.deepStrictEqual(kept, [
        "40.2.0.1:8233",
        "40.1.0.1:8233",
        "40.5.0.2:8233",
        "40.3.0.1:8233",
        "40.4.0.1:8233",
        // The second one of its network.
        "40.5.0.1:8233"
      ])
      assert.deepStrictEqual((yield* book.recoverable).map(PeerSocketAddress.format), kept.slice(0, 2))
    }).pipe(Effect.provide(world()))
  )
})
