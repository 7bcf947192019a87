/**
 * `inv`, `getdata` and `notfound`: names of blocks and transactions.
 *
 * Source: Zebra protocol/external/inv.rs; ZIP 239.
 *
 * @module
 */
import type { Reader } from "../bytes/Reader.ts"
import type { Writer } from "../bytes/Writer.ts"
import type { BlockHash, TxId, WtxId } from "../chain/Hash.ts"

/** One entry of `inv`, `getdata` or `notfound`. */
export type InventoryItem =
  /** Names nothing; its 32 bytes are not kept. */
  | { readonly _tag: "Error" }
  /** A transaction of version 1 to 4. */
  | { readonly _tag: "Tx"; readonly id: TxId }
  | { readonly _tag: "Block"; readonly hash: BlockHash }
  /** Parsed, never acted on. */
  | { readonly _tag: "FilteredBlock"; readonly hash: BlockHash }
  /** A transaction of version 5 or later. */
  | { readonly _tag: "Wtx"; readonly id: WtxId }

/**
 * Most items of one message.
 *
 * Source: Zebra inv.rs, `MAX_INV_IN_MESSAGE`: the smaller of 50,000 and what fits 2 MiB.
 */
const maxInventoryItems = 50_000

/** Type and one hash: the shortest item. */
const shortItemBytes = 36

const errorItem: InventoryItem = { _tag: "Error" }

const readItem = (reader: Reader): InventoryItem => {
  switch (reader.u32("inventory type")) {
    case 0:
      reader.skip(32, "inventory hash")
      return errorItem
    case 1:
      return { _tag: "Tx", id: reader.displayHash("inventory hash") as TxId }
    case 2:
      return { _tag: "Block", hash: reader.displayHash("inventory hash") as BlockHash }
    case 3:
      return { _tag: "FilteredBlock", hash: reader.displayHash("inventory hash") as BlockHash }
    case 5:
      return { _tag: "Wtx", id: reader.displayHashes("inventory hash", "inventory digest") as WtxId }
    default:
      reader.refuse("unknown inventory type")
      return errorItem
  }
}

const readItems = (reader: Reader, items: Array<InventoryItem>, from: number, to: number): void => {
  for (let i = from; i < to && reader.failure === undefined; i++) items[i] = readItem(reader)
}

/** A count and that many items of 36 or 68 bytes. */
export const readInventory = (reader: Reader): ReadonlyArray<InventoryItem> => {
  const count = reader.compactSize(maxInventoryItems, "inventory count")
  // The most frequent message there is: a list that grows would cost more than all the rest.
  if (count === 1) return [readItem(reader)]
  const items = reader.arrayOf<InventoryItem>(count, shortItemBytes)
  readItems(reader, items, 0, count)
  return items
}

/** The same, with a rest after every `most` items. */
export function* readInventorySlices(reader: Reader, most: number): Generator<void, ReadonlyArray<InventoryItem>> {
  const count = reader.compactSize(maxInventoryItems, "inventory count")
  const items = reader.arrayOf<InventoryItem>(count, shortItemBytes)
  for (let from = 0; from < count && reader.failure === undefined; from += most) {
    if (from > 0) yield
    readItems(reader, items, from, Math.min(count, from + most))
  }
  return items
}

/** How many items are written at once, as one run of digits. */
const runItems = 64

/** Type and hashes as digits, the last byte first. */
const digitsOf = (item: InventoryItem): string => {
  switch (item._tag) {
    case "Error":
      return errorDigits
    case "Tx":
      return checked(item.id, 64) + "00000001"
    case "Block":
      return checked(item.hash, 64) + "00000002"
    case "FilteredBlock":
      return checked(item.hash, 64) + "00000003"
    case "Wtx":
      return checked(item.id, 128).slice(64) + item.id.slice(0, 64) + "00000005"
  }
}

const errorDigits = "0".repeat(2 * shortItemBytes)

const checked = (digits: string, length: 64 | 128): string => {
  if (digits.length !== length)
    throw new Error(`a hash has 64 hexadecimal digits, an id with its digest 128: ${digits}`)
  return digits
}

export const writeInventory = (writer: Writer, items: ReadonlyArray<InventoryItem>): void => {
  writer.count(items.length, maxInventoryItems, "inventory count")
  writer.reserve(shortItemBytes * items.length)
  for (let from = 0; from < items.length; from += runItems) {
    let digits = ""
    for (let i = Math.min(from + runItems, items.length) - 1; i >= from; i--) digits += digitsOf(items[i]!)
    writer.reversedHex(digits)
  }
}
