/** Who hears of a new block, and who is told when somebody did not. The peers are scripted. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { mainnet, regtest } from "../../src/chain/ChainParams.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import { BackgroundTasks, NetworkClosed, NodeOutdated } from "../../src/BackgroundTasks.ts"
import { AdvertError, AdvertIncomplete, BlockAdvertiser, NoEligiblePeers } from "../../src/network/BlockAdvertiser.ts"
import { PeerSet } from "../../src/network/PeerSet.ts"
import { AdvertNotDelivered, ClientDropped, ConnectionClosed } from "../../src/peer/Peer.ts"
import { fakePeer, type FakePeer } from "../support/fakePeer.ts"
import {
  block,
  blockHash,
  isPending,
  join,
  reach,
  refusalOf,
  start,
  world,
  type WorldOptions
} from "../support/peerSetWorld.ts"

const hash = blockHash(10)

const layer = (options?: WorldOptions) => BlockAdvertiser.layer.pipe(Layer.provideMerge(world(options)))

const advertise = Effect.flatMap(BlockAdvertiser, (advertiser) => start(advertiser.advertise(hash)))
const advertiseToAll = Effect.flatMap(BlockAdvertiser, (advertiser) => start(advertiser.advertiseToAll(hash)))

const acknowledge = (...peers: ReadonlyArray<FakePeer>) => {
  for (const peer of peers) for (const advert of peer.adverts.slice()) advert.acknowledge()
}

const closed = new AdvertError({ reason: new NetworkClosed() })

/** The error a caller failed with. */
const failureOf = <A, E>(fiber: Fiber.Fiber<A, E>) => Effect.flip(Fiber.join(fiber))

/** Fills its slot. */
const keepBusy = (peer: FakePeer) =>
  Effect.gen(function* () {
    const peerSet = yield* PeerSet
    while (peer.readiness() === "Ready") yield* start(peerSet.request({ _tag: "Peers" }))
  })

