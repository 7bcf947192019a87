/**
 * Finds a peer for each request, and keeps the requests that have to wait for one.
 *
 *     door ──▶ peer                        a peer is ready
 *      │ └───▶ find queue ──▶ peer         finds, while only peers that do not serve blocks are ready
 *      └─────▶ waiting blocks ──▶ peer     single blocks, while only busy peers may have them
 *
 * Nobody waits twice at the door: a request is let in when a peer is ready, first come, first served, and then asked,
 * queued or refused at once. Whenever something changed, queued finds come first, then waiting blocks, then a broadcast
 * owed to trusted peers, then the door. Each is looked at only when what happened can change its fate.
 *
 * Everything here is synchronous and runs within a step of `PeerSet.ts`. What a caller does next is the effect it is
 * given; its own fiber measures the time it waits, and its leaving frees its place.
 *
 * Source: Zebra peer_set/set.rs.
 *
 * @module
 */
import { Data, Deferred, type Duration, Effect, Exit, Fiber } from "effect"
import { type BlockHash, isWitnessed, type TransactionId } from "../chain/Hash.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { PeerError } from "../peer/Peer.ts"
import type { ConnectionId, Request, Response } from "../peer/Request.ts"
import type { Policy } from "../Policy.ts"
import type { InventoryItem } from "../wire/Message.ts"
import * as BlockRouting from "./BlockRouting.ts"
import type { ConnectedPeers, Member } from "./ConnectedPeers.ts"
import type { HashRecord } from "./InventoryRegistry.ts"
import * as PeerChoice from "./PeerChoice.ts"
import type { PeerSetClosed, PeerSetError } from "./PeerSet.ts"
import type { FindFallback, InventoryRefusal, PeerSetMetrics } from "./PeerSetMetrics.ts"
import type { Steps } from "./Steps.ts"
import { type WaitingBlock, WaitingBlocks } from "./WaitingBlocks.ts"

/**
 * No connected peer may have these, or none of those who may became free in time. Nobody was asked. What peers lack is
 * forgotten after at most twice `Policy.inventoryRotation`, so another try later may work.
 */
export class NotFoundRegistry extends Data.TaggedError("NotFoundRegistry")<{
  readonly hashes: ReadonlyArray<InventoryItem>
}> {}

/** What the caller of a request does next. */
export type Next = Effect.Effect<Response, PeerSetError>

/** One request, from its caller's asking until the caller has its answer or gives up. */
export interface Call {
  readonly request: Request
  readonly exclude: ReadonlySet<ConnectionId>
  /** Told what to do next; there while the caller waits here. */
  waiter: Deferred.Deferred<Next> | undefined
  /** Its place among the waiting blocks. */
  block: BlockEntry | undefined
  /** A find that has waited for a peer that serves long enough. */
  isLate: boolean
  /** The waits for the peers' answers. */
  flights: ReadonlyArray<Fiber.Fiber<Response, PeerError>>
  /** The caller has its answer or has given up. */
  isOver: boolean
}

export const makeCall = (request: Request, exclude: ReadonlySet<ConnectionId>): Call => ({
  request,
  exclude,
  waiter: undefined,
  block: undefined,
  isLate: false,
  flights: [],
  isOver: false
})

interface BlockEntry extends WaitingBlock {
  readonly call: Call
}

/** What happened: it decides which waiting blocks are looked at again. */
export type Event =
  | { readonly _tag: "PeerReady" }
  | { readonly _tag: "BlockChanged"; readonly hash: BlockHash }
  | { readonly _tag: "PeersChanged" }

/** What the router knows and can do beyond itself. */
export interface Surroundings {
  readonly policy: Policy
  readonly regtest: boolean
  readonly connected: ConnectedPeers
  readonly steps: Steps
  readonly metrics: PeerSetMetrics
  readonly draw: PeerChoice.DrawBelow
  /** Of the monotonic clock. */
  readonly nowNanos: () => bigint
  readonly recordOf: (item: InventoryItem) => HashRecord
  /** Starts an effect in the scope of the peer set, at once. */
  readonly run: <A, E>(effect: Effect.Effect<A, E>) => Fiber.Fiber<A, E>
  /** The peer was asked: it is busy until it is ready again. */
  readonly becameBusy: (member: Member) => void
  /** The peer is not ready, though nobody told us. */
  readonly lostTrack: (member: Member) => void
  /** The peer answered or failed, or the caller gave up. */
  readonly landed: (request: Request, member: Member, exit: Exit.Exit<Response, PeerError>) => void
}

const nil: Response = { _tag: "Nil" }

