/**
 * Asks the network for a block.
 *
 *     node scripts/examples/ask-for-a-block.ts                    from two nodes in this process
 *     node scripts/examples/ask-for-a-block.ts mainnet [HASH]     from Mainnet
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Option } from "effect"
import { Hash, mainnet, Network, PeerSet } from "network-effect"
import { Node } from "network-effect/layers"
import { block, options, others, quiet } from "./localNetwork.ts"

const [, , chain, text = "00040fe8ec8471911baa1db1266ea15dd06b4a8a5c453883c000b031973dce08"] = process.argv
const hash = chain === "mainnet" ? Option.getOrThrow(Hash.blockHashFromString(text)) : block.hash

const program = Effect.gen(function* () {
  yield* (yield* Network).awaitReady({ peers: 1 })
  const peerSet = yield* PeerSet
  const { items } = yield* peerSet
    .request({ _tag: "BlocksByHash", hashes: new Set([hash]) })
    .pipe(Effect.retry({ times: 5 }), Effect.timeout("1 minute"))
  for (const item of items) {
    yield* item._tag === "Missing"
      ? Console.log(`${item.id} is missing`)
      : Console.log(
          `${item.value.hash}: ${item.value.bytes.length} bytes, transactions ${item.value.transactionIds.join(", ")}`
        )
  }
})

const network =
  chain === "mainnet"
    ? Node.layer({ chain: mainnet })
    : Layer.merge(others, Node.layer(options(3))).pipe(Layer.provide(quiet))

NodeRuntime.runMain(program.pipe(Effect.provide(network)))
