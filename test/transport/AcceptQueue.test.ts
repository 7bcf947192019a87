/** Streams that wait to be accepted; numbers stand for them. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Scope } from "effect"
import * as AcceptQueue from "../../src/transport/AcceptQueue.ts"
import { maxWaitingStreams } from "../../src/transport/Transport.ts"
import { loopback } from "../support/addresses.ts"
import { settle } from "../support/time.ts"

/** A queue of ports. Those of `broken` cannot be opened any more; closed ones are told. */
const make = Effect.fnUntraced(function* (broken: ReadonlySet<number> = new Set()) {
  const closed: Array<number> = []
  const queue = yield* AcceptQueue.make((port: number) =>
    broken.has(port)
      ? undefined
      : {
          remoteAddress: loopback(1, port),
          localAddress: loopback(2),
          proxyAddress: undefined,
          read: Effect.never,
          write: () => Effect.void,
          bytesRead: () => 0,
          bytesWritten: () => 0,
          close: Effect.sync(() => void closed.push(port))
        }
  )
  const accept = Effect.map(queue.accept, ({ remoteAddress }) => remoteAddress.port)
  return { ...queue, accept, closed }
})

describe("streams that wait to be accepted", () => {
  it.effect("are taken in their order, by whoever waits, and close with the scope that took them", () =>
    Effect.gen(function* () {
      const { accept, closed, offer } = yield* make()
      const [one, two] = [yield* Scope.make(), yield* Scope.make()]
      const waiting = yield* Effect.forkChild(Scope.provide(accept, one), { startImmediately: true })
      for (const port of [1, 2, 3]) assert.isTrue(offer(port))
      assert.strictEqual(yield* Fiber.join(waiting), 1)
      assert.deepStrictEqual([yield* Scope.provide(accept, two), yield* Scope.provide(accept, two)], [2, 3])
      yield* Scope.close(two, Exit.void)
      assert.deepStrictEqual(closed, [3, 2])
    })
  )

  it.effect("are passed over when they broke meanwhile", () =>
    Effect.gen(function* () {
      const { accept, offer, size } = yield* make(new Set([1, 2, 4]))
      for (const port of [1, 2, 3, 4]) offer(port)
      assert.strictEqual(yield* Effect.scoped(accept), 3)
      const waiting = yield* Effect.forkChild(Effect.scoped(accept), { startImmediately: true })
      yield* settle
      assert.strictEqual(size(), 0)
      offer(5)
      assert.strictEqual(yield* Fiber.join(waiting), 5)
    })
  )

  it.effect("are not lost with whoever is interrupted just when they come, and wake the next one", () =>
    Effect.gen(function* () {
      const { accept, offer } = yield* make()
      const first = yield* Effect.forkChild(Effect.scoped(accept), { startImmediately: true })
      const second = yield* Effect.forkChild(Effect.scoped(accept), { startImmediately: true })
      offer(1)
      yield* Fiber.interrupt(first)
      assert.strictEqual(yield* Fiber.join(second), 1)
    })
  )

  it.effect(`are refused at once beyond ${maxWaitingStreams}, and come out when nobody will accept them`, () =>
    Effect.gen(function* () {
      const { drain, offer, size } = yield* make()
      for (let port = 0; port < maxWaitingStreams; port++) assert.isTrue(offer(port))
      assert.isFalse(offer(9999))
      assert.strictEqual(size(), maxWaitingStreams)
      const left = yield* drain
      assert.deepStrictEqual([left.length, left[0], left.at(-1)], [maxWaitingStreams, 0, maxWaitingStreams - 1])
      assert.strictEqual(size(), 0)
    })
  )
})
