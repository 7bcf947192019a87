/** Who is connected, who may stay, and how it ends. Every peer is scripted: `test/support/fakePeer.ts`. */
import { assert, describe, it } from "@effect/vitest"
import {
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  Layer,
  Metric,
  Option,
  References,
  Schema,
  Scope
} from "effect"
import { TestClock } from "effect/testing"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import { BackgroundTaskExited, BackgroundTasks, NetworkClosed } from "../../src/BackgroundTasks.ts"
import { ChainParams, mainnet, regtest } from "../../src/chain/ChainParams.ts"
import type { Transaction } from "../../src/chain/Transaction.ts"
import { Crawler } from "../../src/network/Crawler.ts"
import { NetworkEvents } from "../../src/network/NetworkEvents.ts"
import { InventoryRegistry } from "../../src/routing/InventoryRegistry.ts"
import type { Room } from "../../src/routing/Membership.ts"
import { PeerSelection, twoAtRandom } from "../../src/routing/PeerSelection.ts"
import { PeerRefused, PeerSet, RequestError } from "../../src/network/PeerSet.ts"
import {
  ClientDropped,
  ConnectionClosed,
  ConnectionReceiveTimeout,
  type Peer,
  type PeerError
} from "../../src/peer/Peer.ts"
import type { AdvertiseTransactionIds, PushTransaction, Request } from "../../src/peer/Request.ts"
import { defaults } from "../../src/Policy.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import { fakePeer, type FakePeer } from "../support/fakePeer.ts"
import { block, blockHash, isPending, join, numberOf, reach, refusalOf, start, world } from "../support/peerSetWorld.ts"
import { type ChainName, chainNames, chainOf, heightsOf, oldestAt, versionsAround } from "../support/versions.ts"

/** Exactly those with an acceptable version are connected, the others closed; requests wait if nobody is. */
const checkPeers = (peers: ReadonlyArray<FakePeer>, minimum: number) =>
  Effect.gen(function* () {
    const peerSet = yield* PeerSet
    const expected = peers.filter((peer) => peer.info.remote.version >= minimum)
    assert.deepStrictEqual(yield* peerSet.peers, expected)
    for (const peer of peers) assert.strictEqual(peer.closedWith() === undefined, expected.includes(peer))
    const fiber = yield* start(peerSet.request({ _tag: "Peers" }))
    assert.strictEqual(peers.flatMap((peer) => peer.takeAll()).length, expected.length === 0 ? 0 : 1)
    yield* Fiber.interrupt(fiber)
  })

const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

const joinAll = (versions: ReadonlyArray<number>) =>
  Effect.forEach(versions, (version, index) => join(index + 1, { version }))

describe("PeerSet", () => {
  it.effect("asks the one peer there is, and another thing after the first was given up (network 40)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = yield* join(1)
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 1, busy: 0, inbound: 0, outbound: 1 })
      assert.strictEqual(bob.queued(), 0)

      const first = yield* start(peerSet.request({ _tag: "Peers" }))
      const asked = bob.take()
      assert.strictEqual(asked?.request._tag, "Peers")
      yield* Fiber.interrupt(first)
      assert.isTrue(asked?.isCanceled())

      const second = yield* start(peerSet.request({ _tag: "MempoolTransactionIds" }))
      const next = bob.take()
      assert.strictEqual(next?.request._tag, "MempoolTransactionIds")
      next?.answer({ _tag: "TransactionIds", ids: [] })
      assert.deepStrictEqual(yield* Fiber.join(second), { _tag: "TransactionIds", ids: [] })
    }).pipe(Effect.provide(world()))
  )

  it.effect("goes on with the last peer when the others are gone, and waits when there is none (network 41)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const [alice, bob, carol] = [yield* join(1), yield* join(2), yield* join(3)]
      assert.strictEqual((yield* peerSet.counts).ready, 3)
      yield* alice.close(new ConnectionClosed())
      yield* bob.close(new ConnectionClosed())
      const fiber = yield* start(peerSet.request({ _tag: "Peers" }))
      assert.strictEqual(carol.take()?.request._tag, "Peers")
      yield* Fiber.interrupt(fiber)
      yield* carol.close(new ConnectionClosed())
      const waiting = yield* start(peerSet.request({ _tag: "Peers" }))
      yield* TestClock.adjust("10 seconds")
      assert.isTrue(isPending(waiting))
    }).pipe(Effect.provide(world({ policy: { connectionsPerGroup: 3 } })))
  )

  it.effect.each([{ others: 0 }, { others: 1 }])(
    "asks no connection that has just ended, though nobody said so yet, with $others others",
    ({ others }) =>
      Effect.gen(function* () {
        const peerSet = yield* PeerSet
        const bob = fakePeer({ id: 1, address: "127.0.0.1:1" })
        yield* peerSet.add({ ...bob, onClosed: () => undefined })
        const carol = others === 0 ? undefined : yield* join(2, { places: 40 })
        yield* bob.close(new ConnectionClosed())
        // So many that chance cannot pass bob over each time.
        const asked = yield* Effect.replicateEffect(start(peerSet.request({ _tag: "Peers" })), 40)
        assert.deepStrictEqual([bob.asked.length, carol?.asked.length ?? 0], [0, 40 * others])
        assert.isTrue(asked.every(isPending))
        assert.strictEqual((yield* peerSet.counts).outbound, others)
      }).pipe(Effect.provide(world()))
  )

  it.effect("refuses connections past the limit per host, and closes them (network 42)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = fakePeer({ id: 1, address: "127.0.0.1:1" })
      const again = fakePeer({ id: 2, address: "127.0.0.1:2" })
      yield* peerSet.add(bob)
      assert.deepStrictEqual(yield* Effect.flip(peerSet.add(again)), new PeerRefused({ reason: "GroupFull" }))
      assert.strictEqual((yield* peerSet.counts).ready, 1)
      assert.strictEqual(again.closedWith()?._tag, "ClientDropped")
      assert.isUndefined(bob.closedWith())
    }).pipe(Effect.provide(world({ policy: { connectionsPerGroup: 1 } })))
  )

  it.effect("knows peers by where they are, whatever they say of themselves", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = fakePeer({ id: 1, address: "127.0.0.1:1", claims: "127.0.0.1:1" })
      const mallory = fakePeer({ id: 2, address: "127.0.0.2:2", claims: "127.0.0.1:1" })
      yield* peerSet.add(bob)
      yield* peerSet.add(mallory)
      yield* mallory.close(new ConnectionClosed())
      assert.deepStrictEqual(yield* peerSet.peers, [bob])
    }).pipe(Effect.provide(world({ policy: { connectionsPerGroup: 1 } })))
  )

  it.effect("fails waiting, running and later requests with what ended the network, and closes its peers", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = yield* join(1, { places: 1 })
      const running = yield* start(peerSet.request({ _tag: "Peers" }))
      const waiting = yield* start(peerSet.request(block(1)))
      const error = new BackgroundTaskExited({ task: "crawler", cause: "it ended" })
      yield* (yield* BackgroundTasks).end(error)
      const failed = Exit.fail(new RequestError({ reason: error }))
      assert.deepStrictEqual(yield* Fiber.await(running), failed)
      assert.deepStrictEqual(yield* Fiber.await(waiting), failed)
      assert.deepStrictEqual(yield* Effect.exit(peerSet.request({ _tag: "Peers" })), failed)
      assert.deepStrictEqual(yield* Effect.exit(peerSet.demand.awaitOne), Exit.fail(error))
      assert.deepStrictEqual(yield* Effect.exit(peerSet.awaitPeers({ peers: 1 })), Exit.fail(error))
      assert.isFalse(yield* peerSet.demand.offer)
      assert.strictEqual(bob.closedWith()?._tag, "ClientDropped")
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 0, busy: 0, inbound: 0, outbound: 0 })
    }).pipe(Effect.provide(world()))
  )
})

