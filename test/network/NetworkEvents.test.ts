import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Latch, Layer, Stream } from "effect"
import { NetworkEvents, replayedEvents } from "../../src/network/NetworkEvents.ts"
import { defaults, Policy } from "../../src/Policy.ts"

const tooSlow = Layer.succeed(Policy, { ...defaults, eventBuffer: 64 })

describe("NetworkEvents", () => {
  it.effect("tells a new reader the latest events first", () =>
    Effect.gen(function* () {
      const events = yield* NetworkEvents
      for (let count = 1; count <= replayedEvents + 8; count++)
        yield* events.publish({ _tag: "InitialPeersFound", count })
      const first = yield* events.stream.pipe(Stream.take(1), Stream.runCollect)
      assert.deepStrictEqual(first, [{ _tag: "InitialPeersFound", at: 0, count: 9 }])
    }).pipe(Effect.provide(NetworkEvents.layer))
  )

  it.effect("tells a slow reader how many events it lost", () =>
    Effect.gen(function* () {
      const events = yield* NetworkEvents
      const released = yield* Latch.make(false)
      const seen: Array<string> = []
      const reader = yield* events.stream.pipe(
        Stream.takeUntil((event) => event._tag === "InitialPeersFound" && event.count === 199),
        Stream.runForEach((event) => {
          seen.push(event._tag === "EventsLost" ? `lost ${event.count}` : event._tag)
          return released.await
        }),
        Effect.forkChild({ startImmediately: true })
      )
      yield* events.publish({ _tag: "Listening", address: "127.0.0.1:18233" })
      yield* Effect.yieldNow
      for (let count = 0; count < 200; count++) yield* events.publish({ _tag: "InitialPeersFound", count })
      yield* released.open
      yield* Fiber.join(reader)
      const lost = seen.filter((entry) => entry.startsWith("lost"))
      assert.lengthOf(lost, 1)
      // Whatever arrived and whatever was reported lost is all there was.
      assert.strictEqual(Number(lost[0]?.slice("lost ".length)) + seen.length - 1, 201)
      assert.isAtMost(seen.length, 64 + 64 + 2)
    }).pipe(Effect.provide(NetworkEvents.layer.pipe(Layer.provide(tooSlow))))
  )
})
