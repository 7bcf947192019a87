import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Fiber, Layer } from "effect"
import { Dns, NetAddress } from "effect/net"
import { DnsSeeds, parseSeed } from "../../src/addresses/DnsSeeds.ts"
import { ChainParams, type ChainParamsShape, mainnet, regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { linesOf } from "../support/logs.ts"
import { seriesOf, withMetrics } from "../support/metrics.ts"
import { elapse } from "../support/time.ts"

const ip = NetAddress.ipFromStringUnsafe

/** A resolver of which the test says what it does, and how often it was asked for what. */
const resolver = (
  lookup: (host: string) => Effect.Effect<ReadonlyArray<string>, "NotFound">,
  asked: Array<string> = []
) =>
  Layer.mock(Dns.Dns, {
    lookup: ((host: string) =>
      Effect.suspend(() => {
        asked.push(host)
        return lookup(host).pipe(
          Effect.map((addresses) => addresses.map(ip)),
          Effect.mapError(() => new Dns.DnsError({ reason: "NotFound", method: "lookup", hostname: host }))
        )
      })) as never
  })

const seedsOf = (seeds: ReadonlyArray<string>, dns: Layer.Layer<Dns.Dns>, chain: ChainParamsShape = mainnet) =>
  DnsSeeds.layer(seeds).pipe(Layer.provide([dns, Layer.succeed(ChainParams, chain)]))

const resolve = (seeds: ReadonlyArray<string>, dns: Layer.Layer<Dns.Dns>, chain: ChainParamsShape = mainnet) =>
  Effect.flatMap(DnsSeeds, (seeds) => seeds.resolve).pipe(
    Effect.map((addresses) => addresses.map(PeerSocketAddress.format)),
    Effect.provide(seedsOf(seeds, dns, chain))
  )

describe("seeds", () => {
  it.effect("give every address of every one that answers, each once (EX-10)", () =>
    Effect.gen(function* () {
      const dns = resolver((host) =>
        host === "good.example" ? Effect.succeed(["10.0.0.1", "10.0.0.2", "::ffff:10.0.0.1"]) : Effect.fail("NotFound")
      )
      assert.deepStrictEqual(yield* resolve(["good.example:8233", "bad.example:8233", "192.0.2.1:1"], dns), [
        "10.0.0.1:8233",
        "10.0.0.2:8233",
        "192.0.2.1:1"
      ])
    })
  )

  it.effect("are counted by what each gave", () =>
    Effect.gen(function* () {
      const dns = resolver((host) =>
        host === "good.example" ? Effect.succeed(["10.0.0.1", "10.0.0.2"]) : Effect.fail("NotFound")
      )
      yield* resolve(["good.example:8233", "bad.example:8233", "192.0.2.1:1"], dns)
      assert.deepStrictEqual(yield* seriesOf("zcash.net.peers.initial"), {
        "network=mainnet seed=good.example:8233": 2,
        "network=mainnet seed=bad.example:8233": 0,
        "network=mainnet seed=192.0.2.1:1": 1
      })
    }).pipe(withMetrics)
  )

  it.effect("that are written as addresses are known without asking, also beside names that never answer", () =>
    Effect.gen(function* () {
      const written = ["never.example:8233", "192.0.2.1:1", "[::ffff:192.0.2.2]:2"]
      const { literals } = yield* DnsSeeds.pipe(
        Effect.provide(
          DnsSeeds.layer(written).pipe(
            Layer.provide([resolver(() => Effect.never), Layer.succeed(ChainParams, mainnet)])
          )
        )
      )
      assert.deepStrictEqual(literals.map(PeerSocketAddress.format), ["192.0.2.1:1", "192.0.2.2:2"])
      const given = [PeerSocketAddress.fromStringUnsafe("192.0.2.3:3")]
      const program = DnsSeeds.pipe(Effect.provide(DnsSeeds.layerPeers(given)))
      assert.deepStrictEqual((yield* program).literals, given)
    })
  )

  it.effect("that do not answer in time are left out", () =>
    Effect.gen(function* () {
      const dns = resolver((host) => (host === "slow.example" ? Effect.never : Effect.succeed(["10.0.0.1"])))
      const resolving = yield* Effect.forkChild(resolve(["slow.example:1", "good.example:1"], dns), {
        startImmediately: true
      })
      yield* elapse("4999 millis", "1 second")
      assert.isUndefined(resolving.pollUnsafe())
      yield* elapse("1 millis")
      assert.deepStrictEqual(yield* Fiber.join(resolving), ["10.0.0.1:1"])
    })
  )

  it.effect("are looked up in vain by errors of DNS alone: whatever else ends a lookup is a bug, and is seen", () =>
    Effect.gen(function* () {
      const bug = new Error("a bug")
      const dns = resolver((host) => (host === "bad.example" ? Effect.die(bug) : Effect.succeed(["10.0.0.1"])))
      const exit = yield* Effect.exit(resolve(["bad.example:1", "good.example:1"], dns))
      assert.strictEqual(Exit.isFailure(exit) ? Cause.squash(exit.cause) : undefined, bug)
    })
  )

  it.effect("are asked again every 5 seconds while none answers", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const dns = resolver(() => (asked.length < 3 ? Effect.fail("NotFound") : Effect.succeed(["10.0.0.1"])), asked)
      const resolving = yield* Effect.forkChild(resolve(["a.example:1"], dns), { startImmediately: true })
      yield* elapse("9 seconds", "1 second")
      assert.strictEqual(asked.length, 2)
      yield* elapse("1 second")
      assert.deepStrictEqual(yield* Fiber.join(resolving), ["10.0.0.1:1"])
    })
  )

  it.effect("may be none: then the answer is nothing, at once, with a warning where others need seeds (EX-10)", () =>
    Effect.gen(function* () {
      const dns = resolver(() => Effect.never)
      const linesOn = (chain: ChainParamsShape) => linesOf(Effect.map(resolve([], dns, chain), assert.isEmpty))
      const words = "there are no seeds, so others have to find this node"
      assert.deepStrictEqual(yield* linesOn(mainnet), [`Warn: ${words}`])
      // On Regtest the public ones are left out, and nobody has to be warned.
      assert.deepStrictEqual(yield* linesOn(regtest), [`Info: ${words}`])
    })
  )

  it.effect("hold nobody up: what the others gave is there in five seconds, however long one takes (EX-10)", () =>
    Effect.gen(function* () {
      // Not even a lookup that cannot be interrupted.
      const dns = resolver((host) =>
        host === "stuck.example"
          ? Effect.uninterruptible(Effect.delay(Effect.succeed(["10.0.0.9"]), "1 hour"))
          : Effect.succeed(["10.0.0.1"])
      )
      yield* Effect.gen(function* () {
        const { resolve } = yield* DnsSeeds
        for (let round = 0; round < 3; round++) {
          const resolving = yield* Effect.forkChild(resolve, { startImmediately: true })
          yield* elapse("5 seconds", "1 second")
          assert.deepStrictEqual((yield* Fiber.join(resolving)).map(PeerSocketAddress.format), ["10.0.0.1:1"])
        }
        yield* elapse("1 hour", "1 minute")
      }).pipe(Effect.provide(seedsOf(["stuck.example:1", "good.example:1"], dns)))
    })
  )

  it.effect("are looked up once at a time, whoever asks, is interrupted and asks again; a late answer counts", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      let underWay = 0
      const dns = resolver(
        () =>
          Effect.acquireUseRelease(
            Effect.sync(() => underWay++),
            // As the system's: on the way for half a minute.
            () => Effect.delay(Effect.succeed(["10.0.0.1"]), "32 seconds"),
            () => Effect.sync(() => underWay--)
          ),
        asked
      )
      yield* Effect.gen(function* () {
        const { resolve } = yield* DnsSeeds
        // Raced and lost, twice.
        for (const wait of ["1 second", "7 seconds"] as const) {
          const racing = yield* Effect.forkChild(Effect.raceFirst(resolve, Effect.sleep(wait)))
          yield* elapse(wait, "1 second")
          yield* Fiber.join(racing)
        }
        const both = yield* Effect.forkChild(Effect.all([resolve, resolve], { concurrency: 2 }))
        yield* elapse("23 seconds", "1 second")
        assert.deepStrictEqual([asked, underWay], [["a.example"], 1])
        assert.isUndefined(both.pollUnsafe())
        yield* elapse("1 second")
        for (const addresses of yield* Fiber.join(both)) {
          assert.deepStrictEqual(addresses.map(PeerSocketAddress.format), ["10.0.0.1:1", "10.0.0.1:2"])
        }
        assert.deepStrictEqual([asked, underWay], [["a.example"], 0])
      }).pipe(Effect.provide(seedsOf(["a.example:1", "a.example:2"], dns)))
    })
  )

  it.effect("are looked up anew when a lookup has not ended in a minute, and no more when nobody is left to wait", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      let underWay = 0
      const dns = resolver(
        () =>
          Effect.acquireUseRelease(
            Effect.sync(() => underWay++),
            () => (asked.length === 1 ? Effect.never : Effect.succeed(["10.0.0.1"])),
            () => Effect.sync(() => underWay--)
          ),
        asked
      )
      yield* Effect.gen(function* () {
        const resolving = yield* Effect.forkChild(Effect.flatMap(DnsSeeds, ({ resolve }) => resolve))
        yield* elapse("59 seconds", "1 second")
        assert.deepStrictEqual([asked.length, underWay], [1, 1])
        yield* elapse("6 seconds", "1 second")
        assert.deepStrictEqual((yield* Fiber.join(resolving)).map(PeerSocketAddress.format), ["10.0.0.1:1"])
        assert.deepStrictEqual([asked.length, underWay], [2, 0])
      }).pipe(Effect.provide(seedsOf(["a.example:1"], dns)))
      asked.length = 0
      // One more that never ends goes with the layer.
      yield* Effect.flatMap(DnsSeeds, ({ resolve }) => Effect.raceFirst(resolve, Effect.yieldNow)).pipe(
        Effect.provide(seedsOf(["a.example:1"], dns))
      )
      assert.strictEqual(underWay, 0)
    })
  )

  it.effect("that do not answer are named once, and then only to who looks closely", () =>
    Effect.gen(function* () {
      const dns = resolver(() => Effect.fail("NotFound"))
      const lines = yield* linesOf(
        Effect.gen(function* () {
          const resolving = yield* Effect.forkChild(resolve(["a.example:1", "b.example:1"], dns))
          yield* elapse("12 seconds", "1 second")
          yield* Fiber.interrupt(resolving)
        })
      )
      const round = (level: string) => [
        `${level}: a seed did not answer`,
        `${level}: a seed did not answer`,
        `${level}: no seed has answered: trying again`
      ]
      assert.deepStrictEqual(lines, [...round("Info"), ...round("Debug"), ...round("Debug")])
    })
  )

  it.effect("that are addresses are known without asking, as what the operator named (Q25)", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const literals = (layer: Layer.Layer<DnsSeeds>) =>
        Effect.flatMap(DnsSeeds, (seeds) => Effect.succeed(seeds.literals.map(PeerSocketAddress.format))).pipe(
          Effect.provide(layer)
        )
      const dns = resolver(() => Effect.never, asked)
      const entries = ["a.example:8233", "192.0.2.1:8233", "[::ffff:192.0.2.1]:8233", "[2001:db8::1]:1"]
      assert.deepStrictEqual(yield* literals(seedsOf(entries, dns)), ["192.0.2.1:8233", "[2001:db8::1]:1"])
      assert.deepStrictEqual(yield* literals(seedsOf(["localhost:18233", "192.0.2.1:1"], dns, regtest)), [
        "127.0.0.1:18233",
        "[::1]:18233"
      ])
      const peers = [PeerSocketAddress.fromStringUnsafe("192.0.2.7:1")]
      assert.deepStrictEqual(yield* literals(DnsSeeds.layerPeers(peers)), ["192.0.2.7:1"])
      assert.isEmpty(yield* literals(DnsSeeds.layer().pipe(Layer.provide([dns, Layer.succeed(ChainParams, mainnet)]))))
      assert.isEmpty(asked)
    })
  )

  it.effect("of Regtest are no names (EX-20, CF-22, regtest_skips_public_seed_resolution)", () =>
    Effect.gen(function* () {
      const asked: Array<string> = []
      const dns = resolver(() => Effect.never, asked)
      assert.isEmpty(yield* resolve(mainnet.seeds, dns, regtest))
      assert.deepStrictEqual(yield* resolve(["localhost:18233", "peer.example:18233"], dns, regtest), [
        "127.0.0.1:18233",
        "[::1]:18233"
      ])
      assert.deepStrictEqual(yield* resolve(["127.0.0.1:18233", "10.0.0.1:18233"], dns, regtest), ["127.0.0.1:18233"])
      assert.deepStrictEqual(yield* resolve(["[::ffff:127.0.0.1]:18233", "[0::1]:18233"], dns, regtest), [
        "127.0.0.1:18233",
        "[::1]:18233"
      ])
      assert.isEmpty(asked)
    })
  )

  it("need a host and a port", () => {
    assert.deepStrictEqual(parseSeed("[::1]:8233"), { host: "::1", port: 8233 })
    for (const port of [1, 65_535]) assert.deepStrictEqual(parseSeed(`a.b:${port}`), { host: "a.b", port })
    assert.deepStrictEqual(parseSeed("a:1"), { host: "a", port: 1 })
    for (const text of ["a.example", "a.example:", ":1", "a.example:0", "a.example:65536", "a.example:x"]) {
      assert.isUndefined(parseSeed(text), text)
    }
  })

  it("have a name of 253 bytes at most, or one more with a dot at its end, and labels of 63", () => {
    const label = (length: number) => "a".repeat(length)
    const longest = [label(63), label(63), label(63), label(61)].join(".")
    assert.strictEqual(longest.length, 253)
    for (const host of [longest, `${longest}.`]) assert.deepStrictEqual(parseSeed(`${host}:1`), { host, port: 1 })
    for (const host of [`${longest}a`, `${longest}aa`, `${longest}a.`, `${longest}..`, `${label(64)}.example`]) {
      assert.isUndefined(parseSeed(`${host}:1`), host)
    }
  })
})
