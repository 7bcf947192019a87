/**
 * Who has an outbound connection or is being dialled to have one, by the part of the internet they are in, and who may be next
 * to have one.
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
  readonly #delayMillis: number
  readonly #settledMillis: number
  readonly #taken = new Set<Standing>()
  readonly #takenInGroup = new Map<string, number>()

  constructor(policy: Policy, rules: Rules) {
    this.#policy = policy
    this.#rules = rules
    this.#delayMillis = Duration.toMillis(policy.reconnectDelay)
    this.#settledMillis = Duration.toMillis(policy.groupsSettled)
  }

  has(standing: Standing): boolean {
    return this.#taken.has(standing)
  }

  isUsed(group: string): boolean {
    return this.#takenInGroup.has(group)
  }

  // -- what happens ------------------------------------------------------------------------------

  take(standing: Standing): void {
    if (this.#taken.has(standing)) return
    this.#taken.add(standing)
    this.#takenInGroup.set(standing.group, (this.#takenInGroup.get(standing.group) ?? 0) + 1)
  }

  free(standing: Standing): void {
    standing.connectedAtMillis = undefined
    standing.dialledAtMillis = undefined
    if (!this.#taken.delete(standing)) return
    const left = (this.#takenInGroup.get(standing.group) ?? 0) - 1
    if (left > 0) this.#takenInGroup.set(standing.group, left)
    else this.#takenInGroup.delete(standing.group)
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

  /** Two where there are few groups, as far as they are known by now: whoever is first to answer should not have both. */
  #limit(known: KnownAddresses, now: Now): number {
    if (!this.#rules.groupLimit) return Number.POSITIVE_INFINITY
    const isSettled = now.monotonicMillis - known.latestGroupMillis > this.#settledMillis
    return known.groups < this.#policy.groupsForOneEach && isSettled ? 2 : 1
  }

  /** How many more may be dialled in a group. */
  roomIn(group: string, known: KnownAddresses, now: Now): number {
    return this.#limit(known, now) - (this.#takenInGroup.get(group) ?? 0)
  }

  /** Whether one more may be connected in a group; dials under way do not count. */
  hasRoom(group: string, known: KnownAddresses, now: Now): boolean {
    let connected = 0
    for (const standing of this.#taken) {
      if (standing.connectedAtMillis !== undefined && standing.group === group) connected++
    }
    return connected < this.#limit(known, now)
  }

  /** Whether the places left are for those met a day ago. Never more are kept than there are of these. */
  areKept({ tried }: KnownAddresses, now: Now): boolean {
    if (!this.#rules.tenure) return false
    const policy = this.#policy
    const places = outboundLimit(policy)
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
