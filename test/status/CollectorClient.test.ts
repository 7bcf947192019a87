import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer } from "effect"
import { HttpClient, HttpClientResponse } from "effect/http"
import { TestClock } from "effect/testing"
import * as CollectorClient from "../../src/status/CollectorClient.ts"

/** A collector that answers when it is told to, if at all; `seen` counts what reaches it. */
const collector = (seen: { count: number }, answer: Effect.Effect<void>) =>
  CollectorClient.layer.pipe(
    Layer.provide(
      Layer.succeed(
        HttpClient.HttpClient,
        HttpClient.make((request) =>
          Effect.suspend(() => {
            seen.count++
            return Effect.as(answer, HttpClientResponse.fromWeb(request, new Response()))
          })
        )
      )
    )
  )

const send = Effect.flatMap(HttpClient.HttpClient, (client) => client.get("http://collector/"))

describe("a collector", () => {
  it.effect("that answers gets everything", () => {
    const seen = { count: 0 }
    return Effect.gen(function* () {
      for (let n = 0; n < 20; n++) yield* send
      assert.strictEqual(seen.count, 20)
    }).pipe(Effect.provide(collector(seen, Effect.void)))
  })

  it.effect("that does not answer holds eight batches for ten seconds, and no more", () => {
    const seen = { count: 0 }
    return Effect.gen(function* () {
      const eight = yield* Effect.forEach(Array.from({ length: 8 }), () =>
        Effect.forkChild(send, { startImmediately: true })
      )
      assert.isTrue(Exit.hasDies(yield* Effect.exit(send)))
      assert.strictEqual(seen.count, 8)
      yield* TestClock.adjust("9 seconds")
      assert.isTrue(eight.every((fiber) => fiber.pollUnsafe() === undefined))
      yield* TestClock.adjust("1 second")
      for (const fiber of eight) assert.isTrue(Exit.hasDies(yield* Fiber.await(fiber)))
      yield* Effect.forkChild(send, { startImmediately: true })
      assert.strictEqual(seen.count, 9)
    }).pipe(Effect.provide(collector(seen, Effect.never)))
  })
})
