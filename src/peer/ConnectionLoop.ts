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
import { Cause, Clock, Context, Effect, Exit, type Fiber, Option, Result } from "effect"
import type { Message } from "../wire/Message.ts"
import { Alarms } from "./Alarms.ts"
import * as ConnectionLog from "./ConnectionLog.ts"
import type { Action, ConnectionMachine, Event, Waiter } from "./ConnectionMachine.ts"
import type { Decider, Options } from "./ConnectionOptions.ts"
import { ConnectionSpans, inCaller } from "./ConnectionSpans.ts"
import { Heart } from "./Heartbeat.ts"
import { outcomeOf } from "./InboundRequests.ts"
import { forever, type ReceiveError } from "./MessageStream.ts"
import { ConnectionTaskExited, type PeerError, type PeerReport } from "./Peer.ts"
import * as PeerMetrics from "./PeerMetrics.ts"
import type { ConnectionRecord } from "./Recording.ts"
import type { InboundRequest } from "./Request.ts"
import { type Ending, Waiters } from "./Waiters.ts"

/** Events after which others have a turn: a chunk may hold two thousand messages, and an answer hundreds. */
const eventsPerTurn = 64

/** One connection at work. */
export class ConnectionLoop {
  readonly machine: ConnectionMachine
  readonly waiters: Waiters
  readonly spans: ConnectionSpans
  readonly alarms: Alarms
  readonly #options: Options
  readonly #context: Context.Context<never>
  readonly #clock: Clock.Clock
  readonly #record: ConnectionRecord | undefined
  #fiber: Fiber.Fiber<void> | undefined
  #heart: Heart | undefined
  /** What the gauge of states has this connection as. */
  #activity: PeerMetrics.Activity | undefined
  /** The machine wants to go on. */
  #isPoked = true
  #eventsOfTurn = 0
  #wake: ((continuation: Effect.Effect<void>) => void) | undefined

  constructor(options: Options, { machine, record }: Decider, context: Context.Context<never>) {
    this.machine = machine
    this.spans = ConnectionSpans.in(context)
    this.#options = options
    this.#context = context
    this.#clock = Context.get(context, Clock.Clock)
    this.#record = record
    this.alarms = new Alarms(options.alarmClock)
    this.waiters = new Waiters(options.policy, this.now())
  }

  /** By the monotonic clock. */
  now(): bigint {
    return this.#clock.monotonicTimeNanosUnsafe()
  }

