/**
 * What a node is made of. What `network-effect start` runs.
 *
 *     network        Network, and what watches over all
 *     dialling       Connector, InitialPeers, Dialer, Feelers, StaleTip, ManualPeers
 *     crawler        Crawler                                          replaceable
 *     listening      Listener
 *     peers          PeerSet, PeerAdmission, Evictions, BlockAdvertiser, Handshake, InventoryRegistry
 *     answers        InboundRequests                                  replaceable
 *     misbehavior, peerCache, seeds                                   replaceable
 *     addressBook    AddressBook                                      replaceable
 *     bans           BanList                                          replaceable
 *     core           BackgroundTasks, NetworkEvents, ConnectionSlots
 *     port           ListeningPort, OwnAddress
 *     chainTip       ChainTip                                         replaceable
 *
 * Each line is a layer whose type says what it needs, which is below it. `compose` puts them
 * together and leaves open what is
 * below them all: the two transports, chance, names and a disk.
 *
 * @module
 */
import * as NodeCrypto from "@effect/platform-node/NodeCrypto"
import * as NodeDns from "@effect/platform-node/NodeDns"
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import * as NodePath from "@effect/platform-node/NodePath"
import { Cause, Context, Data, Effect, type FileSystem, Layer, Option, type Path } from "effect"
import type { SecureRandom } from "effect/crypto"
import type { Dns, NetAddress } from "effect/net"
import { AddressBook } from "../src/addresses/AddressBook.ts"
import { PeerCache } from "../src/addresses/AddressBookFile.ts"
import * as BanFile from "../src/addresses/BanFile.ts"
import * as BookFile from "../src/addresses/BookFile.ts"
import { BanList } from "../src/addresses/BanList.ts"
import { DnsSeeds } from "../src/addresses/DnsSeeds.ts"
import { Misbehavior } from "../src/addresses/Misbehavior.ts"
import { BackgroundTasks, TaskNameTaken } from "../src/BackgroundTasks.ts"
import { ChainParams, type ChainParamsShape } from "../src/chain/ChainParams.ts"
import { ChainTip } from "../src/chain/ChainTip.ts"
import type { PeerSocketAddress } from "../src/chain/PeerSocketAddress.ts"
import { BlockAdvertiser } from "../src/network/BlockAdvertiser.ts"
import { ConnectionSlots } from "../src/network/ConnectionSlots.ts"
import { Connector } from "../src/network/Connector.ts"
import { Crawler } from "../src/network/Crawler.ts"
import * as Dialer from "../src/network/Dialer.ts"
import { Evictions } from "../src/network/Evictions.ts"
import * as Feelers from "../src/network/Feelers.ts"
import { InitialPeers } from "../src/network/InitialPeers.ts"
import { Listener } from "../src/network/Listener.ts"
import { ManualPeers } from "../src/network/ManualPeers.ts"
import { checkPolicy, type InvalidSetting, Network } from "../src/network/Network.ts"
import { NetworkEvents } from "../src/network/NetworkEvents.ts"
import { NodeAnswers } from "../src/network/NodeAnswers.ts"
import { PeerAdmission } from "../src/network/PeerAdmission.ts"
import { PeerSet } from "../src/network/PeerSet.ts"
import * as StaleTip from "../src/network/StaleTip.ts"
import * as StatusLog from "../src/network/StatusLog.ts"
import { Handshake, LocalNode } from "../src/peer/Handshake.ts"
import { InboundRequests } from "../src/peer/InboundRequests.ts"
import { InventoryRegistry } from "../src/routing/InventoryRegistry.ts"
import { TrustedPeers } from "../src/routing/TrustedPeers.ts"
import { ListeningPort } from "../src/transport/ListeningPort.ts"
import { OwnAddress } from "../src/transport/OwnAddress.ts"
import * as TcpTransport from "../src/transport/TcpTransport.ts"
import { InboundTransport, type ListenError, OutboundTransport } from "../src/transport/Transport.ts"

