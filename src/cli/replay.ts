/**
 * `network-effect replay`: runs connections again from their records, and says whether they decide what they decided.
 *
 * Reads files, and has no way to the network.
 *
 * @module
 */
import { Console, Effect, FileSystem, Option, Path, type PlatformError, Stream } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import type * as Format from "../recording/Format.ts"
import { maxLineCharacters } from "../recording/Format.ts"
import * as Property from "../recording/Property.ts"
import { Unreadable } from "../recording/Reading.ts"
import * as Replay from "../recording/Replay.ts"
import * as Shrink from "../recording/Shrink.ts"
import * as Telling from "../recording/Telling.ts"
import { commandOf } from "../wire/Message.ts"
import { shortName } from "./Files.ts"
import { explained, jsonFlag, ReplayFailure } from "./root.ts"
import { walk } from "./stepper.ts"
import { harmless } from "./Text.ts"

/** Largest file that is taken into memory as a whole, to be walked, searched or shrunk: many times a segment. */
const maxWholeBytes = 256 * 1_048_576

/** What the names of shrunk records end in. */
const shrunkEnding = ".shrunk.ndjson"

const unreadable = (name: string, { reason }: PlatformError.PlatformError) =>
  new ReplayFailure({
    message: reason._tag === "NotFound" ? `${name}: there is no such file.` : `${name} cannot be read: ${reason._tag}.`
  })

/** What a record that makes no sense throws, as a sentence. */
const reading = <A>(name: string, read: () => A): Effect.Effect<A, ReplayFailure> =>
  Effect.suspend(() => {
    try {
      return Effect.succeed(read())
    } catch (thrown) {
      if (thrown instanceof Unreadable) return Effect.fail(new ReplayFailure({ message: `${name} ${thrown.message}.` }))
      return Effect.die(thrown)
    }
  })

/** Gives each line of a file to `line`, holding no more of it than one. What follows the last end of line is left out. */
const eachLine = (file: string, name: string, line: (text: string) => void) =>
  Effect.gen(function* () {
    const files = yield* FileSystem.FileSystem
    // Opening one waits for whoever writes to it, and no signal ends that.
    if ((yield* files.stat(file)).type === "FIFO") {
      return yield* new ReplayFailure({ message: `${name} is a pipe: write what comes from it to a file.` })
    }
    const decoder = new TextDecoder("utf-8")
    let rest = ""
    yield* Stream.runForEach(files.stream(file), (chunk) =>
      reading(name, () => {
        const [first = "", ...lines] = decoder.decode(chunk, { stream: true }).split("\n")
        rest += first
        if (rest.length > maxLineCharacters) {
          throw new Unreadable({
            message: `has a line of more than ${maxLineCharacters} characters, so it is no record`
          })
        }
        if (lines.length === 0) return
        lines.unshift(rest)
        rest = lines.pop() ?? ""
        for (const text of lines) line(text)
      })
    )
  }).pipe(Effect.catchTag("PlatformError", (error) => Effect.fail(unreadable(name, error))))

/** A segment with all of its events. */
interface Whole {
  readonly segment: Format.Segment
  readonly entries: ReadonlyArray<Format.Entry>
}

const whole = Effect.fnUntraced(function* (file: string, name: string) {
  const files = yield* FileSystem.FileSystem
  const { size } = yield* Effect.mapError(files.stat(file), (error) => unreadable(name, error))
  if (Number(size) > maxWholeBytes) {
    return yield* new ReplayFailure({
      message: `${name} is too long to be walked, searched or shrunk: ${size} bytes, of ${maxWholeBytes} at most.`
    })
  }
  const lines = new Replay.SegmentLines()
  const entries: Array<Format.Entry> = []
  yield* eachLine(file, name, (line) => {
    const entry = lines.read(line)
    if (entry !== undefined) entries.push(entry)
  })
  const { segment } = lines
  if (segment === undefined) return yield* new ReplayFailure({ message: `${name} is empty.` })
  return { segment, entries } satisfies Whole
})

/** The record itself, or those in a folder, oldest first. */
const recordsAt = Effect.fnUntraced(function* (path: string, name: string) {
  const files = yield* FileSystem.FileSystem
  const paths = yield* Path.Path
  const info = yield* Effect.mapError(files.stat(path), (error) => unreadable(name, error))
  if (info.type !== "Directory") return [path]
  const found = (yield* Effect.mapError(files.readDirectory(path), (error) => unreadable(name, error)))
    .filter((file) => file.endsWith(".ndjson"))
    .toSorted()
  if (found.length === 0) return yield* new ReplayFailure({ message: `${name} has no records in it.` })
  return found.map((file) => paths.join(path, file))
})

