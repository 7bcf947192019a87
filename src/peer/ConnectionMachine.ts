/**
 * What a connection does after the handshake, decided apart from doing it: events in, actions out.
 *
 *                  request taken, message written
 *     AwaitingRequest ───────────────────────▶ AwaitingResponse
 *           ▲                                        │
 *           └── answered, cancelled, 20 s are over ──┘          any error ─▶ closed
 *
 * **The order of work**
 *
 * One piece of work after the other, always the first there is. While idle: a message, an advert, a request. While waiting
 * for an answer: cancellation, the time limit, a message, an advert. Messages come before requests so that nothing that was
 * sent before our request is taken for its answer; the time limit comes before messages so that a peer cannot talk its way
 * past it; adverts come after messages so that no peer takes one for the answer to its `getblocks`.
 *
 * That order is kept by `Read`: it asks for what the peer has said, and is answered by exactly one of `Message`, `InputEnd`
 * and `Quiet`. Only after `Quiet` something is sent that no message asked for. A piece of work that takes time (`Permit`,
 * `Send`, `Ask`) is the last of its actions, and until it is answered there is no `Read`: while a request of the peer is
 * answered, or a message of ours is written, nothing more is taken from the peer.
 *
 * **Security**
 *
 * What a peer can make grow: `Policy.addressCacheCapacity` addresses, and of each answer no more than was asked for. What
 * its own side can: one request and one ping that wait, one that is out, `Policy.advertQueueCapacity` adverts. Whoever waits
 * is settled exactly once, or has given up; `Close` settles all that are left, and nothing comes after it.
 *
 * Pure but for its own state: the same events at the same times, with the same chance, have the same actions.
 *
 * Source: Zebra peer/connection.rs.
 *
 * @module
 */
import { Duration, Exit } from "effect"
import type { BlockHash } from "../chain/Hash.ts"
import type { Policy } from "../Policy.ts"
import { Message } from "../wire/Message.ts"
import * as AddressCache from "./AddressCache.ts"
import { inventoryOf, meaningOf, messagesOf } from "./InboundMessages.ts"
import type { Outcome } from "./InboundRequests.ts"
import type { ReceiveError, SendError } from "./MessageStream.ts"
import * as Overload from "./Overload.ts"
import {
  AdvertAuthorizationRevoked,
  AdvertNotDelivered,
  ClientCancelledHeartbeatTask,
  ConnectionReceiveTimeout,
  DuplicateHandshake,
  InboundTimeout,
  type PeerError,
  PeerOverloaded,
  type PeerReport,
  ServiceShutdown
} from "./Peer.ts"
import type { InboundRequest, Ping, Request, Response, Source } from "./Request.ts"
import { ask, blockItems, type Matcher, missingIn } from "./ResponseMatcher.ts"

/** Names whoever waits for an answer, or for an advert to be written. Never used twice on one connection. */
export type Waiter = number

/** What whoever waits hears: the answer, nothing more than that an advert is written, or why not. */
export type Settled = Exit.Exit<Response | undefined, PeerError | AdvertNotDelivered>

/** What happened. */
export type Event =
  /** Answers `Read`: the next message of the peer. */
  | { readonly _tag: "Message"; readonly message: Message }
  /** Answers `Read`: the peer has ended the stream, or it broke, or what it brought is no message. */
  | { readonly _tag: "InputEnd"; readonly error: ReceiveError }
  /** Answers `Read`: nothing has come yet. What comes later is told without being asked for. */
  | { readonly _tag: "Quiet" }
  /** Somebody asks; only while there is room. */
  | { readonly _tag: "Request"; readonly waiter: Waiter; readonly request: Request | Ping }
  | { readonly _tag: "Advert"; readonly waiter: Waiter; readonly hash: BlockHash }
  /** Nobody waits for it any more, and nobody will hear of it. */
  | { readonly _tag: "Cancel"; readonly waiter: Waiter }
  /** Answers `Permit`. */
  | { readonly _tag: "Permitted"; readonly isAllowed: boolean }
  /** Answers `Send`: the message is with the transport. */
  | { readonly _tag: "Written" }
  /** Answers `Send`: it is not, and part of it may be on its way. */
  | { readonly _tag: "WriteFailed"; readonly error: SendError }
  /** Answers `Ask`. */
  | { readonly _tag: "Answered"; readonly outcome: Outcome }
  /** The time of the last `SetAlarm` has come. */
  | { readonly _tag: "Alarm" }
  /** We end it. `failure` is what those who wait hear: the error, or a defect of ours. */
  | { readonly _tag: "Close"; readonly error: PeerError; readonly failure: Exit.Exit<never, PeerError> }

