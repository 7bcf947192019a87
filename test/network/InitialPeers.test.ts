import { mkdtempSync, mkdirSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeFileSystem, NodePath } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer, References } from "effect"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import { PeerCache } from "../../src/addresses/AddressBookFile.ts"
import { DnsSeeds } from "../../src/addresses/DnsSeeds.ts"
import { regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ConnectionSlots } from "../../src/network/ConnectionSlots.ts"
import { Connector } from "../../src/network/Connector.ts"
import { InitialPeers } from "../../src/network/InitialPeers.ts"
import * as Dialer from "../../src/network/Dialer.ts"
import { ClientDropped } from "../../src/peer/Peer.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import { type BookName, books } from "../support/bookWorld.ts"
import { collectEvents, dialWorld, type DialWorldOptions, emptyLog, gossip } from "../support/dialWorld.ts"
import { fakePeer } from "../support/fakePeer.ts"
import { elapse, turnsOfOthers } from "../support/time.ts"

const addresses = (count: number, port = 1) =>
  Array.from({ length: count }, (_, i) => PeerSocketAddress.fromStringUnsafe(`127.1.1.${i}:${port}`))

const texts = (addresses: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) =>
  addresses.map(PeerSocketAddress.format).toSorted()

/** What there is to dial with either book. */
const worldsOf = (bookName: BookName) => {
  const dialWorldOf = (log: ReturnType<typeof emptyLog>, options: DialWorldOptions = {}) =>
    dialWorld(log, { book: bookName, ...options })

  const world = (
    log: ReturnType<typeof emptyLog>,
    peers: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>,
    options: DialWorldOptions = {}
  ) =>
    InitialPeers.layer.pipe(
      Layer.provide(Layer.mergeAll(DnsSeeds.layerPeers(peers), PeerCache.layerNone)),
      Layer.provideMerge(dialWorldOf(log, options))
    )

  /** Initial peers whose names and cache file are the test's. */
  const worldOf = (
    log: ReturnType<typeof emptyLog>,
    sources: {
      readonly resolve: DnsSeeds["Service"]["resolve"]
      readonly literals?: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>
      readonly cached?: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>
    },
    options: DialWorldOptions = {}
  ) =>
    InitialPeers.layer.pipe(
      Layer.provide(
        Layer.mergeAll(
          Layer.succeed(DnsSeeds, DnsSeeds.of({ resolve: sources.resolve, literals: sources.literals ?? [] })),
          Layer.mock(PeerCache, { load: Effect.succeed(sources.cached ?? []) })
        )
      ),
      Layer.provideMerge(dialWorldOf(log, options))
    )

  return { dialWorldOf, world, worldOf }
}

const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

