/**
 * The network the examples run on: two nodes in this process, on loopback addresses of their own, that have one block.
 *
 * A program of yours has no such file: it gives `Node.layer` a chain, and finds the network of that chain.
 */
import { Effect, Layer, Option, References, Result } from "effect"
import { Block, NodeAnswers, Policy, PeerSocketAddress, regtest } from "network-effect"
import { Devnet, Node } from "network-effect/layers"
import { genesis } from "../../test/support/goldens.ts"

/** The first block of Regtest. */
export const block = Result.getOrThrow(Block.Block.decode(genesis.regtest.bytes))

/** Of this process alone, so that two may run at the same time. */
const network = `127.${1 + ((process.pid >> 8) % 100)}.${process.pid & 255}`

const address = (host: number) => PeerSocketAddress.fromStringUnsafe(`${network}.${host}:18233`)

/** The options of node `host`, which knows the first one. Limits count by IP, so each has its own. */
export const options = (host: number) => ({
  chain: regtest,
  listenAddress: address(host),
  dialFrom: address(host).address,
  peers: host === 1 ? [] : [address(1)]
})

/** Says what happens, and nothing of how. */
export const quiet = Layer.merge(
  Layer.succeed(Policy, Devnet.policy),
  Layer.succeed(References.MinimumLogLevel, "Warn")
)

const other = (host: number) =>
  NodeAnswers.layerAdd({
    block: (hash) => Effect.succeed(hash === block.hash ? Option.some(block) : Option.none())
  }).pipe(Layer.provideMerge(Node.layer(options(host))))

/** Nodes 1 and 2, which have the block. */
export const others = Layer.mergeAll(other(1), other(2))
