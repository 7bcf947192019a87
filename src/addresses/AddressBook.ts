/**
 * The addresses we know, and whom to dial next.
 *
 * Every operation is one synchronous step, so nothing comes between a look and what follows from it. This is what everybody
 * else knows of a book; how one chooses whom to keep and whom to dial is its layer's affair.
 *
 * @module
 */
import { Context, type Duration, type Effect, Layer, type Option, type Stream } from "effect"
import type { SecureRandom } from "effect/crypto"
import type { ChainParams } from "../chain/ChainParams.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import * as Mock from "../Mock.ts"
import type * as Subscribable from "../Subscribable.ts"
import type { OwnAddress } from "../transport/OwnAddress.ts"
import type { GossipedAddress } from "../wire/AddressCodec.ts"
import type { AddressMetrics } from "./AddressMetrics.ts"
import type { Ban, BanList } from "./BanList.ts"
import type { Sizes, Standing, Why } from "./Book.ts"
import type { AddressChange, PeerAddress } from "./PeerAddress.ts"
import * as HardenedBook from "./HardenedBook.ts"
import * as ReferenceBook from "./ReferenceBook.ts"

/** What changed in the book. */
export type AddressBookChange =
  | { readonly _tag: "Updated"; readonly entry: PeerAddress }
  /** Left to make room, or is our own address. */
  | { readonly _tag: "Removed"; readonly address: PeerSocketAddress }
  /** A group was banned; so many entries went with it. */
  | { readonly _tag: "Banned"; readonly ban: Ban; readonly removed: number }

/** The addresses a node knows: at most `Policy.addressBookCapacity`, and which one to dial next. */
export class AddressBook extends Context.Service<
  AddressBook,
  {
    /** Applies one change; the entry as it is now, `None` when it was rejected or not kept. */
    readonly record: (change: AddressChange) => Effect.Effect<Option.Option<PeerAddress>>
    /**
     * Adds addresses that a peer told us, `Policy.gossipChunk` at a time with a yield between. Known addresses keep what
     * we know. `from` is that peer: a book may limit what one source fills. Returns how many were new.
     */
    readonly addGossiped: (addresses: ReadonlyArray<GossipedAddress>, from?: PeerSocketAddress) => Effect.Effect<number>
    /** Adds an address as never attempted; `false` when already present or not kept. */
    readonly addPeer: (address: PeerSocketAddress) => Effect.Effect<boolean>
    /** Takes the next address to dial and marks it `AttemptPending`, in one step. `None` when nothing is due. */
    readonly takeCandidate: Effect.Effect<Option.Option<PeerAddress>>
    /**
     * Takes an address to be dialled, shaken hands with and left again, and marks it `AttemptPending`, in one step: so the book
     * learns who is there. `None` when there is none to look at.
     */
    readonly takeFeeler: Effect.Effect<Option.Option<PeerAddress>>
    /**
     * Takes an address that answered us once, in a part of the internet where no outbound connection is or is being made, and marks
     * it `AttemptPending`, in one step. `None` when there is none.
     */
    readonly takeElsewhere: Effect.Effect<Option.Option<PeerAddress>>
    /**
     * Whether the part of the internet an address is in has fewer outbound connections than it may have; dials under way do not
     * count. For whoever dials what `takeCandidate` did not give, which looks at it itself.
     */
    readonly hasRoom: (address: PeerSocketAddress) => Effect.Effect<boolean>
    /**
     * The outbound peers of longest standing, of distinct parts of the internet; after a start those of the last run, until
     * there are some. At most four, the longest first.
     */
    readonly anchors: Effect.Effect<ReadonlyArray<PeerSocketAddress>>
    /** Where each of some addresses stands, in their order. */
    readonly standings: (addresses: ReadonlyArray<PeerSocketAddress>) => Effect.Effect<ReadonlyArray<Standing>>
    /** How much of its tables the book uses. */
    readonly sizes: Effect.Effect<Sizes>
    /** What is known of an address, and why it is or is not dialled next. */
    readonly why: (address: PeerSocketAddress) => Effect.Effect<Why>
    /** How many candidates there are now. Looks at every entry. */
    readonly readyCount: Effect.Effect<number>
    /** What is known of one address. */
    readonly get: (address: PeerSocketAddress) => Effect.Effect<Option.Option<PeerAddress>>
    /** Every entry, in the order of `PeerAddress.compare`. A copy. */
    readonly entries: Effect.Effect<ReadonlyArray<PeerAddress>>
    /** Entries that may well be connected now: they responded within `Policy.reconnectDelay`. */
    readonly recentlyLive: Effect.Effect<ReadonlyArray<PeerAddress>>
    /** What the cache file keeps: at most `Policy.cacheCapacity`, best first. */
    readonly cacheable: Effect.Effect<ReadonlyArray<PeerSocketAddress>>
    /**
     * For whoever starts over because nobody is left: those that once responded, however long ago that was and whatever came
     * of them since, without those dialled within `Policy.reconnectDelay`. At most `Policy.targetPeers`, best first.
     */
    readonly recoverable: Effect.Effect<ReadonlyArray<PeerSocketAddress>>
    /** A fresh answer to `getaddr`: sanitised, shuffled, a share of the book, at most 1000. */
    readonly gossip: Effect.Effect<ReadonlyArray<GossipedAddress>>
    /** A handshake proved that this address is our own: never dialled or kept again by this process. */
    readonly markOwn: (address: PeerSocketAddress) => Effect.Effect<void>
    /** Bans the peer group of an address and removes its entries, in one step; answers the ban in force. */
    readonly ban: (options: {
      readonly address: PeerSocketAddress
      readonly reason: string
      readonly duration?: Duration.Duration
    }) => Effect.Effect<Ban>
    /** Entries, counted by state. */
    readonly metrics: Subscribable.Subscribable<AddressMetrics>
    /** From now on. A reader that is too slow loses the oldest. */
    readonly changes: Stream.Stream<AddressBookChange>
  }
>()("network-effect/addresses/AddressBook") {
  /** A book that one attacker cannot fill: `HardenedBook.ts`. Keeps nothing on disk. */
  static readonly layer: Layer.Layer<
    AddressBook,
    never,
    BanList | ChainParams | OwnAddress | SecureRandom.SecureRandom
  > = Layer.effect(AddressBook, HardenedBook.make())

  /** The reference's book: one list, in the order of `PeerAddress.compare`. */
  static readonly layerReference: Layer.Layer<AddressBook, never, BanList | ChainParams | OwnAddress> = Layer.effect(
    AddressBook,
    ReferenceBook.make
  )

  /**
   * A book that a test makes up: only what the test uses is needed, and whatever else is used ends it with a sentence that
   * names it.
   */
  static readonly layerTest = (given: Partial<AddressBook["Service"]>): Layer.Layer<AddressBook> =>
    Layer.sync(AddressBook, () =>
      Mock.make<AddressBook["Service"]>(
        "AddressBook",
        {
          record: "effects",
          addGossiped: "effects",
          addPeer: "effects",
          takeCandidate: "effect",
          takeFeeler: "effect",
          takeElsewhere: "effect",
          hasRoom: "effects",
          anchors: "effect",
          standings: "effects",
          sizes: "effect",
          why: "effects",
          readyCount: "effect",
          get: "effects",
          entries: "effect",
          recentlyLive: "effect",
          cacheable: "effect",
          recoverable: "effect",
          gossip: "effect",
          markOwn: "effects",
          ban: "effects",
          metrics: "value",
          changes: "stream"
        },
        given
      )
    )
}
