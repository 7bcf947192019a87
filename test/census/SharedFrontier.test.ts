/**
 * What machines share of a run: the rules of `Frontier`, kept by rows. On SQLite, and on PostgreSQL where
 * NETWORK_EFFECT_POSTGRES names one in which databases may be made.
 */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Fiber, Layer } from "effect"
import { SqlClient, SqlError } from "effect/sql"
import * as SqliteClient from "../../layers/SqliteClient.ts"
import { CensusPolicy } from "../../src/census/CensusPolicy.ts"
import { CensusStore } from "../../src/census/CensusStore.ts"
import { type Begun, type Next, SharedFrontier } from "../../src/census/SharedFrontier.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { layerSchema, postgres } from "./postgres.ts"
import { reached } from "./storeContract.ts"

const at = PeerSocketAddress.fromStringUnsafe
const options = { network: "Regtest", userAgent: "/test/", protocolVersion: 170_190, for: undefined }

const begun = (next: Next): Begun => {
  assert(next._tag === "Begun", next._tag)
  return next
}

/** The database's clock goes on by itself; what waits for it is moved instead. */
const passes = (seconds: number) =>
  Effect.gen(function* () {
    const sql = yield* SqlClient.SqlClient
    yield* sql`UPDATE frontier_hosts SET begun_at = begun_at - ${seconds}`
    yield* sql`UPDATE frontier_groups SET ready_at = ready_at - ${seconds}, woken_at = woken_at - ${seconds}`
    yield* sql`UPDATE frontier_runs SET touched_at = touched_at - ${seconds}, ends_at = ends_at - ${seconds},
      explores_until = explores_until - ${seconds}`
  })

