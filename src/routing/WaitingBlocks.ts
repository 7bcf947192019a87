/**
 * Requests for one block that wait for a busy peer, in the order they came.
 *
 * Plain state; `PeerSet.ts` decides about each entry with `BlockRouting.ts`. It is not bounded: each entry is a fiber of
 * the program that uses us, never of a peer.
 *
 * @module
 */
import type { BlockHash } from "../chain/Hash.ts"

/** A waiting request. */
export interface WaitingBlock {
  readonly hash: BlockHash
  /** Whose becoming ready can help it, as of the last decision. */
  scope: "serving" | "any"
}

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
