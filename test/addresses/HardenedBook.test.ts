/** What keeps an attacker from filling a book and from being dialled next: each rule, where it begins and where it ends. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Option, Result } from "effect"
import { TestClock } from "effect/testing"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { AddressGroups, bySystem } from "../../src/addresses/AddressGroups.ts"
import * as AddressRules from "../../src/addresses/AddressRules.ts"
import * as AsMap from "../../src/addresses/AsMap.ts"
import { FailureMemory } from "../../src/addresses/FailureMemory.ts"
import * as HardenedBook from "../../src/addresses/HardenedBook.ts"
import { Tables, shapeOf } from "../../src/addresses/Tables.ts"
import { regtest, testnet } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import type { Policy } from "../../src/Policy.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { answer, ipv4Prefix, jump, program } from "../support/asMaps.ts"
import { address, bookWorldOf, connects, fails, gossiped, nowSeconds } from "../support/bookWorld.ts"
import { seriesOf, withMetrics } from "../support/metrics.ts"
import { twoClocks } from "../support/twoClocks.ts"

const world = (policy: Partial<Policy> = {}, chain = testnet) => bookWorldOf("hardened")(policy, chain)

/** Host `n` of network `network`. */
const host = (network: number, n = 1) => `40.${network}.${n >> 8}.${n & 255}:18233`
const range = (count: number) => Array.from({ length: count }, (_, n) => n)

const tell = (texts: ReadonlyArray<string>, from?: string, seen = 0) =>
  Effect.gen(function* () {
    const now = yield* nowSeconds
    const book = yield* AddressBook
    return yield* book.addGossiped(
      texts.map((text) => gossiped(text, now - seen)),
      from === undefined ? undefined : address(from)
    )
  })
const take = Effect.flatMap(AddressBook, (book) =>
  Effect.map(book.takeCandidate, (entry) =>
    Option.getOrUndefined(Option.map(entry, (entry) => PeerSocketAddress.format(entry.address)))
  )
)
const takeAll = Effect.gen(function* () {
  const taken: Array<string> = []
  for (let text = yield* take; text !== undefined; text = yield* take) taken.push(text)
  return taken
})
const answers = (text: string) =>
  Effect.flatMap(AddressBook, (book) =>
    book.record({ _tag: "UpdateResponded", address: address(text), roundTrip: undefined })
  )
const why = (text: string) => Effect.flatMap(AddressBook, (book) => book.why(address(text)))
const networkOf = (text: string) => AddressRules.networkKey(address(text))

describe("the tables", () => {
  it("give a source 64 of 1,024 buckets and a group 8 of 256, whatever the secret (G8)", () => {
    for (const secret of [0, 1, 255]) {
      const tables = new Tables(new Uint8Array(32).fill(secret), 5000)
      const heard = new Set(range(20_000).map((n) => tables.newBucket(`40.${n}`, "11.7")))
      const met = new Set(range(20_000).map((n) => tables.triedBucket(`4028000${n}`, "11.7")))
      assert.isAtMost(heard.size, 64)
      assert.isAtLeast(heard.size, 55)
      assert.isAtMost(met.size, 8)
      assert.isAtLeast(met.size, 6)
      // Others have others.
      const all = new Set(range(20_000).map((n) => tables.newBucket("40.7", `11.${n}`)))
      assert.isAtLeast(all.size, 1000)
    }
  })

  it("are smaller in a smaller book, in the same proportion, and leave places for what is in neither", () => {
    for (const capacity of [3, 500, 1000, 5000, 50_000]) {
      const [heard, met] = [shapeOf("new", capacity), shapeOf("tried", capacity)]
      assert.strictEqual(heard.open / heard.buckets, 64 / 1024)
      assert.strictEqual(met.open / met.buckets, 8 / 256)
      if (capacity < 500) continue
      const places = heard.buckets * heard.places + met.buckets * met.places
      assert.isBelow(places, capacity)
      assert.isAbove(places, 0.85 * capacity)
    }
  })
})

describe("whoever was dialled", () => {
  it.effect("and then given up and told of again, answers as who is in the book now", () =>
    Effect.gen(function* () {
      yield* tell([host(1)])
      assert.strictEqual(yield* take, host(1))
      yield* (yield* AddressBook).ban({ address: address(host(1)), reason: "x", duration: Duration.seconds(1) })
      assert.strictEqual((yield* why(host(1))).table, undefined)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* tell([host(1)]), 1)
      assert.strictEqual((yield* why(host(1))).table, "new")
      // That it was dialled is not forgotten with it.
      assert.isUndefined(yield* take)
      yield* connects(host(1))
      assert.strictEqual((yield* why(host(1))).table, "tried")
    }).pipe(Effect.provide(world()))
  )
})

describe("a source", () => {
  it.effect("fills an eighth of a book at most, however much it tells and wherever that is (E3, E8; advisory A8)", () =>
    Effect.gen(function* () {
      for (const round of range(40)) {
        yield* tell(
          range(100).map((n) => host(n, round * 7 + 1)),
          host(200)
        )
        yield* TestClock.adjust("20 minutes")
      }
      const { length } = yield* (yield* AddressBook).entries
      assert.isAtMost(length, 5000 / 8)
      // What it told is kept up to there.
      assert.isAbove(length, 200)
    }).pipe(Effect.provide(world()))
  )

  it.effect("tells 256 at once and then one in ten seconds, and nobody else waits for that (E8)", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* tell(
          range(256).map((n) => host(n)),
          host(200)
        ),
        256
      )
      assert.strictEqual(yield* tell([host(1, 77)], host(200, 9)), 0)
      assert.strictEqual(yield* tell([host(1, 77)], host(201)), 1)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(yield* tell([host(2, 77), host(3, 77)], host(200)), 1)
      // So large that no bucket is full.
    }).pipe(Effect.provide(world({ addressBookCapacity: 50_000 })))
  )

  it.effect("gains nothing by what it claims to have seen when (E4)", () =>
    Effect.gen(function* () {
      const story = (seen: (n: number) => number) =>
        Effect.gen(function* () {
          yield* TestClock.setTime(10_000_000)
          for (const n of range(30)) yield* tell([host(n)], host(200), seen(n))
          return yield* takeAll
        }).pipe(Effect.provide(world()), Effect.provide(TestClock.layer()))
      const ordered = yield* story((n) => 60 * n)
      assert.lengthOf(ordered, 30)
      assert.deepStrictEqual(yield* story((n) => 3000 - 60 * n), ordered)
    })
  )
})

