/** What a node does over minutes and hours, in small worlds. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, type Scope } from "effect"
import { PeerSet, testnet } from "network-effect"
import { Simulated } from "network-effect/layers"
import { type NotReached, type Scenario, Simulation, type World } from "network-effect/simulation"

const inWorld = (
  run: (world: World.World) => Effect.Effect<void, NotReached, Scope.Scope>,
  options: Partial<Scenario> = {}
) => {
  const scenario: Scenario = {
    name: "test",
    description: "",
    size: { nodes: 2, hours: 1 },
    run: (world) => run(world),
    ...options
  }
  const { failure } = Simulation.run({ scenario, seed: 1, node: Simulated.worldNode })
  assert.isUndefined(failure, failure?.reason)
}

const peersOf = (world: World.World, index: number) => {
  const node = world.nodes().find((node) => node.index === index)
  return node === undefined ? -1 : Context.get(node.services, PeerSet).peersUnsafe().length
}

describe("a node whose only peer is down when it starts", () => {
  it("tries again until it is there, and never twice within its time but for one retry (EX-18)", () => {
    inWorld((world) =>
      Effect.gen(function* () {
        yield* world.start(1, [2])
        yield* Effect.sleep("5 minutes")
        const dials = world.recent().filter(({ event, node }) => node === 1 && event._tag === "DialStarted")
        assert.isAtLeast(dials.length, 2)
        for (const [i, { atMillis }] of dials.entries()) {
          const before = dials[i - 1]
          // The crawler's one retry after the first, whose time counts from when it was chosen, a turn before its dial.
          if (before !== undefined && i > 1) assert.isAtLeast(atMillis - before.atMillis, 119_000 - 100)
        }
        yield* world.start(2, [])
        yield* Effect.sleep("240 seconds")
        assert.deepStrictEqual([peersOf(world, 1), peersOf(world, 2)], [1, 1])
      })
    )
  })
})

describe("a node with a disk", () => {
  it("writes whom it knows within 90 seconds, and finds them again without a seed (NB-11)", () => {
    inWorld(
      (world) =>
        Effect.gen(function* () {
          yield* world.start(1, [])
          yield* world.start(2, [1])
          yield* Effect.sleep("90 seconds")
          yield* world.crash(2)
          yield* Effect.sleep("5 minutes")
          yield* world.start(2, [])
          yield* Effect.sleep("10 seconds")
          assert.strictEqual(peersOf(world, 2), 1)
        }),
      { chain: testnet }
    )
  })
})