const contract = (name: string, client: Layer.Layer<SqlClient.SqlClient, unknown>) => {
  const layer = SharedFrontier.layer.pipe(
    Layer.provideMerge(CensusStore.layer),
    Layer.provide(CensusPolicy.layer({ credit: 2, creditPerHit: 3, groupInterval: Duration.hours(1), maxHosts: 50 })),
    Layer.provideMerge(client),
    Layer.orDie
  )

  describe(`a frontier in ${name}`, () => {
    it.live("is joined by whoever comes later, with the addresses they bring", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const [one, two] = yield* Effect.all(
          [
            frontier.open({ ...options, from: [at("20.0.0.1:1")] }),
            frontier.open({ ...options, userAgent: "/other/", from: [at("20.0.0.1:2"), at("21.0.0.1:1")] })
          ],
          { concurrency: 2 }
        )
        assert.strictEqual(one.id, two.id)
        assert.strictEqual(one.userAgent, two.userAgent)
        assert.deepStrictEqual([one.isNew, two.isNew].toSorted(), [false, true])
        assert.lengthOf(yield* (yield* CensusStore).runs(), 1)
        assert.deepStrictEqual((yield* frontier.tend(one.id)).toSorted(), ["20.0", "21.0"])
        // Each once in ten seconds.
        assert.deepStrictEqual(yield* frontier.tend(one.id), [])
        yield* passes(11)
        assert.deepStrictEqual((yield* frontier.tend(one.id)).toSorted(), ["20.0", "21.0"])
        assert.strictEqual((yield* frontier.progress(one.id))?.known, 2)
      }).pipe(Effect.provide(layer))
    )

    it.live("goes on when its conductor looks while it is being begun", () =>
      Effect.gen(function* () {
        const conductor = yield* SharedFrontier
        const sql = yield* SqlClient.SqlClient
        let looks = 0
        // The first run of a database.
        const look = Effect.andThen(
          Effect.sync(() => looks++),
          Effect.orDie(conductor.tend(1))
        )
        const watched = new Proxy(sql, {
          get: (target, key) =>
            key === "withTransaction"
              ? <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.tap(target.withTransaction(effect), look)
              : Reflect.get(target, key)
        })
        const frontier = yield* SharedFrontier.pipe(
          Effect.provide(Layer.fresh(SharedFrontier.layer)),
          Effect.provideService(SqlClient.SqlClient, watched)
        )
        const { id } = yield* frontier.open({ ...options, from: [at("20.0.0.1:1")] })
        assert.strictEqual(id, 1)
        assert.isAtLeast(looks, 1)
        assert.deepInclude(yield* conductor.progress(id), { known: 1, waiting: 1, end: null })
      }).pipe(Effect.provide(layer))
    )

    it.live("gives a host to one of many that ask, and one host of a group in its time", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const { id } = yield* frontier.open({ ...options, from: [at("20.0.0.1:1"), at("20.0.0.2:1")] })
        const asked = yield* Effect.all(
          Array.from({ length: 8 }, () => frontier.begin(id, "20.0")),
          { concurrency: 8 }
        )
        assert.deepStrictEqual(asked.map(({ _tag }) => _tag).toSorted(), ["Begun", ...Array(7).fill("Wait")])
        const wait = asked.find((next) => next._tag === "Wait")
        assert.isAbove(wait?.millis ?? 0, 3_500_000)
        yield* passes(3601)
        const all = yield* Effect.all([frontier.begin(id, "20.0"), frontier.begin(id, "99.9")])
        assert.deepStrictEqual(
          all.map(({ _tag }) => _tag),
          ["Begun", "Nothing"]
        )
        yield* passes(3601)
        assert.strictEqual((yield* frontier.begin(id, "20.0"))._tag, "Nothing")
      }).pipe(Effect.provide(layer))
    )

    it.live("begins one dial when the connection breaks before it can be told of it", () =>
      Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const { id } = yield* (yield* SharedFrontier).open({ ...options, from: [at("20.0.0.1:1"), at("20.0.0.2:1")] })
        const broken = new SqlError.SqlError({ reason: new SqlError.ConnectionError({ cause: "it broke" }) })
        let breaks = 1
        const watched = new Proxy(sql, {
          get: (target, key) =>
            key === "withTransaction"
              ? <A, E, R>(effect: Effect.Effect<A, E, R>) =>
                  Effect.filterOrFail(
                    target.withTransaction(effect),
                    () => breaks-- <= 0,
                    () => broken
                  )
              : Reflect.get(target, key)
        })
        const frontier = yield* SharedFrontier.pipe(
          Effect.provide(Layer.fresh(SharedFrontier.layer)),
          Effect.provideService(SqlClient.SqlClient, watched)
        )
        const dial = begun(yield* frontier.begin(id, "20.0"))
        assert.isTrue(yield* frontier.reached(id, dial))
        yield* frontier.tend(id)
        assert.deepInclude(yield* frontier.progress(id), { dials: 1, reached: 1, underWay: 0, waiting: 1 })
      }).pipe(Effect.provide(layer))
    )

    it.live("counts a dial that nobody ended as made, and gives it again when its time is over", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const { id } = yield* frontier.open({ ...options, from: [at("127.0.0.1:1")] })
        const first = begun(yield* frontier.begin(id, "127.0"))
        yield* passes(1790)
        yield* frontier.tend(id)
        assert.strictEqual((yield* frontier.begin(id, "127.0"))._tag, "Nothing")
        assert.deepInclude(yield* frontier.progress(id), { underWay: 1, waiting: 0, end: null })
        yield* passes(11)
        assert.deepStrictEqual(yield* frontier.tend(id), ["127.0"])
        const second = begun(yield* frontier.begin(id, "127.0"))
        assert.deepStrictEqual([second.host, second.address], [first.host, first.address])
        // The one who was thought to be gone says how it went after all: that dial is over.
        assert.isFalse(yield* frontier.reached(id, first))
        yield* frontier.unreachable(id, first)
        yield* frontier.tend(id)
        assert.deepInclude(yield* frontier.progress(id), { underWay: 1, reached: 0, dials: 2 })
        assert.isTrue(yield* frontier.reached(id, second))
        yield* frontier.tend(id)
        assert.deepInclude(yield* frontier.progress(id), { underWay: 0, reached: 1, end: "Exhausted" })
        assert.strictEqual((yield* (yield* CensusStore).runs())[0]?.ending, "Exhausted")
        assert.isUndefined(yield* frontier.current("Regtest"))
      }).pipe(Effect.provide(layer))
    )

    it.live("asks who answered again after half an hour, while the run lasts", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const { id } = yield* frontier.open({ ...options, from: [at("127.0.0.1:1"), at("127.1.0.1:1")] })
        yield* frontier.reached(id, begun(yield* frontier.begin(id, "127.0")))
        yield* passes(1790)
        yield* frontier.tend(id)
        assert.strictEqual((yield* frontier.begin(id, "127.0"))._tag, "Nothing")
        yield* passes(11)
        yield* frontier.tend(id)
        const again = begun(yield* frontier.begin(id, "127.0"))
        // It was there, and is not now: it stays reached, and nobody scans its other ports.
        yield* frontier.unreachable(id, again)
        yield* frontier.tend(id)
        assert.deepInclude(yield* frontier.progress(id), { reached: 1, visited: 1, waiting: 1 })
      }).pipe(Effect.provide(layer))
    )

    it.live("tries the other ports that were told of, and no more than three", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const { id } = yield* frontier.open({ ...options, from: [at("20.0.0.1:1")] })
        yield* frontier.tell(id, "teller", [at("20.0.0.1:2")])
        yield* frontier.tell(id, "teller", [at("20.0.0.1:3")])
        yield* frontier.tell(id, "teller", [at("20.0.0.1:4")])
        yield* frontier.tell(id, "teller", [at("20.0.0.1:2")])
        const ports: Array<string> = []
        for (let n = 0; n < 3; n++) {
          const dial = begun(yield* frontier.begin(id, "20.0"))
          ports.push(PeerSocketAddress.format(dial.address))
          yield* frontier.unreachable(id, dial)
          yield* passes(3601)
        }
        assert.deepStrictEqual(ports, ["20.0.0.1:1", "20.0.0.1:2", "20.0.0.1:3"])
        yield* frontier.tend(id)
        assert.deepInclude(yield* frontier.progress(id), { visited: 1, end: "Exhausted" })
      }).pipe(Effect.provide(layer))
    )

    it.live("believes one who invents hosts twice, and whoever was right again", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const { id } = yield* frontier.open({ ...options, from: [at("20.0.0.1:1")] })
        const liar = begun(yield* frontier.begin(id, "20.0"))
        const invented = Array.from({ length: 10 }, (_, n) => `127.1.0.${n + 1}:1`)
        yield* frontier.tell(id, liar.host, invented.map(at))
        yield* frontier.reached(id, liar)
        for (let n = 0; n < 2; n++) yield* frontier.unreachable(id, begun(yield* frontier.begin(id, "127.1")))
        assert.strictEqual((yield* frontier.begin(id, "127.1"))._tag, "Nothing")
        yield* frontier.tell(id, "other", [at(invented[5]!)])
        const right = begun(yield* frontier.begin(id, "127.1"))
        assert.strictEqual(right.host, invented[5])
        yield* frontier.reached(id, right)
        // The liar told of it too, and is three to the good.
        for (let n = 0; n < 3; n++) yield* frontier.unreachable(id, begun(yield* frontier.begin(id, "127.1")))
        assert.strictEqual((yield* frontier.begin(id, "127.1"))._tag, "Nothing")
        yield* frontier.tend(id)
        assert.deepInclude(yield* frontier.progress(id), { known: 11, doubtful: 4, end: "Exhausted", dials: 7 })
      }).pipe(Effect.provide(layer))
    )

    it.live("believes one who tells of a host that has answered as often as the host is worth", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const { id } = yield* frontier.open({ ...options, from: [at("20.0.0.1:1")] })
        yield* frontier.tell(id, "first", [at("127.1.0.1:1")])
        yield* frontier.reached(id, begun(yield* frontier.begin(id, "127.1")))
        const invented = Array.from({ length: 9 }, (_, n) => at(`127.2.0.${n + 1}:1`))
        yield* frontier.tell(id, "late", [at("127.1.0.1:1"), ...invented])
        for (let n = 0; n < 2 + 3; n++) yield* frontier.unreachable(id, begun(yield* frontier.begin(id, "127.2")))
        assert.strictEqual((yield* frontier.begin(id, "127.2"))._tag, "Nothing")
      }).pipe(Effect.provide(layer))
    )

    it.live("tries again whom nobody ended the dial of, though their teller is no longer believed", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const { id } = yield* frontier.open({ ...options, from: [at("20.0.0.1:1")] })
        yield* frontier.tell(id, "teller", ["127.1.0.1:1", "127.1.0.2:1", "127.1.0.3:1"].map(at))
        const dialled = [begun(yield* frontier.begin(id, "127.1")), begun(yield* frontier.begin(id, "127.1"))]
        assert.strictEqual((yield* frontier.begin(id, "127.1"))._tag, "Nothing")
        yield* passes(1801)
        yield* frontier.tend(id)
        const again = [begun(yield* frontier.begin(id, "127.1")), begun(yield* frontier.begin(id, "127.1"))]
        assert.deepStrictEqual(again.map(({ host }) => host).toSorted(), dialled.map(({ host }) => host).toSorted())
        assert.strictEqual((yield* frontier.begin(id, "127.1"))._tag, "Nothing")
      }).pipe(Effect.provide(layer))
    )

    it.live("begins nothing when its time is over, before anybody has looked", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const { id } = yield* frontier.open({ ...options, for: Duration.minutes(1), from: [at("127.0.0.1:1")] })
        yield* passes(61)
        assert.strictEqual((yield* frontier.begin(id, "127.0"))._tag, "Nothing")
        yield* frontier.tend(id)
        assert.deepInclude(yield* frontier.progress(id), { end: "OutOfTime", waiting: 1, dials: 0 })
      }).pipe(Effect.provide(layer))
    )

    it.live("knows no more hosts than it may", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const { id } = yield* frontier.open({ ...options, from: [at("20.0.0.1:1")] })
        const many = (part: number) => Array.from({ length: 40 }, (_, n) => at(`2${part}.0.0.${n + 1}:1`))
        yield* frontier.tell(id, "teller", many(1))
        yield* frontier.tend(id)
        yield* frontier.tell(id, "teller", many(2))
        yield* frontier.tend(id)
        assert.strictEqual((yield* frontier.progress(id))?.known, 50)
      }).pipe(Effect.provide(layer))
    )

    it.live("dials those of earlier runs last, whom nobody told of, and ends when its time is over", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const store = yield* CensusStore
        const earlier = yield* store.begin(options)
        yield* store.record(earlier, "Regtest", [reached("127.0.0.1:1"), reached("127.5.0.1:1")])
        const { id } = yield* frontier.open({ ...options, for: Duration.minutes(10), from: [at("127.0.0.1:1")] })
        yield* frontier.reached(id, begun(yield* frontier.begin(id, "127.0")))
        assert.strictEqual((yield* frontier.begin(id, "127.5"))._tag, "Nothing")
        yield* frontier.tend(id)
        const missed = begun(yield* frontier.begin(id, "127.5"))
        assert.strictEqual(missed.how, "Rechecked")
        yield* frontier.tell(id, missed.host, [at("127.9.0.1:1")])
        yield* passes(601)
        yield* frontier.tend(id)
        // What is under way is given its time, and nothing is begun.
        assert.deepInclude(yield* frontier.progress(id), { end: null, underWay: 1, waiting: 1 })
        assert.strictEqual((yield* frontier.begin(id, "127.9"))._tag, "Nothing")
        yield* passes(11)
        yield* frontier.tend(id)
        assert.deepInclude(yield* frontier.progress(id), { end: "OutOfTime" })
      }).pipe(Effect.provide(layer))
    )

    it.live("does not go on with a run that nobody worked on for an hour", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const one = yield* frontier.open({ ...options, from: [] })
        yield* passes(3500)
        assert.strictEqual((yield* frontier.open({ ...options, from: [] })).id, one.id)
        yield* passes(101)
        const other = yield* frontier.open({ ...options, from: [] })
        assert.notStrictEqual(other.id, one.id)
        assert.isTrue(other.isNew)
      }).pipe(Effect.provide(layer))
    )

    it.live("ends for a machine that was away while others gave its run up, and keeps no rows of it", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const sql = yield* SqlClient.SqlClient
        const one = yield* frontier.open({ ...options, from: [at("20.0.0.1:1")] })
        assert.isUndefined(yield* frontier.progress(one.id))
        yield* frontier.tend(one.id)
        assert.deepInclude(yield* frontier.progress(one.id), { known: 1, end: null })
        yield* passes(3601)
        const two = yield* frontier.open({ ...options, from: [at("20.0.0.1:1")] })
        assert.deepInclude(yield* frontier.progress(one.id), { known: 1, end: "OutOfTime" })
        const rows = yield* sql<{ readonly id: number }>`SELECT run_id AS id FROM frontier_hosts`
        assert.deepStrictEqual(
          rows.map(({ id }) => id),
          [two.id]
        )
        // Nobody has looked at the second one yet.
        yield* passes(3601)
        yield* frontier.open({ ...options, from: [] })
        assert.deepInclude(yield* frontier.progress(two.id), { known: 0, end: "OutOfTime" })
        yield* sql`DELETE FROM frontier_runs WHERE run_id = ${one.id}`
        assert.deepInclude(yield* frontier.progress(one.id), { end: "OutOfTime" })
      }).pipe(Effect.provide(layer))
    )

    it.live("does not lose a run that others are making when it is older than runs may be", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const store = yield* CensusStore
        const sql = yield* SqlClient.SqlClient
        const { id } = yield* frontier.open({ ...options, from: [at("20.0.0.1:1")] })
        yield* sql`UPDATE runs SET started_at = started_at - 7200`
        assert.strictEqual(yield* store.prune(Duration.hours(1)), 0)
        assert.strictEqual((yield* frontier.current("Regtest"))?.id, id)
        yield* passes(3601)
        assert.strictEqual(yield* store.prune(Duration.hours(1)), 1)
      }).pipe(Effect.provide(layer))
    )
  })
}

