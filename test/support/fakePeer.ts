/** A peer whose other end is the test: it sees what it is asked and advertised, and decides when and how to answer. */
import { Deferred, Effect, Exit } from "effect"
import type { BlockHash } from "../../src/chain/Hash.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../../src/chain/ProtocolVersion.ts"
import {
  AdvertNotDelivered,
  type ConnectedAddress,
  type Peer,
  type PeerError,
  type Readiness
} from "../../src/peer/Peer.ts"
import type { ConnectionId, Request, Response, ResponseOf } from "../../src/peer/Request.ts"

export interface FakePeerOptions {
  readonly id: ConnectionId
  /** `ip:port`. */
  readonly address: string
  /** What it says its address is; nothing unless given. */
  readonly claims?: string
  readonly inbound?: boolean
  readonly version?: number
  /** `NODE_NETWORK` unless said otherwise. */
  readonly serving?: boolean
  /** Requests it keeps before its slot is full. */
  readonly places?: number
  /** Nanoseconds, times the requests under way. */
  readonly load?: number
  readonly startHeight?: number
}

/** A request as the other end sees it. */
export interface Asked {
  readonly request: Request
  readonly answer: (response: Response) => void
  readonly fail: (error: PeerError) => void
  /** Whether the request was given up. */
  readonly isCanceled: () => boolean
}

export interface Advert {
  readonly hash: BlockHash
  readonly acknowledge: () => void
  readonly fail: (error: PeerError) => void
}

export interface FakePeer extends Peer {
  /** Takes the oldest request out of the slot; `undefined` when nothing was asked. */
  readonly take: () => Asked | undefined
  /** As `take`, for all that are there now: taking them makes room for others. */
  readonly takeAll: () => ReadonlyArray<Asked>
  /** Requests that wait to be taken. */
  readonly queued: () => number
  /** Every request ever put into the slot. */
  readonly asked: ReadonlyArray<Request>
  /** Adverts that were offered and neither acknowledged, failed nor given up. */
  readonly adverts: ReadonlyArray<Advert>
  /** Every hash ever offered. */
  readonly advertised: ReadonlyArray<BlockHash>
  /** What it was closed with, if it was. */
  readonly closedWith: () => PeerError | undefined
}

