/**
 * The entries of a book. What runs per dial or per message finds its entry at once: nothing is sorted, copied or looked through
 * then.
 *
 * @module
 */
import type { ChainParamsShape } from "../chain/ChainParams.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import * as AddressRules from "./AddressRules.ts"
import { GossipPool, placeOf, type PooledEntry } from "./GossipPool.ts"
import * as PeerAddress from "./PeerAddress.ts"
import { SortedList } from "./SortedList.ts"

type Entry = PeerAddress.PeerAddress

/** Whoever keeps entries in another order: told of each one that is no more as it was, and then of what it is. */
export interface Follower {
  readonly added: (entry: Entry) => void
  readonly removed: (entry: Entry) => void
}

export class BookEntries {
  readonly #places = new Map<string, PooledEntry>()
  readonly #followers: Array<Follower> = []
  /** Those that responded, the longest silent first; without those whose silence was found to be long. */
  readonly #live = new SortedList<Entry>(
    (a, b) => PeerAddress.absentFirst(a.lastResponseMillis, b.lastResponseMillis) || PeerAddress.compareAddresses(a, b)
  )
  readonly gossip: GossipPool
  readonly states: Record<PeerAddress.State, number> = { NeverAttempted: 0, AttemptPending: 0, Responded: 0, Failed: 0 }

  constructor(chain: ChainParamsShape) {
    this.gossip = new GossipPool(chain)
  }

  get size(): number {
    return this.#places.size
  }

  /** Before the first entry comes. */
  follow(follower: Follower): void {
    this.#followers.push(follower)
  }

  /** By its `AddressRules.sortKey`. */
  at(key: string): Entry | undefined {
    return this.#places.get(key)?.entry
  }

  get(address: PeerSocketAddress): Entry | undefined {
    return this.at(AddressRules.sortKey(address))
  }

  /** An entry, and where it stands in what is told. */
  place(address: PeerSocketAddress): PooledEntry | undefined {
    return this.#places.get(AddressRules.sortKey(address))
  }

  /** In no order. Not to be changed meanwhile. */
  *all(): IterableIterator<Entry> {
    for (const { entry } of this.#places.values()) yield entry
  }

  /** Those of one host: `AddressRules.limitKey`. Looks at all of them. */
  inGroup(group: string): ReadonlyArray<Entry> {
    return [...this.all()].filter(({ address }) => AddressRules.limitKey(address) === group)
  }

  /** An entry that is new, or as it is now; `key` is the `AddressRules.sortKey` of its address. */
  put(entry: Entry, key = AddressRules.sortKey(entry.address)): void {
    const place = this.#places.get(key)
    if (place === undefined) {
      const added = placeOf(entry)
      this.#places.set(key, added)
      this.gossip.put(added)
    } else {
      this.#leave(place.entry)
      place.entry = entry
      this.gossip.put(place)
    }
    if (entry.state === "Responded") this.#live.add(entry)
    this.states[entry.state]++
    for (const follower of this.#followers) follower.added(entry)
  }

  remove(entry: Entry): void {
    const key = AddressRules.sortKey(entry.address)
    const place = this.#places.get(key)
    if (place === undefined) return
    this.#places.delete(key)
    this.gossip.remove(place)
    this.#leave(place.entry)
  }

  /** How many have been silent for no longer than this: `isLive` holds from some response on. */
  live(isLive: (entry: Entry) => boolean): number {
    for (let first = this.#live.first; first !== undefined && !isLive(first); first = this.#live.first) {
      this.#live.remove(first)
    }
    return this.#live.size
  }

  /** After the wall clock went back: no time lies ahead of it, and what was too old to be told may not be. */
  wallClockWentBack(wallSeconds: number): void {
    for (const place of this.#places.values()) {
      const right = PeerAddress.notAhead(place.entry, wallSeconds)
      if (right === place.entry) this.gossip.put(place)
      else this.put(right)
    }
  }

  #leave(entry: Entry): void {
    if (entry.state === "Responded") this.#live.remove(entry)
    this.states[entry.state]--
    for (const follower of this.#followers) follower.removed(entry)
  }
}
