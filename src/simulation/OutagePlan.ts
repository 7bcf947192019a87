/**
 * What a seed decides about an outage: what is out, for how long, who comes meanwhile, and what the clock does.
 *
 * Pure. `Outage.ts` does it. Hosts are indices of the world: 1 is the node that is watched, 2 and following are those it
 * could connect to, and `absent` is one where nobody ever was.
 *
 * @module
 */
import { Duration } from "effect"
import * as SeededRandom from "./SeededRandom.ts"

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

/** Hosts where nobody ever is. The first of them is one that an operator may have named. */
export const absent = 90
export const absentHosts: ReadonlyArray<number> = [absent, absent + 1]

/** Guests are the hosts from this one on. */
export const firstGuest = 100

/** A name, and the hosts it resolves to: to none when it was gone before we came, and to none from the outage on. */
export interface Name {
  readonly host: string
  readonly resolvesTo: ReadonlyArray<number>
  readonly isGoneFromOutage: boolean
}

/** How everything goes. Times are milliseconds: of the world for `…At`, else after what they are named for. */
export interface Plan {
  readonly targetPeers: number
  /** Time before the outage, and the outage. */
  readonly leadMillis: number
  readonly outageMillis: number
  /** The node's own link, all hosts, the names alone, or the configured peers alone. */
  readonly what: "link" | "hosts" | "names" | "peers"
  /** Names do not answer either. */
  readonly losesNames: boolean
  /** How hosts go: in good order, without a word, or unreachable and unchanged. */
  readonly manner: "leave" | "crash" | "silence"
  readonly namesManner: "hangs" | "fails"
  /** Whether the hosts are whole nodes or peers that only answer. */
  readonly company: "nodes" | "scripts"
  readonly hosts: ReadonlyArray<number>
  /** Never seen again after the outage began. */
  readonly gone: ReadonlyArray<number>
  /** How the node knows others. What those tell of each other comes on top. */
  readonly configured: ReadonlyArray<number>
  readonly names: ReadonlyArray<Name>
  readonly cached: ReadonlyArray<number>
  /** When each inbound connection comes that stays. */
  readonly guestsAt: ReadonlyArray<number>
  /** Guests share the node's side of its link. */
  readonly guestsInside: boolean
  /** What guests say when they are asked for addresses. */
  readonly guestsTell: "nothing" | "hosts" | "absent"
  /** The node starts when the outage is there already. */
  readonly startsInOutage: boolean
  readonly restarts: ReadonlyArray<{ readonly at: number; readonly isCrash: boolean; readonly downMillis: number }>
  readonly clock: ReadonlyArray<{ readonly at: number; readonly byMillis: number }>
  /** After the outage: when names answer again, and each host that was out. */
  readonly namesBackMillis: number
  readonly hostsBackMillis: ReadonlyArray<number>
}

/** When the outage is over, and when everything is back that comes back. */
export const endsAt = ({ leadMillis, outageMillis }: Plan): number => leadMillis + outageMillis
export const allBackAt = (plan: Plan): number => endsAt(plan) + Math.max(plan.namesBackMillis, ...plan.hostsBackMillis)

