/** Who is asked, when a program chooses by itself: what it is told, what it may choose, and whose memory is whose. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Fiber, Layer, Logger, References } from "effect"
import { TestClock } from "effect/testing"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { PeerSet } from "../../src/network/PeerSet.ts"
import { ConnectionReceiveTimeout, NotFoundResponse } from "../../src/peer/Peer.ts"
import type { Request, Response } from "../../src/peer/Request.ts"
import { InventoryRegistry } from "../../src/routing/InventoryRegistry.ts"
import {
  type PeerCandidate,
  type PeerCandidates,
  type LandedRequest,
  type PeerChooser,
  PeerSelection,
  twoAtRandom
} from "../../src/routing/PeerSelection.ts"
import { alice, peerAddress } from "../support/addresses.ts"
import { fakePeer, type FakePeer } from "../support/fakePeer.ts"
import { block, blockHash, join, start, world, type WorldOptions } from "../support/peerSetWorld.ts"
import { inWorld, peerFrom, startNode } from "../support/wholeNode.ts"

const selecting = (make: () => PeerChooser, options?: WorldOptions) =>
  world(options).pipe(Layer.provide(Layer.succeed(PeerSelection, { make })))

const all = (candidates: PeerCandidates): ReadonlyArray<PeerCandidate> =>
  Array.from({ length: candidates.size }, (_, rank) => candidates.at(rank))

/** The one that joined first. */
const longestConnected: PeerChooser = {
  choose: (candidates) =>
    all(candidates).reduce((best, other) => (other.joinedAtNanos < best.joinedAtNanos ? other : best)).id
}

const ask = Effect.flatMap(PeerSet, (peerSet) => start(peerSet.request({ _tag: "Peers" })))

const idsAsked = (peers: ReadonlyArray<FakePeer>) => peers.flatMap((peer) => peer.takeAll().map(() => peer.id))

