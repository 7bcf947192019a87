/** What holds for a book of any entries, whatever happens to them. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Duration, Effect, Option, References } from "effect"
import { TestClock } from "effect/testing"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import * as AddressRules from "../../src/addresses/AddressRules.ts"
import * as Gossip from "../../src/addresses/Gossip.ts"
import * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import { mainnet } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as Monotonic from "../../src/Monotonic.ts"
import { defaults } from "../../src/Policy.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import * as Generators from "../../src/simulation/Generators.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import { change, int } from "../support/addressChanges.ts"
import { address, books, bookWorldOf, gossiped, nowSeconds } from "../support/bookWorld.ts"

const quietly = Effect.provideService(References.MinimumLogLevel, "None")

const format = PeerSocketAddress.format

/** Long after the beginning, so that there is a past to be seen in. */
const beginning = 1_000_000

const begin = TestClock.setTime(beginning * 1000)

/** Few addresses, so that changes meet: IPv4 and IPv6, of some groups, some of no use. */
const fewAddresses = Arbitrary.map(int(0, 9), (n) =>
  n === 9 ? address("0.0.0.0:8233") : address(n < 6 ? `10.0.0.${n >> 1}:${8233 + (n & 1)}` : `[2001:db8::${n}]:8233`)
)

/** Seconds of the last five hours, and of the next one. */
const seen = int(beginning - 18_000, beginning + 3600)

/** A change of some address, and the seconds until the next. */
const steps = (maxLength: number, wait: Arbitrary.Arbitrary<number>) =>
  Arbitrary.array(Arbitrary.all([Arbitrary.flatMap(fewAddresses, (peer) => change(peer, seen)), wait]), { maxLength })

/** What the book may tell now, found by looking at everything. */
const tellable = (entries: ReadonlyArray<PeerAddress.PeerAddress>, listener: PeerSocketAddress.PeerSocketAddress) =>
  Effect.map(nowSeconds, (wallSeconds) => {
    const others = entries.filter((entry) => format(entry.address) !== format(listener))
    return [PeerAddress.ownListener(listener, { wallSeconds, monotonicMillis: 0 }), ...others].flatMap((entry) => {
      const told = Gossip.sanitize(entry, mainnet)
      return told !== undefined && told.lastSeenSeconds >= wallSeconds - 3 * 3600 ? [told] : []
    })
  })

