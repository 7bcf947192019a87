/**
 * Service: the hosts a run knows, in the database that several machines share, and which of a group's is dialled next.
 *
 *     told ─▶ Waiting ─begin─▶ UnderWay ─┬─ reached ──▶ Visited ─ half an hour ─▶ Waiting
 *                ▲                       ├─ unreachable ─▶ next port, or Visited
 *                └──── half an hour ─────┘  nobody said how it went: whoever dialled it is gone
 *
 * The rules are those of `Frontier.ts`, whose state is one process'. Here it is rows, and a dial is begun by a transaction
 * that is over before the first packet is sent: whatever becomes of the machine that dials, no other one dials that host
 * within its time, and after that time some machine does. All times are the database's, the one clock that machines share.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, Layer, Random, Schedule } from "effect"
import { SqlClient, type SqlError } from "effect/sql"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { CensusPolicy } from "./CensusPolicy.ts"
import {
  aliveSeconds,
  inTime,
  CensusStore,
  type CensusStoreError,
  failed,
  isFilled,
  isLost,
  patience,
  tidy
} from "./CensusStore.ts"
import { markedRuns } from "./Report.ts"
import { type End, Finding, groupOf, type How, hostOf, isLoopback } from "./Finding.ts"

type Address = PeerSocketAddress.PeerSocketAddress
type Progress = Extract<Finding, { readonly _tag: "Progress" }>

/** A dial that is the caller's to make, now: it counts as made. */
export interface Begun {
  readonly _tag: "Begun"
  readonly host: string
  readonly address: Address
  readonly how: How
  /** Says which of a host's dials this is. */
  readonly at: number
}

/** `Wait`: the group rests so long. `Nothing`: none of its hosts is to be dialled. */
export type Next = Begun | { readonly _tag: "Wait"; readonly millis: number } | { readonly _tag: "Nothing" }

/** What a run is begun with; who joins one brings only addresses. */
export interface OpenOptions {
  readonly network: string
  readonly userAgent: string
  readonly protocolVersion: number
  readonly for: Duration.Duration | undefined
  readonly from: ReadonlyArray<Address>
}

/** A run that is under way, and what it says to nodes. */
export interface OpenRun {
  readonly id: number
  readonly userAgent: string
  readonly protocolVersion: number
}

type Result<A> = Effect.Effect<A, CensusStoreError>

/** What is to be dialled, shared. A database that is away is waited for, as `CensusStore.record` does. */
export class SharedFrontier extends Context.Service<
  SharedFrontier,
  {
    /** Joins the run of this network that is under way, or begins one. One that nobody worked on for an hour is ended. */
    readonly open: (options: OpenOptions) => Result<OpenRun & { readonly isNew: boolean }>

    /** The run of a network that is under way. */
    readonly current: (network: string) => Result<OpenRun | undefined>

    /** The next dial of a group. When it returns, the dial is in the database. */
    readonly begin: (runId: number, group: string) => Result<Next>

    /** The dial found a node. Returns whether the dial was still the host's latest. */
    readonly reached: (runId: number, dial: Begun) => Result<boolean>

    /** The dial found nobody. */
    readonly unreachable: (runId: number, dial: Begun) => Result<void>

    /** A node told of these. */
    readonly tell: (runId: number, teller: string, addresses: ReadonlyArray<Address>) => Result<void>

    /**
     * Whatever is due: hosts whose time is over wait again, the run goes on to its next phase, or ends. Returns the groups
     * that somebody has to dial now, each at most once in ten seconds. One caller at a time.
     */
    readonly tend: (runId: number) => Result<ReadonlyArray<string>>

    /**
     * How far a run is, as of the last `tend`; `undefined` before the first. One that others ended or forgot, because
     * nobody worked on it for long, is out of time.
     */
    readonly progress: (runId: number) => Result<Progress | undefined>
  }
>()("network-effect/census/SharedFrontier") {
  static readonly layer = Layer.effect(
    SharedFrontier,
    Effect.suspend(() => make)
  )
}

/** A group that somebody was asked to dial is left to them for so long. */
const wakeSeconds = 10

