/** `network-effect census`, the whole command, against nodes of ours and scripted peers on loopback TCP. */
import { existsSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Option, SubscriptionRef } from "effect"
import * as Node from "../../layers/Node.ts"
import { defaultUserAgent } from "../../src/census/Census.ts"
import { ChainParams, regtest } from "../../src/chain/ChainParams.ts"
import { ChainTip, type Tip } from "../../src/chain/ChainTip.ts"
import type { BlockHash } from "../../src/chain/Hash.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { Network } from "../../src/network/Network.ts"
import * as ScriptedPeer from "../../src/simulation/ScriptedPeer.ts"
import * as TcpTransport from "../../src/transport/TcpTransport.ts"
import { InboundTransport } from "../../src/transport/Transport.ts"
import { runIn } from "../support/inProcess.ts"
import { makeHome, outcomeOf, startIn } from "../support/process.ts"

const { directory, remove } = makeHome()
afterAll(remove)
const census = (...args: ReadonlyArray<string>) => Effect.promise(() => runIn(directory)("census", ...args))
/** As a process, which ends by itself whatever is open. */
const process_ = (...args: ReadonlyArray<string>) =>
  Effect.promise(() => outcomeOf(startIn(directory)("census", ...args)))
const at = PeerSocketAddress.fromStringUnsafe

/** A node of ours at a height, on a free port of its own loopback address. */
const nodeAt = (ip: string, height: number) =>
  Effect.gen(function* () {
    const tip = yield* SubscriptionRef.make<Option.Option<Tip>>(
      Option.some({ height, hash: "00".repeat(32) as BlockHash, blockTimeSeconds: 1_900_000_000 })
    )
    const options = { chain: regtest, listenAddress: at(`${ip}:0`), peers: [] }
    const services = yield* Layer.build(
      Node.compose(options, { ...Node.parts(options), chainTip: ChainTip.layerRef(tip) }).pipe(
        Layer.provide(Node.machine())
      )
    )
    const network = yield* Effect.provide(Network, Layer.succeedContext(services))
    return PeerSocketAddress.format(Option.getOrThrow(network.listenAddress))
  })

/** A scripted peer that states this version and height, on a free port. */
const scripted = (ip: string, version: number, startHeight: number) =>
  Effect.gen(function* () {
    const transport = yield* InboundTransport
    // A port that is free now; taken again at once.
    const listener = yield* Effect.scoped(transport.listen(at(`${ip}:0`)))
    yield* ScriptedPeer.listen(
      listener.address,
      ScriptedPeer.compose(ScriptedPeer.answeringEmpty, {
        version: (sent) => ({ ...sent, version, startHeight, userAgent: `/v${version}/` })
      })
    )
    return PeerSocketAddress.format(listener.address)
  }).pipe(Effect.provide(Layer.merge(TcpTransport.layer, Layer.succeed(ChainParams, regtest))))

/** A map of one instruction: RETURN, and the number of a system in the class of 15 bits. */
const allIn = (system: number): Uint8Array => {
  const bits = `00${(system - 1).toString(2).padStart(15, "0")}`
  const bytes = new Uint8Array(Math.ceil(bits.length / 8))
  for (let index = 0; index < bits.length; index++) if (bits[index] === "1") bytes[index >> 3]! |= 1 << (index & 7)
  return bytes
}

