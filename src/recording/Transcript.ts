/**
 * Events, actions and snapshots as the texts of a record. The inverse is `Reading.ts`.
 *
 * Written by hand and not through the schemas of `Format.ts`, which check what is read: this runs for every event of every
 * connection that is recorded. What is rare goes through values of the schemas' types.
 *
 * @module
 */
import { Buffer } from "node:buffer"
import { hash } from "node:crypto"
import { Cause, Duration, Exit, Option, Result } from "effect"
import type { Block, BlockHeader } from "../chain/Block.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { Transaction } from "../chain/Transaction.ts"
import type { Action, Event, Settled, Snapshot } from "../peer/ConnectionMachine.ts"
import type { Outcome } from "../peer/InboundRequests.ts"
import type { PeerReport } from "../peer/Peer.ts"
import type { InboundRequest, Ping, Request, Response } from "../peer/Request.ts"
import type { GossipedAddress } from "../wire/AddressCodec.ts"
import { commandOf, commands, encodeBody, type Message } from "../wire/Message.ts"
import type * as Format from "./Format.ts"
import { keptBodyBytes } from "./Format.ts"
import { LineBuffer, type Piece, piece, Pieces } from "./LineBuffer.ts"
import type { Pseudonym } from "./Pseudonyms.ts"
import {
  by,
  defectOf,
  digestDigits,
  errorOf,
  nameOf,
  short,
  textOfError,
  textOfIds,
  textOfItems,
  textOfLocator
} from "./Texts.ts"

/** What stands for the bytes of something that was not kept. */
export interface Digest {
  readonly length: number
  readonly sha256: string
}

/** What has bytes that may be left out: a block, a transaction, or a list of headers. */
export type Body = Block | Transaction | ReadonlyArray<BlockHeader>

export interface Options {
  readonly pseudonym: Pseudonym
  /** Whether bodies of any length are kept. */
  readonly keepsBodies: boolean
  /** As locators state it. */
  readonly negotiatedVersion: number
  /** Of what is read from a record; what has no digest here is digested. */
  readonly digests?: WeakMap<Body, Digest>
}

/** Writes the texts of one connection. */
export class Transcript {
  readonly #options: Options
  readonly #digests: WeakMap<Body, Digest>
  /** The time that others are relative to. */
  #baseNanos = 0n

  constructor(options: Options) {
    this.#options = options
    this.#digests = options.digests ?? new WeakMap()
  }

  /** From here on times are relative to this one. */
  startAt(baseNanos: bigint): void {
    this.#baseNanos = baseNanos
  }

