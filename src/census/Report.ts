/**
 * What a census says about the network. Pure: rows in, numbers out.
 *
 * **Security**
 *
 * Whoever has many addresses in one network is one voice there: "ready" and "the tip" are also counted by groups, an IPv4 /16
 * or IPv6 /32, in which the majority of the hosts decides.
 *
 * @module
 */
import { type ChainParamsShape, type Upgrade, targetSpacing, upgrades } from "../chain/ChainParams.ts"
import { Duration } from "effect"
import { initialMinimumVersion, versionOf } from "../chain/ProtocolVersion.ts"
import type { Guest, Run, Sighting, TellerCount } from "./CensusStore.ts"
import * as Estimate from "./Estimate.ts"

/** Earlier runs whose nodes are marked. More would be longer gone, and cost dials. */
export const markedRuns = 3

/** A share of the reachable nodes. The bounds let all nodes that were missed be of either kind; `null` without an interval. */
export interface Share {
  readonly count: number
  /** Of those reached, in 0..1. */
  readonly share: number
  readonly low: number | null
  readonly high: number | null
}

/** Who could follow the chain through an upgrade. */
export interface Readiness extends Share {
  readonly upgrade: Upgrade
  /** Protocol version that the upgrade demands. */
  readonly version: number
  /** Groups whose majority is ready, of how many, and whether these are more than half. */
  readonly groupsReady: number
  readonly groups: number
  readonly quorum: boolean
}

/** What the groups say of the best block's height. */
export interface Tip {
  /** Half of the groups state this height or a higher one. */
  readonly height: number
  /** Blocks within which a host counts as being there: what the chain grows while a run lasts, and some. */
  readonly tolerance: number
  readonly groups: number
  readonly groupsThere: number
  /** Whether more than half of the groups are there. */
  readonly quorum: boolean
  readonly behind: number
  readonly there: number
  readonly ahead: number
}

/** All of it. Shares are in 0..1, times in seconds, latencies in milliseconds. */
export interface Report {
  readonly network: string
  /** Runs of this network that are kept. */
  readonly runs: number
  readonly run: Run
  /** Nodes that the run reached. */
  readonly reachable: number
  /** Nodes reachable at the middle of the run, with 95 %; `null` for the reason in `reason`. */
  readonly estimate: number | null
  readonly low: number | null
  readonly high: number | null
  readonly reason: string | null
  /** Hosts that somebody told of, reachable or not. */
  readonly claimed: number
  /** Hosts that were dialled and did not answer, and why. */
  readonly unreachable: number
  readonly reasons: Readonly<Record<string, number>>
  /** Hosts that were not dialled: the time was over, or nobody was believed about them. */
  readonly undialled: number
  /** Since the run before: `null` when there is none. */
  readonly churn: {
    readonly hours: number
    readonly arrived: number
    readonly departed: number
    readonly perHour: number
  } | null
  readonly versions: Readonly<Record<string, number>>
  readonly agents: Readonly<Record<string, number>>
  readonly readiness: ReadonlyArray<Readiness>
  readonly heights: { readonly known: number; readonly unknown: number; readonly tip: Tip | null }
  /** Groups with most hosts first. */
  readonly groups: {
    readonly count: number
    readonly largest: ReadonlyArray<{ readonly group: string; readonly hosts: number }>
  }
  /** Autonomous systems with most hosts first; `null` without a map of them. */
  readonly systems: {
    readonly count: number
    readonly unmapped: number
    readonly largest: ReadonlyArray<{ readonly system: number; readonly hosts: number }>
  } | null
  /** Nodes that came to us, and how many of their hosts were not reached: those behind NAT are among them. */
  readonly guests: { readonly count: number; readonly unreached: number }
  /** Hosts that are another address of a node that is counted: see `aliases`. */
  readonly aliases: number
  /** Nodes whose clock is more than ten minutes off ours. */
  readonly wrongClocks: number
  readonly latency: { readonly median: number | null; readonly p90: number | null }
  /** Tellers of whose sample almost nobody answered. */
  readonly wrongTellers: ReadonlyArray<TellerCount>
  /** What to know when reading the numbers. */
  readonly notes: ReadonlyArray<string>
}