describe("a bug of ours", () => {
  const endOf = Effect.flatMap(BackgroundTasks, (tasks) => Effect.flip(tasks.awaitEnd))

  it.effect("in the watch over a peer ends the network by name, so that no dead peer stays in it", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const carol = yield* join(2)
      const waiting = yield* start(peerSet.awaitPeers({ peers: 3 }))
      const dying = Effect.die("a bug")
      yield* peerSet.add({ ...fakePeer({ id: 1, address: "127.0.0.1:1" }), readiness: () => "Busy", awaitReady: dying })
      const reason = yield* endOf
      assert.include(reason, { _tag: "BackgroundTaskExited", task: "peer set", cause: "a bug" })
      assert.strictEqual(yield* Effect.flip(Fiber.join(waiting)), reason)
      assert.strictEqual(carol.closedWith()?._tag, "ClientDropped")
    }).pipe(Effect.provide(world()), quietly)
  )

  it.effect.each([
    {
      how: "throws",
      close: () => {
        throw new Error("a bug")
      }
    },
    { how: "dies", close: () => Effect.die(new Error("a bug")) }
  ] as const)("in closing a peer that $how keeps no other from being closed, and ends the network", ({ close }) =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      yield* reach(1)
      yield* peerSet.add({ ...fakePeer({ id: 1, address: "127.0.0.1:1", version: 170_150 }), close })
      const old = yield* join(2, { version: 170_150 })
      const recent = yield* join(3)
      yield* start(peerSet.request({ _tag: "Peers" }))
      // One step lets both go.
      yield* reach(mainnet.activationHeights["NU6.3"]!)
      yield* peerSet.counts
      assert.strictEqual(old.closedWith()?._tag, "ClientDropped")
      const reason = yield* endOf
      assert.include(reason, { _tag: "BackgroundTaskExited", task: "peer set" })
      assert.strictEqual(recent.closedWith()?._tag, "ClientDropped")
    }).pipe(Effect.provide(world({ quiet: true })), quietly)
  )

  it.effect("in a peer that nobody waits for an answer of is told", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const dying = yield* Deferred.make<never>()
      const sidecar = fakePeer({ id: 1, inbound: true, address: "127.0.0.1:1", places: 1 })
      let asked = 0
      yield* peerSet.add({
        ...sidecar,
        // The second request is the transaction it is owed.
        enqueueUnsafe: (request) => (++asked === 1 ? sidecar.enqueueUnsafe(request) : Deferred.await(dying))
      })
      yield* start(peerSet.request({ _tag: "Peers" }))
      yield* join(2, { address: "10.0.0.1:8233" })
      const push = { _tag: "PushTransaction", transaction: { id: "one" } as never, source: undefined } as const
      yield* start(peerSet.request(push))
      sidecar.take()
      yield* TestClock.adjust(0)
      assert.strictEqual(asked, 2)
      yield* Deferred.die(dying, "a bug")
      assert.include(yield* endOf, { _tag: "BackgroundTaskExited", task: "peer set", cause: "a bug" })
    }).pipe(Effect.provide(world({ trusted: ["127.0.0.1"] })), quietly)
  )
})