describe.each(books)("the initial peers (%s)", (bookName) => {
  const { dialWorldOf, world, worldOf } = worldsOf(bookName)

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

  it.effect("of a host are dialled as long as it may have one more connection", () => {
    const dialsWith = (connectionsPerGroup: number) => {
      const log = emptyLog()
      const ofOneHost = [1, 2, 3].map((port) => PeerSocketAddress.fromStringUnsafe(`127.1.1.1:${9000 + port}`))
      return Effect.gen(function* () {
        const starting = yield* Effect.forkChild((yield* InitialPeers).awaitStarted, { startImmediately: true })
        yield* elapse("3 seconds")
        yield* Fiber.join(starting)
        return [log.dials.length, log.held.size]
      }).pipe(
        Effect.provide(world(log, ofOneHost, { policy: { connectionsPerGroup }, outcome: () => "stays" })),
        quietly
      )
    }
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* dialsWith(1), [1, 1])
      assert.deepStrictEqual(yield* dialsWith(2), [2, 2])
    })
  })

  it.effect(
    "are dialled also where the book has no room for one more of their part, if the operator named them",
    () => {
      const near = [1, 2, 3].map((n) => PeerSocketAddress.fromStringUnsafe(`40.1.0.${n}:8233`))
      const withoutRoom = Layer.effect(
        AddressBook,
        Effect.map(AddressBook, (book) => ({ ...book, hasRoom: () => Effect.succeed(false) }))
      ).pipe(Layer.provide(AddressBook.layerReference))
      const dialledOf = (literals: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) => {
        const log = emptyLog()
        return Effect.gen(function* () {
          const starting = yield* Effect.forkChild((yield* InitialPeers).awaitStarted, { startImmediately: true })
          yield* elapse("3 seconds")
          yield* Fiber.join(starting)
          return log.dials.map(({ address }) => address)
        }).pipe(
          Effect.provide(
            worldOf(log, { literals, resolve: Effect.succeed(near) }, { outcome: () => "stays", book: withoutRoom })
          ),
          quietly
        )
      }
      return Effect.gen(function* () {
        assert.deepStrictEqual(yield* dialledOf([]), [])
        assert.sameMembers(yield* dialledOf(near.slice(1)), near.slice(1).map(PeerSocketAddress.format))
      })
    }
  )

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

  it.effect("that a name gives while one waits for its turn come before it, when they have the preferred port", () => {
    const log = emptyLog()
    const names = Deferred.makeUnsafe<ReadonlyArray<PeerSocketAddress.PeerSocketAddress>>()
    const preferred = addresses(9, 8233).slice(8)
    return Effect.gen(function* () {
      yield* elapse("50 millis", "10 millis")
      assert.lengthOf(log.dials, 1)
      yield* Deferred.succeed(names, preferred)
      yield* elapse("1 second", "50 millis")
      assert.deepStrictEqual(log.dials.slice(1), [{ address: "127.1.1.8:8233", atMillis: 200 }])
    }).pipe(
      Effect.provide(
        worldOf(log, { resolve: Deferred.await(names), cached: addresses(3) }, { policy: { targetPeers: 2 } })
      ),
      quietly
    )
  })

  it.effect("are dialled one in each part of the internet at a time, but for those that the operator named", () => {
    const log = emptyLog()
    const dialled: Array<string> = []
    const slow = Layer.mock(Connector, {
      connect: ({ whom }) =>
        Effect.suspend(() => {
          if (!Effect.isEffect(whom)) dialled.push(PeerSocketAddress.format(whom))
          return Effect.never
        })
    })
    const at = PeerSocketAddress.fromStringUnsafe
    const named = [at("20.1.3.3:8233")]
    const found = ["20.1.1.1:8233", "20.1.2.2:8233", "20.2.1.1:8233", "20.2.2.2:8233"].map(at)
    return Effect.gen(function* () {
      yield* elapse("2 seconds", "100 millis")
      const networks = dialled.filter((text) => text !== "20.1.3.3:8233").map((text) => text.slice(0, 4))
      assert.strictEqual(new Set(networks).size, networks.length, dialled.join())
      assert.include(networks, "20.2")
      assert.include(dialled, "20.1.3.3:8233")
    }).pipe(
      Effect.provide(
        InitialPeers.layer.pipe(
          Layer.provide(
            Layer.mergeAll(
              slow,
              Layer.succeed(DnsSeeds, DnsSeeds.of({ resolve: Effect.never, literals: named })),
              Layer.mock(PeerCache, { load: Effect.succeed(found) })
            )
          ),
          Layer.provideMerge(dialWorldOf(log))
        )
      ),
      quietly
    )
  })

  it.effect("are none that are banned, who take no other's place", () => {
    const log = emptyLog()
    const names = Deferred.makeUnsafe<ReadonlyArray<PeerSocketAddress.PeerSocketAddress>>()
    const [banned, other] = [addresses(1, 8233)[0]!, addresses(2)[1]!]
    return Effect.gen(function* () {
      yield* (yield* BanList).add({ address: banned, reason: "a test" })
      // With the preferred port, its turn would come first.
      yield* Deferred.succeed(names, [banned, other])
      yield* elapse("1 second", "100 millis")
      assert.deepStrictEqual(log.dials, [{ address: PeerSocketAddress.format(other), atMillis: 0 }])
    }).pipe(Effect.provide(worldOf(log, { resolve: Deferred.await(names) }, { policy: { targetPeers: 1 } })), quietly)
  })

  it.effect("are told of by source, and nothing of a source that has none but of names, which were asked", () => {
    const log = emptyLog()
    const names = Deferred.makeUnsafe<ReadonlyArray<PeerSocketAddress.PeerSocketAddress>>()
    return Effect.gen(function* () {
      const events = yield* collectEvents
      yield* elapse("1 second", "100 millis")
      assert.isEmpty(events)
      yield* Deferred.succeed(names, [])
      yield* elapse("1 millis")
      assert.deepStrictEqual(events, [{ _tag: "InitialPeersFound", count: 0, at: 1000 }])
    }).pipe(Effect.scoped, Effect.provide(worldOf(log, { resolve: Deferred.await(names) })), quietly)
  })

  it.effect("are fewer than the target: as many more are wanted as it lacks, and what names give later as well", () => {
    const log = emptyLog()
    const names = Deferred.makeUnsafe<ReadonlyArray<PeerSocketAddress.PeerSocketAddress>>()
    const pair = addresses(2)
    return Effect.gen(function* () {
      yield* (yield* InitialPeers).awaitStarted
      assert.deepStrictEqual([log.held.size, log.demands], [2, 5 - 2])
      yield* Deferred.succeed(names, addresses(20, 8233))
      yield* elapse("1 millis")
      // Of the 20 three, for two are there.
      assert.strictEqual(log.demands, 5 - 2 + 3)
    }).pipe(
      Effect.provide(
        worldOf(
          log,
          { resolve: Deferred.await(names), cached: pair },
          { policy: { targetPeers: 5, dialInterval: Duration.zero }, outcome: () => "stays" }
        )
      ),
      quietly
    )
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
    }).pipe(Effect.provide(worldOf(log, { resolve: Effect.succeed(addresses(2)) })), quietly)
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
          Layer.provideMerge(dialWorldOf(log, { chain: regtest }))
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
            Layer.provideMerge(dialWorldOf(log, { policy: { dialInterval: Duration.millis(5) } })),
            Layer.provide([NodeFileSystem.layer, NodePath.layer])
          )
        ),
        quietly
      )
    }
  )
})

