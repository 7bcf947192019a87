/**
 * Requests for one block or one transaction: who is asked, and which blocks wait for a busy peer.
 *
 * `BlockRouting.ts` decides; this keeps those that have to wait and decides about them anew when something happened that
 * can change the verdict, in their order.
 *
 * How many wait is not bounded: each is a fiber of the program that uses us, never of a peer.
 *
 * Source: Zebra peer_set/set.rs.
 *
 * @module
 */
import { Duration, Effect } from "effect"
import { type BlockHash, isWitnessed, type TransactionId } from "../chain/Hash.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { ConnectionId } from "../peer/Request.ts"
import type { Policy } from "../Policy.ts"
import type { InventoryItem } from "../wire/Message.ts"
import * as BlockRouting from "./BlockRouting.ts"
import type { Call, Next } from "./Call.ts"
import type { ConnectedPeers } from "./ConnectedPeers.ts"
import type { Dispatch } from "./Dispatch.ts"
import type { HashRecord } from "./InventoryRegistry.ts"
import type { News } from "./Membership.ts"
import type { InventoryRefusal, PeerSetMetrics } from "./PeerSetMetrics.ts"
import { NotFoundRegistry, RequestError } from "./RequestError.ts"
import type { Steps } from "./Steps.ts"

/** Peers of a kind (they lack it, failed, are not wanted) whose networks a retry goes around: more than anybody tries. */
const triedRemembered = 8

interface Entry extends WaitingBlock {
  readonly call: Call
  /** Milliseconds of the monotonic clock from which on nobody is asked any more. */
  readonly deadlineMillis: number
}

export interface Options {
  readonly policy: Policy
  readonly metrics: PeerSetMetrics
  readonly steps: Steps
  readonly connected: ConnectedPeers
  readonly dispatch: Dispatch
  readonly recordOf: (item: InventoryItem) => HashRecord
  /** Of the monotonic clock. */
  readonly nowMillis: () => number
}

export class BlockQueue {
  readonly #options: Options
  readonly #waiting = new WaitingBlocks<Entry>()
  readonly #entries = new Map<Call, Entry>()
  /** Waiting blocks took the last ready peer, so the next one that is alone belongs to requests that were not let in yet. */
  #isTurnOfOthers = false
  #isSomeoneReady = false
  #hasEverythingChanged = false
  readonly #changed = new Set<BlockHash>()

  constructor(options: Options) {
    this.#options = options
  }

  get size(): number {
    return this.#waiting.size
  }

  calls(): Iterable<Call> {
    return this.#entries.keys()
  }

  isWaitingFor(hash: BlockHash): boolean {
    return this.#waiting.isWaitingFor(hash)
  }

  leave(call: Call): void {
    const entry = this.#entries.get(call)
    if (entry !== undefined) this.#remove(entry)
  }

  // -- what happened: it decides which of those that wait are looked at again ----------------------

  /** Something happened among the peers. */
  hear(news: News): void {
    if (news === "Changed") this.#hasEverythingChanged = true
    else this.#isSomeoneReady = true
  }

  /** What is known of a block may have changed. */
  hearOf(hash: BlockHash): void {
    this.#changed.add(hash)
  }

