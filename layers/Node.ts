/**
 * A full node over TCP. What `network-effect start` runs.
 *
 * @module
 */
import { NodeCrypto, NodeDns, NodeFileSystem, NodePath } from "@effect/platform-node"
import { Effect, Layer } from "effect"
import type { NetAddress } from "effect/net"
import { AddressBook } from "../src/addresses/AddressBook.ts"
import { PeerCache } from "../src/addresses/AddressBookFile.ts"
import * as BanFile from "../src/addresses/BanFile.ts"
import { BanList } from "../src/addresses/BanList.ts"
import { DnsSeeds } from "../src/addresses/DnsSeeds.ts"
import { Misbehavior } from "../src/addresses/Misbehavior.ts"
import { BackgroundTasks } from "../src/BackgroundTasks.ts"
import { ChainParams, type ChainParamsShape } from "../src/chain/ChainParams.ts"
import { ChainTip } from "../src/chain/ChainTip.ts"
import type { PeerSocketAddress } from "../src/chain/PeerSocketAddress.ts"
import { BlockAdvertiser } from "../src/network/BlockAdvertiser.ts"
import { ConnectionReports } from "../src/network/ConnectionReports.ts"
import { ConnectionSlots } from "../src/network/ConnectionSlots.ts"
import { Connector } from "../src/network/Connector.ts"
import { Crawler } from "../src/network/Crawler.ts"
import { InitialPeers } from "../src/network/InitialPeers.ts"
import { Listener } from "../src/network/Listener.ts"
import { ManualPeers } from "../src/network/ManualPeers.ts"
import { checkPolicy, Network } from "../src/network/Network.ts"
import { NetworkEvents } from "../src/network/NetworkEvents.ts"
import * as NodeAnswers from "../src/network/NodeAnswers.ts"
import { PeerSet } from "../src/network/PeerSet.ts"
import { Handshake, LocalNode } from "../src/peer/Handshake.ts"
import { InventoryRegistry } from "../src/routing/InventoryRegistry.ts"
import { TrustedPeers } from "../src/routing/TrustedPeers.ts"
import { OwnAddress } from "../src/transport/OwnAddress.ts"
import * as TcpTransport from "../src/transport/TcpTransport.ts"

/** What a node is made of; everything has a default but the chain. */
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
  /** What this node has an answer for, besides addresses. */
  readonly answers?: NodeAnswers.Answers | undefined
  /** How far the program has validated the chain; never known without it. */
  readonly chainTip?: Layer.Layer<ChainTip> | undefined
  /** IPs of processes the operator vouches for, as `TrustedPeers`. */
  readonly trustedPeers?: ReadonlySet<string> | undefined
}

/** Every service of a node, over whatever transport, chance, names and disk it is given. */
export const services = (options: NodeOptions) => {
  const { cacheDirectory, listenAddress } = options

  const node = Layer.effect(
    LocalNode,
    Effect.map(LocalNode, (local) => ({
      ...local,
      userAgent: options.userAgent ?? local.userAgent,
      externalAddress: options.externalAddress ?? local.externalAddress
    }))
  )
  const facts = Layer.mergeAll(
    Layer.succeed(ChainParams, options.chain),
    OwnAddress.layer({ listening: listenAddress, external: options.externalAddress }),
    BackgroundTasks.layer,
    options.chainTip ?? ChainTip.layerNone,
    NetworkEvents.layer,
    ConnectionSlots.layer,
    node,
    options.trustedPeers === undefined ? Layer.empty : Layer.succeed(TrustedPeers, options.trustedPeers)
  )
  const seeds = options.peers === undefined ? DnsSeeds.layer(options.seeds) : DnsSeeds.layerPeers(options.peers)
  const addresses = Layer.mergeAll(
    seeds,
    cacheDirectory === undefined ? PeerCache.layerNone : PeerCache.layer(cacheDirectory),
    Misbehavior.layer,
    NodeAnswers.layerWith(options.answers ?? {})
  ).pipe(
    Layer.provideMerge(AddressBook.layer),
    Layer.provideMerge(cacheDirectory === undefined ? BanList.layer : BanFile.layer(cacheDirectory))
  )
  const peers = Layer.mergeAll(BlockAdvertiser.layer, ConnectionReports.layer).pipe(
    Layer.provideMerge(PeerSet.layer),
    Layer.provideMerge(InventoryRegistry.layer)
  )
  const dialling = Layer.mergeAll(Crawler.layer, InitialPeers.layer).pipe(Layer.provideMerge(Connector.layer))
  const listening = listenAddress === undefined ? Layer.empty : Listener.layer(listenAddress)
  // After the listener: what it dials is told where we listen.
  const manual = cacheDirectory === undefined ? ManualPeers.layer : ManualPeers.layerFile(cacheDirectory)

  // Bottom up: each line provides what those above it need, and stops after them.
  const composed = Network.layer.pipe(
    Layer.provideMerge(manual),
    Layer.provideMerge(listening),
    Layer.provideMerge(dialling),
    Layer.provideMerge(peers),
    Layer.provideMerge(Handshake.layer),
    Layer.provideMerge(addresses),
    Layer.provideMerge(facts),
    // Before anything is bound.
    Layer.provide(Layer.effectDiscard(checkPolicy)),
    // Each name is in one place above.
    Layer.catchTag("TaskNameTaken", (taken) => Layer.effectContext(Effect.die(taken)))
  )
  // One node for everybody who is given this very layer, and another one for each call: without `fresh`, two nodes of one
  // program would share their address book.
  return Layer.effectContext(Layer.build(Layer.fresh(composed)))
}

/** A node on this machine's network and disk. `dialFrom` is the local IP it dials from; else the system chooses. */
export const layer = (options: NodeOptions & { readonly dialFrom?: NetAddress.IpAddress | undefined }) =>
  services(options).pipe(
    Layer.provide(options.dialFrom === undefined ? TcpTransport.layer : TcpTransport.layerFrom(options.dialFrom)),
    Layer.provide([NodeCrypto.layerSecureRandom, NodeDns.layer, NodeFileSystem.layer, NodePath.layer])
  )
