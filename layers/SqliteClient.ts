/**
 * `SqlClient` on Node's own SQLite: a database in one file, and nothing to install.
 *
 * Every statement runs at once on the one connection, so a transaction holds all others back. `BEGIN IMMEDIATE`, because two
 * processes that share the file would otherwise find out only at their first write that the other one was first.
 *
 * @module
 */
import type { SQLInputValue, StatementSync } from "node:sqlite"
import { Context, Effect, Fiber, Layer, Scope, Semaphore, Stream } from "effect"
import { Reactivity } from "effect/reactivity"
import { SqlClient, SqlError, Statement } from "effect/sql"
import type { Connection } from "effect/sql/SqlConnection"

/** Statements kept prepared: more than a program of ours has. */
const preparedStatements = 100

/** Time SQLite itself waits for another process, in milliseconds, unless told: this one does nothing else meanwhile. */
const defaultBusyMillis = 100

/** SQLite's own number of an error, where `classifySqliteError` looks for it. */
const failed = (operation: string) => (cause: unknown) => {
  if (cause instanceof Error && "errcode" in cause && !("errno" in cause)) {
    Object.assign(cause, { errno: cause.errcode })
  }
  const message = cause instanceof Error ? cause.message : String(cause)
  return new SqlError.SqlError({ reason: SqlError.classifySqliteError(cause, { message, operation }) })
}

const execute = (statement: StatementSync, parameters: ReadonlyArray<unknown>): ReadonlyArray<unknown> => {
  const values = parameters as ReadonlyArray<SQLInputValue>
  if (statement.columns().length > 0) return statement.all(...values)
  statement.run(...values)
  return []
}

const make = Effect.fnUntraced(function* (filename: string, busyMillis: number) {
  // Not before it is wanted: Node 22 says with the import, to whoever runs any command, that it is an experiment. And at once,
  // so that it can be had in virtual time.
  const { DatabaseSync } = process.getBuiltinModule("node:sqlite")
  const database = yield* Effect.acquireRelease(
    Effect.try({
      try: () => {
        const database = new DatabaseSync(filename)
        database.exec(`PRAGMA busy_timeout=${busyMillis}; PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL`)
        return database
      },
      catch: failed("open")
    }),
    (database) => Effect.sync(() => database.close())
  )

  const prepared = new Map<string, StatementSync>()
  const prepare = (sql: string): StatementSync => {
    const known = prepared.get(sql)
    const statement = known ?? database.prepare(sql)
    // Last used, last in.
    prepared.delete(sql)
    prepared.set(sql, statement)
    for (const oldest of prepared.keys()) {
      if (prepared.size <= preparedStatements) break
      prepared.delete(oldest)
    }
    return statement
  }

  const run = (statement: () => StatementSync, parameters: ReadonlyArray<unknown>) =>
    Effect.try({ try: () => execute(statement(), parameters), catch: failed("execute") })
  const runForArrays = (statement: () => StatementSync, parameters: ReadonlyArray<unknown>) =>
    Effect.try({
      try: () => {
        const prepared = statement()
        prepared.setReturnArrays(true)
        try {
          return execute(prepared, parameters) as ReadonlyArray<ReadonlyArray<unknown>>
        } finally {
          prepared.setReturnArrays(false)
        }
      },
      catch: failed("execute")
    })

  type Transform = Parameters<Connection["execute"]>[2]
  const transformed = (
    effect: Effect.Effect<ReadonlyArray<unknown>, SqlError.SqlError>,
    transform: Transform
  ): ReturnType<Connection["execute"]> =>
    Effect.map(effect, (rows) => {
      const objects = rows as ReadonlyArray<object>
      return transform === undefined ? objects : transform(objects)
    })

  const connection: Connection = {
    execute: (sql, parameters, transform) =>
      transformed(
        run(() => prepare(sql), parameters),
        transform
      ),
    executeRaw: (sql, parameters) => run(() => prepare(sql), parameters),
    executeValues: (sql, parameters) => runForArrays(() => prepare(sql), parameters),
    executeValuesUnprepared: (sql, parameters) => runForArrays(() => database.prepare(sql), parameters),
    executeUnprepared: (sql, parameters, transform) =>
      transformed(
        run(() => database.prepare(sql), parameters),
        transform
      ),
    executeStream: (sql, parameters, transform) =>
      Stream.unwrap(
        Effect.map(
          transformed(
            run(() => prepare(sql), parameters),
            transform
          ),
          (rows) => Stream.fromIterable(rows)
        )
      )
  }

  const permit = yield* Semaphore.make(1)
  return yield* SqlClient.make({
    acquirer: permit.withPermits(1)(Effect.succeed(connection)),
    transactionAcquirer: Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const fiber = Fiber.getCurrent()
        yield* restore(permit.take(1))
        if (fiber !== undefined) {
          yield* Scope.addFinalizer(Context.getUnsafe(fiber.context, Scope.Scope), permit.release(1))
        }
        return connection
      })
    ),
    compiler: Statement.makeCompilerSqlite(),
    driver: "sqlite-node",
    beginTransaction: "BEGIN IMMEDIATE",
    spanAttributes: [["db.system.name", "sqlite"]]
  })
})

/** The database in this file, which is made when it is not there; `:memory:` for one that nobody else sees. */
export const layer = (
  filename: string,
  busyMillis: number = defaultBusyMillis
): Layer.Layer<SqlClient.SqlClient, SqlError.SqlError> =>
  Layer.effect(SqlClient.SqlClient, make(filename, busyMillis)).pipe(Layer.provide(Reactivity.layer))
