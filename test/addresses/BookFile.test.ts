/** A full book on disk: what comes back, and every file that is none. */
import { createHash } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Metric, Option, Path, PlatformError, Result } from "effect"
import { TestClock } from "effect/testing"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { AddressGroups, byNetwork } from "../../src/addresses/AddressGroups.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import * as BookFile from "../../src/addresses/BookFile.ts"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import { ChainParams, mainnet, regtest, testnet } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import * as SimDisk from "../../src/simulation/SimDisk.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import { address, connects, fails, gossiped, nowSeconds } from "../support/bookWorld.ts"
import { linesOf } from "../support/logs.ts"

const path = "/cache/network/mainnet.book"

/** A run of a node on this disk; each has another chance, and so would draw another secret. */
let runs = 0
const run = <A, E>(disk: SimDisk.SimDisk, use: Effect.Effect<A, E, AddressBook>, chain = mainnet, groups = byNetwork) =>
  Effect.provide(
    use,
    BookFile.layer("/cache").pipe(
      Layer.provide([
        BanList.layer.pipe(Layer.provideMerge(BackgroundTasks.layer)),
        OwnAddress.layerNone,
        Path.layer,
        disk.layer,
        SeededRandom.layer(++runs),
        Layer.succeed(ChainParams, chain),
        Layer.succeed(AddressGroups, groups)
      ])
    )
  )

const tell = (texts: ReadonlyArray<string>, from: string) =>
  Effect.gen(function* () {
    const now = yield* nowSeconds
    return yield* (yield* AddressBook).addGossiped(
      texts.map((text) => gossiped(text, now - 60)),
      address(from)
    )
  })
const known = Effect.flatMap(AddressBook, (book) =>
  Effect.map(book.entries, (entries) => entries.map((entry) => PeerSocketAddress.format(entry.address)).toSorted())
)

/** What is in a file; nothing when there is none. */
const read = (disk: SimDisk.SimDisk, file = path) => Effect.sync(() => disk.files.get(file) ?? "")

const fill = Effect.gen(function* () {
  yield* connects("40.1.0.1:8233")
  yield* TestClock.adjust("10 seconds")
  yield* connects("40.2.0.1:8233")
  yield* tell(["50.1.0.1:8233", "[2a0e::1]:8233"], "40.1.0.1:8233")
  yield* fails("50.1.0.1:8233")
})

