/**
 * Every file that is written: killed at any write, the next start finds the old or the new one; full at any write, it goes on.
 *
 * Those of a node, its login, its lock, the records of its connections, and the store of a census.
 */
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  utimesSync,
  writeFileSync
} from "node:fs"
import { StatementSync } from "node:sqlite"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeCrypto, NodeFileSystem, NodePath } from "@effect/platform-node"
import { afterEach, assert, beforeEach, describe, it, vi } from "@effect/vitest"
import { Clock, Deferred, Duration, Effect, FileSystem, HashMap, Layer, Path, PlatformError } from "effect"
import { TestClock } from "effect/testing"
import { AddressBook, BanList, ManualPeers, PeerSocketAddress, testnet } from "network-effect"
import { Simulated } from "network-effect/layers"
import { SeededRandom, SimDisk, SimNetwork, SimRuntime } from "network-effect/simulation"
import * as CacheLock from "../../layers/CacheLock.ts"
import * as SqliteClient from "../../layers/SqliteClient.ts"
import * as BookFile from "../../src/addresses/BookFile.ts"
import { CensusStore } from "../../src/census/CensusStore.ts"
import * as RecordFolder from "../../src/recording/RecordFolder.ts"
import * as Replay from "../../src/recording/Replay.ts"
import * as RpcCookie from "../../src/status/RpcCookie.ts"
import { progress, reached, told } from "../census/storeContract.ts"
import { ping, talk } from "../recording/talk.ts"
import { linesOf } from "../support/logs.ts"

const address = PeerSocketAddress.fromStringUnsafe
const [alice, bob, carol] = [address("1.1.0.1:18233"), address("1.2.0.2:18233"), address("1.3.0.3:18233")]

/** Each file of a node, and what a run before this one left in it. */
const before: Readonly<Record<string, string>> = {
  "/cache/network/testnet.peers": "1.2.0.2:18233",
  "/cache/network/testnet.bans": "192.0.2.1 4000000000",
  "/cache/network/testnet.added": "1.2.0.2:18233",
  "/cache/network/testnet.book": BookFile.encode(testnet, {
    groups: "",
    key: new Uint8Array(32),
    anchors: [],
    entries: [
      {
        address: bob,
        table: "tried",
        source: "1.2",
        services: 1n,
        untrustedLastSeenSeconds: undefined,
        lastResponseSeconds: undefined,
        firstSuccessSeconds: undefined,
        failures: 0
      }
    ]
  }).join("\n"),
  "/cookie": "__cookie__:00"
}

type Fault =
  /** The process is gone before the write, or when half of it is done. */
  | { readonly _tag: "Killed"; readonly at: number; readonly isHalf: boolean }
  /** So many writes find no room: they leave the half of a file. */
  | { readonly _tag: "Full"; readonly at: number; readonly writes: number }
  | { readonly _tag: "None" }

/** The simulated disk, and what of it a login needs besides. */
const reading = (disk: SimDisk.SimDisk) =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (files) => ({
      ...files,
      readFileString: (path: string) => Effect.sync(() => disk.files.get(path) ?? "")
    }))
  ).pipe(Layer.provide(disk.layer))

