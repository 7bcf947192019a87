/**
 * Does this message answer that request?
 *
 * What a peer sends while we wait may be the answer, part of it, the late answer to an earlier request, gossip or
 * nonsense, and nothing on the wire says which. The rules below keep a message that names nothing we wait for from ending
 * the wait: it belongs to a cancelled request or to nobody.
 *
 * Pure but for the state of one request.
 *
 * Source: Zebra peer/connection.rs, `Handler::process_message`.
 *
 * @module
 */
import { Cause, Duration, Exit, Option } from "effect"
import type { Block } from "../chain/Block.ts"
import { type BlockHash, isWitnessed, type TransactionId } from "../chain/Hash.ts"
import type { Transaction } from "../chain/Transaction.ts"
import type { GossipedAddress } from "../wire/AddressCodec.ts"
import { type InventoryItem, Message } from "../wire/Message.ts"
import { NotFoundResponse, type PeerError } from "./Peer.ts"
import type { InventoryResponse, Ping, Request, Response, Source } from "./Request.ts"

/** Most transactions in an `inv` we send. Source: Zebra constants.rs, `MAX_TX_INV_IN_SENT_MESSAGE`. */
export const maxAdvertisedTransactions = 25_000

/** What a message is to the request we wait for. */
export type Verdict =
  /** Not an answer: it means what it would mean without a request. */
  | { readonly _tag: "Unrelated" }
  /** Part of the answer, or of an answer that can be told to be an older one. */
  | { readonly _tag: "Consumed" }
  /** The request is over. */
  | { readonly _tag: "Answered"; readonly response: Response }
  /** The request is over, and the message is no answer: it means what it would mean without one. */
  | { readonly _tag: "AnsweredBefore"; readonly response: Response }
  /** Addresses that complete `Peers`, with those the connection had before. */
  | { readonly _tag: "Addresses"; readonly addresses: ReadonlyArray<GossipedAddress> }
  /** The peer has none of what was asked for. */
  | { readonly _tag: "NotFound"; readonly error: NotFoundResponse; readonly alsoUnrelated: boolean }

/** One request that was sent, and what arrived of its answer. */
export type Matcher = (message: Message, nowNanos: bigint) => Verdict

const unrelated: Verdict = { _tag: "Unrelated" }
const consumed: Verdict = { _tag: "Consumed" }
const answered = (response: Response): Verdict => ({ _tag: "Answered", response })

/** The message that asks, and what waits for the answer; `undefined` where none is expected. */
export interface Asking {
  readonly message: Message
  readonly matcher: Matcher | undefined
}

/**
 * How a request is asked for. `source` is the connection; everything that arrives carries it, so that whoever finds it
 * bad later knows whom to blame. `sentAtNanos` is the time of the monotonic clock.
 */
export const ask = (request: Request | Ping, source: Source | undefined, sentAtNanos: bigint): Asking => {
  switch (request._tag) {
    case "Peers":
      return { message: Message.GetAddr(), matcher: addresses }
    case "Ping":
      return { message: Message.Ping({ nonce: request.nonce }), matcher: pong(request.nonce, sentAtNanos) }
    case "BlocksByHash":
      return {
        message: Message.GetData({ items: blockItems(request.hashes) }),
        matcher: blocks(request.hashes, source)
      }
    case "BlockDownload":
      return {
        message: Message.GetData({ items: blockItems([request.hash]) }),
        matcher: blocks(new Set([request.hash]), source)
      }
    case "TransactionsById":
      return {
        message: Message.GetData({ items: transactionItems(request.ids) }),
        matcher: transactions(request.ids, source)
      }
    case "FindBlocks":
      return { message: Message.GetBlocks({ known: request.known, stop: request.stop }), matcher: blockHashes(source) }
    case "FindHeaders":
      return { message: Message.GetHeaders({ known: request.known, stop: request.stop }), matcher: headers(source) }
    case "MempoolTransactionIds":
      return { message: Message.Mempool(), matcher: transactionIds }
    case "PushTransaction":
      return { message: Message.Tx({ transaction: request.transaction }), matcher: undefined }
    case "AdvertiseTransactionIds":
      return {
        message: Message.Inv({ items: transactionItems(request.ids, maxAdvertisedTransactions) }),
        matcher: undefined
      }
  }
}

export const blockItems = (hashes: Iterable<BlockHash>): ReadonlyArray<InventoryItem> =>
  Array.from(hashes, (hash) => ({ _tag: "Block", hash }))

/** At most `limit` of them, in their order. */
export const transactionItems = (
  ids: Iterable<TransactionId>,
  limit = Number.POSITIVE_INFINITY
): ReadonlyArray<InventoryItem> => {
  const items: Array<InventoryItem> = []
  for (const id of ids) {
    if (items.length >= limit) break
    items.push(isWitnessed(id) ? { _tag: "Wtx", id } : { _tag: "Tx", id })
  }
  return items
}

const addresses: Matcher = (message) =>
  message._tag === "Addr" ? { _tag: "Addresses", addresses: message.addresses } : unrelated

const pong =
  (nonce: bigint, sentAtNanos: bigint): Matcher =>
  (message, nowNanos) => {
    if (message._tag !== "Pong") return unrelated
    if (message.nonce !== nonce) return consumed
    return answered({ _tag: "Pong", roundTrip: Duration.nanos(nowNanos - sentAtNanos) })
  }