const isDone = (effect: Effect.Effect<unknown, unknown>) =>
  Effect.map(Effect.forkChild(effect, { startImmediately: true }), (fiber) => fiber.pollUnsafe() !== undefined)

describe.each(books)("the start of a node (%s)", (bookName) => {
  const { worldOf } = worldsOf(bookName)

  it.effect("whose names do not answer dials those of its cache file at once (addresses Q31)", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      const { awaitStarted } = yield* InitialPeers
      yield* elapse("1 second", "100 millis")
      assert.deepStrictEqual(
        log.dials.map(({ atMillis }) => atMillis),
        [0, 100]
      )
      assert.isTrue(yield* isDone(awaitStarted))
    }).pipe(
      Effect.provide(worldOf(log, { resolve: Effect.never, cached: addresses(2) }, { outcome: () => "stays" })),
      quietly
    )
  })

  it.effect("whose names do not answer dials those at once that were written as addresses (addresses Q31)", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      yield* elapse("1 second", "100 millis")
      assert.deepStrictEqual(
        log.dials.map(({ atMillis }) => atMillis),
        [0, 100]
      )
    }).pipe(
      Effect.provide(worldOf(log, { resolve: Effect.never, literals: addresses(2) }, { outcome: () => "stays" })),
      quietly
    )
  })

  it.effect("that knows nobody but names without an answer ends after ten seconds", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      const { awaitStarted } = yield* InitialPeers
      yield* elapse("9 seconds", "1 second")
      assert.isFalse(yield* isDone(awaitStarted))
      yield* elapse("1 second", "1 second")
      assert.isTrue(yield* isDone(awaitStarted))
    }).pipe(Effect.provide(worldOf(log, { resolve: Effect.never })), quietly)
  })

  it.effect("has names that answer while it dials join those it dials", () => {
    const log = emptyLog()
    const resolve = Effect.delay(Effect.succeed(addresses(25, 2)), "250 millis")
    return Effect.gen(function* () {
      yield* elapse("3 seconds", "50 millis")
      assert.strictEqual(log.dials.length, 25)
      const named = log.dials.filter(({ address }) => address.endsWith(":2"))
      // Three from the file before that; of the other 22 about as many as there are of either.
      assert.isAtLeast(named.length, 3)
      assert.isAtMost(named.length, 22)
    }).pipe(
      Effect.provide(
        worldOf(
          log,
          { resolve, cached: addresses(25).map((_, i) => PeerSocketAddress.fromStringUnsafe(`127.1.2.${i}:1`)) },
          { outcome: () => "stays" }
        )
      ),
      quietly
    )
  })

  it.effect("wants no more than its target lacks when names answer while the last of its dials is under way", () => {
    const log = emptyLog()
    const [one, other, looked, late] = addresses(4)
    const outcome = () => (log.dials.length === 1 ? "fails" : "stays")
    return Effect.gen(function* () {
      // A look has the turn between the two dials, so the second one waits a second more for its own.
      yield* Effect.forkChild(Effect.ignore((yield* Connector).feel(looked!)), { startImmediately: true })
      yield* elapse("1900 millis", "100 millis")
      assert.isFalse(yield* isDone((yield* InitialPeers).awaitStarted))
      assert.deepStrictEqual([log.dials.length, (yield* ConnectionSlots).used("outbound"), log.demands], [2, 1, 0])
      yield* elapse("1 second", "100 millis")
      assert.isTrue(yield* isDone((yield* InitialPeers).awaitStarted))
      assert.deepStrictEqual([log.dials.length, log.held.size, log.demands], [3, 1, 1])
    }).pipe(
      Effect.scoped,
      Effect.provide(
        worldOf(
          log,
          { resolve: Effect.delay(Effect.succeed([late!]), "1500 millis"), cached: [one!, other!] },
          { outcome, policy: { targetPeers: 2, dialInterval: Duration.seconds(1) } }
        )
      ),
      quietly
    )
  })

  it.effect(
    "asks those who are still connected then for addresses, not those who were (network 1.2, step 14; D8)",
    () => {
      const log = emptyLog()
      return Effect.gen(function* () {
        yield* elapse("2 seconds", "100 millis")
        assert.isTrue(yield* isDone((yield* InitialPeers).awaitStarted))
        assert.strictEqual(log.connected, 2)
        assert.isEmpty(log.crawls)
      }).pipe(
        Effect.provide(worldOf(log, { resolve: Effect.succeed(addresses(2)) }, { outcome: () => "leaves" })),
        quietly
      )
    }
  )

  it.effect("has asked for addresses, and been answered, before anybody else is looked for", () => {
    const log = emptyLog()
    const names = Deferred.makeUnsafe<ReadonlyArray<PeerSocketAddress.PeerSocketAddress>>()
    const answer = Effect.delay(Effect.succeed({ _tag: "Peers", addresses: [] } as const), "5 seconds")
    return Effect.gen(function* () {
      const { awaitStarted } = yield* InitialPeers
      // Whom the crawler would dial at once, if it ran.
      yield* gossip(3)
      yield* Deferred.succeed(names, addresses(1))
      yield* elapse("4900 millis", "100 millis")
      assert.isFalse(yield* isDone(awaitStarted))
      assert.deepStrictEqual([log.crawls, log.dials.length], [[0], 1])
      yield* elapse("1 second", "100 millis")
      assert.isTrue(yield* isDone(awaitStarted))
      assert.deepStrictEqual(
        log.dials.map(({ atMillis }) => atMillis),
        [0, 5000, 5100, 5200]
      )
    }).pipe(
      Effect.provide(
        Dialer.layer.pipe(
          Layer.provideMerge(worldOf(log, { resolve: Deferred.await(names) }, { answer, outcome: () => "stays" }))
        )
      ),
      quietly
    )
  })

  it.effect("leaves the slots that others have taken to them (network 0, outboundLimit; S22)", () => {
    const log = emptyLog()
    const names = Deferred.makeUnsafe<ReadonlyArray<PeerSocketAddress.PeerSocketAddress>>()
    return Effect.gen(function* () {
      const slots = yield* ConnectionSlots
      for (let i = 0; i < 70; i++) yield* Effect.flatMap(slots.reserve("outbound"), ({ markOpen }) => markOpen)
      yield* Deferred.succeed(names, addresses(25))
      yield* elapse("4 seconds", "100 millis")
      assert.strictEqual(log.dials.length, 5)
      assert.strictEqual(slots.used("outbound"), 75)
    }).pipe(
      Effect.scoped,
      Effect.provide(worldOf(log, { resolve: Deferred.await(names) }, { outcome: () => "stays" })),
      quietly
    )
  })
})

