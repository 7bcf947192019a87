/** What a simulation says when it does not end well, and what the parts of a simulated host refuse. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, FileSystem, Scope, Stream } from "effect"
import { Dns, NetAddress } from "effect/net"
import { Simulated } from "network-effect/layers"
import { type Scenario, SimDisk, SimNames, SimNetwork, SimRuntime, Simulation } from "network-effect/simulation"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"

const at = PeerSocketAddress.fromStringUnsafe

/** The sentence with which a run ends that does this. */
const reasonOf = (run: Scenario["run"], hours = 0.01) =>
  Simulation.run({
    scenario: { name: "one", description: "a test's", size: { nodes: 1, hours }, run },
    seed: 1,
    node: Simulated.worldNode
  }).failure

describe("a run", () => {
  it("that ends well has nothing to say", () => {
    assert.isUndefined(reasonOf(() => Effect.void))
  })

  it("that waits for what never comes says what every node does", () => {
    const failure = reasonOf((world) => Effect.andThen(world.start(1, []), Effect.never))
    assert.strictEqual(failure?.reason, "the time is over, and the scenario still waits: node 1 has 0 peers")
    assert.deepStrictEqual(failure?.nodes, [])
  })

  it("that leaves a stream open says how many ends there are", () => {
    const failure = reasonOf((world) =>
      Effect.gen(function* () {
        yield* world.start(1, [])
        // A scope that nobody closes.
        const leak = yield* Scope.make()
        yield* Effect.orDie(Scope.provide(world.network.host(world.hostOf(2)).dial(world.hostOf(1)), leak))
      })
    )
    assert.strictEqual(failure?.reason, "1 ends of streams are open after everybody has stopped")
  })

  it("that meets a bug says which, whatever was thrown", () => {
    assert.strictEqual(reasonOf(() => Effect.die("a text"))?.reason, "a defect: a text")
    assert.match(reasonOf(() => Effect.die(new Error("an error")))?.reason ?? "", /^a defect: Error: an error\n +at /)
    const bare = new Error("an error")
    delete bare.stack
    assert.strictEqual(reasonOf(() => Effect.die(bare))?.reason, "a defect: an error")
  })
})

describe("a world", () => {
  it("stops and crashes nodes that are not there, and starts one that runs only once", () => {
    const failure = reasonOf((world) =>
      Effect.gen(function* () {
        yield* world.stop(1)
        yield* world.crash(1)
        // Its host has its power still.
        yield* Effect.gen(function* () {
          yield* world.network.host(world.hostOf(1)).listen(world.hostOf(1))
          yield* world.network.host(world.hostOf(2)).dial(world.hostOf(1))
        }).pipe(Effect.orDie, Effect.scoped)
        const node = yield* world.start(1, [])
        assert.strictEqual(yield* world.start(1, []), node)
        assert.deepStrictEqual(
          world.nodes().map(({ index }) => index),
          [1]
        )
      })
    )
    assert.isUndefined(failure)
  })
})

describe("a simulated disk", () => {
  it.effect("says of files that are not there that they are not, and takes in nothing while it is frozen", () => {
    const disk = SimDisk.make()
    return Effect.gen(function* () {
      const files = yield* FileSystem.FileSystem
      for (const attempt of [files.stat("/a"), Stream.runDrain(files.stream("/a")), files.rename("/a", "/b")]) {
        const error = yield* Effect.flip(attempt)
        assert.strictEqual(error.reason._tag, "NotFound")
      }
      disk.put("/a", "1")
      disk.freeze()
      yield* files.writeFileString("/c", "2")
      yield* files.rename("/a", "/b")
      yield* files.remove("/a")
      assert.deepStrictEqual([...disk.files], [["/a", "1"]])
      disk.thaw()
      yield* files.rename("/a", "/b")
      assert.deepStrictEqual([...disk.files], [["/b", "1"]])
    }).pipe(Effect.provide(disk.layer))
  })
})

