/** A simulated node finds its first peers as a real one does: those it is given, else by the names of its seeds, else nobody. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, References } from "effect"
import { PeerSet, PeerSocketAddress, testnet } from "network-effect"
import { Simulated } from "network-effect/layers"
import { SimNames, SimNetwork, SimRuntime } from "network-effect/simulation"

const alice = PeerSocketAddress.fromStringUnsafe("20.1.0.1:18233")
const bob = PeerSocketAddress.fromStringUnsafe("20.2.0.1:18233")
const carol = PeerSocketAddress.fromStringUnsafe("20.3.0.1:18233")

/** Whom Alice is connected to after ten seconds; Bob and Carol listen, and `seed.example` is Bob's name. */
const peersOf = (settings: Pick<Simulated.SimulatedOptions, "peers" | "seeds">) =>
  Effect.gen(function* () {
    const names = SimNames.make()
    names.set("seed.example", [bob.address])
    const others = { chain: testnet, peers: [], seed: 1 }
    for (const host of [bob, carol]) yield* Layer.build(Simulated.layer({ ...others, host, listenAddress: host }))
    const services = yield* Layer.build(
      Simulated.layer({ chain: testnet, host: alice, seed: 1, names: names.layer, ...settings })
    )
    yield* Effect.sleep("10 seconds")
    return Context.get(services, PeerSet)
      .peersUnsafe()
      .map(({ transientAddress }) => transientAddress && PeerSocketAddress.format(transientAddress))
  }).pipe(
    Effect.scoped,
    Effect.provide(SimNetwork.layer),
    Effect.provideService(References.MinimumLogLevel, "None"),
    SimRuntime.within("10 minutes")
  )

describe("a simulated node", () => {
  it.effect("asks the names of its seeds", () =>
    Effect.map(peersOf({ seeds: ["seed.example:18233"] }), (peers) => assert.deepStrictEqual(peers, ["20.2.0.1:18233"]))
  )

  it.effect("dials the peers it is given, and no seed then", () =>
    Effect.map(peersOf({ peers: [carol], seeds: ["seed.example:18233"] }), (peers) =>
      assert.deepStrictEqual(peers, ["20.3.0.1:18233"])
    )
  )

  it.effect("starts alone when it is given neither", () =>
    Effect.map(peersOf({}), (peers) => assert.deepStrictEqual(peers, []))
  )
})
