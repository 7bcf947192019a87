/** What every database of a census has to do, and the tests of it. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { TestClock } from "effect/testing"
import { CensusStore, type Run, together } from "../../src/census/CensusStore.ts"
import { Finding, type How } from "../../src/census/Finding.ts"
import * as Schema from "../../src/census/Schema.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"

const at = PeerSocketAddress.fromStringUnsafe

export const reached = (
  address: string,
  more: {
    readonly how?: How
    readonly height?: number | null
    readonly userAgent?: string
    readonly version?: number
    readonly atMillis?: number
  } = {}
): Finding =>
  Finding.Reached({
    address: at(address),
    atMillis: more.atMillis ?? 5000,
    how: more.how ?? "Explored",
    protocolVersion: more.version ?? 170_190,
    services: 1n,
    userAgent: more.userAgent ?? "/peer/",
    height: more.height ?? null,
    clockOffsetSeconds: -3,
    latencyMillis: 12.5,
    told: 2,
    claims: "198.51.100.7"
  })

export const unreachable = (address: string, atMillis = 6000): Finding =>
  Finding.Unreachable({ address: at(address), atMillis, how: "Explored", reason: "Refused", code: "ECONNREFUSED" })

export const told = (teller: string, ...addresses: ReadonlyArray<string>): Finding =>
  Finding.Told({ teller: at(teller), atMillis: 5000, addresses: addresses.map(at) })

export const progress = (end: "Exhausted" | "OutOfTime" | null, known: number, atMillis = 9000): Finding =>
  Finding.Progress({
    atMillis,
    elapsedMillis: 1000,
    known,
    visited: known,
    reached: 0,
    dials: known,
    underWay: 0,
    waiting: 4,
    doubtful: 5,
    end
  })

const run = { network: "Regtest", userAgent: "/census/", protocolVersion: 170_190 }

/** `client` is an empty database each time it is built. */
export const storeContract = (name: string, client: Layer.Layer<SqlClient.SqlClient, unknown>) => {
  const store = CensusStore.layer.pipe(Layer.provideMerge(client), Layer.orDie)

  describe(`a census in ${name}`, () => {
    it.effect("gives back what it was told, of each host once", () =>
      Effect.gen(function* () {
        yield* TestClock.setTime(4000)
        const store = yield* CensusStore
        const id = yield* store.begin(run)
        yield* store.record(id, "Regtest", [
          reached("192.0.2.1:8233", {
            height: 77,
            version: 4_294_967_295,
            userAgent: "/\u0000evil\u001b[2J \ud800 'x' \"y\"/"
          }),
          unreachable("[2001:db8::5]:8233"),
          told("192.0.2.1:8233", "198.51.100.1:1", "[2001:db8::5]:8233"),
          progress(null, 3)
        ])
        yield* store.record(id, "Regtest", [progress("Exhausted", 9)])
        const [only] = yield* store.runs()
        assert.deepStrictEqual(only, {
          id,
          network: "Regtest",
          userAgent: "/census/",
          startedAt: 4,
          endedAt: 9,
          ending: "Exhausted",
          known: 9,
          waiting: 4,
          doubtful: 5
        })
        const sightings = yield* store.sightings(id)
        assert.deepStrictEqual(
          sightings.map(({ host, isReached, reason }) => [host, isReached, reason]),
          [
            ["192.0.2.1", true, null],
            ["2001:db8::/64", false, "Refused"]
          ]
        )
        const [first] = sightings
        assert.deepStrictEqual(first, {
          runId: id,
          host: "192.0.2.1",
          group: "192.0",
          address: "192.0.2.1:8233",
          at: 5,
          how: "Explored",
          isReached: true,
          reason: null,
          code: null,
          version: 4_294_967_295,
          services: 1,
          userAgent: first?.userAgent ?? "",
          height: 77,
          clockOffset: -3,
          latency: 12.5,
          told: 2,
          claims: "198.51.100.7"
        })
        assert.match(first?.userAgent ?? "", /^\/\?evil\?\[2J . 'x' "y"\/$/u)
      }).pipe(Effect.provide(store))
    )

    it.effect("keeps who came, of each host the first time", () =>
      Effect.gen(function* () {
        const store = yield* CensusStore
        const id = yield* store.begin(run)
        const came = (address: string, userAgent: string) =>
          Finding.Came({
            address: at(address),
            atMillis: 7000,
            protocolVersion: 170_190,
            services: 1n,
            userAgent,
            height: null
          })
        yield* store.record(id, "Regtest", [came("192.0.2.1:40001", "/a\u001b/"), came("[2001:db8::1]:40002", "/b/")])
        yield* store.record(id, "Regtest", [came("192.0.2.1:40003", "/c/")])
        assert.deepStrictEqual(yield* store.guests(id), [
          {
            host: "192.0.2.1",
            address: "192.0.2.1:40001",
            at: 7,
            version: 170_190,
            services: 1,
            height: null,
            userAgent: "/a?/"
          },
          {
            host: "2001:db8::/64",
            address: "[2001:db8::1]:40002",
            at: 7,
            version: 170_190,
            services: 1,
            height: null,
            userAgent: "/b/"
          }
        ])
        assert.lengthOf(yield* store.sightings(id), 0)
        yield* TestClock.adjust("10 days")
        yield* store.prune(Duration.days(1))
        assert.lengthOf(yield* store.guests(id), 0)
      }).pipe(Effect.provide(store))
    )

    it.effect("does not forget that a host answered when it does not answer later in the run", () =>
      Effect.gen(function* () {
        const store = yield* CensusStore
        const id = yield* store.begin(run)
        yield* store.record(id, "Regtest", [reached("192.0.2.1:1", { height: 5 }), unreachable("192.0.2.1:1")])
        yield* store.record(id, "Regtest", [unreachable("192.0.2.1:1")])
        const [still] = yield* store.sightings(id)
        assert.deepStrictEqual([still?.isReached, still?.height, still?.at], [true, 5, 5])
        yield* store.record(id, "Regtest", [reached("192.0.2.1:1", { height: null, atMillis: 8000 })])
        const [only] = yield* store.sightings(id)
        assert.deepStrictEqual([only?.isReached, only?.height, only?.at], [true, 5, 8])
      }).pipe(Effect.provide(store))
    )

    it.effect("tells the history of a host, over runs and networks", () =>
      Effect.gen(function* () {
        const store = yield* CensusStore
        const first = yield* store.begin(run)
        yield* store.record(first, "Regtest", [unreachable("192.0.2.1:1", 1000)])
        const second = yield* store.begin(run)
        yield* store.record(second, "Regtest", [reached("192.0.2.1:1", { atMillis: 2000 })])
        const third = yield* store.begin(run)
        yield* store.record(third, "Regtest", [unreachable("192.0.2.1:1", 3000)])
        const other = yield* store.begin({ ...run, network: "Mainnet" })
        yield* store.record(other, "Mainnet", [reached("192.0.2.1:1", { atMillis: 9000 })])
        const history = yield* store.host("Regtest", "192.0.2.1")
        assert.deepStrictEqual(
          [history?.firstDialled, history?.lastDialled, history?.firstReached, history?.lastReached],
          [1, 3, 2, 2]
        )
        assert.deepStrictEqual(
          history?.sightings.map(({ isReached, runId }) => [runId, isReached]),
          [
            [first, false],
            [second, true],
            [third, false]
          ]
        )
        assert.isUndefined(yield* store.host("Regtest", "192.0.2.2"))
        assert.deepStrictEqual((yield* store.reachedBefore("Regtest", 3)).map(PeerSocketAddress.format), [
          "192.0.2.1:1"
        ])
        assert.deepStrictEqual(yield* store.reachedBefore("Regtest", 1), [])
      }).pipe(Effect.provide(store))
    )

    it.effect("counts versions run by run, of those that answered", () =>
      Effect.gen(function* () {
        const store = yield* CensusStore
        const first = yield* store.begin(run)
        yield* store.record(first, "Regtest", [
          reached("192.0.2.1:1", { version: 170_150 }),
          reached("192.0.2.2:1", { version: 170_150 }),
          unreachable("192.0.2.3:1")
        ])
        const second = yield* store.begin(run)
        yield* store.record(second, "Regtest", [
          reached("192.0.2.1:1", { version: 170_190 }),
          reached("192.0.2.2:1", { version: 170_150 })
        ])
        const other = yield* store.begin({ ...run, network: "Mainnet" })
        yield* store.record(other, "Mainnet", [reached("192.0.2.1:1")])
        assert.deepStrictEqual(yield* store.versions("Regtest"), [
          { runId: first, version: 170_150, nodes: 2 },
          { runId: second, version: 170_150, nodes: 1 },
          { runId: second, version: 170_190, nodes: 1 }
        ])
      }).pipe(Effect.provide(store))
    )

    it.effect("says whose word leads nowhere, from a bounded sample", () =>
      Effect.gen(function* () {
        const store = yield* CensusStore
        const id = yield* store.begin(run)
        const invented = Array.from({ length: 1000 }, (_, n) => `20.0.${Math.floor(n / 250)}.${n % 250}:1`)
        yield* store.record(id, "Regtest", [
          reached("192.0.2.1:1"),
          reached("192.0.2.2:1"),
          told("192.0.2.1:1", "192.0.2.1:1", "192.0.2.2:1"),
          told("192.0.2.2:1", ...invented)
        ])
        assert.deepStrictEqual(yield* store.tellers(id, 10), [
          { teller: "192.0.2.2", sampled: 64, reached: 0 },
          { teller: "192.0.2.1", sampled: 2, reached: 2 }
        ])
      }).pipe(Effect.provide(store))
    )

    it.effect("forgets what is older than it may be", () =>
      Effect.gen(function* () {
        const store = yield* CensusStore
        const old = yield* store.begin(run)
        yield* store.record(old, "Regtest", [
          reached("192.0.2.1:1", { atMillis: 0 }),
          told("192.0.2.1:1", "192.0.2.2:1")
        ])
        yield* TestClock.setTime(Duration.toMillis(Duration.days(2)))
        const recent = yield* store.begin(run)
        assert.strictEqual(yield* store.prune(Duration.days(1)), 1)
        assert.deepStrictEqual(
          (yield* store.runs()).map(({ id }) => id),
          [recent]
        )
        assert.deepStrictEqual(yield* store.sightings(old), [])
        assert.deepStrictEqual(yield* store.tellers(old, 10), [])
        assert.isUndefined(yield* store.host("Regtest", "192.0.2.1"))
      }).pipe(Effect.provide(store))
    )

    it.effect("leaves a run alone that somebody is making, however old it may be", () =>
      Effect.gen(function* () {
        const store = yield* CensusStore
        const long = yield* store.begin(run)
        const ended = yield* store.begin(run)
        const killed = yield* store.begin(run)
        const now = Duration.toMillis(Duration.hours(5))
        yield* store.record(long, "Regtest", [reached("192.0.2.1:1", { atMillis: now - 60_000 })])
        yield* store.record(ended, "Regtest", [reached("192.0.2.1:1"), progress("Exhausted", 1)])
        yield* store.record(killed, "Regtest", [reached("192.0.2.1:1")])
        yield* TestClock.setTime(now)
        const begun = yield* store.begin(run)
        assert.strictEqual(yield* store.prune(Duration.zero), 2)
        assert.deepStrictEqual(
          (yield* store.runs()).map(({ id }) => id),
          [long, begun]
        )
        assert.strictEqual((yield* store.sightings(long)).length, 1)
      }).pipe(Effect.provide(store))
    )

    it.effect("knows what came first when it is written last", () =>
      Effect.gen(function* () {
        const store = yield* CensusStore
        const id = yield* store.begin(run)
        const host = Effect.map(store.host("Regtest", "192.0.2.1"), (history) => ({
          first: history?.firstDialled,
          last: history?.lastDialled,
          firstReached: history?.firstReached,
          lastReached: history?.lastReached,
          agent: history?.sightings[0]?.userAgent
        }))
        yield* store.record(id, "Regtest", [reached("192.0.2.1:1", { atMillis: 400_000, userAgent: "/new/" })])
        yield* store.record(id, "Regtest", [reached("192.0.2.1:1", { atMillis: 100_000, userAgent: "/old/" })])
        yield* store.record(id, "Regtest", [unreachable("192.0.2.1:1", 50_000)])
        const times = { first: 50, last: 400, firstReached: 100, lastReached: 400 }
        assert.deepStrictEqual(yield* host, { ...times, agent: "/new/" })
        yield* store.record(id, "Regtest", [reached("192.0.2.1:1", { atMillis: 500_000, userAgent: "/newer/" })])
        assert.deepStrictEqual(yield* host, { ...times, last: 500, lastReached: 500, agent: "/newer/" })
      }).pipe(Effect.provide(store))
    )

    it.effect("is read again when a run is forgotten while one reads", () =>
      Effect.gen(function* () {
        const store = yield* CensusStore
        const old = yield* store.begin(run)
        yield* store.record(old, "Regtest", [reached("192.0.2.1:1"), progress("Exhausted", 1)])
        yield* TestClock.setTime(Duration.toMillis(Duration.days(2)))
        const recent = yield* store.begin(run)
        const reads: Array<ReadonlyArray<number>> = []
        const read = yield* together(
          Effect.fnUntraced(function* (runs: ReadonlyArray<Run>) {
            reads.push(runs.map(({ id }) => id))
            yield* store.prune(Duration.days(1))
            return yield* Effect.forEach(runs, ({ id }) => store.sightings(id))
          })
        )
        assert.deepStrictEqual(reads, [[old, recent], [recent]])
        assert.deepStrictEqual(read, [[]])
      }).pipe(Effect.provide(store))
    )

    it.effect("keeps all of a batch or nothing", () =>
      Effect.gen(function* () {
        const store = yield* CensusStore
        const id = yield* store.begin(run)
        const sql = yield* SqlClient.SqlClient
        yield* sql`DROP TABLE tellings`
        const error = yield* Effect.flip(
          store.record(id, "Regtest", [reached("192.0.2.1:1"), told("192.0.2.1:1", "192.0.2.2:1")])
        )
        assert.strictEqual(error.reason, "Failed")
        assert.deepStrictEqual(yield* store.sightings(id), [])
      }).pipe(Effect.provide(store))
    )

    it.effect("refuses a database that a newer program wrote, in one sentence", () =>
      Effect.gen(function* () {
        yield* Effect.provideService(
          Effect.scoped(Layer.build(CensusStore.layer)),
          SqlClient.SqlClient,
          yield* SqlClient.SqlClient
        )
        const sql = yield* SqlClient.SqlClient
        yield* sql`INSERT INTO ${sql(Schema.migrationsTable)} ${sql.insert({ migration_id: 99, name: "later" })}`
        const error = yield* Effect.flip(Effect.scoped(Layer.build(CensusStore.layer)))
        assert(error._tag === "CensusStoreError")
        assert.strictEqual(error.reason, "Newer")
        assert.strictEqual(
          error.message,
          `A newer network-effect wrote this census (schema 99, this one knows ${Schema.latest}): use that one, or choose another --store.`
        )
      }).pipe(Effect.provide(Layer.orDie(client)))
    )
  })
}
