/**
 * What a hardened book knows of an address beyond what its entry says, and what follows from it. Pure.
 *
 * @module
 */
import { Duration } from "effect"
import type * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { Policy } from "../Policy.ts"
import * as AddressRules from "./AddressRules.ts"
import type { Table } from "./Book.ts"
import type { DialPool, Pooled } from "./DialPool.ts"
import * as PeerAddress from "./PeerAddress.ts"

/** One address. Who is said to change a field is the only one that does. */
export interface Standing extends Pooled<Standing> {
  readonly address: PeerSocketAddress.PeerSocketAddress
  /** It counts in no group. */
  readonly isExempt: boolean
  /** The group of who told of it; its own when nobody knows. */
  readonly source: string
  /** `KnownAddresses.ts`: the table it is in, if any, and its bucket there. */
  table: Table | undefined
  bucket: number
  /** Seconds since the Unix epoch of the first handshake that we began. */
  firstSuccessSeconds: number | undefined
  /** `OutboundPlaces.ts`: monotonic milliseconds since when an outbound connection with it is open. */
  connectedAtMillis: number | undefined
  /** `OutboundPlaces.ts`: monotonic milliseconds when a dial began that is not known to have ended. */
  dialledAtMillis: number | undefined
  /** The dial under way is not to be kept. */
  isFeeler: boolean
  /** `DialQueue.ts`: monotonic milliseconds after which it may be dialled if nobody else is there, and where it waits. */
  earliestMillis: number
  pool: DialPool<Standing> | undefined
  /** As of the last change; its wall times may lie ahead once the wall clock went back. */
  entry: PeerAddress.PeerAddress | undefined
  /** Failures in a row. */
  failures: number
}

/** One of which nothing is known yet. `source` is the group of who told of it. */
export const make = (
  address: PeerSocketAddress.PeerSocketAddress,
  group: string,
  isExempt: boolean,
  source: string | undefined
): Standing => ({
  key: AddressRules.sortKey(address),
  address,
  group,
  isExempt,
  source: source ?? group,
  table: undefined,
  bucket: 0,
  firstSuccessSeconds: undefined,
  connectedAtMillis: undefined,
  dialledAtMillis: undefined,
  isFeeler: false,
  earliestMillis: 0,
  pool: undefined,
  entry: undefined,
  failures: 0,
  poolDueMillis: 0,
  poolPlace: 0,
  poolState: "absent",
  poolGroup: undefined
})

/** Monotonic milliseconds of its latest answer; before all of them when there was none. */
export const answeredMillis = ({ entry }: Standing): number => entry?.lastResponseMillis ?? Number.NEGATIVE_INFINITY

/** It was first met a day ago: `Policy.tenureAge`. */
export const hasTenure = ({ firstSuccessSeconds }: Standing, now: PeerAddress.Now, policy: Policy): boolean =>
  firstSuccessSeconds !== undefined && now.wallSeconds - firstSuccessSeconds >= Duration.toSeconds(policy.tenureAge)

/** It proved to be of no use, so whoever is new may have its place. */
export const isUseless = ({ entry, failures }: Standing, now: PeerAddress.Now, policy: Policy): boolean => {
  if (entry === undefined) return true
  if (entry.isConfigured || PeerAddress.isRecentlyUpdated(entry, now, policy)) return false
  const seen = PeerAddress.lastSeenSeconds(entry)
  if (seen !== undefined && now.wallSeconds - seen > Duration.toSeconds(policy.addressHorizon)) return true
  if (entry.lastResponseSeconds === undefined) return failures >= policy.newFailures
  return (
    failures >= policy.triedFailures &&
    now.wallSeconds - entry.lastResponseSeconds > Duration.toSeconds(policy.triedFailureAge)
  )
}
