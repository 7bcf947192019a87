/**
 * Peer groups nobody here talks to, and until when.
 *
 * A ban covers a whole peer group (`AddressRules.limitKey`), ends by wall time and outlives the process (`BanFile.ts`).
 * Whoever wants to ban uses `AddressBook.ban`, which also removes the entries it covers.
 *
 * Source: Zebra ban_list.rs; that the end is wall time, may be chosen, and is never brought forward is ours.
 *
 * @module
 */
import {
  Clock,
  Context,
  Duration,
  Effect,
  HashMap,
  Layer,
  Option,
  PubSub,
  type Scope,
  Stream,
  SubscriptionRef
} from "effect"
import { BackgroundTasks, type TaskNameTaken } from "../BackgroundTasks.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import { Policy } from "../Policy.ts"
import * as Subscribable from "../Subscribable.ts"
import * as AddressRules from "./AddressRules.ts"
import { compareText } from "./PeerAddress.ts"
import { SortedList } from "./SortedList.ts"

/** A peer group that nobody here talks to, and until when. */
export interface Ban {
  /** As `AddressRules.limitKey` writes it: `192.0.2.10` or `2001:db8::/64`. */
  readonly group: string
  /** At most `maxReasonLength` characters, none of them a control character. */
  readonly reason: string
  /** Seconds since the Unix epoch. At this second the ban is over. */
  readonly untilSeconds: number
}

/** By group. A ban in it may be over: ask `isBannedIn`. */
export type Bans = HashMap.HashMap<string, Ban>

/** What happened to the list of bans. */
export type BanChange =
  | { readonly _tag: "Banned"; readonly ban: Ban }
  /** It is over, was lifted, or had to make room. */
  | { readonly _tag: "Ended"; readonly group: string }

/** Longest reason kept, in characters: it comes from a program, but may hold what a peer said. */
const maxReasonLength = 200

/** Longest sleep until the next look, so that a wall clock that was set is noticed. */
const longestSleepMillis = 60_000

/** Who is banned. At most `Policy.banCapacity` peer groups. A ban that is over is removed and told within a minute. */
export class BanList extends Context.Service<
  BanList,
  {
    /** Whether the group of an address is banned now. */
    readonly isBanned: (address: PeerSocketAddress) => Effect.Effect<boolean>
    /**
     * Bans the group of an address for `Policy.banDuration` or as long as given, and answers the ban in force: a later ban
     * never brings the end of an earlier one forward. With `Policy.banCapacity` bans, the one that ends first goes.
     */
    readonly add: (options: {
      readonly address: PeerSocketAddress
      readonly reason: string
      readonly duration?: Duration.Duration
    }) => Effect.Effect<Ban>
    /** Ends the ban of a group before its time; `false` when there was none. */
    readonly lift: (group: string) => Effect.Effect<boolean>
    /** Who is banned, by group. */
    readonly bans: Subscribable.Subscribable<Bans>
    /** What is banned and what ends, from now on. A reader that is too slow loses the oldest. */
    readonly changes: Stream.Stream<BanChange>
  }
>()("network-effect/addresses/BanList") {
  /**
   * A list in memory that begins with what an earlier run kept: bans that are over are left out, and of two bans of one
   * group the later end counts. For layers that keep it somewhere.
   */
  static readonly make = (
    kept: ReadonlyArray<Ban>
  ): Effect.Effect<BanList["Service"], TaskNameTaken, BackgroundTasks | Scope.Scope> => makeList(kept)

  /** Forgotten when the process ends. */
  static readonly layer: Layer.Layer<BanList, TaskNameTaken, BackgroundTasks> = Layer.effect(BanList, BanList.make([]))
}

/** Whether a snapshot of the bans covers an address at a moment. */
export const isBannedIn = (bans: Bans, address: PeerSocketAddress, nowSeconds: number): boolean => {
  // Most nodes have banned nobody, and ask at every dial and every address told.
  if (HashMap.isEmpty(bans)) return false
  const ban = HashMap.get(bans, AddressRules.limitKey(address))
  return Option.isSome(ban) && nowSeconds < ban.value.untilSeconds
}

/** Without control characters, and not longer than `maxReasonLength`. */
export const cleanReason = (reason: string): string =>
  [...reason.replace(/\p{Cc}/gu, " ")].slice(0, maxReasonLength).join("")