// -- what does not depend on the node's options -----------------------------------------------------------------------

/** What everything else stands on: tasks and their one end, events, slots. */
export const core: Layer.Layer<BackgroundTasks | NetworkEvents | ConnectionSlots> = Layer.mergeAll(
  BackgroundTasks.layer,
  NetworkEvents.layer,
  ConnectionSlots.layer
)

/** Everybody who is connected: handshakes, admission, requests, adverts. */
export const peers: Layer.Layer<
  BlockAdvertiser | Evictions | Handshake | InventoryRegistry | PeerAdmission | PeerSet,
  TaskNameTaken,
  | AddressBook
  | BackgroundTasks
  | BanList
  | ChainParams
  | ChainTip
  | ConnectionSlots
  | InboundRequests
  | NetworkEvents
  | OwnAddress
  | SecureRandom.SecureRandom
> = Layer.mergeAll(BlockAdvertiser.layer, PeerAdmission.layer, Handshake.layer).pipe(
  Layer.provideMerge(Evictions.layer),
  Layer.provideMerge(PeerSet.layer),
  Layer.provideMerge(InventoryRegistry.layer)
)

type DiallingNeeds =
  | AddressBook
  | BackgroundTasks
  | BanList
  | ChainParams
  | ChainTip
  | ConnectionSlots
  | Crawler
  | DnsSeeds
  | Handshake
  | NetworkEvents
  | OutboundTransport
  | PeerAdmission
  | PeerCache
  | PeerSet

/** Whom we dial, and when. The operator's list ends with the process. */
export const dialling: Layer.Layer<Connector | InitialPeers | ManualPeers, TaskNameTaken, DiallingNeeds> =
  Layer.mergeAll(Dialer.layer, Feelers.layer, StaleTip.layer, ManualPeers.layer).pipe(
    Layer.provideMerge(InitialPeers.layer),
    Layer.provideMerge(Connector.layer)
  )

/** The same with the operator's list in a file. */
export const diallingFrom = (
  directory: string
): Layer.Layer<
  Connector | InitialPeers | ManualPeers,
  TaskNameTaken,
  DiallingNeeds | FileSystem.FileSystem | Path.Path
> =>
  Layer.mergeAll(Dialer.layer, Feelers.layer, StaleTip.layer, ManualPeers.layerFile(directory)).pipe(
    Layer.provideMerge(InitialPeers.layer),
    Layer.provideMerge(Connector.layer)
  )

/** Who may connect to us. Accepts nobody when there is no port. */
export const listening: typeof Listener.layer = Listener.layer

// -- what depends on them ---------------------------------------------------------------------------------------------

/** What a node is told; everything has a default but the chain. */
export interface NodeOptions {
  readonly chain: ChainParamsShape
  /** Port 0 takes a free one. A node without it only dials. */
  readonly listenAddress?: PeerSocketAddress | undefined
  /** Where others reach us, when that is not where we listen. */
  readonly externalAddress?: PeerSocketAddress | undefined
  /** Replaces the DNS seeds of the chain. */
  readonly peers?: ReadonlyArray<PeerSocketAddress> | undefined
  /** `host:port` names instead of the chain's own. */
  readonly seeds?: ReadonlyArray<string> | undefined
  /** Where addresses and bans are kept; nothing is kept without it. */
  readonly cacheDirectory?: string | undefined
  /** At most 256 bytes of UTF-8. */
  readonly userAgent?: string | undefined
  /** IPs of processes the operator vouches for, as `TrustedPeers`. */
  readonly trustedPeers?: Iterable<NetAddress.IpAddress> | undefined
}

type Files = FileSystem.FileSystem | Path.Path

/**
 * The replaceable services of a node, each as the layer that provides it. `parts` makes the defaults:
 *
 *     Node.compose(options, { ...Node.parts(options), crawler: MyCrawler.layer })
 *
 * What a layer needs may be any service below its line in the header of this file, or one that is provided to the
 * composition from outside. It may fail with whatever it likes: the composition fails with `PartFailed`, which names it.
 */
