/**
 * A choice that one attacker cannot buy: whom we heard of and whom we met are kept apart, in tables that no source and no part
 * of the internet can fill (`Tables.ts`), and who is dialled next is drawn by chance, from all parts alike (`DialPool.ts`).
 *
 *     told of ─▶ new ─ it answered ─▶ tried          a dial: half of the time from each
 *                 ▲                     │
 *                 └── was tested and ◀──┘
 *                     gave no answer
 *
 * What an attacker gains by more of something, and what it meets:
 *
 * | More | Meets |
 * | --- | --- |
 * | addresses of one network | one or two connections per group; a draw takes the group first |
 * | answers | a source fills 1/16 of what is heard of, and each address of it costs a token |
 * | claims of having been seen just now | times that are claimed only make an address older |
 * | fresh addresses that push out others | nobody makes room for who proves useful; those met are tested before they go |
 * | groups | a part of the places is kept for those first met a day ago |
 *
 * States, predicates, pace and redial rules are those of every book (`Book.ts`).
 *
 * Source: Bitcoin Core addrman.cpp and net.cpp; Heilman et al., Eclipse Attacks on Bitcoin's Peer-to-Peer Network (2015).
 *
 * @module
 */
import { Clock, Duration, Effect } from "effect"
import { SecureRandom } from "effect/crypto"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as Monotonic from "../Monotonic.ts"
import { outboundLimit } from "../Policy.ts"
import * as AddressGroups from "./AddressGroups.ts"
import * as AddressRules from "./AddressRules.ts"
import * as Book from "./Book.ts"
import { DialPool, type Pooled } from "./DialPool.ts"
import { FailureMemory } from "./FailureMemory.ts"
import * as PeerAddress from "./PeerAddress.ts"
import { Tables } from "./Tables.ts"

type Entry = PeerAddress.PeerAddress
type Now = PeerAddress.Now

/** Which rules hold; all but in measurements of what each is worth. */
export interface Rules {
  /** At most one or two outbound connections per group. */
  readonly groupLimit: boolean
  /** A draw takes a group first; else every address is as likely as any other. */
  readonly drawGroups: boolean
  /** Sources and groups have a part of the buckets; else all of them. */
  readonly tables: boolean
  /** Half of the dials go to whom we met. */
  readonly preferTried: boolean
  /** Places are kept for those first met a day ago. */
  readonly tenure: boolean
  /** What fails often is dialled less. */
  readonly failureWeight: boolean
  /** Addresses of one source cost tokens. */
  readonly sourceTokens: boolean
}

export const allRules: Rules = {
  groupLimit: true,
  drawGroups: true,
  tables: true,
  preferTried: true,
  tenure: true,
  failureWeight: true,
  sourceTokens: true
}

/** What is kept of an entry from one run to the next. */
export interface SavedEntry {
  readonly address: PeerSocketAddress.PeerSocketAddress
  readonly table: Book.Table | undefined
  /** The group of who told of it; its own when nobody knows. */
  readonly source: string | undefined
  readonly services: bigint | undefined
  readonly untrustedLastSeenSeconds: number | undefined
  readonly lastResponseSeconds: number | undefined
  readonly firstSuccessSeconds: number | undefined
  readonly failures: number
}

/** What a book begins with. */
export interface Start {
  /** 32 bytes that nobody else knows. */
  readonly key: Uint8Array
  readonly groups: AddressGroups.AddressGroups
  readonly rules: Rules
  readonly saved: ReadonlyArray<SavedEntry>
  readonly anchors: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>
}

/** A choice, and what is kept of it. */
export interface HardenedChoice extends Book.Choice {
  readonly save: (now: Now) => Saved
}

