/** A peer whose host is banned while it still shakes hands, whoever dialled. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { ScriptedPeer } from "network-effect/simulation"
import { bob } from "../support/addresses.ts"
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
