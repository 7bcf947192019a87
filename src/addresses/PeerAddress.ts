/**
 * What we know about one address, and how events change it.
 *
 * Pure. `AddressBook.ts` holds the entries; this module decides their fate.
 *
 *     gossip, seed, cache ─▶ NeverAttempted ─dial─▶ AttemptPending ─handshake─▶ Responded
 *                                                     ▲       │                  │
 *                                                     │       └────failure────┐  │
 *                                                     └─dial── Failed ◀───────┴──┘
 *
 * `Responded` stays when a peer falls silent; whether it is alive is read from its last response. There are two clocks:
 * wall seconds for what travels, monotonic milliseconds for what paces us, so that nobody is dialled earlier or later because
 * a clock was set. What is both is kept by both. A time in the future counts as now.
 *
 * Source: Zebra meta_addr.rs and meta_addr/peer_addr.rs.
 *
 * @module
 */
import { Duration } from "effect"
import type { ChainParamsShape } from "../chain/ChainParams.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import type { Policy } from "../Policy.ts"
import { NODE_NETWORK } from "../wire/AddressCodec.ts"
import * as AddressRules from "./AddressRules.ts"

/** What came of an address so far. */
export type State = "NeverAttempted" | "AttemptPending" | "Responded" | "Failed"

/** What is known of one address. */
export interface PeerAddress {
  readonly address: PeerSocketAddress
  readonly state: State
  /** Of a handshake, or as somebody claimed. */
  readonly services: bigint | undefined
  /** Seconds since the Unix epoch, as gossip claimed. */
  readonly untrustedLastSeenSeconds: number | undefined
  /** That moment on our monotonic clock. */
  readonly untrustedLastSeenMillis: number | undefined
  /** Seconds since the Unix epoch: our last proof of life. */
  readonly lastResponseSeconds: number | undefined
  /** That moment on our monotonic clock. */
  readonly lastResponseMillis: number | undefined
  /** Of the latest ping; absent while one is under way. */
  readonly roundTrip: Duration.Duration | undefined
  /** Monotonic milliseconds, process-local: the ping under way. */
  readonly pingSentAtMillis: number | undefined
  /** Monotonic milliseconds, process-local. */
  readonly lastAttemptMillis: number | undefined
  /** Monotonic milliseconds, process-local. */
  readonly lastFailureMillis: number | undefined
  /** It once connected to us from here, so its port is not where it listens. Never dialled, told or kept on disk. */
  readonly isInbound: boolean
  /** The operator named it: a candidate for ever, whatever came of it so far. */
  readonly isConfigured: boolean
  readonly userAgent: string | undefined
  readonly negotiatedVersion: number | undefined
}

/** Something that happened to an address. Times are those at which the book applies it. */
export type AddressChange =
  /** A seed or the cache file named it. */
  | { readonly _tag: "NewInitial"; readonly address: PeerSocketAddress }
  /** The operator named it: a candidate for ever, `Policy.reconnectDelay` apart. */
  | { readonly _tag: "NewConfigured"; readonly address: PeerSocketAddress }
  /** A peer told us of it. */
  | {
      readonly _tag: "NewGossiped"
      readonly address: PeerSocketAddress
      readonly services: bigint
      readonly lastSeenSeconds: number
    }
  /** A dial begins. */
  | { readonly _tag: "UpdateAttempt"; readonly address: PeerSocketAddress }
  /** A handshake succeeded. */
  | {
      readonly _tag: "UpdateConnected"
      readonly address: PeerSocketAddress
      readonly services: bigint
      readonly isInbound: boolean
      readonly userAgent: string
      readonly negotiatedVersion: number
    }
  /** A ping is about to be sent, which proves nothing yet. */
  | { readonly _tag: "UpdatePingSent"; readonly address: PeerSocketAddress; readonly sentAtMillis: number }
  /** A pong came. Other messages don't count: they would cost an update each. */
  | {
      readonly _tag: "UpdateResponded"
      readonly address: PeerSocketAddress
      readonly roundTrip: Duration.Duration | undefined
    }
  /** A dial, a handshake or a connection failed. */
  | { readonly _tag: "UpdateFailed"; readonly address: PeerSocketAddress; readonly services: bigint | undefined }

/** One moment by both clocks. */
export interface Now {
  /** Whole seconds since the Unix epoch. */
  readonly wallSeconds: number
  /** Monotonic milliseconds, process-local. */
  readonly monotonicMillis: number
}

// -- changes -----------------------------------------------------------------------------------

