/**
 * The contract of the store on SQLite, and on PostgreSQL where NETWORK_EFFECT_POSTGRES names one in which schemas may be made.
 */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { SqlClient } from "effect/sql"
import * as SqliteClient from "../../layers/SqliteClient.ts"
import { CensusStore } from "../../src/census/CensusStore.ts"
import { layerSchema, postgres } from "./postgres.ts"
import { progress, reached, storeContract } from "./storeContract.ts"

storeContract("SQLite", Layer.fresh(SqliteClient.layer(":memory:")))

if (postgres === undefined) {
  console.log("NETWORK_EFFECT_POSTGRES is not set: the census' store on PostgreSQL is not tested")
} else {
  storeContract("PostgreSQL", layerSchema(postgres))
}

describe("SQLite", () => {
  it.effect("has one transaction at a time, and what is written beside it waits", () =>
    Effect.gen(function* () {
      const sql = yield* SqlClient.SqlClient
      yield* sql`CREATE TABLE words (word TEXT)`
      const slow = sql.withTransaction(
        Effect.andThen(
          sql`INSERT INTO words VALUES ('taken back')`,
          Effect.andThen(Effect.sleep("1 second"), Effect.fail("no"))
        )
      )
      const first = yield* Effect.forkChild(Effect.exit(slow), { startImmediately: true })
      const second = yield* Effect.forkChild(sql`INSERT INTO words VALUES ('kept')`, { startImmediately: true })
      const third = yield* Effect.forkChild(sql.withTransaction(sql`INSERT INTO words VALUES ('kept too')`), {
        startImmediately: true
      })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(first)
      yield* Fiber.join(second)
      yield* Fiber.join(third)
      assert.deepStrictEqual(
        (yield* sql<{ readonly word: string }>`SELECT word FROM words`).map(({ word }) => word),
        ["kept", "kept too"]
      )
    }).pipe(Effect.provide(SqliteClient.layer(":memory:")))
  )
})

describe("a census in a file", () => {
  const directory = mkdtempSync(join(tmpdir(), "network-effect-census-"))
  afterAll(() => rmSync(directory, { recursive: true }))
  const run = { network: "Regtest", userAgent: "/census/", protocolVersion: 170_190 }

  it.live("is there for the next process, and for two at a time", () => {
    const file = SqliteClient.layer(join(directory, "shared.sqlite"))
    const store = Layer.fresh(CensusStore.layer.pipe(Layer.provide(file)))
    const write = Effect.gen(function* () {
      const store = yield* CensusStore
      const id = yield* store.begin(run)
      for (let n = 1; n <= 20; n++) yield* store.record(id, "Regtest", [reached(`192.0.2.${n}:1`), progress(null, n)])
      return id
    }).pipe(Effect.provide(store))
    return Effect.gen(function* () {
      const ids = yield* Effect.all([write, write], { concurrency: 2 })
      const found = yield* Effect.gen(function* () {
        const store = yield* CensusStore
        return yield* Effect.forEach(ids, (id) => Effect.map(store.sightings(id), ({ length }) => length))
      }).pipe(Effect.provide(store))
      assert.deepStrictEqual(found, [20, 20])
      assert.notStrictEqual(ids[0], ids[1])
    })
  })

  it.effect("waits for a database that is away, says so once, and keeps what was found meanwhile", () =>
    Effect.gen(function* () {
      const store = yield* CensusStore
      const id = yield* store.begin(run)
      const other = new DatabaseSync(join(directory, "held.sqlite"))
      other.exec("BEGIN EXCLUSIVE")
      let told = 0
      const onWait = Effect.sync(() => told++)
      const writing = yield* Effect.forkChild(store.record(id, "Regtest", [reached("192.0.2.1:1")], onWait), {
        startImmediately: true
      })
      for (let seconds = 0; seconds < 5; seconds++) yield* TestClock.adjust("1 second")
      assert.deepStrictEqual([told, writing.pollUnsafe()], [1, undefined])
      other.exec("ROLLBACK")
      other.close()
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(writing)
      assert.strictEqual((yield* store.sightings(id)).length, 1)
    }).pipe(
      Effect.provide(CensusStore.layer.pipe(Layer.provide(SqliteClient.layer(join(directory, "held.sqlite"), 0))))
    )
  )

  it.effect("gives up on one that stays away for five minutes, in one sentence", () =>
    Effect.gen(function* () {
      const store = yield* CensusStore
      const id = yield* store.begin(run)
      const other = new DatabaseSync(join(directory, "gone.sqlite"))
      other.exec("PRAGMA busy_timeout=0; BEGIN EXCLUSIVE")
      const writing = yield* Effect.forkChild(Effect.flip(store.record(id, "Regtest", [reached("192.0.2.1:1")])), {
        startImmediately: true
      })
      for (let minutes = 0; minutes < 6; minutes++) yield* TestClock.adjust("1 minute")
      const error = yield* Fiber.join(writing)
      assert.deepStrictEqual(
        [error.reason, error.message],
        ["Unreachable", "The census' database does not answer: database is locked."]
      )
      other.close()
    }).pipe(
      Effect.provide(CensusStore.layer.pipe(Layer.provide(SqliteClient.layer(join(directory, "gone.sqlite"), 0))))
    )
  )

  it.effect("says in one sentence that the disk is full, and keeps what was there", () =>
    Effect.gen(function* () {
      const store = yield* CensusStore
      const sql = yield* SqlClient.SqlClient
      const id = yield* store.begin(run)
      yield* store.record(id, "Regtest", [reached("192.0.2.1:1")])
      const pages = yield* sql<{ readonly page_count: number }>`PRAGMA page_count`
      yield* sql`PRAGMA max_page_count = ${sql.literal(String(pages[0]?.page_count))}`
      const many = Array.from({ length: 2000 }, (_, n) => reached(`20.0.${Math.floor(n / 250)}.${n % 250}:1`))
      const error = yield* Effect.flip(store.record(id, "Regtest", many))
      assert.deepStrictEqual(
        [error.reason, error.message],
        [
          "Full",
          "The census' disk is full: make room, or choose another place with --store. What was found before is kept."
        ]
      )
      assert.strictEqual((yield* store.sightings(id)).length, 1)
    }).pipe(
      Effect.provide(CensusStore.layer.pipe(Layer.provideMerge(SqliteClient.layer(join(directory, "full.sqlite")))))
    )
  )
})
