/**
 * `ping`, `pong`, `reject` and the Bloom filter messages.
 *
 * Filters are parsed and ignored; a node never sends one, nor a `reject`. Their encoders are for tests and scripted
 * peers.
 *
 * Source: Zebra protocol/external/codec.rs; BIP 31, BIP 37, BIP 61.
 *
 * @module
 */
import type { Reader } from "../bytes/Reader.ts"
import type { Writer } from "../bytes/Writer.ts"

export interface Ping {
  readonly _tag: "Ping"
  readonly nonce: bigint
}

export interface Pong {
  readonly _tag: "Pong"
  readonly nonce: bigint
}

export interface Reject {
  readonly _tag: "Reject"
  /** The command that is rejected; at most 12 bytes of UTF-8. */
  readonly message: string
  /** One of `rejectCodes`. */
  readonly code: number
  /** At most 111 bytes of UTF-8. */
  readonly reason: string
  /** 32 bytes: the block or transaction it is about, in the order of the wire. */
  readonly data?: Uint8Array
}

export interface FilterLoad {
  readonly _tag: "FilterLoad"
  /** At most 36,000 bytes. */
  readonly filter: Uint8Array
  readonly hashFunctions: number
  readonly tweak: number
  readonly flags: number
}

export interface FilterAdd {
  readonly _tag: "FilterAdd"
  /** At most 520 bytes; what a peer sends beyond is dropped. */
  readonly data: Uint8Array
}

/**
 * Malformed, invalid, obsolete, duplicate, nonstandard, dust, insufficient fee, checkpoint, other.
 *
 * Source: Zebra message.rs, `RejectReason`; zcashd consensus/validation.h.
 */
export const rejectCodes: ReadonlySet<number> = new Set([0x01, 0x10, 0x11, 0x12, 0x40, 0x41, 0x42, 0x43, 0x50])

/** Source: Zebra constants.rs, `MAX_REJECT_MESSAGE_LENGTH` and `MAX_REJECT_REASON_LENGTH`. */
const maxRejectMessageBytes = 12
const maxRejectReasonBytes = 111

/** Source: Zebra codec.rs, `MAX_FILTERLOAD_FILTER_LENGTH` and `MAX_FILTERADD_LENGTH`; BIP 37. */
const maxFilterBytes = 36_000
const maxFilterAddBytes = 520

/** Hash functions 4, tweak 4, flags 1. */
const filterFieldsBytes = 9

export const readReject = (reader: Reader): Reject => {
  const message = reader.text(maxRejectMessageBytes, "message")
  const code = reader.u8("code")
  if (!rejectCodes.has(code)) reader.refuse("unknown reject code")
  const reason = reader.text(maxRejectReasonBytes, "reason")
  const rejected = { _tag: "Reject", message, code, reason } as const
  return reader.remaining < 32 ? rejected : { ...rejected, data: reader.copy(32, "data") }
}

export const writeReject = (writer: Writer, { message, code, reason, data }: Reject): void => {
  if (!rejectCodes.has(code)) writer.refuse("unknown reject code")
  writer.text(message, maxRejectMessageBytes, "message")
  writer.u8(code)
  writer.text(reason, maxRejectReasonBytes, "reason")
  if (data === undefined) return
  if (data.length !== 32) writer.refuse("data of another length than 32")
  writer.bytes(data)
}

/** The filter has no length of its own: it is what is left of the body. */
export const readFilterLoad = (reader: Reader): FilterLoad => {
  const length = reader.remaining - filterFieldsBytes
  if (length < 0 || length > maxFilterBytes) reader.refuse("filter length out of range")
  return {
    _tag: "FilterLoad",
    filter: reader.copy(length, "filter"),
    hashFunctions: reader.u32("hash functions"),
    tweak: reader.u32("tweak"),
    flags: reader.u8("flags")
  }
}

export const writeFilterLoad = (writer: Writer, message: FilterLoad): void => {
  if (message.filter.length > maxFilterBytes) writer.refuse("filter length out of range")
  writer.bytes(message.filter)
  writer.u32(message.hashFunctions)
  writer.u32(message.tweak)
  writer.u8(message.flags)
}

export const readFilterAdd = (reader: Reader): FilterAdd => ({
  _tag: "FilterAdd",
  data: reader.copy(Math.min(reader.remaining, maxFilterAddBytes), "data")
})

export const writeFilterAdd = (writer: Writer, { data }: FilterAdd): void => {
  if (data.length > maxFilterAddBytes) writer.refuse("data above its limit")
  writer.bytes(data)
}
