/**
 * What a scenario is, and what scenarios are made of.
 *
 * @module
 */
import { Clock, Context, Data, Duration, Effect, Layer, type Scope } from "effect"
import { ChainParams, type ChainParamsShape } from "../chain/ChainParams.ts"
import { PeerSet } from "../network/PeerSet.ts"
import type { Peer } from "../peer/Peer.ts"
import type { Policy } from "../Policy.ts"
import type { Seed } from "./SeededRandom.ts"
import { SimNetwork } from "./SimNetwork.ts"
import type { World, WorldNode } from "./World.ts"

/** What a scenario waited for did not come. */
export class NotReached extends Data.TaggedError("NotReached")<{
  readonly waitedFor: string
  /** What there was instead. */
  readonly found: string
}> {}

/** How large a world is. What the numbers mean is the scenario's. */
export interface Size {
  readonly nodes: number
  readonly hours: number
}

/** A world with a name: how it goes, and what has to be reached. */
export interface Scenario {
  readonly name: string
  /** One line. */
  readonly description: string
  readonly size: Size
  readonly chain?: ChainParamsShape
  readonly policy?: Partial<Policy> | ((size: Size, seed: Seed) => Partial<Policy>)
  /** Time between two looks at all nodes, whatever happens; ten seconds unless a world is long and quiet. */
  readonly lookInterval?: Duration.Input
  /** What the seed decides, in a line, for whoever has to understand a failure. */
  readonly drawn?: (size: Size, seed: Seed) => string
  /** Ends when everything that had to come has come. */
  readonly run: (world: World, size: Size) => Effect.Effect<void, NotReached, Scope.Scope>
}

/** Whom a node is connected to. */
export const peersOf = (node: WorldNode): ReadonlyArray<Peer> => Context.get(node.services, PeerSet).peersUnsafe()

/** Fails when `holds` has not come true in time. */
export const eventually = (waitedFor: string, within: Duration.Input, holds: () => string | undefined) =>
  Effect.gen(function* () {
    const until = (yield* Clock.currentTimeMillis) + Duration.toMillis(Duration.fromInputUnsafe(within))
    for (;;) {
      const found = holds()
      if (found === undefined) return
      if ((yield* Clock.currentTimeMillis) >= until) return yield* new NotReached({ waitedFor, found })
      yield* Effect.sleep("5 seconds")
    }
  })

/** A peer that is no node: on the network at the host of this index. */
export const scripted = (world: World, index: number) => {
  const transport = Layer.succeed(SimNetwork, world.network)
  return <A, E, R>(effect: Effect.Effect<A, E, R>) =>
    effect.pipe(
      Effect.provide(
        Layer.merge(
          SimNetwork.layerTransport(world.hostOf(index)).pipe(Layer.provide(transport)),
          Layer.succeed(ChainParams, world.chain)
        )
      )
    )
}
