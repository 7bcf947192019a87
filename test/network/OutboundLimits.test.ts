/** How many a node dials, whoever wants more: a whole node that knows more addresses than it may have connections. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { defaults, type NetworkEvent, outboundLimit, type Policy } from "network-effect"
import { ScriptedPeer } from "network-effect/simulation"
import { peerAddress } from "../support/addresses.ts"
import { countOf, dialsOf, gossip, inWorld, peerAt, peerFrom, startNode, until } from "../support/wholeNode.ts"

/** Outbound connections and attempts, at the moment there were most of them. */
const mostOutbound = (events: ReadonlyArray<NetworkEvent>): number => {
  let now = 0
  let most = 0
  for (const event of events) {
    if (event._tag === "DialStarted") most = Math.max(most, ++now)
    else if (event._tag === "DialFailed") now--
    else if (event._tag === "HandshakeFailed" || event._tag === "PeerDisconnected") {
      if (event.direction === "outbound") now--
    }
  }
  return most
}

/** What dials of a node come to: nobody is there, nobody answers, they leave at once, they stay and answer nothing. */
type Others = "absent" | "silent" | "leave" | "stay"

/**
 * Ten seconds of a node that knows twice as many addresses as it may dial and one more, while as many requests wait, each
 * of which wants another peer.
 */
const tenSeconds = Effect.fnUntraced(function* (others: Others, policy: Partial<Policy>) {
  const count = 2 * outboundLimit({ ...defaults, ...policy }) + 1
  const addresses = Array.from({ length: count }, (_, i) => peerAddress(i))
  if (others !== "absent") {
    const script = others === "silent" ? ScriptedPeer.silent : ScriptedPeer.stalling
    for (const address of addresses) yield* peerAt(address, script, others === "leave" ? "1 millis" : Duration.infinity)
  }
  const node = yield* startNode({ policy: { ...policy, crawlInterval: Duration.millis(100) } })
  yield* gossip(node.book, addresses)
  for (let n = 0; n < count; n++) yield* Effect.forkScoped(Effect.ignore(node.network.request({ _tag: "Peers" })))
  yield* until("10 seconds")
  assert.strictEqual((yield* node.book.entries).length, count)
  return {
    ...node,
    dials: dialsOf(node.events).length,
    connected: countOf(node.events, "PeerConnected"),
    held: (yield* node.peerSet.counts).outbound,
    most: mostOutbound(node.events)
  }
})

describe("a node's limit of outbound connections (NB-7)", () => {
  it("of zero lets nobody be dialled (network 15, crawler_peer_limit_zero_connect_panic)", () =>
    inWorld(
      Effect.gen(function* () {
        const { connected, dials } = yield* tenSeconds("stay", { targetPeers: 1, outboundMultiplier: 0 })
        assert.deepStrictEqual([connected, dials], [0, 0])
      })
    ))

  for (const [targetPeers, number, name] of [
    [1, 16, "crawler_peer_limit_one_connect_error"],
    [25, 19, "crawler_peer_limit_default_connect_error"]
  ] as const) {
    it(`is no reason to stop when every dial fails, with a target of ${targetPeers} (network ${number}, ${name})`, () =>
      inWorld(
        Effect.gen(function* () {
          const { connected, dials, events } = yield* tenSeconds("absent", { targetPeers })
          assert.strictEqual(connected, 0)
          // Each address once, or as many as the pace allows.
          assert.isAtLeast(dials, targetPeers === 1 ? 7 : 95)
          yield* until("3 minutes")
          assert.isAbove(dialsOf(events).length, dials)
          assert.strictEqual(countOf(events, "BackgroundTaskExited"), 0)
        })
      ))
  }

  it("counts those that are dialled and do not answer (network 16, crawler_peer_limit_one_connect_error)", () =>
    inWorld(
      Effect.gen(function* () {
        const { connected, dials, most } = yield* tenSeconds("silent", { targetPeers: 1 })
        assert.deepStrictEqual([connected, most], [0, 3])
        // They are given up after three seconds each.
        assert.strictEqual(dials, 7)
      })
    ))

  for (const [targetPeers, number, name] of [
    [1, 17, "crawler_peer_limit_one_connect_ok_then_drop"],
    [15, 20, "crawler_peer_limit_default_connect_ok_then_drop"]
  ] as const) {
    it(`is free again when peers leave, with a target of ${targetPeers} (network ${number}, ${name})`, () =>
      inWorld(
        Effect.gen(function* () {
          const { connected, held, most } = yield* tenSeconds("leave", { targetPeers })
          assert.isAbove(connected, 3 * targetPeers)
          assert.strictEqual(held, 0)
          assert.isAtMost(most, 3 * targetPeers)
        })
      ))
  }

  for (const [targetPeers, number, name] of [
    [1, 18, "crawler_peer_limit_one_connect_ok_stay_open"],
    [25, 21, "crawler_peer_limit_default_connect_ok_stay_open"]
  ] as const) {
    it(`is kept when peers stay, with a target of ${targetPeers} (network ${number}, ${name})`, () =>
      inWorld(
        Effect.gen(function* () {
          const { connected, held, most } = yield* tenSeconds("stay", { targetPeers })
          assert.deepStrictEqual([connected, held, most], [3 * targetPeers, 3 * targetPeers, 3 * targetPeers])
        })
      ))
  }

  it("counts whoever found nobody to dial and asks for addresses instead (network D10)", () =>
    inWorld(
      Effect.gen(function* () {
        const candidate = peerAddress(1)
        yield* peerAt(candidate)
        // One connection may be made; the first tick's crawl asks nobody, and no other tick comes.
        const policy = {
          targetPeers: 1,
          outboundMultiplier: 1,
          fillSpareSlots: false,
          crawlInterval: Duration.hours(10)
        }
        const { book, events, network, peerSet } = yield* startNode({ policy })
        const wantAnother = Effect.forkScoped(Effect.ignore(network.request({ _tag: "MempoolTransactionIds" })), {
          startImmediately: true
        })
        yield* until("40 seconds")
        yield* peerFrom(peerAddress(2), ScriptedPeer.stalling)
        yield* until("41 seconds")
        // Two keep the only peer busy. The third wants another peer: nobody is known, so addresses are asked for.
        for (let n = 0; n < 3; n++) yield* wantAnother
        yield* until("42 seconds")
        yield* gossip(book, [candidate])
        // Whoever wants one more now finds the only slot taken.
        assert.isTrue(yield* peerSet.demand.offer)
        // Nobody is free to answer the crawl, which is given up after eight seconds.
        yield* until("48999 millis")
        assert.isEmpty(dialsOf(events))
        yield* until("50 seconds")
        yield* wantAnother
        yield* until("51 seconds")
        assert.deepStrictEqual(dialsOf(events), [{ address: "10.1.0.1:8233", atMillis: 50_000 }])
      })
    ))
})