describe("a selection of one's own", () => {
  it.effect("decides who is asked, whatever the load", () =>
    Effect.gen(function* () {
      const peers: Array<FakePeer> = []
      for (const id of [3, 1, 2]) {
        peers.push(yield* join(id, { load: id === 3 ? 60e9 : 1, places: 9 }))
        yield* TestClock.adjust("1 second")
      }
      for (let i = 0; i < 5; i++) yield* ask
      assert.deepStrictEqual(idsAsked(peers), [3, 3, 3, 3, 3])
      yield* (yield* PeerSet).remove(3)
      for (let i = 0; i < 2; i++) yield* ask
      assert.deepStrictEqual(idsAsked(peers), [1, 1])
    }).pipe(Effect.provide(selecting(() => longestConnected)))
  )

  it.effect("sees what the peer set knows of each", () => {
    const seen: Array<ReadonlyArray<unknown>> = []
    const watching: PeerChooser = {
      choose: (candidates, _draw, nowNanos) => {
        seen.push(
          all(candidates)
            .toSorted((a, b) => a.id - b.id)
            .map((candidate) => {
              const { credit, group, id, isInbound, network, pending, serving, trusted } = candidate
              assert.deepStrictEqual([credit, pending], [1, 0])
              const seconds = Number(nowNanos - candidate.joinedAtNanos) / 1e9
              return { group, id, isInbound, network, serving, trusted, seconds, load: candidate.load(nowNanos) }
            })
        )
        return candidates.at(0).id
      }
    }
    return Effect.gen(function* () {
      yield* join(1, { address: "192.0.2.9:8233", load: 7 })
      yield* TestClock.adjust("1 second")
      yield* join(2, { address: "[2001:db8:1:2::3]:40000", inbound: true, serving: false, load: 8 })
      yield* join(3, { address: "127.0.0.9:40000", inbound: true, load: 9 })
      yield* TestClock.adjust("2 seconds")
      yield* ask
      const outbound = { isInbound: false, seconds: 3 }
      const inbound = { isInbound: true, seconds: 2 }
      assert.deepStrictEqual(seen, [
        [
          { id: 1, group: "192.0.2.9", network: "192.0", ...outbound, serving: true, trusted: false, load: 7 },
          {
            id: 2,
            group: "2001:db8:1:2::/64",
            network: "2001:db8::/32",
            ...inbound,
            serving: false,
            trusted: false,
            load: 8
          },
          { id: 3, group: "127.0.0.9", network: "127.0.0.9", ...inbound, serving: true, trusted: true, load: 9 }
        ]
      ])
    }).pipe(Effect.provide(selecting(() => watching, { trusted: ["127.0.0.9"] })))
  })

  it.effect("chooses among those that come into question, and only when there are several", () => {
    const offered: Array<ReadonlyArray<number>> = []
    const noting: PeerChooser = {
      choose: (candidates, draw, nowNanos) => {
        offered.push(
          all(candidates)
            .map(({ id }) => id)
            .toSorted()
        )
        return twoAtRandom.choose(candidates, draw, nowNanos, new Set())
      }
    }
    return Effect.gen(function* () {
      const peerSet = yield* PeerSet
      for (let id = 1; id <= 4; id++) yield* join(id, { serving: id < 4, places: 9 })
      yield* (yield* InventoryRegistry).register(1, "missing", [{ _tag: "Block", hash: blockHash(7) }])
      yield* start(peerSet.request(block(7)))
      yield* start(peerSet.request({ _tag: "Peers" }, { exclude: new Set([2]) }))
      yield* start(peerSet.request(block(7), { exclude: new Set([2]) }))
      yield* start(peerSet.request({ _tag: "FindBlocks", known: [], stop: undefined }))
      assert.deepStrictEqual(offered, [
        [2, 3],
        [1, 3, 4]
      ])
    }).pipe(Effect.provide(selecting(() => noting)))
  })

  it.effect.each([{ isTold: false }, { isTold: true }])(
    "sees how many requests are under way with each (told of their ends: $isTold)",
    ({ isTold }) => {
      let seen: ReadonlyArray<readonly [id: number, pending: number]> = []
      const noting: PeerChooser = {
        choose: (candidates) => {
          const everybody = all(candidates).toSorted((a, b) => a.id - b.id)
          seen = everybody.map(({ id, pending }) => [id, pending] as const)
          return everybody[0]!.id
        }
      }
      const layer = selecting(() => (isTold ? { ...noting, landed: () => undefined } : noting))
      return Effect.gen(function* () {
        const peerSet = yield* PeerSet
        const bob = yield* join(1, { places: 9 })
        yield* join(2)
        const asks = (request: Request) => start(peerSet.request(request))
        const mempool: Request = { _tag: "MempoolTransactionIds" }
        for (const request of [{ _tag: "Peers" } as const, block(1), mempool]) yield* asks(request)
        const fibers = [yield* asks(mempool)]
        assert.deepStrictEqual(seen, [
          [1, 3],
          [2, 0]
        ])
        const [addresses, blocks, ids] = bob.takeAll()
        addresses!.answer({ _tag: "Peers", addresses: [] })
        blocks!.fail(new ConnectionReceiveTimeout())
        ids!.answer({ _tag: "TransactionIds", ids: [] })
        yield* Fiber.interruptAll(fibers)
        yield* asks(mempool)
        assert.deepStrictEqual(seen, [
          [1, 0],
          [2, 0]
        ])
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect.each([{ isTold: false }, { isTold: true }])(
    "counts no request that has ended when it was put, and what it told counts (told of their ends: $isTold)",
    ({ isTold }) => {
      let seen: ReadonlyArray<number> = []
      const noting: PeerChooser = {
        choose: (candidates) => {
          seen = all(candidates).map(({ pending }) => pending)
          return 1
        }
      }
      const layer = selecting(() => (isTold ? { ...noting, landed: () => undefined } : noting))
      return Effect.gen(function* () {
        const peerSet = yield* PeerSet
        const told = {
          address: PeerSocketAddress.fromStringUnsafe("198.51.100.1:8233"),
          services: 1n,
          lastSeenSeconds: 0
        }
        const answer: Response = { _tag: "Peers", addresses: [told] }
        const bob = fakePeer({ id: 1, address: "127.0.0.1:1" })
        const enqueueUnsafe: FakePeer["enqueueUnsafe"] = (request) => {
          const asking = bob.enqueueUnsafe(request)
          bob.take()!.answer(answer)
          return asking
        }
        yield* peerSet.add({ ...bob, enqueueUnsafe })
        yield* join(2)
        for (let times = 0; times < 3; times++) {
          assert.deepStrictEqual(yield* peerSet.request({ _tag: "Peers" }), answer)
        }
        assert.deepStrictEqual(seen, [0, 0])
        yield* join(3, { address: "198.51.100.1:8233" })
        const proven = Array.from(peerSet.standingsUnsafe(), ({ id, merit }) => [id, merit.provenAddresses])
        assert.deepStrictEqual(proven, [
          [1, 1],
          [2, 0],
          [3, 0]
        ])
      }).pipe(Effect.provide(layer))
    }
  )

  it.effect("hears of four networks where a block was asked for in vain, of each kind", () => {
    let tried: ReadonlyArray<string> = []
    const noting: PeerChooser = {
      choose: (candidates, _draw, _nowNanos, networks) => {
        tried = [...networks].toSorted()
        return candidates.at(0).id
      }
    }
    const networks = (...ids: ReadonlyArray<number>) => ids.map((id) => `20.${id}`)
    return Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const registry = yield* InventoryRegistry
      for (let id = 10; id <= 39; id++) yield* join(id, { address: `20.${id}.1.1:8233`, places: 99 })
      const item = { _tag: "Block", hash: blockHash(1) } as const
      const asked = (...exclude: ReadonlyArray<number>) =>
        start(peerSet.request(block(1), { exclude: new Set(exclude) }))
      yield* asked()
      assert.deepStrictEqual(tried, [])
      // Who has left is in no network.
      yield* registry.register(9, "missing", [item])
      for (const [n, expected] of [
        [11, networks(11)],
        [12, networks(11, 12)],
        [13, networks(11, 12, 13)],
        [14, networks(11, 12, 13)]
      ] as const) {
        yield* registry.register(n, "missing", [item])
        yield* asked()
        assert.deepStrictEqual(tried, expected)
      }
      for (const id of [21, 22, 23, 24, 25]) yield* registry.recordFailure(id, item)
      yield* asked(31, 32, 33, 34, 35)
      assert.deepStrictEqual(tried, networks(11, 12, 13, 21, 22, 23, 24, 31, 32, 33, 34))
    }).pipe(Effect.provide(selecting(() => noting)))
  })

  it.effect("is told how each request ended, and who left", () => {
    const heard: Array<readonly [number, LandedRequest] | number> = []
    const learning: PeerChooser = {
      choose: (candidates) => candidates.at(0).id,
      landed: (id, landed) => heard.push([id, landed]),
      left: (id) => heard.push(id)
    }
    return Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const bob = yield* join(1, { places: 9 })
      const fibers = yield* Effect.forEach([1, 2, 3, 4], () => ask)
      const [first, second, third] = bob.takeAll()
      yield* TestClock.adjust("2 seconds")
      first!.answer({ _tag: "Peers", addresses: [] })
      second!.fail(new NotFoundResponse({ hashes: [] }))
      third!.fail(new ConnectionReceiveTimeout())
      yield* Fiber.interrupt(fibers[3]!)
      yield* TestClock.adjust(0)
      yield* peerSet.remove(1)
      assert.deepStrictEqual(heard, [
        ...(["Answered", "NotFound", "Failed", "GivenUp"] as const).map(
          (outcome) => [1, { request: "Peers", outcome, nanos: 2_000_000_000n }] as const
        ),
        1
      ])
    }).pipe(Effect.provide(selecting(() => learning)))
  })

  const nobody = { id: 99 }
  const broken = (): never => {
    throw new Error("a bug of the program")
  }
  it.effect.each([
    { how: "throws", chooser: { choose: broken, landed: broken, left: broken } },
    { how: "chooses somebody who is no candidate", chooser: { choose: () => nobody.id } },
    { how: "cannot hear how requests end", chooser: { ...longestConnected, landed: broken } },
    { how: "cannot hear who left", chooser: { ...longestConnected, left: broken } }
  ])("that $how does no harm, and is told of once a minute", ({ chooser }) => {
    const lines: Array<string> = []
    const logger = Logger.make<unknown, void>(({ logLevel, message }) => {
      lines.push(`${logLevel} ${String(Array.isArray(message) ? message[0] : message)}`)
    })
    return Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const peers = [yield* join(1, { places: 9 }), yield* join(2, { places: 9 })]
      for (let i = 0; i < 6; i++) yield* ask
      assert.strictEqual(idsAsked(peers).length, 6)
      yield* peerSet.remove(1)
      assert.deepStrictEqual(yield* peerSet.peers, peers.slice(1))
      assert.deepStrictEqual(lines, ["Error the choice of a peer failed"])
    }).pipe(
      Effect.provide(selecting(() => chooser)),
      Effect.provide(Logger.layer([logger])),
      Effect.provideService(References.MinimumLogLevel, "Info")
    )
  })

  it.effect("remembers for one node: two of one program share nothing", () => {
    const memories: Array<Map<number, number>> = []
    const counting: PeerSelection = {
      make: () => {
        const memory = new Map<number, number>()
        memories.push(memory)
        return {
          choose: (candidates) => candidates.at(0).id,
          landed: (id) => void memory.set(id, (memory.get(id) ?? 0) + 1),
          left: (id) => void memory.delete(id)
        }
      }
    }
    return Effect.gen(function* () {
      // Two peer sets, each with all that belongs to it, over one selection.
      const build = Effect.map(Layer.build(Layer.fresh(world())), Context.get(PeerSet))
      const [first, second] = [yield* build, yield* build]
      const answer = (peerSet: PeerSet["Service"], id: number, times: number) =>
        Effect.gen(function* () {
          const bob = yield* Effect.provideService(join(id), PeerSet, peerSet)
          for (let i = 0; i < times; i++) {
            const fiber = yield* start(peerSet.request({ _tag: "Peers" }))
            bob.take()!.answer({ _tag: "Peers", addresses: [] })
            yield* Fiber.join(fiber)
          }
        })
      yield* answer(first, 1, 2)
      yield* answer(second, 1, 3)
      assert.deepStrictEqual(
        memories.map((memory) => [...memory]),
        [[[1, 2]], [[1, 3]]]
      )
      yield* first.remove(1)
      assert.deepStrictEqual(
        memories.map((memory) => [...memory]),
        [[], [[1, 3]]]
      )
    }).pipe(Effect.scoped, Effect.provideService(PeerSelection, counting))
  })

  it("is that of every node it is provided to, one chooser each", () => {
    const made: Array<Array<number>> = []
    const counting: PeerSelection = {
      make: () => {
        const chosen: Array<number> = []
        made.push(chosen)
        return {
          choose: (candidates) => {
            chosen.push(candidates.size)
            return candidates.at(0).id
          }
        }
      }
    }
    inWorld(
      Effect.gen(function* () {
        const first = yield* startNode()
        yield* startNode({ listenAddress: PeerSocketAddress.fromIp(alice.address, 9000) })
        for (const n of [1, 2]) yield* peerFrom(peerAddress(n))
        yield* first.network.awaitReady({ peers: 2 })
        yield* Effect.ignore(Effect.timeout(first.peerSet.request({ _tag: "MempoolTransactionIds" }), "5 seconds"))
        assert.deepStrictEqual(made, [[2], []])
      }).pipe(Effect.provideService(PeerSelection, counting))
    )
  })
})
