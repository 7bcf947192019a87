/**
 * Tests a service of your own against a network that falls apart: half an hour in a moment, the same every time.
 *
 *     node scripts/examples/test-with-a-partition.ts
 */
import { strictEqual } from "node:assert"
import { Console, type Duration, Effect, Exit, References } from "effect"
import { AddressBook, defaults, PeerSet, Policy } from "network-effect"
import { Simulated } from "network-effect/layers"
import { LinkRule, SimRuntime, World } from "network-effect/simulation"

/** Yours: how many hosts a node can ask, and how many it knows. */
const outlook = Effect.gen(function* () {
  const { busy, ready } = yield* (yield* PeerSet).counts
  const known = (yield* (yield* AddressBook).entries).length
  return `${ready + busy} peers, ${known} addresses`
})

const test = Effect.gen(function* () {
  const world = yield* World.make({ seed: 2, node: Simulated.worldNode })
  for (const index of [1, 2, 3]) yield* world.start(index, index === 1 ? [] : [1])
  const [, , third] = world.nodes()
  if (third === undefined) return yield* Effect.die("node 3 did not start")
  const after = (time: Duration.Input) =>
    Effect.andThen(Effect.sleep(time), Effect.provideContext(outlook, third.services))

  yield* Console.log(`before:  ${yield* after("15 minutes")}`)
  const cut = world.network.addRule(LinkRule.partition([world.hostOf(3)]))
  const during = yield* Effect.scoped(Effect.andThen(cut, after("10 minutes")))
  yield* Console.log(`cut off: ${during}`)
  strictEqual(during, "0 peers, 2 addresses")
  const healed = yield* after("10 minutes")
  yield* Console.log(`healed:  ${healed}`)
  strictEqual(healed, "2 peers, 3 addresses")
}).pipe(
  Effect.scoped,
  Effect.provideService(Policy, defaults),
  Effect.provideService(References.MinimumLogLevel, "None")
)

const ending = new SimRuntime().run(test, 3_600_000)
strictEqual(ending._tag === "Done" && Exit.isSuccess(ending.exit), true)
