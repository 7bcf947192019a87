/**
 * What happened lately, for whoever opens the page now. Pure, in memory, bounded.
 *
 * Dials, gossip and adverts come by the thousand, and who joined or was banned now and then: each of the two has a ring of its
 * own, so that the many do not push out the few.
 *
 * @module
 */
import type { NetworkEvent } from "../network/NetworkEvents.ts"

/** Events kept of each of the two kinds: those that come by the thousand, and the others. */
export const eventsKept = 500

/** An event as the page has it: what was advertised is only counted. */
export type BriefEvent =
  | Exclude<NetworkEvent, { readonly _tag: "InventoryAdvertised" }>
  | {
      readonly _tag: "InventoryAdvertised"
      readonly at: number
      readonly connection: number
      readonly blocks: number
      readonly transactions: number
    }

/** An event and its number, from 0, of this process. */
export type NumberedEvent = readonly [number: number, event: BriefEvent]

const brief = (event: NetworkEvent): BriefEvent =>
  event._tag === "InventoryAdvertised"
    ? { ...event, blocks: event.blocks.length, transactions: event.transactions.length }
    : event

const isFrequent = ({ _tag }: BriefEvent): boolean =>
  _tag === "InventoryAdvertised" || _tag === "AddressesLearned" || _tag === "DialStarted" || _tag === "DialFailed"

/** The latest events of a node. */
export class EventMemory {
  readonly #frequent: Array<NumberedEvent> = []
  readonly #rare: Array<NumberedEvent> = []
  #next = 0

  /** Keeps an event, and answers how it is told. */
  add(event: NetworkEvent): NumberedEvent {
    const entry: NumberedEvent = [this.#next++, brief(event)]
    const ring = isFrequent(entry[1]) ? this.#frequent : this.#rare
    ring.push(entry)
    if (ring.length > eventsKept) ring.shift()
    return entry
  }

  /** All that are kept and that `isWanted`, oldest first; the latest `limit` of them. */
  latest(limit: number, isWanted: (event: BriefEvent) => boolean = () => true): ReadonlyArray<NumberedEvent> {
    return [...this.#frequent, ...this.#rare]
      .filter(([, event]) => isWanted(event))
      .toSorted(([a], [b]) => a - b)
      .slice(-limit)
  }
}