export interface Parts<
  Tip = never,
  Bans = never,
  Book = never,
  Reports = never,
  Cache = never,
  Seeds = never,
  Answering = never,
  Crawling = never,
  Added = never
> {
  readonly chainTip: Layer.Layer<ChainTip, unknown, Tip>
  readonly bans: Layer.Layer<BanList, unknown, Bans>
  readonly addressBook: Layer.Layer<AddressBook, unknown, Book>
  readonly misbehavior: Layer.Layer<Misbehavior, unknown, Reports>
  readonly peerCache: Layer.Layer<PeerCache, unknown, Cache>
  readonly seeds: Layer.Layer<DnsSeeds, unknown, Seeds>
  /** May provide more than `InboundRequests`, as the default does. */
  readonly answers: Layer.Layer<InboundRequests | Added, unknown, Answering>
  readonly crawler: Layer.Layer<Crawler, unknown, Crawling>
}

/** The defaults: what `layer` is made of. */
export const parts = ({
  cacheDirectory,
  peers,
  seeds
}: Partial<NodeOptions>): {
  readonly chainTip: Layer.Layer<ChainTip>
  readonly bans: Layer.Layer<BanList, TaskNameTaken, BackgroundTasks | ChainParams | Files>
  readonly addressBook: Layer.Layer<
    AddressBook,
    TaskNameTaken,
    BackgroundTasks | BanList | ChainParams | Files | OwnAddress | SecureRandom.SecureRandom
  >
  readonly misbehavior: Layer.Layer<Misbehavior, TaskNameTaken, AddressBook | BackgroundTasks>
  readonly peerCache: Layer.Layer<PeerCache, TaskNameTaken, AddressBook | BackgroundTasks | ChainParams | Files>
  readonly seeds: Layer.Layer<DnsSeeds, never, ChainParams | Dns.Dns>
  readonly answers: Layer.Layer<NodeAnswers | InboundRequests, TaskNameTaken, AddressBook | BackgroundTasks>
  readonly crawler: Layer.Layer<Crawler, never, AddressBook | NetworkEvents | PeerSet>
} => ({
  chainTip: ChainTip.layerNone,
  bans: cacheDirectory === undefined ? BanList.layer : BanFile.layer(cacheDirectory),
  addressBook: cacheDirectory === undefined ? AddressBook.layer : BookFile.layer(cacheDirectory),
  misbehavior: Misbehavior.layer,
  peerCache: cacheDirectory === undefined ? PeerCache.layerNone : PeerCache.layer(cacheDirectory),
  seeds: peers === undefined ? DnsSeeds.layer(seeds) : DnsSeeds.layerPeers(peers),
  answers: NodeAnswers.layer,
  crawler: Crawler.layer
})

/** A part could not be built, for whatever reason: `cause` is its own error, or its defect. */
export class PartFailed extends Data.TaggedError("PartFailed")<{
  readonly part: keyof Parts
  readonly cause: unknown
}> {
  override get message(): string {
    return `The node's part "${this.part}" could not be built: ${String(this.cause)}`
  }
}

/**
 * A service that the composition makes itself was also given to it, or is also made by a part that is not for it, and one of
 * the two would have been built and then ignored. It is to be a part, or a transport of `services`.
 */
export class ServiceProvidedTwice extends Data.TaggedError("ServiceProvidedTwice")<{
  readonly service: string
  /** The part that made it besides its own; absent when it came from outside. */
  readonly part?: keyof Parts
}> {
  override get message(): string {
    const made =
      this.part === undefined
        ? `${this.service} is provided to a node that makes its own, which would ignore it. `
        : `The part "${this.part}" also makes ${this.service}, and so does the node, which would ignore one of them. `
    return (
      made +
      "Say which one is meant: Node.compose(options, { ...Node.parts(options), … }), or Node.services for a transport."
    )
  }
}

