/**
 * A full node over TCP. What `network-effect start` runs.
 *
 * @module
 */
import { NodeDns } from "@effect/platform-node"
import { Layer } from "effect"
import { SecureRandom } from "effect/crypto"
import { AddressBook } from "../src/addresses/AddressBook.ts"
import * as AddressBookFile from "../src/addresses/AddressBookFile.ts"
import { BanList } from "../src/addresses/BanList.ts"
import { DnsSeeds } from "../src/addresses/DnsSeeds.ts"
import { Misbehavior } from "../src/addresses/Misbehavior.ts"
import { ChainParams, type ChainParamsShape } from "../src/chain/ChainParams.ts"
import { ChainTip } from "../src/chain/ChainTip.ts"
import type { PeerSocketAddress } from "../src/chain/PeerSocketAddress.ts"
import { ConnectionReports } from "../src/network/ConnectionReports.ts"
import { ConnectionSlots } from "../src/network/ConnectionSlots.ts"
import { Connector } from "../src/network/Connector.ts"
import { Crawler } from "../src/network/Crawler.ts"
import { InitialPeers } from "../src/network/InitialPeers.ts"
import { InventoryRegistry } from "../src/network/InventoryRegistry.ts"
import { Listener } from "../src/network/Listener.ts"
import { Network } from "../src/network/Network.ts"
import { NetworkEvents } from "../src/network/NetworkEvents.ts"
import * as NodeAnswers from "../src/network/NodeAnswers.ts"
import { PeerSet } from "../src/network/PeerSet.ts"
import { Handshake } from "../src/peer/Handshake.ts"
import * as TcpTransport from "../src/transport/TcpTransport.ts"

export interface NodeOptions {
  readonly chain: ChainParamsShape
  readonly listenAddress: PeerSocketAddress
  /** Replaces the DNS seeds of the chain. */
  readonly peers?: ReadonlyArray<PeerSocketAddress>
}
