/**
 * One connection after the handshake: one request at a time, whatever the peer sends meanwhile, and one ending.
 *
 *                  request taken, message sent
 *     AwaitingRequest ───────────────────────▶ AwaitingResponse
 *           ▲                                        │
 *           └── answered, cancelled, 20 s are over ──┘          any error ─▶ closed
 *
 * A loop owns the state and everything that is written. It does one piece of work after the other, always the first it
 * finds in a fixed order, and waits only when there is none. While idle: a message, an advert, a request. While waiting for
 * an answer: cancellation, the time limit, a message, an advert. Messages come before requests so that nothing that was
 * sent before our request is taken for its answer; the time limit comes before messages so that a peer cannot talk its way
 * past it; adverts come after messages so that no peer takes one for the answer to its `getblocks`.
 *
 * While idle a connection has three fibers: the loop, and as its children one that reads up to the next message and the
 * heartbeat.
 *
 * **Security**
 *
 * What a peer can make grow: one message and one chunk of input (`MessageStream.maxBufferedBytes`), one message of output
 * above the transport's high-water mark, `Policy.addressCacheCapacity` addresses. While one of its requests is answered
 * nothing is read, and while one of our messages is written no more than up to its next message. Whoever asked something is
 * answered exactly once, however the connection ends: `#end` gives every waiter the first error, whatever the loop was
 * doing.
 *
 * Source: Zebra peer/connection.rs.
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
  Scope,
  Tracer
} from "effect"
import { CurrentTask } from "../BackgroundTasks.ts"
import type { BlockHash } from "../chain/Hash.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as Monotonic from "../Monotonic.ts"
import type { Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { commandOf, Message } from "../wire/Message.ts"
import * as AddressCache from "./AddressCache.ts"
import * as ConnectedAddress from "./ConnectedAddress.ts"
import * as Heartbeat from "./Heartbeat.ts"
import { inventoryOf, meaningOf, messagesOf } from "./InboundMessages.ts"
import { type InboundRequests, outcomeOf } from "./InboundRequests.ts"
import type { MessageStream, ReceiveError, SendError } from "./MessageStream.ts"
import { type Advert, type Asked, Outbox } from "./Outbox.ts"
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
  type PeerReport,
  type Readiness,
  ServiceShutdown,
  type Traffic
} from "./Peer.ts"
import * as PeerLoad from "./PeerLoad.ts"
import * as PeerMetrics from "./PeerMetrics.ts"
import type { ConnectionId, InboundRequest, Ping, Request, Response, ResponseOf, Source } from "./Request.ts"
import { ask, blockItems, type Matcher, missingIn } from "./ResponseMatcher.ts"

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
  /**
   * Tells of a bug, of this node or of the program that answers. What sets it off is up to peers, so it limits itself: each
   * message is a kind of its own.
   */
  readonly logDefect: (message: string, cause: Cause.Cause<unknown>) => Effect.Effect<void>
}

/** What the answer to the current request is told by, and until when. */
interface Waiting {
  readonly matcher: Matcher
  /** Milliseconds of the monotonic clock. */
  readonly sinceMillis: number
  /** Milliseconds of the monotonic clock. */
  readonly deadlineMillis: number
}

/** Starts the connection; it ends with the scope, or before by its own. `Connected` is reported before anything is read. */
export const make = (options: Options): Effect.Effect<Peer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const connection = new Connection(options, yield* Clock.Clock, yield* Random.Random, yield* Effect.context<never>())
    yield* options.host.report(options.id, { _tag: "Connected", info: options.info })
    yield* connection.start
    return connection
  }).pipe(Effect.uninterruptible)

class Connection implements Peer {
  readonly id: ConnectionId
  readonly info: ConnectionInfo
  readonly transientAddress: PeerSocketAddress.PeerSocketAddress | undefined
  readonly isInbound: boolean
  readonly connectedAtMillis: number

  readonly #options: Options
  readonly #clock: Clock.Clock
  readonly #random: Random.Random
  readonly #context: Context.Context<never>
  readonly #source: Source | undefined
  readonly #isTraced: boolean
  readonly #isTracedInDetail: boolean

  readonly #outbox = new Outbox()
  /** Taken from the outbox and not yet answered. */
  #current: Asked | undefined
  /** Set from when the message of `#current` was written. */
  #waiting: Waiting | undefined
  /** Taken from the outbox and not yet written. */
  #advert: Advert | undefined

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
  #fiber: Fiber.Fiber<void> | undefined

