import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { Message } from "../../src/wire/Message.ts"
import { rig, settle, world } from "./rig.ts"

describe("a connection", () => {
  it.effect("answers a request with what the peer says (peer 3, run_loop_message_ok)", () =>
    Effect.gen(function* () {
      const { asked, bob, peer } = yield* rig()
      const waiting = yield* Effect.forkChild(peer.request({ _tag: "Peers" }))
      assert.deepStrictEqual(yield* bob.hears, Message.GetAddr())
      yield* bob.says(Message.Addr({ addresses: [] }))
      assert.deepStrictEqual(yield* Fiber.join(waiting), { _tag: "Peers", addresses: [] })
      yield* settle
      assert.deepStrictEqual(asked, [])
      assert.strictEqual(peer.readiness(), "Ready")
    }).pipe(Effect.provide(world))
  )
})