describe("who may stay", () => {
  it.effect("refuses a peer whose group is banned, and asks it nothing (network 6.5)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bans = yield* BanList
      const waiting = yield* start(peerSet.request({ _tag: "Peers" }))
      const mallory = fakePeer({ id: 1, address: "192.0.2.9:1", inbound: true })
      yield* bans.add({ address: mallory.transientAddress!, reason: "x", duration: Duration.hours(1) })
      assert.strictEqual(yield* refusalOf(mallory), "Banned")
      assert.strictEqual(mallory.closedWith()?._tag, "ClientDropped")
      assert.deepStrictEqual(mallory.asked, [])
      assert.isTrue(isPending(waiting))
      // Nor from another port; but from there once the ban is over, and from anywhere else.
      assert.strictEqual(yield* refusalOf(fakePeer({ id: 2, address: "192.0.2.9:2" })), "Banned")
      yield* TestClock.adjust("3599 seconds")
      assert.strictEqual(yield* refusalOf(fakePeer({ id: 2, address: "192.0.2.9:2" })), "Banned")
      yield* TestClock.adjust("1 second")
      assert.isUndefined(yield* refusalOf(fakePeer({ id: 3, address: "192.0.2.9:3", places: 0 })))
      assert.isUndefined(yield* refusalOf(fakePeer({ id: 4, address: "192.0.2.8:1", places: 0 })))
    }).pipe(Effect.provide(world({ trusted: ["192.0.2.9"] })))
  )

  it.effect("lets go of whoever is banned, ready or busy or trusted, before anything else happens", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bans = yield* BanList
      const banned = [
        yield* join(1, { address: "192.0.2.1:1" }),
        yield* join(2, { address: "192.0.2.1:2", places: 0 }),
        yield* join(3, { address: "192.0.2.1:3", inbound: true })
      ]
      const other = yield* join(4, { address: "192.0.2.2:1" })
      yield* bans.add({ address: banned[0]!.transientAddress!, reason: "x" })
      // Whatever is asked first knows it.
      assert.deepStrictEqual(yield* peerSet.peers, [other])
      assert.deepStrictEqual(
        banned.map((peer) => peer.closedWith()?._tag),
        ["ClientDropped", "ClientDropped", "ClientDropped"]
      )
      yield* bans.add({ address: other.transientAddress!, reason: "x" })
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 0, busy: 0, inbound: 0, outbound: 0 })
      const last = yield* join(5, { address: "192.0.2.3:1" })
      yield* bans.add({ address: last.transientAddress!, reason: "x" })
      assert.deepStrictEqual(yield* peerSet.advertTargets("all"), [])
    }).pipe(Effect.provide(world({ trusted: ["192.0.2.1"], quiet: true })))
  )

  it.effect("takes nobody in for whom there is no room, and asks for it only when nothing else speaks against it", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = yield* join(1, { address: "192.0.2.1:1" })
      const asked: Array<number> = []
      const comes = (id: number, address: string, room: Room) =>
        Effect.match(
          peerSet.add(fakePeer({ id, address, inbound: true }), () => {
            asked.push(id)
            return room
          }),
          { onFailure: ({ reason }) => reason, onSuccess: () => "in" as const }
        )
      assert.strictEqual(yield* comes(2, "192.0.2.1:1", { _tag: "Free" }), "Connected")
      assert.strictEqual(yield* comes(3, "192.0.2.3:1", { _tag: "Full" }), "Full")
      assert.deepStrictEqual([asked, yield* peerSet.peers], [[3], [bob]])
      assert.strictEqual(yield* comes(4, "192.0.2.4:1", { _tag: "Evict", id: 1 }), "in")
      assert.strictEqual(bob.closedWith()?._tag, "PeerEvicted")
      assert.strictEqual(yield* comes(5, "192.0.2.5:1", { _tag: "Free" }), "in")
      const ids = (yield* peerSet.peers).map(({ id }) => id)
      assert.deepStrictEqual(
        [asked, ids],
        [
          [3, 4, 5],
          [4, 5]
        ]
      )
    }).pipe(Effect.provide(world()))
  )

  it.effect.each([{ why: "banned" }, { why: "outdated" }])(
    "lets go of whoever is $why also when nobody asks for anything",
    ({ why }) =>
      Effect.gen(function* () {
        const mallory = yield* join(1, { version: 170_150 })
        if (why === "banned") yield* (yield* BanList).add({ address: mallory.transientAddress!, reason: "x" })
        else yield* reach(mainnet.activationHeights["NU6.3"]!)
        yield* TestClock.adjust(0)
        assert.strictEqual(mallory.closedWith()?._tag, "ClientDropped")
      }).pipe(Effect.provide(world()))
  )

  it.effect("knows a trusted IP by any spelling (network 27)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      yield* peerSet.add(fakePeer({ id: 1, inbound: true, address: "127.0.0.2:1" }))
      // It is not counted by the limit of its host.
      yield* peerSet.add(fakePeer({ id: 2, inbound: true, address: "127.0.0.2:2" }))
      assert.strictEqual((yield* peerSet.counts).inbound, 2)
    }).pipe(Effect.provide(world({ policy: { connectionsPerGroup: 1 }, trusted: ["::ffff:127.0.0.2"] })))
  )

  it.effect("frees the place of a busy peer of a host as soon as it is removed (network 45)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = yield* join(1, { places: 0 })
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 0, busy: 1, inbound: 0, outbound: 1 })
      yield* peerSet.remove(1)
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 0, busy: 0, inbound: 0, outbound: 0 })
      assert.strictEqual(bob.closedWith()?._tag, "ClientDropped")
      yield* peerSet.add(fakePeer({ id: 2, address: "127.0.0.1:2" }))
      // A removal that comes late does not touch the newcomer.
      yield* peerSet.remove(1)
      assert.strictEqual((yield* peerSet.counts).outbound, 1)
    }).pipe(Effect.provide(world({ policy: { connectionsPerGroup: 1 } })))
  )

  for (const [name, addresses, stay] of [
    ["a network of containers", [2, 3, 4, 5, 6].map((n) => `172.18.0.${n}`), 5],
    ["addresses of one /64", [2, 3, 4, 5, 6].map((n) => `[2001:db8::${n}]`), 1]
  ] as const) {
    it.effect(`keeps ${stay} of five in ${name}, whoever dialled (EX-21)`, () =>
      Effect.gen(function* () {
        const peerSet = yield* PeerSet
        const refusals = yield* Effect.forEach(addresses, (ip, index) =>
          refusalOf(
            index < 3
              ? fakePeer({ id: index, address: `${ip}:${40_000 + index}`, inbound: true })
              : fakePeer({ id: index, address: `${ip}:8233` })
          )
        )
        assert.deepStrictEqual(
          refusals,
          addresses.map((_, index) => (index < stay ? undefined : "GroupFull"))
        )
        assert.strictEqual((yield* peerSet.peers).length, stay)
      }).pipe(Effect.provide(world({ policy: { connectionsPerGroup: 1 } })))
    )
  }

  it.effect("refuses a second connection with an address, whatever the limit per host", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = yield* join(1)
      const again = fakePeer({ id: 2, address: "127.0.0.1:1" })
      assert.strictEqual(yield* refusalOf(again), "Connected")
      assert.strictEqual(again.closedWith()?._tag, "ClientDropped")
      assert.deepStrictEqual(yield* peerSet.peers, [bob])
      // When the first is gone, the address is free, and the first one's end does not end the second.
      yield* bob.close(new ConnectionClosed())
      const successor = yield* join(3, { address: "127.0.0.1:1" })
      assert.deepStrictEqual(yield* peerSet.peers, [successor])
    }).pipe(Effect.provide(world()))
  )

  it.effect("counts an IPv6 /64 as one host, and not a trusted one (advisory A5)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      yield* peerSet.add(fakePeer({ id: 1, address: "[2001:db8::1]:1" }))
      assert.strictEqual(yield* refusalOf(fakePeer({ id: 2, address: "[2001:db8::2]:1" })), "GroupFull")
      yield* peerSet.add(fakePeer({ id: 3, address: "[2001:db8:0:1::1]:1" }))
      for (const id of [4, 5]) yield* peerSet.add(fakePeer({ id, inbound: true, address: `192.0.2.1:${id}` }))
      // Dialled by us: somebody else may listen on that port of the trusted host.
      assert.strictEqual(yield* refusalOf(fakePeer({ id: 6, address: "192.0.2.1:6" })), "GroupFull")
    }).pipe(Effect.provide(world({ policy: { connectionsPerGroup: 1 }, trusted: ["192.0.2.1"] })))
  )

  it.effect(
    "lets go of a peer that is busy for 20 seconds, who hears of no more blocks (network 122; advisory N13)",
    () =>
      Effect.gen(function* () {
        const peerSet = yield* PeerSet
        const [sam, nina] = [yield* join(1), yield* join(2, { serving: false })]
        yield* TestClock.adjust("7 seconds")
        yield* start(peerSet.request(block(1)))
        yield* start(peerSet.request(block(9)))
        yield* TestClock.adjust("19999 millis")
        assert.isUndefined(sam.closedWith())
        yield* TestClock.adjust("1 millis")
        assert.strictEqual(sam.closedWith()?._tag, "ClientDropped")
        assert.deepStrictEqual(yield* peerSet.advertTargets("all"), [nina])
      }).pipe(Effect.provide(world()))
  )

  it.effect("lets go of a peer that is never ready, 20 seconds after it joined (network 69 to 71, 137)", () =>
    Effect.gen(function* () {
      const bob = yield* join(1, { places: 0 })
      for (const _ of [5, 10, 15]) {
        yield* TestClock.adjust("5 seconds")
        assert.isUndefined(bob.closedWith())
      }
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(bob.closedWith()?._tag, "ClientDropped")
    }).pipe(Effect.provide(world()))
  )

  it.effect("keeps a peer that is ready after exactly 20 seconds, and starts anew (network 69)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = yield* join(1, { places: 1 })
      yield* start(
        Effect.delay(
          Effect.sync(() => bob.take()),
          "20 seconds"
        )
      )
      yield* start(peerSet.request({ _tag: "Peers" }))
      yield* TestClock.adjust("20 seconds")
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 1, busy: 0, inbound: 0, outbound: 1 })
      yield* start(peerSet.request({ _tag: "Peers" }))
      yield* TestClock.adjust("19 seconds")
      assert.isUndefined(bob.closedWith())
    }).pipe(Effect.provide(world()))
  )

  it.effect.each([
    { outcome: "stays", isFree: true },
    { outcome: "goes", isFree: false }
  ])(
    "looks itself after 20 seconds: a peer of which nobody said that it is free $outcome when it is: $isFree",
    ({ isFree, outcome }) =>
      Effect.gen(function* () {
        const peerSet = yield* PeerSet
        let hasRoom = false
        const bob = fakePeer({ id: 1, address: "127.0.0.1:1" })
        yield* peerSet.add({ ...bob, awaitReady: Effect.never, readiness: () => (hasRoom ? "Ready" : "Busy") })
        yield* TestClock.adjust("19 seconds")
        assert.deepInclude(yield* peerSet.counts, { ready: 0, busy: 1 })
        hasRoom = isFree
        yield* TestClock.adjust("1 second")
        const isThere = outcome === "stays"
        assert.deepInclude(yield* peerSet.counts, { ready: isThere ? 1 : 0, busy: 0 })
        assert.strictEqual(bob.closedWith()?._tag, isThere ? undefined : "ClientDropped")
      }).pipe(Effect.provide(world()))
  )

  const versions = Schema.NonEmptyArray(Schema.Literals(versionsAround))
  const chain = Schema.Literals(chainNames)
  /** Which of `heightsOf` the chain. */
  const height = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 7 })))
  const heightOf = (chain: ChainName, index: number) => heightsOf(chain)[index % heightsOf(chain).length]!

  it.effect.prop(
    "accepts exactly the peers that are not outdated (network 55)",
    { chain, height: Schema.Option(height), versions },
    ({ chain, height, versions }) => {
      const tip = Option.map(height, (index) => heightOf(chain, index))
      return Effect.gen(function* () {
        if (Option.isSome(tip)) yield* reach(tip.value)
        yield* checkPeers(
          yield* joinAll(versions),
          oldestAt(
            chain,
            Option.getOrElse(tip, () => 0)
          )
        )
      }).pipe(Effect.provide(world({ chain: chainOf(chain) })))
    },
    { arbitrary: { runs: 100 } }
  )

  it.effect.prop(
    "lets go of peers that an upgrade leaves behind (network 56)",
    { chain, before: height, after: height, versions },
    ({ after, before, chain, versions }) => {
      const [low = 0, high = 0] = [heightOf(chain, before), heightOf(chain, after)].toSorted((a, b) => a - b)
      return Effect.gen(function* () {
        yield* reach(low)
        const peers = yield* joinAll(versions)
        yield* checkPeers(peers, oldestAt(chain, low))
        yield* reach(high)
        // Nothing else is needed but a moment.
        yield* TestClock.adjust(0)
        yield* checkPeers(peers, oldestAt(chain, high))
      }).pipe(Effect.provide(world({ chain: chainOf(chain) })))
    },
    { arbitrary: { runs: 100 } }
  )

  it.effect.prop(
    "asks of newcomers what the height of the tip asks, up and down (network 76, minimum_peer_version_is_updated_with_chain_tip)",
    { chain, heights: Schema.NonEmptyArray(height) },
    ({ chain, heights }) =>
      Effect.gen(function* () {
        const peerSet = yield* PeerSet
        for (const index of heights) {
          const height = heightOf(chain, index)
          yield* reach(height)
          const version = oldestAt(chain, height)
          const older = fakePeer({ id: 1, address: "127.0.0.1:1", version: version - 1 })
          const oldest = fakePeer({ id: 2, address: "127.0.0.1:2", version })
          assert.deepStrictEqual([yield* refusalOf(older), yield* refusalOf(oldest)], ["Outdated", undefined])
          yield* peerSet.remove(2)
        }
      }).pipe(Effect.provide(world({ chain: chainOf(chain) }))),
    { arbitrary: { runs: 50 } }
  )

  it.effect("accepts the successor of an outdated peer on its address (network 131)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      yield* reach(mainnet.activationHeights["NU6.3"]!)
      const old = fakePeer({ id: 1, address: "127.0.0.1:1", version: 170_150 })
      assert.strictEqual(yield* refusalOf(old), "Outdated")
      const successor = yield* join(2, { address: "127.0.0.1:1" })
      assert.strictEqual(old.closedWith()?._tag, "ClientDropped")
      yield* start(peerSet.request({ _tag: "Peers" }))
      assert.strictEqual(successor.queued(), 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("does not disturb a connection when an earlier one on its address ends late", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      let end: ((error: PeerError) => void) | undefined
      const old: Peer = { ...fakePeer({ id: 1, address: "127.0.0.1:1" }), onClosed: (told) => void (end = told) }
      yield* peerSet.add(old)
      yield* peerSet.remove(1)
      const successor = yield* join(2, { address: "127.0.0.1:1" })
      end?.(new ConnectionClosed())
      assert.isDefined(end)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(yield* peerSet.peers, [successor])
    }).pipe(Effect.provide(world()))
  )

  it.effect("is a bug of ours when there are more peers than slots", () =>
    Effect.gen(function* () {
      // Three that we dialled, five that dialled us, and one while no block comes.
      for (let id = 1; id <= 9; id++) yield* join(id)
      assert.isTrue(Exit.hasDies(yield* Effect.exit(join(10))))
      const reason = yield* Effect.flip((yield* BackgroundTasks).awaitEnd)
      assert.include(reason, { _tag: "BackgroundTaskExited", task: "peer set" })
      assert.match(reason.message, /9 peers are connected, and there are slots for 9/)
    }).pipe(Effect.provide(world({ policy: { targetPeers: 1 } })), quietly)
  )
})

