/**
 * Who has to go so that a newcomer gets a place, when every inbound place is taken. Pure.
 *
 *     all inbound peers ─▶ less those that a rule keeps ─▶ the network with most peers ─▶ its youngest
 *
 * The rules keep, in this order and each of another network: peers of networks that a secret key picks, quick ones, those
 * that brought a block, a transaction or true addresses, and those that have been here longest.
 *
 * **Security**
 *
 * A crowd can only take places from larger crowds: whoever goes is of a network with at least two peers more than the
 * newcomer's, so that afterwards the newcomer's is not the larger one. Every rule keeps one peer of a network at most,
 * however many hosts somebody rents there. Which networks are picked, nobody can know who does not have the key. And a
 * network neither loses nor brings more than one peer within `Policy.evictionWindow`.
 *
 * Source: Bitcoin Core src/node/eviction.cpp, with groups before peers.
 *
 * @module
 */
import type { ConnectionId } from "../peer/Request.ts"
import type { Policy } from "../Policy.ts"

/** An inbound peer that may have to go. All moments are of the monotonic clock, in nanoseconds. */
export interface Resident {
  readonly id: ConnectionId
  /** `Origin.network`. */
  readonly network: string
  /** The network under our secret key: the smallest are picked. */
  readonly pick: string
  readonly joinedAtNanos: bigint
  /** Of a ping; `undefined` before the first one. */
  readonly roundTripMillis: number | undefined
  /** When it last delivered a block, and a transaction, that we had asked it for. */
  readonly blockAtNanos: bigint | undefined
  readonly transactionAtNanos: bigint | undefined
  /** Addresses it told us of where a peer answered. */
  readonly provenAddresses: number
}

/** Why nobody goes: `no-larger-network`: none has two peers more; `too-soon`: those have lost one lately; `protected`. */
export type Refusal = "no-larger-network" | "newcomer-too-soon" | "too-soon" | "protected"

/** Why this one: it is the youngest of the largest network, or of the next one as the larger ones had to lose nobody. */
export type EvictionReason = "largest-network" | "next-largest-network"

/** Who goes, or why nobody does. */
export type Verdict =
  | {
      readonly _tag: "Evict"
      readonly id: ConnectionId
      readonly network: string
      /** Inbound peers of that network, this one included. */
      readonly ofNetwork: number
      readonly reason: EvictionReason
    }
  | { readonly _tag: "Refuse"; readonly reason: Refusal }

export type Rules = Pick<
  Policy,
  | "protectedNetworks"
  | "protectedByRoundTrip"
  | "protectedByBlocks"
  | "protectedByTransactions"
  | "protectedByAddresses"
  | "protectedByTenure"
>

/** Who has to go for a newcomer of `network`. `isTooSoon`: a network that lost, or brought, a peer within the window. */
export const choose = (
  residents: ReadonlyArray<Resident>,
  network: string,
  rules: Rules,
  isTooSoon: { readonly toLose: (network: string) => boolean; readonly toBring: (network: string) => boolean }
): Verdict => {
  const sizes = sizesOf(residents)
  const newcomers = (sizes.get(network) ?? 0) + 1
  const larger = [...sizes].filter(([, size]) => size > newcomers).sort((a, b) => b[1] - a[1])
  if (larger.length === 0) return refuse("no-larger-network")
  if (isTooSoon.toBring(network)) return refuse("newcomer-too-soon")
  const ready = larger.filter(([candidate]) => !isTooSoon.toLose(candidate))
  if (ready.length === 0) return refuse("too-soon")
  const kept = protectedOf(residents, rules)
  const youngest = new Map<string, Resident>()
  for (const resident of residents) {
    const other = youngest.get(resident.network)
    if (!kept.has(resident.id) && (other === undefined || isYounger(resident, other))) {
      youngest.set(resident.network, resident)
    }
  }
  const largest = larger[0]?.[1] ?? 0
  let chosen: { readonly resident: Resident; readonly ofNetwork: number } | undefined
  for (const [candidate, ofNetwork] of ready) {
    if (chosen !== undefined && ofNetwork < chosen.ofNetwork) break
    const resident = youngest.get(candidate)
    if (resident === undefined) continue
    if (chosen === undefined || isYounger(resident, chosen.resident)) chosen = { resident, ofNetwork }
  }
  if (chosen === undefined) return refuse("protected")
  const { ofNetwork, resident } = chosen
  const reason = ofNetwork === largest ? "largest-network" : "next-largest-network"
  return { _tag: "Evict", id: resident.id, network: resident.network, ofNetwork, reason }
}

/** Peers by network. */
export const sizesOf = (residents: Iterable<{ readonly network: string }>): Map<string, number> => {
  const sizes = new Map<string, number>()
  for (const { network } of residents) sizes.set(network, (sizes.get(network) ?? 0) + 1)
  return sizes
}

/** Who stays whatever comes. A rule looks only at those that no rule before it keeps. */
export const protectedOf = (residents: ReadonlyArray<Resident>, rules: Rules): ReadonlySet<ConnectionId> => {
  const kept = new Set<ConnectionId>()
  /** Keeps the best so many that have what the rule asks for, one of each network. */
  const keep = (count: number, has: (resident: Resident) => boolean, better: (a: Resident, b: Resident) => number) => {
    const networks = new Set<string>()
    const ranked = residents.filter((resident) => !kept.has(resident.id) && has(resident))
    for (const { id, network } of ranked.sort((a, b) => better(a, b) || older(a, b))) {
      if (networks.size >= count) return
      if (networks.has(network)) continue
      networks.add(network)
      kept.add(id)
    }
  }
  keep(
    rules.protectedNetworks,
    () => true,
    (a, b) => (a.pick < b.pick ? -1 : a.pick > b.pick ? 1 : 0)
  )
  keep(
    rules.protectedByRoundTrip,
    ({ roundTripMillis }) => roundTripMillis !== undefined,
    (a, b) => (a.roundTripMillis ?? 0) - (b.roundTripMillis ?? 0)
  )
  keep(
    rules.protectedByBlocks,
    ({ blockAtNanos }) => blockAtNanos !== undefined,
    (a, b) => Number((b.blockAtNanos ?? 0n) - (a.blockAtNanos ?? 0n))
  )
  keep(
    rules.protectedByTransactions,
    ({ transactionAtNanos }) => transactionAtNanos !== undefined,
    (a, b) => Number((b.transactionAtNanos ?? 0n) - (a.transactionAtNanos ?? 0n))
  )
  keep(
    rules.protectedByAddresses,
    ({ provenAddresses }) => provenAddresses > 0,
    (a, b) => b.provenAddresses - a.provenAddresses
  )
  keep(Math.floor((residents.length - kept.size) * rules.protectedByTenure), () => true, older)
  return kept
}

const older = (a: Resident, b: Resident): number => Number(a.joinedAtNanos - b.joinedAtNanos) || a.id - b.id

const isYounger = (a: Resident, b: Resident): boolean => older(a, b) > 0

const refuse = (reason: Refusal): Verdict => ({ _tag: "Refuse", reason })