describe.each(books)("whatever a book holds (%s)", (name) => {
  const bookWorld = bookWorldOf(name)

  it.effect.prop(
    "it tells half of what others may know, each once, and nothing older than three hours (AB-P1)",
    { listener: Generators.peerSocketAddress, steps: steps(7, int(0, 0)) },
    ({ listener, steps }) =>
      Effect.gen(function* () {
        yield* begin
        const book = yield* AddressBook
        for (const [change] of steps) yield* book.record(change)
        const all = yield* tellable(yield* book.entries, listener)
        const answer = yield* book.gossip
        assert.strictEqual(answer.length, Math.min(1000, Math.ceil(all.length / 2)))
        assert.strictEqual(new Set(answer.map((told) => format(told.address))).size, answer.length)
        for (const told of answer) assert.deepInclude(all, told)
      }).pipe(Effect.provide(bookWorld({}, mainnet, OwnAddress.layer({ listening: listener }))), quietly),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop(
    "it tells what anybody would find who looked at everything, whichever way the clock was set (MA-P4, EX-6)",
    { listener: fewAddresses, steps: steps(20, int(-14_400, 14_400)), phase: int(0, 1799) },
    ({ listener, phase, steps }) =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        let wallSeconds = beginning + phase
        for (const [change, wait] of steps) {
          yield* TestClock.setTime(wallSeconds * 1000)
          yield* book.record(change)
          wallSeconds += wait
          yield* TestClock.setTime(wallSeconds * 1000)
          const answer = yield* book.gossip
          assert.sameDeepMembers([...answer], yield* tellable(yield* book.entries, listener))
          // Our own listener stands for whatever the book holds of its address.
          const own = answer.filter((told) => format(told.address) === format(listener))
          const isValid = AddressRules.validForOutbound(listener, mainnet) === undefined
          assert.deepStrictEqual(
            own.map(({ lastSeenSeconds }) => lastSeenSeconds),
            isValid ? [wallSeconds - (wallSeconds % 1800)] : []
          )
        }
      }).pipe(
        Effect.provide(
          bookWorld({ gossipShare: 1, addressBookCapacity: 6 }, mainnet, OwnAddress.layer({ listening: listener }))
        ),
        quietly
      ),
    { arbitrary: { runs: 300 } }
  )

  it.effect("it tells everybody as often as anybody else, and in any place", () =>
    Effect.gen(function* () {
      yield* begin
      const book = yield* AddressBook
      yield* book.addGossiped(Array.from({ length: 10 }, (_, i) => gossiped(`10.0.0.${i}:8233`, beginning)))
      const times = new Map<string, number>()
      for (let n = 0; n < 5000; n++) {
        for (const [place, told] of (yield* book.gossip).entries()) {
          const key = `${format(told.address)} in place ${place}`
          times.set(key, (times.get(key) ?? 0) + 1)
        }
      }
      // Ten in five places: each is expected 500 times, with a standard deviation of 21.
      assert.strictEqual(times.size, 50)
      for (const [key, count] of times) assert.closeTo(count, 500, 100, key)
    }).pipe(Effect.provide(bookWorld()), Effect.provide(SeededRandom.layer("gossip")), quietly)
  )

  it.effect.prop(
    "it tells of one that was seen 2 h 29 min ago, and not of one seen 3 h 1 s ago (EX-6)",
    { phase: int(0, 1799), between: int(9001, 10_799) },
    ({ between, phase }) =>
      Effect.gen(function* () {
        const now = beginning + phase
        yield* TestClock.setTime(now * 1000)
        const book = yield* AddressBook
        const ages = [2 * 3600 + 29 * 60, 3 * 3600 + 1, between]
        yield* book.addGossiped(ages.map((age, i) => gossiped(`10.0.0.${i}:8233`, now - age)))
        const told = new Set((yield* book.gossip).map((told) => format(told.address)))
        assert.deepStrictEqual(
          ages.map((_, i) => told.has(`10.0.0.${i}:8233`)),
          // Rounded down to half an hour, it is as old as that.
          [true, false, between + ((now - between) % 1800) <= 3 * 3600]
        )
      }).pipe(Effect.provide(bookWorld({ gossipShare: 1 })), quietly),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop(
    "whoever it would dial is probably reachable (AB-P2)",
    { steps: steps(20, int(0, 200_000)) },
    ({ steps }) =>
      Effect.gen(function* () {
        yield* begin
        const book = yield* AddressBook
        for (const [change, wait] of steps) {
          yield* book.record(change)
          yield* TestClock.adjust(Duration.seconds(wait))
          const before = new Map((yield* book.entries).map((entry) => [format(entry.address), entry]))
          const taken = yield* book.takeCandidate
          if (Option.isNone(taken)) continue
          const entry = before.get(format(taken.value.address))!
          // Three days after it was last seen, by us or by others, whoever failed is given up.
          const seen = entry.lastResponseMillis ?? entry.untrustedLastSeenMillis ?? -Infinity
          const isSeenLately = (yield* Monotonic.millis) - seen <= 3 * 86_400_000
          assert.isTrue(entry.state !== "Failed" || entry.isConfigured || isSeenLately)
        }
      }).pipe(Effect.provide(bookWorld()), quietly),
    { arbitrary: { runs: 100 } }
  )

  it.effect.prop(
    "a change of what it does not know becomes its entry, if it is of use (MA-P5)",
    {
      change: Arbitrary.flatMap(
        // A quarter of them has no port.
        Arbitrary.map(Arbitrary.all([Generators.peerSocketAddress, int(0, 3)]), ([peer, n]) =>
          n === 0 ? PeerSocketAddress.fromIp(peer.address, 0) : peer
        ),
        (peer) => change(peer)
      )
    },
    ({ change }) =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        const made = PeerAddress.apply(change, undefined, { wallSeconds: 0, monotonicMillis: 0 }, defaults)
        assert.deepStrictEqual(made?.address, change.address)
        const isKept =
          AddressRules.validForOutbound(change.address, mainnet) === undefined &&
          (PeerAddress.isValidForOutbound(made!, mainnet) || made!.state !== "NeverAttempted")
        const kept = yield* book.record(change)
        assert.deepStrictEqual(Option.toArray(kept), isKept ? [made!] : [])
        assert.deepStrictEqual(yield* book.entries, Option.toArray(kept))
      }).pipe(Effect.provide(bookWorld({ addressBookCapacity: 1 })), quietly),
    { arbitrary: { runs: 300 } }
  )

  it.effect.prop(
    "one address is dialled once in 119 seconds at most, whatever else happens to it (MA-P6)",
    { isKnown: int(0, 1), changes: Arbitrary.array(change(address("10.0.0.1:8233")), { maxLength: 14 }) },
    ({ changes, isKnown }) =>
      Effect.gen(function* () {
        yield* begin
        const book = yield* AddressBook
        if (isKnown === 1) yield* book.addPeer(address("10.0.0.1:8233"))
        let latest = -Infinity
        // Three times 119 s, and all that is ready taken before each change.
        for (let round = 0; round <= 15; round++) {
          for (;;) {
            const taken = yield* book.takeCandidate
            if (Option.isNone(taken)) break
            assert.strictEqual(format(taken.value.address), "10.0.0.1:8233")
            assert.isAtLeast(round * 23.8 - latest, 119)
            latest = round * 23.8
          }
          const change = changes[round]
          if (change !== undefined) yield* book.record(change)
          yield* TestClock.adjust(Duration.millis(23_800))
        }
      }).pipe(Effect.provide(bookWorld()), quietly),
    { arbitrary: { runs: 150 } }
  )

  if (name === "reference")
    it.effect.prop(
      "everybody is dialled once before anybody is twice, answered or not (MA-P7)",
      {
        peers: Arbitrary.array(
          Arbitrary.all([Arbitrary.array(int(0, 3), { minLength: 15, maxLength: 15 }), int(0, 3600)]),
          { minLength: 2, maxLength: 14 }
        )
      },
      ({ peers }) =>
        Effect.gen(function* () {
          yield* begin
          const book = yield* AddressBook
          const texts = peers.map((_, i) => `10.0.0.${i}:8233`)
          yield* book.addGossiped(peers.map(([, age], i) => gossiped(texts[i]!, beginning - age)))
          const attempts = texts.map(() => 0)
          for (let round = 0; round < 15; round++) {
            for (;;) {
              const taken = yield* book.takeCandidate
              if (Option.isNone(taken)) break
              const { address: peer } = taken.value
              const index = texts.indexOf(format(peer))
              attempts[index]!++
              assert.isAtMost(Math.max(...attempts), 4)
              assert.isAtMost(Math.max(...attempts) - Math.min(...attempts), 1)
              // The dial fails, or nothing is heard of it.
              if (peers[index]![0][round] === 1) {
                yield* book.record({ _tag: "UpdateFailed", address: peer, services: undefined })
              }
            }
            // Others speak of them again.
            for (const [i, [events]] of peers.entries()) {
              if (events[round] === 2) yield* book.addGossiped([gossiped(texts[i]!, yield* nowSeconds)])
              if (events[round] === 3) yield* book.addPeer(address(texts[i]!))
            }
            yield* TestClock.adjust(Duration.millis(23_800))
          }
          assert.isAtLeast(Math.min(...attempts), 3)
        }).pipe(Effect.provide(bookWorld()), quietly),
      { arbitrary: { runs: 100 } }
    )
})
