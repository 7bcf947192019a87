/**
 * Every message we know; frame ↔ message.
 *
 * @module
 */
import { Buffer } from "node:buffer"
import { Data, Result } from "effect"
import { checksum } from "../bytes/Hashing.ts"
import { owned, Reader, type ReadFailure } from "../bytes/Reader.ts"
import { Writer } from "../bytes/Writer.ts"
import { Block } from "../chain/Block.ts"
import { Transaction } from "../chain/Transaction.ts"
import { type Addr, readAddr, readAddrV2, writeAddr, writeAddrV2 } from "./AddressMessages.ts"
import {
  type FilterAdd,
  type FilterLoad,
  type Ping,
  type Pong,
  readFilterAdd,
  readFilterLoad,
  readReject,
  type Reject,
  writeFilterAdd,
  writeFilterLoad,
  writeReject
} from "./ControlMessages.ts"
import { type Headers, type Locator, readHeaders, readLocator, writeHeaders, writeLocator } from "./DataMessages.ts"
import { bodyOf, BodyTooLong, type Frame, headerBytes, type Magic, seal, writeHeader } from "./Frame.ts"
import { readVersion, type Version, writeVersion } from "./HandshakeMessages.ts"
import { type InventoryItem, readInventory, readInventorySlices, writeInventory } from "./InventoryMessages.ts"

export type { Addr, InventoryItem, Version }

export type Message =
  | Version
  | { readonly _tag: "Verack" }
  | Ping
  | Pong
  | Reject
  | { readonly _tag: "GetAddr" }
  /** `addr` and `addrv2` alike; we only ever write `addr`. */
  | Addr
  | ({ readonly _tag: "GetBlocks" } & Locator)
  | ({ readonly _tag: "GetHeaders" } & Locator)
  | { readonly _tag: "Inv"; readonly items: ReadonlyArray<InventoryItem> }
  | { readonly _tag: "GetData"; readonly items: ReadonlyArray<InventoryItem> }
  | { readonly _tag: "NotFound"; readonly items: ReadonlyArray<InventoryItem> }
  | Headers
  | { readonly _tag: "Block"; readonly block: Block }
  | { readonly _tag: "Tx"; readonly transaction: Transaction }
  | { readonly _tag: "Mempool" }
  | FilterLoad
  | FilterAdd
  | { readonly _tag: "FilterClear" }

/** Constructors, `$is` and `$match`: `Message.Ping({ nonce })`. */
export const Message = Data.taggedEnum<Message>()

/** The body means something forbidden. */
export class WireParse extends Data.TaggedError("WireParse")<{ readonly command: string; readonly reason: string }> {}
/** The body ended inside a field. */
export class WireEof extends Data.TaggedError("WireEof")<{ readonly command: string; readonly field: string }> {}
/** A v4 transaction with a Sapling balance but neither spends nor outputs. */
export class WireBalance extends Data.TaggedError("WireBalance")<{ readonly command: string }> {}

/** What a body can have wrong. Each ends the connection. */
export type MessageError = WireParse | WireEof | WireBalance

/** The name each kind of message has on the wire. */
export const commands = {
  Version: "version",
  Verack: "verack",
  Ping: "ping",
  Pong: "pong",
  Reject: "reject",
  GetAddr: "getaddr",
  Addr: "addr",
  GetBlocks: "getblocks",
  GetHeaders: "getheaders",
  Inv: "inv",
  GetData: "getdata",
  NotFound: "notfound",
  Headers: "headers",
  Block: "block",
  Tx: "tx",
  Mempool: "mempool",
  FilterLoad: "filterload",
  FilterAdd: "filteradd",
  FilterClear: "filterclear"
} as const satisfies Readonly<Record<Message["_tag"], string>>

/** A name a message may have on the wire. */
export type Command = (typeof commands)[Message["_tag"]]

/** The name a message has on the wire. */
export const commandOf = (message: Message): Command => commands[message._tag]

/** What a body means depends on this. */
export interface DecodeOptions {
  /** The smaller of both sides' versions; before the handshake ends, our own. */
  readonly negotiatedVersion: number
}

/** What a message is written for. */
export interface EncodeOptions {
  readonly magic: Magic
  readonly negotiatedVersion: number
  /** `Frame.maxHandshakeBodyBytes` or `Frame.maxBodyBytes`. */
  readonly maxBodyBytes: number
}

/**
 * What a frame says. `undefined` for a command we do not know, which is to be ignored. Bytes after the last field are
 * ignored too.
 */
