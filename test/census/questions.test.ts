/** What `network-effect census` is asked of a small store, and what it says when there is no answer. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { SqliteClient } from "network-effect/layers"
import { CensusStore } from "../../src/census/CensusStore.ts"
import { Finding } from "../../src/census/Finding.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { runIn } from "../support/inProcess.ts"
import { makeHome } from "../support/process.ts"

const { directory, remove } = makeHome()
afterAll(remove)
const store = join(directory, "asked.sqlite")
const census = (...args: ReadonlyArray<string>) => runIn(directory)("census", ...args)

const reached = (address: string, protocolVersion: number, userAgent: string) =>
  Finding.Reached({
    address: PeerSocketAddress.fromStringUnsafe(address),
    atMillis: 1_900_000_000_000,
    how: "Explored",
    protocolVersion,
    services: 1n,
    userAgent,
    height: 100,
    clockOffsetSeconds: 0,
    latencyMillis: 20,
    told: 3,
    claims: null
  })

/** Runs 1 and 3 are of Testnet, and run 2 of Mainnet. */
beforeAll(() =>
  Effect.gen(function* () {
    const kept = yield* CensusStore
    for (const network of ["Testnet", "Mainnet", "Testnet"]) {
      const id = yield* kept.begin({ network, userAgent: "/census/", protocolVersion: 170_190 })
      yield* kept.record(id, network, [
        reached("20.0.0.1:18233", 170_150, "/Zebra:3.1.0/"),
        reached("21.0.0.1:18233", 170_190, "/Zebra:4.0.0/"),
        reached("22.0.0.1:18233", 170_190, "/Flux:1.0.0/")
      ])
    }
  }).pipe(Effect.provide(CensusStore.layer.pipe(Layer.provide(SqliteClient.layer(store)))), Effect.runPromise)
)

describe("a question about a census", () => {
  it.each<readonly [args: string, sentence: string]>([
    ["report --run 9", "there is no run 9 of Testnet in this store: see census report, and --network."],
    // There is one, of another network than the latest.
    ["report --run 2", "there is no run 2 of Testnet in this store: see census report, and --network."],
    ["report --network regtest", "there is no run of regtest in this store."],
    ["diff --to 9", "there is no run 9 of Testnet in this store: see census report, and --network."],
    ["diff --from 9", "there is no run 9 of Testnet in this store: see census report, and --network."],
    ["diff --network MAINNET", "run 2 is the first of Mainnet, so there is nothing to compare it with."],
    ["export --run 9", "there is no run 9 of Testnet in this store: see census report, and --network."]
  ])("%s has no answer, and says so in one sentence", async (args, sentence) => {
    const { code, errors, output } = await census(...args.split(" "), "--store", store)
    assert.deepStrictEqual({ code, errors, output }, { code: 1, errors: [`network-effect: ${sentence}`], output: "" })
  })

  it.each<readonly [args: string, reachable: number]>([
    ["", 3],
    ["--run 1", 3],
    ["--network mainnet", 3],
    ["--agent zebra", 2],
    ["--agent zebra --min-version 170190", 1],
    ["--min-version 170191", 0],
    ["--without-foreign", 2]
  ])("counts what it was asked to count: %s", async (args, reachable) => {
    const asked = args === "" ? [] : args.split(" ")
    const { code, output } = await census("report", ...asked, "--store", store, "--json")
    assert.strictEqual(code, 0)
    assert.strictEqual(JSON.parse(output).reachable, reachable)
  })

  it("is of the run that was asked for, or the one before it", async () => {
    const { output } = await census("diff", "--from", "1", "--to", "3", "--store", store)
    assert.match(output, /^0 arrived, 0 departed, 0 changed$/m)
    const exported = await census("export", "--run", "2", "--network", "mainnet", "--store", store)
    assert.deepStrictEqual([exported.code, exported.output.trimEnd().split("\n").length], [0, 3])
    const told = JSON.parse((await census("diff", "--from", "1", "--store", store, "--json")).output)
    assert.deepStrictEqual([told.arrived, told.departed, told.changed], [[], [], []])
  })

  it("is of an IPv6 host by any address of its /64, with a port and without", async () => {
    for (const address of ["2001:db8::1", "[2001:db8::2]:8233", "[2001:db8::3]"]) {
      const { errors } = await census("host", address, "--store", store)
      assert.deepStrictEqual(errors, ["network-effect: no run of Testnet in this store has dialled 2001:db8::/64."])
    }
  })

  it("of a store without a run is told how to make one", async () => {
    const bare = join(directory, "bare.sqlite")
    await Effect.runPromise(
      CensusStore.pipe(Effect.provide(CensusStore.layer.pipe(Layer.provide(SqliteClient.layer(bare)))))
    )
    const { code, errors } = await census("report", "--store", bare)
    assert.deepStrictEqual(
      [code, errors],
      [1, ["network-effect: there is no run in this store: network-effect census run makes one."]]
    )
  })
})

describe("a census", () => {
  it("asks the seeds of the settings, keeps no cache where there is none, and says who runs it if anybody is named", async () => {
    const config = join(directory, "seeded.toml")
    writeFileSync(
      config,
      '[network]\nnetwork = "Testnet"\ninitial_testnet_peers = ["127.0.0.1:1"]\ncache_dir = false\n'
    )
    const run = ["run", "--config", config, "--store", join(directory, "seeded.sqlite"), "--json"]
    const { code, output } = await census(...run)
    assert.strictEqual(code, 0)
    const findings = output
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line))
    assert.deepInclude(findings[0], { _tag: "Unreachable", address: "127.0.0.1:1", reason: "Refused" })
    assert.strictEqual(findings.at(-1).end, "Exhausted")

    const blank = await census(...run, "--contact", " ")
    assert.deepStrictEqual(
      [blank.code, blank.errors, blank.output],
      [1, ["network-effect: --contact is blank: say who runs this census."], ""]
    )
  })

  it("that no seed answers does not begin, and says what to do", async () => {
    const config = join(directory, "seedless.toml")
    writeFileSync(config, '[network]\nnetwork = "Testnet"\ninitial_testnet_peers = []\ncache_dir = false\n')
    const { code, errors } = await census("run", "--config", config, "--store", join(directory, "seedless.sqlite"))
    assert.deepStrictEqual(
      [code, errors],
      [
        1,
        [
          "network-effect: there is nobody to begin with, for no seed has answered: check the network connection, or name a node with --peer ip:port."
        ]
      ]
    )
  })

  it("is not shown to whoever has a token that nobody can say", async () => {
    const env = { NETWORK_EFFECT_STATUS_TOKEN: "caf\u00e9" }
    const { code, errors } = await runIn(directory, env)("census", "serve", "--store", store, "--listen", "127.0.0.1:0")
    assert.deepStrictEqual(
      [code, errors],
      [
        1,
        [
          "network-effect: NETWORK_EFFECT_STATUS_TOKEN holds what no request can carry: use printable ASCII characters, and no blank at an end."
        ]
      ]
    )
  })
})
