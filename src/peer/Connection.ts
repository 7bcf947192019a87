/**
 * One connection after the handshake, as the node uses it: what may be asked of it, how it begins, and how it ends.
 *
 *     Peer ─ event ─▶ ConnectionMachine ─ actions ─▶ ConnectionLoop ─▶ stream, program, host
 *      ▲                     ▲                            │
 *      └──────────────────── settled ─────────────────────┘
 *
 * `ConnectionMachine` decides, and says in what order; `ConnectionLoop` does it. While idle a connection has one fiber,
 * the loop; and where its stream has to be read by a fiber, one that does that.
 *
 * Source: Zebra peer/client.rs and peer/connection.rs.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, Exit, Scope, Tracer } from "effect"
import type { BlockHash } from "../chain/Hash.ts"
import type * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as Spans from "../Spans.ts"
import * as ConnectedAddress from "./ConnectedAddress.ts"
import * as ConnectionLog from "./ConnectionLog.ts"
import { ConnectionLoop } from "./ConnectionLoop.ts"
import { deciderOf, type Options } from "./ConnectionOptions.ts"
import * as Heartbeat from "./Heartbeat.ts"
import * as Peers from "./Peer.ts"
import type { ConnectionId, Ping, Request, Response, ResponseOf } from "./Request.ts"
import type { Entry } from "./Waiters.ts"

/** Starts the connection; it ends with the scope, or before by its own. `Connected` is reported before anything is read. */
export const make = (options: Options): Effect.Effect<Peers.Peer, never, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => makeIn(scope, options))

/**
 * The same in a scope that is given. The connection keeps the context it is made in: many that share one are cheaper. (No
 * generator function of its own for each connection, here and where others are made: V8 has to get to know each.)
 */
export const makeIn: (scope: Scope.Scope, options: Options) => Effect.Effect<Peers.Peer> = Effect.fnUntraced(function* (
  scope: Scope.Scope,
  options: Options
) {
  const connection = new Connection(options, yield* Effect.context<never>())
  yield* options.host.report(options.id, { _tag: "Connected", info: options.info })
  yield* connection.start(scope)
  return connection
}, Effect.uninterruptible)

class Connection implements Peers.Peer {
  readonly id: ConnectionId
  readonly info: Peers.ConnectionInfo
  readonly transientAddress: PeerSocketAddress.PeerSocketAddress | undefined
  readonly isInbound: boolean
  readonly connectedAtMillis: number

  readonly #options: Options
  readonly #loop: ConnectionLoop
  #roundTrip: Duration.Duration | undefined
  #isPinging = false

  constructor(options: Options, context: Context.Context<never>) {
    const { connectedAddress } = options.info
    this.id = options.id
    this.info = options.info
    this.transientAddress = ConnectedAddress.transientAddress(connectedAddress)
    this.isInbound = ConnectedAddress.isInbound(connectedAddress)
    this.connectedAtMillis = Context.get(context, Clock.Clock).currentTimeMillisUnsafe()
    this.#options = options
    this.#loop = new ConnectionLoop(options, deciderOf(options, this.connectedAtMillis, context), context)
  }

  // -- as others see it ----------------------------------------------------------------------

