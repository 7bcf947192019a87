/** Records that somebody changed: a replay ends in a verdict or in a sentence, whatever was changed. */
import { assert, describe, it } from "@effect/vitest"
import * as Property from "../../src/recording/Property.ts"
import { Unreadable } from "../../src/recording/Reading.ts"
import * as Replay from "../../src/recording/Replay.ts"
import * as Shrink from "../../src/recording/Shrink.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { Message } from "../../src/wire/Message.ts"
import { bob } from "../support/addresses.ts"
import { life, type Seen } from "../peer/machineWorld.ts"
import { memoryRecorder, talk, wholeOf } from "./talk.ts"

const numbers = [0, -1, 1, 0.5, 1.5, 1e15, Number.MAX_SAFE_INTEGER]
const words = ["", "0", "18446744073709551616", "AAAA", "127.0.0.1:1", "Reading", "Asking", "Answering", "Closed"]
const others = [null, true, [], {}, 5, "Nil"]

/** Some of the values in it are others of their kind, few of another one, and some fields are gone. */
const changed = (value: unknown, below: (count: number) => number): unknown => {
  if (below(60) === 0) return others[below(others.length)]
  if (Array.isArray(value)) return value.map((each) => changed(each, below))
  if (typeof value === "object" && value !== null) {
    const kept = Object.entries(value).filter(() => below(40) > 0)
    return Object.fromEntries(kept.map(([key, each]) => [key, changed(each, below)]))
  }
  if (below(10) > 0) return value
  if (typeof value === "number") return numbers[below(numbers.length)]
  return typeof value === "string" ? words[below(words.length)] : value
}

/** Of a peer that tells addresses, some of which are drawn. */
const gossip = (() => {
  const { recorder, sink } = memoryRecorder()
  const { hears, step } = talk(recorder.recording(""))
  const addresses = Array.from({ length: 50 }, () => ({ address: bob, services: 1n, lastSeenSeconds: 0 }))
  for (let waiter = 1; waiter <= 5; waiter++) {
    hears(Message.Addr({ addresses }))
    step({ _tag: "Request", waiter, request: { _tag: "Peers" } })
    step({ _tag: "Quiet" })
  }
  recorder.stop()
  return sink.segments()[0]?.text ?? ""
})()

const texts = (() => {
  const seen: Seen = { events: 0, actions: new Map(), endings: new Map() }
  const { recorder, sink } = memoryRecorder({ segmentBytes: 3000 })
  for (let seed = 1; seed <= 120; seed += 2) life(seed, 80, seen, recorder.recording(""))
  recorder.stop()
  return sink.segments().map(({ text }) => text)
})()

describe("a record in which a line was changed", () => {
  it.each([1, 2])("is replayed, walked through and shrunk, or refused in a sentence: seed %d", (seed) => {
    const fraction = SeededRandom.fractions(SeededRandom.draws(seed, "changed"))
    const below = (count: number) => Math.floor(fraction() * count)
    const property = Property.parse("action:Settle 3")
    assert(property !== undefined)
    const ends = { replayed: 0, refused: 0 }
    for (let i = 0; i < 300; i++) {
      // Without the last line: the checksum would say the same of all of them.
      const lines = (below(3) === 0 ? gossip : (texts[below(texts.length)] ?? "")).split("\n").slice(0, -2)
      const at = below(3) === 0 ? 0 : below(lines.length)
      lines[at] = JSON.stringify(changed(JSON.parse(lines[at] ?? ""), below))
      const text = lines.map((line) => `${line}\n`).join("")
      try {
        Replay.replay(text)
        const { entries, segment } = wholeOf(text)
        Replay.walked(segment, entries)
        const shortest = Shrink.shrink(segment, entries, property)
        if (shortest !== undefined) assert.isUndefined(Replay.replay(Shrink.textOf(segment, shortest)).difference)
        ends.replayed++
      } catch (thrown) {
        if (!(thrown instanceof Unreadable)) throw new Error(`line ${at + 1}: ${lines[at]}`, { cause: thrown })
        ends.refused++
      }
    }
    assert.isAbove(ends.replayed, 20)
    assert.isAbove(ends.refused, 20)
  })
})
