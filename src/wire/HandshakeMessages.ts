/**
 * `version`: the first message each way.
 *
 * Source: Zebra protocol/external/{codec,message}.rs; ZIP 204.
 *
 * @module
 */
import type { Reader } from "../bytes/Reader.ts"
import type { Writer } from "../bytes/Writer.ts"
import { readServices, readVersionAddress, type VersionAddress, writeVersionAddress } from "./AddressCodec.ts"

export interface Version {
  readonly _tag: "Version"
  /** Newest protocol version the sender speaks; any value parses. Without a sign, as the reference compares it. */
  readonly version: number
  /** Known bits only: 0n or `NODE_NETWORK`. */
  readonly services: bigint
  /** Seconds since the Unix epoch, by the sender's clock; never used as a time source. */
  readonly timestamp: bigint
  /** Where the sender thinks the receiver is. */
  readonly addressReceiver: VersionAddress
  /** Where the sender says it listens; not to be trusted. */
  readonly addressFrom: VersionAddress
  /** Drawn at random: who meets its own is talking to itself. */
  readonly nonce: bigint
  /** At most 256 bytes of UTF-8. */
  readonly userAgent: string
  /** Height of the sender's best block, an int32: -1 of a sender that has none; not checked. Source: ZIP 204. */
  readonly startHeight: number
  /** Whether the sender wants transactions announced. */
  readonly relay: boolean
}

/**
 * Longest user agent, in bytes of UTF-8.
 *
 * Source: Zebra constants.rs, `MAX_USER_AGENT_LENGTH`.
 */
export const maxUserAgentBytes = 256

/**
 * The times a `version` may state, in seconds: the years -262 143 to 262 142.
 *
 * Source: Zebra codec.rs, the range of a `chrono::DateTime`.
 */
export const minTimestamp = -8_334_601_228_800n
export const maxTimestamp = 8_210_266_876_799n

export const readVersion = (reader: Reader): Version => {
  const version = reader.u32("version")
  const services = readServices(reader)
  const timestamp = reader.i64("timestamp")
  if (timestamp < minTimestamp || timestamp > maxTimestamp) reader.refuse("timestamp out of range")
  const addressReceiver = readVersionAddress(reader)
  const addressFrom = readVersionAddress(reader)
  const nonce = reader.u64("nonce")
  const userAgent = reader.text(maxUserAgentBytes, "user agent")
  const startHeight = reader.i32("start height")
  const relay = reader.remaining === 0 ? 1 : reader.u8("relay")
  if (relay > 1) reader.refuse("relay is neither 0 nor 1")
  return {
    _tag: "Version",
    version,
    services,
    timestamp,
    addressReceiver,
    addressFrom,
    nonce,
    userAgent,
    startHeight,
    relay: relay === 1
  }
}

export const writeVersion = (writer: Writer, message: Version): void => {
  if (message.timestamp < minTimestamp || message.timestamp > maxTimestamp) writer.refuse("timestamp out of range")
  writer.u32(message.version)
  writer.u64(message.services)
  writer.i64(message.timestamp)
  writeVersionAddress(writer, message.addressReceiver)
  writeVersionAddress(writer, message.addressFrom)
  writer.u64(message.nonce)
  writer.text(message.userAgent, maxUserAgentBytes, "user agent")
  writer.i32(message.startHeight)
  writer.u8(message.relay ? 1 : 0)
}
