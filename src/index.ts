/**
 * The public API of network-effect, one section per folder, from the bytes up.
 *
 * Pure modules are namespaces; services, errors and types are names of their own. Compositions are in
 * `network-effect/layers`, a network in memory in `network-effect/simulation`.
 *
 * @module
 */

// -- what everything stands on -----------------------------------------------------------------

export * from "./BackgroundTasks.ts"
export * as LimitedLog from "./LimitedLog.ts"
export { NotMocked } from "./Mock.ts"
export * as Monotonic from "./Monotonic.ts"
export * from "./Policy.ts"
export * as Subscribable from "./Subscribable.ts"

// -- chain: facts and data of Zcash --------------------------------------------------------------

export * as Block from "./chain/Block.ts"
export {
  branchIds,
  ChainParams,
  type ChainKind,
  type ChainParamsShape,
  mainnet,
  regtest,
  targetSpacing,
  testnet,
  type Upgrade,
  upgradeAt
} from "./chain/ChainParams.ts"
export { ChainTip, type Tip } from "./chain/ChainTip.ts"
export * as Hash from "./chain/Hash.ts"
export type { AuthDigest, BlockHash, TransactionId, TxId, WtxId } from "./chain/Hash.ts"
export * as PeerSocketAddress from "./chain/PeerSocketAddress.ts"
export * as ProtocolVersion from "./chain/ProtocolVersion.ts"
export * as Transaction from "./chain/Transaction.ts"

// -- transport: streams of bytes ---------------------------------------------------------------

export { ListeningPort } from "./transport/ListeningPort.ts"
export { OwnAddress } from "./transport/OwnAddress.ts"
export * as TcpTransport from "./transport/TcpTransport.ts"
export {
  type BoundListener,
  type ByteStream,
  DialError,
  InboundTransport,
  ListenError,
  OutboundTransport,
  StreamClosed
} from "./transport/Transport.ts"

// -- wire: bytes and messages ------------------------------------------------------------------

export { type GossipedAddress, NODE_NETWORK } from "./wire/AddressCodec.ts"
export * as Frame from "./wire/Frame.ts"
export * as Message from "./wire/Message.ts"
export type { InventoryItem } from "./wire/Message.ts"

// -- addresses: where peers may be ---------------------------------------------------------------

export { AddressBook, type AddressBookChange } from "./addresses/AddressBook.ts"
export { PeerCache } from "./addresses/AddressBookFile.ts"
export type { AddressMetrics } from "./addresses/AddressMetrics.ts"
export { AddressGroups, byNetwork, bySystem, layerFile as layerAsMap } from "./addresses/AddressGroups.ts"
export * as AddressRules from "./addresses/AddressRules.ts"
export * as AsMap from "./addresses/AsMap.ts"
export * as BanFile from "./addresses/BanFile.ts"
export { type Ban, type BanChange, BanList, type Bans, isBannedIn } from "./addresses/BanList.ts"
export type {
  Explained,
  NotNext,
  Sizes as BookSizes,
  Standing as AddressStanding,
  Table,
  Why
} from "./addresses/Book.ts"
export { DnsSeeds } from "./addresses/DnsSeeds.ts"
export { Misbehavior, type MisbehaviorReport } from "./addresses/Misbehavior.ts"
export * as PeerAddress from "./addresses/PeerAddress.ts"

// -- peer: one connection ------------------------------------------------------------------------

export * from "./peer/Handshake.ts"
export * from "./peer/InboundRequests.ts"
export * as IsolatedPeer from "./peer/IsolatedPeer.ts"
export * from "./peer/Peer.ts"
export * from "./peer/Request.ts"

// -- recording: what happened on a connection, and again --------------------------------------------

export { type ConnectionRecord, Recording } from "./peer/Recording.ts"
export { type MemorySegment, MemorySink } from "./recording/MemorySink.ts"
export { Recorder, type RecorderOptions, type SegmentName, type SegmentSink, type Sink } from "./recording/Recorder.ts"
export * as RecordFolder from "./recording/RecordFolder.ts"
export * as Replay from "./recording/Replay.ts"

// -- network: all peers --------------------------------------------------------------------------

export {
  AdvertError,
  AdvertIncomplete,
  BlockAdvertiser,
  type FailedAdvert,
  NoEligiblePeers
} from "./network/BlockAdvertiser.ts"
export { PeerAdmission } from "./network/PeerAdmission.ts"
export { ConnectionSlots, NoFreeSlot, type SlotKind } from "./network/ConnectionSlots.ts"
export * from "./network/Connector.ts"
export { Crawler } from "./network/Crawler.ts"
export * as Dialer from "./network/Dialer.ts"
export { type Evicted, Evictions, type MadeRoom } from "./network/Evictions.ts"
export type { EvictionReason } from "./network/Eviction.ts"
export * as Feelers from "./network/Feelers.ts"
export * as StaleTip from "./network/StaleTip.ts"
export { InitialPeers } from "./network/InitialPeers.ts"
export { Listener } from "./network/Listener.ts"
export { ListFull, ManualPeers } from "./network/ManualPeers.ts"
export type { MockedRequests } from "./network/MockedRequests.ts"
export { InvalidSetting, Network } from "./network/Network.ts"
export { NetworkEvent, NetworkEvents } from "./network/NetworkEvents.ts"
export { type Answers, NodeAnswers } from "./network/NodeAnswers.ts"
export * from "./network/PeerSet.ts"
export type { DrawBelow, Ranked } from "./routing/PeerChoice.ts"
export * from "./routing/PeerSelection.ts"
export { InventoryRegistry } from "./routing/InventoryRegistry.ts"
export { type TrustedIps, TrustedPeers } from "./routing/TrustedPeers.ts"

// -- census: how many nodes there are -----------------------------------------------------------

export { Census, type RunOptions } from "./census/Census.ts"
export { type CensusNumbers, CensusPolicy } from "./census/CensusPolicy.ts"
export { CensusStore, CensusStoreError, type Run, type Sighting } from "./census/CensusStore.ts"
export { KeptCensus } from "./census/KeptCensus.ts"
export * as CensusEstimate from "./census/Estimate.ts"
export * as CensusFilter from "./census/Filter.ts"
export { Finding, type How, type Progress, type UnreachableReason } from "./census/Finding.ts"
export * as CensusReport from "./census/Report.ts"

// -- status: a running node over HTTP -----------------------------------------------------------

export * as StatusApi from "./status/StatusApi.ts"
export * as StatusClient from "./status/StatusClient.ts"