export const decode = (frame: Frame, options: DecodeOptions): Result.Result<Message | undefined, MessageError> => {
  const codec = codecByCommand.get(frame.command)
  if (codec === undefined) return ignored
  const reader = readerOf(codec, frame)
  return decoded(frame.command, reader, codec.read(reader, options))
}

/** Most elements of a list that are decoded without a rest in between: a few milliseconds. */
export const sliceElements = 8192

/** A body of at most so many bytes has fewer elements than a slice: the shortest, an output of a transaction, has 9. */
export const wholeBodyBytes = 65_536

/** The same as `decode`, for long bodies: each `next` does so much that others need not wait for long. */
export function* decodeSlices(
  frame: Frame,
  options: DecodeOptions,
  most: number = sliceElements
): Generator<void, Result.Result<Message | undefined, MessageError>> {
  const codec = codecByCommand.get(frame.command)
  if (codec === undefined) return ignored
  const reader = readerOf(codec, frame)
  const message = codec.slices === undefined ? codec.read(reader, options) : yield* codec.slices(reader, most)
  return decoded(frame.command, reader, message)
}

const readerOf = ({ keepsBody }: Codec, frame: Frame): Reader =>
  keepsBody ? new Reader(owned(bodyOf(frame))) : new Reader(frame.bytes, frame.start, frame.end)

const decoded = (command: string, { failure }: Reader, message: Message): Result.Result<Message, MessageError> =>
  failure === undefined ? Result.succeed(message) : Result.fail(errorOf(command, failure))

const ignored = Result.succeed(undefined)

const errorOf = (command: string, failure: ReadFailure): MessageError => {
  switch (failure._tag) {
    case "EndOfData":
      return new WireEof({ command, field: failure.field })
    case "Malformed":
      return new WireParse({ command, reason: failure.reason })
    case "Unbalanced":
      return new WireBalance({ command })
  }
}

/** Header and body as one. Fails on what the receiver would refuse; nothing of it may be sent then. */
export const encode = (
  message: Message,
  options: EncodeOptions
): Result.Result<Uint8Array, MessageError | BodyTooLong> =>
  finish(commandOf(message), options, (writer) => write(writer, message, options))

/** A message to be sent: its bytes, and then those of a body that was not put behind its header. */
export interface Pieces {
  readonly first: Uint8Array
  readonly rest: Uint8Array | undefined
}

/**
 * The same without a copy of a long block, which goes to many peers: so many megabytes that are garbage at once cost more than
 * all the rest.
 */
export const encodeInPieces = (
  message: Message,
  options: EncodeOptions
): Result.Result<Pieces, MessageError | BodyTooLong> =>
  message._tag === "Block" && message.block.bytes.length > wholeBodyBytes
    ? blockInPieces(message.block, options)
    : Result.map(encode(message, options), (first) => ({ first, rest: undefined }))

const blockInPieces = (block: Block, { magic, maxBodyBytes }: EncodeOptions): Result.Result<Pieces, BodyTooLong> => {
  const { length } = block.bytes
  if (length > maxBodyBytes) {
    return Result.fail(new BodyTooLong({ command: commands.Block, length, limit: maxBodyBytes }))
  }
  const first = Buffer.allocUnsafeSlow(headerBytes)
  writeHeader(first, magic, commands.Block, length, checksumOf(block))
  return Result.succeed({ first, rest: block.bytes })
}

/** Of long blocks that were sent before. */
const checksums = new WeakMap<Block, number>()

const checksumOf = (block: Block): number => {
  const known = checksums.get(block) ?? checksum(block.bytes)
  checksums.set(block, known)
  return known
}

/** As `addrv2`, for tests and scripted peers: nodes never send it. */
export const encodeAddrV2 = (
  message: Addr,
  options: EncodeOptions
): Result.Result<Uint8Array, MessageError | BodyTooLong> =>
  finish("addrv2", options, (writer) => writeAddrV2(writer, message))

/** The body alone, as a peer would send it. Fails on what the receiver would refuse. */
export const encodeBody = (
  message: Message,
  options: Pick<EncodeOptions, "negotiatedVersion">
): Result.Result<Uint8Array, MessageError> => {
  const writer = new Writer()
  write(writer, message, options)
  return writer.failure === undefined
    ? Result.succeed(writer.finish())
    : Result.fail(new WireParse({ command: commandOf(message), reason: writer.failure.reason }))
}