// -- what is printed -----------------------------------------------------------------------------

const seconds = (nanos: number): string => `${(nanos / 1e9).toFixed(3)} s`

/** A connection, as the first line of its record has it. */
const connectionText = ({ connection, segment }: Format.Segment): string => {
  const { address, id, isInbound, node, userAgent } = connection
  const which = node === "" ? `connection ${id}` : `connection ${id} of node ${node}`
  return harmless(`${which}, ${isInbound ? "from" : "to"} ${address}, ${userAgent}, segment ${segment}`)
}

/** What happened, and what was decided; where that is not what it was, both. */
const stepLines = (step: Replay.Step): ReadonlyArray<string> => [
  `  ${String(step.number).padStart(6)}  ${seconds(step.entry.at).padStart(12)}  ${harmless(Telling.eventText(step.event))}`,
  ...sideBySide(step.recorded, step.decided)
]

/** What was decided then and is not now, and the other way round. */
const sideBySide = (recorded: ReadonlyArray<string>, decided: ReadonlyArray<string>): ReadonlyArray<string> => {
  const length = Math.max(recorded.length, decided.length)
  return Array.from({ length }, (_, at) => [recorded[at], decided[at]] as const).flatMap(([was, is]) => {
    if (was === is) return [`${" ".repeat(24)}${harmless(was ?? "")}`]
    const then = was === undefined ? [] : [`${" ".repeat(17)}then   ${harmless(was)}`]
    return [...then, ...(is === undefined ? [] : [`${" ".repeat(17)}now    ${harmless(is)}`])]
  })
}

/** Why a record ends of a connection that goes on. */
const endings: Readonly<Record<Format.Ending, string>> = {
  closed: "it ends",
  full: "it goes on in the next segment",
  stopped: "it was recorded no longer",
  lost: "there was no room for more; the next segment says how much is missing",
  shrunk: "that is all that was kept of it"
}

/** What was said on a connection, and how it ended. */
class Account {
  readonly #heard = new Map<string, number>()
  readonly #asked = new Map<string, number>()
  #ending: string | undefined
  #lastAt = 0

