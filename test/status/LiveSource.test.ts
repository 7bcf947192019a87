/** What the page's stream sees where a process runs several nodes: each with a number of its own, and who dialled whom. */
import { assert, describe, it } from "@effect/vitest"
import { type Context, Effect, Layer, References } from "effect"
import { defaults, Network, PeerSocketAddress, Policy, regtest } from "network-effect"
import { Simulated } from "network-effect/layers"
import { SimNetwork, SimRuntime } from "network-effect/simulation"
import * as LiveSource from "../../src/status/LiveSource.ts"
import { type ListedNode, OtherNodes } from "../../src/status/NodeView.ts"

const alice = PeerSocketAddress.fromStringUnsafe("10.1.0.1:18233")
const bob = PeerSocketAddress.fromStringUnsafe("10.2.0.1:18233")
const carol = PeerSocketAddress.fromStringUnsafe("10.3.0.1:18233")

const node = (host: PeerSocketAddress.PeerSocketAddress, peers: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) =>
  Layer.build(Simulated.layer({ chain: regtest, host, listenAddress: host, peers, seed: 1 }))

describe("the nodes of a process", () => {
  it.effect("are shown with where they listen, and with each connection between two of them once", () =>
    Effect.gen(function* () {
      const ofBob = yield* node(bob, [])
      const ofCarol = yield* node(carol, [bob])
      const ofAlice = yield* node(alice, [bob])
      let others: ReadonlyArray<Context.Context<ListedNode>> = []
      const { source } = yield* LiveSource.make.pipe(
        Effect.provideContext(ofAlice),
        Effect.provideService(OtherNodes, () => others)
      )
      yield* Effect.sleep("5 seconds")
      const alone = yield* source.look
      assert.deepStrictEqual([alone.nodes, alone.links], [[], []])
      assert.lengthOf(alone.peers, 1)

      others = [ofBob, ofCarol]
      const shown = (look: typeof alone) => look.nodes.map(([number, listen]) => [number, listen])
      const all = yield* source.look
      assert.deepStrictEqual(shown(all), [
        [0, "10.1.0.1:18233"],
        [1, "10.2.0.1:18233"],
        [2, "10.3.0.1:18233"]
      ])
      assert.deepStrictEqual(all.links, [
        [0, 1],
        [2, 1]
      ])

      // Bob is gone from the list, and who comes back has the number it had.
      others = [ofCarol]
      const without = yield* source.look
      assert.deepStrictEqual([shown(without).map(([number]) => number), without.links], [[0, 2], []])
      others = [ofCarol, ofBob]
      assert.deepStrictEqual((yield* source.look).links, all.links)
    }).pipe(
      Effect.scoped,
      Effect.provide(SimNetwork.layer),
      Effect.provideService(Policy, { ...defaults, targetPeers: 1, outboundMultiplier: 1 }),
      Effect.provideService(References.MinimumLogLevel, "None"),
      SimRuntime.within("1 minute")
    )
  )

  it.effect("that listen nowhere are not shown", () =>
    Effect.gen(function* () {
      const ofBob = yield* Layer.build(Simulated.layer({ chain: regtest, host: bob, peers: [], seed: 1 }))
      const ofAlice = yield* node(alice, [])
      assert.strictEqual((yield* Effect.provideContext(Network, ofBob)).listenAddress._tag, "None")
      const { source } = yield* LiveSource.make.pipe(
        Effect.provideContext(ofAlice),
        Effect.provideService(OtherNodes, () => [ofBob])
      )
      const { nodes } = yield* source.look
      assert.deepStrictEqual(
        nodes.map(([, listen]) => listen),
        ["10.1.0.1:18233"]
      )
    }).pipe(
      Effect.scoped,
      Effect.provide(SimNetwork.layer),
      Effect.provideService(References.MinimumLogLevel, "None"),
      SimRuntime.within("1 minute")
    )
  )
})
