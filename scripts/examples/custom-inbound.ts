/**
 * Answers peers: a service of your own counts what it is asked, and has one block.
 *
 *     node scripts/examples/custom-inbound.ts
 *
 * A node in this process asks it for that block and for another one.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer, Option } from "effect"
import { type BlockHash, Hash, Network, NodeAnswers, PeerSet } from "network-effect"
import { Node } from "network-effect/layers"
import { block, options, quiet } from "./localNetwork.ts"

/** What a program of yours has: a database, a cache, a count. */
class Blocks extends Context.Service<
  Blocks,
  { readonly find: (hash: BlockHash) => Effect.Effect<Option.Option<typeof block>> }
>()("examples/Blocks") {
  static readonly layer = Layer.sync(Blocks, () => {
    let asked = 0
    return Blocks.of({
      find: (hash) =>
        Effect.gen(function* () {
          const found = hash === block.hash
          yield* Console.log(`request ${++asked}: ${hash} ${found ? "is here" : "is not here"}`)
          return found ? Option.some(block) : Option.none()
        })
    })
  })
}

/** A node that answers from it. Whatever is left out is answered as by any node. */
const server = NodeAnswers.layerAdd({ block: (hash) => Effect.flatMap(Blocks, ({ find }) => find(hash)) }).pipe(
  Layer.provideMerge(Node.layer(options(1)))
)

const program = Effect.gen(function* () {
  yield* Layer.build(server.pipe(Layer.provide(Blocks.layer)))
  const peer = yield* Layer.build(Node.layer(options(2)))
  yield* Context.get(peer, Network).awaitReady({ peers: 1 })
  for (const hash of [block.hash, Hash.zeroBlockHash]) {
    const answer = Context.get(peer, PeerSet).request({ _tag: "BlocksByHash", hashes: new Set([hash]) })
    yield* answer.pipe(
      Effect.flatMap(({ items }) => Console.log(`answer: ${items.map(({ _tag }) => _tag).join()}`)),
      // Nobody's fault: the peer that was asked does not have it.
      Effect.catchReason("RequestError", "NotFoundResponse", ({ _tag }) => Console.log(`answer: ${_tag}`)),
      Effect.timeout("10 seconds")
    )
  }
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(quiet)))
