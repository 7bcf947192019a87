/**
 * Asks the network, not a peer.
 *
 * Every connected peer is here, ready or busy, and every request finds its peer here or waits here for one
 * (`RequestRouter.ts`).
 *
 * Nothing is polled. Whatever happens (a peer joins, becomes ready, leaves; something is advertised, an answer fails, a
 * caller gives up) is one synchronous step, after which no request waits that could be routed. Only what happened is
 * looked at, never all peers.
 *
 *     add ─▶ busy ◀──── request ──── ready        remove, ban, minimum version, end of the connection,
 *             └─────── slot is free ───▲          `Policy.requestTimeout` without a free slot ─▶ gone
 *
 * Source: Zebra peer_set/set.rs and peer_set/unready_service.rs.
 *
 * @module
 */
import {
  Cause,
  Clock,
  Context,
  Deferred,
  Effect,
  Exit,
  FiberSet,
  Layer,
  Option,
  Random,
  Schema,
  Scope,
  Stream,
  Tracer
} from "effect"
import { BackgroundTasks, NetworkClosed, type NetworkEnd, type TaskNameTaken } from "../BackgroundTasks.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import { ChainTip, isNearTip } from "../chain/ChainTip.ts"
import { minimumVersion } from "../chain/ProtocolVersion.ts"
import * as Mock from "../Mock.ts"
import { ClientDropped, type Peer, type PeerError } from "../peer/Peer.ts"
import type { ConnectionId, Request, Response, ResponseOf } from "../peer/Request.ts"
import { outboundLimit, Policy, totalLimit } from "../Policy.ts"
import { makeCall } from "../routing/Asking.ts"
import { ConnectedPeers, makeMember, type Member } from "../routing/ConnectedPeers.ts"
import * as Demand from "./Demand.ts"
import { type MockedWithRequests, mockRequests } from "./MockedRequests.ts"
import { InventoryRegistry } from "../routing/InventoryRegistry.ts"
import * as PeerChoice from "../routing/PeerChoice.ts"
import * as PeerSetMetrics from "../routing/PeerSetMetrics.ts"
import type { RequestError } from "../routing/RequestError.ts"
import { RequestRouter, singleBlock } from "../routing/RequestRouter.ts"
import * as StallTracker from "../routing/StallTracker.ts"
import { Steps } from "../routing/Steps.ts"
import { TrustedPeers } from "../routing/TrustedPeers.ts"

export { NotFoundRegistry, RequestError, type RequestErrorReason } from "../routing/RequestError.ts"

/**
 * A peer was not taken in. `Connected`: its address is connected already, and the older connection stays. `GroupFull`: its
 * peer group has all its connections. `Outdated`: its version is older than the chain allows. `Ended`: the network has.
 */
export class PeerRefused extends Schema.TaggedError<PeerRefused>()("PeerRefused", {
  reason: Schema.Literals(["Banned", "Connected", "GroupFull", "Outdated", "Ended"])
}) {}

/** How a request is to be routed. */
export interface RequestOptions {
  /**
   * Connections that are not chosen while another one of those in question is ready, so that a bad answer can be asked
   * for elsewhere at once. Broadcasts ignore it.
   */
  readonly exclude?: ReadonlySet<ConnectionId>
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
     * before it returns.
     */
    readonly add: (peer: Peer) => Effect.Effect<void, PeerRefused>

    /** Lets a peer go: closes it with the error (`ClientDropped` unless given). Takes effect before it returns. */
    readonly remove: (id: ConnectionId, error?: PeerError) => Effect.Effect<void>

    /** Peers that a block advert goes to now, ready or busy: a random part and every trusted one, or all. */
    readonly advertTargets: (to: "some" | "all") => Effect.Effect<ReadonlyArray<Peer>>

    /** How many more connections are wanted. */
    readonly demand: Demand.Demand<NetworkEnd>

    /** Connected peers, ready and busy. */
    readonly peers: Effect.Effect<ReadonlyArray<Peer>>

    /** As `peers`, at once, for whoever watches from outside of any fiber. */
    readonly peersUnsafe: () => ReadonlyArray<Peer>

    /** As `peers`, counted; constant time. */
    readonly counts: Effect.Effect<PeerCounts>

