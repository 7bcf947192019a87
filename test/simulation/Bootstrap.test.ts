/** Whole nodes in a simulated network under a virtual clock. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Layer, References } from "effect"
import { TestClock } from "effect/testing"
import { ConnectionSlots, defaults, PeerSet, PeerSocketAddress, Policy, regtest } from "network-effect"
import { Simulated } from "network-effect/layers"
import { SimNetwork } from "network-effect/simulation"

const hostOf = (index: number) => PeerSocketAddress.fromStringUnsafe(`10.0.0.${index}:18233`)

/** A Mainnet node's policy, but for the age of the shared `addr` answer, which is what a small network waits for. */
const policy: Policy = { ...defaults, addrAnswerAge: Duration.seconds(30) }

/** Node `index` of a world in which everybody knows the first node and nobody else. */
const startNode = (index: number, seed: number) =>
  Layer.build(
    Simulated.layer({
      chain: regtest,
      host: hostOf(index),
      listenAddress: hostOf(index),
      peers: index === 1 ? [] : [hostOf(1)],
      seed
    })
  )

/** The other hosts a node is connected to. */
const connectedHosts = (services: Context.Context<PeerSet>) =>
  Effect.map(Context.get(services, PeerSet).peers, (peers) =>
    peers.map(({ transientAddress }) => String(transientAddress?.address)).toSorted()
  )

describe("twelve simulated nodes that know one seed", () => {
  it.effect("are all connected to each other in the end, each to each once", () =>
    Effect.gen(function* () {
      const nodes = yield* Effect.forEach(Array.from({ length: 12 }), (_, i) =>
        Effect.tap(startNode(i + 1, 7), () => TestClock.adjust("2 seconds"))
      )
      let minutes = 0
      const isComplete = Effect.map(Effect.forEach(nodes, connectedHosts), (peers) =>
        peers.every((peers) => peers.length === 11)
      )
      while (!(yield* isComplete) && minutes < 120) {
        yield* TestClock.adjust("1 minute")
        minutes++
      }
      for (const [i, node] of nodes.entries()) {
        const others = nodes.flatMap((_, j) => (j === i ? [] : [String(hostOf(j + 1).address)]))
        assert.deepStrictEqual(yield* connectedHosts(node), others.toSorted())
        const slots = Context.get(node, ConnectionSlots)
        assert.strictEqual(slots.used("outbound") + slots.used("inbound"), 11)
      }
      assert.isAtMost(minutes, 60)
    }).pipe(
      Effect.provide(SimNetwork.layer.pipe(Layer.provideMerge(Layer.succeed(Policy, policy)))),
      Effect.provideService(References.MinimumLogLevel, "Error")
    )
  )
})
