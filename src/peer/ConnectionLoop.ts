/**
 * Does what `ConnectionMachine` decides: reads, writes, asks, waits, counts, and tells whoever waits.
 *
 * What is asked of the connection from outside is an event for the machine at once; what follows from it is done by the
 * loop, through the scheduler, never inside of whoever asked.
 *
 * **Security**
 *
 * Held besides what the machine holds: one message and one chunk of input (`MessageStream.maxBufferedBytes`), and one
 * message of output above the transport's high-water mark. Whoever asked something is answered exactly once, however the
 * connection ends: `end` gives everybody that is left the first error, whatever the loop was doing.
 *
 * @module
 */
import { Cause, Clock, Context, Deferred, Duration, Effect, Exit, type Fiber, Random, Result, Tracer } from "effect"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { LimitedLog } from "../LimitedLog.ts"
import type { Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { commandOf, type Message } from "../wire/Message.ts"
import * as ConnectedAddress from "./ConnectedAddress.ts"
import { type Action, ConnectionMachine, type Event, type Waiter } from "./ConnectionMachine.ts"
import { type InboundRequests, outcomeOf } from "./InboundRequests.ts"
import type { MessageStream, ReceiveError } from "./MessageStream.ts"
import {
  type ConnectionHost,
  type ConnectionInfo,
  ConnectionTaskExited,
  type PeerError,
  type PeerReport
} from "./Peer.ts"
import * as PeerMetrics from "./PeerMetrics.ts"
import { type ConnectionRecord, Recording } from "./Recording.ts"
import type { ConnectionId, InboundRequest, Ping, Request } from "./Request.ts"
import { Waiters } from "./Waiters.ts"

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
  /** Tells of what peers can set off at will: bugs, of this node or of the program that answers, and closes for overload. */
  readonly log: LimitedLog
}

/** One connection at work. */
export class ConnectionLoop {
  readonly machine: ConnectionMachine
  readonly waiters: Waiters
  readonly closed = Deferred.makeUnsafe<PeerError>()
  readonly isTraced: boolean
  readonly isTracedInDetail: boolean
  readonly #options: Options
  readonly #clock: Clock.Clock
  readonly #context: Context.Context<never>
  readonly #record: ConnectionRecord | undefined
  #error: PeerError | undefined
  #failure: Exit.Exit<never, PeerError> | undefined
  #fiber: Fiber.Fiber<void> | undefined
  /** What the gauge of states has this connection as. */
  #shown: (Request | Ping)["_tag"] | "idle" | undefined
  /** The machine wants to go on. */
  #isPoked = true
  #wake: ((continuation: Effect.Effect<void>) => void) | undefined
  #isReading = false
  #inputEnd: ReceiveError | undefined