/** What is known of an entry beyond what it says itself. */
interface Standing extends Pooled {
  readonly address: PeerSocketAddress.PeerSocketAddress
  readonly isExempt: boolean
  source: string
  table: Book.Table | undefined
  bucket: number
  firstSuccessSeconds: number | undefined
  /** Monotonic milliseconds since when an outbound connection with it is open. */
  connectedAtMillis: number | undefined
  /** Monotonic milliseconds when a dial began that is not known to have ended. */
  dialledAtMillis: number | undefined
  /** The dial under way is not to be kept. */
  isFeeler: boolean
  /** Monotonic milliseconds after which it may be dialled if nobody else is there. */
  earliestMillis: number
  pool: DialPool<Standing> | undefined
  /** As of the last change; its wall times may lie ahead once the wall clock went back. */
  entry: Entry | undefined
  /** Failures in a row. */
  failures: number
}

/** The choice, of one start. */
export const choose =
  ({ anchors: savedAnchors, groups, key, rules, saved }: Start) =>
  ({ chain, entries, isCandidate, policy, random }: Book.Known): HardenedChoice => {
    const delayMillis = Duration.toMillis(policy.reconnectDelay)
    const settledMillis = Duration.toMillis(policy.groupsSettled)
    const tenureSeconds = Duration.toSeconds(policy.tenureAge)
    const longestRestMillis = Duration.toMillis(policy.longestRest)
    const wakeMillis = Duration.toMillis(policy.wakeInterval)
    const horizonSeconds = Duration.toSeconds(policy.addressHorizon)
    const triedFailureSeconds = Duration.toSeconds(policy.triedFailureAge)
    const provenMillis = Duration.toMillis(policy.provenAge)
    const testMillis = Duration.toMillis(policy.testTime)
    const standings = new Map<string, Standing>()
    const tables = new Tables<Standing>(key, policy.addressBookCapacity)
    const pools = {
      configured: new DialPool<Standing>(),
      new: new DialPool<Standing>(),
      tried: new DialPool<Standing>()
    }
    const memory = new FailureMemory(policy.failureMemory)
    /** In no table, the one that came first first. */
    const loose = new Set<Standing>()
    const tried = new Set<Standing>()
    /** Connected or being dialled, to stay; and by group. */
    const busy = new Set<Standing>()
    const busyInGroup = new Map<string, number>()
    /** Known addresses by group, but for exempt ones; and when the latest group was heard of, in monotonic milliseconds. */
    const members = new Map<string, number>()
    let latestGroupMillis = Number.NEGATIVE_INFINITY
    /** Who waits for the place of whom, and since when, in monotonic milliseconds. */
    const tests = new Map<Standing, { readonly challenger: Standing; readonly sinceMillis: number }>()
    const tokens = new Map<string, { left: number; atMillis: number }>()
    let wokeMillis = Number.NEGATIVE_INFINITY
    /** Of the last run, until there are some. */
    let anchorsOfBefore = savedAnchors

    const groupOf = (address: PeerSocketAddress.PeerSocketAddress): string =>
      AddressGroups.isExempt(address, chain) ? AddressRules.limitKey(address) : groups.groupOf(address)

    // -- where it stands -----------------------------------------------------------------------

    const make = (address: PeerSocketAddress.PeerSocketAddress, source: string | undefined): Standing => {
      const group = groupOf(address)
      const isExempt = AddressGroups.isExempt(address, chain)
      return {
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
        poolState: "absent"
      }
    }

    const register = (standing: Standing, now: Now) => {
      standings.set(standing.key, standing)
      loose.add(standing)
      if (standing.isExempt) return
      const known = members.get(standing.group)
      if (known === undefined) latestGroupMillis = now.monotonicMillis
      members.set(standing.group, (known ?? 0) + 1)
    }

    const leaveTable = (standing: Standing) => {
      if (standing.table !== undefined) tables.remove(standing.table, standing.bucket, standing)
      standing.table = undefined
      tried.delete(standing)
      loose.add(standing)
    }

    const enter = (standing: Standing, table: Book.Table, bucket: number) => {
      leaveTable(standing)
      tables.add(table, bucket, standing)
      standing.table = table
      standing.bucket = bucket
      if (table === "tried") tried.add(standing)
      loose.delete(standing)
    }

    const textOf = ({ address }: Standing) => PeerSocketAddress.format(address)
    /** All buckets are open to everybody when the rule is off. */
    const newBucket = (standing: Standing) =>
      rules.tables
        ? tables.newBucket(standing.group, standing.source)
        : tables.newBucket(textOf(standing), textOf(standing))
    const triedBucket = (standing: Standing) =>
      tables.triedBucket(textOf(standing), rules.tables ? standing.group : textOf(standing))

    /** It proved to be of no use, so whoever is new may have its place. */
    const isUseless = (standing: Standing, now: Now): boolean => {
      const entry = standing.entry
      if (entry === undefined) return true
      if (entry.isConfigured || PeerAddress.isRecentlyUpdated(entry, now, policy)) return false
      const seen = PeerAddress.lastSeenSeconds(entry)
      if (seen !== undefined && now.wallSeconds - seen > horizonSeconds) return true
      const failures = standing.failures
      if (entry.lastResponseSeconds === undefined) return failures >= policy.newFailures
      return failures >= policy.triedFailures && now.wallSeconds - entry.lastResponseSeconds > triedFailureSeconds
    }

    /** It answered: to the table of those that did, unless somebody else has its place there. */
    const promote = (standing: Standing, now: Now) => {
      if (standing.table === "tried") return
      const bucket = triedBucket(standing)
      if (!tables.isFull("tried", bucket)) return enter(standing, "tried", bucket)
      let weakest: Standing | undefined
      for (const other of tables.inside("tried", bucket)) {
        if (busy.has(other) || tests.has(other)) continue
        if (weakest === undefined || answeredMillis(other) < answeredMillis(weakest)) weakest = other
      }
      if (weakest === undefined || now.monotonicMillis - answeredMillis(weakest) < provenMillis) return
      if (isUseless(weakest, now)) return replace(weakest, standing, now)
      if (tests.size < policy.testCapacity)
        tests.set(weakest, { challenger: standing, sinceMillis: now.monotonicMillis })
    }

    const answeredMillis = (standing: Standing): number =>
      standing.entry?.lastResponseMillis ?? Number.NEGATIVE_INFINITY

    const replace = (weakest: Standing, challenger: Standing, now: Now) => {
      const { bucket } = weakest
      leaveTable(weakest)
      const back = newBucket(weakest)
      if (!tables.isFull("new", back)) enter(weakest, "new", back)
      enter(challenger, "tried", bucket)
      for (const standing of [weakest, challenger]) {
        const entry = standing.entry
        if (entry !== undefined) schedule(standing, entry, now)
      }
    }

    /** Those that were not answered in time lose their place. */
    const endTests = (now: Now) => {
      for (const [weakest, { challenger, sinceMillis }] of tests) {
        if (now.monotonicMillis - sinceMillis <= testMillis) continue
        tests.delete(weakest)
        if (weakest.table === "tried" && standings.get(challenger.key) === challenger) replace(weakest, challenger, now)
      }
    }

    // -- who is there --------------------------------------------------------------------------

    const begin = (standing: Standing) => {
      if (busy.has(standing)) return
      busy.add(standing)
      busyInGroup.set(standing.group, (busyInGroup.get(standing.group) ?? 0) + 1)
    }

    const end = (standing: Standing) => {
      standing.connectedAtMillis = undefined
      standing.dialledAtMillis = undefined
      if (!busy.delete(standing)) return
      const left = (busyInGroup.get(standing.group) ?? 0) - 1
      if (left > 0) busyInGroup.set(standing.group, left)
      else busyInGroup.delete(standing.group)
    }

    /** Whoever was silent for `Policy.reconnectDelay` is gone, and no dial takes as long. */
    const endSilent = (now: Now) => {
      for (const standing of busy) {
        const entry = standing.entry
        const since =
          standing.connectedAtMillis === undefined
            ? standing.dialledAtMillis
            : Math.max(standing.connectedAtMillis, entry?.lastResponseMillis ?? 0)
        if (entry === undefined || since === undefined || now.monotonicMillis - since > delayMillis) end(standing)
      }
    }

    const isAlone = (): boolean => {
      for (const { connectedAtMillis } of busy) if (connectedAtMillis !== undefined) return false
      return true
    }

    /** Two where there are few groups, as far as they are known by now: whoever is first to answer should not have both. */
    const groupLimit = (now: Now): number => {
      if (!rules.groupLimit) return Number.POSITIVE_INFINITY
      const isSettled = now.monotonicMillis - latestGroupMillis > settledMillis
      return members.size < policy.groupsForOneEach && isSettled ? 2 : 1
    }

    const roomIn = (group: string, isExempt: boolean, now: Now): number =>
      isExempt ? Number.POSITIVE_INFINITY : groupLimit(now) - (busyInGroup.get(group) ?? 0)

    const hasTenure = ({ firstSuccessSeconds }: Standing, now: Now): boolean =>
      firstSuccessSeconds !== undefined && now.wallSeconds - firstSuccessSeconds >= tenureSeconds

    /** Whether the places left are for those met a day ago. Never more are kept than there are of these. */
    const arePlacesKept = (now: Now): boolean => {
      if (!rules.tenure) return false
      const places = outboundLimit(policy)
      const most = Math.floor(places / policy.tenureShare)
      let newcomers = 0
      for (const standing of busy) if (!hasTenure(standing, now)) newcomers++
      if (newcomers < places - most) return false
      let known = 0
      for (const standing of tried) {
        if (hasTenure(standing, now) && standing.failures <= policy.tenureFailures) known++
        if (known === most) break
      }
      return known > 0 && newcomers >= places - known
    }

    // -- who is next ---------------------------------------------------------------------------

    const restMillis = (failures: number): number =>
      rules.failureWeight && failures > 0
        ? Math.min(longestRestMillis, delayMillis * policy.restFactor ** (failures - 1))
        : delayMillis

    const schedule = (standing: Standing, entry: Entry, now: Now) => {
      standing.pool?.remove(standing)
      standing.pool = undefined
      if (!PeerAddress.isDialable(entry, chain)) return
      if (!entry.isConfigured && !PeerAddress.isProbablyReachable(entry, now, policy)) return
      const remembered = memory.of(standing.key)
      const latest = Math.max(
        entry.lastResponseMillis ?? Number.NEGATIVE_INFINITY,
        entry.lastAttemptMillis ?? Number.NEGATIVE_INFINITY,
        entry.lastFailureMillis ?? Number.NEGATIVE_INFINITY,
        remembered?.latestMillis ?? Number.NEGATIVE_INFINITY
      )
      const ready = now.monotonicMillis - 1
      standing.earliestMillis = Math.max(ready, latest + delayMillis)
      standing.pool = entry.isConfigured ? pools.configured : standing.table === "tried" ? pools.tried : pools.new
      const rest = entry.isConfigured ? delayMillis : restMillis(remembered?.failures ?? 0)
      standing.pool.put(standing, Math.max(ready, latest + rest))
    }

    /** With nobody there, nobody rests. Looks at all who wait, so at most once a second. */
    const wake = (now: Now) => {
      if (!isAlone() || now.monotonicMillis - wokeMillis < wakeMillis) return
      wokeMillis = now.monotonicMillis
      for (const pool of [pools.tried, pools.new]) {
        const early = [...pool.waiting()].filter(({ earliestMillis }) => earliestMillis < now.monotonicMillis)
        for (const standing of early) pool.put(standing, standing.earliestMillis)
        pool.advance(now.monotonicMillis)
      }
    }

    const advance = (now: Now) => {
      endSilent(now)
      endTests(now)
      for (const pool of [pools.configured, pools.tried, pools.new]) pool.advance(now.monotonicMillis)
    }

    /** Remembers those that age made unreachable: they are put back when they change. */
    const suits = (now: Now, unreachable: Array<Standing>) => (standing: Standing) => {
      const entry = standing.entry
      if (entry === undefined) return false
      if (isCandidate(entry, now)) return true
      if (!entry.isConfigured && !PeerAddress.isProbablyReachable(entry, now, policy)) unreachable.push(standing)
      return false
    }

    const weight = (standing: Standing): number =>
      rules.failureWeight ? policy.failureChance ** Math.min(policy.failuresThatCount, standing.failures) : 1

    const draw = (now: Now, isKept: boolean, isForFeeler: boolean): Entry | undefined => {
      const unreachable: Array<Standing> = []
      const isSuitable = suits(now, unreachable)
      const isOpen = (group: string) => roomIn(group, false, now) > 0
      const from = (pool: DialPool<Standing>, also: (standing: Standing) => boolean) => {
        const mayBe = (standing: Standing) =>
          (isForFeeler || standing.isExempt || pool === pools.configured || isOpen(standing.group)) &&
          isSuitable(standing) &&
          also(standing)
        return rules.drawGroups ? pool.draw(random, () => true, mayBe, weight) : drawAddress(pool, mayBe)
      }
      const anybody = () => true
      const fromTables = isKept
        ? () => from(pools.tried, (standing) => hasTenure(standing, now))
        : rules.preferTried && random() < 0.5
          ? () => from(pools.tried, anybody) ?? from(pools.new, anybody)
          : () => from(pools.new, anybody) ?? from(pools.tried, anybody)
      // Whom the operator named and who answered once, before all others; who never did, when nobody else is left.
      const found =
        from(pools.configured, ({ firstSuccessSeconds }) => firstSuccessSeconds !== undefined) ??
        fromTables() ??
        from(pools.configured, anybody)
      for (const standing of unreachable) standing.pool?.remove(standing)
      return found === undefined ? undefined : found.entry
    }

    /** Every address as likely as any other. For measurements. */
    const drawAddress = (pool: DialPool<Standing>, mayBe: (standing: Standing) => boolean): Standing | undefined => {
      const all = [...pool.ready()].flatMap((group) => group.members)
      const start = Math.floor(random() * all.length)
      for (let step = 0; step < all.length; step++) {
        const standing = all[(start + step) % all.length]
        if (standing !== undefined && mayBe(standing)) return standing
      }
      return undefined
    }

    let feeling: string | undefined

    const next = (now: Now): Entry | undefined => {
      advance(now)
      feeling = undefined
      const isKept = arePlacesKept(now)
      const found = draw(now, isKept, false)
      if (found !== undefined) return found
      wake(now)
      return draw(now, isKept, false)
    }

    const feeler = (now: Now): Entry | undefined => {
      advance(now)
      const entry = underTest(now) ?? draw(now, false, true)
      feeling = entry === undefined ? undefined : AddressRules.sortKey(entry.address)
      return entry
    }

    const elsewhere = (now: Now): Entry | undefined => {
      advance(now)
      feeling = undefined
      const isSuitable = suits(now, [])
      const isUnused = (group: string) => !busyInGroup.has(group)
      return pools.tried.draw(random, isUnused, isSuitable, weight)?.entry
    }

    const underTest = (now: Now): Entry | undefined => {
      for (const standing of tests.keys()) {
        const entry = standing.entry
        if (entry !== undefined && isCandidate(entry, now)) return entry
      }
      return undefined
    }

    const readyCount = (now: Now): number => {
      advance(now)
      wake(now)
      const isKept = arePlacesKept(now)
      const isSuitable = suits(now, [])
      const used = new Map<string, number>()
      const enough = outboundLimit(policy)
      let count = 0
      for (const pool of [pools.configured, pools.tried, pools.new]) {
        for (const { members, name } of pool.ready()) {
          const isLimited = pool !== pools.configured && members[0]?.isExempt !== true
          const room = isLimited ? roomIn(name, false, now) : Number.POSITIVE_INFINITY
          for (const standing of members) {
            const taken = used.get(name) ?? 0
            if (taken >= room) break
            if (isKept && pool !== pools.configured && !hasTenure(standing, now)) continue
            if (!isSuitable(standing)) continue
            used.set(name, taken + 1)
            // More than there are places is as good as enough.
            if (++count >= enough) return count
          }
        }
      }
      return count
    }

    // -- what happens --------------------------------------------------------------------------

    const hasToken = (source: string, nowMillis: number): boolean => {
      if (!rules.sourceTokens) return true
      const had = tokens.get(source) ?? { left: policy.sourceBurst, atMillis: nowMillis }
      const left = Math.min(policy.sourceBurst, had.left + ((nowMillis - had.atMillis) / 1000) * policy.sourceRate)
      tokens.delete(source)
      tokens.set(source, { left: left < 1 ? left : left - 1, atMillis: nowMillis })
      if (tokens.size > policy.sourceCapacity) {
        for (const oldest of tokens.keys()) {
          tokens.delete(oldest)
          break
        }
      }
      return left >= 1
    }

    const admit = (entry: Entry, from: PeerSocketAddress.PeerSocketAddress | undefined, now: Now): Book.Admission => {
      const source = from === undefined ? undefined : groupOf(from)
      if (source !== undefined && !hasToken(source, now.monotonicMillis)) return { _tag: "Refused" }
      const standing = make(entry.address, source)
      standing.entry = entry
      const bucket = newBucket(standing)
      if (!tables.isFull("new", bucket)) {
        register(standing, now)
        enter(standing, "new", bucket)
        return { _tag: "Kept" }
      }
      const useless = tables.inside("new", bucket).find((other) => isUseless(other, now))
      const replaced = useless === undefined ? undefined : useless.entry
      if (useless !== undefined && replaced !== undefined) {
        leaveTable(useless)
        register(standing, now)
        enter(standing, "new", bucket)
        return { _tag: "Replaces", entry: replaced }
      }
      if (from !== undefined || loose.size >= policy.addressOverflow) return { _tag: "Refused" }
      register(standing, now)
      return { _tag: "Kept" }
    }

    const changed = (entry: Entry, key: string, change: PeerAddress.AddressChange, now: Now) => {
      let standing = standings.get(key)
      if (standing === undefined) {
        standing = make(entry.address, undefined)
        register(standing, now)
      }
      const { monotonicMillis } = now
      standing.entry = entry
      switch (change._tag) {
        case "UpdateAttempt":
          memory.attempted(key, monotonicMillis)
          standing.isFeeler = key === feeling
          feeling = undefined
          standing.dialledAtMillis = monotonicMillis
          if (!standing.isFeeler) begin(standing)
          break
        case "UpdateConnected":
          memory.answered(key, monotonicMillis)
          standing.failures = 0
          if (entry.isInbound) {
            // Nobody listens there, so it is in nobody's way.
            leaveTable(standing)
            break
          }
          standing.firstSuccessSeconds ??= now.wallSeconds
          tests.delete(standing)
          standing.dialledAtMillis = undefined
          if (!standing.isFeeler) {
            standing.connectedAtMillis ??= monotonicMillis
            begin(standing)
          }
          standing.isFeeler = false
          promote(standing, now)
          break
        case "UpdateFailed": {
          memory.failed(key, monotonicMillis)
          standing.failures = memory.of(key)?.failures ?? 0
          end(standing)
          standing.isFeeler = false
          const test = tests.get(standing)
          if (test === undefined) break
          tests.delete(standing)
          if (standings.get(test.challenger.key) === test.challenger) replace(standing, test.challenger, now)
          break
        }
        case "UpdateResponded":
          // Its handshake may have come too soon after a failure to count.
          if (!entry.isInbound && standing.connectedAtMillis === undefined && !standing.isFeeler) {
            standing.connectedAtMillis = monotonicMillis
            begin(standing)
          }
          break
        case "UpdatePingSent":
        case "NewConfigured":
        case "NewGossiped":
        case "NewInitial":
          break
      }
      standing.failures = memory.of(key)?.failures ?? 0
      schedule(standing, entry, now)
    }

    const removed = (entry: Entry) => {
      const standing = standings.get(AddressRules.sortKey(entry.address))
      if (standing === undefined) return
      end(standing)
      standing.pool?.remove(standing)
      leaveTable(standing)
      loose.delete(standing)
      tests.delete(standing)
      standings.delete(standing.key)
      if (standing.isExempt) return
      const left = (members.get(standing.group) ?? 0) - 1
      if (left > 0) members.set(standing.group, left)
      else members.delete(standing.group)
    }

    const victim = (now: Now): Entry | undefined => {
      // Inbound ones and what fitted nowhere, the oldest first; a dial of late is remembered anyway.
      let last: Entry | undefined
      for (const standing of loose) {
        const entry = standing.entry
        if (entry === undefined || entry.isConfigured || busy.has(standing)) continue
        if (!PeerAddress.isRecentlyUpdated(entry, now, policy)) return entry
        last ??= entry
      }
      for (const table of ["new", "tried"] as const) {
        const { buckets } = tables.shapes[table]
        const start = Math.floor(random() * buckets)
        for (let step = 0; step < buckets; step++) {
          for (const standing of tables.inside(table, (start + step) % buckets)) {
            const entry = standing.entry
            if (entry === undefined || entry.isConfigured || busy.has(standing)) continue
            if (!PeerAddress.isRecentlyUpdated(entry, now, policy)) return entry
            last ??= entry
          }
        }
      }
      if (last !== undefined) return last
      for (const entry of entries.all()) if (!entry.isConfigured) return entry
      return undefined
    }

    /** Connected for longest, of distinct groups. */
    const standingAnchors = (): ReadonlyArray<PeerSocketAddress.PeerSocketAddress> => {
      const chosen = new Map<string, Standing>()
      const connected = [...busy].filter(({ connectedAtMillis }) => connectedAtMillis !== undefined)
      for (const standing of connected.toSorted((a, b) => (a.connectedAtMillis ?? 0) - (b.connectedAtMillis ?? 0))) {
        if (!chosen.has(standing.group)) chosen.set(standing.group, standing)
        if (chosen.size === policy.anchorCapacity) break
      }
      return [...chosen.values()].map(({ address }) => address)
    }

    /** Without an order, which nobody needs to count. */
    const anchorCount = (): number => {
      const distinct = new Set<string>()
      for (const { connectedAtMillis, group } of busy) {
        if (distinct.size === policy.anchorCapacity) break
        if (connectedAtMillis !== undefined) distinct.add(group)
      }
      return distinct.size
    }

    const anchors = (now: Now) => {
      endSilent(now)
      const standing = standingAnchors()
      if (standing.length > 0) anchorsOfBefore = []
      return standing.length > 0 ? standing : anchorsOfBefore
    }

    const standingOf = (address: PeerSocketAddress.PeerSocketAddress) => {
      const standing = standings.get(AddressRules.sortKey(address))
      return { group: standing?.group ?? groupOf(address), table: standing?.table }
    }

    const explain = (address: PeerSocketAddress.PeerSocketAddress, now: Now): Book.Explained => {
      advance(now)
      const standing = standings.get(AddressRules.sortKey(address))
      const entry = entries.get(address)
      const against = (): Book.NotNext | undefined => {
        if (standing === undefined || entry === undefined) return "unknown"
        if (entry.isConfigured) return undefined
        if (roomIn(standing.group, standing.isExempt, now) <= 0) return "group-full"
        if (standing.poolState === "waiting") return "resting"
        return arePlacesKept(now) && !hasTenure(standing, now) ? "places-kept" : undefined
      }
      return {
        group: groupOf(address),
        table: standing?.table,
        bucket: standing?.table === undefined ? undefined : standing.bucket,
        isAnchor: anchors(now).some((anchor) => AddressRules.sortKey(anchor) === standing?.key),
        failures: standing === undefined ? 0 : standing.failures,
        firstSuccessSeconds: standing?.firstSuccessSeconds,
        against: against()
      }
    }

    // -- from one run to the next --------------------------------------------------------------

    const kept = (now: Now): ReadonlyArray<Entry> =>
      saved.flatMap((one) => {
        if (AddressRules.validForOutbound(one.address, chain) !== undefined) return []
        const standing = make(one.address, one.source)
        if (standings.has(standing.key)) return []
        const entry = PeerAddress.restored(one, now)
        const table = one.table ?? "new"
        const bucket = table === "tried" ? triedBucket(standing) : newBucket(standing)
        if (tables.isFull(table, bucket)) return []
        standing.firstSuccessSeconds = one.firstSuccessSeconds
        memory.restore(standing.key, one.failures)
        standing.failures = one.failures
        standing.entry = entry
        register(standing, now)
        enter(standing, table, bucket)
        return [entry]
      })

    const save: HardenedChoice["save"] = (now) => ({
      anchors: anchors(now),
      entries: [...standings.values()].flatMap((standing): ReadonlyArray<SavedEntry> => {
        const entry = entries.get(standing.address)
        if (entry === undefined || !PeerAddress.isDialable(entry, chain)) return []
        return [
          {
            address: standing.address,
            table: standing.table,
            source: standing.source,
            services: entry.services,
            untrustedLastSeenSeconds: entry.untrustedLastSeenSeconds,
            lastResponseSeconds: entry.lastResponseSeconds,
            firstSuccessSeconds: standing.firstSuccessSeconds,
            failures: standing.failures
          }
        ]
      })
    })

    return {
      next,
      feeler,
      elsewhere,
      readyCount,
      admit,
      changed,
      removed,
      victim,
      hasRoom: (address, now) => {
        endSilent(now)
        if (AddressGroups.isExempt(address, chain)) return true
        const group = groupOf(address)
        let connected = 0
        for (const standing of busy) {
          if (standing.connectedAtMillis !== undefined && standing.group === group) connected++
        }
        return connected < groupLimit(now)
      },
      anchors,
      standingOf,
      sizes: () => ({ ...tables.sizes, groups: members.size, tested: tests.size, anchors: anchorCount() }),
      explain,
      kept: (now) => {
        const restored = kept(now)
        for (const entry of restored) {
          const standing = standings.get(AddressRules.sortKey(entry.address))
          if (standing !== undefined) schedule(standing, entry, now)
        }
        return restored
      },
      save
    }
  }

/** What is kept of a book. */
export interface Saved {
  readonly entries: ReadonlyArray<SavedEntry>
  readonly anchors: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>
}

/** A book, and what is kept of it as of now. */
export const makeFrom = (start: Start) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    let choice: HardenedChoice | undefined
    const book = yield* Book.make((known) => {
      choice = choose(start)(known)
      return choice
    })
    const save = Effect.sync((): Saved => {
      const wallSeconds = Math.floor(clock.currentTimeMillisUnsafe() / 1000)
      return (
        choice?.save({ wallSeconds, monotonicMillis: Monotonic.millisUnsafe(clock) }) ?? { entries: [], anchors: [] }
      )
    })
    return { book, save }
  })

/** A secret for a book. */
export const newKey = Effect.flatMap(SecureRandom.SecureRandom, ({ randomBytes }) => randomBytes(32))

/** An empty book of its own secret. */
export const make = (rules: Rules = allRules) =>
  Effect.gen(function* () {
    const key = yield* newKey
    const groups = yield* AddressGroups.AddressGroups
    return (yield* makeFrom({ key, groups, rules, saved: [], anchors: [] })).book
  })