describe("stalls", () => {
  const find = { _tag: "FindBlocks", known: [], stop: undefined } as const
  const findHeaders = { _tag: "FindHeaders", known: [], stop: undefined } as const

  const ask = (request: typeof find | typeof findHeaders) =>
    Effect.flatMap(PeerSet, (peerSet) => start(peerSet.request(request)))

  const fail = (peer: FakePeer, request: typeof find | typeof findHeaders = find) =>
    Effect.gen(function* () {
      const fiber = yield* ask(request)
      peer.take()!.fail(new ConnectionReceiveTimeout())
      yield* Fiber.await(fiber)
    })

  const answer = (peer: FakePeer, request: typeof find | typeof findHeaders = find) =>
    Effect.gen(function* () {
      const fiber = yield* ask(request)
      peer
        .take()!
        .answer(
          request._tag === "FindBlocks"
            ? { _tag: "BlockHashes", hashes: [], source: undefined }
            : { _tag: "BlockHeaders", headers: [], source: undefined }
        )
      yield* Fiber.join(fiber)
    })

  it.effect.each([
    { request: find, tips: [] },
    { request: findHeaders, tips: [2_490_000, 2_600_000] }
  ])("end the connection at the third in a row, whatever heights say (network 91; $request._tag)", (_) =>
    Effect.gen(function* () {
      const [first, later] = _.tips
      if (first !== undefined) yield* reach(first)
      const bob = yield* join(1, { startHeight: first === undefined ? 0 : 2_500_000 })
      yield* fail(bob, _.request)
      yield* fail(bob, _.request)
      assert.isUndefined(bob.closedWith())
      if (later !== undefined) yield* reach(later)
      yield* fail(bob, _.request)
      assert.strictEqual(bob.closedWith()?._tag, "ClientDropped")
      assert.deepStrictEqual(yield* (yield* PeerSet).peers, [])
    }).pipe(Effect.provide(world()))
  )

  it.effect("are not requests that their callers gave up (network 92)", () =>
    Effect.gen(function* () {
      const bob = yield* join(1)
      for (let i = 0; i < 4; i++) {
        const fiber = yield* start(Effect.timeoutOption((yield* PeerSet).request(find), "6 seconds"))
        const asked = bob.take()!
        yield* TestClock.adjust("6 seconds")
        assert.isTrue(asked.isCanceled())
        assert.deepStrictEqual(yield* Fiber.join(fiber), Option.none())
      }
      assert.isUndefined(bob.closedWith())
    }).pipe(Effect.provide(world()))
  )

  it.effect("are forgotten with each answer, also an empty one (network 93)", () =>
    Effect.gen(function* () {
      const bob = yield* join(1, { startHeight: 100 })
      yield* fail(bob)
      yield* fail(bob)
      yield* answer(bob)
      yield* fail(bob, findHeaders)
      yield* fail(bob)
      yield* reach(2_000_000)
      yield* answer(bob, findHeaders)
      assert.isUndefined(bob.closedWith())
      yield* fail(bob)
      yield* fail(bob)
      assert.isUndefined(bob.closedWith())
      yield* fail(bob)
      assert.strictEqual(bob.closedWith()?._tag, "ClientDropped")
    }).pipe(Effect.provide(world()))
  )

  it.effect("are not empty answers, wherever the tip is (network 94)", () =>
    Effect.gen(function* () {
      const bob = yield* join(1, { startHeight: 1_000_000 })
      for (const tip of [undefined, 1_000_100, 100]) {
        if (tip !== undefined) yield* reach(tip)
        for (let i = 0; i < 4; i++) yield* answer(bob, i % 2 === 0 ? find : findHeaders)
      }
      assert.isUndefined(bob.closedWith())
    }).pipe(Effect.provide(world()))
  )

  it.effect("of an earlier connection do not count for its successor (network 96)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const old = yield* join(1, { places: 4 })
      const pending = yield* Effect.forEach([1, 2, 3, 4], () => ask(find))
      const asked = old.takeAll()
      yield* peerSet.remove(1)
      const successor = yield* join(2, { address: "127.0.0.1:1" })
      // Whatever comes late from the old one has nobody to tell.
      for (const late of asked) late.fail(new ConnectionReceiveTimeout())
      for (const fiber of pending) {
        assert.deepStrictEqual((yield* Effect.flip(Fiber.join(fiber))).reason, new ClientDropped())
      }
      yield* fail(successor)
      yield* fail(successor)
      assert.isUndefined(successor.closedWith())
      yield* fail(successor)
      assert.strictEqual(successor.closedWith()?._tag, "ClientDropped")
    }).pipe(Effect.provide(world()))
  )

  it.effect("of its successor are not forgotten when an earlier connection answers late (network 96)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      // It is closed, and does not say so yet.
      const old = { ...fakePeer({ id: 1, address: "127.0.0.1:1", places: 4 }), close: () => Effect.void }
      yield* peerSet.add(old)
      const pending = yield* Effect.forEach([1, 2, 3, 4], () => ask(find))
      yield* peerSet.remove(1)
      const successor = yield* join(2, { address: "127.0.0.1:1" })
      const [fourth, ...others] = old.takeAll()
      for (const late of others) late.fail(new ConnectionReceiveTimeout())
      for (const fiber of pending.slice(1)) yield* Fiber.await(fiber)
      assert.deepStrictEqual(yield* peerSet.peers, [successor])
      yield* fail(successor)
      yield* fail(successor)
      fourth!.answer({ _tag: "BlockHashes", hashes: [], source: undefined })
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(pending[0]!)))
      assert.isUndefined(successor.closedWith())
      yield* fail(successor)
      assert.strictEqual(successor.closedWith()?._tag, "ClientDropped")
    }).pipe(Effect.provide(world()))
  )

  it.effect("of an earlier connection do not count for its successor when they come later than that", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      // It is closed, and does not say so yet.
      const old = { ...fakePeer({ id: 1, address: "127.0.0.1:1", places: 3 }), close: () => Effect.void }
      yield* peerSet.add(old)
      const pending = yield* Effect.forEach([1, 2, 3], () => ask(find))
      yield* peerSet.remove(1)
      const successor = yield* join(2, { address: "127.0.0.1:1" })
      for (const late of old.takeAll()) late.fail(new ConnectionReceiveTimeout())
      for (const fiber of pending) yield* Fiber.await(fiber)
      assert.deepStrictEqual(yield* peerSet.peers, [successor])
    }).pipe(Effect.provide(world()))
  )

  it.effect("of an outdated peer do not count for its successor (network 132)", () =>
    Effect.gen(function* () {
      const old = yield* join(1, { version: 170_150 })
      yield* fail(old)
      yield* fail(old)
      const third = yield* ask(find)
      const asked = old.take()!
      yield* reach(mainnet.activationHeights["NU6.3"]!)
      const waiting = yield* start((yield* PeerSet).request({ _tag: "Peers" }))
      assert.strictEqual(old.closedWith()?._tag, "ClientDropped")
      asked.fail(new ConnectionReceiveTimeout())
      yield* Fiber.await(third)
      const successor = yield* join(2, { address: "127.0.0.1:1" })
      yield* Fiber.interrupt(waiting)
      yield* fail(successor)
      yield* fail(successor)
      assert.isUndefined(successor.closedWith())
    }).pipe(Effect.provide(world()))
  )

  it.effect("of a trusted peer do not end its connection (network 53)", () =>
    Effect.gen(function* () {
      yield* reach(3_000_000)
      const sidecar = yield* join(1, { inbound: true, address: "[::ffff:127.0.0.1]:1" })
      for (let i = 0; i < 4; i++) yield* fail(sidecar)
      assert.isUndefined(sidecar.closedWith())
    }).pipe(Effect.provide(world({ trusted: ["127.0.0.1"] })))
  )

  it.effect("are not silence in answer to FindBlocks while we are near the tip", () =>
    Effect.gen(function* () {
      const nowSeconds = 100_000
      yield* TestClock.adjust(Duration.seconds(nowSeconds))
      const bob = yield* join(1)
      yield* reach(3_000_000, nowSeconds - Duration.toSeconds(defaults.nearTipAge))
      for (let i = 0; i < 5; i++) yield* fail(bob)
      assert.isUndefined(bob.closedWith())
      yield* TestClock.adjust("1 second")
      for (let i = 0; i < 3; i++) yield* fail(bob)
      assert.strictEqual(bob.closedWith()?._tag, "ClientDropped")
    }).pipe(Effect.provide(world()))
  )
})