/** Why a node could not be built. */
export type NodeError = ListenError | InvalidSetting | PartFailed | ServiceProvidedTwice | TaskNameTaken

/** Errors that only whoever opens a node can cause. */
export const madeByHand = ["PartFailed", "ServiceProvidedTwice", "TaskNameTaken"] as const

/** The services a node made, so that one that is built beside another one, or inside of its program, is not mistaken for them. */
class OwnServices extends Context.Service<OwnServices, ReadonlyMap<string, unknown>>()(
  "network-effect/layers/OwnServices"
) {}

/** A service if it is among these, whatever their type says: a layer is given more than it asks for, and may make more. */
const given =
  <I, S>(service: Context.Key<I, S>) =>
  (context: Context.Context<never>): readonly [name: string, service: unknown] | undefined =>
    Option.match(Context.getOption(context, service), {
      onNone: () => undefined,
      onSome: (found) => [service.key, found] as const
    })

/** What each part is for. */
const serviceOf: Readonly<Record<keyof Parts, ReturnType<typeof given>>> = {
  chainTip: given(ChainTip),
  bans: given(BanList),
  addressBook: given(AddressBook),
  misbehavior: given(Misbehavior),
  peerCache: given(PeerCache),
  seeds: given(DnsSeeds),
  answers: given(InboundRequests),
  crawler: given(Crawler)
}

/** Whatever only a node makes. What it is told (its chain, its name, whom it trusts) a program may have for itself, too. */
const ofNode = [
  ...Object.values(serviceOf),
  given(BackgroundTasks),
  given(NetworkEvents),
  given(ConnectionSlots),
  given(ListeningPort),
  given(OwnAddress),
  given(InventoryRegistry),
  given(PeerSet),
  given(Evictions),
  given(Handshake),
  given(PeerAdmission),
  given(BlockAdvertiser),
  given(Listener),
  given(Connector),
  given(InitialPeers),
  given(ManualPeers),
  given(Network)
]

/** Fails when one of these is among what the composition is given, unless it is there as a service of another node. */
const refuse = (refused: ReadonlyArray<ReturnType<typeof given>>): Effect.Effect<void, ServiceProvidedTwice> =>
  Effect.flatMap(Effect.context<never>(), (context) => {
    const ofAnother = Option.getOrUndefined(Context.getOption(context, OwnServices))
    const twice = refused
      .map((service) => service(context))
      .find((found) => found !== undefined && ofAnother?.get(found[0]) !== found[1])
    return twice === undefined ? Effect.void : Effect.fail(new ServiceProvidedTwice({ service: twice[0] }))
  })

/**
 * A part whose errors say that they are its own, and that makes no service of another part. Two tasks of one name already
 * say which.
 */
const named = <A, R>(
  part: keyof Parts,
  layer: Layer.Layer<A, unknown, R>
): Layer.Layer<A, PartFailed | ServiceProvidedTwice | TaskNameTaken, R> =>
  Layer.catchCause(layer, (cause) => {
    const error = Cause.squash(cause)
    return Layer.effectContext(
      Effect.fail(error instanceof TaskNameTaken ? error : new PartFailed({ part, cause: error }))
    )
  }).pipe(
    Layer.flatMap((made) =>
      Layer.effectContext(
        Effect.flatMap(Effect.context<never>(), (below) => {
          // What is only passed on from below was made once.
          const twice = ofNode
            .filter((service) => service !== serviceOf[part])
            .map((service) => [service(made), service(below)] as const)
            .find(([here, there]) => here !== undefined && here[1] !== there?.[1])?.[0]
          return twice === undefined
            ? Effect.succeed(made)
            : Effect.fail(new ServiceProvidedTwice({ service: twice[0], part }))
        })
      )
    )
  )

/**
 * A node of these parts. Open below: it needs the two transports, and whatever its parts need that is not in it.
 *
 * Fails when a part cannot be built, when two tasks have one name, and when one of its own services is given to it from
 * outside, where it would be ignored.
 */
