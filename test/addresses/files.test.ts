/** The peer cache and the list of bans on a real disk: damaged, in the way and unwritable. Killed while writing: `Killed.test.ts`. */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeFileSystem, NodePath } from "@effect/platform-node"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, FileSystem, HashMap, Layer, Metric, Path, PlatformError, References, Scope } from "effect"
import { TestClock } from "effect/testing"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { PeerCache } from "../../src/addresses/AddressBookFile.ts"
import * as BanFile from "../../src/addresses/BanFile.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import * as CacheFile from "../../src/addresses/CacheFile.ts"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import { ChainParams, type ChainParamsShape, mainnet, regtest, testnet } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as SimDisk from "../../src/simulation/SimDisk.ts"
import { address, bookWorld } from "../support/bookWorld.ts"
import { linesOf } from "../support/logs.ts"
import { seriesOf, withMetrics } from "../support/metrics.ts"
import { elapse } from "../support/time.ts"

const root = mkdtempSync(join(tmpdir(), "network-effect-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let folders = 0
/** A cache directory with whatever is already in its `network` folder. */
const directoryWith = (files: Record<string, string | Buffer> = {}) => {
  const directory = join(root, String(folders++))
  mkdirSync(join(directory, "network"), { recursive: true })
  for (const [name, content] of Object.entries(files)) writeFileSync(join(directory, "network", name), content)
  return directory
}

const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

const disk = Layer.merge(NodeFileSystem.layer, NodePath.layer)

const withCache = (directory: string) =>
  PeerCache.layer(directory).pipe(Layer.provide(disk), Layer.provideMerge(bookWorld()))

const load = (directory: string) =>
  Effect.flatMap(PeerCache, (cache) => cache.load).pipe(
    Effect.map((addresses) => addresses.map(PeerSocketAddress.format)),
    Effect.provide(withCache(directory)),
    quietly
  )

const know = (count: number) =>
  Effect.flatMap(AddressBook, (book) =>
    Effect.forEach(Array.from({ length: count }), (_, i) =>
      book.record({
        _tag: "UpdateResponded",
        address: address(`10.${i >> 8}.${i & 255}.1:8233`),
        roundTrip: undefined
      })
    )
  )

const read = (directory: string, name = "mainnet.peers") => readFileSync(join(directory, "network", name), "utf8")

// -- disks that refuse -----------------------------------------------------------------------

const withFaults = (
  simulated: SimDisk.SimDisk,
  faults: (files: FileSystem.FileSystem) => Partial<FileSystem.FileSystem>
): Layer.Layer<FileSystem.FileSystem> =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (files) => ({ ...files, ...faults(files) }))
  ).pipe(Layer.provide(simulated.layer))

const refuse = (method: string) => () =>
  Effect.fail(PlatformError.systemError({ _tag: "PermissionDenied", module: "FileSystem", method }))

const readOnly = (simulated: SimDisk.SimDisk) =>
  withFaults(simulated, () => ({
    makeDirectory: refuse("makeDirectory"),
    writeFileString: refuse("writeFileString"),
    rename: refuse("rename"),
    remove: refuse("remove")
  }))

/** Leaves what a full disk leaves: the file, without its end. */
const full = (simulated: SimDisk.SimDisk) =>
  withFaults(simulated, (files) => ({
    writeFileString: (path) => Effect.andThen(files.writeFileString(path, "10.0"), refuse("writeFileString")())
  }))

const holding = (simulated: SimDisk.SimDisk, path: string, content: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.writeFileString(path, content)).pipe(
    Effect.provide(simulated.layer)
  )

const simulatedCache = (files: Layer.Layer<FileSystem.FileSystem>) =>
  PeerCache.layer("/cache").pipe(Layer.provide(Layer.merge(files, Path.layer)), Layer.provideMerge(bookWorld()))

const simulatedBans = (files: Layer.Layer<FileSystem.FileSystem>) =>
  BanFile.layer("/cache").pipe(
    Layer.provide([files, Path.layer, BackgroundTasks.layer, Layer.succeed(ChainParams, mainnet)])
  )

