/** The PostgreSQL that tests may use, each with a part of it that is its own and ends with it. */
import * as net from "node:net"
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

/** The same database through a door that can be shut: whoever is inside is thrown out, and nobody comes in. */
export const behindDoor = (url: string) =>
  Effect.gen(function* () {
    const target = new URL(url)
    const inside = new Set<net.Socket>()
    const server = net.createServer((client) => {
      const upstream = net.connect(Number(target.port), target.hostname)
      for (const [socket, other] of [
        [client, upstream],
        [upstream, client]
      ] as const) {
        inside.add(socket)
        socket.on("error", () => socket.destroy())
        socket.on("close", () => {
          inside.delete(socket)
          other.destroy()
        })
        socket.pipe(other)
      }
    })
    let port = 0
    const open = Effect.callback<void>((resume) => {
      server.listen(port, "127.0.0.1", () => {
        const address = server.address()
        if (typeof address === "object" && address !== null) port = address.port
        resume(Effect.void)
      })
    })
    const shut = Effect.callback<void>((resume) => {
      server.close(() => resume(Effect.void))
      for (const socket of inside) socket.destroy()
    })
    yield* Effect.acquireRelease(open, () => shut)
    const outside = new URL(url)
    outside.port = String(port)
    return { url: outside.href, open, shut }
  })
