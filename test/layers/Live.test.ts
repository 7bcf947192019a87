/**
 * A node with few peers that finds them through the seeds of its chain. On the real network only when
 * NETWORK_EFFECT_LIVE is set, as that needs the internet; always on loopback, and in a simulated one whose seeds have the same
 * names.
 */
import { assert, describe, it } from "@effect/vitest"
import { Context, type Duration, Effect, Exit, Fiber, FileSystem, Layer, Option, Path, References, Scope } from "effect"
import { Dns } from "effect/net"
import {
  type ChainParamsShape,
  defaults,
  mainnet,
  Network,
  PeerSet,
  PeerSocketAddress,
  Policy,
  testnet
} from "network-effect"
import { Node, Simulated } from "network-effect/layers"
import { SeededRandom, SimNetwork } from "network-effect/simulation"
import { elapse } from "../support/time.ts"

const isLive = process.env["NETWORK_EFFECT_LIVE"] !== undefined
if (!isLive) console.log("tests on the real network are skipped: NETWORK_EFFECT_LIVE is not set")

const scenarios = [
  [9, mainnet, 1, "peer_limit_one_mainnet"],
  [10, testnet, 1, "peer_limit_one_testnet"],
  [11, mainnet, 2, "peer_limit_two_mainnet"],
  [12, testnet, 2, "peer_limit_two_testnet"]
] as const

/** Whatever the node finds in that time, nothing ends it. */
const runsFor = (time: Duration.Input) =>
  Effect.gen(function* () {
    const network = yield* Network
    assert.isTrue(Option.isNone(yield* Effect.timeoutOption(network.awaitEnd, time)))
  })

const withTarget =
  (targetPeers: number) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    effect.pipe(
      Effect.provideService(Policy, { ...defaults, targetPeers }),
      Effect.provideService(References.MinimumLogLevel, "Error")
    )

describe("a node on the real network runs for ten seconds", () => {
  for (const [number, chain, target, name] of scenarios) {
    it.live.skipIf(!isLive)(`${chain.name} with a target of ${target} (network ${number}, ${name})`, () => {
      const listenAddress = PeerSocketAddress.fromStringUnsafe("0.0.0.0:0")
      return runsFor("10 seconds").pipe(Effect.provide(Node.layer({ chain, listenAddress })), withTarget(target))
    })
  }
})

describe.concurrent("a node on loopback runs on while it connects to its peers", () => {
  for (const [number, chain, target, name] of scenarios) {
    it.live(`${chain.name} with a target of ${target} (network ${number}, ${name})`, () =>
      Effect.gen(function* () {
        const listening = (index: number, peers: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) => {
          const listenAddress = PeerSocketAddress.fromStringUnsafe(`127.0.6.${number * 10 + index}:0`)
          return Layer.build(Node.layer({ chain, listenAddress, peers }))
        }
        const others = yield* Effect.forEach([1, 2, 3], (index) => listening(index, []))
        const peers = others.map((other) => Option.getOrThrow(Context.get(other, Network).listenAddress))
        const node = yield* listening(0, peers)
        yield* Context.get(node, Network).awaitReady({ peers: target })
        yield* Effect.provide(runsFor("1 second"), node)
      }).pipe(Effect.scoped, withTarget(target))
    )
  }
})

/** Each in a network of its own, as one outbound connection goes to each. */
const hostOf = (chain: ChainParamsShape, index: number) =>
  PeerSocketAddress.fromStringUnsafe(`10.${index}.0.1:${chain.defaultPort}`)

/** A node whose seeds, those of its chain, answer with these peers. */
const seededNode = (chain: ChainParamsShape, peers: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) => {
  const answer = peers.map(({ address }) => address)
  const hosts = Object.fromEntries(chain.seeds.map((seed) => [seed.slice(0, seed.indexOf(":")), answer]))
  const host = hostOf(chain, 1)
  return Node.services({ chain, listenAddress: host }).pipe(
    Layer.provide([
      SimNetwork.layerTransport(host),
      SeededRandom.layer(1),
      Dns.layerStatic({ hosts }),
      FileSystem.layerNoop({}),
      Path.layer
    ])
  )
}

describe("a node in a simulated network runs for ten seconds", () => {
  for (const [number, chain, target, name] of scenarios) {
    it.effect(`${chain.name} with a target of ${target} (network ${number}, ${name})`, () =>
      Effect.gen(function* () {
        const peers = [2, 3, 4].map((index) => hostOf(chain, index))
        for (const host of peers) yield* Layer.build(Simulated.layer({ chain, host, listenAddress: host, seed: 1 }))
        const node = yield* Layer.build(seededNode(chain, peers))
        const running = yield* Effect.forkChild(Effect.provide(runsFor("10 seconds"), node), { startImmediately: true })
        yield* elapse("10 seconds", "1 second")
        yield* Fiber.join(running)
        const { outbound } = yield* Effect.flatMap(PeerSet, ({ counts }) => counts).pipe(Effect.provide(node))
        assert.strictEqual(outbound, peers.length)
      }).pipe(Effect.provide(SimNetwork.layer), withTarget(target))
    )
  }
})

describe("a node whose seeds are all dead", () => {
  it.effect("lets others in, and leaves nothing and nobody waiting when its layer goes", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const node = yield* Layer.buildWithScope(seededNode(mainnet, []), scope)
      const network = Context.get(node, Network)
      const ready = yield* Effect.forkChild(Effect.flip(network.awaitReady({ peers: 2 })), { startImmediately: true })
      const bob = hostOf(mainnet, 2)
      const peer = Simulated.layer({ chain: mainnet, host: bob, peers: [hostOf(mainnet, 1)], seed: 1 })
      yield* Layer.buildWithScope(peer, scope)
      yield* elapse("1 minute", "1 second")
      assert.deepInclude(yield* Context.get(node, PeerSet).counts, { inbound: 1, outbound: 0 })
      // Names are asked on, and keep nothing else from starting.
      yield* network.awaitStarted
      assert.isUndefined(ready.pollUnsafe())
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(ready))._tag, "NetworkClosed")
      assert.strictEqual((yield* SimNetwork).openEnds(), 0)
    }).pipe(Effect.provide(SimNetwork.layer), withTarget(1))
  )
})
