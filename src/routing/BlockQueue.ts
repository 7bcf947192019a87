/**
 * Requests for one block or one transaction: who is asked, and which blocks wait for a busy peer.
 *
 * `BlockRouting.ts` decides; this keeps those that have to wait and decides about them anew when something happened that
 * can change the verdict, in their order.
 *
 * Source: Zebra peer_set/set.rs.
 *
 * @module
 */
import { Effect } from "effect"
import { type BlockHash, isWitnessed, type TransactionId } from "../chain/Hash.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { InventoryItem } from "../wire/Message.ts"
import type { Asking, Call, Next } from "./Asking.ts"
import * as BlockRouting from "./BlockRouting.ts"
import { type WaitingBlock, WaitingBlocks } from "./WaitingBlocks.ts"

/** What happened: it decides which waiting blocks are looked at again. */
export type Event =
  | { readonly _tag: "PeerReady" }
  /** What is known of a block. */
  | { readonly _tag: "BlockChanged"; readonly hash: BlockHash }
  /** Somebody joined or left, or all that is known may have changed. */
  | { readonly _tag: "PeersChanged" }

interface Entry extends WaitingBlock {
  readonly call: Call
}

export class BlockQueue {
  readonly #asking: Asking
  readonly #isSomebodyAtDoor: () => boolean
  readonly #waiting = new WaitingBlocks<Entry>()
  readonly #entries = new Map<Call, Entry>()
  /** Waiting blocks took the last ready peer, so the next one that is alone belongs to the door, while somebody is there. */
  #isDoorsTurn = false
  #isSomeoneReady = false
  #hasEverythingChanged = false
  readonly #changed = new Set<BlockHash>()

  constructor(asking: Asking, isSomebodyAtDoor: () => boolean) {
    this.#asking = asking
    this.#isSomebodyAtDoor = isSomebodyAtDoor
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

  note(event: Event): void {
    switch (event._tag) {
      case "PeerReady":
        this.#isSomeoneReady = true
        return
      case "BlockChanged":
        this.#changed.add(event.hash)
        return
      case "PeersChanged":
        this.#hasEverythingChanged = true
    }
  }

  /** Whether something happened since `serve`. */
  get hasNews(): boolean {
    return this.#isSomeoneReady || this.#hasEverythingChanged || this.#changed.size > 0
  }

  /** Somebody was let in at the door. */
  endDoorsTurn(): void {
    if (!this.#isDoorsTurn) return
    this.#isDoorsTurn = false
    // A peer that was kept for the door and not used is for the waiting blocks.
    this.#isSomeoneReady = true
  }

  // -- one request ---------------------------------------------------------------------------

  /** Asks, queues or refuses, while a peer is ready. `undefined` when the chosen one turns out not to be. */
  route(call: Call, hash: BlockHash): Next | undefined {
    const route = this.#routeOf(call, hash)
    switch (route._tag) {
      case "Ask":
        return this.#asking.oneOf(call, route.among)
      case "Wait":
        return this.#enqueue({ call, hash, scope: route.scope })
      case "Refuse":
        return this.#asking.refuse({ _tag: "Block", hash }, "instant")
    }
  }

  /** The same for a transaction, which never waits. */
  routeTransaction(call: Call, id: TransactionId): Next | undefined {
    const { pools } = this.#asking
    const item: InventoryItem = isWitnessed(id) ? { _tag: "Wtx", id } : { _tag: "Tx", id }
    const record = this.#asking.around.recordOf(item)
    const wanted = BlockRouting.routeTransaction(pools, {
      ...record,
      advertised: new Set([...record.advertised].filter((id) => !call.exclude.has(id))),
      missing: new Set([...record.missing, ...call.exclude])
    })
    const route = wanted._tag === "Ask" ? wanted : BlockRouting.routeTransaction(pools, record)
    return route._tag === "Ask" ? this.#asking.oneOf(call, route.among) : this.#asking.refuse(item, "instant")
  }

  #routeOf({ exclude, request }: Call, hash: BlockHash): BlockRouting.Route {
    const { connected, recordOf } = this.#asking.around
    const { advertised, failed, missing } = recordOf({ _tag: "Block", hash })
    const advertiser =
      request._tag === "BlockDownload" && request.advertiser !== undefined
        ? connected.at(PeerSocketAddress.format(request.advertiser))
        : undefined
    return BlockRouting.routeBlock(connected.pools, {
      advertised:
        advertiser === undefined || missing.has(advertiser) ? advertised : new Set([...advertised, advertiser]),
      missing,
      // Whom the caller does not want counts as having failed, for this request.
      failed: exclude.size === 0 ? failed : new Set([...failed, ...exclude])
    })
  }

  #enqueue(entry: Entry): Next {
    const { call } = entry
    const { metrics, policy } = this.#asking.around
    this.#waiting.add(entry)
    this.#entries.set(call, entry)
    metrics.inventoryQueued()
    const parked =
      call.request._tag === "BlockDownload"
        ? this.#asking.park(call)
        : this.#asking.park(call, { duration: policy.busyPeerWait, whenLate: () => this.#giveUpOn(entry) })
    return Effect.andThen(Effect.logDebug("waiting for a busy peer that may have a block"), parked)
  }

  #remove(entry: Entry): void {
    this.#waiting.remove(entry)
    this.#entries.delete(entry.call)
  }

  #giveUpOn(entry: Entry): void {
    if (!this.#waiting.has(entry)) return
    this.#remove(entry)
    this.#asking.tell(entry.call.waiter, this.#asking.refuse({ _tag: "Block", hash: entry.hash }, "waited"))
  }

  // -- those who wait ------------------------------------------------------------------------

  /** Decides anew about those whose fate can have changed. */
  serve(): void {
    const everything = this.#hasEverythingChanged
    const someoneReady = this.#isSomeoneReady
    const changed = [...this.#changed]
    this.#hasEverythingChanged = false
    this.#isSomeoneReady = false
    this.#changed.clear()
    if (this.#waiting.size === 0) return
    if (everything) {
      for (const entry of this.#waiting.values()) this.#reconsider(entry)
      return
    }
    if (someoneReady) this.#serveInOrder()
    for (const hash of changed) for (const entry of this.#waiting.of(hash)) this.#reconsider(entry)
  }

  /** From the head, while somebody may be served. */
  #serveInOrder(): void {
    for (const entry of this.#waiting.values()) {
      const isServingReady = this.#asking.pools.readyServing.size > 0
      if (this.#asking.ready === 0 || (!isServingReady && this.#waiting.any === 0) || this.#isKeptForDoor) return
      if (isServingReady || entry.scope === "any") this.#reconsider(entry)
    }
  }

  get #isKeptForDoor(): boolean {
    return this.#isDoorsTurn && this.#asking.ready === 1 && this.#isSomebodyAtDoor()
  }

  #reconsider(entry: Entry): void {
    const { call, hash } = entry
    for (;;) {
      const route = this.#routeOf(call, hash)
      if (route._tag === "Wait") return this.#waiting.rescope(entry, route.scope)
      if (route._tag === "Refuse") return this.#giveUpOn(entry)
      // Whoever is ready can help it, once it may take the peer.
      if (this.#isKeptForDoor) return this.#waiting.rescope(entry, "any")
      const { waiter } = call
      const next = this.#asking.oneOf(call, route.among)
      if (next === undefined) continue
      this.#remove(entry)
      if (this.#asking.ready === 0) this.#isDoorsTurn = true
      return this.#asking.tell(waiter, next)
    }
  }
}
