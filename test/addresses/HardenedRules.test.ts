/** What each rule of a hardened book is for: what happens with it, and what would without. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Option, Random } from "effect"
import { TestClock } from "effect/testing"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { byNetwork } from "../../src/addresses/AddressGroups.ts"
import * as HardenedBook from "../../src/addresses/HardenedBook.ts"
import { Tables } from "../../src/addresses/Tables.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import type { Policy } from "../../src/Policy.ts"
import { address, bookWorld, connects, fails, gossiped, nowSeconds } from "../support/bookWorld.ts"

const range = (count: number) => Array.from({ length: count }, (_, n) => n)
const host = (network: number, n = 1) => `40.${network}.${n >> 8}.${n & 255}:8233`

/** A story of a new book, with one rule of it or without; its chance goes on from book to book. */
const withRules = <A, E, R>(rules: Partial<HardenedBook.Rules>, story: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const key = Uint8Array.from(yield* Effect.forEach(range(32), () => Random.nextIntBetween(0, 255)))
    const start = { key, groups: byNetwork, rules: { ...HardenedBook.allRules, ...rules }, saved: [], anchors: [] }
    const { book } = yield* HardenedBook.makeFrom(start)
    return yield* Effect.provideService(story, AddressBook, book)
  })

/** What a story comes to with the rule, and without it. */
const bothWays = <A, E, R>(
  rule: keyof HardenedBook.Rules,
  story: Effect.Effect<A, E, R>,
  policy: Partial<Policy> = {}
) =>
  Effect.all([withRules({}, story), withRules({ [rule]: false }, story)]).pipe(
    Effect.provide(bookWorld(policy)),
    Random.withSeed("rules")
  )

const tell = (texts: ReadonlyArray<string>, from: string) =>
  Effect.gen(function* () {
    const now = yield* nowSeconds
    return yield* (yield* AddressBook).addGossiped(
      texts.map((text) => gossiped(text, now)),
      address(from)
    )
  })
/** Each is told by somebody else, so that no bucket is full. */
const tellEach = (texts: ReadonlyArray<string>) =>
  Effect.forEach(texts, (text, n) => tell([text], host(150 + n)), { discard: true })
const take = Effect.flatMap(AddressBook, (book) =>
  Effect.map(book.takeCandidate, (entry) =>
    Option.getOrUndefined(Option.map(entry, (one) => PeerSocketAddress.format(one.address)))
  )
)
const takeAll = Effect.gen(function* () {
  const taken: Array<string> = []
  for (let text = yield* take; text !== undefined; text = yield* take) taken.push(text)
  return taken
})

/** How often a draw of a new book, of so many, falls on an address. */
const oftenFirst = (
  rules: Partial<HardenedBook.Rules>,
  text: string,
  before: Effect.Effect<void, never, AddressBook>
) =>
  Effect.map(
    Effect.forEach(range(20), () => withRules(rules, Effect.andThen(before, take))),
    (first) => first.filter((one) => one === text).length
  )

it("every rule holds in a node", () => {
  assert.deepStrictEqual(HardenedBook.allRules, {
    groupLimit: true,
    drawGroups: true,
    tables: true,
    preferTried: true,
    tenure: true,
    failureWeight: true,
    sourceTokens: true
  })
})