  /** Something may have changed since the loop last looked. */
  #isPoked = false
  #wake: ((continuation: Effect.Effect<void>) => void) | undefined
  #isReading = false
  #inputEnd: ReceiveError | undefined
  /** When the alarm rings, in milliseconds of the monotonic clock. */
  #alarmAt = Number.POSITIVE_INFINITY
  #state: PeerMetrics.StateName | undefined

  constructor(options: Options, clock: Clock.Clock, random: Random.Random, context: Context.Context<never>) {
    this.id = options.id
    this.info = options.info
    const { connectedAddress, remote } = options.info
    this.transientAddress = ConnectedAddress.transientAddress(connectedAddress)
    this.isInbound = ConnectedAddress.isInbound(connectedAddress)
    this.#options = options
    this.#clock = clock
    this.#random = random
    this.#context = context
    // Looked up once, not per message: most of the time nobody collects them.
    this.#isTraced = Spans.isCollected("connection", context)
    this.#isTracedInDetail = Spans.isCollected("heartbeat", context)
    this.#source =
      this.transientAddress === undefined ? undefined : { connection: this.id, address: this.transientAddress }
    this.connectedAtMillis = clock.currentTimeMillisUnsafe()
    const nowSeconds = Math.floor(this.connectedAtMillis / 1000)
    this.#addresses = ConnectedAddress.alternates(connectedAddress, remote.addressFrom.address, nowSeconds)
    this.#estimate = {
      answerNanos: Number(Duration.toNanosUnsafe(options.policy.initialAnswerTime)),
      updatedAtNanos: clock.monotonicTimeNanosUnsafe()
    }
  }

  // -- as others see it ----------------------------------------------------------------------

  readiness(): Readiness {
    if (this.#error !== undefined) return "Failed"
    return this.#outbox.hasRoom ? "Ready" : "Busy"
  }

  get awaitReady(): Effect.Effect<void, PeerError> {
    return Effect.suspend(() => this.#failure ?? this.#outbox.awaitRoom)
  }

  enqueueUnsafe<R extends Request>(request: R): Effect.Effect<ResponseOf<R>, PeerError> {
    if (this.#failure !== undefined) return this.#failure
    if (!this.#outbox.hasRoom) throw new Error("a request was put into a slot that is full; await readiness first")
    this.#unfinished++
    // The matcher of a request makes no other kind of response.
    return this.#enqueue(request) as Effect.Effect<ResponseOf<R>, PeerError>
  }

  request<R extends Request>(request: R): Effect.Effect<ResponseOf<R>, PeerError> {
    return Effect.suspend(() =>
      this.readiness() === "Busy"
        ? Effect.flatMap(this.awaitReady, () => this.request(request))
        : this.enqueueUnsafe(request)
    )
  }

  advertiseBlock(hash: BlockHash): Effect.Effect<void, PeerError | AdvertNotDelivered> {
    return Effect.suspend((): Effect.Effect<void, PeerError | AdvertNotDelivered> => {
      if (this.#failure !== undefined) return this.#failure
      const { advertQueueCapacity, requestTimeout } = this.#options.policy
      const advert = this.#outbox.putAdvert(hash, advertQueueCapacity)
      if (advert === undefined) return Effect.fail(new AdvertNotDelivered({ reason: "queueFull" }))
      this.#poke()
      const written = Deferred.await(advert.written)
      return written.pipe(
        Effect.timeoutOrElse({
          duration: requestTimeout,
          // A write that has begun has a limit of its own, and its outcome says more.
          orElse: (): Effect.Effect<void, PeerError | AdvertNotDelivered> =>
            this.#advert === advert || Deferred.isDoneUnsafe(advert.written)
              ? written
              : Effect.fail(new AdvertNotDelivered({ reason: "timedOut" }))
        }),
        Effect.ensuring(
          Effect.sync(() => {
            advert.isAbandoned = true
          })
        )
      )
    })
  }

  get awaitClosed(): Effect.Effect<PeerError> {
    return Deferred.await(this.#closed)
  }

  close(error: PeerError): Effect.Effect<void> {
    return Effect.sync(() => this.#end(error, Exit.fail(error)))
  }

  load(nowNanos: bigint): number {
    return PeerLoad.load(this.#estimate, this.#unfinished, nowNanos, this.#decayNanos())
  }

  roundTrip(): Duration.Duration | undefined {
    return this.#roundTrip
  }

  pingWait(): Duration.Duration | undefined {
    if (this.#waiting === undefined || this.#current?.request._tag !== "Ping") return undefined
    return Duration.millis(this.#nowMillis() - this.#waiting.sinceMillis)
  }

  bytesRead(): number {
    return this.#messages.bytesRead()
  }

  bytesWritten(): number {
    return this.#messages.bytesWritten()
  }

  traffic(): Traffic {
    return this.#messages.traffic()
  }

  // -- start and end -------------------------------------------------------------------------

  get start(): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      this.#enter("AwaitingRequest")
      const scope = yield* Effect.scope
      this.#fiber = yield* Effect.forkIn(Effect.provideService(this.#traced, CurrentTask, "connection"), scope)
      // Added last and so the first to run: whoever waits hears why before anything is taken apart.
      yield* Scope.addFinalizer(
        scope,
        Effect.suspend(() => {
          const dropped = new ConnectionDropped()
          this.#end(dropped, Exit.fail(dropped))
          return Effect.logDebug("connection ended").pipe(
            PeerSocketAddress.annotateLogs("peer", this.transientAddress),
            Effect.annotateLogs({ error: this.#error?._tag })
          )
        })
      )
    })
  }

  /** All that the connection does. */
  get #traced(): Effect.Effect<void> {
    const work = this.#guarded(this.#run)
    if (!this.#isTraced) return work
    const attributes = { peer: ConnectedAddress.label(this.info.connectedAddress) }
    return Spans.within("connection", { attributes })(work)
  }

  get #run(): Effect.Effect<void, PeerError> {
    return Effect.flatMap(Effect.forkChild(this.#guarded(this.#heartbeat)), () =>
      Effect.whileLoop({ while: () => true, body: () => this.#work(), step: () => undefined })
    )
  }

  /** Work of the connection: however it ends, the connection ends with it. */
  #guarded(work: Effect.Effect<void, PeerError>): Effect.Effect<void> {
    return Effect.catchCause(work, (cause) => {
      const error = Cause.findErrorOption(cause)
      if (Option.isSome(error)) return this.close(error.value)
      if (Cause.hasInterruptsOnly(cause)) return Effect.void
      const defects = Exit.failCause(Cause.fromReasons<never>(cause.reasons.filter(Cause.isDieReason)))
      return Effect.andThen(
        this.#options.logDefect("a connection ended by a defect of this node", cause),
        Effect.sync(() => this.#end(new ConnectionTaskExited(), defects))
      )
    })
  }

  /** The first call decides. Everybody who waits on this connection hears of it now. */
  #end(error: PeerError, failure: Exit.Exit<never, PeerError>): void {
    if (this.#error !== undefined) return
    this.#leave()
    this.#error = error
    this.#failure = failure
    this.#fiber?.interruptUnsafe()
    const asked = this.#current
    const advert = this.#advert
    this.#current = undefined
    this.#waiting = undefined
    this.#advert = undefined
    this.#addresses = []
    this.#messages.release()
    if (asked !== undefined) this.#settle(asked, failure)
    for (const each of this.#outbox.end(failure)) this.#settle(each, failure)
    if (advert !== undefined) Deferred.doneUnsafe(advert.written, failure)
    Deferred.doneUnsafe(this.#closed, Exit.succeed(error))
  }

  // -- the loop ------------------------------------------------------------------------------

  /** The next piece of work. */
  #work(): Effect.Effect<unknown, PeerError> {
    this.#isPoked = false
    const current = this.#current
    const waiting = this.#waiting
    if (current !== undefined && waiting !== undefined) {
      if (current.isCancelled) this.#becomeIdle()
      else if (this.#nowMillis() >= waiting.deadlineMillis) return this.#timedOut(current)
    }
    const polled = this.#messages.poll()
    if (Result.isFailure(polled)) return this.#streamFailed(polled.failure)
    if (polled.success !== undefined) return this.#receive(polled.success)
    if (this.#inputEnd !== undefined) return this.#streamFailed(this.#inputEnd)
    // What the transport has already comes before what we want to say.
    if (!this.#isReading) return this.#read()
    if (this.#outbox.hasAdvert) return this.#advertise()
    if (this.#waiting !== undefined) return Effect.andThen(this.#setAlarm(this.#waiting.deadlineMillis), this.#change)
    return this.#outbox.hasRequest ? this.#take() : this.#change
  }

  /** Starts to read up to the next message; done at once if the transport has all of it. */
  #read(): Effect.Effect<unknown> {
    this.#isReading = true
    const read = Effect.match(this.#messages.fill, {
      onSuccess: () => this.#hasRead(undefined),
      onFailure: (end) => this.#hasRead(end)
    })
    return Effect.forkChild(read, { startImmediately: true })
  }

  #hasRead(end: ReceiveError | undefined): void {
    this.#isReading = false
    this.#inputEnd = end
    this.#poke()
  }

  /** Waits until something may have changed. */
  get #change(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.#isPoked) return resume(Effect.void)
      this.#wake = resume
      return Effect.sync(() => {
        this.#wake = undefined
      })
    })
  }

  /** The loop goes on through the scheduler, never inside of whoever changed something. */
  #poke(): void {
    this.#isPoked = true
    const wake = this.#wake
    this.#wake = undefined
    wake?.(Effect.yieldNow)
  }

  /** Wakes the loop at the deadline. An alarm that is set stays: most requests are answered long before theirs. */
  #setAlarm(atMillis: number): Effect.Effect<unknown> {
    if (this.#alarmAt <= atMillis) return Effect.void
    this.#alarmAt = atMillis
    const alarm = Effect.map(Effect.sleep(Duration.millis(atMillis - this.#nowMillis())), () => {
      this.#alarmAt = Number.POSITIVE_INFINITY
      this.#poke()
    })
    return Effect.forkChild(alarm, { startImmediately: true })
  }

  // -- our requests --------------------------------------------------------------------------

  #enqueue(request: Request | Ping): Effect.Effect<Response, PeerError> {
    const asked = this.#outbox.putRequest(request, this.#nowNanos())
    this.#poke()
    const answer = Effect.onInterrupt(Deferred.await(asked.answer), () =>
      Spans.within("drop")(
        Effect.sync(() => {
          if (Deferred.isDoneUnsafe(asked.answer)) return
          asked.isCancelled = true
          this.#settle(asked, cancelled)
          this.#poke()
        })
      )
    )
    if (!this.#isTraced) return answer
    return Effect.withFiber(({ context }) => {
      asked.span = Context.getOrUndefined(context, Tracer.ParentSpan)
      return answer
    })
  }

  /** In traces, what is done for a request belongs to its caller. */
  #forCaller<A, E>({ span }: Asked, effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return span === undefined ? effect : Effect.provideService(effect, Tracer.ParentSpan, span)
  }

  /** Ends the wait for an answer, once. */
  #settle(asked: Asked, exit: Exit.Exit<Response, PeerError>): void {
    if (Deferred.isDoneUnsafe(asked.answer)) return
    // Pings say nothing about how long a request takes.
    if (asked.request._tag !== "Ping") {
      const now = this.#nowNanos()
      this.#unfinished--
      this.#estimate = PeerLoad.observed(this.#estimate, Number(now - asked.askedAtNanos), now, this.#decayNanos())
    }
    Deferred.doneUnsafe(asked.answer, exit)
  }

  /** Takes the next request out of its place and sends it. */
  #take(): Effect.Effect<void, PeerError> {
    const asked = this.#outbox.takeRequest()
    if (asked === undefined) return Effect.void
    const { request } = asked
    if (asked.isCancelled) {
      this.#countCancelled(request._tag)
      return Effect.void
    }
    this.#current = asked
    this.#count(PeerMetrics.requestSent[request._tag])
    if (request._tag === "Peers" && this.#addresses.length > 0) return this.#answered(asked, this.#takeAddresses([]))
    const { matcher, message } = ask(request, this.#source, this.#nowNanos())
    return Effect.flatMap(this.#forCaller(asked, this.#send(message)), () => {
      if (matcher === undefined) return this.#answered(asked, { _tag: "Nil" })
      const limit = Duration.toMillis(this.#options.policy.requestTimeout)
      const sinceMillis = this.#nowMillis()
      this.#waiting = { matcher, sinceMillis, deadlineMillis: sinceMillis + limit }
      this.#enter(PeerMetrics.awaitingResponse(request._tag))
      return Effect.void
    })
  }

  #answered(asked: Asked, response: Response): Effect.Effect<void> {
    this.#count(PeerMetrics.responseReceived[response._tag])
    return this.#complete(asked, Exit.succeed(response))
  }

  /** Reports what the peer turned out to lack, then answers. */
  #complete(asked: Asked, exit: Exit.Exit<Response, PeerError>): Effect.Effect<void> {
    const missing = missingIn(asked.request, exit, this.#options.policy.inventoryHashes)
    const answer = Effect.sync(() => {
      this.#becomeIdle()
      this.#settle(asked, exit)
    })
    return missing.length === 0 || this.#source === undefined
      ? answer
      : this.#forCaller(asked, Effect.andThen(this.#report({ _tag: "InventoryMissing", items: missing }), answer))
  }

  #becomeIdle(): void {
    this.#current = undefined
    this.#waiting = undefined
    this.#enter("AwaitingRequest")
  }

  /** The answer did not come in time. A peer that does not even answer a ping is gone. */
  #timedOut(asked: Asked): Effect.Effect<void, PeerError> {
    const error = new ConnectionReceiveTimeout()
    return asked.request._tag === "Ping"
      ? Effect.andThen(this.#report({ _tag: "Failed", services: undefined }), Effect.fail(error))
      : this.#complete(asked, Exit.fail(error))
  }

  #takeAddresses(fresh: AddressCache.AddressCache): Response {
    const { addressCacheCapacity, addressesPerAnswer } = this.#options.policy
    const { cache, taken } = AddressCache.take(this.#addresses, fresh, addressesPerAnswer, addressCacheCapacity, () =>
      this.#random.nextDoubleUnsafe()
    )
    this.#addresses = cache
    return { _tag: "Peers", addresses: taken }
  }

  get #heartbeat(): Effect.Effect<void, PeerError> {
    const beats = Heartbeat.run({
      interval: this.#options.policy.pingInterval,
      timeout: this.#options.policy.pingTimeout,
      ping: Effect.suspend(() => this.#ping),
      report: (report) => this.#report(report)
    })
    const heartbeat = this.#isTracedInDetail ? Spans.within("heartbeat")(beats) : beats
    // When the connection ended for another reason, a ping without an answer is no news.
    return Effect.tapError(heartbeat, () =>
      this.#error === undefined ? this.#report({ _tag: "Failed", services: undefined }) : Effect.void
    )
  }

  get #ping(): Effect.Effect<Duration.Duration, PeerError> {
    return Effect.flatMap(this.#options.nonce, (nonce) =>
      Effect.map(this.#failure ?? this.#enqueue({ _tag: "Ping", nonce }), (response) => {
        this.#roundTrip = response._tag === "Pong" ? response.roundTrip : Duration.zero
        return this.#roundTrip
      })
    )
  }

  /** Writes the oldest advert, unless nobody waits for it or the peer may not know of our blocks any more. */
  #advertise(): Effect.Effect<void, PeerError> {
    const advert = this.#outbox.takeAdvert()
    if (advert === undefined) return Effect.void
    if (advert.isAbandoned) {
      this.#countCancelled("AdvertiseBlock")
      return Effect.void
    }
    this.#advert = advert
    this.#count(PeerMetrics.requestSent.AdvertiseBlock)
    // Right before the write: it may have waited long, and neither a banned nor an outdated peer may get it.
    return Effect.flatMap(this.#options.host.mayAdvertise(this.info), (isAllowed): Effect.Effect<void, PeerError> =>
      isAllowed
        ? Effect.map(this.#send(Message.Inv({ items: blockItems([advert.hash]) })), () => {
            this.#advert = undefined
            Deferred.doneUnsafe(advert.written, Exit.void)
          })
        : Effect.fail(new AdvertAuthorizationRevoked())
    )
  }

  // -- what the peer says --------------------------------------------------------------------

  get #messages(): MessageStream {
    return this.#options.messages
  }

  #receive(message: Message): Effect.Effect<void, PeerError> {
    this.#count(PeerMetrics.messageReceived(message))
    const inventory =
      this.#source === undefined ? undefined : inventoryOf(message, this.#options.policy.inventoryHashes)
    const report = inventory === undefined ? Effect.void : this.#report(inventory)
    if (this.#isTracedInDetail) {
      return Spans.within("inbound_ts_collector")(Effect.void).pipe(
        Effect.andThen(Spans.within("inventory_filter")(report)),
        Effect.flatMap(() => this.#dispatch(message))
      )
    }
    return inventory === undefined ? this.#dispatch(message) : Effect.flatMap(report, () => this.#dispatch(message))
  }

  /** Offers the message to the request in flight first. */
  #dispatch(message: Message): Effect.Effect<void, PeerError> {
    const asked = this.#current
    if (asked === undefined || this.#waiting === undefined) return this.#handle(message)
    const verdict = this.#waiting.matcher(message, this.#nowNanos())
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
        return Effect.flatMap(this.#answered(asked, verdict.response), () => this.#handle(message))
      case "NotFound": {
        const completed = this.#complete(asked, Exit.fail(verdict.error))
        return verdict.alsoUnrelated ? Effect.flatMap(completed, () => this.#handle(message)) : completed
      }
    }
  }

  /** What is no answer. */
  #handle(message: Message): Effect.Effect<void, PeerError> {
    if (!this.#isTraced) return this.#follow(message)
    return Spans.within("msg_as_req", { attributes: { msg: commandOf(message) } })(
      Effect.suspend(() => this.#follow(message))
    )
  }

  /** Does what the message asks of us. */
  #follow(message: Message): Effect.Effect<void, PeerError> {
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
      const { inbound, logDefect, policy } = this.#options
      const outcome = yield* outcomeOf(inbound, request, policy.inboundTimeout)
      switch (outcome._tag) {
        case "Answered":
          this.#count(PeerMetrics.responseSent[outcome.response._tag])
          for (const message of messagesOf(outcome.response)) yield* this.#send(message)
          return yield* Effect.yieldNow
        case "Overloaded":
          if (!this.#isDrawn()) return this.#count(PeerMetrics.ignoredForOverload)
          this.#count(PeerMetrics.closedForOverload)
          return yield* new PeerOverloaded()
        case "TooSlow":
          if (!this.#isDrawn()) return this.#count(PeerMetrics.ignoredForTimeout)
          this.#count(PeerMetrics.closedForTimeout)
          return yield* new InboundTimeout()
        case "Failed":
          return yield* Effect.logDebug("no answer to a request of a peer").pipe(
            PeerSocketAddress.annotateLogs("peer", this.transientAddress),
            Effect.annotateLogs({ request: request._tag, cause: outcome.cause })
          )
        case "Broken":
          yield* logDefect("the program that answers peers failed", outcome.cause)
          return yield* new ServiceShutdown()
      }
    })
  }

  /** Whether this connection has to go for overloading us now. */
  #isDrawn(): boolean {
    const now = this.#nowNanos()
    const probability = Overload.dropProbability(now, this.#overloadedAtNanos, this.#options.policy)
    this.#overloadedAtNanos = now
    return this.#random.nextDoubleUnsafe() < probability
  }

  #send(message: Message): Effect.Effect<void, SendError> {
    this.#count(PeerMetrics.messageSent(message))
    const sending = this.#messages.send(message)
    return this.#isTracedInDetail ? Spans.within("outbound_metric")(sending) : sending
  }

  /** A stream that broke or lied is reported before the connection ends; one that just ended is not. */
  #streamFailed(error: ReceiveError): Effect.Effect<never, PeerError> {
    if (error._tag === "ConnectionClosed") return Effect.fail(error)
    this.#count(PeerMetrics.streamFailed[error.cause._tag])
    return Effect.andThen(this.#report({ _tag: "Failed", services: this.info.remote.services }), Effect.fail(error))
  }

  #nowNanos(): bigint {
    return this.#clock.monotonicTimeNanosUnsafe()
  }

  #nowMillis(): number {
    return Monotonic.millisUnsafe(this.#clock)
  }

  #decayNanos(): number {
    return Number(Duration.toNanosUnsafe(this.#options.policy.answerTimeDecay))
  }

  #report(report: PeerReport): Effect.Effect<void> {
    return this.#options.host.report(this.id, report)
  }

  // -- metrics -------------------------------------------------------------------------------

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

  #countCancelled(request: keyof typeof PeerMetrics.requestCanceled): void {
    this.#count(PeerMetrics.canceled)
    this.#count(PeerMetrics.requestCanceled[request])
  }

  #count(counter: PeerMetrics.Counter): void {
    counter.updateUnsafe(1, this.#context)
  }
}

/** What the answer of a cancelled request completes with; nobody waits for it. */
const cancelled = Exit.fail(new ConnectionDropped())
