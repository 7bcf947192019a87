/**
 * What the time of one connection goes into, as traces show it. Where nobody collects spans, each of these gives back what it
 * was given.
 *
 * @module
 */
import { type Context, Effect, Tracer } from "effect"
import * as Spans from "../Spans.ts"
import { commandOf, type Message } from "../wire/Message.ts"
import * as ConnectedAddress from "./ConnectedAddress.ts"
import type { Action } from "./ConnectionMachine.ts"

export class ConnectionSpans {
  /** Whether anybody collects them. */
  readonly isCollected: boolean
  /** Also those of each message. */
  readonly isDetailed: boolean

  private constructor(isCollected: boolean, isDetailed: boolean) {
    this.isCollected = isCollected
    this.isDetailed = isDetailed
  }

  static readonly #none = new ConnectionSpans(false, false)
  static readonly #some = new ConnectionSpans(true, false)
  static readonly #all = new ConnectionSpans(true, true)

  /** To be looked up once, not per message: most of the time nobody collects them. */
  static in(context: Context.Context<never>): ConnectionSpans {
    if (!Spans.isCollected("connection", context)) return this.#none
    return Spans.isCollected("heartbeat", context) ? this.#all : this.#some
  }

  /** All that a connection does. */
  connection(connected: ConnectedAddress.ConnectedAddress, work: Effect.Effect<void>): Effect.Effect<void> {
    if (!this.isCollected) return work
    return Spans.within("connection", { attributes: { peer: ConnectedAddress.label(connected) } })(work)
  }

  heartbeat<A, E>(beats: Effect.Effect<A, E>): Effect.Effect<A, E> {
    return this.isDetailed ? Spans.within("heartbeat")(beats) : beats
  }

  /** A message has come. First it is told what that says of who has what, then the rest is done. */
  received(
    actions: ReadonlyArray<Action>,
    perform: (actions: ReadonlyArray<Action>) => Effect.Effect<unknown>
  ): Effect.Effect<unknown> {
    const told = actions[0]?._tag === "Report" ? 1 : 0
    return Spans.within("inbound_ts_collector")(Effect.void).pipe(
      Effect.flatMap(() => Spans.within("inventory_filter")(Effect.suspend(() => perform(actions.slice(0, told))))),
      Effect.flatMap(() => perform(actions.slice(told)))
    )
  }

  /** A message that is no answer; `follow` does what it asks. */
  unasked<A>(message: Message, follow: () => Effect.Effect<A>): Effect.Effect<A> {
    return Spans.within("msg_as_req", { attributes: { msg: commandOf(message) } })(Effect.suspend(follow))
  }

  /** A message goes out. */
  sending<E>(caller: Tracer.AnySpan | undefined, send: Effect.Effect<void, E>): Effect.Effect<void, E> {
    return inCaller(caller, this.isDetailed ? Spans.within("outbound_metric")(send) : send)
  }
}

/** What is done for whoever waits belongs to them. */
export const inCaller = <A, E>(caller: Tracer.AnySpan | undefined, effect: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  caller === undefined ? effect : Effect.provideService(effect, Tracer.ParentSpan, caller)