  add({ actions, entry, event }: Replay.Step): void {
    this.#lastAt = entry.at
    const add = (counts: Map<string, number>, what: string) => counts.set(what, (counts.get(what) ?? 0) + 1)
    if (event._tag === "Message") add(this.#heard, commandOf(event.message))
    if (event._tag === "Request") add(this.#asked, event.request._tag)
    for (const action of actions) if (action._tag === "Close") this.#ending = action.error._tag
  }

  get json() {
    return {
      seconds: this.#lastAt / 1e9,
      heard: Object.fromEntries(this.#heard),
      asked: Object.fromEntries(this.#asked),
      ending: this.#ending ?? null
    }
  }

  /** `end`: why the record ends, if it says so. */
  lines(end: Format.Ending | undefined): ReadonlyArray<string> {
    const counts = (all: Map<string, number>) =>
      [...all]
        .toSorted(([, a], [, b]) => b - a)
        .map(([what, count]) => `${what} ${count}`)
        .join(", ")
    return [
      ...(this.#heard.size === 0 ? [] : [`the peer said: ${counts(this.#heard)}`]),
      ...(this.#asked.size === 0 ? [] : [`this node asked: ${counts(this.#asked)}`]),
      `after ${seconds(this.#lastAt)}: ${this.#ending ?? (end === undefined ? "the record is cut" : endings[end])}`
    ]
  }
}

/** Replays one file; prints what there is to say of it. Returns what was replayed. */
const replayOne = Effect.fnUntraced(function* (
  file: string,
  options: { readonly json: boolean; readonly alone: boolean }
) {
  const name = yield* shortName(file)
  const account = new Account()
  const replaying = new Replay.Replaying(undefined, (step) => account.add(step))
  yield* eachLine(file, name, (line) => replaying.line(line))
  const { difference, end, events, segment } = yield* reading(name, () => replaying.verdict)
  if (options.json) {
    const first =
      difference === undefined
        ? null
        : { event: difference.step.number, recorded: difference.step.recorded, decided: difference.step.decided }
    const verdict = { file: name, events, identical: difference === undefined, whole: end !== undefined, first }
    yield* Console.log(JSON.stringify({ ...verdict, connection: segment.connection, ...account.json }))
  } else if (options.alone || difference !== undefined || end === undefined) {
    yield* Console.log(
      [
        connectionText(segment),
        ...(difference === undefined ? account.lines(end) : [...difference.before, difference.step].flatMap(stepLines))
      ].join("\n")
    )
  }
  const problem =
    difference !== undefined
      ? `${name} has other actions from event ${difference.step.number} on`
      : end === undefined
        ? `${name} is cut after event ${events}, up to which it is identical`
        : undefined
  return { events, problem }
})

const replayAll = Effect.fnUntraced(function* (path: string, json: boolean) {
  const files = yield* recordsAt(path, yield* shortName(path))
  const alone = files.length === 1
  let events = 0
  const problems: Array<string> = []
  for (const file of files) {
    // Of a folder the others are replayed all the same: a node that was killed leaves its last file as it was.
    const one = yield* replayOne(file, { json, alone }).pipe(
      Effect.catchTag("ReplayFailure", (error) =>
        alone ? Effect.fail(error) : Effect.succeed({ events: 0, problem: error.message.replace(/\.$/, "") })
      )
    )
    events += one.events
    if (one.problem !== undefined) problems.push(one.problem)
  }
  const [first] = problems
  if (first !== undefined) {
    const more =
      problems.length === 1
        ? ""
        : `, and ${problems.length - 1} ${problems.length === 2 ? "other" : "others"} of ${files.length}`
    return yield* new ReplayFailure({ message: `${first}${more}.` })
  }
  if (!json) {
    const of = alone ? "" : ` of ${files.length} segments`
    yield* Console.log(`identical: all actions of ${events} events${of}`)
  }
})

// -- looking for something -------------------------------------------------------------------------

/** What is looked for, and in which words. */
interface Wanted {
  readonly property: Property.Property
  readonly text: string
}

/** Prints the first event of a record that shows it, and those before. `undefined` if none does. */
const findIn = Effect.fnUntraced(function* (file: string, { property }: Wanted, json: boolean) {
  const name = yield* shortName(file)
  const { entries, segment } = yield* whole(file, name)
  const found = yield* reading(name, () => {
    const replay = new Replay.Replay(segment)
    const steps: Array<Replay.Step> = []
    for (const entry of entries) {
      const step = replay.step(entry)
      steps.push(step)
      if (property(step, replay.transcript)) return steps
      if (steps.length > Replay.shownBefore) steps.shift()
    }
    return undefined
  })
  if (found === undefined) return undefined
  if (!json) return Console.log([connectionText(segment), ...found.flatMap(stepLines)].join("\n"))
  const events = found.map(({ decided, entry, number }) => ({ event: number, ...entry, now: decided }))
  return Console.log(JSON.stringify({ file: name, connection: segment.connection, events }))
})

/** Writes the shortest record that still shows it beside the one it is of. `undefined` if nothing does. */
const shrinkIn = Effect.fnUntraced(function* (file: string, { property, text }: Wanted, json: boolean) {
  const name = yield* shortName(file)
  const { entries, segment } = yield* whole(file, name)
  const shortest = yield* reading(name, () => Shrink.shrink(segment, entries, property))
  if (shortest === undefined) return undefined
  const fixture = `${file.replace(/\.ndjson$/, "")}${shrunkEnding}`
  const fixtureName = yield* shortName(fixture)
  const counts = { events: shortest.length, of: entries.length }
  const said = json
    ? JSON.stringify({ file: name, ...counts, fixture: fixtureName })
    : `${name}: ${counts.events} of ${counts.of} events still show ${harmless(text)}: ${fixtureName}`
  return Effect.andThen(writeNew(fixture, fixtureName, Shrink.textOf(segment, shortest)), Console.log(said))
})

const writeNew = (file: string, name: string, text: string) =>
  Effect.flatMap(FileSystem.FileSystem, (files) => files.writeFileString(file, text, { flag: "wx", mode: 0o600 })).pipe(
    Effect.mapError(({ reason }) => {
      const why =
        reason._tag === "AlreadyExists" ? "is there already: move or remove it" : `cannot be written: ${reason._tag}`
      return new ReplayFailure({ message: `${name} ${why}.` })
    })
  )

/** In the first record that shows it. */
const find = Effect.fnUntraced(function* (
  path: string,
  wanted: Wanted,
  { json, shrink }: { readonly json: boolean; readonly shrink: boolean }
) {
  const name = yield* shortName(path)
  const records = yield* recordsAt(path, name)
  const [only = path, ...others] = records
  // What was kept of a record is no place to look for what is in records.
  const files = others.length === 0 ? [only] : records.filter((file) => !file.endsWith(shrunkEnding))
  const unread: Array<ReplayFailure> = []
  for (const file of files) {
    const found = yield* Effect.catchTag(
      shrink ? shrinkIn(file, wanted, json) : findIn(file, wanted, json),
      "ReplayFailure",
      (failure) => (files.length === 1 ? Effect.fail(failure) : Effect.sync(() => void unread.push(failure)))
    )
    if (found !== undefined) return yield* found
  }
  const [first] = unread
  const but = first === undefined ? "" : `, as far as it can be read: ${first.message.replace(/\.$/, "")}`
  const more = unread.length > 1 ? `, and ${unread.length - 1} of ${files.length} likewise` : ""
  return yield* new ReplayFailure({ message: `${name} never shows ${harmless(wanted.text)}${but}${more}.` })
})

export const replay = Command.make(
  "replay",
  {
    record: Argument.Path("record").pipe(
      Argument.withDescription("A record, or a folder of records, as start --record leaves them")
    ),
    step: Flag.Boolean("step").pipe(
      Flag.withDescription("Walk through one record in the terminal, forward and back"),
      Flag.withDefault(false)
    ),
    until: Flag.String("until").pipe(
      Flag.withDescription(`Up to where it shows this: ${Property.forms}`),
      Flag.withMetavar("PROPERTY"),
      Flag.filterMap(
        (text) => Option.map(Option.fromUndefinedOr(Property.parse(text)), (property) => ({ text, property })),
        () => `${Property.forms}`
      ),
      Flag.optional
    ),
    shrink: Flag.Boolean("shrink").pipe(
      Flag.withDescription("With --until: write the shortest record that still shows it beside this one, for a test"),
      Flag.withDefault(false)
    ),
    json: jsonFlag
  },
  ({ json, record, shrink, step, until }) =>
    explained("")(
      Effect.gen(function* () {
        if (shrink && Option.isNone(until)) {
          return yield* new ReplayFailure({ message: "--shrink needs to know what to keep: say --until PROPERTY." })
        }
        if (step && (shrink || json)) {
          return yield* new ReplayFailure({
            message: `--step draws on the terminal, and does not go with --${shrink ? "shrink" : "json"}: leave one of them out.`
          })
        }
        if (step) {
          const [file = record, ...others] = yield* recordsAt(record, yield* shortName(record))
          if (others.length > 0) {
            return yield* new ReplayFailure({
              message: "--step walks through one record: name one of the folder's files."
            })
          }
          const name = yield* shortName(file)
          const { entries, segment } = yield* whole(file, name)
          const steps = yield* reading(name, () => Replay.walked(segment, entries))
          const transcript = new Replay.Replay(segment).transcript
          const at = Option.match(until, {
            onNone: () => 0,
            onSome: ({ property }) => steps.findIndex((step) => property(step, transcript))
          })
          if (steps.length === 0) return yield* new ReplayFailure({ message: `${name} has no events.` })
          if (at < 0) {
            const { text } = Option.getOrThrow(until)
            return yield* new ReplayFailure({ message: `${name} never shows ${harmless(text)}.` })
          }
          return yield* walk({ title: connectionText(segment), steps, baseNanos: BigInt(segment.nanos), at })
        }
        if (Option.isSome(until)) return yield* find(record, until.value, { json, shrink })
        return yield* replayAll(record, json)
      })
    )
).pipe(
  Command.withDescription("Run recorded connections again: identical actions, or the first that are not"),
  Command.withExamples([
    { command: "network-effect replay records", description: "All of a folder" },
    { command: "network-effect replay records/FILE.ndjson --step", description: "Walk through one" },
    {
      command: "network-effect replay FILE.ndjson --until ending:PeerOverloaded --shrink",
      description: "The shortest record with this end, for a test"
    }
  ])
)
