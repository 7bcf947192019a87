/** What the peer set learns of its peers' word and use, and that a block is asked for elsewhere when it did not come. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import type { Block } from "../../src/chain/Block.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { PeerSet } from "../../src/network/PeerSet.ts"
import { ConnectionReceiveTimeout, NotFoundResponse, type PeerError } from "../../src/peer/Peer.ts"
import type { Response } from "../../src/peer/Request.ts"
import { InventoryRegistry } from "../../src/routing/InventoryRegistry.ts"
import { diverse, PeerSelection, twoAtRandom } from "../../src/routing/PeerSelection.ts"
import { ToldAddresses } from "../../src/routing/ToldAddresses.ts"
import { transaction } from "../peer/items.ts"
import { bob } from "../support/addresses.ts"
import type { FakePeer } from "../support/fakePeer.ts"
import { block, blockHash, join, start, world } from "../support/peerSetWorld.ts"
import { inWorld, peerFrom, startNode, until } from "../support/wholeNode.ts"

const meritOf = (id: number) =>
  Effect.map(PeerSet, (peerSet) => [...peerSet.standingsUnsafe()].find((standing) => standing.id === id)!.merit)

const creditOf = (id: number) => Effect.map(meritOf(id), ({ credit }) => credit)

const advertise = (id: number, byte: number) =>
  Effect.flatMap(InventoryRegistry, (registry) =>
    registry.register(id, "available", [{ _tag: "Block", hash: blockHash(byte) }])
  )

const lacks = new NotFoundResponse({ hashes: [] })
const silent = new ConnectionReceiveTimeout()

/** Bob is asked for a block, and ends the request so. */
const asked = (bob: FakePeer, byte: number, how: PeerError | Response) =>
  Effect.gen(function* () {
    const peerSet = yield* PeerSet
    const fiber = yield* start(peerSet.request(block(byte)))
    const one = bob.take()!
    if ("hashes" in how && how._tag === "NotFoundResponse") one.fail(how)
    else if (how instanceof ConnectionReceiveTimeout) one.fail(how)
    else one.answer(how as Response)
    yield* Fiber.await(fiber)
    yield* TestClock.adjust(0)
  })

/** Bob is asked for a transaction, and delivers it. */
const deliversTransaction = (bob: FakePeer, n: number) =>
  Effect.gen(function* () {
    const peerSet = yield* PeerSet
    const one = transaction(n)
    const fiber = yield* start(peerSet.request({ _tag: "TransactionsById", ids: new Set([one.id]) }))
    bob.take()!.answer({ _tag: "Transactions", items: [{ _tag: "Available", value: one, source: undefined }] })
    yield* Fiber.await(fiber)
    yield* TestClock.adjust(0)
  })

const delivers = (byte: number): Response => ({
  _tag: "Blocks",
  items: [{ _tag: "Available", value: { hash: blockHash(byte) } as Block, source: undefined }]
})