/** Rows of one statement: below what SQLite and PostgreSQL take. */
const rowsPerStatement = 500

interface HostRow {
  readonly host: string
  readonly state: string
  readonly addresses: string
  readonly tried: number
  readonly how: How
  readonly trusted: number
  readonly answered: string | null
  readonly begun_at: number | null
  readonly tellers: number
}

const parsed = (text: string): ReadonlyArray<Address> =>
  text.split(" ").flatMap((one) => {
    const address = PeerSocketAddress.fromText(one)
    return address === undefined ? [] : [address]
  })

/** The dial that a row says is under way; `Nothing` when it has no address, which no rule makes. */
const begunOf = ({ addresses, answered, begun_at: at, host, how, tried }: HostRow): Next => {
  const [address] = parsed(answered ?? addresses).slice(answered === null ? Number(tried) : 0)
  return address === undefined || at === null ? { _tag: "Nothing" } : { _tag: "Begun", host, address, how, at }
}

const chunksOf = <A>(values: ReadonlyArray<A>): ReadonlyArray<readonly [A, ...Array<A>]> => {
  const chunks: Array<readonly [A, ...Array<A>]> = []
  for (let from = 0; from < values.length; from += rowsPerStatement) {
    const chunk = values.slice(from, from + rowsPerStatement)
    if (isFilled(chunk)) chunks.push(chunk)
  }
  return chunks
}