/**
 * A client on which `other` happens right after the first statement that has these words in it: to its end, or until it waits
 * for what this one holds. What others see is committed, so it needs a database in which two transactions are made at a time.
 */
const between = Effect.fnUntraced(function* (
  hooks: ReadonlyArray<{ readonly after: string; readonly other: Effect.Effect<unknown, unknown> }>
) {
  const sql = yield* SqlClient.SqlClient
  const outside = yield* Effect.context<never>()
  const others: Array<Fiber.Fiber<unknown, unknown>> = []
  const waitsFor = (fiber: Fiber.Fiber<unknown, unknown>) =>
    sql<{ readonly waits: number }>`SELECT COUNT(*) AS waits FROM pg_locks
      WHERE NOT granted AND pg_backend_pid() = ANY (pg_blocking_pids(pid))`.pipe(
      Effect.map(([row]) => Number(row?.waits) > 0 || fiber.pollUnsafe() !== undefined),
      Effect.delay("10 millis"),
      Effect.repeat({ until: (isSo) => isSo })
    )
  const left = [...hooks]
  const watched = new Proxy(sql, {
    apply: (target, self, given) => {
      const statement: Effect.Effect<unknown, SqlError.SqlError> = Reflect.apply(target, self, given)
      const words: ReadonlyArray<string> = given[0]
      const [hook] = left
      if (hook === undefined || !words.join("?").includes(hook.after)) return statement
      left.shift()
      return Effect.tap(statement, () => {
        const fiber = Effect.runForkWith(outside)(hook.other)
        others.push(fiber)
        return waitsFor(fiber)
      })
    }
  })
  const frontier = yield* SharedFrontier.pipe(
    Effect.provide(Layer.fresh(SharedFrontier.layer)),
    Effect.provideService(SqlClient.SqlClient, watched)
  )
  /** What became of the others. */
  const ended = Effect.suspend(() => {
    assert.lengthOf(left, 0)
    return Effect.forEach(others, Fiber.join)
  })
  return { frontier, ended }
})

