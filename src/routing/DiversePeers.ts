/**
 * Choosing a peer so that nobody is asked more for being quick. Pure.
 *
 *     one is drawn, and another one of another network ─▶ which is first, by weight ─▶ the first, unless the second is better
 *
 * Two are drawn at random, from different networks (IPv4 /16, IPv6 /32). Each is the first as often as it weighs. An answer
 * within `Policy.goodAnswerTime` is as good as one within no time; beyond that, whoever is twice as quick is asked. Between
 * others the one with fewer requests under way is, but only if it is not twice as quick as the other by itself: so equals
 * share the work evenly, and whoever answers at once, and is free therefore, wins nothing from those who are at work. One
 * choice in `Policy.exploringShare` is the first drawn, whatever is known of it.
 *
 * Weights: a peer that we dialled has all of it, as has a trusted one; one that dialled us half; one that has been here for
 * less than `Policy.longLivedAge` half of that; and what is left counts as far as its word is believed
 * (`PeerCandidate.credit`, `Merit.ts`).
 *
 * **Security**
 *
 * Whoever wants our requests can answer quickly, come often and from many hosts. Quickness beyond what is good enough buys
 * nothing; what comes often is young and came to us; and of two from one network only one is ever compared, so hosts of a
 * network do not lend each other their turns. What is left to buy is as many peers as possible, which is what the limits of
 * connections are for.
 *
 * @module
 */
import { Duration } from "effect"
import type { ConnectionId } from "../peer/Request.ts"
import type { Policy } from "../Policy.ts"
import type { DrawBelow, Ranked } from "./PeerChoice.ts"

/** What the choice goes by. */
export interface Facts {
  readonly id: ConnectionId
  readonly isInbound: boolean
  readonly trusted: boolean
  readonly network: string | undefined
  readonly joinedAtNanos: bigint
  readonly pending: number
  readonly credit: number
  /** Answer time × (requests under way + 1), in nanoseconds. */
  readonly load: (nowNanos: bigint) => number
}

/** The numbers of the choice. */
export type Numbers = Pick<Policy, "goodAnswerTime" | "exploringShare" | "longLivedAge">

/** Draws after which the last one stands, whatever its network: a choice costs the same among any peers. */
const draws = 6

/** Chooses with these numbers. Remembers nothing. */
export class DiversePeers {
  readonly #goodNanos: number
  readonly #exploringShare: number
  readonly #longLivedNanos: bigint

  constructor({ exploringShare, goodAnswerTime, longLivedAge }: Numbers) {
    this.#goodNanos = Duration.toMillis(goodAnswerTime) * 1e6
    this.#exploringShare = exploringShare
    this.#longLivedNanos = BigInt(Math.round(Duration.toMillis(longLivedAge))) * 1_000_000n
  }

  /**
   * One of two or more. `tried`: networks that the same thing was asked for already; another one is chosen if there is one
   * among the candidates.
   */
  choose(candidates: Ranked<Facts>, draw: DrawBelow, nowNanos: bigint, tried: ReadonlySet<string>): ConnectionId {
    const { size } = candidates
    const share = this.#exploringShare
    const drawnWith = draw(size * share)
    const isExploring = drawnWith % share === 0
    let rank = (drawnWith - (drawnWith % share)) / share
    let first = candidates.at(rank)
    if (!isElsewhere(first, tried)) {
      rank = rankElsewhere(candidates, rank, draw, tried)
      first = candidates.at(rank)
    }
    if (isExploring) return first.id
    const mayRepeat = !isElsewhere(first, tried)
    for (let left = draws; left > 0; left--) {
      const other = draw(size - 1)
      const second = candidates.at(other < rank ? other : other + 1)
      if (isNeighbour(second, first) || !(mayRepeat || isElsewhere(second, tried))) continue
      const oldSince = nowNanos - this.#longLivedNanos
      const weight = weightOf(first, oldSince)
      const otherWeight = weightOf(second, oldSince)
      // Each comes first as often as it weighs. Which one was drawn first is chance enough between equals.
      const isTurned = weight !== otherWeight && draw(1024) * (weight + otherWeight) >= 1024 * weight
      if (isTurned) return this.#isBetter(first, second, nowNanos) ? first.id : second.id
      return this.#isBetter(second, first, nowNanos) ? second.id : first.id
    }
    return first.id
  }

  /** Whether the second is asked instead of the first: see the header. */
  #isBetter(second: Facts, first: Facts, nowNanos: bigint): boolean {
    const good = this.#goodNanos
    const firstIn = first.load(nowNanos) / (first.pending + 1)
    const secondIn = second.load(nowNanos) / (second.pending + 1)
    const a = firstIn > good ? firstIn : good
    const b = secondIn > good ? secondIn : good
    if (b * 2 <= a) return true
    return second.pending < first.pending && b < a * 2 && secondIn * 2 >= firstIn
  }
}

/** Weight of a peer, above 0 and up to 1. Who joined after `oldSince` is not long-lived. */
const weightOf = ({ credit, isInbound, joinedAtNanos, trusted }: Facts, oldSince: bigint): number => {
  const weight = isInbound && !trusted ? credit / 2 : credit
  return joinedAtNanos > oldSince ? weight / 2 : weight
}

/** The rank itself, or that of somebody in a network that was not tried, if there is one. */
const rankElsewhere = (
  candidates: Ranked<Facts>,
  drawn: number,
  draw: DrawBelow,
  tried: ReadonlySet<string>
): number => {
  const { size } = candidates
  let rank = drawn
  // At random as long as that is cheaper than one after the other.
  for (let left = draws; left > 0; left--) {
    if (isElsewhere(candidates.at(rank), tried)) return rank
    rank = draw(size)
  }
  for (let left = Math.min(size, looks); left > 0; left--) {
    if (isElsewhere(candidates.at(rank), tried)) return rank
    rank = (rank + 1) % size
  }
  return drawn
}

const isElsewhere = ({ network }: Facts, tried: ReadonlySet<string>): boolean =>
  tried.size === 0 || network === undefined || !tried.has(network)

/** Peers without an address have no network in common. */
const isNeighbour = (one: Facts, other: Facts): boolean => one.network !== undefined && one.network === other.network

/** Candidates looked at for one of an untried network. Above the connections of a node with the usual settings, which are 200. */
const looks = 256