describe("the peer cache", () => {
  it.live("is read as Zebra writes it, and damage is skipped", () =>
    Effect.gen(function* () {
      assert.isEmpty(yield* load(directoryWith()))
      const lines = "10.0.0.1:8233\r\n[2001:db8::1]:8233\nnonsense\n\n[::ffff:10.0.0.1]:8233\n10.0.0.2"
      assert.deepStrictEqual(yield* load(directoryWith({ "mainnet.peers": lines })), [
        "10.0.0.1:8233",
        "[2001:db8::1]:8233",
        "10.0.0.1:8233"
      ])
    })
  )

  for (const [name, content] of [
    ["a binary one", Buffer.from(Array.from({ length: 5000 }, (_, i) => (i * 37) & 0xff))],
    ["one of 100 MB", Buffer.alloc(100_000_000, "10.0.0.1:8233\n")],
    ["one of a million lines", "x\n".repeat(1_000_000)]
  ] as const) {
    it.live(`does not stop a start when it is damaged, and is kept aside: ${name}`, () =>
      Effect.gen(function* () {
        const directory = directoryWith({ "mainnet.peers": content })
        assert.isEmpty(yield* load(directory))
        assert.deepStrictEqual(readdirSync(join(directory, "network")), ["mainnet.peers.corrupt"])
        // The next start finds nothing to complain about.
        assert.isEmpty(yield* load(directory))
        rmSync(directory, { recursive: true })
      })
    )
  }

  it.live("does not stop a start when a directory is in its place", () =>
    Effect.gen(function* () {
      const directory = directoryWith()
      mkdirSync(join(directory, "network", "mainnet.peers"))
      assert.isEmpty(yield* load(directory))
      assert.deepStrictEqual(readdirSync(join(directory, "network")), ["mainnet.peers.corrupt"])
    })
  )

  it.live("is read up to 5000 lines", () =>
    Effect.gen(function* () {
      const lines = Array.from({ length: 6000 }, (_, i) => `10.0.${i >> 8}.${i & 255}:8233`).join("\n")
      assert.strictEqual((yield* load(directoryWith({ "mainnet.peers": lines }))).length, 5000)
    })
  )

  it.live("is written whole: 75 lines in order, without a last newline, in a folder that is made (EX-8)", () =>
    Effect.gen(function* () {
      const directory = join(root, "new", "one")
      yield* Effect.gen(function* () {
        yield* know(76)
        assert.isTrue(yield* (yield* PeerCache).writeOnce)
      }).pipe(Effect.provide(withCache(directory)), quietly)
      // Whom a node knows is its owner's business alone.
      const modeOf = (...names: ReadonlyArray<string>) => statSync(join(directory, ...names)).mode & 0o777
      assert.deepStrictEqual([modeOf("network"), modeOf("network", "mainnet.peers")], [0o700, 0o600])
      const lines = read(directory).split("\n")
      assert.strictEqual(lines.length, 75)
      assert.deepStrictEqual(lines, lines.toSorted())
      assert.deepStrictEqual(readdirSync(join(directory, "network")), ["mainnet.peers"])
    })
  )

  it.live("keeps what it has when there is nothing to keep, or no way to write (EX-8)", () =>
    Effect.gen(function* () {
      const directory = directoryWith({ "mainnet.peers": "10.0.0.1:8233" })
      yield* Effect.gen(function* () {
        assert.isFalse(yield* (yield* PeerCache).writeOnce)
      }).pipe(Effect.provide(withCache(directory)), quietly)
      assert.strictEqual(read(directory), "10.0.0.1:8233")
      // A file where the folder should be, which stops root too.
      const blocked = join(root, "blocked")
      writeFileSync(blocked, "")
      yield* Effect.gen(function* () {
        yield* know(1)
        assert.isFalse(yield* (yield* PeerCache).writeOnce)
      }).pipe(Effect.provide(withCache(blocked)), quietly)
    })
  )

  it.effect("is counted: what was read of it, and what is written", () =>
    Effect.gen(function* () {
      const simulated = SimDisk.make()
      yield* holding(simulated, "/cache/network/mainnet.peers", "10.0.0.8:8233\n10.0.0.9:8233\nnonsense")
      yield* Effect.gen(function* () {
        const cache = yield* PeerCache
        yield* cache.load
        assert.isFalse(yield* cache.writeOnce)
        yield* know(3)
        assert.isTrue(yield* cache.writeOnce)
      }).pipe(Effect.provide(simulatedCache(simulated.layer)), quietly)
      const labels = "cache=/cache/network/mainnet.peers network=mainnet"
      assert.deepStrictEqual(yield* seriesOf("zcash.net.peers.initial"), { [labels]: 2 })
      assert.deepStrictEqual(yield* seriesOf("zcash.net.peers.cache"), { [labels]: 3 })
    }).pipe(withMetrics)
  )

  it.effect("is not touched when the disk is full", () =>
    Effect.gen(function* () {
      const simulated = SimDisk.make()
      yield* Effect.gen(function* () {
        yield* know(1)
        assert.isFalse(yield* (yield* PeerCache).writeOnce)
      }).pipe(Effect.provide(simulatedCache(full(simulated))), quietly)
      assert.deepStrictEqual([...simulated.files.keys()], [])
    })
  )

  it.effect("stays as it is on a disk that is read-only, damaged or not, and stops no start", () =>
    Effect.gen(function* () {
      for (const [content, expected] of [
        ["10.0.0.9:8233", ["10.0.0.9:8233"]],
        ["nonsense", []]
      ] as const) {
        const simulated = SimDisk.make()
        yield* holding(simulated, "/cache/network/mainnet.peers", content)
        yield* Effect.gen(function* () {
          const cache = yield* PeerCache
          assert.deepStrictEqual((yield* cache.load).map(PeerSocketAddress.format), [...expected])
          yield* know(1)
          assert.isFalse(yield* cache.writeOnce)
        }).pipe(Effect.provide(simulatedCache(readOnly(simulated))), quietly)
        assert.deepStrictEqual([...simulated.files], [["/cache/network/mainnet.peers", content]])
      }
    })
  )

  it.effect("is tried every 20 seconds until something was kept, then every five minutes (EX-9)", () =>
    Effect.gen(function* () {
      const simulated = SimDisk.make()
      yield* Effect.gen(function* () {
        yield* elapse("59 seconds", "1 second")
        yield* know(1)
        assert.strictEqual(simulated.files.size, 0)
        yield* elapse("1 second")
        assert.strictEqual(simulated.files.get("/cache/network/mainnet.peers"), "10.0.0.1:8233")
        yield* know(2)
        yield* elapse("299 seconds", "1 second")
        assert.strictEqual(simulated.files.get("/cache/network/mainnet.peers"), "10.0.0.1:8233")
        yield* elapse("1 second")
        assert.strictEqual(simulated.files.get("/cache/network/mainnet.peers"), "10.0.0.1:8233\n10.0.1.1:8233")
      }).pipe(Effect.provide(simulatedCache(simulated.layer)), quietly)
    })
  )

  it.effect(
    "is tried no more often than every five minutes once something was kept, though later writes fail (EX-9)",
    () =>
      Effect.gen(function* () {
        const simulated = SimDisk.make()
        const triedAt: Array<number> = []
        const failing = withFaults(simulated, (files) => ({
          writeFileString: (path, content) =>
            Effect.flatMap(Clock.currentTimeMillis, (now) => {
              triedAt.push(now / 1000)
              return triedAt.length === 1 ? files.writeFileString(path, content) : refuse("writeFileString")()
            })
        }))
        yield* Effect.gen(function* () {
          yield* know(1)
          yield* elapse("1000 seconds", "5 seconds")
          assert.deepStrictEqual(triedAt, [20, 320, 620, 920])
          assert.deepStrictEqual([...simulated.files], [["/cache/network/mainnet.peers", "10.0.0.1:8233"]])
        }).pipe(Effect.provide(simulatedCache(failing)), quietly)
      })
  )
})

