/**
 * What the page of a census shows, from its store.
 *
 * A run that has ended is counted once and its numbers are remembered, so that whoever looks again costs one query; what is
 * remembered is bounded, and so is how far back one looks.
 *
 * @module
 */
import { Effect, Semaphore } from "effect"
import { dropOldest } from "../Bounded.ts"
import { CensusStore, CensusStoreError, type Run, type Sighting, together } from "../census/CensusStore.ts"
import { hostOf } from "../census/Finding.ts"
import * as Report from "../census/Report.ts"
import { type ChainParamsShape, mainnet, regtest, testnet } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { CensusHost, CensusOverview, RunPoint, StoreUnavailable } from "./CensusApi.ts"
import { BadRequest, NotFound } from "./StatusApi.ts"

/** Runs that are shown: with one a day two months, with one an hour two days and a half. */
export const runsShown = 60

/** Hosts that are named of those that came or went. */
export const movedShown = 100

/** Agents that are told apart; the rest is one. */
const agentsShown = 40

/** Runs whose numbers are remembered, over all networks: some 2 kB each. */
const remembered = 500

/** The chain that a run was of. One of one's own has the upgrades of Testnet. */
export const chainOf = (network: string): ChainParamsShape =>
  [mainnet, testnet, regtest].find(({ name }) => name === network) ?? { ...testnet, name: network }

interface Found {
  readonly run: Run
  readonly sightings: ReadonlyArray<Sighting>
}

const pointOf = ({
  churn,
  estimate,
  heights,
  high,
  low,
  reachable,
  unreachable,
  claimed,
  run,
  versions
}: Report.Report) =>
  new RunPoint({
    id: run.id,
    startedAt: run.startedAt,
    endedAt: run.endedAt,
    ending: run.ending,
    reachable,
    estimate,
    low,
    high,
    claimed,
    unreachable,
    arrived: churn?.arrived ?? null,
    departed: churn?.departed ?? null,
    versions,
    tip: heights.tip?.height ?? null
  })

const moved = (sightings: ReadonlyArray<Sighting>) =>
  sightings.slice(0, movedShown).map(({ host, userAgent, version }) => ({ host, userAgent, version }))

/** The first ones, and all others as one. */
const mostOf = (counts: Readonly<Record<string, number>>, limit: number): Readonly<Record<string, number>> => {
  const all = Object.entries(counts)
  const rest = all.slice(limit).reduce((sum, [, count]) => sum + count, 0)
  return Object.fromEntries([...all.slice(0, limit), ...(rest === 0 ? [] : [["others", rest] as const])])
}

/** Answers questions about a store. */
export const make = Effect.gen(function* () {
  const store = yield* CensusStore
  /** Numbers of runs that have ended, in the order in which they were asked for. */
  const points = new Map<number, RunPoint>()
  /** Two who ask at once do not count the same runs twice. */
  const oneAtATime = yield* Semaphore.make(1)

  const remember = (point: RunPoint): void => {
    if (point.endedAt === null) return
    points.set(point.id, point)
    dropOldest(points, remembered)
  }

  const overview = Effect.fnUntraced(function* (network: string | undefined, all: ReadonlyArray<Run>) {
    const networks = [...new Set(all.map(({ network }) => network))]
    const wanted = network ?? all.at(-1)?.network
    const runs = all.filter((run) => run.network === wanted)
    const latest = runs.at(-1)
    if (wanted === undefined || latest === undefined) {
      return yield* new NotFound({
        detail:
          network === undefined
            ? "There is no run in this store yet: network-effect census run makes one."
            : `There is no run of ${network} in this store.`
      })
    }
    const chain = chainOf(wanted)
    const kept = new Map<number, Found>()
    const foundBy = Effect.fnUntraced(function* (run: Run) {
      const found = kept.get(run.id) ?? { run, sightings: yield* store.sightings(run.id) }
      kept.set(run.id, found)
      return found
    })
    const reportOf = Effect.fnUntraced(function* (index: number) {
      const run = runs[index] ?? latest
      const before = runs.slice(Math.max(0, index - Report.markedRuns), index).toReversed()
      // No more than one report needs are held at a time.
      const needed = new Set([run, ...before].map(({ id }) => id))
      for (const id of kept.keys()) if (!needed.has(id)) kept.delete(id)
      const { sightings } = yield* foundBy(run)
      const earlier = yield* Effect.forEach(before, foundBy)
      return Report.make({ chain, run, runs: runs.length, sightings, earlier, tellers: [] })
    })
    const shown: Array<RunPoint> = []
    for (let index = Math.max(0, runs.length - runsShown); index < runs.length - 1; index++) {
      const run = runs[index] ?? latest
      shown.push(points.get(run.id) ?? pointOf(yield* reportOf(index)))
    }
    const report = yield* reportOf(runs.length - 1)
    shown.push(pointOf(report))
    const previous = runs.at(-2)
    const changes =
      previous === undefined ? undefined : Report.changes(yield* foundBy(previous), yield* foundBy(latest))
    const { groups, heights, latency, notes, readiness, reason, reasons } = report
    return new CensusOverview({
      network: wanted,
      networks,
      runs: shown,
      runsKept: runs.length,
      reason,
      agents: mostOf(report.agents, agentsShown),
      readiness: readiness.map(({ count, groups, groupsReady, high, low, share, upgrade, version }) => ({
        upgrade,
        version,
        count,
        share,
        low,
        high,
        groupsReady,
        groups
      })),
      heights,
      groups,
      reasons,
      latency,
      arrived: moved(changes?.arrived ?? []),
      departed: moved(changes?.departed ?? []),
      notes
    })
  })

  const host = Effect.fn("CensusView.host")(function* (network: string, text: string) {
    const address = PeerSocketAddress.fromText(text.trim().replace(/\/64$/, ""), 0)
    if (address === undefined) {
      return yield* new BadRequest({
        detail: `${JSON.stringify(text)} is not a host: say an IP such as 192.0.2.10 or 2001:db8::1.`
      })
    }
    const name = hostOf(address)
    const found = yield* store.host(network, name)
    if (found === undefined) return yield* new NotFound({ detail: `No run of ${network} has dialled ${name}.` })
    return new CensusHost({
      ...found,
      sightings: found.sightings.map(
        ({ address, at, height, isReached, latency, reason, runId, userAgent, version }) => ({
          runId,
          at,
          address,
          isReached,
          reason,
          version,
          userAgent,
          height,
          latency
        })
      )
    })
  })

  const told = <A, E, R>(effect: Effect.Effect<A, E | CensusStoreError, R>) =>
    Effect.catchIf(
      effect,
      (error): error is CensusStoreError => error instanceof CensusStoreError,
      (error) => Effect.fail(new StoreUnavailable({ detail: error.message }))
    )

  return {
    /** A network in numbers; that of the latest run unless told. */
    overview: Effect.fn("CensusView.overview")((network: string | undefined) =>
      together((all) => overview(network, all)).pipe(
        // Not before nothing of what it was made of was forgotten meanwhile.
        Effect.tap(({ runs }) => Effect.sync(() => runs.forEach(remember))),
        oneAtATime.withPermits(1),
        Effect.provideService(CensusStore, store),
        told
      )
    ),
    /** One host over all runs. */
    host: (network: string, text: string) => told(host(network, text))
  }
})