  /** Somebody else was let in. */
  endTurnOfOthers(): void {
    if (!this.#isTurnOfOthers) return
    this.#isTurnOfOthers = false
    // A peer that was kept for others and not used is for the waiting blocks.
    this.#isSomeoneReady = true
  }

  /** Whether something happened since `serve`. */
  get hasNews(): boolean {
    return this.#isSomeoneReady || this.#hasEverythingChanged || this.#changed.size > 0
  }

  // -- one request ---------------------------------------------------------------------------

  /** Asks, queues or refuses, while a peer is ready. `undefined` when the chosen one turns out not to be. */
  route(call: Call, hash: BlockHash): Next | undefined {
    const route = this.#routeOf(call, hash)
    switch (route._tag) {
      case "Ask":
        return this.#options.dispatch.oneOf(call, route.among)
      case "Wait":
        return this.#enqueue(call, hash, route.scope)
      case "Refuse":
        return this.#refuse({ _tag: "Block", hash }, "instant")
    }
  }

  /** The same for a transaction, which never waits. */
  routeTransaction(call: Call, id: TransactionId): Next | undefined {
    const { connected, dispatch, recordOf } = this.#options
    const { pools } = connected
    const item: InventoryItem = isWitnessed(id) ? { _tag: "Wtx", id } : { _tag: "Tx", id }
    const record = recordOf(item)
    const wanted = BlockRouting.routeTransaction(pools, {
      ...record,
      advertised: new Set([...record.advertised].filter((id) => !call.exclude.has(id))),
      missing: new Set([...record.missing, ...call.exclude])
    })
    const route = wanted._tag === "Ask" ? wanted : BlockRouting.routeTransaction(pools, record)
    call.promised = record.advertised
    call.tried = this.#networksOf(record.missing, call.exclude)
    return route._tag === "Ask" ? dispatch.oneOf(call, route.among) : this.#refuse(item, "instant")
  }

  #routeOf(call: Call, hash: BlockHash): BlockRouting.Route {
    const { exclude, request } = call
    const { connected, recordOf } = this.#options
    const { advertised, failed, missing } = recordOf({ _tag: "Block", hash })
    const advertiser =
      request._tag === "BlockDownload" && request.advertiser !== undefined
        ? connected.at(PeerSocketAddress.format(request.advertiser))
        : undefined
    call.promised =
      advertiser === undefined || missing.has(advertiser) ? advertised : new Set([...advertised, advertiser])
    call.tried = this.#networksOf(missing, failed, exclude)
    return BlockRouting.routeBlock(connected.pools, {
      advertised: call.promised,
      missing,
      // Whom the caller does not want counts as having failed, for this request.
      failed: exclude.size === 0 ? failed : new Set([...failed, ...exclude])
    })
  }