describe("an address that was told as seen long ago", () => {
  it.effect(
    "is dialled again for two days after a dial in vain: whoever is first to tell of others cannot end them",
    () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(1_767_225_600_000)
        // In parts that nobody else is in, by an attacker, and then by others.
        yield* tell([host(1)], host(200), 29 * 86_400)
        yield* tell([host(1)], host(201))
        assert.strictEqual(yield* take, host(1))
        yield* fails(host(1))
        yield* TestClock.adjust("47 hours")
        assert.strictEqual(yield* take, host(1))
        yield* fails(host(1))
        yield* TestClock.adjust("2 hours")
        assert.isUndefined(yield* take)
      }).pipe(Effect.provide(world()))
  )
})

describe("a part of the internet", () => {
  it.effect("is dialled once at a time, and as often as any other, whatever crowd is in it (E1, E4)", () =>
    Effect.gen(function* () {
      for (const part of range(8))
        yield* tell(
          range(250).map((n) => host(7, part * 250 + n + 1)),
          host(210 + part)
        )
      yield* tell(
        range(99).map((n) => host(n + 8)),
        host(200)
      )
      const first = yield* Effect.forEach(range(10), () => take)
      assert.isAtMost(first.filter((text) => networkOf(text!) === "40.7").length, 1)
      const rest = yield* takeAll
      assert.lengthOf(
        [...first, ...rest].filter((text) => networkOf(text!) === "40.7"),
        1
      )
      assert.isAtLeast(first.length + rest.length, 95)
    }).pipe(Effect.provide(world()))
  )

  it.effect(
    "has one outbound connection; two where fewer than 75 parts are known and no other has been heard of for 5 minutes",
    () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        yield* tell([host(1, 1), host(1, 2), host(1, 3)], host(200))
        const first = yield* take
        yield* connects(first!)
        assert.isUndefined(yield* take)
        const other = [host(1, 1), host(1, 2), host(1, 3)].find((text) => text !== first)!
        assert.strictEqual((yield* why(other)).against, "group-full")
        assert.isFalse(yield* book.hasRoom(address(host(1, 9))))
        const stay = Effect.gen(function* () {
          yield* TestClock.adjust("100 seconds")
          yield* answers(first!)
        })
        yield* Effect.replicateEffect(stay, 4, { discard: true })
        const second = yield* take
        assert.isDefined(second)
        yield* connects(second!)
        assert.isUndefined(yield* take)
        // As soon as there are enough of others, the next one has to be elsewhere.
        for (const n of range(75)) yield* tell([host(n + 2)], host(n + 2, 9))
        yield* fails(second!)
        const taken = yield* takeAll
        assert.lengthOf(taken, 75)
        assert.isTrue(taken.every((text) => networkOf(text) !== "40.1"))
      }).pipe(Effect.provide(world()))
  )

  it.effect(
    "has a second one where places are left over: of eight, six are for the first of each part that answered, however many are known",
    () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        /** Three hosts in each of five parts. */
        const met = range(5).map((part) => range(3).map((n) => host(part, n + 1)))
        const everybody = met.flat()
        const isMet = (text: string) => everybody.includes(text)
        for (const hosts of met) yield* tell(hosts, host(200))
        // Where nobody is.
        for (const n of range(20)) yield* tell([host(20 + n)], host(201))
        const first = (yield* takeAll).filter(isMet)
        assert.lengthOf(first, 5)
        yield* Effect.forEach(first, connects)
        const open = [...first]
        /** 100 seconds with an answer of whoever is connected; whom the book dials then, but for those that are not there. */
        const pass = Effect.gen(function* () {
          yield* TestClock.adjust("100 seconds")
          yield* Effect.forEach(open, answers)
          const taken = yield* takeAll
          yield* Effect.forEach(
            taken.filter((text) => !isMet(text)),
            fails
          )
          return taken.filter(isMet)
        })
        // Not before an hour without another part that answered.
        for (const _ of range(30)) assert.deepStrictEqual(yield* pass, [])
        const other = host(20)
        yield* connects(other)
        open.push(other)
        for (const _ of range(36)) assert.deepStrictEqual(yield* pass, [])
        const beside = everybody.find((text) => !first.includes(text))!
        assert.strictEqual((yield* why(beside)).against, "group-full")
        assert.isFalse(yield* book.hasRoom(address(beside)))
        const second = yield* pass
        assert.lengthOf(second, 2)
        assert.lengthOf(new Set(second.map(networkOf)), 2)
        yield* Effect.forEach(second, connects)
        open.push(...second)
        for (const _ of range(3)) assert.deepStrictEqual(yield* pass, [])
        // The place of a first one is none that is left over.
        const alone = first.find((text) => !second.some((other) => networkOf(other) === networkOf(text)))!
        yield* fails(alone)
        open.splice(open.indexOf(alone), 1)
        const next = yield* pass
        assert.deepStrictEqual(next.map(networkOf), [networkOf(alone)])
      }).pipe(Effect.provide(world({ targetPeers: 4, outboundMultiplier: 2, groupsForOneEach: 8 })))
  )

  it.effect("is free again when its peer is gone, and 119 seconds after it fell silent", () =>
    Effect.gen(function* () {
      yield* tell([host(1, 1), host(1, 2), host(1, 3)], host(200))
      const first = yield* take
      yield* connects(first!)
      yield* fails(first!)
      const second = yield* take
      assert.isDefined(second)
      yield* connects(second!)
      yield* TestClock.adjust("119 seconds")
      assert.isUndefined(yield* take)
      yield* TestClock.adjust("1 millis")
      assert.isDefined(yield* take)
    }).pipe(Effect.provide(world()))
  )

  it.effect("is the same for an IPv4 network and for the IPv6 ones that whoever has it has for nothing", () =>
    Effect.gen(function* () {
      yield* tell(
        ["40.1.0.1:18233", "[2002:2801:2::1]:18233", "[64:ff9b::2801:3]:18233", "[2001::d7fe:fffb]:18233"],
        host(1)
      )
      assert.lengthOf(yield* takeAll, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("is the system of a map, where there is one (E12)", () => {
    const map = Result.getOrThrow(AsMap.decode(program(ipv4Prefix, jump(17), answer(7), answer(9))))
    return Effect.gen(function* () {
      assert.strictEqual((yield* why("40.1.0.1:18233")).group, "AS7")
      yield* tell(["40.1.0.1:18233", "90.2.0.1:18233", "200.1.0.1:18233"], host(1))
      const taken = yield* takeAll
      assert.lengthOf(taken, 2)
      assert.isTrue(taken.includes("200.1.0.1:18233"))
    }).pipe(Effect.provide(world().pipe(Layer.provide(Layer.succeed(AddressGroups, bySystem(map))))))
  })

  it.effect("counts for nobody the operator named, nor for a private network on Regtest", () =>
    Effect.gen(function* () {
      const named = [host(1, 1), host(1, 2), host(1, 3)]
      const book = yield* AddressBook
      for (const text of named) yield* book.record({ _tag: "NewConfigured", address: address(text) })
      assert.sameMembers([...(yield* takeAll)], named)
    }).pipe(
      Effect.provide(world()),
      Effect.andThen(
        Effect.gen(function* () {
          const near = range(20).map((n) => `10.0.0.${n + 1}:18233`)
          yield* tell(near, "10.0.0.99:18233")
          assert.sameMembers([...(yield* takeAll)], near)
        }).pipe(Effect.provide(world({}, regtest)))
      )
    )
  )
})

describe("what failed", () => {
  it.effect("rests for longer each time while somebody is there, and not while nobody is", () =>
    Effect.gen(function* () {
      yield* tell([host(1), host(2)], host(200))
      yield* takeAll
      yield* connects(host(1))
      /** Seconds until it is dialled again, to ten. */
      const wait = Effect.gen(function* () {
        yield* fails(host(2))
        for (let seconds = 0; seconds < 4000; seconds += 10) {
          yield* TestClock.adjust("10 seconds")
          if (seconds % 100 === 0) yield* answers(host(1))
          if ((yield* take) !== undefined) return seconds + 10
        }
        return Number.POSITIVE_INFINITY
      })
      assert.strictEqual(yield* wait, 120)
      assert.strictEqual(yield* wait, 180)
      assert.strictEqual(yield* wait, 270)
      for (const _ of range(8)) yield* wait
      assert.strictEqual(yield* wait, 1810)
      yield* fails(host(1))
      yield* fails(host(2))
      yield* TestClock.adjust("120 seconds")
      assert.sameMembers([...(yield* takeAll)], [host(1), host(2)])
    }).pipe(Effect.provide(world({ longestRest: Duration.minutes(30) })))
  )

  it.effect(
    "gives its place to what is new after three times, and is not dialled sooner for being told again (E9)",
    () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        // As many as their source may fill: some bucket of the next one is full.
        for (const part of range(8)) {
          yield* tell(
            range(200).map((n) => host(n, part + 1)),
            host(200)
          )
          yield* TestClock.adjust("1 hour")
        }
        const known = new Set((yield* book.entries).map((entry) => PeerSocketAddress.format(entry.address)))
        for (const _ of range(3)) {
          for (const text of known) {
            yield* book.record({ _tag: "UpdateAttempt", address: address(text) })
            yield* fails(text)
          }
          yield* TestClock.adjust("1 hour")
        }
        const dialled = yield* take
        yield* fails(dialled!)
        let replaced: string | undefined
        for (let n = 0; replaced === undefined && n < 3000; n++) {
          yield* tell([host(n % 256, 100 + (n >> 8))], host(200))
          if (n % 200 === 199) yield* TestClock.adjust("10 millis")
          const left = new Set((yield* book.entries).map((entry) => PeerSocketAddress.format(entry.address)))
          replaced = [...known].find((text) => !left.has(text))
          if (n % 100 === 99) yield* Effect.yieldNow
          if (n % 250 === 249) break
        }
        assert.isDefined(replaced)
      }).pipe(Effect.provide(world({ addressBookCapacity: 500 })))
  )

  it("is remembered apart from the book, the latest 20,000 or so many", () => {
    const memory = new FailureMemory(3)
    for (const key of ["a", "b", "c"]) memory.failed(key, 1)
    memory.failed("a", 2)
    memory.attempted("d", 3)
    assert.isUndefined(memory.of("b"))
    assert.deepStrictEqual(memory.of("a"), { latestMillis: 2, failures: 2 })
    memory.answered("a", 4)
    assert.deepStrictEqual(memory.of("a"), { latestMillis: 4, failures: 0 })
    assert.strictEqual(memory.size, 3)
  })

  it("is what a list in the order of what happened would remember, whatever happens (500 stories)", () => {
    const draw = SeededRandom.draws(5, "memory")
    for (let story = 0; story < 500; story++) {
      const capacity = 1 + (draw() % 4)
      const memory = new FailureMemory(capacity)
      const naive: Array<readonly [string, number]> = []
      for (let step = 0; step < 40; step++) {
        const key = String(draw() % 6)
        const at = naive.findIndex(([other]) => other === key)
        const before = at < 0 ? 0 : naive[at]![1]
        if (at >= 0) naive.splice(at, 1)
        const kind = draw() % 3
        memory[(["attempted", "failed", "answered"] as const)[kind]!](key, step)
        naive.push([key, [before, before + 1, 0][kind]!])
        if (naive.length > capacity) naive.shift()
        assert.strictEqual(memory.size, naive.length)
        for (const [other, failures] of naive) assert.strictEqual(memory.of(other)?.failures, failures)
      }
    }
  })
})

