/**
 * Asks the network, not a peer.
 *
 * Every connected peer is here, ready or busy; every request finds its peer here, or waits here for one.
 *
 * Nothing is polled. Whatever happens (a peer joins, becomes ready, leaves; something is advertised, an answer fails, a
 * caller gives up) is one synchronous step that ends with `settle`: waiting requests are routed in their order until
 * nothing more can be. Only what happened is looked at, never all peers.
 *
 *     request ─▶ door ─▶ peer                      a peer is ready
 *                 │ └──▶ find queue ──▶ peer       finds, while only peers that do not serve are ready
 *                 └────▶ waiting blocks ──▶ peer   single blocks, while only busy peers may have them
 *
 * Source: Zebra peer_set/set.rs.
 *
 * @module
 */
import { Clock, Context, Data, Deferred, Effect, Exit, Fiber, FiberSet, Layer, Random, Schema } from "effect"
import { ChainParams } from "../chain/ChainParams.ts"
import { ClientDropped, type Peer, type PeerError } from "../peer/Peer.ts"
import type { ConnectionId, Request, Response, ResponseOf } from "../peer/Request.ts"
import { outboundLimit, Policy } from "../Policy.ts"
import type { InventoryItem } from "../wire/Message.ts"
import { ConnectedPeers, makeMember, type Member } from "./ConnectedPeers.ts"
import * as Demand from "./Demand.ts"
import * as PeerChoice from "./PeerChoice.ts"

/** No peer could take the request. Another try later may work. */
export class NoReadyPeers extends Data.TaggedError("NoReadyPeers")<{}> {}

/**
 * No connected peer may have these, or none of those who may became free in time. Nobody was asked. What peers lack is
 * forgotten after at most twice `Policy.inventoryRotation`, so another try later may work.
 */
export class NotFoundRegistry extends Data.TaggedError("NotFoundRegistry")<{
  readonly hashes: ReadonlyArray<InventoryItem>
}> {}

/** The network was closed. */
export class NetworkClosed extends Schema.TaggedError<NetworkClosed>()("NetworkClosed", {}) {}

/** A task without which there is no network ended. That is a bug, or whatever `cause` says. */
export class BackgroundTaskExited extends Schema.TaggedError<BackgroundTaskExited>()("BackgroundTaskExited", {
  task: Schema.String,
  cause: Schema.Defect()
}) {}

/** The chain is past an upgrade that this build does not know. */
export class NodeOutdated extends Schema.TaggedError<NodeOutdated>()("NodeOutdated", {
  ourVersion: Schema.Int,
  requiredVersion: Schema.Int,
  height: Schema.Int
}) {
  override get message(): string {
    return (
      `This build speaks protocol version ${this.ourVersion}, but the chain demands ${this.requiredVersion} ` +
      `at height ${this.height}: update network-effect.`
    )
  }
}

/** The end of the network: every pending and later request fails with the same one. */
export type PeerSetClosed = NetworkClosed | BackgroundTaskExited | NodeOutdated

/** Why a request failed: no peer for it, the peer's own failure, or the end of the network. */
export type PeerSetError = NoReadyPeers | NotFoundRegistry | PeerError | PeerSetClosed

export interface RequestOptions {
  /**
   * Connections that are not chosen while another one of those in question is ready, so that a bad answer can be asked
   * for elsewhere at once. Broadcasts ignore it.
   */
  readonly exclude?: ReadonlySet<ConnectionId>
}

export interface PeerCounts {
  readonly ready: number
  readonly busy: number
  readonly inbound: number
  readonly outbound: number
}

export class PeerSet extends Context.Service<
  PeerSet,
  {
    /**
     * Asks a peer that suits the request. Waits while no peer is ready, so bound it with a timeout of your own.
     * Interrupting it frees its place at once, or cancels it at the peer.
     */
    readonly request: <R extends Request>(
      request: R,
      options?: RequestOptions
    ) => Effect.Effect<ResponseOf<R>, PeerSetError>

    /**
     * Takes in a connected peer until its connection ends. `false` when it was refused, and closed with `ClientDropped`:
     * its address is connected already or its peer group has all its connections. Takes effect before it returns.
     */
    readonly add: (peer: Peer) => Effect.Effect<boolean>

    /** Lets a peer go: closes it with the error (`ClientDropped` unless given). Takes effect before it returns. */
    readonly remove: (id: ConnectionId, error?: PeerError) => Effect.Effect<void>

    /** How many more connections are wanted. */
    readonly demand: Demand.Demand<PeerSetClosed>

    /** Connected peers, ready and busy. */
    readonly peers: Effect.Effect<ReadonlyArray<Peer>>

    /** As `peers`, counted; constant time. */
    readonly counts: Effect.Effect<PeerCounts>

    /** Completes when so many peers are connected. */
    readonly awaitPeers: (options: { readonly peers: number }) => Effect.Effect<void, PeerSetClosed>

    /** Ends the network: every pending and later request fails with this error, and all peers are closed. */
    readonly fail: (error: PeerSetClosed) => Effect.Effect<void>

    /** Fails with what ended the network; never succeeds. */
    readonly awaitEnd: Effect.Effect<never, PeerSetClosed>
  }
