/**
 * One census by two processes through a real PostgreSQL, where NETWORK_EFFECT_POSTGRES names one in which databases may be
 * made; one of the two is killed.
 */
import { createServer } from "node:net"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqlClient } from "effect/sql"
import { layerSql } from "../../layers/Census.ts"
import { ChainParams, regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as ScriptedPeer from "../../src/simulation/ScriptedPeer.ts"
import * as TcpTransport from "../../src/transport/TcpTransport.ts"
import { InboundTransport } from "../../src/transport/Transport.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import { Message } from "../../src/wire/Message.ts"
import { behindDoor, database, postgres } from "./postgres.ts"
import { freePort, makeHome, outcomeOf, type Run, startIn } from "../support/process.ts"

const at = PeerSocketAddress.fromStringUnsafe
if (postgres === undefined) {
  console.log("NETWORK_EFFECT_POSTGRES is not set: a census by several machines is not tested")
}

const { directory, remove } = makeHome()
afterAll(remove)
const start = startIn(directory)

const clusterRun = (port: number, store: string) =>
  `census run --cluster --network regtest --runner 127.0.0.1:${port} --store ${store}`.split(" ")

/** Peers in as many groups, that take a second for each word, and when somebody dialled each. The first tells of all. */
const slowPeers = Effect.fnUntraced(function* (count: number) {
  const transport = yield* InboundTransport
  const dials = new Map<string, Array<number>>()
  const addresses: Array<PeerSocketAddress.PeerSocketAddress> = []
  for (let n = 1; n <= count; n++) {
    const listener = yield* Effect.scoped(transport.listen(at(`127.${n}.0.1:0`)))
    addresses.push(listener.address)
  }
  for (const address of addresses) {
    const times: Array<number> = []
    dials.set(PeerSocketAddress.format(address), times)
    yield* ScriptedPeer.listen(
      address,
      ScriptedPeer.compose(ScriptedPeer.slow("1 second"), {
        version: (version) => {
          times.push(performance.now())
          return version
        },
        answer: Effect.fnUntraced(function* (message: Message, { say }: ScriptedPeer.Line) {
          if (message._tag === "Ping") return yield* Effect.as(say(Message.Pong({ nonce: message.nonce })), true)
          if (message._tag !== "GetAddr") return false
          const told = addresses.map((address) => ({ address, services: NODE_NETWORK, lastSeenSeconds: 1 }))
          return yield* Effect.as(say(Message.Addr({ addresses: told })), true)
        })
      })
    )
  }
  return { addresses: addresses.map(PeerSocketAddress.format), dials }
})

/** Looks until it holds. */
const eventuallyHolds = <E, R>(holds: Effect.Effect<boolean, E, R>, what: string) =>
  holds.pipe(
    Effect.delay("100 millis"),
    Effect.repeat({ until: (isSo) => isSo }),
    Effect.timeoutOrElse({ duration: "90 seconds", orElse: () => Effect.die(`waited 90 s for ${what}`) })
  )
/** Looks until it holds of what runs, or says how that ended. */
const eventually = ({ child, errors, output }: Run, holds: () => boolean, what: string) =>
  eventuallyHolds(
    Effect.suspend(() =>
      child.exitCode === null || holds()
        ? Effect.sync(holds)
        : Effect.die(`waited for ${what}, which ended with ${child.exitCode}: ${errors()} ${output()}`)
    ),
    what
  )

describe.skipIf(postgres === undefined)("a census by two machines", () => {
  it.live("loses nothing when one is killed: no host is dialled twice within its time, and none is forgotten", () =>
    Effect.gen(function* () {
      const store = yield* database(postgres ?? "")
      const { addresses, dials } = yield* slowPeers(120)
      const runner = Effect.fnUntraced(function* (rate: number) {
        const port = yield* Effect.promise(() => freePort())
        return start(...clusterRun(port, store), "--peer", addresses[0]!, "--max-rate", String(rate), "--json")
      })
      const reachedBy = (run: Run) => run.output().split('"_tag":"Reached"').length - 1
      const first = yield* runner(2)
      yield* eventually(first, () => reachedBy(first) >= 1, "the first machine to reach somebody")
      const second = yield* runner(8)
      yield* eventually(second, () => reachedBy(second) >= 3, "the second machine to reach somebody")
      first.child.kill("SIGKILL")
      yield* Effect.promise(() => first.ended)

      yield* Effect.gen(function* () {
        const sql = yield* SqlClient.SqlClient
        const hosts = sql<{
          readonly host: string
          readonly state: string
          readonly dials: number
        }>`SELECT host, state, dials FROM frontier_hosts`
        let abandoned: ReadonlyArray<string> = []
        // Whatever is under way longer than a visit can take was the first machine's.
        const isLeft = Effect.gen(function* () {
          const [row] = yield* sql<{ readonly others: number }>`SELECT COUNT(*) AS others FROM frontier_hosts
              WHERE state = 'Waiting' OR (state = 'UnderWay' AND begun_at > EXTRACT(EPOCH FROM clock_timestamp()) - 22)`
          return Number(row?.others) === 0
        })
        yield* eventuallyHolds(isLeft, "the second machine to dial all others")
        const rows = yield* hosts
        abandoned = rows.filter(({ state }) => state === "UnderWay").map(({ host }) => host)
        assert.isAbove(abandoned.length, 0)
        assert.deepStrictEqual([...new Set(rows.map(({ dials }) => dials))], [1])
        assert.strictEqual(second.child.exitCode, null)
        assert.isAtMost(Math.max(...[...dials.values()].map(({ length }) => length)), 1)

        // Half an hour later.
        yield* sql`UPDATE frontier_hosts SET begun_at = begun_at - 1800 WHERE state = 'UnderWay'`
        const { code, errors } = yield* Effect.promise(() => outcomeOf(second))
        assert.deepStrictEqual([code, errors], [0, ["run 1 is under way: this machine joins it"]])
        for (const [host, times] of dials) {
          assert.isAtLeast(times.length, 1, host)
          assert.isAtMost(times.length, abandoned.includes(host) ? 2 : 1, host)
        }
        const sightings = yield* sql<{ readonly host: string }>`SELECT host FROM sightings WHERE reached = 1`
        assert.deepStrictEqual(sightings.map(({ host }) => host).toSorted(), addresses.toSorted())
        const [run] = yield* sql<{
          readonly ending: string
          readonly known: number
        }>`SELECT ending, known FROM runs`
        assert.deepStrictEqual([run?.ending, run?.known], ["Exhausted", addresses.length])
      }).pipe(Effect.provide(layerSql(store)))
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(TcpTransport.layer, Layer.succeed(ChainParams, regtest))))
  )
})

describe.skipIf(postgres === undefined)("a database that goes away and comes back", () => {
  const runs = [
    ["one process", () => Effect.succeed([])],
    [
      "a machine of several",
      () =>
        Effect.map(
          Effect.promise(() => freePort()),
          (port) => ["--cluster", "--runner", `127.0.0.1:${port}`]
        )
    ]
  ] as const
  for (const [name, flagsOf] of runs) {
    it.live(`is waited for by ${name}, in one sentence, and nothing is lost`, () =>
      Effect.gen(function* () {
        const store = yield* database(postgres ?? "")
        const door = yield* behindDoor(store)
        const { addresses } = yield* slowPeers(20)
        const flags = [
          "--network",
          "regtest",
          "--store",
          door.url,
          "--peer",
          addresses[0]!,
          "--max-rate",
          "2",
          "--json"
        ]
        const run = start("census", "run", ...(yield* flagsOf()), ...flags)
        yield* eventually(run, () => run.output().split('"_tag":"Reached"').length > 3, "some to be reached")
        yield* door.shut
        yield* eventually(run, () => run.errors().includes("the census' database is away"), "a word about it")
        yield* door.open
        const { code } = yield* Effect.promise(() => outcomeOf(run))
        assert.strictEqual(code, 0)
        // And not another word, of the cluster's for instance.
        assert.lengthOf(run.errors().trim().split("\n"), 1)
        const [sightings, endings] = yield* Effect.gen(function* () {
          const sql = yield* SqlClient.SqlClient
          return yield* Effect.all([
            sql<{ readonly host: string }>`SELECT host FROM sightings WHERE reached = 1`,
            sql<{ readonly ending: string }>`SELECT ending FROM runs`
          ])
        }).pipe(Effect.provide(layerSql(store)))
        assert.deepStrictEqual(sightings.map(({ host }) => host).toSorted(), addresses.toSorted())
        assert.deepStrictEqual(
          endings.map(({ ending }) => ending),
          ["Exhausted"]
        )
      }).pipe(Effect.scoped, Effect.provide(Layer.merge(TcpTransport.layer, Layer.succeed(ChainParams, regtest))))
    )
  }
})

describe.skipIf(postgres === undefined)("a machine of a census", () => {
  it.live("whose port is taken says so in one sentence", () =>
    Effect.gen(function* () {
      const store = yield* database(postgres ?? "")
      const taken = createServer()
      yield* Effect.acquireRelease(
        Effect.callback<void>((resume) => {
          taken.listen(0, "127.0.0.1", () => resume(Effect.void))
        }),
        () => Effect.sync(() => taken.close())
      )
      const address = taken.address()
      const port = typeof address === "object" && address !== null ? address.port : 0
      const { code, errors, output } = yield* Effect.promise(() =>
        outcomeOf(start(...clusterRun(port, store), "--peer", "127.0.0.1:1"))
      )
      assert.deepStrictEqual([code, output], [1, ""])
      assert.lengthOf(errors, 1)
      assert.match(
        errors[0] ?? "",
        new RegExp(
          `^network-effect: other machines cannot reach this one at 127.0.0.1:${port} .*EADDRINUSE.*: see --runner.$`
        )
      )
    }).pipe(Effect.scoped)
  )
})
