/**
 * Which peer is asked, and what waits for one. The peers are scripted.
 *
 * Mostly with two: Sam serves blocks, Nina does not. "Busy" is a peer whose two places are taken, "freed" when it took
 * both requests out. Nothing else is asked after the event a test is about, so nothing but the event can move things.
 */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Fiber, Layer, Schema } from "effect"
import { TestClock } from "effect/testing"
import { BanList } from "../../src/addresses/BanList.ts"
import { mainnet } from "../../src/chain/ChainParams.ts"
import { isWitnessed } from "../../src/chain/Hash.ts"
import { InventoryRegistry } from "../../src/routing/InventoryRegistry.ts"
import { NotFoundRegistry, PeerSet, RequestError } from "../../src/network/PeerSet.ts"
import { ConnectionClosed, ConnectionReceiveTimeout, NotFoundResponse } from "../../src/peer/Peer.ts"
import type { BlockDownload, Request, Response } from "../../src/peer/Request.ts"
import { defaults } from "../../src/Policy.ts"
import type { InventoryItem } from "../../src/wire/Message.ts"
import { txId, wtxId } from "../peer/items.ts"
import { type Asked, fakePeer, type FakePeer } from "../support/fakePeer.ts"
import { seriesOf, withMetrics } from "../support/metrics.ts"
import { naiveOutcome } from "../support/naiveRouting.ts"
import { block, blockHash, isPending, join, numberOf, reach, start, world } from "../support/peerSetWorld.ts"

/** How long a single block waits for a busy peer, and a find for one that serves. */
const patience = defaults.busyPeerWait
const part = (share: number) => Duration.times(patience, share)
const justAfter = Duration.sum(patience, Duration.millis(1))

const ask = (request: Request) => Effect.flatMap(PeerSet, (peerSet) => start(peerSet.request(request)))

const sam = join(1)
const nina = join(2, { serving: false })

/** Fills both places of the peer that is asked first. */
const fill = (peer: FakePeer) =>
  Effect.gen(function* () {
    const first = yield* ask(block(1))
    const second = yield* ask(block(9))
    assert.strictEqual(peer.queued(), 2)
    return [first, second] as const
  })

const find: Request = { _tag: "FindBlocks", known: [], stop: undefined }
const findHeaders: Request = { _tag: "FindHeaders", known: [], stop: undefined }
const noHashes: Response = { _tag: "BlockHashes", hashes: [], source: undefined }
const noBlocks: Response = { _tag: "Blocks", items: [] }

const numbers = (peer: FakePeer) => peer.takeAll().map(({ request }) => numberOf(request))

const item = (byte: number) => ({ _tag: "Block", hash: blockHash(byte) }) as const

const advertise = (id: number, ...bytes: ReadonlyArray<number>) =>
  Effect.flatMap(InventoryRegistry, (registry) => registry.register(id, "available", bytes.map(item)))

const lacks = (id: number, ...bytes: ReadonlyArray<number>) =>
  Effect.flatMap(InventoryRegistry, (registry) => registry.register(id, "missing", bytes.map(item)))

const nobody: ReadonlySet<number> = new Set()

const recordOf = (byte: number) => Effect.map(InventoryRegistry, (registry) => registry.record(item(byte)))

const notFound = (byte: number) =>
  Exit.fail(new RequestError({ reason: new NotFoundRegistry({ hashes: [item(byte)] }) }))

const answer = (fiber: Fiber.Fiber<Response, RequestError>) => Effect.sync(() => fiber.pollUnsafe())

/** Time goes on and timers do not. */
const lateBy =
  (lag: { readonly nanos: bigint }) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    Effect.flatMap(Clock.Clock, (clock) =>
      Effect.provideService(effect, Clock.Clock, {
        ...clock,
        sleep: (duration) => clock.sleep(duration),
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + lag.nanos
      })
    )

/** Asks for a block and lets whoever is asked fail it. */
const failAt = (peer: FakePeer, byte: number) =>
  Effect.gen(function* () {
    const fiber = yield* ask(block(byte))
    peer.take()!.fail(new ConnectionReceiveTimeout())
    assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
  })

