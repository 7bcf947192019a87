/** Worlds that replay: the same seed, the same run, whatever runs it. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, References, Scope } from "effect"
import { defaults, type NetworkEvent, PeerSet, Policy, Replay } from "network-effect"
import { Simulated } from "network-effect/layers"
import { watchDials, watchTasks } from "../../src/simulation/Invariants.ts"
import { isLong } from "../support/long.ts"
import { elapse } from "../support/time.ts"
import { scenarios, type Scenario, SeededRandom, SimRuntime, Simulation, World } from "network-effect/simulation"

const scenarioNamed = (name: string): Scenario => {
  const scenario = scenarios.find((scenario) => scenario.name === name)
  if (scenario === undefined) throw new Error(`there is no scenario ${name}`)
  return scenario
}

const run = (name: string, seed: number, size?: { readonly nodes?: number; readonly hours?: number }) =>
  Simulation.run({ scenario: scenarioNamed(name), seed, size, node: Simulated.worldNode })

describe("a world", () => {
  const nodes = isLong ? 200 : 24
  it(
    `of ${nodes} nodes is the same in two runs of one seed, and another with another seed`,
    { timeout: 600_000 },
    () => {
      const size = { nodes, hours: 0.015 }
      const [first, again] = [run("bootstrap", 5, size), run("bootstrap", 5, size)]
      assert.strictEqual(again.hash, first.hash)
      assert.strictEqual(again.events, first.events)
      const small = { nodes: 10, hours: 0.1 }
      assert.notStrictEqual(run("bootstrap", 6, small).hash, run("bootstrap", 5, small).hash)
      assert.isAbove(first.events, 10 * nodes)
    }
  )

  it.effect("is the same under a TestClock", () =>
    Effect.gen(function* () {
      const minutes = isLong ? 3 : 1
      /** Twelve nodes, for so long. */
      const program = Effect.gen(function* () {
        const world = yield* World.make({ seed: 9, node: Simulated.worldNode })
        for (let index = 1; index <= 12; index++) {
          yield* world.start(index, index === 1 ? [] : [1])
          yield* Effect.sleep("137 millis")
        }
        return world
      }).pipe(
        Effect.provide(SeededRandom.layer(9, "scenario")),
        Effect.provideService(Policy, { ...defaults, targetPeers: 4 }),
        Effect.provideService(References.MinimumLogLevel, "None")
      )

      const scope = yield* Scope.make()
      const starting = yield* Effect.forkChild(program.pipe(Scope.provide(scope)), { startImmediately: true })
      yield* elapse("2 seconds", "1 millis")
      const world = yield* Fiber.join(starting)
      yield* elapse(minutes * 60_000 - 2000, "100 millis")
      const underTestClock = { hash: world.hash(), events: world.events() }
      yield* Scope.close(scope, Exit.void)

      const runtime = new SimRuntime()
      let hash = ""
      let events = 0
      const ending = runtime.run(
        Effect.scoped(
          Effect.gen(function* () {
            const world = yield* program
            yield* Effect.sleep(minutes * 60_000 - world.nowMillis())
            hash = world.hash()
            events = world.events()
          })
        ),
        3_600_000
      )
      assert.strictEqual(ending._tag, "Done")
      assert.deepStrictEqual({ hash, events }, underTestClock)
    })
  )

  it("is the same when it is recorded, and its connections decide again what they decided", () => {
    const size = { nodes: 8, hours: 0.05 }
    const plain = run("churn", 3, size)
    const options = { scenario: scenarioNamed("churn"), seed: 3, size, node: Simulated.worldNode }
    const recorded = Simulation.run({ ...options, recordedCharacters: 64 * 1_048_576 })
    assert.deepStrictEqual([recorded.hash, recorded.events], [plain.hash, plain.events])
    assert.deepStrictEqual(plain.records, [])
    const verdicts = recorded.records.map(({ text }) => Replay.replay(text))
    assert.isAbove(verdicts.length, 30)
    assert.isAbove(
      verdicts.reduce((sum, { events }) => sum + events, 0),
      1000
    )
    assert.deepStrictEqual(
      verdicts.filter(({ difference, end }) => difference !== undefined || end === undefined),
      []
    )
    // Only the latest where there is no room for all.
    const few = Simulation.run({ ...options, recordedCharacters: 100_000 }).records
    assert.isAtMost(
      few.reduce((sum, { text }) => sum + text.length, 0),
      100_000
    )
    assert.strictEqual(few.at(-1)?.text, recorded.records.at(-1)?.text)
  })

  it("that fails has the records of what its nodes did until then", () => {
    const scenario: Scenario = {
      ...scenarioNamed("bootstrap"),
      run: (world) =>
        Effect.gen(function* () {
          yield* world.start(1, [])
          yield* world.start(2, [1])
          yield* Effect.sleep("2 minutes")
          return yield* Effect.die(new Error("enough"))
        })
    }
    const { failure, records } = Simulation.run({
      scenario,
      seed: 1,
      node: Simulated.worldNode,
      recordedCharacters: 1_048_576
    })
    assert.include(failure?.reason, "enough")
    assert.sameMembers([...new Set(records.map(({ name }) => name.node))], ["1", "2"])
    const verdicts = records.map(({ text }) => Replay.replay(text))
    assert.deepStrictEqual(
      verdicts.filter(({ difference, end }) => difference !== undefined || end !== "closed"),
      []
    )
    assert.isAbove(verdicts[0]?.events ?? 0, 5)
  })

  it("gives each node its own chance: another node changes no choice of the others", () => {
    const draws = (stream: string) => {
      const draw = SeededRandom.draws(1, stream)
      return Array.from({ length: 5 }, draw)
    }
    assert.deepStrictEqual(draws("node 1"), draws("node 1"))
    assert.notDeepEqual(draws("node 1"), draws("node 2"))
  })
})