function makeList(kept: ReadonlyArray<Ban>) {
  return Effect.gen(function* () {
    const policy = yield* Policy
    const tasks = yield* BackgroundTasks
    const bans = yield* SubscriptionRef.make<Bans>(HashMap.empty())
    const bus = yield* PubSub.sliding<BanChange>(policy.eventBuffer)
    const byEnd = new SortedList<Ban>((a, b) => a.untilSeconds - b.untilSeconds || compareText(a.group, b.group))
    const nowSeconds = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))

    const drop = (current: Bans, ban: Ban, changes: Array<BanChange>): Bans => {
      byEnd.remove(ban)
      changes.push({ _tag: "Ended", group: ban.group })
      return HashMap.remove(current, ban.group)
    }

    const dropEnded = (current: Bans, now: number, changes: Array<BanChange>): Bans => {
      for (let first = byEnd.first; first !== undefined && first.untilSeconds <= now; first = byEnd.first) {
        current = drop(current, first, changes)
      }
      return current
    }

    const put = (current: Bans, ban: Ban, changes: Array<BanChange>): Bans => {
      const before = HashMap.get(current, ban.group)
      if (Option.isSome(before)) byEnd.remove(before.value)
      byEnd.add(ban)
      changes.push({ _tag: "Banned", ban })
      let next = HashMap.set(current, ban.group, ban)
      while (byEnd.size > policy.banCapacity && byEnd.first !== undefined) next = drop(next, byEnd.first, changes)
      return next
    }

    /** One synchronous change of the list, told to everybody afterwards. */
    const change = <A>(decide: (current: Bans, now: number, changes: Array<BanChange>) => readonly [A, Bans]) =>
      Effect.uninterruptible(
        Effect.flatMap(nowSeconds, (now) => {
          const changes: Array<BanChange> = []
          const current = SubscriptionRef.getUnsafe(bans)
          const [result, next] = decide(current, now, changes)
          if (changes.length === 0) return Effect.succeed(result)
          return SubscriptionRef.set(bans, next).pipe(
            Effect.andThen(PubSub.publishAll(bus, changes)),
            Effect.as(result)
          )
        })
      )

    const prune = change((current, now, changes) => [undefined, dropEnded(current, now, changes)])

    yield* change((current, now, changes) => {
      let next = current
      for (const ban of kept) {
        const before = HashMap.get(next, ban.group)
        const isLater = Option.isNone(before) || before.value.untilSeconds < ban.untilSeconds
        if (ban.untilSeconds > now && isLater) next = put(next, ban, changes)
      }
      return [undefined, next]
    })

    const pruneWhenDue = Effect.gen(function* () {
      const first = byEnd.first
      if (first === undefined) return yield* Effect.never
      const left = first.untilSeconds * 1000 - (yield* Clock.currentTimeMillis)
      yield* Effect.sleep(Duration.millis(Math.min(Math.max(0, left), longestSleepMillis)))
      yield* prune
    }).pipe(Effect.forever)

    // `isBanned` does not depend on it.
    yield* tasks.run(
      "bans",
      SubscriptionRef.changes(bans).pipe(
        Stream.switchMap(() => Stream.fromEffect(pruneWhenDue)),
        Stream.runDrain
      )
    )

    return BanList.of({
      bans: Subscribable.fromRef(bans),
      changes: Stream.fromPubSub(bus),
      isBanned: (address) => Effect.map(nowSeconds, (now) => isBannedIn(SubscriptionRef.getUnsafe(bans), address, now)),
      add: ({ address, duration, reason }) =>
        change((current, now, changes) => {
          const group = AddressRules.limitKey(address)
          const kept = dropEnded(current, now, changes)
          const before = HashMap.get(kept, group)
          const untilSeconds = now + Math.ceil(Duration.toSeconds(duration ?? policy.banDuration))
          if (Option.isSome(before) && before.value.untilSeconds >= untilSeconds) return [before.value, kept]
          const ban = { group, reason: cleanReason(reason), untilSeconds }
          return [ban, put(kept, ban, changes)]
        }),
      lift: (group) =>
        change((current, now, changes) => {
          const kept = dropEnded(current, now, changes)
          const ban = HashMap.get(kept, group)
          return Option.isNone(ban) ? [false, kept] : [true, drop(kept, ban.value, changes)]
        })
    })
  })
}