// Most of it waits for dials to fail: each has its own addresses and its own store, and they wait at the same time.
describe.concurrent("network-effect census", () => {
  it.live("counts nodes of ours and peers of other versions, twice, and says what is different", () =>
    Effect.gen(function* () {
      const store = join(directory, "whole.sqlite")
      const peers = [
        yield* nodeAt("127.91.0.1", 120),
        yield* nodeAt("127.92.0.1", 121),
        yield* scripted("127.93.0.1", 170_013, 119),
        yield* scripted("127.94.0.1", 170_150, 0),
        yield* scripted("127.95.0.1", 170_191, 9000)
      ]
      const flags = ["--network", "regtest", "--store", store, ...peers.flatMap((peer) => ["--peer", peer])]
      const first = yield* process_("run", ...flags, "--json", "--for", "30s", "--contact", "ops@example.org")
      assert.deepStrictEqual([first.code, first.errors], [0, []])
      const findings = first.output
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line))
      assert.strictEqual(findings.at(-1).end, "Exhausted")

      const report = JSON.parse((yield* census("report", "--store", store, "--json")).output)
      assert.deepStrictEqual([report.low, report.high], [null, null])
      assert.match(report.reason, /first run/)
      assert.strictEqual(report.run.userAgent, defaultUserAgent.replace(/\/$/, " (ops@example.org)/"))
      const exported = yield* census("export", "--store", store)
      const sightings = exported.output
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line))
      // By timing, a node already tells of who visits it, at the port of the chain, where some node may be or none.
      const visitor = "127.0.0.1:18233"
      const others = sightings.filter(({ address }) => address !== visitor)
      assert.isTrue(others.every(({ isReached }) => isReached))
      assert.strictEqual(report.reachable, sightings.filter(({ isReached }) => isReached).length)
      if (report.reachable === others.length) {
        assert.deepStrictEqual(report.versions, { "170013": 1, "170150": 1, "170190": 2, "170191": 1 })
      }
      const heights = others.map(({ height }) => height)
      assert.deepStrictEqual(heights.toSorted(), [119, 120, 121, 9000, null])

      // One is new, and nodes of ours let an address in once in two minutes.
      const newcomer = yield* scripted("127.96.0.1", 170_190, 5)
      const again = ["--network", "regtest", "--store", store, "--peer", newcomer, "--max-rate", "0"]
      const second = yield* census("run", ...again)
      assert.strictEqual(second.code, 0)
      assert.match(second.output, /reachable nodes: 4 \(no interval: none of the nodes/)
      const changes = yield* census("diff", "--store", store)
      assert.match(changes.output, /^1 arrived, 2 departed, 0 changed$/m)
      const csv = yield* census("export", "--store", store, "--format", "csv")
      assert.lengthOf(
        csv.output
          .trimEnd()
          .split("\n")
          .filter((line) => !line.includes(visitor)),
        7
      )
      assert.match(csv.output, /Rechecked/)

      const history = yield* census("host", peers[2]!, "--store", store)
      assert.strictEqual(history.code, 0)
      assert.match(history.output, /^reached from .*, in 2 of the 2 runs that are kept$/m)
      assert.match(history.output, /^ +1 .* node +170013 +\/v170013\/ +119 /m)
      const json = JSON.parse((yield* census("host", newcomer, "--store", store, "--json")).output)
      assert.deepStrictEqual(
        json.sightings.map((sighting: { readonly runId: number; readonly height: number }) => [
          sighting.runId,
          sighting.height
        ]),
        [[2, 5]]
      )
      const nobody = yield* census("host", "192.0.2.77", "--store", store)
      assert.deepStrictEqual(
        [nobody.code, nobody.errors],
        [1, ["network-effect: no run of Regtest in this store has dialled 192.0.2.77."]]
      )
      // Of the smallest map there is, everything is in one system.
      writeFileSync(join(directory, "one.asmap"), allIn(6450))
      const systems = yield* census("report", "--store", store, "--asmap", join(directory, "one.asmap"))
      assert.match(systems.output, /^AS6450 +\d+$/m)
      const noMap = yield* census("report", "--store", store, "--asmap", store)
      assert.strictEqual(noMap.code, 1)
      assert.match(noMap.errors.join(), /whole\.sqlite is not a map of autonomous systems .*: see --asmap\.$/)
    }).pipe(Effect.scoped)
  )
})

describe.concurrent("network-effect census watch", () => {
  it.live("says in one line that a node is behind, with exit code 2, and with 4 that nobody knows", () =>
    Effect.gen(function* () {
      const others = yield* Effect.forEach([1, 2, 3, 4, 5], (n) => scripted(`127.8${n}.0.1`, 170_190, 500))
      const node = yield* scripted("127.80.0.1", 170_190, 77)
      const peers = others.flatMap((peer) => ["--peer", peer])
      const behind = yield* process_("watch", "--network", "regtest", "--node", node, ...peers)
      assert.deepStrictEqual([behind.code, behind.errors], [2, []])
      assert.match(behind.output, /^the node is behind: at 77, .*; 5 of 5 groups say so, .*\n$/)
      const unknown = yield* census(
        "watch",
        "--network",
        "regtest",
        "--node",
        node,
        "--peer",
        "127.0.0.1:1",
        "--for",
        "10s",
        "--json"
      )
      assert.deepStrictEqual([unknown.code, JSON.parse(unknown.output).verdict], [4, "Unknown"])
    }).pipe(Effect.scoped)
  )
})

