/**
 * The addresses of a hardened book and where each stands: in a table, or in none because it fits nowhere, somebody connected from
 * there, or only a seed told of it.
 *
 *     told of ─▶ new ─ it answered ─▶ tried
 *                 ▲                     │
 *                 └── was tested and ◀──┘
 *                     gave no answer
 *
 * @module
 */
import { Duration } from "effect"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { Policy } from "../Policy.ts"
import type { Admission, Table } from "./Book.ts"
import type { Rules } from "./HardenedRules.ts"
import * as PeerAddress from "./PeerAddress.ts"
import { answeredMillis, isUseless, type Standing } from "./Standing.ts"
import { Tables } from "./Tables.ts"

type Entry = PeerAddress.PeerAddress
type Now = PeerAddress.Now

/** Who waits for the place of another, and since when, in monotonic milliseconds. */
interface Test {
  readonly challenger: Standing
  readonly sinceMillis: number
}

const textOf = ({ address }: Standing): string => PeerSocketAddress.format(address)

/** Entries looked at for one to give up. */
const victimLooks = 256

/** Those whose table is another one by now. */
export type Moved = ReadonlyArray<Standing>

const nobody: Moved = []

export class KnownAddresses {
  readonly #policy: Policy
  readonly #rules: Rules
  readonly #tables: Tables<Standing>
  /** Whom nobody may have the place of: `OutboundPlaces.has`. */
  readonly #isBusy: (standing: Standing) => boolean
  readonly #provenMillis: number
  readonly #testMillis: number
  readonly #byKey = new Map<string, Standing>()
  /** In no table, the one that came first first. */
  readonly #loose = new Set<Standing>()
  readonly #tried = new Set<Standing>()
  /** Known addresses by group, but for exempt ones. */
  readonly #members = new Map<string, number>()
  #latestGroupMillis = Number.NEGATIVE_INFINITY
  readonly #tests = new Map<Standing, Test>()

  /** `key` is 32 bytes that nobody else knows. */
  constructor(policy: Policy, rules: Rules, key: Uint8Array, isBusy: (standing: Standing) => boolean) {
    this.#policy = policy
    this.#rules = rules
    this.#tables = new Tables<Standing>(key, policy.addressBookCapacity)
    this.#isBusy = isBusy
    this.#provenMillis = Duration.toMillis(policy.provenAge)
    this.#testMillis = Duration.toMillis(policy.testTime)
  }

  at(key: string): Standing | undefined {
    return this.#byKey.get(key)
  }

  /** In the order in which they came. */
  all(): IterableIterator<Standing> {
    return this.#byKey.values()
  }

  get tried(): ReadonlySet<Standing> {
    return this.#tried
  }

  /** Those whose place somebody else waits for, who waited longest first. */
  tested(): IterableIterator<Standing> {
    return this.#tests.keys()
  }

  /** Groups that addresses are in, but for exempt ones. */
  get groups(): number {
    return this.#members.size
  }

  /** When the latest of them was heard of, in monotonic milliseconds. */
  get latestGroupMillis(): number {
    return this.#latestGroupMillis
  }