export class RequestRouter {
  readonly #around: Surroundings
  readonly #door = new Set<Call>()
  readonly #finds = new Set<Call>()
  readonly #blocks = new WaitingBlocks<BlockEntry>()
  /** A transaction for trusted peers that were busy when it was pushed. Only the latest one is kept. */
  #owed: { readonly request: Request; readonly ids: Set<ConnectionId> } | undefined
  /** Waiting blocks took the last ready peer, so the next one that is alone belongs to the door, while somebody is there. */
  #doorsTurn = false
  #ended: PeerSetClosed | undefined

  #someoneReady = false
  #everythingChanged = false
  readonly #changedBlocks = new Set<BlockHash>()
  /** Something happened since demand was last asked for. */
  #isStirred = false

  constructor(around: Surroundings) {
    this.#around = around
  }

  /** Requests that wait for a peer. */
  get waiting(): number {
    return this.#door.size + this.#finds.size + this.#blocks.size
  }

  // -- entering and leaving ------------------------------------------------------------------

  /** Takes a request in: at once when a peer is ready and nobody is before it, else when its turn comes. */
  enter(call: Call): Next {
    if (this.#ended !== undefined) return Effect.fail(this.#ended)
    const next = this.#door.size === 0 ? this.#route(call) : undefined
    if (next === undefined) {
      this.#door.add(call)
      this.#isStirred = true
      return this.#park(call)
    }
    this.#endTurn()
    return next
  }

  /** The caller has its answer or has given up: frees its place, and cancels what it waits for. */
  leave(call: Call): void {
    call.isOver = true
    if (this.#door.delete(call) && this.#door.size === 0) this.#endTurn()
    this.#finds.delete(call)
    if (call.block !== undefined) this.#blocks.remove(call.block)
    this.#cancel(call)
  }

  #cancel(call: Call): void {
    for (const flight of call.flights) this.#around.steps.later(() => flight.interruptUnsafe())
  }

  /** Says what happened, within a step. */
  note(event: Event): void {
    this.#isStirred = true
    switch (event._tag) {
      case "PeerReady":
        this.#someoneReady = true
        return
      case "BlockChanged":
        this.#changedBlocks.add(event.hash)
        return
      case "PeersChanged":
        this.#everythingChanged = true
    }
  }

  /** Whether a waiting request depends on what is known of the block. */
  isWaitingFor(hash: BlockHash): boolean {
    return this.#blocks.isWaitingFor(hash)
  }

  /** Whether one more peer should be asked for: once for each thing that happened while a request waits and nobody is ready. */
  takeDemand(): boolean {
    const wanted = this.#isStirred && this.waiting > 0 && this.#ready === 0
    this.#isStirred = false
    return wanted
  }

  /** Routes what waits, until nothing more can be. */
  settle(): void {
    if (this.#ended !== undefined) return
    do {
      this.#serveFinds()
      this.#serveBlocks()
      this.#deliverOwed()
    } while (this.#letIn() || this.#hasNews)
  }

  get #hasNews(): boolean {
    return this.#someoneReady || this.#everythingChanged || this.#changedBlocks.size > 0
  }

  /** Fails whatever waits, and whatever comes. */
  end(error: PeerSetClosed): void {
    this.#ended = error
    const calls = [...this.#door, ...this.#finds, ...Array.from(this.#blocks.values(), ({ call }) => call)]
    for (const call of calls) {
      this.#tell(call.waiter, Effect.fail(error))
      this.leave(call)
    }
    this.#owed = undefined
  }

  #letIn(): boolean {
    for (const call of this.#door) {
      // Routing may give the call another waiter.
      const { waiter } = call
      const next = this.#route(call)
      if (next === undefined) return false
      this.#door.delete(call)
      this.#endTurn()
      this.#tell(waiter, next)
      return true
    }
    return false
  }

  /** Somebody was let in, or nobody is at the door any more. */
  #endTurn(): void {
    if (!this.#doorsTurn) return
    this.#doorsTurn = false
    // A peer that was kept for the door and not used is for the waiting blocks.
    this.#someoneReady = true
  }

  /** Lets the caller wait until it is told what to do, and does `whenLate` once it has waited so long. */
  #park(call: Call, patience?: { readonly duration: Duration.Duration; readonly whenLate: () => void }): Next {
    const waiter = Deferred.makeUnsafe<Next>()
    call.waiter = waiter
    const told = Deferred.await(waiter)
    if (patience === undefined) return Effect.flatten(told)
    const { duration, whenLate } = patience
    const orElse = () =>
      Effect.andThen(
        Effect.sync(() => this.#around.steps.run(whenLate)),
        told
      )
    return Effect.flatten(Effect.timeoutOrElse(told, { duration, orElse }))
  }

  #tell(waiter: Deferred.Deferred<Next> | undefined, next: Next): void {
    if (waiter !== undefined) this.#around.steps.later(() => Deferred.doneUnsafe(waiter, Exit.succeed(next)))
  }

  // -- asking one peer -----------------------------------------------------------------------

  /** What becomes of a request now. `undefined` when no peer is ready. */
  #route(call: Call): Next | undefined {
    if (this.#ready === 0) return undefined
    const next = this.#routeToReady(call)
    // Peers that only seemed to be ready are put right on the way: then nothing was decided yet.
    return next ?? (this.#ready === 0 ? undefined : this.#route(call))
  }

  #routeToReady(call: Call): Next | undefined {
    const { request } = call
    switch (request._tag) {
      case "Peers":
      case "MempoolTransactionIds":
        return this.#askAny(call)
      case "BlockDownload":
      case "BlocksByHash": {
        const hash = singleBlock(request)
        return hash === undefined ? this.#askAny(call) : this.#askForBlock(call, hash)
      }
      case "TransactionsById": {
        const id = only(request.ids)
        return id === undefined ? this.#askAny(call) : this.#askForTransaction(call, id)
      }
      case "FindBlocks":
      case "FindHeaders":
        return this.#askForHashes(call)
      case "AdvertiseTransactionIds":
        return this.#broadcast(call)
      case "PushTransaction":
        return this.#push(call)
    }
  }

  #askAny(call: Call): Next | undefined {
    const ready = PeerChoice.readyPools(this.#pools)
    const others = PeerChoice.among(ready, call.exclude)
    return this.#askOneOf(call, others.size > 0 ? others : PeerChoice.among(ready))
  }

  /** Asks the less loaded of two candidates. `undefined` when it turns out not to be ready. */
  #askOneOf(call: Call, candidates: PeerChoice.Candidates): Next | undefined {
    const { connected, draw, nowNanos } = this.#around
    const now = nowNanos()
    const id = PeerChoice.lessLoaded(candidates, draw, (id) => connected.get(id)?.peer.load(now) ?? 0)
    return id === undefined ? undefined : this.#ask(call, id)
  }