describe("broadcasts", () => {
  const advert: AdvertiseTransactionIds = { _tag: "AdvertiseTransactionIds", ids: new Set(), source: undefined }
  const push: PushTransaction = {
    _tag: "PushTransaction",
    transaction: { id: "a transaction" } as unknown as Transaction,
    source: undefined
  }

  const reached = (peers: ReadonlyArray<FakePeer>) => peers.filter((peer) => peer.takeAll().length === 1).length

  it.effect.prop(
    "reach a third of the peers, rounded up (network 57)",
    { total: Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 1, maximum: 99 }))) },
    ({ total }) =>
      Effect.gen(function* () {
        const peerSet = yield* PeerSet
        const peers = yield* joinAll(Array.from({ length: total }, () => 170_160))
        const expected = Math.ceil(total / 3)
        assert.isTrue(expected >= 1 && (total === 1 || expected < total))
        const fiber = yield* start(peerSet.request(advert))
        assert.strictEqual(peers.filter((peer) => peer.queued() === 1).length, expected)
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(peers.filter((peer) => peer.asked.length === 1).length, expected)
        // Given up before anybody took it: nobody has to send it.
        assert.strictEqual(peers.filter((peer) => peer.queued() === 1).length, 0)
      }).pipe(Effect.provide(world())),
    { arbitrary: { runs: 30 } }
  )

  it.effect.each([2, 3, 4, 5, 6, 7, 8, 9].map((total) => ({ total })))(
    "reach a third of who is left, as long as somebody is; of $total (network 58, 59)",
    ({ total }) =>
      Effect.gen(function* () {
        const peerSet = yield* PeerSet
        const peers = [...(yield* joinAll(Array.from({ length: total }, () => 170_160)))]
        for (;;) {
          const removed = peers.shift()!
          yield* peerSet.remove(removed.id)
          if (peers.length === 0) break
          yield* checkPeers(peers, 170_150)
          yield* start(peerSet.request(advert))
          assert.strictEqual(reached(peers), Math.ceil(peers.length / 3))
        }
        // Nobody is left: a broadcast waits for somebody like any other request.
        const fiber = yield* start(peerSet.request(advert))
        assert.isTrue(isPending(fiber))
        const late = yield* join(100)
        assert.strictEqual(late.queued(), 1)
      }).pipe(Effect.provide(world()))
  )

  it.effect("answer when everybody has, whether well or not", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const peers = yield* joinAll([170_190, 170_190, 170_190, 170_190])
      const fiber = yield* start(peerSet.request(advert))
      const [first, second] = peers.flatMap((peer) => peer.takeAll())
      first!.answer({ _tag: "Nil" })
      assert.isTrue(isPending(fiber))
      second!.fail(new ConnectionClosed())
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Nil" })
    }).pipe(Effect.provide(world()))
  )

  it.effect("wait for the next one when whoever was drawn only seemed to be ready, and are sent to somebody", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = yield* join(1, { places: 1 })
      // Somebody who holds the peer itself.
      yield* start(bob.request({ _tag: "Peers" }))
      const fiber = yield* start(peerSet.request(advert))
      assert.isTrue(isPending(fiber))
      bob.take()
      assert.deepStrictEqual(bob.asked, [{ _tag: "Peers" }, advert])
      bob.take()!.answer({ _tag: "Nil" })
      assert.deepStrictEqual(yield* Fiber.join(fiber), { _tag: "Nil" })
    }).pipe(Effect.provide(world()))
  )

  it.effect("reach everybody on Regtest", () =>
    Effect.gen(function* () {
      const peers = yield* joinAll([170_190, 170_190, 170_190, 170_190])
      yield* start((yield* PeerSet).request(advert))
      assert.strictEqual(reached(peers), 4)
    }).pipe(Effect.provide(world({ chain: regtest })))
  )

  // Of 59 peers a third is 20, with the trusted one or without; of 61 it is 21, and 20 of those that are not trusted.
  it.effect.each([
    { others: 58, reaches: 20 },
    { others: 60, reaches: 21 }
  ])("of transactions reach every trusted peer too, and $reaches of $others others (network 60)", (_) =>
    Effect.gen(function* () {
      const sidecar = yield* join(0, { inbound: true, address: "[::ffff:127.0.0.1]:1" })
      const peers = yield* Effect.forEach(
        Array.from({ length: _.others }, (_, index) => index + 1),
        (id) => join(id, { inbound: true, address: `10.0.0.${id}:8233`, version: 170_160 })
      )
      yield* start((yield* PeerSet).request(push))
      assert.strictEqual(sidecar.queued(), 1)
      assert.strictEqual(reached(peers), _.reaches)
    }).pipe(Effect.provide(world({ trusted: ["127.0.0.1"] })))
  )

  it.effect("of transactions reach a busy trusted peer when it is ready, the latest one only", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const sidecar = yield* join(1, { inbound: true, address: "127.0.0.1:1", places: 1 })
      const leaving = yield* join(2, { inbound: true, address: "127.0.0.1:2", places: 1 })
      for (let i = 0; i < 2; i++) yield* start(peerSet.request({ _tag: "Peers" }))
      yield* join(3, { address: "10.0.0.1:8233", places: 9 })
      const early = { ...push, source: { connection: 9, address: sidecar.transientAddress! } }
      const first = yield* start(peerSet.request(early))
      yield* start(peerSet.request(push))
      yield* leaving.close(new ConnectionClosed())
      assert.strictEqual(sidecar.take()?.request._tag, "Peers")
      const asked = sidecar.take()
      assert.strictEqual(asked?.request, push)
      // Its callers are not needed for it.
      yield* Fiber.interrupt(first)
      assert.isFalse(asked?.isCanceled())
      asked?.answer({ _tag: "Nil" })
      assert.strictEqual(sidecar.queued(), 0)
    }).pipe(Effect.provide(world({ trusted: ["127.0.0.1"] })))
  )
})