/** What a report is made of. */
export interface Input {
  readonly chain: ChainParamsShape
  readonly run: Run
  readonly sightings: ReadonlyArray<Sighting>
  /** Earlier runs of the same network, latest first, with what they found. At most `markedRuns` count. */
  readonly earlier: ReadonlyArray<{ readonly run: Run; readonly sightings: ReadonlyArray<Sighting> }>
  readonly runs: number
  readonly tellers: ReadonlyArray<TellerCount>
  /** Who came to us. */
  readonly guests?: ReadonlyArray<Guest> | undefined
  /** Which nodes are counted at all. */
  readonly filter?: ((sighting: Sighting) => boolean) | undefined
  /** The autonomous system of an address as it was dialled; `undefined` when it is in none that is known. */
  readonly systemOf?: ((address: string) => number | undefined) | undefined
}

/** Seconds a clock may be off: nodes round their time to 300 s, and take each other's to some minutes. */
const clockTolerance = 600

/** Share of a teller's sample that answers below which it is listed. Of an honest one's, two of five do. */
const wrongTellerShare = 0.05

/** Hosts a teller must have told of to be listed. */
const wrongTellerSample = 16

/** Blocks a node may be behind for no other reason than that the newest has not reached it. */
const slack = 3

const middleOf = ({ endedAt, startedAt }: Run, sightings: ReadonlyArray<Sighting>): number =>
  (startedAt + (endedAt ?? sightings.reduce((latest, { at }) => Math.max(latest, at), startedAt))) / 2

const countBy = <A>(values: ReadonlyArray<A>, key: (value: A) => string): Record<string, number> => {
  const counts = new Map<string, number>()
  for (const value of values) counts.set(key(value), (counts.get(key(value)) ?? 0) + 1)
  return Object.fromEntries([...counts].toSorted(([a, m], [b, n]) => n - m || (a < b ? -1 : 1)))
}

/** The value at a share of the sorted values; `null` of none. */
const quantile = (values: ReadonlyArray<number>, share: number): number | null => {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? null
}

const byGroup = (sightings: ReadonlyArray<Sighting>): ReadonlyMap<string, ReadonlyArray<Sighting>> =>
  Map.groupBy(sightings, ({ group }) => group)

/** What the interval is made of; the reason when there is none. */
const countsOf = (
  { earlier, run, sightings }: Pick<Input, "earlier" | "run" | "sightings">,
  isCounted: (sighting: Sighting) => boolean
): Estimate.Counts | string => {
  const [previous] = earlier
  if (previous === undefined) return "this is the first run of this network, and an interval needs two"
  const now = new Map(sightings.map((sighting) => [sighting.host, sighting]))
  const reached = sightings.filter((sighting) => sighting.isReached && isCounted(sighting))
  const explored = reached.filter(({ how }) => how === "Explored")
  const reachedBefore = (found: ReadonlyArray<Sighting>) =>
    found.filter((sighting) => sighting.isReached && isCounted(sighting)).map(({ host }) => host)
  const marked = new Set(earlier.slice(0, markedRuns).flatMap((other) => reachedBefore(other.sightings)))
  if (marked.size === 0) return "no earlier run has reached a node"
  let [again, missed, undialled] = [0, 0, 0]
  for (const host of marked) {
    const sighting = now.get(host)
    if (sighting === undefined) undialled++
    else if (sighting.isReached && sighting.how === "Explored") again++
    else if (sighting.isReached) missed++
  }
  const before = reachedBefore(previous.sightings)
  const middle = middleOf(run, sightings)
  return {
    found: explored.length,
    again,
    missed,
    undialled,
    before: before.length,
    gone: before.filter((host) => now.get(host)?.isReached === false).length,
    secondsBetween: middle - middleOf(previous.run, previous.sightings),
    distances: explored.map(({ at }) => at - middle)
  }
}

/**
 * Hosts of a run that are another address of a node which counts where it says it is.
 *
 * A node states its own address in `version`. When it was dialled at another one, and whoever answers at the stated one says
 * the same version and user agent, the two are one node. A lie takes only the liar's own address out of the count. Of two that
 * each name the other, the first in the order of letters counts. A node that states no address counts at each of its own.
 */
export const aliases = (sightings: ReadonlyArray<Sighting>): ReadonlySet<string> => {
  const reached = new Map(
    sightings.flatMap((sighting) => (sighting.isReached ? [[sighting.host, sighting] as const] : []))
  )
  const same = new Set<string>()
  for (const { claims, host, userAgent, version } of reached.values()) {
    const other = claims === null ? undefined : reached.get(claims)
    if (other === undefined || other.version !== version || other.userAgent !== userAgent) continue
    if (other.claims === null || (other.claims === host && other.host < host)) same.add(host)
  }
  return same
}

