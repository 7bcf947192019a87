/**
 * Who waits on one connection, and how long those before them waited.
 *
 * `ConnectionMachine` knows them by number. Each is settled once; what nobody settled, the end of the connection does, even
 * if a defect kept an action from being done. There are as many as the machine holds, and whoever waits for room: those are
 * the node's own.
 *
 * @module
 */
import { Deferred, Duration, Effect, Exit, type Tracer } from "effect"
import type { Policy } from "../Policy.ts"
import type { Settled, Waiter } from "./ConnectionMachine.ts"
import type { AdvertNotDelivered, PeerError } from "./Peer.ts"
import * as PeerLoad from "./PeerLoad.ts"
import type { Response } from "./Request.ts"

export interface Entry {
  readonly id: Waiter
  /** Of the monotonic clock. */
  readonly sinceNanos: bigint
  /** Pings and adverts say nothing about how long a request takes. */
  readonly isRequest: boolean
  /** When its message was handed to the transport. */
  sentNanos: bigint | undefined
  /** The caller's, which sending its message belongs to; known only where spans are collected. */
  span: Tracer.AnySpan | undefined
  /** How it ended. */
  exit: Settled | undefined
  /** Goes on with the fiber that waits. */
  resume: ((exit: Settled) => void) | undefined
}

/** How a connection ended. */
export interface Ending {
  readonly error: PeerError
  /** The same for those who wait; a defect of ours stays one. */
  readonly failure: Exit.Exit<never, PeerError>
}

export class Waiters {
  /** Set once. */
  ending: Ending | undefined
  readonly #ended = Deferred.makeUnsafe<PeerError>()
  #toldOfEnd: ReadonlyArray<(error: PeerError) => void> = none
  /** A handful, replaced, not changed: while nobody waits, nothing is kept. */
  #entries: ReadonlyArray<Entry> = none
  readonly #policy: Pick<Policy, "answerTimeDecay">
  #room: ReadonlyArray<Deferred.Deferred<void, PeerError>> = none
  #estimate: PeerLoad.Estimate
  #unfinished = 0
  #last = 0

  constructor(policy: Pick<Policy, "answerTimeDecay" | "initialAnswerTime">, nowNanos: bigint) {
    this.#policy = policy
    this.#estimate = { answerNanos: nanosOf(policy.initialAnswerTime), updatedAtNanos: nowNanos }
  }

  add(isRequest: boolean, nowNanos: bigint): Entry {
    const entry: Entry = {
      id: ++this.#last,
      sinceNanos: nowNanos,
      isRequest,
      sentNanos: undefined,
      span: undefined,
      exit: undefined,
      resume: undefined
    }
    this.#entries = [...this.#entries, entry]
    if (isRequest) this.#unfinished++
    return entry
  }

  get(id: Waiter | undefined): Entry | undefined {
    return id === undefined ? undefined : this.#entries.find((entry) => entry.id === id)
  }

  /** Its message is handed to the transport now. */
  sending(id: Waiter | undefined, nowNanos: bigint): Entry | undefined {
    const entry = this.get(id)
    if (entry !== undefined) entry.sentNanos = nowNanos
    return entry
  }

  /** Ends a wait. Does nothing when it is over. */
  settle(id: Waiter, exit: Settled, nowNanos: bigint): void {
    const entry = this.get(id)
    if (entry === undefined) return
    this.#entries = this.#entries.length === 1 ? none : this.#entries.filter((each) => each !== entry)
    if (entry.isRequest) {
      this.#unfinished--
      const took = Number(nowNanos - entry.sinceNanos)
      this.#estimate = PeerLoad.observed(this.#estimate, took, nowNanos, nanosOf(this.#policy.answerTimeDecay))
    }
    entry.exit = exit
    entry.resume?.(exit)
  }

  /** What an entry is settled with, for one fiber at a time; and what follows if that stops to wait. */
  outcomeOf(
    entry: Entry,
    onInterrupt?: Effect.Effect<void>
  ): Effect.Effect<Response | undefined, PeerError | AdvertNotDelivered> {
    return Effect.callback((resume) => {
      if (entry.exit !== undefined) return resume(entry.exit)
      entry.resume = resume
      return onInterrupt
    })
  }

  /** Completes when `hasRoom` does, or fails with the ending. */
  awaitRoom(hasRoom: () => boolean): Effect.Effect<void, PeerError> {
    return Effect.suspend(() => {
      if (hasRoom()) return Effect.void
      const room = Deferred.makeUnsafe<void, PeerError>()
      this.#room = [...this.#room, room]
      return Effect.onInterrupt(Deferred.await(room), () =>
        Effect.sync(() => {
          this.#room = this.#room.filter((waiter) => waiter !== room)
        })
      )
    })
  }

  /** There may be room. */
  tellRoom(hasRoom: boolean): void {
    if (!hasRoom || this.#room === none) return
    const waiting = this.#room
    this.#room = none
    for (const room of waiting) Deferred.doneUnsafe(room, Exit.void)
  }

  /** The error that the connection ended with, when it does. */
  get awaitEnd(): Effect.Effect<PeerError> {
    return Deferred.await(this.#ended)
  }

  /** Calls back with that error, before whoever waits for it goes on; at once when it is there. */
  onEnd(told: (error: PeerError) => void): void {
    if (this.ending === undefined) this.#toldOfEnd = [...this.#toldOfEnd, told]
    else told(this.ending.error)
  }

  /** Whoever is left hears of the ending, which is there. */
  tellEnd(nowNanos: bigint): void {
    if (this.ending === undefined) return
    const { error, failure } = this.ending
    for (const { id } of this.#entries) this.settle(id, failure, nowNanos)
    const waiting = this.#room
    this.#room = none
    for (const room of waiting) Deferred.doneUnsafe(room, failure)
    const told = this.#toldOfEnd
    this.#toldOfEnd = none
    try {
      for (const tell of told) tell(error)
    } finally {
      Deferred.doneUnsafe(this.#ended, Exit.succeed(error))
    }
  }

  load(nowNanos: bigint): number {
    return PeerLoad.load(this.#estimate, this.#unfinished, nowNanos, nanosOf(this.#policy.answerTimeDecay))
  }
}

const none: ReadonlyArray<never> = []

const nanosOf = (duration: Duration.Duration): number => Number(Duration.toNanosUnsafe(duration))
