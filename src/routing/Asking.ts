/**
 * One request on its way: how it is put to a peer, how its caller waits, and how it is given up.
 *
 * Everything here is synchronous and runs within a step of `PeerSet.ts`. What a caller does next is the effect it is
 * given (`Next`); its own fiber measures how long it waits.
 *
 * @module
 */
import { Cause, Deferred, type Duration, Effect, Exit, Fiber, Tracer } from "effect"
import type { NetworkEnd } from "../BackgroundTasks.ts"
import type { PeerError } from "../peer/Peer.ts"
import type { ConnectionId, Request, Response } from "../peer/Request.ts"
import type { Policy } from "../Policy.ts"
import type { InventoryItem } from "../wire/Message.ts"
import type { ConnectedPeers, Member } from "./ConnectedPeers.ts"
import type { HashRecord } from "./InventoryRegistry.ts"
import * as PeerChoice from "./PeerChoice.ts"
import type { InventoryRefusal, PeerSetMetrics } from "./PeerSetMetrics.ts"
import { NotFoundRegistry, RequestError } from "./RequestError.ts"
import type { Steps } from "./Steps.ts"

/** What the caller of a request does next. */
export type Next = Effect.Effect<Response, RequestError>

/** One request, from its caller's asking until the caller has its answer or gives up. */
export interface Call {
  readonly request: Request
  /** Whom the caller does not want, while somebody else is ready. */
  readonly exclude: ReadonlySet<ConnectionId>
  /** What peers are asked belongs to it, in traces. */
  readonly span: Tracer.AnySpan | undefined
  /** Told what to do next; there once the caller had to wait. */
  waiter: Deferred.Deferred<Next> | undefined
  /** The waits for the peers' answers. */
  flights: ReadonlyArray<Flight>
  /** The caller has its answer or has given up. */
  isOver: boolean
}

type Flight = Fiber.Fiber<Response, PeerError>

export const makeCall = (
  request: Request,
  exclude: ReadonlySet<ConnectionId>,
  span: Tracer.AnySpan | undefined
): Call => ({
  request,
  exclude,
  span,
  waiter: undefined,
  flights: [],
  isOver: false
})

/** What routing knows and can do beyond itself. */
export interface Surroundings {
  readonly policy: Policy
  /** Broadcasts go to everybody. */
  readonly isRegtest: boolean
  readonly connected: ConnectedPeers
  readonly steps: Steps
  readonly metrics: PeerSetMetrics
  readonly draw: PeerChoice.DrawBelow
  /** Of the monotonic clock. */
  readonly nowNanos: () => bigint
  readonly recordOf: (item: InventoryItem) => HashRecord
  /** The end of the network: from then on callers hear of it, whatever peers answer or fail with. */
  readonly ended: () => NetworkEnd | undefined
  /** Starts an effect in the scope of the peer set, at once. */
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** The peer was asked: it is busy until it is ready again. */
  readonly becameBusy: (member: Member) => void
  /** The peer is not ready, though nobody told us. */
  readonly lostTrack: (member: Member) => void
  /** The peer answered or failed, or the caller gave up. */
  readonly landed: (request: Request, member: Member, exit: Exit.Exit<Response, PeerError>) => void
}

const nil: Response = { _tag: "Nil" }

export class Asking {
  readonly around: Surroundings

  constructor(around: Surroundings) {
    this.around = around
  }

  get pools(): PeerChoice.PeerPools {
    return this.around.connected.pools
  }

  /** Ready peers. */
  get ready(): number {
    return PeerChoice.readyCount(this.pools)
  }

  // -- to peers ------------------------------------------------------------------------------

  /** Puts the request to the less loaded of two candidates. `undefined` when that one turns out not to be ready. */
  oneOf(call: Call, candidates: PeerChoice.Candidates): Next | undefined {
    const { connected, draw, nowNanos } = this.around
    const now = nowNanos()
    const id = PeerChoice.lessLoaded(candidates, draw, (id) => connected.get(id)?.peer.load(now) ?? 0)
    return id === undefined ? undefined : this.one(call, id)
  }

  /** Puts the request to a peer. `undefined` when it turns out not to be ready. */
  one(call: Call, id: ConnectionId): Next | undefined {
    const member = this.#usable(id)
    if (member === undefined) return undefined
    const flight = this.#send(call.request, member, call.span)
    this.#board(call, [flight])
    return Effect.flatMap(Fiber.await(flight), (exit): Next =>
      Exit.isSuccess(exit) ? Effect.succeed(exit.value) : this.#failed(exit.cause)
    )
  }

