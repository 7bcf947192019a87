/**
 * A choice that one attacker cannot buy: whom we heard of and whom we met are kept apart, in tables that no source and no part
 * of the internet can fill (`Tables.ts`), and who is dialled next is drawn by chance, from all parts alike (`DialQueue.ts`).
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
 * | addresses of one network | one connection per group, a second where places are left over; a draw takes the group first |
 * | answers | a source fills 1/16 of what is heard of, and each address of it costs a token |
 * | claims of having been seen just now | times that are claimed only make an address older |
 * | claims that others were seen long ago | nobody counts as seen more than a day before we were told |
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
import type * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as Monotonic from "../Monotonic.ts"
import * as AddressGroups from "./AddressGroups.ts"
import * as AddressRules from "./AddressRules.ts"
import * as Book from "./Book.ts"
import { DialQueue } from "./DialQueue.ts"
import { FailureMemory } from "./FailureMemory.ts"
import { allRules, type Rules } from "./HardenedRules.ts"
import { KnownAddresses, type Moved } from "./KnownAddresses.ts"
import { OutboundPlaces } from "./OutboundPlaces.ts"
import * as PeerAddress from "./PeerAddress.ts"
import { SourceTokens } from "./SourceTokens.ts"
import * as Standing from "./Standing.ts"

export { allRules, type Rules }

type Entry = PeerAddress.PeerAddress
type Now = PeerAddress.Now

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

/** What is kept of a book. */
export interface Saved {
  readonly entries: ReadonlyArray<SavedEntry>
  readonly anchors: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>
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

/** The choice, of one start. */
export const choose =
  ({ anchors: savedAnchors, groups, key: secret, rules, saved }: Start) =>
  (book: Book.Known): HardenedChoice => {
    const { chain, entries, policy, random } = book
    const memory = new FailureMemory(policy.failureMemory)
    const oldestSeconds = Duration.toSeconds(policy.oldestClaim)
    const tokens = new SourceTokens(policy)
    const places = new OutboundPlaces(policy, rules)
    const known = new KnownAddresses(policy, rules, secret, (standing) => places.has(standing))
    const queue = new DialQueue(book, { rules, known, places, memory })
    /** Of the last run, until there are some. */
    let anchorsOfBefore = savedAnchors
    /** Whom the next dial is to look at and not to keep. */
    let feeling: string | undefined
    /** Whom the latest draw found: the change that follows is of it, and need not look for it among all. */
    let drawn: Standing.Standing | undefined

    const groupOf = (address: PeerSocketAddress.PeerSocketAddress): string =>
      AddressGroups.isExempt(address, chain) ? AddressRules.limitKey(address) : groups.groupOf(address)

    const make = (address: PeerSocketAddress.PeerSocketAddress, source: string | undefined) =>
      Standing.make(address, groupOf(address), AddressGroups.isExempt(address, chain), source)

    const reschedule = (moved: Moved, now: Now) => {
      for (const standing of moved) if (standing.entry !== undefined) queue.schedule(standing, standing.entry, now)
    }

    const advance = (now: Now) => {
      places.freeSilent(now)
      reschedule(known.endTests(now), now)
      queue.advance(now)
    }

    // -- who is next ---------------------------------------------------------------------------

    const next = (now: Now): Entry | undefined => {
      advance(now)
      feeling = undefined
      drawn = queue.next(now)
      return drawn?.entry
    }

    const feeler = (now: Now): Entry | undefined => {
      advance(now)
      const entry = queue.feeler(now)
      feeling = entry === undefined ? undefined : AddressRules.sortKey(entry.address)
      return entry
    }

    const elsewhere = (now: Now): Entry | undefined => {
      advance(now)
      feeling = undefined
      return queue.elsewhere(now)
    }

    const readyCount = (now: Now): number => {
      advance(now)
      return queue.readyCount(now)
    }

    // -- what happens --------------------------------------------------------------------------

    // Whoever is first to tell of a host could make it so old that one dial in vain, as of any full host, would be the last.
    const seen = (claimedSeconds: number, { wallSeconds }: Now): number =>
      Math.max(claimedSeconds, wallSeconds - oldestSeconds)

    const admit = (entry: Entry, from: PeerSocketAddress.PeerSocketAddress | undefined, now: Now): Book.Admission => {
      const source = from === undefined ? undefined : groupOf(from)
      if (source !== undefined && rules.sourceTokens && !tokens.take(source, now.monotonicMillis)) {
        return { _tag: "Refused" }
      }
      return known.admit(make(entry.address, source), from !== undefined, now)
    }

    const changed = (entry: Entry, key: string, change: PeerAddress.AddressChange, now: Now) => {
      let standing = drawn?.key === key ? drawn : known.at(key)
      if (standing === undefined) {
        standing = make(entry.address, undefined)
        known.add(standing, now)
      }
      const { monotonicMillis } = now
      standing.entry = entry
      switch (change._tag) {
        case "UpdateAttempt":
          memory.attempted(key, monotonicMillis)
          standing.isFeeler = key === feeling
          feeling = undefined
          standing.dialledAtMillis = monotonicMillis
          if (!standing.isFeeler) places.take(standing)
          break
        case "UpdateConnected":
          memory.answered(key, monotonicMillis)
          if (entry.isInbound) {
            // Nobody listens there, so it is in nobody's way.
            known.leaveTable(standing)
            break
          }
          places.answered(standing, monotonicMillis, now)
          standing.firstSuccessSeconds ??= now.wallSeconds
          standing.dialledAtMillis = undefined
          if (!standing.isFeeler) {
            standing.connectedAtMillis ??= monotonicMillis
            places.take(standing)
          }
          standing.isFeeler = false
          reschedule(known.promote(standing, now), now)
          break
        case "UpdateFailed":
          memory.failed(key, monotonicMillis)
          places.free(standing)
          standing.isFeeler = false
          reschedule(known.failed(standing), now)
          break
        case "UpdateResponded":
          if (!entry.isInbound) places.answered(standing, monotonicMillis, now)
          // Its handshake may have come too soon after a failure to count.
          if (!entry.isInbound && standing.connectedAtMillis === undefined && !standing.isFeeler) {
            standing.connectedAtMillis = monotonicMillis
            places.take(standing)
          }
          break
        case "UpdatePingSent":
        case "NewConfigured":
        case "NewGossiped":
        case "NewInitial":
          break
      }
      standing.failures = memory.of(key)?.failures ?? 0
      queue.schedule(standing, entry, now)
    }

    const removed = (entry: Entry) => {
      const standing = known.at(AddressRules.sortKey(entry.address))
      if (standing === undefined) return
      if (standing === drawn) drawn = undefined
      places.free(standing)
      queue.leave(standing)
      known.remove(standing)
    }

    const victim = (now: Now): Entry | undefined => {
      const found = known.victim(random, now)
      if (found !== undefined) return found
      for (const entry of entries.all()) if (!entry.isConfigured) return entry
      return undefined
    }

    // -- what others see of it -----------------------------------------------------------------

    const hasRoom = (address: PeerSocketAddress.PeerSocketAddress, now: Now): boolean => {
      places.freeSilent(now)
      return AddressGroups.isExempt(address, chain) || places.hasRoom(groupOf(address), known, now)
    }

    const anchors = (now: Now) => {
      places.freeSilent(now)
      const standing = places.anchors()
      if (standing.length > 0) anchorsOfBefore = []
      return standing.length > 0 ? standing : anchorsOfBefore
    }

    const standingOf = (address: PeerSocketAddress.PeerSocketAddress) => {
      const standing = known.at(AddressRules.sortKey(address))
      return { group: standing?.group ?? groupOf(address), table: standing?.table }
    }

    const explain = (address: PeerSocketAddress.PeerSocketAddress, now: Now): Book.Explained => {
      advance(now)
      const standing = known.at(AddressRules.sortKey(address))
      const entry = entries.get(address)
      const against = (): Book.NotNext | undefined => {
        if (standing === undefined || entry === undefined) return "unknown"
        if (entry.isConfigured) return undefined
        const others = places.used(standing.group)
        if (!standing.isExempt && !places.allows(others, places.spare(known, now))) return "group-full"
        if (standing.poolState === "waiting") return "resting"
        return places.areKept(known, now) && !Standing.hasTenure(standing, now, policy) ? "places-kept" : undefined
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

    const kept = (now: Now): ReadonlyArray<Entry> => {
      const restored = saved.flatMap((one) => {
        if (AddressRules.validForOutbound(one.address, chain) !== undefined) return []
        const standing = make(one.address, one.source)
        if (known.at(standing.key) !== undefined || !known.restore(standing, one.table ?? "new", now)) return []
        const entry = PeerAddress.restored(one, now)
        standing.firstSuccessSeconds = one.firstSuccessSeconds
        memory.restore(standing.key, one.failures)
        standing.failures = one.failures
        standing.entry = entry
        return [{ standing, entry }]
      })
      for (const { entry, standing } of restored) queue.schedule(standing, entry, now)
      const answered = restored.filter(({ entry }) => entry.lastResponseMillis !== undefined)
      for (const { standing } of answered.toSorted(
        (a, b) => Standing.answeredMillis(a.standing) - Standing.answeredMillis(b.standing)
      )) {
        places.answered(standing, Standing.answeredMillis(standing), now)
      }
      return restored.map(({ entry }) => entry)
    }

    const save: HardenedChoice["save"] = (now) => ({
      anchors: anchors(now),
      entries: Array.from(known.all()).flatMap((standing): ReadonlyArray<SavedEntry> => {
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
      seen,
      admit,
      changed,
      removed,
      victim,
      hasRoom,
      anchors,
      standingOf,
      sizes: () => ({ ...known.sizes, anchors: places.anchorCount() }),
      explain,
      kept,
      save
    }
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
