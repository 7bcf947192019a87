import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeFileSystem, NodePath } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, References } from "effect"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { PeerCache } from "../../src/addresses/AddressBookFile.ts"
import { DnsSeeds } from "../../src/addresses/DnsSeeds.ts"
import { regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ConnectionSlots } from "../../src/network/ConnectionSlots.ts"
import { InitialPeers } from "../../src/network/InitialPeers.ts"
import { ClientDropped } from "../../src/peer/Peer.ts"
import { dialWorld, type DialWorldOptions, emptyLog } from "../support/dialWorld.ts"
import { elapse, turnsOfOthers } from "../support/time.ts"

const addresses = (count: number, port = 1) =>
  Array.from({ length: count }, (_, i) => PeerSocketAddress.fromStringUnsafe(`127.1.1.${i}:${port}`))

const texts = (addresses: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) =>
  addresses.map(PeerSocketAddress.format).toSorted()

const world = (
  log: ReturnType<typeof emptyLog>,
  peers: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>,
  options: DialWorldOptions = {}
) =>
  InitialPeers.layer.pipe(
    Layer.provide(Layer.mergeAll(DnsSeeds.layerPeers(peers), PeerCache.layerNone)),
    Layer.provideMerge(dialWorld(log, options))
  )

const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

describe("the initial peers", () => {
  it.effect(
    "are dialled 100 ms apart, and counted when all have failed (network 36, add_initial_peers_is_rate_limited; NB-4)",
    () => {
      const log = emptyLog()
      return Effect.gen(function* () {
        const starting = yield* Effect.forkChild((yield* InitialPeers).awaitStarted, { startImmediately: true })
        yield* elapse("899 millis")
        assert.isUndefined(starting.pollUnsafe())
        yield* elapse("1 millis")
        yield* Fiber.join(starting)
        assert.strictEqual(log.held.size, 0)
        assert.deepStrictEqual(
          log.dials.map(({ atMillis }) => atMillis),
          Array.from({ length: 10 }, (_, i) => i * 100)
        )
        assert.strictEqual((yield* ConnectionSlots).used("outbound"), 0)
        // A failure would bar an address that was never seen for good.
        const states = (yield* (yield* AddressBook).entries).map(({ state }) => state)
        assert.deepStrictEqual(
          states,
          Array.from({ length: 10 }, () => "NeverAttempted" as const)
        )
      }).pipe(Effect.provide(world(log, addresses(10))), quietly)
    }
  )

  it.effect("may be many more than are dialled (network 39, add_initial_peers_deadlock; NB-5)", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      const starting = yield* Effect.forkChild((yield* InitialPeers).awaitStarted, { startImmediately: true })
      yield* elapse("1 second")
      yield* Fiber.join(starting)
      assert.strictEqual(log.held.size, 0)
      assert.strictEqual(log.dials.length, 2)
      assert.strictEqual((yield* (yield* AddressBook).entries).length, 200)
    }).pipe(Effect.provide(world(log, addresses(200), { policy: { targetPeers: 2 } })), quietly)
  })

  it.effect("that are valid are all in the book, and the target of them dialled; others are neither", () => {
    const log = emptyLog()
    const invalid = ["0.0.0.0:8233", "127.1.2.1:0", "127.1.2.2:18344", "127.1.2.3:18233"]
    const all = [...addresses(30), ...invalid.map(PeerSocketAddress.fromStringUnsafe)]
    return Effect.gen(function* () {
      const starting = yield* Effect.forkChild((yield* InitialPeers).awaitStarted, { startImmediately: true })
      yield* elapse("3 seconds")
      yield* Fiber.join(starting)
      assert.strictEqual(log.held.size, 25)
      assert.deepStrictEqual(
        log.dials.map(({ atMillis }) => atMillis),
        Array.from({ length: 25 }, (_, i) => i * 100)
      )
      const known = (yield* (yield* AddressBook).entries).map(({ address }) => address)
      assert.deepStrictEqual(texts(known), texts(addresses(30)))
      for (const { address } of log.dials) assert.notInclude(invalid, address)
      assert.strictEqual((yield* ConnectionSlots).used("outbound"), 25)
    }).pipe(Effect.provide(world(log, all, { outcome: () => "stays" })), quietly)
  })

  it.effect("that all answer at once leave everybody else a turn between two of them", () => {
    const log = emptyLog()
    const policy = { targetPeers: 50, dialInterval: Duration.zero }
    return Effect.gen(function* () {
      const turns = yield* turnsOfOthers
      yield* (yield* InitialPeers).awaitStarted
      assert.strictEqual(log.held.size, 50)
      assert.isAtLeast(turns(), 50)
    }).pipe(Effect.scoped, Effect.provide(world(log, addresses(50), { policy, outcome: () => "stays" })), quietly)
  })

  it.effect("on the chain's own port are dialled first when there are too many", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      const starting = yield* Effect.forkChild((yield* InitialPeers).awaitStarted, { startImmediately: true })
      yield* elapse("1 second")
      yield* Fiber.join(starting)
      assert.deepStrictEqual(log.dials.map(({ address }) => address).toSorted(), texts(addresses(5, 8233)))
    }).pipe(
      Effect.provide(world(log, [...addresses(20, 1), ...addresses(5, 8233)], { policy: { targetPeers: 5 } })),
      quietly
    )
  })

  it.effect("keep their connections after the start, and free them when they go", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      const starting = yield* Effect.forkChild((yield* InitialPeers).awaitStarted, { startImmediately: true })
      yield* elapse("1 second")
      yield* Fiber.join(starting)
      assert.strictEqual(log.held.size, 3)
      const [first] = log.held
      yield* first!.close(new ClientDropped())
      yield* elapse("1 millis")
      assert.deepStrictEqual([log.held.size, (yield* ConnectionSlots).used("outbound")], [2, 2])
    }).pipe(Effect.provide(world(log, addresses(3), { outcome: () => "stays" })), quietly)
  })

  it.effect("are dialled again when nobody is connected and no candidate is left, every 119 seconds at most", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      const starting = yield* Effect.forkChild((yield* InitialPeers).awaitStarted, { startImmediately: true })
      yield* elapse("100 millis")
      yield* Fiber.join(starting)
      // The crawler tries each and fails: from then on none is a candidate.
      const book = yield* AddressBook
      for (const address of addresses(2)) {
        yield* book.record({ _tag: "UpdateAttempt", address })
        yield* book.record({ _tag: "UpdateFailed", address, services: undefined })
      }
      yield* elapse("118 seconds", "1 second")
      assert.strictEqual(log.dials.length, 2)
      yield* elapse("3 seconds", "100 millis")
      assert.strictEqual(log.dials.length, 4)
      yield* elapse("117 seconds", "1 second")
      assert.strictEqual(log.dials.length, 4)
      yield* elapse("5 seconds", "100 millis")
      assert.strictEqual(log.dials.length, 6)
    }).pipe(Effect.provide(world(log, addresses(2))), quietly)
  })

  it.effect("of Regtest come from nowhere but the seeds", () => {
    const log = emptyLog()
    const cached = Layer.mock(PeerCache, { load: Effect.succeed(addresses(3)) })
    return Effect.gen(function* () {
      yield* (yield* InitialPeers).awaitStarted
      assert.isEmpty(log.dials)
    }).pipe(
      Effect.provide(
        InitialPeers.layer.pipe(
          Layer.provide(Layer.mergeAll(DnsSeeds.layerPeers([]), cached)),
          Layer.provideMerge(dialWorld(log, { chain: regtest }))
        )
      ),
      quietly
    )
  })

  it.live(
    "come from the cache file of an earlier run (network 14, written_peer_cache_is_automatically_read_on_startup; NB-3)",
    () => {
      const log = emptyLog()
      const directory = mkdtempSync(join(tmpdir(), "network-effect-"))
      mkdirSync(join(directory, "network"))
      writeFileSync(join(directory, "network", "mainnet.peers"), "127.1.1.1:8233\n127.1.1.2:8233")
      return Effect.gen(function* () {
        yield* (yield* InitialPeers).awaitStarted
        const expected = ["127.1.1.1:8233", "127.1.1.2:8233"]
        assert.deepStrictEqual(log.dials.map(({ address }) => address).toSorted(), expected)
        const known = (yield* (yield* AddressBook).entries).map(({ address }) => address)
        assert.deepStrictEqual(texts(known), expected)
      }).pipe(
        Effect.ensuring(Effect.sync(() => rmSync(directory, { recursive: true }))),
        Effect.provide(
          InitialPeers.layer.pipe(
            Layer.provide(Layer.mergeAll(DnsSeeds.layerPeers([]), PeerCache.layer(directory))),
            Layer.provideMerge(dialWorld(log, { policy: { dialInterval: Duration.millis(5) } })),
            Layer.provide([NodeFileSystem.layer, NodePath.layer])
          )
        ),
        quietly
      )
    }
  )
})