  /** The networks of these, as far as they are connected; of each kind no more than `triedRemembered`. */
  #networksOf(...kinds: ReadonlyArray<ReadonlySet<ConnectionId>>): ReadonlySet<string> {
    const networks = new Set<string>()
    for (const ids of kinds) {
      let left = triedRemembered
      for (const id of ids) {
        if (left-- === 0) break
        const network = this.#options.connected.get(id)?.network
        if (network !== undefined) networks.add(network)
      }
    }
    return networks
  }

  #enqueue(call: Call, hash: BlockHash, scope: WaitingBlock["scope"]): Next {
    const { metrics, nowMillis, policy, steps } = this.#options
    metrics.inventoryQueued()
    // A download's caller bounds the whole.
    const isBounded = call.request._tag !== "BlockDownload"
    const deadlineMillis = isBounded ? nowMillis() + Duration.toMillis(policy.busyPeerWait) : Infinity
    const entry: Entry = { call, hash, scope, deadlineMillis }
    this.#waiting.add(entry)
    this.#entries.set(call, entry)
    const wait = isBounded
      ? call.waitAtMost(policy.busyPeerWait, () => steps.run(() => this.#giveUpOn(entry)))
      : call.wait()
    return Effect.andThen(Effect.logDebug("waiting for a busy peer that may have a block"), wait)
  }

  #remove(entry: Entry): void {
    this.#waiting.remove(entry)
    this.#entries.delete(entry.call)
  }

  #giveUpOn(entry: Entry): void {
    if (!this.#waiting.has(entry)) return
    this.#remove(entry)
    this.#tell(entry.call.waiter(), this.#refuse({ _tag: "Block", hash: entry.hash }, "waited"))
  }

  #tell(tell: (next: Next) => void, next: Next): void {
    this.#options.steps.later(() => tell(next))
  }

  /** Nobody is to be asked. */
  #refuse(item: InventoryItem, kind: InventoryRefusal): Next {
    this.#options.metrics.inventoryRefusal(kind)
    return Effect.logDebug("no connected peer may have what was asked for").pipe(
      Effect.annotateLogs({ item: item._tag, refusal: kind }),
      // Who asks again at once must not keep others from running.
      Effect.andThen(Effect.yieldNow),
      Effect.andThen(
        Effect.suspend(() => Effect.fail(new RequestError({ reason: new NotFoundRegistry({ hashes: [item] }) })))
      )
    )
  }

  // -- those who wait ------------------------------------------------------------------------

  /** Decides anew about those whose fate can have changed. `areOthersWaiting`: somebody was not let in yet. */
  serve(areOthersWaiting: boolean): void {
    const everything = this.#hasEverythingChanged
    const someoneReady = this.#isSomeoneReady
    const changed = [...this.#changed]
    this.#hasEverythingChanged = false
    this.#isSomeoneReady = false
    this.#changed.clear()
    if (this.#waiting.size === 0) return
    if (everything) {
      for (const entry of this.#waiting.values()) this.#reconsider(entry, areOthersWaiting)
      return
    }
    if (someoneReady) this.#serveInOrder(areOthersWaiting)
    for (const hash of changed) for (const entry of this.#waiting.of(hash)) this.#reconsider(entry, areOthersWaiting)
  }

  /** From the head, while somebody may be served. */
  #serveInOrder(areOthersWaiting: boolean): void {
    const { connected } = this.#options
    for (const entry of this.#waiting.values()) {
      const isServingReady = connected.pools.readyServing.size > 0
      if (connected.ready === 0 || (!isServingReady && this.#waiting.any === 0)) return
      if (this.#isKeptForOthers(areOthersWaiting)) return
      if (isServingReady || entry.scope === "any") this.#reconsider(entry, areOthersWaiting)
    }
  }

  #isKeptForOthers(areOthersWaiting: boolean): boolean {
    return this.#isTurnOfOthers && areOthersWaiting && this.#options.connected.ready === 1
  }

  #reconsider(entry: Entry, areOthersWaiting: boolean): void {
    const { connected, dispatch, nowMillis } = this.#options
    const { call, hash } = entry
    for (;;) {
      const route = this.#routeOf(call, hash)
      if (route._tag === "Wait") return this.#waiting.rescope(entry, route.scope)
      if (route._tag === "Refuse") return this.#giveUpOn(entry)
      // Its time may be over before its timer has had a turn.
      if (nowMillis() >= entry.deadlineMillis) return this.#giveUpOn(entry)
      // Whoever is ready can help it, once it may take the peer.
      if (this.#isKeptForOthers(areOthersWaiting)) return this.#waiting.rescope(entry, "any")
      const tell = call.waiter()
      const next = dispatch.oneOf(call, route.among)
      if (next === undefined) continue
      this.#remove(entry)
      if (connected.ready === 0) this.#isTurnOfOthers = true
      return this.#tell(tell, next)
    }
  }
}

/** A request for one block that waits for a busy peer. */
export interface WaitingBlock {
  readonly hash: BlockHash
  /** Whose becoming ready can help it, as of the last decision. */
  scope: "serving" | "any"
}

/** Such requests, in the order they came. Plain state. */
export class WaitingBlocks<E extends WaitingBlock> {
  readonly #entries = new Set<E>()
  readonly #byHash = new Map<BlockHash, Set<E>>()
  #any = 0

  get size(): number {
    return this.#entries.size
  }

  /** Entries that a peer which does not serve could help. */
  get any(): number {
    return this.#any
  }

  has(entry: E): boolean {
    return this.#entries.has(entry)
  }

  /** Joins last. */
  add(entry: E): void {
    this.#entries.add(entry)
    if (entry.scope === "any") this.#any++
    const same = this.#byHash.get(entry.hash)
    if (same === undefined) this.#byHash.set(entry.hash, new Set([entry]))
    else same.add(entry)
  }

  /** Whether it was in. */
  remove(entry: E): boolean {
    if (!this.#entries.delete(entry)) return false
    if (entry.scope === "any") this.#any--
    const same = this.#byHash.get(entry.hash)
    same?.delete(entry)
    if (same?.size === 0) this.#byHash.delete(entry.hash)
    return true
  }

  /** The entry keeps its place. */
  rescope(entry: E, scope: "serving" | "any"): void {
    if (entry.scope === scope || !this.has(entry)) return
    entry.scope = scope
    this.#any += scope === "any" ? 1 : -1
  }

  /** In order. Entries may be removed while it runs. */
  values(): IterableIterator<E> {
    return this.#entries.values()
  }

  isWaitingFor(hash: BlockHash): boolean {
    return this.#byHash.has(hash)
  }

  /** Those for a hash, in order; none when nobody waits for it. */
  of(hash: BlockHash): Iterable<E> {
    return this.#byHash.get(hash) ?? []
  }
}
