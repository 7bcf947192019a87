/**
 * One connection after the handshake: one request at a time, whatever the peer sends meanwhile, and one ending.
 *
 *                  request taken, message sent
 *     AwaitingRequest ───────────────────────▶ AwaitingResponse
 *           ▲                                        │
 *           └── answered, cancelled, 20 s are over ──┘          any error ─▶ closed
 *
 * A loop owns the state and everything that is written. It looks for work in a fixed order and waits only when there is
 * none. While idle: a message, an advert, a request. While waiting for an answer: cancellation, the time limit, a message,
 * an advert. Messages come before requests so that nothing that was sent before our request is taken for its answer; the
 * time limit comes before messages so that a peer cannot talk its way past it; adverts come after messages so that no peer
 * takes one for the answer to its `getblocks`.
 *
 * Three fibers: the loop; a reader, which reads one chunk when the loop has no message left; the heartbeat.
 *
 * **Security**
 *
 * What a peer can make grow: one message and one chunk of input (`MessageStream.maxBufferedBytes`), one message of output
 * above the transport's high-water mark, `Policy.addressCacheCapacity` addresses. While one of its requests is answered or
 * one of our messages is written, nothing is read. Whoever asked something is answered exactly once, however the connection
 * ends: `#end` gives every waiter the first error, in whatever state the loop is interrupted.
 *
 * Source: Zebra peer/connection.rs and peer/connection/peer_tx.rs.
 *
 * @module
 */
import {
  Cause,
  Clock,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  type Fiber,
  Option,
  Random,
  Result,
  Scope
} from "effect"
import type { BlockHash } from "../chain/Hash.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import type { Policy } from "../Policy.ts"
import { type InventoryItem, Message } from "../wire/Message.ts"
import * as AddressCache from "./AddressCache.ts"
import * as ConnectedAddress from "./ConnectedAddress.ts"
import * as Heartbeat from "./Heartbeat.ts"
import { inventoryOf, meaningOf, messagesOf } from "./InboundMessages.ts"
import type { InboundRequests } from "./InboundRequests.ts"
import type { MessageStream, ReceiveError, SendError } from "./MessageStream.ts"
import * as Overload from "./Overload.ts"
import {
  AdvertAuthorizationRevoked,
  AdvertNotDelivered,
  ConnectionDropped,
  type ConnectionHost,
  type ConnectionInfo,
  ConnectionReceiveTimeout,
  ConnectionTaskExited,
  DuplicateHandshake,
  InboundTimeout,
  type Peer,
  type PeerError,
  PeerOverloaded,
  type Readiness,
  ServiceShutdown
} from "./Peer.ts"
import * as PeerLoad from "./PeerLoad.ts"
import * as PeerMetrics from "./PeerMetrics.ts"
import type {
  ConnectionId,
  InboundRequest,
  InventoryResponse,
  Ping,
  Request,
  Response,
  ResponseOf,
  Source
} from "./Request.ts"
import { ask, blockItems, type Matcher, transactionItems } from "./ResponseMatcher.ts"

export interface Options {
  readonly id: ConnectionId
  readonly info: ConnectionInfo
  /** After `agree`. Its stream closes with a scope that outlives the connection's. */
  readonly messages: MessageStream
  readonly host: ConnectionHost
  readonly inbound: InboundRequests["Service"]
  readonly policy: Policy
  /** A number no peer can guess. */
  readonly nonce: Effect.Effect<bigint>
}

/** A request and whoever waits for its answer. */
interface Asked {
  readonly request: Request | Ping
  readonly answer: Deferred.Deferred<Response, PeerError>
  /** Of the monotonic clock; `undefined` for pings, which say nothing about load. */
  readonly askedAtNanos: bigint | undefined
  isCancelled: boolean
  isSettled: boolean
}

interface InFlight {
  readonly asked: Asked
  readonly matcher: Matcher
  /** Milliseconds of the monotonic clock. */
  readonly deadlineMillis: number
}

interface Advert {
  readonly hash: BlockHash
  readonly written: Deferred.Deferred<void, PeerError>
  isAbandoned: boolean
}

