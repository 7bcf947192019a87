/** What makes a node dial, and when again: demand, the crawler's timer, and the times of the address book. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Exit, Scope } from "effect"
import { PeerSocketAddress } from "network-effect"
import { ScriptedPeer } from "network-effect/simulation"
import { peerAddress } from "../support/addresses.ts"
import {
  countOf,
  dialsOf,
  gossip,
  inWorld,
  peerAt,
  peerFrom,
  standingStill,
  startNode,
  told,
  until
} from "../support/wholeNode.ts"

describe("a request that waits", () => {
  it("wants another peer only while nobody is ready (network 6.17)", () =>
    inWorld(
      Effect.gen(function* () {
        const [serving, other, candidate] = [peerAddress(1), peerAddress(2), peerAddress(3)]
        yield* peerAt(serving, ScriptedPeer.honest(told([candidate])))
        yield* peerAt(candidate)
        // No tick of the timer wants anybody, and the start has whom it wanted.
        const policy = { targetPeers: 1, fillSpareSlots: false, crawlInterval: Duration.hours(10) }
        const { events, network, peerSet } = yield* startNode({ peers: [serving], policy })
        yield* until("1 second")
        const withoutBlocks = ScriptedPeer.compose(ScriptedPeer.honest(), {
          version: (version) => ({ ...version, services: 0n })
        })
        yield* peerFrom(other, withoutBlocks)
        yield* until("2 seconds")
        // Nobody answers these. Two keep the one peer with blocks busy; more wait a while for it before they take the other.
        const find = Effect.forkScoped(
          Effect.ignore(network.request({ _tag: "FindBlocks", known: [], stop: undefined })),
          {
            startImmediately: true
          }
        )
        for (let n = 0; n < 3; n++) yield* find
        assert.deepInclude(yield* peerSet.counts, { ready: 1, busy: 1 })
        yield* until("4 seconds")
        yield* find
        assert.deepInclude(yield* peerSet.counts, { ready: 1, busy: 1 })
        yield* until("7 seconds")
        assert.deepInclude(yield* peerSet.counts, { ready: 0, busy: 2 })
        assert.strictEqual(dialsOf(events).length, 1)
        yield* find
        yield* until("8 seconds")
        assert.deepStrictEqual(dialsOf(events), [
          { address: PeerSocketAddress.format(serving), atMillis: 0 },
          { address: PeerSocketAddress.format(candidate), atMillis: 7000 }
        ])
      })
    ))
})

describe("the crawler's timer", () => {
  it("rings an interval after a tick that came late, and makes up for none (network 4.1)", () =>
    inWorld(
      Effect.gen(function* () {
        const bob = peerAddress(1)
        const seen = yield* peerAt(bob)
        // The tick of 80 seconds comes at 130, when that of 120 is over, too.
        const clock = standingStill(yield* Clock.Clock, "70 seconds", "130 seconds")
        yield* startNode({ peers: [bob], clock, policy: { crawlInterval: Duration.seconds(40) } })
        yield* until("220 seconds")
        const crawls = seen.heard.filter(({ tag }) => tag === "GetAddr").map(({ atMillis }) => atMillis)
        assert.deepStrictEqual(crawls, [0, 40_000, 130_000, 170_000, 210_000])
      })
    ))
})

describe("an address that a node has dealt with", () => {
  for (const { expected, interval } of [
    // At every tick the node dials whom it may.
    { interval: 119_000, expected: [119_000, 3 * 119_000] },
    { interval: 119_001, expected: [119_001, 2 * 119_001, 3 * 119_001] }
  ]) {
    it(`is not dialled again before more than 119 s have passed: every ${interval} ms (addresses 1.5)`, () =>
      inWorld(
        Effect.gen(function* () {
          const { book, events } = yield* startNode({
            // Alone, but for the crawler's ticks: nothing else dials.
            policy: { crawlInterval: Duration.millis(interval), recoveryInterval: Duration.days(1) }
          })
          yield* until("1 second")
          yield* gossip(book, [peerAddress(1)])
          yield* until("400 seconds")
          assert.deepStrictEqual(
            dialsOf(events).map(({ atMillis }) => atMillis),
            expected
          )
        })
      ))
  }

  const elsewhere = PeerSocketAddress.fromStringUnsafe("10.1.0.1:8234")

  /** A node that looks every ten seconds whom it may dial, and hears of another port of a host that has left: its dial. */
  const hearsOfAnotherPort = Effect.fnUntraced(function* (afterwards: (node: Node) => Effect.Effect<void>) {
    const bob = peerAddress(1)
    const stay = yield* Scope.make()
    yield* Scope.provide(peerAt(bob), stay)
    yield* peerAt(elsewhere)
    const policy = {
      crawlInterval: Duration.seconds(10),
      misbehaviorInterval: Duration.seconds(1),
      banDuration: Duration.seconds(20)
    }
    const node = yield* startNode({ peers: [bob], policy })
    yield* until("5 seconds")
    yield* Scope.close(stay, Exit.void)
    yield* until("6 seconds")
    assert.strictEqual(countOf(node.events, "PeerDisconnected"), 1)
    yield* afterwards(node)
    yield* until("31 seconds")
    yield* gossip(node.book, [elsewhere])
    yield* until("4 minutes")
    const dials = dialsOf(node.events).filter(({ address }) => address === PeerSocketAddress.format(elsewhere))
    return Math.floor((dials[0]?.atMillis ?? 0) / 1000)
  })

  type Node = Effect.Success<ReturnType<typeof startNode>>

  it("keeps the rest of its host from being dialled for 119 s (addresses 2.4)", () =>
    inWorld(
      Effect.gen(function* () {
        const second = yield* hearsOfAnotherPort(() => Effect.void)
        // It responded at 0 s; this is the first tick after that time.
        assert.strictEqual(second, 120)
      })
    ))

  it("does so no longer once its host was banned, and is not any more (addresses 2.2, step 3)", () =>
    inWorld(
      Effect.gen(function* () {
        const second = yield* hearsOfAnotherPort(({ network }) =>
          network.reportMisbehavior({ address: peerAddress(1), score: 100, reason: "an invalid block" })
        )
        // The ban ended after 27 s at the latest.
        assert.strictEqual(second, 40)
      })
    ))
})
