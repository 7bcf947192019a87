/**
 * Asks the network, not a peer.
 *
 * Every connected peer is here, ready or busy, and every request finds its peer here or waits here for one. What decides
 * all that is in `routing` (`Routing.ts` says how it hangs together); this gives it fibers, the clock and the network's end.
 *
 * Nothing is polled. Whatever happens (a peer joins, becomes ready, leaves; something is advertised, an answer fails, a
 * caller gives up) is one synchronous step, after which no request waits that could be routed. Only what happened is
 * looked at, never all peers.
 *
 * Source: Zebra peer_set/set.rs.
 *
 * @module
 */
import { Clock, Context, Deferred, Effect, FiberSet, Layer, Random, Scope, Stream, Tracer } from "effect"
import { AddressGroups } from "../addresses/AddressGroups.ts"
import { BanList } from "../addresses/BanList.ts"
import { BackgroundTasks, CurrentWait, NetworkClosed, type NetworkEnd, type TaskNameTaken } from "../BackgroundTasks.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import { ChainTip } from "../chain/ChainTip.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as LimitedLog from "../LimitedLog.ts"
import * as Mock from "../Mock.ts"
import { ClientDropped, type Peer, type PeerError } from "../peer/Peer.ts"
import type { ConnectionId, Request, Response, ResponseOf } from "../peer/Request.ts"
import { outboundLimit, Policy } from "../Policy.ts"
import { Call } from "../routing/Call.ts"
import { InventoryRegistry } from "../routing/InventoryRegistry.ts"
import { PeerRefused, type Room } from "../routing/Membership.ts"
import type { Merit } from "../routing/Merit.ts"
import * as PeerChoice from "../routing/PeerChoice.ts"
import { type PeerCandidate, PeerSelection } from "../routing/PeerSelection.ts"
import * as PeerSetMetrics from "../routing/PeerSetMetrics.ts"
import { RequestError } from "../routing/RequestError.ts"
import { Routing } from "../routing/Routing.ts"
import { TrustedPeers } from "../routing/TrustedPeers.ts"
import * as Demand from "./Demand.ts"
import { type MockedWithRequests, mockRequests } from "./MockedRequests.ts"

export { PeerRefused } from "../routing/Membership.ts"
export { NotFoundRegistry, RequestError, type RequestErrorReason } from "../routing/RequestError.ts"

/** How a request is to be routed. */
export interface RequestOptions {
  /**
   * Connections that are not chosen while another one of those in question is ready, so that a bad answer can be asked
   * for elsewhere at once. Broadcasts ignore it.
   */
  readonly exclude?: ReadonlySet<ConnectionId>
}

/** What the peer set knows of a connected peer, besides what the connection knows of itself. */
export interface PeerStanding extends PeerCandidate {
  readonly peer: Peer
  readonly merit: Readonly<Pick<Merit, "credit" | "blockAtNanos" | "transactionAtNanos" | "provenAddresses">>
}

/** Connected peers, counted. `ready` and `busy` make all of them, as do `inbound` and `outbound`. */
export interface PeerCounts {
  readonly ready: number
  readonly busy: number
  readonly inbound: number
  readonly outbound: number
}

/** Every connected peer, and whom a request goes to. */
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
    ) => Effect.Effect<ResponseOf<R>, RequestError>

    /**
     * Takes in a connected peer until its connection ends. One that is refused is closed with `ClientDropped`. Takes effect
     * before it returns. `makeRoom` is asked, in the same step, when nothing else speaks against the peer.
     */
    readonly add: (peer: Peer, makeRoom?: () => Room) => Effect.Effect<void, PeerRefused>

    /** Lets a peer go: closes it with the error (`ClientDropped` unless given). Takes effect before it returns. */
    readonly remove: (id: ConnectionId, error?: PeerError) => Effect.Effect<void>

    /** Peers that a block advert goes to now, ready or busy: a random part and every trusted one, or all. */
    readonly advertTargets: (to: "some" | "all") => Effect.Effect<ReadonlyArray<Peer>>

    /** How many more connections are wanted. */
    readonly demand: Demand.Demand<NetworkEnd>

    /** Connected peers, ready and busy. */
    readonly peers: Effect.Effect<ReadonlyArray<Peer>>

    /** As `peers`, at once and as of the last thing that happened, for whoever watches from outside of any fiber. */
    readonly peersUnsafe: () => ReadonlyArray<Peer>

    /** Whether a peer is connected whose transient address this is, as of the last thing that happened. */
    readonly hasAddressUnsafe: (address: PeerSocketAddress.PeerSocketAddress) => boolean

    /** What is known of each connected peer, as of the last thing that happened. Valid until the next one happens. */
    readonly standingsUnsafe: () => Iterable<PeerStanding>

    /** What peers of this group (`AddressRules.limitKey`) said turned out to be wrong: they are asked less. */
    readonly doubt: (group: string) => Effect.Effect<void>

    /** As `peers`, counted. */
    readonly counts: Effect.Effect<PeerCounts>

    /** Completes when so many peers are connected. */
    readonly awaitPeers: (options: { readonly peers: number }) => Effect.Effect<void, NetworkEnd>
  }