    /** Completes when so many peers are connected. */
    readonly awaitPeers: (options: { readonly peers: number }) => Effect.Effect<void, NetworkEnd>
  }
>()("network-effect/network/PeerSet") {
  /** Ends when the network does, or when the layer's scope closes. */
  static readonly layer: Layer.Layer<
    PeerSet,
    TaskNameTaken,
    ChainParams | ChainTip | InventoryRegistry | BackgroundTasks
  > = Layer.effect(
    PeerSet,
    Effect.suspend(() => make)
  )

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
          counts: "effect",
          awaitPeers: "effects"
        },
        request === undefined ? given : { ...given, request: mockRequests("PeerSet", request) }
      )
    )
}

const nobody: ReadonlySet<ConnectionId> = new Set()

const make = Effect.gen(function* () {
  const policy = yield* Policy
  const chain = yield* ChainParams
  const { tip } = yield* ChainTip
  const tasks = yield* BackgroundTasks
  const registry = yield* InventoryRegistry
  const trusted = yield* TrustedPeers
  const clock = yield* Clock.Clock
  const random = yield* Random.Random
  const metrics = PeerSetMetrics.make(chain.kind, yield* Effect.context<never>())
  // What dies in here is a bug of ours; what becomes of a request is told to its caller.
  const fibers = yield* Scope.provide(FiberSet.make<unknown>(), tasks.scope)
  const flights = yield* Scope.provide(FiberSet.make<unknown, unknown>(), tasks.scope)
  const run = yield* FiberSet.runtime(fibers)<never>()

  const connected = new ConnectedPeers()
  const { pools } = connected
  const arrivals = new Set<Arrival>()
  const closed = yield* Deferred.make<never, NetworkEnd>()
  const demand = Demand.make(outboundLimit(policy), closed)
  let isOver = false
  /** The reason is there before anything breaks because of it. */
  const ended = () => (isOver ? reason : tasks.endedUnsafe())
  let reason: NetworkEnd | undefined

  const steps = new Steps(
    () => followTip(),
    () => settle()
  )
  const draw = (bound: number) => Math.floor(random.nextDoubleUnsafe() * bound)
  const log = (effect: Effect.Effect<void>) => steps.later(() => run(effect))
  const isRegtest = chain.kind === "regtest"

  // -- peers ---------------------------------------------------------------------------------

  const close = (peer: Peer, error: PeerError) => steps.later(() => run(peer.close(error)))

  const drop = (id: ConnectionId, error: PeerError): void => {
    const member = connected.remove(id)
    if (member === undefined) return
    close(member.peer, error)
    router.note({ _tag: "PeersChanged" })
  }

  /** A busy peer becomes ready when its slot is free, and is let go when that takes too long. */
  const watchReadiness = (member: Member) => {
    const { peer } = member
    const ready = () =>
      steps.run(() => {
        connected.markReady(member)
        router.note({ _tag: "PeerReady" })
      })
    if (peer.readiness() === "Ready") return ready()
    const inTime = Effect.timeoutOrElse(Effect.as(peer.awaitReady, true), {
      duration: policy.requestTimeout,
      // A slot that is free at the very end of the time is free in time.
      orElse: () => Effect.sync(() => peer.readiness() === "Ready")
    })
    const outcome = Effect.match(inTime, {
      onFailure: (error) => steps.run(() => drop(peer.id, error)),
      onSuccess: (isReady) => {
        if (isReady) return ready()
        steps.run(() => {
          log(Effect.logDebug("a peer was busy for too long"))
          drop(peer.id, new ClientDropped())
        })
      }
    })
    run(outcome)
  }

  const becameBusy = (member: Member) => {
    connected.markBusy(member)
    watchReadiness(member)
  }

  const admit = (member: Member): PeerRefused["reason"] | undefined => {
    const { address, group, peer } = member
    if (ended() !== undefined) return "Ended"
    // Of two connections with one address the older stays, or they could replace each other for ever.
    if (address !== undefined && connected.at(address) !== undefined) return "Connected"
    if (group !== undefined && !member.sidecar && connected.inGroup(group).size >= policy.connectionsPerGroup) {
      return "GroupFull"
    }
    if (!isAcceptable(member)) return "Outdated"
    if (connected.size >= totalLimit(policy)) {
      throw new Error(`${connected.size} peers are connected, and there are slots for ${totalLimit(policy)}`)
    }
    connected.add(member)
    run(Effect.map(peer.awaitClosed, (error) => steps.run(() => drop(peer.id, error))))
    watchReadiness(member)
    router.note({ _tag: "PeersChanged" })
    return undefined
  }

  const add = (peer: Peer): Effect.Effect<void, PeerRefused> =>
    Effect.suspend(() => {
      const reason = steps.run(() => admit(makeMember(peer, trusted)))
      if (reason === undefined) return Effect.void
      return Effect.andThen(peer.close(new ClientDropped()), Effect.fail(new PeerRefused({ reason })))
    })

  // -- who may stay --------------------------------------------------------------------------

  let knownTip = tip.getUnsafe()
  const heightOf = (tip: typeof knownTip) => (Option.isSome(tip) ? tip.value.height : 0)
  let minimum = minimumVersion(chain, heightOf(knownTip))

  const isAcceptable = ({ peer }: Member) => peer.info.remote.version >= minimum

  /** Lets go whom the chain has left behind. */
  const followTip = () => {
    const now = tip.getUnsafe()
    if (now === knownTip) return
    knownTip = now
    const before = minimum
    minimum = minimumVersion(chain, heightOf(now))
    if (minimum <= before) return
    for (const member of connected.values()) if (!isAcceptable(member)) drop(member.peer.id, new ClientDropped())
  }

  // -- requests ------------------------------------------------------------------------------

  const isNear = () => isNearTip(tip.getUnsafe(), clock.currentTimeMillisUnsafe() / 1000, policy.nearTipAge)

  /** Learns from how a request to a peer ended. */
  const landed = (request: Request, member: Member, exit: Exit.Exit<Response, PeerError>) => {
    const { id } = member.peer
    if (ended() !== undefined || connected.get(id) !== member) return
    const hash = singleBlock(request)
    if (hash !== undefined) {
      if (isFailedDelivery(exit)) run(registry.recordFailure(id, { _tag: "Block", hash }))
    } else if ((request._tag === "FindBlocks" || request._tag === "FindHeaders") && !member.sidecar) {
      member.stalls = StallTracker.stallsAfter(member.stalls, StallTracker.classify(request, exit, isNear))
      if (member.stalls < policy.stallThreshold) return
      log(Effect.logInfo("a peer failed too many requests for hashes in a row"))
      drop(id, new ClientDropped())
    }
  }

  const router = new RequestRouter({
    policy,
    isRegtest,
    connected,
    steps,
    metrics,
    draw,
    nowNanos: () => clock.monotonicTimeNanosUnsafe(),
    recordOf: registry.record,
    ended,
    run: yield* FiberSet.runtime(flights)<never>(),
    becameBusy,
    lostTrack: (member) =>
      member.peer.readiness() === "Failed" ? drop(member.peer.id, new ClientDropped()) : becameBusy(member),
    landed: (request, member, exit) => steps.run(() => landed(request, member, exit))
  })

  const request = <R extends Request>(request: R, options?: RequestOptions) =>
    Effect.uninterruptibleMask(
      (restore) =>
        Effect.withFiber(({ context }) => {
          const call = makeCall(request, options?.exclude ?? nobody, Context.getOrUndefined(context, Tracer.ParentSpan))
          const next = steps.run(() => router.enter(call))
          return Effect.ensuring(
            restore(next),
            Effect.sync(() => steps.run(() => router.leave(call)))
          )
        })
      // A peer answers a request of type `R` with its own kind of answer, or fails.
    ) as Effect.Effect<ResponseOf<R>, RequestError>

  const advertTargets = (to: "some" | "all") =>
    Effect.sync(() => {
      // A step of its own: whoever became too old since must not hear of the block. Nor can whoever has just ended.
      steps.run(() => {
        for (const { peer } of connected.values()) if (peer.readiness() === "Failed") drop(peer.id, new ClientDropped())
      })
      const everyone = PeerChoice.allPools(pools)
      const count =
        to === "all" ? connected.size : PeerChoice.broadcastSize(connected.size, policy.broadcastShare, isRegtest)
      const chosen = PeerChoice.subset(PeerChoice.among(everyone, connected.sidecars), count, draw)
      return [...connected.sidecars, ...chosen].flatMap((id) => connected.get(id)?.peer ?? [])
    })

  // -- what every step ends with ---------------------------------------------------------------

  const shown = { ready: 0, busy: 0 }

  const settle = () => {
    if (ended() !== undefined) return
    router.settle()
    if (router.takeDemand()) steps.later(demand.offerUnsafe)
    for (const { peers, resume } of arrivals) if (connected.size >= peers) steps.later(() => resume(Effect.void))
    showCounts()
  }

  const showCounts = () => {
    const ready = PeerChoice.readyCount(pools)
    const busy = PeerChoice.busyCount(pools)
    if (ready === shown.ready && busy === shown.busy) return
    shown.ready = ready
    shown.busy = busy
    metrics.peers(ready, busy)
  }

  // -- the end -------------------------------------------------------------------------------

  const end = (error: NetworkEnd) => {
    if (isOver) return
    isOver = true
    reason = error
    router.end(error)
    // Before the connections end, so that whoever waits for one hears the reason.
    steps.later(() => Deferred.doneUnsafe(closed, Exit.fail(error)))
    steps.later(demand.closeUnsafe)
    for (const { resume } of arrivals) steps.later(() => resume(Effect.fail(error)))
    for (const { peer } of connected.values()) drop(peer.id, new ClientDropped())
    metrics.peers(0, 0)
  }

  yield* tasks.onEnd((reason) => steps.run(() => end(reason)))
  // Whoever holds this layer alone, without the rest of the network.
  yield* Effect.addFinalizer(() => Effect.sync(() => steps.run(() => end(ended() ?? new NetworkClosed()))))
  const before = tasks.endedUnsafe()
  if (before !== undefined) steps.run(() => end(before))

  yield* registry.onChange((item) => {
    if (item === undefined) steps.run(() => router.note({ _tag: "PeersChanged" }))
    else if (item._tag === "Block" && router.isWaitingFor(item.hash)) {
      steps.run(() => router.note({ _tag: "BlockChanged", hash: item.hash }))
    }
  })

  const watchTip = Stream.runForEach(tip.changes, () => Effect.sync(() => steps.run(() => undefined)))

  yield* tasks.run(
    "peer set",
    // A fiber that dies ends the network.
    Effect.raceFirst(Effect.andThen(FiberSet.join(fibers), Effect.never), Effect.andThen(watchTip, Effect.never))
  )

  const everyone = () => Array.from(connected.values(), ({ peer }) => peer)

  const awaitPeers = ({ peers }: { readonly peers: number }) =>
    Effect.callback<void, NetworkEnd>((resume) => {
      const end = ended()
      if (end !== undefined) return resume(Effect.fail(end))
      if (connected.size >= peers) return resume(Effect.void)
      const arrival = { peers, resume }
      arrivals.add(arrival)
      return Effect.sync(() => arrivals.delete(arrival))
    })

  return PeerSet.of({
    request,
    add,
    remove: (id, error = new ClientDropped()) => Effect.sync(() => steps.run(() => drop(id, error))),
    advertTargets,
    demand: demand.demand,
    peers: Effect.sync(everyone),
    peersUnsafe: everyone,
    counts: Effect.sync(() => ({
      ready: PeerChoice.readyCount(pools),
      busy: PeerChoice.busyCount(pools),
      inbound: connected.inbound,
      outbound: connected.size - connected.inbound
    })),
    awaitPeers
  })
})

/** Somebody who waits for so many peers. */
interface Arrival {
  readonly peers: number
  readonly resume: (effect: Effect.Effect<void, NetworkEnd>) => void
}

/** The peer neither delivered, nor said that it lacks the block, nor was it us who gave up. */
const isFailedDelivery = (exit: Exit.Exit<Response, PeerError>): boolean =>
  Exit.isFailure(exit) &&
  Option.match(Cause.findErrorOption(exit.cause), {
    onNone: () => false,
    onSome: (error) => error._tag !== "NotFoundResponse"
  })