const withoutAliases = (sightings: ReadonlyArray<Sighting>): ReadonlyArray<Sighting> => {
  const others = aliases(sightings)
  return others.size === 0 ? sightings : sightings.filter(({ host }) => !others.has(host))
}

const systemsOf = (reached: ReadonlyArray<Sighting>, systemOf: Input["systemOf"]): Report["systems"] => {
  if (systemOf === undefined) return null
  const systems = Map.groupBy(reached, ({ address }) => systemOf(address))
  const known = [...systems].flatMap(([system, hosts]) =>
    system === undefined ? [] : [{ system, hosts: hosts.length }]
  )
  return {
    count: known.length,
    unmapped: systems.get(undefined)?.length ?? 0,
    largest: known.toSorted((a, b) => b.hosts - a.hosts || a.system - b.system).slice(0, 10)
  }
}

/** How many groups have a majority of hosts of which this holds. */
const groupsWhere = (
  groups: ReadonlyMap<string, ReadonlyArray<Sighting>>,
  holds: (sighting: Sighting) => boolean
): number => [...groups.values()].filter((hosts) => hosts.filter(holds).length * 2 > hosts.length).length

const tipOf = (reached: ReadonlyArray<Sighting>, tolerance: number): Tip | null => {
  const known = reached.filter(({ height }) => height !== null)
  const groups = byGroup(known)
  const votes = [...groups.values()].map(
    (hosts) =>
      quantile(
        hosts.map(({ height }) => height ?? 0),
        0.5
      ) ?? 0
  )
  const height = quantile(votes, 0.5)
  if (height === null) return null
  const isThere = (sighting: Sighting) => Math.abs((sighting.height ?? 0) - height) <= tolerance
  const groupsThere = groupsWhere(groups, isThere)
  return {
    height,
    tolerance,
    groups: groups.size,
    groupsThere,
    quorum: groupsThere * 2 > groups.size,
    behind: known.filter((sighting) => !isThere(sighting) && (sighting.height ?? 0) < height).length,
    there: known.filter(isThere).length,
    ahead: known.filter((sighting) => !isThere(sighting) && (sighting.height ?? 0) > height).length
  }
}

