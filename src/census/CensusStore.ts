/**
 * Service: what censuses have found, in a database.
 *
 * On `effect/sql`, so it is one service for SQLite and PostgreSQL. Questions that are about one run or two are answered from
 * their rows by pure code (`Report.ts`); the database keeps, orders and forgets.
 *
 * **Security**
 *
 * Texts of peers go in as parameters, without what a database or a terminal would refuse. Of what a teller tells a bounded
 * sample is kept, and of each host one row a run.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, Layer, Schedule, Schema } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { type End, type Finding, groupOf, type How, hostOf, type UnreachableReason } from "./Finding.ts"
import * as Tables from "./Schema.ts"

/** The database did not do what it was asked; `message` is one sentence that says why and what to do. */
export class CensusStoreError extends Schema.TaggedError<CensusStoreError>()("CensusStoreError", {
  /**
   * `Newer`: a newer program wrote it. `Foreign`: it is another program's. `Missing`: nothing is in it, and something was to
   * be. `Unreachable`: it may be back later. `Full`: no room is left.
   */
  reason: Schema.Literals(["Newer", "Foreign", "Missing", "Unreachable", "Full", "Failed"]),
  message: Schema.String,
  cause: Schema.Defect()
}) {}

/** One run as it is kept. Times are seconds since the Unix epoch. */
export interface Run {
  readonly id: number
  /** As `ChainParams.name`. */
  readonly network: string
  readonly userAgent: string
  readonly startedAt: number
  /** `null`: it runs, or was ended by force. */
  readonly endedAt: number | null
  readonly ending: End | null
  /** Hosts heard of; those left when its time was over; those nobody was believed about. */
  readonly known: number
  readonly waiting: number
  readonly doubtful: number
}

/** What one run found at one host. */
export interface Sighting {
  readonly runId: number
  readonly host: string
  /** IPv4 /16 or IPv6 /32. */
  readonly group: string
  readonly address: string
  readonly at: number
  readonly how: How
  readonly isReached: boolean
  readonly reason: UnreachableReason | null
  readonly code: string | null
  readonly version: number | null
  readonly services: number | null
  readonly userAgent: string | null
  readonly height: number | null
  readonly clockOffset: number | null
  readonly latency: number | null
  readonly told: number | null
  /** The other host that it says is its own address. */
  readonly claims: string | null
}

/** A host over all runs. */
export interface HostHistory {
  readonly host: string
  readonly firstDialled: number
  readonly lastDialled: number
  readonly firstReached: number | null
  readonly lastReached: number | null
  /** The runs that are kept, oldest first. */
  readonly sightings: ReadonlyArray<Sighting>
}

/** A node that told of others, and how many of a sample of those answered. */
export interface TellerCount {
  readonly teller: string
  readonly sampled: number
  readonly reached: number
}

/** A node that came to us. */
export interface Guest {
  readonly host: string
  /** Its port is not where it listens. */
  readonly address: string
  readonly at: number
  readonly version: number
  readonly services: number
  readonly userAgent: string
  readonly height: number | null
}

/** Nodes of one protocol version that a run reached. */
export interface VersionCount {
  readonly runId: number
  readonly version: number
  readonly nodes: number
}

/** Hosts kept of what one teller told in one run: enough for a share to within a tenth or so. */
export const tellingsPerTeller = 64

/** How long runs are kept unless told otherwise. */
export const defaultRetention = Duration.days(400)

