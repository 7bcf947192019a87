/**
 * The addresses we know, and whom to dial next.
 *
 * @module
 */
import { Context, type Duration, type Effect, type Option, type Stream, type SubscriptionRef } from "effect"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import type { GossipedAddress } from "../wire/AddressCodec.ts"
import type { AddressChange, PeerAddress } from "./PeerAddress.ts"

/** Counts of the book; refreshed with each change or batch. */
export interface AddressMetrics {
  readonly responded: number
  readonly neverAttempted: number
  readonly failed: number
  readonly attemptPending: number
  readonly recentlyLive: number
  readonly recentlyStoppedResponding: number
  readonly total: number
  readonly limit: number
}

export class AddressBook extends Context.Service<
  AddressBook,
  {
    /** The address our listener really bound; gossiped unless unspecified. */
    readonly setLocalListener: (address: PeerSocketAddress) => Effect.Effect<void>
    /** Applies one change; the entry as it is now, `None` when it was rejected or not kept. */
    readonly record: (change: AddressChange) => Effect.Effect<Option.Option<PeerAddress>>
    /**
     * Adds addresses that a peer told us, `Policy.gossipChunk` at a time with a yield between. Known addresses keep what
     * we know. Returns how many were stored or changed.
     */
    readonly addGossiped: (addresses: ReadonlyArray<GossipedAddress>) => Effect.Effect<number>
    /** Adds an address as never attempted; `false` when already present or not kept. */
    readonly addPeer: (address: PeerSocketAddress) => Effect.Effect<boolean>
    /** Takes the next address to dial and marks it `AttemptPending`, in one step. `None` when nothing is due. */
    readonly takeCandidate: Effect.Effect<Option.Option<PeerAddress>>
    /** How many candidates there are now. */
    readonly readyCount: Effect.Effect<number>
    readonly get: (address: PeerSocketAddress) => Effect.Effect<Option.Option<PeerAddress>>
    /** Every entry, in the order they would be dialled. A copy. */
    readonly entries: Effect.Effect<ReadonlyArray<PeerAddress>>
    readonly recentlyLive: Effect.Effect<ReadonlyArray<PeerAddress>>
    /** What the cache file keeps. */
    readonly cacheable: Effect.Effect<ReadonlyArray<PeerSocketAddress>>
    /** A fresh answer to `getaddr`: sanitised, shuffled, a share of the book, at most 1000. */
    readonly gossip: Effect.Effect<ReadonlyArray<GossipedAddress>>
    /** A handshake proved that this address is our own: never dialled or gossiped again by this process. */
    readonly markOwn: (address: PeerSocketAddress) => Effect.Effect<void>
    /** Bans the peer group of an address and removes its entries, in one step. */
    readonly ban: (options: {
      readonly address: PeerSocketAddress
      readonly reason: string
      readonly duration?: Duration.Duration
    }) => Effect.Effect<void>
    readonly metrics: SubscriptionRef.SubscriptionRef<AddressMetrics>
    readonly changes: Stream.Stream<PeerAddress>
  }
>()("network-effect/addresses/AddressBook") {}