const make = Effect.gen(function* () {
  const sql = yield* SqlClient.SqlClient
  // Its tables are there when it is.
  yield* CensusStore
  const numbers = yield* CensusPolicy
  const askAgain = Duration.toSeconds(numbers.askAgain)
  const groupSeconds = Duration.toSeconds(numbers.groupInterval)
  const clock = sql.literal(
    sql.onDialectOrElse({
      pg: () => "EXTRACT(EPOCH FROM clock_timestamp())::double precision",
      orElse: () => "unixepoch('subsec')"
    })
  )
  const nowOf = Effect.map(sql<{ readonly now: number }>`SELECT ${clock} AS now`, (rows) => Number(rows[0]?.now))

  let isAway = false
  /** All or nothing, and again when the database was away or two machines stood in each other's way. */
  const kept = <A>(effect: Effect.Effect<A, SqlError.SqlError>): Result<A> =>
    inTime(sql.withTransaction(effect)).pipe(
      Effect.tap(() => Effect.sync(() => (isAway = false))),
      Effect.tapError((error) => {
        if (!isLost(error) || isAway) return Effect.void
        isAway = true
        return Effect.logWarning("the census' database is away: waiting for it")
      }),
      Effect.retry({
        while: (error) => error.isRetryable,
        schedule: Schedule.spaced("500 millis").pipe(Schedule.jittered, Schedule.upTo({ duration: patience }))
      }),
      Effect.mapError(failed)
    )

  /** Of a row `hosts`: somebody with credit told of it, or it needs nobody's word. */
  const isBelieved = sql.literal(`(hosts.trusted = 1 OR EXISTS (
    SELECT 1 FROM frontier_vouchers AS vouchers
    JOIN frontier_tellers AS tellers ON tellers.run_id = vouchers.run_id AND tellers.teller = vouchers.teller
    WHERE vouchers.run_id = hosts.run_id AND vouchers.host = hosts.host AND tellers.credit > 0))`)

  /** Of a row of `frontier_hosts` when nothing is explored any more: told of, and not begun before. */
  const isTooLate = sql.literal("state = 'Waiting' AND how = 'Explored' AND trusted = 0 AND dials = 0")

  const addGroups = Effect.fnUntraced(function* (runId: number, addresses: ReadonlyArray<Address>) {
    const groups = [...new Set(addresses.map(groupOf))].toSorted()
    for (const rows of chunksOf(groups.map((part) => ({ run_id: runId, part })))) {
      yield* sql`INSERT INTO frontier_groups ${sql.insert(rows)} ON CONFLICT DO NOTHING`
    }
  })

  const addHosts = Effect.fnUntraced(function* (
    runId: number,
    addresses: ReadonlyArray<Address>,
    now: number,
    more: { readonly state: string; readonly how: How; readonly trusted: number }
  ) {
    // In one order: else two machines that add the same hosts wait for each other.
    const byHost = new Map(addresses.map((address) => [hostOf(address), address] as const))
    const sorted = [...byHost].toSorted(([a], [b]) => (a < b ? -1 : 1))
    yield* addGroups(
      runId,
      sorted.map(([, address]) => address)
    )
    const rows = sorted.map(([host, address]) => ({
      ...more,
      run_id: runId,
      host,
      part: groupOf(address),
      addresses: PeerSocketAddress.format(address),
      told_at: now
    }))
    const added = new Set<string>()
    for (const chunk of chunksOf(rows)) {
      const inserted = yield* more.how === "Rechecked"
        ? sql<{ readonly host: string }>`INSERT INTO frontier_hosts ${sql.insert(chunk)}
            ON CONFLICT (run_id, host) DO UPDATE SET
            state = 'Waiting', how = 'Rechecked', addresses = excluded.addresses, tried = 0, trusted = 1
            WHERE frontier_hosts.state IN ('Left', 'Doubtful') RETURNING host`
        : sql<{ readonly host: string }>`INSERT INTO frontier_hosts ${sql.insert(chunk)}
            ON CONFLICT DO NOTHING RETURNING host`
      for (const { host } of inserted) added.add(host)
    }
    return added
  })

  /** Another port of a host that has not answered yet. In one statement, for others tell of the host at the same time. */
  const addPort = (runId: number, host: string, address: string) =>
    sql`UPDATE frontier_hosts SET addresses = addresses || ${` ${address}`}
      WHERE run_id = ${runId} AND host = ${host} AND state IN ('Waiting', 'UnderWay') AND answered IS NULL
        AND LENGTH(addresses) - LENGTH(REPLACE(addresses, ' ', '')) < ${numbers.portsPerHost - 1}
        AND ' ' || addresses || ' ' NOT LIKE ${`% ${address} %`}`

  const openOf = (network: string) =>
    Effect.map(
      sql<{
        readonly id: number
        readonly user_agent: string
        readonly protocol_version: number
      }>`SELECT runs.id AS id, user_agent, protocol_version
        FROM frontier_runs JOIN runs ON runs.id = frontier_runs.run_id
        WHERE frontier_runs.network = ${network} AND phase <> 'Ended'`,
      ([row]) =>
        row === undefined
          ? undefined
          : {
              id: Number(row.id),
              userAgent: row.user_agent,
              protocolVersion: row.protocol_version
            }
    )

  /** A run that is over leaves what it found, which is in the other tables. */
  const forget = Effect.fnUntraced(function* (runId: number) {
    yield* sql`DELETE FROM frontier_vouchers WHERE run_id = ${runId}`
    yield* sql`DELETE FROM frontier_tellers WHERE run_id = ${runId}`
    yield* sql`DELETE FROM frontier_hosts WHERE run_id = ${runId}`
    yield* sql`DELETE FROM frontier_groups WHERE run_id = ${runId}`
  })

  /** Where the runs before this one reached somebody. */
  const reachedBefore = (network: string, runId: number) =>
    Effect.map(
      sql<{ readonly address: string }>`SELECT DISTINCT address FROM sightings WHERE reached = 1 AND run_id IN (
        SELECT id FROM runs WHERE network = ${network} AND id < ${runId} ORDER BY id DESC LIMIT ${markedRuns})`,
      (rows) => rows.flatMap(({ address }) => parsed(address))
    )

  const tendOnce = Effect.fnUntraced(function* (runId: number, atMillis: number) {
    // Who joins it meanwhile waits, or is waited for: what is counted here is what the run ends by.
    yield* sql`UPDATE frontier_runs SET touched_at = ${clock} WHERE run_id = ${runId} AND phase <> 'Ended'`
    const [run] = yield* sql<{
      readonly network: string
      readonly phase: string
      readonly exhausted: number
      readonly explores_until: number | null
      readonly ends_at: number | null
      readonly started_at: number
      readonly now: number
    }>`SELECT runs.network AS network, phase, exhausted, explores_until, ends_at, started_at, ${clock} AS now
      FROM frontier_runs JOIN runs ON runs.id = frontier_runs.run_id WHERE frontier_runs.run_id = ${runId}`
    if (run === undefined || run.phase === "Ended") return []
    const { now } = run
    const endsAt = run.ends_at ?? Number.POSITIVE_INFINITY
    const isExploring = run.phase === "Exploring"
    const due = now - askAgain

    // Nobody said how these went. Somebody vouched for them once, and that holds.
    yield* sql`UPDATE frontier_hosts SET state = 'Waiting', trusted = 1
      WHERE run_id = ${runId} AND state = 'UnderWay' AND begun_at <= ${due}`
    if (isExploring) {
      yield* sql`UPDATE frontier_hosts SET state = 'Waiting'
        WHERE run_id = ${runId} AND state = 'Visited' AND answered IS NOT NULL AND begun_at <= ${due}`
    } else {
      // Told of by one who had looked whether it explores before that was over.
      yield* sql`UPDATE frontier_hosts SET state = 'Left' WHERE run_id = ${runId} AND ${isTooLate}`
    }

    const counted = yield* sql<{
      readonly state: string
      readonly believed: number
      readonly hosts: number
      readonly reached: number
      readonly dials: number
    }>`SELECT state, believed, COUNT(*) AS hosts, COUNT(answered) AS reached, COALESCE(SUM(dials), 0) AS dials FROM (
        SELECT state, answered, dials,
          CASE WHEN state <> 'Waiting' OR ${isBelieved} THEN 1 ELSE 0 END AS believed
        FROM frontier_hosts AS hosts WHERE run_id = ${runId}
      ) AS counted GROUP BY state, believed`
    const count = (state: string, believed = 1) =>
      counted
        .filter((row) => row.state === state && Number(row.believed) === believed)
        .reduce((sum, { hosts }) => sum + Number(hosts), 0)
    const sum = (of: "hosts" | "reached" | "dials") => counted.reduce((sum, row) => sum + Number(row[of]), 0)
    const underWay = count("UnderWay")
    const isDone = count("Waiting") + underWay === 0

    const exploresUntil = run.explores_until ?? Number.POSITIVE_INFINITY
    let end: End | null = null
    let phase = run.phase
    let exhausted = run.exhausted
    if (isExploring && (isDone || now >= exploresUntil)) {
      exhausted = isDone ? 1 : 0
      const recheck = now >= endsAt ? [] : yield* reachedBefore(run.network, runId)
      if (recheck.length === 0) phase = "Ended"
      else {
        phase = "Rechecking"
        yield* sql`UPDATE frontier_hosts AS hosts SET state = CASE
            WHEN answered IS NOT NULL THEN 'Visited' WHEN ${isBelieved} THEN 'Left' ELSE 'Doubtful' END
          WHERE run_id = ${runId} AND state = 'Waiting'`
        yield* addHosts(runId, recheck, now, { state: "Waiting", how: "Rechecked", trusted: 1 })
      }
    } else if (!isExploring && (isDone || now >= endsAt)) {
      exhausted = isDone ? exhausted : 0
      phase = "Ended"
    }
    // Visits under way are given their time.
    if (phase === "Ended" && underWay > 0 && now < endsAt + Duration.toSeconds(numbers.endGrace)) phase = run.phase
    if (phase === "Ended") end = exhausted === 1 ? "Exhausted" : "OutOfTime"

    const progress: Progress = Finding.Progress({
      atMillis,
      elapsedMillis: (now - run.started_at) * 1000,
      known: sum("hosts"),
      visited: count("Visited"),
      reached: sum("reached"),
      dials: sum("dials"),
      underWay,
      waiting: count("Waiting") + count("Left"),
      doubtful: count("Waiting", 0) + count("Doubtful"),
      end
    })
    yield* sql`UPDATE frontier_runs SET phase = ${phase}, exhausted = ${exhausted}, known = ${progress.known},
      counts = ${JSON.stringify(progress)} WHERE run_id = ${runId}`
    yield* sql`UPDATE runs SET known = ${progress.known}, waiting = ${progress.waiting}, doubtful = ${progress.doubtful},
      ending = ${end}, ended_at = ${end === null ? null : now} WHERE id = ${runId}`
    if (phase === "Ended") {
      yield* forget(runId)
      return []
    }
    if (now >= endsAt) return []
    const asleep = now - wakeSeconds
    const groups = yield* sql<{ readonly part: string }>`UPDATE frontier_groups AS parts SET woken_at = ${now}
      WHERE run_id = ${runId} AND ready_at <= ${now} AND woken_at <= ${asleep} AND EXISTS (
        SELECT 1 FROM frontier_hosts AS hosts
        WHERE hosts.run_id = parts.run_id AND hosts.part = parts.part AND hosts.state = 'Waiting' AND ${isBelieved})
      RETURNING part`
    return groups.map(({ part }) => part)
  })

  /** Begins a run, and returns whether it did: another machine may have begun one just now. */
  const begin = Effect.fnUntraced(function* (options: OpenOptions, now: number) {
    const seconds = options.for === undefined ? null : Duration.toSeconds(options.for)
    const run = {
      network: options.network,
      user_agent: tidy(options.userAgent),
      protocol_version: options.protocolVersion,
      started_at: now
    }
    const [row] = yield* sql<{ readonly id: number }>`INSERT INTO runs ${sql.insert(run)} RETURNING id`
    const id = Number(row?.id)
    const explores = (yield* reachedBefore(options.network, id)).length === 0 ? 1 : numbers.recheckAfter
    const shared = {
      run_id: id,
      network: options.network,
      phase: "Exploring",
      exhausted: 0,
      explores_until: seconds === null ? null : now + seconds * explores,
      ends_at: seconds === null ? null : now + seconds,
      touched_at: now
    }
    const inserted = yield* sql`INSERT INTO frontier_runs ${sql.insert(shared)} ON CONFLICT DO NOTHING RETURNING run_id`
    if (inserted.length === 0) yield* sql`DELETE FROM runs WHERE id = ${id}`
    return inserted.length > 0
  })

  return SharedFrontier.of({
    open: (options) =>
      kept(
        Effect.gen(function* () {
          const now = yield* nowOf
          const stale = yield* sql<{ readonly run_id: number }>`UPDATE frontier_runs SET phase = 'Ended'
            WHERE network = ${options.network} AND phase <> 'Ended' AND touched_at <= ${now - aliveSeconds} RETURNING run_id`
          for (const { run_id: id } of stale) yield* forget(Number(id))
          // Held until the addresses are in it: else the conductor might see none, and end it.
          const held = sql`UPDATE frontier_runs SET network = network
            WHERE network = ${options.network} AND phase <> 'Ended' RETURNING run_id`
          while (true) {
            const isNew = (yield* held).length === 0 && (yield* begin(options, now))
            // Two that begin at once: the index lets one through, and the other one joins it.
            if (!isNew) yield* held
            const run = yield* openOf(options.network)
            // It has ended in this very moment.
            if (run === undefined) continue
            yield* addHosts(run.id, options.from, now, { state: "Waiting", how: "Explored", trusted: 1 })
            return { ...run, isNew }
          }
        })
      ),

    current: (network) => kept(openOf(network)),

    begin: Effect.fnUntraced(function* (runId, part) {
      // Says which of all dials this is, whatever becomes of the answer.
      const dial = `${yield* Random.nextInt} ${yield* Random.nextInt}`
      let tries = 0
      return yield* kept<Next>(
        Effect.gen(function* () {
          if (tries++ > 0) {
            // It was begun, and the connection broke before that could be said.
            const [mine] = yield* sql<HostRow>`SELECT * FROM frontier_hosts
              WHERE run_id = ${runId} AND part = ${part} AND state = 'UnderWay' AND dial = ${dial}`
            if (mine !== undefined) return begunOf(mine)
          }
          // Nobody else begins a dial in this group until this transaction is over.
          const [group] = yield* sql<{ readonly ready_at: number; readonly now: number }>`UPDATE frontier_groups
            SET woken_at = 0 WHERE run_id = ${runId} AND part = ${part} RETURNING ready_at, ${clock} AS now`
          if (group === undefined) return { _tag: "Nothing" }
          const { now } = group
          const [host] = yield* sql<HostRow>`SELECT hosts.* FROM frontier_hosts AS hosts
            JOIN frontier_runs ON frontier_runs.run_id = hosts.run_id
            WHERE hosts.run_id = ${runId} AND hosts.part = ${part} AND hosts.state = 'Waiting' AND ${isBelieved}
              AND frontier_runs.phase <> 'Ended' AND (ends_at IS NULL OR ends_at > ${now})
              AND NOT (frontier_runs.phase = 'Rechecking' AND ${isTooLate})
            ORDER BY hosts.told_at LIMIT 1`
          if (host === undefined) return { _tag: "Nothing" }
          const restsUntil = (
            readyAt: number
          ) => sql`UPDATE frontier_groups SET woken_at = ${now}, ready_at = ${readyAt}
            WHERE run_id = ${runId} AND part = ${part}`
          if (group.ready_at > now) {
            yield* restsUntil(group.ready_at)
            return { _tag: "Wait", millis: Math.ceil((group.ready_at - now) * 1000) }
          }

          const [taken] = yield* sql<HostRow>`UPDATE frontier_hosts SET state = 'UnderWay', begun_at = ${now},
            dials = dials + 1, voucher = NULL, dial = ${dial} WHERE run_id = ${runId} AND host = ${host.host} AND state = 'Waiting'
            RETURNING *`
          // The run has gone on meanwhile, and does not want it dialled.
          if (taken === undefined) return { _tag: "Wait", millis: 0 }
          const begun = begunOf(taken)
          const [voucher] =
            Number(taken.trusted) === 1
              ? []
              : yield* sql<{ readonly teller: string }>`UPDATE frontier_tellers SET credit = credit - 1
                  WHERE run_id = ${runId} AND teller = (
                    SELECT vouchers.teller FROM frontier_vouchers AS vouchers
                    JOIN frontier_tellers AS tellers
                      ON tellers.run_id = vouchers.run_id AND tellers.teller = vouchers.teller
                    WHERE vouchers.run_id = ${runId} AND vouchers.host = ${host.host} AND tellers.credit > 0
                    ORDER BY vouchers.teller LIMIT 1)
                  RETURNING teller`
          if (voucher !== undefined) {
            yield* sql`UPDATE frontier_hosts SET voucher = ${voucher.teller}
              WHERE run_id = ${runId} AND host = ${host.host}`
          }
          yield* restsUntil(begun._tag === "Begun" && isLoopback(begun.address) ? now : now + groupSeconds)
          return begun
        })
      )
    }),

    reached: (runId, { address, at, host }) =>
      kept(
        Effect.gen(function* () {
          const answered = PeerSocketAddress.format(address)
          const [row] = yield* sql<{ readonly voucher: string | null }>`UPDATE frontier_hosts
            SET state = 'Visited', answered = ${answered}, trusted = 1
            WHERE run_id = ${runId} AND host = ${host} AND state = 'UnderWay' AND begun_at = ${at} RETURNING voucher`
          if (row === undefined) return false
          yield* sql`UPDATE frontier_tellers
            SET credit = credit + ${numbers.creditPerHit} + CASE WHEN teller = ${row.voucher ?? ""} THEN 1 ELSE 0 END
            WHERE run_id = ${runId} AND teller IN (
              SELECT teller FROM frontier_vouchers WHERE run_id = ${runId} AND host = ${host})`
          return true
        })
      ),

    unreachable: (runId, { at, host }) =>
      kept(
        Effect.gen(function* () {
          // By a write: until this is over nobody begins another dial of it, or adds a port.
          const [row] = yield* sql<HostRow>`UPDATE frontier_hosts SET tried = tried + 1
            WHERE run_id = ${runId} AND host = ${host} AND state = 'UnderWay' AND begun_at = ${at} RETURNING *`
          if (row === undefined) return
          const hasMore = row.answered === null && Number(row.tried) < parsed(row.addresses).length
          yield* sql`UPDATE frontier_hosts SET state = ${hasMore ? "Waiting" : "Visited"}
            WHERE run_id = ${runId} AND host = ${host}`
        })
      ),

    tell: (runId, teller, addresses) =>
      kept(
        Effect.gen(function* () {
          const [run] = yield* sql<{
            readonly phase: string
            readonly known: number
            readonly now: number
          }>`SELECT phase, known, ${clock} AS now FROM frontier_runs WHERE run_id = ${runId}`
          if (run === undefined || run.phase === "Ended") return
          const { now } = run
          const byHost = new Map(addresses.map((address) => [hostOf(address), address] as const))
          const rows = yield* Effect.forEach(
            chunksOf([...byHost.keys()]),
            (hosts) => sql<HostRow>`SELECT hosts.*, (
                SELECT COUNT(*) FROM frontier_vouchers AS vouchers
                WHERE vouchers.run_id = hosts.run_id AND vouchers.host = hosts.host) AS tellers
              FROM frontier_hosts AS hosts WHERE hosts.run_id = ${runId} AND ${sql.in("host", hosts)}`
          )
          const known = new Map(rows.flat().map((row) => [row.host, row]))
          const room = Math.max(0, numbers.maxHosts - run.known)
          const fresh = [...byHost].filter(([host]) => !known.has(host)).slice(0, room)
          const added = yield* addHosts(
            runId,
            fresh.map(([, address]) => address),
            now,
            { state: run.phase === "Exploring" ? "Waiting" : "Left", how: "Explored", trusted: 0 }
          )

          for (const row of known.values()) {
            const isOpen = row.answered === null && (row.state === "Waiting" || row.state === "UnderWay")
            const address = PeerSocketAddress.format(byHost.get(row.host)!)
            const ports = row.addresses.split(" ")
            if (!isOpen || ports.length >= numbers.portsPerHost || ports.includes(address)) continue
            yield* addPort(runId, row.host, address)
          }
          // Another one told of these just now, perhaps with another port.
          for (const [host, address] of fresh) {
            if (!added.has(host)) yield* addPort(runId, host, PeerSocketAddress.format(address))
          }

          const vouched = [
            ...fresh.map(([host]) => host),
            ...[...known.values()]
              .filter((row) => Number(row.tellers) > 0 && Number(row.tellers) < numbers.tellersPerHost)
              .map(({ host }) => host)
          ].toSorted()
          if (vouched.length === 0) return
          const first = { run_id: runId, teller, credit: numbers.credit }
          yield* sql`INSERT INTO frontier_tellers ${sql.insert([first])} ON CONFLICT DO NOTHING`
          let hits = 0
          for (const chunk of chunksOf(vouched.map((host) => ({ run_id: runId, host, teller })))) {
            const inserted = yield* sql<{ readonly host: string }>`INSERT INTO frontier_vouchers ${sql.insert(chunk)}
              ON CONFLICT DO NOTHING RETURNING host`
            hits += inserted.filter(({ host }) => (known.get(host)?.answered ?? null) !== null).length
          }
          if (hits === 0) return
          yield* sql`UPDATE frontier_tellers SET credit = credit + ${hits * numbers.creditPerHit}
            WHERE run_id = ${runId} AND teller = ${teller}`
        })
      ),

    tend: (runId) => Effect.flatMap(Clock.currentTimeMillis, (atMillis) => kept(tendOnce(runId, atMillis))),

    progress: (runId) =>
      kept(
        Effect.gen(function* () {
          const [row] = yield* sql<{
            readonly counts: string | null
            readonly phase: string
          }>`SELECT counts, phase FROM frontier_runs WHERE run_id = ${runId}`
          const progress = row?.counts == null ? undefined : (JSON.parse(row.counts) as Progress)
          if (row !== undefined && row.phase !== "Ended") return progress
          if (progress !== undefined && progress.end !== null) return progress
          const nothing = { known: 0, visited: 0, reached: 0, dials: 0, underWay: 0, waiting: 0, doubtful: 0 }
          const none = { ...nothing, atMillis: yield* Clock.currentTimeMillis, elapsedMillis: 0 }
          return Finding.Progress({ ...(progress ?? none), end: "OutOfTime" })
        })
      )
  })
})