  get sizes(): { readonly new: number; readonly tried: number; readonly groups: number; readonly tested: number } {
    return { ...this.#tables.sizes, groups: this.#members.size, tested: this.#tests.size }
  }

  // -- who comes and goes ------------------------------------------------------------------------

  /** In no table yet. */
  add(standing: Standing, now: Now): void {
    this.#byKey.set(standing.key, standing)
    this.#loose.add(standing)
    if (standing.isExempt) return
    const known = this.#members.get(standing.group)
    if (known === undefined) this.#latestGroupMillis = now.monotonicMillis
    this.#members.set(standing.group, (known ?? 0) + 1)
  }

  remove(standing: Standing): void {
    this.leaveTable(standing)
    this.#loose.delete(standing)
    this.#tests.delete(standing)
    this.#byKey.delete(standing.key)
    if (standing.isExempt) return
    const left = (this.#members.get(standing.group) ?? 0) - 1
    if (left > 0) this.#members.set(standing.group, left)
    else this.#members.delete(standing.group)
  }

  /** One nobody knew; its entry follows. It is told whether somebody told of it: then it has to fit into a table. */
  admit(standing: Standing, isGossiped: boolean, now: Now): Admission {
    const bucket = this.#newBucket(standing)
    if (!this.#tables.isFull("new", bucket)) {
      this.add(standing, now)
      this.#enter(standing, "new", bucket)
      return { _tag: "Kept" }
    }
    const useless = this.#tables.inside("new", bucket).find((other) => isUseless(other, now, this.#policy))
    const replaced = useless === undefined ? undefined : useless.entry
    if (useless !== undefined && replaced !== undefined) {
      this.leaveTable(useless)
      this.add(standing, now)
      this.#enter(standing, "new", bucket)
      return { _tag: "Replaces", entry: replaced }
    }
    if (isGossiped || this.#loose.size >= this.#policy.addressOverflow) return { _tag: "Refused" }
    this.add(standing, now)
    return { _tag: "Kept" }
  }

  /**
   * One of an earlier run, which is in that table again; `false` when it fits no longer. With another secret somebody else may have
   * the place of one that was met: it is then among those heard of, or in no table.
   */
  restore(standing: Standing, table: Table, now: Now): boolean {
    const bucket = table === "tried" ? this.#triedBucket(standing) : this.#newBucket(standing)
    if (!this.#tables.isFull(table, bucket)) {
      this.add(standing, now)
      this.#enter(standing, table, bucket)
      return true
    }
    if (table === "new") return false
    if (this.restore(standing, "new", now)) return true
    if (this.#loose.size >= this.#policy.addressOverflow) return false
    this.add(standing, now)
    return true
  }

  /**
   * The entry to give up when there are too many: of nobody that is connected or that the operator named. The first that was not
   * updated of late, and among many that were, the first looked at: whoever fills a book does not make it slow.
   */
  victim(random: () => number, now: Now): Entry | undefined {
    let last: Entry | undefined
    let looks = victimLooks
    for (const { entry } of this.#dispensable(random)) {
      if (entry === undefined) continue
      if (!PeerAddress.isRecentlyUpdated(entry, now, this.#policy)) return entry
      last ??= entry
      if (--looks === 0) break
    }
    return last
  }

  /** Inbound ones and what fitted nowhere, the oldest first; a dial of late is remembered anyway. Then the tables, from anywhere. */
  *#dispensable(random: () => number): Iterable<Standing> {
    const isKept = (standing: Standing) => standing.entry?.isConfigured === true || this.#isBusy(standing)
    for (const standing of this.#loose) if (!isKept(standing)) yield standing
    for (const table of ["new", "tried"] as const) {
      const { buckets } = this.#tables.shapes[table]
      const start = Math.floor(random() * buckets)
      for (let step = 0; step < buckets; step++) {
        for (const standing of this.#tables.inside(table, (start + step) % buckets)) {
          if (!isKept(standing)) yield standing
        }
      }
    }
  }

  // -- in which table ----------------------------------------------------------------------------

  /** It answered: to the table of those that did, unless somebody else has its place there. */
  promote(standing: Standing, now: Now): Moved {
    this.#tests.delete(standing)
    if (standing.table === "tried") return nobody
    const bucket = this.#triedBucket(standing)
    if (!this.#tables.isFull("tried", bucket)) {
      this.#enter(standing, "tried", bucket)
      return nobody
    }
    let weakest: Standing | undefined
    for (const other of this.#tables.inside("tried", bucket)) {
      if (this.#isBusy(other) || this.#tests.has(other)) continue
      if (weakest === undefined || answeredMillis(other) < answeredMillis(weakest)) weakest = other
    }
    if (weakest === undefined || now.monotonicMillis - answeredMillis(weakest) < this.#provenMillis) return nobody
    if (isUseless(weakest, now, this.#policy)) return this.#replace(weakest, standing)
    if (this.#tests.size < this.#policy.testCapacity) {
      this.#tests.set(weakest, { challenger: standing, sinceMillis: now.monotonicMillis })
    }
    return nobody
  }

  /** It gave no answer: whoever waits for its place has it. */
  failed(standing: Standing): Moved {
    const test = this.#tests.get(standing)
    if (test === undefined) return nobody
    this.#tests.delete(standing)
    return this.#isKnown(test.challenger) ? this.#replace(standing, test.challenger) : nobody
  }

  /** Those that were not answered in time lose their place. */
  endTests(now: Now): Moved {
    let moved = nobody
    for (const [weakest, { challenger, sinceMillis }] of this.#tests) {
      if (now.monotonicMillis - sinceMillis <= this.#testMillis) continue
      this.#tests.delete(weakest)
      if (weakest.table === "tried" && this.#isKnown(challenger)) {
        moved = [...moved, ...this.#replace(weakest, challenger)]
      }
    }
    return moved
  }

  leaveTable(standing: Standing): void {
    if (standing.table !== undefined) this.#tables.remove(standing.table, standing.bucket, standing)
    standing.table = undefined
    this.#tried.delete(standing)
    this.#loose.add(standing)
  }

  #enter(standing: Standing, table: Table, bucket: number): void {
    this.leaveTable(standing)
    this.#tables.add(table, bucket, standing)
    standing.table = table
    standing.bucket = bucket
    if (table === "tried") this.#tried.add(standing)
    this.#loose.delete(standing)
  }

  #replace(weakest: Standing, challenger: Standing): Moved {
    const { bucket } = weakest
    this.leaveTable(weakest)
    const back = this.#newBucket(weakest)
    if (!this.#tables.isFull("new", back)) this.#enter(weakest, "new", back)
    this.#enter(challenger, "tried", bucket)
    return [weakest, challenger]
  }

  #isKnown(standing: Standing): boolean {
    return this.#byKey.get(standing.key) === standing
  }

  /** All buckets are open to everybody when the rule is off. */
  #newBucket(standing: Standing): number {
    return this.#rules.tables
      ? this.#tables.newBucket(standing.group, standing.source)
      : this.#tables.newBucket(textOf(standing), textOf(standing))
  }

  #triedBucket(standing: Standing): number {
    return this.#tables.triedBucket(textOf(standing), this.#rules.tables ? standing.group : textOf(standing))
  }
}
