/**
 * Lets requests in, and serves those that wait.
 *
 *     door ──▶ peer                       a peer is ready
 *      │ └───▶ FindQueue ──▶ peer         finds, while only peers that do not serve blocks are ready
 *      └─────▶ BlockQueue ──▶ peer        single blocks, while only busy peers may have them
 *
 * Nobody waits twice at the door: a request is let in when a peer is ready, first come, first served, and then asked,
 * queued or refused at once. Whenever something happened, queued finds come first, then waiting blocks, then what is owed
 * to trusted peers, then the door. So finds are not starved by downloads; and blocks that took the last ready peer leave
 * the next one to the door, so neither is the door.
 *
 * How many wait is not bounded here: each is a fiber of the program that uses us, never of a peer.
 *
 * Source: Zebra peer_set/set.rs.
 *
 * @module
 */
import { Effect } from "effect"
import type { NetworkEnd } from "../BackgroundTasks.ts"
import type { BlockHash } from "../chain/Hash.ts"
import type { Request } from "../peer/Request.ts"
import { Asking, type Call, type Next, type Surroundings } from "./Asking.ts"
import { BlockQueue, type Event } from "./BlockQueue.ts"
import { Broadcasts } from "./Broadcasts.ts"
import { FindQueue } from "./FindQueue.ts"
import * as PeerChoice from "./PeerChoice.ts"
import { RequestError } from "./RequestError.ts"

export class RequestRouter {
  readonly #asking: Asking
  readonly #door = new Set<Call>()
  readonly #finds: FindQueue
  readonly #blocks: BlockQueue
  readonly #broadcasts: Broadcasts
  /** Something happened since demand was last asked for. */
  #isStirred = false

  constructor(around: Surroundings) {
    this.#asking = new Asking(around)
    this.#finds = new FindQueue(this.#asking)
    this.#blocks = new BlockQueue(this.#asking, () => this.#door.size > 0)
    this.#broadcasts = new Broadcasts(this.#asking)
  }

  /** Takes a request in: at once when a peer is ready and nobody is before it, else when its turn comes. */
  enter(call: Call): Next {
    const ended = this.#asking.around.ended()
    if (ended !== undefined) return Effect.fail(new RequestError({ reason: ended }))
    const next = this.#door.size === 0 ? this.#route(call) : undefined
    if (next === undefined) {
      this.#door.add(call)
      this.#isStirred = true
      return this.#asking.park(call)
    }
    this.#blocks.endDoorsTurn()
    return next
  }

  /** The caller has its answer or has given up: frees its place, and cancels what peers were asked. */
  leave(call: Call): void {
    call.isOver = true
    this.#door.delete(call)
    this.#finds.leave(call)
    this.#blocks.leave(call)
    this.#asking.cancel(call)
  }

  /** Says what happened, within a step. */
  note(event: Event): void {
    this.#isStirred = true
    this.#blocks.note(event)
  }

  /** Whether a waiting request depends on what is known of the block. */
  isWaitingFor(hash: BlockHash): boolean {
    return this.#blocks.isWaitingFor(hash)
  }

  /** Whether one more peer is wanted: once for each thing that happened while requests wait and nobody is ready. */
  takeDemand(): boolean {
    const waiting = this.#door.size + this.#finds.size + this.#blocks.size
    const isWanted = this.#isStirred && waiting > 0 && this.#asking.ready === 0
    this.#isStirred = false
    return isWanted
  }

  /** Routes what waits, until nothing more can be. */
  settle(): void {
    do {
      this.#finds.serve()
      this.#blocks.serve()
      this.#broadcasts.deliverOwed()
    } while (this.#letIn() || this.#blocks.hasNews)
  }

  /** Fails whatever waits, and whatever comes. */
  end(reason: NetworkEnd): void {
    for (const call of [...this.#door, ...this.#finds.calls(), ...this.#blocks.calls()]) {
      this.#asking.tell(call.waiter, Effect.fail(new RequestError({ reason })))
      this.leave(call)
    }
    this.#broadcasts.forget()
  }

  /** Whether somebody was let in. */
  #letIn(): boolean {
    for (const call of this.#door) {
      const { waiter } = call
      const next = this.#route(call)
      if (next === undefined) return false
      this.#door.delete(call)
      this.#blocks.endDoorsTurn()
      this.#asking.tell(waiter, next)
      return true
    }
    return false
  }

  /** What becomes of a request now. `undefined` when no peer is ready. */
  #route(call: Call): Next | undefined {
    while (this.#asking.ready > 0) {
      const next = this.#routeToReady(call)
      if (next !== undefined) return next
      // A peer that only seemed to be ready was put right: nothing is decided yet.
    }
    return undefined
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
        return hash === undefined ? this.#askAny(call) : this.#blocks.route(call, hash)
      }
      case "TransactionsById": {
        const id = only(request.ids)
        return id === undefined ? this.#askAny(call) : this.#blocks.routeTransaction(call, id)
      }
      case "FindBlocks":
      case "FindHeaders":
        return this.#finds.route(call)
      case "AdvertiseTransactionIds":
        return this.#broadcasts.toSome(call)
      case "PushTransaction":
        return this.#broadcasts.toSomeAndTrusted(call)
    }
  }

  #askAny(call: Call): Next | undefined {
    const ready = PeerChoice.readyPools(this.#asking.pools)
    const others = PeerChoice.among(ready, call.exclude)
    return this.#asking.oneOf(call, others.size > 0 ? others : PeerChoice.among(ready))
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