describe("whom it dials", () => {
  it.effect("is somebody it met half of the time, though it heard of many more (E4)", () =>
    Effect.gen(function* () {
      const met = range(60).map((n) => host(n))
      for (const text of met) {
        yield* connects(text)
        yield* fails(text)
      }
      yield* TestClock.adjust("10 minutes")
      yield* Effect.forEach(range(10), (part) =>
        tell(
          range(19).map((n) => host(60 + part * 19 + n)),
          host(250, part)
        )
      )
      const first = (yield* takeAll).slice(0, 80)
      const ofMet = first.filter((text) => met.includes(text)).length
      assert.isAbove(ofMet, 25)
      assert.isBelow(ofMet, 55)
    }).pipe(Effect.provide(world()))
  )

  it.effect(
    "is nobody it dialled within 119 seconds, though it gave it up and was told of it again (E9; advisory A8)",
    () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        yield* tell([host(1)], host(200))
        assert.strictEqual(yield* take, host(1))
        yield* fails(host(1))
        // Others push it out of a book of three.
        for (const n of [2, 3, 4, 5]) yield* connects(host(n))
        assert.isTrue(Option.isNone(yield* book.get(address(host(1)))))
        for (const n of [2, 3, 4, 5]) yield* fails(host(n))
        for (const n of [2, 3, 4, 5]) yield* book.markOwn(address(host(n)))
        assert.strictEqual(yield* tell([host(1)], host(201)), 1)
        assert.isUndefined(yield* take)
        yield* TestClock.adjust("119 seconds")
        assert.isUndefined(yield* take)
        yield* TestClock.adjust("1 second")
        assert.strictEqual(yield* take, host(1))
      }).pipe(Effect.provide(world({ addressBookCapacity: 3 })))
  )
})

