/** A program of a user: a service of its own that asks the network. The same on real sockets and in a simulated world. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import {
  type ConnectedAddress,
  type ConnectionInfo,
  type Message,
  Network,
  NODE_NETWORK,
  PeerSet,
  PeerSocketAddress,
  regtest
} from "network-effect"
import { Node, Simulated } from "network-effect/layers"
import { SimNetwork } from "network-effect/simulation"
import { ownLoopback } from "../support/addresses.ts"

/** The user's service: it knows nothing of sockets, worlds or clocks. */
class AddressCensus extends Context.Service<
  AddressCensus,
  { readonly heard: Effect.Effect<ReadonlyArray<string>, unknown> }
>()("test/AddressCensus") {
  static readonly layer = Layer.effect(
    AddressCensus,
    Effect.gen(function* () {
      const network = yield* Network
      const peerSet = yield* PeerSet
      return AddressCensus.of({
        heard: Effect.gen(function* () {
          yield* network.awaitStarted
          const { addresses } = yield* peerSet.request({ _tag: "Peers" })
          return addresses.map(({ address }) => PeerSocketAddress.format(address))
        })
      })
    })
  )
}

const program = Effect.gen(function* () {
  const census = yield* AddressCensus
  return yield* census.heard
})

const alice = PeerSocketAddress.fromStringUnsafe(`${ownLoopback(41)}:18233`)
const bob = PeerSocketAddress.fromStringUnsafe(`${ownLoopback(42)}:18233`)

/** Alice knows Bob; Bob knows nobody. */
const onTcp = AddressCensus.layer.pipe(
  Layer.provide(
    Node.layer({ chain: regtest, listenAddress: alice, dialFrom: alice.address, peers: [bob] }).pipe(
      Layer.provideMerge(Node.layer({ chain: regtest, listenAddress: bob, dialFrom: bob.address, peers: [] }))
    )
  )
)

const simulated = AddressCensus.layer.pipe(
  Layer.provide(
    Simulated.layer({ chain: regtest, host: alice, listenAddress: alice, peers: [bob], seed: 1 }).pipe(
      Layer.provideMerge(Simulated.layer({ chain: regtest, host: bob, listenAddress: bob, seed: 1 }))
    )
  ),
  Layer.provide(SimNetwork.layer)
)

/** Bob tells his own address, or Alice's if he has already learned it. */
const hearsOfOne = Effect.gen(function* () {
  const [told, ...others] = yield* program
  assert.include([alice, bob].map(PeerSocketAddress.format), told)
  assert.isEmpty(others)
})

describe("a service of a user", () => {
  it.live("asks the network over TCP", () => Effect.provide(hearsOfOne, onTcp))

  it.effect("asks a simulated network, with nothing changed but a layer", () => Effect.provide(hearsOfOne, simulated))
})

it("what is known of a connection can be built by anybody (network 78, peer 64, connection_info_types_are_public)", () => {
  const connectedAddress: ConnectedAddress = {
    _tag: "OutboundDirect",
    address: PeerSocketAddress.fromStringUnsafe("127.0.0.1:3")
  }
  const remote: Message.Version = {
    _tag: "Version",
    version: 3,
    services: NODE_NETWORK,
    timestamp: 1_700_000_000n,
    addressReceiver: { address: alice, services: NODE_NETWORK },
    addressFrom: { address: bob, services: NODE_NETWORK },
    nonce: 0x9082_4908_8927_9238n,
    userAgent: "/user:1.0/",
    startHeight: 0,
    relay: true
  }
  const info: ConnectionInfo = { connectedAddress, remote, negotiatedVersion: remote.version }
  assert.strictEqual(info.negotiatedVersion, 3)
})
