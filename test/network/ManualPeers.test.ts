/** Peers the operator asks for: one dial with its outcome, and a list that is kept connected and survives. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync, mkdirSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeFileSystem, NodePath } from "@effect/platform-node"
import { afterAll, assert, beforeEach, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, FileSystem, Layer, Path, PlatformError, References } from "effect"
import { BanList } from "../../src/addresses/BanList.ts"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ConnectionSlots } from "../../src/network/ConnectionSlots.ts"
import { Connector } from "../../src/network/Connector.ts"
import { ManualPeers } from "../../src/network/ManualPeers.ts"
import { ClientDropped } from "../../src/peer/Peer.ts"
import { outboundLimit, defaults } from "../../src/Policy.ts"
import * as SimDisk from "../../src/simulation/SimDisk.ts"
import { DialError } from "../../src/transport/Transport.ts"
import { type DialLog, type DialWorldOptions, dialWorld, emptyLog } from "../support/dialWorld.ts"
import { elapse } from "../support/time.ts"

const address = PeerSocketAddress.fromStringUnsafe
const alice = address("127.2.0.1:1")

const world = (log: DialLog, options: DialWorldOptions = {}) =>
  ManualPeers.layer.pipe(
    Layer.provideMerge(dialWorld(log, { outcome: () => "stays", ...options })),
    Layer.provide(Layer.succeed(References.MinimumLogLevel, "None"))
  )

describe("a peer asked for once", () => {
  it.effect("is dialled, answered, and stays until it goes; then its slot is free again", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      const manual = yield* ManualPeers
      const slots = yield* ConnectionSlots
      const peer = yield* manual.connect(alice)
      assert.deepStrictEqual([log.dials.length, slots.open("outbound")], [1, 1])
      assert.strictEqual((yield* Effect.flip(manual.connect(alice))).reason._tag, "AlreadyConnected")
      yield* peer.close(new ClientDropped())
      yield* elapse("10 minutes", "1 minute")
      assert.deepStrictEqual([log.dials.length, slots.used("outbound")], [1, 0])
    }).pipe(Effect.provide(world(log)))
  })

  it.effect("fails with what the dial ended with", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      const error = yield* Effect.flip((yield* ManualPeers).connect(alice))
      assert.instanceOf(error.reason, DialError)
      assert.strictEqual((yield* ConnectionSlots).used("outbound"), 0)
    }).pipe(Effect.provide(world(log, { outcome: () => "fails" })))
  })

  it.effect("is refused without a dial when it is banned, or no place is left", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      const manual = yield* ManualPeers
      const bans = yield* BanList
      yield* bans.add({ address: alice, reason: "a test" })
      assert.strictEqual((yield* Effect.flip(manual.connect(alice))).reason._tag, "PeerBanned")
      const slots = yield* ConnectionSlots
      for (let n = 0; n < outboundLimit(defaults); n++) yield* slots.reserve("outbound")
      const other = address("127.2.0.2:1")
      assert.strictEqual((yield* Effect.flip(manual.connect(other))).reason._tag, "NoFreeSlot")
      assert.isEmpty(log.dials)
    }).pipe(Effect.scoped, Effect.provide(world(log)))
  })
})

describe("a list of peers to keep", () => {
  it.effect("dials an address again whenever it is gone, not sooner than the delay, until it is removed", () => {
    const log = emptyLog()
    const reconnectDelay = Duration.seconds(10)
    return Effect.gen(function* () {
      const manual = yield* ManualPeers
      yield* manual.add(alice)
      // A second time changes nothing.
      yield* manual.add(alice)
      yield* elapse("1 minute", "1 second")
      assert.strictEqual(log.dials.length, 1)
      for (const peer of log.held) yield* peer.close(new ClientDropped())
      yield* elapse("9 seconds", "1 second")
      assert.strictEqual(log.dials.length, 1)
      yield* elapse("2 seconds", "1 second")
      assert.strictEqual(log.dials.length, 2)
      assert.isTrue(yield* manual.remove(alice))
      assert.isFalse(yield* manual.remove(alice))
      for (const peer of log.held) yield* peer.close(new ClientDropped())
      yield* elapse("1 minute", "1 second")
      assert.strictEqual(log.dials.length, 2)
      assert.isEmpty(yield* manual.list)
    }).pipe(Effect.provide(world(log, { policy: { reconnectDelay } })))
  })

  it.effect("goes on trying an address that does not answer, at the same pace", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      yield* (yield* ManualPeers).add(alice)
      yield* elapse("95 seconds", "1 second")
      assert.strictEqual(log.dials.length, 10)
    }).pipe(Effect.provide(world(log, { policy: { reconnectDelay: Duration.seconds(10) }, outcome: () => "fails" })))
  })

  it.effect("with a bug in its dials ends the network by the list's name", () => {
    const log = emptyLog()
    const broken = Layer.effect(
      Connector,
      Effect.map(Connector, (connector) => ({ ...connector, connect: () => Effect.die("a bug") }))
    )
    return Effect.gen(function* () {
      yield* (yield* ManualPeers).add(alice)
      const end = yield* Effect.flip((yield* BackgroundTasks).awaitEnd)
      assert.deepInclude(end, { _tag: "BackgroundTaskExited", task: "manual peers", cause: "a bug" })
    }).pipe(
      Effect.provide(
        ManualPeers.layer.pipe(
          Layer.provide(broken),
          Layer.provideMerge(dialWorld(log)),
          Layer.provide(Layer.succeed(References.MinimumLogLevel, "None"))
        )
      )
    )
  })

  it.effect("has an end", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      const manual = yield* ManualPeers
      for (let n = 1; n <= 100; n++) yield* manual.add(address(`127.2.1.${n}:1`))
      assert.deepInclude(yield* Effect.flip(manual.add(alice)), { _tag: "ListFull", limit: 100 })
      assert.strictEqual((yield* manual.list).length, 100)
    }).pipe(Effect.provide(world(log, { outcome: () => "fails" })))
  })
})

const directory = mkdtempSync(join(tmpdir(), "network-effect-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

describe("a list of peers on disk", () => {
  const file = join(directory, "network", "mainnet.added")
  // In whatever order they run.
  beforeEach(() => rmSync(file, { recursive: true, force: true }))
  const withFile = (log: DialLog) =>
    ManualPeers.layerFile(directory).pipe(
      Layer.provideMerge(dialWorld(log, { outcome: () => "stays" })),
      Layer.provide([NodeFileSystem.layer, NodePath.layer]),
      Layer.provide(Layer.succeed(References.MinimumLogLevel, "None"))
    )

  it.live("is there after a restart, without what was removed, and damage is skipped", () =>
    Effect.gen(function* () {
      yield* Effect.gen(function* () {
        const manual = yield* ManualPeers
        yield* manual.add(alice)
        yield* manual.add(address("127.2.0.2:1"))
        yield* manual.remove(alice)
      }).pipe(Effect.provide(withFile(emptyLog())))
      assert.strictEqual(readFileSync(file, "utf8"), "127.2.0.2:1")

      writeFileSync(file, "127.2.0.2:1\nnonsense\n[::ffff:127.2.0.3]:1")
      const log = emptyLog()
      const list = yield* Effect.flatMap(ManualPeers, (manual) => manual.list).pipe(Effect.provide(withFile(log)))
      assert.deepStrictEqual(list.map(PeerSocketAddress.format), ["127.2.0.2:1", "127.2.0.3:1"])
    })
  )

  it.effect("is tried again every minute while it cannot be written, and is written once it can be", () => {
    const disk = SimDisk.make()
    const triedAt: Array<number> = []
    let isFull = true
    const files = Layer.effect(
      FileSystem.FileSystem,
      Effect.map(FileSystem.FileSystem, (files) => ({
        ...files,
        writeFileString: (path: string, content: string) =>
          Effect.flatMap(Clock.currentTimeMillis, (now) => {
            triedAt.push(now / 1000)
            return isFull
              ? Effect.fail(PlatformError.systemError({ _tag: "Unknown", module: "FileSystem", method: "write" }))
              : files.writeFileString(path, content)
          })
      }))
    ).pipe(Layer.provide(disk.layer))
    return Effect.gen(function* () {
      const manual = yield* ManualPeers
      yield* manual.add(address("127.2.0.1:1"))
      yield* elapse("179 seconds", "1 second")
      isFull = false
      yield* manual.add(address("127.2.0.2:1"))
      yield* elapse("10 minutes", "1 minute")
      yield* manual.remove(address("127.2.0.1:1"))
      assert.isFalse(yield* manual.remove(address("127.2.0.1:1")))
      // Not again for one that is on it.
      yield* manual.add(address("127.2.0.2:1"))
      assert.deepStrictEqual(triedAt, [0, 60, 120, 179, 779, 779])
      assert.deepStrictEqual([...disk.files], [["/c/network/mainnet.added", "127.2.0.2:1"]])
    }).pipe(
      Effect.provide(
        ManualPeers.layerFile("/c").pipe(
          Layer.provideMerge(dialWorld(emptyLog(), { outcome: () => "stays" })),
          Layer.provide([files, Path.layer]),
          Layer.provide(Layer.succeed(References.MinimumLogLevel, "None"))
        )
      )
    )
  })

  it.live("does not stop a start when it cannot be read or written", () =>
    Effect.gen(function* () {
      mkdirSync(join(file, "in the way"), { recursive: true })
      const list = yield* Effect.gen(function* () {
        const manual = yield* ManualPeers
        yield* manual.add(alice)
        return yield* manual.list
      }).pipe(Effect.provide(withFile(emptyLog())))
      assert.deepStrictEqual(list, [alice])
    })
  )
})
