/** What is recorded runs again: the same events at the same times, with the same chance, have the same actions. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Format from "../../src/recording/Format.ts"
import { MemorySink } from "../../src/recording/MemorySink.ts"
import * as Pseudonyms from "../../src/recording/Pseudonyms.ts"
import { Recorder, type RecorderOptions } from "../../src/recording/Recorder.ts"
import * as Replay from "../../src/recording/Replay.ts"
import { Recording } from "../../src/peer/Recording.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import { Message } from "../../src/wire/Message.ts"
import { bob } from "../support/addresses.ts"
import { life, type Seen } from "../peer/machineWorld.ts"
import { rig, settle, start, world } from "../peer/rig.ts"

const recorder = (options: Partial<RecorderOptions> = {}) => {
  const sink = new MemorySink(64 * 1024 * 1024)
  return {
    sink,
    recorder: new Recorder({
      sink,
      segmentBytes: 1024 * 1024,
      pseudonym: Pseudonyms.make(new Uint8Array(Pseudonyms.keyBytes).fill(7)),
      showsAddresses: false,
      keepsBodies: false,
      nowMillis: () => 0,
      ...options
    })
  }
}

describe("a recorded connection", () => {
  it.effect("is replayed with the same actions, from the first message to its end", () =>
    Effect.gen(function* () {
      const { recorder: records, sink } = recorder()
      const {
        bob: bobSays,
        peer,
        closeBob
      } = yield* rig({ connected: { _tag: "OutboundDirect", address: bob } }).pipe(
        Effect.provideService(Recording, records.recording("alice"))
      )
      const asked = yield* start(peer.request({ _tag: "Peers" }))
      yield* settle
      yield* bobSays.says(
        Message.Ping({ nonce: 5n }),
        Message.Addr({ addresses: [{ address: bob, services: NODE_NETWORK, lastSeenSeconds: 7 }] })
      )
      yield* settle
      yield* closeBob
      yield* settle
      assert.strictEqual(asked.result() === "pending", false)
      const [segment, ...others] = sink.segments()
      assert.deepStrictEqual(others, [])
      assert(segment !== undefined)
      assert.notInclude(segment.text, bob.address.toString())
      const { difference, end, events } = Replay.replay(segment.text)
      assert.deepStrictEqual(difference, undefined)
      assert.strictEqual(end, "closed")
      assert.isAtLeast(events, 9)
      assert.include(segment.text, '"do":["Unasked ping","Send pong 5"]')
    }).pipe(Effect.provide(world))
  )

  it("is, whatever happens on it, in segments that each stand alone", () => {
    const seen: Seen = { events: 0, actions: new Map(), endings: new Map() }
    const { recorder: records, sink } = recorder({ segmentBytes: 4000 })
    for (let seed = 1; seed <= 600; seed += 2) life(seed, 120, seen, records.recording(""))
    records.stop()
    const verdicts = sink.segments().map(({ text }) => Replay.replay(text))
    assert.deepStrictEqual(
      verdicts.filter(({ difference, end }) => difference !== undefined || end === undefined),
      []
    )
    // Events after the end are none of the connection's.
    const events = verdicts.reduce((sum, { events }) => sum + events, 0)
    assert.isAtLeast(events, seen.events - 4 * 300)
    assert.isAtLeast(verdicts.length, 600)
    assert.sameMembers([...new Set(verdicts.map(({ end }) => end))], ["closed", "full", "stopped"])
    assert.include(sink.segments()[0]?.text.slice(0, 60), Format.name)
  })
})
