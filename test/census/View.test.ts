/** The page of a census, asked while others write and forget. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import * as SqliteClient from "../../layers/SqliteClient.ts"
import { testnet } from "../../src/chain/ChainParams.ts"
import { CensusStore } from "../../src/census/CensusStore.ts"
import * as CensusView from "../../src/status/CensusView.ts"
import { progress, reached } from "./storeContract.ts"

describe("the page of a census", () => {
  it.effect("shows no run as empty that is forgotten while it is counted, then or later", () =>
    Effect.gen(function* () {
      const store = yield* CensusStore
      const day = Duration.toMillis(Duration.days(1))
      for (let days = 0; days < 3; days++) {
        yield* TestClock.setTime(days * day)
        const id = yield* store.begin({ network: "Regtest", userAgent: "/census/", protocolVersion: 170_190 })
        const atMillis = days * day + 1000
        const found = ["192.0.2.1:1", "198.51.100.1:1"].map((address) => reached(address, { atMillis }))
        yield* store.record(id, "Regtest", [...found, progress("Exhausted", 2, atMillis)])
      }
      let reads = 0
      // The first run is forgotten when the page has read which runs there are, and two of them.
      const view = yield* CensusView.make.pipe(
        Effect.provideService(CensusStore, {
          ...store,
          sightings: (id) =>
            Effect.andThen(++reads === 2 ? store.prune(Duration.days(1.5)) : Effect.void, store.sightings(id))
        })
      )
      for (let times = 0; times < 2; times++) {
        const { runs } = yield* view.overview(undefined)
        assert.deepStrictEqual(
          runs.map(({ id, low, reachable }) => [id, reachable, low === null]),
          [
            [2, 2, true],
            [3, 2, false]
          ]
        )
      }
      assert.isAtLeast(reads, 2)
    }).pipe(Effect.provide(CensusStore.layer.pipe(Layer.provide(SqliteClient.layer(":memory:")))))
  )

  it.effect("says who is ready for an upgrade by the versions of the run's own network", () =>
    Effect.gen(function* () {
      const store = yield* CensusStore
      const networks = ["Mainnet", "Testnet", "Regtest", "MyTestnet"]
      for (const network of networks) {
        const id = yield* store.begin({ network, userAgent: "/census/", protocolVersion: 170_190 })
        // One is ready for NU7 as Testnet has it, and not as Mainnet has it.
        const found = [170_185, 170_190].map((version, n) => reached(`192.0.${n}.1:1`, { atMillis: 1000, version }))
        yield* store.record(id, network, found)
      }
      const view = yield* CensusView.make.pipe(Effect.provideService(CensusStore, store))
      const shown = yield* Effect.forEach(networks, (network) =>
        Effect.map(view.overview(network), ({ readiness }) => [
          network,
          ...readiness.map(({ count, upgrade, version }) => `${upgrade} ${version}: ${count}`)
        ])
      )
      const before = ["NU6.2 170150: 2", "NU6.3 170160: 2"]
      assert.deepStrictEqual(shown, [
        ["Mainnet", ...before, "NU7 170190: 1"],
        ["Testnet", ...before, "NU7 170180: 2"],
        // Overwinter has no version of its own there, so it asks for the newest.
        ["Regtest", "Overwinter 170190: 1", ...before, "NU7 170180: 2"],
        ["MyTestnet", ...before, "NU7 170180: 2"]
      ])
    }).pipe(Effect.provide(CensusStore.layer.pipe(Layer.provide(SqliteClient.layer(":memory:")))))
  )

  it.effect("shows a network of one's own, a run that goes on, and the agents beyond forty as one", () =>
    Effect.gen(function* () {
      const store = yield* CensusStore
      const id = yield* store.begin({ network: "MyTestnet", userAgent: "/census/", protocolVersion: 170_190 })
      const found = Array.from({ length: 43 }, (_, n) =>
        reached(`192.0.${n}.1:1`, { atMillis: 1000, userAgent: `/agent ${String(n).padStart(2, "0")}/` })
      )
      yield* store.record(id, "MyTestnet", found)
      const view = yield* CensusView.make.pipe(Effect.provideService(CensusStore, store))
      const { agents, network, readiness, runs } = yield* view.overview(undefined)
      assert.deepStrictEqual([network, runs[0]?.endedAt, runs[0]?.reachable], ["MyTestnet", null, 43])
      assert.strictEqual(Object.keys(agents).length, 41)
      assert.strictEqual(agents["others"], 3)
      // A chain of one's own has the upgrades of Testnet.
      const upgrades = Object.keys(testnet.activationHeights)
      assert.isNotEmpty(readiness)
      for (const { upgrade } of readiness) assert.include(upgrades, upgrade)
      // A run that goes on is counted anew each time, also when another has begun.
      yield* store.begin({ network: "MyTestnet", userAgent: "/census/", protocolVersion: 170_190 })
      assert.strictEqual((yield* view.overview("MyTestnet")).runs[0]?.reachable, 43)
      yield* store.record(id, "MyTestnet", [reached("192.0.99.1:1", { atMillis: 2000 })])
      assert.strictEqual((yield* view.overview("MyTestnet")).runs[0]?.reachable, 44)
    }).pipe(Effect.provide(CensusStore.layer.pipe(Layer.provide(SqliteClient.layer(":memory:")))))
  )
})