describe.concurrent("network-effect census run --listen", () => {
  it.live("states where it listens, keeps who comes, and goes on until its time is over", () =>
    Effect.gen(function* () {
      const store = join(directory, "guests.sqlite")
      const stated: Array<string> = []
      const transport = yield* InboundTransport
      // A port that is free now; taken again at once.
      const [ear, place] = yield* Effect.scoped(
        Effect.all([transport.listen(at("127.97.0.1:0")), transport.listen(at("127.98.0.1:0"))])
      )
      // Hears what is said, and says nothing.
      yield* ScriptedPeer.listen(ear.address, {
        shakes: false,
        answer: (message) =>
          Effect.sync(() => {
            if (message._tag === "Version") stated.push(PeerSocketAddress.format(message.addressFrom.address))
            return true
          })
      })
      const listen = PeerSocketAddress.format(place.address)
      const peerFlags = ["--peer", PeerSocketAddress.format(ear.address)]
      const run = startIn(directory)(
        "census",
        "run",
        "--network",
        "regtest",
        "--store",
        store,
        ...peerFlags,
        "--listen",
        listen,
        "--for",
        "12s"
      )
      yield* ScriptedPeer.dial(
        place.address,
        ScriptedPeer.compose(ScriptedPeer.honest(), {
          version: (sent) => ({ ...sent, userAgent: "/behind a router/" })
        })
      ).pipe(Effect.delay("200 millis"), Effect.eventually, Effect.scoped)
      const { code, output } = yield* Effect.promise(() => outcomeOf(run))
      assert.strictEqual(code, 0)
      assert.deepStrictEqual(stated, [listen])
      assert.match(output, /^reachable nodes: 0 /m)
      assert.match(output, /^came to us: 1 nodes, of which 1 cannot be dialled$/m)
    }).pipe(Effect.scoped, Effect.provide(Layer.merge(TcpTransport.layer, Layer.succeed(ChainParams, regtest))))
  )
})