/** The report of a run. */
export const make = (input: Input): Report => {
  const { chain, run, tellers } = input
  const isCounted = input.filter ?? (() => true)
  const sightings = withoutAliases(input.sightings)
  const earlier = input.earlier.map((other) => ({ ...other, sightings: withoutAliases(other.sightings) }))
  const reached = sightings.filter((sighting) => sighting.isReached && isCounted(sighting))
  const unreachable = sightings.filter(({ isReached }) => !isReached)
  const counts = countsOf({ earlier, run, sightings }, isCounted)
  const estimate = typeof counts === "string" ? undefined : Estimate.reachable(counts)
  const reason =
    typeof counts === "string"
      ? counts
      : estimate === undefined
        ? "none of the nodes that earlier runs reached was found again"
        : null

  const missing = estimate === undefined ? undefined : Math.max(0, estimate.high - reached.length)
  const shareOf = (count: number): Share => {
    const total = reached.length + (missing ?? 0)
    return {
      count,
      share: reached.length === 0 ? 0 : count / reached.length,
      low: missing === undefined || total === 0 ? null : count / total,
      high: missing === undefined || total === 0 ? null : (count + missing) / total
    }
  }

  const groups = byGroup(reached)
  const demands = new Map(
    upgrades
      .map((upgrade) => [versionOf(chain, upgrade), upgrade] as const)
      .filter(([version]) => version >= initialMinimumVersion)
  )
  const readiness = [...demands].map(([version, upgrade]): Readiness => {
    const isReady = (sighting: Sighting) => (sighting.version ?? 0) >= version
    const groupsReady = groupsWhere(groups, isReady)
    return {
      upgrade,
      version,
      ...shareOf(reached.filter(isReady).length),
      groupsReady,
      groups: groups.size,
      quorum: groupsReady * 2 > groups.size
    }
  })

  const [previous] = earlier
  const before = new Set(
    previous?.sightings.filter((sighting) => sighting.isReached && isCounted(sighting)).map(({ host }) => host)
  )
  const hosts = new Map(sightings.map((sighting) => [sighting.host, sighting]))
  const hours =
    previous === undefined ? 0 : (middleOf(run, sightings) - middleOf(previous.run, previous.sightings)) / 3600
  const departed = [...before].filter((host) => hosts.get(host)?.isReached === false).length

  const seconds = (run.endedAt ?? run.startedAt) - run.startedAt
  const highest = reached.reduce((highest, { height }) => Math.max(highest, height ?? 0), 0)
  const tolerance = slack + Math.ceil(seconds / Duration.toSeconds(targetSpacing(chain, highest)))
  const latencies = reached.flatMap(({ latency }) => (latency === null ? [] : [latency]))
  const known = reached.filter(({ height }) => height !== null).length

  const aliased = input.sightings.length - sightings.length
  const notes = [
    "a node counts once at the address it states when it answers there too; one that states none counts at each of its " +
      "addresses, and nodes behind one address count as one"
  ]
  if (aliased > 0) notes.push(`${aliased} hosts are another address of a node that is counted`)
  if (run.endedAt === null) notes.push("the run was ended by force, or still runs")
  if (run.ending === "OutOfTime")
    notes.push("the run was out of time before everybody was dialled, so its estimate is too low")
  if (run.doubtful > 0) notes.push("hosts of tellers who were wrong too often were not dialled")
  if (known < reached.length) notes.push("a start height of 0 says nothing, so it counts as unknown")

  return {
    network: run.network,
    runs: input.runs,
    run,
    reachable: reached.length,
    estimate: estimate?.estimate ?? null,
    low: estimate?.low ?? null,
    high: estimate?.high ?? null,
    reason,
    claimed: Math.max(run.known, input.sightings.length),
    unreachable: unreachable.length,
    reasons: countBy(unreachable, ({ reason }) => reason ?? "?"),
    undialled: run.waiting + run.doubtful,
    churn:
      previous === undefined
        ? null
        : {
            hours,
            arrived: reached.filter(({ host }) => !before.has(host)).length,
            departed,
            perHour: 3600 * Estimate.churnRate({ before: before.size, gone: departed, secondsBetween: hours * 3600 })
          },
    versions: countBy(reached, ({ version }) => String(version)),
    agents: countBy(reached, ({ userAgent }) => userAgent ?? ""),
    readiness,
    heights: { known, unknown: reached.length - known, tip: tipOf(reached, tolerance) },
    groups: {
      count: groups.size,
      largest: [...groups]
        .map(([group, hosts]) => ({ group, hosts: hosts.length }))
        .toSorted((a, b) => b.hosts - a.hosts || (a.group < b.group ? -1 : 1))
        .slice(0, 10)
    },
    systems: systemsOf(reached, input.systemOf),
    guests: {
      count: input.guests?.length ?? 0,
      unreached: input.guests?.filter(({ host }) => hosts.get(host)?.isReached !== true).length ?? 0
    },
    aliases: aliased,
    wrongClocks: reached.filter(({ clockOffset }) => Math.abs(clockOffset ?? 0) > clockTolerance).length,
    latency: { median: quantile(latencies, 0.5), p90: quantile(latencies, 0.9) },
    wrongTellers: tellers.filter(
      ({ reached, sampled }) => sampled >= wrongTellerSample && reached / sampled < wrongTellerShare
    ),
    notes
  }
}

/** What is different between two runs. */
export interface Changes {
  readonly from: Run
  readonly to: Run
  readonly arrived: ReadonlyArray<Sighting>
  readonly departed: ReadonlyArray<Sighting>
  readonly changed: ReadonlyArray<{ readonly before: Sighting; readonly after: Sighting }>
}

/** Who came, who went, and who runs something else. */
export const changes = (
  from: { readonly run: Run; readonly sightings: ReadonlyArray<Sighting> },
  to: { readonly run: Run; readonly sightings: ReadonlyArray<Sighting> }
): Changes => {
  const reached = (sightings: ReadonlyArray<Sighting>) =>
    new Map(sightings.filter(({ isReached }) => isReached).map((sighting) => [sighting.host, sighting]))
  const before = reached(from.sightings)
  const after = reached(to.sightings)
  return {
    from: from.run,
    to: to.run,
    arrived: [...after.values()].filter(({ host }) => !before.has(host)),
    departed: [...before.values()].filter(({ host }) => !after.has(host)),
    changed: [...after.values()].flatMap((after) => {
      const earlier = before.get(after.host)
      const isSame = earlier?.version === after.version && earlier?.userAgent === after.userAgent
      return earlier === undefined || isSame ? [] : [{ before: earlier, after }]
    })
  }
}
