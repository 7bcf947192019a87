/**
 * The entries of a book, in every order somebody asks for, so that whatever runs per dial or per message finds its place by
 * halving: nothing is sorted, copied or looked through then.
 *
 * @module
 */
import type { ChainParamsShape } from "../chain/ChainParams.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import * as AddressRules from "./AddressRules.ts"
import { GossipPool } from "./GossipPool.ts"
import * as PeerAddress from "./PeerAddress.ts"
import { SortedList } from "./SortedList.ts"

type Entry = PeerAddress.PeerAddress

/** The entries, in every order somebody asks for. */
export class BookEntries {
  readonly #byAddress = new Map<string, Entry>()
  /** Most groups have one member, and a set is larger than an entry. */
  readonly #byGroup = new Map<string, Entry | Set<Entry>>()
  readonly order = new SortedList<Entry>(PeerAddress.compare)
  readonly inbound = new SortedList<Entry>(PeerAddress.compare)
  /** Those that can ever be a candidate, without those that were found to be unreachable for good. */
  readonly dialable = new SortedList<Entry>(PeerAddress.compare)
  /** Those that responded, the longest silent first. */
  readonly responded = new SortedList<Entry>(
    (a, b) => PeerAddress.absentFirst(a.lastResponseMillis, b.lastResponseMillis) || PeerAddress.compare(a, b)
  )
  readonly gossip: GossipPool
  readonly states: Record<PeerAddress.State, number> = { NeverAttempted: 0, AttemptPending: 0, Responded: 0, Failed: 0 }
  readonly #chain: ChainParamsShape

  constructor(chain: ChainParamsShape) {
    this.#chain = chain
    this.gossip = new GossipPool(chain)
  }

  get size(): number {
    return this.#byAddress.size
  }

  get(address: PeerSocketAddress): Entry | undefined {
    return this.#byAddress.get(AddressRules.sortKey(address))
  }

  inGroup(group: string): ReadonlyArray<Entry> {
    const members = this.#byGroup.get(group)
    return members === undefined ? [] : members instanceof Set ? [...members] : [members]
  }

  add(entry: Entry): void {
    this.#byAddress.set(AddressRules.sortKey(entry.address), entry)
    const group = AddressRules.limitKey(entry.address)
    const members = this.#byGroup.get(group)
    if (members === undefined) this.#byGroup.set(group, entry)
    else if (members instanceof Set) members.add(entry)
    else this.#byGroup.set(group, new Set([members, entry]))
    this.order.add(entry)
    this.gossip.add(entry)
    if (entry.isInbound) this.inbound.add(entry)
    if (PeerAddress.isDialable(entry, this.#chain)) this.dialable.add(entry)
    if (entry.state === "Responded") this.responded.add(entry)
    this.states[entry.state]++
  }

  remove(entry: Entry): void {
    this.#byAddress.delete(AddressRules.sortKey(entry.address))
    const group = AddressRules.limitKey(entry.address)
    const members = this.#byGroup.get(group)
    if (members instanceof Set) members.delete(entry)
    if (members === entry || (members instanceof Set && members.size === 0)) this.#byGroup.delete(group)
    this.order.remove(entry)
    this.gossip.remove(entry)
    this.inbound.remove(entry)
    this.dialable.remove(entry)
    if (entry.state === "Responded") this.responded.remove(entry)
    this.states[entry.state]--
  }

  /** After the wall clock went back: no time lies ahead of it, and what was too old to be told may not be. */
  wallClockWentBack(wallSeconds: number): void {
    const entries = [...this.order]
    for (const entry of entries) {
      const right = PeerAddress.notAhead(entry, wallSeconds)
      if (right === entry) this.gossip.add(entry)
      else {
        this.remove(entry)
        this.add(right)
      }
    }
  }
}