/** What is counted. */
export type Count =
  | { readonly of: "requestSent" | "requestCanceled"; readonly kind: (Request | Ping)["_tag"] | "AdvertiseBlock" }
  | { readonly of: "requestReceived"; readonly kind: InboundRequest["_tag"] }
  | { readonly of: "responseSent" | "responseReceived"; readonly kind: Response["_tag"] }
  | {
      readonly of: "closedForOverload" | "closedForTimeout" | "ignoredForOverload" | "ignoredForTimeout"
      readonly kind?: undefined
    }

/** What is to be done about it, in this order. */
export type Action =
  /** Look for what the peer said. */
  | { readonly _tag: "Read" }
  /** The message answers nothing: what follows is done because of it. */
  | { readonly _tag: "Unasked"; readonly message: Message }
  /** Write it; for whom, if somebody waits. */
  | { readonly _tag: "Send"; readonly message: Message; readonly waiter: Waiter | undefined }
  /** May a block advert go to this peer at this moment? */
  | { readonly _tag: "Permit" }
  /** Let the program answer. */
  | { readonly _tag: "Ask"; readonly request: InboundRequest }
  | { readonly _tag: "Settle"; readonly waiter: Waiter; readonly exit: Settled }
  | { readonly _tag: "Report"; readonly report: PeerReport; readonly waiter: Waiter | undefined }
  /** In nanoseconds of the monotonic clock. The one before has rung, or is not to. */
  | { readonly _tag: "SetAlarm"; readonly atNanos: bigint }
  /** Let others have a turn. */
  | { readonly _tag: "Yield" }
  | ({ readonly _tag: "Count" } & Count)
  /** The last one. */
  | { readonly _tag: "Close"; readonly error: PeerError; readonly failure: Exit.Exit<never, PeerError> }

/** The part of `Policy` that decides here. */
export type Limits = Overload.Limits &
  Pick<
    Policy,
    "requestTimeout" | "advertQueueCapacity" | "addressCacheCapacity" | "addressesPerAnswer" | "inventoryHashes"
  >

export interface Options {
  readonly limits: Limits
  /** The connection, for whatever it brings; none if it is isolated. */
  readonly source: Source | undefined
  /** What the peer said it serves. */
  readonly services: bigint
  /** The first entries of the address cache. */
  readonly addresses: AddressCache.AddressCache
  /** Draws from [0, 1). */
  readonly random: () => number
}

/** A request, from when it is put in to when it is over. */
interface Asked {
  readonly waiter: Waiter
  readonly request: Request | Ping
  isCancelled: boolean
}

/** The one that was taken, and when; and what tells its answer, if it has one. */
interface Current extends Asked {
  readonly takenNanos: bigint
  readonly matcher: Matcher | undefined
}

/** All that a machine is, as values. One that is made of it, with the same options, goes on as this one does. */
export interface Snapshot {
  readonly phase: Phase
  readonly requests: ReadonlyArray<Readonly<Asked>>
  readonly adverts: ReadonlyArray<Readonly<Advert>>
  /** Taken and not yet over, and when it was. */
  readonly current: (Readonly<Asked> & { readonly takenNanos: bigint }) | undefined
  /** Since its message was written. */
  readonly waiting:
    | (Pick<Waiting, "sinceNanos" | "deadlineNanos"> & { readonly taken: ReadonlyArray<Message> })
    | undefined
  /** Taken and not yet written. */
  readonly advert: Readonly<Advert> | undefined
  /** An answer of ours, and how many of its messages were said. */
  readonly answer: { readonly response: Response; readonly said: number } | undefined
  readonly addresses: AddressCache.AddressCache
  readonly overloadedAtNanos: bigint | undefined
  readonly alarmNanos: bigint | undefined
}