/** Starts the connection; it ends with the scope, or before by its own. `Connected` is reported before anything is read. */
export const make = (options: Options): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const scope = yield* Effect.scope
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    const context = yield* Effect.context<never>()
    const connection = new Connection(options, scope, clock, random, context)
    yield* options.host.report(options.id, { _tag: "Connected", info: options.info })
    yield* connection.start
    return connection
  }).pipe(Effect.uninterruptible)

class Connection implements Peer {
  readonly id: ConnectionId
  readonly info: ConnectionInfo
  readonly transientAddress: PeerSocketAddress | undefined
  readonly isInbound: boolean

  readonly #options: Options
  readonly #scope: Scope.Scope
  readonly #clock: Clock.Clock
  readonly #random: Random.Random
  readonly #context: Context.Context<never>
  readonly #source: Source | undefined

  /** At most one request of the client and one ping, in the order they came. */
  #queue: Array<Asked> = []
  /** Taken from the queue, and its message not yet written. */
  #sending: Asked | undefined
  #inFlight: InFlight | undefined
  #adverts: Array<Advert> = []
  #advertBeingSent: Advert | undefined
  #readyWaiters: Array<Deferred.Deferred<void, PeerError>> = []

  #addresses: AddressCache.AddressCache
  #overloadedAtNanos: bigint | undefined
  #estimate: PeerLoad.Estimate
  #unfinished = 0
  #roundTrip: Duration.Duration | undefined

  /** Set once: why the connection ended. */
  #error: PeerError | undefined
  /** The same for those who wait; a defect of ours stays one. */
  #failure: Exit.Exit<never, PeerError> | undefined
  readonly #closed = Deferred.makeUnsafe<PeerError>()
  #fibers: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = []

  /** Something may have changed since the loop last looked. */
  #isPoked = false
  #wakeLoop: ((continuation: Effect.Effect<void>) => void) | undefined
  #wakeReader: ((continuation: Effect.Effect<void>) => void) | undefined
  #inputEnd: ReceiveError | undefined
  /** When the alarm rings, in milliseconds of the monotonic clock. */
  #alarmAt = Number.POSITIVE_INFINITY

