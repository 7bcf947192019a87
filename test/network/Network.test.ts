/** What the network starts, in which order, and what it does when one of its tasks ends. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, References } from "effect"
import { PeerCache } from "../../src/addresses/AddressBookFile.ts"
import { Misbehavior } from "../../src/addresses/Misbehavior.ts"
import { ChainTip } from "../../src/chain/ChainTip.ts"
import { BlockAdvertiser } from "../../src/network/BlockAdvertiser.ts"
import { Crawler } from "../../src/network/Crawler.ts"
import { InitialPeers } from "../../src/network/InitialPeers.ts"
import { Listener } from "../../src/network/Listener.ts"
import { Network } from "../../src/network/Network.ts"
import type { BackgroundTaskExited } from "../../src/BackgroundTasks.ts"
import { PeerSet } from "../../src/network/PeerSet.ts"
import { loopback } from "../support/addresses.ts"
import { collectEvents, dialWorld, emptyLog } from "../support/dialWorld.ts"
import { settle } from "../support/time.ts"

interface Tasks {
  readonly listener: Effect.Effect<never>
  readonly crawler: Effect.Effect<never>
  readonly cache: Effect.Effect<never>
  readonly startOver: Effect.Effect<never>
  readonly misbehavior: Effect.Effect<never>
  readonly start: Effect.Effect<number>
}

/** A network whose tasks are the test's, and the order in which they were begun. */
const world = (tasks: Partial<Tasks>, begun: Array<string> = []) => {
  const task = (name: keyof Tasks) =>
    Effect.andThen(
      Effect.sync(() => begun.push(name)),
      (tasks[name] ?? Effect.never) as Effect.Effect<never>
    )
  const start = Effect.andThen(
    Effect.sync(() => begun.push("start")),
    tasks.start ?? Effect.succeed(1)
  )
  return Network.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        Layer.mock(Listener, { address: loopback(1, 1), run: task("listener") }),
        Layer.mock(Crawler, {
          crawlOnce: (fanout) =>
            Effect.sync(() => {
              begun.push(`crawl of ${fanout}`)
              return true
            }),
          run: task("crawler")
        }),
        Layer.mock(InitialPeers, { start, startOver: task("startOver") }),
        Layer.mock(PeerCache, { run: task("cache") }),
        Layer.mock(Misbehavior, { run: task("misbehavior") }),
        Layer.mock(BlockAdvertiser, {}),
        ChainTip.layerNone
      )
    ),
    Layer.provideMerge(dialWorld(emptyLog()))
  )
}

const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

describe("the network", () => {
  it.effect("accepts before it dials, and crawls, keeps and starts over only after its first dials", () => {
    const begun: Array<string> = []
    return Effect.gen(function* () {
      yield* settle
      assert.deepStrictEqual(begun, ["misbehavior", "listener", "start", "crawl of 1", "crawler", "cache", "startOver"])
      yield* (yield* Network).awaitStarted
      // What the first dials did not bring is wanted: the target, for nobody holds a slot here.
      const { demand } = yield* PeerSet
      let wanted = 0
      while (demand.takeUnsafe()) wanted++
      assert.strictEqual(wanted, 25)
    }).pipe(Effect.provide(world({}, begun)), quietly)
  })

  it.effect("is built while seeds and dials take their time", () =>
    Effect.gen(function* () {
      const dialled = yield* Deferred.make<number>()
      yield* Effect.gen(function* () {
        const network = yield* Network
        const started = yield* Effect.forkChild(network.awaitStarted, { startImmediately: true })
        yield* settle
        assert.isUndefined(started.pollUnsafe())
        yield* Deferred.succeed(dialled, 0)
        yield* Fiber.join(started)
      }).pipe(Effect.provide(world({ start: Deferred.await(dialled) })))
    }).pipe(quietly)
  )

  it.effect("asks nobody for addresses when no initial peer was reached", () => {
    const begun: Array<string> = []
    return Effect.gen(function* () {
      yield* settle
      assert.include(begun, "crawl of 0")
    }).pipe(Effect.provide(world({ start: Effect.succeed(0) }, begun)), quietly)
  })

  for (const task of ["listener", "crawler", "cache", "startOver", "misbehavior"] as const) {
    it.effect(`ends, and says why, when its task dies: ${task}`, () =>
      Effect.gen(function* () {
        const gate = yield* Deferred.make<never>()
        yield* Effect.gen(function* () {
          const network = yield* Network
          const events = yield* collectEvents
          const end = yield* Effect.forkChild(Effect.flip(network.awaitEnd), { startImmediately: true })
          yield* settle
          assert.isUndefined(end.pollUnsafe())
          yield* Deferred.die(gate, new Error("a bug"))
          yield* settle
          const error = (yield* Fiber.join(end)) as BackgroundTaskExited
          assert.strictEqual(error._tag, "BackgroundTaskExited")
          assert.match(String(error.cause), /a bug/)
          const told = events.find(({ _tag }) => _tag === "BackgroundTaskExited")
          assert.deepInclude(told, { task: error.task, reason: "Defect" })
        }).pipe(Effect.scoped, Effect.provide(world({ [task]: Deferred.await(gate) })))
      }).pipe(quietly)
    )
  }

  it.effect("ends when a task without which it is nothing just stops", () =>
    Effect.gen(function* () {
      const network = yield* Network
      const error = yield* Effect.flip(network.awaitEnd)
      assert.strictEqual(error._tag, "BackgroundTaskExited")
      assert.match(String((error as BackgroundTaskExited).cause), /without an error/)
    }).pipe(Effect.provide(world({ crawler: Effect.void as never })), quietly)
  )
})
