/**
 * Who has an outbound connection or is being dialled to have one, by the part of the internet they are in (its group), and who may
 * be next to have one.
 *
 *     places   one for each group in which somebody answered of late │ what is left over: second connections
 *
 * A group in which nobody ever answered keeps no place: of thousands that others tell of, most are where nobody is. And a second
 * connection takes no place of a group that may have its first, so what an attacker gets by it, honest groups do not lose.
 *
 * @module
 */
import { Duration } from "effect"
import type * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { outboundLimit, type Policy } from "../Policy.ts"
import type { Rules } from "./HardenedRules.ts"
import type { KnownAddresses } from "./KnownAddresses.ts"
import type { Now } from "./PeerAddress.ts"
import { hasTenure, type Standing } from "./Standing.ts"

export class OutboundPlaces {
  readonly #policy: Policy
  readonly #rules: Rules
  readonly #places: number
  readonly #delayMillis: number
  readonly #settledMillis: number
  readonly #metMillis: number
  readonly #memoryMillis: number
  readonly #taken = new Set<Standing>()
  readonly #takenInGroup = new Map<string, number>()
  /** Connections beyond the first in their groups. */
  #seconds = 0
  /** When somebody answered in a group, in monotonic milliseconds, the latest last; of no more groups than make a difference. */
  readonly #answeredAt = new Map<string, number>()
  /** When the latest of them was new; never yet. */
  #latestGroupMillis = Number.POSITIVE_INFINITY

  constructor(policy: Policy, rules: Rules) {
    this.#policy = policy
    this.#rules = rules
    this.#places = outboundLimit(policy)
    this.#delayMillis = Duration.toMillis(policy.reconnectDelay)
    this.#settledMillis = Duration.toMillis(policy.groupsSettled)
    this.#metMillis = Duration.toMillis(policy.groupsMet)
    this.#memoryMillis = Duration.toMillis(policy.groupMemory)
  }

  has(standing: Standing): boolean {
    return this.#taken.has(standing)
  }

  /** How many there are in a group. */
  used(group: string): number {
    return this.#takenInGroup.get(group) ?? 0
  }

  // -- what happens ------------------------------------------------------------------------------

  take(standing: Standing): void {
    if (this.#taken.has(standing)) return
    this.#taken.add(standing)
    const others = this.used(standing.group)
    if (others > 0) this.#seconds++
    this.#takenInGroup.set(standing.group, others + 1)
  }

  free(standing: Standing): void {
    standing.connectedAtMillis = undefined
    standing.dialledAtMillis = undefined
    if (!this.#taken.delete(standing)) return
    const left = this.used(standing.group) - 1
    if (left > 0) {
      this.#seconds--
      this.#takenInGroup.set(standing.group, left)
    } else this.#takenInGroup.delete(standing.group)
  }

  /** Somebody whom we dialled answered, or did in an earlier run: `atMillis` is monotonic. */
  answered({ group, isExempt }: Standing, atMillis: number, now: Now): void {
    if (isExempt) return
    if (!this.#answeredAt.delete(group)) this.#latestGroupMillis = now.monotonicMillis
    this.#answeredAt.set(group, atMillis)
    this.#forgetGroups(now)
  }

  #forgetGroups(now: Now): void {
    for (const [group, atMillis] of this.#answeredAt) {
      const isOne = this.#answeredAt.size <= this.#policy.groupsForOneEach
      if (isOne && now.monotonicMillis - atMillis <= this.#memoryMillis) return
      this.#answeredAt.delete(group)
    }
  }

  /** Whoever was silent for `Policy.reconnectDelay` is gone, and no dial takes as long. */
  freeSilent(now: Now): void {
    for (const standing of this.#taken) {
      const { connectedAtMillis, dialledAtMillis, entry } = standing
      const since =
        connectedAtMillis === undefined ? dialledAtMillis : Math.max(connectedAtMillis, entry?.lastResponseMillis ?? 0)
      if (entry === undefined || since === undefined || now.monotonicMillis - since > this.#delayMillis) {
        this.free(standing)
      }
    }
  }

  // -- who may be next ---------------------------------------------------------------------------

  /** Whether no outbound connection is open. */
  isAlone(): boolean {
    for (const { connectedAtMillis } of this.#taken) if (connectedAtMillis !== undefined) return false
    return true
  }

  /**
   * How many second connections may be made. Without a limit where few groups are known at all; else so many as there are places
   * that no first one needs, of each group where somebody answered of late. None before the groups are settled, or whoever is first
   * to answer would have two.
   */
  spare(known: KnownAddresses, now: Now): number {
    const { groupsForOneEach } = this.#policy
    const isSettled = now.monotonicMillis - known.latestGroupMillis > this.#settledMillis
    if (known.groups < groupsForOneEach && isSettled) return Number.POSITIVE_INFINITY
    this.#forgetGroups(now)
    const groups = this.#answeredAt.size
    const areMet = now.monotonicMillis - this.#latestGroupMillis > this.#metMillis
    if (groups >= groupsForOneEach || !areMet) return 0
    return Math.max(0, this.#places - groups - this.#seconds)
  }

  /** Whether one more may be in a group that has so many: the first one, or one of the `spare` beside it. */
  allows(others: number, spare: number): boolean {
    return !this.#rules.groupLimit || others < (spare > 0 ? 2 : 1)
  }

  /** Whether one more may be connected in a group; dials under way do not count. */
  hasRoom(group: string, known: KnownAddresses, now: Now): boolean {
    let connected = 0
    for (const standing of this.#taken) {
      if (standing.connectedAtMillis !== undefined && standing.group === group) connected++
    }
    return this.allows(connected, this.spare(known, now))
  }

  /** Whether the places left are for those met a day ago. Never more are kept than there are of these. */
  areKept({ tried }: KnownAddresses, now: Now): boolean {
    if (!this.#rules.tenure) return false
    const policy = this.#policy
    const places = this.#places
    const most = Math.floor(places / policy.tenureShare)
    let newcomers = 0
    for (const standing of this.#taken) if (!hasTenure(standing, now, policy)) newcomers++
    if (newcomers < places - most) return false
    let known = 0
    for (const standing of tried) {
      if (hasTenure(standing, now, policy) && standing.failures <= policy.tenureFailures) known++
      if (known === most) break
    }
    return known > 0 && newcomers >= places - known
  }

  // -- anchors -----------------------------------------------------------------------------------

  /** Connected for longest, of distinct groups. */
  anchors(): ReadonlyArray<PeerSocketAddress.PeerSocketAddress> {
    const chosen = new Map<string, Standing>()
    const connected = [...this.#taken].filter(({ connectedAtMillis }) => connectedAtMillis !== undefined)
    for (const standing of connected.toSorted((a, b) => (a.connectedAtMillis ?? 0) - (b.connectedAtMillis ?? 0))) {
      if (!chosen.has(standing.group)) chosen.set(standing.group, standing)
      if (chosen.size === this.#policy.anchorCapacity) break
    }
    return [...chosen.values()].map(({ address }) => address)
  }

  /** Without an order, which nobody needs to count. */
  anchorCount(): number {
    const distinct = new Set<string>()
    for (const { connectedAtMillis, group } of this.#taken) {
      if (distinct.size === this.#policy.anchorCapacity) break
      if (connectedAtMillis !== undefined) distinct.add(group)
    }
    return distinct.size
  }
}