describe("without the rule that", () => {
  it.effect("a part of the internet has one connection, a crowd has all (E1)", () =>
    Effect.gen(function* () {
      const crowd = range(5).map((n) => host(1, n + 1))
      const [kept, open] = yield* bothWays("groupLimit", Effect.andThen(tellEach(crowd), takeAll))
      assert.lengthOf(kept, 1)
      assert.sameMembers(open, crowd)
    })
  )

  it.effect("a draw takes the part of the internet first, a crowd is drawn as often as it is large (E4)", () =>
    Effect.gen(function* () {
      const before = tellEach([...range(15).map((n) => host(1, n + 1)), host(2)])
      // One in two, and one in sixteen.
      const often = yield* oftenFirst({}, host(2), before)
      assert.isAbove(often, 5)
      assert.isBelow(often, 15)
      assert.isBelow(yield* oftenFirst({ drawGroups: false }, host(2), before), 5)
      // Nobody is left out all the same.
      const [, everybody] = yield* bothWays(
        "drawGroups",
        Effect.andThen(
          tell(
            range(20).map((n) => host(n)),
            host(200)
          ),
          takeAll
        )
      )
      assert.lengthOf(everybody, 20)
    }).pipe(Effect.provide(bookWorld()), Random.withSeed("draws"))
  )

  it.effect("a source and a part of the internet have some of the buckets, one fills a book (E3)", () =>
    Effect.gen(function* () {
      const { shapes } = new Tables(new Uint8Array(32), 500)
      const story = Effect.gen(function* () {
        const book = yield* AddressBook
        yield* tell(
          range(250).map((n) => host(n, 9)),
          host(200)
        )
        const heard = (yield* book.sizes).new
        // Of one part, which all answered.
        for (const n of range(60)) {
          yield* connects(host(251, n + 1))
          yield* fails(host(251, n + 1))
        }
        return { heard, met: (yield* book.sizes).tried }
      })
      const [kept, open] = yield* bothWays("tables", story, { addressBookCapacity: 500 })
      assert.isAtMost(kept.heard, shapes.new.open * shapes.new.places)
      assert.isAtMost(kept.met, shapes.tried.open * shapes.tried.places)
      assert.isAbove(open.heard, 2 * shapes.new.open * shapes.new.places)
      assert.isAbove(open.met, 2 * shapes.tried.open * shapes.tried.places)
    })
  )

  it.effect("half of the dials go to whom we met, all go first to whom we heard of (E4)", () =>
    Effect.gen(function* () {
      const before = Effect.gen(function* () {
        yield* connects(host(1))
        yield* fails(host(1))
        yield* TestClock.adjust("5 minutes")
        yield* tell(
          range(20).map((n) => host(n + 2)),
          host(200)
        )
      })
      const often = yield* oftenFirst({}, host(1), before)
      assert.isAbove(often, 5)
      assert.isBelow(often, 15)
      assert.strictEqual(yield* oftenFirst({ preferTried: false }, host(1), before), 0)
      const [, everybody] = yield* bothWays("preferTried", Effect.andThen(before, takeAll))
      assert.include(everybody, host(1))
    }).pipe(Effect.provide(bookWorld()), Random.withSeed("met"))
  )

  it.effect("places are kept for those met a day ago, newcomers have them all (E6)", () =>
    Effect.gen(function* () {
      const story = Effect.gen(function* () {
        const old = range(4).map((n) => host(n))
        for (const text of old) {
          yield* connects(text)
          yield* fails(text)
        }
        yield* TestClock.adjust("25 hours")
        yield* tell(
          range(40).map((n) => host(10 + n)),
          host(200)
        )
        let newcomers = 0
        for (const _ of range(20)) {
          const text = yield* take
          if (text === undefined) break
          if (old.includes(text)) yield* fails(text)
          else {
            yield* connects(text)
            newcomers++
          }
        }
        return newcomers
      })
      const [kept, open] = yield* bothWays("tenure", story, { targetPeers: 4, outboundMultiplier: 2 })
      // Of eight places two are kept.
      assert.strictEqual(kept, 6)
      assert.isAbove(open, 8)
    })
  )

  it.effect("what fails often rests longer and is drawn less, it is dialled as often as anybody (E4)", () =>
    Effect.gen(function* () {
      const failsOften = Effect.gen(function* () {
        yield* tell([host(1)], host(200))
        for (const _ of range(4)) {
          yield* fails(host(1))
          yield* TestClock.adjust("6 seconds")
        }
      })
      const drawn = Effect.gen(function* () {
        yield* failsOften
        yield* TestClock.adjust("1 hour")
        yield* tell([host(2)], host(200))
      })
      // Of two: 0.66^4 is 0.19, and one that was passed over is a fifth more welcome the next time.
      assert.isBelow(yield* oftenFirst({}, host(1), drawn), 7)
      const often = yield* oftenFirst({ failureWeight: false }, host(1), drawn)
      assert.isAbove(often, 6)
      assert.isBelow(often, 15)
      const rests = Effect.gen(function* () {
        const book = yield* AddressBook
        yield* connects(host(9))
        yield* failsOften
        // Somebody is there all the time.
        yield* TestClock.adjust("50 seconds")
        yield* book.record({ _tag: "UpdateResponded", address: address(host(9)), roundTrip: undefined })
        yield* TestClock.adjust(Duration.millis(119_000 - 56_000))
        const early = yield* take
        yield* TestClock.adjust("1 millis")
        return [early, yield* take]
      })
      assert.deepStrictEqual(yield* bothWays("failureWeight", rests), [
        [undefined, undefined],
        [undefined, host(1)]
      ])
    }).pipe(Effect.provide(bookWorld()), Random.withSeed("failures"))
  )

  it.effect("each address of a source costs a token, one tells as many as it likes (E8)", () =>
    Effect.gen(function* () {
      const story = tell(
        range(300).map((n) => host(n % 250, 1 + Math.floor(n / 250))),
        host(200)
      )
      // So large that no bucket is full.
      assert.deepStrictEqual(yield* bothWays("sourceTokens", story, { addressBookCapacity: 50_000 }), [256, 300])
    })
  )
})
