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

  it.effect("keeps what has been once, however many begin to read", () =>
    Effect.gen(function* () {
      const { feed, happens } = yield* world
      for (let n = 1; n <= 40; n++) yield* happens(event(n))
      const first = Effect.flatten(Stream.toPull(feed()))
      const [one, other] = [yield* first, yield* first]
      assert.deepStrictEqual(parse(one), counted(9, 40))
      const memory = (pieces: Iterable<Uint8Array>) => new Set([...pieces].filter(({ length }) => length > 0))
      assert.strictEqual(memory([...one, ...other]).size, memory(one).size)
    }).pipe(Effect.scoped)
  )

  it.effect("goes on after the event a reader had last, and says how many are lost for good", () =>
    Effect.gen(function* () {
      const { feed, happens } = yield* world
      for (let n = 1; n <= 40; n++) yield* happens(event(n))
      const all = Buffer.concat([...(yield* yield* Stream.toPull(feed()))]).toString()
      const ids = [...all.matchAll(/^id: (.*)$/gm)].map(([, id = ""]) => id)
      assert.lengthOf(new Set(ids), 32)
      const from = (id: string) => Effect.flatMap(Stream.toPull(feed(id)), Effect.map(parse))
      assert.deepStrictEqual(yield* from(ids[29] ?? ""), counted(39, 40))
      assert.deepStrictEqual(yield* from(ids[31] ?? ""), [])
      // The eighth event is one more than is kept; numbers are from 0.
      const early = (ids[0] ?? "").replace(/\d+$/, "4")
      assert.deepStrictEqual(yield* from(early), [{ _tag: "EventsLost", at: 0, count: 3 }, ...counted(9, 40)])
      for (const foreign of ["", "other-3", (ids[0] ?? "").replace(/\d+$/, "40"), "x".repeat(5000)]) {
        assert.deepStrictEqual(yield* from(foreign), counted(9, 40), foreign)
      }
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
