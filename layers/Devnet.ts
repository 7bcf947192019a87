/**
 * Full nodes on loopback TCP, each with an address of its own: what `network-effect devnet` runs.
 *
 * @module
 */
import { Context, Duration, Effect, Layer } from "effect"
import { AddressBook } from "../src/addresses/AddressBook.ts"
import { regtest } from "../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../src/chain/PeerSocketAddress.ts"
import { ConnectionSlots } from "../src/network/ConnectionSlots.ts"
import { Devnet } from "../src/cli/devnet.ts"
import { Network } from "../src/network/Network.ts"
import { defaults, Policy } from "../src/Policy.ts"
import { OtherNodes } from "../src/status/StatusHandlers.ts"
import * as Node from "./Node.ts"
import * as StatusServer from "./StatusServer.ts"

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

/** Node `index`, from 1: 127.0.0.1, 127.0.0.2, … on the port of the chain. Limits count per IP, so each has its own. */
const addressOf = (index: number) =>
  PeerSocketAddress.fromStringUnsafe(`127.0.${index >> 8}.${index & 0xff}:${regtest.defaultPort}`)

/** Nodes at 127.0.0.1, 127.0.0.2 and so on, port 18233, that know the first one. */
export const layer = Layer.succeed(
  Devnet,
  Devnet.of({
    addressOf,
    startNode: Effect.fnUntraced(
      function* (index, status) {
        const address = addressOf(index)
        const node = Node.layer({
          chain: regtest,
          listenAddress: address,
          dialFrom: address.address,
          // Everybody knows the first one, and nobody else.
          peers: index === 1 ? [] : [addressOf(1)]
        }).pipe(Layer.provide(Layer.succeed(Policy, policy)))
        const services = yield* Layer.build(
          status === undefined
            ? node
            : StatusServer.layer(status.address).pipe(
                Layer.provideMerge(node),
                Layer.provide(Layer.succeed(OtherNodes, status.others))
              )
        )
        return {
          shown: services,
          network: Context.get(services, Network),
          slots: Context.get(services, ConnectionSlots),
          addressBook: Context.get(services, AddressBook)
        }
      },
      // The policy is this file's, and the node is the usual one.
      Effect.catchTag(["InvalidSetting", ...Node.madeByHand], Effect.die)
    )
  })
)