>()("network-effect/network/PeerSet") {
  static readonly layer = Layer.effect(
    PeerSet,
    Effect.suspend(() => make)
  )

  /** Whether the network has ended: trying again is in vain. */
  static readonly isClosed = (error: PeerSetError): error is PeerSetClosed =>
    error._tag === "NetworkClosed" || error._tag === "BackgroundTaskExited" || error._tag === "NodeOutdated"
}

/** What the caller of a request does next. */
type Next = Effect.Effect<Response, PeerSetError>

/** One request, from its caller's asking to the caller's end. */
interface Call {
  readonly request: Request
  readonly exclude: ReadonlySet<ConnectionId>
  /** Completed when the wait of the caller is over. */
  waiter: Deferred.Deferred<Next> | undefined
  /** The waits for the peers' answers. */
  flights: ReadonlyArray<Fiber.Fiber<Response, PeerError>>
}

const nobody: ReadonlySet<ConnectionId> = new Set()

const make = Effect.gen(function* () {
  const policy = yield* Policy
  yield* ChainParams
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const fibers = yield* FiberSet.make<unknown, unknown>()
  const run = yield* FiberSet.runtime(fibers)<never>()

  const connected = new ConnectedPeers()
  const { pools } = connected
  const door = new Set<Call>()
  const arrivals = new Set<{
    readonly peers: number
    readonly resume: (effect: Effect.Effect<void, PeerSetClosed>) => void
  }>()
  const closed = yield* Deferred.make<never, PeerSetClosed>()
  let ended: PeerSetClosed | undefined
  const demand = Demand.make(outboundLimit(policy), closed)

  const draw = (bound: number) => Math.floor(random.nextDoubleUnsafe() * bound)

  // -- steps ---------------------------------------------------------------------------------

  let depth = 0
  const afterwards: Array<() => void> = []

  /** To be done when the state is settled: what may run other code, which may come back here. */
  const later = (action: () => void) => {
    afterwards.push(action)
  }

  /** Runs one change of state and all that follows from it. */
  const step = <A>(change: () => A): A => {
    depth++
    let result: A
    try {
      result = change()
      if (depth === 1) settle()
    } finally {
      depth--
    }
    if (depth === 0) for (let action = afterwards.shift(); action !== undefined; action = afterwards.shift()) action()
    return result
  }

  /** Routes what waits, until nothing more can be. */
  const settle = () => {
    if (ended !== undefined) return
    while (door.size > 0 && PeerChoice.readyCount(pools) > 0) letIn()
    if (door.size > 0) later(demand.offerUnsafe)
    for (const { peers, resume } of arrivals) if (connected.size >= peers) later(() => resume(Effect.void))
  }

  // -- peers ---------------------------------------------------------------------------------

  const close = (peer: Peer, error: PeerError) => later(() => run(peer.close(error)))

  const drop = (id: ConnectionId, error: PeerError): void => {
    const member = connected.remove(id)
    if (member !== undefined) close(member.peer, error)
  }

  /** Waits until a busy peer is ready again, at most `Policy.requestTimeout`. */
  const watchReadiness = (member: Member) => {
    const { peer } = member
    const becameReady = () => step(() => connected.markReady(member))
    if (peer.readiness() === "Ready") return becameReady()
    const wait = peer.awaitReady.pipe(
      Effect.timeoutOption(policy.requestTimeout),
      Effect.match({
        onFailure: () => step(() => drop(peer.id, new ClientDropped())),
        // Room at the very end of the time wins.
        onSuccess: () => (peer.readiness() === "Ready" ? becameReady() : step(() => drop(peer.id, new ClientDropped())))
      })
    )
    run(wait)
  }

  const admit = (member: Member): boolean => {
    if (ended !== undefined) return false
    if (member.address !== undefined && connected.at(member.address) !== undefined) return false
    if (
      member.group !== undefined &&
      !member.sidecar &&
      connected.inGroup(member.group) >= policy.connectionsPerGroup
    ) {
      return false
    }
    connected.add(member)
    run(Effect.flatMap(member.peer.awaitClosed, (error) => Effect.sync(() => step(() => drop(member.peer.id, error)))))
    watchReadiness(member)
    return true
  }

  const add = (peer: Peer): Effect.Effect<boolean> =>
    Effect.suspend(() =>
      step(() => admit(makeMember(peer, new Set())))
        ? Effect.succeed(true)
        : Effect.as(peer.close(new ClientDropped()), false)
    )

  // -- requests ------------------------------------------------------------------------------

  /** Puts the request into the peer's slot. The peer is busy from here on. */
  const ask = (call: Call, member: Member): Next => {
    const wait = member.peer.enqueueUnsafe(call.request)
    connected.markBusy(member)
    const flight = run(wait)
    call.flights = [flight]
    watchReadiness(member)
    return Effect.flatMap(Fiber.await(flight), (exit): Next =>
      Exit.isFailure(exit) && ended !== undefined ? Effect.fail(ended) : exit
    )
  }

  /** Decides about a request while a peer is ready. */
  const route = (call: Call): Next => {
    const now = clock.monotonicTimeNanosUnsafe()
    const load = (id: ConnectionId) => connected.get(id)?.peer.load(now) ?? Infinity
    const others = PeerChoice.among(PeerChoice.readyPools(pools), call.exclude)
    const candidates = others.size > 0 ? others : PeerChoice.among(PeerChoice.readyPools(pools))
    const id = PeerChoice.lessLoaded(candidates, draw, load)
    const member = id === undefined ? undefined : connected.get(id)
    return member === undefined ? Effect.andThen(Effect.yieldNow, Effect.fail(new NoReadyPeers())) : ask(call, member)
  }

  const letIn = () => {
    for (const call of door) {
      door.delete(call)
      proceed(call, route(call))
      return
    }
  }

  /** Lets the caller wait until it is told how to proceed. */
  const park = (call: Call): Next => {
    const waiter = Deferred.makeUnsafe<Next>()
    call.waiter = waiter
    return Effect.flatten(Deferred.await(waiter))
  }

  const proceed = (call: Call, next: Next) => {
    const { waiter } = call
    if (waiter !== undefined) later(() => Deferred.doneUnsafe(waiter, Exit.succeed(next)))
  }

  const enter = (call: Call): Next => {
    if (ended !== undefined) return Effect.fail(ended)
    if (door.size === 0 && PeerChoice.readyCount(pools) > 0) return route(call)
    door.add(call)
    return park(call)
  }

  /** The caller is gone, or has its answer. */
  const leave = (call: Call) => {
    door.delete(call)
    for (const flight of call.flights) later(() => flight.interruptUnsafe())
  }

  const request = <R extends Request>(request: R, options?: RequestOptions) =>
    Effect.uninterruptibleMask((restore) => {
      const call: Call = { request, exclude: options?.exclude ?? nobody, waiter: undefined, flights: [] }
      const next = step(() => enter(call))
      return Effect.ensuring(
        restore(next),
        Effect.sync(() => step(() => leave(call)))
      )
      // The peer answers a request of type `R` with its own kind of answer, or fails.
    }) as Effect.Effect<ResponseOf<R>, PeerSetError>

  // -- the end -------------------------------------------------------------------------------

  const end = (error: PeerSetClosed) => {
    if (ended !== undefined) return
    ended = error
    for (const call of door) proceed(call, Effect.fail(error))
    door.clear()
    for (const { peer } of [...connected.values()]) drop(peer.id, new ClientDropped())
    later(() => Deferred.doneUnsafe(closed, Exit.fail(error)))
    later(demand.closeUnsafe)
    for (const { resume } of arrivals) later(() => resume(Effect.fail(error)))
  }

  yield* Effect.addFinalizer(() => Effect.sync(() => step(() => end(new NetworkClosed()))))

  const awaitPeers = ({ peers }: { readonly peers: number }) =>
    Effect.callback<void, PeerSetClosed>((resume) => {
      if (ended !== undefined) return resume(Effect.fail(ended))
      if (connected.size >= peers) return resume(Effect.void)
      const arrival = { peers, resume }
      arrivals.add(arrival)
      return Effect.sync(() => arrivals.delete(arrival))
    })

  return PeerSet.of({
    request,
    add,
    remove: (id, error = new ClientDropped()) => Effect.sync(() => step(() => drop(id, error))),
    demand: demand.demand,
    peers: Effect.sync(() => Array.from(connected.values(), ({ peer }) => peer)),
    counts: Effect.sync(() => ({
      ready: PeerChoice.readyCount(pools),
      busy: PeerChoice.busyCount(pools),
      inbound: connected.inbound,
      outbound: connected.size - connected.inbound
    })),
    awaitPeers,
    fail: (error) => Effect.sync(() => step(() => end(error))),
    awaitEnd: Deferred.await(closed)
  })
})