>()("network-effect/network/PeerSet") {
  /** Ends when the network does, or when the layer's scope closes. */
  static readonly layer: Layer.Layer<
    PeerSet,
    TaskNameTaken,
    ChainParams | ChainTip | BanList | InventoryRegistry | BackgroundTasks
  > = Layer.effect(PeerSet, Effect.gen(make))

  /**
   * Peers that a test makes up: only what the test uses is needed, and whatever else is used ends it with a sentence that
   * names it. Requests are answered by their tag:
   *
   *     PeerSet.layerTest({ request: { Peers: () => Effect.succeed({ _tag: "Peers", addresses: [] }) } })
   */
  static readonly layerTest = ({ request, ...given }: MockedWithRequests<PeerSet["Service"]>): Layer.Layer<PeerSet> =>
    Layer.sync(PeerSet, () =>
      Mock.make<PeerSet["Service"]>(
        "PeerSet",
        {
          request: "effects",
          add: "effects",
          remove: "effects",
          advertTargets: "effects",
          demand: "value",
          peers: "effect",
          peersUnsafe: "function",
          hasAddressUnsafe: "function",
          standingsUnsafe: "function",
          doubt: "effects",
          counts: "effect",
          awaitPeers: "effects"
        },
        request === undefined ? given : { ...given, request: mockRequests("PeerSet", request) }
      )
    )
}

const nobody: ReadonlySet<ConnectionId> = new Set()

