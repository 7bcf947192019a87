/**
 * The reference's choice: one list of all entries, and whoever comes first in the order of `PeerAddress.compare` is dialled.
 *
 * **Security**
 *
 * Among addresses nobody attempted the order follows the times that others claim, so whoever claims to have seen its own
 * addresses just now is dialled next. `HardenedBook.ts` does not believe it.
 *
 * Source: Zebra address_book.rs.
 *
 * @module
 */
import * as AddressRules from "./AddressRules.ts"
import * as Book from "./Book.ts"
import * as PeerAddress from "./PeerAddress.ts"
import { SortedList } from "./SortedList.ts"

type Entry = PeerAddress.PeerAddress

const choose = ({ chain, entries, isCandidate, policy }: Book.Known): Book.Choice => {
  const order = new SortedList<Entry>(PeerAddress.compare)
  const inbound = new SortedList<Entry>(PeerAddress.compare)
  /** Those that can ever be a candidate, without those that were found to be unreachable for good. */
  const dialable = new SortedList<Entry>(PeerAddress.compare)
  entries.follow({
    added: (entry) => {
      order.add(entry)
      if (entry.isInbound) inbound.add(entry)
      if (PeerAddress.isDialable(entry, chain)) dialable.add(entry)
    },
    removed: (entry) => {
      for (const list of [order, inbound, dialable]) list.remove(entry)
    }
  })

  /** Of entries alike in state and preference the recently attempted ones are the last: so many come before them. */
  const beforeRecent = (list: SortedList<Entry>, like: Entry, now: PeerAddress.Now): number =>
    list.countWhile((other) => {
      const order = PeerAddress.compareKind(other, like)
      return order < 0 || (order === 0 && !PeerAddress.isRecentlyAttempted(other, now, policy))
    })

  const next = (now: PeerAddress.Now): Entry | undefined => {
    const unreachable: Array<Entry> = []
    const list = dialable
    let index = 0
    let found: Entry | undefined
    for (let entry = list.at(0); entry !== undefined; entry = list.at(index)) {
      if (PeerAddress.isRecentlyAttempted(entry, now, policy)) {
        const like = entry
        index = list.countWhile((other) => PeerAddress.compareKind(other, like) <= 0)
        continue
      }
      if (isCandidate(entry, now)) {
        found = entry
        break
      }
      if (!entry.isConfigured && !PeerAddress.isProbablyReachable(entry, now, policy)) unreachable.push(entry)
      index++
    }
    // Age alone makes no entry reachable again; one that changes is put back.
    for (const entry of unreachable) list.remove(entry)
    return found
  }

  /**
   * The entry to give up when there are too many: the last one whose loss cannot lead to an early redial. None that the
   * operator named, of which there are never too many.
   */
  const victim = (now: PeerAddress.Now): Entry | undefined => {
    for (const list of [inbound, order]) {
      let index = list.size - 1
      for (let entry = list.at(index); entry !== undefined; entry = list.at(index)) {
        if (!entry.isConfigured && !PeerAddress.isRecentlyUpdated(entry, now, policy)) return entry
        index = PeerAddress.isRecentlyAttempted(entry, now, policy) ? beforeRecent(list, entry, now) - 1 : index - 1
      }
    }
    let index = entries.size - 1
    while (order.at(index)?.isConfigured === true) index--
    return order.at(index)
  }

  return {
    next,
    feeler: () => undefined,
    elsewhere: () => undefined,
    readyCount: (now) => {
      let ready = 0
      for (const entry of dialable) if (isCandidate(entry, now)) ready++
      return ready
    },
    seen: (claimedSeconds) => claimedSeconds,
    admit: () => ({ _tag: "Kept" }),
    changed: () => undefined,
    removed: () => undefined,
    victim,
    hasRoom: () => true,
    anchors: () => [],
    kept: () => [],
    standingOf: (address) => ({ group: AddressRules.networkKey(address), table: undefined }),
    sizes: () => Book.noSizes,
    explain: (address) => ({
      group: AddressRules.networkKey(address),
      table: undefined,
      bucket: undefined,
      isAnchor: false,
      failures: 0,
      firstSuccessSeconds: undefined,
      against: undefined
    })
  }
}

/** A book with the reference's order and the reference's limits. */
export const make = Book.make(choose)
