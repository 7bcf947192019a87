/**
 * What can be asked of a peer, what a peer can ask of us, and the answers.
 *
 * The type of the answer follows from the type of the request: `ResponseOf<Request>`.
 *
 * @module
 */
import type { Duration } from "effect"
import type { Block, BlockHeader } from "../chain/Block.ts"
import type { BlockHash, TransactionId } from "../chain/Hash.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import type { Transaction } from "../chain/Transaction.ts"
import type { GossipedAddress } from "../wire/AddressCodec.ts"

/** Names one connection for the life of the process; never used twice. */
export type ConnectionId = number

/** The connection something came from: who sent the bytes, or who listed the hash. None for isolated connections. */
export interface Source {
  readonly connection: ConnectionId
  /** Of an inbound connection the port is ephemeral. */
  readonly address: PeerSocketAddress
}

/** Found or not, item by item. */
export type Available<A> = { readonly _tag: "Available"; readonly value: A; readonly source: Source | undefined }
/** The peer does not have it. */
export type Missing<Id> = { readonly _tag: "Missing"; readonly id: Id }
/** One item of an answer: there, or not. */
export type InventoryResponse<A, Id> = Available<A> | Missing<Id>

/** Asks for addresses. Answered by `PeersResponse`. */
export type Peers = { readonly _tag: "Peers" }
/** Asks for blocks by their hashes. Answered by `Blocks`. */
export type BlocksByHash = { readonly _tag: "BlocksByHash"; readonly hashes: ReadonlySet<BlockHash> }
/**
 * One block for a program that downloads block by block. Waits for a busy peer as long as the caller does: the caller
 * bounds the whole.
 */
export type BlockDownload = {
  readonly _tag: "BlockDownload"
  readonly hash: BlockHash
  /** Whoever listed the hash, if known; only steers the choice of the peer. */
  readonly advertiser: PeerSocketAddress | undefined
}
/** Asks for transactions. Answered by `Transactions`. */
export type TransactionsById = { readonly _tag: "TransactionsById"; readonly ids: ReadonlySet<TransactionId> }
/** Asks for the hashes that follow the first known one. Answered by `BlockHashes`. */
export type FindBlocks = {
  readonly _tag: "FindBlocks"
  /** Known hashes, highest first; at most 101. */
  readonly known: ReadonlyArray<BlockHash>
  readonly stop: BlockHash | undefined
}
/** Asks for the headers that follow the first known one, at most 160. Answered by `BlockHeaders`. */
export type FindHeaders = {
  readonly _tag: "FindHeaders"
  readonly known: ReadonlyArray<BlockHash>
  readonly stop: BlockHash | undefined
}
/** Sends a transaction. Answered by `Nil`. */
export type PushTransaction = {
  readonly _tag: "PushTransaction"
  readonly transaction: Transaction
  /** Set when it came from a remote. */
  readonly source: Source | undefined
}
/** Says that we have these transactions. Answered by `Nil`. */
export type AdvertiseTransactionIds = {
  readonly _tag: "AdvertiseTransactionIds"
  readonly ids: ReadonlySet<TransactionId>
  readonly source: Source | undefined
}
/** Asks what waits to be mined. Answered by `TransactionIds`. */
export type MempoolTransactionIds = { readonly _tag: "MempoolTransactionIds" }
/** Inbound only. Our own blocks go through `network/BlockAdvertiser.ts`. */
export type AdvertiseBlock = {
  readonly _tag: "AdvertiseBlock"
  readonly hash: BlockHash
  readonly source: Source | undefined
}
/** Only the heartbeat asks this. */
export type Ping = { readonly _tag: "Ping"; readonly nonce: bigint }

/** What the peer set and a peer take. */
export type Request =
  | Peers
  | BlocksByHash
  | BlockDownload
  | TransactionsById
  | FindBlocks
  | FindHeaders
  | PushTransaction
  | AdvertiseTransactionIds
  | MempoolTransactionIds

/** What a peer can ask of us. */
export type InboundRequest =
  | Peers
  | BlocksByHash
  | TransactionsById
  | FindBlocks
  | FindHeaders
  | PushTransaction
  | AdvertiseTransactionIds
  | AdvertiseBlock
  | MempoolTransactionIds

/** There is nothing to say. */
export type Nil = { readonly _tag: "Nil" }
/** Addresses, as the peer claims them. */
export type PeersResponse = { readonly _tag: "Peers"; readonly addresses: ReadonlyArray<GossipedAddress> }
/** The peer lives, and is so far away. */
export type Pong = { readonly _tag: "Pong"; readonly roundTrip: Duration.Duration }
/** Every block that was asked for, there or missing. */
export type Blocks = { readonly _tag: "Blocks"; readonly items: ReadonlyArray<InventoryResponse<Block, BlockHash>> }
/** Every transaction that was asked for, there or missing. */
export type Transactions = {
  readonly _tag: "Transactions"
  readonly items: ReadonlyArray<InventoryResponse<Transaction, TransactionId>>
}
/** In the order the peer gave. A gossiped one-block `inv` may stand in for the answer. */
export type BlockHashes = {
  readonly _tag: "BlockHashes"
  readonly hashes: ReadonlyArray<BlockHash>
  readonly source: Source | undefined
}
/** Headers in the order of the chain; none is an answer too. */
export type BlockHeaders = {
  readonly _tag: "BlockHeaders"
  readonly headers: ReadonlyArray<BlockHeader>
  readonly source: Source | undefined
}
/** Names of transactions. */
export type TransactionIds = { readonly _tag: "TransactionIds"; readonly ids: ReadonlyArray<TransactionId> }

/** Whatever a request can be answered with. */
export type Response = Nil | PeersResponse | Pong | Blocks | Transactions | BlockHashes | BlockHeaders | TransactionIds

interface Answers {
  readonly Peers: PeersResponse
  readonly Ping: Pong
  readonly BlocksByHash: Blocks
  readonly BlockDownload: Blocks
  readonly TransactionsById: Transactions
  readonly FindBlocks: BlockHashes
  readonly FindHeaders: BlockHeaders
  readonly PushTransaction: Nil
  readonly AdvertiseTransactionIds: Nil
  readonly AdvertiseBlock: Nil
  readonly MempoolTransactionIds: TransactionIds
}

/** The answer to a request of type `R`. */
export type ResponseOf<R extends { readonly _tag: keyof Answers }> = Answers[R["_tag"]]
