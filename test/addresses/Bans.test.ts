/** The list of bans by itself: which of two counts, what is told of it and when, and a line of its file. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, HashMap, Option, Path, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as BanFile from "../../src/addresses/BanFile.ts"
import { type Ban, BanList } from "../../src/addresses/BanList.ts"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import { ChainParams, mainnet } from "../../src/chain/ChainParams.ts"
import { defaults, Policy } from "../../src/Policy.ts"
import * as SimDisk from "../../src/simulation/SimDisk.ts"
import { address } from "../support/bookWorld.ts"
import { elapse, settle } from "../support/time.ts"
import { twoClocks } from "../support/twoClocks.ts"

/** What is told of a list from now on, each as its kind and its group. */
const toldOf = (list: BanList["Service"]) =>
  Effect.gen(function* () {
    const told: Array<string> = []
    yield* list.changes.pipe(
      Stream.runForEach((change) =>
        Effect.sync(() => told.push(`${change._tag} ${change._tag === "Banned" ? change.ban.group : change.group}`))
      ),
      Effect.forkScoped({ startImmediately: true })
    )
    yield* settle
    return told
  })

const inForce = (list: BanList["Service"]) =>
  Effect.map(list.bans.get, (bans) =>
    Array.from(
      HashMap.values(bans),
      ({ group, reason, untilSeconds }) => `${group} ${reason} ${untilSeconds}`
    ).toSorted()
  )
const one = (group: string, untilSeconds: number, reason = "x"): Ban => ({ group, reason, untilSeconds })

describe("of two bans of one group", () => {
  it.effect("the later end counts, and of two ends that are the same the first one", () =>
    Effect.gen(function* () {
      const list = yield* BanList.make([one("192.0.2.1", 100, "first"), one("192.0.2.1", 100, "second")])
      assert.deepStrictEqual(yield* inForce(list), ["192.0.2.1 first 100"])
      const told = yield* toldOf(list)
      const again = (seconds: number, reason: string) =>
        list.add({ address: address("192.0.2.1:1"), reason, duration: Duration.seconds(seconds) })
      assert.deepStrictEqual(yield* again(100, "third"), one("192.0.2.1", 100, "first"))
      yield* settle
      assert.deepStrictEqual(told, [])
      assert.deepStrictEqual(yield* again(101, "fourth"), one("192.0.2.1", 101, "fourth"))
      yield* settle
      assert.deepStrictEqual(told, ["Banned 192.0.2.1"])
      assert.deepStrictEqual(yield* inForce(list), ["192.0.2.1 fourth 101"])
      // The end of the one before is none of this one.
      yield* elapse("100 seconds", "10 seconds")
      assert.deepStrictEqual([yield* inForce(list), told.length], [["192.0.2.1 fourth 101"], 1])
      yield* elapse("1 second")
      assert.deepStrictEqual([yield* inForce(list), told], [[], ["Banned 192.0.2.1", "Ended 192.0.2.1"]])
    }).pipe(Effect.provide(BackgroundTasks.layer))
  )
})

describe("a ban", () => {
  it.effect("of a part of a second is one of a whole one", () =>
    Effect.gen(function* () {
      const list = yield* BanList.make([])
      const ban = (millis: number) =>
        list.add({ address: address("192.0.2.1:1"), reason: "x", duration: Duration.millis(millis) })
      const ends = yield* Effect.forEach([1, 1000, 1001], ban)
      assert.deepStrictEqual(
        ends.map(({ untilSeconds }) => untilSeconds),
        [1, 1, 2]
      )
    }).pipe(Effect.provide(BackgroundTasks.layer))
  )

  it.effect("that has to make room is told of as ended, the one that ends first, by its group where two do", () =>
    Effect.gen(function* () {
      const list = yield* BanList.make([])
      const told = yield* toldOf(list)
      const ban = (n: number, seconds: number) =>
        list.add({ address: address(`192.0.2.${n}:1`), reason: "x", duration: Duration.seconds(seconds) })
      for (const [n, seconds] of [
        [3, 50],
        [2, 50],
        [4, 60],
        // Ends before all others, so it is the one that goes.
        [5, 40]
      ] as const) {
        yield* ban(n, seconds)
      }
      yield* settle
      assert.deepStrictEqual(told, [
        "Banned 192.0.2.3",
        "Banned 192.0.2.2",
        "Banned 192.0.2.4",
        "Ended 192.0.2.2",
        "Banned 192.0.2.5",
        "Ended 192.0.2.5"
      ])
      assert.deepStrictEqual(yield* inForce(list), ["192.0.2.3 x 50", "192.0.2.4 x 60"])
    }).pipe(Effect.provide(BackgroundTasks.layer), Effect.provideService(Policy, { ...defaults, banCapacity: 2 }))
  )

  it.effect("that is over by a wall clock that was set is over at once, and gone within a minute", () => {
    const clocks = twoClocks(1_800_000_000)
    return Effect.gen(function* () {
      const list = yield* clocks.provide(BanList.make([]))
      const told = yield* toldOf(list)
      const ban = (n: number, hours: number) =>
        clocks.provide(list.add({ address: address(`192.0.2.${n}:1`), reason: "x", duration: Duration.hours(hours) }))
      yield* ban(1, 2)
      yield* ban(2, 2)
      yield* ban(3, 3)
      yield* settle
      told.length = 0
      clocks.wallSeconds += 2 * 3600
      assert.isFalse(yield* clocks.provide(list.isBanned(address("192.0.2.1:1"))))
      // Whoever asks to end one that is over is told so.
      assert.isFalse(yield* clocks.provide(list.lift("192.0.2.1")))
      yield* settle
      assert.deepStrictEqual(told, ["Ended 192.0.2.1", "Ended 192.0.2.2"])
      clocks.wallSeconds += 3600
      yield* TestClock.adjust("59999 millis")
      yield* settle
      assert.strictEqual(yield* Effect.map(list.bans.get, HashMap.size), 1)
      yield* TestClock.adjust("1 millis")
      yield* settle
      assert.strictEqual(yield* Effect.map(list.bans.get, HashMap.size), 0)
      assert.deepStrictEqual(told.slice(2), ["Ended 192.0.2.3"])
    }).pipe(Effect.provide(BackgroundTasks.layer))
  })
})

