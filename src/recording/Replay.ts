/**
 * Runs the machine of a connection over a record of it, under the recorded time and chance, and compares what it decides.
 *
 * Pure: it needs the text of the record and nothing else, and has nothing that could reach the network.
 *
 * @module
 */
import { crc32 } from "node:zlib"
import { type Action, ConnectionMachine, type Event, type Snapshot } from "../peer/ConnectionMachine.ts"
import type * as Format from "./Format.ts"
import * as Pseudonyms from "./Pseudonyms.ts"
import * as Reading from "./Reading.ts"
import { nameOf } from "./Texts.ts"
import { Transcript } from "./Transcript.ts"

/** One event of a record. */
export interface Step {
  /** From 1. */
  readonly number: number
  readonly entry: Format.Entry
  readonly event: Event
  readonly nowNanos: bigint
  /** As they were recorded, one text for each; a single `defect NAME` when it threw. */
  readonly recorded: ReadonlyArray<string>
  /** As they are decided now. */
  readonly decided: ReadonlyArray<string>
  readonly actions: ReadonlyArray<Action>
  /** The name of what the machine threw. */
  readonly thrown: string | undefined
}

/** How machines are made; tests plant faults. */
export type MakeMachine = (...args: ConstructorParameters<typeof ConnectionMachine>) => ConnectionMachine

/** Those that decide for connections. */
export const makeMachine: MakeMachine = (options, from) => new ConnectionMachine(options, from)

/** Decided more by chance than was drawn in the record. */
class NoMoreChance extends Error {
  override readonly name = "NoMoreChance"
}

/** A machine at some place of a record. */
export class Replay {
  readonly segment: Format.Segment
  readonly reading: Reading.Reading
  readonly transcript: Transcript
  readonly #make: MakeMachine
  #chance: Array<number> = []
  readonly #machine: ConnectionMachine
  #steps = 0

  /** At the beginning of a segment. Throws `Unreadable`. */
  constructor(segment: Format.Segment, make: MakeMachine = makeMachine) {
    this.segment = segment
    this.reading = new Reading.Reading(segment)
    this.transcript = new Transcript({
      pseudonym: Pseudonyms.none,
      keepsBodies: segment.bodies,
      negotiatedVersion: segment.connection.negotiatedVersion,
      digests: this.reading.digests
    })
    this.transcript.startAt(this.reading.nanos(0))
    this.#make = make
    this.#machine = this.#made(this.reading.state)
  }

  get machine(): ConnectionMachine {
    return this.#machine
  }