  nanos(at: bigint): number {
    // Of so many bits, and then the difference is not made in memory only to become a number.
    return Number(BigInt.asIntN(64, at - this.#baseNanos))
  }

  // -- events ----------------------------------------------------------------------------------

  /** An event, into a line behind its time. */
  putEvent(lines: LineBuffer, event: Event): void {
    switch (event._tag) {
      case "Quiet":
      case "Written":
      case "Alarm":
        return lines.putPiece(simple[event._tag])
      case "Message":
        return this.#putMessage(lines, event.message)
      case "Request":
        lines.putPiece(requests.begin)
        lines.putWhole(event.waiter)
        return this.#putRequested(lines, event.request)
      case "Answered":
        return this.#putOutcome(lines, event.outcome)
      default:
        return putJson(lines, this.#rareEvent(event))
    }
  }

  #putRequested(lines: LineBuffer, request: Request | Ping): void {
    switch (request._tag) {
      case "Peers":
      case "MempoolTransactionIds":
        return lines.putPiece(requests[request._tag])
      case "Ping":
        lines.putPiece(requests.ping)
        lines.put(String(request.nonce))
        return lines.put('"}}')
      default:
        lines.putPiece(requests.middle)
        lines.put(JSON.stringify(this.#request(request)))
        return lines.put("}")
    }
  }

  #putOutcome(lines: LineBuffer, outcome: Outcome): void {
    const response = outcome._tag === "Answered" ? outcome.response : undefined
    if (response?._tag === "Nil") return lines.putPiece(answeredNothing)
    if (response?._tag === "TransactionIds" && response.ids.length === 0) return lines.putPiece(answeredNoIds)
    putJson(lines, { _tag: "Answered", outcome: this.#outcome(outcome) })
  }

  #putMessage(lines: LineBuffer, message: Message): void {
    switch (message._tag) {
      case "Verack":
      case "GetAddr":
      case "Mempool":
      case "FilterClear":
        return lines.putPiece(bare[message._tag])
      case "Ping":
      case "Pong":
        scratch.writeBigUInt64LE(message.nonce)
        return putBody(lines, message, scratch)
      case "Inv":
        return message.items.length === 0 ? lines.putPiece(emptyInv) : putBody(lines, message, this.#body(message))
      case "Block":
      case "Tx":
      case "Headers":
      case "FilterLoad":
        return putJson(lines, this.#long(message))
      default:
        return putBody(lines, message, this.#body(message))
    }
  }

  #body(message: Message): Buffer {
    const hidden = this.#hidden(message)
    const body = Result.getOrThrow(encodeBody(hidden, this.#options))
    return Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  }

  /** With other addresses, if they are not to be told. */
  #hidden(message: Message): Message {
    const { pseudonym } = this.#options
    if (message._tag === "Addr") {
      return { ...message, addresses: message.addresses.map((each) => ({ ...each, address: pseudonym(each.address) })) }
    }
    if (message._tag !== "Version") return message
    const { addressFrom, addressReceiver } = message
    return {
      ...message,
      addressFrom: { ...addressFrom, address: pseudonym(addressFrom.address) },
      addressReceiver: { ...addressReceiver, address: pseudonym(addressReceiver.address) }
    }
  }

  /** Messages whose bodies may be left out. */
  #long(message: Message): Format.Message {
    const command = commandOf(message)
    switch (message._tag) {
      case "Block": {
        const { bytes, header } = message.block
        if (this.#isKept(bytes.length)) return { message: command, body: base64(bytes) }
        return { message: command, ...this.digestOf(message.block), header: base64(header.bytes) }
      }
      case "Tx": {
        const { transaction } = message
        if (this.#isKept(transaction.bytes.length)) return { message: command, body: base64(transaction.bytes) }
        return { message: command, ...this.digestOf(transaction), id: transaction.id }
      }
      case "Headers": {
        const { headers } = message
        if (this.#isKept(lengthOf(headers))) return { message: command, body: this.#body(message).toString("base64") }
        return { message: command, ...this.digestOf(headers), count: headers.length }
      }
      default: {
        const body = this.#body(message)
        if (this.#isKept(body.length)) return { message: command, body: base64(body) }
        return { message: command, length: body.length, sha256: hash("sha256", body) }
      }
    }
  }

  #isKept(length: number): boolean {
    return this.#options.keepsBodies || length <= keptBodyBytes
  }

  #rareEvent(
    event: Extract<Event, { _tag: "InputEnd" | "WriteFailed" | "Advert" | "Cancel" | "Permitted" | "Close" }>
  ): Format.Event {
    switch (event._tag) {
      case "InputEnd":
      case "WriteFailed":
        return { _tag: event._tag, error: errorOf(event.error) }
      case "Advert":
        return { _tag: "Advert", waiter: event.waiter, hash: event.hash }
      case "Cancel":
        return { _tag: "Cancel", waiter: event.waiter }
      case "Permitted":
        return { _tag: "Permitted", isAllowed: event.isAllowed }
      case "Close": {
        const defect = defectOf(event.failure)
        return { _tag: "Close", error: errorOf(event.error), ...(defect === undefined ? {} : { defect }) }
      }
    }
  }

  #request(request: Request | Ping): Format.Request {
    switch (request._tag) {
      case "Peers":
      case "MempoolTransactionIds":
        return { _tag: request._tag }
      case "Ping":
        return { _tag: "Ping", nonce: String(request.nonce) }
      case "BlocksByHash":
        return { _tag: "BlocksByHash", hashes: [...request.hashes] }
      case "BlockDownload":
        return { _tag: "BlockDownload", hash: request.hash }
      case "TransactionsById":
      case "AdvertiseTransactionIds":
        return { _tag: request._tag, ids: [...request.ids] }
      case "PushTransaction":
        return { _tag: "PushTransaction", transaction: this.#bytesOf(request.transaction) }
      case "FindBlocks":
      case "FindHeaders":
        return {
          _tag: request._tag,
          known: request.known,
          ...(request.stop === undefined ? {} : { stop: request.stop })
        }
    }
  }

  #bytesOf(value: Block | Transaction): Format.Bytes {
    if (this.#isKept(value.bytes.length)) return { bytes: base64(value.bytes) }
    const digest = this.digestOf(value)
    return "header" in value ? { ...digest, header: base64(value.header.bytes) } : { ...digest, id: value.id }
  }

  #outcome(outcome: Outcome): Format.Outcome {
    switch (outcome._tag) {
      case "Answered":
        return { _tag: "Answered", response: this.#response(outcome.response) }
      case "Failed":
        return { _tag: "Failed", cause: nameOf(outcome.cause) }
      case "Broken":
        return { _tag: "Broken", cause: nameOf(Cause.squash(outcome.cause)) }
      default:
        return { _tag: outcome._tag }
    }
  }

  #response(response: Response): Format.Response {
    switch (response._tag) {
      case "Nil":
        return { _tag: "Nil" }
      case "Peers":
        return { _tag: "Peers", addresses: response.addresses.map((each) => this.#gossiped(each)) }
      case "Pong":
        return { _tag: "Pong", nanos: String(Duration.toNanosUnsafe(response.roundTrip)) }
      case "Blocks":
        return {
          _tag: "Blocks",
          items: response.items.map((item) => (item._tag === "Missing" ? item.id : this.#bytesOf(item.value)))
        }
      case "Transactions":
        return {
          _tag: "Transactions",
          items: response.items.map((item) => (item._tag === "Missing" ? item.id : this.#bytesOf(item.value)))
        }
      case "BlockHashes":
        return { _tag: "BlockHashes", hashes: response.hashes }
      case "BlockHeaders":
        return { _tag: "BlockHeaders", count: response.headers.length, headers: this.#headers(response.headers) }
      case "TransactionIds":
        return { _tag: "TransactionIds", ids: response.ids }
    }
  }

  #headers(headers: ReadonlyArray<BlockHeader>): Format.Bytes {
    return this.#isKept(lengthOf(headers))
      ? { bytes: base64(Buffer.concat(headers.map(({ bytes }) => bytes))) }
      : this.digestOf(headers)
  }

  #gossiped({ address, lastSeenSeconds, services }: GossipedAddress): readonly [string, string, number] {
    return [this.address(address), String(services), lastSeenSeconds]
  }

  /** `ip:port` of the pseudonym. */
  address(address: PeerSocketAddress.PeerSocketAddress): string {
    return PeerSocketAddress.format(this.#options.pseudonym(address))
  }

  /** Computed once for each. */
  digestOf(body: Body): Digest {
    const known = this.#digests.get(body)
    if (known !== undefined) return known
    const bytes = isHeaders(body) ? Buffer.concat(body.map(({ bytes }) => bytes)) : body.bytes
    const digest = { length: bytes.length, sha256: hash("sha256", bytes) }
    this.#digests.set(body, digest)
    return digest
  }

  // -- snapshots -------------------------------------------------------------------------------

  state(snapshot: Snapshot): Format.State {
    const { advert, answer, current, waiting } = snapshot
    const asked = (each: Snapshot["requests"][number]) => ({
      waiter: each.waiter,
      request: this.#request(each.request),
      isCancelled: each.isCancelled
    })
    return {
      phase: snapshot.phase,
      requests: snapshot.requests.map(asked),
      adverts: snapshot.adverts,
      addresses: snapshot.addresses.map((each) => this.#gossiped(each)),
      ...(current === undefined ? {} : { current: { ...asked(current), taken: this.nanos(current.takenNanos) } }),
      ...(waiting === undefined
        ? {}
        : {
            waiting: {
              since: this.nanos(waiting.sinceNanos),
              deadline: this.nanos(waiting.deadlineNanos),
              taken: waiting.taken.map((message) => this.#long(message))
            }
          }),
      ...(advert === undefined ? {} : { advert }),
      ...(answer === undefined ? {} : { answer: { response: this.#response(answer.response), said: answer.said } }),
      ...(snapshot.overloadedAtNanos === undefined ? {} : { overloadedAt: this.nanos(snapshot.overloadedAtNanos) }),
      ...(snapshot.alarmNanos === undefined ? {} : { alarm: this.nanos(snapshot.alarmNanos) })
    }
  }

  // -- actions ---------------------------------------------------------------------------------

  /** What an action is, and what it is about. */
  action(action: Action): string {
    const lines = new LineBuffer()
    this.#putAction(lines, action, alone)
    lines.endLine()
    return lines.take(0).toString("latin1").slice(0, -1)
  }

  /** What was decided, into a line behind its event. Returns what ends the line. */
  putActions(lines: LineBuffer, actions: ReadonlyArray<Action>): Piece {
    const last = actions.length - 1
    if (last < 0) return ends.ofLine
    for (let i = 0; i < last; i++) this.#putAction(lines, actions[i]!, i === 0 ? first : next)
    const place = last === 0 ? first : next
    // With this half of all lines end.
    if (actions[last]!._tag === "Read") return ends.ofRead[place]
    this.#putAction(lines, actions[last]!, place)
    return ends.ofActions
  }

  /** Nothing in it needs escapes in JSON. */
  #putAction(lines: LineBuffer, action: Action, place: Place): void {
    switch (action._tag) {
      case "Send":
        lines.putPiece(sends[place].of(action.message._tag))
        putContent(lines, this.#said(action.message))
        if (action.waiter === undefined) return
        lines.putPiece(forWaiter)
        return lines.putWhole(action.waiter)
      case "Ask":
        lines.putPiece(asks[place].of(action.request._tag))
        return putContent(lines, this.#asked(action.request))
      case "Settle":
        lines.putPiece(settle[place])
        lines.putWhole(action.waiter)
        return this.#putSettled(lines, action.exit)
      case "Unasked":
        return lines.putPiece(unasked[place].of(action.message._tag))
      case "Read":
      case "Permit":
      case "Yield":
        return lines.putPiece(plain[place].of(action._tag))
      case "Count":
        return lines.putPiece(
          action.kind === undefined ? counts[place].of(action.of) : countsOf[action.of][place].of(action.kind)
        )
      case "Report":
        lines.putPiece(plain[place].of("Report"))
        putContent(lines, this.#report(action.report))
        if (action.waiter === undefined) return
        lines.putPiece(forWaiter)
        return lines.putWhole(action.waiter)
      case "SetAlarm":
        lines.putPiece(plain[place].of("SetAlarm "))
        return lines.put(String(this.nanos(action.atNanos)))
      case "Close":
        lines.putPiece(plain[place].of("Close"))
        putContent(lines, textOfError(action.error))
        return defectOf(action.failure) === undefined ? undefined : lines.put(" by a defect")
    }
  }

  #putSettled(lines: LineBuffer, exit: Settled): void {
    const response = Exit.isSuccess(exit) ? exit.value : undefined
    if (response?._tag === "TransactionIds" && response.ids.length === 0) return lines.putPiece(settledNoIds)
    putContent(lines, this.#settled(exit))
  }

  /** What a message of ours says. */
  #said(message: Message): string {
    switch (message._tag) {
      case "Ping":
      case "Pong":
        return String(message.nonce)
      case "Addr":
        return this.#addresses(message.addresses)
      case "Inv":
      case "GetData":
      case "NotFound":
        return textOfItems(message.items)
      case "GetBlocks":
      case "GetHeaders":
        return textOfLocator(message)
      case "Block":
        return this.#digest(message.block)
      case "Tx":
        return this.#digest(message.transaction)
      case "Headers":
        return this.#digest(message.headers)
      default:
        return ""
    }
  }

  #digest(body: Body): string {
    const { length, sha256 } = this.digestOf(body)
    return `${length} ${sha256.slice(0, digestDigits)}`
  }

  #addresses(addresses: ReadonlyArray<GossipedAddress>): string {
    return addresses.map((each) => this.#gossiped(each).join(" ")).join(", ")
  }

  #asked(request: InboundRequest): string {
    switch (request._tag) {
      case "Peers":
      case "MempoolTransactionIds":
        return ""
      case "BlocksByHash":
        return textOfIds(request.hashes)
      case "TransactionsById":
        return textOfIds(request.ids)
      case "FindBlocks":
      case "FindHeaders":
        return textOfLocator(request)
      case "PushTransaction":
        return this.#digest(request.transaction) + by(request.source)
      case "AdvertiseTransactionIds":
        return textOfIds(request.ids) + by(request.source)
      case "AdvertiseBlock":
        return request.hash + by(request.source)
    }
  }

  #settled(exit: Settled): string {
    if (Exit.isSuccess(exit)) return exit.value === undefined ? "written" : this.#answer(exit.value)
    const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
    return error === undefined ? "a defect" : textOfError(error)
  }

  #answer(response: Response): string {
    const content = this.#answered(response)
    return content === "" ? response._tag : `${response._tag} ${content}`
  }

  #answered(response: Response): string {
    switch (response._tag) {
      case "Nil":
        return ""
      case "Peers":
        return this.#addresses(response.addresses)
      case "Pong":
        return String(Duration.toNanosUnsafe(response.roundTrip))
      case "Blocks":
        return response.items
          .map((item) => (item._tag === "Missing" ? `no ${item.id}` : this.#digest(item.value) + by(item.source)))
          .join()
      case "Transactions":
        return response.items
          .map((item) => (item._tag === "Missing" ? `no ${item.id}` : this.#digest(item.value) + by(item.source)))
          .join()
      case "BlockHashes":
        return textOfIds(response.hashes) + by(response.source)
      case "BlockHeaders":
        return this.#digest(response.headers) + by(response.source)
      case "TransactionIds":
        return textOfIds(response.ids)
    }
  }

  #report(report: PeerReport): string {
    switch (report._tag) {
      case "InventoryAvailable":
      case "InventoryMissing":
        return `${report._tag} ${textOfItems(report.items)}`
      case "Failed":
        return report.services === undefined ? "Failed" : `Failed ${report.services}`
      // The machine makes no others.
      case "Connected":
      case "PingSent":
      case "Responded":
        return report._tag
    }
  }
}

const putContent = (lines: LineBuffer, content: string): void => {
  if (content === "") return
  lines.put(" ")
  lines.put(short(content))
}

const putBody = (lines: LineBuffer, message: Message, body: Buffer): void => {
  lines.putPiece(messages.of(message._tag))
  lines.putPiece(bodyBegins)
  lines.put(body.toString("base64"))
  lines.putPiece(bodyEnds)
}

const putJson = (lines: LineBuffer, event: Format.Event): void => {
  lines.putPiece(on)
  lines.put(JSON.stringify(event))
}

// -- what is written again and again -------------------------------------------------------------

// Each piece as long as it can be: to copy one costs the same whatever its length.

const on = piece(',"on":')
const onPiece = (json: string): Piece => piece(`,"on":${json}`)

const simple = { Quiet: onPiece('"Quiet"'), Written: onPiece('"Written"'), Alarm: onPiece('"Alarm"') }

/** Messages that have nothing in them. */
const bare = {
  Verack: onPiece('{"message":"verack"}'),
  GetAddr: onPiece('{"message":"getaddr"}'),
  Mempool: onPiece('{"message":"mempool"}'),
  FilterClear: onPiece('{"message":"filterclear"}')
}
const emptyInv = onPiece('{"message":"inv","body":"AA=="}')
const commandOfTag = (tag: Message["_tag"]): string => commands[tag]
const messages = new Pieces(',"on":{"message":"', commandOfTag)
const bodyBegins = piece('","body":"')
const bodyEnds = piece('"}')
const scratch = Buffer.alloc(8)

const requests = {
  begin: onPiece('{"_tag":"Request","waiter":'),
  middle: piece(',"request":'),
  Peers: piece(',"request":{"_tag":"Peers"}}'),
  MempoolTransactionIds: piece(',"request":{"_tag":"MempoolTransactionIds"}}'),
  ping: piece(',"request":{"_tag":"Ping","nonce":"')
}
const answeredNothing = onPiece('{"_tag":"Answered","outcome":{"_tag":"Answered","response":{"_tag":"Nil"}}}')
const answeredNoIds = onPiece(
  '{"_tag":"Answered","outcome":{"_tag":"Answered","response":{"_tag":"TransactionIds","ids":[]}}}'
)

/** Where an action is: by itself, the first of a line, or behind another one. */
type Place = 0 | 1 | 2
const [alone, first, next] = [0, 1, 2] as const
const before = ["", ',"do":["', '","'] as const

const inPlaces = <A>(make: (before: string) => A): Readonly<Record<Place, A>> => [
  make(before[alone]),
  make(before[first]),
  make(before[next])
]
const actions = <Name extends string>(name: string, textOf?: (name: Name) => string) =>
  inPlaces((before) => new Pieces<Name>(before + name, textOf))

const ends = {
  ofLine: piece("}\n"),
  ofActions: piece('"]}\n'),
  ofRead: inPlaces((before) => piece(`${before}Read"]}\n`))
}
const plain = actions("")
const sends = actions("Send ", commandOfTag)
const asks = actions("Ask ")
const unasked = actions("Unasked ", commandOfTag)
const settle = inPlaces((before) => piece(`${before}Settle `))
const settledNoIds = piece(" TransactionIds")
const forWaiter = piece(" for ")
const counts = actions("Count ")
const countsOf = {
  requestSent: actions("Count requestSent "),
  requestCanceled: actions("Count requestCanceled "),
  requestReceived: actions("Count requestReceived "),
  responseSent: actions("Count responseSent "),
  responseReceived: actions("Count responseReceived ")
}

const isHeaders = (body: Body): body is ReadonlyArray<BlockHeader> => Array.isArray(body)

const lengthOf = (headers: ReadonlyArray<BlockHeader>): number =>
  headers.reduce((sum, { bytes }) => sum + bytes.length, 0)

const base64 = (bytes: Uint8Array): string =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64")