function* make() {
  const policy = yield* Policy
  const chain = yield* ChainParams
  const { tip } = yield* ChainTip
  const { bans } = yield* BanList
  const registry = yield* InventoryRegistry
  const selection = yield* PeerSelection
  const tasks = yield* BackgroundTasks
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const metrics = PeerSetMetrics.make(chain.kind, yield* Effect.context<never>())
  const limited = LimitedLog.make(policy.statusLogInterval)

  // Both end with the network. What dies among the first is a bug of ours; how a flight ends is told to whoever asked.
  const fibers = yield* Scope.provide(FiberSet.make<unknown>(), tasks.scope)
  const flights = yield* Scope.provide(FiberSet.make<Response, PeerError>(), tasks.scope)
  const run = yield* FiberSet.runtime(fibers)<never>()

  /** Set when this layer goes alone, without the rest of the network. */
  let closed: NetworkEnd | undefined
  /** The reason is there before anything breaks because of it. */
  const ended = () => tasks.endedUnsafe() ?? closed

  const draw = (bound: number) => Math.floor(random.nextDoubleUnsafe() * bound)
  const routing = new Routing({
    policy,
    chain,
    clock,
    metrics,
    chooser: selection.make(policy),
    draw,
    trusted: yield* TrustedPeers,
    groups: yield* AddressGroups,
    tip: tip.getUnsafe,
    bans: bans.getUnsafe,
    recordOf: registry.record,
    recordFailure: (id, hash) => void run(registry.recordFailure(id, { _tag: "Block", hash })),
    ended,
    run,
    fly: yield* FiberSet.runtime(flights)<never>(),
    tellDefect: (defect) => void run(Effect.die(defect)),
    tellMisrule: (cause) => void run(limited("peer selection", Effect.logError("the choice of a peer failed", cause))),
    logLimited: (kind, line) => void run(limited(kind, line))
  })
  const { membership, router, steps } = routing
  const { connected } = membership
  const demand = yield* Demand.make<NetworkEnd>(outboundLimit(policy))
  const arrivals = new Set<Arrival>()

  // -- what every step begins and ends with --------------------------------------------------------

  const settle = () => {
    if (ended() !== undefined) return
    routing.settle()
    if (router.takeDemand()) steps.later(demand.offerUnsafe)
    for (const arrival of arrivals) {
      if (connected.size >= arrival.peers) steps.later(() => Deferred.doneUnsafe(arrival.enough, Effect.void))
    }
    metrics.peers(connected.ready, connected.busy)
  }

  steps.frame(() => membership.catchUp(), settle)
  /** Whatever changed since takes effect. */
  const catchUp = () => steps.run(() => undefined)

  // -- the end -------------------------------------------------------------------------------------

  let isOver = false
  const end = (reason: NetworkEnd) => {
    if (isOver) return
    isOver = true
    steps.later(() => demand.endUnsafe(reason))
    for (const { enough } of arrivals) steps.later(() => Deferred.doneUnsafe(enough, Effect.fail(reason)))
    routing.end(reason)
    metrics.peers(0, 0)
  }

  yield* tasks.onEnd((reason) => steps.run(() => end(reason)))
  yield* Effect.addFinalizer(() =>
    Effect.sync(() => {
      const reason = ended() ?? new NetworkClosed()
      closed = reason
      steps.run(() => end(reason))
    })
  )
  // It may have ended already.
  const before = tasks.endedUnsafe()
  if (before !== undefined) steps.run(() => end(before))

  // -- what happens elsewhere ----------------------------------------------------------------------

  yield* registry.onChange((item) => {
    if (item === undefined) steps.run(() => membership.reconsider())
    else if (item._tag === "Block" && router.isWaitingFor(item.hash)) steps.run(() => router.hearOf(item.hash))
  })

  const follow = <A>(changes: Stream.Stream<A>) =>
    Effect.andThen(
      Stream.runForEach(changes, () => Effect.sync(catchUp)),
      Effect.never
    )

  const firstDefect = FiberSet.join(fibers).pipe(
    // Not in the middle of the step that set it off: the rest of that has to be done, too.
    Effect.tapCause(() => Effect.yieldNow),
    Effect.andThen(Effect.never)
  )
  yield* tasks.run(
    "peer set",
    Effect.all([firstDefect, follow(tip.changes), follow(bans.changes)], { concurrency: "unbounded", discard: true })
  )

  // -- the service -----------------------------------------------------------------------------------

  const request = <R extends Request>(request: R, options?: RequestOptions) =>
    Effect.uninterruptibleMask(
      (restore) =>
        Effect.withFiber(({ context }) => {
          const over = ended()
          if (over !== undefined) return Effect.fail(new RequestError({ reason: over }))
          const call = new Call(request, options?.exclude ?? nobody, Context.getOrUndefined(context, Tracer.ParentSpan))
          const next = steps.run(() => router.enter(call))
          return Effect.ensuring(
            restore(next),
            Effect.sync(() => {
              if (!call.leavesNothing) steps.run(() => router.leave(call))
            })
          )
        })
      // A peer answers a request of type `R` with its own kind of answer, or fails.
    ) as Effect.Effect<ResponseOf<R>, RequestError>

  const add = (peer: Peer, makeRoom?: () => Room): Effect.Effect<void, PeerRefused> =>
    Effect.suspend(() => {
      const reason = ended() === undefined ? steps.run(() => membership.add(peer, makeRoom)) : "Ended"
      if (reason === undefined) return Effect.void
      return Effect.andThen(peer.close(new ClientDropped()), Effect.fail(new PeerRefused({ reason })))
    })

  const advertTargets = (to: "some" | "all") =>
    Effect.sync(() => {
      // A step of its own: whoever became too old or was banned since must not hear of the block, nor can who has ended.
      steps.run(() => membership.removeEnded())
      const count =
        to === "all"
          ? connected.size
          : PeerChoice.broadcastSize(connected.size, policy.broadcastShare, chain.kind === "regtest")
      const others = PeerChoice.among(PeerChoice.allPools(connected.pools), connected.trusted)
      const chosen = PeerChoice.subset(others, count, draw)
      return [...connected.trusted, ...chosen].map((id) => membership.member(id).peer)
    })

  const awaitPeers = ({ peers }: { readonly peers: number }) =>
    Effect.suspend(() => {
      catchUp()
      const over = ended()
      if (over !== undefined) return Effect.fail(over)
      if (connected.size >= peers) return Effect.void
      const arrival: Arrival = { peers, enough: Deferred.makeUnsafe() }
      arrivals.add(arrival)
      return Deferred.await(arrival.enough).pipe(
        Effect.provideService(CurrentWait, peers === 1 ? "a connected peer" : `${peers} connected peers`),
        Effect.ensuring(Effect.sync(() => arrivals.delete(arrival)))
      )
    })

  const peersUnsafe = () => Array.from(connected.values(), ({ peer }) => peer)

  return PeerSet.of({
    request,
    add,
    remove: (id, error) => Effect.sync(() => steps.run(() => membership.remove(id, error))),
    advertTargets,
    demand: demand.demand,
    peers: Effect.sync(() => {
      catchUp()
      return peersUnsafe()
    }),
    peersUnsafe,
    hasAddressUnsafe: (address) => connected.at(PeerSocketAddress.format(address)) !== undefined,
    standingsUnsafe: () => connected.values(),
    doubt: (group) =>
      Effect.sync(() => {
        for (const id of connected.inGroup(group)) connected.get(id)?.merit.contradicted()
      }),
    counts: Effect.sync(() => {
      catchUp()
      const { busy, inbound, ready, size } = connected
      return { ready, busy, inbound, outbound: size - inbound }
    }),
    awaitPeers
  })
}

/** Somebody who waits for so many peers: told in the step in which they are there, should they be gone a moment later. */
interface Arrival {
  readonly peers: number
  readonly enough: Deferred.Deferred<void, NetworkEnd>
}