describe("places", () => {
  it.effect("are kept for those met a day ago: a quarter, as far as there are any (E6)", () =>
    Effect.gen(function* () {
      // Eight places, two of which are kept.
      const old = range(3).map((n) => host(n))
      yield* tell(old, host(200))
      yield* Effect.forEach(yield* takeAll, connects)
      for (const text of old) yield* fails(text)
      yield* TestClock.adjust("24 hours")
      yield* Effect.forEach(range(5), (n) =>
        tell(
          range(20).map((m) => host(20 + n * 20 + m)),
          host(201 + n)
        )
      )
      const first: Array<string> = []
      while (first.length < 6) {
        const text = (yield* take)!
        if (old.includes(text)) yield* fails(text)
        else {
          yield* connects(text)
          first.push(text)
        }
      }
      yield* TestClock.adjust("100 seconds")
      for (const text of first) yield* answers(text)
      yield* TestClock.adjust("100 seconds")
      for (const text of first) yield* answers(text)
      const next = [yield* take, yield* take]
      assert.isTrue(
        next.every((text) => old.includes(text!)),
        String(next)
      )
      const someone = (yield* (yield* AddressBook).entries).find(({ state }) => state === "NeverAttempted")!
      assert.strictEqual((yield* why(PeerSocketAddress.format(someone.address))).against, "places-kept")
    }).pipe(Effect.provide(world({ targetPeers: 4, outboundMultiplier: 2 })))
  )

  it.effect("are first those of the peers that were there for longest, of distinct parts (E6)", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      for (const n of range(6)) {
        yield* connects(host(n))
        yield* TestClock.adjust("1 second")
      }
      assert.deepStrictEqual(
        (yield* book.anchors).map(PeerSocketAddress.format),
        range(4).map((n) => host(n))
      )
      yield* TestClock.adjust("10 seconds")
      yield* fails(host(1))
      assert.deepStrictEqual(
        (yield* book.anchors).map(PeerSocketAddress.format),
        [0, 2, 3, 4].map((n) => host(n))
      )
      assert.isTrue((yield* why(host(0))).isAnchor)
      assert.isFalse((yield* why(host(5))).isAnchor)
    }).pipe(Effect.provide(world()))
  )

  it.effect("among those met are given up only after a test: whoever answers stays (E5)", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      /** Hosts of one group, more than it has places for. */
      const crowd = range(200).map((n) => host(1, n + 1))
      for (const text of crowd) {
        yield* connects(text)
        yield* TestClock.adjust("6 seconds")
        yield* fails(text)
      }
      const met = () => Effect.filter(crowd, (text) => Effect.map(why(text), ({ table }) => table === "tried"))
      const before = yield* met()
      assert.isAtMost(before.length, 8 * 3)
      yield* TestClock.adjust("5 hours")
      const newcomers = crowd.filter((text) => !before.includes(text))
      for (const text of newcomers.slice(0, 60)) {
        yield* connects(text)
        yield* TestClock.adjust("6 seconds")
        yield* fails(text)
      }
      // Nobody has lost a place yet.
      assert.deepStrictEqual(yield* met(), before)
      const tested = yield* book.takeFeeler
      const text = PeerSocketAddress.format(Option.getOrThrow(tested).address)
      assert.isTrue(before.includes(text))
      yield* connects(text)
      assert.isTrue((yield* met()).includes(text))
      yield* TestClock.adjust("6 seconds")
      const other = PeerSocketAddress.format(Option.getOrThrow(yield* book.takeFeeler).address)
      yield* TestClock.adjust("1 second")
      yield* fails(other)
      assert.isFalse((yield* met()).includes(other))
      assert.lengthOf(yield* met(), before.length)
    }).pipe(Effect.provide(world()))
  )

  it.effect("of connections are not taken by who connected to us, whatever it answers (E1)", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      yield* tell([host(1, 2)], host(200))
      yield* book.record({
        _tag: "UpdateConnected",
        address: address(host(1, 1)),
        services: 1n,
        isInbound: true,
        userAgent: "/x/",
        negotiatedVersion: 170_190
      })
      assert.isUndefined((yield* why(host(1, 1))).table)
      yield* TestClock.adjust("6 seconds")
      yield* answers(host(1, 1))
      assert.isTrue(yield* book.hasRoom(address(host(1, 9))))
      assert.isEmpty(yield* book.anchors)
      assert.strictEqual(yield* take, host(1, 2))
    }).pipe(Effect.provide(world()))
  )

  it.effect("of connections are not taken by a feeler", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      yield* tell([host(1, 1), host(1, 2)], host(200))
      const felt = PeerSocketAddress.format(Option.getOrThrow(yield* book.takeFeeler).address)
      yield* connects(felt)
      assert.isTrue(yield* book.hasRoom(address(felt)))
      assert.strictEqual((yield* why(felt)).table, "tried")
      assert.isDefined(yield* take)
    }).pipe(Effect.provide(world()))
  )

  it.effect("are free when a peer is gone from the book, or fell silent, whoever asks for them", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      const beside = address(host(1, 9))
      yield* connects(host(1))
      assert.deepStrictEqual([yield* book.hasRoom(beside), (yield* book.anchors).length], [false, 1])
      yield* book.markOwn(address(host(1)))
      assert.deepStrictEqual([yield* book.hasRoom(beside), (yield* book.anchors).length], [true, 0])
      yield* connects(host(1, 2))
      yield* TestClock.adjust("119 seconds")
      assert.deepStrictEqual([yield* book.hasRoom(beside), (yield* book.anchors).length], [false, 1])
      yield* TestClock.adjust("1 millis")
      assert.isTrue(yield* book.hasRoom(beside))
      yield* connects(host(1, 3))
      yield* TestClock.adjust("119001 millis")
      assert.isEmpty(yield* book.anchors)
    }).pipe(Effect.provide(world()))
  )

  it.effect(
    "of connections are taken by one that was looked at and stayed, or is dialled again after that failed",
    () =>
      Effect.gen(function* () {
        const book = yield* AddressBook
        yield* tell([host(1), host(2)], host(200))
        const felt = yield* Effect.replicateEffect(
          Effect.map(book.takeFeeler, (entry) => PeerSocketAddress.format(Option.getOrThrow(entry).address)),
          2
        )
        yield* connects(felt[0]!)
        yield* fails(felt[1]!)
        yield* TestClock.adjust("6 seconds")
        yield* answers(felt[0]!)
        yield* connects(felt[1]!)
        assert.deepStrictEqual(yield* Effect.forEach(felt, (text) => book.hasRoom(address(text))), [false, false])
      }).pipe(Effect.provide(world()))
  )

  it.effect("of connections are not taken by a feeler's dial, and are by one that is to stay", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      yield* tell([host(1, 1), host(1, 2), host(1, 3)], host(200))
      assert.isTrue(Option.isSome(yield* book.takeFeeler))
      assert.isDefined(yield* take)
      assert.isUndefined(yield* take)
    }).pipe(Effect.provide(world()))
  )
})

/** A book so small that hosts of one network have one place among those met, and those of one source one among those heard of. */
const tight = (policy: Partial<Policy> = {}) => world({ addressBookCapacity: 100, ...policy })

/** It answers now, and is gone six seconds later. */
const visits = (text: string) =>
  Effect.gen(function* () {
    yield* connects(text)
    yield* TestClock.adjust("6 seconds")
    yield* fails(text)
  })