/** Since when and until when the answer to the request that is out is waited for. */
interface Waiting {
  readonly matcher: Matcher
  readonly sinceNanos: bigint
  readonly deadlineNanos: bigint
  /** The parts of the answer so far, of which there are no more than were asked for. */
  readonly taken: Array<Message>
}

interface Advert {
  readonly waiter: Waiter
  readonly hash: BlockHash
  isCancelled: boolean
}

/** An answer of ours, and what is left to say of it. */
interface Answering {
  readonly response: Response
  readonly messages: Iterator<Message, void>
  said: number
}

/** What the connection is at: the answer it needs before anything else. */
export type Phase =
  | "Reading"
  | "Permitting"
  | "SendingRequest"
  | "SendingAdvert"
  | "Replying"
  | "Asking"
  | "Answering"
  | "Closed"

/** What lives as long as a connection: its state, and how events change it. */
export class ConnectionMachine {
  readonly #options: Options
  #phase: Phase = "Reading"
  /** Replaced, not changed: while nothing waits, nothing is kept. */
  #requests: ReadonlyArray<Asked> = none
  #adverts: ReadonlyArray<Advert> = none
  /** Taken and not yet over. */
  #current: Current | undefined
  /** Set from when the message of `#current` was written. */
  #waiting: Waiting | undefined
  /** Taken and not yet written. */
  #advert: Advert | undefined
  #answer: Answering | undefined
  #addresses: AddressCache.AddressCache
  #overloadedAtNanos: bigint | undefined
  #alarmNanos: bigint | undefined
  #now = 0n
  #actions: Array<Action> = []

  /** A new one, or one that goes on from where another was. */
  constructor(options: Options, from?: Snapshot) {
    this.#options = options
    this.#addresses = options.addresses
    if (from !== undefined) this.#restore(from)
  }