describe.each(books)("a node without an outbound connection (%s)", (bookName) => {
  const { worldOf } = worldsOf(bookName)

  /** The crawler tried them all, and nobody answered: none is a candidate any more. */
  const haveFailed = Effect.fnUntraced(function* (failed: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) {
    const book = yield* AddressBook
    for (const address of failed) {
      yield* book.record({ _tag: "UpdateAttempt", address })
      yield* book.record({ _tag: "UpdateFailed", address, services: undefined })
    }
  })

  it.effect("dials its initial peers again, whoever dialled it and stays (addresses Q25, EX-18)", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      yield* elapse("100 millis")
      yield* haveFailed(addresses(1))
      log.held.add(fakePeer({ id: 9, address: "127.9.9.9:1", inbound: true }))
      yield* elapse("3 minutes", "1 second")
      assert.strictEqual(log.dials.length, 2)
      assert.isAtMost(log.dials[1]!.atMillis, 130_000)
    }).pipe(Effect.provide(worldOf(log, { resolve: Effect.succeed(addresses(1)) })), quietly)
  })

  it.effect("dials whom the operator named for ever, though another connection is open (addresses Q25)", () => {
    const log = emptyLog()
    const [named, other] = addresses(2)
    return Effect.gen(function* () {
      yield* elapse("1 second", "100 millis")
      yield* Effect.flatMap((yield* ConnectionSlots).reserve("outbound"), ({ markOpen }) => markOpen)
      yield* elapse("1 hour", "1 second")
      const timesOf = (address: PeerSocketAddress.PeerSocketAddress) =>
        log.dials.filter((dial) => dial.address === PeerSocketAddress.format(address)).map(({ atMillis }) => atMillis)
      // The initial dial, and the crawler's one retry; then nobody asks for the one that a name gave.
      assert.strictEqual(timesOf(other!).length, 2)
      // With each tick of the crawler's timer after 119 s.
      const times = timesOf(named!).slice(1)
      assert.isAtLeast(times.length, Math.floor(3600 / (119 + 61)))
      for (const [i, at] of times.entries()) if (i > 0) assert.isAbove(at - times[i - 1]!, 119_000)
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Dialer.layer.pipe(
          Layer.provideMerge(worldOf(log, { resolve: Effect.succeed([named!, other!]), literals: [named!] }))
        )
      ),
      quietly
    )
  })

  it.effect("is not one that has another, and dials none of them then", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      yield* elapse("100 millis")
      yield* haveFailed(addresses(1))
      yield* Effect.flatMap((yield* ConnectionSlots).reserve("outbound"), ({ markOpen }) => markOpen)
      yield* elapse("10 minutes", "1 second")
      assert.strictEqual(log.dials.length, 1)
    }).pipe(Effect.scoped, Effect.provide(worldOf(log, { resolve: Effect.succeed(addresses(1)) })), quietly)
  })

  it.effect("dials whom its operator named for ever, after the one retry of a start each 119 s at most", () => {
    const log = emptyLog()
    const patient = { crawlInterval: Duration.days(100) }
    return Effect.gen(function* () {
      yield* elapse("1 hour", "5 seconds")
      log.dials.length = 0
      yield* elapse("10 minutes", "1 second")
      assert.isAtLeast(log.dials.length, 4)
      for (const [i, { atMillis }] of log.dials.entries()) {
        if (i > 0) assert.isAbove(atMillis - log.dials[i - 1]!.atMillis, 119_000)
      }
    }).pipe(
      Effect.provide(
        Dialer.layer.pipe(
          Layer.provideMerge(worldOf(log, { resolve: Effect.never, literals: addresses(1) }, { policy: patient }))
        )
      ),
      quietly
    )
  })

  it.effect("dials whom its operator named also when others are there", () => {
    const log = emptyLog()
    const [named, other] = addresses(2)
    const text = PeerSocketAddress.format(named!)
    return Effect.gen(function* () {
      yield* (yield* AddressBook).addPeer(other!)
      yield* elapse("1 minute", "1 second")
      assert.strictEqual(log.held.size, 1)
      log.dials.length = 0
      yield* elapse("10 minutes", "1 second")
      assert.isAtLeast(log.dials.filter(({ address }) => address === text).length, 3)
    }).pipe(
      Effect.provide(
        Dialer.layer.pipe(
          Layer.provideMerge(
            worldOf(
              log,
              { resolve: Effect.never, literals: [named!] },
              { outcome: (address) => (address === text ? "fails" : "stays") }
            )
          )
        )
      ),
      quietly
    )
  })

  it.effect("dials whom it met once, however long ago, and tells the book of it (addresses Q25)", () => {
    const log = emptyLog()
    const [met] = addresses(1)
    return Effect.gen(function* () {
      const book = yield* AddressBook
      const connected = { isInbound: false, userAgent: "/Bob/", negotiatedVersion: 170_160 } as const
      yield* book.record({ _tag: "UpdateConnected", address: met!, services: NODE_NETWORK, ...connected })
      yield* elapse("6 seconds", "1 second")
      yield* haveFailed([met!])
      // Longer than an address counts as reachable without an answer: three days.
      yield* elapse("74 hours", "1 hour")
      log.dials.length = 0
      yield* elapse("10 minutes", "1 second")
      // Every 119 s, and at the next look after it.
      assert.isAtLeast(log.dials.length, 4)
      for (const [i, { atMillis }] of log.dials.entries()) {
        if (i > 0) assert.isAbove(atMillis - log.dials[i - 1]!.atMillis, 119_000)
      }
      const [entry] = yield* book.entries
      assert.deepStrictEqual([entry?.lastAttemptMillis, entry?.state], [log.dials.at(-1)!.atMillis, "Failed"])
    }).pipe(Effect.provide(worldOf(log, { resolve: Effect.never })), quietly)
  })

  it.effect("does not dial whom the crawler has dialled while it waited for its turn", () => {
    const log = emptyLog()
    const pair = addresses(2)
    return Effect.gen(function* () {
      yield* elapse("100 millis")
      yield* haveFailed(pair)
      yield* elapse("119 seconds", "1 second")
      while (log.dials.length < 3) yield* elapse("10 millis")
      // One is dialled again; the other one's turn comes 100 ms after that.
      const [other] = pair.filter((address) => PeerSocketAddress.format(address) !== log.dials[2]?.address)
      yield* (yield* AddressBook).record({ _tag: "UpdateAttempt", address: other! })
      yield* elapse("1 minute", "100 millis")
      assert.strictEqual(log.dials.length, 3)
    }).pipe(Effect.provide(worldOf(log, { resolve: Effect.succeed(pair) })), quietly)
  })

  it.effect("has a candidate dialled within ten seconds of when it is one, and does not start over", () => {
    const log = emptyLog()
    const patient = { crawlInterval: Duration.hours(10) }
    return Effect.gen(function* () {
      yield* elapse("2 minutes", "1 second")
      assert.strictEqual(log.dials.length, 0)
      yield* gossip(3)
      yield* elapse("10300 millis", "100 millis")
      assert.strictEqual(log.dials.length, 3)
    }).pipe(
      Effect.provide(
        Dialer.layer.pipe(
          Layer.provideMerge(worldOf(log, { resolve: Effect.succeed([]) }, { policy: patient, outcome: () => "stays" }))
        )
      ),
      quietly
    )
  })

  it.effect("takes no slot that is taken when names answer late (network 0, outboundLimit; S22)", () => {
    const log = emptyLog()
    const back = Deferred.makeUnsafe<ReadonlyArray<PeerSocketAddress.PeerSocketAddress>>()
    let asked = 0
    const resolve = Effect.suspend(() => (asked++ === 0 ? Effect.succeed([]) : Deferred.await(back)))
    return Effect.gen(function* () {
      yield* elapse("118 seconds", "1 second")
      assert.strictEqual(asked, 1)
      yield* elapse("12 seconds", "1 second")
      // 119 s after the start names were asked again, and do not answer.
      assert.strictEqual(asked, 2)
      yield* gossip(200)
      yield* elapse("70 seconds", "1 second")
      assert.strictEqual(log.held.size, 75)
      yield* Deferred.succeed(
        back,
        Array.from({ length: 25 }, (_, i) => PeerSocketAddress.fromStringUnsafe(`127.2.1.${i}:1`))
      )
      yield* elapse("3 minutes", "1 second")
      assert.strictEqual(log.dials.length, 75)
      assert.strictEqual((yield* ConnectionSlots).used("outbound"), 75)
    }).pipe(
      Effect.provide(Dialer.layer.pipe(Layer.provideMerge(worldOf(log, { resolve }, { outcome: () => "stays" })))),
      quietly
    )
  })

  it.effect("looks after 119 s anew for whom there is, and dials nobody who was dialled, or failed, so lately", () => {
    const log = emptyLog()
    const [bob] = addresses(1)
    let asked = 0
    const resolve = Effect.sync(() => {
      asked++
      return [bob!]
    })
    const dials = () => log.dials.map(({ atMillis }) => atMillis)
    return Effect.gen(function* () {
      const book = yield* AddressBook
      yield* haveFailed([bob!])
      // It looks at 119 s, 238 s and so on, to the millisecond.
      yield* elapse("118999 millis", "20 seconds")
      assert.deepStrictEqual([asked, dials()], [1, [0]])
      yield* elapse("1 millis")
      // The names are due again, and the dial of the crawler's is not yet old enough.
      assert.deepStrictEqual([asked, dials()], [2, [0]])
      yield* elapse("114 seconds", "20 seconds")
      yield* book.record({ _tag: "UpdateFailed", address: bob!, services: undefined })
      yield* elapse("5 seconds", "1 second")
      // A change within five seconds of another does not count.
      assert.deepStrictEqual([asked, dials()], [3, [0]])
      yield* elapse("119 seconds", "20 seconds")
      assert.deepStrictEqual([asked, dials()], [4, [0, 357_000]])
    }).pipe(Effect.provide(worldOf(log, { resolve }, { policy: { recoveryInterval: Duration.seconds(119) } })), quietly)
  })

  it.effect("asks no names while they are being asked, however long that takes", () => {
    const log = emptyLog()
    let asked = 0
    const resolve = Effect.suspend(() => {
      asked++
      return Effect.never
    })
    return Effect.gen(function* () {
      yield* elapse("1 second", "100 millis")
      yield* haveFailed(addresses(1))
      yield* elapse("9 minutes", "10 seconds")
      assert.strictEqual(asked, 1)
      // It is the others who are dialled meanwhile.
      assert.isAbove(log.dials.length, 3)
    }).pipe(Effect.provide(worldOf(log, { resolve, cached: addresses(1) })), quietly)
  })

  it.effect.each([{ change: "somebody else connected" }, { change: "others took every slot" }])(
    "dials nobody whose turn comes when $change meanwhile, and tells the book of nobody",
    ({ change }) => {
      const log = emptyLog()
      const pair = addresses(2)
      return Effect.gen(function* () {
        const slots = yield* ConnectionSlots
        const book = yield* AddressBook
        yield* elapse("1 second", "100 millis")
        assert.lengthOf(log.dials, 1)
        yield* haveFailed(pair)
        yield* elapse("129 seconds", "5 seconds")
        assert.deepInclude(log.dials[1], { atMillis: 130_000 })
        if (change === "somebody else connected") {
          yield* Effect.flatMap(slots.reserve("outbound"), ({ markOpen }) => markOpen)
        } else {
          for (let n = 0; n < 3; n++) yield* slots.reserve("outbound")
        }
        yield* elapse("1 second", "50 millis")
        assert.lengthOf(log.dials, 2)
        const attempts = (yield* book.entries).map(({ lastAttemptMillis }) => lastAttemptMillis)
        assert.sameMembers(attempts, [1000, 130_000])
      }).pipe(
        Effect.scoped,
        Effect.provide(
          worldOf(
            log,
            { resolve: Effect.succeed(pair) },
            { policy: { targetPeers: 1, recoveryInterval: Duration.seconds(130) } }
          )
        ),
        quietly
      )
    }
  )

  it.effect("dials until it has as many connections as it wants", () => {
    const log = emptyLog()
    let isThere = false
    return Effect.gen(function* () {
      yield* elapse("1 second", "100 millis")
      assert.lengthOf(log.dials, 2)
      yield* haveFailed(addresses(6))
      isThere = true
      yield* elapse("3 minutes", "10 seconds")
      assert.deepStrictEqual([log.dials.length, log.held.size], [4, 2])
    }).pipe(
      Effect.provide(
        worldOf(
          log,
          { resolve: Effect.succeed(addresses(6)) },
          { policy: { targetPeers: 2 }, outcome: () => (isThere ? "stays" : "fails") }
        )
      ),
      quietly
    )
  })

  it.effect.each([
    { ready: 1, fillSpareSlots: true, wanted: 1 },
    { ready: 3, fillSpareSlots: true, wanted: 3 },
    { ready: 3, fillSpareSlots: false, wanted: 1 }
  ])("wants $wanted of $ready that are due, each time it looks (fills spare slots: $fillSpareSlots)", (_) => {
    const log = emptyLog()
    const policy = { targetPeers: 2, fillSpareSlots: _.fillSpareSlots, recoveryInterval: Duration.seconds(10) }
    return Effect.gen(function* () {
      yield* (yield* InitialPeers).awaitStarted
      // Nobody takes what is wanted, so there is room for all of it only at first.
      assert.strictEqual(log.demands, 2)
      yield* gossip(_.ready)
      yield* elapse("9999 millis", "1 second")
      assert.strictEqual(log.demands, 2)
      yield* elapse("1 millis")
      assert.strictEqual(log.demands, 2 + _.wanted)
      assert.lengthOf(log.dials, 0)
    }).pipe(Effect.provide(worldOf(log, { resolve: Effect.succeed([]) }, { policy })), quietly)
  })

  it.effect("takes no slot that dials under way have (network 0, outboundLimit; S22)", () => {
    const log = emptyLog()
    return Effect.gen(function* () {
      const slots = yield* ConnectionSlots
      yield* elapse("3 seconds", "100 millis")
      yield* haveFailed(addresses(25))
      for (let i = 0; i < 75; i++) yield* slots.reserve("outbound")
      const before = log.dials.length
      yield* elapse("4 minutes", "1 second")
      assert.deepStrictEqual([log.dials.length, slots.used("outbound")], [before, 75])
    }).pipe(Effect.scoped, Effect.provide(worldOf(log, { resolve: Effect.succeed(addresses(25)) })), quietly)
  })
})