export const compose = <Tip, Bans, Book, Reports, Cache, Seeds, Answering, Crawling, Added = never>(
  options: NodeOptions,
  parts: Parts<Tip, Bans, Book, Reports, Cache, Seeds, Answering, Crawling, Added>
) => {
  const { cacheDirectory, chain, listenAddress, trustedPeers, userAgent } = options
  const external = { external: options.externalAddress }
  const facts = Layer.mergeAll(
    Layer.succeed(ChainParams, chain),
    Layer.effect(
      LocalNode,
      Effect.map(LocalNode, (local) => ({ ...local, userAgent: userAgent ?? local.userAgent }))
    ),
    trustedPeers === undefined ? Layer.empty : TrustedPeers.layer(trustedPeers)
  )
  const port =
    listenAddress === undefined ? ListeningPort.layerNone(external) : ListeningPort.layer(listenAddress, external)
  const dials = cacheDirectory === undefined ? dialling : diallingFrom(cacheDirectory)

  // Bottom up: each line provides what those above it need, and closes after them.
  const composed = Layer.mergeAll(Network.layer, StatusLog.layer).pipe(
    Layer.provideMerge(dials),
    Layer.provideMerge(named("crawler", parts.crawler)),
    // Before anybody is dialled: whom we dial may dial back.
    Layer.provideMerge(listening),
    Layer.provideMerge(peers),
    Layer.provideMerge(named("answers", parts.answers)),
    Layer.provideMerge(
      Layer.mergeAll(
        named("misbehavior", parts.misbehavior),
        named("peerCache", parts.peerCache),
        named("seeds", parts.seeds)
      )
    ),
    Layer.provideMerge(named("addressBook", parts.addressBook)),
    Layer.provideMerge(named("bans", parts.bans)),
    Layer.provideMerge(port),
    Layer.provideMerge(named("chainTip", parts.chainTip)),
    Layer.provideMerge(core),
    Layer.provideMerge(facts),
    Layer.provideMerge(BackgroundTasks.layer),
    // Before anything is bound.
    Layer.provide(Layer.effectDiscard(Effect.andThen(checkPolicy, refuse(ofNode))))
  )
  // One node for everybody who is given this very layer, and another one for each call: without `fresh`, two nodes of one
  // program would share what they are made of.
  return Layer.effectContext(
    Effect.map(Layer.build(Layer.fresh(composed)), (node) => {
      const own = new Map(ofNode.flatMap((service) => [service(node)].filter((found) => found !== undefined)))
      return Context.add(node, OwnServices, own)
    })
  )
}

/** A node of the default parts over whatever transport, chance, names and disk it is given. */
export const services = (options: NodeOptions) => compose(options, parts(options))

/** This machine's network, chance, names and disk. `dialFrom` is the local IP that is dialled from; else the system chooses. */
export const machine = (
  options: { readonly dialFrom?: NetAddress.IpAddress | undefined } = {}
): Layer.Layer<InboundTransport | OutboundTransport | SecureRandom.SecureRandom | Dns.Dns | Files> =>
  Layer.mergeAll(
    options.dialFrom === undefined ? TcpTransport.layer : TcpTransport.layerFrom(options.dialFrom),
    NodeCrypto.layerSecureRandom,
    NodeDns.layer,
    NodeFileSystem.layer,
    NodePath.layer
  )

/**
 * A node of the default parts on this machine. Closed: nothing of it can be replaced from outside, and what is given to it
 * is refused. To open it, take its line apart; this is a node with a crawler of your own:
 *
 *     Node.compose(options, { ...Node.parts(options), crawler: MyCrawler.layer }).pipe(Layer.provide(Node.machine()))
 */
export const layer = (options: NodeOptions & { readonly dialFrom?: NetAddress.IpAddress | undefined }) =>
  services(options).pipe(
    Layer.provide(machine(options)),
    Layer.provide(Layer.effectDiscard(refuse([given(InboundTransport), given(OutboundTransport)])))
  )
