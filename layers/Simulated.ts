/**
 * The same node in a simulated network: no socket, no disk, no name is touched, and time is that of the clock in force.
 *
 * @module
 */
import { FileSystem, Layer, Path } from "effect"
import { Dns } from "effect/net"
import type { PeerSocketAddress } from "../src/chain/PeerSocketAddress.ts"
import * as PeerSocketAddresses from "../src/chain/PeerSocketAddress.ts"
import * as SeededRandom from "../src/simulation/SeededRandom.ts"
import { SimNetwork } from "../src/simulation/SimNetwork.ts"
import type * as World from "../src/simulation/World.ts"
import { type NodeOptions, services } from "./Node.ts"

/** What a simulated node is made of: as a node, and where it is. */
export interface SimulatedOptions extends NodeOptions {
  /** Where this node is in its network; it dials from here and usually listens here. */
  readonly host: PeerSocketAddress
  /** Same seed, same choices; each host draws from a stream of its own. */
  readonly seed: SeededRandom.Seed
  /** Where `cacheDirectory` is; without it nothing can be kept. */
  readonly disk?: Layer.Layer<FileSystem.FileSystem> | undefined
  /** What `seeds` resolve to; nothing without it. */
  readonly names?: Layer.Layer<Dns.Dns> | undefined
}

/**
 * A node on a host of the `SimNetwork` it is given: provide one network to all nodes of a world. Without `peers` and
 * `seeds` it starts alone.
 */
export const layer = (options: SimulatedOptions) =>
  services({ ...options, peers: options.peers ?? (options.seeds === undefined ? [] : undefined) }).pipe(
    Layer.provide(SimNetwork.layerTransport(options.host)),
    Layer.provide(SeededRandom.layer(options.seed, PeerSocketAddresses.format(options.host))),
    Layer.provide([options.names ?? Dns.layerStatic({}), options.disk ?? FileSystem.layerNoop({}), Path.layer]),
    Layer.orDie
  )

/** A node of a `World`: what `simulation` runs unless it is given another composition. */
export const worldNode = (settings: World.NodeSettings): Layer.Layer<World.NodeServices, never, SimNetwork> =>
  layer(settings)