export const fakePeer = (options: FakePeerOptions): FakePeer => {
  const address = PeerSocketAddress.fromStringUnsafe(options.address)
  const isInbound = options.inbound ?? false
  const connectedAddress: ConnectedAddress = { _tag: isInbound ? "InboundDirect" : "OutboundDirect", address }
  const version = options.version ?? ourProtocolVersion
  const places = options.places ?? 2
  const nowhere = { services: 0n, address: PeerSocketAddress.unspecified }

  interface Entry {
    readonly request: Request
    readonly outcome: Deferred.Deferred<Response, PeerError>
    canceled: boolean
  }
  const queue: Array<Entry> = []
  const pending = new Set<Entry>()
  const asked: Array<Request> = []
  const waiting = new Set<Deferred.Deferred<void, PeerError>>()
  const closed = Deferred.makeUnsafe<PeerError>()
  const toldOfEnd: Array<(error: PeerError) => void> = []
  let error: PeerError | undefined
  const adverts: Array<Advert & { readonly outcome: Deferred.Deferred<void, PeerError> }> = []
  const advertised: Array<BlockHash> = []

  const readiness = (): Readiness => (error !== undefined ? "Failed" : queue.length < places ? "Ready" : "Busy")

  const wake = () => {
    if (readiness() === "Busy") return
    const woken = [...waiting]
    waiting.clear()
    for (const one of woken) Deferred.doneUnsafe(one, error === undefined ? Exit.void : Exit.fail(error))
  }

  const settle = (entry: Entry, exit: Exit.Exit<Response, PeerError>) => {
    pending.delete(entry)
    Deferred.doneUnsafe(entry.outcome, exit)
  }

  const take = (): Asked | undefined => {
    const entry = queue.shift()
    if (entry === undefined) return undefined
    wake()
    return {
      request: entry.request,
      answer: (response) => settle(entry, Exit.succeed(response)),
      fail: (failure) => settle(entry, Exit.fail(failure)),
      isCanceled: () => entry.canceled
    }
  }

  const enqueueUnsafe = <R extends Request>(request: R) => {
    if (readiness() !== "Ready") throw new Error("asked while it was not ready")
    const entry: Entry = { request, outcome: Deferred.makeUnsafe(), canceled: false }
    queue.push(entry)
    pending.add(entry)
    asked.push(request)
    // The test answers with the kind of response that belongs to the request.
    return Deferred.await(entry.outcome).pipe(
      Effect.onInterrupt(() =>
        Effect.sync(() => {
          entry.canceled = true
          pending.delete(entry)
          if (queue.includes(entry)) queue.splice(queue.indexOf(entry), 1)
          wake()
        })
      )
    ) as Effect.Effect<ResponseOf<R>, PeerError>
  }

  const awaitReady = Effect.suspend(() => {
    if (error !== undefined) return Effect.fail(error)
    if (readiness() === "Ready") return Effect.void
    const ready = Deferred.makeUnsafe<void, PeerError>()
    waiting.add(ready)
    return Effect.ensuring(
      Deferred.await(ready),
      Effect.sync(() => waiting.delete(ready))
    )
  })

  const advertiseBlock = (hash: BlockHash) =>
    Effect.suspend((): Effect.Effect<void, PeerError | AdvertNotDelivered> => {
      if (error !== undefined) return Effect.fail(error)
      if (adverts.length >= 4) return Effect.fail(new AdvertNotDelivered({ reason: "queueFull" }))
      const outcome = Deferred.makeUnsafe<void, PeerError>()
      const advert = {
        hash,
        outcome,
        acknowledge: () => void Deferred.doneUnsafe(outcome, Exit.void),
        fail: (failure: PeerError) => void Deferred.doneUnsafe(outcome, Exit.fail(failure))
      }
      adverts.push(advert)
      advertised.push(hash)
      return Effect.ensuring(
        Deferred.await(outcome),
        Effect.sync(() => adverts.splice(adverts.indexOf(advert), 1))
      )
    })

  const close = (reason: PeerError) =>
    Effect.sync(() => {
      if (error !== undefined) return
      error = reason
      for (const entry of pending) settle(entry, Exit.fail(reason))
      queue.length = 0
      for (const { outcome } of adverts.slice()) Deferred.doneUnsafe(outcome, Exit.fail(reason))
      wake()
      for (const told of toldOfEnd) told(reason)
      Deferred.doneUnsafe(closed, Exit.succeed(reason))
    })

  return {
    id: options.id,
    info: {
      connectedAddress,
      remote: {
        _tag: "Version",
        version,
        services: (options.serving ?? true) ? 1n : 0n,
        timestamp: 0n,
        addressReceiver: nowhere,
        addressFrom:
          options.claims === undefined
            ? nowhere
            : { services: 0n, address: PeerSocketAddress.fromStringUnsafe(options.claims) },
        nonce: 0n,
        userAgent: "/fake:1.0/",
        startHeight: options.startHeight ?? 0,
        relay: true
      },
      negotiatedVersion: Math.min(version, ourProtocolVersion)
    },
    transientAddress: address,
    isInbound,
    readiness,
    awaitReady,
    enqueueUnsafe,
    request: (request) =>
      Effect.andThen(
        awaitReady,
        Effect.suspend(() => enqueueUnsafe(request))
      ),
    advertiseBlock,
    awaitClosed: Deferred.await(closed),
    onClosed: (told) => (error === undefined ? void toldOfEnd.push(told) : told(error)),
    close,
    load: () => (options.load ?? 21e9) * (pending.size + 1),
    roundTrip: () => undefined,
    pingWait: () => undefined,
    ping: Effect.void,
    connectedAtMillis: 0,
    bytesRead: () => 0,
    bytesWritten: () => 0,
    traffic: () => ({
      messagesReceived: new Map(),
      messagesSent: new Map(),
      lastReceivedMillis: undefined,
      lastSentMillis: undefined
    }),
    take,
    takeAll: () => {
      const taken: Array<Asked> = []
      for (let left = queue.length; left > 0; left--) {
        const asked = take()
        if (asked !== undefined) taken.push(asked)
      }
      return taken
    },
    queued: () => queue.length,
    asked,
    adverts,
    advertised,
    closedWith: () => error
  }
}
