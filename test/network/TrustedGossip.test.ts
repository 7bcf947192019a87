/** What a trusted peer hears of blocks, whatever it was asked meanwhile. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Result } from "effect"
import type { BlockHash, Message } from "network-effect"
import { ScriptedPeer } from "network-effect/simulation"
import { peerAddress } from "../support/addresses.ts"
import { elapsed, inWorld, peerFrom, startNode, until } from "../support/wholeNode.ts"

const hashOf = (byte: number) => byte.toString(16).padStart(2, "0").repeat(32) as BlockHash

/** So many blocks, from that one on. */
const hashes = (count: number, first: number) => Array.from({ length: count }, (_, i) => hashOf(first + i))

const inv = (hashes: ReadonlyArray<BlockHash>): Message.Message => ({
  _tag: "Inv",
  items: hashes.map((hash) => ({ _tag: "Block", hash }))
})

describe("a trusted peer that has not answered yet", () => {
  it("hears at once of every block, and its answer counts (network 54, busy_sidecar_receives_queued_block_gossip)", () =>
    inWorld(
      Effect.gen(function* () {
        const { network, peerSet } = yield* startNode({ trustedPeers: new Set(["10.9.0.1"]) })
        const heard: Array<{ readonly message: Message.Message; readonly atMillis: number }> = []
        let line: ScriptedPeer.Line | undefined
        yield* peerFrom(peerAddress(9), {
          begin: (begun) => Effect.sync(() => void (line = begun)),
          answer: (message) => Effect.map(elapsed, (atMillis) => heard.push({ message, atMillis }) > 0)
        })
        // None of the others serves blocks, so none is asked for them.
        const others = yield* Effect.forEach(Array.from({ length: 8 }), (_, i) =>
          peerFrom(peerAddress(i), { version: (version) => ({ ...version, services: 0n }) })
        )
        yield* until("10 seconds")
        assert.deepInclude(yield* peerSet.counts, { inbound: 9 })
        // One is asked and not answered, and the next one fills its slot.
        const find = Effect.forkScoped(
          network.request({ _tag: "FindBlocks", known: [hashOf(1)], stop: undefined }).pipe(Effect.result),
          { startImmediately: true }
        )
        const [finding] = [yield* find, yield* find]
        yield* until("11 seconds")
        const asked = heard.splice(0).map(({ message }) => message._tag)
        assert.deepStrictEqual(asked, ["GetBlocks"])
        assert.deepInclude(yield* peerSet.counts, { ready: 8, busy: 1 })

        const advertised = hashes(10, 0x10)
        for (const hash of advertised) {
          // To a third of the nine, and to the trusted one.
          assert.strictEqual((yield* network.advertiseBlock(hash)).length, 4)
        }
        yield* Effect.sleep("1 millis")
        assert.deepStrictEqual(
          heard.splice(0),
          advertised.map((hash) => ({ message: inv([hash]), atMillis: 11_000 }))
        )
        const elsewhere = others.flatMap((seen) => seen.heard.filter(({ tag }) => tag === "Inv"))
        assert.strictEqual(elsewhere.length, 30)

        assert.isUndefined(finding.pollUnsafe())
        yield* line!.say(inv(hashes(3, 2)))
        const found = Result.getOrThrow(yield* Fiber.join(finding))
        assert.deepStrictEqual([found._tag, found.hashes], ["BlockHashes", hashes(3, 2)])
        assert.strictEqual(yield* elapsed, 11_001)
      })
    ))
})
