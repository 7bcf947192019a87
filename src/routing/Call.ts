/**
 * One request, from its caller's asking until the caller has its answer or gives up.
 *
 * Whoever routes it gives the caller an effect to go on with (`Next`): the answer of a peer, a failure, or to wait until it
 * is told what is next. So it is the caller's own fiber that waits, and that measures for how long.
 *
 * @module
 */
import { Deferred, type Duration, Effect, Exit, type Fiber, type Tracer } from "effect"
import { CurrentWait } from "../BackgroundTasks.ts"
import type { PeerError } from "../peer/Peer.ts"
import type { ConnectionId, Request, Response } from "../peer/Request.ts"
import type { RequestError } from "./RequestError.ts"

/** What the caller of a request does next. */
export type Next = Effect.Effect<Response, RequestError>

/** The wait for one peer's answer. */
export type Flight = Fiber.Fiber<Response, PeerError>

const nowhere: ReadonlySet<string> = new Set()

export class Call {
  readonly request: Request
  /** Whom the caller does not want, while somebody else is ready. */
  readonly exclude: ReadonlySet<ConnectionId>
  /** What peers are asked belongs to it, in traces. */
  readonly span: Tracer.AnySpan | undefined
  /** What peers are asked for it. */
  flights: ReadonlyArray<Flight> = []
  /** Who had advertised or listed what is asked for, when it was routed. */
  promised: ReadonlySet<ConnectionId> | undefined
  /** Networks where the same thing was asked for in vain, or that the caller does not want; the latest of them. */
  tried: ReadonlySet<string> = nowhere
  /** The caller has its answer or has given up. */
  isOver = false
  #told: Deferred.Deferred<Next> | undefined

  constructor(request: Request, exclude: ReadonlySet<ConnectionId>, span: Tracer.AnySpan | undefined) {
    this.request = request
    this.exclude = exclude
    this.span = span
  }

  /** Whether it was never put off and no peer owes an answer: when it ends, nobody else has to know. */
  get leavesNothing(): boolean {
    return this.#told === undefined && this.flights.every((flight) => flight.pollUnsafe() !== undefined)
  }

  /** Lets the caller wait until it is told what to do. */
  wait(): Next {
    const told = Deferred.await(this.#makeTold())
    return Effect.flatten(Effect.provideService(told, CurrentWait, `a peer for ${this.request._tag}`))
  }

  /** The same; after so long it does something else, and waits on. */
  waitAtMost(duration: Duration.Duration, whenLate: () => void): Next {
    const told = Deferred.await(this.#makeTold())
    return Effect.flatten(
      Effect.timeoutOrElse(told, { duration, orElse: () => Effect.andThen(Effect.sync(whenLate), told) })
    )
  }

  /** Tells a caller that waits now. Get this before routing the call on, which may make it wait once more. */
  waiter(): (next: Next) => void {
    const told = this.#told
    return (next) => {
      if (told !== undefined) Deferred.doneUnsafe(told, Exit.succeed(next))
    }
  }

  #makeTold(): Deferred.Deferred<Next> {
    const told = Deferred.makeUnsafe<Next>()
    this.#told = told
    return told
  }
}