describe("waiting at the door", () => {
  it.effect("is in order, and whoever gives up makes room", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const waiting = yield* Effect.forEach([1, 2, 3, 4, 5], (byte) => start(peerSet.request(block(byte))))
      yield* Fiber.interrupt(waiting[1]!)
      yield* Fiber.interrupt(waiting[4]!)
      const bob = yield* join(1, { places: 1 })
      const order: Array<number | string> = []
      for (let asked = bob.take(); asked !== undefined; asked = bob.take()) order.push(numberOf(asked.request))
      assert.deepStrictEqual(order, [1, 3, 4])
    }).pipe(Effect.provide(world()))
  )

  it.effect("does not end with a peer that is gone before it has joined", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const waiting = yield* start(peerSet.request({ _tag: "Peers" }))
      const gone = fakePeer({ id: 1, address: "127.0.0.1:1" })
      yield* gone.close(new ConnectionClosed())
      yield* peerSet.add(gone)
      yield* TestClock.adjust(0)
      assert.isTrue(isPending(waiting))
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 0, busy: 0, inbound: 0, outbound: 0 })
      // Its address and its place in the group are free.
      const successor = yield* join(2, { address: "127.0.0.1:1" })
      assert.strictEqual(successor.take()?.request._tag, "Peers")
    }).pipe(Effect.provide(world({ policy: { connectionsPerGroup: 1 } })))
  )

  it.effect("asks for one more peer, not more than there are places for, and only while somebody waits", () =>
    Effect.gen(function* () {
      const { demand, request } = yield* PeerSet
      const bob = yield* join(1, { places: 1 })
      assert.isFalse(demand.takeUnsafe())
      yield* start(request({ _tag: "Peers" }))
      assert.isFalse(demand.takeUnsafe())
      const waiting = yield* start(request({ _tag: "Peers" }))
      assert.isTrue(demand.takeUnsafe())
      assert.isFalse(demand.takeUnsafe())
      yield* bob.close(new ConnectionClosed())
      assert.isTrue(demand.takeUnsafe())
      yield* Fiber.interrupt(waiting)
      assert.isFalse(demand.takeUnsafe())
      for (let i = 0; i < 3; i++) assert.isTrue(yield* demand.offer)
      assert.isFalse(yield* demand.offer)
    }).pipe(Effect.provide(world({ policy: { targetPeers: 1 } })))
  )

  it.effect("asks for one more peer however many wait, until something happens (network 6.17)", () =>
    Effect.gen(function* () {
      const { demand, request } = yield* PeerSet
      const signals = () => {
        let count = 0
        while (demand.takeUnsafe()) count++
        return count
      }
      const waiting = yield* Effect.forEach(Array.from({ length: 40 }), () => start(request({ _tag: "Peers" })))
      assert.strictEqual(signals(), 1)
      // The peer that came takes two of them, and the others wait on: that is the next signal.
      const bob = yield* join(1, { places: 2 })
      assert.strictEqual(signals(), 1)
      bob.takeAll()
      assert.strictEqual(bob.queued(), 2)
      yield* TestClock.adjust(0)
      assert.isAtMost(signals(), 2)
      // Whoever gives up wants nothing (those last that keep the peer busy); nor does anybody once none is left.
      yield* Fiber.interruptAll(waiting.toReversed())
      assert.strictEqual(signals(), 0)
      yield* bob.close(new ConnectionClosed())
      assert.strictEqual(signals(), 0)
      // The next one who waits is the first again.
      yield* start(request({ _tag: "Peers" }))
      assert.strictEqual(signals(), 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("asks for one more peer when one waits for somebody who serves, and one for anybody", () =>
    Effect.gen(function* () {
      const { demand, request } = yield* PeerSet
      const find = { _tag: "FindBlocks", known: [], stop: undefined } as const
      yield* join(1, { places: 1 })
      yield* join(2, { serving: false, places: 1 })
      yield* start(request(find))
      const first = yield* start(request(find))
      yield* start(request({ _tag: "Peers" }))
      assert.deepInclude(yield* (yield* PeerSet).counts, { ready: 0, busy: 2 })
      while (demand.takeUnsafe());
      const second = yield* start(request({ _tag: "Peers" }))
      assert.isTrue([first, second].every(isPending))
      assert.isTrue(demand.takeUnsafe())
    }).pipe(Effect.provide(world()))
  )

  it.effect("asks for no more peers while somebody is ready, whoever waits for somebody else", () =>
    Effect.gen(function* () {
      const { demand, request } = yield* PeerSet
      // Sam serves blocks and is busy; Nina does not, and is ready.
      const [sam, nina] = [yield* join(1, { places: 1 }), yield* join(2, { serving: false })]
      yield* start(request(block(1)))
      const waiting = [
        yield* start(request(block(2))),
        yield* start(request({ _tag: "FindBlocks", known: [], stop: undefined }))
      ]
      assert.isTrue(waiting.every(isPending))
      // Something happens: she is asked, and ready again; somebody joins; somebody leaves.
      yield* start(request({ _tag: "Peers" }))
      yield* join(3, { places: 0 })
      yield* nina.close(new ConnectionClosed())
      yield* join(4, { serving: false })
      while (demand.takeUnsafe());
      yield* join(5, { places: 0 })
      assert.isTrue(waiting.every(isPending))
      assert.isFalse(demand.takeUnsafe())
      assert.strictEqual(sam.queued(), 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("frees the peer when its caller gives up as it is asked", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = fakePeer({ id: 1, address: "127.0.0.1:1" })
      const victims: Array<Fiber.Fiber<unknown, unknown>> = []
      const hasty = {
        ...bob,
        enqueueUnsafe: <R extends Request>(request: R) => {
          const wait = bob.enqueueUnsafe(request)
          for (const victim of victims) victim.interruptUnsafe()
          return wait
        }
      }
      victims.push(yield* start(peerSet.request({ _tag: "Peers" })))
      yield* peerSet.add(hasty)
      assert.deepStrictEqual([bob.asked.length, bob.queued()], [1, 0])
      // The same for one that does not have to wait.
      const atOnce = yield* Effect.forkChild(peerSet.request({ _tag: "Peers" }))
      victims.push(atOnce)
      yield* Fiber.await(atOnce)
      assert.deepStrictEqual([bob.asked.length, bob.queued()], [2, 0])
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 1, busy: 0, inbound: 0, outbound: 1 })
    }).pipe(Effect.provide(world()))
  )

  it.effect("goes around a peer that ended or was asked by somebody else, though nobody said so yet", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const [bob, carol] = [yield* join(1, { places: 1 }), yield* join(2, { load: 60e9 })]
      // Somebody who holds the peer itself. Bob is the less loaded all the same.
      yield* start(bob.request({ _tag: "Peers" }))
      for (let i = 0; i < 2; i++) yield* start(peerSet.request({ _tag: "MempoolTransactionIds" }))
      assert.deepStrictEqual([bob.queued(), carol.queued()], [1, 2])
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 0, busy: 2, inbound: 0, outbound: 2 })
    }).pipe(
      Effect.provide(world()),
      // Load alone decides, and chance has no share in it.
      Effect.provideService(PeerSelection, { make: () => twoAtRandom })
    )
  )
})