  /** An event from outside, which has no action that takes time. */
  tell(event: Event): void {
    for (const action of this.#step(event)) this.#do(action)
  }

  report(report: PeerReport): Effect.Effect<void> {
    return this.#options.host.report(this.#options.id, report)
  }

  /** To be called before anything happens: the fiber is interrupted at the end. */
  started(fiber: Fiber.Fiber<void>): void {
    this.#fiber = fiber
    this.#showState()
  }

  /** Goes on until it is interrupted, with heartbeats beside it. However one of these ends, the connection ends with it. */
  run(heartbeat: () => Effect.Effect<void, PeerError>): Effect.Effect<void> {
    const { alarmClock, messages, policy, sleepers } = this.#options
    const reading = messages.reading(() => this.#hasInput())
    const loop = this.#guarded(forever(() => this.#work()))
    return Effect.contextWith((context: Context.Context<never>) => {
      this.#heart = new Heart(alarmClock, policy.pingInterval, (over) => {
        const beat = Effect.ensuring(this.#guarded(heartbeat()), Effect.sync(over))
        sleepers(Effect.setContext(beat, context))
      })
      if (reading === undefined) return loop
      return Effect.andThen(Effect.forkChild(this.#guarded(reading), { startImmediately: true }), loop)
    })
  }

  #guarded(task: Effect.Effect<void, PeerError>): Effect.Effect<void> {
    return Effect.catchCause(task, (cause) => this.#taskEnded(cause))
  }

  #taskEnded(cause: Cause.Cause<PeerError>): Effect.Effect<void> {
    const error = Cause.findErrorOption(cause)
    if (Option.isSome(error)) return this.pingFailed(error.value)
    if (Cause.hasInterruptsOnly(cause)) return Effect.void
    const failure = Exit.failCause(Cause.fromReasons<never>(cause.reasons.filter(Cause.isDieReason)))
    return Effect.map(ConnectionLog.defect(this.#options.log, cause), () => {
      const ending = { error: new ConnectionTaskExited(), failure }
      this.tell({ _tag: "Close", ...ending })
      this.#end(ending)
    })
  }

  /** Of a ping that ended with the connection the machine has reported what there was to report. */
  pingFailed(error: PeerError): Effect.Effect<void> {
    if (this.machine.isClosed) return Effect.void
    const reported = this.report({ _tag: "Failed", services: undefined })
    return Effect.map(reported, () => this.tell({ _tag: "Close", error, failure: Exit.fail(error) }))
  }

  /** The first call decides. Everybody who waits on this connection hears of it now. */
  #end({ error, failure }: Ending): void {
    if (this.waiters.ending !== undefined) return
    this.waiters.ending = { error, failure }
    this.#showState()
    this.#fiber?.interruptUnsafe()
    this.#options.messages.release()
    this.alarms.end()
    this.#heart?.end()
    this.#options.alarmClock.rest()
    this.waiters.tellEnd(this.now())
  }

  #step(event: Event): ReadonlyArray<Action> {
    this.#eventsOfTurn++
    const now = this.now()
    const actions = this.#record?.step(this.machine, event, now) ?? this.machine.step(event, now)
    this.waiters.tellRoom(this.machine.hasRoom && !this.machine.isClosed)
    this.#showState()
    return actions
  }

  /** Looks for what the peer has said, unless there is nothing to do. */
  #work(): Effect.Effect<unknown> {
    if (!this.#isPoked) return this.#change
    if (this.#eventsOfTurn >= eventsPerTurn) return this.#giveWay
    this.#isPoked = false
    const { messages } = this.#options
    const polled = messages.poll()
    if (Result.isFailure(polled)) return this.#inputEnds(polled.failure)
    if (polled.success !== undefined) return this.#receive(polled.success)
    if (messages.isReading) {
      const actions = this.#step(isQuiet)
      return actions.length === 0 ? this.#change : this.#perform(actions)
    }
    this.#isPoked = true
    if (messages.isDecoding) return Effect.yieldNow
    // Done at once if the transport has it: that comes before what we want to say.
    messages.readOn()
    return Effect.void
  }

  readonly #giveWay = Effect.map(Effect.yieldNow, () => void (this.#eventsOfTurn = 0))

  readonly #change = Effect.callback<void>((resume) => {
    this.#eventsOfTurn = 0
    if (this.#isPoked) resume(Effect.void)
    else this.#wake = resume
  })

