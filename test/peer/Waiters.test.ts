/** Who waits on a connection: each hears how its wait ended, once, and everybody of the end. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { ConnectionClosed, type PeerError, PeerOverloaded } from "../../src/peer/Peer.ts"
import { Waiters } from "../../src/peer/Waiters.ts"
import { defaults } from "../../src/Policy.ts"

const nil = Exit.succeed({ _tag: "Nil" } as const)
const start = <A, E>(effect: Effect.Effect<A, E>) => Effect.forkChild(effect, { startImmediately: true })
const error = new PeerOverloaded()
const ending = { error, failure: Exit.fail(error) }

describe("who waits on a connection", () => {
  it.effect("hears of its end, whatever it waits for", () =>
    Effect.gen(function* () {
      const waiters = new Waiters(defaults, 0n)
      const [request, ping] = [waiters.add(true, 0n), waiters.add(false, 0n)]
      const heard: Array<PeerError> = []
      waiters.onEnd((error) => heard.push(error))
      const waits: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = [
        yield* start(waiters.outcomeOf(request)),
        yield* start(waiters.awaitRoom(() => false)),
        yield* start(Effect.flip(waiters.awaitEnd))
      ]
      // There is nothing to hear yet.
      waiters.tellEnd(1n)
      assert.deepStrictEqual(
        waits.map((fiber) => fiber.pollUnsafe()),
        [undefined, undefined, undefined]
      )
      waiters.ending = ending
      waiters.tellEnd(2n)
      for (const fiber of waits) assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.fail(error))
      assert.strictEqual(ping.exit, ending.failure)
      assert.strictEqual(yield* Effect.flip(waiters.outcomeOf(ping)), error)
      waiters.tellEnd(3n)
      assert.deepStrictEqual(heard, [error])
    })
  )

  it.effect("hears of its end though there is a bug in somebody who is told of it", () =>
    Effect.gen(function* () {
      const waiters = new Waiters(defaults, 0n)
      const request = waiters.add(true, 0n)
      waiters.onEnd(() => {
        throw new Error("a bug")
      })
      waiters.ending = ending
      assert.throws(() => waiters.tellEnd(1n), "a bug")
      assert.strictEqual(request.exit, ending.failure)
      assert.strictEqual(yield* waiters.awaitEnd, error)
    })
  )

  it.effect("hears how its own wait ended, the first time, and nobody else does", () =>
    Effect.gen(function* () {
      const waiters = new Waiters(defaults, 0n)
      const [first, second] = [waiters.add(true, 0n), waiters.add(true, 0n)]
      assert.notStrictEqual(first.id, second.id)
      const waiting = yield* start(waiters.outcomeOf(first))
      waiters.settle(first.id, nil, 1n)
      waiters.settle(first.id, Exit.fail(new ConnectionClosed()), 2n)
      assert.deepStrictEqual(yield* Fiber.await(waiting), nil)
      assert.deepStrictEqual([waiters.get(first.id), waiters.get(second.id)], [undefined, second])
      assert.isUndefined(waiters.get(undefined))
      assert.isUndefined(second.exit)
      assert.strictEqual(waiters.sending(second.id, 7n), second)
      assert.strictEqual(second.sentNanos, 7n)
      assert.isUndefined(waiters.sending(first.id, 7n))
      assert.isUndefined(first.sentNanos)
    })
  )

  it.effect("for room goes on when there is some, each of them, and not before", () =>
    Effect.gen(function* () {
      const waiters = new Waiters(defaults, 0n)
      let hasRoom = false
      const room = waiters.awaitRoom(() => hasRoom)
      const waits = [yield* start(room), yield* start(room)]
      yield* Fiber.interrupt(yield* start(room))
      waiters.tellRoom(false)
      assert.deepStrictEqual(
        waits.map((fiber) => fiber.pollUnsafe()),
        [undefined, undefined]
      )
      hasRoom = true
      waiters.tellRoom(true)
      for (const fiber of waits) assert.deepStrictEqual(yield* Fiber.await(fiber), Exit.void)
      yield* room
    })
  )

  it("counts for the load while it is a request that has not ended, and with how long that took", () => {
    const waiters = new Waiters(defaults, 0n)
    const begin = waiters.load(0n)
    const [request, ping] = [waiters.add(true, 0n), waiters.add(false, 0n)]
    assert.strictEqual(waiters.load(0n), 2 * begin)
    const others = [waiters.add(true, 0n), waiters.add(true, 0n)]
    assert.strictEqual(waiters.load(0n), 4 * begin)
    waiters.settle(ping.id, nil, 0n)
    assert.strictEqual(waiters.load(0n), 4 * begin)
    // The answers took no time, and no time has passed in which what was known before counts less.
    for (const { id } of [request, ...others]) waiters.settle(id, nil, 0n)
    assert.strictEqual(waiters.load(0n), begin)
    // One that took longer than was thought counts at once.
    const slow = waiters.add(true, 0n)
    waiters.settle(slow.id, nil, 60_000_000_000n)
    assert.strictEqual(waiters.load(60_000_000_000n), 60_000_000_000)
  })
})