const sizes = Effect.flatMap(AddressBook, (book) => book.sizes)
const tableOf = (text: string) => Effect.map(why(text), ({ table }) => table)
const texts = Effect.flatMap(AddressBook, (book) =>
  Effect.map(book.entries, (entries) => entries.map((entry) => PeerSocketAddress.format(entry.address)))
)

describe("a place among those met (E5)", () => {
  const [first, second] = [host(1, 1), host(1, 2)]

  it.effect("is nobody else's within four hours of an answer, and no test begins", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_800_000_000_000)
      yield* visits(first)
      yield* TestClock.adjust(Duration.subtract(Duration.hours(4), Duration.millis(6001)))
      yield* connects(second)
      assert.deepInclude(yield* sizes, { tried: 1, tested: 0 })
      yield* TestClock.adjust("1 millis")
      yield* connects(host(1, 3))
      assert.deepInclude(yield* sizes, { tried: 1, tested: 1 })
    }).pipe(Effect.provide(tight()))
  )

  it.effect("is the next one's when a test has had no answer for more than 40 minutes, and the test is over", () =>
    Effect.gen(function* () {
      yield* visits(first)
      yield* TestClock.adjust("4 hours")
      yield* visits(second)
      yield* TestClock.adjust(Duration.subtract(Duration.minutes(40), Duration.seconds(6)))
      assert.deepStrictEqual([yield* tableOf(first), yield* tableOf(second)], ["tried", undefined])
      assert.deepInclude(yield* sizes, { tried: 1, tested: 1 })
      yield* TestClock.adjust("1 millis")
      // Whoever loses it is heard of again.
      assert.deepStrictEqual([yield* tableOf(first), yield* tableOf(second)], ["new", "tried"])
      assert.deepInclude(yield* sizes, { new: 1, tried: 1, tested: 0 })
      // And where one who was met is wanted, it is the other one.
      const { takeElsewhere } = yield* AddressBook
      const met = yield* Effect.forEach([1, 2], () => takeElsewhere)
      assert.deepStrictEqual(met.map(Option.map(({ address }) => PeerSocketAddress.format(address))), [
        Option.some(second),
        Option.none()
      ])
    }).pipe(Effect.provide(tight()))
  )

  it.effect("is the next one's at once for whoever asks then", () =>
    Effect.gen(function* () {
      yield* visits(first)
      yield* TestClock.adjust("4 hours")
      yield* visits(second)
      yield* TestClock.adjust("41 minutes")
      const met = yield* (yield* AddressBook).takeElsewhere
      assert.deepStrictEqual(
        Option.map(met, (entry) => PeerSocketAddress.format(entry.address)),
        Option.some(second)
      )
    }).pipe(Effect.provide(tight()))
  )

  it.effect("is left for none where that is full, too", () =>
    Effect.gen(function* () {
      yield* visits(first)
      // Of the same network, told by it: the only place that the first one could go to.
      yield* tell([host(1, 9)], host(1, 7))
      assert.deepInclude(yield* sizes, { new: 1, tried: 1 })
      yield* TestClock.adjust("4 hours")
      yield* visits(second)
      yield* TestClock.adjust("41 minutes")
      assert.deepStrictEqual([yield* tableOf(first), yield* tableOf(second)], [undefined, "tried"])
      assert.deepInclude(yield* sizes, { new: 1, tried: 1, tested: 0 })
      assert.include(yield* texts, first)
    }).pipe(Effect.provide(tight()))
  )

  it.effect("goes without a test when it failed ten times and gave no answer for more than seven days", () =>
    Effect.gen(function* () {
      /** The tables of both after so many failures, and an answer so long ago. */
      const after = (failures: number, passed: Duration.Duration) =>
        Effect.gen(function* () {
          yield* TestClock.setTime(1_800_000_000_000)
          yield* connects(first)
          yield* Effect.replicateEffect(Effect.andThen(TestClock.adjust("6 seconds"), fails(first)), failures, {
            discard: true
          })
          yield* TestClock.adjust(Duration.subtract(passed, Duration.seconds(6 * failures)))
          yield* connects(second)
          return [yield* tableOf(first), yield* tableOf(second), (yield* sizes).tested]
        }).pipe(Effect.provide(tight()))
      const [week, moment] = [Duration.days(7), Duration.seconds(1)]
      assert.deepStrictEqual(yield* after(10, week), ["tried", undefined, 1])
      assert.deepStrictEqual(yield* after(9, Duration.sum(week, moment)), ["tried", undefined, 1])
      assert.deepStrictEqual(yield* after(10, Duration.sum(week, moment)), ["new", "tried", 0])
    })
  )

  it.effect("is waited for by ten at most", () =>
    Effect.gen(function* () {
      for (const network of range(30)) yield* visits(host(network, 1))
      // Some networks have the same place.
      const networks = yield* Effect.filter(range(30), (network) =>
        Effect.map(tableOf(host(network, 1)), (table) => table === "tried")
      )
      yield* TestClock.adjust("5 hours")
      const tested: Array<number> = []
      for (const network of networks.slice(0, 11)) {
        yield* visits(host(network, 2))
        tested.push((yield* sizes).tested)
      }
      assert.deepStrictEqual(tested, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10])
      // Whoever answers keeps its place.
      for (const network of networks) yield* connects(host(network, 1))
      assert.deepInclude(yield* sizes, { tried: networks.length, tested: 0 })
    }).pipe(Effect.provide(tight({ targetPeers: 100 })))
  )

  const feeler = Effect.flatMap(AddressBook, (book) =>
    Effect.map(book.takeFeeler, (entry) => PeerSocketAddress.format(Option.getOrThrow(entry).address))
  )

  it.effect("is asked for of whoever answered longest ago, and of nobody twice", () =>
    Effect.gen(function* () {
      // Two places for one network.
      for (const text of [first, second]) {
        yield* visits(text)
        yield* TestClock.adjust("1 minute")
      }
      yield* TestClock.adjust("5 hours")
      const tested: Array<number> = []
      for (const n of [3, 4, 5]) {
        yield* visits(host(1, n))
        tested.push((yield* sizes).tested)
      }
      assert.deepStrictEqual(tested, [1, 2, 2])
      assert.strictEqual(yield* feeler, first)
      yield* fails(first)
      assert.deepStrictEqual(yield* Effect.forEach([first, host(1, 3), second], tableOf), ["new", "tried", "tried"])
      assert.strictEqual(yield* feeler, second)
    }).pipe(Effect.provide(world({ addressBookCapacity: 500 })))
  )

  it.effect("is not asked for on behalf of somebody who has one", () =>
    Effect.gen(function* () {
      for (const text of [first, second]) yield* visits(text)
      yield* TestClock.adjust("5 hours")
      yield* visits(first)
      assert.deepInclude(yield* sizes, { tried: 2, tested: 0 })
    }).pipe(Effect.provide(world({ addressBookCapacity: 500 })))
  )

  it.effect("is not asked for of whoever is connected", () =>
    Effect.gen(function* () {
      yield* connects(first)
      yield* TestClock.adjust("1 minute")
      yield* visits(second)
      yield* TestClock.adjust("5 hours")
      yield* connects(host(1, 3))
      assert.strictEqual((yield* sizes).tested, 1)
      assert.strictEqual(yield* feeler, second)
    }).pipe(Effect.provide(world({ addressBookCapacity: 500 })))
  )

  it.effect("is tested no more once whoever has it is gone from the book", () =>
    Effect.gen(function* () {
      yield* visits(first)
      yield* TestClock.adjust("4 hours")
      yield* visits(second)
      assert.deepInclude(yield* sizes, { tried: 1, tested: 1 })
      yield* (yield* AddressBook).markOwn(address(first))
      assert.deepInclude(yield* sizes, { tried: 0, tested: 0 })
      yield* TestClock.adjust("41 minutes")
      yield* connects(second)
      assert.strictEqual(yield* tableOf(second), "tried")
    }).pipe(Effect.provide(tight()))
  )

  it.effect("of a test is not taken by one that is gone from the book meanwhile", () =>
    Effect.gen(function* () {
      yield* visits(first)
      yield* TestClock.adjust("4 hours")
      yield* visits(second)
      yield* (yield* AddressBook).markOwn(address(second))
      yield* TestClock.adjust("41 minutes")
      assert.strictEqual(yield* tableOf(first), "tried")
      assert.deepInclude(yield* sizes, { new: 0, tried: 1, tested: 0 })
    }).pipe(Effect.provide(tight()))
  )

  it.effect("that failed a test is not taken by one that is gone from the book", () =>
    Effect.gen(function* () {
      yield* visits(first)
      yield* TestClock.adjust("4 hours")
      yield* visits(second)
      yield* (yield* AddressBook).markOwn(address(second))
      yield* fails(first)
      assert.strictEqual(yield* tableOf(first), "tried")
      assert.deepInclude(yield* sizes, { new: 0, tried: 1, tested: 0 })
    }).pipe(Effect.provide(tight()))
  )

  it.effect("is not given up twice: whoever came from there lost it before the test was over", () =>
    Effect.gen(function* () {
      yield* visits(first)
      yield* TestClock.adjust("4 hours")
      yield* visits(second)
      const book = yield* AddressBook
      const from = { isInbound: true, services: 1n, userAgent: "/x/", negotiatedVersion: 170_190 }
      yield* book.record({ _tag: "UpdateConnected", address: address(first), ...from })
      yield* TestClock.adjust("41 minutes")
      // Nobody listens there, so it is in no table.
      assert.isUndefined(yield* tableOf(first))
      assert.deepInclude(yield* sizes, { new: 0, tried: 0, tested: 0 })
    }).pipe(Effect.provide(tight()))
  )
})