const blank = {
  services: undefined,
  untrustedLastSeenSeconds: undefined,
  untrustedLastSeenMillis: undefined,
  lastResponseSeconds: undefined,
  lastResponseMillis: undefined,
  roundTrip: undefined,
  pingSentAtMillis: undefined,
  lastAttemptMillis: undefined,
  lastFailureMillis: undefined,
  isInbound: false,
  isConfigured: false,
  userAgent: undefined,
  negotiatedVersion: undefined
} as const

/** The entry a change makes of an address nothing is known about. */
const create = (change: AddressChange, now: Now): PeerAddress => {
  const { address } = change
  switch (change._tag) {
    case "NewInitial":
      return { ...blank, address, state: "NeverAttempted" }
    case "NewConfigured":
      return { ...blank, address, state: "NeverAttempted", isConfigured: true }
    case "NewGossiped":
      return {
        ...blank,
        address,
        state: "NeverAttempted",
        services: change.services,
        untrustedLastSeenSeconds: change.lastSeenSeconds,
        untrustedLastSeenMillis: now.monotonicMillis - (now.wallSeconds - change.lastSeenSeconds) * 1000
      }
    case "UpdateAttempt":
      return { ...blank, address, state: "AttemptPending", lastAttemptMillis: now.monotonicMillis }
    case "UpdateConnected":
      return {
        ...blank,
        address,
        state: "Responded",
        services: change.services,
        lastResponseSeconds: now.wallSeconds,
        lastResponseMillis: now.monotonicMillis,
        isInbound: change.isInbound,
        userAgent: change.userAgent,
        negotiatedVersion: change.negotiatedVersion
      }
    case "UpdatePingSent":
      return { ...blank, address, state: "Responded", pingSentAtMillis: change.sentAtMillis }
    case "UpdateResponded":
      return {
        ...blank,
        address,
        state: "Responded",
        lastResponseSeconds: now.wallSeconds,
        lastResponseMillis: now.monotonicMillis,
        roundTrip: change.roundTrip
      }
    case "UpdateFailed":
      return {
        ...blank,
        address,
        state: "Failed",
        services: change.services,
        lastFailureMillis: now.monotonicMillis
      }
  }
}

/** Our own listening address, as an entry that may be told to others. Never stored. */
export const ownListener = (address: PeerSocketAddress, now: Now): PeerAddress => ({
  ...blank,
  address,
  state: "NeverAttempted",
  services: NODE_NETWORK,
  untrustedLastSeenSeconds: now.wallSeconds,
  untrustedLastSeenMillis: now.monotonicMillis
})

/** What an earlier run knew of an address, as of now. Nothing it says lies ahead. */
export const restored = (
  saved: Pick<PeerAddress, "address" | "services" | "untrustedLastSeenSeconds" | "lastResponseSeconds">,
  now: Now
): PeerAddress => {
  const past = (seconds: number | undefined) => (seconds === undefined ? undefined : Math.min(seconds, now.wallSeconds))
  const millis = (seconds: number | undefined) =>
    seconds === undefined ? undefined : now.monotonicMillis - (now.wallSeconds - seconds) * 1000
  const claimed = past(saved.untrustedLastSeenSeconds)
  const responded = past(saved.lastResponseSeconds)
  return {
    ...blank,
    address: saved.address,
    state: responded === undefined ? "NeverAttempted" : "Responded",
    services: saved.services,
    untrustedLastSeenSeconds: claimed,
    untrustedLastSeenMillis: millis(claimed),
    lastResponseSeconds: responded,
    lastResponseMillis: millis(responded)
  }
}

/** How far a connection has come: of two changes at about the same time the further one counts. */
const progress: Record<State, number> = { NeverAttempted: 0, AttemptPending: 1, Responded: 2, Failed: 3 }

/**
 * The entry after a change, the same one when it says nothing new, or `undefined` when the change does not apply: gossip about an address we have dealt with, a
 * change that comes late, or one that would take an address back within `Policy.concurrentChangePeriod` of another.
 *
 * **Security**
 *
 * Whatever is refused here leaves the entry as it was, so a peer can neither clear the time of our last dial nor renew
 * what it claimed about itself.
 */
