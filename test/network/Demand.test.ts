/** A counter of wanted connections that nobody can get stuck on. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as Demand from "../../src/network/Demand.ts"
import { isPending, start } from "../support/peerSetWorld.ts"

describe("Demand", () => {
  it.effect("holds so many signals and loses those beyond, without waiting", () =>
    Effect.gen(function* () {
      const { demand } = yield* Demand.make(2)
      assert.deepStrictEqual([yield* demand.offer, yield* demand.offer, yield* demand.offer], [true, true, false])
      assert.deepStrictEqual([demand.takeUnsafe(), demand.takeUnsafe(), demand.takeUnsafe()], [true, true, false])
    })
  )

  it.effect("wakes whoever waits, without taking", () =>
    Effect.gen(function* () {
      const { demand, offerUnsafe } = yield* Demand.make(2)
      const waiting = yield* start(demand.awaitOne)
      assert.isTrue(isPending(waiting))
      offerUnsafe()
      yield* Fiber.join(waiting)
      yield* demand.awaitOne
      assert.isTrue(demand.takeUnsafe())
      assert.isTrue(isPending(yield* start(demand.awaitOne)))
    })
  )

  it.effect("loses nothing by the interruption of somebody who waits", () =>
    Effect.gen(function* () {
      const { demand } = yield* Demand.make(2)
      const [hasty, patient] = [yield* start(demand.awaitOne), yield* start(demand.awaitOne)]
      yield* demand.offer
      yield* Fiber.interrupt(hasty)
      yield* Fiber.join(patient)
      assert.isTrue(demand.takeUnsafe())
    })
  )

  it.effect("lets whoever was woken too late wait on", () =>
    Effect.gen(function* () {
      const { demand } = yield* Demand.make(2)
      const waiting = yield* start(demand.awaitOne)
      yield* demand.offer
      assert.isTrue(demand.takeUnsafe())
      yield* TestClock.adjust("1 second")
      assert.isTrue(isPending(waiting))
    })
  )

  it.effect("ends with the network, whatever is left", () =>
    Effect.gen(function* () {
      const { demand, endUnsafe } = yield* Demand.make<string>(5)
      const waiting = yield* start(demand.awaitOne)
      endUnsafe("closed")
      assert.strictEqual(yield* Effect.flip(Fiber.join(waiting)), "closed")

      const other = yield* Demand.make<string>(5)
      yield* other.demand.offer
      other.endUnsafe("closed")
      assert.isFalse(other.demand.takeUnsafe())
      assert.strictEqual(yield* Effect.flip(other.demand.awaitOne), "closed")
      assert.isFalse(yield* other.demand.offer)
    })
  )
})
