/** What runs as long as the network, and its one end. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, Layer, Logger, References, Scope } from "effect"
import { TestClock } from "effect/testing"
import { BackgroundTasks, NetworkClosed, NodeOutdated, runBeside } from "../src/BackgroundTasks.ts"

const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

const withTasks = <A, E>(test: (tasks: BackgroundTasks["Service"]) => Effect.Effect<A, E, Scope.Scope>) =>
  Effect.flatMap(BackgroundTasks, test).pipe(Effect.scoped, Effect.provide(BackgroundTasks.layer), quietly)

/** Runs until it waits; what it is interrupted with is noted. */
const noted = (log: Array<string>, name: string) =>
  Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push(name)))

describe("background tasks", () => {
  for (const [how, task, cause] of [
    ["fails", Effect.fail("broken"), "broken"],
    ["dies", Effect.die("broken"), "broken"],
    ["succeeds", Effect.void, "Error: it ended without an error"],
    // By itself: nobody closed its scope.
    ["interrupts itself", Effect.interrupt, "Error: it was interrupted"]
  ] as const) {
    it.effect(`one that ${how} ends the network by its name, and every other task`, () =>
      withTasks((tasks) =>
        Effect.gen(function* () {
          const log: Array<string> = []
          const go = yield* Deferred.make<void>()
          yield* tasks.run("steady", noted(log, "steady"))
          yield* tasks.run("weak", Effect.andThen(Deferred.await(go), task))
          assert.isUndefined(tasks.endedUnsafe())
          const waiting = yield* Effect.forkChild(Effect.flip(tasks.awaitEnd), { startImmediately: true })
          yield* Deferred.succeed(go, undefined)
          const reason = yield* Fiber.join(waiting)
          assert.strictEqual(reason._tag, "BackgroundTaskExited")
          assert.include(reason, { task: "weak" })
          assert.strictEqual(String((reason as { readonly cause?: unknown }).cause), cause)
          yield* TestClock.adjust(0)
          assert.deepStrictEqual(log, ["steady"])
          assert.deepStrictEqual(yield* tasks.names, [])
        })
      )
    )
  }

  it.effect("one that ends at once is the end too, and one that is registered later does not run", () =>
    withTasks((tasks) =>
      Effect.gen(function* () {
        yield* tasks.run("brief", Effect.void)
        const reason = yield* Effect.flip(tasks.awaitEnd)
        assert.include(reason, { _tag: "BackgroundTaskExited", task: "brief" })
        let ran = false
        yield* tasks.run(
          "late",
          Effect.sync(() => (ran = true))
        )
        assert.isFalse(ran)
      })
    )
  )

  it.effect("an end that a task fails with is the end itself", () =>
    withTasks((tasks) =>
      Effect.gen(function* () {
        const outdated = new NodeOutdated({ ourVersion: 1, requiredVersion: 2, height: 3 })
        yield* tasks.run("chain tip", Effect.fail(outdated))
        assert.strictEqual(yield* Effect.flip(tasks.awaitEnd), outdated)
      })
    )
  )

  it.effect("two of one name are refused by that name; the first goes on", () =>
    withTasks((tasks) =>
      Effect.gen(function* () {
        yield* tasks.run("crawler", Effect.never)
        const error = yield* Effect.flip(tasks.run("crawler", Effect.never))
        assert.include(error, { _tag: "TaskNameTaken", task: "crawler" })
        assert.include(error.message, '"crawler"')
        assert.deepStrictEqual(yield* tasks.names, ["crawler"])
        assert.isUndefined(tasks.endedUnsafe())
      })
    )
  )

  it.effect("one whose own scope closes is gone, and nothing else ends", () =>
    withTasks((tasks) =>
      Effect.gen(function* () {
        const log: Array<string> = []
        const scope = yield* Scope.make()
        yield* tasks.run("guest", noted(log, "guest")).pipe(Scope.provide(scope))
        yield* Scope.close(scope, Exit.void)
        assert.deepStrictEqual(log, ["guest"])
        assert.isUndefined(tasks.endedUnsafe())
        yield* tasks.run("guest", Effect.never)
        assert.deepStrictEqual(yield* tasks.names, ["guest"])
      })
    )
  )

  it.effect(
    "listeners hear the reason before anything is interrupted, and one that throws takes nothing from the others",
    () =>
      withTasks((tasks) =>
        Effect.gen(function* () {
          const log: Array<string> = []
          yield* tasks.run("steady", noted(log, "interrupted"))
          yield* tasks.onEnd(() => {
            log.push("first")
            throw new Error("a listener's bug")
          })
          yield* tasks.onEnd((reason) => void log.push(`${reason._tag}, ${tasks.endedUnsafe()?._tag}`))
          yield* tasks.end(new NetworkClosed())
          assert.deepStrictEqual(log, ["first", "NetworkClosed, NetworkClosed", "interrupted"])
        })
      )
  )

  it.effect("everything that hangs on the scope closes at the same time, and the end waits for all of it", () =>
    withTasks((tasks) =>
      Effect.gen(function* () {
        let closed = 0
        const slow = Effect.addFinalizer(() =>
          Effect.andThen(
            Effect.sleep("1 second"),
            Effect.sync(() => closed++)
          )
        )
        for (let i = 0; i < 3; i++) yield* Scope.provide(slow, tasks.scope)
        const ending = yield* Effect.forkChild(tasks.end(new NetworkClosed()), { startImmediately: true })
        const again = yield* Effect.forkChild(tasks.end(new NetworkClosed()), { startImmediately: true })
        yield* TestClock.adjust("999 millis")
        assert.strictEqual(closed, 0)
        assert.isUndefined(again.pollUnsafe())
        yield* TestClock.adjust("1 millis")
        yield* Fiber.join(ending)
        yield* Fiber.join(again)
        assert.strictEqual(closed, 3)
      })
    )
  )

  it.effect("what runs until the end fails with the reason, also when something breaks because of the end", () =>
    withTasks((tasks) =>
      Effect.gen(function* () {
        const waits = yield* Effect.forkChild(Effect.flip(tasks.untilEnd(Effect.never)), { startImmediately: true })
        const broken = yield* Deferred.make<never, string>()
        const breaks = yield* Effect.forkChild(Effect.flip(tasks.untilEnd(Deferred.await(broken))), {
          startImmediately: true
        })
        yield* tasks.onEnd(() => Deferred.doneUnsafe(broken, Exit.fail("its connection broke")))
        assert.strictEqual(yield* tasks.untilEnd(Effect.succeed(7)), 7)
        assert.strictEqual(yield* Effect.flip(tasks.untilEnd(Effect.fail("its own"))), "its own")
        const reason = new NetworkClosed()
        yield* tasks.end(reason)
        assert.deepStrictEqual([yield* Fiber.join(waits), yield* Fiber.join(breaks)], [reason, reason])
        assert.strictEqual(yield* Effect.flip(tasks.untilEnd(Effect.void)), reason)
      })
    )
  )

  it.effect("closing the layer is the end, with `NetworkClosed`", () =>
    Effect.gen(function* () {
      const scope = yield* Scope.make()
      const tasks = Context.get(yield* Layer.build(BackgroundTasks.layer).pipe(Scope.provide(scope)), BackgroundTasks)
      const waiting = yield* Effect.forkChild(Effect.flip(tasks.awaitEnd), { startImmediately: true })
      yield* Scope.close(scope, Exit.void)
      assert.strictEqual((yield* Fiber.join(waiting))._tag, "NetworkClosed")
    })
  )
})

describe("what a network goes on without", () => {
  const saysWhile = (loop: Effect.Effect<unknown>) => {
    const said: Array<unknown> = []
    const logger = Logger.make(({ message }) => said.push(message))
    const world = Effect.andThen(runBeside("a page", loop), Effect.yieldNow)
    return world.pipe(Effect.scoped, Effect.provide(Logger.layer([logger])), Effect.as(said))
  }

  it.effect("says by its name that a bug ended it, and nothing when its scope did", () =>
    Effect.gen(function* () {
      const [words] = (yield* saysWhile(Effect.die("a bug"))) as ReadonlyArray<ReadonlyArray<unknown>>
      assert.strictEqual(words?.[0], "a page has ended, and the rest goes on")
      assert.deepStrictEqual(yield* saysWhile(Effect.never), [])
    })
  )
})
