/**
 * The entries others may hear of, so that an answer costs what it tells and not what the book holds.
 *
 * Times are told rounded down to half an hour, so entries become too old in whole groups: one look at each group's time
 * drops what no longer may be told.
 *
 * @module
 */
import type { ChainParamsShape } from "../chain/ChainParams.ts"
import type { GossipedAddress } from "../wire/AddressCodec.ts"
import * as Gossip from "./Gossip.ts"
import type { PeerAddress } from "./PeerAddress.ts"

/** An entry, and what the pool keeps of it. */
export interface PooledEntry {
  entry: PeerAddress
  /** Its place in the list that answers are drawn from; -1 when it is not to be told. */
  place: number
  /** Its place among those that are told with the same time. */
  placeOfTime: number
  /** The time it is told with, while it has a place. */
  toldSeconds: number
}

/** An entry that is in no pool yet. */
export const placeOf = (entry: PeerAddress): PooledEntry => ({ entry, place: -1, placeOfTime: -1, toldSeconds: 0 })

export class GossipPool {
  readonly #chain: ChainParamsShape
  readonly #byTime = new Map<number, Array<PooledEntry>>()
  /** In no order: every answer draws from all of it. */
  readonly #all: Array<PooledEntry> = []
  /** What is told of each, at the same place. */
  readonly #told: Array<GossipedAddress> = []

  constructor(chain: ChainParamsShape) {
    this.#chain = chain
  }

  get size(): number {
    return this.#all.length
  }

  /** One that is new, or whose entry is another one by now. However old it is: `dropOlder` follows before an answer. */
  put(item: PooledEntry): void {
    const told = Gossip.sanitize(item.entry, this.#chain)
    // An address is told with one thing that may change: its time.
    if (told !== undefined && item.place >= 0 && item.toldSeconds === told.lastSeenSeconds) return
    this.remove(item)
    if (told === undefined) return
    item.toldSeconds = told.lastSeenSeconds
    item.place = this.#all.push(item) - 1
    this.#told.push(told)
    const group = this.#byTime.get(told.lastSeenSeconds)
    if (group === undefined) {
      this.#byTime.set(told.lastSeenSeconds, [item])
      item.placeOfTime = 0
    } else item.placeOfTime = group.push(item) - 1
  }

  /** `false` when it was not here. */
  remove(item: PooledEntry): boolean {
    const { place, placeOfTime, toldSeconds } = item
    if (place < 0) return false
    const group = this.#byTime.get(toldSeconds)
    const lastOfTime = group?.pop()
    if (group !== undefined && lastOfTime !== undefined && lastOfTime !== item) {
      group[placeOfTime] = lastOfTime
      lastOfTime.placeOfTime = placeOfTime
    }
    if (group?.length === 0) this.#byTime.delete(toldSeconds)
    const [last, lastTold] = [this.#all.pop(), this.#told.pop()]
    if (last !== undefined && lastTold !== undefined && last !== item) {
      this.#all[place] = last
      this.#told[place] = lastTold
      last.place = place
    }
    item.place = -1
    return true
  }

  /** Drops whatever would be told with a time before `oldestSeconds`. Each entry is dropped once for each time it is put here. */
  dropOlder(oldestSeconds: number): void {
    for (const [time, group] of this.#byTime) {
      if (time >= oldestSeconds) continue
      for (let last = group.at(-1); last !== undefined; last = group.at(-1)) this.remove(last)
    }
  }

  /**
   * So many, chosen and ordered by chance. `random` draws from [0, 1).
   *
   * Source: Floyd's sampling, in Bentley and Floyd, "Programming Pearls: a sample of brilliance", CACM 30(9), 1987.
   */
  draw(count: number, random: () => number): ReadonlyArray<GossipedAddress> {
    const { size } = this
    const isDrawn = new Uint8Array(size)
    const drawn: Array<GossipedAddress> = []
    for (let upTo = Math.max(0, size - count); upTo < size; upTo++) {
      const chosen = Math.floor(random() * (upTo + 1))
      const place = isDrawn[chosen] === 1 ? upTo : chosen
      isDrawn[place] = 1
      const told = this.#told[place]
      if (told === undefined) break
      // The chosen ones are in an order that says something of when they came: each goes to any place among those before it.
      const at = Math.floor(random() * (drawn.length + 1))
      const moved = drawn[at]
      drawn[at] = told
      if (moved !== undefined) drawn.push(moved)
    }
    return drawn
  }
}