/** A disk with what was there before, and a fault; `writes` says what was asked of it, `wholes` what each file has been. */
const diskWith = (fault: Fault) => {
  const disk = SimDisk.make()
  for (const [path, content] of Object.entries(before)) disk.put(path, content)
  const writes: Array<string> = []
  const wholes = new Map(Object.entries(before).map(([path, content]) => [path, [content]]))
  const killed = Deferred.makeUnsafe<void>()
  const noRoom = (method: string) =>
    Effect.fail(PlatformError.systemError({ _tag: "Unknown", module: "FileSystem", method, description: "ENOSPC" }))
  const layer = Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (files) => {
      const asked = <A>(
        method: string,
        path: string,
        half: Effect.Effect<unknown, PlatformError.PlatformError>,
        whole: Effect.Effect<A, PlatformError.PlatformError>
      ) =>
        Effect.suspend(() => {
          const number = writes.push(`${method} ${path}`) - 1
          if (fault._tag === "Killed" && number === fault.at) {
            // From now on nothing reaches the disk, whatever the process still believes to do.
            const gone = Effect.andThen(Effect.sync(disk.freeze), Deferred.succeed(killed, undefined))
            return Effect.andThen(fault.isHalf ? half : Effect.void, Effect.andThen(gone, whole))
          }
          if (fault._tag === "Full" && number >= fault.at && number < fault.at + fault.writes) {
            return Effect.andThen(half, noRoom(method))
          }
          return whole
        })
      return {
        ...files,
        makeDirectory: (path, options) => asked("makeDirectory", path, Effect.void, files.makeDirectory(path, options)),
        writeFileString: (path, content, options) =>
          asked(
            "write",
            path,
            files.writeFileString(path, content.slice(0, content.length / 2)),
            files.writeFileString(path, content, options)
          ),
        rename: (from, to) => {
          const whole = Effect.sync(() => wholes.set(to, [...(wholes.get(to) ?? []), disk.files.get(from) ?? ""]))
          return asked("rename", to, Effect.void, Effect.andThen(whole, files.rename(from, to)))
        },
        remove: (path, options) => asked("remove", path, Effect.void, files.remove(path, options))
      }
    })
  ).pipe(Layer.provide(reading(disk)))
  return { disk, layer, writes, wholes, killed: Deferred.await(killed) }
}

/** Alice, with her files on a disk, and the two she hears of. */
const nodesOn = (disk: Layer.Layer<FileSystem.FileSystem>) => {
  const other = (host: PeerSocketAddress.PeerSocketAddress) =>
    Simulated.layer({ chain: testnet, host, listenAddress: host, seed: 1 })
  return Simulated.layer({
    chain: testnet,
    host: alice,
    listenAddress: alice,
    cacheDirectory: "/cache",
    disk,
    seed: 1
  }).pipe(
    Layer.provideMerge(Layer.merge(Layer.fresh(other(bob)), Layer.fresh(other(carol)))),
    Layer.provide(SimNetwork.layer)
  )
}

const login = Layer.effectDiscard(Effect.exit(RpcCookie.make("/cookie"))).pipe(
  Layer.provide(SeededRandom.layer(1, "cookie"))
)

/** A run in which every file is written, and time to try again where one could not be. */
const aWhile = Effect.gen(function* () {
  yield* Effect.forkScoped(Layer.build(login))
  // Whoever asks waits for the disk, so each asks by itself.
  yield* Effect.forkScoped((yield* ManualPeers).add(carol))
  yield* (yield* AddressBook).ban({ address: address("192.0.2.2:1"), reason: "test" })
  yield* Effect.sleep("3 minutes")
}).pipe(Effect.scoped)

/** What a node knows that has just started. */
const known = Effect.gen(function* () {
  yield* Layer.build(login)
  const files = yield* FileSystem.FileSystem
  const bans = [...HashMap.keys((yield* BanList).bans.getUnsafe())].toSorted()
  const added = (yield* (yield* ManualPeers).list).map(PeerSocketAddress.format)
  return { bans, added, cookie: yield* Effect.orDie(files.readFileString("/cookie")) }
}).pipe(Effect.scoped)

/** Runs in virtual time on a disk. */
const run = <A>(
  disk: Layer.Layer<FileSystem.FileSystem>,
  what: Effect.Effect<A, never, AddressBook | BanList | ManualPeers | FileSystem.FileSystem>
) => what.pipe(Effect.provide(Layer.mergeAll(nodesOn(disk), disk, Path.layer)), SimRuntime.within("1 hour"))

/** The node's files but the login, which goes with its process. */
const contents = ({ files }: SimDisk.SimDisk) =>
  Object.fromEntries([...files].filter(([path]) => path.startsWith("/cache/") && !path.includes("/.tmp.")))

/** What is there after a run whose disk is fine, how many writes that took, and what each file was meanwhile. */
const undisturbed = Effect.gen(function* () {
  const { disk, layer, wholes, writes } = diskWith({ _tag: "None" })
  yield* run(layer, aWhile)
  return { after: contents(disk), writes, wholes }
})

