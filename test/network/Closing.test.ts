/** What closing a node ends: everything it does, for everybody. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Clock, Duration, Effect, Exit, type Fiber, Layer, Option, Scope, SubscriptionRef } from "effect"
import type { BlockHash, Request } from "network-effect"
import { LinkRule, ScriptedPeer, SimNetwork, SimRuntime } from "network-effect/simulation"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import * as PeerAddress from "../../src/addresses/PeerAddress.ts"
import { NetworkClosed } from "../../src/BackgroundTasks.ts"
import { ChainParams, mainnet } from "../../src/chain/ChainParams.ts"
import { ChainTip } from "../../src/chain/ChainTip.ts"
import { ConnectError, Connector } from "../../src/network/Connector.ts"
import * as StaleTip from "../../src/network/StaleTip.ts"
import { alice, bob, mallory, peerAddress } from "../support/addresses.ts"
import { countOf, dialsOf, elapsed, gossip, inWorld, peerAt, peerFrom, startNode, until } from "../support/wholeNode.ts"

const hash = "07".repeat(32) as BlockHash
const find: Request = { _tag: "FindBlocks", known: [], stop: undefined }

const begin = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkScoped(effect, { startImmediately: true })

type Waiting = Fiber.Fiber<unknown, { readonly _tag: string; readonly reason?: { readonly _tag: string } }>

/** The tag of the error an effect failed with, or what else became of it. */
const outcomeOf = (fiber: Waiting): string => {
  const exit = fiber.pollUnsafe()
  if (exit === undefined) return "still waits"
  if (Exit.isSuccess(exit)) return "succeeded"
  return Option.match(Cause.findErrorOption(exit.cause), {
    onNone: () => "was interrupted or died",
    onSome: ({ _tag, reason }) => reason?._tag ?? _tag
  })
}

/**
 * A node in the middle of everything, half a second after its crawler began. Two peers were asked and keep their
 * answers; the program was asked and keeps its own. A dial is not answered, and a handshake is not, in each direction.
 * Requests wait for a peer, and an advert for one that does not read.
 */
const busyNode = Effect.gen(function* () {
  const network = yield* SimNetwork
  const scope = yield* Scope.make()
  const answers = { begun: 0, ended: 0 }
  const [silent, stranger, carol, candidate] = [peerAddress(1), peerAddress(2), peerAddress(3), peerAddress(4)]
  yield* network.addRule(LinkRule.blackHole({ to: [mallory] }))
  const others = {
    bob: yield* peerAt(bob, ScriptedPeer.stalling),
    silent: yield* peerAt(silent, ScriptedPeer.silent),
    candidate: yield* peerAt(candidate)
  }
  const node = yield* startNode({
    peers: [bob],
    policy: { acceptInterval: Duration.millis(10), crawlInterval: Duration.seconds(10) },
    answers: {
      block: () =>
        Effect.suspend(() => {
          answers.begun++
          return Effect.never
        }).pipe(Effect.onInterrupt(() => Effect.sync(() => answers.ended++)))
    }
  }).pipe(Scope.provide(scope))
  yield* gossip(node.book, [mallory, silent])
  // Bob does not answer the crawl that ends its start.
  yield* until("8 seconds")
  const incoming = {
    stranger: yield* peerFrom(stranger, ScriptedPeer.silent),
    carol: yield* peerFrom(
      carol,
      ScriptedPeer.compose(ScriptedPeer.stalling, {
        // It serves no blocks, so it is not asked for any.
        version: (version) => ({ ...version, services: 0n }),
        begin: ({ say }) => say({ _tag: "GetData", items: [{ _tag: "Block", hash }] })
      })
    )
  }
  yield* until("8500 millis")
  const ask = (request: Request) => begin(node.network.request(request))
  const waiting: Record<string, Waiting> = {
    "asked of Bob": yield* ask(find),
    "given to Bob": yield* ask(find),
    "that waits for Bob": yield* ask({ _tag: "BlockDownload", hash, advertiser: undefined }),
    "asked of Carol": yield* ask({ _tag: "MempoolTransactionIds" }),
    "given to Carol": yield* ask({ _tag: "MempoolTransactionIds" }),
    "that waits at the door": yield* ask({ _tag: "Peers" })
  }
  const bobReads = yield* Scope.make()
  yield* Scope.provide(network.addRule(LinkRule.blackHole({ from: [alice], to: [bob] })), bobReads)
  const advert: Waiting = yield* begin(node.advertiser.advertiseToAll(hash))
  // Those who wait want another peer; whoever is known from now on is dialled at the next tick.
  yield* Effect.sleep("1 millis")
  yield* gossip(node.book, [candidate])

  // All of it is under way.
  assert.deepStrictEqual(yield* node.peerSet.counts, { ready: 0, busy: 2, inbound: 1, outbound: 1 })
  assert.deepStrictEqual(
    [...Object.values(waiting), advert].map(outcomeOf),
    Array.from({ length: 7 }, () => "still waits")
  )
  assert.deepStrictEqual(
    dialsOf(node.events).map(({ atMillis }) => atMillis),
    [0, 8000, 8100]
  )
  assert.deepStrictEqual([countOf(node.events, "DialFailed"), countOf(node.events, "HandshakeFailed")], [0, 0])
  assert.deepStrictEqual(
    [others.bob, others.silent, others.candidate, incoming.stranger, incoming.carol].map(({ open }) => open),
    [1, 1, 0, 1, 1]
  )
  assert.deepStrictEqual(answers, { begun: 1, ended: 0 })
  return { ...node, waiting, advert, answers, others, incoming, close: Scope.close(scope, Exit.void), bobReads }
})

