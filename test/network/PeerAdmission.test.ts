/** What a connection tells the node, and what of it reaches the address book. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Option, Stream, SubscriptionRef } from "effect"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ChainTip, type Tip } from "../../src/chain/ChainTip.ts"
import { mainnet } from "../../src/chain/ChainParams.ts"
import { zeroBlockHash } from "../../src/chain/Hash.ts"
import { Evictions } from "../../src/network/Evictions.ts"
import { PeerAdmission } from "../../src/network/PeerAdmission.ts"
import { NetworkEvents } from "../../src/network/NetworkEvents.ts"
import { PeerSet } from "../../src/network/PeerSet.ts"
import type { ConnectedAddress, PeerReport } from "../../src/peer/Peer.ts"
import { InventoryRegistry } from "../../src/routing/InventoryRegistry.ts"
import { TrustedPeers } from "../../src/routing/TrustedPeers.ts"
import { blockItem, hash, txId, txItem, wtxId, wtxItem } from "../peer/items.ts"
import { alice, bob, mallory } from "../support/addresses.ts"
import { bookWorld } from "../support/bookWorld.ts"
import { type FakePeer, fakePeer } from "../support/fakePeer.ts"

const worldAt = (chainTip: Layer.Layer<ChainTip>, evictions = Evictions.layerNone) =>
  PeerAdmission.layer.pipe(
    Layer.provide(evictions),
    Layer.provideMerge(PeerSet.layer),
    Layer.provide(BackgroundTasks.layer),
    Layer.provideMerge(Layer.mergeAll(InventoryRegistry.layer, NetworkEvents.layer, chainTip, TrustedPeers.layer([]))),
    Layer.provideMerge(Layer.mergeAll(bookWorld(), BackgroundTasks.layer))
  )

const world = worldAt(ChainTip.layerNone)

const { info } = fakePeer({ id: 1, address: "198.51.100.2:8233" })

const reports: ReadonlyArray<PeerReport> = [
  { _tag: "Connected", info },
  { _tag: "PingSent", sentAtMillis: 1 },
  { _tag: "Responded", roundTrip: Duration.millis(5) },
  { _tag: "Failed", services: undefined }
]

const tellAll = (connected: ConnectedAddress) =>
  Effect.flatMap(PeerAdmission, ({ hostFor }) =>
    Effect.forEach(reports, (report) => hostFor(connected).report(1, report))
  )

describe("what a connection reports", () => {
  it.effect("reaches the entry of the address it goes to or comes from", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      yield* tellAll({ _tag: "OutboundDirect", address: bob })
      yield* tellAll({ _tag: "InboundDirect", address: mallory })
      assert.deepStrictEqual(
        Option.map(yield* book.get(bob), ({ isInbound, state }) => [isInbound, state]),
        Option.some([false, "Failed"])
      )
      assert.deepStrictEqual(
        Option.map(yield* book.get(mallory), ({ isInbound, state }) => [isInbound, state]),
        Option.some([true, "Failed"])
      )
    }).pipe(Effect.provide(world))
  )

  it.effect.each<ConnectedAddress>([
    { _tag: "OutboundProxy", proxyAddress: alice, transientLocalAddress: bob },
    { _tag: "InboundProxy", transientAddress: mallory },
    { _tag: "Isolated" }
  ])("leaves the book as it was when the connection is $_tag (EX-15)", (connected) =>
    Effect.gen(function* () {
      yield* tellAll(connected)
      assert.isEmpty(yield* (yield* AddressBook).entries)
    }).pipe(Effect.provide(world))
  )
})

describe("what a connection advertises, or lacks", () => {
  it.effect("is remembered of it, and what it advertises is told to whoever watches", () =>
    Effect.gen(function* () {
      const { report } = (yield* PeerAdmission).hostFor({ _tag: "OutboundDirect", address: bob })
      const registry = yield* InventoryRegistry
      const events = yield* NetworkEvents
      const told = yield* Effect.forkChild(Stream.runHead(events.stream), { startImmediately: true })
      yield* report(7, {
        _tag: "InventoryAvailable",
        items: [blockItem(hash(1)), txItem(txId(2)), wtxItem(wtxId(3)), { _tag: "Error" }]
      })
      yield* report(8, { _tag: "InventoryMissing", items: [blockItem(hash(1))] })
      const { advertised, missing } = registry.record(blockItem(hash(1)))
      assert.deepStrictEqual([[...advertised], [...missing]], [[7], [8]])
      assert.deepStrictEqual([...registry.record(txItem(txId(2))).advertised], [7])
      assert.deepInclude(Option.getOrThrow(yield* Fiber.join(told)), {
        _tag: "InventoryAdvertised",
        connection: 7,
        blocks: [hash(1)],
        transactions: [txId(2), wtxId(3)]
      })
    }).pipe(Effect.provide(world))
  )
})

describe("whoever shook hands", () => {
  const slot = { kind: "inbound", markOpen: Effect.void } as const

  it.effect("and was banned meanwhile never joins, and is given nothing that waits (network 6.5)", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const { admit } = yield* PeerAdmission
      const waiting = yield* Effect.forkChild(peerSet.request({ _tag: "Peers" }), { startImmediately: true })
      yield* (yield* AddressBook).ban({ address: mallory, reason: "a test" })
      const peer = fakePeer({ id: 1, address: PeerSocketAddress.format(mallory), inbound: true })
      const refused = yield* Effect.flip(Effect.scoped(admit(peer, slot)))
      assert.deepInclude(refused, { _tag: "PeerRefused", reason: "Banned" })
      assert.isEmpty(peer.asked)
      assert.strictEqual(peer.closedWith()?._tag, "ClientDropped")
      assert.isUndefined(waiting.pollUnsafe())
    }).pipe(Effect.provide(world))
  )

  it.effect("joins, is there until its scope closes, and is refused a second time while it is there", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const { admit } = yield* PeerAdmission
      const [first, second] = [1, 2].map((id) =>
        fakePeer({ id, address: PeerSocketAddress.format(bob), inbound: true })
      ) as [FakePeer, FakePeer]
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* admit(first, slot)
          assert.deepInclude(yield* Effect.flip(Effect.scoped(admit(second, slot))), { reason: "Connected" })
          assert.deepStrictEqual(yield* peerSet.peers, [first])
        })
      )
      assert.deepStrictEqual(yield* peerSet.peers, [])
      assert.strictEqual(first.closedWith()?._tag, "ClientDropped")
    }).pipe(Effect.provide(world))
  )
})

describe("whose place may be given away", () => {
  it.effect("is told of it when it has joined, and when it has gone; whom we dialled is not among them", () => {
    const told: Array<readonly [what: string, id: number]> = []
    const noting = Layer.effect(
      Evictions,
      Effect.map(Evictions, (none) => ({
        ...none,
        joined: (id: number) => void told.push(["joined", id]),
        gone: (id: number) => void told.push(["gone", id])
      }))
    ).pipe(Layer.provide(Evictions.layerNone))
    const slot = { kind: "inbound", markOpen: Effect.void } as const
    return Effect.gen(function* () {
      const { admit } = yield* PeerAdmission
      const peers = [bob, mallory].map((address, n) =>
        fakePeer({ id: n + 1, address: PeerSocketAddress.format(address), inbound: n === 0 })
      )
      yield* Effect.scoped(
        Effect.gen(function* () {
          for (const peer of peers) yield* admit(peer, slot)
          assert.deepStrictEqual(told, [["joined", 1]])
        })
      )
      assert.deepInclude(told, ["gone", 1])
    }).pipe(Effect.provide(worldAt(ChainTip.layerNone, noting)))
  })
})

describe("a block advert (peer 96, queued_block_advert_is_revoked_by_ban, _by_upgrade)", () => {
  const connected: ConnectedAddress = { _tag: "InboundDirect", address: mallory }
  // The last block before NU6.3 demands more than this peer's version, and that one.
  const before = mainnet.activationHeights["NU6.3"]! - 1
  const speaks = (version: number) => ({ ...info, connectedAddress: connected, remote: { ...info.remote, version } })

  it.effect.each([
    { height: before, version: 170_150, isBanned: false, may: true },
    { height: before + 1, version: 170_150, isBanned: false, may: false },
    { height: before + 1, version: 170_190, isBanned: false, may: true },
    { height: before, version: 170_150, isBanned: true, may: false }
  ])("may go to a peer of version $version at height $height, banned: $isBanned: $may", (each) =>
    Effect.gen(function* () {
      const tip = yield* SubscriptionRef.make(Option.none<Tip>())
      yield* Effect.gen(function* () {
        const host = (yield* PeerAdmission).hostFor(connected)
        yield* SubscriptionRef.set(tip, Option.some({ height: before, hash: zeroBlockHash, blockTimeSeconds: 0 }))
        // It could when it was offered.
        assert.isTrue(yield* host.mayAdvertise(speaks(each.version)))
        yield* SubscriptionRef.set(tip, Option.some({ height: each.height, hash: zeroBlockHash, blockTimeSeconds: 0 }))
        if (each.isBanned) yield* (yield* BanList).add({ address: mallory, reason: "x" })
        assert.strictEqual(yield* host.mayAdvertise(speaks(each.version)), each.may)
      }).pipe(Effect.provide(worldAt(ChainTip.layerRef(tip))))
    })
  )

  it.effect("may go to an isolated peer, whoever is banned", () =>
    Effect.gen(function* () {
      yield* (yield* BanList).add({ address: mallory, reason: "x" })
      const host = (yield* PeerAdmission).hostFor({ _tag: "Isolated" })
      assert.isTrue(yield* host.mayAdvertise({ ...info, connectedAddress: { _tag: "Isolated" } }))
    }).pipe(Effect.provide(world))
  )
})
