/**
 * What must hold in every world at every moment, whatever peers and links do.
 *
 * Some things may be untrue for a moment while they are put right, such as a peer whose group was banned just now. For
 * these an invariant says how long that may last.
 *
 * @module
 */
import { Duration } from "effect"
import { limitKey } from "../addresses/AddressRules.ts"
import { inboundLimit, outboundLimit, type Policy } from "../Policy.ts"
import type { SlotKind } from "../network/ConnectionSlots.ts"
import type { Peer } from "../peer/Peer.ts"
import type { NetworkEvent } from "../network/NetworkEvents.ts"

/** A node as an invariant sees it. */
export interface Observed {
  readonly policy: Policy
  readonly slots: {
    readonly used: (kind: SlotKind) => number
    readonly open: (kind: SlotKind) => number
  }
  readonly peers: () => number
  /** Of the peer group that has most of them. */
  readonly largestGroup: () => { readonly group: string; readonly connections: number } | undefined
  /** Peers that are banned. */
  readonly bannedPeers: () => number
  readonly knownAddresses: () => number
  /** Streams that wait to be accepted by this host. */
  readonly waitingStreams: () => number
}

/** Something that must hold at every moment. */
export interface Invariant {
  readonly name: string
  /** What is wrong now, in words; `undefined` when nothing is. */
  readonly broken: (node: Observed) => string | undefined
  /** How long it may be broken without harm. */
  readonly grace: Duration.Duration
}

const at = (limit: number, what: string, value: number): string | undefined =>
  value > limit ? `${value} ${what}, and the limit is ${limit}` : undefined

/** What is looked at in every world. */
export const invariants: ReadonlyArray<Invariant> = [
  {
    name: "slots stay within their limits",
    grace: Duration.zero,
    broken: ({ policy, slots }) =>
      at(outboundLimit(policy), "outbound slots are used", slots.used("outbound")) ??
      at(inboundLimit(policy), "inbound slots are used", slots.used("inbound") + slots.used("trusted")) ??
      at(policy.handshakePlaces, "handshake places are used", slots.used("handshake"))
  },
  {
    name: "open slots are live connections",
    // A stream may take `closeGrace` to end, and its slot is freed after it.
    grace: Duration.seconds(30),
    broken: ({ peers, slots }) => {
      const open = slots.open("outbound") + slots.open("inbound") + slots.open("trusted")
      const connected = peers()
      return open === connected ? undefined : `${open} slots are open for ${connected} peers`
    }
  },
  {
    name: "reserved slots are given back",
    // Between two rounds of dials a node has none under way: if some are reserved all that time, nobody holds them.
    grace: Duration.minutes(15),
    broken: ({ slots }) => {
      const reserved =
        slots.used("outbound") -
        slots.open("outbound") +
        (slots.used("inbound") - slots.open("inbound")) +
        slots.used("handshake")
      return reserved === 0 ? undefined : `${reserved} slots are reserved`
    }
  },
  {
    name: "no peer group has more connections than it may have",
    grace: Duration.zero,
    broken: ({ largestGroup, policy }) => {
      const most = largestGroup()
      return most === undefined || most.connections <= policy.connectionsPerGroup
        ? undefined
        : `${most.connections} connections of ${most.group}`
    }
  },
  {
    name: "the address book keeps its capacity",
    grace: Duration.zero,
    broken: ({ knownAddresses, policy }) => at(policy.addressBookCapacity, "addresses are known", knownAddresses())
  },
  {
    name: "nobody who is banned stays connected",
    grace: Duration.seconds(1),
    broken: ({ bannedPeers }) => {
      const banned = bannedPeers()
      return banned === 0 ? undefined : `${banned} peers are banned and connected`
    }
  },
  {
    name: "streams that wait to be accepted stay within their limit",
    grace: Duration.zero,
    broken: ({ waitingStreams }) => at(1024, "streams wait", waitingStreams())
  }
]