describe("the number of peers", () => {
  it.effect("can be waited for", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const two = yield* start(peerSet.awaitPeers({ peers: 2 }))
      yield* join(1, { inbound: true, places: 0 })
      assert.isTrue(isPending(two))
      yield* join(2)
      yield* Fiber.join(two)
      yield* peerSet.awaitPeers({ peers: 2 })
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 1, busy: 1, inbound: 1, outbound: 1 })
    }).pipe(Effect.provide(world()))
  )
})

describe("the end of the network", () => {
  /** Breaks what it is given when the network ends, before the peer set is told of the end. */
  const breaks = (broken: ReadonlyArray<Effect.Effect<void>>) =>
    Layer.effectDiscard(
      Effect.flatMap(BackgroundTasks, (tasks) =>
        tasks.onEnd(() => {
          for (const effect of broken) Effect.runSync(effect)
        })
      )
    )

  it.effect("is what a request hears of, although its connection broke before the peer set was told", () => {
    const bob = fakePeer({ id: 1, address: "127.0.0.1:1" })
    return Effect.gen(function* () {
      const peerSet = yield* PeerSet
      yield* peerSet.add(bob)
      const one = yield* start(peerSet.request({ _tag: "Peers" }))
      const all = yield* start(peerSet.request({ _tag: "AdvertiseTransactionIds", ids: new Set(), source: undefined }))
      const end = new NetworkClosed()
      yield* (yield* BackgroundTasks).end(end)
      for (const fiber of [one, all]) {
        assert.deepStrictEqual(
          yield* Fiber.await<unknown, RequestError>(fiber),
          Exit.fail(new RequestError({ reason: end }))
        )
      }
    }).pipe(Effect.provide(world({ below: breaks([bob.close(new ClientDropped())]) })))
  })

  it.effect("may come before the peer set is there", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      assert.strictEqual((yield* Effect.flip(peerSet.request({ _tag: "Peers" }))).reason._tag, "NetworkClosed")
      assert.strictEqual(yield* refusalOf(fakePeer({ id: 1, address: "127.0.0.1:1" })), "Ended")
      assert.isFalse(yield* peerSet.demand.offer)
      assert.strictEqual((yield* Effect.flip(peerSet.awaitPeers({ peers: 0 })))._tag, "NetworkClosed")
    }).pipe(
      Effect.provide(
        world({
          below: Layer.effectDiscard(Effect.flatMap(BackgroundTasks, (tasks) => tasks.end(new NetworkClosed())))
        })
      )
    )
  )
})

