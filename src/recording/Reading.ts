/**
 * The lines of a record as values again. The inverse of `Transcript.ts`.
 *
 * A record may come from anybody: each line is checked against its schema, and bodies are decoded as those of a peer are.
 * For what was not kept there are stand-ins that have what a connection decides by, and the digest of what they stand for.
 *
 * @module
 */
import { Buffer } from "node:buffer"
import { Cause, Data, Duration, Exit, Result, Schema } from "effect"
import { Reader } from "../bytes/Reader.ts"
import { Block, BlockHeader } from "../chain/Block.ts"
import type { TransactionId } from "../chain/Hash.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { Transaction } from "../chain/Transaction.ts"
import type { Event, Limits, Options, Snapshot } from "../peer/ConnectionMachine.ts"
import type { Outcome } from "../peer/InboundRequests.ts"
import type { ReceiveError, SendError } from "../peer/MessageStream.ts"
import * as Peers from "../peer/Peer.ts"
import type { Available, InventoryResponse, Missing, Ping, Request, Response, Source } from "../peer/Request.ts"
import { StreamClosed } from "../transport/Transport.ts"
import type { GossipedAddress } from "../wire/AddressCodec.ts"
import { BadChecksum, BodyTooLong, Truncated, WrongMagic } from "../wire/Frame.ts"
import { decode, Message, WireBalance, WireEof, WireParse } from "../wire/Message.ts"
import * as Format from "./Format.ts"
import type { Body, Digest } from "./Transcript.ts"

/** A line that is no line of a record, or a record that is none. `message` is the end of a sentence about it. */
export class Unreadable extends Data.TaggedError("Unreadable")<{ readonly message: string }> {}

const refuse = (reason: string): never => {
  throw new Unreadable({ message: reason })
}

const checked =
  <A>(schema: Schema.Codec<A, unknown>) =>
  (value: unknown, number: number): A => {
    const decoded = Schema.decodeUnknownResult(schema)(value)
    return Result.isSuccess(decoded) ? decoded.success : refuse(`has something in line ${number} that no record has`)
  }

const segmentOf = checked(Format.Segment)
const entryOf = checked(Format.Entry)
const endOf = checked(Format.End)

const parse = (line: string, number: number): unknown => {
  try {
    return JSON.parse(line)
  } catch {
    return refuse(`has no JSON in line ${number}`)
  }
}

const has = (value: unknown, key: string): boolean => typeof value === "object" && value !== null && key in value

/** The first line. Throws `Unreadable`, also of another version. */
export const segment = (line: string): Format.Segment => {
  if (!line.startsWith('{"format":')) return refuse("is no record")
  const value = parse(line, 1)
  const { format, version } = value as { readonly format: unknown; readonly version: unknown }
  if (format !== Format.name || typeof version !== "number") return refuse("is no record")
  if (version !== Format.version) {
    return refuse(`is a record of version ${version}, and this program reads ${Format.version}`)
  }
  return segmentOf(value, 1)
}

/** Any other line, and which one. Throws `Unreadable`. */
export const entry = (line: string, number: number): Format.Entry | Format.End => {
  const value = parse(line, number)
  return has(value, "end") ? endOf(value, number) : entryOf(value, number)
}

/** Reads the values of one segment. */
export class Reading {
  readonly #segment: Format.Segment
  readonly #baseNanos: bigint
  readonly #source: Source | undefined
  /** Of what stands for something that was not kept. */
  readonly digests = new WeakMap<Body, Digest>()

  constructor(segment: Format.Segment) {
    this.#segment = segment
    this.#baseNanos = BigInt(segment.nanos)
    this.#source = { connection: segment.connection.id, address: this.#address(segment.connection.address) }
  }

  /** What the machine is made of, but for its chance. */
  get options(): Omit<Options, "random"> {
    const { connection, limits } = this.#segment
    return {
      limits: {
        ...limits,
        requestTimeout: Duration.millis(limits.requestMillis),
        overloadInterval: Duration.millis(limits.overloadMillis)
      } satisfies Limits,
      source: this.#source,
      services: BigInt(connection.services),
      addresses: []
    }
  }

  nanos(at: number): bigint {
    return this.#baseNanos + BigInt(at)
  }

