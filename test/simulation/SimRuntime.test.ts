/** Virtual time that moves by itself, and what a test hears that waits for ever. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, type Duration, Effect, Layer, References, Schedule } from "effect"
import { TestClock } from "effect/testing"
import { BackgroundTasks, Network, PeerSocketAddress, regtest } from "network-effect"
import { Simulated } from "network-effect/layers"
import { LinkRule, SimNetwork, SimRuntime, StillWaiting } from "network-effect/simulation"

class Greeting extends Context.Service<Greeting, string>()("network-effect/test/Greeting") {}

/** What a program hears that is not done within ten minutes. */
const stuck = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const error = yield* Effect.flip(program.pipe(SimRuntime.within("10 minutes")))
    return error instanceof StillWaiting ? error : assert.fail(String(error))
  })

const everyMinute = Effect.repeat(Effect.void, Schedule.spaced("1 minute"))

describe("within a time", () => {
  it.effect("a program runs at once, from zero, with what it is given, and as it ends it ends", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("1 hour")
      const program = Effect.gen(function* () {
        const began = yield* Clock.currentTimeMillis
        yield* Effect.sleep("1 day")
        return [yield* Greeting, began, yield* Clock.currentTimeMillis] as const
      })
      const ended = yield* program.pipe(SimRuntime.within("2 days"), Effect.provideService(Greeting, "hello"))
      assert.deepStrictEqual(ended, ["hello", 0, 86_400_000])
      assert.strictEqual(yield* Effect.flip(Effect.fail("no").pipe(SimRuntime.within("1 day"))), "no")
      assert.strictEqual(yield* Clock.currentTimeMillis, 3_600_000)
    })
  )

  it.effect("a program that sleeps longer is told so, and gives back what it holds", () =>
    Effect.gen(function* () {
      const given: Array<string> = []
      const holds = Effect.acquireRelease(Effect.void, () => Effect.sync(() => given.push("back")))
      const error = yield* stuck(Effect.scoped(Effect.andThen(holds, Effect.sleep("1 hour"))))
      assert.deepStrictEqual(given, ["back"])
      assert.deepStrictEqual(error.sleeping, [{ who: "the program", untilMillis: 3_600_000 }])
      assert.strictEqual(
        error.message,
        "The program still waits after 10m, and nothing happens before 1h. Asleep: the program until 1h."
      )
    })
  )

  it.effect("a program that waits for something else hears who sleeps until when, by the names of tasks", () =>
    Effect.gen(function* () {
      const error = yield* stuck(
        Effect.gen(function* () {
          const tasks = yield* BackgroundTasks
          yield* tasks.run("gardener", everyMinute)
          yield* tasks.run("cook", Effect.sleep("12 minutes"))
          // Who slept and does so no more is not asleep.
          yield* Effect.timeoutOption(Effect.sleep("1 hour"), "90 seconds")
          return yield* Effect.never
        }).pipe(Effect.scoped, Effect.provide(BackgroundTasks.layer))
      )
      assert.strictEqual(
        error.message,
        "The program still waits after 10m, and nothing happens before 11m. It waits for something else than time. " +
          "Asleep: gardener until 11m, cook until 12m."
      )
    })
  )

  it.effect("a program for which nobody can do anything any more hears so before the time is over", () =>
    Effect.gen(function* () {
      const error = yield* stuck(Effect.andThen(Effect.sleep("1 second"), Effect.never))
      assert.deepStrictEqual([error.afterMillis, error.sleeping], [1000, []])
      assert.include(error.message, "after 1s nobody sleeps and nobody has anything to do")
    })
  )

  it.effect("a crowd of sleepers is told of by its first, and counted", () =>
    Effect.gen(function* () {
      const crowd = Effect.forEach(Array.from({ length: 11 }), () => Effect.sleep("1 hour"), {
        concurrency: "unbounded"
      })
      assert.match((yield* stuck(crowd)).message, /(the program until 1h, ){8}and 3 more\.$/)
    })
  )

  it.effect("whoever waits hears for what: a peer, a start, or else the innermost name in its own code", () =>
    Effect.gen(function* () {
      const host = PeerSocketAddress.fromStringUnsafe("10.0.0.1:18233")
      const silent = PeerSocketAddress.fromStringUnsafe("10.0.0.9:18233")
      const asked = <A, E>(ask: (network: Network["Service"]) => Effect.Effect<A, E>, limit: Duration.Input) =>
        Effect.gen(function* () {
          yield* (yield* SimNetwork).addRule(LinkRule.blackHole({ to: [silent] }))
          const services = yield* Layer.build(Simulated.layer({ chain: regtest, host, peers: [silent], seed: 1 }))
          return yield* ask(Context.get(services, Network))
        }).pipe(
          Effect.scoped,
          Effect.provide(SimNetwork.layer),
          Effect.provideService(References.MinimumLogLevel, "None"),
          SimRuntime.within(limit),
          Effect.flip,
          Effect.map((error) => (error instanceof StillWaiting ? error.message : assert.fail(String(error))))
        )
      assert.include(
        yield* asked(({ request }) => request({ _tag: "Peers" }), "1 minute"),
        "It waits for a peer for Peers."
      )
      assert.include(yield* asked(({ awaitReady }) => awaitReady({ peers: 1 }), "1 minute"), "for a connected peer.")
      const start = yield* asked(({ awaitStarted }) => awaitStarted, "1 second")
      assert.include(start, "It waits for the first dials and the first crawl.")
      const mine = Effect.fn("cook dinner")(() => Effect.never)
      assert.include((yield* stuck(mine())).message, 'The program waits for what "cook dinner" waits for: after 0')
    })
  )

  it.effect("nodes are told apart, and their connections have a name", () =>
    Effect.gen(function* () {
      const [alice, bob] = ["10.0.0.1:18233", "10.0.0.2:18233"].map(PeerSocketAddress.fromStringUnsafe)
      if (alice === undefined || bob === undefined) return assert.fail("there are two of them")
      const nodes = Layer.merge(
        Simulated.layer({ chain: regtest, host: bob, listenAddress: bob, seed: 1 }),
        Simulated.layer({ chain: regtest, host: alice, listenAddress: alice, peers: [bob], seed: 1 })
      ).pipe(Layer.provide(SimNetwork.layer))
      const ready = (peers: number) =>
        Effect.flatMap(Network, (network) => network.awaitReady({ peers })).pipe(
          Effect.provide(nodes),
          Effect.provideService(References.MinimumLogLevel, "None")
        )
      yield* ready(1).pipe(SimRuntime.within("1 minute"))
      const { message, sleeping } = yield* stuck(ready(2))
      const names = sleeping.map(({ who }) => who)
      for (const node of ["10.0.0.1:18233", "10.0.0.2:18233"]) {
        assert.includeMembers(names, [`crawler of ${node}`, `inventory of ${node}`, `connection of ${node}`])
      }
      assert.include(message, "It waits for 2 connected peers.")
    })
  )
})

describe("a run", () => {
  it("that is out of time says who slept", () => {
    const ending = new SimRuntime(5_000_000).run(Effect.sleep("1 hour"), 1000)
    const sleeping = [{ who: "the program", untilMillis: 3_600_000 }]
    assert.deepStrictEqual(ending, { _tag: "OutOfTime", sleeping })
  })
})
