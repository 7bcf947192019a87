/**
 * The cost of routing, by the number of connected peers: requests per second, decisions about one block per second with 70
 * peers that lack it and 70 that failed to deliver it, what a peer's becoming ready costs while blocks wait, and
 * broadcasts to a third of 1,000 peers. The peers answer at once, so all of it is our own work.
 *
 * A number that grows with the peers, or with the blocks that wait, is a bug: something passes over all of them.
 *
 * Then the time in which a whole node fills its outbound slots over loopback TCP from a full address book, beside the time
 * that the pause between two dials makes it take. The difference is ours; up to half a second is good.
 *
 *     npm run bench -- peerset [--millis 1000]
 *
 * Needs a host that listens anywhere in 127.0.0.0/8, as Linux does. Writes nothing.
 */
import { parseArgs } from "node:util"
import {
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Fiber,
  FileSystem,
  Latch,
  Layer,
  Path,
  References,
  Stream
} from "effect"
import { SecureRandom } from "effect/crypto"
import { Dns } from "effect/net"
import * as Node from "../../layers/Node.ts"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import { ChainParams, mainnet } from "../../src/chain/ChainParams.ts"
import { ChainTip } from "../../src/chain/ChainTip.ts"
import type { BlockHash } from "../../src/chain/Hash.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { InventoryRegistry } from "../../src/routing/InventoryRegistry.ts"
import { Network } from "../../src/network/Network.ts"
import { PeerSet } from "../../src/network/PeerSet.ts"
import type { PeerError } from "../../src/peer/Peer.ts"
import type { Request, Response, ResponseOf } from "../../src/peer/Request.ts"
import { defaults, outboundLimit, Policy } from "../../src/Policy.ts"
import { madeUpPeer } from "../../src/simulation/MadeUpPeer.ts"
import * as ScriptedPeer from "../../src/simulation/ScriptedPeer.ts"
import * as TcpTransport from "../../src/transport/TcpTransport.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import type { InventoryItem } from "../../src/wire/Message.ts"

/** Answers everything at once with nothing, and is ready again; or keeps what it is asked until told. */
const makePeer = (id: number, serving: boolean) => {
  const address = PeerSocketAddress.fromStringUnsafe(`10.${id >> 16}.${(id >> 8) & 0xff}.${id & 0xff}:8233`)
  const waiting = new Set<Deferred.Deferred<void>>()
  let isFull = false
  let isSticky = false
  const peer = madeUpPeer({
    id,
    address,
    serving,
    readiness: () => (isFull ? "Busy" : "Ready"),
    awaitReady: Effect.suspend(() => {
      if (!isFull) return Effect.void
      const ready = Deferred.makeUnsafe<void>()
      waiting.add(ready)
      return Deferred.await(ready)
    }),
    enqueueUnsafe: <R extends Request>(_request: R): Effect.Effect<ResponseOf<R>, PeerError> => {
      isFull = isSticky
      const answer: Effect.Effect<Response, PeerError> = Effect.succeed({ _tag: "Nil" })
      return answer as Effect.Effect<ResponseOf<R>, PeerError>
    },
    load: () => 1
  })
  return {
    peer,
    stick: () => {
      isSticky = true
    },
    free: () => {
      isFull = false
      const woken = [...waiting]
      waiting.clear()
      for (const ready of woken) Deferred.doneUnsafe(ready, Effect.void)
    }
  }
}

const layer = PeerSet.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(InventoryRegistry.layer, BanList.layer, ChainTip.layerNone)),
  Layer.provide(Layer.mergeAll(Layer.succeed(ChainParams, mainnet), BackgroundTasks.layer)),
  Layer.provideMerge(Layer.succeed(Policy, { ...defaults, targetPeers: 10_000, connectionsPerGroup: 1_000_000 }))
)

const blockOf = (n: number): BlockHash => n.toString(16).padStart(64, "0") as BlockHash

/** Joins `serving` peers that serve blocks, then `others` that do not; ids from 1. */
const fill = (serving: number, others = 0) =>
  Effect.gen(function* () {
    const peerSet = yield* PeerSet
    const peers = Array.from({ length: serving + others }, (_, index) => makePeer(index + 1, index < serving))
    for (const { peer } of peers) yield* peerSet.add(peer)
    return peers
  })

/** Runs of `once` per second, over `millis` after a tenth of that to warm up. */
const rate = <A, E, R>(once: Effect.Effect<A, E, R>, millis: number) =>
  Effect.gen(function* () {
    const runFor = (budget: number) =>
      Effect.gen(function* () {
        const started = performance.now()
        let runs = 0
        for (; performance.now() - started < budget; runs += 100) {
          for (let i = 0; i < 100; i++) yield* once
        }
        return runs / ((performance.now() - started) / 1000)
      })
    yield* runFor(millis / 10)
    return yield* runFor(millis)
  })

const requests = (peers: number, millis: number) =>
  Effect.gen(function* () {
    yield* fill(peers)
    return yield* rate((yield* PeerSet).request({ _tag: "Peers" }), millis)
  }).pipe(Effect.provide(layer))

/** One hash that 70 of the peers lack and 70 failed to deliver; of 100, most are among both. */
const blocks = (peers: number, millis: number) =>
  Effect.gen(function* () {
    yield* fill(peers)
    const registry = yield* InventoryRegistry
    const hash = blockOf(1)
    const item: InventoryItem = { _tag: "Block", hash }
    for (let i = 1; i <= 70; i++) {
      yield* registry.register(i, "missing", [item])
      yield* registry.recordFailure(i + 20, item)
    }
    return yield* rate((yield* PeerSet).request({ _tag: "BlockDownload", hash, advertiser: undefined }), millis)
  }).pipe(Effect.provide(layer))