  get state(): Snapshot {
    const { state } = this.#segment
    const asked = (each: Format.State["requests"][number]) => ({ ...each, request: this.#request(each.request) })
    return {
      phase: state.phase,
      requests: state.requests.map(asked),
      adverts: state.adverts,
      current:
        state.current === undefined
          ? undefined
          : {
              waiter: state.current.waiter,
              isCancelled: state.current.isCancelled,
              request: this.#request(state.current.request),
              takenNanos: this.nanos(state.current.taken)
            },
      waiting:
        state.waiting === undefined
          ? undefined
          : {
              sinceNanos: this.nanos(state.waiting.since),
              deadlineNanos: this.nanos(state.waiting.deadline),
              taken: state.waiting.taken.map((message) => this.#message(message))
            },
      advert: state.advert,
      answer:
        state.answer === undefined
          ? undefined
          : { response: this.#response(state.answer.response), said: state.answer.said },
      addresses: state.addresses.map((each) => this.#gossiped(each)),
      overloadedAtNanos: state.overloadedAt === undefined ? undefined : this.nanos(state.overloadedAt),
      alarmNanos: state.alarm === undefined ? undefined : this.nanos(state.alarm)
    }
  }

  /** Throws `Unreadable`. */
  event(event: Format.Event): Event {
    if (typeof event === "string") return { _tag: event }
    if ("message" in event) return { _tag: "Message", message: this.#message(event) }
    switch (event._tag) {
      case "InputEnd":
        return { _tag: "InputEnd", error: receiveError(event.error) }
      case "WriteFailed":
        return { _tag: "WriteFailed", error: sendError(event.error) }
      case "Request":
        return { ...event, request: this.#request(event.request) }
      case "Advert":
      case "Cancel":
      case "Permitted":
        return event
      case "Answered":
        return { _tag: "Answered", outcome: this.#outcome(event.outcome) }
      case "Close": {
        const error = peerError(event.error)
        const failure = event.defect === undefined ? Exit.fail(error) : Exit.die(new Error(event.defect))
        return { _tag: "Close", error, failure }
      }
    }
  }

  // -- messages --------------------------------------------------------------------------------

  #message(said: Format.Message): Message {
    if (said.sha256 !== undefined && said.length !== undefined) {
      return this.#standIn(said, { length: said.length, sha256: said.sha256 })
    }
    const bytes = bytesOf(said.body ?? "")
    const frame = { command: said.message, bytes, start: 0, end: bytes.length }
    const message = decode(frame, { negotiatedVersion: this.#segment.connection.negotiatedVersion })
    if (Result.isFailure(message) || message.success === undefined) {
      return refuse(`has a message ${said.message.slice(0, 20)} that is none`)
    }
    return message.success
  }

  #standIn(said: Format.Message, digest: Digest): Message {
    switch (said.message) {
      case "block":
        return Message.Block({ block: this.#block({ ...digest, header: said.header }) })
      case "tx":
        return Message.Tx({ transaction: this.#transaction({ ...digest, id: said.id }) })
      case "headers":
        return Message.Headers({ headers: this.#headers(digest, said.count ?? 0) })
      case "filterload":
        return Message.FilterLoad({ filter: new Uint8Array(), hashFunctions: 0, tweak: 0, flags: 0 })
      case "filteradd":
        return Message.FilterAdd({ data: new Uint8Array() })
      default:
        return refuse(`has a message ${said.message.slice(0, 20)} without its body`)
    }
  }

  #block(kept: { readonly bytes: string } | (Digest & { readonly header?: string | undefined })): Block {
    const isWhole = "bytes" in kept
    const bytes = bytesOf(isWhole ? kept.bytes : (kept.header ?? ""))
    const block = isWhole ? Block.decode(bytes) : Block.fromStore(bytes)
    if (Result.isFailure(block)) return refuse("has a block that is none")
    if (!isWhole) this.digests.set(block.success, kept)
    return block.success
  }

  #transaction(kept: { readonly bytes: string } | (Digest & { readonly id?: TransactionId | undefined })): Transaction {
    if (!("bytes" in kept)) {
      if (kept.id === undefined) return refuse("has a transaction without its id")
      const standIn = new KnownTransaction(kept.id)
      this.digests.set(standIn, kept)
      return standIn
    }
    const transaction = Transaction.decode(bytesOf(kept.bytes))
    return Result.isSuccess(transaction) ? transaction.success : refuse("has a transaction that is none")
  }

  /** None of them is looked at, so none is there; how many there are is told. */
  #headers(digest: Digest, count: number): ReadonlyArray<BlockHeader> {
    if (count > maxHeaders) return refuse("has more headers than there can be")
    const headers: Array<BlockHeader> = []
    headers.length = count
    this.digests.set(headers, digest)
    return headers
  }

  // -- requests and responses ------------------------------------------------------------------

  #request(request: Format.Request): Request | Ping {
    switch (request._tag) {
      case "Peers":
      case "MempoolTransactionIds":
        return request
      case "Ping":
        return { _tag: "Ping", nonce: BigInt(request.nonce) }
      case "BlocksByHash":
        return { _tag: "BlocksByHash", hashes: new Set(request.hashes) }
      case "BlockDownload":
        return { _tag: "BlockDownload", hash: request.hash, advertiser: undefined }
      case "TransactionsById":
        return { _tag: "TransactionsById", ids: new Set(request.ids) }
      case "AdvertiseTransactionIds":
        return { _tag: "AdvertiseTransactionIds", ids: new Set(request.ids), source: undefined }
      case "PushTransaction":
        return { _tag: "PushTransaction", transaction: this.#transaction(request.transaction), source: undefined }
      case "FindBlocks":
      case "FindHeaders":
        return { _tag: request._tag, known: request.known, stop: request.stop }
    }
  }

  #outcome(outcome: Format.Outcome): Outcome {
    switch (outcome._tag) {
      case "Answered":
        return { _tag: "Answered", response: this.#response(outcome.response) }
      case "Failed":
        return outcome
      case "Broken":
        return { _tag: "Broken", cause: Cause.die(new Error(outcome.cause)) }
      default:
        return outcome
    }
  }

  #response(response: Format.Response): Response {
    switch (response._tag) {
      case "Nil":
        return response
      case "Peers":
        return { _tag: "Peers", addresses: response.addresses.map((each) => this.#gossiped(each)) }
      case "Pong":
        return { _tag: "Pong", roundTrip: Duration.nanos(BigInt(response.nanos)) }
      case "Blocks":
        return { _tag: "Blocks", items: response.items.map((item) => itemOf(item, (kept) => this.#block(kept))) }
      case "Transactions":
        return {
          _tag: "Transactions",
          items: response.items.map((item) => itemOf(item, (kept) => this.#transaction(kept)))
        }
      case "BlockHashes":
        return { _tag: "BlockHashes", hashes: response.hashes, source: undefined }
      case "BlockHeaders":
        return { _tag: "BlockHeaders", headers: this.#answeredHeaders(response), source: undefined }
      case "TransactionIds":
        return response
    }
  }

  #answeredHeaders({
    count,
    headers
  }: Format.Response & { readonly _tag: "BlockHeaders" }): ReadonlyArray<BlockHeader> {
    if (!("bytes" in headers)) return this.#headers(headers, count)
    const reader = new Reader(bytesOf(headers.bytes))
    const read: Array<BlockHeader> = []
    while (reader.remaining > 0 && reader.failure === undefined) read.push(BlockHeader.read(reader))
    return reader.failure === undefined ? read : refuse("has headers that are none")
  }

  #gossiped([address, services, lastSeenSeconds]: readonly [string, string, number]): GossipedAddress {
    return { address: this.#address(address), services: BigInt(services), lastSeenSeconds }
  }

  #address(text: string): PeerSocketAddress.PeerSocketAddress {
    const address = PeerSocketAddress.fromString(text)
    return Result.isSuccess(address) ? address.success : refuse("has an address that is none")
  }
}

/** Most headers of one answer of a program: more than a message holds, and too many to be a mistake. */
const maxHeaders = 100_000

/** A transaction whose bytes were not kept. */
class KnownTransaction extends Transaction {
  readonly #id: TransactionId
  constructor(id: TransactionId) {
    super(Buffer.alloc(0))
    this.#id = id
  }
  override get id(): TransactionId {
    return this.#id
  }
}

const bytesOf = (base64: string): Buffer => Buffer.from(base64, "base64")

const itemOf = <A, Id extends string>(
  item: Format.Bytes | Id,
  read: (kept: Format.Bytes) => A
): InventoryResponse<A, Id> => (typeof item === "string" ? missing(item) : available(read(item)))

const missing = <Id>(id: Id): Missing<Id> => ({ _tag: "Missing", id })
const available = <A>(value: A): Available<A> => ({ _tag: "Available", value, source: undefined })

// -- errors ------------------------------------------------------------------------------------

type Fields = Readonly<Record<string, string | number>>

const text = (fields: Fields | undefined, name: string): string => String(fields?.[name] ?? "")
const number = (fields: Fields | undefined, name: string): number => Number(fields?.[name] ?? 0)

const causeOf = ({ cause }: Format.Error): Peers.Serialization["cause"] => {
  const fields = cause?.fields
  switch (cause?._tag) {
    case "WrongMagic":
      return new WrongMagic({ magic: text(fields, "magic") })
    case "BodyTooLong":
      return new BodyTooLong({
        command: text(fields, "command"),
        length: number(fields, "length"),
        limit: number(fields, "limit")
      })
    case "BadChecksum":
      return new BadChecksum({ command: text(fields, "command") })
    case "Truncated":
      return new Truncated({ bytesLeft: number(fields, "bytesLeft") })
    case "WireParse":
      return new WireParse({ command: text(fields, "command"), reason: text(fields, "reason") })
    case "WireEof":
      return new WireEof({ command: text(fields, "command"), field: text(fields, "field") })
    case "WireBalance":
      return new WireBalance({ command: text(fields, "command") })
    case "StreamClosed": {
      const reason = text(fields, "reason")
      return new StreamClosed({
        reason: reason === "Eof" || reason === "Local" ? reason : "Reset",
        code: text(fields, "code")
      })
    }
    default:
      return refuse("has an error that is none")
  }
}

const receiveError = (error: Format.Error): ReceiveError => {
  if (error._tag === "ConnectionClosed") return new Peers.ConnectionClosed()
  if (error._tag === "Serialization") return new Peers.Serialization({ cause: causeOf(error) })
  return refuse("has an end of input that is none")
}

const sendError = (error: Format.Error): SendError =>
  error._tag === "ConnectionSendTimeout" ? new Peers.ConnectionSendTimeout() : receiveError(error)

/** Of every one that is told by its tag: the compiler names one that is missing. */
const plainErrors: Readonly<Record<Exclude<Peers.PeerError["_tag"], "Serialization">, () => Peers.PeerError>> = {
  ConnectionClosed: () => new Peers.ConnectionClosed(),
  ConnectionDropped: () => new Peers.ConnectionDropped(),
  ClientDropped: () => new Peers.ClientDropped(),
  PeerEvicted: () => new Peers.PeerEvicted(),
  ConnectionTaskExited: () => new Peers.ConnectionTaskExited(),
  ClientCancelledHeartbeatTask: () => new Peers.ClientCancelledHeartbeatTask(),
  HeartbeatTaskExited: () => new Peers.HeartbeatTaskExited({ message: "" }),
  ConnectionSendTimeout: () => new Peers.ConnectionSendTimeout(),
  ConnectionReceiveTimeout: () => new Peers.ConnectionReceiveTimeout(),
  DuplicateHandshake: () => new Peers.DuplicateHandshake(),
  PeerOverloaded: () => new Peers.PeerOverloaded(),
  InboundTimeout: () => new Peers.InboundTimeout(),
  ServiceShutdown: () => new Peers.ServiceShutdown(),
  AdvertAuthorizationRevoked: () => new Peers.AdvertAuthorizationRevoked(),
  NotFoundResponse: () => new Peers.NotFoundResponse({ hashes: [] })
}

const peerError = (error: Format.Error): Peers.PeerError => {
  if (error._tag === "Serialization") return new Peers.Serialization({ cause: causeOf(error) })
  const makers: Readonly<Record<string, () => Peers.PeerError>> = plainErrors
  const make = Object.hasOwn(makers, error._tag) ? makers[error._tag] : undefined
  return make === undefined ? refuse("has an error that is none") : make()
}
