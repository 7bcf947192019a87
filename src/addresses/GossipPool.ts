/**
 * The entries others may hear of, as they may hear of them, so that an answer costs what it tells and not what the book
 * holds.
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

/** What is told of an entry, and its place in the list it is drawn from. */
interface Told {
  readonly gossiped: GossipedAddress
  readonly entry: PeerAddress
  place: number
}

export class GossipPool {
  readonly #chain: ChainParamsShape
  readonly #byEntry = new Map<PeerAddress, Told>()
  readonly #byTime = new Map<number, Set<Told>>()
  /** In no order: every answer draws from all of it. */
  readonly #all: Array<Told> = []

  constructor(chain: ChainParamsShape) {
    this.#chain = chain
  }

  get size(): number {
    return this.#all.length
  }

  /** `false` when it is not to be told, or was here already. However old it is: `dropOlder` follows before an answer. */
  add(entry: PeerAddress): boolean {
    const gossiped = this.#byEntry.has(entry) ? undefined : Gossip.sanitize(entry, this.#chain)
    if (gossiped === undefined) return false
    const told = { gossiped, entry, place: this.#all.length }
    this.#all.push(told)
    this.#byEntry.set(entry, told)
    const group = this.#byTime.get(gossiped.lastSeenSeconds)
    if (group === undefined) this.#byTime.set(gossiped.lastSeenSeconds, new Set([told]))
    else group.add(told)
    return true
  }

  remove(entry: PeerAddress): boolean {
    const told = this.#byEntry.get(entry)
    if (told === undefined) return false
    this.#byEntry.delete(entry)
    const { lastSeenSeconds } = told.gossiped
    const group = this.#byTime.get(lastSeenSeconds)
    group?.delete(told)
    if (group?.size === 0) this.#byTime.delete(lastSeenSeconds)
    this.#swap(told.place, this.#all.length - 1)
    this.#all.pop()
    return true
  }

  /** Drops whatever would be told with a time before `oldestSeconds`. Each entry is dropped once for each time it is added. */
  dropOlder(oldestSeconds: number): void {
    for (const [time, group] of this.#byTime) {
      if (time < oldestSeconds) for (const { entry } of group) this.remove(entry)
    }
  }

  /** So many, chosen and ordered by chance: the first places of a shuffle. `random` draws from [0, 1). */
  draw(count: number, random: () => number): ReadonlyArray<GossipedAddress> {
    const drawn: Array<GossipedAddress> = []
    for (let place = 0; place < count; place++) {
      const chosen = this.#swap(place, place + Math.floor(random() * (this.#all.length - place)))
      if (chosen === undefined) break
      drawn.push(chosen.gossiped)
    }
    return drawn
  }

  /** Answers what is now at place `a`. */
  #swap(a: number, b: number): Told | undefined {
    const [atA, atB] = [this.#all[a], this.#all[b]]
    if (atA === undefined || atB === undefined) return undefined
    this.#all[a] = atB
    atB.place = a
    this.#all[b] = atA
    atA.place = b
    return atB
  }
}
