/** What the operator is told of the peers, and how often. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Logger, References, SubscriptionRef } from "effect"
import { TestClock } from "effect/testing"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { PeerSet } from "../../src/network/PeerSet.ts"
import * as StatusLog from "../../src/network/StatusLog.ts"
import { ConnectionClosed } from "../../src/peer/Peer.ts"
import * as Subscribable from "../../src/Subscribable.ts"
import { fakePeer } from "../support/fakePeer.ts"
import { join, start, world } from "../support/peerSetWorld.ts"

/** A book that can be looked at and not asked: whoever asks it dies. */
const book = Layer.effect(
  AddressBook,
  Effect.map(
    SubscriptionRef.make({
      responded: 0,
      neverAttempted: 7,
      failed: 0,
      attemptPending: 0,
      recentlyLive: 0,
      recentlyStoppedResponding: 0,
      total: 7,
      limit: 5000
    }),
    (metrics) => AddressBook.of({ metrics: Subscribable.fromRef(metrics) } as AddressBook["Service"])
  )
)

describe("the status log", () => {
  it.effect("says at most once a minute that peers are missing or busy, and no address", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ fiber, logLevel, message }) => {
      const annotations = fiber.getRef(References.CurrentLogAnnotations)
      lines.push(`${logLevel} ${String(message)} ${JSON.stringify(annotations)}`)
    })
    const after = (time: string) =>
      Effect.map(TestClock.adjust(time as "1 second"), () => {
        const said = lines.splice(0)
        assert.notMatch(said.join(), /127\.0\.0/)
        return said
      })
    return Effect.gen(function* () {
      assert.deepStrictEqual(yield* after("59999 millis"), [])
      const [alone = "", ...more] = yield* after("1 millis")
      assert.match(alone, /^Warn no peer is connected.*"neverAttempted":7.*"limit":5000/)
      assert.deepStrictEqual([more, yield* after("59999 millis")], [[], []])

      const full = [yield* join(1, { places: 0 }), yield* join(2, { places: 0 })]
      const [sharing = "", busy = "", ...others] = yield* after("1 millis")
      assert.match(sharing, /^Info some hosts are connected more than once.*"hosts":1/)
      assert.match(busy, /^Info all peers are busy.*"busy":2/)
      assert.deepStrictEqual(others, [])

      // A peer that can be asked, each host once: nothing to say.
      for (const peer of full) yield* peer.close(new ConnectionClosed())
      const other = fakePeer({ id: 3, address: "[2001:db8::1]:8233" })
      yield* (yield* PeerSet).add(other)
      assert.deepStrictEqual(yield* after("2 minutes"), [])
      // A question that waits makes it say no more.
      for (let i = 0; i < 9; i++) yield* start((yield* PeerSet).request({ _tag: "Peers" }))
      const said = yield* after("1 minute")
      assert.deepStrictEqual(said.filter((line) => /busy|connected/.test(line)).length, 1)
    }).pipe(
      Effect.provide(StatusLog.layer.pipe(Layer.provide(book), Layer.provideMerge(world()))),
      Effect.provide(Logger.layer([logger])),
      Effect.provideService(References.MinimumLogLevel, "Info")
    )
  })
})