describe("BlockAdvertiser", () => {
  it.effect("reaches a busy peer, and is done when everybody wrote it (network 79)", () =>
    Effect.gen(function* () {
      const busy = yield* join(1)
      yield* keepBusy(busy)
      const ready = yield* join(2)
      const advert = yield* advertiseToAll
      assert.deepStrictEqual([busy.advertised, ready.advertised], [[hash], [hash]])
      acknowledge(busy)
      assert.isTrue(isPending(advert))
      acknowledge(ready)
      assert.deepStrictEqual((yield* Fiber.join(advert)).toSorted(), [1, 2])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("does not wait behind a request at the door (network 80)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const peers = [yield* join(1), yield* join(2)]
      for (let i = 0; i < 4; i++) yield* start(peerSet.request({ _tag: "MempoolTransactionIds" }))
      assert.deepStrictEqual(yield* peerSet.counts, { ready: 0, busy: 2, inbound: 0, outbound: 2 })
      const waiting = yield* start(peerSet.request({ _tag: "Peers" }))
      const advert = yield* advertiseToAll
      acknowledge(...peers)
      assert.deepStrictEqual((yield* Fiber.join(advert)).toSorted(), [1, 2])
      assert.isTrue(isPending(waiting))
    }).pipe(Effect.provide(layer()))
  )

  it.effect("reaches whoever joined just before, with nothing else going on (network 81 to 84)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const first = yield* join(1, { inbound: true, places: 1 })
      yield* start(peerSet.request({ _tag: "Peers" }))
      const second = yield* join(2, { inbound: true })
      for (let id = 100; id < 300; id++) yield* peerSet.remove(id)
      const callers = [yield* advertise, yield* advertiseToAll, yield* advertise]
      const fourth = yield* advertise
      assert.deepStrictEqual([first.adverts.length, second.adverts.length], [3, 3])
      yield* Fiber.interrupt(callers[0]!)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([first.adverts.length, second.adverts.length], [3, 3])
      acknowledge(first, second)
      for (const caller of [callers[1]!, callers[2]!, fourth]) {
        assert.deepStrictEqual((yield* Fiber.join(caller)).toSorted(), [1, 2])
      }
    }).pipe(Effect.provide(layer({ trusted: ["127.0.0.1"] })))
  )

  it.effect("does without any request, and does not keep the network alive (network 85)", () =>
    Effect.gen(function* () {
      const advertiser = yield* BlockAdvertiser
      const bob = yield* join(1)
      const advert = yield* advertise
      acknowledge(bob)
      assert.deepStrictEqual(yield* Fiber.join(advert), [1])
      const pending = yield* advertise
      yield* (yield* BackgroundTasks).end(new NetworkClosed())
      assert.deepStrictEqual(yield* failureOf(pending), closed)
      assert.deepStrictEqual(yield* Effect.flip(advertiser.advertise(hash)), closed)
      assert.deepStrictEqual(yield* Effect.flip(advertiser.advertiseToAll(hash)), closed)
      assert.strictEqual(bob.closedWith()?._tag, "ClientDropped")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("waits for the first peer as long as its caller does (network 86)", () =>
    Effect.gen(function* () {
      const advert = yield* advertise
      yield* TestClock.adjust("40 seconds")
      assert.isTrue(isPending(advert))
      acknowledge(yield* join(1))
      assert.deepStrictEqual(yield* Fiber.join(advert), [1])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("waits for the first peer or the end of the network (network 86)", () =>
    Effect.gen(function* () {
      const advert = yield* advertise
      yield* (yield* BackgroundTasks).end(new NetworkClosed())
      assert.deepStrictEqual(yield* failureOf(advert), closed)
    }).pipe(Effect.provide(layer()))
  )

  it("that fails says why, in the words of its reason where that has some", () => {
    const reason = new NodeOutdated({ ourVersion: 1, requiredVersion: 2, height: 3 })
    assert.match(new AdvertError({ reason }).message, /^NodeOutdated: .*version 1, but the chain demands 2/)
    assert.strictEqual(closed.message, "NetworkClosed")
  })

  it.effect.each([{ address: "127.0.0.1:1" }, { address: "127.0.0.1:2" }])(
    "does not reach a connection that was refused, at $address (network 88)",
    ({ address }) =>
      Effect.gen(function* () {
        const bob = yield* join(1)
        const before = yield* advertiseToAll
        const refused = fakePeer({ id: 2, address })
        assert.isDefined(yield* refusalOf(refused))
        const after = yield* advertiseToAll
        acknowledge(bob)
        assert.deepStrictEqual([yield* Fiber.join(before), yield* Fiber.join(after)], [[1], [1]])
        assert.deepStrictEqual([refused.advertised, refused.asked], [[], []])
        assert.strictEqual(refused.closedWith()?._tag, "ClientDropped")
      }).pipe(Effect.provide(layer({ policy: { connectionsPerGroup: 1 } })))
  )

  it.effect("has three callers write at the same time; one that gives up lets the next go on (network 89)", () =>
    Effect.gen(function* () {
      const bob = yield* join(1)
      const callers = [yield* advertise, yield* advertiseToAll, yield* advertise]
      const fourth = yield* advertiseToAll
      assert.strictEqual(bob.advertised.length, 3)
      yield* Fiber.interrupt(callers[1]!)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(bob.advertised.length, 4)
      assert.isTrue(isPending(fourth))
    }).pipe(Effect.provide(layer()))
  )

  it.effect("does not reach busy peers that became outdated, which are closed (network 90)", () =>
    Effect.gen(function* () {
      const [old, recent] = [yield* join(1, { version: 170_150 }), yield* join(2, { version: 170_160 })]
      yield* reach(mainnet.activationHeights["NU6.2"]!)
      yield* (yield* PeerSet).request(block(1)).pipe(start)
      const before = yield* advertiseToAll
      acknowledge(old, recent)
      assert.deepStrictEqual((yield* Fiber.join(before)).toSorted(), [1, 2])
      yield* reach(mainnet.activationHeights["NU6.3"]!)
      const after = yield* advertiseToAll
      acknowledge(recent)
      assert.deepStrictEqual(yield* Fiber.join(after), [2])
      assert.strictEqual(old.closedWith()?._tag, "ClientDropped")
      assert.strictEqual(old.advertised.length, 1)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("does not reach a peer that has just been banned, which is closed (network 90)", () =>
    Effect.gen(function* () {
      const [mallory, carol] = [yield* join(1), yield* join(2, { address: "127.0.0.2:2" })]
      yield* (yield* BanList).add({ address: mallory.transientAddress!, reason: "x" })
      const advert = yield* advertiseToAll
      acknowledge(mallory, carol)
      assert.deepStrictEqual(yield* Fiber.join(advert), [2])
      assert.deepStrictEqual(mallory.advertised, [])
      assert.strictEqual(mallory.closedWith()?._tag, "ClientDropped")
    }).pipe(Effect.provide(layer()))
  )

  it.effect("waits for somebody else when the only peer there is has to go first", () =>
    Effect.gen(function* () {
      const old = yield* join(1, { version: 170_150 })
      yield* reach(mainnet.activationHeights["NU6.3"]!)
      // The tip has moved, and nobody has looked at the peers since.
      const advert = yield* advertise
      assert.isTrue(isPending(advert))
      assert.deepStrictEqual(old.advertised, [])
      acknowledge(yield* join(2))
      assert.deepStrictEqual(yield* Fiber.join(advert), [2])
    }).pipe(Effect.provide(layer({ quiet: true })))
  )

  it.effect("fails when the last peer goes just when somebody is let in, and nothing is sent (network 90)", () =>
    Effect.gen(function* () {
      const bob = fakePeer({ id: 1, address: "127.0.0.1:1" })
      yield* (yield* PeerSet).add({ ...bob, onClosed: () => undefined })
      yield* bob.close(new ConnectionClosed())
      const error = yield* Effect.flip((yield* BlockAdvertiser).advertise(hash))
      assert.deepStrictEqual(error, new AdvertError({ reason: new NoEligiblePeers() }))
      assert.deepStrictEqual(bob.advertised, [])
    }).pipe(Effect.provide(layer()))
  )

  // Of 59 peers a third is 20, with the trusted one or without; of 61 it is 21, and 20 of those that are not trusted.
  it.effect.each([
    { others: 58, reaches: 20 },
    { others: 60, reaches: 21 }
  ])("goes to every trusted peer, and to $reaches of $others others (network 54, 60)", (_) =>
    Effect.gen(function* () {
      const peers: Array<FakePeer> = []
      for (let id = 1; id <= _.others; id++) {
        peers.push(yield* join(id, { inbound: true, address: `10.0.0.${id}:8233` }))
      }
      const sidecar = yield* join(0, { inbound: true, address: "[::ffff:127.0.0.1]:1" })
      // An unanswered request makes no difference.
      yield* keepBusy(sidecar)
      const advert = yield* advertise
      assert.deepStrictEqual(sidecar.advertised, [hash])
      assert.strictEqual(peers.filter((peer) => peer.advertised.length === 1).length, _.reaches)
      acknowledge(sidecar, ...peers)
      assert.strictEqual((yield* Fiber.join(advert)).length, 1 + _.reaches)
    }).pipe(Effect.provide(layer({ trusted: ["127.0.0.1"] })))
  )

  it.effect("goes to a third of all peers, those that are busy too", () =>
    Effect.gen(function* () {
      const peers: Array<FakePeer> = []
      for (let id = 1; id <= 9; id++) peers.push(yield* join(id, { places: id <= 6 ? 0 : 2 }))
      const advert = yield* advertise
      assert.strictEqual(peers.filter((peer) => peer.advertised.length === 1).length, 3)
      acknowledge(...peers)
      assert.strictEqual((yield* Fiber.join(advert)).length, 3)
    }).pipe(Effect.provide(layer()))
  )

  it.effect("does not count on a connection that has just ended, though nobody said so yet", () =>
    Effect.gen(function* () {
      const bob = fakePeer({ id: 1, address: "127.0.0.1:1" })
      yield* (yield* PeerSet).add({ ...bob, onClosed: () => undefined })
      const carol = yield* join(2)
      yield* bob.close(new ConnectionClosed())
      const advert = yield* advertiseToAll
      acknowledge(carol)
      assert.deepStrictEqual(yield* Fiber.join(advert), [2])
    }).pipe(Effect.provide(layer()))
  )

  it.effect("goes to all peers on Regtest", () =>
    Effect.gen(function* () {
      const peers = [yield* join(1), yield* join(2), yield* join(3), yield* join(4)]
      const advert = yield* advertise
      acknowledge(...peers)
      assert.strictEqual((yield* Fiber.join(advert)).length, 4)
    }).pipe(Effect.provide(layer({ chain: regtest })))
  )

  it.effect("says who wrote it and who did not", () =>
    Effect.gen(function* () {
      const [full, leaving, well] = [yield* join(1), yield* join(2), yield* join(3)]
      // Four adverts of somebody else wait on the first connection.
      for (let i = 0; i < 4; i++) yield* start(full.advertiseBlock(blockHash(i)))
      const advert = yield* advertiseToAll
      yield* leaving.close(new ConnectionClosed())
      acknowledge(well)
      assert.deepStrictEqual(
        yield* failureOf(advert),
        new AdvertError({
          reason: new AdvertIncomplete({
            hash,
            written: [3],
            failed: [
              { connection: 1, error: new AdvertNotDelivered({ reason: "queueFull" }) },
              { connection: 2, error: new ConnectionClosed() }
            ]
          })
        })
      )
    }).pipe(Effect.provide(layer()))
  )

  it.effect("goes on without a peer that was let go while it wrote (advisory P14)", () =>
    Effect.gen(function* () {
      const [bob, carol] = [yield* join(1), yield* join(2)]
      const advert = yield* advertiseToAll
      yield* (yield* PeerSet).remove(1)
      acknowledge(carol)
      assert.deepStrictEqual(
        yield* failureOf(advert),
        new AdvertError({
          reason: new AdvertIncomplete({ hash, written: [2], failed: [{ connection: 1, error: new ClientDropped() }] })
        })
      )
      assert.strictEqual(bob.closedWith()?._tag, "ClientDropped")
    }).pipe(Effect.provide(layer()))
  )
})
