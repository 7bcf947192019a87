/**
 * Watches what peers advertise.
 *
 *     node scripts/examples/watch-inventory.ts
 *
 * A node in this process advertises a block a second; the third advert ends the program.
 */
import { NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer, Schedule, Stream } from "effect"
import { Network } from "network-effect"
import { Node } from "network-effect/layers"
import { block, options, others, quiet } from "./localNetwork.ts"

const watch = Effect.gen(function* () {
  const network = yield* Network
  yield* network.events.pipe(
    Stream.filter((event) => event._tag === "InventoryAdvertised"),
    Stream.take(3),
    Stream.runForEach(({ blocks, connection }) => Console.log(`peer ${connection} has block ${blocks.join(", ")}`))
  )
})

const program = Effect.gen(function* () {
  const miner = Context.get(yield* Layer.build(others), Network)
  const me = yield* Layer.build(Node.layer(options(3)))
  yield* Context.get(me, Network).awaitReady({ peers: 1 })
  yield* miner
    .advertiseBlock(block.hash)
    .pipe(Effect.ignore, Effect.repeat(Schedule.spaced("1 second")), Effect.forkScoped)
  yield* watch.pipe(Effect.provideContext(me))
})

NodeRuntime.runMain(program.pipe(Effect.scoped, Effect.provide(quiet)))
