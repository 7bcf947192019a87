/** How a node starts to dial: the pace, which all dials share, and how many more it wants after its first ones. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { PeerSocketAddress } from "network-effect"
import { ScriptedPeer } from "network-effect/simulation"
import { peerAddress } from "../support/addresses.ts"
import { dialsOf, inWorld, peerAt, startNode, told, until } from "../support/wholeNode.ts"

/** So many, from that one on. */
const addresses = (count: number, first = 0) => Array.from({ length: count }, (_, i) => peerAddress(first + i))

const text = PeerSocketAddress.format

/** No tick of the crawler's timer adds to what the start wants. */
const startAlone = { fillSpareSlots: false, crawlInterval: Duration.hours(10) }

describe("the first dials of a node", () => {
  it("and the crawler's first ones start 100 ms apart, all of them (network S15, addresses Q13)", () =>
    inWorld(
      Effect.gen(function* () {
        const initial = addresses(3)
        const learnt = addresses(4, 10)
        for (const address of initial) yield* peerAt(address, ScriptedPeer.honest(told(learnt)))
        for (const address of learnt) yield* peerAt(address)
        // Everybody answers in no time: what was learnt could be dialled in the moment of the last initial dial.
        const { events } = yield* startNode({ peers: initial })
        yield* until("2 seconds")
        const dials = dialsOf(events)
        assert.deepStrictEqual(
          dials.map(({ atMillis }) => atMillis),
          [0, 100, 200, 300, 400, 500, 600]
        )
        assert.sameMembers(
          dials.map(({ address }) => address),
          [...initial, ...learnt].map(text)
        )
      })
    ))

  it("take turns with those an operator asks for (network S15, addresses Q13)", () =>
    inWorld(
      Effect.gen(function* () {
        const initial = addresses(3)
        const wanted = peerAddress(20)
        for (const address of [...initial, wanted]) yield* peerAt(address)
        const { events, manual } = yield* startNode({ peers: initial })
        yield* manual.connect(wanted)
        yield* until("2 seconds")
        assert.deepStrictEqual(
          dialsOf(events).map(({ atMillis }) => atMillis),
          [0, 100, 200, 300]
        )
        assert.include(
          dialsOf(events).map(({ address }) => address),
          text(wanted)
        )
      })
    ))
})

describe("what a node wants after its first dials", () => {
  const learnt = addresses(10, 10)

  /** A node whose target is four, with these initial peers, who know ten others. How many of those it dialled. */
  const startWith = Effect.fnUntraced(function* (...others: ReadonlyArray<"stays" | "leaves" | "silent" | "absent">) {
    const initial = addresses(others.length)
    for (const [i, address] of initial.entries()) {
      if (others[i] === "stays") yield* peerAt(address, ScriptedPeer.honest(told(learnt)))
      if (others[i] === "leaves") yield* peerAt(address, ScriptedPeer.honest(told(learnt)), "1 millis")
      if (others[i] === "silent") yield* peerAt(address, ScriptedPeer.silent)
    }
    for (const address of learnt) yield* peerAt(address)
    const node = yield* startNode({ peers: initial, policy: { ...startAlone, targetPeers: 4 } })
    yield* until("20 seconds")
    assert.strictEqual((yield* node.book.entries).length, initial.length + learnt.length)
    return { dials: dialsOf(node.events).length - initial.length, ...(yield* node.peerSet.counts) }
  })

  it("is its target, less the slots that are open (network 1.2, step 15)", () => {
    inWorld(
      Effect.gen(function* () {
        const { dials, outbound } = yield* startWith("stays", "stays")
        assert.deepStrictEqual([dials, outbound], [2, 4])
      })
    )
    inWorld(
      Effect.gen(function* () {
        const { dials, outbound } = yield* startWith("stays", "stays", "stays", "stays")
        assert.deepStrictEqual([dials, outbound], [0, 4])
      })
    )
  })

  it("makes up for those that were not reached, and for those that have left (network 1.2, step 15)", () =>
    inWorld(
      Effect.gen(function* () {
        // The silent one is waited for, so whoever leaves has left by then.
        const { dials, outbound } = yield* startWith("stays", "leaves", "silent", "absent")
        assert.deepStrictEqual([dials, outbound], [3, 4])
      })
    ))
})