describe("a scenario that hangs", () => {
  const never = (run: Scenario["run"]): Scenario => ({
    name: "hangs",
    description: "waits for ever",
    size: { nodes: 2, hours: 0.1 },
    run
  })

  it("ends with what everybody does, when its time is over", () => {
    const scenario = never((world) =>
      Effect.gen(function* () {
        yield* world.start(1, [])
        yield* world.start(2, [1])
        return yield* Effect.never
      })
    )
    const { failure } = Simulation.run({ scenario, seed: 1, node: Simulated.worldNode })
    assert.strictEqual(
      failure?.reason,
      "the time is over, and the scenario still waits: node 1 has 1 peers, node 2 has 1 peers"
    )
  })

  it("ends at once when nobody has anything to do", () => {
    const runtime = new SimRuntime()
    assert.deepStrictEqual(runtime.run(Effect.never, 1_000_000), { _tag: "Deadlock" })
    assert.strictEqual(runtime.nowMillis(), 0)
  })
})

describe("invariants", () => {
  it("notice an address that is dialled again and again, and let one retry pass", () => {
    const dialAt = (...seconds: ReadonlyArray<number>) => {
      const watch = watchDials(1, defaults)
      return seconds.map((second) => {
        const event: NetworkEvent = { _tag: "DialStarted", at: 0, address: "10.0.0.1:18233" }
        return watch(event, second * 1000)?.invariant
      })
    }
    const atOnce = "nobody is dialled again at once"
    assert.deepStrictEqual(dialAt(0, 30, 149, 268), [undefined, undefined, undefined, undefined])
    assert.deepStrictEqual(dialAt(0, 30, 60), [undefined, undefined, atOnce])
    // One in all, not one after each that came in time.
    assert.deepStrictEqual(dialAt(0, 30, 149, 179), [undefined, undefined, undefined, atOnce])
    assert.deepStrictEqual(dialAt(0, 0.05), [undefined, "dials keep their pace"])
  })

  it("notice a background task that ends", () => {
    const exited: NetworkEvent = { _tag: "BackgroundTaskExited", at: 0, task: "crawler", reason: "Defect" }
    const { detail, node } = watchTasks(7)(exited, 5000) ?? {}
    assert.deepStrictEqual([node, detail], [7, '"crawler" ended: Defect'])
    assert.isUndefined(watchTasks(7)({ _tag: "DialStarted", at: 0, address: "10.0.0.1:18233" }, 5000))
  })

  it("that are broken end the run, and say which, where and why", () => {
    const scenario: Scenario = {
      name: "too many",
      description: "a policy that changes after the fact",
      size: { nodes: 3, hours: 0.1 },
      policy: { connectionsPerGroup: 1 },
      run: (world) =>
        Effect.gen(function* () {
          const first = yield* world.start(1, [])
          yield* world.start(2, [1])
          yield* Effect.sleep("10 seconds")
          // What no node would do: the same peer once more, under another number.
          const peerSet = Context.get(first.services, PeerSet)
          const [peer] = peerSet.peersUnsafe()
          Object.assign(peerSet, { peersUnsafe: () => [peer, peer] })
          yield* Effect.sleep("1 minute")
        })
    }
    const { failure } = Simulation.run({ scenario, seed: 1, node: Simulated.worldNode })
    assert.deepStrictEqual(failure, {
      reason: "broken: no peer group has more connections than it may have: node 1: 2 connections of 10.0.2.1",
      nodes: [1]
    })
  })
})