describe("a node", () => {
  it.effect("writes these files, and no others", () =>
    Effect.gen(function* () {
      const { after, writes } = yield* undisturbed
      assert.hasAllKeys({ ...after, "/cookie": "" }, Object.keys(before))
      for (const [path, content] of Object.entries(after)) assert.notStrictEqual(content, before[path], path)
      assert.include(writes, "rename /cookie")
      assert.include(writes, "remove /cookie")
    })
  )

  it.effect("that is killed at any write, or in the middle of it, finds the old file or the new one", () =>
    Effect.gen(function* () {
      const { wholes, writes } = yield* undisturbed
      assert.isAbove(writes.length, 10)
      for (let at = 0; at < writes.length; at++) {
        for (const isHalf of [false, true]) {
          const where = `write ${at} (${writes[at]})${isHalf ? ", half done" : ""}`
          const { disk, killed, layer } = diskWith({ _tag: "Killed", at, isHalf })
          yield* run(layer, Effect.raceFirst(aWhile, killed))
          for (const [path, content] of Object.entries(contents(disk))) {
            assert.include(wholes.get(path) ?? [], content, `${path} after ${where}`)
          }
          disk.thaw()
          const lines = yield* linesOf(
            Effect.map(run(reading(disk), known), ({ added, bans, cookie }) => {
              assert.include(bans, "192.0.2.1", where)
              assert.include(added, "1.2.0.2:18233", where)
              assert.match(cookie, /^__cookie__:[0-9a-f]{64}$/, where)
            })
          )
          assert.deepStrictEqual(
            lines.filter((line) => /damaged|cannot|skipped/.test(line)),
            [],
            where
          )
        }
      }
    })
  )

  it.effect("whose disk is full at any write goes on, says so once, and writes it when there is room", () =>
    Effect.gen(function* () {
      const { after, wholes, writes } = yield* undisturbed
      for (let at = 0; at < writes.length; at++) {
        const { disk, layer } = diskWith({ _tag: "Full", at, writes: 4 })
        const lines = yield* linesOf(run(layer, aWhile))
        const where = `write ${at} (${writes[at]})`
        // The last ones are those at its end, after which nobody tries again.
        for (const [path, content] of Object.entries(contents(disk))) {
          const isLast = at + 4 >= writes.length
          assert.include(isLast ? (wholes.get(path) ?? []) : [after[path]], content, `${path} after ${where}`)
        }
        const told = lines.filter((line) => line.includes("cannot be written"))
        assert.strictEqual(new Set(told).size, told.length, where)
      }
    })
  )
})

// -- what a real disk has, after a process that was killed --------------------------------------------------------------

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "network-effect-disk-"))
})
afterEach(() => {
  vi.restoreAllMocks()
  rmSync(folder, { recursive: true, force: true })
})

describe("a lock of a cache directory", () => {
  const network = () => join(folder, "network")
  const locked = () => Layer.fresh(CacheLock.layer(folder, testnet))
  const lock = () =>
    Effect.scoped(
      Effect.gen(function* () {
        yield* Layer.build(locked())
        // Whoever comes now is told who has it.
        const { pid } = yield* Effect.flip(Layer.build(locked()))
        assert.strictEqual(pid, process.pid)
      })
    ).pipe(Effect.provide([NodeFileSystem.layer, NodePath.layer]))

  it.live.each([
    ["its folder was made", {}],
    ["its file was", { "testnet.lock": "" }],
    ["it was said who has it", { "testnet.lock": "", "testnet.pid": "" }],
    ["half of that was said", { "testnet.lock": "", "testnet.pid": "12" }],
    ["it was held", { "testnet.lock": "", "testnet.pid": "123456789" }]
  ] as const)("whose process was killed when %s is taken by the next", ([, left]) =>
    Effect.gen(function* () {
      mkdirSync(network(), { mode: 0o700 })
      for (const [name, content] of Object.entries(left)) writeFileSync(join(network(), name), content)
      yield* lock()
      assert.deepStrictEqual(readdirSync(network()), ["testnet.lock"])
      yield* lock()
    })
  )

  it.live("takes away what was being written when a process was killed, and nothing that is written now", () =>
    Effect.gen(function* () {
      mkdirSync(network(), { mode: 0o700 })
      const [old, own, others] = [".tmp.testnet.peers1a", ".tmp.testnet.bans2b", ".tmp.mainnet.peers3c"]
      for (const name of [old, own, others]) writeFileSync(join(network(), name), "x")
      const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000) - 3601
      for (const name of [old, others]) utimesSync(join(network(), name), seconds, seconds)
      yield* lock()
      assert.deepStrictEqual(readdirSync(network()).toSorted(), [others, own, "testnet.lock"].toSorted())
    })
  )

  it.live("that cannot be had where files can be written is said, and the node goes on", () =>
    Effect.gen(function* () {
      mkdirSync(network(), { mode: 0o700 })
      writeFileSync(join(network(), "testnet.lock"), "no database".repeat(500))
      const lines = yield* linesOf(
        Effect.scoped(Layer.build(locked())).pipe(Effect.provide([NodeFileSystem.layer, NodePath.layer]))
      )
      assert.deepStrictEqual(lines, [
        "Warn: the cache directory cannot be locked: see to it that no other node uses it"
      ])
    })
  )
})