  /** What it is now. Later events change nothing of it. */
  get snapshot(): Snapshot {
    return {
      phase: this.#phase,
      requests: this.#requests.map((each) => ({ ...each })),
      adverts: this.#adverts.map((each) => ({ ...each })),
      current: this.#current === undefined ? undefined : without("matcher", this.#current),
      waiting:
        this.#waiting === undefined
          ? undefined
          : { ...without("matcher", this.#waiting), taken: [...this.#waiting.taken] },
      advert: this.#advert === undefined ? undefined : { ...this.#advert },
      answer: this.#answer === undefined ? undefined : without("messages", this.#answer),
      addresses: this.#addresses,
      overloadedAtNanos: this.#overloadedAtNanos,
      alarmNanos: this.#alarmNanos
    }
  }

  #restore(from: Snapshot): void {
    this.#phase = from.phase
    this.#requests = from.requests.map((each) => ({ ...each }))
    this.#adverts = from.adverts.map((each) => ({ ...each }))
    if (from.current !== undefined) {
      const { matcher } = ask(from.current.request, this.#options.source, from.current.takenNanos)
      this.#current = { ...from.current, matcher }
      if (from.waiting !== undefined && matcher !== undefined) {
        this.#waiting = { ...from.waiting, taken: [...from.waiting.taken], matcher }
        // A part changes what the matcher waits for, and the time has no say in it.
        for (const message of from.waiting.taken) matcher(message, from.waiting.sinceNanos)
      }
    }
    this.#advert = from.advert === undefined ? undefined : { ...from.advert }
    if (from.answer !== undefined) {
      const messages = messagesOf(from.answer.response)
      this.#answer = { response: from.answer.response, messages, said: 0 }
      while (this.#answer.said < from.answer.said && messages.next().done !== true) this.#answer.said++
    }
    this.#addresses = from.addresses
    this.#overloadedAtNanos = from.overloadedAtNanos
    this.#alarmNanos = from.alarmNanos
  }

  get phase(): Phase {
    return this.#phase
  }

  get isClosed(): boolean {
    return this.#phase === "Closed"
  }

  /** Whether a request can be put in now. */
  get hasRoom(): boolean {
    return this.hasRoomFor("Peers")
  }

  /** Requests have one place, and pings one of their own. */
  hasRoomFor(kind: (Request | Ping)["_tag"]): boolean {
    return !this.#requests.some(({ request }) => (request._tag === "Ping") === (kind === "Ping"))
  }

  /** The kind of the request that is out and unanswered. */
  get awaited(): (Request | Ping)["_tag"] | undefined {
    return this.#waiting === undefined ? undefined : this.#current?.request._tag
  }

  /** Since when that one is, in nanoseconds of the monotonic clock. */
  get awaitedSinceNanos(): bigint | undefined {
    return this.#waiting?.sinceNanos
  }

  /** What is held, for whoever checks that it stays within its bounds. `parts`: of the answer to the request that is out. */
  get held(): {
    readonly requests: number
    readonly adverts: number
    readonly addresses: number
    readonly parts: number
  } {
    return {
      requests: this.#requests.length + (this.#current === undefined ? 0 : 1),
      adverts: this.#adverts.length + (this.#advert === undefined ? 0 : 1),
      addresses: this.#addresses.length,
      parts: this.#waiting?.taken.length ?? 0
    }
  }

  /** What to do about an event, at a time of the monotonic clock. Throws when it is told what it has not asked for: a bug of ours. */
  step(event: Event, nowNanos: bigint): ReadonlyArray<Action> {
    if (this.#phase === "Closed") return none
    const actions: Array<Action> = []
    this.#actions = actions
    this.#now = nowNanos
    switch (event._tag) {
      case "Message":
        this.#expect("Reading", event)
        if (!this.#lookAtTime()) break
        this.#receive(event.message)
        break
      case "InputEnd":
        this.#expect("Reading", event)
        if (!this.#lookAtTime()) break
        if (event.error._tag === "Serialization") this.#report({ _tag: "Failed", services: this.#options.services })
        this.#fail(event.error)
        break
      case "Quiet":
        this.#expect("Reading", event)
        this.#goOn()
        break
      case "Request":
        if (!this.hasRoomFor(event.request._tag)) throw new Error("a request was put in without room for it")
        this.#requests = [...this.#requests, { waiter: event.waiter, request: event.request, isCancelled: false }]
        this.#readAgain()
        break
      case "Advert":
        if (this.#adverts.length < this.#options.limits.advertQueueCapacity) {
          this.#adverts = [...this.#adverts, { waiter: event.waiter, hash: event.hash, isCancelled: false }]
          this.#readAgain()
        } else this.#settle(event.waiter, Exit.fail(new AdvertNotDelivered({ reason: "queueFull" })))
        break
      case "Cancel":
        this.#cancel(event.waiter)
        break
      case "Permitted":
        this.#expect("Permitting", event)
        if (event.isAllowed) this.#sendAdvert()
        else this.#fail(new AdvertAuthorizationRevoked())
        break
      case "Written":
        this.#written(event)
        break
      case "WriteFailed":
        if (!isWriting(this.#phase)) this.#refuse(event)
        this.#fail(event.error)
        break
      case "Answered":
        this.#expect("Asking", event)
        this.#answered(event.outcome)
        break
      case "Alarm":
        this.#alarmNanos = undefined
        // Most ring when the answer has long been there.
        if (this.#waiting !== undefined) this.#readAgain()
        break
      case "Close":
        this.#close(event.error, event.failure, true)
        break
    }
    return actions
  }

  #expect(phase: Phase, event: Event): void {
    if (this.#phase !== phase) this.#refuse(event)
  }

  #refuse(event: Event): never {
    throw new Error(`${event._tag} in the phase ${this.#phase}`)
  }

  // -- what comes first ----------------------------------------------------------------------

  /** The time limit of the request that is out; `false` when the connection is over with it. */
  #lookAtTime(): boolean {
    const waiting = this.#waiting
    if (this.#current === undefined || waiting === undefined || this.#now < waiting.deadlineNanos) return true
    // A peer that does not even answer a ping is gone.
    if (this.#current.request._tag === "Ping") {
      this.#fail(new ConnectionReceiveTimeout())
      return false
    }
    this.#complete(this.#current, Exit.fail(new ConnectionReceiveTimeout()))
    return true
  }

  /** Nothing has come from the peer. */
  #goOn(): void {
    const before = this.#current
    if (!this.#lookAtTime()) return
    if (this.#current !== before) return this.#read()
    if (this.#adverts.length > 0) return this.#takeAdvert()
    if (this.#waiting !== undefined) return this.#setAlarm(this.#waiting.deadlineNanos)
    if (this.#requests.length > 0) this.#takeRequest()
  }

  /** An alarm that is set stays: most requests are answered long before theirs. */
  #setAlarm(atNanos: bigint): void {
    if (this.#alarmNanos !== undefined && this.#alarmNanos <= atNanos) return
    this.#alarmNanos = atNanos
    this.#actions.push({ _tag: "SetAlarm", atNanos })
  }

  /** Ends a piece of work. */
  #read(): void {
    this.#phase = "Reading"
    this.#actions.push(read)
  }

  /** Something changed from outside. What the peer has said comes before it. */
  #readAgain(): void {
    if (this.#phase === "Reading") this.#actions.push(read)
  }

  // -- our requests --------------------------------------------------------------------------

  #takeRequest(): void {
    const [oldest, ...others] = this.#requests
    if (oldest === undefined) return
    this.#requests = others.length === 0 ? none : others
    const { request, waiter } = oldest
    if (oldest.isCancelled) return this.#passOver(request._tag)
    this.#count({ _tag: "Count", of: "requestSent", kind: request._tag })
    if (request._tag === "Peers" && this.#addresses.length > 0) {
      this.#respond(oldest, this.#takeAddresses([]))
      return this.#read()
    }
    const { matcher, message } = ask(request, this.#options.source, this.#now)
    this.#current = { waiter, request, isCancelled: false, takenNanos: this.#now, matcher }
    this.#send(message, "SendingRequest", waiter)
  }

  /** Nobody waits for it any more. */
  #passOver(kind: (Request | Ping)["_tag"] | "AdvertiseBlock"): void {
    this.#count({ _tag: "Count", of: "requestCanceled", kind })
    this.#read()
  }

  #cancel(waiter: Waiter): void {
    const current = this.#current
    if (current?.waiter === waiter) {
      current.isCancelled = true
      if (this.#waiting === undefined) return
      this.#becomeIdle()
      return this.#readAgain()
    }
    // In their places they stay until their turn.
    for (const each of this.#requests) if (each.waiter === waiter) each.isCancelled = true
    for (const each of this.#adverts) if (each.waiter === waiter) each.isCancelled = true
    if (this.#advert?.waiter === waiter) this.#advert.isCancelled = true
  }

  #respond(current: Asked, response: Response): void {
    this.#count({ _tag: "Count", of: "responseReceived", kind: response._tag })
    this.#complete(current, Exit.succeed(response))
  }

  /** Reports what the peer turned out to lack, then answers. */
  #complete(current: Asked, exit: Exit.Exit<Response, PeerError>): void {
    this.#becomeIdle()
    const { limits, source } = this.#options
    const items = source === undefined ? none : missingIn(current.request, exit, limits.inventoryHashes)
    if (items.length > 0) this.#report({ _tag: "InventoryMissing", items }, current.waiter)
    if (!current.isCancelled) this.#settle(current.waiter, exit)
  }

  #becomeIdle(): void {
    this.#current = undefined
    this.#waiting = undefined
  }

  #takeAddresses(fresh: AddressCache.AddressCache): Response {
    const { limits, random } = this.#options
    const { cache, taken } = AddressCache.take(
      this.#addresses,
      fresh,
      limits.addressesPerAnswer,
      limits.addressCacheCapacity,
      random
    )
    this.#addresses = cache
    return { _tag: "Peers", addresses: taken }
  }

  #takeAdvert(): void {
    const [oldest, ...others] = this.#adverts
    if (oldest === undefined) return
    this.#adverts = others.length === 0 ? none : others
    if (oldest.isCancelled) return this.#passOver("AdvertiseBlock")
    this.#advert = oldest
    this.#count({ _tag: "Count", of: "requestSent", kind: "AdvertiseBlock" })
    // Right before the write: it may have waited long, and neither a banned nor an outdated peer may get it.
    this.#phase = "Permitting"
    this.#actions.push({ _tag: "Permit" })
  }

  #sendAdvert(): void {
    if (this.#advert === undefined) return
    this.#send(Message.Inv({ items: blockItems([this.#advert.hash]) }), "SendingAdvert", this.#advert.waiter)
  }

  #send(message: Message, phase: Phase, waiter?: Waiter): void {
    this.#phase = phase
    this.#actions.push({ _tag: "Send", message, waiter })
  }

  #written(event: Event): void {
    switch (this.#phase) {
      case "SendingRequest":
        this.#requestWritten()
        return this.#read()
      case "SendingAdvert": {
        const advert = this.#advert
        this.#advert = undefined
        if (advert !== undefined && !advert.isCancelled) this.#settle(advert.waiter, written)
        return this.#read()
      }
      case "Replying":
        return this.#read()
      case "Answering":
        return this.#sayNext()
      default:
        return this.#refuse(event)
    }
  }

  #requestWritten(): void {
    const current = this.#current
    if (current === undefined) return
    const { matcher } = current
    if (matcher === undefined) this.#respond(current, { _tag: "Nil" })
    else if (current.isCancelled) this.#becomeIdle()
    else {
      const limitNanos = Duration.toNanosUnsafe(this.#options.limits.requestTimeout)
      this.#waiting = { matcher, sinceNanos: this.#now, deadlineNanos: this.#now + limitNanos, taken: [] }
    }
  }

  // -- what the peer says --------------------------------------------------------------------

  #receive(message: Message): void {
    const { limits, source } = this.#options
    const inventory = source === undefined ? undefined : inventoryOf(message, limits.inventoryHashes)
    if (inventory !== undefined) this.#report(inventory)
    this.#offer(message)
    if (this.#phase === "Reading") this.#read()
  }

  /** To the request that is out first. */
  #offer(message: Message): void {
    const current = this.#current
    if (current === undefined || this.#waiting === undefined) return this.#follow(message)
    const verdict = this.#waiting.matcher(message, this.#now)
    switch (verdict._tag) {
      case "Unrelated":
        return this.#follow(message)
      case "Consumed":
        // Anything else, such as a pong of an older ping, leaves the matcher as it was.
        if (message._tag === "Block" || message._tag === "Tx") this.#waiting.taken.push(message)
        return
      case "Addresses":
        return this.#respond(current, this.#takeAddresses(verdict.addresses))
      case "Answered":
        return this.#respond(current, verdict.response)
      case "AnsweredBefore":
        this.#respond(current, verdict.response)
        return this.#follow(message)
      case "NotFound":
        this.#complete(current, Exit.fail(verdict.error))
        if (verdict.alsoUnrelated) this.#follow(message)
    }
  }

  /** Does what a message asks of us that is no answer. */
  #follow(message: Message): void {
    this.#actions.push({ _tag: "Unasked", message })
    const meaning = meaningOf(message, this.#options.source)
    switch (meaning._tag) {
      case "Ignore":
        return
      case "Reply":
        return this.#send(meaning.message, "Replying")
      case "Addresses":
        this.#addresses = AddressCache.add(
          this.#addresses,
          meaning.addresses,
          this.#options.limits.addressCacheCapacity
        )
        return
      case "DuplicateHandshake":
        return this.#fail(new DuplicateHandshake())
      case "Ask":
        this.#count({ _tag: "Count", of: "requestReceived", kind: meaning.request._tag })
        this.#phase = "Asking"
        this.#actions.push({ _tag: "Ask", request: meaning.request })
    }
  }

  #answered(outcome: Outcome): void {
    switch (outcome._tag) {
      case "Answered":
        this.#count({ _tag: "Count", of: "responseSent", kind: outcome.response._tag })
        this.#answer = { response: outcome.response, messages: messagesOf(outcome.response), said: 0 }
        return this.#sayNext()
      case "Overloaded":
        if (!this.#isDrawn()) return this.#ignore("ignoredForOverload")
        this.#count({ _tag: "Count", of: "closedForOverload" })
        return this.#fail(new PeerOverloaded())
      case "TooSlow":
        if (!this.#isDrawn()) return this.#ignore("ignoredForTimeout")
        this.#count({ _tag: "Count", of: "closedForTimeout" })
        return this.#fail(new InboundTimeout())
      case "Failed":
        return this.#read()
      case "Broken":
        return this.#fail(new ServiceShutdown())
    }
  }

  #ignore(of: "ignoredForOverload" | "ignoredForTimeout"): void {
    this.#count({ _tag: "Count", of })
    this.#read()
  }

  /** The next message of an answer: not made before the one in front is written. */
  #sayNext(): void {
    const answer = this.#answer
    const next = answer?.messages.next()
    if (answer !== undefined && next !== undefined && next.done !== true) {
      answer.said++
      return this.#send(next.value, "Answering")
    }
    this.#answer = undefined
    this.#actions.push({ _tag: "Yield" })
    this.#read()
  }

  /** Whether this connection has to go for overloading us now. */
  #isDrawn(): boolean {
    const probability = Overload.dropProbability(this.#now, this.#overloadedAtNanos, this.#options.limits)
    this.#overloadedAtNanos = this.#now
    return this.#options.random() < probability
  }

  // -- the end -------------------------------------------------------------------------------

  /** Ends the connection for something that happened on it. */
  #fail(error: PeerError): void {
    this.#close(error, Exit.fail(error), false)
  }

  /** A ping that ends with the connection has failed, unless we end it ourselves: then it is told to stop. */
  #close(error: PeerError, failure: Exit.Exit<never, PeerError>, isOurs: boolean): void {
    const open = [...(this.#current === undefined ? none : [this.#current]), ...this.#requests].filter(isWaitedFor)
    const adverts = [...(this.#advert === undefined ? none : [this.#advert]), ...this.#adverts].filter(isWaitedFor)
    const isPinging = open.some(({ request }) => request._tag === "Ping")
    if (isPinging && !isOurs) this.#report({ _tag: "Failed", services: undefined })
    for (const { request, waiter } of open) {
      this.#settle(waiter, isOurs && request._tag === "Ping" ? stopped : failure)
    }
    for (const { waiter } of adverts) this.#settle(waiter, failure)
    this.#becomeIdle()
    this.#requests = none
    this.#adverts = none
    this.#advert = undefined
    this.#answer = undefined
    this.#addresses = none
    this.#phase = "Closed"
    this.#actions.push({ _tag: "Close", error, failure })
  }

  #settle(waiter: Waiter, exit: Settled): void {
    this.#actions.push({ _tag: "Settle", waiter, exit })
  }

  #report(report: PeerReport, waiter?: Waiter): void {
    this.#actions.push({ _tag: "Report", report, waiter })
  }

  #count(count: Extract<Action, { _tag: "Count" }>): void {
    this.#actions.push(count)
  }
}

const none: ReadonlyArray<never> = []
const read: Action = { _tag: "Read" }
const written: Settled = Exit.succeed(undefined)
const stopped: Settled = Exit.fail(new ClientCancelledHeartbeatTask())

/** Whether a message is being written in this phase. */
export const isWriting = (phase: Phase): boolean =>
  phase === "SendingRequest" || phase === "SendingAdvert" || phase === "Replying" || phase === "Answering"

/** A copy that lacks what is made of the rest. */
const without = <A extends object, K extends keyof A>(key: K, from: A): Omit<A, K> => {
  const { [key]: _, ...rest } = from
  return rest
}

const isWaitedFor = ({ isCancelled }: { readonly isCancelled: boolean }): boolean => !isCancelled
