/** What runs beside the address book: by name, for as long as the network lives, and never unnoticed when it ends. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, FileSystem, Layer, Path, Result } from "effect"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { PeerCache } from "../../src/addresses/AddressBookFile.ts"
import * as BanFile from "../../src/addresses/BanFile.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import { Misbehavior } from "../../src/addresses/Misbehavior.ts"
import { BackgroundTaskExited, BackgroundTasks } from "../../src/BackgroundTasks.ts"
import { ChainParams, mainnet } from "../../src/chain/ChainParams.ts"
import * as SimDisk from "../../src/simulation/SimDisk.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import { address } from "../support/bookWorld.ts"
import { elapse } from "../support/time.ts"

/** Everything of the addresses that runs, over a disk. */
const world = (files: Layer.Layer<FileSystem.FileSystem>) =>
  Layer.mergeAll(PeerCache.layer("/cache"), Misbehavior.layer).pipe(
    Layer.provideMerge(AddressBook.layerReference),
    Layer.provideMerge(BanFile.layer("/cache")),
    Layer.provideMerge(
      Layer.mergeAll(
        BackgroundTasks.layer,
        files,
        Path.layer,
        OwnAddress.layerNone,
        Layer.succeed(ChainParams, mainnet)
      )
    )
  )

/** A disk that breaks as only a bug of ours could, until it is mended. */
const breaking = () => {
  let isBroken = true
  const layer = Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (files) => ({
      ...files,
      makeDirectory: (path) => (isBroken ? Effect.die("a bug") : files.makeDirectory(path))
    }))
  ).pipe(Layer.provide(SimDisk.make().layer))
  const mend = Effect.sync(() => {
    isBroken = false
  })
  return { layer, mend }
}

/** The task that ended the network. */
const ender = Effect.gen(function* () {
  const ended = yield* Effect.result((yield* BackgroundTasks).awaitEnd)
  return Result.isFailure(ended) && ended.failure instanceof BackgroundTaskExited ? ended.failure.task : undefined
})

describe("the loops of the addresses", () => {
  it.effect("are tasks of the network, each by a name of its own", () =>
    Effect.gen(function* () {
      assert.sameMembers(
        [...(yield* (yield* BackgroundTasks).names)],
        ["bans", "ban file", "misbehavior", "peer cache"]
      )
    }).pipe(Effect.provide(world(SimDisk.make().layer)))
  )

  it.effect("run only as long as their layers, which ends nothing else", () =>
    Effect.gen(function* () {
      const tasks = yield* BackgroundTasks
      yield* Effect.scoped(Layer.build(Misbehavior.layer))
      assert.notInclude(yield* tasks.names, "misbehavior")
      assert.isUndefined(tasks.endedUnsafe())
    }).pipe(
      Effect.provide(
        AddressBook.layerReference.pipe(
          Layer.provideMerge(BanList.layer),
          Layer.provideMerge(
            Layer.mergeAll(BackgroundTasks.layer, OwnAddress.layerNone, Layer.succeed(ChainParams, mainnet))
          )
        )
      )
    )
  )

  it.effect("end the network when they break: the file of bans, as soon as somebody is banned", () => {
    const disk = breaking()
    return Effect.gen(function* () {
      const tasks = yield* BackgroundTasks
      yield* elapse("6 seconds", "1 second")
      assert.isUndefined(tasks.endedUnsafe())
      yield* (yield* AddressBook).ban({ address: address("10.0.0.1:1"), reason: "x" })
      assert.strictEqual(yield* ender, "ban file")
      // Its layer writes once more when it goes.
      yield* disk.mend
    }).pipe(Effect.provide(world(disk.layer)))
  })

  it.effect("end the network when they break: the peer cache, with its first write", () =>
    Effect.gen(function* () {
      const tasks = yield* BackgroundTasks
      yield* (yield* AddressBook).record({
        _tag: "UpdateResponded",
        address: address("10.0.0.1:8233"),
        roundTrip: undefined
      })
      yield* elapse("19 seconds", "1 second")
      assert.isUndefined(tasks.endedUnsafe())
      yield* elapse("1 second", "1 second")
      assert.strictEqual(yield* ender, "peer cache")
    }).pipe(Effect.provide(world(breaking().layer)))
  )
})
