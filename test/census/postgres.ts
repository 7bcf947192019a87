/** The PostgreSQL that tests may use, each with a part of it that is its own and ends with it. */
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { layerSql } from "../../layers/Census.ts"

/** A server in which schemas and databases may be made; `undefined` where there is none. */
export const postgres = process.env["NETWORK_EFFECT_POSTGRES"]

const one = (url: string, statement: string) =>
  Effect.flatMap(SqlClient.SqlClient, (sql) => sql.unsafe(statement)).pipe(Effect.provide(layerSql(url)), Effect.orDie)

let made = 0
const nameOf = () => `census_${process.pid}_${performance.timeOrigin.toFixed(0)}_${made++}`

/** A client of an empty schema, a new one each time it is built. */
export const layerSchema = (url: string) =>
  Layer.fresh(
    Layer.unwrap(
      Effect.gen(function* () {
        const name = nameOf()
        yield* Effect.acquireRelease(one(url, `CREATE SCHEMA ${name}`), () => one(url, `DROP SCHEMA ${name} CASCADE`))
        const inside = new URL(url)
        inside.searchParams.set("options", `-c search_path=${name}`)
        return layerSql(inside.href)
      })
    )
  )

/** The URL of an empty database, which ends with the scope. */
export const database = (url: string) =>
  Effect.gen(function* () {
    const name = nameOf()
    yield* Effect.acquireRelease(one(url, `CREATE DATABASE ${name}`), () =>
      one(url, `DROP DATABASE ${name} WITH (FORCE)`)
    )
    const inside = new URL(url)
    inside.pathname = `/${name}`
    return inside.href
  })