/** The plan of a seed. No outage is longer than `longestMillis`. */
export const draw = (seed: SeededRandom.Seed, hosts: number, longestMillis: number): Plan => {
  const next = SeededRandom.fractions(SeededRandom.draws(seed, "outage"))
  const chance = (share: number) => next() < share
  const whole = (from: number, to: number) => from + Math.floor(next() * (to - from + 1))
  const oneOf = <A>(...choices: readonly [A, ...Array<A>]): A => choices[whole(0, choices.length - 1)] ?? choices[0]
  const logUniform = (from: number, to: number) => Math.round(from * (Math.max(from, to) / from) ** next())
  const some = (from: ReadonlyArray<number>, count: number) => {
    const left = [...from]
    return Array.from({ length: Math.min(count, left.length) }, () => left.splice(whole(0, left.length - 1), 1)).flat()
  }

  // After three days nobody is asked again but by starting over: most are longer.
  const isLong = chance(2 / 3)
  const outageMillis = logUniform(isLong ? Math.min(3 * day, longestMillis) : minute, longestMillis)
  const leadMillis = whole(2 * minute, 8 * minute)
  const ends = leadMillis + outageMillis
  const during = () => leadMillis + Math.floor(next() * outageMillis)
  // Dials in vain and the keep-alive of guests are what a long world costs.
  const most = Math.min(hosts, outageMillis < 12 * hour ? hosts : outageMillis < 2 * day ? 3 : 2)
  const all = Array.from({ length: whole(Math.min(most, outageMillis < 12 * hour ? 3 : 2), most) }, (_, i) => i + 2)

  // Configured (1), by name (2), from the cache (4). Configured peers are candidates for ever: three worlds in four have none.
  const ways = chance(1 / 4) ? oneOf(1, 3, 5, 7) : oneOf(2, 4, 6)
  const configured = (ways & 1) === 0 ? [] : [...some(all, whole(1, 2)), ...(chance(0.3) ? [absent] : [])]
  const names = (ways & 2) === 0 ? [] : Array.from({ length: whole(1, 3) }, (_, i) => i)
  const cached = (ways & 4) === 0 ? [] : some(all, whole(1, 3))

  const namesKnown = names.map((i) => ({
    host: `seed-${i + 1}.test`,
    // Whoever knows nothing else has a name that answers.
    resolvesTo:
      (ways !== 2 || i > 0) && chance(0.3)
        ? []
        : [...some(all, whole(1, all.length)), ...(chance(0.2) ? [absent] : [])],
    isGoneFromOutage: (ways !== 2 || i > 0) && chance(0.2)
  }))

  // Somebody known stays, or there would be nobody to find again.
  const known = [
    ...configured,
    ...cached,
    ...namesKnown.flatMap(({ isGoneFromOutage, resolvesTo }) => (isGoneFromOutage ? [] : resolvesTo))
  ]
  const stays = oneOf(2, ...known.filter((index) => index !== absent))
  const gone = all.filter((index) => index !== stays && chance(0.25))

  const possible = [
    "link",
    "hosts",
    "hosts",
    // Of who knows another way they would be no outage.
    ...(ways === 2 ? (["names"] as const) : []),
    ...(ways === 1 ? (["peers"] as const) : [])
  ] as const
  const what = oneOf("hosts", ...possible)

  const mostGuests = outageMillis < 6 * hour ? 8 : outageMillis < 2 * day ? 3 : 1
  const guests = chance(0.4) ? 0 : whole(1, mostGuests)

  const jump = () => (chance(0.5) ? 1 : -1) * logUniform(minute, 8 * 365 * day)
  const moments = [() => Math.floor(next() * leadMillis), during, () => ends + Math.floor(next() * 200_000)]
  const jumps = chance(0.5)
    ? Array.from({ length: whole(1, 2) }, () => ({ at: oneOf(during, ...moments)(), by: jump() }))
    : []
  const setRight =
    jumps.length > 0 && chance(0.5)
      ? [{ at: oneOf(during, ...moments)(), by: -jumps.reduce((sum, { by }) => sum + by, 0) }]
      : []

  return {
    targetPeers: oneOf(1, 1, 2, 3),
    leadMillis,
    outageMillis,
    what,
    losesNames: what === "link" || what === "names" || chance(0.5),
    manner: oneOf("leave", "crash", "silence"),
    namesManner: oneOf("hangs", "fails"),
    company: outageMillis < 2 * hour && chance(0.4) ? "nodes" : "scripts",
    hosts: all,
    gone,
    configured,
    names: namesKnown,
    cached,
    guestsAt: Array.from({ length: guests }, () => (chance(0.5) ? Math.floor(next() * leadMillis) : during())),
    guestsInside: chance(0.6),
    guestsTell: oneOf("nothing", "hosts", "absent"),
    // Who is connected does not notice that names are gone.
    startsInOutage: chance(what === "names" ? 0.8 : isLong ? 0.3 : 0.75),
    restarts: chance(0.6)
      ? []
      : Array.from({ length: whole(1, 2) }, () => ({
          at: during(),
          isCrash: chance(0.5),
          downMillis: logUniform(1000, 5 * minute)
        })).toSorted((a, b) => a.at - b.at),
    clock: [...jumps, ...setRight].map(({ at, by }) => ({ at, byMillis: by })).toSorted((a, b) => a.at - b.at),
    namesBackMillis: oneOf(
      () => 0,
      () => logUniform(1000, 10 * minute),
      () => whole(2 * minute, 10 * minute)
    )(),
    hostsBackMillis: all.map(() => (chance(0.5) ? 0 : logUniform(1000, 10 * minute)))
  }
}

const lasting = (millis: number) => Duration.format(Duration.seconds(Math.round(Math.abs(millis) / 1000)))

/** A plan in a line. */
export const describe = (plan: Plan): string => {
  const after = (at: number) =>
    at < plan.leadMillis ? "before" : at < endsAt(plan) ? `${lasting(at - plan.leadMillis)} into it` : "after"
  const known = [
    plan.configured.length === 0 ? "" : `configured ${plan.configured.join("+")}`,
    plan.names.length === 0
      ? ""
      : `names ${plan.names.map(({ isGoneFromOutage, resolvesTo }) => `${resolvesTo.join("+") || "gone"}${isGoneFromOutage ? " until it" : ""}`).join(" / ")}`,
    plan.cached.length === 0 ? "" : `cached ${plan.cached.join("+")}`
  ]
  const facts = [
    `${plan.what} out for ${lasting(plan.outageMillis)} (hosts ${plan.manner}, names ${plan.losesNames ? plan.namesManner : "answer"})`,
    `target ${plan.targetPeers}`,
    `${plan.hosts.length} ${plan.company === "nodes" ? "nodes" : "peers"}, gone for good ${plan.gone.join("+") || "none"}`,
    known.filter((text) => text !== "").join(", "),
    plan.startsInOutage ? "started in it" : "started before",
    ...plan.restarts.map(({ at, isCrash }) => `${isCrash ? "crash" : "restart"} ${after(at)}`),
    plan.guestsAt.length === 0
      ? "no guests"
      : `guests ${plan.guestsAt.map(after).join(", ")} (${plan.guestsInside ? "inside" : "outside"}, tell ${plan.guestsTell})`,
    ...plan.clock.map(
      ({ at, byMillis }) => `clock ${byMillis < 0 ? "back" : "ahead"} ${lasting(byMillis)} ${after(at)}`
    ),
    `back: hosts ${plan.hostsBackMillis.map(lasting).join(", ")}; names ${lasting(plan.namesBackMillis)}`
  ]
  return facts.join("; ")
}
