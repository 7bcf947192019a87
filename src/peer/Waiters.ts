/**
 * Who waits on one connection, and how long those before them waited.
 *
 * `ConnectionMachine` knows them by number. Each is settled once; what nobody settled, the end of the connection does, even
 * if a defect kept an action from being done. There are as many as the machine holds, and whoever waits for room: those are
 * the node's own.
 *
 * @module
 */
import { Deferred, Effect, Exit, type Tracer } from "effect"
import type { Settled, Waiter } from "./ConnectionMachine.ts"
import type { AdvertNotDelivered, PeerError } from "./Peer.ts"
import * as PeerLoad from "./PeerLoad.ts"
import type { Response } from "./Request.ts"

export interface Entry {
  readonly id: Waiter
  readonly done: Deferred.Deferred<Response | undefined, PeerError | AdvertNotDelivered>
  /** Of the monotonic clock. */
  readonly sinceNanos: bigint
  /** Pings and adverts say nothing about how long a request takes. */
  readonly isRequest: boolean
  /** When its message was handed to the transport. */
  sentNanos: bigint | undefined
  /** The caller's, which sending its message belongs to; known only where spans are collected. */
  span: Tracer.AnySpan | undefined
}

export class Waiters {
  /** A handful, replaced, not changed: while nobody waits, nothing is kept. */
  #entries: ReadonlyArray<Entry> = none
  readonly #decayNanos: number
  #room: ReadonlyArray<Deferred.Deferred<void, PeerError>> = none
  #estimate: PeerLoad.Estimate
  #unfinished = 0
  #last = 0

  constructor(estimate: PeerLoad.Estimate, decayNanos: number) {
    this.#estimate = estimate
    this.#decayNanos = decayNanos
  }

  add(isRequest: boolean, nowNanos: bigint): Entry {
    const entry: Entry = {
      id: ++this.#last,
      done: Deferred.makeUnsafe(),
      sinceNanos: nowNanos,
      isRequest,
      sentNanos: undefined,
      span: undefined
    }
    this.#entries = [...this.#entries, entry]
    if (isRequest) this.#unfinished++
    return entry
  }

  get(id: Waiter | undefined): Entry | undefined {
    return id === undefined ? undefined : this.#entries.find((entry) => entry.id === id)
  }

  /** Ends a wait. Does nothing when it is over. */
  settle(id: Waiter, exit: Settled, nowNanos: bigint): void {
    const entry = this.get(id)
    if (entry === undefined) return
    this.#entries = this.#entries.length === 1 ? none : this.#entries.filter((each) => each !== entry)
    if (entry.isRequest) {
      this.#unfinished--
      const took = Number(nowNanos - entry.sinceNanos)
      this.#estimate = PeerLoad.observed(this.#estimate, took, nowNanos, this.#decayNanos)
    }
    Deferred.doneUnsafe(entry.done, exit)
  }

  /** Completes when `hasRoom` does, or with what `end` was given. */
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

  /** Whoever is left hears this. */
  end(failure: Exit.Exit<never, PeerError>, nowNanos: bigint): void {
    for (const { id } of this.#entries) this.settle(id, failure, nowNanos)
    const waiting = this.#room
    this.#room = none
    for (const room of waiting) Deferred.doneUnsafe(room, failure)
  }

  load(nowNanos: bigint): number {
    return PeerLoad.load(this.#estimate, this.#unfinished, nowNanos, this.#decayNanos)
  }
}

const none: ReadonlyArray<never> = []
