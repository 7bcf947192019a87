/**
 * Does what `ConnectionMachine` decides: the stream, the fibers, the timers, the counters and the spans of one connection.
 *
 * While idle a connection has three fibers: the loop, and as its children one that reads up to the next message and the
 * heartbeat. What is asked of the connection from outside is an event for the machine at once; what follows from it is done
 * by the loop, through the scheduler, never inside of whoever asked.
 *
 * **Security**
 *
 * Held besides what the machine holds: one message and one chunk of input (`MessageStream.maxBufferedBytes`), and one
 * message of output above the transport's high-water mark. Whoever asked something is answered exactly once, however the
 * connection ends: `#end` gives everybody that is left the first error, whatever the loop was doing.
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
  Random,
  Result,
  Scope,
  Tracer
} from "effect"
import { CurrentTask } from "../BackgroundTasks.ts"
import type { BlockHash } from "../chain/Hash.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { LimitedLog } from "../LimitedLog.ts"
import type { Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { commandOf, type Message } from "../wire/Message.ts"
import * as ConnectedAddress from "./ConnectedAddress.ts"
import { type Action, ConnectionMachine, type Event, type Waiter } from "./ConnectionMachine.ts"
import * as Heartbeat from "./Heartbeat.ts"
import { type InboundRequests, outcomeOf } from "./InboundRequests.ts"
import type { MessageStream, ReceiveError } from "./MessageStream.ts"
import * as Peers from "./Peer.ts"
import * as PeerMetrics from "./PeerMetrics.ts"
import type { ConnectionId, InboundRequest, Ping, Request, Response, ResponseOf } from "./Request.ts"
import { type Entry, Waiters } from "./Waiters.ts"

export interface Options {
  readonly id: ConnectionId
  readonly info: Peers.ConnectionInfo
  /** After `agree`. Its stream closes with a scope that outlives the connection's. */
  readonly messages: MessageStream
  readonly host: Peers.ConnectionHost
  readonly inbound: InboundRequests["Service"]
  readonly policy: Policy
  /** A number no peer can guess. */
  readonly nonce: Effect.Effect<bigint>
  /** Tells of what peers can set off at will: bugs, of this node or of the program that answers, and closes for overload. */
  readonly log: LimitedLog
}

/** Starts the connection; it ends with the scope, or before by its own. `Connected` is reported before anything is read. */
export const make = (options: Options): Effect.Effect<Peers.Peer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const connection = new Connection(options, yield* Clock.Clock, yield* Random.Random, yield* Effect.context<never>())
    yield* options.host.report(options.id, { _tag: "Connected", info: options.info })
    yield* connection.start
    return connection
  }).pipe(Effect.uninterruptible)

class Connection implements Peers.Peer {
  readonly id: ConnectionId
  readonly info: Peers.ConnectionInfo
  readonly transientAddress: PeerSocketAddress.PeerSocketAddress | undefined
  readonly isInbound: boolean
  readonly connectedAtMillis: number

  readonly #options: Options
  readonly #messages: MessageStream
  readonly #clock: Clock.Clock
  readonly #context: Context.Context<never>
  readonly #spans: { readonly isTraced: boolean; readonly isDetailed: boolean }
  readonly #machine: ConnectionMachine
  readonly #waiters: Waiters
  readonly #closed = Deferred.makeUnsafe<Peers.PeerError>()
  /** Set once: why the connection ended, as those who wait hear it. A defect of ours stays one. */
  #failure: Exit.Exit<never, Peers.PeerError> | undefined
  #error: Peers.PeerError | undefined
  #fiber: Fiber.Fiber<void> | undefined
  #roundTrip: Duration.Duration | undefined
  #state: PeerMetrics.StateName | undefined
  /** The machine wants to go on. */
  #isPoked = true
  #wake: ((continuation: Effect.Effect<void>) => void) | undefined
  #isReading = false
  #inputEnd: ReceiveError | undefined