describe("simulated names", () => {
  it.effect("are answered, not answered or refused, as they were told", () => {
    const names = SimNames.make()
    const ip = NetAddress.ipFromStringUnsafe("10.0.0.1")
    names.set("seed.example", [ip])
    return Effect.gen(function* () {
      const dns = yield* Dns.Dns
      assert.deepStrictEqual(yield* dns.lookup("seed.example"), [ip])
      assert.strictEqual((yield* Effect.flip(dns.lookup("nobody.example"))).reason, "NotFound")
      names.behave("fails")
      assert.strictEqual((yield* Effect.flip(dns.lookup("seed.example"))).reason, "Temporary")
      names.behave("hangs")
      const asking = yield* Effect.forkChild(dns.lookup("seed.example"), { startImmediately: true })
      // It goes on hanging, whatever is behaved later.
      names.behave("answers")
      yield* Effect.yieldNow
      assert.isUndefined(asking.pollUnsafe())
      yield* Fiber.interrupt(asking)
    }).pipe(Effect.provide(names.layer))
  })
})

describe("a simulated host", () => {
  const host = at("10.0.0.1:0")
  it.effect("listens on its own addresses only, and once on each port", () =>
    Effect.gen(function* () {
      const network = yield* SimNetwork
      const { dial, listen } = network.host(host)
      const codeOf = <A>(effect: Effect.Effect<A, { readonly code: string }, Scope.Scope>) =>
        Effect.map(Effect.flip(effect), ({ code }) => code)
      const listening = yield* listen(at("10.0.0.1:18233"))
      assert.strictEqual(yield* codeOf(listen(at("10.0.0.2:18233"))), "EADDRNOTAVAIL")
      assert.strictEqual(yield* codeOf(listen(at("10.0.0.1:18233"))), "EADDRINUSE")
      // All of its addresses are one.
      assert.strictEqual(yield* codeOf(listen(at("0.0.0.0:18233"))), "EADDRINUSE")

      // A port that a dial has is nobody's to listen on, until the dial is given up.
      yield* network.addRule({ applies: () => true, change: (link) => ({ ...link, opening: "Silent" }) })
      const dialling = yield* Effect.forkChild(Effect.scoped(dial(at("10.0.0.2:1"))), { startImmediately: true })
      assert.strictEqual(yield* codeOf(listen(at("10.0.0.1:49152"))), "EADDRINUSE")
      yield* Fiber.interrupt(dialling)
      assert.strictEqual((yield* listen(at("10.0.0.1:49152"))).address.port, 49_152)
      assert.strictEqual(listening.address.port, 18_233)
      assert.strictEqual(network.openEnds(), 0)
    }).pipe(Effect.scoped, Effect.provide(SimNetwork.layer), SimRuntime.within("1 day"))
  )

  it.effect("that gives up a dial in between leaves nothing open", () =>
    Effect.gen(function* () {
      const network = yield* SimNetwork
      const there = yield* network.host(at("10.0.0.2:0")).listen(at("10.0.0.2:1"))
      // The answer takes an hour: the listener has it, and who dialled has not.
      yield* network.addRule({
        applies: (from) => from === "10.0.0.2",
        change: (link) => ({ ...link, latencies: [{ isConstant: true, sample: () => 3_600_000 }] })
      })
      const dialling = yield* Effect.forkChild(Effect.scoped(network.host(host).dial(at("10.0.0.2:1"))), {
        startImmediately: true
      })
      yield* Effect.scoped(
        Effect.gen(function* () {
          const accepted = yield* there.accept
          yield* Fiber.interrupt(dialling)
          assert.deepInclude(yield* Effect.flip(accepted.read), { _tag: "StreamClosed", reason: "Eof" })
        })
      )
      yield* Effect.sleep("2 hours")
      assert.strictEqual(network.openEnds(), 0)
    }).pipe(Effect.scoped, Effect.provide(SimNetwork.layer), SimRuntime.within("1 day"))
  )
})