/** What both kinds of download do with what is wanted, what arrived, and what is said to be missing. */
const download = <Id, A>(options: {
  readonly wanted: Iterable<Id>
  readonly source: Source | undefined
  readonly itemOf: (id: Id) => InventoryItem
  readonly idOf: (item: InventoryItem) => Id | undefined
  readonly response: (items: ReadonlyArray<InventoryResponse<A, Id>>) => Response
}) => {
  const pending = new Set(options.wanted)
  const received: Array<InventoryResponse<A, Id>> = []

  const missing = () => Array.from(pending, (id): InventoryResponse<A, Id> => ({ _tag: "Missing", id }))

  return {
    /** An item that arrived; `undefined` when nobody waits for it. */
    take: (id: Id, value: A): Verdict | undefined => {
      if (!pending.delete(id)) return undefined
      received.push({ _tag: "Available", value, source: options.source })
      return pending.size === 0 ? answered(options.response(received)) : consumed
    },
    /** Ends the request with what there is. `alsoUnrelated`: for a message that is no part of the answer. */
    end: (alsoUnrelated: boolean): Verdict => {
      if (received.length === 0) {
        return {
          _tag: "NotFound",
          error: new NotFoundResponse({ hashes: Array.from(pending, options.itemOf) }),
          alsoUnrelated
        }
      }
      const response = options.response([...received, ...missing()])
      return alsoUnrelated ? { _tag: "AnsweredBefore", response } : answered(response)
    },
    names: (items: ReadonlyArray<InventoryItem>): boolean =>
      items.some((item) => {
        const id = options.idOf(item)
        return id !== undefined && pending.has(id)
      })
  }
}

const blocks = (hashes: ReadonlySet<BlockHash>, source: Source | undefined): Matcher => {
  const wanted = download<BlockHash, Block>({
    wanted: hashes,
    source,
    itemOf: (hash) => ({ _tag: "Block", hash }),
    idOf: (item) => (item._tag === "Block" ? item.hash : undefined),
    response: (items) => ({ _tag: "Blocks", items })
  })
  return (message) => {
    // Another block may be the late answer to a cancelled request; ending this one would cancel the next in turn.
    if (message._tag === "Block") {
      if (hashes.size === 0) return answered({ _tag: "Blocks", items: [] })
      return wanted.take(message.block.hash, message.block) ?? unrelated
    }
    if (message._tag === "NotFound" && wanted.names(message.items)) return wanted.end(false)
    return unrelated
  }
}

const transactions = (ids: Iterable<TransactionId>, source: Source | undefined): Matcher => {
  const wanted = download<TransactionId, Transaction>({
    wanted: ids,
    source,
    itemOf: (id) => (isWitnessed(id) ? { _tag: "Wtx", id } : { _tag: "Tx", id }),
    idOf: (item) => (item._tag === "Tx" || item._tag === "Wtx" ? item.id : undefined),
    response: (items) => ({ _tag: "Transactions", items })
  })
  return (message) => {
    // Nodes answer in order and skip what they lack, so another transaction means that the rest will not come.
    if (message._tag === "Tx") return wanted.take(message.transaction.id, message.transaction) ?? wanted.end(true)
    if (message._tag === "NotFound" && wanted.names(message.items)) return wanted.end(false)
    return unrelated
  }
}

/** A gossiped `inv` of one block is taken for the answer: nothing tells them apart. */
const blockHashes =
  (source: Source | undefined): Matcher =>
  (message) => {
    if (message._tag !== "Inv" || message.items.length === 0) return unrelated
    const hashes: Array<BlockHash> = []
    for (const item of message.items) {
      if (item._tag !== "Block") return unrelated
      hashes.push(item.hash)
    }
    return answered({ _tag: "BlockHashes", hashes, source })
  }

const headers =
  (source: Source | undefined): Matcher =>
  (message) =>
    message._tag === "Headers" ? answered({ _tag: "BlockHeaders", headers: message.headers, source }) : unrelated

/** An empty `inv` is an answer here and only here: nodes say so when they have no transactions. */
const transactionIds: Matcher = (message) => {
  if (message._tag !== "Inv") return unrelated
  const ids: Array<TransactionId> = []
  for (const item of message.items) {
    if (item._tag !== "Tx" && item._tag !== "Wtx") return unrelated
    ids.push(item.id)
  }
  return answered({ _tag: "TransactionIds", ids })
}

/**
 * What a peer turned out to lack, by its answer to `request`: at most `limit` items. Only its own word counts; an error of
 * ours or of the stream proves nothing, and what we concluded ourselves would be kept alive by counting it again.
 */
export const missingIn = (
  request: Request | Ping,
  exit: Exit.Exit<Response, PeerError>,
  limit: number
): ReadonlyArray<InventoryItem> => {
  if (Exit.isSuccess(exit)) {
    const response = exit.value
    if (response._tag === "Blocks") return blockItems(idsMissing(response.items, limit))
    if (response._tag === "Transactions") return transactionItems(idsMissing(response.items, limit))
    return []
  }
  const error = Cause.findErrorOption(exit.cause)
  if (Option.isNone(error) || error.value._tag !== "NotFoundResponse") return []
  switch (request._tag) {
    case "BlocksByHash":
      return blockItems([...request.hashes].slice(0, limit))
    case "BlockDownload":
      return blockItems([request.hash])
    case "TransactionsById":
      return transactionItems(request.ids, limit)
    default:
      return []
  }
}

const idsMissing = <A, Id>(items: ReadonlyArray<InventoryResponse<A, Id>>, limit: number): ReadonlyArray<Id> =>
  items.flatMap((item) => (item._tag === "Missing" ? [item.id] : [])).slice(0, limit)