  #poke(): void {
    this.#isPoked = true
    const wake = this.#takeWake()
    // Its turn comes once: a fiber that is woken to give way would begin and end in vain.
    if (wake !== undefined) this.#fiber?.currentDispatcher.scheduleTask(() => wake(Effect.void), 0)
  }

  /** A turn of its own already (`ByteStream.readNow`): what came is answered before the next socket is looked at. */
  #hasInput(): void {
    this.#isPoked = true
    this.#takeWake()?.(Effect.void)
  }

  #takeWake() {
    const wake = this.#wake
    this.#wake = undefined
    return wake
  }

  #inputEnds(error: ReceiveError): Effect.Effect<unknown> {
    if (error._tag === "Serialization") PeerMetrics.streamFailed[error.cause._tag].updateUnsafe(1, this.#context)
    return this.#perform(this.#step({ _tag: "InputEnd", error }))
  }

  #receive(message: Message): Effect.Effect<unknown> {
    PeerMetrics.messageReceived(message).updateUnsafe(1, this.#context)
    const actions = this.#step({ _tag: "Message", message })
    return this.spans.isDetailed ? this.spans.received(actions, (part) => this.#perform(part)) : this.#perform(actions)
  }

  /** Does all of it, and what follows from it, up to where the machine wants to read. */
  #perform(actions: ReadonlyArray<Action>, from = 0): Effect.Effect<unknown> {
    let todo = actions
    let next = from
    while (next < todo.length) {
      const action = todo[next++]!
      if (action._tag === "Send") {
        const writing = this.#send(action.message, action.waiter)
        if (writing !== undefined) return writing
        // Nothing comes after a `Send`: what does is said when it is written.
        todo = this.#step(isWritten)
        next = 0
        if (this.#eventsOfTurn < eventsPerTurn) continue
        return Effect.flatMap(this.#giveWay, () => this.#perform(todo))
      }
      if (action._tag === "Unasked" && this.spans.isCollected)
        return this.spans.unasked(action.message, () => this.#perform(todo, next))
      const work = this.#do(action)
      if (work === undefined) continue
      return Effect.flatMap(work, (event) =>
        event === undefined ? this.#perform(todo, next) : this.#perform(this.#step(event))
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
        return PeerMetrics.count(action, this.#context)
      case "Settle":
        return void this.waiters.settle(action.waiter, action.exit, this.now())
      case "Close":
        return void this.#end(action)
      // Only the loop sends, and knows what for.
      case "Send":
      case "Unasked":
        return undefined
      case "Yield":
        return Effect.as(Effect.yieldNow, undefined)
      // What a function without an answer gives back may be anything, and is no event.
      case "Report":
        return inCaller(this.waiters.get(action.waiter)?.span, Effect.as(this.report(action.report), undefined))
      case "SetAlarm":
        return void this.alarms.set(action.atNanos, () => this.tell({ _tag: "Alarm" }))
      case "Permit":
        return Effect.map(this.#options.host.mayAdvertise(this.#options.info), permitted)
      case "Ask":
        return this.#ask(action.request)
    }
  }

  /** Writes it. If that takes time, what is left to do: waiting for it, and what follows from it. */
  #send(message: Message, waiter: Waiter | undefined): Effect.Effect<unknown> | undefined {
    const caller = this.waiters.sending(waiter, this.now())?.span
    const { messages } = this.#options
    PeerMetrics.messageSent(message).updateUnsafe(1, this.#context)
    const writing = this.spans.isCollected ? messages.send(message) : messages.begin(message)
    if (writing === undefined) return undefined
    return Effect.matchEffect(this.spans.sending(caller, writing), {
      onSuccess: () => this.#perform(this.#step(isWritten)),
      onFailure: (error) => this.#perform(this.#step({ _tag: "WriteFailed", error }))
    })
  }

  /** Lets the program answer, within its time. A turn for others before: a peer that asks without end must not have all. */
  #ask(request: InboundRequest): Effect.Effect<Event> {
    const { inbound, info, log, policy } = this.#options
    return Effect.yieldNow.pipe(
      Effect.flatMap(() => outcomeOf(inbound, request, policy.inboundTimeout)),
      Effect.tap((outcome) => ConnectionLog.outcome(log, info, request, outcome)),
      Effect.map((outcome) => ({ _tag: "Answered", outcome }))
    )
  }

  /** Most events change nothing that is shown. */
  #showState(): void {
    const activity = this.waiters.ending === undefined ? (this.machine.awaited ?? "idle") : undefined
    if (activity !== this.#activity)
      this.#activity = PeerMetrics.connectionMoved(this.#activity, activity, this.#context)
  }
}

const isWritten: Event = { _tag: "Written" }
const isQuiet: Event = { _tag: "Quiet" }
const permitted = (isAllowed: boolean): Event => ({ _tag: "Permitted", isAllowed })
