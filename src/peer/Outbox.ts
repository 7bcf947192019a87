/**
 * What waits to be sent on one connection: at most one request, one ping and a few block adverts.
 *
 * A request has its place until the connection takes it, not until it is answered, so a peer may have one in flight and
 * one behind it. Adverts expect no answer and have places of their own, so that they reach busy peers too.
 *
 * Lists here have a handful of entries and are replaced, not changed: while nothing waits, nothing is kept.
 *
 * Source: Zebra peer/client.rs and peer/connection/peer_tx.rs.
 *
 * @module
 */
import { Deferred, Effect, Exit, type Tracer } from "effect"
import type { BlockHash } from "../chain/Hash.ts"
import type { PeerError } from "./Peer.ts"
import type { Ping, Request, Response } from "./Request.ts"

/** A request and whoever waits for its answer. */
export interface Asked {
  readonly request: Request | Ping
  readonly answer: Deferred.Deferred<Response, PeerError>
  /** Of the monotonic clock. */
  readonly askedAtNanos: bigint
  /** Nobody waits for it any more. */
  isCancelled: boolean
  /** The caller's, which sending it and taking its answer belong to; known only where spans are collected. */
  span: Tracer.AnySpan | undefined
}

/** A block hash, and whoever waits for it to be written. */
export interface Advert {
  readonly hash: BlockHash
  readonly written: Deferred.Deferred<void, PeerError>
  /** Nobody waits for it any more. It keeps its place until its turn. */
  isAbandoned: boolean
}

const none: ReadonlyArray<never> = []

export class Outbox {
  #requests: ReadonlyArray<Asked> = none
  #adverts: ReadonlyArray<Advert> = none
  #roomWaiters: ReadonlyArray<Deferred.Deferred<void, PeerError>> = none

  /** Whether a request can be put in now. Pings do not count: they have a place of their own. */
  get hasRoom(): boolean {
    return !this.#requests.some(isNoPing)
  }

  get hasRequest(): boolean {
    return this.#requests.length > 0
  }

  get hasAdvert(): boolean {
    return this.#adverts.length > 0
  }

  /** Completes when there is room, or with what `end` was given. */
  get awaitRoom(): Effect.Effect<void, PeerError> {
    return Effect.suspend(() => {
      if (this.hasRoom) return Effect.void
      const room = Deferred.makeUnsafe<void, PeerError>()
      this.#roomWaiters = [...this.#roomWaiters, room]
      return Effect.onInterrupt(Deferred.await(room), () =>
        Effect.sync(() => {
          this.#roomWaiters = this.#roomWaiters.filter((waiter) => waiter !== room)
        })
      )
    })
  }

  /** The caller has seen that there is room. */
  putRequest(request: Request | Ping, nowNanos: bigint): Asked {
    const asked: Asked = {
      request,
      answer: Deferred.makeUnsafe(),
      askedAtNanos: nowNanos,
      isCancelled: false,
      span: undefined
    }
    this.#requests = [...this.#requests, asked]
    return asked
  }

  /** The request or ping that came first. Tells whoever waits for room. */
  takeRequest(): Asked | undefined {
    const [oldest, ...others] = this.#requests
    this.#requests = others.length === 0 ? none : others
    const waiters = this.#roomWaiters
    if (this.hasRoom && waiters.length > 0) {
      this.#roomWaiters = none
      for (const room of waiters) Deferred.doneUnsafe(room, Exit.void)
    }
    return oldest
  }

  /** `undefined` when `capacity` adverts wait already. */
  putAdvert(hash: BlockHash, capacity: number): Advert | undefined {
    if (this.#adverts.length >= capacity) return undefined
    const advert: Advert = { hash, written: Deferred.makeUnsafe(), isAbandoned: false }
    this.#adverts = [...this.#adverts, advert]
    return advert
  }

  /** The advert that came first. */
  takeAdvert(): Advert | undefined {
    const [oldest, ...others] = this.#adverts
    this.#adverts = others.length === 0 ? none : others
    return oldest
  }

  /** Empties everything; whoever waits for an advert or for room is told. The requests are the caller's to answer. */
  end(failure: Exit.Exit<never, PeerError>): ReadonlyArray<Asked> {
    const requests = this.#requests
    const waiting = [...this.#adverts.map(({ written }) => written), ...this.#roomWaiters]
    this.#requests = none
    this.#adverts = none
    this.#roomWaiters = none
    for (const each of waiting) Deferred.doneUnsafe(each, failure)
    return requests
  }
}

const isNoPing = ({ request }: Asked): boolean => request._tag !== "Ping"
