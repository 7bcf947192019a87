/** `network-effect census serve` as a process: where its page is, and what it says when it cannot be. */
import { createServer, type Server } from "node:net"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqliteClient } from "network-effect/layers"
import { CensusStore } from "../../src/census/CensusStore.ts"
import { fill } from "../support/censusHistory.ts"
import { runIn } from "../support/inProcess.ts"
import { makeHome, outcomeOf, startIn, until } from "../support/process.ts"

const { directory, remove } = makeHome()
afterAll(remove)
const serve = (...args: ReadonlyArray<string>) => startIn(directory)("census", "serve", ...args)

/** A store with two runs, for each test its own. */
const filled = (name: string) => {
  const store = join(directory, name)
  return fill("Mainnet", 2).pipe(
    Effect.provide(CensusStore.layer.pipe(Layer.provide(SqliteClient.layer(store)))),
    Effect.scoped,
    Effect.as(store)
  )
}

describe("network-effect census serve", () => {
  it.live("shows a store on a free port until it is stopped", () =>
    Effect.gen(function* () {
      const store = yield* filled("shown.sqlite")
      const run = serve("--store", store, "--listen", "127.0.0.1:0")
      yield* Effect.promise(() => until(() => run.output().includes("\n"), "the page"))
      const [, url = ""] = /^census page: (http:\/\/127\.0\.0\.1:\d+\/)census$/m.exec(run.output()) ?? []
      const page = yield* Effect.promise(() => fetch(url))
      assert.deepStrictEqual([page.status, page.url], [200, `${url}census`])
      const overview = yield* Effect.promise(() => fetch(`${url}census/overview`).then((answer) => answer.json()))
      assert.deepInclude(overview, { network: "Mainnet", runsKept: 2 })
      run.child.kill("SIGTERM")
      assert.deepStrictEqual(yield* Effect.promise(() => run.ended), { code: 0, signal: null })
    })
  )

  it.live("says in one sentence why it cannot be shown", () =>
    Effect.gen(function* () {
      const store = yield* filled("hidden.sqlite")
      const holder = yield* Effect.acquireRelease(
        Effect.callback<Server>((resume) => {
          const server = createServer().listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
        }),
        (server) => Effect.sync(() => server.close())
      )
      const held = holder.address()
      const taken = typeof held === "object" ? held?.port : undefined
      const told = ({ code, errors }: { readonly code: number | null; readonly errors: ReadonlyArray<string> }) =>
        [code, ...errors].join(" ")
      const why = (...args: ReadonlyArray<string>) =>
        Effect.map(
          Effect.promise(() => runIn(directory)("census", "serve", ...args)),
          told
        )
      const missing = join(directory, "none.sqlite")
      assert.strictEqual(
        yield* why("--store", missing),
        `1 network-effect: there is no census at ${missing}: network-effect census run --store ${missing} makes one.`
      )
      assert.match(
        yield* why("--store", store, "--listen", "nowhere"),
        /^1 network-effect: --listen has to be ip:port or \[ip6\]:port, not "nowhere": /
      )
      assert.strictEqual(
        yield* why("--store", store, "--listen", "0.0.0.0:0"),
        "1 network-effect: 0.0.0.0:0 can be reached by others: set NETWORK_EFFECT_STATUS_TOKEN, or choose a loopback address with --listen."
      )
      assert.match(
        told(yield* Effect.promise(() => outcomeOf(serve("--store", store, "--listen", `127.0.0.1:${taken}`)))),
        /^1 network-effect: 127\.0\.0\.1:\d+ is already in use, .*: choose another with --listen\.$/
      )
    }).pipe(Effect.scoped)
  )
})