  readiness(): Peers.Readiness {
    if (this.#loop.machine.isClosed) return "Failed"
    return this.#loop.machine.hasRoom ? "Ready" : "Busy"
  }

  get awaitReady(): Effect.Effect<void, Peers.PeerError> {
    return Effect.suspend(
      () => this.#loop.waiters.ending?.failure ?? this.#loop.waiters.awaitRoom(() => this.#loop.machine.hasRoom)
    )
  }

  enqueueUnsafe<R extends Request>(request: R): Effect.Effect<ResponseOf<R>, Peers.PeerError> {
    if (this.#loop.waiters.ending !== undefined) return this.#loop.waiters.ending.failure
    if (!this.#loop.machine.hasRoom)
      throw new Error("a request was put into a slot that is full; await readiness first")
    // The matcher of a request makes no other kind of response.
    return this.#enqueue(request) as Effect.Effect<ResponseOf<R>, Peers.PeerError>
  }

  request<R extends Request>(request: R): Effect.Effect<ResponseOf<R>, Peers.PeerError> {
    return Effect.suspend(() =>
      this.readiness() === "Busy"
        ? Effect.flatMap(this.awaitReady, () => this.request(request))
        : this.enqueueUnsafe(request)
    )
  }

  advertiseBlock(hash: BlockHash): Effect.Effect<void, Peers.PeerError | Peers.AdvertNotDelivered> {
    return Effect.suspend((): Effect.Effect<void, Peers.PeerError | Peers.AdvertNotDelivered> => {
      if (this.#loop.waiters.ending !== undefined) return this.#loop.waiters.ending.failure
      const entry = this.#loop.waiters.add(false, this.#loop.now())
      this.#loop.tell({ _tag: "Advert", waiter: entry.id, hash })
      const written = Effect.asVoid(this.#loop.waiters.outcomeOf(entry))
      return Effect.timeoutOrElse(written, {
        duration: this.#options.policy.requestTimeout,
        // Where the write began with the offer, its own limit is over at this moment too, and says more.
        orElse: () =>
          entry.sentNanos !== undefined && entry.sentNanos - entry.sinceNanos < 1_000_000n
            ? written
            : Effect.fail(new Peers.AdvertNotDelivered({ reason: "timedOut" }))
      }).pipe(Effect.ensuring(this.#giveUp(entry)))
    })
  }

  get awaitClosed(): Effect.Effect<Peers.PeerError> {
    return this.#loop.waiters.awaitEnd
  }

  onClosed(told: (error: Peers.PeerError) => void): void {
    this.#loop.waiters.onEnd(told)
  }

  close(error: Peers.PeerError): Effect.Effect<void> {
    return Effect.sync(() => this.#close(error))
  }

  load(nowNanos: bigint): number {
    return this.#loop.waiters.load(nowNanos)
  }

  roundTrip(): Duration.Duration | undefined {
    return this.#roundTrip
  }

  pingWait(): Duration.Duration | undefined {
    const since = this.#loop.machine.awaitedSinceNanos
    return since === undefined || this.#loop.machine.awaited !== "Ping"
      ? undefined
      : Duration.nanos(this.#loop.now() - since)
  }

  bytesRead(): number {
    return this.#options.messages.bytesRead()
  }

  bytesWritten(): number {
    return this.#options.messages.bytesWritten()
  }

  traffic(): Peers.Traffic {
    return this.#options.messages.traffic()
  }

  // -- start and end -------------------------------------------------------------------------

  start(scope: Scope.Scope): Effect.Effect<void> {
    const loop = this.#loop.run(() => this.#heartbeat)
    const work = this.#loop.spans.connection(this.info.connectedAddress, loop)
    return Effect.flatMap(Effect.forkIn(work, scope), (fiber) => {
      this.#loop.started(fiber)
      // Added last and so the first to run: whoever waits hears why before anything is taken apart.
      return Scope.addFinalizer(scope, this.#ended)
    })
  }

  get #ended(): Effect.Effect<void> {
    return Effect.suspend(() => {
      // No error with a stack for what has ended already.
      if (!this.#loop.machine.isClosed) this.#close(new Peers.ConnectionDropped())
      return ConnectionLog.end(this.#options.log, this.info, this.#loop.waiters.ending?.error)
    })
  }

  #close(error: Peers.PeerError): void {
    this.#loop.tell({ _tag: "Close", error, failure: Exit.fail(error) })
  }

  // -- what is asked of it -------------------------------------------------------------------

  #enqueue(request: Request | Ping): Effect.Effect<Response | undefined, Peers.PeerError> {
    return this.#asked(this.#loop.waiters.add(request._tag !== "Ping", this.#loop.now()), request)
  }

  #asked(entry: Entry, request: Request | Ping): Effect.Effect<Response | undefined, Peers.PeerError> {
    this.#loop.tell({ _tag: "Request", waiter: entry.id, request })
    const dropped = Effect.suspend(() => Spans.within("drop")(this.#giveUp(entry)))
    // Only adverts are not delivered.
    const answer = this.#loop.waiters.outcomeOf(entry, dropped) as Effect.Effect<Response | undefined, Peers.PeerError>
    if (!this.#loop.spans.isCollected) return answer
    return Effect.withFiber(({ context }) => {
      entry.span = Context.getOrUndefined(context, Tracer.ParentSpan)
      return answer
    })
  }

  #giveUp(entry: Entry): Effect.Effect<void> {
    return Effect.sync(() => this.#settle(entry, cancelled))
  }

  /** Whoever waits goes on with this, and the machine need not go on for it. */
  #settle(entry: Entry, exit: Exit.Exit<never, Peers.PeerError>): void {
    if (this.#loop.waiters.get(entry.id) === undefined) return
    this.#loop.waiters.settle(entry.id, exit, this.#loop.now())
    this.#loop.tell({ _tag: "Cancel", waiter: entry.id })
  }

  get ping(): Effect.Effect<void, Peers.PeerError> {
    return Effect.tapError(this.#exchange, (error) => this.#loop.pingFailed(error))
  }

  get #heartbeat(): Effect.Effect<void, Peers.PeerError> {
    return this.#loop.spans.heartbeat(this.#exchange)
  }

  /** One ping and its pong; nothing while there is one. */
  get #exchange(): Effect.Effect<void, Peers.PeerError> {
    return Effect.suspend(() => {
      if (this.#isPinging) return Effect.void
      this.#isPinging = true
      const ended = Effect.sync(() => {
        this.#isPinging = false
      })
      const exchange = Heartbeat.exchange(this.#ping, (report) => this.#loop.report(report))
      return Effect.ensuring(exchange, ended)
    })
  }

  /** A ping within its limit, which is also that of waiting for its turn. */
  get #ping(): Effect.Effect<Duration.Duration, Peers.PeerError> {
    return Effect.flatMap(this.#options.nonce, (nonce) => {
      const { alarms, waiters } = this.#loop
      if (waiters.ending !== undefined) return waiters.ending.failure
      const now = this.#loop.now()
      const entry = waiters.add(false, now)
      const limit = alarms.set(now + Duration.toNanosUnsafe(this.#options.policy.pingTimeout), () => {
        const error = new Peers.HeartbeatTaskExited({ message: "no answer to a ping in time" })
        this.#settle(entry, Exit.fail(error))
      })
      return Effect.map(this.#asked(entry, { _tag: "Ping", nonce }), (response) => {
        alarms.giveUp(limit)
        this.#roundTrip = response?._tag === "Pong" ? response.roundTrip : Duration.zero
        return this.#roundTrip
      })
    })
  }
}

/** What the answer of a cancelled request completes with; nobody waits for it. */
const cancelled = Exit.fail(new Peers.ConnectionDropped())