/** Runs, hosts, sightings and tellings. */
export class CensusStore extends Context.Service<
  CensusStore,
  {
    /** A new run. */
    readonly begin: (run: {
      readonly network: string
      readonly userAgent: string
      readonly protocolVersion: number
    }) => Effect.Effect<number, CensusStoreError>

    /**
     * Keeps findings, all or none of them. A database that is away is waited for `patience`; `onWait` is told once. What a
     * host answered is never replaced by its not answering later in the same run.
     */
    readonly record: (
      runId: number,
      network: string,
      findings: ReadonlyArray<Finding>,
      onWait?: Effect.Effect<void>
    ) => Effect.Effect<void, CensusStoreError>

    /** Every run of a network, or of all of them, oldest first. */
    readonly runs: (network?: string) => Effect.Effect<ReadonlyArray<Run>, CensusStoreError>

    /** What a run found, one for each host. */
    readonly sightings: (runId: number) => Effect.Effect<ReadonlyArray<Sighting>, CensusStoreError>

    /** Where the latest `runs` runs of a network reached somebody. */
    readonly reachedBefore: (
      network: string,
      runs: number
    ) => Effect.Effect<ReadonlyArray<PeerSocketAddress.PeerSocketAddress>, CensusStoreError>

    /** Tellers of a run by how few of those they told of answered; most first. */
    readonly tellers: (runId: number, limit: number) => Effect.Effect<ReadonlyArray<TellerCount>, CensusStoreError>

    /** Who came to us in a run, one for each host. */
    readonly guests: (runId: number) => Effect.Effect<ReadonlyArray<Guest>, CensusStoreError>

    /** Nodes reached by run and protocol version, oldest run first: versions and readiness over time. */
    readonly versions: (network: string) => Effect.Effect<ReadonlyArray<VersionCount>, CensusStoreError>

    /** Everything about a host; `undefined` when no run has dialled it. */
    readonly host: (network: string, host: string) => Effect.Effect<HostHistory | undefined, CensusStoreError>

    /**
     * Forgets runs that began longer ago than this, and hosts that were dialled in none since. Returns how many runs. A run
     * that others are making is not forgotten: one that has no end yet and found something within the hour.
     */
    readonly prune: (retention: Duration.Duration) => Effect.Effect<number, CensusStoreError>
  }
>()("network-effect/census/CensusStore") {
  /** Brings the database up to date first; fails when a newer program wrote it, or another one, whose it stays. */
  static readonly layer = Layer.effect(
    CensusStore,
    Effect.suspend(() => make(true))
  )

  /** The same for questions: fails where there is no census, and makes none. */
  static readonly layerExisting = Layer.effect(
    CensusStore,
    Effect.suspend(() => make(false))
  )
}

/** A run that nobody worked on for so long is over, whether or not it has an end: what is there now is another network. */
export const aliveSeconds = 3600

/** Time a database may be away while a census runs, which waits as long: nothing more is dialled meanwhile. */
export const patience = Duration.minutes(5)

/** Times that others may be in the way before it is told that one waits for them: with the time between them two seconds. */
const failuresTold = 3

/** Time one transaction may take: a database that says nothing for so long is away. */
const answerTime = Duration.seconds(30)

/** Whether the database is away; else another process only writes, and is through in a moment. */
export const isLost = (error: SqlError.SqlError): boolean => error.reason._tag === "ConnectionError"

/** A transaction, which fails like one whose database is away when nobody answers. */
export const inTime = <A>(effect: Effect.Effect<A, SqlError.SqlError>): Effect.Effect<A, SqlError.SqlError> =>
  Effect.timeoutOrElse(effect, {
    duration: answerTime,
    orElse: () => {
      const cause = new Error(`it has said nothing for ${Duration.toSeconds(answerTime)} seconds`)
      return Effect.fail(new SqlError.SqlError({ reason: new SqlError.ConnectionError({ cause }) }))
    }
  })

/** Another process writes: it is through in a moment. */
const isLocked = (error: SqlError.SqlError): boolean => error.reason._tag === "LockTimeoutError"

const whileLocked = {
  while: isLocked,
  schedule: Schedule.spaced("50 millis").pipe(Schedule.jittered, Schedule.upTo({ duration: "10 seconds" }))
}

/** Rows of one INSERT: times their 17 columns within the parameters that SQLite and PostgreSQL take, 32 766 and 65 535. */
const rowsPerInsert = 500

/** Without what PostgreSQL takes for the end of a text, and what a terminal would obey. */
export const tidy = (text: string): string => text.toWellFormed().replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?")

const textOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))

/** The platform's own words, which are in the innermost cause. */
const innermost = (error: unknown): unknown => {
  let inner = error
  for (let depth = 0; depth < 5; depth++) {
    if (typeof inner !== "object" || inner === null || !("cause" in inner) || inner.cause === undefined) break
    inner = inner.cause
  }
  return inner
}

/** The same, to be shown. */
export const wordsOf = (error: unknown): string => tidy(textOf(innermost(error)))

