/**
 * The same node in a simulated network: no socket, no disk, no name is touched, and time is that of the clock in force.
 *
 * @module
 */
import { FileSystem, Layer, Path } from "effect"
import type { SecureRandom } from "effect/crypto"
import { Dns } from "effect/net"
import type { PeerSocketAddress } from "../src/chain/PeerSocketAddress.ts"
import * as PeerSocketAddresses from "../src/chain/PeerSocketAddress.ts"
import * as SeededRandom from "../src/simulation/SeededRandom.ts"
import { SimNetwork } from "../src/simulation/SimNetwork.ts"
import type * as World from "../src/simulation/World.ts"
import type { InboundTransport, OutboundTransport } from "../src/transport/Transport.ts"
import * as Node from "./Node.ts"

/** What a simulated node is made of: as a node, and where it is. */
export interface SimulatedOptions extends Node.NodeOptions {
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
 * What is below a simulated node, as `Node.machine` is below a real one: its host in the network, its chance, its disk, its
 * names; without them names resolve to nothing. For a composition of your own:
 *
 *     Node.compose(options, { ...Node.parts(options), crawler: MyCrawler.layer }).pipe(Layer.provide(Simulated.machine(where)))
 */
export const machine = ({
  disk,
  host,
  names,
  seed
}: Pick<SimulatedOptions, "disk" | "host" | "names" | "seed">): Layer.Layer<
  InboundTransport | OutboundTransport | SecureRandom.SecureRandom | Dns.Dns | FileSystem.FileSystem | Path.Path,
  never,
  SimNetwork
> =>
  Layer.mergeAll(
    SimNetwork.layerTransport(host),
    SeededRandom.layer(seed, PeerSocketAddresses.format(host)),
    names ?? Layer.orDie(Dns.layerStatic({})),
    disk ?? FileSystem.layerNoop({}),
    Path.layer
  )

/**
 * A node of the default parts on a host of the `SimNetwork` it is given: provide one network to all nodes of a world. Without
 * `peers` and `seeds` it starts alone. A part that cannot be built is a defect: nothing outside of the process can cause it here.
 *
 * Its time is that of the clock in force where it is built, and a node waits for time. Under a `TestClock`, as in
 * `it.effect`, nothing happens until the test calls `TestClock.adjust` beside what waits. `SimRuntime.within` moves the clock
 * by itself, and says who sleeps until when if what a test waits for does not come:
 *
 *     it.effect("…", () => test.pipe(Effect.provide(nodes), SimRuntime.within("10 minutes")))
 */
export const layer = (options: SimulatedOptions) =>
  Node.services({ ...options, peers: options.peers ?? (options.seeds === undefined ? [] : undefined) }).pipe(
    Layer.provide(machine(options)),
    Layer.orDie
  )

/** A node of a `World`: what `simulation` runs unless it is given another composition. */
export const worldNode = (settings: World.NodeSettings): Layer.Layer<World.NodeServices, never, SimNetwork> =>
  Node.compose(settings, { ...Node.parts(settings), chainTip: settings.chainTip }).pipe(
    Layer.provide(machine(settings)),
    Layer.orDie
  )