describe("a place among those heard of (E5)", () => {
  const [old, young] = [host(1, 1), host(1, 2)]
  /** Who is in the one place that two of one network and one source share, once the second was told of. */
  const after = (failures: number, passed: Duration.Duration) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(1_800_000_000_000)
      yield* tell([old], host(200))
      for (let n = 0; n < failures; n++) {
        yield* TestClock.adjust("6 seconds")
        yield* fails(old)
      }
      yield* TestClock.adjust(Duration.subtract(passed, Duration.seconds(6 * failures)))
      const added = yield* tell([young], host(200))
      // Whoever is kept has the place.
      assert.deepInclude(yield* sizes, { new: 1, tried: 0, groups: 1 })
      const kept = yield* texts
      assert.strictEqual(added, kept.includes(young) ? 1 : 0)
      assert.deepStrictEqual(yield* Effect.forEach(kept, tableOf), ["new"])
      return kept
    }).pipe(Effect.provide(tight()))

  it.effect("is another's after three failures without an answer, once they are 119 seconds ago", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* after(2, Duration.hours(1)), [old])
      assert.deepStrictEqual(yield* after(3, Duration.seconds(18 + 119)), [old])
      assert.deepStrictEqual(yield* after(3, Duration.millis(1000 * (18 + 119) + 1)), [young])
    })
  )

  it.effect("is another's when nobody has seen it for more than 30 days", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* after(0, Duration.days(30)), [old])
      assert.deepStrictEqual(yield* after(0, Duration.sum(Duration.days(30), Duration.seconds(1))), [young])
    })
  )

  it.effect("is none for some whom a seed named, and these are kept beside it, so many and no more", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      for (const n of [1, 2, 3, 4]) yield* book.addPeer(address(host(1, n)))
      assert.sameMembers([...(yield* texts)], [host(1, 1), host(1, 2), host(1, 3)])
      assert.deepInclude(yield* sizes, { new: 1, groups: 1 })
    }).pipe(Effect.provide(tight({ addressOverflow: 2 })))
  )

  it.effect("is not what the operator named has to give up", () =>
    Effect.gen(function* () {
      yield* tell([old], host(200))
      yield* (yield* AddressBook).record({ _tag: "NewConfigured", address: address(old) })
      yield* TestClock.adjust("31 days")
      yield* tell([young], host(200))
      assert.deepStrictEqual(yield* texts, [old])
    }).pipe(Effect.provide(tight()))
  )
})

it.effect("a book holds no more than it may, though all of it is connected, and whom the operator named", () =>
  Effect.gen(function* () {
    const book = yield* AddressBook
    yield* book.record({ _tag: "NewConfigured", address: address(host(1)) })
    for (const n of range(6)) {
      yield* connects(host(n + 2))
      assert.isAtMost((yield* texts).length, 3)
      assert.include(yield* texts, host(1))
    }
    assert.lengthOf(yield* texts, 3)
  }).pipe(Effect.provide(world({ addressBookCapacity: 3 })))
)

it.effect("a book shows how many stand where", () =>
  Effect.gen(function* () {
    const shown = Effect.map(
      Effect.forEach(["new", "tried", "tested", "groups", "anchors"], (name) =>
        seriesOf(`zcash.net.addresses.${name}`)
      ),
      (all) => all.map((series) => series["network=testnet"])
    )
    yield* tell([host(2), host(3)], host(200))
    assert.deepStrictEqual(yield* shown, [2, 0, 0, 2, 0])
    yield* visits(host(1, 1))
    assert.deepStrictEqual(yield* shown, [2, 1, 0, 3, 0])
    yield* TestClock.adjust("5 hours")
    yield* connects(host(1, 2))
    assert.deepStrictEqual(yield* shown, [2, 1, 1, 3, 1])
  }).pipe(Effect.provide(tight()), withMetrics)
)

