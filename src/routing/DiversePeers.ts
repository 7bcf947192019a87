/**
 * Choosing a peer so that nobody is asked more for being quick. Pure.
 *
 *     one is drawn, and another one of another network ─▶ which is first, by weight ─▶ the first, unless the second is better
 *
 * Two are drawn at random, from different networks (IPv4 /16, IPv6 /32). Each is the first as often as it weighs. An answer
 * within `quickEnough` is as good as one within no time; beyond that, whoever is twice as quick is asked. Between others the
 * one with fewer requests under way is, but only if it is not twice as quick as the other by itself: so equals share the
 * work evenly, and whoever answers at once, and is free therefore, wins nothing from those who are at work. One choice in
 * `explores` is the first drawn, whatever is known of it.
 *
 * Weights: a peer that we dialled has all of it, one that dialled us half; one that has been here for less than
 * `longLived` half of that; and what is left counts as far as its word is believed (`PeerCandidate.credit`).
 *
 * **Security**
 *
 * Whoever wants our requests can answer quickly, come often and from many hosts. Quickness below `quickEnough` buys nothing;
 * what comes often is young and came to us; and of two from one network only one is ever compared, so hosts of a network do
 * not lend each other their turns. What is left to buy is as many peers as possible, which is what the limits of
 * connections are for.
 *
 * @module
 */
import type { ConnectionId } from "../peer/Request.ts"
import type { DrawBelow, Ranked } from "./PeerChoice.ts"

/** What the choice goes by. */
export interface Facts {
  readonly id: ConnectionId
  readonly isInbound: boolean
  readonly network: string | undefined
  readonly joinedAtNanos: bigint
  readonly pending: number
  readonly credit: number
  /** Answer time × (requests under way + 1), in nanoseconds. */
  readonly load: (nowNanos: bigint) => number
}

/**
 * Estimated answer time that is good enough, in nanoseconds: one second. Honest peers answer in tenths of it, waiting in
 * line included; what we ask for changes every 75 seconds.
 */
export const quickEnough = 1e9

/** One choice in so many is made without comparing, so that whoever was slow once is tried again. */
export const explores = 16

/** Age from which a peer has all its weight, in nanoseconds: ten minutes. */
const longLived = 600_000_000_000n

/** Draws after which the last one stands, whatever its network: a choice costs the same among any peers. */
const draws = 6

/** Weight of a peer, above 0 and up to 1. */
export const weightOf = ({ credit, isInbound, joinedAtNanos }: Facts, nowNanos: bigint): number => {
  const weight = isInbound ? credit / 2 : credit
  return nowNanos - joinedAtNanos < longLived ? weight / 2 : weight
}

/**
 * One of two or more. `tried`: networks that the same thing was asked for already; another one is chosen if there is one
 * among the candidates.
 */
export const choose = (
  candidates: Ranked<Facts>,
  draw: DrawBelow,
  nowNanos: bigint,
  tried: ReadonlySet<string>
): ConnectionId => {
  const isFresh = ({ network }: Facts) => tried.size === 0 || network === undefined || !tried.has(network)
  const { size } = candidates
  const drawnWith = draw(size * explores)
  let rank = Math.floor(drawnWith / explores)
  let first = candidates.at(rank)
  // At random as long as that is cheaper than one after the other.
  for (let left = draws; left > 0 && !isFresh(first); left--) {
    rank = draw(size)
    first = candidates.at(rank)
  }
  for (let left = Math.min(size, looks); left > 0 && !isFresh(first); left--) {
    rank = (rank + 1) % size
    first = candidates.at(rank)
  }
  if (drawnWith % explores === 0) return first.id
  const mayBeAsked = isFresh(first) ? isFresh : () => true
  let second: Facts | undefined
  for (let left = draws; left > 0 && second === undefined; left--) {
    const other = draw(size - 1)
    const one = candidates.at(other < rank ? other : other + 1)
    if (!isNeighbour(one, first) && mayBeAsked(one)) second = one
  }
  if (second === undefined) return first.id
  const [one, other] = byWeight(first, second, draw, nowNanos)
  return isBetter(other, one, nowNanos) ? other.id : one.id
}

/** The two in the order in which they come into question: each is first as often as it weighs. */
const byWeight = (first: Facts, second: Facts, draw: DrawBelow, nowNanos: bigint): readonly [Facts, Facts] => {
  const [a, b] = [weightOf(first, nowNanos), weightOf(second, nowNanos)]
  // Which one was drawn first is chance enough between equals.
  return a === b || draw(1024) < (1024 * a) / (a + b) ? [first, second] : [second, first]
}

/** Peers without an address have no network in common. */
const isNeighbour = (one: Facts, other: Facts): boolean => one.network !== undefined && one.network === other.network

/** Whether the second is asked instead of the first: see the header. */
const isBetter = (second: Facts, first: Facts, nowNanos: bigint): boolean => {
  const firstIn = first.load(nowNanos) / (first.pending + 1)
  const secondIn = second.load(nowNanos) / (second.pending + 1)
  const [a, b] = [Math.max(firstIn, quickEnough), Math.max(secondIn, quickEnough)]
  if (b * 2 <= a) return true
  return second.pending < first.pending && b < a * 2 && secondIn * 2 >= firstIn
}

/** Candidates looked at for one of an untried network. Above the connections of a node with the usual settings, which are 200. */
const looks = 256