describe("a folder of records", () => {
  /** The real disk until write `at`, of which half is done, and nothing after it; `asked` counts. */
  const diskUntil = (at: number, asked: Array<string> = []) => {
    const layer = Layer.effect(
      FileSystem.FileSystem,
      Effect.map(FileSystem.FileSystem, (files) => {
        const until = (
          what: string,
          half: Effect.Effect<void, PlatformError.PlatformError>,
          whole: Effect.Effect<void, PlatformError.PlatformError>
        ) =>
          Effect.suspend(() => {
            const number = asked.push(what) - 1
            return number < at ? whole : number === at ? half : Effect.void
          })
        return FileSystem.make({
          ...files,
          makeDirectory: (path, options) => until("makeDirectory", Effect.void, files.makeDirectory(path, options)),
          chmod: (path, mode) => until("chmod", Effect.void, files.chmod(path, mode)),
          remove: (path, options) => until("remove", Effect.void, files.remove(path, options)),
          writeFile: (path, bytes, options) =>
            until(
              "writeFile",
              files.writeFile(path, bytes.subarray(0, bytes.length / 2), options),
              files.writeFile(path, bytes, options)
            )
        })
      })
    )
    return { layer: layer.pipe(Layer.provideMerge(NodeFileSystem.layer)), asked }
  }

  /** Two connections that say a little, in segments that are small enough for the first ones to go. */
  const record = (disk: Layer.Layer<FileSystem.FileSystem>) =>
    Effect.gen(function* () {
      const records = yield* RecordFolder.make({
        directory: join(folder, "records"),
        segmentBytes: 4000,
        totalBytes: 12_000
      })
      for (const node of ["1", "2"]) {
        const { hears, step } = talk(records.recording(node))
        for (let pings = 0; pings < 40; pings++) hears(ping)
        step({ _tag: "Message", message: { _tag: "Verack" } })
      }
    }).pipe(Effect.scoped, Effect.provide(Layer.mergeAll(disk, NodePath.layer, NodeCrypto.layerSecureRandom)))

  it.live("that is killed at any write can be replayed as far as it goes, and recorded to", () =>
    Effect.gen(function* () {
      const { asked, layer } = diskUntil(Infinity)
      yield* record(layer)
      assert.includeMembers(asked, ["makeDirectory", "chmod", "writeFile", "remove"])
      const records = () => readdirSync(join(folder, "records")).map((file) => join(folder, "records", file))
      const ends = new Set<string | undefined>()
      for (const [at, what] of asked.entries()) {
        rmSync(join(folder, "records"), { recursive: true, force: true })
        // What it was about to make may be the folder itself.
        yield* Effect.exit(record(diskUntil(at).layer))
        const where = `write ${at} (${what})`
        const before = existsSync(join(folder, "records")) ? records() : []
        for (const file of before) {
          const { difference, end } = Replay.replay(readFileSync(file, "utf8"))
          assert.isUndefined(difference, where)
          ends.add(end)
        }
        yield* record(NodeFileSystem.layer)
        const added = records().filter((file) => !before.includes(file))
        assert.isNotEmpty(added, where)
        for (const file of added) assert.isDefined(Replay.replay(readFileSync(file, "utf8")).end, where)
      }
      assert.deepStrictEqual(ends, new Set([undefined, "full", "closed"]))
    })
  )
})