export const apply = (
  change: AddressChange,
  previous: PeerAddress | undefined,
  now: Now,
  policy: Policy
): PeerAddress | undefined => {
  const created = create(change, now)
  if (previous === undefined) return created
  if (created.isConfigured) return previous.isConfigured ? undefined : { ...previous, isConfigured: true }
  if (created.state === "NeverAttempted") {
    if (previous.state !== "NeverAttempted") return undefined
    const claimed = previous.untrustedLastSeenSeconds === undefined ? created : previous
    if (claimed === previous && previous.services !== undefined) return previous
    return {
      ...previous,
      services: previous.services ?? created.services,
      untrustedLastSeenSeconds: claimed.untrustedLastSeenSeconds,
      untrustedLastSeenMillis: claimed.untrustedLastSeenMillis
    }
  }
  const attempted = latest(previous.lastAttemptMillis, previous.lastFailureMillis)
  const responded = previous.lastResponseMillis
  const periodMillis = Duration.toMillis(policy.concurrentChangePeriod)
  const isNear = (time: number | undefined) => time !== undefined && Math.abs(now.monotonicMillis - time) < periodMillis
  const isAhead = (time: number | undefined) => time !== undefined && time > now.monotonicMillis
  const isConcurrent = isNear(attempted) || isNear(responded)
  const isLate = isAhead(attempted) || isAhead(responded)
  if (isConcurrent ? progress[created.state] <= progress[previous.state] : isLate) return undefined
  return {
    address: previous.address,
    state: created.state,
    services: created.services ?? previous.services,
    untrustedLastSeenSeconds: previous.untrustedLastSeenSeconds,
    untrustedLastSeenMillis: previous.untrustedLastSeenMillis,
    lastResponseSeconds: created.lastResponseSeconds ?? previous.lastResponseSeconds,
    lastResponseMillis: created.lastResponseMillis ?? previous.lastResponseMillis,
    // Replaced even by nothing: a failure, a new attempt or a new ping ends the ping before it.
    roundTrip: created.roundTrip,
    pingSentAtMillis: created.pingSentAtMillis,
    lastAttemptMillis: created.lastAttemptMillis ?? previous.lastAttemptMillis,
    lastFailureMillis: created.lastFailureMillis ?? previous.lastFailureMillis,
    isInbound: previous.isInbound || created.isInbound,
    isConfigured: previous.isConfigured,
    userAgent: created.userAgent ?? previous.userAgent,
    negotiatedVersion: created.negotiatedVersion ?? previous.negotiatedVersion
  }
}

const latest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined ? b : b === undefined ? a : Math.max(a, b)

/**
 * The entry without wall times that lie ahead of `wallSeconds`: they become that moment. For when the wall clock went back.
 * The same entry when none does.
 */
export const notAhead = (entry: PeerAddress, wallSeconds: number): PeerAddress => {
  const { lastResponseSeconds: responded = -Infinity, untrustedLastSeenSeconds: claimed = -Infinity } = entry
  if (responded <= wallSeconds && claimed <= wallSeconds) return entry
  return {
    ...entry,
    lastResponseSeconds: responded > wallSeconds ? wallSeconds : entry.lastResponseSeconds,
    untrustedLastSeenSeconds: claimed > wallSeconds ? wallSeconds : entry.untrustedLastSeenSeconds
  }
}

// -- predicates --------------------------------------------------------------------------------

/** Our own last proof of life, or else what others claim. */
export const lastSeenSeconds = (entry: PeerAddress): number | undefined =>
  entry.lastResponseSeconds ?? entry.untrustedLastSeenSeconds

/** Whether `time` is at most `limit` ago; never, when it is absent. Both in the same unit. */
const isWithin = (time: number | undefined, now: number, limit: number): boolean =>
  time !== undefined && now - time <= limit

/** It proved to be alive within `Policy.reconnectDelay`. */
export const hasRecentlyResponded = (entry: PeerAddress, now: Now, policy: Policy): boolean =>
  isWithin(entry.lastResponseMillis, now.monotonicMillis, Duration.toMillis(policy.reconnectDelay))

/** It is alive as far as we know. */
export const isRecentlyLive = (entry: PeerAddress, now: Now, policy: Policy): boolean =>
  entry.state === "Responded" && hasRecentlyResponded(entry, now, policy)

/** It responded, failed or was dialled within `Policy.reconnectDelay`, so it is not dialled now. */
export const isRecentlyUpdated = (entry: PeerAddress, now: Now, policy: Policy): boolean => {
  const delayMillis = Duration.toMillis(policy.reconnectDelay)
  return (
    hasRecentlyResponded(entry, now, policy) ||
    isWithin(entry.lastAttemptMillis, now.monotonicMillis, delayMillis) ||
    isWithin(entry.lastFailureMillis, now.monotonicMillis, delayMillis)
  )
}