describe("a line of the list of bans", () => {
  it("is a group and an end, and says the group as everybody does", () => {
    const lines = [
      ["192.0.2.10 5", "192.0.2.10", 5],
      ["::ffff:192.0.2.10 5", "192.0.2.10", 5],
      ["2001:db8::1 5", "2001:db8::/64", 5],
      ["2001:db8::/64 999999999999999", "2001:db8::/64", 999_999_999_999_999],
      ["192.0.2.10 0", "192.0.2.10", 0]
    ] as const
    for (const [line, group, end] of lines) {
      const ban = BanFile.parseLine(line)
      assert.deepStrictEqual(ban, { group, reason: "kept from an earlier run", untilSeconds: end }, line)
      assert.strictEqual(BanFile.formatLine(ban!), `${group} ${end}`)
    }
    const damaged = [
      "",
      "192.0.2.10",
      "192.0.2.10 ",
      " 192.0.2.10 5",
      "192.0.2.10 5 ",
      "192.0.2.10  5",
      "192.0.2.10 -5",
      "192.0.2.10 1000000000000000",
      "192.0.2.10/64 5",
      "::ffff:192.0.2.10/64 5",
      "192.0.2.0/24 5",
      "2001:db8::/48 5",
      "2001:db8::/644 5",
      "example.org 5"
    ]
    for (const line of damaged) assert.isUndefined(BanFile.parseLine(line), line)
  })

  it("names its group by hand too", () => {
    assert.deepStrictEqual(BanFile.groupOf("2001:db8::7"), Option.some("2001:db8::/64"))
    assert.deepStrictEqual(BanFile.groupOf("2001:db8::/64"), Option.some("2001:db8::/64"))
    assert.deepStrictEqual(BanFile.groupOf("192.0.2.1"), Option.some("192.0.2.1"))
    for (const text of ["", "192.0.2.1 5", "x"]) assert.deepStrictEqual(BanFile.groupOf(text), Option.none(), text)
  })
})

describe("the file of the list of bans", () => {
  it.effect("is left as it is as long as nobody is banned or let go", () =>
    Effect.gen(function* () {
      const path = "/cache/network/mainnet.bans"
      const disk = SimDisk.make()
      const content = "# by hand\n192.0.2.10 4000000000"
      disk.put(path, content)
      const use = <A>(run: (list: BanList["Service"]) => Effect.Effect<A>, last = Effect.void) =>
        Effect.gen(function* () {
          const result = yield* run(yield* BanList)
          yield* elapse("6 seconds", "1 second")
          yield* last
          return result
        }).pipe(
          Effect.provide(BanFile.layer("/cache")),
          Effect.provide([disk.layer, Path.layer, BackgroundTasks.layer]),
          Effect.provideService(ChainParams, mainnet)
        )
      assert.isTrue(yield* use((list) => list.isBanned(address("192.0.2.10:1"))))
      assert.strictEqual(disk.files.get(path), content)
      assert.isFalse(yield* use((list) => list.lift("192.0.2.11")))
      assert.strictEqual(disk.files.get(path), content)
      // And not written once more at the end.
      const removed = Effect.sync(() => {
        assert.strictEqual(disk.files.get(path), "")
        disk.put(path, "by hand")
      })
      assert.isTrue(yield* use((list) => list.lift("192.0.2.10"), removed))
      assert.strictEqual(disk.files.get(path), "by hand")
    })
  )
})