  constructor(options: Options, context: Context.Context<never>) {
    const { id, info, policy } = options
    const random = Context.get(context, Random.Random)
    const address = ConnectedAddress.transientAddress(info.connectedAddress)
    this.#options = options
    this.#clock = Context.get(context, Clock.Clock)
    this.#context = context
    // Looked up once, not per message: most of the time nobody collects them.
    this.isTraced = Spans.isCollected("connection", context)
    this.isTracedInDetail = Spans.isCollected("heartbeat", context)
    const nowSeconds = Math.floor(this.#clock.currentTimeMillisUnsafe() / 1000)
    const machineOptions = {
      limits: policy,
      source: address === undefined ? undefined : { connection: id, address },
      services: info.remote.services,
      addresses: ConnectedAddress.alternates(info.connectedAddress, info.remote.addressFrom.address, nowSeconds),
      random: () => random.nextDoubleUnsafe()
    }
    this.#record = Context.get(context, Recording)?.begin(id, info, machineOptions)
    this.machine = new ConnectionMachine(this.#record?.options ?? machineOptions)
    const nanos = (duration: Duration.Duration) => Number(Duration.toNanosUnsafe(duration))
    const estimate = { answerNanos: nanos(policy.initialAnswerTime), updatedAtNanos: this.now() }
    this.waiters = new Waiters(estimate, nanos(policy.answerTimeDecay))
  }

  /** Why the connection ended. */
  get error(): PeerError | undefined {
    return this.#error
  }

  /** The same for those who wait; a defect of ours stays one. */
  get failure(): Exit.Exit<never, PeerError> | undefined {
    return this.#failure
  }

  /** By the monotonic clock. */
  now(): bigint {
    return this.#clock.monotonicTimeNanosUnsafe()
  }

  /** Goes on until it is interrupted. */
  run(beside: Effect.Effect<void>): Effect.Effect<void> {
    return this.#guarded(
      Effect.flatMap(Effect.forkChild(this.#guarded(beside)), () =>
        Effect.whileLoop({ while: () => true, body: () => this.#work(), step: () => undefined })
      )
    )
  }

  /** To be called before anything happens: the fiber is interrupted at the end. */
  started(fiber: Fiber.Fiber<void>): void {
    this.#fiber = fiber
    this.#showState()
  }

  /** An event from outside, which has no action that takes time. */
  tell(event: Event): void {
    for (const action of this.#step(event)) this.#do(action)
  }

  report(report: PeerReport): Effect.Effect<void> {
    return this.#options.host.report(this.#options.id, report)
  }

  /** Work of the connection that ends by a defect ends the connection. */
  #guarded(work: Effect.Effect<void>): Effect.Effect<void> {
    return Effect.catchCause(work, (cause) => {
      if (Cause.hasInterruptsOnly(cause)) return Effect.void
      const failure = Exit.failCause(Cause.fromReasons<never>(cause.reasons.filter(Cause.isDieReason)))
      const error = new ConnectionTaskExited()
      return Effect.andThen(
        this.#log("a connection ended by a defect of this node", cause),
        Effect.sync(() => {
          this.tell({ _tag: "Close", error, failure })
          this.#end(error, failure)
        })
      )
    })
  }

  #log(message: string, cause: Cause.Cause<unknown>): Effect.Effect<void> {
    return this.#options.log(message, Effect.logError(message, cause))
  }

  /** The first call decides. Everybody who waits on this connection hears of it now. */
  #end(error: PeerError, failure: Exit.Exit<never, PeerError>): void {
    if (this.#error !== undefined) return
    this.#error = error
    this.#failure = failure
    this.#showState()
    this.#fiber?.interruptUnsafe()
    this.#options.messages.release()
    this.waiters.end(failure, this.now())
    Deferred.doneUnsafe(this.closed, Exit.succeed(error))
  }

  #step(event: Event): ReadonlyArray<Action> {
    const now = this.now()
    const actions = this.#record?.step(this.machine, event, now) ?? this.machine.step(event, now)
    this.waiters.tellRoom(this.machine.hasRoom && !this.machine.isClosed)
    this.#showState()
    return actions
  }

  /** Looks for what the peer has said, unless there is nothing to do. */
  #work(): Effect.Effect<unknown> {
    if (!this.#isPoked) return this.#change
    this.#isPoked = false
    const polled = this.#options.messages.poll()
    if (Result.isFailure(polled)) return this.#perform(this.#inputEnds(polled.failure))
    if (polled.success !== undefined) return this.#receive(polled.success)
    if (this.#inputEnd !== undefined) return this.#perform(this.#inputEnds(this.#inputEnd))
    if (this.#isReading) {
      const actions = this.#step({ _tag: "Quiet" })
      return actions.length === 0 ? this.#change : this.#perform(actions)
    }
    // Done at once if the transport has it: that comes before what we want to say.
    this.#isPoked = true
    this.#isReading = true
    const hasRead = (end?: ReceiveError) => {
      this.#isReading = false
      this.#inputEnd = end
      this.#poke()
    }
    const read = Effect.match(this.#options.messages.fill, { onSuccess: () => hasRead(), onFailure: hasRead })
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
    if (!this.isTracedInDetail) return this.#perform(this.#step({ _tag: "Message", message }))
    return Effect.andThen(
      Spans.within("inbound_ts_collector")(Effect.void),
      Effect.suspend(() => {
        const [first, ...others] = this.#step({ _tag: "Message", message })
        const filtered = first?._tag === "Report" ? this.report(first.report) : Effect.void
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
        if (!this.isTraced) continue
        const attributes = { msg: commandOf(action.message) }
        return Spans.within("msg_as_req", { attributes })(Effect.suspend(() => this.#perform(actions, i + 1)))
      }
      if (action._tag === "Send") return this.#send(action.message, action.waiter)
      const work = this.#do(action)
      if (work === undefined) continue
      return Effect.flatMap(work, (event) =>
        event === undefined ? this.#perform(actions, i + 1) : this.#perform(this.#step(event))
      )
    }
    return Effect.void
  }

  /** Does one action, or says how, where that takes time; that may end in an event. */
  #do(action: Action): Effect.Effect<Event | undefined> | undefined {
    switch (action._tag) {
      case "Read":
        return void this.#poke()
      case "Count":
        if (action.of === "requestCanceled") this.#count(PeerMetrics.canceled)
        return void this.#count(PeerMetrics.counterOf(action))
      case "Settle":
        return void this.waiters.settle(action.waiter, action.exit, this.now())
      case "Close":
        return void this.#end(action.error, action.failure)
      // Only the loop sends, and knows what for.
      case "Send":
      case "Unasked":
        return undefined
      case "Yield":
        return Effect.as(Effect.yieldNow, undefined)
      // What a function without an answer gives back may be anything, and is no event.
      case "Report":
        return this.#for(action.waiter, Effect.as(this.report(action.report), undefined))
      case "SetAlarm":
        return this.#setAlarm(action.atNanos)
      case "Permit":
        return Effect.map(this.#options.host.mayAdvertise(this.#options.info), (isAllowed) => ({
          _tag: "Permitted",
          isAllowed
        }))
      case "Ask":
        return this.#ask(action.request)
    }
  }

  /** Writes it, and does what follows from that. */
  #send(message: Message, waiter: Waiter | undefined): Effect.Effect<unknown> {
    const entry = this.waiters.get(waiter)
    if (entry !== undefined) entry.sentNanos = this.now()
    this.#count(PeerMetrics.messageSent(message))
    const sending = this.#options.messages.send(message)
    return Effect.matchEffect(
      this.#for(waiter, this.isTracedInDetail ? Spans.within("outbound_metric")(sending) : sending),
      {
        onSuccess: () => this.#perform(this.#step(isWritten)),
        onFailure: (error) => this.#perform(this.#step({ _tag: "WriteFailed", error }))
      }
    )
  }

  /** In traces, what is done for whoever waits belongs to them. */
  #for<A, E>(waiter: Waiter | undefined, effect: Effect.Effect<A, E>): Effect.Effect<A, E> {
    const span = this.waiters.get(waiter)?.span
    return span === undefined ? effect : Effect.provideService(effect, Tracer.ParentSpan, span)
  }

  /** Lets the program answer, within its time. A turn for others before: a peer that asks without end must not have all. */
  #ask(request: InboundRequest): Effect.Effect<Event> {
    return Effect.gen({ self: this }, function* () {
      yield* Effect.yieldNow
      const outcome = yield* outcomeOf(this.#options.inbound, request, this.#options.policy.inboundTimeout)
      if (outcome._tag === "Failed") {
        yield* Effect.logDebug("no answer to a request of a peer").pipe(
          PeerSocketAddress.annotateLogs(
            "peer",
            ConnectedAddress.transientAddress(this.#options.info.connectedAddress)
          ),
          Effect.annotateLogs({ request: request._tag, cause: outcome.cause })
        )
      } else if (outcome._tag === "Broken") yield* this.#log("the program that answers peers failed", outcome.cause)
      return { _tag: "Answered", outcome }
    })
  }

  #setAlarm(atNanos: bigint): Effect.Effect<undefined> {
    const alarm = Effect.map(Effect.sleep(Duration.nanos(atNanos - this.now())), () => this.tell({ _tag: "Alarm" }))
    return Effect.as(Effect.forkChild(alarm, { startImmediately: true }), undefined)
  }

  /** Most events change nothing that is shown. */
  #showState(): void {
    const shown = this.#error === undefined ? (this.machine.awaited ?? "idle") : undefined
    if (shown === this.#shown) return
    this.#changeGauge(-1)
    this.#shown = shown
    this.#changeGauge(1)
  }

  #changeGauge(by: number): void {
    const shown = this.#shown
    if (shown === undefined) return
    const state = shown === "idle" ? "AwaitingRequest" : PeerMetrics.awaitingResponse(shown)
    PeerMetrics.connectionsInState[state].modifyUnsafe(by, this.#context)
  }

  #count(counter: PeerMetrics.Counter): void {
    counter.updateUnsafe(1, this.#context)
  }
}

const isWritten: Event = { _tag: "Written" }
