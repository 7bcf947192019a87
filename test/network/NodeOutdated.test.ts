/** A node on a chain that demands more than its build speaks. No chain of today demands more than ours: an older one is made. */
import { assert, describe, it, vi } from "@effect/vitest"
import { Effect, Exit, type Fiber, Option, SubscriptionRef } from "effect"
import { type BlockHash, ChainTip, mainnet, regtest, testnet, type Tip } from "network-effect"
import { bob } from "../support/addresses.ts"
import { inWorld, peerAt, startNode, until } from "../support/wholeNode.ts"

const hash = "07".repeat(32) as BlockHash

const tipAt = (height: number) => Option.some<Tip>({ height, hash, blockTimeSeconds: 0 })

const begin = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.forkScoped(Effect.flip(effect), { startImmediately: true })

/** Everything as it is, but for the version that this build speaks: that of NU6.3, one upgrade behind. */
const olderBuild = async () => {
  const versions = "../../src/chain/ProtocolVersion.ts"
  vi.resetModules()
  vi.doMock(versions, async (original) => ({ ...(await original<object>()), ourProtocolVersion: 170_160 }))
  try {
    const world = await import("../support/wholeNode.ts")
    const { ScriptedPeer } = await import("network-effect/simulation")
    const { ChainTip, NodeOutdated, ProtocolVersion } = await import("network-effect")
    assert.strictEqual(ProtocolVersion.ourProtocolVersion, 170_160)
    return { ...world, ChainTip, NodeOutdated, ScriptedPeer }
  } finally {
    vi.doUnmock(versions)
    vi.resetModules()
  }
}

describe("a node whose build is older than its chain", () => {
  const activation = mainnet.activationHeights.NU7!

  it("ends when the chain reaches the upgrade, and says so to everybody who asks it (network 6.16)", async () => {
    const { ChainTip, NodeOutdated, ScriptedPeer, inWorld, peerAt, startNode, until } = await olderBuild()
    inWorld(
      Effect.gen(function* () {
        const tip = yield* SubscriptionRef.make(tipAt(activation - 1))
        const newer = ScriptedPeer.compose(ScriptedPeer.stalling, {
          version: (version) => ({ ...version, version: 170_190 })
        })
        const seen = yield* peerAt(bob, newer)
        const { network, peerSet } = yield* startNode({ peers: [bob], chainTip: ChainTip.layerRef(tip) })
        yield* until("10 seconds")
        assert.deepInclude(yield* peerSet.counts, { ready: 1, outbound: 1 })
        // One that was asked, one that is given to the peer, one that waits; and whoever waits for more.
        const pending: ReadonlyArray<Fiber.Fiber<object, unknown>> = [
          yield* begin(network.request({ _tag: "FindBlocks", known: [hash], stop: undefined })),
          yield* begin(network.request({ _tag: "Peers" })),
          yield* begin(network.request({ _tag: "MempoolTransactionIds" })),
          yield* begin(network.awaitReady({ peers: 2 })),
          yield* begin(network.awaitEnd)
        ]
        yield* until("11 seconds")
        for (const fiber of pending) assert.isUndefined(fiber.pollUnsafe())

        yield* SubscriptionRef.set(tip, tipAt(activation))
        yield* until("12 seconds")
        const expected = new NodeOutdated({ ourVersion: 170_160, requiredVersion: 170_190, height: activation })
        for (const fiber of pending) {
          const exit = fiber.pollUnsafe()
          const error = exit === undefined ? undefined : Option.getOrUndefined(Exit.getSuccess(exit))
          assert.deepStrictEqual(error !== undefined && "reason" in error ? error.reason : error, expected)
        }
        assert.deepStrictEqual((yield* Effect.flip(network.request({ _tag: "Peers" }))).reason, expected)
        assert.deepStrictEqual((yield* Effect.flip(network.advertiseBlock(hash))).reason, expected)
        assert.match(expected.message, /170160.*170190.*update/)
        assert.strictEqual(seen.open, 0)
      })
    )
  })

  it("ends when it starts, if the chain is there already (network 6.16)", async () => {
    const { ChainTip, NodeOutdated, inWorld, startNode } = await olderBuild()
    inWorld(
      Effect.gen(function* () {
        const tip = yield* SubscriptionRef.make(tipAt(activation + 1000))
        const { network } = yield* startNode({ chainTip: ChainTip.layerRef(tip) })
        assert.deepStrictEqual(
          (yield* Effect.flip(network.request({ _tag: "Peers" }))).reason,
          new NodeOutdated({ ourVersion: 170_160, requiredVersion: 170_190, height: activation + 1000 })
        )
      })
    )
  })
})

describe("a node of this build", () => {
  it("stays connected whatever height its program says", () =>
    inWorld(
      Effect.gen(function* () {
        const tip = yield* SubscriptionRef.make(tipAt(0xffff_ffff))
        yield* peerAt(bob)
        const { peerSet } = yield* startNode({ peers: [bob], chainTip: ChainTip.layerRef(tip) })
        yield* until("10 seconds")
        assert.deepInclude(yield* peerSet.counts, { ready: 1, outbound: 1 })
      })
    ))

  const configured = { ...regtest, activationHeights: { ...regtest.activationHeights, NU7: 10 } }
  const custom = { ...testnet, custom: true }

  for (const chain of [mainnet, testnet, configured, custom]) {
    it(`goes on through every upgrade of ${chain.name}, custom: ${chain.custom} (network 6.16)`, () =>
      inWorld(
        Effect.gen(function* () {
          const tip = yield* SubscriptionRef.make(Option.none<Tip>())
          const { network } = yield* startNode({ chain, chainTip: ChainTip.layerRef(tip) })
          const end = yield* begin(network.awaitEnd)
          for (const height of [...Object.values(chain.activationHeights), 0xffff_ffff]) {
            yield* SubscriptionRef.set(tip, tipAt(height))
            yield* Effect.sleep("1 second")
            assert.isUndefined(end.pollUnsafe(), String(height))
          }
        })
      ))
  }
})