describe("a peer's word", () => {
  it.effect.each([
    { how: "says that it lacks it", error: lacks },
    { how: "says nothing", error: silent }
  ])("counts half when it advertised a block and $how", ({ error }) =>
    Effect.gen(function* () {
      const bob = yield* join(1)
      yield* advertise(1, 7)
      yield* asked(bob, 7, error)
      assert.strictEqual(yield* creditOf(1), 0.5)
    }).pipe(Effect.provide(world()))
  )

  it.effect("is not broken when it promised nothing", () =>
    Effect.gen(function* () {
      const bob = yield* join(1)
      yield* advertise(1, 8)
      yield* asked(bob, 7, silent)
      yield* asked(bob, 9, lacks)
      assert.strictEqual(yield* creditOf(1), 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("is what it listed in an answer, too, as the program that was told says", () =>
    Effect.gen(function* () {
      const bob = yield* join(1)
      const advertiser = PeerSocketAddress.fromStringUnsafe("127.0.0.1:1")
      const peerSet = yield* PeerSet
      const fiber = yield* start(peerSet.request({ _tag: "BlockDownload", hash: blockHash(7), advertiser }))
      bob.take()!.fail(silent)
      yield* Fiber.await(fiber)
      yield* TestClock.adjust(0)
      assert.strictEqual(yield* creditOf(1), 0.5)
    }).pipe(Effect.provide(world()))
  )

  it.effect("never counts for nothing, and mends with what it delivers", () =>
    Effect.gen(function* () {
      const bob = yield* join(1)
      for (let byte = 1; byte <= 6; byte++) {
        yield* advertise(1, byte)
        yield* asked(bob, byte, silent)
      }
      assert.strictEqual(yield* creditOf(1), 1 / 16)
      for (let byte = 11; byte <= 26; byte++) yield* asked(bob, byte, delivers(byte))
      assert.strictEqual(yield* creditOf(1), 1 / 16 + 0.5)
      for (let byte = 31; byte <= 60; byte++) yield* asked(bob, byte, delivers(byte))
      assert.strictEqual(yield* creditOf(1), 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("counts half when the program reports its host, and only its own", () =>
    Effect.gen(function* () {
      yield* join(1, { address: "192.0.2.1:1" })
      yield* join(2, { address: "192.0.2.1:2" })
      yield* join(3, { address: "192.0.2.3:1" })
      yield* (yield* PeerSet).doubt("192.0.2.1")
      assert.deepStrictEqual([yield* creditOf(1), yield* creditOf(2), yield* creditOf(3)], [0.5, 0.5, 1])
    }).pipe(Effect.provide(world()))
  )
})

describe("a peer of a whole node", () => {
  it("is asked less when the program reports it, unless the report is worth nothing", () =>
    inWorld(
      Effect.gen(function* () {
        const { network, peerSet } = yield* startNode()
        yield* peerFrom(bob)
        yield* until("1 second")
        const credit = () => [...peerSet.standingsUnsafe()].map(({ merit }) => merit.credit)
        yield* network.reportMisbehavior({ address: bob, score: 0, reason: "a block that is not there" })
        assert.deepStrictEqual(credit(), [1])
        yield* network.reportMisbehavior({ address: bob, score: 10, reason: "a bad block" })
        assert.deepStrictEqual(credit(), [0.5])
        yield* network.reportMisbehavior({ address: bob, score: 1, reason: "a late block" })
        assert.deepStrictEqual(credit(), [0.25])
      })
    ))
})

describe("a peer's use", () => {
  it.effect("is when it last delivered a block or a transaction that it was asked for", () =>
    Effect.gen(function* () {
      const bob = yield* join(1)
      yield* TestClock.adjust("1 second")
      yield* asked(bob, 1, delivers(1))
      yield* TestClock.adjust("1 second")
      yield* asked(bob, 2, { _tag: "Blocks", items: [{ _tag: "Missing", id: blockHash(2) }] })
      assert.deepInclude(yield* meritOf(1), { blockAtNanos: 1_000_000_000n, transactionAtNanos: undefined })
      yield* deliversTransaction(bob, 3)
      assert.deepInclude(yield* meritOf(1), { blockAtNanos: 1_000_000_000n, transactionAtNanos: 2_000_000_000n })
    }).pipe(Effect.provide(world()))
  )

  it.effect.each<[string, PeerSelection]>([
    ["who is chosen as usual", diverse],
    ["whose end somebody else hears of", { make: () => ({ ...twoAtRandom, landed: () => undefined }) }]
  ])("is an address it told of, once we have connected there, and it was the first to tell: %s", ([, selection]) =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const tells = (id: number, ...ips: ReadonlyArray<string>) =>
        Effect.gen(function* () {
          const bob = yield* join(id, { address: `192.0.2.${id}:1`, inbound: true })
          yield* peerSet.remove(id - 1)
          const fiber = yield* start(peerSet.request({ _tag: "Peers" }))
          const addresses = ips.map((ip) => ({
            address: PeerSocketAddress.fromStringUnsafe(`${ip}:8233`),
            services: 1n,
            lastSeenSeconds: 0
          }))
          bob.take()!.answer({ _tag: "Peers", addresses })
          yield* Fiber.await(fiber)
        })
      yield* tells(1, "198.51.100.1")
      yield* tells(2, "198.51.100.1", "198.51.100.2", "198.51.100.3", "198.51.100.4")
      yield* join(11, { address: "198.51.100.1:8233" })
      yield* join(12, { address: "198.51.100.2:8233" })
      // Whoever comes to us from there says nothing about who listens there.
      yield* join(13, { address: "198.51.100.3:8233", inbound: true })
      assert.strictEqual((yield* meritOf(2)).provenAddresses, 1)
      yield* peerSet.remove(12)
      yield* join(14, { address: "198.51.100.2:8233" })
      assert.strictEqual((yield* meritOf(2)).provenAddresses, 1)
      yield* join(15, { address: "198.51.100.4:8233" })
      assert.strictEqual((yield* meritOf(2)).provenAddresses, 2)
    }).pipe(Effect.provide(world().pipe(Layer.provide(Layer.succeed(PeerSelection, selection)))))
  )

  it("is remembered of so many addresses, the oldest are forgotten", () => {
    const told = new ToldAddresses()
    for (let n = 0; n <= 1000; n++) told.told(`address ${n}`, n)
    assert.strictEqual(told.size, 1000)
    assert.deepStrictEqual([told.proved("address 0"), told.proved("address 1")], [undefined, 1])
  })
})

describe("a block that did not come", () => {
  it.effect("is asked for in another network, each time, as long as there is one", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const networkOf = new Map<number, string>()
      const peers: Array<FakePeer> = []
      for (let id = 1; id <= 24; id++) {
        // Six of each: whoever goes by chance alone stays in one now and then.
        const network = `20.${id % 4}`
        networkOf.set(id, network)
        peers.push(yield* join(id, { address: `${network}.${id}.1:8233`, places: 9 }))
      }
      for (let round = 1; round <= 30; round++) {
        const networks: Array<string | undefined> = []
        for (let attempt = 0; attempt < 4; attempt++) {
          const fiber = yield* start(peerSet.request(block(round)))
          const bob = peers.find((peer) => peer.queued() > 0)!
          networks.push(networkOf.get(bob.id))
          bob.take()!.fail(silent)
          yield* Fiber.await(fiber)
        }
        assert.strictEqual(new Set(networks).size, 4, `block ${round}: ${networks}`)
      }
    }).pipe(Effect.provide(world()))
  )

  it.effect("is asked for in another network than those whom the caller does not want", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const crowd = yield* Effect.forEach([1, 2, 3, 4, 5], (id) =>
        join(id, { address: `20.1.${id}.1:8233`, places: 99 })
      )
      const other = yield* join(9, { address: "20.2.1.1:8233", places: 99 })
      for (let n = 1; n <= 30; n++) yield* start(peerSet.request(block(n), { exclude: new Set([1]) }))
      assert.strictEqual(other.asked.length, 30)
      assert.deepStrictEqual(
        crowd.flatMap(({ asked }) => asked),
        []
      )
    }).pipe(Effect.provide(world()))
  )
})