  /** Puts the request to all of these; the answer is `Nil` when all have answered or failed. */
  all(call: Call, ids: ReadonlyArray<ConnectionId>): Next | undefined {
    const members = ids.map((id) => this.#usable(id)).filter((member) => member !== undefined)
    if (members.length === 0 && ids.length > 0) return undefined
    const flights = members.map((member) => this.#send(call.request, member, call.span))
    this.#board(call, flights)
    return Effect.flatMap(
      Effect.forEach(flights, (flight) => Fiber.await(flight)),
      (exits): Next => {
        const ended = this.around.ended()
        if (ended !== undefined) return Effect.fail(new RequestError({ reason: ended }))
        return Effect.logDebug("broadcast sent").pipe(
          Effect.annotateLogs({ peers: exits.length, failed: exits.filter(Exit.isFailure).length }),
          Effect.as(nil)
        )
      }
    )
  }

  /** Puts a request to a peer that no caller waits for. Whether it was ready. */
  unattended(request: Request, id: ConnectionId): boolean {
    const member = this.#usable(id)
    if (member === undefined) return false
    this.#send(request, member)
    return true
  }

  /** What a caller hears of a peer's failure: of the end of the network, if that is what it was. */
  #failed(cause: Cause.Cause<PeerError>): Next {
    const ended = this.around.ended()
    if (ended !== undefined) return Effect.fail(new RequestError({ reason: ended }))
    return Effect.failCause(Cause.map(cause, (reason) => new RequestError({ reason })))
  }

  /** Gives up what peers were asked. */
  cancel(call: Call): void {
    for (const flight of call.flights) this.around.steps.later(() => flight.interruptUnsafe())
  }

  /** The member, if it can really be asked: its connection may have ended in this very moment. */
  #usable(id: ConnectionId): Member | undefined {
    const { connected, lostTrack } = this.around
    const member = connected.get(id)
    if (member === undefined) throw new Error("only connected peers are in a pool")
    if (member.peer.readiness() === "Ready") return member
    lostTrack(member)
    return undefined
  }

  #send(request: Request, member: Member, span?: Tracer.AnySpan): Flight {
    const { becameBusy, landed, run } = this.around
    const asking = member.peer.enqueueUnsafe(request)
    const flight: Flight = run(span === undefined ? asking : Effect.provideService(asking, Tracer.ParentSpan, span))
    becameBusy(member)
    flight.addObserver((exit) => landed(request, member, exit))
    return flight
  }

  #board(call: Call, flights: ReadonlyArray<Flight>): void {
    call.flights = flights
    // Given up while it was being sent.
    if (call.isOver) this.cancel(call)
  }

  // -- to callers ----------------------------------------------------------------------------

  /** Lets the caller wait until it is told what to do, and does `whenLate` once it has waited so long. */
  park(call: Call, patience?: { readonly duration: Duration.Duration; readonly whenLate: () => void }): Next {
    const waiter = Deferred.makeUnsafe<Next>()
    call.waiter = waiter
    const told = Deferred.await(waiter)
    if (patience === undefined) return Effect.flatten(told)
    const { duration, whenLate } = patience
    const orElse = () =>
      Effect.andThen(
        Effect.sync(() => this.around.steps.run(whenLate)),
        told
      )
    return Effect.flatten(Effect.timeoutOrElse(told, { duration, orElse }))
  }

  /** Tells whoever waits what to do next. Routing a call may give it another waiter: take the one from before. */
  tell(waiter: Call["waiter"], next: Next): void {
    if (waiter !== undefined) this.around.steps.later(() => Deferred.doneUnsafe(waiter, Exit.succeed(next)))
  }

  /** Nobody is to be asked. */
  refuse(item: InventoryItem, kind: InventoryRefusal): Next {
    this.around.metrics.inventoryRefusal(kind)
    return Effect.logDebug("no connected peer may have what was asked for").pipe(
      Effect.annotateLogs({ item: item._tag, refusal: kind }),
      // Who asks again at once must not keep others from running.
      Effect.andThen(Effect.yieldNow),
      Effect.andThen(
        Effect.suspend(() => Effect.fail(new RequestError({ reason: new NotFoundRegistry({ hashes: [item] }) })))
      )
    )
  }
}
