/**
 * Lets requests in, and serves those that wait.
 *
 *     caller ──▶ peer                       a peer is ready
 *        │ └───▶ FindQueue ──▶ peer         finds, while only peers that do not serve blocks are ready
 *        └─────▶ BlockQueue ──▶ peer        single blocks, while only busy peers may have them
 *
 * A request is let in when a peer is ready, first come, first served, and then asked, queued or refused at once; until then
 * it waits, for any peer. Whenever something happened, queued finds come first, then waiting blocks, then what is owed to
 * trusted peers, then those that were not let in yet. So finds are not starved by downloads; and blocks that took the last
 * ready peer leave the next one to whoever was not let in, so neither are these.
 *
 * How many wait is not bounded here: each is a fiber of the program that uses us, never of a peer, and bounds itself by
 * its own timeout. (Zebra lets three stand in line and has the others wait before that, which bounds its memory and not the
 * waiting; a fiber that waits is all there is to keep here.)
 *
 * Source: Zebra peer_set/set.rs.
 *
 * @module
 */
import { Effect } from "effect"
import type { NetworkEnd } from "../BackgroundTasks.ts"
import type { BlockHash } from "../chain/Hash.ts"
import type { BlockQueue } from "./BlockQueue.ts"
import type { Broadcasts } from "./Broadcasts.ts"
import type { Call, Next } from "./Call.ts"
import type { Dispatch } from "./Dispatch.ts"
import type { FindQueue } from "./FindQueue.ts"
import type { Membership } from "./Membership.ts"
import * as PeerChoice from "./PeerChoice.ts"
import { RequestError } from "./RequestError.ts"
import { singleBlock, singleTransaction } from "./SingleItem.ts"
import type { Steps } from "./Steps.ts"

export interface Options {
  readonly steps: Steps
  readonly membership: Membership
  readonly dispatch: Dispatch
  readonly finds: FindQueue
  readonly blocks: BlockQueue
  readonly broadcasts: Broadcasts
}

export class RequestRouter {
  readonly #options: Options
  /** Not let in yet, in the order they came. */
  readonly #outside = new Set<Call>()
  /** Something happened since demand was last asked for. */
  #isStirred = false

  constructor(options: Options) {
    this.#options = options
  }

  /** Takes a request in: at once when a peer is ready and nobody is before it, else when its turn comes. */
  enter(call: Call): Next {
    const next = this.#outside.size === 0 ? this.#route(call) : undefined
    if (next === undefined) {
      // One more who waits behind others wants no further peer for itself.
      if (this.#outside.size === 0) this.#isStirred = true
      this.#outside.add(call)
      return call.wait()
    }
    this.#options.blocks.endTurnOfOthers()
    return next
  }

  /** The caller has its answer or has given up: frees its place, and cancels what peers were asked. */
  leave(call: Call): void {
    const { blocks, dispatch, finds } = this.#options
    call.isOver = true
    this.#outside.delete(call)
    finds.leave(call)
    blocks.leave(call)
    dispatch.cancel(call)
  }

  /** What is known of a block that somebody waits for may have changed. */
  hearOf(hash: BlockHash): void {
    this.#isStirred = true
    this.#options.blocks.hearOf(hash)
  }

  /** Whether a waiting request depends on what is known of the block. */
  isWaitingFor(hash: BlockHash): boolean {
    return this.#options.blocks.isWaitingFor(hash)
  }

  /**
   * Whether one more peer is wanted: once for each thing that happened while requests wait and nobody is ready. However many
   * wait, that is one: when the next peer has come and they still wait, that is the next thing that happened.
   */
  takeDemand(): boolean {
    const { blocks, finds, membership } = this.#options
    const waiting = this.#outside.size + finds.size + blocks.size
    const isWanted = this.#isStirred && waiting > 0 && membership.connected.ready === 0
    this.#isStirred = false
    return isWanted
  }

  /** Routes what waits, until nothing more can be. */
  settle(): void {
    const { blocks, broadcasts, finds, membership } = this.#options
    do {
      const news = membership.takeNews()
      if (news !== undefined) {
        this.#isStirred = true
        blocks.hear(news)
      }
      finds.serve()
      blocks.serve(this.#outside.size > 0)
      broadcasts.deliverOwed()
    } while (this.#letIn() || blocks.hasNews || membership.hasNews)
  }

  /** Fails whatever waits. */
  end(reason: NetworkEnd): void {
    const { blocks, broadcasts, finds, steps } = this.#options
    for (const call of [...this.#outside, ...finds.calls(), ...blocks.calls()]) {
      const tell = call.waiter()
      steps.later(() => tell(Effect.fail(new RequestError({ reason }))))
      this.leave(call)
    }
    broadcasts.forget()
  }

  /** Whether somebody was let in. */
  #letIn(): boolean {
    const { blocks, steps } = this.#options
    for (const call of this.#outside) {
      const tell = call.waiter()
      const next = this.#route(call)
      if (next === undefined) return false
      this.#outside.delete(call)
      blocks.endTurnOfOthers()
      steps.later(() => tell(next))
      return true
    }
    return false
  }

  /** What becomes of a request now. `undefined` when no peer is ready. */
  #route(call: Call): Next | undefined {
    const { connected } = this.#options.membership
    while (connected.ready > 0) {
      const next = this.#routeToReady(call)
      if (next !== undefined) return next
      // A peer that only seemed to be ready was put right: nothing is decided yet.
    }
    return undefined
  }

  #routeToReady(call: Call): Next | undefined {
    const { blocks, broadcasts, finds } = this.#options
    const { request } = call
    switch (request._tag) {
      case "Peers":
      case "MempoolTransactionIds":
        return this.#askAny(call)
      case "BlockDownload":
      case "BlocksByHash": {
        const hash = singleBlock(request)
        return hash === undefined ? this.#askAny(call) : blocks.route(call, hash)
      }
      case "TransactionsById": {
        const id = singleTransaction(request)
        return id === undefined ? this.#askAny(call) : blocks.routeTransaction(call, id)
      }
      case "FindBlocks":
      case "FindHeaders":
        return finds.route(call)
      case "AdvertiseTransactionIds":
        return broadcasts.toSome(call)
      case "PushTransaction":
        return broadcasts.toSomeAndTrusted(call)
    }
  }

  #askAny(call: Call): Next | undefined {
    const { dispatch, membership } = this.#options
    const ready = PeerChoice.readyPools(membership.connected.pools)
    const others = PeerChoice.among(ready, call.exclude)
    return dispatch.oneOf(call, others.size > 0 ? others : PeerChoice.among(ready))
  }
}