/** An invariant that did not hold, and where. */
export interface Violation {
  readonly invariant: string
  readonly node: number
  /** Virtual milliseconds since the world began. */
  readonly atMillis: number
  readonly detail: string
}

/** The largest peer group among these: counted again only when they are others, which at most looks they are not. */
export const largestGroupOf = (peers: () => ReadonlyArray<Peer>): Observed["largestGroup"] => {
  let counted: ReadonlyArray<Peer> = []
  let largest: ReturnType<Observed["largestGroup"]>
  return () => {
    const now = peers()
    if (now.length === counted.length && now.every((peer, index) => peer === counted[index])) return largest
    counted = now
    largest = undefined
    const sizes = new Map<string, number>()
    for (const { transientAddress } of now) {
      if (transientAddress === undefined) continue
      const group = limitKey(transientAddress)
      const connections = (sizes.get(group) ?? 0) + 1
      sizes.set(group, connections)
      if (connections > (largest?.connections ?? 0)) largest = { group, connections }
    }
    return largest
  }
}

/** Watches one node: call `look` whenever something may have changed. */
export const watch = (node: number, observed: Observed): ((nowMillis: number) => Violation | undefined) => {
  const brokenSince = new Map<Invariant, number>()
  return (nowMillis) => {
    for (const invariant of invariants) {
      const detail = invariant.broken(observed)
      if (detail === undefined) {
        brokenSince.delete(invariant)
        continue
      }
      const since = brokenSince.get(invariant) ?? nowMillis
      brokenSince.set(invariant, since)
      if (nowMillis - since >= Duration.toMillis(invariant.grace)) {
        return { invariant: invariant.name, node, atMillis: nowMillis, detail }
      }
    }
    return undefined
  }
}

/**
 * Watches the dials of one node: no two of them may start within `Policy.dialInterval`, and none of one address within
 * `Policy.reconnectDelay`, but for one retry: the first dial of an initial peer is not told to the book.
 */
export const watchDials = (node: number, policy: Policy) => {
  const intervalMillis = Duration.toMillis(policy.dialInterval)
  // The delay counts from the choice of an address, which waits for its turn behind as many as may be under way.
  const delayMillis = Duration.toMillis(policy.reconnectDelay) - outboundLimit(policy) * intervalMillis
  const dialled = new Map<string, { readonly atMillis: number; readonly wasRetried: boolean }>()
  let last = Number.NEGATIVE_INFINITY
  return (event: NetworkEvent, nowMillis: number): Violation | undefined => {
    if (event._tag !== "DialStarted") return undefined
    const before = dialled.get(event.address)
    const isEarly = before !== undefined && nowMillis - before.atMillis < delayMillis
    dialled.set(event.address, { atMillis: nowMillis, wasRetried: isEarly || (before?.wasRetried ?? false) })
    if (isEarly && before.wasRetried) {
      return {
        invariant: "nobody is dialled again at once",
        node,
        atMillis: nowMillis,
        detail: `one address was dialled twice within ${nowMillis - before.atMillis} ms`
      }
    }
    const sinceLast = nowMillis - last
    last = nowMillis
    // Virtual time has whole milliseconds where links have latency, and the pace has fractions of them.
    return sinceLast + 1 < intervalMillis
      ? {
          invariant: "dials keep their pace",
          node,
          atMillis: nowMillis,
          detail: `two dials started ${sinceLast} ms apart, and the pace is ${intervalMillis} ms`
        }
      : undefined
  }
}

/** Watches the background tasks of one node: none of them ends while it runs. */
export const watchTasks =
  (node: number) =>
  (event: NetworkEvent, nowMillis: number): Violation | undefined =>
    event._tag === "BackgroundTaskExited"
      ? {
          invariant: "background tasks run for as long as their node",
          node,
          atMillis: nowMillis,
          detail: `"${event.task}" ended: ${event.reason}`
        }
      : undefined