describe("how many could be dialled now", () => {
  const ready = Effect.flatMap(AddressBook, (book) => book.readyCount)

  it.effect("is one for each part, as many as there are places at most, and not who is connected or rests", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* ready, 0)
      yield* tell([host(1, 1), host(1, 2), host(2, 1), host(2, 2), host(3, 1)], host(200))
      assert.strictEqual(yield* ready, 3)
      yield* connects(host(1, 1))
      assert.strictEqual(yield* ready, 2)
      yield* fails(host(3, 1))
      assert.strictEqual(yield* ready, 1)
      yield* tell(
        range(6).map((n) => host(n + 10)),
        host(201)
      )
      assert.strictEqual(yield* ready, 7)
      yield* tell([host(20), host(21), host(22)], host(201))
      assert.strictEqual(yield* ready, 8)
    }).pipe(Effect.provide(world({ targetPeers: 4, outboundMultiplier: 2 })))
  )

  it.effect("is all of those that the operator named, wherever they are, and nobody who cannot be dialled", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      for (const n of [1, 2, 3]) yield* book.record({ _tag: "NewConfigured", address: address(host(1, n)) })
      assert.strictEqual(yield* ready, 3)
      // Nobody listens where somebody came from, and who serves no blocks is not dialled.
      const from = { services: 1n, userAgent: "/x/", negotiatedVersion: 170_190 }
      yield* book.record({ _tag: "UpdateConnected", address: address(host(5)), isInbound: true, ...from })
      yield* book.addGossiped([gossiped(host(6), yield* nowSeconds, 0n)], address(host(200)))
      yield* TestClock.adjust("2 hours")
      assert.strictEqual(yield* ready, 3)
      assert.isFalse((yield* takeAll).some((text) => text === host(5) || text === host(6)))
    }).pipe(Effect.provide(world()))
  )

  it.effect("is everybody again as soon as the last peer fell silent, however long some would have rested", () =>
    Effect.gen(function* () {
      yield* tell([host(1), host(2)], host(200))
      yield* takeAll
      // Its third failure in a row, after which it would rest for 267.75 s.
      for (const wait of [0, 6, 6]) {
        yield* TestClock.adjust(Duration.seconds(wait))
        yield* fails(host(2))
      }
      yield* connects(host(1))
      yield* TestClock.adjust("119 seconds")
      assert.strictEqual(yield* ready, 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* ready, 2)
    }).pipe(Effect.provide(world()))
  )

  it.effect("is nobody who failed and was seen by nobody for more than three days", () =>
    Effect.gen(function* () {
      yield* tell([host(1), host(2)], host(200))
      yield* fails(host(1))
      yield* TestClock.adjust(Duration.days(3))
      assert.strictEqual(yield* ready, 2)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* ready, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("is of those met a day ago, and of whom the operator named, while the places left are kept for these", () =>
    Effect.gen(function* () {
      const old = [host(1), host(2), host(3)]
      for (const text of old) yield* visits(text)
      yield* TestClock.adjust("24 hours")
      yield* tell(
        range(12).map((n) => host(n + 20)),
        host(200)
      )
      // Eight places: six are for anybody, and then two for those met a day ago.
      for (const n of range(5)) yield* connects(host(n + 40))
      assert.strictEqual(yield* ready, 8)
      yield* connects(host(45))
      assert.strictEqual(yield* ready, 3)
      assert.deepStrictEqual(
        [(yield* why(host(20))).against, (yield* why(host(1))).against],
        ["places-kept", undefined]
      )
      yield* (yield* AddressBook).record({ _tag: "NewConfigured", address: address(host(50)) })
      assert.strictEqual(yield* ready, 4)
    }).pipe(Effect.provide(world({ targetPeers: 4, outboundMultiplier: 2 })))
  )

  it.effect("is less by who is gone from the book, and a part is known as long as anybody in it is", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      yield* tell([host(1, 1), host(1, 2), host(2)], host(200))
      assert.deepInclude(yield* sizes, { new: 3, groups: 2 })
      yield* book.markOwn(address(host(1, 1)))
      assert.strictEqual(yield* ready, 2)
      assert.deepInclude(yield* sizes, { new: 2, groups: 2 })
      yield* book.markOwn(address(host(1, 2)))
      assert.strictEqual(yield* ready, 1)
      assert.deepInclude(yield* sizes, { new: 1, groups: 1 })
    }).pipe(Effect.provide(world()))
  )

  it.effect("counts a private network on Regtest as no part", () =>
    Effect.gen(function* () {
      yield* tell(["10.0.0.1:18233", "10.0.0.2:18233"], "10.0.0.99:18233")
      assert.strictEqual(yield* ready, 2)
      assert.deepInclude(yield* sizes, { new: 2, groups: 0 })
    }).pipe(Effect.provide(world({}, regtest)))
  )

  it.effect("is settled five minutes after the latest part was heard of, and not after the latest address", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      const [peer, other] = [host(1, 1), address(host(1, 9))]
      yield* tell([peer, host(2, 1)], host(200))
      yield* connects(peer)
      /** Whether a second one of its part may be dialled, so long after the latest part was heard of. */
      const after = (millis: number) =>
        Effect.gen(function* () {
          yield* TestClock.adjust("100 seconds")
          yield* answers(peer)
          yield* TestClock.adjust("100 seconds")
          yield* tell([host(2, 2 + millis)], host(200))
          yield* answers(peer)
          yield* TestClock.adjust(Duration.millis(100_000 + millis))
          return yield* book.hasRoom(other)
        })
      assert.isFalse(yield* after(0))
      yield* tell([host(3)], host(200))
      yield* answers(peer)
      assert.isTrue(yield* after(1))
    }).pipe(Effect.provide(world()))
  )
})