  constructor(
    options: Options,
    scope: Scope.Scope,
    clock: Clock.Clock,
    random: Random.Random,
    context: Context.Context<never>
  ) {
    this.id = options.id
    this.info = options.info
    const { connectedAddress, remote } = options.info
    this.transientAddress = ConnectedAddress.transientAddress(connectedAddress)
    this.isInbound = ConnectedAddress.isInbound(connectedAddress)
    this.#options = options
    this.#scope = scope
    this.#clock = clock
    this.#random = random
    this.#context = context
    this.#source =
      this.transientAddress === undefined ? undefined : { connection: this.id, address: this.transientAddress }
    const nowSeconds = Math.floor(clock.currentTimeMillisUnsafe() / 1000)
    this.#addresses = ConnectedAddress.alternates(connectedAddress, remote.addressFrom.address, nowSeconds)
    this.#estimate = {
      answerNanos: Number(Duration.toNanosUnsafe(options.policy.initialAnswerTime)),
      updatedAtNanos: clock.monotonicTimeNanosUnsafe()
    }
  }

  // -- as others see it ----------------------------------------------------------------------

  readonly readiness = (): Readiness => (this.#error !== undefined ? "Failed" : this.#hasRoom() ? "Ready" : "Busy")

  get awaitReady(): Effect.Effect<void, PeerError> {
    return Effect.suspend(() => {
      if (this.#failure !== undefined) return this.#failure
      if (this.#hasRoom()) return Effect.void
      const ready = Deferred.makeUnsafe<void, PeerError>()
      this.#readyWaiters.push(ready)
      return Effect.onInterrupt(Deferred.await(ready), () =>
        Effect.sync(() => {
          this.#readyWaiters = this.#readyWaiters.filter((waiter) => waiter !== ready)
        })
      )
    })
  }

  readonly enqueueUnsafe = <R extends Request>(request: R): Effect.Effect<ResponseOf<R>, PeerError> => {
    if (this.#failure !== undefined) return this.#failure
    if (!this.#hasRoom()) throw new Error("a request was put into a slot that is full; await readiness first")
    this.#unfinished++
    // The matcher of a request makes no other kind of response.
    return this.#enqueue(request, this.#nowNanos()) as Effect.Effect<ResponseOf<R>, PeerError>
  }

  readonly request = <R extends Request>(request: R): Effect.Effect<ResponseOf<R>, PeerError> =>
    Effect.suspend(() =>
      this.readiness() === "Busy" ? Effect.andThen(this.awaitReady, this.request(request)) : this.enqueueUnsafe(request)
    )

  readonly advertiseBlock = (hash: BlockHash): Effect.Effect<void, PeerError> =>
    Effect.suspend(() => {
      if (this.#failure !== undefined) return this.#failure
      const { advertQueueCapacity, requestTimeout } = this.#options.policy
      if (this.#adverts.length >= advertQueueCapacity)
        return Effect.fail(new AdvertNotDelivered({ reason: "queueFull" }))
      const advert: Advert = { hash, written: Deferred.makeUnsafe(), isAbandoned: false }
      this.#adverts.push(advert)
      this.#poke()
      return Deferred.await(advert.written).pipe(
        Effect.timeoutOrElse({
          duration: requestTimeout,
          orElse: () => Effect.fail(new AdvertNotDelivered({ reason: "timedOut" }))
        }),
        Effect.ensuring(
          Effect.sync(() => {
            advert.isAbandoned = true
          })
        )
      )
    })

  get awaitClosed(): Effect.Effect<PeerError> {
    return Deferred.await(this.#closed)
  }

  readonly close = (error: PeerError): Effect.Effect<void> => Effect.sync(() => this.#end(error, Exit.fail(error)))

  readonly load = (nowNanos: bigint): number =>
    PeerLoad.load(this.#estimate, this.#unfinished, nowNanos, this.#decayNanos())

  readonly roundTrip = (): Duration.Duration | undefined => this.#roundTrip
  readonly bytesRead = (): number => this.#options.messages.bytesRead()
  readonly bytesWritten = (): number => this.#options.messages.bytesWritten()

  // -- start and end -------------------------------------------------------------------------

  readonly start: Effect.Effect<void> = Effect.gen({ self: this }, function* () {
    const { host, policy } = this.#options
    this.#enter("AwaitingRequest")
    const heartbeat = Heartbeat.run({
      interval: policy.pingInterval,
      ping: Effect.suspend(() => this.#ping),
      report: (report) => host.report(this.id, report)
    })
    this.#fibers = yield* Effect.all([
      this.#supervised(this.#read()),
      this.#supervised(this.#loop()),
      this.#supervised(Effect.tapError(heartbeat, () => host.report(this.id, { _tag: "Failed", services: undefined })))
    ])
    // Added last and so the first to run: whoever waits hears why before anything is taken apart.
    const dropped = new ConnectionDropped()
    yield* Scope.addFinalizer(this.#scope, this.close(dropped))
  })

  /** A fiber of the connection: however it ends, the connection ends with it. */
  #supervised(work: Effect.Effect<void, PeerError>): Effect.Effect<Fiber.Fiber<void>> {
    return work.pipe(
      Effect.catchCause((cause) => {
        const error = Cause.findErrorOption(cause)
        if (Option.isSome(error)) return Effect.sync(() => this.#end(error.value, Exit.fail(error.value)))
        if (Cause.hasInterruptsOnly(cause)) return Effect.void
        const defect = Exit.failCause(Cause.fromReasons<never>(cause.reasons.filter(Cause.isDieReason)))
        return Effect.andThen(
          Effect.logError("a connection failed by a defect of this node", cause),
          Effect.sync(() => this.#end(new ConnectionTaskExited(), defect))
        )
      }),
      Effect.forkIn(this.#scope)
    )
  }

  /** The first call decides. Everything that waits on this connection hears of it now. */
  #end(error: PeerError, failure: Exit.Exit<never, PeerError>): void {
    if (this.#error !== undefined) return
    this.#leave()
    this.#error = error
    this.#failure = failure
    const asked = [this.#inFlight?.asked, this.#sending, ...this.#queue]
    const adverts = [this.#advertBeingSent, ...this.#adverts]
    const readyWaiters = this.#readyWaiters
    this.#inFlight = undefined
    this.#sending = undefined
    this.#queue = []
    this.#advertBeingSent = undefined
    this.#adverts = []
    this.#readyWaiters = []
    this.#addresses = []
    // The heartbeat before its ping is answered: an ending that was not its doing is no failure of the peer.
    for (const fiber of this.#fibers) fiber.interruptUnsafe()
    for (const each of asked) if (each !== undefined) this.#settle(each, failure)
    for (const advert of adverts) if (advert !== undefined) Deferred.doneUnsafe(advert.written, failure)
    for (const ready of readyWaiters) Deferred.doneUnsafe(ready, failure)
    Deferred.doneUnsafe(this.#closed, Exit.succeed(error))
  }

  // -- requests ------------------------------------------------------------------------------

  #hasRoom(): boolean {
    return !this.#queue.some((asked) => asked.askedAtNanos !== undefined)
  }

  #enqueue(request: Request | Ping, askedAtNanos: bigint | undefined): Effect.Effect<Response, PeerError> {
    const asked: Asked = { request, answer: Deferred.makeUnsafe(), askedAtNanos, isCancelled: false, isSettled: false }
    this.#queue.push(asked)
    this.#poke()
    return Effect.onInterrupt(Deferred.await(asked.answer), () => Effect.sync(() => this.#cancel(asked)))
  }

  get #ping(): Effect.Effect<Duration.Duration, PeerError> {
    if (this.#failure !== undefined) return this.#failure
    return Effect.flatMap(this.#options.nonce, (nonce) =>
      Effect.map(this.#enqueue({ _tag: "Ping", nonce }, undefined), (response) => {
        this.#roundTrip = response._tag === "Pong" ? response.roundTrip : Duration.zero
        return this.#roundTrip
      })
    )
  }

  #cancel(asked: Asked): void {
    if (asked.isSettled) return
    asked.isCancelled = true
    this.#settle(asked, Exit.fail(new ConnectionDropped()))
    this.#poke()
  }

  /** Ends the wait for an answer, once. */
  #settle(asked: Asked, exit: Exit.Exit<Response, PeerError>): void {
    if (asked.isSettled) return
    asked.isSettled = true
    if (asked.askedAtNanos !== undefined) {
      const now = this.#nowNanos()
      this.#unfinished--
      this.#estimate = PeerLoad.observed(this.#estimate, Number(now - asked.askedAtNanos), now, this.#decayNanos())
    }
    Deferred.doneUnsafe(asked.answer, exit)
  }

  /** Takes the next request out of its slot and sends it. */
  #take(): Effect.Effect<void, PeerError> {
    return Effect.gen({ self: this }, function* () {
      const asked = this.#queue.shift()
      if (asked === undefined) return
      if (asked.askedAtNanos !== undefined) this.#announceRoom()
      const { request } = asked
      if (asked.isCancelled) return this.#countCancelled(request._tag)
      this.#count(PeerMetrics.requestSent[request._tag])
      if (request._tag === "Peers" && this.#addresses.length > 0) {
        return yield* this.#answered(asked, this.#takeAddresses([]))
      }
      const { message, matcher } = ask(request, this.#source, this.#nowNanos())
      this.#sending = asked
      yield* this.#send(message)
      this.#sending = undefined
      if (matcher === undefined) return yield* this.#answered(asked, { _tag: "Nil" })
      const limit = Duration.toMillis(this.#options.policy.requestTimeout)
      this.#inFlight = { asked, matcher, deadlineMillis: this.#nowMillis() + limit }
      this.#enter(PeerMetrics.awaitingResponse(request._tag))
    })
  }

  #announceRoom(): void {
    const waiters = this.#readyWaiters
    this.#readyWaiters = []
    for (const ready of waiters) Deferred.doneUnsafe(ready, Exit.void)
  }

  #answered(asked: Asked, response: Response): Effect.Effect<void> {
    this.#count(PeerMetrics.responseReceived[response._tag])
    return this.#complete(asked, Exit.succeed(response))
  }

  /** Reports what the peer turned out to lack, then answers. */
  #complete(asked: Asked, exit: Exit.Exit<Response, PeerError>): Effect.Effect<void> {
    this.#becomeIdle()
    const missing = missingIn(asked.request, exit, this.#options.policy.inventoryHashes)
    const settle = Effect.sync(() => this.#settle(asked, exit))
    if (missing.length === 0 || this.#source === undefined) return settle
    return Effect.andThen(this.#options.host.report(this.id, { _tag: "InventoryMissing", items: missing }), settle)
  }

  #becomeIdle(): void {
    this.#inFlight = undefined
    this.#enter("AwaitingRequest")
  }

  /** The answer did not come in time. A peer that does not even answer a ping is gone. */
  #timedOut({ asked }: InFlight): Effect.Effect<void, PeerError> {
    const error = new ConnectionReceiveTimeout()
    if (asked.request._tag !== "Ping") return this.#complete(asked, Exit.fail(error))
    return Effect.andThen(
      this.#options.host.report(this.id, { _tag: "Failed", services: undefined }),
      Effect.fail(error)
    )
  }

  #takeAddresses(fresh: AddressCache.AddressCache): Response {
    const { addressCacheCapacity, addressesPerAnswer } = this.#options.policy
    const { cache, taken } = AddressCache.take(this.#addresses, fresh, addressesPerAnswer, addressCacheCapacity, () =>
      this.#random.nextDoubleUnsafe()
    )
    this.#addresses = cache
    return { _tag: "Peers", addresses: taken }
  }

  // -- adverts -------------------------------------------------------------------------------

  /** Writes the oldest advert, unless nobody waits for it or the peer may not know of our blocks any more. */
  #advertise(): Effect.Effect<void, PeerError> {
    return Effect.gen({ self: this }, function* () {
      const advert = this.#adverts.shift()
      if (advert === undefined) return
      if (advert.isAbandoned) return this.#countCancelled("AdvertiseBlock")
      this.#count(PeerMetrics.requestSent.AdvertiseBlock)
      this.#advertBeingSent = advert
      // Right before the write: it may have waited long, and neither a banned nor an outdated peer may get it.
      if (!(yield* this.#options.host.mayAdvertise(this.info))) return yield* new AdvertAuthorizationRevoked()
      yield* this.#send(Message.Inv({ items: blockItems([advert.hash]) }))
      this.#advertBeingSent = undefined
      Deferred.doneUnsafe(advert.written, Exit.void)
    })
  }

  #countCancelled(request: (Request | Ping)["_tag"] | "AdvertiseBlock"): void {
    this.#count(PeerMetrics.canceled)
    this.#count(PeerMetrics.requestCanceled[request])
  }

  // -- messages ------------------------------------------------------------------------------

  #loop(): Effect.Effect<never, PeerError> {
    return Effect.gen({ self: this }, function* () {
      for (;;) {
        this.#isPoked = false
        const inFlight = this.#inFlight
        if (inFlight !== undefined) {
          if (inFlight.asked.isCancelled) {
            this.#becomeIdle()
            continue
          }
          if (this.#nowMillis() >= inFlight.deadlineMillis) {
            yield* this.#timedOut(inFlight)
            continue
          }
        }
        const polled = this.#messages.poll()
        if (Result.isFailure(polled)) return yield* this.#streamFailed(polled.failure)
        if (polled.success !== undefined) yield* this.#receive(polled.success)
        else if (this.#inputEnd !== undefined) return yield* this.#streamFailed(this.#inputEnd)
        // What the transport has already comes before what we want to say.
        else if (this.#readNow()) continue
        else if (this.#adverts.length > 0) yield* this.#advertise()
        else if (inFlight === undefined && this.#queue.length > 0) yield* this.#take()
        else {
          if (inFlight !== undefined) yield* this.#setAlarm(inFlight.deadlineMillis)
          yield* this.#change()
        }
      }
    })
  }

  get #messages(): MessageStream {
    return this.#options.messages
  }

  #receive(message: Message): Effect.Effect<void, PeerError> {
    this.#count(PeerMetrics.messageReceived(message))
    const inventory =
      this.#source === undefined ? undefined : inventoryOf(message, this.#options.policy.inventoryHashes)
    return inventory === undefined
      ? this.#dispatch(message)
      : Effect.andThen(
          this.#options.host.report(this.id, inventory),
          Effect.suspend(() => this.#dispatch(message))
        )
  }

  /** Offers the message to the request in flight first. */
  #dispatch(message: Message): Effect.Effect<void, PeerError> {
    const inFlight = this.#inFlight
    if (inFlight === undefined) return this.#handle(message)
    const { asked } = inFlight
    const verdict = inFlight.matcher(message, this.#nowNanos())
    switch (verdict._tag) {
      case "Unrelated":
        return this.#handle(message)
      case "Consumed":
        return Effect.void
      case "Addresses":
        return this.#answered(asked, this.#takeAddresses(verdict.addresses))
      case "Answered":
        return this.#answered(asked, verdict.response)
      case "AnsweredBefore":
        return Effect.andThen(this.#answered(asked, verdict.response), this.#handle(message))
      case "NotFound": {
        const completed = this.#complete(asked, Exit.fail(verdict.error))
        return verdict.alsoUnrelated ? Effect.andThen(completed, this.#handle(message)) : completed
      }
    }
  }

  #handle(message: Message): Effect.Effect<void, PeerError> {
    const meaning = meaningOf(message, this.#source)
    switch (meaning._tag) {
      case "Ignore":
        return Effect.void
      case "Reply":
        return this.#send(meaning.message)
      case "Addresses":
        this.#addresses = AddressCache.add(
          this.#addresses,
          meaning.addresses,
          this.#options.policy.addressCacheCapacity
        )
        return Effect.void
      case "DuplicateHandshake":
        return Effect.fail(new DuplicateHandshake())
      case "Ask":
        return this.#answer(meaning.request)
    }
  }

  /** Lets the program answer, within its time; nothing else happens on this connection meanwhile. */
  #answer(request: InboundRequest): Effect.Effect<void, PeerError> {
    return Effect.gen({ self: this }, function* () {
      this.#count(PeerMetrics.requestReceived[request._tag])
      // A turn for others before and after: a peer that asks without end must not have all of them.
      yield* Effect.yieldNow
      const { inbound, policy } = this.#options
      const exit = yield* Effect.exit(
        Effect.timeoutOption(
          Effect.suspend(() => inbound.answer(request)),
          policy.inboundTimeout
        )
      )
      if (Exit.isSuccess(exit)) {
        if (Option.isNone(exit.value)) return yield* this.#overloaded("timeout")
        this.#count(PeerMetrics.responseSent[exit.value.value._tag])
        for (const message of messagesOf(exit.value.value)) yield* this.#send(message)
        return yield* Effect.yieldNow
      }
      const error = Cause.findErrorOption(exit.cause)
      if (Option.isNone(error)) {
        yield* Effect.logError("the program failed on a request of a peer", exit.cause)
        return yield* new ServiceShutdown()
      }
      if (error.value._tag === "Overloaded") return yield* this.#overloaded("overload")
      yield* Effect.logDebug("no answer to a request of a peer").pipe(
        Effect.annotateLogs({ request: request._tag, cause: error.value.cause })
      )
    }).pipe(Effect.withSpan("msg_as_req", { attributes: { msg: request._tag } }))
  }

  #overloaded(reason: "overload" | "timeout"): Effect.Effect<void, PeerError> {
    const now = this.#nowNanos()
    const probability = Overload.dropProbability(now, this.#overloadedAtNanos, this.#options.policy)
    this.#overloadedAtNanos = now
    if (this.#random.nextDoubleUnsafe() >= probability) {
      this.#count(reason === "overload" ? PeerMetrics.ignoredForOverload : PeerMetrics.ignoredForTimeout)
      return Effect.void
    }
    this.#count(reason === "overload" ? PeerMetrics.closedForOverload : PeerMetrics.closedForTimeout)
    return Effect.fail(reason === "overload" ? new PeerOverloaded() : new InboundTimeout())
  }

  #send(message: Message): Effect.Effect<void, SendError> {
    this.#count(PeerMetrics.messageSent(message))
    return this.#messages.send(message)
  }

  /** A stream that broke or lied is reported before the connection ends; one that just ended is not. */
  #streamFailed(error: ReceiveError): Effect.Effect<never, PeerError> {
    if (error._tag === "ConnectionClosed") return Effect.fail(error)
    this.#count(PeerMetrics.streamFailed[error.cause._tag])
    return Effect.andThen(
      this.#options.host.report(this.id, { _tag: "Failed", services: this.info.remote.services }),
      Effect.fail(error)
    )
  }

  // -- waiting -------------------------------------------------------------------------------

  /** Waits until something may have changed. Woken through the scheduler, never inside of whoever changed it. */
  #change(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.#isPoked) return resume(Effect.void)
      this.#wakeLoop = resume
      return Effect.sync(() => {
        this.#wakeLoop = undefined
      })
    })
  }

  #poke(): void {
    this.#isPoked = true
    const wake = this.#wakeLoop
    this.#wakeLoop = undefined
    wake?.(Effect.yieldNow)
  }

  /** Reads a chunk each time the loop asks for one. */
  #read(): Effect.Effect<never, PeerError> {
    return Effect.gen({ self: this }, function* () {
      for (;;) {
        yield* this.#hunger()
        const end = yield* Effect.match(this.#messages.fill, { onSuccess: () => undefined, onFailure: (end) => end })
        this.#inputEnd = end
        this.#poke()
        if (end !== undefined) return yield* Effect.never
      }
    })
  }

  #hunger(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      this.#wakeReader = resume
      return Effect.sync(() => {
        this.#wakeReader = undefined
      })
    })
  }

  /** Makes the reader read if it does not already. Whether there was something to read. */
  #readNow(): boolean {
    const wake = this.#wakeReader
    if (wake === undefined) return false
    this.#wakeReader = undefined
    wake(Effect.void)
    return this.#wakeReader !== undefined || this.#inputEnd !== undefined
  }

  /** Wakes the loop at the deadline. An alarm that is set stays: most requests are answered long before theirs. */
  #setAlarm(atMillis: number): Effect.Effect<void> {
    if (this.#alarmAt <= atMillis) return Effect.void
    this.#alarmAt = atMillis
    return Effect.sleep(Duration.millis(Math.max(0, atMillis - this.#nowMillis()))).pipe(
      Effect.andThen(
        Effect.sync(() => {
          this.#alarmAt = Number.POSITIVE_INFINITY
          this.#poke()
        })
      ),
      Effect.forkIn(this.#scope, { startImmediately: true }),
      Effect.asVoid
    )
  }

  #nowNanos(): bigint {
    return this.#clock.monotonicTimeNanosUnsafe()
  }

  #nowMillis(): number {
    return Number(this.#nowNanos()) / 1_000_000
  }

  #decayNanos(): number {
    return Number(Duration.toNanosUnsafe(this.#options.policy.answerTimeDecay))
  }

  // -- metrics -------------------------------------------------------------------------------

  #state: PeerMetrics.StateName | undefined

  #enter(state: PeerMetrics.StateName): void {
    if (this.#error !== undefined || this.#state === state) return
    this.#leave()
    this.#state = state
    PeerMetrics.connectionsInState[state].modifyUnsafe(1, this.#context)
  }

  #leave(): void {
    if (this.#state === undefined) return
    PeerMetrics.connectionsInState[this.#state].modifyUnsafe(-1, this.#context)
    this.#state = undefined
  }

  #count(counter: PeerMetrics.Counter): void {
    counter.updateUnsafe(1, this.#context)
  }
}

/** What the peer turned out to lack. Only its own word counts: an error of ours or of the stream proves nothing. */
const missingIn = (
  request: Request | Ping,
  exit: Exit.Exit<Response, PeerError>,
  limit: number
): ReadonlyArray<InventoryItem> => {
  if (Exit.isSuccess(exit)) {
    const response = exit.value
    if (response._tag === "Blocks") return blockItems(idsMissing(response.items)).slice(0, limit)
    if (response._tag === "Transactions") return transactionItems(idsMissing(response.items), limit)
    return []
  }
  const error = Cause.findErrorOption(exit.cause)
  if (Option.isNone(error) || error.value._tag !== "NotFoundResponse") return []
  switch (request._tag) {
    case "BlocksByHash":
      return blockItems(request.hashes).slice(0, limit)
    case "BlockDownload":
      return blockItems([request.hash])
    case "TransactionsById":
      return transactionItems(request.ids, limit)
    default:
      return []
  }
}

const idsMissing = <A, Id>(items: ReadonlyArray<InventoryResponse<A, Id>>): ReadonlyArray<Id> =>
  items.flatMap((item) => (item._tag === "Missing" ? [item.id] : []))