describe("a census that can't be done says so in one sentence, and ends with 1:", () => {
  const file = (name: string) => join(directory, name)
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>, string]> = [
    [
      "nobody to begin with",
      ["run", "--network", "regtest", "--store", file("a.sqlite")],
      "network-effect: there is nobody to begin with, for Regtest has no seeds: name a node with --peer ip:port."
    ],
    [
      "a store in a folder that is not there",
      ["run", "--network", "regtest", "--peer", "127.0.0.1:1", "--store", file("no/where.sqlite")],
      `network-effect: the census' database ${file("no/where.sqlite")} cannot be opened (unable to open database file): see --store.`
    ],
    [
      "a store that is no database",
      ["report", "--store", file("text.sqlite")],
      `network-effect: the census' database ${file("text.sqlite")} cannot be opened (file is not a database): see --store.`
    ],
    [
      "no store to ask",
      ["report", "--store", file("none.sqlite")],
      `network-effect: there is no census at ${file("none.sqlite")}: network-effect census run --store ${file("none.sqlite")} makes one.`
    ],
    [
      "an empty store to ask",
      ["report", "--store", file("empty.sqlite")],
      `network-effect: there is no census at ${file("empty.sqlite")}: network-effect census run --store ${file("empty.sqlite")} makes one.`
    ],
    [
      "another program's store",
      ["run", "--network", "regtest", "--peer", "127.0.0.1:1", "--store", file("other.sqlite")],
      "network-effect: The census' database is another program's (it has a table letters): choose another --store."
    ],
    [
      "another program's store to ask",
      ["report", "--store", file("other.sqlite")],
      "network-effect: The census' database is another program's (it has a table letters): choose another --store."
    ],
    [
      "a URL of no database",
      ["report", "--store", "postgres://me:secret@127.0.0.1:99999/census"],
      "network-effect: --store postgres://127.0.0.1:99999/census is neither a file nor postgres://user:password@host/database."
    ],
    [
      "a URL of a database that is none of ours",
      ["run", "--network", "regtest", "--peer", "127.0.0.1:1", "--store", "mysql://me:secret@127.0.0.1/census"],
      "network-effect: --store mysql://127.0.0.1/census is neither a file nor postgres://user:password@host/database."
    ],
    [
      "a store that a newer program wrote",
      ["report", "--store", file("newer.sqlite")],
      "network-effect: A newer network-effect wrote this census (schema 99, this one knows 5): use that one, or choose another --store."
    ],
    [
      "several machines with a file",
      ["run", "--cluster", "--network", "regtest", "--peer", "127.0.0.1:1", "--store", file("c.sqlite")],
      "network-effect: --cluster needs a database that all machines reach: --store postgres://user:password@host/database."
    ],
    [
      "a place to listen that is not this machine's",
      [
        "run",
        "--listen",
        "192.0.2.1:18233",
        "--network",
        "regtest",
        "--peer",
        "127.0.0.1:1",
        "--store",
        file("d.sqlite")
      ],
      "network-effect: nobody can reach us at 192.0.2.1:18233, where we cannot listen (EADDRNOTAVAIL): see --listen."
    ],
    [
      "a runner that is no address",
      ["run", "--cluster", "--runner", "here"],
      'network-effect: --runner has to be host:port, not "here": see network-effect census run --help.'
    ],
    [
      "a database that is not there",
      ["report", "--store", "postgres://me:secret@127.0.0.1:1/census"],
      "network-effect: The census' database does not answer: connect ECONNREFUSED 127.0.0.1:1: see --store, which is postgres://127.0.0.1:1/census."
    ],
    [
      "a time that is none",
      ["run", "--for", "soon"],
      'network-effect: --for has to be a time like 30s or 2h, not "soon": see network-effect census run --help.'
    ],
    [
      "a number that is none",
      ["run", "--max-rate", "fast"],
      'network-effect: --max-rate has to be a number from 0 to 10000, not "fast": see network-effect census run --help.'
    ],
    [
      "a run that there cannot be",
      ["report", "--run", "-1"],
      'network-effect: --run has to be a whole number from 1 to 2147483647, not "-1": see network-effect census report --help.'
    ],
    [
      "a contact that is too long",
      [
        "run",
        "--network",
        "regtest",
        "--peer",
        "127.0.0.1:1",
        "--store",
        file("b.sqlite"),
        "--contact",
        "x".repeat(300)
      ],
      "network-effect: --contact is too long: a user agent has at most 256 bytes."
    ]
  ]

  writeFileSync(
    file("text.sqlite"),
    "this is no database at all, but a text that is long enough to be looked at".repeat(9)
  )
  new DatabaseSync(file("empty.sqlite")).close()
  const newer = new DatabaseSync(file("newer.sqlite"))
  newer.exec(
    "CREATE TABLE census_migrations (migration_id integer PRIMARY KEY NOT NULL, created_at datetime, name VARCHAR(255)); " +
      "INSERT INTO census_migrations VALUES (99, 'now', 'later')"
  )
  newer.close()
  const other = new DatabaseSync(file("other.sqlite"))
  other.exec("CREATE TABLE letters (text TEXT)")
  other.close()

  for (const [name, args, sentence] of cases) {
    it.live(name, () =>
      Effect.gen(function* () {
        const { code, errors, output } = yield* census(...args)
        assert.deepStrictEqual({ code, errors, output }, { code: 1, errors: [sentence], output: "" })
      })
    )
  }

  it("makes no file where it was only asked, and no table in one that is another's", () => {
    assert.isFalse(existsSync(file("none.sqlite")))
    for (const [name, count] of [
      ["other.sqlite", 1],
      ["empty.sqlite", 0]
    ] as const) {
      const database = new DatabaseSync(file(name))
      assert.lengthOf(database.prepare("SELECT name FROM sqlite_master").all(), count)
      database.close()
    }
  })
})