/** It was seen within `Policy.gossipAge`, by us or by others, so others may hear of it. */
export const isActiveForGossip = (entry: PeerAddress, now: Now, policy: Policy): boolean =>
  isWithin(lastSeenSeconds(entry), now.wallSeconds, Duration.toSeconds(policy.gossipAge))

/** It did not fail, or was seen within `Policy.retryAge`, whatever the wall clock did since. */
export const isProbablyReachable = (entry: PeerAddress, now: Now, policy: Policy): boolean =>
  entry.state !== "Failed" ||
  isWithin(
    entry.lastResponseMillis ?? entry.untrustedLastSeenMillis,
    now.monotonicMillis,
    Duration.toMillis(policy.retryAge)
  )

/** It may serve blocks, and its address can be dialled. */
export const isValidForOutbound = (entry: PeerAddress, chain: ChainParamsShape): boolean =>
  (entry.services === undefined || entry.services === NODE_NETWORK || (entry.services & NODE_NETWORK) !== 0n) &&
  AddressRules.validForOutbound(entry.address, chain) === undefined

/** It can ever be dialled: where somebody listens who serves blocks, as far as we know or the operator says. */
export const isDialable = (entry: PeerAddress, chain: ChainParamsShape): boolean =>
  entry.isConfigured
    ? AddressRules.validForOutbound(entry.address, chain) === undefined
    : !entry.isInbound && isValidForOutbound(entry, chain)

/** It was dialled within `Policy.reconnectDelay`. */
export const isRecentlyAttempted = (entry: PeerAddress, now: Now, policy: Policy): boolean =>
  isWithin(entry.lastAttemptMillis, now.monotonicMillis, Duration.toMillis(policy.reconnectDelay))

/** It may be dialled now, as far as the entry itself tells: its group may still be taken. */
export const isReadyForAttempt = (entry: PeerAddress, now: Now, chain: ChainParamsShape, policy: Policy): boolean =>
  isDialable(entry, chain) &&
  !isRecentlyUpdated(entry, now, policy) &&
  (entry.isConfigured || isProbablyReachable(entry, now, policy))

// -- order -------------------------------------------------------------------------------------

/** All addresses of one state are tried before any of the next; none is dialled twice before all were dialled once. */
const selection: Record<State, number> = { Responded: 0, NeverAttempted: 1, Failed: 2, AttemptPending: 3 }

/**
 * Which of two entries is dialled first: negative for `a`. Our own times come before claimed ones, so that liars have less
 * to say. Only entries of one address are equal.
 */
export const compare = (a: PeerAddress, b: PeerAddress): number => compareFacts(a, b) || compareAddresses(a, b)

/** By address alone. */
export const compareAddresses = (a: PeerAddress, b: PeerAddress): number =>
  compareText(AddressRules.sortKey(a.address), AddressRules.sortKey(b.address))

/** As `compare`, without the last step: zero when only the addresses differ. */
export const compareFacts = (a: PeerAddress, b: PeerAddress): number =>
  compareKind(a, b) ||
  absentFirst(a.lastAttemptMillis, b.lastAttemptMillis) ||
  absentFirst(a.lastFailureMillis, b.lastFailureMillis) ||
  absentFirst(a.lastResponseMillis, b.lastResponseMillis) ||
  // Newer and larger first, absent last.
  absentFirst(b.untrustedLastSeenSeconds, a.untrustedLastSeenSeconds) ||
  absentFirst(b.services, a.services)

/** The first steps of the order: state and preference. Alike in both, whoever was attempted longest ago comes first. */
export const compareKind = (a: PeerAddress, b: PeerAddress): number =>
  selection[a.state] - selection[b.state] || comparePreference(a.address, b.address)

/** Preferred before acceptable before invalid; no chain, for the book holds only what is valid on its own. */
const comparePreference = (a: PeerSocketAddress, b: PeerSocketAddress): number => {
  const invalidA = AddressRules.validForOutbound(a)
  const invalidB = AddressRules.validForOutbound(b)
  if (invalidA !== undefined || invalidB !== undefined) return compareText(invalidA ?? "", invalidB ?? "")
  return Number(AddressRules.isPreferred(b)) - Number(AddressRules.isPreferred(a))
}

/** In ascending order, behind what is absent. */
export const absentFirst = <A extends number | bigint>(a: A | undefined, b: A | undefined): number => {
  if (a === b) return 0
  if (a === undefined) return -1
  if (b === undefined) return 1
  return a < b ? -1 : 1
}

/** By code units, not by any language's rules. */
export const compareText = (a: string, b: string): number => (a === b ? 0 : a < b ? -1 : 1)