describe("a single block or transaction", () => {
  it.effect("goes to exactly one peer while nothing is known of it (network 43)", () =>
    Effect.gen(function* () {
      const peers = [yield* join(1), yield* join(2)]
      yield* ask(block(0))
      assert.deepStrictEqual(peers.map((peer) => peer.asked.length).sort(), [0, 1])
    }).pipe(Effect.provide(world()))
  )

  it.effect.each([{ advertiser: 1 }, { advertiser: 2 }])("goes to its advertiser, $advertiser (network 46)", (_) =>
    Effect.gen(function* () {
      const peers = [yield* join(1), yield* join(2)]
      yield* advertise(_.advertiser, 0)
      yield* ask(block(0))
      assert.deepStrictEqual(
        peers.filter((peer) => peer.asked.length === 1).map(({ id }) => id),
        [_.advertiser]
      )
    }).pipe(Effect.provide(world()))
  )

  it.effect("goes to who has the transaction, among those that its caller does not exclude", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const peers = [yield* join(1, { places: 99 }), yield* join(2, { places: 99 }), yield* join(3, { places: 99 })]
      const registry = yield* InventoryRegistry
      for (let n = 0; n < 16; n++) {
        for (const id of [txId(n), wtxId(n)]) {
          const item: InventoryItem = isWitnessed(id) ? { _tag: "Wtx", id } : { _tag: "Tx", id }
          for (const peer of [1, 2]) yield* registry.register(peer, "available", [item])
          yield* start(peerSet.request({ _tag: "TransactionsById", ids: new Set([id]) }, { exclude: new Set([1]) }))
        }
      }
      assert.deepStrictEqual(
        peers.map(({ asked }) => asked.length),
        [0, 32, 0]
      )
    }).pipe(Effect.provide(world()))
  )

  it.effect.each([{ missing: 1 }, { missing: 2 }])("goes around the peer that lacks it, $missing (network 47)", (_) =>
    Effect.gen(function* () {
      const peers = [yield* join(1), yield* join(2)]
      // Otherwise one of them would go to it by chance.
      for (let n = 0; n < 16; n++) {
        yield* lacks(_.missing, n)
        yield* ask(block(n))
      }
      assert.deepStrictEqual(
        peers.filter((peer) => peer.asked.length === 0).map(({ id }) => id),
        [_.missing]
      )
    }).pipe(Effect.provide(world()))
  )

  it.effect("is refused without asking when every peer lacks it (network 48)", () =>
    Effect.gen(function* () {
      const bob = yield* join(1)
      yield* lacks(1, 0)
      const fiber = yield* ask(block(0))
      assert.deepStrictEqual(yield* Fiber.await(fiber), notFound(0))
      assert.deepStrictEqual(bob.asked, [])
      // The refusal itself is no evidence: the record is what the peer said, and ends with it.
      assert.deepStrictEqual((yield* recordOf(0)).missing, new Set([1]))
      yield* TestClock.adjust(Duration.times(defaults.inventoryRotation, 2))
      assert.deepStrictEqual((yield* recordOf(0)).missing, new Set())
    }).pipe(Effect.provide(world()))
  )

  it.effect.each([{ order: "first" }, { order: "last" }])(
    "prefers the peer that serves, joined $order (network 106)",
    (_) =>
      Effect.gen(function* () {
        const peers = _.order === "first" ? [yield* sam, yield* nina] : [yield* nina, yield* sam]
        yield* ask(block(2))
        assert.deepStrictEqual(
          peers.filter((peer) => peer.asked.length === 1).map(({ id }) => id),
          [1]
        )
      }).pipe(Effect.provide(world()))
  )

  it.effect("waits for a busy peer that serves, in order (network 107)", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* fill(s)
      const two = yield* ask(block(2))
      const three = yield* ask(block(3))
      assert.deepStrictEqual(n.asked, [])
      s.takeAll()
      const [second, third] = [s.take(), s.take()]
      assert.deepStrictEqual(
        [second, third].map((asked) => numberOf(asked!.request)),
        [2, 3]
      )
      second!.answer(noBlocks)
      assert.deepStrictEqual(yield* Fiber.join(two), noBlocks)
      third!.answer(noBlocks)
      assert.deepStrictEqual(yield* Fiber.join(three), noBlocks)
      assert.deepStrictEqual(n.asked, [])
    }).pipe(Effect.provide(world()))
  )

  it.effect("is refused when the busy peer is not free in time, and not sent after that (network 108, 109)", () =>
    Effect.gen(function* () {
      const [s] = [yield* sam, yield* nina]
      yield* fill(s)
      const two = yield* ask(block(2))
      yield* TestClock.adjust(part(1 / 2))
      assert.isTrue(isPending(two))
      yield* TestClock.adjust(part(1 / 2))
      assert.deepStrictEqual(yield* Fiber.await(two), notFound(2))
      assert.deepStrictEqual(numbers(s), [1, 9])
      assert.strictEqual(s.queued(), 0)
    }).pipe(Effect.provide(world()))
  )

  it.effect("is never sent after its time, however late its timer is (network 6.10)", () => {
    const lag = { nanos: 0n }
    return Effect.gen(function* () {
      const [s] = [yield* sam, yield* nina]
      yield* fill(s)
      const [two, download] = [
        yield* ask(block(2)),
        yield* ask({ _tag: "BlockDownload", hash: blockHash(3), advertiser: undefined })
      ]
      // The time of one is over and no timer has rung yet when the peer is free. The other's caller bounds itself.
      lag.nanos = 1_500_000_000n
      s.takeAll()
      assert.deepStrictEqual(numbers(s), [3])
      assert.isTrue(isPending(download))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(yield* answer(two), notFound(2))
    }).pipe(Effect.provide(world()), lateBy(lag))
  })

  it.effect("that was refused is no mark against anybody, so another try may work", () =>
    Effect.gen(function* () {
      const [s] = [yield* sam, yield* nina]
      yield* fill(s)
      const two = yield* ask(block(2))
      yield* TestClock.adjust(justAfter)
      assert.deepStrictEqual(yield* Fiber.await(two), notFound(2))
      assert.deepStrictEqual(yield* recordOf(2), { advertised: nobody, missing: nobody, failed: nobody })
      s.takeAll()
      yield* ask(block(2))
      assert.deepStrictEqual(numbers(s), [2])
    }).pipe(Effect.provide(world()))
  )

  it.effect("goes to a peer that does not serve while its advertiser is busy (network 110)", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* fill(s)
      yield* advertise(1, 2)
      yield* ask(block(2))
      assert.deepStrictEqual(numbers(n), [2])
    }).pipe(Effect.provide(world()))
  )

  it.effect("waits although somebody who is not connected advertised it (network 111)", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* fill(s)
      yield* advertise(77, 2)
      const two = yield* ask(block(2))
      assert.isTrue(isPending(two))
      assert.deepStrictEqual(n.asked, [])
    }).pipe(Effect.provide(world()))
  )

  it.effect("goes to peers that do not serve when there are no others (network 112)", () =>
    Effect.gen(function* () {
      const peers = [yield* nina, yield* join(3, { serving: false })]
      for (const byte of [1, 2, 3, 4]) yield* ask(block(byte))
      assert.deepStrictEqual(peers.flatMap(numbers).sort(), [1, 2, 3, 4])
    }).pipe(Effect.provide(world()))
  )

  it.effect("waits for a busy peer that does not serve only if somebody advertised it (network 113)", () =>
    Effect.gen(function* () {
      const [, n] = [yield* sam, yield* nina]
      yield* lacks(1, 1, 9, 2, 3)
      yield* fill(n)
      const two = yield* ask(block(2))
      yield* TestClock.adjust(part(1 / 2))
      assert.deepStrictEqual(yield* answer(two), notFound(2))
      yield* advertise(2, 3)
      const three = yield* ask(block(3))
      yield* TestClock.adjust(part(1 / 2))
      assert.isTrue(isPending(three))
      yield* TestClock.adjust(part(1 / 2))
      assert.deepStrictEqual(yield* answer(three), notFound(3))
    }).pipe(Effect.provide(world()))
  )

  it.effect("is refused at once when even the busy peer lacks it (network 114)", () =>
    Effect.gen(function* () {
      const [s] = [yield* sam, yield* nina]
      yield* fill(s)
      yield* lacks(1, 2)
      yield* lacks(2, 2)
      const two = yield* ask(block(2))
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(yield* answer(two), notFound(2))
    }).pipe(Effect.provide(world()))
  )

  it.effect("of a transaction is refused at once while the only other peer is busy (network 115)", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* fill(s)
      const id = "ab".repeat(32) as never
      yield* (yield* InventoryRegistry).register(2, "missing", [{ _tag: "Tx", id }])
      const fiber = yield* ask({ _tag: "TransactionsById", ids: new Set([id]) })
      yield* TestClock.adjust(0)
      assert.deepStrictEqual(
        yield* answer(fiber),
        Exit.fail(new RequestError({ reason: new NotFoundRegistry({ hashes: [{ _tag: "Tx", id }] }) }))
      )
      assert.deepStrictEqual(n.asked, [])
    }).pipe(Effect.provide(world()))
  )

  it.effect("avoids who failed to deliver it, for this block alone (network 116)", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* failAt(s, 2)
      yield* ask(block(2))
      assert.deepStrictEqual(numbers(n), [2])
      yield* ask(block(3))
      assert.deepStrictEqual(numbers(s), [3])
    }).pipe(Effect.provide(world()))
  )

  it.effect("goes to who failed to deliver it as a last resort (network 117)", () =>
    Effect.gen(function* () {
      const s = yield* sam
      yield* failAt(s, 2)
      yield* ask(block(2))
      assert.deepStrictEqual(numbers(s), [2])
    }).pipe(Effect.provide(world()))
  )

  it.effect.each([{ serving: true }, { serving: false }])(
    "waits for a busy peer that failed, as a last resort (network 118, 119; serving: $serving)",
    ({ serving }) =>
      Effect.gen(function* () {
        const [first, other] = [yield* join(1, { serving }), yield* nina]
        yield* lacks(2, 2, 1, 9)
        yield* failAt(first, 2)
        yield* fill(first)
        const two = yield* ask(block(2))
        assert.isTrue(isPending(two))
        first.take()
        first.take()
        assert.deepStrictEqual(numbers(first), [2])
        assert.deepStrictEqual(other.asked, [])
      }).pipe(Effect.provide(world()))
  )

  it.effect("leaves the next free peer to the request at the door (network 120)", () =>
    Effect.gen(function* () {
      const [first, second] = [yield* join(1), yield* join(2)]
      yield* lacks(2, 1, 9, 2, 3, 4)
      yield* fill(first)
      yield* ask({ _tag: "Peers" })
      yield* ask({ _tag: "Peers" })
      assert.strictEqual(second.queued(), 2)
      // Nobody is ready: to stand in the queue they have to be let in first.
      second.take()
      for (const byte of [2, 3, 4]) yield* ask(block(byte))
      yield* ask({ _tag: "MempoolTransactionIds" })
      assert.strictEqual(second.queued(), 2)
      yield* ask(find)
      const order: Array<number | string> = []
      for (let asked = first.take(); asked !== undefined; asked = first.take()) order.push(numberOf(asked.request))
      assert.deepStrictEqual(order, [1, 9, 2, "FindBlocks", 3, 4])
    }).pipe(Effect.provide(world()))
  )

  it.effect("gets the peer that was kept for the door when what was let in does not use it (network 121)", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      // Nina is ready, so blocks 2 and 3 are let in and wait for Sam; then she is busy too.
      yield* fill(s)
      const [two, three] = [yield* ask(block(2)), yield* ask(block(3))]
      yield* ask({ _tag: "Peers" })
      yield* ask({ _tag: "Peers" })
      assert.strictEqual(n.queued(), 2)
      // At the door: a block that nobody has.
      yield* lacks(1, 4)
      yield* lacks(2, 4)
      const four = yield* ask(block(4))
      assert.isTrue(isPending(four))
      s.take()
      assert.deepStrictEqual(s.asked.map(numberOf), [1, 9, 2])
      assert.isTrue(isPending(four))
      // The next place is kept for block 4, which is refused; block 3 gets it in the same step.
      s.take()
      assert.deepStrictEqual(s.asked.map(numberOf), [1, 9, 2, 3])
      assert.deepStrictEqual(yield* Fiber.await(four), notFound(4))
      assert.isTrue(isPending(two) && isPending(three))
    }).pipe(Effect.provide(world()))
  )

  /** Sam and Nina are full, blocks 2 to 4 wait for Sam, and the one that is sent next takes the last ready peer. */
  const queueBehind = (s: FakePeer, n: FakePeer) =>
    Effect.gen(function* () {
      yield* fill(s)
      const calls = [yield* ask(block(2)), yield* ask(block(3)), yield* ask(block(4))]
      yield* ask({ _tag: "MempoolTransactionIds" })
      yield* ask({ _tag: "MempoolTransactionIds" })
      assert.deepStrictEqual([s.queued(), n.queued()], [2, 2])
      return calls
    })

  it.effect("waits behind the door for a newcomer too", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* queueBehind(s, n)
      yield* ask({ _tag: "Peers" })
      s.take()
      const newcomer = yield* join(3, { places: 1 })
      assert.deepStrictEqual(newcomer.asked.map(numberOf), ["Peers"])
      newcomer.take()
      assert.deepStrictEqual(newcomer.asked.map(numberOf), ["Peers", 3])
    }).pipe(Effect.provide(world()))
  )

  it.effect("does not leave a peer to the door after somebody was let in meanwhile", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* queueBehind(s, n)
      s.take()
      n.take()
      yield* ask({ _tag: "MempoolTransactionIds" })
      yield* ask({ _tag: "Peers" })
      s.take()
      s.take()
      assert.deepStrictEqual(s.asked.map(numberOf), [1, 9, 2, 3, "Peers"])
    }).pipe(Effect.provide(world()))
  )

  it.effect("that is refused after a wait wants no further peer, and is counted once", () =>
    Effect.gen(function* () {
      const { demand } = yield* PeerSet
      const [s, n] = [yield* sam, yield* nina]
      yield* fill(s)
      const two = yield* ask(block(2))
      for (let places = 0; places < 2; places++) yield* ask({ _tag: "Peers" })
      assert.strictEqual(n.queued(), 2)
      while (demand.takeUnsafe()) continue
      // Sam was what it waited for.
      yield* lacks(2, 2)
      assert.isTrue(isPending(two))
      while (demand.takeUnsafe()) continue
      yield* lacks(1, 2)
      assert.isFalse(demand.takeUnsafe())
      assert.deepStrictEqual(yield* Fiber.await(two), notFound(2))
      assert.isFalse(demand.takeUnsafe())
      const refused = yield* seriesOf("zcash.net.peer_set.inventory_refusal")
      assert.strictEqual(refused["kind=waited network=mainnet"], 1)
    }).pipe(Effect.provide(world()), withMetrics)
  )

  it.effect("whose peer is free at the very end of its time is refused, and counted once", () =>
    Effect.gen(function* () {
      const s = yield* sam
      yield* nina
      yield* fill(s)
      // Sam is free in the moment in which the time is over, before the timer has had its turn.
      yield* start(
        Effect.andThen(
          Effect.sleep(patience),
          Effect.sync(() => s.take())
        )
      )
      const two = yield* ask(block(2))
      yield* TestClock.adjust(patience)
      assert.deepStrictEqual(yield* Fiber.await(two), notFound(2))
      assert.deepStrictEqual(s.asked.map(numberOf), [1, 9])
      const refused = yield* seriesOf("zcash.net.peer_set.inventory_refusal")
      assert.strictEqual(refused["kind=waited network=mainnet"], 1)
    }).pipe(Effect.provide(world()), withMetrics)
  )

  it.effect("whose peer fails at once is known to have failed there, before anything else is asked", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const registry = yield* InventoryRegistry
      const bob = fakePeer({ id: 1, address: "127.0.0.1:1", places: 1 })
      let isBroken = false
      const enqueueUnsafe: FakePeer["enqueueUnsafe"] = (request) =>
        isBroken ? Effect.fail(new ConnectionReceiveTimeout()) : bob.enqueueUnsafe(request)
      yield* peerSet.add({ ...bob, enqueueUnsafe })
      // Nina is ready and serves nothing, so the blocks are let in, and wait for Bob.
      yield* nina
      yield* ask(block(1))
      const two = yield* ask(block(2))
      assert.deepStrictEqual([bob.queued(), isPending(two)], [1, true])
      isBroken = true
      bob.take()
      assert.deepStrictEqual([...registry.record(item(2)).failed], [1])
      assert.isTrue(Exit.isFailure(yield* Fiber.await(two)))
    }).pipe(Effect.provide(world()))
  )

  it.effect("owes the door nothing for a peer that was not the last ready one", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* fill(s)
      yield* ask(block(2))
      yield* ask(block(3))
      // Block 2 gets Sam, while Nina is ready. Then she is gone.
      s.take()
      assert.deepStrictEqual(s.asked.map(numberOf), [1, 9, 2])
      yield* (yield* PeerSet).remove(n.id)
      const atTheDoor = yield* ask({ _tag: "Peers" })
      s.take()
      assert.deepStrictEqual(s.asked.map(numberOf), [1, 9, 2, 3])
      assert.isTrue(isPending(atTheDoor))
    }).pipe(Effect.provide(world()))
  )

  it.effect("gets a peer that was kept for the door although it waited for others until then", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* join(1, { version: 170_150 }), yield* nina]
      yield* queueBehind(s, n)
      s.take()
      yield* lacks(1, 5)
      yield* lacks(2, 5)
      const five = yield* ask(block(5))
      // In one step Sam is gone, Nina is ready and the door does not use her.
      yield* reach(mainnet.activationHeights["NU6.3"]!)
      n.take()
      assert.strictEqual(s.closedWith()?._tag, "ClientDropped")
      assert.deepStrictEqual(yield* Fiber.await(five), notFound(5))
      assert.deepStrictEqual(n.asked.map(numberOf).slice(2), [3])
    }).pipe(Effect.provide(world({ quiet: true })))
  )

  it.effect("is given to a peer that does not serve once that one, still busy, advertised it", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* queueBehind(s, n)
      yield* advertise(2, 3)
      n.take()
      assert.deepStrictEqual(n.asked.map(numberOf).slice(2), [3])
    }).pipe(Effect.provide(world()))
  )

  it.effect("is given to a peer that lacked it once that is forgotten", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* lacks(2, 2)
      yield* TestClock.adjust("60 seconds")
      yield* failAt(s, 2)
      yield* TestClock.adjust("40 seconds")
      yield* fill(s)
      const two = yield* ask({ _tag: "BlockDownload", hash: blockHash(2), advertiser: undefined })
      yield* TestClock.adjust("5999 millis")
      assert.deepStrictEqual([isPending(two), n.asked], [true, []])
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(numbers(n), [2])
    }).pipe(Effect.provide(world()))
  )

  it.effect("that was given up while it waited is not sent", () =>
    Effect.gen(function* () {
      const [s] = [yield* sam, yield* nina]
      yield* fill(s)
      yield* Fiber.interrupt(yield* ask(block(2)))
      yield* ask(block(3))
      s.takeAll()
      assert.deepStrictEqual(s.asked.map(numberOf), [1, 9, 3])
    }).pipe(Effect.provide(world()))
  )

  it.effect("goes to the advertiser it came with, unless that one lacks it or failed (network 123)", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      const download = (byte: number): BlockDownload => ({
        _tag: "BlockDownload",
        hash: blockHash(byte),
        advertiser: n.transientAddress
      })
      yield* ask(download(2))
      assert.deepStrictEqual(numbers(n), [2])
      yield* lacks(2, 3)
      yield* ask(download(3))
      assert.deepStrictEqual(numbers(s), [3])
      const failing = yield* ask(download(4))
      n.take()!.fail(new ConnectionReceiveTimeout())
      yield* Fiber.await(failing)
      yield* ask(download(4))
      assert.deepStrictEqual(numbers(s), [4])
    }).pipe(Effect.provide(world()))
  )

  it.effect("waits as long as its caller does when it is a download", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* fill(s)
      const fiber = yield* ask({ _tag: "BlockDownload", hash: blockHash(2), advertiser: undefined })
      yield* TestClock.adjust("19 seconds")
      assert.isTrue(isPending(fiber))
      s.takeAll()
      assert.deepStrictEqual(numbers(s), [2])
      assert.deepStrictEqual(n.asked, [])
    }).pipe(Effect.provide(world()))
  )

  it.effect("does not go to peers that do not serve because its advertiser failed (network 124)", () =>
    Effect.gen(function* () {
      const [s, n, other] = [yield* sam, yield* nina, yield* join(3, { serving: false })]
      yield* advertise(2, 2)
      yield* failAt(n, 2)
      yield* fill(s)
      const two = yield* ask(block(2))
      assert.isTrue(isPending(two))
      s.takeAll()
      assert.deepStrictEqual(numbers(s), [2])
      assert.deepStrictEqual([n.asked.length, other.asked.length], [1, 0])
    }).pipe(Effect.provide(world()))
  )

  it.effect.each([{ event: "failure" }, { event: "removal" }, { event: "advertisement" }])(
    "that waits moves on when things change: $event (network 125)",
    ({ event }) =>
      Effect.gen(function* () {
        const [s, n] = [yield* sam, yield* nina]
        yield* ask(block(2))
        yield* ask(block(9))
        const working = s.take()
        yield* ask(block(1))
        assert.strictEqual(s.queued(), 2)
        const two = yield* ask(block(2))
        assert.isTrue(isPending(two))
        assert.deepStrictEqual(n.asked, [])
        if (event === "failure") working!.fail(new ConnectionReceiveTimeout())
        if (event === "removal") yield* (yield* PeerSet).remove(1)
        if (event === "advertisement") yield* advertise(2, 2)
        assert.deepStrictEqual(numbers(n), [2])
      }).pipe(Effect.provide(world()))
  )

  it.effect.each([
    { why: "outdated", lacking: false },
    { why: "outdated", lacking: true },
    { why: "banned", lacking: false },
    { why: "banned", lacking: true }
  ])("does not wait for a busy peer that became $why (network 130; the other lacks it: $lacking)", ({ lacking, why }) =>
    Effect.gen(function* () {
      const [s, n] = [yield* join(1, { version: 170_150, address: "192.0.2.1:1" }), yield* nina]
      yield* fill(s)
      if (lacking) yield* lacks(2, 2)
      const two = yield* ask(block(2))
      assert.isTrue(isPending(two))
      if (why === "outdated") yield* reach(mainnet.activationHeights["NU6.3"]!)
      else yield* (yield* BanList).add({ address: s.transientAddress!, reason: "x" })
      yield* TestClock.adjust(0)
      if (lacking) assert.deepStrictEqual(yield* answer(two), notFound(2))
      assert.deepStrictEqual(numbers(n), lacking ? [] : [2])
      assert.strictEqual(s.closedWith()?._tag, "ClientDropped")
    }).pipe(Effect.provide(world()))
  )

  it.effect("that its caller gave up says nothing about the peer (network 126; advisory N2)", () =>
    Effect.gen(function* () {
      const [s] = [yield* sam, yield* nina]
      const fiber = yield* ask(block(2))
      assert.strictEqual(numberOf(s.take()!.request), 2)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual((yield* recordOf(2)).failed, new Set())
      yield* ask(block(2))
      assert.deepStrictEqual(numbers(s), [2])
    }).pipe(Effect.provide(world()))
  )

  it.effect("marks who was silent as failed, and who said it lacks it not (network 127; advisory N9)", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      const missing = yield* ask(block(2))
      // The connection reports what the peer lacks before it answers.
      yield* lacks(1, 2)
      s.take()!.fail(new NotFoundResponse({ hashes: [item(2)] }))
      yield* Fiber.await(missing)
      assert.deepStrictEqual(yield* recordOf(2), { advertised: nobody, missing: new Set([1]), failed: nobody })
      yield* failAt(s, 3)
      assert.deepStrictEqual(yield* recordOf(3), { advertised: nobody, missing: nobody, failed: new Set([1]) })
      yield* ask(block(2))
      yield* ask(block(3))
      assert.deepStrictEqual(numbers(n), [2, 3])
    }).pipe(Effect.provide(world()))
  )

  it.effect.each([{ when: "now" }, { when: "before a rotation" }, { when: "late" }])(
    "is asked of a new connection on the address of one that failed, $when (network 128)",
    ({ when }) =>
      Effect.gen(function* () {
        const peerSet = yield* PeerSet
        const [s, n] = [yield* sam, yield* nina]
        const two = yield* ask(block(2))
        const asked = s.take()!
        if (when !== "late") asked.fail(new ConnectionReceiveTimeout())
        if (when === "before a rotation") yield* TestClock.adjust(defaults.inventoryRotation)
        yield* peerSet.remove(1)
        asked.fail(new ConnectionReceiveTimeout())
        yield* Fiber.await(two)
        const successor = yield* join(3, { address: "127.0.0.1:1" })
        // What happened after the removal is not even recorded.
        assert.deepStrictEqual((yield* recordOf(2)).failed, when === "late" ? nobody : new Set([1]))
        yield* ask(block(2))
        assert.deepStrictEqual(numbers(successor), [2])
        assert.deepStrictEqual(n.asked, [])
      }).pipe(Effect.provide(world()))
  )

  it.effect(
    "is not asked again of a connection its caller excludes while another is ready (advisories N6 and N7)",
    () =>
      Effect.gen(function* () {
        const peerSet = yield* PeerSet
        const [s, n] = [yield* sam, yield* nina]
        yield* start(peerSet.request(block(2), { exclude: new Set([1]) }))
        assert.deepStrictEqual(numbers(n), [2])
        yield* start(peerSet.request(block(3), { exclude: new Set([1, 2]) }))
        assert.deepStrictEqual(numbers(s).concat(numbers(n)), [3])
        const id = "ab".repeat(32) as never
        yield* (yield* InventoryRegistry).register(1, "available", [{ _tag: "Tx", id }])
        yield* start(peerSet.request({ _tag: "TransactionsById", ids: new Set([id]) }, { exclude: new Set([1]) }))
        assert.deepStrictEqual(n.takeAll().length, 1)
        for (let i = 0; i < 10; i++) {
          const fiber = yield* start(peerSet.request({ _tag: "Peers" }, { exclude: new Set([1]) }))
          assert.strictEqual(n.takeAll().length, 1)
          yield* Fiber.interrupt(fiber)
        }
        yield* start(peerSet.request(find, { exclude: new Set([1, 2]) }))
        assert.deepStrictEqual(numbers(s), ["FindBlocks"])
      }).pipe(Effect.provide(world()))
  )
})