describe("the end of the scope", () => {
  it.effect("ends the peer set, its peers and its requests (network 138, 140, 141)", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const peerSet = Context.get(yield* Layer.buildWithScope(world(), scope), PeerSet)
      const bob = fakePeer({ id: 1, address: "127.0.0.1:1", places: 1 })
      yield* peerSet.add(bob)
      const answered = yield* start(peerSet.request({ _tag: "Peers" }))
      bob.take()!.answer({ _tag: "Peers", addresses: [] })
      assert.deepStrictEqual(yield* Fiber.join(answered), { _tag: "Peers", addresses: [] })
      const given = yield* start(peerSet.request({ _tag: "Peers" }))
      yield* Fiber.interrupt(given)
      const running = yield* start(peerSet.request({ _tag: "Peers" }))
      const waiting = yield* start(peerSet.request({ _tag: "Peers" }))
      const watching = yield* start(peerSet.awaitPeers({ peers: 2 }))
      yield* Scope.close(scope, Exit.void)
      for (const fiber of [running, waiting]) {
        assert.deepStrictEqual((yield* Effect.flip(Fiber.join(fiber))).reason, new NetworkClosed())
      }
      assert.deepStrictEqual(yield* Effect.flip(Fiber.join(watching)), new NetworkClosed())
      assert.strictEqual(bob.closedWith()?._tag, "ClientDropped")
      assert.deepStrictEqual((yield* Effect.flip(peerSet.request({ _tag: "Peers" }))).reason, new NetworkClosed())
      const late = peerSet.add(fakePeer({ id: 2, address: "127.0.0.1:2" }))
      assert.strictEqual((yield* Effect.flip(late)).reason, "Ended")
    })
  )

  it.effect("ends a crawler whose question was heard (network 139, dropping_network_buffer_stops_crawler)", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const layer = Crawler.layer.pipe(
        Layer.provideMerge(world()),
        Layer.provide([AddressBook.layerReference, NetworkEvents.layer]),
        Layer.provide([BanList.layer, OwnAddress.layerNone, Layer.succeed(ChainParams, mainnet)]),
        Layer.provide(BackgroundTasks.layer)
      )
      const owned = yield* Layer.buildWithScope(layer, scope)
      const bob = yield* Effect.provide(join(1), owned)
      const crawling = yield* start(Context.get(owned, Crawler).crawlOnce(1))
      yield* TestClock.adjust(0)
      const asked = bob.take()
      assert.strictEqual(asked?.request._tag, "Peers")
      assert.isTrue(isPending(crawling))
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual(yield* Effect.flip(Fiber.join(crawling)), new NetworkClosed())
      assert.strictEqual(bob.closedWith()?._tag, "ClientDropped")
    })
  )
})

describe("what the operator sees", () => {
  const find = { _tag: "FindBlocks", known: [], stop: undefined } as const

  /** Every metric that is not zero: `name{labels}` and its value. */
  const metrics = Effect.map(Metric.snapshot, (snapshot) =>
    Object.fromEntries(
      snapshot.flatMap((metric) => {
        const value = metric.type === "Counter" ? metric.state.count : metric.type === "Gauge" ? metric.state.value : 0
        return value === 0 ? [] : [[`${metric.id} ${Object.values(metric.attributes ?? {}).join(" ")}`, value]]
      })
    )
  )

  it.effect("counts peers, queued finds and blocks, fallbacks and refusals by their names", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const registry = yield* InventoryRegistry
      const sam = yield* join(1, { places: 1 })
      yield* join(2, { serving: false, places: 30 })
      assert.deepStrictEqual(yield* metrics, { "pool.num_ready mainnet": 2, "zcash.net.peers mainnet": 2 })
      yield* start(peerSet.request(block(1)))
      yield* start(peerSet.request(block(2)))
      for (let i = 0; i < 17; i++) yield* start(peerSet.request(find))
      yield* registry.register(1, "missing", [{ _tag: "Block", hash: blockHash(3) }])
      yield* registry.register(2, "missing", [{ _tag: "Block", hash: blockHash(3) }])
      yield* Effect.exit(peerSet.request(block(3)))
      yield* TestClock.adjust("1600 millis")
      assert.deepStrictEqual(yield* metrics, {
        "pool.num_ready mainnet": 1,
        "pool.num_unready mainnet": 1,
        "zcash.net.peers mainnet": 2,
        "zcash.net.peer_set.find_queued mainnet": 16,
        "zcash.net.peer_set.find_fallback mainnet queue_full": 1,
        "zcash.net.peer_set.find_fallback mainnet expired": 16,
        "zcash.net.peer_set.inventory_queued mainnet": 1,
        "zcash.net.peer_set.inventory_refusal mainnet instant": 1,
        "zcash.net.peer_set.inventory_refusal mainnet waited": 1
      })
      yield* sam.close(new ConnectionClosed())
      yield* start(peerSet.request(find))
      const alone = yield* metrics
      assert.strictEqual(alone["zcash.net.peer_set.find_fallback mainnet no_serving_peer"], 1)
      yield* (yield* BackgroundTasks).end(new NetworkClosed())
      const ended = yield* metrics
      assert.isUndefined(ended["zcash.net.peers mainnet"])
    }).pipe(Effect.provide(world()), Effect.provideService(Metric.MetricRegistry, new Map()))
  )
})
