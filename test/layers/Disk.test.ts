/** Every file a node writes: killed at any write, the next start finds the old or the new one; full at any write, it goes on. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, FileSystem, HashMap, Layer, Path, PlatformError } from "effect"
import { AddressBook, BanList, ManualPeers, PeerSocketAddress, regtest } from "network-effect"
import { Simulated } from "network-effect/layers"
import { SeededRandom, SimDisk, SimNetwork, SimRuntime } from "network-effect/simulation"
import * as RpcCookie from "../../src/status/RpcCookie.ts"
import { linesOf } from "../support/logs.ts"

const address = PeerSocketAddress.fromStringUnsafe
const [alice, bob, carol] = [address("10.0.0.1:18444"), address("10.0.0.2:18444"), address("10.0.0.3:18444")]

/** Each file of a node, and what a run before this one left in it. */
const before: Readonly<Record<string, string>> = {
  "/cache/network/regtest.peers": "10.0.0.2:18444",
  "/cache/network/regtest.bans": "192.0.2.1 4000000000",
  "/cache/network/regtest.added": "10.0.0.2:18444",
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

/** A disk with what was there before, and a fault; `writes` says what was asked of it. */
const diskWith = (fault: Fault) => {
  const disk = SimDisk.make()
  for (const [path, content] of Object.entries(before)) disk.put(path, content)
  const writes: Array<string> = []
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
        rename: (from, to) => asked("rename", to, Effect.void, files.rename(from, to)),
        remove: (path, options) => asked("remove", path, Effect.void, files.remove(path, options))
      }
    })
  ).pipe(Layer.provide(reading(disk)))
  return { disk, layer, writes, killed: Deferred.await(killed) }
}

/** Alice, with her files on a disk, and the two she hears of. */
const nodesOn = (disk: Layer.Layer<FileSystem.FileSystem>) => {
  const other = (host: PeerSocketAddress.PeerSocketAddress) =>
    Simulated.layer({ chain: regtest, host, listenAddress: host, seed: 1 })
  return Simulated.layer({
    chain: regtest,
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

/** What is there after a run whose disk is fine, and how many writes that took. */
const undisturbed = Effect.gen(function* () {
  const { disk, layer, writes } = diskWith({ _tag: "None" })
  yield* run(layer, aWhile)
  return { after: contents(disk), writes }
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
      const { after, writes } = yield* undisturbed
      assert.isAbove(writes.length, 10)
      for (let at = 0; at < writes.length; at++) {
        for (const isHalf of [false, true]) {
          const where = `write ${at} (${writes[at]})${isHalf ? ", half done" : ""}`
          const { disk, killed, layer } = diskWith({ _tag: "Killed", at, isHalf })
          yield* run(layer, Effect.raceFirst(aWhile, killed))
          for (const [path, content] of Object.entries(contents(disk))) {
            assert.include([before[path], after[path]], content, `${path} after ${where}`)
          }
          disk.thaw()
          const lines = yield* linesOf(
            Effect.map(run(reading(disk), known), ({ added, bans, cookie }) => {
              assert.include(bans, "192.0.2.1", where)
              assert.include(added, "10.0.0.2:18444", where)
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
      const { after, writes } = yield* undisturbed
      for (let at = 0; at < writes.length; at++) {
        const { disk, layer } = diskWith({ _tag: "Full", at, writes: 4 })
        const lines = yield* linesOf(run(layer, aWhile))
        const where = `write ${at} (${writes[at]})`
        // The last ones are those at its end, after which nobody tries again.
        for (const [path, content] of Object.entries(contents(disk))) {
          const isLast = at + 4 >= writes.length
          assert.include(isLast ? [before[path], after[path]] : [after[path]], content, `${path} after ${where}`)
        }
        const told = lines.filter((line) => line.includes("cannot be written"))
        assert.strictEqual(new Set(told).size, told.length, where)
      }
    })
  )
})