describe("a find request", () => {
  const both = [{ request: find }, { request: findHeaders }]

  it.effect.each(both)("goes to the peer that serves, never to the other (network 97; $request._tag)", ({ request }) =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      for (let i = 0; i < 4; i++) {
        yield* ask(request)
        assert.deepStrictEqual(numbers(s), [request._tag])
      }
      assert.deepStrictEqual(n.asked, [])
    }).pipe(Effect.provide(world()))
  )

  it.effect.each(both)("goes to a peer that does not serve when there is no other (network 98; $request._tag)", (_) =>
    Effect.gen(function* () {
      const n = yield* nina
      yield* ask(_.request)
      assert.deepStrictEqual(numbers(n), [_.request._tag])
    }).pipe(Effect.provide(world()))
  )

  it.effect.each(both)("waits for a busy peer that serves (network 99, advisory N12; $request._tag)", ({ request }) =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* fill(s)
      const fiber = yield* ask(request)
      yield* TestClock.adjust(part(1 / 4))
      assert.deepStrictEqual(n.asked, [])
      s.takeAll()
      s.take()!.answer(noHashes)
      assert.deepStrictEqual(yield* Fiber.join(fiber), noHashes)
    }).pipe(Effect.provide(world()))
  )

  it.effect("comes before blocks that waited longer (network 100; advisory N15)", () =>
    Effect.gen(function* () {
      const [s] = [yield* sam, yield* nina]
      yield* fill(s)
      yield* ask(block(2))
      yield* ask(find)
      s.take()
      s.take()
      assert.deepStrictEqual(numbers(s), ["FindBlocks", 2])
    }).pipe(Effect.provide(world()))
  )

  it.effect.each(both)(
    "goes to any ready peer once it waited long enough (network 101; $request._tag)",
    ({ request }) =>
      Effect.gen(function* () {
        const [s, n] = [yield* sam, yield* nina]
        yield* fill(s)
        yield* ask(request)
        yield* TestClock.adjust(part(1 / 2))
        assert.deepStrictEqual(n.asked, [])
        yield* TestClock.adjust(Duration.subtract(justAfter, part(1 / 2)))
        assert.deepStrictEqual(numbers(n), [request._tag])
        s.takeAll()
        assert.strictEqual(s.queued(), 0)
      }).pipe(Effect.provide(world()))
  )

  it.effect("that was given up while it waited is not sent (network 102)", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* fill(s)
      yield* Fiber.interrupt(yield* ask(find))
      s.takeAll()
      assert.strictEqual(s.queued(), 0)
      yield* TestClock.adjust(justAfter)
      assert.deepStrictEqual([s.queued(), n.queued()], [0, 0])
    }).pipe(Effect.provide(world()))
  )

  it.effect("goes to any ready peer when no peer that serves is left (network 103)", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* fill(s)
      yield* ask(find)
      yield* TestClock.adjust(part(1 / 4))
      yield* s.close(new ConnectionClosed())
      assert.deepStrictEqual(numbers(n), ["FindBlocks"])
    }).pipe(Effect.provide(world()))
  )

  it.effect("does not wait behind sixteen others, but one that was given up makes room (network 104)", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* fill(s)
      const queued: Array<Fiber.Fiber<Response, RequestError>> = []
      for (let i = 0; i < defaults.findQueueCapacity; i++) queued.push(yield* ask(find))
      yield* Fiber.interrupt(queued[0]!)
      yield* ask(find)
      assert.strictEqual(n.queued(), 0)
      yield* ask(find)
      assert.strictEqual(n.queued(), 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("comes before the request at the door each time a place is free (network 105)", () =>
    Effect.gen(function* () {
      const [s, n] = [yield* sam, yield* nina]
      yield* fill(s)
      yield* ask(find)
      yield* ask(find)
      yield* ask({ _tag: "Peers" })
      yield* ask({ _tag: "Peers" })
      assert.strictEqual(n.queued(), 2)
      yield* ask(block(4))
      const order: Array<number | string> = []
      for (let asked = s.take(); asked !== undefined; asked = s.take()) order.push(numberOf(asked.request))
      assert.deepStrictEqual(order, [1, 9, "FindBlocks", "FindBlocks", 4])
    }).pipe(Effect.provide(world()))
  )

  it.effect("is not asked of a connection its caller excludes while another has a turn", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const [first, second] = [yield* join(1), yield* join(2)]
      for (let i = 0; i < 2; i++) yield* start(peerSet.request(find, { exclude: new Set([1]) }))
      assert.deepStrictEqual([first.queued(), second.queued()], [0, 2])
    }).pipe(Effect.provide(world()))
  )

  it.effect("rotates past a peer that answers fast with nothing, and past reconnections (network 95)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const quick = yield* join(1, { serving: false })
      const slow = yield* join(2, { serving: false, load: 60e9 })
      const answered: Array<number> = []
      const next = (peers: ReadonlyArray<FakePeer>) =>
        Effect.gen(function* () {
          yield* ask(find)
          for (const peer of peers) {
            for (const asked of peer.takeAll()) {
              answered.push(peer.id)
              asked.answer(noHashes)
            }
          }
        })
      for (let i = 0; i < 4; i++) yield* next([quick, slow])
      assert.deepStrictEqual(answered, [1, 2, 1, 2])
      // The first keeps two without taking them; the second has its own turns, and the next one.
      yield* ask(find)
      yield* next([slow])
      yield* ask(find)
      yield* next([slow])
      yield* next([slow])
      assert.deepStrictEqual([quick.queued(), answered.slice(4)], [2, [2, 2, 2]])
      quick.takeAll()
      yield* next([quick, slow])
      yield* next([quick, slow])
      assert.deepStrictEqual(answered.slice(7), [1, 2])
      // Given up at the first: the second is next all the same.
      yield* Fiber.interrupt(yield* ask(find))
      yield* next([quick, slow])
      assert.deepStrictEqual(answered.slice(9), [2])
      yield* peerSet.remove(1)
      const again = yield* join(3, { serving: false, address: "127.0.0.1:1" })
      yield* next([slow, again])
      yield* next([slow, again])
      assert.deepStrictEqual(answered.slice(10), [2, 3])
    }).pipe(Effect.provide(world()))
  )
})