const races = (client: Layer.Layer<SqlClient.SqlClient, unknown>) => {
  const layer = SharedFrontier.layer.pipe(
    Layer.provideMerge(CensusStore.layer),
    Layer.provide(CensusPolicy.layer({ groupInterval: Duration.zero })),
    Layer.provideMerge(client),
    Layer.orDie
  )
  const exploringIsOver = Effect.flatMap(SqlClient.SqlClient, (sql) => sql`UPDATE frontier_runs SET explores_until = 1`)
  /** A run of ten minutes, of which somebody was reached before, so that it has a second phase. */
  const opened = Effect.gen(function* () {
    const store = yield* CensusStore
    const earlier = yield* store.begin(options)
    yield* store.record(earlier, "Regtest", [reached("127.5.0.1:1")])
    const frontier = yield* SharedFrontier
    const { id } = yield* frontier.open({ ...options, for: Duration.minutes(10), from: [at("127.0.0.1:1")] })
    yield* frontier.tend(id)
    return { frontier, id, sql: yield* SqlClient.SqlClient }
  })
  const stateOf = Effect.fnUntraced(function* (host: string) {
    const sql = yield* SqlClient.SqlClient
    const [row] = yield* sql<{
      readonly addresses: string
      readonly state: string
    }>`SELECT state, addresses FROM frontier_hosts WHERE host = ${host}`
    return row
  })

  describe("two machines at once", () => {
    it.live("begin no dial of a host that is left because exploring is over", () =>
      Effect.gen(function* () {
        const { frontier, id, sql } = yield* opened
        const one = yield* between([
          {
            after: "JOIN frontier_runs ON frontier_runs.run_id = hosts.run_id",
            other: Effect.andThen(exploringIsOver, frontier.tend(id)).pipe(
              Effect.provideService(SqlClient.SqlClient, sql)
            )
          }
        ])
        assert.deepStrictEqual(yield* one.frontier.begin(id, "127.0"), { _tag: "Wait", millis: 0 })
        yield* one.ended
        assert.strictEqual((yield* stateOf("127.0.0.1:1"))?.state, "Left")
        assert.strictEqual((yield* one.frontier.begin(id, "127.0"))._tag, "Nothing")
      }).pipe(Effect.provide(layer))
    )

    it.live("do not end a dial that another one has begun since", () =>
      Effect.gen(function* () {
        const { frontier, id, sql } = yield* opened
        const late = begun(yield* frontier.begin(id, "127.0"))
        const next = Effect.gen(function* () {
          yield* sql`UPDATE frontier_hosts SET begun_at = begun_at - 1801`
          yield* frontier.tend(id)
          return (yield* frontier.begin(id, "127.0"))._tag
        })
        const one = yield* between([{ after: "state = 'UnderWay' AND begun_at = ", other: next }])
        yield* one.frontier.unreachable(id, late)
        assert.deepStrictEqual(yield* one.ended, ["Nothing"])
        assert.strictEqual((yield* stateOf("127.0.0.1:1"))?.state, "Visited")
      }).pipe(Effect.provide(layer))
    )

    it.live("keep both ports when they tell of one host, known or not", () =>
      Effect.gen(function* () {
        const { frontier, id } = yield* opened
        for (const host of ["20.0.0.1", "20.0.0.1", "21.0.0.1"]) {
          const ports = host === "21.0.0.1" ? [3, 4] : [1, 2]
          const [mine, theirs] = ports.map((port) => at(`${host}:${port}`))
          assert(mine !== undefined && theirs !== undefined)
          const one = yield* between([{ after: "AS tellers", other: frontier.tell(id, "a", [theirs]) }])
          yield* one.frontier.tell(id, "b", [mine])
          yield* one.ended
        }
        assert.strictEqual((yield* stateOf("20.0.0.1"))?.addresses, "20.0.0.1:2 20.0.0.1:1")
        assert.strictEqual((yield* stateOf("21.0.0.1"))?.addresses, "21.0.0.1:4 21.0.0.1:3")
        yield* frontier.tell(id, "a", [at("22.0.0.1:1")])
        const one = yield* between([{ after: "AS tellers", other: frontier.tell(id, "a", [at("22.0.0.1:2")]) }])
        yield* one.frontier.tell(id, "b", [at("22.0.0.1:3")])
        yield* one.ended
        assert.strictEqual((yield* stateOf("22.0.0.1"))?.addresses, "22.0.0.1:1 22.0.0.1:2 22.0.0.1:3")
      }).pipe(Effect.provide(layer))
    )

    it.live("dial nobody who was told of when exploring had just ended", () =>
      Effect.gen(function* () {
        const { frontier, id, sql } = yield* opened
        const other = Effect.andThen(exploringIsOver, frontier.tend(id)).pipe(
          Effect.provideService(SqlClient.SqlClient, sql)
        )
        const one = yield* between([{ after: "SELECT phase, known", other }])
        yield* one.frontier.tell(id, "teller", [at("127.7.0.1:1")])
        yield* one.ended
        assert.strictEqual((yield* frontier.begin(id, "127.7"))._tag, "Nothing")
        yield* frontier.tend(id)
        assert.strictEqual((yield* stateOf("127.7.0.1:1"))?.state, "Left")
      }).pipe(Effect.provide(layer))
    )

    it.live("do not wait longer than fifteen seconds for one that stands still in the middle of a transaction", () =>
      Effect.gen(function* () {
        const { frontier, id, sql } = yield* opened
        const isHeld = yield* Deferred.make<void>()
        yield* sql`UPDATE frontier_runs SET touched_at = touched_at`.pipe(
          Effect.andThen(Deferred.succeed(isHeld, undefined)),
          Effect.andThen(Effect.never),
          sql.withTransaction,
          Effect.forkScoped
        )
        yield* Deferred.await(isHeld)
        yield* Effect.timeout(frontier.tend(id), "25 seconds")
      }).pipe(Effect.scoped, Effect.provide(layer))
    )

    it.live("begin another run when the one that was to be joined ends in that moment", () =>
      Effect.gen(function* () {
        const frontier = yield* SharedFrontier
        const sql = yield* SqlClient.SqlClient
        const one = yield* between([
          { after: "INSERT INTO runs", other: frontier.open({ ...options, from: [at("20.0.0.1:1")] }) },
          { after: "DELETE FROM runs", other: sql`UPDATE frontier_runs SET phase = 'Ended'` }
        ])
        const run = yield* one.frontier.open({ ...options, from: [at("21.0.0.1:1")] })
        yield* one.ended
        assert.isTrue(run.isNew)
        assert.strictEqual((yield* frontier.current("Regtest"))?.id, run.id)
        assert.strictEqual((yield* stateOf("21.0.0.1"))?.state, "Waiting")
      }).pipe(Effect.provide(layer))
    )
  })
}

contract("SQLite", Layer.fresh(SqliteClient.layer(":memory:")))

if (postgres === undefined) {
  console.log("NETWORK_EFFECT_POSTGRES is not set: a frontier in PostgreSQL is not tested")
} else {
  contract("PostgreSQL", layerSchema(postgres))
  races(layerSchema(postgres))
}
