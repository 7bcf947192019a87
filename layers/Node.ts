/**
 * What a node is made of. What `network-effect start` runs.
 *
 *     network        Network, and what watches over all
 *     listening      Listener
 *     dialling       Connector, InitialPeers, Dialer, ManualPeers
 *     crawler        Crawler                                          replaceable
 *     peers          PeerSet, PeerAdmission, BlockAdvertiser, Handshake, InventoryRegistry
 *     answers        InboundRequests                                  replaceable
 *     misbehavior, peerCache, seeds                                   replaceable
 *     addressBook    AddressBook                                      replaceable
 *     bans           BanList                                          replaceable
 *     core           BackgroundTasks, NetworkEvents, ConnectionSlots
 *     port           ListeningPort, OwnAddress
 *     chainTip       ChainTip                                         replaceable
 *
 * Each line is a layer whose type says what it needs, which is below it. `compose` puts them together and leaves open what is
 * below them all: the two transports, chance, names and a disk.
 *
 * @module
 */
import { NodeCrypto, NodeDns, NodeFileSystem, NodePath } from "@effect/platform-node"
import { Cause, Context, Data, Effect, type FileSystem, Layer, Option, type Path } from "effect"
import type { SecureRandom } from "effect/crypto"
import type { Dns, NetAddress } from "effect/net"
import { AddressBook } from "../src/addresses/AddressBook.ts"
import { PeerCache } from "../src/addresses/AddressBookFile.ts"
import * as BanFile from "../src/addresses/BanFile.ts"
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
import { InitialPeers } from "../src/network/InitialPeers.ts"
import { Listener } from "../src/network/Listener.ts"
import { ManualPeers } from "../src/network/ManualPeers.ts"
import { checkPolicy, type InvalidSetting, Network } from "../src/network/Network.ts"
import { NetworkEvents } from "../src/network/NetworkEvents.ts"
import { type Answers, NodeAnswers } from "../src/network/NodeAnswers.ts"
import { PeerAdmission } from "../src/network/PeerAdmission.ts"
import { PeerSet } from "../src/network/PeerSet.ts"
import { Handshake, LocalNode } from "../src/peer/Handshake.ts"
import { InboundRequests } from "../src/peer/InboundRequests.ts"
import { InventoryRegistry } from "../src/routing/InventoryRegistry.ts"
import { TrustedPeers } from "../src/routing/TrustedPeers.ts"
import { ListeningPort, OwnAddress } from "../src/transport/ListeningPort.ts"
import * as TcpTransport from "../src/transport/TcpTransport.ts"
import { InboundTransport, type ListenError, OutboundTransport } from "../src/transport/Transport.ts"