describe("the address book on disk", () => {
  it.effect("comes back as it was: who was met, who failed, who was there for longest, and where each stands", () =>
    Effect.gen(function* () {
      const disk = SimDisk.make()
      yield* TestClock.setTime(1_767_225_600_000)
      const facts = Effect.flatMap(AddressBook, (book) =>
        Effect.forEach(["40.1.0.1:8233", "40.2.0.1:8233", "50.1.0.1:8233", "[2a0e::1]:8233"], (text) =>
          Effect.map(book.why(address(text)), ({ bucket, failures, firstSuccessSeconds, table }) => ({
            bucket,
            failures,
            firstSuccessSeconds,
            table
          }))
        )
      )
      const before = yield* run(disk, Effect.andThen(fill, facts))
      assert.deepStrictEqual(
        before.map(({ failures, table }) => [table, failures]),
        [
          ["tried", 0],
          ["tried", 0],
          ["new", 1],
          ["new", 0]
        ]
      )
      yield* TestClock.adjust("1 hour")
      const [after, anchors, next] = yield* run(
        disk,
        Effect.gen(function* () {
          const book = yield* AddressBook
          return [yield* facts, yield* book.anchors, yield* book.takeCandidate] as const
        })
      )
      assert.deepStrictEqual(after, before)
      assert.deepStrictEqual(anchors.map(PeerSocketAddress.format), ["40.1.0.1:8233", "40.2.0.1:8233"])
      assert.isTrue(Option.isSome(next))
    })
  )

  it.effect("is read by its owner alone, holds its secret, and is written whole", () =>
    Effect.gen(function* () {
      const disk = SimDisk.make()
      yield* run(disk, fill)
      const [title, sum, chain, groups, key] = (yield* read(disk)).split("\n")
      assert.deepStrictEqual([title, chain, groups], ["network-effect address book 1", "chain mainnet", "groups -"])
      assert.match(sum!, /^sha256 [0-9a-f]{64}$/)
      assert.match(key!, /^key [0-9a-f]{64}$/)
    })
  )

  it.effect("goes on without what it cannot use, in one line, and what it was is still there", () =>
    Effect.gen(function* () {
      const good = SimDisk.make()
      yield* run(good, fill)
      const text = yield* read(good)
      const lines = text.split("\n")
      const cases: ReadonlyArray<readonly [string, string]> = [
        [text.replace("40.2.0.1", "40.2.0.9"), "its checksum is wrong"],
        [text.slice(0, 300), "its checksum is wrong"],
        [text.replace("book 1\n", "book 0\n"), "it is of version 0, and this program reads version 1"],
        [text.replace("book 1\n", "book 2\n"), "it is of version 2, and this program reads version 1"],
        ["40.1.0.1:8233\n40.2.0.1:8233", "it is no address book"],
        ["\u0000\u0001".repeat(3000), "it is no address book"],
        ["x".repeat(1_048_577), "too large"],
        [
          BookFile.encode(testnet, { anchors: [], entries: [], groups: "", key: undefined }).join("\n"),
          "it is another chain's"
        ]
      ]
      assert.isAbove(lines.length, 8)
      for (const [content, reason] of cases) {
        const disk = SimDisk.make()
        disk.put(path, content)
        let found: ReadonlyArray<string> = ["nothing was read"]
        const logged = yield* linesOf(Effect.tap(run(disk, known), (texts) => Effect.sync(() => (found = texts))))
        assert.deepStrictEqual(found, [], reason)
        assert.deepStrictEqual(logged, ["Warn: the address book is damaged and was moved aside; going on without it"])
        if (content.length < 1_000_000) {
          assert.deepStrictEqual(BookFile.decode(mainnet, content.split("\n")), Result.fail(reason))
        }
        assert.strictEqual(yield* read(disk, `${path}.corrupt`), content)
        // And is a book again.
        yield* run(disk, fill)
        assert.lengthOf(yield* run(disk, known), 4)
      }
    })
  )

  it.effect("keeps whom it met when somebody took the secret out, or it is damaged, and says so in one line", () =>
    Effect.gen(function* () {
      const disk = SimDisk.make()
      yield* run(disk, fill)
      // As many of one part of the internet as its buckets hold, which are others with another secret.
      const crowd = Array.from({ length: 200 }, (_, n) => `40.9.0.${n + 1}:8233`)
      yield* run(
        disk,
        Effect.forEach(crowd, (text) => Effect.andThen(connects(text), fails(text)), { discard: true })
      )
      const text = yield* read(disk)
      const before = Result.getOrThrow(BookFile.decode(mainnet, text.split("\n")))
      for (const damaged of [`${text.replace(/^key .*\n/m, "")}\n`, text.replace(/^key .*/m, "key 12")]) {
        disk.put(path, damaged)
        let found: ReadonlyArray<string> = []
        const lines = yield* linesOf(Effect.tap(run(disk, known), (texts) => Effect.sync(() => (found = texts))))
        const met = before.entries.filter(({ table }) => table === "tried")
        // Two of before and some of the crowd: how many depends on the secret, and that on how many runs there were before.
        assert.isAbove(met.length, 10)
        assert.includeMembers(
          [...found],
          met.map((entry) => PeerSocketAddress.format(entry.address))
        )
        assert.includeMembers([...found], ["50.1.0.1:8233", "[2a0e::1]:8233"])
        assert.deepStrictEqual(lines, ["Warn: the address book has lost its secret; it goes on with a new one"])
        const again = Result.getOrThrow(BookFile.decode(mainnet, (yield* read(disk)).split("\n")))
        assert.isDefined(again.key)
        assert.notDeepEqual(again.key, before.key)
      }
    })
  )

  it.effect("counts sources anew when another map takes the place of one", () =>
    Effect.gen(function* () {
      const disk = SimDisk.make()
      yield* run(disk, fill)
      const other = { groupOf: () => "AS1", digest: "ab".repeat(32), health: () => undefined }
      yield* run(disk, known, mainnet, other)
      const content = Result.getOrThrow(BookFile.decode(mainnet, (yield* read(disk)).split("\n")))
      assert.strictEqual(content.groups, other.digest)
      assert.isTrue(content.entries.every(({ source }) => source === "AS1"))
    })
  )

  it.effect("is not there on Regtest, and not written over by nothing", () =>
    Effect.gen(function* () {
      const disk = SimDisk.make()
      yield* run(disk, connects("127.0.0.1:18233"), regtest)
      assert.strictEqual(yield* read(disk, "/cache/network/regtest.book"), "")
      yield* run(disk, known)
      assert.strictEqual(disk.files.size, 0)
    })
  )

  it("reads what it writes, and refuses every line that is damaged", () => {
    const entry = {
      address: address("[2a0e::1]:8233"),
      table: "tried",
      source: "2a0e::/32",
      services: 1n,
      untrustedLastSeenSeconds: 5,
      lastResponseSeconds: 7,
      firstSuccessSeconds: 6,
      failures: 2
    } as const
    const content = { anchors: [address("1.2.3.4:5")], entries: [entry], groups: "ab", key: new Uint8Array(32).fill(7) }
    const lines = BookFile.encode(mainnet, content)
    const decoded = Result.getOrThrow(BookFile.decode(mainnet, lines))
    assert.deepStrictEqual({ ...decoded, key: Uint8Array.from(decoded.key!) }, content)
    for (let line = 2; line < lines.length; line++) {
      for (const damage of ["", "x", " 1", lines[line]!.slice(0, -1), `${lines[line]!} `]) {
        const damaged = lines.with(line, damage === " 1" ? lines[line]! + damage : damage)
        // The secret is in no checksum.
        if (damaged[line] === lines[line] || damaged[line]!.startsWith("key ")) continue
        assert.deepStrictEqual(BookFile.decode(mainnet, damaged), Result.fail("its checksum is wrong"))
      }
    }
  })

  it("is refused whole for one line that is none, though the checksum is right", () => {
    /** A file of these lines below its checksum, which the secret is no part of. */
    const sealed = (...lines: ReadonlyArray<string>) => {
      const sum = createHash("sha256").update(lines.filter((line) => !line.startsWith("key ")).join("\n"))
      return ["network-effect address book 1", `sha256 ${sum.digest("hex")}`, ...lines]
    }
    const entriesOf = (...lines: ReadonlyArray<string>) =>
      Result.map(BookFile.decode(mainnet, sealed(...lines)), ({ entries }) => entries)
    const nothing = {
      table: undefined,
      source: undefined,
      services: undefined,
      untrustedLastSeenSeconds: undefined,
      lastResponseSeconds: undefined,
      firstSuccessSeconds: undefined,
      failures: 0
    }
    assert.deepStrictEqual(
      entriesOf("- 1.2.3.4:8233 - - - - - -"),
      Result.succeed([{ ...nothing, address: address("1.2.3.4:8233") }])
    )
    const greatest = Number.MAX_SAFE_INTEGER
    assert.deepStrictEqual(
      entriesOf(`new [2a0e::1]:8233 ${"s".repeat(64)} ${greatest} 0 1 2 3`, "tried 1.2.3.4:1 203.0 1 - - - -"),
      Result.succeed([
        {
          address: address("[2a0e::1]:8233"),
          table: "new",
          source: "s".repeat(64),
          services: BigInt(greatest),
          untrustedLastSeenSeconds: 0,
          lastResponseSeconds: 1,
          firstSuccessSeconds: 2,
          failures: 3
        },
        { ...nothing, address: address("1.2.3.4:1"), table: "tried", source: "203.0", services: 1n }
      ])
    )
    const good = "new 1.2.3.4:8233 203.0 1 2 3 4 5".split(" ")
    const damaged = [
      ["old", "new:", ""],
      ["1.2.3.4", "x", "", "1.2.3.4:65536"],
      ["", "s".repeat(65), "203,0", "a/b?"],
      ...good.slice(3).map(() => ["", "x", "-1", "1.5", "1e3", "9007199254740992", "00000000000000001", "--"])
    ]
    for (const [at, words] of damaged.entries()) {
      for (const word of words) {
        const line = good.with(at, word).join(" ")
        assert.deepStrictEqual(entriesOf(line), Result.fail("a line of it is no entry"), line)
      }
    }
    for (const line of ["", good.slice(0, 7).join(" "), [...good, "6"].join(" "), `${good.join(" ")} `]) {
      assert.deepStrictEqual(entriesOf(line, good.join(" ")), Result.fail("a line of it is no entry"), line)
    }
    // But an editor may end the last line.
    assert.isTrue(Result.isSuccess(BookFile.decode(mainnet, [...sealed(good.join(" ")), ""])))
    assert.deepStrictEqual(entriesOf("anchor 1.2.3.4"), Result.fail("a line of it is no anchor"))
    assert.deepStrictEqual(entriesOf("chain testnet"), Result.fail("it is another chain's"))
    assert.deepStrictEqual(
      BookFile.decode(mainnet, ["network-effect address book 12345678901234567890"]),
      Result.fail("it is of version 1234567890123456, and this program reads version 1")
    )
    const keyOf = (digits: string) =>
      Result.getOrThrow(BookFile.decode(mainnet, sealed("chain mainnet", `key ${digits}`))).key
    assert.lengthOf(keyOf("0a".repeat(32)) ?? [], 32)
    for (const digits of ["", "0a".repeat(31), "0a".repeat(33), "0A".repeat(32)]) assert.isUndefined(keyOf(digits))
    for (const groups of ["-", "ab"]) {
      const content = Result.getOrThrow(BookFile.decode(mainnet, sealed(`groups ${groups}`)))
      assert.deepStrictEqual(content, { groups: groups === "-" ? "" : "ab", key: undefined, anchors: [], entries: [] })
    }
  })

  it("has of a larger book 5,000, those that answered first, and no time before 1970", () => {
    const entry = (n: number, table: "new" | "tried") => ({
      address: address(`40.1.${n >> 8}.${n & 255}:8233`),
      table,
      source: undefined,
      services: undefined,
      untrustedLastSeenSeconds: n === 0 ? -5 : n,
      lastResponseSeconds: undefined,
      firstSuccessSeconds: undefined,
      failures: 0
    })
    const entries = Array.from({ length: 5001 }, (_, n) => entry(n, n > 4997 || n === 0 ? "tried" : "new"))
    const lines = BookFile.encode(mainnet, { anchors: [], entries, groups: "", key: undefined })
    assert.lengthOf(lines, 4 + 5000)
    const kept = Result.getOrThrow(BookFile.decode(mainnet, lines)).entries
    assert.deepStrictEqual(
      kept.slice(0, 5).map(({ table, untrustedLastSeenSeconds }) => [table, untrustedLastSeenSeconds]),
      [
        ["tried", 0],
        ["tried", 4998],
        ["tried", 4999],
        ["tried", 5000],
        ["new", 1]
      ]
    )
    assert.strictEqual(kept.at(-1)?.untrustedLastSeenSeconds, 4996)
  })

  it.effect("is written after 20 seconds and then every five minutes, and not over by an empty one", () =>
    Effect.gen(function* () {
      const disk = SimDisk.make()
      yield* run(
        disk,
        Effect.gen(function* () {
          const book = yield* AddressBook
          yield* TestClock.adjust("19 seconds")
          yield* connects("40.1.0.1:8233")
          assert.strictEqual(yield* read(disk), "")
          yield* TestClock.adjust("1 second")
          assert.include(yield* read(disk), "40.1.0.1:8233")
          yield* connects("40.2.0.1:8233")
          yield* TestClock.adjust("299 seconds")
          assert.notInclude(yield* read(disk), "40.2.0.1:8233")
          yield* TestClock.adjust("1 second")
          assert.include(yield* read(disk), "40.2.0.1:8233")
          for (const text of ["40.1.0.1:8233", "40.2.0.1:8233"]) yield* book.markOwn(address(text))
          yield* TestClock.adjust("5 minutes")
          assert.include(yield* read(disk), "40.2.0.1:8233")
        })
      )
    })
  )

  it.effect(
    "that cannot be written says so once however long that lasts, counts each try, and says when it is over",
    () =>
      Effect.gen(function* () {
        const disk = SimDisk.make()
        let isFull = true
        const noRoom = PlatformError.systemError({ _tag: "Unknown", module: "FileSystem", method: "write" })
        const layer = Layer.effect(
          FileSystem.FileSystem,
          Effect.map(FileSystem.FileSystem, (files) => ({
            ...files,
            writeFileString: (...args: Parameters<typeof files.writeFileString>) =>
              Effect.suspend(() => (isFull ? Effect.fail(noRoom) : files.writeFileString(...args)))
          }))
        ).pipe(Layer.provide(disk.layer))
        const lines = yield* linesOf(
          run(
            { ...disk, layer },
            Effect.gen(function* () {
              yield* fill
              yield* TestClock.adjust("1 hour")
              isFull = false
              yield* TestClock.adjust("10 minutes")
            })
          )
        )
        assert.deepStrictEqual(lines, [
          "Warn: the address book cannot be written; it is tried again",
          "Info: the address book can be written again"
        ])
        const failures = (yield* Metric.snapshot).find(({ id }) => id === "network_effect.files.failed_writes")
        assert.deepInclude(failures, { attributes: { file: "address book" } })
        assert.isAtLeast(failures !== undefined && "count" in failures.state ? Number(failures.state.count) : 0, 12)
      }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
