/**
 * What every address book does, whomever it dials next: applies changes one at a time, keeps within its limits, and tells
 * what changed.
 *
 * What a change does to an entry is decided in `PeerAddress.ts`, what is told to others in `Gossip.ts`, and `BookEntries.ts`
 * finds them. Who is dialled next and who is given up is for a `Choice` to say: `ReferenceBook.ts` or `HardenedBook.ts`.
 *
 * Source: Zebra address_book.rs and address_book_updater.rs.
 *
 * @module
 */
import { Clock, Duration, Effect, Option, PubSub, Random, Stream, SubscriptionRef } from "effect"
import { dropOldest } from "../Bounded.ts"
import { ChainParams, type ChainParamsShape } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as LimitedLog from "../LimitedLog.ts"
import * as Monotonic from "../Monotonic.ts"
import { Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import * as Subscribable from "../Subscribable.ts"
import { OwnAddress } from "../transport/OwnAddress.ts"
import type { GossipedAddress } from "../wire/AddressCodec.ts"
import type { AddressBook, AddressBookChange } from "./AddressBook.ts"
import * as AddressMetrics from "./AddressMetrics.ts"
import * as AddressRules from "./AddressRules.ts"
import { BanList, cleanReason, isBannedIn } from "./BanList.ts"
import { BookEntries } from "./BookEntries.ts"
import { placeOf } from "./GossipPool.ts"
import * as Gossip from "./Gossip.ts"
import * as PeerAddress from "./PeerAddress.ts"
import { RecentTimes } from "./RecentTimes.ts"

type Entry = PeerAddress.PeerAddress

/** What a book knows that chooses. */
export interface Known {
  readonly policy: Policy
  readonly chain: ChainParamsShape
  readonly entries: BookEntries
  /** Whether an entry may be dialled now, as far as it, its host and the bans tell. */
  readonly isCandidate: (entry: Entry, now: PeerAddress.Now) => boolean
  /** Uniform draws from [0, 1). */
  readonly random: () => number
}

/** Whether an address nobody knew is kept. */
export type Admission =
  | { readonly _tag: "Kept" }
  /** In the place of another one, which is given up. */
  | { readonly _tag: "Replaces"; readonly entry: Entry }
  | { readonly _tag: "Refused" }

/** Whom a book dials next and whom it gives up. Synchronous, and told of every change. */
export interface Choice {
  /** The next entry to dial. */
  readonly next: (now: PeerAddress.Now) => Entry | undefined
  /** An entry to look at without keeping the connection. */
  readonly feeler: (now: PeerAddress.Now) => Entry | undefined
  /** One that answered once, in a part of the internet where nobody is connected or being dialled. */
  readonly elsewhere: (now: PeerAddress.Now) => Entry | undefined
  /** How many could be dialled now. */
  readonly readyCount: (now: PeerAddress.Now) => number
  /** When an address that others tell of counts as seen, in seconds since the Unix epoch; they claim `claimedSeconds`. */
  readonly seen: (claimedSeconds: number, now: PeerAddress.Now) => number
  /** An address that was never attempted would become an entry. `from` is who told of it. */
  readonly admit: (
    entry: Entry,
    from: PeerSocketAddress.PeerSocketAddress | undefined,
    now: PeerAddress.Now
  ) => Admission
  /** An entry is as it is now because of this change; `key` is the `AddressRules.sortKey` of its address. */
  readonly changed: (entry: Entry, key: string, change: PeerAddress.AddressChange, now: PeerAddress.Now) => void
  /** An entry is no more. */
  readonly removed: (entry: Entry) => void
  /** The entry to give up when there are too many. None that the operator named, of which there are never too many. */
  readonly victim: (now: PeerAddress.Now) => Entry | undefined
  /** Whether one more connection may be made to the part of the internet an address is in. */
  readonly hasRoom: (address: PeerSocketAddress.PeerSocketAddress, now: PeerAddress.Now) => boolean
  /** Whom to dial before anybody else after a start, the best first. */
  readonly anchors: (now: PeerAddress.Now) => ReadonlyArray<PeerSocketAddress.PeerSocketAddress>
  /** What the book begins with: entries that an earlier run kept, each once. */
  readonly kept: (now: PeerAddress.Now) => ReadonlyArray<Entry>
  /** Where an address stands, whether it is in the book or not. */
  readonly standingOf: (address: PeerSocketAddress.PeerSocketAddress) => Omit<Standing, "isAnchor">
  readonly sizes: () => Sizes
  /** What speaks for and against an address. */
  readonly explain: (address: PeerSocketAddress.PeerSocketAddress, now: PeerAddress.Now) => Explained
}

/** Where an address stands. */
export interface Standing {
  /** Its part of the internet: an IPv4 /16, an IPv6 /32 or an autonomous system; of a private network on Regtest the host. */
  readonly group: string
  /** `undefined` when it is in none: nobody told of it but a seed, somebody connected from there, or the book has none. */
  readonly table: Table | undefined
  /** Among the outbound peers of longest standing. */
  readonly isAnchor: boolean
}

/** How much of its tables a book uses. All zero when it has none. */
export interface Sizes {
  readonly new: number
  readonly tried: number
  /** Parts of the internet that entries are in. */
  readonly groups: number
  /** Of `tried`: who answers soon, or gives its place to another. */
  readonly tested: number
  /** Outbound peers that would be dialled first if the node started again now. */
  readonly anchors: number
}

export const noSizes: Sizes = { new: 0, tried: 0, groups: 0, tested: 0, anchors: 0 }

/** What a choice knows of an address beyond its entry. */
export interface Explained extends Standing {
  readonly bucket: number | undefined
  /** Failures in a row. */
  readonly failures: number
  /** Seconds since the Unix epoch of the first handshake with it that we began. */
  readonly firstSuccessSeconds: number | undefined
  /** Why the choice would not take it now; `undefined` when it may. */
  readonly against: NotNext | undefined
}

/** Where an address stands in a book with tables: only heard of, or met. */
export type Table = "new" | "tried"

/** Why an address is not dialled next. */
export type NotNext =
  /** Not in the book. */
  | "unknown"
  /** Its host is banned. */
  | "banned"
  /** It is where somebody connected from, serves no blocks, or cannot be dialled on this chain. */
  | "not-dialable"
  /** It responded, failed or was dialled within `Policy.reconnectDelay`. */
  | "recently-updated"
  /** It failed, and nobody saw it within `Policy.retryAge`. */
  | "unreachable"
  /** Its host responded lately. */
  | "host-connected"
  /** Its part of the internet has all the connections it may have. */
  | "group-full"
  /** It failed so often that others come first for a while. */
  | "resting"
  /** The places left are for those met a day ago. */
  | "places-kept"

/** What the book knows of one address, and whether it may be dialled now. */
export interface Why extends Explained {
  readonly address: PeerSocketAddress.PeerSocketAddress
  readonly entry: Entry | undefined
  readonly limit: { readonly group: string; readonly isBanned: boolean }
}

export const make = (choose: (known: Known) => Choice) =>
  Effect.gen(function* () {
    const policy = yield* Policy
    const chain = yield* ChainParams
    const banList = yield* BanList
    const clock = yield* Clock.Clock
    const random = yield* Random.Random
    const { gossiped } = yield* OwnAddress
    const limited = LimitedLog.make(policy.statusLogInterval)
    const showGauges = AddressMetrics.gauges(chain.kind, yield* Effect.context<never>())
    const bus = yield* PubSub.sliding<AddressBookChange>(policy.eventBuffer)

    const entries = new BookEntries(chain)
    const own = new Set<string>()
    /** What the operator named, by `AddressRules.sortKey`; and of these, what is not in the book: it may be banned. */
    const [configured, missing] = [new Map<string, PeerSocketAddress.PeerSocketAddress>(), new Set<string>()]
    let latestWallSeconds = 0
    let nextLogMillis: number | undefined

    const limitsGroups = policy.connectionsPerGroup === 1
    /** Of each group, by `AddressRules.limitKey`; kept only while one connection per group is allowed. */
    const answers = new RecentTimes(Duration.toMillis(policy.reconnectDelay))

    /** Now, with every time in the book put right if the wall clock went back. */
    const sample = (): PeerAddress.Now => {
      const wallSeconds = Math.floor(clock.currentTimeMillisUnsafe() / 1000)
      if (wallSeconds < latestWallSeconds) entries.wallClockWentBack(wallSeconds)
      latestWallSeconds = wallSeconds
      return { wallSeconds, monotonicMillis: Monotonic.millisUnsafe(clock) }
    }

    // -- who is next ---------------------------------------------------------------------------

    const isGroupFree = (entry: Entry, now: PeerAddress.Now): boolean =>
      !limitsGroups || !answers.has(AddressRules.limitKey(entry.address), now.monotonicMillis)

    const isBanned = (address: PeerSocketAddress.PeerSocketAddress, now: PeerAddress.Now): boolean =>
      isBannedIn(banList.bans.getUnsafe(), address, now.wallSeconds)

    const isCandidate = (entry: Entry, now: PeerAddress.Now): boolean =>
      PeerAddress.isReadyForAttempt(entry, now, chain, policy) &&
      isGroupFree(entry, now) &&
      !isBanned(entry.address, now)

    const choice = choose({ policy, chain, entries, isCandidate, random: () => random.nextDoubleUnsafe() })

    // -- changes -------------------------------------------------------------------------------

    /** Applies a change; `undefined` when it leaves the book as it was. What it did is added to `changes`. */
    const apply = (
      said: PeerAddress.AddressChange,
      now: PeerAddress.Now,
      changes: Array<AddressBookChange>,
      from?: PeerSocketAddress.PeerSocketAddress
    ): Entry | undefined => {
      const { address } = said
      const key = AddressRules.sortKey(address)
      if (own.has(key) || AddressRules.validForOutbound(address, chain) !== undefined) return undefined
      const isOneTooMany = said._tag === "NewConfigured" && !configure(key, address)
      const change: PeerAddress.AddressChange = isOneTooMany ? { _tag: "NewInitial", address } : said
      if (isBanned(address, now)) return undefined
      const previous = entries.at(key)
      const applied = PeerAddress.apply(change, previous, now, policy)
      if (applied === undefined || applied === previous) return applied
      const updated = configured.has(key) && !applied.isConfigured ? { ...applied, isConfigured: true } : applied
      // Entries learnt first-hand are kept without services too, to remember not to dial them.
      if (updated.state === "NeverAttempted" && !PeerAddress.isValidForOutbound(updated, chain)) return undefined
      if (previous === undefined && updated.state === "NeverAttempted" && !updated.isConfigured) {
        const admission = choice.admit(updated, from, now)
        if (admission._tag === "Refused") return undefined
        if (admission._tag === "Replaces") {
          forget(admission.entry)
          changes.push({ _tag: "Removed", address: admission.entry.address })
        }
      }
      entries.put(updated, key)
      missing.delete(key)
      noteResponse(updated, now)
      choice.changed(updated, key, change, now)
      changes.push({ _tag: "Updated", entry: updated })
      let kept: Entry | undefined = updated
      while (entries.size > policy.addressBookCapacity) {
        const gone = choice.victim(now)
        if (gone === undefined) break
        forget(gone)
        changes.push({ _tag: "Removed", address: gone.address })
        if (gone === updated) kept = undefined
      }
      return kept
    }

    /** Remembers what the operator named; `false` when the book could not hold it. */
    const configure = (key: string, address: PeerSocketAddress.PeerSocketAddress): boolean => {
      if (configured.has(key)) return true
      if (configured.size >= policy.addressBookCapacity) return false
      configured.set(key, address)
      missing.add(key)
      return true
    }

    /** Puts back what the operator named and a ban took away, once that is over. */
    const restoreConfigured = (now: PeerAddress.Now, changes: Array<AddressBookChange>) => {
      const absent = [...missing]
      for (const key of absent) {
        const address = configured.get(key)
        if (address !== undefined) apply({ _tag: "NewConfigured", address }, now, changes)
      }
    }

    const noteResponse = (entry: Entry, now: PeerAddress.Now) => {
      if (!limitsGroups || entry.state !== "Responded" || entry.lastResponseMillis === undefined) return
      answers.note(AddressRules.limitKey(entry.address), entry.lastResponseMillis, now.monotonicMillis)
    }

    const forget = (entry: Entry) => {
      entries.remove(entry)
      choice.removed(entry)
      const key = AddressRules.sortKey(entry.address)
      if (configured.has(key)) missing.add(key)
      const group = AddressRules.limitKey(entry.address)
      if (answers.knows(group) && entries.inGroup(group).length === 0) answers.forget(group)
    }

    // -- what others see of it -----------------------------------------------------------------

    const count = (now: PeerAddress.Now): AddressMetrics.AddressMetrics => {
      const recentlyLive = entries.live((entry) => PeerAddress.hasRecentlyResponded(entry, now, policy))
      return {
        responded: entries.states.Responded,
        neverAttempted: entries.states.NeverAttempted,
        failed: entries.states.Failed,
        attemptPending: entries.states.AttemptPending,
        recentlyLive,
        recentlyStoppedResponding: entries.states.Responded - recentlyLive,
        total: entries.size,
        limit: policy.addressBookCapacity
      }
    }

    const begun = sample()
    for (const entry of choice.kept(begun)) {
      if (isBanned(entry.address, begun)) choice.removed(entry)
      else entries.put(entry)
    }
    const metrics = yield* SubscriptionRef.make(count(sample()))

    /** Tells an operator whose node answers nobody why, now and then. */
    const logWhenAlone = (counts: AddressMetrics.AddressMetrics, now: PeerAddress.Now): Effect.Effect<void> => {
      if (counts.responded > 0) return Effect.void
      const isFirst = nextLogMillis === undefined
      if (nextLogMillis !== undefined && now.monotonicMillis < nextLogMillis) return Effect.void
      nextLogMillis = now.monotonicMillis + Duration.toMillis(policy.statusLogInterval)
      if (isFirst) return Effect.void
      return (
        counts.attemptPending + counts.neverAttempted === 0
          ? Effect.logWarning("all known addresses have failed: check the network connection")
          : Effect.logInfo("no address has answered yet, trying those we heard of")
      ).pipe(Effect.annotateLogs({ ...counts }))
    }

    const publish = (changes: ReadonlyArray<AddressBookChange>, now: PeerAddress.Now): Effect.Effect<void> => {
      if (changes.length === 0) return Effect.void
      const counts = count(now)
      showGauges(counts, choice.sizes())
      // Most changes, answers to pings among them, leave every count as it was.
      const isAsBefore = AddressMetrics.isSame(counts, SubscriptionRef.getUnsafe(metrics))
      return (isAsBefore ? Effect.void : SubscriptionRef.set(metrics, counts)).pipe(
        Effect.andThen(PubSub.publishAll(bus, changes)),
        Effect.andThen(logWhenAlone(counts, now))
      )
    }

    const operation = Spans.within("address book")

    /** One synchronous step, whose consequences are told before anybody may interrupt. */
    const step = <A>(decide: (now: PeerAddress.Now, changes: Array<AddressBookChange>) => A): Effect.Effect<A> =>
      operation(
        Effect.uninterruptible(
          Effect.suspend(() => {
            const now = sample()
            const changes: Array<AddressBookChange> = []
            const result = decide(now, changes)
            return Effect.as(publish(changes, now), result)
          })
        )
      )

    const read = <A>(look: (now: PeerAddress.Now) => A): Effect.Effect<A> =>
      operation(Effect.sync(() => look(sample())))

    const record = (change: PeerAddress.AddressChange) =>
      step((now, changes) => Option.fromUndefinedOr(apply(change, now, changes)))

    const addGossiped = Effect.fnUntraced(function* (
      addresses: ReadonlyArray<GossipedAddress>,
      from?: PeerSocketAddress.PeerSocketAddress
    ) {
      let added = 0
      for (let start = 0; start < addresses.length; start += policy.gossipChunk) {
        if (start > 0) yield* Effect.yieldNow
        added += yield* step((now, changes) => {
          const before = entries.size
          let evicted = 0
          for (const { address, lastSeenSeconds: claimed, services } of addresses.slice(
            start,
            start + policy.gossipChunk
          )) {
            const lastSeenSeconds = choice.seen(claimed, now)
            apply({ _tag: "NewGossiped", address, services, lastSeenSeconds }, now, changes, from)
          }
          for (const change of changes) if (change._tag === "Removed") evicted++
          return entries.size - before + evicted
        })
      }
      return added
    })

    const take = (choose: Choice["next"]) =>
      step((now, changes): Option.Option<Entry> => {
        restoreConfigured(now, changes)
        const candidate = choose(now)
        if (candidate === undefined) return Option.none()
        return Option.fromUndefinedOr(apply({ _tag: "UpdateAttempt", address: candidate.address }, now, changes))
      })

    const takeCandidate = take(choice.next)

    const objectionTo = (
      entry: Entry | undefined,
      address: PeerSocketAddress.PeerSocketAddress,
      now: PeerAddress.Now
    ) => {
      if (isBanned(address, now)) return "banned"
      if (entry === undefined) return "unknown"
      if (!PeerAddress.isDialable(entry, chain)) return "not-dialable"
      if (PeerAddress.isRecentlyUpdated(entry, now, policy)) return "recently-updated"
      if (!entry.isConfigured && !PeerAddress.isProbablyReachable(entry, now, policy)) return "unreachable"
      return isGroupFree(entry, now) ? undefined : "host-connected"
    }

    /** An answer to `getaddr`. Our own address stands for whatever else we know of it. */
    const answer = (now: PeerAddress.Now): ReadonlyArray<GossipedAddress> => {
      const pool = entries.gossip
      const known = Option.flatMapNullishOr(gossiped, (address) => entries.place(address))
      const own = Option.map(gossiped, (address) => placeOf(PeerAddress.ownListener(address, now)))
      const hidden = Option.filter(known, (place) => pool.remove(place))
      if (Option.isSome(own)) pool.put(own.value)
      // Tested on the time we tell, which is rounded down.
      pool.dropOlder(now.wallSeconds - Duration.toSeconds(policy.gossipAge))
      const size = Gossip.answerSize(pool.size, policy.gossipShare)
      const answer = pool.draw(size, () => random.nextDoubleUnsafe())
      if (Option.isSome(own)) pool.remove(own.value)
      if (Option.isSome(hidden)) pool.put(hidden.value)
      return answer
    }

    return {
      record,
      addGossiped,
      addPeer: (address) =>
        step((now, changes) =>
          entries.get(address) === undefined
            ? apply({ _tag: "NewInitial", address }, now, changes) !== undefined
            : false
        ),
      takeCandidate,
      takeFeeler: take(choice.feeler),
      takeElsewhere: take(choice.elsewhere),
      hasRoom: (address) => read((now) => choice.hasRoom(address, now)),
      anchors: read(choice.anchors),
      standings: (addresses) =>
        read((now) => {
          const anchors = new Set(choice.anchors(now).map(AddressRules.sortKey))
          return addresses.map((address) => ({
            ...choice.standingOf(address),
            isAnchor: anchors.has(AddressRules.sortKey(address))
          }))
        }),
      sizes: read(choice.sizes),
      why: (address) =>
        read((now): Why => {
          const entry = entries.get(address)
          const explained = choice.explain(address, now)
          return {
            ...explained,
            address,
            entry,
            limit: { group: AddressRules.limitKey(address), isBanned: isBanned(address, now) },
            against: objectionTo(entry, address, now) ?? explained.against
          }
        }),
      readyCount: step((now, changes) => {
        restoreConfigured(now, changes)
        return choice.readyCount(now)
      }),
      get: (address) => read(() => Option.fromUndefinedOr(entries.get(address))),
      entries: read(() => [...entries.all()].toSorted(PeerAddress.compare)),
      recentlyLive: read((now) =>
        [...entries.all()]
          .filter((entry) => PeerAddress.isRecentlyLive(entry, now, policy))
          .toSorted(PeerAddress.compare)
      ),
      cacheable: read((now) =>
        spread(
          [...entries.all()].filter((entry) => !entry.isInbound && PeerAddress.isActiveForGossip(entry, now, policy)),
          policy.cacheCapacity
        )
      ),
      recoverable: read((now) =>
        spread(
          [...entries.all()].filter(
            (entry) =>
              entry.lastResponseMillis !== undefined &&
              PeerAddress.isDialable(entry, chain) &&
              !PeerAddress.isRecentlyAttempted(entry, now, policy) &&
              !isBanned(entry.address, now)
          ),
          policy.targetPeers
        )
      ),
      gossip: read(answer),
      markOwn: (address) =>
        step((_now, changes) => {
          const key = AddressRules.sortKey(address)
          configured.delete(key)
          missing.delete(key)
          own.add(key)
          dropOldest(own, policy.ownAddressCapacity)
          const entry = entries.get(address)
          if (entry === undefined) return
          forget(entry)
          changes.push({ _tag: "Removed", address })
        }),
      ban: (options) =>
        Effect.gen(function* () {
          const ban = yield* banList.add(options)
          const removed = yield* step((_now, changes) => {
            const gone = entries.inGroup(ban.group)
            for (const entry of gone) forget(entry)
            changes.push({ _tag: "Banned", ban, removed: gone.length })
            return gone.length
          })
          yield* limited(
            "ban",
            Effect.logWarning("banned a peer group").pipe(
              PeerSocketAddress.annotateLogs("address", options.address),
              Effect.annotateLogs({ reason: cleanReason(options.reason), addressesRemoved: removed })
            )
          )
          return ban
        }).pipe(Effect.uninterruptible),
      metrics: Subscribable.fromRef(metrics),
      changes: Stream.fromPubSub(bus)
    } satisfies AddressBook["Service"]
  })

/**
 * The best of some entries: proven ones first, the latest first, then by what others claim; taken in turn from the networks
 * they are in, so that none has all the places.
 */
const spread = (
  candidates: ReadonlyArray<Entry>,
  capacity: number
): ReadonlyArray<PeerSocketAddress.PeerSocketAddress> => {
  const best = candidates.toSorted(
    (a, b) =>
      PeerAddress.absentFirst(b.lastResponseMillis, a.lastResponseMillis) ||
      PeerAddress.absentFirst(b.untrustedLastSeenMillis, a.untrustedLastSeenMillis) ||
      PeerAddress.compareText(AddressRules.sortKey(a.address), AddressRules.sortKey(b.address))
  )
  const networks = new Map<string, Array<Entry>>()
  for (const entry of best) {
    const key = AddressRules.networkKey(entry.address)
    const members = networks.get(key)
    if (members === undefined) networks.set(key, [entry])
    else members.push(entry)
  }
  const chosen: Array<PeerSocketAddress.PeerSocketAddress> = []
  for (let round = 0; chosen.length < capacity; round++) {
    const before = chosen.length
    for (const members of networks.values()) {
      const entry = members[round]
      if (entry !== undefined && chosen.length < capacity) chosen.push(entry.address)
    }
    if (chosen.length === before) break
  }
  return chosen
}
