/** Peers whose host is banned: while they shake hands, whoever dialled, and while they are connected. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ScriptedPeer } from "network-effect/simulation"
import type { BlockHash } from "network-effect"
import { bob, peerAddress } from "../support/addresses.ts"
import { countOf, inWorld, peerAt, peerFrom, startNode, until } from "../support/wholeNode.ts"

/** It takes a second for its `verack`, and would answer whatever it is asked. */
const slow = ScriptedPeer.compose(ScriptedPeer.honest(), ScriptedPeer.slow("1 second"))

/** Bob is banned in the middle of his handshake, while a request waits for somebody. */
const bannedWhileItShakesHands = Effect.fnUntraced(function* (whoDials: "node" | "Bob") {
  const listening = whoDials === "node" ? yield* peerAt(bob, slow) : undefined
  const node = yield* startNode({ peers: whoDials === "node" ? [bob] : [] })
  const seen = listening ?? (yield* peerFrom(bob, slow))
  const waiting = yield* Effect.forkScoped(node.network.request({ _tag: "Peers" }), { startImmediately: true })
  const joined = yield* Effect.forkScoped(node.network.awaitReady({ peers: 1 }), { startImmediately: true })
  yield* until("500 millis")
  assert.strictEqual(seen.open, 1)
  yield* node.book.ban({ address: bob, reason: "test" })
  yield* until("5 seconds")
  return { ...node, seen, waiting, joined }
})

describe("a peer that is banned during its handshake", () => {
  for (const whoDials of ["node", "Bob"] as const) {
    it(`does not stay, and nobody is told that it is there: ${whoDials} dials (network 6.5)`, () =>
      inWorld(
        Effect.gen(function* () {
          const { events, peerSet, seen } = yield* bannedWhileItShakesHands(whoDials)
          assert.deepStrictEqual(yield* peerSet.counts, { ready: 0, busy: 0, inbound: 0, outbound: 0 })
          assert.deepStrictEqual([seen.connections.length, seen.open], [1, 0])
          assert.strictEqual(countOf(events, "PeerConnected"), 0)
        })
      ))

    it(`never joins, and is asked nothing: ${whoDials} dials (network 6.5)`, () =>
      inWorld(
        Effect.gen(function* () {
          const { joined, seen, waiting } = yield* bannedWhileItShakesHands(whoDials)
          assert.isUndefined(joined.pollUnsafe())
          assert.deepStrictEqual(seen.heard, [])
          // The request goes to somebody else, when there is one.
          assert.isUndefined(waiting.pollUnsafe())
        })
      ))
  }
})

describe("a ban of connected peers", () => {
  it("is enforced when it is made: who asks next does not see them, and an advert goes to the others (network 6.15, 90; C29)", () =>
    inWorld(
      Effect.gen(function* () {
        const node = yield* startNode({ policy: { connectionsPerGroup: 1 } })
        const [one, other] = [peerAddress(1), peerAddress(2)]
        yield* peerFrom(one)
        yield* until("2 seconds")
        yield* peerFrom(other)
        yield* until("5 seconds")
        assert.strictEqual((yield* node.peerSet.peers).length, 2)
        yield* node.book.ban({ address: one, reason: "a test" })
        const left = (yield* node.peerSet.peers).map(({ transientAddress }) => transientAddress?.address)
        assert.deepStrictEqual(left, [other.address])
        const written = yield* node.advertiser.advertiseToAll("07".repeat(32) as BlockHash)
        assert.strictEqual(written.length, 1)
      })
    ))
})
