/**
 * Tells peers of a new block, busy ones too.
 *
 * An advert is no request: it takes no slot, makes nobody busy and waits for nobody's answer. It is done when every
 * chosen peer has written it or failed, and says which.
 *
 * **Security**
 *
 * A peer that does not read holds up nothing but its own advert: each connection keeps a few (`Policy.advertQueueCapacity`),
 * has `Policy.requestTimeout` to write one, and `Policy.advertsUnderWay` callers write at the same time. Whether a peer may
 * hear of the block is asked when it is chosen and again by its connection right before the write.
 *
 * Source: Zebra peer_set.rs, `BlockAdvertiser`.
 *
 * @module
 */
import { Context, Data, Deferred, Effect, Layer, Semaphore } from "effect"
import { BackgroundTasks, NetworkClosed, type NetworkEnd } from "../BackgroundTasks.ts"
import type { BlockHash } from "../chain/Hash.ts"
import type { AdvertNotDelivered, PeerError } from "../peer/Peer.ts"
import type { ConnectionId } from "../peer/Request.ts"
import { Policy } from "../Policy.ts"
import { PeerSet } from "./PeerSet.ts"

/** The last peer that may hear of the block left just now. Try again: that waits for the next one. */
export class NoEligiblePeers extends Data.TaggedError("NoEligiblePeers")<{}> {}

/** Not every chosen peer wrote the advert. */
export class AdvertIncomplete extends Data.TaggedError("AdvertIncomplete")<{
  readonly hash: BlockHash
  /** Those that did. */
  readonly written: ReadonlyArray<ConnectionId>
  readonly failed: ReadonlyArray<FailedAdvert>
}> {}

/** What became of an advert that was not written. */
export interface FailedAdvert {
  readonly connection: ConnectionId
  readonly error: PeerError | AdvertNotDelivered
}

/** An advert did not reach everybody it was for, or nobody. */
export class AdvertError extends Data.TaggedError("AdvertError")<{
  readonly reason: NoEligiblePeers | AdvertIncomplete | NetworkEnd
}> {
  override get message(): string {
    return this.reason.message === "" ? this.reason._tag : `${this.reason._tag}: ${this.reason.message}`
  }
}

/** Tells peers of a block: at most `Policy.advertsUnderWay` at the same time. */
export class BlockAdvertiser extends Context.Service<
  BlockAdvertiser,
  {
    /**
     * To one connected peer in `Policy.broadcastShare`, rounded up and drawn at random (on Regtest to all), and to every
     * trusted one: for a new best block. Waits, without limit, until there is somebody. Gives the connections that wrote
     * it, which says that the bytes are with our transport, not that they arrived. Interrupting it withdraws what is not
     * written yet.
     */
    readonly advertise: (hash: BlockHash) => Effect.Effect<ReadonlyArray<ConnectionId>, AdvertError>
    /** The same to every connected peer: for a block that was mined here. */
    readonly advertiseToAll: (hash: BlockHash) => Effect.Effect<ReadonlyArray<ConnectionId>, AdvertError>
  }
>()("network-effect/network/BlockAdvertiser") {
  /** Advertises to the peer set it is given, until the network ends or the layer closes. */
  static readonly layer: Layer.Layer<BlockAdvertiser, never, BackgroundTasks | PeerSet> = Layer.effect(
    BlockAdvertiser,
    Effect.gen(function* () {
      const policy = yield* Policy
      const peerSet = yield* PeerSet
      const tasks = yield* BackgroundTasks
      const closed = yield* Deferred.make<never, NetworkEnd>()
      // Whoever holds this layer alone, without the rest of the network.
      yield* Effect.addFinalizer(() => Deferred.fail(closed, new NetworkClosed()))
      const underWay = yield* Semaphore.make(policy.advertsUnderWay)

      const send = Effect.fnUntraced(function* (hash: BlockHash, to: "some" | "all") {
        yield* peerSet.awaitPeers({ peers: 1 })
        const peers = yield* peerSet.advertTargets(to)
        if (peers.length === 0) return yield* new NoEligiblePeers()
        const written: Array<ConnectionId> = []
        const failed: Array<FailedAdvert> = []
        yield* Effect.forEach(
          peers,
          (peer) =>
            Effect.match(peer.advertiseBlock(hash), {
              onSuccess: () => written.push(peer.id),
              onFailure: (error) => failed.push({ connection: peer.id, error })
            }),
          { concurrency: "unbounded", discard: true }
        )
        return failed.length === 0 ? written : yield* new AdvertIncomplete({ hash, written, failed })
      })

      const advertise = (to: "some" | "all") => (hash: BlockHash) =>
        underWay
          .withPermits(1)(send(hash, to))
          .pipe(
            // The end of the network also ends its connections: what it ends by is what the caller hears.
            tasks.untilEnd,
            (sending) => Effect.raceFirst(Deferred.await(closed), sending),
            Effect.mapError((reason) => new AdvertError({ reason })),
            Effect.withSpan("BlockAdvertiser.advertise", { attributes: { to } })
          )

      return BlockAdvertiser.of({ advertise: advertise("some"), advertiseToAll: advertise("all") })
    })
  )
}