describe("how long a failure rests, to the millisecond", () => {
  it.effect("is 119 s, and half as much again for each in a row, while somebody is there (E4)", () =>
    Effect.gen(function* () {
      yield* tell([host(1), host(2)], host(200))
      yield* takeAll
      yield* connects(host(1))
      /** Lets so much pass, in which Alice's peer is heard of. */
      const pass = (millis: number) =>
        Effect.gen(function* () {
          for (let left = millis; left > 0; left -= 50_000) {
            yield* answers(host(1))
            yield* TestClock.adjust(Duration.millis(Math.min(left, 50_000)))
          }
        })
      for (const rest of [119_000, 178_500, 267_750]) {
        yield* fails(host(2))
        yield* pass(rest)
        assert.isUndefined(yield* take, String(rest))
        yield* pass(1)
        assert.strictEqual(yield* take, host(2))
      }
    }).pipe(Effect.provide(world()))
  )

  it.effect("is remembered of so many sources, the latest (E8)", () =>
    Effect.gen(function* () {
      let n = 0
      /** How many of a source's are believed, of one that is new each time. */
      const tellsOne = (source: number) => tell([host(++n)], host(source))
      const told = yield* Effect.forEach([200, 201, 200, 202, 201, 202, 200], tellsOne)
      // 202 pushes 201 out, which begins anew and pushes 200 out.
      assert.deepStrictEqual(told, [1, 1, 0, 1, 1, 0, 1])
    }).pipe(Effect.provide(world({ sourceBurst: 1, sourceCapacity: 2 })))
  )

  it.effect("is 119 s each time of whom the operator named, for ever (Q25)", () =>
    Effect.gen(function* () {
      yield* connects(host(1))
      yield* (yield* AddressBook).record({ _tag: "NewConfigured", address: address(host(2)) })
      assert.strictEqual(yield* take, host(2))
      for (let n = 0; n < 4; n++) {
        yield* fails(host(2))
        for (const seconds of [60, 59]) {
          yield* TestClock.adjust(Duration.seconds(seconds))
          yield* answers(host(1))
        }
        assert.isUndefined(yield* take)
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(yield* take, host(2))
      }
    }).pipe(Effect.provide(world()))
  )

  it.effect("is a token less of who told of it, ten seconds for each (E8)", () =>
    Effect.gen(function* () {
      const source = host(200)
      assert.strictEqual(yield* tell([host(1), host(2), host(3)], source), 2)
      yield* TestClock.adjust("9999 millis")
      assert.strictEqual(yield* tell([host(4)], source), 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual(yield* tell([host(5), host(6)], source), 1)
      // No more than at once, however long it was silent.
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* tell([host(7), host(8), host(9)], source), 2)
    }).pipe(Effect.provide(world({ sourceBurst: 2 })))
  )
})

describe("why an address is or is not dialled next", () => {
  it.effect("says what is known of it", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      assert.strictEqual((yield* why(host(9))).against, "unknown")
      yield* tell([host(1)], host(200))
      const heard = yield* why(host(1))
      assert.strictEqual(heard.group, "40.1")
      assert.strictEqual(heard.table, "new")
      assert.isTrue(heard.bucket !== undefined && heard.bucket < 1024)
      assert.isUndefined(heard.against)
      assert.strictEqual(yield* take, host(1))
      assert.strictEqual((yield* why(host(1))).against, "recently-updated")
      yield* connects(host(1))
      assert.strictEqual((yield* why(host(1))).table, "tried")
      assert.strictEqual((yield* why(host(1))).firstSuccessSeconds, yield* nowSeconds)
      yield* book.ban({ address: address(host(1)), reason: "x", duration: Duration.hours(1) })
      const banned = yield* why(host(1))
      assert.strictEqual(banned.against, "banned")
      assert.deepStrictEqual(banned.limit, { group: "40.1.0.1", isBanned: true })
      assert.isUndefined(banned.entry)
    }).pipe(Effect.provide(world()))
  )

  it.effect("is no full part of the internet, where the operator named it", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      yield* book.record({ _tag: "NewConfigured", address: address(host(1, 2)) })
      yield* tell([host(1, 3)], host(200))
      yield* connects(host(1, 1))
      assert.strictEqual((yield* why(host(1, 3))).against, "group-full")
      assert.isUndefined((yield* why(host(1, 2))).against)
    }).pipe(Effect.provide(world()))
  )
})

describe("a book of an earlier run", () => {
  const madeFrom = (saved: ReadonlyArray<HardenedBook.SavedEntry>) =>
    Effect.flatMap(AddressGroups, (groups) =>
      HardenedBook.makeFrom({ key: new Uint8Array(32), groups, rules: HardenedBook.allRules, saved, anchors: [] })
    )
  /** Somebody who answered so many seconds ago; never when it is not said. */
  const met = (text: string, now: number, secondsAgo?: number): HardenedBook.SavedEntry => ({
    address: address(text),
    table: secondsAgo === undefined ? "new" : "tried",
    source: undefined,
    services: 1n,
    untrustedLastSeenSeconds: now,
    lastResponseSeconds: secondsAgo === undefined ? undefined : now - secondsAgo,
    firstSuccessSeconds: undefined,
    failures: 0
  })
  const day = 86_400

  it.effect(
    "has places for the parts of the internet in which somebody answered of late, and second ones beside them",
    () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(400 * 86_400_000)
        const now = yield* nowSeconds
        const [late, early] = [3600, 2 * day]
        const hosts = range(3).flatMap((network) => [host(network, 1), host(network, 2)])
        const ago = [late, late, early, early, undefined, undefined]
        const { book } = yield* madeFrom(hosts.map((text, n) => met(text, now, ago[n])))
        yield* TestClock.adjust("61 minutes")
        // Four places: one for the part that counts, so there are three second ones beside the three first.
        assert.lengthOf(yield* Effect.provideService(takeAll, AddressBook, book), 6)
        const { book: other } = yield* madeFrom(hosts.map((text, n) => met(text, now, n < 4 ? late : undefined)))
        yield* TestClock.adjust("61 minutes")
        // One less where two count.
        assert.lengthOf(yield* Effect.provideService(takeAll, AddressBook, other), 5)
      }).pipe(Effect.provide(world({ targetPeers: 2, outboundMultiplier: 2, groupsForOneEach: 3 })))
  )
})

describe("whatever happens to a hardened book", () => {
  it.effect(
    "nobody is dialled twice within 119 seconds, and no part has more connections than it may (4,000 steps)",
    () => {
      const clocks = twoClocks(1000)
      return Effect.gen(function* () {
        const book = yield* AddressBook
        const draw = SeededRandom.draws("hardened", "steps")
        const below = (limit: number) => draw() % limit
        const dialledAt = new Map<string, number>()
        const open = new Map<string, string>()
        let [now, dials] = [0, 0]
        for (const _ of range(4000)) {
          const text = host(below(90), 1 + below(40))
          switch (below(8)) {
            case 0:
            case 1:
              yield* tell([text], host(100 + below(40)))
              break
            case 2:
            case 3: {
              const taken = yield* take
              if (taken === undefined) break
              dials++
              assert.isAbove(now - (dialledAt.get(taken) ?? -Infinity), 119_000)
              dialledAt.set(taken, now)
              const network = networkOf(taken)
              assert.isFalse(open.has(network), network)
              if (below(2) === 0) yield* fails(taken)
              else {
                yield* connects(taken)
                open.set(network, taken)
              }
              break
            }
            case 4:
              for (const [network, connected] of open) {
                if (below(10) > 0) continue
                clocks.pass(5)
                now += 5000
                yield* fails(connected)
                open.delete(network)
                break
              }
              break
            case 5:
              clocks.pass(5)
              now += 5000
              break
            case 6:
              for (const connected of open.values()) yield* answers(connected)
              break
            default:
              assert.isAtMost((yield* book.entries).length, 500)
          }
        }
        assert.isAbove(dials, 100)
      }).pipe(Effect.provide(world({ addressBookCapacity: 500 })), clocks.provide)
    }
  )
})
