/**
 * One connection after the handshake, as the node uses it: what may be asked of it, how it begins, and how it ends.
 *
 *     Peer ─ event ─▶ ConnectionMachine ─ actions ─▶ ConnectionLoop ─▶ stream, program, host
 *      ▲                     ▲                            │
 *      └──────────────────── settled ─────────────────────┘
 *
 * `ConnectionMachine` decides, and says in what order; `ConnectionLoop` does it. While idle a connection has three fibers:
 * the loop, and as its children one that reads up to the next message and the heartbeat.
 *
 * Source: Zebra peer/client.rs and peer/connection.rs.
 *
 * @module
 */
import { Clock, Context, Deferred, Duration, Effect, Exit, Scope, Tracer } from "effect"
import { CurrentTask } from "../BackgroundTasks.ts"
import type { BlockHash } from "../chain/Hash.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as Spans from "../Spans.ts"
import * as ConnectedAddress from "./ConnectedAddress.ts"
import { ConnectionLoop, type Options } from "./ConnectionLoop.ts"
import * as Heartbeat from "./Heartbeat.ts"
import * as Peers from "./Peer.ts"
import type { ConnectionId, Ping, Request, Response, ResponseOf } from "./Request.ts"
import type { Entry } from "./Waiters.ts"

/** Starts the connection; it ends with the scope, or before by its own. `Connected` is reported before anything is read. */
export const make = (options: Options): Effect.Effect<Peers.Peer, never, Scope.Scope> =>
  Effect.gen(function* () {
    const connection = new Connection(options, yield* Effect.context<never>())
    yield* options.host.report(options.id, { _tag: "Connected", info: options.info })
    yield* connection.start
    return connection
  }).pipe(Effect.uninterruptible)

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
    this.#loop = new ConnectionLoop(options, context)
  }

  // -- as others see it ----------------------------------------------------------------------

  readiness(): Peers.Readiness {
    if (this.#loop.machine.isClosed) return "Failed"
    return this.#loop.machine.hasRoom ? "Ready" : "Busy"
  }

  get awaitReady(): Effect.Effect<void, Peers.PeerError> {
    return Effect.suspend(() => this.#loop.failure ?? this.#loop.waiters.awaitRoom(() => this.#loop.machine.hasRoom))
  }

  enqueueUnsafe<R extends Request>(request: R): Effect.Effect<ResponseOf<R>, Peers.PeerError> {
    if (this.#loop.failure !== undefined) return this.#loop.failure
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
      if (this.#loop.failure !== undefined) return this.#loop.failure
      const entry = this.#loop.waiters.add(false, this.#loop.now())
      this.#loop.tell({ _tag: "Advert", waiter: entry.id, hash })
      const written = Effect.asVoid(Deferred.await(entry.done))
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
    return Deferred.await(this.#loop.closed)
  }

  close(error: Peers.PeerError): Effect.Effect<void> {
    return Effect.sync(() => this.#loop.tell({ _tag: "Close", error, failure: Exit.fail(error) }))
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

  get start(): Effect.Effect<void, never, Scope.Scope> {
    return Effect.gen({ self: this }, function* () {
      const scope = yield* Effect.scope
      const fiber = yield* Effect.forkIn(Effect.provideService(this.#traced, CurrentTask, "connection"), scope)
      this.#loop.started(fiber)
      // Added last and so the first to run: whoever waits hears why before anything is taken apart.
      yield* Scope.addFinalizer(
        scope,
        Effect.suspend(() => Effect.flatMap(this.close(new Peers.ConnectionDropped()), () => this.#logEnd))
      )
    })
  }

  get #logEnd(): Effect.Effect<void> {
    const error = this.#loop.error?._tag
    const isOverload = error === "PeerOverloaded" || error === "InboundTimeout"
    const line = isOverload
      ? this.#options.log(error, Effect.logInfo("a peer was closed for asking more than this node has time for"))
      : Effect.logDebug("connection ended")
    return line.pipe(PeerSocketAddress.annotateLogs("peer", this.transientAddress), Effect.annotateLogs({ error }))
  }

  /** All that the connection does. */
  get #traced(): Effect.Effect<void> {
    const work = this.#loop.run(this.#heartbeat)
    if (!this.#loop.isTraced) return work
    const attributes = { peer: ConnectedAddress.label(this.info.connectedAddress) }
    return Spans.within("connection", { attributes })(work)
  }

  // -- what is asked of it -------------------------------------------------------------------

  #enqueue(request: Request | Ping): Effect.Effect<Response | undefined, Peers.PeerError> {
    const entry = this.#loop.waiters.add(request._tag !== "Ping", this.#loop.now())
    this.#loop.tell({ _tag: "Request", waiter: entry.id, request })
    // Only adverts are not delivered.
    const answered = Deferred.await(entry.done) as Effect.Effect<Response | undefined, Peers.PeerError>
    const answer = Effect.onInterrupt(answered, () => Spans.within("drop")(this.#giveUp(entry)))
    if (!this.#loop.isTraced) return answer
    return Effect.withFiber(({ context }) => {
      entry.span = Context.getOrUndefined(context, Tracer.ParentSpan)
      return answer
    })
  }

  #giveUp(entry: Entry): Effect.Effect<void> {
    return Effect.sync(() => {
      if (this.#loop.waiters.get(entry.id) === undefined) return
      this.#loop.waiters.settle(entry.id, cancelled, this.#loop.now())
      this.#loop.tell({ _tag: "Cancel", waiter: entry.id })
    })
  }

  get ping(): Effect.Effect<void, Peers.PeerError> {
    return Effect.tapError(this.#exchange, (error) => this.#pingFailed(error))
  }

  /** One ping and its pong; nothing while there is one. */
  get #exchange(): Effect.Effect<void, Peers.PeerError> {
    return Effect.suspend(() => {
      if (this.#isPinging) return Effect.void
      this.#isPinging = true
      const ping = Effect.flatMap(this.#options.nonce, (nonce) =>
        Effect.map(this.#loop.failure ?? this.#enqueue({ _tag: "Ping", nonce }), (response) => {
          this.#roundTrip = response?._tag === "Pong" ? response.roundTrip : Duration.zero
          return this.#roundTrip
        })
      )
      const report = (report: Peers.PeerReport) => this.#loop.report(report)
      return Effect.ensuring(
        Heartbeat.exchange({ timeout: this.#options.policy.pingTimeout, ping, report }),
        Effect.sync(() => {
          this.#isPinging = false
        })
      )
    })
  }

  get #heartbeat(): Effect.Effect<void> {
    const beats = Heartbeat.run(this.#options.policy.pingInterval, this.#exchange)
    const heartbeat = this.#loop.isTracedInDetail ? Spans.within("heartbeat")(beats) : beats
    return Effect.catch(heartbeat, (error) => this.#pingFailed(error))
  }

  /** Of a ping that ended with the connection the machine has reported what there was to report. */
  #pingFailed(error: Peers.PeerError): Effect.Effect<void> {
    return Effect.suspend(() =>
      !this.#loop.machine.isClosed
        ? Effect.andThen(this.#loop.report({ _tag: "Failed", services: undefined }), this.close(error))
        : Effect.void
    )
  }
}

/** What the answer of a cancelled request completes with; nobody waits for it. */
const cancelled = Exit.fail(new Peers.ConnectionDropped())
