/**
 * The shortest record that still shows something: events are left out for as long as it does.
 *
 * What cannot happen without what was left out, such as `Written` without a message that is being written, is passed over,
 * so parts go in any order. First only the last few events are tried, then larger parts are left out, then smaller ones,
 * down to single events.
 *
 * Pure.
 *
 * Source: the way of leaving out is that of delta debugging (Zeller and Hildebrandt, 2002).
 *
 * @module
 */
import { crc32 } from "node:zlib"
import { type ConnectionMachine, type Event, isWriting } from "../peer/ConnectionMachine.ts"
import type * as Format from "./Format.ts"
import * as Pseudonyms from "./Pseudonyms.ts"
import type { Property } from "./Property.ts"
import * as Reading from "./Reading.ts"
import { type MakeMachine, makeMachine } from "./Replay.ts"
import { nameOf } from "./Texts.ts"
import { Transcript } from "./Transcript.ts"

/** Steps of machines before one is content with what there is: some ten seconds. */
const maxSteps = 10_000_000

/** A draw where the record has none, for nothing was drawn there. */
const spareDraw = 0.5

interface Item {
  readonly entry: Format.Entry
  readonly event: Event
  readonly nowNanos: bigint
}

/** Whether a connection can tell its machine of it now. */
const isPossible = (machine: ConnectionMachine, event: Event): boolean => {
  switch (event._tag) {
    case "Message":
    case "InputEnd":
    case "Quiet":
      return machine.phase === "Reading"
    case "Permitted":
      return machine.phase === "Permitting"
    case "Answered":
      return machine.phase === "Asking"
    case "Written":
    case "WriteFailed":
      return isWriting(machine.phase)
    case "Request":
      return machine.hasRoomFor(event.request._tag)
    default:
      return true
  }
}

/**
 * Entries of `segment` that end in what `property` looks for, with what is decided now. `undefined` when it is nowhere.
 * Throws `Unreadable`.
 */
export const shrink = (
  segment: Format.Segment,
  entries: ReadonlyArray<Format.Entry>,
  property: Property,
  make: MakeMachine = makeMachine
): ReadonlyArray<Format.Entry> | undefined => {
  const reading = new Reading.Reading(segment)
  const transcript = new Transcript({
    pseudonym: Pseudonyms.none,
    keepsBodies: segment.bodies,
    negotiatedVersion: segment.connection.negotiatedVersion,
    digests: reading.digests
  })
  transcript.startAt(reading.nanos(0))
  const { options, state } = reading
  let steps = 0

  /** What of it happens, up to what is looked for; `undefined` when that is not to be seen. */
  const run = (items: ReadonlyArray<Item>, told: (entry: Format.Entry) => void = () => {}) => {
    const happened: Array<Item> = []
    let draws: Array<number> = []
    let used: Array<number> = []
    const random = () => {
      const draw = draws.shift() ?? spareDraw
      used.push(draw)
      return draw
    }
    const machine = make({ ...options, random }, state)
    for (const item of items) {
      if (machine.isClosed) return undefined
      if (!isPossible(machine, item.event)) continue
      steps++
      draws = [...(item.entry.chance ?? [])]
      used = []
      happened.push(item)
      let thrown: string | undefined
      let actions: ReturnType<ConnectionMachine["step"]> = []
      try {
        actions = machine.step(item.event, item.nowNanos)
      } catch (error) {
        thrown = nameOf(error)
      }
      told({
        at: item.entry.at,
        on: item.entry.on,
        ...(used.length === 0 ? {} : { chance: used }),
        ...(thrown === undefined ? {} : { defect: thrown }),
        ...(actions.length === 0 ? {} : { do: actions.map((action) => transcript.action(action)) })
      })
      if (property({ event: item.event, actions, thrown }, transcript)) return happened
      if (thrown !== undefined) return undefined
    }
    return undefined
  }

  const all = entries.map((entry) => ({
    entry,
    event: reading.event(entry.on),
    nowNanos: reading.nanos(entry.at)
  }))
  let shortest = run(all)
  if (shortest === undefined) return undefined

  for (let last = 1; last < shortest.length; last *= 2) {
    const found = run(shortest.slice(-last))
    if (found === undefined) continue
    shortest = found
    break
  }
  for (let part = Math.ceil(shortest.length / 2); part >= 1; part = part === 1 ? 0 : Math.ceil(part / 2)) {
    let isShorter = false
    for (let from = 0; from < shortest.length && steps < maxSteps;) {
      const found: ReadonlyArray<Item> | undefined = run([...shortest.slice(0, from), ...shortest.slice(from + part)])
      if (found === undefined) from += part
      else {
        shortest = [...found]
        isShorter = true
      }
    }
    // Single events are tried again until each of them is needed.
    if (part === 1 && isShorter && steps < maxSteps) part = 2
  }
  const shrunk: Array<Format.Entry> = []
  run(shortest, (entry) => shrunk.push(entry))
  return shrunk
}

/** The text of a record of these entries, for a test to replay. */
export const textOf = (segment: Format.Segment, entries: ReadonlyArray<Format.Entry>): string => {
  const lines = [segment, ...entries].map((line) => `${JSON.stringify(line)}\n`).join("")
  const end: Format.End = { end: "shrunk", events: entries.length, crc32: crc32(lines) }
  return `${lines}${JSON.stringify(end)}\n`
}
