/**
 * Puts requests to peers.
 *
 * Everything here is synchronous and runs within a step of `Steps.ts`. A request is with its peer when the step is over;
 * what becomes of it is kept until it is asked for (`takeLandings`).
 *
 * @module
 */
import { Cause, Effect, Exit, Fiber, Tracer } from "effect"
import type { NetworkEnd } from "../BackgroundTasks.ts"
import type { PeerError } from "../peer/Peer.ts"
import type { ConnectionId, Request, Response } from "../peer/Request.ts"
import type { Call, Flight, Next } from "./Call.ts"
import { type Landing, outcomeOf, saysSomething } from "./Landing.ts"
import type { Member } from "./ConnectedPeers.ts"
import { DiversePeers } from "./DiversePeers.ts"
import type { Membership } from "./Membership.ts"
import * as PeerChoice from "./PeerChoice.ts"
import { type PeerCandidates, type PeerChooser, twoAtRandom } from "./PeerSelection.ts"
import { RequestError } from "./RequestError.ts"
import type { Steps } from "./Steps.ts"

export interface Options {
  readonly membership: Membership
  readonly chooser: PeerChooser
  readonly steps: Steps
  readonly draw: PeerChoice.DrawBelow
  /** Of the monotonic clock. */
  readonly nowNanos: () => bigint
  /** The end of the network: from then on callers hear of it, whatever peers answer or fail with. */
  readonly ended: () => NetworkEnd | undefined
  /** Starts the wait for an answer, at once. */
  readonly fly: (effect: Effect.Effect<Response, PeerError>) => Flight
  /** Tells of a bug of ours. */
  readonly tellDefect: (defect: unknown) => void
  /** Tells of a chooser that does not keep to its rules. */
  readonly tellMisrule: (cause: unknown) => void
}

const nil: Response = { _tag: "Nil" }

export class Dispatch {
  readonly #options: Options
  readonly #isWatched: boolean
  #landings: Array<Landing> = []

  constructor(options: Options) {
    this.#options = options
    this.#isWatched = options.chooser.landed !== undefined
  }

  // -- asking ----------------------------------------------------------------------------------

  /** Puts the request to one of the candidates. `undefined` when that one turns out not to be ready, or there is none. */
  oneOf(call: Call, candidates: PeerChoice.Candidates): Next | undefined {
    if (candidates.size === 0) return undefined
    return this.one(call, candidates.size === 1 ? candidates.at(0) : this.#choose(call, candidates))
  }

  /** Puts the request to a peer. `undefined` when it turns out not to be ready. */
  one(call: Call, id: ConnectionId): Next | undefined {
    const member = this.#options.membership.usable(id)
    if (member === undefined) return undefined
    const flight = this.#send(call.request, member, call.span, call.promised?.has(id) === true)
    this.#attach(call, [flight])
    return Effect.flatMap(Fiber.await(flight), (exit) => this.#answer(exit))
  }

  /** Puts the request to all of these; the answer is `Nil` when all have answered or failed. */
  all(call: Call, ids: ReadonlyArray<ConnectionId>): Next | undefined {
    const members = ids.map((id) => this.#options.membership.usable(id)).filter((member) => member !== undefined)
    if (members.length === 0 && ids.length > 0) return undefined
    const flights = members.map((member) => this.#send(call.request, member, call.span))
    this.#attach(call, flights)
    return Effect.flatMap(
      Effect.forEach(flights, (flight) => Fiber.await(flight)),
      (exits): Next => {
        const ended = this.#options.ended()
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
    const member = this.#options.membership.usable(id)
    if (member === undefined) return false
    // A bug, too, would have nobody to hear of it.
    this.#send(request, member).addObserver((exit) => {
      if (Exit.isFailure(exit) && Cause.hasDies(exit.cause)) this.#options.tellDefect(Cause.squash(exit.cause))
    })
    return true
  }

  /** Gives up what peers were asked and have not answered. */
  cancel(call: Call): void {
    for (const flight of call.flights) {
      if (flight.pollUnsafe() === undefined) this.#options.steps.later(() => flight.interruptUnsafe())
    }
  }

  #send(request: Request, member: Member, span?: Tracer.AnySpan, promised = false): Flight {
    const { fly, membership, nowNanos, steps } = this.#options
    const askedAtNanos = this.#isWatched ? nowNanos() : 0n
    const asking = member.peer.enqueueUnsafe(request)
    const flight = fly(span === undefined ? asking : Effect.provideService(asking, Tracer.ParentSpan, span))
    membership.becameBusy(member)
    const ended = flight.pollUnsafe()
    if (ended === undefined) member.pending++
    if (this.#isWatched || saysSomething(request)) {
      flight.addObserver((exit) =>
        steps.run(() => {
          if (ended === undefined) member.pending--
          if (request._tag === "Peers") membership.noteTold(member, exit)
          this.#landings.push({ request, member, promised, exit })
          if (this.#isWatched) this.#tellChooser(request, member, exit, nowNanos() - askedAtNanos)
        })
      )
      return flight
    }
    // Plain facts, with no step of their own: nobody waits for them.
    if (ended === undefined) {
      flight.addObserver((exit) => {
        member.pending--
        if (request._tag === "Peers") membership.noteTold(member, exit)
      })
    } else if (request._tag === "Peers") membership.noteTold(member, ended)
    return flight
  }

  #attach(call: Call, flights: ReadonlyArray<Flight>): void {
    call.flights = flights
    // Given up while it was being sent.
    if (call.isOver) this.cancel(call)
  }

  /** What a caller hears: of the end of the network, when the peer failed because of that. */
  #answer(exit: Landing["exit"]): Next {
    if (Exit.isSuccess(exit)) return Effect.succeed(exit.value)
    const ended = this.#options.ended()
    if (ended !== undefined) return Effect.fail(new RequestError({ reason: ended }))
    return Effect.failCause(Cause.map(exit.cause, (reason) => new RequestError({ reason })))
  }

  // -- what became of it -------------------------------------------------------------------------

  /** What has landed since this was asked last, of that which says something about its peer. */
  takeLandings(): ReadonlyArray<Landing> {
    const landings = this.#landings
    if (landings.length > 0) this.#landings = []
    return landings
  }

  // -- whom to ask -------------------------------------------------------------------------------

  #choose({ tried }: Call, among: PeerChoice.Candidates): ConnectionId {
    const { chooser, draw, membership, nowNanos } = this.#options
    const now = nowNanos()
    const candidates: PeerCandidates = { size: among.size, at: (rank) => membership.member(among.at(rank)) }
    if (chooser instanceof DiversePeers || chooser === twoAtRandom) return chooser.choose(candidates, draw, now, tried)
    try {
      const id = chooser.choose(candidates, draw, now, tried)
      if (among.has(id)) return id
      this.#options.tellMisrule(new Error("it chose a peer that is no candidate"))
    } catch (cause) {
      this.#options.tellMisrule(cause)
    }
    return twoAtRandom.choose(candidates, draw, now, tried)
  }

  /** Somebody has gone. */
  forget(id: ConnectionId): void {
    const { chooser } = this.#options
    if (chooser.left !== undefined) this.#guarded(() => chooser.left?.(id))
  }

  #tellChooser(request: Request, { id }: Member, exit: Landing["exit"], nanos: bigint): void {
    const { chooser } = this.#options
    this.#guarded(() => chooser.landed?.(id, { request: request._tag, outcome: outcomeOf(exit), nanos }))
  }

  #guarded(tell: () => void): void {
    try {
      tell()
    } catch (cause) {
      this.#options.tellMisrule(cause)
    }
  }
}