describe("closing a node", () => {
  it("ends all it does, and gives back its port (network 142, dropping_network_handles_stops_owned_tasks)", () =>
    inWorld(
      Effect.gen(function* () {
        const network = yield* SimNetwork
        const { advert, answers, bobReads, close, incoming, others, waiting, ...node } = yield* busyNode
        const end: Waiting = yield* begin(node.network.awaitEnd)
        yield* close
        // What Bob does not read is waited for a little.
        assert.isAtMost(yield* elapsed, 8501 + 5000)

        // Everybody who waited hears of it, with an error.
        for (const [what, fiber] of [...Object.entries(waiting), ["advert", advert] as const]) {
          assert.notInclude(["still waits", "succeeded", "was interrupted or died"], outcomeOf(fiber), what)
        }
        assert.strictEqual(outcomeOf(end), "NetworkClosed")
        assert.deepStrictEqual(answers, { begun: 1, ended: 1 })
        // The port can be bound again, and nobody is at it.
        yield* Effect.scoped(network.host(alice).listen(alice))
        yield* Scope.close(bobReads, Exit.void)
        yield* Effect.sleep("1 millis")
        const all = [others.bob, others.silent, others.candidate, incoming.stranger, incoming.carol]
        assert.deepStrictEqual(
          all.map(({ open }) => open),
          [0, 0, 0, 0, 0]
        )
        assert.strictEqual(network.openEnds(), 0)

        // Whoever kept a part of it is told that it is over.
        assert.strictEqual((yield* Effect.flip(node.network.request({ _tag: "Peers" }))).reason._tag, "NetworkClosed")
        assert.strictEqual((yield* Effect.flip(node.network.advertiseBlock(hash))).reason._tag, "NetworkClosed")
        assert.strictEqual((yield* Effect.flip(node.advertiser.advertiseToAll(hash))).reason._tag, "NetworkClosed")
        yield* node.network.reportMisbehavior({ address: bob, score: 100, reason: "an invalid block" })

        // And nobody ever hears of it again.
        yield* until("1 hour")
        assert.deepStrictEqual(
          all.map(({ connections }) => connections.length),
          [1, 1, 0, 1, 1]
        )
        assert.strictEqual(network.openEnds(), 0)
      })
    ))

  it("fails requests under way, requests that wait, and adverts with NetworkClosed (network 1.9, 142)", () =>
    inWorld(
      Effect.gen(function* () {
        const { advert, close, waiting } = yield* busyNode
        yield* close
        const outcomes = [...Object.entries(waiting), ["an advert", advert] as const].map(
          ([what, fiber]) => `${what}: ${outcomeOf(fiber)}`
        )
        assert.deepStrictEqual(
          outcomes,
          [...Object.keys(waiting), "an advert"].map((what) => `${what}: NetworkClosed`)
        )
      })
    ))

  it("while it starts ends that, and dials nobody later (network 142, dropping_network_handles_stops_owned_tasks)", () =>
    inWorld(
      Effect.gen(function* () {
        const network = yield* SimNetwork
        const scope = yield* Scope.make()
        const silent = yield* peerAt(bob, ScriptedPeer.silent)
        const later = yield* peerAt(peerAddress(1))
        const back = yield* Scope.make()
        yield* Scope.provide(network.addRule(LinkRule.blackHole({ to: [mallory] })), back)
        const mallorys = yield* peerAt(mallory)
        const node = yield* startNode({ peers: [bob, mallory, peerAddress(1)] }).pipe(Scope.provide(scope))
        const started: Waiting = yield* begin(node.network.awaitStarted)
        // Two of three have had their turn at most.
        yield* until("150 millis")
        yield* Scope.close(scope, Exit.void)
        assert.strictEqual(outcomeOf(started), "NetworkClosed")
        yield* Scope.close(back, Exit.void)
        const before = [silent, later, mallorys].map(({ connections }) => connections.length)
        yield* until("1 hour")
        assert.deepStrictEqual(
          [silent, later, mallorys].map(({ connections }) => connections.length),
          before
        )
        assert.strictEqual(network.openEnds(), 0)
      })
    ))

  it("ends adverts, for which nobody has to ask anything (network 85, advertiser_bootstraps_discovery_and_does_not_own_network_shutdown)", () =>
    inWorld(
      Effect.gen(function* () {
        const scope = yield* Scope.make()
        const { advertiser, network } = yield* startNode().pipe(Scope.provide(scope))
        const first: Waiting = yield* begin(advertiser.advertise(hash))
        yield* until("1 second")
        assert.strictEqual(outcomeOf(first), "still waits")
        const seen = yield* peerFrom(bob)
        yield* until("2 seconds")
        assert.strictEqual(outcomeOf(first), "succeeded")
        assert.deepStrictEqual(seen.heard, [{ tag: "Inv", atMillis: 1000 }])
        assert.strictEqual(seen.open, 1)

        yield* Scope.close(scope, Exit.void)
        yield* Effect.sleep("1 millis")
        assert.strictEqual(seen.open, 0)
        assert.strictEqual((yield* Effect.flip(network.request({ _tag: "Peers" }))).reason._tag, "NetworkClosed")
        assert.strictEqual((yield* Effect.flip(advertiser.advertise(hash))).reason._tag, "NetworkClosed")
      })
    ))

  it.effect("ends the wait for a block at the next dial", () =>
    Effect.gen(function* () {
      const tip = yield* SubscriptionRef.make(Option.some({ height: 1_500_000, hash: hash, blockTimeSeconds: 0 }))
      const before = yield* Clock.currentTimeMillis
      const end = yield* Effect.flip(Effect.provide(StaleTip.run, ChainTip.layerRef(tip)))
      assert.deepStrictEqual(end, new NetworkClosed())
      // Six times 75 seconds.
      assert.strictEqual((yield* Clock.currentTimeMillis) - before, 450_000)
    }).pipe(
      Effect.provide(
        Layer.mergeAll(
          AddressBook.layerTest({
            takeElsewhere: Effect.sync(() =>
              Option.some(PeerAddress.ownListener(bob, { wallSeconds: 0, monotonicMillis: 0 }))
            )
          }),
          Layer.mock(Connector, { connect: () => Effect.fail(new ConnectError({ reason: new NetworkClosed() })) }),
          Layer.succeed(ChainParams, mainnet)
        )
      ),
      SimRuntime.within("1 hour")
    )
  )
})
