import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, HashMap, Layer, Option, Scope } from "effect"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import { Misbehavior } from "../../src/addresses/Misbehavior.ts"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { address, bookWorld } from "../support/bookWorld.ts"
import { elapse } from "../support/time.ts"

const world = Misbehavior.layer.pipe(Layer.provideMerge(bookWorld()))

const report = (text: string, score: number, reason: string) =>
  Effect.flatMap(Misbehavior, (misbehavior) => misbehavior.report({ address: address(text), score, reason }))

const bans = Effect.flatMap(BanList, (list) =>
  Effect.map(list.bans.get, (bans) => [...HashMap.values(bans)].map(({ group, reason }) => [group, reason]))
)

describe("reports of misbehaviour", () => {
  it.effect("add up for a group until they are judged, and the first reason counts (EX-4)", () =>
    Effect.gen(function* () {
      yield* report("[2001:db8::1]:1", 60, "first")
      yield* report("[2001:db8::2]:2", 60, "second")
      yield* elapse("29 seconds", "1 second")
      assert.isEmpty(yield* bans)
      yield* elapse("1 second")
      assert.deepStrictEqual(yield* bans, [["2001:db8::/64", "first"]])
    }).pipe(Effect.provide(world))
  )

  it.effect("do not add up from one judgement to the next, and less than 100 is nothing (EX-4, advisory N14)", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      for (const score of [60, 60, 99, 0]) {
        yield* report("10.0.0.1:1", score, "again")
        yield* elapse("31 seconds", "1 second")
      }
      assert.isEmpty(yield* bans)
      assert.isTrue(Option.isNone(yield* book.get(address("10.0.0.1:1"))))
    }).pipe(Effect.provide(world))
  )

  it.effect("of no points or fewer are nothing, and take nothing from others (EX-4)", () =>
    Effect.gen(function* () {
      for (const score of [60, -50, 0, 60]) yield* report("10.0.0.1:1", score, `${score}`)
      for (const score of [Number.NaN, -100]) yield* report("10.0.0.2:1", score, `${score}`)
      yield* elapse("30 seconds", "1 second")
      assert.deepStrictEqual(yield* bans, [["10.0.0.1", "60"]])
    }).pipe(Effect.provide(world))
  )

  it.effect("ban from 100 on, each by itself (AB-11, only_a_threshold_misbehavior_score_bans_the_peer_group)", () =>
    Effect.gen(function* () {
      for (const score of [1, 99, 100, 101]) yield* report(`10.0.0.${score}:1`, score, `${score}`)
      yield* elapse("30 seconds", "1 second")
      assert.sameDeepMembers(yield* bans, [
        ["10.0.0.100", "100"],
        ["10.0.0.101", "101"]
      ])
    }).pipe(Effect.provide(world))
  )

  it.effect("count for an IPv4 address in whichever spelling it is reported (MA-14, MA-15)", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      yield* book.record({
        _tag: "UpdateConnected",
        address: address("[::ffff:127.0.0.1]:8233"),
        services: 1n,
        isInbound: true,
        userAgent: "",
        negotiatedVersion: 170_100
      })
      assert.isTrue(Option.isSome(yield* book.get(address("127.0.0.1:8233"))))
      yield* report("[::ffff:127.0.0.1]:8233", 100, "an invalid block")
      yield* elapse("30 seconds", "1 second")
      assert.deepStrictEqual(yield* bans, [["127.0.0.1", "an invalid block"]])
      assert.isTrue(Option.isNone(yield* book.get(address("127.0.0.1:8233"))))
    }).pipe(Effect.provide(world))
  )

  it.effect("are judged when the node stops, so that a restart does not lose them", () =>
    Effect.gen(function* () {
      yield* report("10.0.0.1:1", 100, "at the last moment").pipe(Effect.provide(Misbehavior.layer))
      assert.deepStrictEqual(yield* bans, [["10.0.0.1", "at the last moment"]])
    }).pipe(Effect.provide(bookWorld()))
  )

  it.effect(
    "that make a ban are never dropped, however many others there are, before or after (EX-4, advisory N5)",
    () =>
      Effect.gen(function* () {
        const fill = (score: number) =>
          Effect.forEach(Array.from({ length: 250 }), (_, n) => report(`10.${score}.0.${n}:1`, score, "harmless"))
        yield* fill(0)
        yield* fill(1)
        yield* report("192.0.2.1:1", 100, "an invalid block")
        yield* report("192.0.2.2:1", 60, "half of it")
        // The lowest make room, so what was gathered of a higher one is still there.
        yield* fill(2)
        yield* report("192.0.2.2:2", 60, "the other half")
        yield* elapse("30 seconds", "1 second")
        assert.sameDeepMembers(yield* bans, [
          ["192.0.2.1", "an invalid block"],
          ["192.0.2.2", "half of it"]
        ])
      }).pipe(Effect.provide(world))
  )

  it.effect("of more groups than there can be connections are dropped below a ban, the lowest first", () =>
    Effect.gen(function* () {
      // Two hundred are kept: of 1 to 250 points, those of 51 and more.
      for (let n = 1; n <= 250; n++) yield* report(`10.0.0.${n}:1`, n, "first")
      yield* report("10.0.1.1:1", 51, "as much as the lowest, and later")
      for (const group of ["10.0.0.51", "10.0.0.50", "10.0.1.1"]) yield* report(`${group}:1`, 950, "second")
      yield* elapse("30 seconds", "1 second")
      assert.sameDeepMembers(yield* bans, [["10.0.0.51", "first"]])
    }).pipe(Effect.provide(Misbehavior.layer.pipe(Layer.provideMerge(bookWorld({ banScore: 1000 })))))
  )

  it.effect("are of ten groups at least, however few connections there may be", () =>
    Effect.gen(function* () {
      for (let n = 1; n <= 11; n++) yield* report(`10.0.0.${n}:1`, n, "first")
      // The lowest of eleven had to go, and its points with it.
      for (let n = 11; n >= 1; n--) yield* report(`10.0.0.${n}:1`, 100 - n, "second")
      yield* elapse("30 seconds", "1 second")
      assert.sameDeepMembers(
        yield* bans,
        Array.from({ length: 10 }, (_, n) => [`10.0.0.${n + 2}`, "first"])
      )
    }).pipe(
      Effect.provide(
        Misbehavior.layer.pipe(
          Layer.provideMerge(bookWorld({ targetPeers: 1, outboundMultiplier: 1, inboundMultiplier: 1 }))
        )
      )
    )
  )

  it.effect("that make a ban are as many as can be banned; of more, the last ones", () =>
    Effect.gen(function* () {
      for (let n = 0; n < 250; n++) yield* report(`10.0.0.${n}:1`, 100, "many")
      yield* elapse("30 seconds", "1 second")
      assert.deepStrictEqual(
        (yield* bans).map(([group]) => group).toSorted(),
        Array.from({ length: 220 }, (_, n) => `10.0.0.${n + 30}`).toSorted()
      )
    }).pipe(Effect.provide(Misbehavior.layer.pipe(Layer.provideMerge(bookWorld({ banCapacity: 220 })))))
  )

  it.effect("are judged to the last one when the node stops in the middle of it", () =>
    Effect.gen(function* () {
      const banned: Array<string> = []
      const { metrics } = yield* AddressBook
      const slowBook = Layer.mock(AddressBook, {
        metrics,
        ban: ({ address, reason }) =>
          Effect.sync(() => {
            banned.push(PeerSocketAddress.format(address))
            return { group: "", reason, untilSeconds: 0 }
          }).pipe(Effect.delay("1 second"))
      })
      const scope = yield* Scope.make()
      const layer = Misbehavior.layer.pipe(Layer.provide([slowBook, BackgroundTasks.layer]))
      const context = yield* Scope.provide(Layer.build(layer), scope)
      for (const n of [1, 2, 3]) yield* report(`10.0.0.${n}:1`, 100, "invalid").pipe(Effect.provideContext(context))
      yield* elapse("31500 millis", "500 millis")
      assert.deepStrictEqual(banned, ["10.0.0.1:1"])
      const closing = yield* Effect.forkChild(Scope.close(scope, Exit.void), { startImmediately: true })
      yield* elapse("2 seconds", "500 millis")
      yield* Fiber.join(closing)
      assert.deepStrictEqual(banned, ["10.0.0.1:1", "10.0.0.2:1", "10.0.0.3:1"])
    }).pipe(Effect.provide(bookWorld()))
  )
})
