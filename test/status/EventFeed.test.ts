/** Events for many readers: what each gets, and how much waits for who does not read. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, PubSub, Stream } from "effect"
import type { NetworkEvent } from "../../src/network/NetworkEvents.ts"
import * as EventFeed from "../../src/status/EventFeed.ts"
import { elapse, settle } from "../support/time.ts"

const event = (count: number): NetworkEvent => ({ _tag: "InitialPeersFound", at: 0, count })

/** A feed, and a way to let something happen. */
const world = Effect.gen(function* () {
  const source = yield* PubSub.bounded<NetworkEvent>(16)
  const feed = yield* EventFeed.make(Stream.fromPubSub(source))
  yield* settle
  const happens = (...events: ReadonlyArray<NetworkEvent>) =>
    Effect.andThen(PubSub.publishAll(source, events), elapse("100 millis"))
  return { feed, happens }
})

const parse = (pieces: Iterable<Uint8Array>): ReadonlyArray<NetworkEvent> =>
  [...pieces].flatMap((piece) =>
    [
      ...Buffer.from(piece)
        .toString()
        .matchAll(/^data: (.*)\n\n/gm)
    ].map(([, text = ""]) => JSON.parse(text) as NetworkEvent)
  )

const counted = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, n) => event(from + n))

describe("the feed of events", () => {
  it.effect("gives everybody the latest ones first, then all that happens, in pieces", () =>
    Effect.gen(function* () {
      const { feed, happens } = yield* world
      for (let n = 1; n <= 40; n++) yield* happens(event(n))
      const pull = yield* Stream.toPull(feed())
      assert.deepStrictEqual(parse(yield* pull), counted(9, 40))
      yield* happens(event(41), event(42))
      assert.deepStrictEqual(parse(yield* pull), counted(41, 42))
      yield* happens(event(43))
      assert.deepStrictEqual(parse(yield* pull), [event(43)])
    }).pipe(Effect.scoped)
  )

  it.effect("tells who was too slow how many are missing, and keeps no more than the ring", () =>
    Effect.gen(function* () {
      const { feed, happens } = yield* world
      const pull = yield* Stream.toPull(feed())
      assert.isEmpty(parse(yield* pull))
      const pieces = EventFeed.waitingPieces + 10
      for (let n = 1; n <= pieces; n++) yield* happens(event(2 * n - 1), event(2 * n))
      const told: Array<NetworkEvent> = []
      for (let n = 0; n < EventFeed.waitingPieces; n++) told.push(...parse(yield* pull))
      assert.deepStrictEqual(told, [{ _tag: "EventsLost", at: 0, count: 20 }, ...counted(21, 2 * pieces)])
    }).pipe(Effect.scoped)
  )
})
