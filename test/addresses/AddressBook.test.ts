import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, HashMap, Option, References, Stream } from "effect"
import { TestClock } from "effect/testing"
import { AddressBook, type AddressBookChange } from "../../src/addresses/AddressBook.ts"
import { BanList, isBannedIn } from "../../src/addresses/BanList.ts"
import * as Gossip from "../../src/addresses/Gossip.ts"
import * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import { mainnet, regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import { address, bookWorldOf, gossiped, nowSeconds, order } from "../support/bookWorld.ts"
import { linesOf } from "../support/logs.ts"
import { elapse, settle } from "../support/time.ts"

const take = Effect.flatMap(AddressBook, (book) =>
  Effect.map(
    book.takeCandidate,
    Option.map((entry) => PeerSocketAddress.format(entry.address))
  )
)
const gossip = (...entries: ReadonlyArray<readonly [string, number]>) =>
  Effect.flatMap(AddressBook, (book) => book.addGossiped(entries.map(([text, seen]) => gossiped(text, seen))))
const ban = (text: string, duration?: Duration.Duration) =>
  Effect.flatMap(AddressBook, (book) =>
    book.ban({ address: address(text), reason: "test", ...(duration === undefined ? {} : { duration }) })
  )
const isBanned = (text: string) => Effect.flatMap(BanList, (bans) => bans.isBanned(address(text)))
const has = (text: string) => Effect.flatMap(AddressBook, (book) => Effect.map(book.get(address(text)), Option.isSome))
const banned = Effect.flatMap(BanList, (list) => Effect.map(list.bans.get, HashMap.size))
const record = (change: PeerAddress.AddressChange) => Effect.flatMap(AddressBook, (book) => book.record(change))

/**
 * Both books keep this contract but for three scenarios, which are the reference's alone: its order (AB-3), and whom it gives up
 * when it is full (AB-8, Q7). `HardenedBook.test.ts` says what the other one does instead. Elsewhere there are two more, of the same
 * order: in `BookProperties.test.ts` everybody is dialled before anybody is twice (MA-P7), and in `Clocks.test.ts` the next
 * candidate is the first one in the list.
 */
for (const book of ["reference", "hardened"] as const) {
  const isReference = book === "reference"
  const bookWorld = bookWorldOf(book)

  describe(`the address book (${book})`, () => {
    it.effect("has nobody to dial when it is empty (AB-1, address_book_empty)", () =>
      Effect.gen(function* () {
        assert.isTrue(Option.isNone(yield* take))
        assert.isEmpty(yield* order)
      }).pipe(Effect.provide(bookWorld()))
    )

    if (isReference)
      it.effect("dials who was seen later first, whatever the address (AB-3, address_book_peer_order)", () =>
        Effect.forEach(
          [
            [["127.0.0.1:1", 0], ["127.0.0.2:2", 1], "127.0.0.2:2"],
            [["127.0.0.2:2", 1], ["127.0.0.1:1", 0], "127.0.0.2:2"],
            [["127.0.0.2:2", 0], ["127.0.0.1:1", 1], "127.0.0.1:1"],
            [["127.0.0.1:1", 1], ["127.0.0.2:2", 0], "127.0.0.1:1"]
          ] as const,
          ([one, other, first]) =>
            Effect.gen(function* () {
              yield* gossip(one)
              yield* gossip(other)
              assert.deepStrictEqual(yield* take, Option.some(first))
            }).pipe(Effect.provide(bookWorld()))
        )
      )

    it.effect(
      "dials nobody of a group that responded lately (AB-4, reconnection_peers_skips_recently_updated_ip)",
      () =>
        Effect.gen(function* () {
          const changes: ReadonlyArray<readonly [PeerAddress.AddressChange, boolean]> = [
            [{ _tag: "UpdateResponded", address: address("127.0.0.1:1"), roundTrip: undefined }, false],
            [{ _tag: "UpdateAttempt", address: address("127.0.0.1:1") }, true],
            [{ _tag: "UpdateFailed", address: address("127.0.0.1:1"), services: 1n }, true]
          ]
          for (const [change, isFree] of changes) {
            yield* Effect.gen(function* () {
              yield* record(change)
              yield* gossip(["127.0.0.1:2", 1])
              assert.strictEqual(Option.isSome(yield* take), isFree, change._tag)
            }).pipe(Effect.provide(bookWorld({}, regtest)))
          }
        })
    )

    it.effect("does so only while one connection per group is allowed (EX-7)", () =>
      Effect.gen(function* () {
        yield* record({ _tag: "UpdateResponded", address: address("127.0.0.1:1"), roundTrip: undefined })
        yield* gossip(["127.0.0.1:2", 1])
        assert.deepStrictEqual(yield* take, Option.some("127.0.0.1:2"))
      }).pipe(Effect.provide(bookWorld({ connectionsPerGroup: 2 }, regtest)))
    )

    it.effect(
      "dials nobody again before more than 119 seconds have passed, whatever happened to it (UP-2, MA-P6)",
      () =>
        Effect.gen(function* () {
          const peer = address("10.0.0.1:8233")
          const changes: ReadonlyArray<PeerAddress.AddressChange> = [
            { _tag: "UpdateAttempt", address: peer },
            { _tag: "UpdateFailed", address: peer, services: undefined },
            { _tag: "UpdateResponded", address: peer, roundTrip: undefined }
          ]
          for (const change of changes) {
            yield* Effect.gen(function* () {
              yield* gossip(["10.0.0.1:8233", yield* nowSeconds])
              yield* record(change)
              yield* TestClock.adjust("119 seconds")
              assert.isTrue(Option.isNone(yield* take), change._tag)
              yield* TestClock.adjust("1 second")
              assert.deepStrictEqual(yield* take, Option.some("10.0.0.1:8233"), change._tag)
            }).pipe(Effect.provide(bookWorld({ connectionsPerGroup: 2 })))
          }
        })
    )

    it.effect("leaves a group alone for 119 seconds after it responded, and no longer (AB-4)", () =>
      Effect.gen(function* () {
        yield* record({ _tag: "UpdateResponded", address: address("127.0.0.1:1"), roundTrip: undefined })
        // Failed later, it is no candidate itself when its group is free.
        yield* TestClock.adjust("60 seconds")
        yield* record({ _tag: "UpdateFailed", address: address("127.0.0.1:1"), services: undefined })
        yield* gossip(["127.0.0.1:2", 1])
        yield* TestClock.adjust("59 seconds")
        assert.isTrue(Option.isNone(yield* take))
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* take, Option.some("127.0.0.1:2"))
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("leaves a group alone that responded though who did is gone, as long as anybody of it is known", () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        yield* record({ _tag: "UpdateResponded", address: address("127.0.0.1:1"), roundTrip: undefined })
        yield* gossip(["127.0.0.1:2", 1])
        yield* book.markOwn(address("127.0.0.1:1"))
        assert.isTrue(Option.isNone(yield* take))
        yield* book.markOwn(address("127.0.0.1:2"))
        yield* gossip(["127.0.0.1:3", 1])
        assert.deepStrictEqual(yield* take, Option.some("127.0.0.1:3"))
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("keeps its order through changes (AB-6, address_book_mutations_preserve_peer_order)", () =>
      Effect.gen(function* () {
        yield* gossip(["127.0.0.2:8233", 1], ["127.0.0.1:8233", 0], ["127.0.0.3:8233", 2])
        assert.deepStrictEqual(yield* order, ["127.0.0.3:8233", "127.0.0.2:8233", "127.0.0.1:8233"])
        yield* record({ _tag: "UpdateResponded", address: address("127.0.0.1:8233"), roundTrip: undefined })
        assert.deepStrictEqual(yield* order, ["127.0.0.1:8233", "127.0.0.3:8233", "127.0.0.2:8233"])
        yield* ban("127.0.0.1:8233")
        assert.deepStrictEqual(yield* order, ["127.0.0.3:8233", "127.0.0.2:8233"])
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect(
      "knows an address by one spelling (AB-7, address_book_insert_canonicalizes_key_and_value, advisories A1 and A2)",
      () =>
        Effect.gen(function* () {
          yield* gossip(["127.0.0.4:8233", 1], ["[::ffff:127.0.0.4]:8233", 2])
          assert.deepStrictEqual(yield* order, ["127.0.0.4:8233"])
        }).pipe(Effect.provide(bookWorld()))
    )

    if (isReference)
      it.effect("gives up the last one when it is full (AB-8, address_book_evicts_lowest_priority_peer)", () =>
        Effect.gen(function* () {
          yield* gossip(["127.0.0.1:8233", 0])
          yield* gossip(["127.0.0.2:8233", 1])
          // New is whoever was not known, though another one has to go.
          assert.strictEqual(yield* gossip(["127.0.0.3:8233", 2]), 1)
          assert.deepStrictEqual(yield* order, ["127.0.0.3:8233", "127.0.0.2:8233"])
          assert.strictEqual(yield* gossip(["127.0.0.4:8233", 3], ["127.0.0.3:8233", 3], ["127.0.0.5:8233", 4]), 2)
          assert.deepStrictEqual(yield* order, ["127.0.0.5:8233", "127.0.0.4:8233"])
        }).pipe(Effect.provide(bookWorld({ addressBookCapacity: 2 })))
      )

    it.effect("gives up nobody it dealt with lately while there are others, inbound ones first (EX-5)", () =>
      Effect.gen(function* () {
        yield* record({ _tag: "UpdateResponded", address: address("10.0.0.1:8233"), roundTrip: undefined })
        yield* gossip(["10.0.0.2:8233", 1])
        yield* record({ _tag: "UpdateFailed", address: address("10.0.0.3:8233"), services: undefined })
        yield* record({ _tag: "UpdateAttempt", address: address("10.0.0.4:8233") })
        assert.sameMembers(yield* order, ["10.0.0.1:8233", "10.0.0.3:8233", "10.0.0.4:8233"])
        yield* TestClock.adjust("120 seconds")
        yield* record({
          _tag: "UpdateConnected",
          address: address("10.0.0.5:40000"),
          services: 1n,
          isInbound: true,
          userAgent: "",
          negotiatedVersion: 170_190
        })
        yield* TestClock.adjust("120 seconds")
        yield* record({ _tag: "UpdateAttempt", address: address("10.0.0.6:8233") })
        assert.notInclude(yield* order, "10.0.0.5:40000")
      }).pipe(Effect.provide(bookWorld({ addressBookCapacity: 3 })))
    )

    it.effect("answers nothing for what it did not keep (Q8)", () =>
      Effect.gen(function* () {
        yield* record({ _tag: "UpdateAttempt", address: address("10.0.0.1:8233") })
        assert.isTrue(Option.isNone(yield* record({ _tag: "NewInitial", address: address("10.0.0.2:8233") })))
      }).pipe(Effect.provide(bookWorld({ addressBookCapacity: 1 })))
    )

    it.effect(
      "gives two callers two candidates (UP-2, concurrent_next_reconnect_peer_requests_return_distinct_peers)",
      () =>
        Effect.gen(function* () {
          yield* gossip(...Array.from({ length: 8 }, (_, i) => [`127.${i}.1.1:1`, 1] as const))
          const taken = yield* Effect.all(
            Array.from({ length: 8 }, () => take),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(new Set(taken.map(Option.getOrThrow)).size, 8)
          assert.isTrue(Option.isNone(yield* take))
        }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("answers every question (UP-1, address_book_service_serves_all_request_variants)", () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        const now = yield* nowSeconds
        assert.isTrue(
          Option.isSome(
            yield* book.record({
              _tag: "NewGossiped",
              address: address("127.1.1.1:1"),
              services: 1n,
              lastSeenSeconds: now
            })
          )
        )
        assert.strictEqual(yield* gossip(["127.2.1.1:1", now], ["127.3.1.1:1", now]), 2)
        assert.strictEqual(yield* book.readyCount, 3)
        assert.strictEqual((yield* book.cacheable).length, 3)
        assert.isEmpty(yield* book.recentlyLive)
        assert.include(["127.1.1.1:1", "127.2.1.1:1", "127.3.1.1:1"], Option.getOrThrow(yield* take))
        assert.isTrue(yield* book.addPeer(address("127.4.1.1:1")))
        assert.isFalse(yield* book.addPeer(address("127.4.1.1:1")))
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("counts once per hundred of what it is told, and lets others in between (EX-13, advisory A9)", () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        let counts = 0
        yield* book.metrics.changes.pipe(
          Stream.runForEach(() => Effect.sync(() => counts++)),
          Effect.forkChild({ startImmediately: true })
        )
        yield* elapse("1 millis")
        counts = 0
        let whenTaken = -1
        const telling = yield* Effect.forkChild(
          gossip(...Array.from({ length: 1000 }, (_, i) => [`${10 + (i >> 8)}.${i & 255}.1.1:8233`, 1] as const)),
          { startImmediately: true }
        )
        yield* take
        whenTaken = (yield* book.entries).length
        assert.strictEqual(yield* Fiber.join(telling), 1000)
        yield* elapse("1 millis")
        assert.isBelow(whenTaken, 1000)
        // Ten pieces and one candidate.
        assert.strictEqual(counts, 11)
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("tells whoever listens what changed", () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        const seen: Array<AddressBookChange> = []
        yield* book.changes.pipe(
          Stream.runForEach((change) => Effect.sync(() => seen.push(change))),
          Effect.forkChild({ startImmediately: true })
        )
        yield* elapse("1 millis")
        yield* gossip(["10.0.0.1:8233", 1])
        // Nothing new.
        yield* gossip(["10.0.0.1:8233", 2])
        yield* record({ _tag: "NewInitial", address: address("10.0.0.1:8233") })
        yield* ban("10.0.0.1:8233")
        yield* elapse("1 millis")
        assert.deepStrictEqual(
          seen.map((change) =>
            change._tag === "Banned" ? `banned ${change.ban.group}: ${change.removed}` : change._tag
          ),
          ["Updated", "banned 10.0.0.1: 1"]
        )
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("tells a share of what others may know, rounded in time, and its own address (AB-P1, MA-P4, EX-6)", () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        yield* TestClock.adjust("1000 hours")
        const now = yield* nowSeconds
        yield* gossip(
          ["10.0.0.1:8233", now - 2 * 3600 - 29 * 60],
          ["10.0.0.2:8233", now - 3 * 3600 - 1],
          ["192.0.2.9:8233", now - 5000]
        )
        yield* record({
          _tag: "UpdateConnected",
          address: address("10.0.0.3:40000"),
          services: 1n,
          isInbound: true,
          userAgent: "",
          negotiatedVersion: 170_190
        })
        const told = new Set<string>()
        for (let n = 0; n < 50; n++) {
          const answer = yield* book.gossip
          assert.strictEqual(answer.length, 1)
          for (const { address, lastSeenSeconds } of answer) {
            told.add(PeerSocketAddress.format(address))
            assert.strictEqual(lastSeenSeconds % 1800, 0)
            assert.isAtMost(now - lastSeenSeconds, 3 * 3600)
          }
        }
        assert.sameMembers([...told], ["10.0.0.1:8233", "192.0.2.9:8233"])
      }).pipe(Effect.provide(bookWorld({}, mainnet, OwnAddress.layer({ listening: address("192.0.2.9:8233") }))))
    )

    it.effect.each([
      [{ listening: "192.0.2.9:8233", external: "198.51.100.7:9000" }, ["198.51.100.7:9000"]],
      [{ listening: "[::]:8233", external: "198.51.100.7:9000" }, ["198.51.100.7:9000"]],
      [{ listening: "127.0.0.1:40123" }, ["127.0.0.1:40123"]],
      // Nobody can dial these.
      [{ listening: "[::]:8233" }, []],
      [{ listening: "192.0.2.9:8233", external: "198.51.100.7:8232" }, []],
      [{}, []]
    ] as const)("tells of itself where others reach it: $1 (Q12, NB-12, network 1 to 6)", ([own, expected]) => {
      const at = Object.fromEntries(Object.entries(own).map(([name, text]) => [name, address(text)]))
      return Effect.gen(function* () {
        const told = yield* (yield* AddressBook).gossip
        assert.deepStrictEqual(
          told.map((each) => PeerSocketAddress.format(each.address)),
          [...expected]
        )
      }).pipe(Effect.provide(bookWorld({}, mainnet, OwnAddress.layer(at))))
    })

    it.effect(
      "keeps for the next start who answered, from many networks, and nobody's inbound port (Q5, Q6, advisory A6)",
      () =>
        Effect.gen(function* () {
          const book = yield* AddressBook
          const now = yield* nowSeconds
          yield* gossip(...Array.from({ length: 100 }, (_, i) => [`10.1.0.${i}:8233`, now] as const))
          yield* record({ _tag: "UpdateResponded", address: address("10.2.0.1:8233"), roundTrip: undefined })
          yield* record({
            _tag: "UpdateConnected",
            address: address("10.3.0.3:40000"),
            services: 1n,
            isInbound: true,
            userAgent: "",
            negotiatedVersion: 170_190
          })
          const kept = (yield* book.cacheable).map(PeerSocketAddress.format)
          assert.strictEqual(kept.length, 75)
          assert.strictEqual(kept[0], "10.2.0.1:8233")
          assert.notInclude(kept, "10.3.0.3:40000")
        }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("keeps of a thousand bad addresses the good one, once", () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        yield* TestClock.adjust("1000 hours")
        const now = yield* nowSeconds
        const useless = ["0.0.0.0:8233", "[::]:8233", "10.0.0.1:0", "10.0.0.2:18233", "10.0.0.3:8232", "10.0.0.4:8033"]
        const told = Gossip.validate(
          Array.from({ length: 1000 }, (_, n) =>
            gossiped(n % 2 === 0 ? "192.0.2.1:8233" : useless[n % useless.length]!, now + 3 * 3600 - n)
          ),
          now
        )
        assert.strictEqual(yield* book.addGossiped(told), 1)
        assert.deepStrictEqual(
          (yield* book.entries).map((entry) => [
            PeerSocketAddress.format(entry.address),
            entry.state,
            entry.untrustedLastSeenSeconds
          ]),
          // As early as the first of them said, and none of it in the future.
          [["192.0.2.1:8233", "NeverAttempted", now]]
        )
        // Nobody who has no blocks is kept either.
        assert.strictEqual(yield* book.addGossiped([gossiped("192.0.2.2:8233", now, 0n)]), 0)
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect(
      "keeps nothing of an address that nobody can dial on this chain, whatever happened there (PR-1, PR-2)",
      () =>
        Effect.gen(function* () {
          // No IP, no port, and the port of another chain and of another program.
          for (const text of ["0.0.0.0:8233", "10.0.0.1:0", "10.0.0.1:18233", "10.0.0.1:8232"]) {
            const at = { address: address(text) }
            const changes: ReadonlyArray<PeerAddress.AddressChange> = [
              { _tag: "UpdateAttempt", ...at },
              { _tag: "UpdateFailed", ...at, services: 1n },
              { _tag: "UpdateResponded", ...at, roundTrip: undefined },
              { _tag: "NewConfigured", ...at }
            ]
            for (const change of changes) assert.deepStrictEqual(yield* record(change), Option.none(), text)
          }
          assert.isEmpty(yield* order)
        }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("says every minute why it answers nobody, as long as nobody ever answered", () =>
      Effect.gen(function* () {
        const fails: PeerAddress.AddressChange = {
          _tag: "UpdateFailed",
          address: address("10.0.0.1:8233"),
          services: undefined
        }
        const tries: PeerAddress.AddressChange = { _tag: "UpdateAttempt", address: address("10.0.0.1:8233") }
        /** What is said when so much has passed and then this happens. */
        const after = (wait: Duration.Input, change: PeerAddress.AddressChange) =>
          linesOf(Effect.andThen(TestClock.adjust(wait), record(change)))
        const failed = ["Warn: all known addresses have failed: check the network connection"]
        const trying = ["Info: no address has answered yet, trying those we heard of"]
        // A start has tried nobody yet.
        assert.isEmpty(yield* linesOf(gossip(["10.0.0.1:8233", yield* nowSeconds])))
        assert.isEmpty(yield* after("59999 millis", tries))
        assert.deepStrictEqual(yield* after("1 millis", fails), failed)
        assert.isEmpty(yield* after("59 seconds", tries))
        assert.deepStrictEqual(yield* after("1 seconds", fails), failed)
        assert.deepStrictEqual(yield* after("1 minute", tries), trying)
        assert.isEmpty(yield* linesOf(gossip(["10.0.0.2:8233", yield* nowSeconds])))
        // One that was heard of is left.
        yield* TestClock.adjust("2 minutes")
        // What changes nothing says nothing.
        assert.isEmpty(yield* linesOf(record({ _tag: "NewInitial", address: address("10.0.0.1:8233") })))
        assert.deepStrictEqual(yield* linesOf(record(fails)), trying)
        yield* record({ _tag: "UpdateResponded", address: address("10.0.0.2:8233"), roundTrip: undefined })
        assert.isEmpty(yield* after("2 minutes", tries))
        assert.isEmpty(yield* after("2 minutes", fails))
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("forgets an address that is its own, for good (advisory A6)", () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        yield* gossip(["10.0.0.1:8233", 1])
        yield* book.markOwn(address("10.0.0.1:8233"))
        assert.isFalse(yield* has("10.0.0.1:8233"))
        assert.strictEqual(yield* gossip(["10.0.0.1:8233", 1]), 0)
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("remembers so many addresses that are its own, the latest", () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        for (const n of [1, 2, 3]) yield* book.markOwn(address(`10.0.0.${n}:8233`))
        const added = yield* Effect.forEach([1, 2, 3], (n) => gossip([`10.0.0.${n}:8233`, 1]))
        assert.deepStrictEqual(added, [1, 0, 0])
      }).pipe(Effect.provide(bookWorld({ ownAddressCapacity: 2 })))
    )
  })

  describe(`an address the operator named (${book})`, () => {
    const configure = (text: string) => record({ _tag: "NewConfigured", address: address(text) })
    const connected = (text: string, services: bigint, isInbound: boolean) =>
      record({
        _tag: "UpdateConnected",
        address: address(text),
        services,
        isInbound,
        userAgent: "",
        negotiatedVersion: 170_190
      })

    it.effect("is a candidate for ever, 119 seconds apart, though nobody ever saw it (Q25, EX-18)", () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        yield* configure("10.0.0.1:8233")
        yield* book.addPeer(address("10.0.0.2:8233"))
        const dialledAt: Array<number> = []
        for (let second = 0; second <= 3600; second++) {
          const taken = yield* take
          if (Option.isSome(taken)) {
            if (taken.value === "10.0.0.1:8233") dialledAt.push(second)
            // Nobody is there.
            yield* record({ _tag: "UpdateFailed", address: address(taken.value), services: undefined })
          }
          yield* TestClock.adjust("1 second")
        }
        // Chance may have taken the other one first.
        const [first = -1] = dialledAt
        assert.include([0, 1], first)
        assert.deepStrictEqual(
          dialledAt,
          Array.from({ length: first === 0 ? 31 : 30 }, (_, n) => first + n * 120)
        )
        yield* TestClock.adjust("400 days")
        assert.deepStrictEqual(yield* take, Option.some("10.0.0.1:8233"))
        // The other one was given up after its first failure.
        assert.deepStrictEqual(yield* take, Option.none())
      }).pipe(Effect.provide(bookWorld()), Effect.provideService(References.MinimumLogLevel, "None"))
    )

    it.effect("is one whatever it said of itself, and whoever came from there, and is still not told (Q25)", () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        // Known before it was named, or after.
        yield* connected("10.0.0.1:8233", 0n, false)
        yield* connected("10.0.0.2:8233", 1n, true)
        for (const text of ["10.0.0.1:8233", "10.0.0.2:8233", "10.0.0.3:8233"]) yield* configure(text)
        yield* connected("10.0.0.3:8233", 0n, true)
        assert.isEmpty(yield* book.gossip)
        assert.isEmpty(yield* book.cacheable.pipe(Effect.map((kept) => kept.filter((each) => each.port !== 8233))))
        yield* TestClock.adjust("120 seconds")
        const taken = [yield* take, yield* take, yield* take, yield* take]
        assert.sameMembers(taken.flatMap(Option.toArray), ["10.0.0.1:8233", "10.0.0.2:8233", "10.0.0.3:8233"])
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("never makes room for others, and is there again once its ban is over (Q25)", () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        yield* configure("10.0.0.1:8233")
        yield* configure("10.0.0.2:8233")
        yield* gossip(...Array.from({ length: 20 }, (_, n) => [`10.0.1.${n}:8233`, n] as const))
        yield* record({ _tag: "UpdateAttempt", address: address("10.0.2.1:8233") })
        assert.sameMembers(yield* order, ["10.0.0.1:8233", "10.0.0.2:8233", "10.0.2.1:8233"])
        yield* ban("10.0.0.1:1", Duration.seconds(30))
        yield* configure("10.0.0.1:8233")
        assert.isFalse(yield* has("10.0.0.1:8233"))
        yield* TestClock.adjust("30 seconds")
        // Whoever asks finds it.
        assert.strictEqual(yield* book.readyCount, 2)
        assert.isTrue(yield* has("10.0.0.1:8233"))
        yield* ban("10.0.0.1:1", Duration.seconds(30))
        yield* ban("10.0.0.2:1", Duration.seconds(60))
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual(yield* take, Option.some("10.0.0.1:8233"))
        // It is what it was, too, when somebody else names it first.
        yield* TestClock.adjust("30 seconds")
        yield* gossip(["10.0.0.2:8233", 1])
        yield* record({ _tag: "UpdateFailed", address: address("10.0.0.2:8233"), services: undefined })
        yield* TestClock.adjust("4 days")
        const taken = [yield* take, yield* take, yield* take].flatMap(Option.toArray)
        assert.includeMembers(taken, ["10.0.0.1:8233", "10.0.0.2:8233"])
      }).pipe(Effect.provide(bookWorld({ addressBookCapacity: 3 })))
    )

    if (isReference)
      it.effect("makes no room even when all others were dealt with lately, and it comes last (Q7, Q25)", () =>
        Effect.gen(function* () {
          yield* configure("10.0.0.1:8233")
          yield* record({ _tag: "UpdateAttempt", address: address("10.0.0.1:8233") })
          for (const n of [2, 3]) {
            yield* TestClock.adjust("1 second")
            yield* record({ _tag: "UpdateFailed", address: address(`10.0.0.${n}:8233`), services: undefined })
          }
          assert.deepStrictEqual(yield* order, ["10.0.0.2:8233", "10.0.0.1:8233"])
        }).pipe(Effect.provide(bookWorld({ addressBookCapacity: 2 })))
      )

    it.effect("is one again when its group is free, though it had failed before (Q25)", () =>
      Effect.gen(function* () {
        yield* configure("10.0.0.1:8233")
        yield* record({ _tag: "UpdateFailed", address: address("10.0.0.1:8233"), services: undefined })
        yield* TestClock.adjust("120 seconds")
        yield* record({ _tag: "UpdateResponded", address: address("10.0.0.1:9000"), roundTrip: undefined })
        assert.deepStrictEqual(yield* take, Option.none())
        yield* TestClock.adjust("120 seconds")
        assert.deepStrictEqual(yield* take, Option.some("10.0.0.1:9000"))
        assert.deepStrictEqual(yield* take, Option.some("10.0.0.1:8233"))
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("is named as often as the book has room, and not when it is our own or nobody's", () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        for (let n = 1; n <= 5; n++) yield* configure(`10.0.0.${n}:8233`)
        yield* configure("0.0.0.0:8233")
        assert.sameMembers(yield* order, ["10.0.0.1:8233", "10.0.0.2:8233", "10.0.0.3:8233"])
        yield* book.markOwn(address("10.0.0.1:8233"))
        assert.strictEqual(yield* book.readyCount, 2)
        assert.sameMembers(yield* order, ["10.0.0.2:8233", "10.0.0.3:8233"])
        // Which leaves room for another one.
        yield* configure("10.0.0.4:8233")
        yield* configure("10.0.0.1:8233")
        assert.deepStrictEqual(
          (yield* book.entries).map((entry) => [entry.address.port, entry.isConfigured]),
          [2, 3, 4].map(() => [8233, true])
        )
      }).pipe(Effect.provide(bookWorld({ addressBookCapacity: 3 })))
    )
  })

  describe(`whoever starts over (${book})`, () => {
    const recoverable = Effect.flatMap(AddressBook, (book) =>
      Effect.map(book.recoverable, (addresses) => addresses.map(PeerSocketAddress.format))
    )
    const responds = (text: string) => record({ _tag: "UpdateResponded", address: address(text), roundTrip: undefined })

    it.effect("is given those that once responded, the latest first, however long they failed (Q25, EX-18)", () =>
      Effect.gen(function* () {
        yield* responds("10.1.0.1:8233")
        yield* TestClock.adjust("1 hour")
        yield* responds("10.2.0.1:8233")
        yield* gossip(["10.3.0.1:8233", yield* nowSeconds])
        yield* record({
          _tag: "UpdateConnected",
          address: address("10.4.0.1:40000"),
          services: 1n,
          isInbound: true,
          userAgent: "",
          negotiatedVersion: 170_190
        })
        yield* TestClock.adjust("1 second")
        yield* responds("10.5.0.1:8233")
        yield* record({ _tag: "UpdateFailed", address: address("10.1.0.1:8233"), services: undefined })
        yield* TestClock.adjust("6 seconds")
        yield* record({ _tag: "UpdateFailed", address: address("10.2.0.1:8233"), services: undefined })
        yield* TestClock.adjust("4 days")
        // Given up by the crawler, all of those who failed.
        assert.deepStrictEqual(yield* take, Option.some("10.5.0.1:8233"))
        assert.deepStrictEqual(yield* take, Option.some("10.3.0.1:8233"))
        assert.deepStrictEqual(yield* take, Option.none())
        assert.deepStrictEqual(yield* recoverable, ["10.2.0.1:8233", "10.1.0.1:8233"])
        // Dialled, it is left alone for 119 seconds.
        yield* record({ _tag: "UpdateAttempt", address: address("10.2.0.1:8233") })
        assert.deepStrictEqual(yield* recoverable, ["10.1.0.1:8233"])
        yield* TestClock.adjust("119 seconds")
        assert.deepStrictEqual(yield* recoverable, ["10.1.0.1:8233"])
        yield* TestClock.adjust("1 second")
        assert.deepStrictEqual(yield* recoverable, ["10.5.0.1:8233", "10.2.0.1:8233", "10.1.0.1:8233"])
        // Nobody who is banned, also where a ban came from somewhere else and took no entry with it.
        yield* ban("10.2.0.1:1")
        yield* (yield* BanList).add({ address: address("10.1.0.1:1"), reason: "test" })
        assert.deepStrictEqual(yield* recoverable, ["10.5.0.1:8233"])
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("is given no more than it dials at a start, from many networks", () =>
      Effect.gen(function* () {
        yield* responds("10.1.0.1:8233")
        yield* TestClock.adjust("1 second")
        for (let n = 0; n < 10; n++) yield* responds(`10.2.0.${n}:8233`)
        assert.deepStrictEqual((yield* recoverable).slice(0, 2), ["10.2.0.0:8233", "10.1.0.1:8233"])
        assert.strictEqual((yield* recoverable).length, 4)
      }).pipe(Effect.provide(bookWorld({ targetPeers: 4 })))
    )
  })

  describe(`a ban (${book})`, () => {
    it.effect("takes every entry of the group, and only those (AB-2, AB-5, advisories A3 and A4)", () =>
      Effect.gen(function* () {
        yield* gossip(["127.0.0.1:8233", 2], ["127.0.0.2:8233", 1], ["127.0.0.1:43562", 0])
        yield* ban("127.0.0.1:8233")
        assert.deepStrictEqual(yield* order, ["127.0.0.2:8233"])
        assert.deepStrictEqual(yield* take, Option.some("127.0.0.2:8233"))
        assert.isTrue(yield* isBanned("127.0.0.1:1"))
      }).pipe(Effect.provide(bookWorld({ connectionsPerGroup: 2 })))
    )

    it.effect(
      "holds for the /64 of an IPv6 address, and for one IPv4 address (AB-9, AB-10, AB-12, AB-16, UP-3, advisory A5)",
      () =>
        Effect.gen(function* () {
          const { ban: made, list } = yield* Effect.all({ ban: ban("[2001:db8::1]:8233"), list: BanList })
          assert.strictEqual(made.group, "2001:db8::/64")
          assert.isTrue(isBannedIn(yield* list.bans.get, address("[2001:db8::5]:1"), 0))
          yield* gossip(["[2001:db8::dead:beef]:8233", 1], ["[2001:db8:1::1]:8233", 1])
          assert.isFalse(yield* has("[2001:db8::dead:beef]:8233"))
          assert.isTrue(yield* has("[2001:db8:1::1]:8233"))
          assert.isTrue(yield* isBanned("[2001:db8::2]:8233"))
          assert.isFalse(yield* isBanned("[2001:db8:1::1]:8233"))
          assert.isFalse(yield* isBanned("[2001:db9::1]:8233"))
          yield* ban("192.0.2.10:8233")
          yield* gossip(["192.0.2.11:8233", 1])
          assert.isTrue(yield* has("192.0.2.11:8233"))
          assert.isTrue(yield* isBanned("[::ffff:192.0.2.10]:1"))
        }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("is in force for everybody as soon as it is made, without any time (network 130)", () =>
      Effect.gen(function* () {
        const list = yield* BanList
        const [snapshots, told]: [Array<boolean>, Array<string>] = [[], []]
        const peer = address("[2001:db8::1]:8233")
        yield* list.bans.changes.pipe(
          Stream.runForEach((bans) => Effect.sync(() => snapshots.push(isBannedIn(bans, peer, 0)))),
          Effect.forkChild({ startImmediately: true })
        )
        yield* list.changes.pipe(
          Stream.runForEach((change) => Effect.sync(() => told.push(change._tag))),
          Effect.forkChild({ startImmediately: true })
        )
        yield* settle
        yield* gossip(["[2001:db8::1]:8233", 1])
        yield* ban("[2001:db8::2]:1")
        assert.isTrue(isBannedIn(list.bans.getUnsafe(), peer, 0))
        assert.isFalse(yield* has("[2001:db8::1]:8233"))
        yield* settle
        assert.deepStrictEqual([snapshots, told], [[false, true], ["Banned"]])
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("takes with it that its group responded lately: once it is over, others of the group are dialled", () =>
      Effect.gen(function* () {
        yield* record({ _tag: "UpdateResponded", address: address("127.0.0.1:1"), roundTrip: undefined })
        yield* ban("127.0.0.1:1", Duration.seconds(30))
        yield* TestClock.adjust("30 seconds")
        yield* gossip(["127.0.0.1:2", 1])
        assert.deepStrictEqual(yield* take, Option.some("127.0.0.1:2"))
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("covers both spellings of an IPv4 address (AB-17, advisory A1), and is nobody's at first (AB-22)", () =>
      Effect.gen(function* () {
        assert.strictEqual(yield* banned, 0)
        assert.isFalse(yield* isBanned("192.0.2.1:1"))
        yield* ban("[::ffff:192.0.2.10]:1")
        assert.isTrue(yield* isBanned("192.0.2.10:1"))
        // Nor anybody else's then.
        assert.isFalse(yield* isBanned("192.0.2.1:1"))
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("is over after its time, to the second (AB-13, AB-18, AB-20)", () =>
      Effect.gen(function* () {
        const bans = yield* BanList
        yield* ban("[2001:db8::1]:8233")
        const snapshot = yield* bans.bans.get
        assert.strictEqual(yield* gossip(["[2001:db8::1]:8233", 1]), 0)
        yield* TestClock.adjust(Duration.seconds(24 * 3600 - 1))
        assert.isTrue(yield* isBanned("[2001:db8::1]:8233"))
        yield* TestClock.adjust("1 second")
        assert.isFalse(yield* isBanned("[2001:db8::1]:8233"))
        assert.isFalse(isBannedIn(snapshot, address("[2001:db8::1]:8233"), yield* nowSeconds))
        assert.strictEqual(yield* gossip(["[2001:db8::1]:8233", 1]), 1)
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("makes room of those that are over (AB-14), and can come again (AB-15)", () =>
      Effect.gen(function* () {
        yield* ban("[2001:db8:1::1]:8233")
        yield* TestClock.adjust("24 hours")
        yield* ban("[2001:db8:2::1]:8233")
        assert.strictEqual(yield* banned, 1)
        yield* ban("[2001:db8:1::2]:8233")
        yield* TestClock.adjust(Duration.seconds(24 * 3600 - 1))
        assert.isTrue(yield* isBanned("[2001:db8:1::1]:8233"))
        yield* TestClock.adjust("1 second")
        assert.isFalse(yield* isBanned("[2001:db8:1::1]:8233"))
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("begins anew when it is said again, and never ends earlier for it (AB-19, EX-22)", () =>
      Effect.gen(function* () {
        yield* ban("[2001:db8::1]:8233")
        yield* TestClock.adjust(Duration.seconds(24 * 3600 - 60))
        yield* ban("[2001:db8::2]:8233")
        assert.strictEqual(yield* banned, 1)
        yield* ban("[2001:db8::3]:8233", Duration.minutes(1))
        yield* TestClock.adjust(Duration.seconds(24 * 3600 - 1))
        assert.isTrue(yield* isBanned("[2001:db8::3]:8233"))
        yield* TestClock.adjust("1 second")
        assert.isFalse(yield* isBanned("[2001:db8::3]:8233"))
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("of an earlier run that ends this second is left out, and one that ends in the next is not", () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_800_000_000_000)
        const list = yield* BanList.make([
          { group: "192.0.2.1", reason: "x", untilSeconds: 1_800_000_000 },
          { group: "192.0.2.2", reason: "x", untilSeconds: 1_800_000_001 }
        ])
        assert.deepStrictEqual([...HashMap.keys(yield* list.bans.get)], ["192.0.2.2"])
      }).pipe(Effect.provide(BackgroundTasks.layer))
    )

    it.effect("gives way, when there are too many, in the order they end (AB-21, EX-4)", () =>
      Effect.gen(function* () {
        const next = TestClock.adjust("1 second")
        yield* ban("192.0.2.1:1")
        yield* next
        yield* ban("192.0.2.2:1")
        yield* next
        for (let n = 0; n < 19_998; n++) yield* ban(`10.0.${n >> 8}.${n & 255}:1`)
        yield* next
        yield* ban("192.0.2.2:1")
        assert.strictEqual(yield* banned, 20_000)
        assert.isTrue(yield* isBanned("192.0.2.1:1"))
        yield* next
        yield* ban("192.0.2.3:1")
        assert.strictEqual(yield* banned, 20_000)
        assert.deepStrictEqual(
          [yield* isBanned("192.0.2.1:1"), yield* isBanned("192.0.2.2:1"), yield* isBanned("192.0.2.3:1")],
          [false, true, true]
        )
      }).pipe(Effect.provide(bookWorld()), Effect.provideService(References.MinimumLogLevel, "None"))
    )

    it.effect(
      "outlasts any number of others when it ends later than they do: what the operator banned is not churned away (X9, G6)",
      () =>
        Effect.gen(function* () {
          yield* ban("192.0.2.1:1", Duration.days(7))
          // One a second is let in, so an attacker with as many hosts needs six hours; which are first is all that counts here.
          for (let n = 0; n < 20_001; n++) {
            if (n < 3) yield* TestClock.adjust("1 second")
            yield* ban(`10.0.${n >> 8}.${n & 255}:1`)
          }
          assert.strictEqual(yield* banned, 20_000)
          assert.isTrue(yield* isBanned("192.0.2.1:1"))
          // The first two of the others had to go.
          assert.deepStrictEqual(
            [yield* isBanned("10.0.0.0:1"), yield* isBanned("10.0.0.1:1"), yield* isBanned("10.0.0.2:1")],
            [false, false, true]
          )
        }).pipe(Effect.provide(bookWorld()), Effect.provideService(References.MinimumLogLevel, "None"))
    )

    it.effect("is published once, and not again for what is refused because of it (EX-14)", () =>
      Effect.gen(function* () {
        const list = yield* BanList
        const published: Array<number> = []
        yield* list.bans.changes.pipe(
          Stream.runForEach((bans) => Effect.sync(() => published.push(HashMap.size(bans)))),
          Effect.forkChild({ startImmediately: true })
        )
        yield* elapse("1 millis")
        yield* gossip(["10.0.0.1:8233", 1])
        yield* ban("10.0.0.1:8233")
        yield* elapse("1 millis")
        assert.deepStrictEqual(published, [0, 1])
        yield* gossip(["10.0.0.1:8233", 1])
        assert.isTrue(Option.isNone(yield* record({ _tag: "UpdateAttempt", address: address("10.0.0.1:18234") })))
        yield* elapse("1 millis")
        assert.deepStrictEqual(published, [0, 1])
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("can be lifted, and is told when it begins and ends (EX-17)", () =>
      Effect.gen(function* () {
        const bans = yield* BanList
        const seen: Array<string> = []
        yield* bans.changes.pipe(
          Stream.runForEach((change) => Effect.sync(() => seen.push(change._tag))),
          Effect.forkChild({ startImmediately: true })
        )
        yield* elapse("1 millis")
        yield* ban("10.0.0.1:1")
        yield* elapse("1 millis")
        assert.isTrue(yield* bans.lift("10.0.0.1"))
        assert.isFalse(yield* bans.lift("10.0.0.1"))
        yield* ban("10.0.0.2:1", Duration.minutes(3))
        yield* elapse("4 minutes", "10 seconds")
        assert.deepStrictEqual(seen, ["Banned", "Ended", "Banned", "Ended"])
        assert.strictEqual(yield* banned, 0)
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("is logged once a minute at most, so that nobody who is banned decides what fills the disk", () =>
      Effect.gen(function* () {
        const lines = yield* linesOf(
          Effect.forEach(Array.from({ length: 90 }), (_, n) =>
            Effect.andThen(ban(`10.0.0.${n}:1`), TestClock.adjust("1 second"))
          )
        )
        assert.deepStrictEqual(
          lines.filter((line) => line.includes("banned")),
          ["Warn: banned a peer group", "Warn: banned a peer group"]
        )
        assert.strictEqual(yield* banned, 90)
      }).pipe(Effect.provide(bookWorld()))
    )

    it.effect("keeps of a reason what fits on one line of the log", () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        const made = yield* book.ban({ address: address("10.0.0.1:1"), reason: `bad\n${"x".repeat(300)}` })
        assert.strictEqual(made.reason, `bad ${"x".repeat(196)}`)
      }).pipe(Effect.provide(bookWorld()))
    )
  })

  describe(`whatever happens to the book (${book})`, () => {
    it.effect(
      "it never has more entries than it may have, and they are in their order (AB-P3, EX-2, advisory A7)",
      () =>
        Effect.gen(function* () {
          const draw = SeededRandom.draws(3, "book")
          const below = (bound: number) => draw() % bound
          for (const addressBookCapacity of [1, 3, 10]) {
            yield* Effect.gen(function* () {
              const book = yield* AddressBook
              for (let step = 0; step < 1500; step++) {
                const peer = address(`10.0.${below(4)}.${below(6)}:${8233 + below(2)}`)
                const changes: ReadonlyArray<PeerAddress.AddressChange> = [
                  { _tag: "NewInitial", address: peer },
                  {
                    _tag: "NewGossiped",
                    address: peer,
                    services: BigInt(below(2)),
                    lastSeenSeconds: below(4_294_967_295)
                  },
                  { _tag: "UpdateAttempt", address: peer },
                  {
                    _tag: "UpdateConnected",
                    address: peer,
                    services: 1n,
                    isInbound: below(2) === 1,
                    userAgent: "",
                    negotiatedVersion: 170_190
                  },
                  { _tag: "UpdatePingSent", address: peer, sentAtMillis: step },
                  { _tag: "UpdateResponded", address: peer, roundTrip: undefined },
                  { _tag: "UpdateFailed", address: peer, services: undefined }
                ]
                yield* book.record(changes[below(changes.length)]!)
                if (below(50) === 0) yield* ban(PeerSocketAddress.format(peer), Duration.seconds(30))
                if (below(10) === 0) yield* TestClock.adjust(Duration.seconds(below(300)))
                const entries = yield* book.entries
                assert.isAtMost(entries.length, addressBookCapacity)
                assert.deepStrictEqual(entries, entries.toSorted(PeerAddress.compare))
                const { failed, neverAttempted, responded, attemptPending, total } = yield* book.metrics.get
                assert.strictEqual(failed + neverAttempted + responded + attemptPending, total)
                if (below(20) === 0) {
                  const before = yield* book.readyCount
                  const taken = yield* book.takeCandidate
                  assert.strictEqual(Option.isSome(taken), before > 0)
                  if (Option.isSome(taken)) assert.strictEqual(taken.value.state, "AttemptPending")
                }
              }
            }).pipe(Effect.provide(bookWorld({ addressBookCapacity })))
          }
        }).pipe(Effect.provideService(References.MinimumLogLevel, "None"))
    )
  })
}
