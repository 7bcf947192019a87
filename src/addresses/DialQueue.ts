/**
 * Whom a hardened book dials next: drawn by chance among those that are due, half of the time among those met, and never where a
 * part of the internet has all its connections.
 *
 *     configured ─▶ tried or new, as chance has it ─▶ configured that never answered
 *
 * @module
 */
import { Duration } from "effect"
import { outboundLimit } from "../Policy.ts"
import type { Known } from "./Book.ts"
import { DialPool } from "./DialPool.ts"
import type { FailureMemory } from "./FailureMemory.ts"
import type { Rules } from "./HardenedRules.ts"
import type { KnownAddresses } from "./KnownAddresses.ts"
import type { OutboundPlaces } from "./OutboundPlaces.ts"
import * as PeerAddress from "./PeerAddress.ts"
import { hasTenure, type Standing } from "./Standing.ts"

type Entry = PeerAddress.PeerAddress
type Now = PeerAddress.Now

/** What a draw goes by. */
export interface Around {
  readonly rules: Rules
  readonly known: KnownAddresses
  readonly places: OutboundPlaces
  readonly memory: FailureMemory
}

const anybody = () => true

export class DialQueue {
  readonly #book: Known
  readonly #around: Around
  readonly #pools = {
    configured: new DialPool<Standing>(),
    new: new DialPool<Standing>(),
    tried: new DialPool<Standing>()
  }
  readonly #delayMillis: number
  readonly #longestRestMillis: number
  readonly #wakeMillis: number
  #wokeMillis = Number.NEGATIVE_INFINITY

  constructor(book: Known, around: Around) {
    this.#book = book
    this.#around = around
    this.#delayMillis = Duration.toMillis(book.policy.reconnectDelay)
    this.#longestRestMillis = Duration.toMillis(book.policy.longestRest)
    this.#wakeMillis = Duration.toMillis(book.policy.wakeInterval)
  }

  // -- who waits ---------------------------------------------------------------------------------

  /** From when on it may be dialled, as it stands now; not at all when it cannot be. */
  schedule(standing: Standing, entry: Entry, now: Now): void {
    const { chain, policy } = this.#book
    const isReachable = entry.isConfigured || PeerAddress.isProbablyReachable(entry, now, policy)
    if (!isReachable || !PeerAddress.isDialable(entry, chain)) {
      this.leave(standing)
      return
    }
    const remembered = this.#around.memory.of(standing.key)
    const latest = Math.max(
      entry.lastResponseMillis ?? Number.NEGATIVE_INFINITY,
      entry.lastAttemptMillis ?? Number.NEGATIVE_INFINITY,
      entry.lastFailureMillis ?? Number.NEGATIVE_INFINITY,
      remembered?.latestMillis ?? Number.NEGATIVE_INFINITY
    )
    const ready = now.monotonicMillis - 1
    standing.earliestMillis = Math.max(ready, latest + this.#delayMillis)
    const { configured, new: heard, tried } = this.#pools
    const pool = entry.isConfigured ? configured : standing.table === "tried" ? tried : heard
    if (standing.pool !== pool) this.leave(standing)
    standing.pool = pool
    const rest = entry.isConfigured ? this.#delayMillis : this.#restMillis(remembered?.failures ?? 0)
    pool.put(standing, Math.max(ready, latest + rest))
  }

  leave(standing: Standing): void {
    standing.pool?.remove(standing)
    standing.pool = undefined
  }

  advance(now: Now): void {
    const { configured, new: heard, tried } = this.#pools
    for (const pool of [configured, tried, heard]) pool.advance(now.monotonicMillis)
  }

  #restMillis(failures: number): number {
    return this.#around.rules.failureWeight && failures > 0
      ? Math.min(this.#longestRestMillis, this.#delayMillis * this.#book.policy.restFactor ** (failures - 1))
      : this.#delayMillis
  }

  /** With nobody there, nobody rests. Looks at all who wait, so at most once a second. */
  #wake(now: Now): void {
    if (!this.#around.places.isAlone() || now.monotonicMillis - this.#wokeMillis < this.#wakeMillis) return
    this.#wokeMillis = now.monotonicMillis
    for (const pool of [this.#pools.tried, this.#pools.new]) {
      const early = [...pool.waiting()].filter(({ earliestMillis }) => earliestMillis < now.monotonicMillis)
      for (const standing of early) pool.put(standing, standing.earliestMillis)
      pool.advance(now.monotonicMillis)
    }
  }

  // -- who is next -------------------------------------------------------------------------------

  next(now: Now): Standing | undefined {
    const areKept = this.#around.places.areKept(this.#around.known, now)
    const found = this.#draw(now, areKept, false)
    if (found !== undefined) return found
    this.#wake(now)
    return this.#draw(now, areKept, false)
  }

  /** Whoever is tested first; its part of the internet may have all its connections, for this is to be none. */
  feeler(now: Now): Entry | undefined {
    for (const { entry } of this.#around.known.tested()) {
      if (entry !== undefined && this.#book.isCandidate(entry, now)) return entry
    }
    return this.#draw(now, false, true)?.entry
  }

  /** One that answered once, of a part of the internet where nobody is. */
  elsewhere(now: Now): Entry | undefined {
    const isSuitable = this.#suits(now, [])
    const isUnused = (group: string) => this.#around.places.used(group) === 0
    return this.#pools.tried.draw(this.#book.random, isUnused, isSuitable, this.#weight)?.entry
  }

  readyCount(now: Now): number {
    this.#wake(now)
    const { known, places } = this.#around
    const { configured, new: heard, tried } = this.#pools
    const { policy } = this.#book
    const areKept = places.areKept(known, now)
    const isSuitable = this.#suits(now, [])
    const chosen = new Map<string, number>()
    const enough = outboundLimit(policy)
    let spare = places.spare(known, now)
    let count = 0
    for (const pool of [configured, tried, heard]) {
      for (const { members, name } of pool.ready()) {
        const isLimited = pool !== configured && members[0]?.isExempt !== true
        for (const standing of members) {
          const more = chosen.get(name) ?? 0
          const others = places.used(name) + more
          if (isLimited && !places.allows(others, spare)) break
          if (areKept && pool !== configured && !hasTenure(standing, now, policy)) continue
          if (!isSuitable(standing)) continue
          chosen.set(name, more + 1)
          if (isLimited && others > 0) spare--
          // More than there are places is as good as enough.
          if (++count >= enough) return count
        }
      }
    }
    return count
  }

  #draw(now: Now, areKept: boolean, isForFeeler: boolean): Standing | undefined {
    const { known, places, rules } = this.#around
    const { policy, random } = this.#book
    const { configured, new: heard, tried } = this.#pools
    const unreachable: Array<Standing> = []
    const isSuitable = this.#suits(now, unreachable)
    const from = (pool: DialPool<Standing>, also: (standing: Standing) => boolean, spare = 0) => {
      const isOpen = ({ group, isExempt }: Standing) =>
        pool === configured || isForFeeler || isExempt || places.allows(places.used(group), spare)
      const mayBe = (standing: Standing) => isOpen(standing) && isSuitable(standing) && also(standing)
      return rules.drawGroups ? pool.draw(random, anybody, mayBe, this.#weight) : this.#drawAddress(pool, mayBe)
    }
    const fromTables = (spare: number): Standing | undefined => {
      if (areKept) return from(tried, (standing) => hasTenure(standing, now, policy), spare)
      const [first, other] = rules.preferTried && random() < 0.5 ? [tried, heard] : [heard, tried]
      return from(first, anybody, spare) ?? from(other, anybody, spare)
    }
    const beside = (): Standing | undefined => {
      const spare = isForFeeler ? 0 : places.spare(known, now)
      return spare > 0 ? fromTables(spare) : undefined
    }
    // Whom the operator named and who answered once, before all others; who never did, when nobody else is left. Nobody has a
    // second connection where another group could have its first.
    const found =
      from(configured, ({ firstSuccessSeconds }) => firstSuccessSeconds !== undefined) ??
      fromTables(0) ??
      beside() ??
      from(configured, anybody)
    for (const standing of unreachable) standing.pool?.remove(standing)
    return found
  }

  /** Every address as likely as any other. For measurements. */
  #drawAddress(pool: DialPool<Standing>, mayBe: (standing: Standing) => boolean): Standing | undefined {
    const all = [...pool.ready()].flatMap((group) => group.members)
    const start = Math.floor(this.#book.random() * all.length)
    for (let step = 0; step < all.length; step++) {
      const standing = all[(start + step) % all.length]
      if (standing !== undefined && mayBe(standing)) return standing
    }
    return undefined
  }

  /** Remembers those that age made unreachable: they are put back when they change. */
  #suits(now: Now, unreachable: Array<Standing>): (standing: Standing) => boolean {
    const { isCandidate, policy } = this.#book
    return (standing) => {
      const { entry } = standing
      if (entry === undefined) return false
      if (isCandidate(entry, now)) return true
      if (!entry.isConfigured && !PeerAddress.isProbablyReachable(entry, now, policy)) unreachable.push(standing)
      return false
    }
  }

  readonly #weight = (standing: Standing): number => {
    const { failureChance, failuresThatCount } = this.#book.policy
    return this.#around.rules.failureWeight ? failureChance ** Math.min(failuresThatCount, standing.failures) : 1
  }
}
