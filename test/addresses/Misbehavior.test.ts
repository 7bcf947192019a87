import { assert, describe, it } from "@effect/vitest"
import { Effect, HashMap, Layer, Option } from "effect"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import { Misbehavior } from "../../src/addresses/Misbehavior.ts"
import { address, bookWorld } from "../support/bookWorld.ts"
import { elapse } from "../support/time.ts"

const world = Misbehavior.layer.pipe(Layer.provideMerge(bookWorld()))

const report = (text: string, score: number, reason: string) =>
  Effect.flatMap(Misbehavior, (misbehavior) => misbehavior.report({ address: address(text), score, reason }))

const bans = Effect.flatMap(BanList, (list) =>
  Effect.map(list.bans.get, (bans) => [...HashMap.values(bans)].map(({ group, reason }) => [group, reason]))
)

const judging = Effect.flatMap(Misbehavior, (misbehavior) =>
  Effect.forkChild(misbehavior.run, { startImmediately: true })
)

describe("reports of misbehaviour", () => {
  it.effect("add up for a group until they are judged, and the first reason counts (EX-4)", () =>
    Effect.gen(function* () {
      yield* judging
      yield* report("[2001:db8::1]:1", 60, "first")
      yield* report("[2001:db8::2]:2", 60, "second")
      yield* elapse("29 seconds", "1 second")
      assert.isEmpty(yield* bans)
      yield* elapse("1 second")
      assert.deepStrictEqual(yield* bans, [["2001:db8::/64", "first"]])
    }).pipe(Effect.provide(world))
  )

  it.effect("do not add up from one judgement to the next, and less than 100 is nothing (EX-4)", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      yield* judging
      for (const score of [60, 60, 99, 0]) {
        yield* report("10.0.0.1:1", score, "again")
        yield* elapse("31 seconds", "1 second")
      }
      assert.isEmpty(yield* bans)
      assert.isTrue(Option.isNone(yield* book.get(address("10.0.0.1:1"))))
    }).pipe(Effect.provide(world))
  )

  it.effect("ban from 100 on, each by itself (AB-11, only_a_threshold_misbehavior_score_bans_the_peer_group)", () =>
    Effect.gen(function* () {
      yield* judging
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
      yield* judging
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

  it.effect("of more groups than there can be connections are dropped", () =>
    Effect.gen(function* () {
      for (let n = 0; n < 250; n++) yield* report(`10.0.0.${n}:1`, 100, "many")
      yield* judging
      yield* elapse("1 second")
      assert.strictEqual((yield* bans).length, 200)
    }).pipe(Effect.provide(world))
  )
})
