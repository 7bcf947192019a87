/** In order, by hash, and how many could be helped by whom. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, HashMap, Option } from "effect"
import { byNetwork } from "../../src/addresses/AddressGroups.ts"
import { mainnet } from "../../src/chain/ChainParams.ts"
import { defaults } from "../../src/Policy.ts"
import { BlockQueue, type WaitingBlock, WaitingBlocks } from "../../src/routing/BlockQueue.ts"
import { Call } from "../../src/routing/Call.ts"
import { ConnectedPeers, Member } from "../../src/routing/ConnectedPeers.ts"
import { Dispatch } from "../../src/routing/Dispatch.ts"
import { Membership } from "../../src/routing/Membership.ts"
import { twoAtRandom } from "../../src/routing/PeerSelection.ts"
import { Steps } from "../../src/routing/Steps.ts"
import { TrustedPeers } from "../../src/routing/TrustedPeers.ts"
import { fakePeer } from "../support/fakePeer.ts"
import { block, blockHash } from "../support/peerSetWorld.ts"

const entry = (byte: number, scope: WaitingBlock["scope"] = "serving"): WaitingBlock => ({
  hash: blockHash(byte),
  scope
})

describe("the queue of blocks", () => {
  it("keeps nothing of a request that has left", () => {
    const connected = new ConnectedPeers()
    const [sam, nina] = [true, false].map((serving, n) => {
      const peer = fakePeer({ id: n, address: `192.0.2.${n}:1`, serving })
      return new Member(peer, TrustedPeers.make([]), byNetwork, 0n)
    })
    for (const member of [sam!, nina!]) connected.add(member)
    connected.markReady(nina!)
    const queue = new BlockQueue({
      policy: defaults,
      metrics: {
        peers: () => undefined,
        findQueued: () => undefined,
        findFallback: () => undefined,
        inventoryQueued: () => undefined,
        inventoryRefusal: () => assert.fail("it waits")
      },
      steps: new Steps((defect) => assert.fail(String(defect))),
      connected,
      dispatch: new Dispatch({
        membership: new Membership({
          policy: defaults,
          chain: mainnet,
          clock: Effect.runSync(Clock.clockWith(Effect.succeed)),
          trusted: TrustedPeers.make([]),
          groups: byNetwork,
          tip: () => Option.none(),
          bans: () => HashMap.empty(),
          steps: new Steps((defect) => assert.fail(String(defect))),
          run: Effect.runFork
        }),
        chooser: twoAtRandom,
        steps: new Steps((defect) => assert.fail(String(defect))),
        draw: () => 0,
        nowNanos: () => 0n,
        ended: () => undefined,
        fly: Effect.runFork,
        tellDefect: (defect) => assert.fail(String(defect)),
        tellMisrule: (cause) => assert.fail(String(cause))
      }),
      recordOf: () => ({ advertised: new Set(), missing: new Set(), failed: new Set() }),
      nowMillis: () => 0
    })
    const calls = [1, 2].map((byte) => new Call(block(byte), new Set(), undefined))
    for (const [n, call] of calls.entries()) queue.route(call, blockHash(n + 1))
    assert.deepStrictEqual([...queue.calls()], calls)
    queue.leave(calls[0]!)
    assert.deepStrictEqual([[...queue.calls()], queue.size], [[calls[1]], 1])
    assert.deepStrictEqual([queue.isWaitingFor(blockHash(1)), queue.isWaitingFor(blockHash(2))], [false, true])
    queue.leave(calls[0]!)
    queue.leave(calls[1]!)
    assert.deepStrictEqual([[...queue.calls()], queue.size], [[], 0])
  })
})

describe("WaitingBlocks", () => {
  it("keeps the order of joining, also when an entry's scope changes", () => {
    const blocks = new WaitingBlocks<WaitingBlock>()
    const [first, second, third] = [entry(1), entry(2, "any"), entry(1)]
    for (const one of [first, second, third]) blocks.add(one)
    assert.deepStrictEqual([...blocks.values()], [first, second, third])
    assert.deepStrictEqual([blocks.size, blocks.any], [3, 1])
    blocks.rescope(first, "any")
    assert.strictEqual(blocks.any, 2)
    blocks.rescope(first, "any")
    assert.strictEqual(blocks.any, 2)
    blocks.rescope(second, "serving")
    blocks.rescope(third, "serving")
    assert.deepStrictEqual([...blocks.values()], [first, second, third])
    assert.strictEqual(blocks.any, 1)
  })

  it("finds entries by hash, and forgets a hash that nobody waits for", () => {
    const blocks = new WaitingBlocks<WaitingBlock>()
    const [first, second] = [entry(1), entry(1, "any")]
    blocks.add(first)
    blocks.add(second)
    assert.deepStrictEqual([...blocks.of(blockHash(1))], [first, second])
    assert.deepStrictEqual([...blocks.of(blockHash(2))], [])
    assert.deepStrictEqual([blocks.remove(first), blocks.remove(first)], [true, false])
    assert.isTrue(blocks.isWaitingFor(blockHash(1)))
    blocks.remove(second)
    assert.isFalse(blocks.isWaitingFor(blockHash(1)))
    assert.deepStrictEqual([blocks.size, blocks.any, blocks.has(first)], [0, 0, false])
    // Too late to matter.
    blocks.rescope(second, "any")
    assert.strictEqual(blocks.any, 0)
  })

  it("may lose entries while they are walked", () => {
    const blocks = new WaitingBlocks<WaitingBlock>()
    const entries = [entry(1), entry(2), entry(3)]
    for (const one of entries) blocks.add(one)
    const seen: Array<WaitingBlock> = []
    for (const one of blocks.values()) {
      seen.push(one)
      blocks.remove(one)
      blocks.remove(entries[1]!)
    }
    assert.deepStrictEqual(seen, [entries[0]!, entries[2]!])
  })
})
