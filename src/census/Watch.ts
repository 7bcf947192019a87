/**
 * Watches one node: is it where the others are? A light census, of a few hosts of different groups a look.
 *
 * Heights are those of `version` messages, and of blocks that a few hosts advertise with whom it stays (`Adverts.ts`). The node
 * is asked last, so whoever was further than it was so before. It is asked once a look, and a host once in half an hour: a look
 * takes others, as long as there are.
 *
 * @module
 */
import { Clock, Deferred, Duration, Effect, FiberSet, Ref, Schedule, Stream } from "effect"
import type { SecureRandom } from "effect/crypto"
import { dropOldest } from "../Bounded.ts"
import { ChainParams, targetSpacing } from "../chain/ChainParams.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../chain/ProtocolVersion.ts"
import * as Monotonic from "../Monotonic.ts"
import type { OutboundTransport } from "../transport/Transport.ts"
import { Adverts } from "./Adverts.ts"
import { CensusPolicy } from "./CensusPolicy.ts"
import { defaultUserAgent } from "./Census.ts"
import { groupOf } from "./Finding.ts"
import { Frontier, type Visit } from "./Frontier.ts"
import * as Quorum from "./Quorum.ts"
import * as Visits from "./Visit.ts"

export interface WatchOptions {
  readonly node: PeerSocketAddress
  /** Where others are heard of: seeds, a cache or a list. The node itself tells of others too. */
  readonly from: ReadonlyArray<PeerSocketAddress>
  readonly userAgent?: string | undefined
}

/** What one look found. */
export interface Look extends Quorum.Judgement {
  readonly atMillis: number
  /** When the verdict became what it is. */
  readonly sinceMillis: number
  /** Where the heights of the others come from. */
  readonly source: "version" | "adverts" | "both"
}

/**
 * Time between two looks. Above the 119 seconds in which nodes let an address in once.
 *
 * Source: Zebra constants.rs, `MIN_PEER_RECONNECTION_DELAY`.
 */
export const lookInterval = Duration.minutes(2)

/** Hosts of different groups that are asked at once, and how often a look does so before it has enough. */
const hostsPerRound = 12
const roundsPerLook = 5

/** Groups of the first look: of 30 a majority shows that has two of three. */
const groupsWanted = 30

/** Least groups of the looks that follow, which take as many as will be due again when the half hour is over. */
const leastGroups = 5

/**
 * Groups that are judged: the newest of these numbers, the fewest that show a majority. Who has just fallen behind is seen by
 * the newest alone. Of ten, nine have to agree.
 */
const windows = [10, 20, 30, Number.POSITIVE_INFINITY]

/** Hosts of different groups with whom it stays: their blocks come sooner than the next look. More than one judges by. */
const maxStays = 12

/** Hosts whose word is kept, the newest. */
const maxVoices = 500

/** Time after which a voice is no longer heard: twice what passes before a host may be asked again. */
const voiceMillis = Duration.toMillis(Duration.hours(1))

interface Heard {
  readonly group: string
  readonly height: number
  readonly at: number
  readonly source: "version" | "adverts"
}

