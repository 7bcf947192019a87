/**
 * What a message asks of us, and how an answer is said.
 *
 * **Security**
 *
 * Peers are not authenticated: whoever sits on the path can add a message to a stream. So a message that is odd but well
 * formed is ignored; only those that no honest peer sends after the handshake end the connection.
 *
 * Pure.
 *
 * Source: Zebra peer/connection.rs, `handle_message_as_request`; peer_set/inventory_registry.rs.
 *
 * @module
 */
import type { BlockHash, TransactionId } from "../chain/Hash.ts"
import type { GossipedAddress } from "../wire/AddressCodec.ts"
import { type InventoryItem, Message } from "../wire/Message.ts"
import type { PeerReport } from "./Peer.ts"
import type { InboundRequest, Response, Source } from "./Request.ts"
import { blockItems, maxAdvertisedTransactions, transactionItems } from "./ResponseMatcher.ts"

/** What to do about a message that answers nothing. */
export type Meaning =
  | { readonly _tag: "Ignore" }
  /** Answered by the connection itself, so that its time says nothing about what this node is busy with. */
  | { readonly _tag: "Reply"; readonly message: Message }
  | { readonly _tag: "Addresses"; readonly addresses: ReadonlyArray<GossipedAddress> }
  | { readonly _tag: "DuplicateHandshake" }
  | { readonly _tag: "Ask"; readonly request: InboundRequest }

const ignore: Meaning = { _tag: "Ignore" }
const duplicateHandshake: Meaning = { _tag: "DuplicateHandshake" }
const asked = (request: InboundRequest): Meaning => ({ _tag: "Ask", request })

/** `source` is the connection, for whatever the message delivers or lists. */
export const meaningOf = (message: Message, source: Source | undefined): Meaning => {
  switch (message._tag) {
    case "Ping":
      return { _tag: "Reply", message: Message.Pong({ nonce: message.nonce }) }
    case "Version":
    case "Verack":
      return duplicateHandshake
    case "Pong":
    case "Reject":
    case "NotFound":
    case "Block":
    case "Headers":
    // We offer no filters. Whoever asks for one all the same is not worth a link that a forger could cut so.
    case "FilterLoad":
    case "FilterAdd":
    case "FilterClear":
      return ignore
    case "Addr":
      return { _tag: "Addresses", addresses: message.addresses }
    case "Tx":
      return asked({ _tag: "PushTransaction", transaction: message.transaction, source })
    case "Inv":
      return advertised(message.items, source)
    case "GetData":
      return wanted(message.items)
    case "GetAddr":
      return asked({ _tag: "Peers" })
    case "GetBlocks":
      return asked({ _tag: "FindBlocks", known: message.known, stop: message.stop })
    case "GetHeaders":
      return asked({ _tag: "FindHeaders", known: message.known, stop: message.stop })
    case "Mempool":
      return asked({ _tag: "MempoolTransactionIds" })
  }
}

const advertised = (items: ReadonlyArray<InventoryItem>, source: Source | undefined): Meaning => {
  const block = onlyBlock(items)
  if (block !== undefined) return asked({ _tag: "AdvertiseBlock", hash: block, source })
  const ids = transactionIds(items)
  return ids.size === 0 ? ignore : asked({ _tag: "AdvertiseTransactionIds", ids, source })
}

const wanted = (items: ReadonlyArray<InventoryItem>): Meaning => {
  const hashes = new Set<BlockHash>()
  for (const item of items) if (item._tag === "Block") hashes.add(item.hash)
  if (hashes.size > 0) return asked({ _tag: "BlocksByHash", hashes })
  const ids = transactionIds(items)
  return ids.size === 0 ? ignore : asked({ _tag: "TransactionsById", ids })
}

const onlyBlock = (items: ReadonlyArray<InventoryItem>): BlockHash | undefined => {
  const [first] = items
  return items.length === 1 && first?._tag === "Block" ? first.hash : undefined
}

const transactionIds = (items: ReadonlyArray<InventoryItem>): Set<TransactionId> => {
  const ids = new Set<TransactionId>()
  for (const item of items) if (item._tag === "Tx" || item._tag === "Wtx") ids.add(item.id)
  return ids
}

/**
 * What a message says about who has what: an `inv` of one block, or the transactions of any other, as available; what a
 * `notfound` lists as missing, asked for or not. At most `limit` items, the first ones; `undefined` when there is nothing.
 */
export const inventoryOf = (message: Message, limit: number): PeerReport | undefined => {
  switch (message._tag) {
    case "Inv": {
      const items =
        onlyBlock(message.items) === undefined ? firstOf(message.items, isTransaction, limit) : message.items
      return items.length === 0 ? undefined : { _tag: "InventoryAvailable", items }
    }
    case "NotFound": {
      const items = firstOf(message.items, (item) => isTransaction(item) || item._tag === "Block", limit)
      return items.length === 0 ? undefined : { _tag: "InventoryMissing", items }
    }
    default:
      return undefined
  }
}

const isTransaction = (item: InventoryItem): boolean => item._tag === "Tx" || item._tag === "Wtx"

const firstOf = (
  items: ReadonlyArray<InventoryItem>,
  isWanted: (item: InventoryItem) => boolean,
  limit: number
): ReadonlyArray<InventoryItem> => {
  const found: Array<InventoryItem> = []
  for (const item of items) {
    if (found.length >= limit) break
    if (isWanted(item)) found.push(item)
  }
  return found
}

/**
 * The messages that say an answer, one at a time: what comes later is not made before the one in front is written. None
 * for `Nil`, and none for an empty list of blocks, so that an empty `inv` of ours always answers a `mempool`.
 */
export function* messagesOf(response: Response): Generator<Message, void> {
  switch (response._tag) {
    case "Nil":
    case "Pong":
      return
    case "Peers":
      yield Message.Addr({ addresses: response.addresses })
      return
    case "Blocks": {
      const missing: Array<BlockHash> = []
      for (const item of response.items) {
        if (item._tag === "Available") yield Message.Block({ block: item.value })
        else missing.push(item.id)
      }
      if (missing.length > 0) yield Message.NotFound({ items: blockItems(missing) })
      return
    }
    case "Transactions": {
      const missing: Array<TransactionId> = []
      for (const item of response.items) {
        if (item._tag === "Available") yield Message.Tx({ transaction: item.value })
        else missing.push(item.id)
      }
      if (missing.length > 0) yield Message.NotFound({ items: transactionItems(missing) })
      return
    }
    case "BlockHashes":
      if (response.hashes.length > 0) yield Message.Inv({ items: blockItems(response.hashes) })
      return
    case "BlockHeaders":
      yield Message.Headers({ headers: response.headers })
      return
    case "TransactionIds":
      yield Message.Inv({ items: transactionItems(response.ids, maxAdvertisedTransactions) })
      return
  }
}
