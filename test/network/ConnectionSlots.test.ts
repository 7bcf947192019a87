import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Scope } from "effect"
import { ConnectionSlots } from "../../src/network/ConnectionSlots.ts"

describe("ConnectionSlots", () => {
  it.effect("counts a place from its reservation to the end of its scope", () =>
    Effect.gen(function* () {
      const slots = yield* ConnectionSlots
      const scope = yield* Scope.make()
      const slot = yield* slots.reserve("outbound").pipe(Scope.provide(scope))
      assert.deepStrictEqual([slots.used("outbound"), slots.open("outbound"), slots.used("inbound")], [1, 0, 0])
      yield* slot.markOpen
      yield* slot.markOpen
      assert.deepStrictEqual([slots.used("outbound"), slots.open("outbound")], [1, 1])
      yield* Scope.close(scope, Exit.void)
      assert.deepStrictEqual([slots.used("outbound"), slots.open("outbound")], [0, 0])
      // A connection that outlives its slot cannot take it back.
      yield* slot.markOpen
      assert.deepStrictEqual([slots.used("outbound"), slots.open("outbound")], [0, 0])
    }).pipe(Effect.provide(ConnectionSlots.layer))
  )

  const exits = {
    success: Effect.void,
    "a typed error": Effect.fail("refused"),
    "a defect": Effect.die("bug"),
    interruption: Effect.interrupt
  }
  for (const [name, end] of Object.entries(exits)) {
    it.effect(`is free again after ${name}, open or not`, () =>
      Effect.gen(function* () {
        const slots = yield* ConnectionSlots
        for (const open of [false, true]) {
          const use = Effect.gen(function* () {
            const slot = yield* slots.reserve("inbound")
            if (open) yield* slot.markOpen
            yield* end
          })
          yield* Effect.exit(Effect.scoped(use))
          assert.deepStrictEqual([slots.used("inbound"), slots.open("inbound")], [0, 0])
        }
      }).pipe(Effect.provide(ConnectionSlots.layer))
    )
  }

  it.effect("reserves before the fiber that asked for it waits for anything", () =>
    Effect.gen(function* () {
      const slots = yield* ConnectionSlots
      const gate = yield* Deferred.make<void>()
      const child = yield* slots
        .reserve("trusted")
        .pipe(Effect.andThen(Deferred.await(gate)), Effect.scoped, Effect.forkChild({ startImmediately: true }))
      assert.strictEqual(slots.used("trusted"), 1)
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(child)
      assert.strictEqual(slots.used("trusted"), 0)
    }).pipe(Effect.provide(ConnectionSlots.layer))
  )
})