/** A look now, and one every `lookInterval`, until it is no longer read. */
export const looks = (
  options: WatchOptions
): Stream.Stream<Look, never, ChainParams | OutboundTransport | SecureRandom.SecureRandom> =>
  Stream.unwrap(
    Effect.gen(function* () {
      const numbers = yield* CensusPolicy
      const chain = yield* ChainParams
      const clock = yield* Clock.Clock
      const frontier = new Frontier(numbers)
      const voices = new Map<string, Heard>()
      const last = yield* Ref.make<{ readonly verdict: Quorum.Verdict; readonly since: number } | undefined>(undefined)
      const greeting = { userAgent: options.userAgent ?? defaultUserAgent, protocolVersion: ourProtocolVersion }
      for (const address of options.from) frontier.add(address)

      const adverts = new Adverts()
      const visits = yield* FiberSet.make<void>()
      /** Groups of the hosts with whom it stays. */
      const stays = new Set<string>()
      // It is gone before its host is dialled again.
      const stayTime = Duration.millis(0.9 * Duration.toMillis(numbers.askAgain))

      const stay = Effect.fnUntraced(function* (greeted: Visits.Greeted, { address, host }: Visit) {
        const group = groupOf(address)
        if (stays.size >= maxStays || stays.has(group)) return
        stays.add(group)
        const heard = (height: number): void => {
          if ((voices.get(host)?.height ?? 0) > height) return
          voices.delete(host)
          voices.set(host, { group, height, at: Monotonic.millisUnsafe(clock), source: "adverts" })
        }
        yield* adverts
          .stay(greeted, heard)
          .pipe(Effect.ignore, Effect.timeoutOption(stayTime), Effect.ensuring(Effect.sync(() => stays.delete(group))))
      })

      /** What a visit found, which may then stay. */
      const visited = Effect.fnUntraced(function* (visit: Visit) {
        const found = yield* Deferred.make<Visits.Outcome>()
        const meeting = Effect.gen(function* () {
          const { greeted, outcome } = yield* Visits.meet(visit.address, { ...greeting, asks: true })
          yield* Deferred.succeed(found, outcome)
          if (greeted !== undefined) yield* stay(greeted, visit)
        })
        yield* FiberSet.run(visits, Effect.scoped(meeting))
        return yield* Deferred.await(found)
      })

      const hear = Effect.fnUntraced(function* (visit: Visit) {
        const outcome = yield* visited(visit)
        const now = yield* Monotonic.millis
        if (outcome._tag === "Unreachable") return frontier.unreachable(visit)
        frontier.reached(visit, now)
        for (const address of outcome.addresses) frontier.add(address, visit.host)
        const height = Visits.heightOf(outcome.version)
        voices.delete(visit.host)
        if (height !== null)
          voices.set(visit.host, { group: groupOf(visit.address), height, at: now, source: "version" })
        dropOldest(voices, maxVoices)
      })

      /** Asks some hosts that may be asked; returns whether there were any. */
      const round = Effect.fnUntraced(function* (hosts: number) {
        const now = yield* Monotonic.millis
        const visits: Array<Visit> = []
        while (visits.length < hosts) {
          const next = frontier.take(now)
          if (typeof next !== "object") break
          visits.push(next)
        }
        yield* Effect.forEach(visits, (visit, index) => Effect.delay(hear(visit), (1000 / numbers.maxRate) * index), {
          concurrency: "unbounded",
          discard: true
        })
        return visits.length > 0
      })

      const heightOfNode = Effect.scoped(Visits.visit(options.node, { ...greeting, asks: true })).pipe(
        Effect.map((outcome) => {
          if (outcome._tag === "Unreachable") return null
          for (const address of outcome.addresses) frontier.add(address)
          return Visits.heightOf(outcome.version)
        })
      )

      /** The newest voices, of so many groups. */
      const newest = (heard: ReadonlyArray<Quorum.Voice>, groups: number) => {
        const chosen = new Set<string>()
        return heard.filter(({ group }) => {
          if (chosen.size < groups) chosen.add(group)
          return chosen.has(group)
        })
      }

      let isFirst = true
      const look = Effect.gen(function* () {
        const started = yield* Monotonic.millis
        const share = Duration.toMillis(lookInterval) / Duration.toMillis(numbers.askAgain)
        const rationed = Math.max(leastGroups, Math.ceil(frontier.counts().groups * share))
        const wanted = isFirst ? groupsWanted : Math.min(groupsWanted, rationed)
        isFirst = false
        for (let rounds = 0; rounds < roundsPerLook; rounds++) {
          const fresh = new Set([...voices.values()].filter(({ at }) => at >= started).map(({ group }) => group))
          if (fresh.size >= wanted) break
          if (!(yield* round(Math.min(hostsPerRound, wanted - fresh.size)))) break
          // The pace of a group.
          yield* Effect.sleep(numbers.groupInterval)
        }
        const node = yield* heightOfNode
        const now = yield* Monotonic.millis
        const atMillis = yield* Clock.currentTimeMillis
        const heard = [...voices.values()]
          .filter(({ at }) => now - at <= voiceMillis)
          .map(({ at, group, height }) => ({ group, height, age: (now - at) / 1000 }))
          .toSorted((a, b) => a.age - b.age)
        const spacing = Duration.toSeconds(targetSpacing(chain, node ?? 0))
        const judgements = windows.map((groups) => Quorum.judge(node, newest(heard, groups), spacing))
        const judgement = judgements.find(({ verdict }) => verdict !== "Unknown") ?? Quorum.judge(node, heard, spacing)
        const before = yield* Ref.get(last)
        const since = before?.verdict === judgement.verdict ? before.since : atMillis
        yield* Ref.set(last, { verdict: judgement.verdict, since })
        const sources = new Set([...voices.values()].map(({ source }) => source))
        const source = sources.size > 1 ? "both" : sources.has("adverts") ? "adverts" : "version"
        return { ...judgement, atMillis, sinceMillis: since, source } satisfies Look
      })

      return Stream.fromEffectSchedule(look, Schedule.spaced(lookInterval))
    })
  )