  constructor(options: Options, clock: Clock.Clock, random: Random.Random, context: Context.Context<never>) {
    const { id, info, messages, policy } = options
    const { connectedAddress, remote } = info
    const address = ConnectedAddress.transientAddress(connectedAddress)
    this.id = id
    this.info = info
    this.transientAddress = address
    this.isInbound = ConnectedAddress.isInbound(connectedAddress)
    this.connectedAtMillis = clock.currentTimeMillisUnsafe()
    this.#options = options
    this.#messages = messages
    this.#clock = clock
    this.#context = context
    // Looked up once, not per message: most of the time nobody collects them.
    this.#spans = {
      isTraced: Spans.isCollected("connection", context),
      isDetailed: Spans.isCollected("heartbeat", context)
    }
    const nowSeconds = Math.floor(this.connectedAtMillis / 1000)
    this.#machine = new ConnectionMachine({
      limits: policy,
      source: address === undefined ? undefined : { connection: id, address },
      services: remote.services,
      addresses: ConnectedAddress.alternates(connectedAddress, remote.addressFrom.address, nowSeconds),
      random: () => random.nextDoubleUnsafe()
    })
    const nanos = (duration: Duration.Duration) => Number(Duration.toNanosUnsafe(duration))
    const estimate = { answerNanos: nanos(policy.initialAnswerTime), updatedAtNanos: this.#now() }
    this.#waiters = new Waiters(estimate, nanos(policy.answerTimeDecay))
  }

  // -- as others see it ----------------------------------------------------------------------

  readiness(): Peers.Readiness {
    if (this.#machine.isClosed) return "Failed"
    return this.#machine.hasRoom ? "Ready" : "Busy"
  }

  get awaitReady(): Effect.Effect<void, Peers.PeerError> {
    return Effect.suspend(() => this.#failure ?? this.#waiters.awaitRoom(() => this.#machine.hasRoom))
  }

  enqueueUnsafe<R extends Request>(request: R): Effect.Effect<ResponseOf<R>, Peers.PeerError> {
    if (this.#failure !== undefined) return this.#failure
    if (!this.#machine.hasRoom) throw new Error("a request was put into a slot that is full; await readiness first")
    // The matcher of a request makes no other kind of response.
    return this.#enqueue(request) as Effect.Effect<ResponseOf<R>, Peers.PeerError>
  }

  request<R extends Request>(request: R): Effect.Effect<ResponseOf<R>, Peers.PeerError> {
    return Effect.suspend(() =>
      this.readiness() === "Busy"
        ? Effect.flatMap(this.awaitReady, () => this.request(request))
        : this.enqueueUnsafe(request)
    )
  }

  advertiseBlock(hash: BlockHash): Effect.Effect<void, Peers.PeerError | Peers.AdvertNotDelivered> {
    return Effect.suspend((): Effect.Effect<void, Peers.PeerError | Peers.AdvertNotDelivered> => {
      if (this.#failure !== undefined) return this.#failure
      const entry = this.#waiters.add(false, this.#now())
      this.#tell({ _tag: "Advert", waiter: entry.id, hash })
      const written = Effect.asVoid(Deferred.await(entry.done))
      return Effect.timeoutOrElse(written, {
        duration: this.#options.policy.requestTimeout,
        // Where the write began with the offer, its own limit is over at this moment too, and says more.
        orElse: () =>
          entry.sentNanos !== undefined && entry.sentNanos - entry.sinceNanos < 1_000_000n
            ? written
            : Effect.fail(new Peers.AdvertNotDelivered({ reason: "timedOut" }))
      }).pipe(Effect.ensuring(this.#giveUp(entry)))
    })
  }

  get awaitClosed(): Effect.Effect<Peers.PeerError> {
    return Deferred.await(this.#closed)
  }

  close(error: Peers.PeerError): Effect.Effect<void> {
    return Effect.sync(() => this.#tell({ _tag: "Close", error, failure: Exit.fail(error) }))
  }

  load(nowNanos: bigint): number {
    return this.#waiters.load(nowNanos)
  }

  roundTrip(): Duration.Duration | undefined {
    return this.#roundTrip
  }

  pingWait(): Duration.Duration | undefined {
    const since = this.#machine.awaitedSinceNanos
    return since === undefined || this.#machine.awaited !== "Ping" ? undefined : Duration.nanos(this.#now() - since)
  }

  bytesRead(): number {
    return this.#messages.bytesRead()
  }

  bytesWritten(): number {
    return this.#messages.bytesWritten()
  }

  traffic(): Peers.Traffic {
    return this.#messages.traffic()
  }

  // -- start and end -------------------------------------------------------------------------

  get start(): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      this.#showState()
      const scope = yield* Effect.scope
      this.#fiber = yield* Effect.forkIn(Effect.provideService(this.#traced, CurrentTask, "connection"), scope)
      // Added last and so the first to run: whoever waits hears why before anything is taken apart.
      yield* Scope.addFinalizer(
        scope,
        Effect.flatMap(this.close(new Peers.ConnectionDropped()), () => this.#logEnd)
      )
    })
  }

  get #logEnd(): Effect.Effect<void> {
    const error = this.#error?._tag
    const isOverload = error === "PeerOverloaded" || error === "InboundTimeout"
    const line = isOverload
      ? this.#options.log(error, Effect.logInfo("a peer was closed for asking more than this node has time for"))
      : Effect.logDebug("connection ended")
    return line.pipe(PeerSocketAddress.annotateLogs("peer", this.transientAddress), Effect.annotateLogs({ error }))
  }

  /** All that the connection does. */
  get #traced(): Effect.Effect<void> {
    const work = this.#guarded(
      Effect.flatMap(Effect.forkChild(this.#guarded(this.#heartbeat)), () =>
        Effect.whileLoop({ while: () => true, body: () => this.#work(), step: () => undefined })
      )
    )
    if (!this.#spans.isTraced) return work
    const attributes = { peer: ConnectedAddress.label(this.info.connectedAddress) }
    return Spans.within("connection", { attributes })(work)
  }

  /** Work of the connection that ends by a defect ends the connection. */
  #guarded(work: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.catchCause(work, (cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.void
      const failure = Exit.failCause(Cause.fromReasons<never>(cause.reasons.filter(Cause.isDieReason)))
      const error = new Peers.ConnectionTaskExited()
      return Effect.andThen(
        this.#log("a connection ended by a defect of this node", cause),
        Effect.sync(() => {
          this.#tell({ _tag: "Close", error, failure })
          this.#end(error, failure)
        })
      )
    })
  }

  #log(message: string, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    return this.#options.log(message, Effect.logError(message, cause))
  }

  /** The first call decides. Everybody who waits on this connection hears of it now. */
  #end(error: Peers.PeerError, failure: Exit.Exit<never, Peers.PeerError>): void {
    if (this.#error !== undefined) return
    this.#error = error
    this.#failure = failure
    this.#showState()
    this.#fiber?.interruptUnsafe()
    this.#messages.release()
    this.#waiters.end(failure, this.#now())
    Deferred.doneUnsafe(this.#closed, Exit.succeed(error))
  }

  // -- what is asked of it -------------------------------------------------------------------

  #enqueue(request: Request | Ping): Effect.Effect<Response | undefined, Peers.PeerError> {
    const entry = this.#waiters.add(request._tag !== "Ping", this.#now())
    this.#tell({ _tag: "Request", waiter: entry.id, request })
    // Only adverts are not delivered.
    const answered = Deferred.await(entry.done) as Effect.Effect<Response | undefined, Peers.PeerError>
    const answer = Effect.onInterrupt(answered, () => Spans.within("drop")(this.#giveUp(entry)))
    if (!this.#spans.isTraced) return answer
    return Effect.withFiber(({ context }) => {
      entry.span = Context.getOrUndefined(context, Tracer.ParentSpan)
      return answer
    })
  }

  #giveUp(entry: Entry): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.#waiters.get(entry.id) === undefined) return
      this.#waiters.settle(entry.id, cancelled, this.#now())
      this.#tell({ _tag: "Cancel", waiter: entry.id })
    })
  }

  get #heartbeat(): Effect.Effect<void> {
    const { nonce, policy } = this.#options
    const ping = Effect.flatMap(nonce, (nonce) =>
      Effect.map(this.#failure ?? this.#enqueue({ _tag: "Ping", nonce }), (response) => {
        this.#roundTrip = response?._tag === "Pong" ? response.roundTrip : Duration.zero
        return this.#roundTrip
      })
    )
    const beats = Heartbeat.run({
      interval: policy.pingInterval,
      timeout: policy.pingTimeout,
      ping,
      report: (report) => this.#report(report)
    })
    const heartbeat = this.#spans.isDetailed ? Spans.within("heartbeat")(beats) : beats
    // Of a ping that ended with the connection the machine has reported what there was to report.
    return Effect.catch(heartbeat, (error) =>
      !this.#machine.isClosed
        ? Effect.andThen(this.#report({ _tag: "Failed", services: undefined }), this.close(error))
        : Effect.void
    )
  }

  // -- the loop ------------------------------------------------------------------------------

  #now(): bigint {
    return this.#clock.monotonicTimeNanosUnsafe()
  }

  #step(event: Event): ReadonlyArray<Action> {
    const actions = this.#machine.step(event, this.#now())
    this.#waiters.tellRoom(this.#machine.hasRoom && !this.#machine.isClosed)
    this.#showState()
    return actions
  }

  /** An event from outside, which has no action that takes time. */
  #tell(event: Event): void {
    for (const action of this.#step(event)) this.#do(action)
  }

  /** Looks for what the peer has said, unless there is nothing to do. */
  #work(): Effect.Effect<unknown> {
    if (!this.#isPoked) return this.#change
    this.#isPoked = false
    const polled = this.#messages.poll()
    if (Result.isFailure(polled)) return this.#perform(this.#inputEnds(polled.failure))
    if (polled.success !== undefined) return this.#receive(polled.success)
    if (this.#inputEnd !== undefined) return this.#perform(this.#inputEnds(this.#inputEnd))
    if (this.#isReading) return this.#perform(this.#step({ _tag: "Quiet" }))
    // Done at once if the transport has it: that comes before what we want to say.
    this.#isPoked = true
    this.#isReading = true
    const hasRead = (end?: ReceiveError) => {
      this.#isReading = false
      this.#inputEnd = end
      this.#poke()
    }
    const read = Effect.match(this.#messages.fill, { onSuccess: () => hasRead(), onFailure: hasRead })
    return Effect.forkChild(read, { startImmediately: true })
  }

  #poke(): void {
    this.#isPoked = true
    const wake = this.#wake
    this.#wake = undefined
    wake?.(Effect.yieldNow)
  }

  get #change(): Effect.Effect<void> {
    return Effect.callback<void>((resume) => {
      if (this.#isPoked) return resume(Effect.void)
      this.#wake = resume
      return Effect.sync(() => {
        this.#wake = undefined
      })
    })
  }

  #inputEnds(error: ReceiveError): ReadonlyArray<Action> {
    if (error._tag === "Serialization") this.#count(PeerMetrics.streamFailed[error.cause._tag])
    return this.#step({ _tag: "InputEnd", error })
  }

  #receive(message: Message): Effect.Effect<unknown> {
    this.#count(PeerMetrics.messageReceived(message))
    if (!this.#spans.isDetailed) return this.#perform(this.#step({ _tag: "Message", message }))
    return Effect.andThen(
      Spans.within("inbound_ts_collector")(Effect.void),
      Effect.suspend(() => {
        const [first, ...others] = this.#step({ _tag: "Message", message })
        const filtered = first?._tag === "Report" ? this.#report(first.report) : Effect.void
        return Effect.andThen(
          Spans.within("inventory_filter")(filtered),
          this.#perform(first?._tag === "Report" || first === undefined ? others : [first, ...others])
        )
      })
    )
  }

  /** Does all of it, and what follows from it, up to where the machine wants to read. */
  #perform(actions: ReadonlyArray<Action>, from = 0): Effect.Effect<unknown> {
    for (let i = from; i < actions.length; i++) {
      const action = actions[i]!
      if (action._tag === "Unasked") {
        if (!this.#spans.isTraced) continue
        const attributes = { msg: commandOf(action.message) }
        return Spans.within("msg_as_req", { attributes })(Effect.suspend(() => this.#perform(actions, i + 1)))
      }
      const work = this.#do(action)
      if (work === undefined) continue
      return Effect.flatMap(work, (event) =>
        event === undefined ? this.#perform(actions, i + 1) : this.#perform(this.#step(event))
      )
    }
    return Effect.void
  }

  /** Does one action, or says how, where that takes time; that may end in an event. */
  #do(action: Action): Effect.Effect<Event | undefined | void> | undefined {
    switch (action._tag) {
      case "Read":
        return void this.#poke()
      case "Count":
        if (action.of === "requestCanceled") this.#count(PeerMetrics.canceled)
        return void this.#count(PeerMetrics.counterOf(action))
      case "Settle":
        return void this.#waiters.settle(action.waiter, action.exit, this.#now())
      case "Close":
        return void this.#end(action.error, action.failure)
      case "Unasked":
        return undefined
      case "Yield":
        return Effect.yieldNow
      case "Report":
        return this.#for(action.waiter, this.#report(action.report))
      case "SetAlarm":
        return this.#setAlarm(action.atNanos)
      case "Permit":
        return Effect.map(this.#options.host.mayAdvertise(this.info), (isAllowed) => ({ _tag: "Permitted", isAllowed }))
      case "Send":
        return this.#send(action.message, action.waiter)
      case "Ask":
        return this.#ask(action.request)
    }
  }

  #send(message: Message, waiter: Waiter | undefined): Effect.Effect<Event> {
    const entry = this.#waiters.get(waiter)
    if (entry !== undefined) entry.sentNanos = this.#now()
    this.#count(PeerMetrics.messageSent(message))
    const sending = Effect.match(this.#messages.send(message), {
      onSuccess: () => isWritten,
      onFailure: (error): Event => ({ _tag: "WriteFailed", error })
    })
    return this.#for(waiter, this.#spans.isDetailed ? Spans.within("outbound_metric")(sending) : sending)
  }

  /** In traces, what is done for whoever waits belongs to them. */
  #for<A>(waiter: Waiter | undefined, effect: Effect.Effect<A>): Effect.Effect<A> {
    const span = this.#waiters.get(waiter)?.span
    return span === undefined ? effect : Effect.provideService(effect, Tracer.ParentSpan, span)
  }

  /** Lets the program answer, within its time. A turn for others before: a peer that asks without end must not have all. */
  #ask(request: InboundRequest): Effect.Effect<Event> {
    return Effect.gen({ self: this }, function* () {
      yield* Effect.yieldNow
      const outcome = yield* outcomeOf(this.#options.inbound, request, this.#options.policy.inboundTimeout)
      if (outcome._tag === "Failed") {
        yield* Effect.logDebug("no answer to a request of a peer").pipe(
          PeerSocketAddress.annotateLogs("peer", this.transientAddress),
          Effect.annotateLogs({ request: request._tag, cause: outcome.cause })
        )
      } else if (outcome._tag === "Broken") yield* this.#log("the program that answers peers failed", outcome.cause)
      return { _tag: "Answered", outcome }
    })
  }

  #setAlarm(atNanos: bigint): Effect.Effect<undefined> {
    const alarm = Effect.map(Effect.sleep(Duration.nanos(atNanos - this.#now())), () => this.#tell({ _tag: "Alarm" }))
    return Effect.as(Effect.forkChild(alarm, { startImmediately: true }), undefined)
  }

  #report(report: Peers.PeerReport): Effect.Effect<void> {
    return this.#options.host.report(this.id, report)
  }

  #showState(): void {
    const awaited = this.#machine.awaited
    const state =
      this.#error !== undefined
        ? undefined
        : awaited === undefined
          ? "AwaitingRequest"
          : PeerMetrics.awaitingResponse(awaited)
    if (this.#state === state) return
    if (this.#state !== undefined) PeerMetrics.connectionsInState[this.#state].modifyUnsafe(-1, this.#context)
    if (state !== undefined) PeerMetrics.connectionsInState[state].modifyUnsafe(1, this.#context)
    this.#state = state
  }

  #count(counter: PeerMetrics.Counter): void {
    counter.updateUnsafe(1, this.#context)
  }
}

const isWritten: Event = { _tag: "Written" }

/** What the answer of a cancelled request completes with; nobody waits for it. */
const cancelled = Exit.fail(new Peers.ConnectionDropped())
