/**
 * `getblocks`, `getheaders` and `headers`; `block` and `tx` are bodies of `chain` alone.
 *
 * Source: Zebra protocol/external/codec.rs; zebra-chain block/header.rs.
 *
 * @module
 */
import { maxMessageCompactSize, type Reader } from "../bytes/Reader.ts"
import type { Writer } from "../bytes/Writer.ts"
import { BlockHeader } from "../chain/Block.ts"
import { type BlockHash, zeroBlockHash } from "../chain/Hash.ts"

/** Where the sender's chain is: `getblocks` and `getheaders`. */
export interface Locator {
  /** Known hashes, highest first; at most 101. */
  readonly known: ReadonlyArray<BlockHash>
  /** Last block that is wanted; `undefined` for as many as may be. */
  readonly stop: BlockHash | undefined
}

export interface Headers {
  readonly _tag: "Headers"
  /** At most 160. Each refers to the bytes of all of them. */
  readonly headers: ReadonlyArray<BlockHeader>
}

/**
 * Most hashes of a locator.
 *
 * Source: zebra-chain block.rs, `MAX_BLOCK_LOCATOR_LENGTH`; Bitcoin Core PR #13907.
 */
const maxLocatorHashes = 101

/**
 * Most headers of one message.
 *
 * Source: zcashd main.h, `MAX_HEADERS_RESULTS`; Zebra, `MAX_HEADERS_PER_MESSAGE`.
 */
const maxHeaders = 160

/** `version` is the negotiated one, which the sender has to repeat. */
export const readLocator = (reader: Reader, version: number): Locator => {
  if (reader.u32("version") !== version) reader.refuse("version is not the negotiated one")
  const count = reader.compactSize(maxLocatorHashes, "locator count")
  const known: Array<BlockHash> = []
  for (let i = 0; i < count && reader.failure === undefined; i++) known.push(reader.displayHash("locator") as BlockHash)
  const stop = reader.displayHash("stop") as BlockHash
  return { known, stop: stop === zeroBlockHash ? undefined : stop }
}

export const writeLocator = (writer: Writer, { known, stop }: Locator, version: number): void => {
  writer.u32(version)
  writer.count(known.length, maxLocatorHashes, "locator count")
  for (const hash of known) writer.displayHash(hash)
  writer.displayHash(stop ?? zeroBlockHash)
}

export const readHeaders = (reader: Reader): Headers => {
  const count = reader.compactSize(maxHeaders, "header count")
  const headers: Array<BlockHeader> = []
  for (let i = 0; i < count && reader.failure === undefined; i++) {
    headers.push(BlockHeader.read(reader))
    // Whatever it says: senders write 0.
    reader.compactSize(maxMessageCompactSize, "transaction count")
  }
  return { _tag: "Headers", headers }
}

export const writeHeaders = (writer: Writer, { headers }: Headers): void => {
  writer.count(headers.length, maxHeaders, "header count")
  writer.reserve(headers.reduce((bytes, header) => bytes + header.bytes.length + 1, 0))
  for (const header of headers) {
    writer.bytes(header.bytes)
    writer.compactSize(0)
  }
}
