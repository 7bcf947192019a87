/**
 * Full nodes on loopback TCP, each with an address of its own where there are more than one: what `network-effect devnet` runs.
 *
 * @module
 */
import { Context, Duration, Effect, Layer, Option } from "effect"
import { AddressBook } from "../src/addresses/AddressBook.ts"
import { regtest } from "../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../src/chain/PeerSocketAddress.ts"
import { ConnectionSlots } from "../src/network/ConnectionSlots.ts"
import { Devnet } from "../src/cli/devnet.ts"
import { Network } from "../src/network/Network.ts"
import { defaults, Policy } from "../src/Policy.ts"
import { Recording } from "../src/peer/Recording.ts"
import { StatusListening } from "../src/status/StatusAddress.ts"
import { OtherNodes } from "../src/status/NodeView.ts"
import * as TcpTransport from "../src/transport/TcpTransport.ts"
import { InboundTransport } from "../src/transport/Transport.ts"
import { loaded } from "./Loaded.ts"
import * as Node from "./Node.ts"

/**
 * Nodes that find each other in seconds instead of minutes: nobody else is on this network, so nothing needs to be spared.
 * Everything not named here is as on Mainnet.
 */
export const policy: Policy = {
  ...defaults,
  dialInterval: Duration.millis(20),
  acceptInterval: Duration.millis(20),
  crawlInterval: Duration.millis(250),
  getaddrInterval: Duration.millis(200),
  addrAnswerAge: Duration.millis(200),
  statusLogInterval: Duration.seconds(5),
  // So that a node which comes back is let in again while somebody watches. Alive is who has answered a ping in that time.
  pingInterval: Duration.seconds(5),
  pingTimeout: Duration.seconds(5),
  reconnectDelay: Duration.seconds(12)
}

/**
 * Where node `index`, from 1, listens: on an address of its own, 127.0.0.1, 127.0.0.2, …, as limits count per IP; where the
 * machine has only the first, on ports one after the other. Port 0 is a free one each time.
 */
const addressOf = (index: number, port: number, hasAddresses: boolean) =>
  PeerSocketAddress.fromStringUnsafe(
    hasAddresses ? `127.0.${index >> 8}.${index & 0xff}:${port}` : `127.0.0.1:${port === 0 ? 0 : port + index - 1}`
  )

/** Whether 127.0.0.2 can be listened on: Linux has all of 127.0.0.0/8, macOS has the first address only. */
const canUseAddresses = Effect.gen(function* () {
  const transport = yield* InboundTransport
  return yield* transport.listen(PeerSocketAddress.fromStringUnsafe("127.0.0.2:0")).pipe(
    Effect.scoped,
    Effect.as(true),
    Effect.catch(() => Effect.succeed(false))
  )
})

/** What a node of a network of `nodes` keeps to. */
const policyOf = (nodes: number, hasAddresses: boolean): Policy => ({
  ...policy,
  // A node is ready with half of this, and there is nobody but the others.
  targetPeers: Math.min(policy.targetPeers, Math.max(1, nodes - 1)),
  // Where all are one IP, with each other node: once from here, and once from there.
  connectionsPerGroup: hasAddresses ? policy.connectionsPerGroup : Math.max(1, 2 * (nodes - 1))
})

/** Nodes on loopback, over a transport that says which of its addresses there are. */
export const layerOver = Layer.effect(
  Devnet,
  Effect.map(Effect.context<InboundTransport>(), (services) =>
    Devnet.of({
      open: Effect.fnUntraced(function* ({ nodes, port, records }) {
        const hasAddresses = yield* canUseAddresses
        const nodePolicy = Layer.succeed(Policy, policyOf(nodes, hasAddresses))
        // A node that comes back listens where it did, though that was a free port once.
        const bound = new Map<number, PeerSocketAddress.PeerSocketAddress>()
        return {
          startNode: Effect.fnUntraced(
            function* (index, status) {
              const address = bound.get(index) ?? addressOf(index, port, hasAddresses)
              const first = bound.get(1)
              const node = Node.layer({
                chain: regtest,
                listenAddress: address,
                dialFrom: address.address,
                // Everybody knows the first one, and nobody else.
                peers: index === 1 || first === undefined ? [] : [first]
              }).pipe(
                Layer.provide(
                  records === undefined ? Layer.empty : Layer.succeed(Recording, records.recording(String(index)))
                ),
                Layer.provideMerge(nodePolicy)
              )
              const services = yield* Layer.build(
                status === undefined
                  ? Layer.merge(node, Layer.succeed(StatusListening, { address: Option.none() }))
                  : loaded(
                      () => import("./StatusServer.ts"),
                      ({ layer }) => layer(status.address)
                    ).pipe(Layer.provideMerge(node), Layer.provide(Layer.succeed(OtherNodes, status.others)))
              )
              const network = Context.get(services, Network)
              const listening = Option.getOrElse(network.listenAddress, () => address)
              bound.set(index, listening)
              return {
                shown: services,
                address: listening,
                statusAddress: Context.get(services, StatusListening).address,
                network,
                slots: Context.get(services, ConnectionSlots),
                addressBook: Context.get(services, AddressBook)
              }
            },
            // The policy is this file's, and the node is the usual one.
            Effect.catchTag(["InvalidSetting", "RpcCookieUnwritable", ...Node.madeByHand], Effect.die)
          )
        }
      }, Effect.provideContext(services))
    })
  )
)

/** Nodes on loopback of this machine, that know the first one. */
export const layer = layerOver.pipe(Layer.provide(TcpTransport.layerInbound))