  #made(snapshot: Snapshot): ConnectionMachine {
    const random = () => {
      const draw = this.#chance.shift()
      if (draw === undefined) throw new NoMoreChance()
      return draw
    }
    return this.#make({ ...this.reading.options, random }, snapshot)
  }

  /** The next event. Throws `Unreadable`. */
  step(entry: Format.Entry): Step {
    const event = this.reading.event(entry.on)
    const nowNanos = this.reading.nanos(entry.at)
    const recorded = entry.defect === undefined ? (entry.do ?? []) : [`defect ${entry.defect}`]
    this.#chance = [...(entry.chance ?? [])]
    let actions: ReadonlyArray<Action> = []
    let decided: ReadonlyArray<string>
    let thrown: string | undefined
    try {
      actions = this.#machine.step(event, nowNanos)
      decided = actions.map((action) => this.transcript.action(action))
    } catch (error) {
      thrown = nameOf(error)
      decided = [`defect ${thrown}`]
    }
    if (this.#chance.length > 0) decided = [...decided, `${this.#chance.length} draws less`]
    return { number: ++this.#steps, entry, event, nowNanos, recorded, decided, actions, thrown }
  }
}

/** An event, with what the machine was before it and after it. */
export interface Walked extends Step {
  readonly before: Snapshot
  readonly after: Snapshot
}

/** All of a segment, to go back and forth in. Throws `Unreadable`. */
export const walked = (segment: Format.Segment, entries: ReadonlyArray<Format.Entry>): ReadonlyArray<Walked> => {
  const replay = new Replay(segment)
  let before = replay.machine.snapshot
  return entries.map((entry) => {
    const step = replay.step(entry)
    const walked = { ...step, before, after: replay.machine.snapshot }
    before = walked.after
    return walked
  })
}

/** How a replay ended. */
export interface Verdict {
  readonly segment: Format.Segment
  /** Events that were replayed. */
  readonly events: number
  /** `undefined`: what is decided now is what was decided then. */
  readonly difference: Difference | undefined
  /** `undefined`: the record is cut. */
  readonly end: Format.Ending | undefined
}

/** The first event that has other actions, and those before it, oldest first. */
export interface Difference {
  readonly step: Step
  readonly before: ReadonlyArray<Step>
}

/** Events shown before the first difference. */
export const shownBefore = 8

/** Whether two lists of texts are the same. */
export const isSame = (a: ReadonlyArray<string>, b: ReadonlyArray<string>): boolean =>
  a.length === b.length && a.every((text, at) => text === b[at])

/** The lines of one segment, checked: its checksum, and that nothing follows its end. Throws `Unreadable`. */
export class SegmentLines {
  #segment: Format.Segment | undefined
  #checksum = 0
  #events = 0
  #end: Format.End | undefined

  get segment(): Format.Segment | undefined {
    return this.#segment
  }

  get end(): Format.Ending | undefined {
    return this.#end?.end
  }

  /** One line without its end. Returns the event, if it is one. */
  read(line: string): Format.Entry | undefined {
    if (this.#end !== undefined) throw new Reading.Unreadable({ message: "goes on behind its end" })
    if (this.#segment === undefined) {
      this.#segment = Reading.segment(line)
      this.#add(line)
      return undefined
    }
    // The first event is in the second line.
    const entry = Reading.entry(line, this.#events + 2)
    if ("end" in entry) {
      if (entry.crc32 !== this.#checksum || entry.events !== this.#events) {
        throw new Reading.Unreadable({ message: "was changed after it was recorded" })
      }
      this.#end = entry
      return undefined
    }
    this.#add(line)
    this.#events++
    return entry
  }

  #add(line: string): void {
    this.#checksum = crc32(`${line}\n`, this.#checksum)
  }
}

/** Replays lines one after the other, up to the first difference. */
export class Replaying {
  readonly #make: MakeMachine | undefined
  readonly #told: (step: Step) => void
  readonly #lines = new SegmentLines()
  #replay: Replay | undefined
  #recent: Array<Step> = []
  #difference: Difference | undefined
  #events = 0

  /** `told` hears of each event that is replayed. */
  constructor(make?: MakeMachine, told: (step: Step) => void = () => {}) {
    this.#make = make
    this.#told = told
  }

  /** Throws `Unreadable`. */
  line(line: string): void {
    const entry = this.#lines.read(line)
    if (this.#lines.segment !== undefined && this.#replay === undefined) {
      this.#replay = new Replay(this.#lines.segment, this.#make)
    }
    // What follows a difference is read all the same: whether the record is as it was is to be known.
    if (entry === undefined || this.#replay === undefined || this.#difference !== undefined) return
    const step = this.#replay.step(entry)
    this.#events++
    this.#told(step)
    if (!isSame(step.recorded, step.decided)) this.#difference = { step, before: this.#recent }
    else {
      this.#recent.push(step)
      if (this.#recent.length > shownBefore) this.#recent.shift()
    }
  }

  /** Throws `Unreadable` when there was nothing. */
  get verdict(): Verdict {
    const { end, segment } = this.#lines
    if (segment === undefined) throw new Reading.Unreadable({ message: "is empty" })
    return { segment, events: this.#events, difference: this.#difference, end }
  }
}

/** Replays the text of a segment. Throws `Unreadable`. */
export const replay = (text: string, make?: MakeMachine): Verdict => {
  const replaying = new Replaying(make)
  for (const line of linesOf(text)) replaying.line(line)
  return replaying.verdict
}

/** Lines without their ends. What follows the last end of line was cut, and is left out. */
export const linesOf = (text: string): ReadonlyArray<string> => text.split("\n").slice(0, -1)