describe("a census", () => {
  const census = { network: "Testnet", userAgent: "/census/", protocolVersion: 170_190 }
  const hosts = Array.from({ length: 40 }, (_, n) => `192.0.2.${n + 1}:18233`)
  const storeIn = (directory: string) =>
    Layer.fresh(CensusStore.layer.pipe(Layer.provide(SqliteClient.layer(join(directory, "census.sqlite")))))

  /** Three batches of one run, and an older run that is forgotten. */
  const visit = Effect.gen(function* () {
    const store = yield* CensusStore
    const older = yield* store.begin(census)
    yield* store.record(older, census.network, [reached("198.51.100.1:18233"), progress("Exhausted", 1)])
    yield* TestClock.adjust("20 days")
    const id = yield* store.begin(census)
    yield* store.record(
      id,
      census.network,
      hosts.slice(0, 20).map((host) => reached(host))
    )
    yield* store.record(id, census.network, [
      ...hosts.slice(20).map((host) => reached(host)),
      told(hosts[0]!, ...hosts)
    ])
    yield* store.record(id, census.network, [progress("Exhausted", 40)])
    yield* store.prune(Duration.days(10))
  })

  /** What is said of its runs, and a run more. */
  const startAgain = Effect.gen(function* () {
    const store = yield* CensusStore
    const runs = yield* Effect.forEach(yield* store.runs(), ({ ending, id }) =>
      Effect.map(store.sightings(id), ({ length }) => ({ ending, id, hosts: length }))
    )
    const id = yield* store.begin(census)
    yield* store.record(id, census.network, [reached("203.0.113.1:18233"), progress("Exhausted", 1)])
    assert.strictEqual((yield* store.sightings(id)).length, 1)
    return runs
  })

  it.effect("that is killed after any statement, or while it writes one, has whole batches and goes on", () =>
    Effect.gen(function* () {
      // What a process leaves that is killed now is its files as they are: what it gave to the system is not lost.
      const left: Array<string> = []
      const live = join(folder, "live")
      mkdirSync(live)
      const wal = (directory: string) => join(directory, "census.sqlite-wal")
      const sizeOf = (file: string) => (existsSync(file) ? statSync(file).size : 0)
      const leave = () => {
        const directory = join(folder, `${left.length}`)
        cpSync(live, directory, { recursive: true })
        left.push(directory)
        return directory
      }
      const run = StatementSync.prototype.run
      vi.spyOn(StatementSync.prototype, "run").mockImplementation(function (this: StatementSync, ...values) {
        const before = sizeOf(wal(live))
        const result = run.apply(this, values)
        const written = sizeOf(wal(live)) - before
        if (written > 0) truncateSync(wal(leave()), before + Math.floor(written / 2))
        leave()
        return result
      })
      yield* Effect.provide(visit, storeIn(live))
      vi.restoreAllMocks()
      assert.isAbove(left.length, 20)

      const seen = new Set<string>()
      for (const directory of left) {
        const runs = yield* Effect.provide(startAgain, storeIn(directory))
        seen.add(runs.map(({ ending, hosts, id }) => `${id}: ${hosts} ${ending ?? "under way"}`).join(", "))
      }
      assert.deepStrictEqual(
        [...seen],
        [
          "",
          "1: 0 under way",
          "1: 1 Exhausted",
          "1: 1 Exhausted, 2: 0 under way",
          "1: 1 Exhausted, 2: 20 under way",
          "1: 1 Exhausted, 2: 40 under way",
          "1: 1 Exhausted, 2: 40 Exhausted",
          "2: 40 Exhausted"
        ]
      )
    })
  )
})