/** What a database failed with, in a sentence. */
export const failed = (error: SqlError.SqlError): CensusStoreError => {
  const words = wordsOf(error.reason)
  if (/disk is full|No space left|disk full|SQLITE_FULL/i.test(`${words} ${textOf(error)}`)) {
    return new CensusStoreError({
      reason: "Full",
      message:
        "The census' disk is full: make room, or choose another place with --store. What was found before is kept.",
      cause: error
    })
  }
  return error.isRetryable
    ? new CensusStoreError({
        reason: "Unreachable",
        message: `The census' database does not answer: ${words}.`,
        cause: error
      })
    : new CensusStoreError({ reason: "Failed", message: `The census' database refused: ${words}.`, cause: error })
}

interface SightingRow {
  readonly run_id: number
  readonly host: string
  readonly part: string
  readonly address: string
  readonly at: number
  readonly how: How
  readonly reached: number
  readonly reason: UnreachableReason | null
  readonly code: string | null
  readonly version: number | null
  readonly services: number | null
  readonly user_agent: string | null
  readonly height: number | null
  readonly clock_offset: number | null
  readonly latency: number | null
  readonly told: number | null
  readonly claims: string | null
}

const ofRow = (row: SightingRow): Sighting => ({
  runId: Number(row.run_id),
  host: row.host,
  group: row.part,
  address: row.address,
  at: row.at,
  how: row.how,
  isReached: Number(row.reached) === 1,
  reason: row.reason,
  code: row.code,
  version: row.version,
  services: row.services,
  userAgent: row.user_agent,
  height: row.height,
  clockOffset: row.clock_offset,
  latency: row.latency,
  told: row.told,
  claims: row.claims
})

interface RunRow {
  readonly id: number
  readonly network: string
  readonly user_agent: string
  readonly started_at: number
  readonly ended_at: number | null
  readonly ending: End | null
  readonly known: number
  readonly waiting: number
  readonly doubtful: number
}

const ofRunRow = (row: RunRow): Run => ({
  id: Number(row.id),
  network: row.network,
  userAgent: row.user_agent,
  startedAt: row.started_at,
  endedAt: row.ended_at,
  ending: row.ending,
  known: row.known,
  waiting: row.waiting,
  doubtful: row.doubtful
})

type Row = Record<string, string | number | null>

/** By their keys: else two processes that write of the same hosts wait for each other. */
const inOrder = (rows: ReadonlyMap<string, Row>): ReadonlyArray<Row> =>
  [...rows].toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)

/** A finding as a row; of one host the last that counts. */
const rowsOf = (runId: number, findings: ReadonlyArray<Finding>): ReadonlyArray<Row> => {
  const rows = new Map<string, Row>()
  for (const finding of findings) {
    if (finding._tag !== "Reached" && finding._tag !== "Unreachable") continue
    const { address, atMillis, how } = finding
    const host = hostOf(address)
    const isReached = finding._tag === "Reached"
    if (!isReached && rows.get(host)?.["reached"] === 1) continue
    rows.set(host, {
      run_id: runId,
      host,
      part: groupOf(address),
      address: PeerSocketAddress.format(address),
      at: atMillis / 1000,
      how,
      reached: isReached ? 1 : 0,
      reason: isReached ? null : finding.reason,
      code: isReached ? null : tidy(finding.code),
      version: isReached ? finding.protocolVersion : null,
      services: isReached ? Number(finding.services) : null,
      user_agent: isReached ? tidy(finding.userAgent) : null,
      height: isReached ? finding.height : null,
      clock_offset: isReached ? finding.clockOffsetSeconds : null,
      latency: isReached ? finding.latencyMillis : null,
      told: isReached ? finding.told : null,
      claims: isReached ? finding.claims : null
    })
  }
  return inOrder(rows)
}

const guestsOf = (runId: number, findings: ReadonlyArray<Finding>): ReadonlyArray<Row> => {
  const rows = new Map<string, Row>()
  for (const finding of findings) {
    if (finding._tag !== "Came") continue
    const host = hostOf(finding.address)
    rows.set(host, {
      run_id: runId,
      host,
      address: PeerSocketAddress.format(finding.address),
      at: finding.atMillis / 1000,
      version: finding.protocolVersion,
      services: Number(finding.services),
      user_agent: tidy(finding.userAgent),
      height: finding.height
    })
  }
  return inOrder(rows)
}