/** So many blocks wait for a busy peer that serves, while one that does not becomes ready again and again. */
const becomingReady = (waiting: number, millis: number) =>
  Effect.gen(function* () {
    const peerSet = yield* PeerSet
    const [sam, nina] = yield* fill(1, 1)
    const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
    sam!.stick()
    fibers.push(
      yield* Effect.forkChild(peerSet.request({ _tag: "BlockDownload", hash: blockOf(0), advertiser: undefined }))
    )
    yield* Effect.yieldNow
    for (let n = 1; n <= waiting; n++) {
      const request = { _tag: "BlockDownload", hash: blockOf(n), advertiser: undefined } as const
      fibers.push(yield* Effect.forkChild(peerSet.request(request), { startImmediately: true }))
    }
    nina!.stick()
    // Each run makes her busy and ready again.
    const once = Effect.suspend(() => {
      const request = peerSet.request({ _tag: "MempoolTransactionIds" })
      return Effect.andThen(
        request,
        Effect.sync(() => nina!.free())
      )
    })
    const result = yield* rate(once, millis)
    yield* Fiber.interruptAll(fibers)
    return result
  }).pipe(Effect.provide(layer))

const broadcasts = (peers: number, millis: number) =>
  Effect.gen(function* () {
    yield* fill(peers)
    return yield* rate(
      (yield* PeerSet).request({ _tag: "AdvertiseTransactionIds", ids: new Set(), source: undefined }),
      millis
    )
  }).pipe(Effect.provide(layer))

const slots = outboundLimit(defaults)

/** More than there are slots, each in a network of its own: a node connects once with each. */
const listening = Array.from({ length: slots + 5 }, (_, n) =>
  PeerSocketAddress.fromStringUnsafe(`127.${n + 1}.0.1:${mainnet.defaultPort}`)
)

/** Seconds from the first dial of a node to its last outbound slot. Fails when they do not fill within a minute. */
const fillingSlots = Effect.gen(function* () {
  for (const address of listening) yield* ScriptedPeer.listen(address, ScriptedPeer.honest())
  const isBookFull = yield* Latch.make(false)
  // A node dials as soon as it has a seed: its only one answers once the book is full.
  const seed = Dns.make({ lookup: () => Effect.as(isBookFull.await, [listening[0]!.address]) })
  const node = yield* Layer.build(
    Node.services({ chain: mainnet, seeds: [`seed.example:${mainnet.defaultPort}`] }).pipe(
      Layer.provide([
        TcpTransport.layer,
        SecureRandom.layerWebCrypto,
        Layer.succeed(Dns.Dns, seed),
        FileSystem.layerNoop({}),
        Path.layer
      ])
    )
  )
  const lastSeenSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  const book = Context.get(node, AddressBook)
  yield* book.addGossiped(listening.map((address) => ({ address, services: NODE_NETWORK, lastSeenSeconds })))
  let firstDial = 0
  let connected = 0
  const filling = yield* Context.get(node, Network).events.pipe(
    Stream.takeUntil((event) => {
      if (event._tag === "DialStarted" && firstDial === 0) firstDial = event.at
      return event._tag === "PeerConnected" && ++connected === slots
    }),
    Stream.runLast,
    Effect.forkChild({ startImmediately: true })
  )
  yield* isBookFull.open
  const last = yield* Effect.timeout(Effect.flatMap(Fiber.join(filling), Effect.fromOption), "1 minute")
  return (last.at - firstDial) / 1000
}).pipe(
  Effect.scoped,
  Effect.provide([TcpTransport.layer, Layer.succeed(ChainParams, mainnet)]),
  Effect.provideService(References.MinimumLogLevel, "Error")
)

/** Prints the tables. */
export const run = async (args: ReadonlyArray<string>): Promise<void> => {
  const { values } = parseArgs({ args: [...args], options: { millis: { type: "string", default: "1000" } } })
  const millis = Number(values.millis)
  const rows: Array<{
    readonly what: string
    readonly at: string
    readonly "per second": number
    readonly "µs each": string
  }> = []
  const measure = async (what: string, at: string, effect: Effect.Effect<number, unknown>) => {
    const perSecond = await Effect.runPromise(effect)
    rows.push({ what, at, "per second": Math.round(perSecond), "µs each": (1e6 / perSecond).toFixed(1) })
  }
  for (const peers of [10, 100, 1000, 10_000])
    await measure("requests", `${peers} ready peers`, requests(peers, millis))
  for (const peers of [100, 10_000]) {
    await measure("one block; 70 lack it, 70 failed", `${peers} peers`, blocks(peers, millis))
  }
  for (const waiting of [20, 2000]) {
    await measure("a peer becomes busy and ready", `${waiting} waiting blocks`, becomingReady(waiting, millis))
  }
  await measure("broadcasts to a third", "1000 peers", broadcasts(1000, millis))
  console.table(rows)
  const seconds = await Effect.runPromise(fillingSlots)
  const allowed = ((slots - 1) * Duration.toMillis(defaults.dialInterval)) / 1000
  console.table([
    {
      what: `${slots} outbound slots filled from a full book`,
      seconds: seconds.toFixed(3),
      "the pace allows": allowed.toFixed(3),
      difference: (seconds - allowed).toFixed(3)
    }
  ])
}