describe("a small file", () => {
  /** One of three lines at most, of which none may be empty or begin with a mark. */
  const file = CacheFile.make({
    path: "/cache/network/list",
    name: "list",
    maxLines: 3,
    parse: (line) => (line === "" || line.startsWith("#") ? undefined : line),
    format: (line: string) => line
  })
  const inFile = <A, E>(
    files: Layer.Layer<FileSystem.FileSystem>,
    test: (file: CacheFile.CacheFile<string>) => Effect.Effect<A, E>
  ) => Effect.flatMap(file, test).pipe(Effect.provide(Layer.merge(files, Path.layer)))

  it.effect(
    "says what was skipped and what cannot be read, and nothing of a file that is not there or as it should",
    () =>
      Effect.gen(function* () {
        const loaded = (content?: string, files?: Layer.Layer<FileSystem.FileSystem>) =>
          Effect.gen(function* () {
            const simulated = SimDisk.make()
            if (content !== undefined) simulated.put("/cache/network/list", content)
            let values: ReadonlyArray<string> = []
            const lines = yield* linesOf(
              inFile(files ?? simulated.layer, ({ load }) => Effect.map(load, (read) => (values = read)))
            )
            return [values, lines]
          })
        assert.deepStrictEqual(yield* loaded(), [[], []])
        assert.deepStrictEqual(yield* loaded("a\nb"), [["a", "b"], []])
        // A list of nobody is an empty file, and an editor ends the last line.
        assert.deepStrictEqual(yield* loaded(""), [[], []])
        assert.deepStrictEqual(yield* loaded("a\n"), [["a"], []])
        assert.deepStrictEqual(yield* loaded("a\r\n\r\nb\r\n"), [["a", "b"], []])
        assert.deepStrictEqual(yield* loaded("\n"), [
          [],
          ["Warn: the list is damaged and was moved aside; going on without it"]
        ])
        assert.deepStrictEqual(yield* loaded("a\n#\nb"), [["a", "b"], ["Info: lines of the list were skipped"]])
        assert.deepStrictEqual(yield* loaded("a\nb\nc\nd"), [["a", "b", "c"], []])
        assert.deepStrictEqual(yield* loaded("#"), [
          [],
          ["Warn: the list is damaged and was moved aside; going on without it"]
        ])
        const closed = withFaults(SimDisk.make(), () => ({ stat: refuse("stat") }))
        assert.deepStrictEqual(yield* loaded(undefined, closed), [[], ["Info: the list cannot be read"]])
      })
  )

  it.effect("is as large as it may be, and not one byte larger", () =>
    Effect.gen(function* () {
      const read = (bytes: number) =>
        Effect.gen(function* () {
          const simulated = SimDisk.make()
          simulated.put("/cache/network/list", "x".repeat(bytes))
          const values = yield* inFile(simulated.layer, ({ load }) => load)
          return [values.length, [...simulated.files.keys()]]
        })
      assert.deepStrictEqual(yield* read(1_048_576), [1, ["/cache/network/list"]])
      assert.deepStrictEqual(yield* read(1_048_577), [0, ["/cache/network/list.corrupt"]])
    }).pipe(quietly)
  )

  it.effect("that could not be written says so once, and once that it can be again", () =>
    Effect.gen(function* () {
      let isFull = false
      const simulated = SimDisk.make()
      const files = withFaults(simulated, (files) => ({
        writeFileString: (path, content) =>
          isFull ? refuse("writeFileString")() : files.writeFileString(path, content)
      }))
      yield* inFile(files, ({ saveOrTell }) =>
        Effect.gen(function* () {
          const saved = (values: ReadonlyArray<string>, full: boolean) =>
            Effect.gen(function* () {
              isFull = full
              let isSaved: boolean | undefined
              const lines = yield* linesOf(Effect.map(saveOrTell(values), (result) => (isSaved = result)))
              return [isSaved, lines, simulated.files.get("/cache/network/list")]
            })
          const warning = "Warn: the list cannot be written; it is tried again"
          assert.deepStrictEqual(yield* saved(["a"], false), [true, [], "a"])
          assert.deepStrictEqual(yield* saved(["b"], true), [false, [warning], "a"])
          assert.deepStrictEqual(yield* saved(["c"], true), [false, [], "a"])
          assert.deepStrictEqual(yield* saved(["d", "e", "f", "g"], false), [
            true,
            ["Info: the list can be written again"],
            "d\ne\nf"
          ])
          assert.deepStrictEqual(yield* saved(["h"], false), [true, [], "h"])
          assert.deepStrictEqual(yield* saved(["i"], true), [false, [warning], "h"])
          assert.deepStrictEqual([...simulated.files.keys()], ["/cache/network/list"])
        })
      )
      const failures = (yield* Metric.snapshot).filter(({ id }) => id === "network_effect.files.failed_writes")
      assert.deepStrictEqual(
        failures.map(({ attributes, state }) => [attributes, "count" in state && state.count]),
        [[{ file: "list" }, 3]]
      )
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})

describe("the files of a chain", () => {
  const publicMagic = testnet.magic
  const chains: ReadonlyArray<readonly [ChainParamsShape, string]> = [
    [mainnet, "mainnet"],
    [testnet, "testnet"],
    [regtest, "regtest"],
    [{ ...testnet, name: "MyTestnet", custom: true, magic: publicMagic }, "mytestnet-fa1af9bf"],
    [{ ...testnet, name: "MyTestnet", custom: true, magic: [0, 0, 0, 0] }, "mytestnet-00000000"]
  ]

  it.effect.each(chains)("are its own, by name and magic: $1 (EX-19)", ([chain, stem]) =>
    Effect.gen(function* () {
      const simulated = SimDisk.make()
      const files = Layer.merge(simulated.layer, Path.layer)
      const params = Layer.succeed(ChainParams, chain)
      yield* Effect.gen(function* () {
        yield* (yield* AddressBook).record({
          _tag: "UpdateResponded",
          address: address(`10.0.0.1:${chain.defaultPort}`),
          roundTrip: undefined
        })
        assert.isTrue(yield* (yield* PeerCache).writeOnce)
      }).pipe(
        Effect.provide(PeerCache.layer("/c").pipe(Layer.provide(files), Layer.provideMerge(bookWorld({}, chain))))
      )
      yield* Effect.flatMap(BanList, (list) => list.add({ address: address("10.0.0.1:1"), reason: "x" })).pipe(
        Effect.provide(BanFile.layer("/c").pipe(Layer.provide([files, params, BackgroundTasks.layer])))
      )
      assert.sameMembers([...simulated.files.keys()], [`/c/network/${stem}.peers`, `/c/network/${stem}.bans`])
    }).pipe(quietly)
  )
})

const bansIn = (directory: string) =>
  BanFile.layer(directory).pipe(Layer.provide([disk, BackgroundTasks.layer, Layer.succeed(ChainParams, mainnet)]))

const bans = Effect.flatMap(BanList, (list) =>
  Effect.map(list.bans.get, (bans) =>
    [...HashMap.values(bans)].map(({ group, untilSeconds }) => `${group} ${untilSeconds}`).toSorted()
  )
)

describe("the list of bans", () => {
  it.live("is read line by line, and what makes no sense is skipped (EX-19)", () =>
    Effect.gen(function* () {
      const end = 4_000_000_000
      const lines = [
        `::ffff:192.0.2.10 ${end}`,
        `2001:db8::/64 ${end}`,
        `2001:db8:1::1 ${end}`,
        `192.0.2.0/24 ${end}`,
        // An IPv4 address is a group by itself.
        `192.0.2.13/64 ${end}`,
        "192.0.2.11 5",
        "192.0.2.12",
        "junk"
      ]
      const directory = directoryWith({ "mainnet.bans": lines.join("\n") })
      assert.deepStrictEqual(yield* Effect.provide(bans, bansIn(directory)), [
        `192.0.2.10 ${end}`,
        `2001:db8:1::/64 ${end}`,
        `2001:db8::/64 ${end}`
      ])
    }).pipe(quietly)
  )

  it.effect("counts the later end of two lines of one group, whichever comes first (Q14)", () =>
    Effect.gen(function* () {
      const orders = [
        ["192.0.2.10 4000000000", "192.0.2.10 4000", "::ffff:192.0.2.10 5000"],
        ["2001:db8::1 4000", "2001:db8::/64 4000000000"]
      ]
      const read: Array<ReadonlyArray<string>> = []
      for (const lines of orders) {
        const simulated = SimDisk.make()
        yield* holding(simulated, "/cache/network/mainnet.bans", lines.join("\n"))
        read.push(yield* Effect.provide(bans, simulatedBans(simulated.layer)))
      }
      assert.deepStrictEqual(read, [["192.0.2.10 4000000000"], ["2001:db8::/64 4000000000"]])
    }).pipe(quietly)
  )

  it.live("outlives its node, with its ends (EX-17)", () =>
    Effect.gen(function* () {
      const directory = directoryWith()
      const scope = yield* Scope.make()
      const list = yield* Layer.build(bansIn(directory)).pipe(
        Scope.provide(scope),
        Effect.map((built) => built)
      )
      const made = yield* Effect.gen(function* () {
        return yield* (yield* BanList).add({ address: address("192.0.2.10:1"), reason: "x" })
      }).pipe(Effect.provideContext(list))
      yield* Scope.close(scope, Exit.void)
      const expected = `192.0.2.10 ${made.untilSeconds}`
      assert.strictEqual(read(directory, "mainnet.bans"), expected)
      assert.deepStrictEqual(yield* Effect.provide(bans, bansIn(directory)), [expected])
    }).pipe(quietly)
  )

  it.effect("outlives a node that was killed: what was banned five seconds before is on disk (EX-17)", () =>
    Effect.gen(function* () {
      const simulated = SimDisk.make()
      const scope = yield* Scope.make()
      const made = yield* Effect.gen(function* () {
        yield* elapse("6 seconds", "1 second")
        const list = yield* BanList
        const made = yield* list.add({ address: address("192.0.2.10:1"), reason: "x" })
        yield* elapse("5 seconds", "1 second")
        return made
      }).pipe(Effect.provide(yield* Scope.provide(Layer.build(simulatedBans(simulated.layer)), scope)))
      // Killed, not closed: whatever it writes on its way out is lost.
      simulated.freeze()
      yield* Scope.close(scope, Exit.void)
      simulated.thaw()
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(yield* Effect.provide(bans, simulatedBans(simulated.layer)), [
        `192.0.2.10 ${made.untilSeconds}`
      ])
      // And when it is over, it does not come back.
      yield* TestClock.adjust("23 hours")
      assert.isEmpty(yield* Effect.provide(bans, simulatedBans(simulated.layer)))
    }).pipe(quietly)
  )

  it.effect("is written every five seconds at most", () =>
    Effect.gen(function* () {
      const simulated = SimDisk.make()
      yield* Effect.gen(function* () {
        const list = yield* BanList
        const kept = () => simulated.files.get("/cache/network/mainnet.bans")?.split("\n").length ?? 0
        yield* elapse("6 seconds", "1 second")
        for (let n = 0; n < 3; n++) yield* list.add({ address: address(`10.0.0.${n}:1`), reason: "x" })
        yield* elapse("1 millis")
        const first = kept()
        for (let n = 3; n < 6; n++) yield* list.add({ address: address(`10.0.0.${n}:1`), reason: "x" })
        yield* elapse("4 seconds", "1 second")
        assert.strictEqual(kept(), first)
        yield* elapse("7 seconds", "1 second")
        assert.strictEqual(kept(), 6)
      }).pipe(Effect.provide(simulatedBans(simulated.layer)))
    }).pipe(quietly)
  )

  it.live("does not stop a start when it is damaged, and is kept aside", () =>
    Effect.gen(function* () {
      for (const content of [Buffer.alloc(5000, 0x9f), Buffer.alloc(100_000_000, "192.0.2.10 4000000000\n")]) {
        const directory = directoryWith({ "mainnet.bans": content })
        assert.isEmpty(yield* Effect.provide(bans, bansIn(directory)))
        assert.deepStrictEqual(readdirSync(join(directory, "network")), ["mainnet.bans.corrupt"])
        rmSync(directory, { recursive: true })
      }
    }).pipe(quietly)
  )

  it.effect("says once that it cannot be written, however often somebody is banned, and counts each try", () =>
    Effect.gen(function* () {
      let tries = 0
      // The first thing each of them does.
      const makeDirectory = () => Effect.suspend(() => (tries++, refuse("makeDirectory")()))
      const lines = yield* linesOf(
        Effect.gen(function* () {
          const list = yield* BanList
          for (let n = 0; n < 15; n++) {
            yield* list.add({ address: address(`10.0.0.${n}:1`), reason: "x" })
            yield* elapse("6 seconds", "1 second")
          }
        }).pipe(Effect.provide(simulatedBans(withFaults(SimDisk.make(), () => ({ makeDirectory })))))
      )
      assert.deepStrictEqual(lines, ["Warn: the list of bans cannot be written; it is tried again"])
      assert.isAtLeast(tries, 15)
      const failures = (yield* Metric.snapshot).filter(({ id }) => id === "network_effect.files.failed_writes")
      assert.deepStrictEqual(
        failures.map(({ state }) => "count" in state && state.count),
        [tries]
      )
    }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect.each([
    ["full", full],
    ["read-only", readOnly]
  ] as const)("bans all the same when the disk is %s, and keeps the old file", ([, disk]) =>
    Effect.gen(function* () {
      const simulated = SimDisk.make()
      const kept = "192.0.2.10 4000000000"
      yield* holding(simulated, "/cache/network/mainnet.bans", kept)
      yield* Effect.gen(function* () {
        const list = yield* BanList
        yield* list.add({ address: address("10.0.0.1:1"), reason: "x" })
        yield* elapse("11 seconds", "1 second")
        assert.isTrue(yield* list.isBanned(address("192.0.2.10:1")))
        assert.isTrue(yield* list.isBanned(address("10.0.0.1:1")))
      }).pipe(Effect.provide(simulatedBans(disk(simulated))))
      assert.deepStrictEqual([...simulated.files], [["/cache/network/mainnet.bans", kept]])
    }).pipe(quietly)
  )
})