  #ask(call: Call, id: ConnectionId): Next | undefined {
    const member = this.#usable(id)
    if (member === undefined) return undefined
    const flight = this.#send(call.request, member)
    this.#board(call, [flight])
    return Effect.flatMap(Fiber.await(flight), (exit): Next =>
      Exit.isFailure(exit) && this.#ended !== undefined ? Effect.fail(this.#ended) : exit
    )
  }

  /** The member, if it can really be asked: its connection may have ended in this very moment. */
  #usable(id: ConnectionId): Member | undefined {
    const { connected, lostTrack } = this.#around
    const member = connected.get(id)
    if (member === undefined) throw new Error("only connected peers are in a pool")
    if (member.peer.readiness() === "Ready") return member
    lostTrack(member)
    return undefined
  }

  /** Puts the request into the slot of a usable peer. */
  #send(request: Request, member: Member): Fiber.Fiber<Response, PeerError> {
    const { becameBusy, landed, run } = this.#around
    const flight: Fiber.Fiber<Response, PeerError> = run(member.peer.enqueueUnsafe(request))
    becameBusy(member)
    flight.addObserver((exit) => landed(request, member, exit))
    return flight
  }

  #board(call: Call, flights: Call["flights"]): void {
    call.flights = flights
    // Given up while it was being sent.
    if (call.isOver) this.#cancel(call)
  }

  get #pools(): PeerChoice.PeerPools {
    return this.#around.connected.pools
  }

  get #ready(): number {
    return PeerChoice.readyCount(this.#pools)
  }

  // -- finds ---------------------------------------------------------------------------------

  #askForHashes(call: Call): Next | undefined {
    const { metrics, policy } = this.#around
    const asked = this.#askInTurn(call, "no_serving_peer", !this.#isServingConnected)
    if (asked !== undefined) return asked
    if (this.#pools.readyServing.size > 0 || this.#ready === 0) return undefined
    if (this.#finds.size >= policy.findQueueCapacity) return this.#askInTurn(call, "queue_full", true)
    metrics.findQueued()
    this.#finds.add(call)
    return this.#park(call, {
      duration: policy.servingPeerWait,
      whenLate: () => {
        call.isLate = true
      }
    })
  }

  get #isServingConnected(): boolean {
    return this.#pools.readyServing.size + this.#pools.busyServing.size > 0
  }

  /** Asks whose turn it is; one that does not serve only where `others` are allowed, which is counted as a fallback. */
  #askInTurn(call: Call, fallback: FindFallback, others: boolean): Next | undefined {
    const { connected, metrics } = this.#around
    const { rotation } = connected
    const rings = { serving: this.#pools.readyServing.size > 0, others: others && this.#pools.readyOther.size > 0 }
    const isReady = (id: ConnectionId) => connected.isReady(id)
    const isWanted = (id: ConnectionId) => isReady(id) && !call.exclude.has(id)
    const id = rotation.next(isWanted, rings) ?? rotation.next(isReady, rings)
    if (id === undefined) return undefined
    const next = this.#ask(call, id)
    if (next !== undefined && connected.get(id)?.serving === false) metrics.findFallback(fallback)
    return next
  }

  #serveFinds(): void {
    for (const call of this.#finds) {
      if (this.#ready === 0) return
      const { waiter } = call
      const isAlone = !this.#isServingConnected
      const next = this.#askInTurn(call, isAlone ? "no_serving_peer" : "expired", call.isLate || isAlone)
      if (next === undefined) continue
      this.#finds.delete(call)
      this.#tell(waiter, next)
    }
  }

  // -- single blocks and transactions ----------------------------------------------------------

  #askForTransaction(call: Call, id: TransactionId): Next | undefined {
    const item: InventoryItem = isWitnessed(id) ? { _tag: "Wtx", id } : { _tag: "Tx", id }
    const record = this.#around.recordOf(item)
    const wanted = BlockRouting.routeTransaction(this.#pools, {
      ...record,
      advertised: new Set([...record.advertised].filter((id) => !call.exclude.has(id))),
      missing: new Set([...record.missing, ...call.exclude])
    })
    const route = wanted._tag === "Ask" ? wanted : BlockRouting.routeTransaction(this.#pools, record)
    return route._tag === "Ask" ? this.#askOneOf(call, route.among) : this.#refuse(item, "instant")
  }

  #askForBlock(call: Call, hash: BlockHash): Next | undefined {
    const route = this.#routeOfBlock(call, hash)
    switch (route._tag) {
      case "Ask":
        return this.#askOneOf(call, route.among)
      case "Wait":
        return this.#queueBlock(call, hash, route.scope)
      case "Refuse":
        return this.#refuse({ _tag: "Block", hash }, "instant")
    }
  }

  #routeOfBlock(call: Call, hash: BlockHash): BlockRouting.Route {
    const { connected, recordOf } = this.#around
    const { advertised, failed, missing } = recordOf({ _tag: "Block", hash })
    const { exclude, request } = call
    const advertiser =
      request._tag === "BlockDownload" && request.advertiser !== undefined
        ? connected.at(PeerSocketAddress.format(request.advertiser))
        : undefined
    return BlockRouting.routeBlock(this.#pools, {
      advertised:
        advertiser === undefined || missing.has(advertiser) ? advertised : new Set([...advertised, advertiser]),
      missing,
      // Whom the caller does not want counts as having failed, for this request.
      failed: exclude.size === 0 ? failed : new Set([...failed, ...exclude])
    })
  }

  #queueBlock(call: Call, hash: BlockHash, scope: BlockEntry["scope"]): Next {
    const { metrics, policy } = this.#around
    const entry: BlockEntry = { call, hash, scope }
    call.block = entry
    this.#blocks.add(entry)
    metrics.inventoryQueued()
    const parked =
      call.request._tag === "BlockDownload"
        ? this.#park(call)
        : this.#park(call, { duration: policy.busyPeerWait, whenLate: () => this.#giveUpOn(entry) })
    return Effect.andThen(Effect.logDebug("waiting for a busy peer that may have a block"), parked)
  }

  #giveUpOn(entry: BlockEntry): void {
    if (!this.#blocks.remove(entry)) return
    this.#tell(entry.call.waiter, this.#refuse({ _tag: "Block", hash: entry.hash }, "waited"))
  }

  #refuse(item: InventoryItem, kind: InventoryRefusal): Next {
    this.#around.metrics.inventoryRefusal(kind)
    return Effect.logDebug("no connected peer may have what was asked for").pipe(
      Effect.annotateLogs({ item: item._tag, refusal: kind }),
      // Who asks again at once must not keep others from running.
      Effect.andThen(Effect.yieldNow),
      Effect.andThen(Effect.suspend(() => Effect.fail(new NotFoundRegistry({ hashes: [item] }))))
    )
  }

  #serveBlocks(): void {
    const everything = this.#everythingChanged
    const someoneReady = this.#someoneReady
    const changed = [...this.#changedBlocks]
    this.#everythingChanged = false
    this.#someoneReady = false
    this.#changedBlocks.clear()
    if (this.#blocks.size === 0) return
    if (everything) {
      for (const entry of this.#blocks.values()) this.#reconsider(entry)
      return
    }
    if (someoneReady) this.#serveBlocksInOrder()
    for (const hash of changed) for (const entry of this.#blocks.of(hash)) this.#reconsider(entry)
  }

  /** From the head, while somebody may be served. */
  #serveBlocksInOrder(): void {
    for (const entry of this.#blocks.values()) {
      const servingReady = this.#pools.readyServing.size > 0
      if (this.#ready === 0 || (!servingReady && this.#blocks.any === 0) || this.#isKeptForDoor) return
      if (servingReady || entry.scope === "any") this.#reconsider(entry)
    }
  }

  get #isKeptForDoor(): boolean {
    return this.#doorsTurn && this.#door.size > 0 && this.#ready === 1
  }

  #reconsider(entry: BlockEntry): void {
    const { call, hash } = entry
    for (;;) {
      const route = this.#routeOfBlock(call, hash)
      if (route._tag === "Wait") return this.#blocks.rescope(entry, route.scope)
      if (route._tag === "Refuse") return this.#giveUpOn(entry)
      // Whoever is ready can help it, once it may take the peer.
      if (this.#isKeptForDoor) return this.#blocks.rescope(entry, "any")
      const { waiter } = call
      const next = this.#askOneOf(call, route.among)
      if (next === undefined) continue
      this.#blocks.remove(entry)
      if (this.#ready === 0) this.#doorsTurn = true
      return this.#tell(waiter, next)
    }
  }

  // -- broadcasts ----------------------------------------------------------------------------

  /** To a part of the ready peers, drawn without regard to their load. */
  #broadcast(call: Call): Next | undefined {
    return this.#askAll(call, this.#share(PeerChoice.among(PeerChoice.readyPools(this.#pools))))
  }

  #share(candidates: PeerChoice.Candidates): ReadonlyArray<ConnectionId> {
    const { draw, policy, regtest } = this.#around
    return PeerChoice.subset(candidates, PeerChoice.broadcastSize(this.#ready, policy.broadcastShare, regtest), draw)
  }

  /** To a part of the ready peers, and to every trusted one: to those that are busy as soon as they are ready. */
  #push(call: Call): Next | undefined {
    const { connected } = this.#around
    const trusted = [...connected.sidecars]
    const ready = trusted.filter((id) => connected.isReady(id))
    const busy = trusted.filter((id) => !connected.isReady(id))
    this.#owed = busy.length === 0 ? undefined : { request: call.request, ids: new Set(busy) }
    const others = PeerChoice.among(PeerChoice.readyPools(this.#pools), trusted)
    return this.#askAll(call, [...ready, ...this.#share(others)])
  }

  /** Answers `Nil` when all have answered or failed. */
  #askAll(call: Call, ids: ReadonlyArray<ConnectionId>): Next | undefined {
    const members = ids.map((id) => this.#usable(id)).filter((member) => member !== undefined)
    if (members.length === 0 && ids.length > 0) return undefined
    const flights = members.map((member) => this.#send(call.request, member))
    this.#board(call, flights)
    return Effect.flatMap(
      Effect.forEach(flights, (flight) => Fiber.await(flight)),
      (exits): Next =>
        this.#ended !== undefined
          ? Effect.fail(this.#ended)
          : Effect.logDebug("broadcast sent").pipe(
              Effect.annotateLogs({ peers: exits.length, failed: exits.filter(Exit.isFailure).length }),
              Effect.as(nil)
            )
    )
  }

  #deliverOwed(): void {
    if (this.#owed === undefined) return
    const { connected } = this.#around
    const { ids, request } = this.#owed
    for (const id of ids) {
      if (connected.get(id) === undefined) ids.delete(id)
      else if (connected.isReady(id)) {
        const member = this.#usable(id)
        if (member === undefined) continue
        // Nobody waits for the answer, so the scope of the peer set keeps it going.
        this.#send(request, member)
        ids.delete(id)
      }
    }
    if (ids.size === 0) this.#owed = undefined
  }
}

/** The block that a request for exactly one asks for. */
export const singleBlock = (request: Request): BlockHash | undefined => {
  switch (request._tag) {
    case "BlockDownload":
      return request.hash
    case "BlocksByHash":
      return only(request.hashes)
    default:
      return undefined
  }
}

/** The only member of a set, `undefined` when there are none or more. */
const only = <A>(set: ReadonlySet<A>): A | undefined => {
  if (set.size !== 1) return undefined
  const [first] = set
  return first
}