describe("one more peer", () => {
  it.effect(
    "is wanted once for whoever waits, however many come behind, and again when one came and they still wait (network 6.17)",
    () =>
      Effect.gen(function* () {
        const { demand } = yield* PeerSet
        /** How often one was wanted since this was looked at last. */
        const wanted = () => {
          let times = 0
          while (demand.takeUnsafe()) times++
          return times
        }
        assert.strictEqual(wanted(), 0)
        const first = yield* ask(block(1))
        assert.strictEqual(wanted(), 1)
        yield* ask(block(2))
        yield* ask({ _tag: "Peers" })
        assert.strictEqual(wanted(), 0)
        yield* Fiber.interrupt(first)
        assert.strictEqual(wanted(), 0)
        // One is asked of it, and the other waits still.
        const s = yield* join(1, { places: 1 })
        assert.deepStrictEqual([s.queued(), wanted(), wanted()], [1, 1, 0])
      }).pipe(Effect.provide(world()))
  )
})

describe("what the routing of requests counts", () => {
  type Counted = [Record<string, number>, Record<string, number>]

  const finds = Effect.all([seriesOf("zcash.net.peer_set.find_queued"), seriesOf("zcash.net.peer_set.find_fallback")])
  /** Finds that waited, and those given to peers that do not serve: nobody serves, too many waited, or one for too long. */
  const found = (queued: number, alone: number, full: number, expired: number): Counted => [
    { "network=mainnet": queued },
    {
      "network=mainnet reason=no_serving_peer": alone,
      "network=mainnet reason=queue_full": full,
      "network=mainnet reason=expired": expired
    }
  ]

  it.effect("is each find that waited, and each that went to a peer that does not serve, by why", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* finds, found(0, 0, 0, 0))
      const n = yield* join(2, { serving: false, places: 99 })
      yield* ask(find)
      assert.deepStrictEqual(yield* finds, found(0, 1, 0, 0))
      const s = yield* sam
      yield* ask(find)
      assert.deepStrictEqual(yield* finds, found(0, 1, 0, 0))
      yield* ask(find)
      for (let i = 0; i < 16; i++) yield* ask(find)
      assert.deepStrictEqual([s.queued(), yield* finds], [2, found(16, 1, 0, 0)])
      yield* ask(find)
      assert.deepStrictEqual(yield* finds, found(16, 1, 1, 0))
      // One more goes to the peer that serves, and is no fallback.
      s.take()
      assert.deepStrictEqual([s.queued(), yield* finds], [2, found(16, 1, 1, 0)])
      yield* TestClock.adjust(justAfter)
      assert.deepStrictEqual(yield* finds, found(16, 1, 1, 15))
      assert.lengthOf(n.asked, 17)
    }).pipe(Effect.provide(world()), withMetrics)
  )

  it.effect("is no find that goes around a peer which only seemed to be ready, or stands at the door", () =>
    Effect.gen(function* () {
      const [bob, carol] = [yield* join(1, { places: 1 }), yield* join(2, { places: 1 })]
      // Somebody who holds the peer itself.
      yield* start(bob.request({ _tag: "Peers" }))
      yield* ask(find)
      assert.deepStrictEqual(carol.asked.map(numberOf), ["FindBlocks"])
      carol.take()
      yield* start(carol.request({ _tag: "Peers" }))
      const atTheDoor = yield* ask(find)
      assert.isTrue(isPending(atTheDoor))
      assert.deepStrictEqual(yield* finds, found(0, 0, 0, 0))
      bob.take()
      assert.deepStrictEqual(bob.asked.map(numberOf), ["Peers", "FindBlocks"])
    }).pipe(Effect.provide(world()), withMetrics)
  )

  it.effect("is each block that waited, and each item that nobody was asked for, at once or after a wait", () =>
    Effect.gen(function* () {
      const blocks = Effect.all([
        seriesOf("zcash.net.peer_set.inventory_queued"),
        seriesOf("zcash.net.peer_set.inventory_refusal")
      ])
      const counted = (queued: number, instant: number, waited: number): Counted => [
        { "network=mainnet": queued },
        { "kind=instant network=mainnet": instant, "kind=waited network=mainnet": waited }
      ]
      const [s] = [yield* sam, yield* nina]
      assert.deepStrictEqual(yield* blocks, counted(0, 0, 0))
      yield* fill(s)
      yield* ask(block(2))
      yield* ask(block(3))
      assert.deepStrictEqual(yield* blocks, counted(2, 0, 0))
      for (const id of [1, 2]) yield* lacks(id, 4)
      yield* ask(block(4))
      assert.deepStrictEqual(yield* blocks, counted(2, 1, 0))
      yield* TestClock.adjust(justAfter)
      assert.deepStrictEqual(yield* blocks, counted(2, 1, 2))
    }).pipe(Effect.provide(world()), withMetrics)
  )

  it.effect("is who is connected, and of these who can be asked", () =>
    Effect.gen(function* () {
      const peers = Effect.map(
        Effect.forEach(["zcash.net.peers", "pool.num_ready", "pool.num_unready"], seriesOf),
        (all) => all.map((series) => series["network=mainnet"])
      )
      const [s] = [yield* sam, yield* nina]
      assert.deepStrictEqual(yield* peers, [2, 2, 0])
      yield* fill(s)
      assert.deepStrictEqual(yield* peers, [2, 1, 1])
      yield* s.close(new ConnectionClosed())
      assert.deepStrictEqual(yield* peers, [1, 1, 0])
    }).pipe(Effect.provide(world()), withMetrics)
  )
})

