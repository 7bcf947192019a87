/** A counter of wanted connections that nobody can get stuck on. */
import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber } from "effect"
import * as Demand from "../../src/network/Demand.ts"
import { isPending, start } from "../support/peerSetWorld.ts"

const make = (capacity: number) =>
  Effect.map(Deferred.make<never, string>(), (ended) => ({
    ...Demand.make(capacity, ended),
    end: (error: string) => Deferred.fail(ended, error)
  }))

describe("Demand", () => {
  it.effect("holds so many signals and loses those beyond, without waiting", () =>
    Effect.gen(function* () {
      const { demand } = yield* make(2)
      assert.deepStrictEqual([yield* demand.offer, yield* demand.offer, yield* demand.offer], [true, true, false])
      assert.deepStrictEqual([demand.takeUnsafe(), demand.takeUnsafe(), demand.takeUnsafe()], [true, true, false])
    })
  )

  it.effect("wakes whoever waits, without taking", () =>
    Effect.gen(function* () {
      const { demand, offerUnsafe } = yield* make(2)
      const waiting = yield* start(demand.awaitOne)
      assert.isTrue(isPending(waiting))
      offerUnsafe()
      yield* Fiber.join(waiting)
      yield* demand.awaitOne
      assert.isTrue(demand.takeUnsafe())
      assert.isTrue(isPending(yield* start(demand.awaitOne)))
    })
  )

  it.effect("gives each signal to one of those who take, and loses none by interruption", () =>
    Effect.gen(function* () {
      const { demand } = yield* make(5)
      const [first, second, third] = [yield* start(demand.take), yield* start(demand.take), yield* start(demand.take)]
      yield* Fiber.interrupt(first)
      yield* demand.offer
      const done = [second, third].filter((fiber) => !isPending(fiber))
      assert.strictEqual(done.length, 1)
      assert.isFalse(demand.takeUnsafe())
      yield* demand.offer
      yield* Fiber.join(second)
      yield* Fiber.join(third)
    })
  )

  it.effect("ends with the network", () =>
    Effect.gen(function* () {
      const { closeUnsafe, demand, end } = yield* make(5)
      yield* demand.offer
      const waiting = yield* start(Effect.andThen(demand.take, demand.take))
      yield* end("closed")
      closeUnsafe()
      assert.strictEqual(yield* Effect.flip(Fiber.join(waiting)), "closed")
      assert.strictEqual(yield* Effect.flip(demand.awaitOne), "closed")
      assert.isFalse(yield* demand.offer)
      assert.isFalse(demand.takeUnsafe())
    })
  )
})