const finish = (
  command: string,
  { magic, maxBodyBytes }: EncodeOptions,
  writeBody: (writer: Writer) => void
): Result.Result<Uint8Array, MessageError | BodyTooLong> => {
  const writer = new Writer()
  writer.zeros(headerBytes)
  writeBody(writer)
  if (writer.failure !== undefined) return Result.fail(new WireParse({ command, reason: writer.failure.reason }))
  const length = writer.position - headerBytes
  if (length > maxBodyBytes) return Result.fail(new BodyTooLong({ command, length, limit: maxBodyBytes }))
  const bytes = writer.finish()
  seal(bytes, magic, command)
  return Result.succeed(bytes)
}

/** How the body of a command becomes a message. */
interface Codec {
  readonly read: (reader: Reader, options: DecodeOptions) => Message
  /** The same with a rest after every `most` elements, where there may be more than fit one slice. */
  readonly slices: ((reader: Reader, most: number) => Generator<void, Message>) | undefined
  /** Whether the message refers to the body for as long as it lives. */
  readonly keepsBody: boolean
}

const codec = (read: Codec["read"], slices?: Codec["slices"]): Codec => ({ read, slices, keepsBody: false })
const codecOfBody = (read: Codec["read"], slices?: Codec["slices"]): Codec => ({ read, slices, keepsBody: true })

const inventory = (_tag: "Inv" | "GetData" | "NotFound"): Codec =>
  codec(
    (reader) => ({ _tag, items: readInventory(reader) }),
    function* (reader, most) {
      return { _tag, items: yield* readInventorySlices(reader, most) }
    }
  )

/** `addrv2` decodes to what `addr` does, and is never written. */
const codecs: Readonly<Record<Command | "addrv2", Codec>> = {
  version: codec(readVersion),
  verack: codec(() => ({ _tag: "Verack" })),
  ping: codec((reader) => ({ _tag: "Ping", nonce: reader.u64("nonce") })),
  pong: codec((reader) => ({ _tag: "Pong", nonce: reader.u64("nonce") })),
  reject: codec(readReject),
  getaddr: codec(() => ({ _tag: "GetAddr" })),
  addr: codec(readAddr),
  addrv2: codec(readAddrV2),
  getblocks: codec((reader, options) => ({ _tag: "GetBlocks", ...readLocator(reader, options.negotiatedVersion) })),
  getheaders: codec((reader, options) => ({ _tag: "GetHeaders", ...readLocator(reader, options.negotiatedVersion) })),
  inv: inventory("Inv"),
  getdata: inventory("GetData"),
  notfound: inventory("NotFound"),
  headers: codecOfBody(readHeaders),
  block: codecOfBody(
    (reader) => ({ _tag: "Block", block: Block.read(reader) }),
    function* (reader, most) {
      return { _tag: "Block", block: yield* Block.readSlices(reader, most) }
    }
  ),
  tx: codecOfBody(
    (reader) => ({ _tag: "Tx", transaction: Transaction.read(reader) }),
    function* (reader, most) {
      return { _tag: "Tx", transaction: yield* Transaction.readSlices(reader, most) }
    }
  ),
  mempool: codec(() => ({ _tag: "Mempool" })),
  filterload: codec(readFilterLoad),
  filteradd: codec(readFilterAdd),
  filterclear: codec(() => ({ _tag: "FilterClear" }))
}

const codecByCommand: ReadonlyMap<string, Codec> = new Map(Object.entries(codecs))

const write = (
  writer: Writer,
  message: Message,
  { negotiatedVersion }: Pick<EncodeOptions, "negotiatedVersion">
): void => {
  switch (message._tag) {
    case "Version":
      return writeVersion(writer, message)
    case "Ping":
    case "Pong":
      return writer.u64(message.nonce)
    case "Reject":
      return writeReject(writer, message)
    case "Addr":
      return writeAddr(writer, message)
    case "GetBlocks":
    case "GetHeaders":
      return writeLocator(writer, message, negotiatedVersion)
    case "Inv":
    case "GetData":
    case "NotFound":
      return writeInventory(writer, message.items)
    case "Headers":
      return writeHeaders(writer, message)
    case "Block":
      return writer.bytes(message.block.bytes)
    case "Tx":
      return writer.bytes(message.transaction.bytes)
    case "FilterLoad":
      return writeFilterLoad(writer, message)
    case "FilterAdd":
      return writeFilterAdd(writer, message)
    case "Verack":
    case "GetAddr":
    case "Mempool":
    case "FilterClear":
      return
    default:
      // A kind of message without a case does not compile.
      return message satisfies never
  }
}