describe("whatever happens", () => {
  const small = Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 3 })))
  const event = Schema.Struct({
    kind: Schema.Literals([
      "join serving",
      "join other",
      "leave",
      "ask",
      "ask",
      "ask for anything",
      "take",
      "take",
      "answer",
      "fail",
      "advertise",
      "lack",
      "give up",
      "rotate"
    ]),
    a: small,
    b: small
  })

  it.effect.prop(
    "no block waits that a naive reading of the table would not let wait",
    { events: Schema.Array(event).pipe(Schema.check(Schema.isMinLength(10), Schema.isMaxLength(60))) },
    ({ events }) =>
      Effect.gen(function* () {
        const peerSet = yield* PeerSet
        const registry = yield* InventoryRegistry
        const peers: Array<FakePeer> = []
        const taken: Array<{ readonly by: FakePeer; readonly asked: Asked }> = []
        const calls: Array<{ readonly request: BlockDownload; readonly fiber: Fiber.Fiber<unknown, unknown> }> = []
        let nextId = 1
        for (const { a, b, kind } of events) {
          const peer = peers[a % Math.max(1, peers.length)]
          switch (kind) {
            case "join serving":
            case "join other":
              peers.push(yield* join(nextId++, { serving: kind === "join serving", places: (b % 2) + 1 }))
              break
            case "leave":
              if (peer !== undefined) {
                yield* peer.close(new ConnectionClosed())
                peers.splice(peers.indexOf(peer), 1)
              }
              break
            case "ask": {
              const request: BlockDownload = { _tag: "BlockDownload", hash: blockHash(b), advertiser: undefined }
              calls.push({ request, fiber: yield* ask(request) })
              break
            }
            case "ask for anything":
              yield* ask({ _tag: "Peers" })
              break
            case "take": {
              const asked = peer?.take()
              if (peer !== undefined && asked !== undefined) taken.push({ by: peer, asked })
              break
            }
            case "answer":
              taken.shift()?.asked.answer(noBlocks)
              break
            case "fail":
              taken.shift()?.asked.fail(new ConnectionReceiveTimeout())
              break
            case "advertise":
              if (peer !== undefined) yield* advertise(peer.id, b)
              break
            case "lack":
              if (peer !== undefined) yield* lacks(peer.id, b)
              break
            case "give up":
              if (calls.length > 0) yield* Fiber.interrupt(calls[b % calls.length]!.fiber)
              break
            case "rotate":
              if (b === 0) yield* TestClock.adjust("10 seconds")
          }
          // A refusal yields before it fails.
          yield* TestClock.adjust(0)
          const crowd = peers
            .filter((peer) => peer.closedWith() === undefined)
            .map((peer) => ({
              id: peer.id,
              ready: peer.readiness() === "Ready",
              serving: peer.info.remote.services !== 0n
            }))
          assert.strictEqual((yield* peerSet.counts).ready, crowd.filter(({ ready }) => ready).length)
          // While nobody is ready they may all stand at the door.
          if (!crowd.some(({ ready }) => ready)) continue
          for (const { fiber, request } of calls) {
            if (!isPending(fiber) || peers.some((peer) => peer.asked.includes(request))) continue
            if (taken.some(({ asked }) => asked.request === request)) continue
            const outcome = naiveOutcome(crowd, registry.record({ _tag: "Block", hash: request.hash }))
            assert.match(String(outcome), /^wait/)
          }
        }
      }).pipe(Effect.provide(world())),
    { arbitrary: { runs: 200 } }
  )

  it.effect("a decision looks at as few peers among 1,000 as among 10", () =>
    Effect.gen(function* () {
      const looks = yield* Effect.forEach([10, 1000], (count) =>
        Effect.gen(function* () {
          const peerSet = yield* PeerSet
          let looks = 0
          for (let id = 1; id <= count; id++) {
            const bob = fakePeer({ id, address: `10.0.${id >> 8}.${id & 255}:8233` })
            yield* peerSet.add({
              ...bob,
              load: (now) => {
                looks++
                return bob.load(now)
              },
              readiness: () => {
                looks++
                return bob.readiness()
              }
            })
          }
          for (let id = 1; id <= 5; id++) yield* lacks(id, 2)
          looks = 0
          yield* ask({ _tag: "Peers" })
          yield* ask(block(2))
          yield* ask(find)
          return looks
        }).pipe(Effect.provide(world({ policy: { targetPeers: 200 } })))
      )
      // Chance decides whether a choice compares: two fewer each time it does not.
      for (const count of looks) assert.include([6, 8, 10], count)
    })
  )
  it.effect("a peer's becoming ready looks up as few blocks while 2,000 wait as while 20 do", () =>
    Effect.gen(function* () {
      let lookups = 0
      const registry = Layer.effect(
        InventoryRegistry,
        Effect.map(InventoryRegistry, (registry) => ({
          ...registry,
          record: (item) => {
            lookups++
            return registry.record(item)
          }
        }))
      ).pipe(Layer.provide(InventoryRegistry.layer))
      const counted = yield* Effect.forEach([20, 2000], (waiting) =>
        Effect.gen(function* () {
          const [s, n] = [yield* join(1, { places: 1 }), yield* join(2, { serving: false, places: 1 })]
          for (let i = 0; i <= waiting; i++) {
            yield* ask({ _tag: "BlockDownload", hash: blockHash(1 + (i % 200)), advertiser: undefined })
          }
          yield* ask({ _tag: "MempoolTransactionIds" })
          return yield* Effect.forEach([n, s], (peer) =>
            Effect.gen(function* () {
              lookups = 0
              assert.strictEqual(peer.takeAll().length, 1)
              yield* TestClock.adjust(0)
              return { lookups, queued: peer.queued() }
            })
          )
        }).pipe(Effect.provide(world({ registry })))
      )
      assert.deepStrictEqual(counted[0], counted[1])
      // Nobody waits for the one; the other is given a block.
      assert.deepStrictEqual(
        counted[0]?.map(({ queued }) => queued),
        [0, 1]
      )
    })
  )
})