const tellingsOf = (runId: number, findings: ReadonlyArray<Finding>): ReadonlyArray<Row> => {
  const rows = new Map<string, Row>()
  for (const finding of findings) {
    if (finding._tag !== "Told") continue
    const teller = hostOf(finding.teller)
    for (const address of finding.addresses.slice(0, tellingsPerTeller)) {
      const host = hostOf(address)
      rows.set(`${teller} ${host}`, { run_id: runId, teller, host })
    }
  }
  return inOrder(rows)
}

/** Whether there is one at all, which an INSERT needs. */
export const isFilled = <A>(values: ReadonlyArray<A>): values is readonly [A, ...Array<A>] => values.length > 0

const make = Effect.fnUntraced(function* (isMade: boolean) {
  const sql = yield* SqlClient.SqlClient
  const explained = <A>(effect: Effect.Effect<A, SqlError.SqlError>) =>
    Effect.mapError(Effect.retry(inTime(effect), whileLocked), failed)

  const before = yield* explained(Effect.provideService(Tables.standing, SqlClient.SqlClient, sql))
  if (before._tag === "Foreign") {
    const message = `The census' database is another program's (it has a table ${tidy(before.table)}): choose another --store.`
    return yield* new CensusStoreError({ reason: "Foreign", message, cause: before.table })
  }
  if (before._tag === "Empty" && !isMade) {
    const message = "There is no census in this database: network-effect census run makes one."
    return yield* new CensusStoreError({ reason: "Missing", message, cause: before._tag })
  }
  // What is up to date is not written to, so that it can be read by whoever may not write.
  if (before._tag === "Empty" || before.at < Tables.latest) {
    yield* Tables.migrate.pipe(
      Effect.provideService(SqlClient.SqlClient, sql),
      Effect.retry({ ...whileLocked, while: (error) => error._tag === "SqlError" && isLocked(error) }),
      Effect.mapError((error) =>
        error._tag === "SqlError"
          ? failed(error)
          : new CensusStoreError({
              reason: "Failed",
              message: `The census' database cannot be brought up to date: ${wordsOf(error)}.`,
              cause: error
            })
      )
    )
  } else if (before.at > Tables.latest) {
    return yield* new CensusStoreError({
      reason: "Newer",
      message: `A newer network-effect wrote this census (schema ${before.at}, this one knows ${Tables.latest}): use that one, or choose another --store.`,
      cause: before.at
    })
  }

  const insertAll = (
    rows: ReadonlyArray<Row>,
    insert: (rows: readonly [Row, ...Array<Row>]) => Effect.Effect<unknown, SqlError.SqlError>
  ) =>
    Effect.gen(function* () {
      for (let from = 0; from < rows.length; from += rowsPerInsert) {
        const part = rows.slice(from, from + rowsPerInsert)
        if (isFilled(part)) yield* insert(part)
      }
    })

  // Whoever waited for the database writes later what was found before.
  const first = (column: string) =>
    sql.literal(`CASE WHEN excluded.${column} < hosts.${column} OR hosts.${column} IS NULL
      THEN excluded.${column} ELSE hosts.${column} END`)
  const last = (column: string) =>
    sql.literal(`CASE WHEN excluded.${column} > hosts.${column} OR hosts.${column} IS NULL
      THEN excluded.${column} ELSE hosts.${column} END`)

  const recordOnce = (runId: number, network: string, findings: ReadonlyArray<Finding>) =>
    sql.withTransaction(
      Effect.gen(function* () {
        const sightings = rowsOf(runId, findings)
        yield* insertAll(
          sightings,
          (rows) => sql`INSERT INTO sightings ${sql.insert(rows)}
            ON CONFLICT (run_id, host) DO UPDATE SET
              address = excluded.address, at = excluded.at, how = sightings.how, reached = excluded.reached,
              reason = excluded.reason, code = excluded.code, version = excluded.version, services = excluded.services,
              user_agent = excluded.user_agent, height = COALESCE(excluded.height, sightings.height),
              clock_offset = excluded.clock_offset, latency = COALESCE(excluded.latency, sightings.latency),
              told = COALESCE(excluded.told, sightings.told), claims = excluded.claims
            WHERE excluded.reached > sightings.reached
              OR (excluded.reached = sightings.reached AND excluded.at >= sightings.at)`
        )
        yield* insertAll(
          sightings.map(({ at = 0, host = "", reached }) => ({
            network,
            host,
            first_dialled: at,
            last_dialled: at,
            first_reached: reached === 1 ? at : null,
            last_reached: reached === 1 ? at : null
          })),
          (rows) => sql`INSERT INTO hosts ${sql.insert(rows)}
            ON CONFLICT (network, host) DO UPDATE SET
              first_dialled = ${first("first_dialled")}, last_dialled = ${last("last_dialled")},
              first_reached = ${first("first_reached")}, last_reached = ${last("last_reached")}`
        )
        yield* insertAll(
          tellingsOf(runId, findings),
          (rows) => sql`INSERT INTO tellings ${sql.insert(rows)} ON CONFLICT DO NOTHING`
        )
        yield* insertAll(
          guestsOf(runId, findings),
          (rows) => sql`INSERT INTO guests ${sql.insert(rows)} ON CONFLICT DO NOTHING`
        )
        const progress = findings.findLast((finding) => finding._tag === "Progress")
        if (progress?._tag === "Progress") {
          const { atMillis, doubtful, end, known, waiting } = progress
          yield* sql`UPDATE runs SET known = ${known}, waiting = ${waiting}, doubtful = ${doubtful}, ending = ${end},
            ended_at = ${end === null ? null : atMillis / 1000} WHERE id = ${runId}`
        }
      })
    )

  const columns = sql.literal(
    "run_id, host, part, address, at, how, reached, reason, code, version, services, user_agent, height, clock_offset, latency, told, claims"
  )

  return CensusStore.of({
    begin: Effect.fn("CensusStore.begin")(function* ({ network, protocolVersion, userAgent }) {
      const now = yield* Clock.currentTimeMillis
      const run = {
        network,
        user_agent: tidy(userAgent),
        protocol_version: protocolVersion,
        started_at: now / 1000
      }
      const rows = yield* explained(sql<{ readonly id: number }>`INSERT INTO runs ${sql.insert(run)} RETURNING id`)
      return Number(rows[0]?.id)
    }),

    record: (runId, network, findings, onWait = Effect.void) => {
      let isTold = false
      let failures = 0
      return inTime(recordOnce(runId, network, findings)).pipe(
        Effect.tapError((error) => {
          failures++
          const isWaiting = isLost(error) || (error.isRetryable && failures >= failuresTold)
          if (!isWaiting || isTold) return Effect.void
          isTold = true
          return onWait
        }),
        Effect.retry({
          while: (error) => error.isRetryable,
          schedule: Schedule.spaced("1 second").pipe(Schedule.upTo({ duration: patience }))
        }),
        Effect.mapError(failed)
      )
    },

    runs: (network) =>
      explained(
        network === undefined
          ? sql<RunRow>`SELECT * FROM runs ORDER BY id`
          : sql<RunRow>`SELECT * FROM runs WHERE network = ${network} ORDER BY id`
      ).pipe(Effect.map((rows) => rows.map(ofRunRow))),

    sightings: (runId) =>
      explained(sql<SightingRow>`SELECT ${columns} FROM sightings WHERE run_id = ${runId} ORDER BY host`).pipe(
        Effect.map((rows) => rows.map(ofRow))
      ),

    reachedBefore: (network, runs) =>
      explained(
        sql<{ readonly address: string }>`SELECT DISTINCT address FROM sightings WHERE reached = 1 AND run_id IN (
          SELECT id FROM runs WHERE network = ${network} ORDER BY id DESC LIMIT ${runs})`
      ).pipe(
        Effect.map((rows) =>
          rows.flatMap(({ address }) => {
            const parsed = PeerSocketAddress.fromText(address)
            return parsed === undefined ? [] : [parsed]
          })
        )
      ),

    tellers: (runId, limit) =>
      explained(
        sql<{ readonly teller: string; readonly sampled: number; readonly reached: number }>`SELECT
            tellings.teller AS teller, COUNT(*) AS sampled, COALESCE(SUM(sightings.reached), 0) AS reached
          FROM tellings LEFT JOIN sightings ON sightings.run_id = tellings.run_id AND sightings.host = tellings.host
          WHERE tellings.run_id = ${runId}
          GROUP BY tellings.teller
          ORDER BY COALESCE(SUM(sightings.reached), 0) * 1.0 / COUNT(*), COUNT(*) DESC, tellings.teller LIMIT ${limit}`
      ).pipe(
        Effect.map((rows) =>
          rows.map(({ reached, sampled, teller }) => ({ teller, sampled: Number(sampled), reached: Number(reached) }))
        )
      ),

    guests: (runId) =>
      explained(
        sql<Omit<Guest, "userAgent"> & { readonly user_agent: string }>`SELECT
            host, address, at, version, services, user_agent, height FROM guests WHERE run_id = ${runId} ORDER BY host`
      ).pipe(Effect.map((rows) => rows.map(({ user_agent: userAgent, ...guest }) => ({ ...guest, userAgent })))),

    versions: (network) =>
      explained(
        sql<{ readonly run_id: number; readonly version: number; readonly nodes: number }>`SELECT
            run_id, version, COUNT(*) AS nodes FROM sightings
          WHERE reached = 1 AND run_id IN (SELECT id FROM runs WHERE network = ${network})
          GROUP BY run_id, version ORDER BY run_id, version`
      ).pipe(
        Effect.map((rows) =>
          rows.map(({ nodes, run_id, version }) => ({ runId: Number(run_id), version, nodes: Number(nodes) }))
        )
      ),

    host: Effect.fn("CensusStore.host")(function* (network, host) {
      const [row] = yield* explained(
        sql<{
          readonly first_dialled: number
          readonly last_dialled: number
          readonly first_reached: number | null
          readonly last_reached: number | null
        }>`SELECT * FROM hosts WHERE network = ${network} AND host = ${host}`
      )
      if (row === undefined) return undefined
      const rows = yield* explained(
        sql<SightingRow>`SELECT ${columns} FROM sightings WHERE host = ${host} AND run_id IN (
          SELECT id FROM runs WHERE network = ${network}) ORDER BY run_id`
      )
      return {
        host,
        firstDialled: row.first_dialled,
        lastDialled: row.last_dialled,
        firstReached: row.first_reached,
        lastReached: row.last_reached,
        sightings: rows.map(ofRow)
      }
    }),

    prune: Effect.fn("CensusStore.prune")(function* (retention) {
      const now = (yield* Clock.currentTimeMillis) / 1000
      const before = now - Duration.toSeconds(retention)
      const alive = now - aliveSeconds
      return yield* explained(
        sql.withTransaction(
          Effect.gen(function* () {
            const old = yield* sql<{ readonly id: number }>`SELECT id FROM runs WHERE started_at < ${before}
              AND NOT (ended_at IS NULL AND (started_at > ${alive}
                OR EXISTS (SELECT 1 FROM sightings WHERE run_id = runs.id AND at > ${alive})
                OR EXISTS (SELECT 1 FROM frontier_runs WHERE run_id = runs.id AND phase <> 'Ended' AND touched_at > ${alive})))
              ORDER BY id`
            for (const { id } of old) {
              yield* sql`DELETE FROM tellings WHERE run_id = ${id}`
              yield* sql`DELETE FROM guests WHERE run_id = ${id}`
              yield* sql`DELETE FROM sightings WHERE run_id = ${id}`
              yield* sql`DELETE FROM runs WHERE id = ${id}`
            }
            yield* sql`DELETE FROM hosts WHERE last_dialled < ${before}`
            return old.length
          })
        )
      )
    })
  })
})

/**
 * What is read of several runs, as it was at one moment: again when one of them was forgotten meanwhile, of which something
 * had been read and the rest was not there any more.
 */
export const together = Effect.fnUntraced(function* <A, E, R>(
  read: (runs: ReadonlyArray<Run>) => Effect.Effect<A, E, R>
) {
  const store = yield* CensusStore
  while (true) {
    const runs = yield* store.runs()
    const result = yield* Effect.result(read(runs))
    const kept = new Set((yield* store.runs()).map(({ id }) => id))
    if (runs.every(({ id }) => kept.has(id))) return yield* Effect.fromResult(result)
  }
})
