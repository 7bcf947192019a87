/**
 * The page's one stream: looks at a node each second, keeps the last hour, and tells every reader what changed.
 *
 * A second is encoded once for all readers. A reader that falls behind more than `waitingPieces` seconds loses those and gets
 * the whole state again instead. While nobody reads, only the sample of each second is taken.
 *
 * @module
 */
import { Clock, Effect, PubSub, Schedule, Semaphore, Stream } from "effect"
import { runBeside } from "../BackgroundTasks.ts"
import * as LimitedLog from "../LimitedLog.ts"
import * as Monotonic from "../Monotonic.ts"
import type { NetworkEvent } from "../network/NetworkEvents.ts"
import { Policy } from "../Policy.ts"
import { EventMemory, type NumberedEvent } from "./EventMemory.ts"
import { History, type Sample } from "./History.ts"
import * as Live from "./Live.ts"
import type { LiveHistory, LiveSnapshot, LiveTick } from "./StatusApi.ts"

/** Seconds the slowest reader may be behind. */
export const waitingPieces = 16

/** Events of the past a reader gets first. */
export const eventsAtFirst = 300

/** Most events that are told of one second; more are counted. */
export const eventsPerTick = 100

const interval = "1 second"

/** What is looked at. */
export interface Source {
  readonly events: Stream.Stream<NetworkEvent>
  /** Counts of this moment: of bytes since the process began, and of all else as they are. */
  readonly sample: Effect.Effect<Omit<Sample, "at">>
  readonly look: Effect.Effect<Live.Look>
}

/** The stream, the hour it keeps, and what it knows of a peer. */
export interface LiveFeed {
  /** Server-sent events: a snapshot, then ticks. */
  readonly stream: Stream.Stream<Uint8Array>
  readonly history: Effect.Effect<typeof LiveHistory.Encoded>
  readonly events: EventMemory
}

interface Piece {
  readonly tick: number
  readonly bytes: Uint8Array
}

const encode = (name: "snapshot" | "tick", data: LiveSnapshot | LiveTick): Uint8Array =>
  Buffer.from(`event: ${name}\ndata: ${JSON.stringify(data)}\n\n`)

/** Takes a sample each second until the scope closes. */
export const make = Effect.fnUntraced(function* (source: Source) {
  const log = LimitedLog.make((yield* Policy).statusLogInterval)
  const process = (yield* Clock.currentTimeMillis).toString(36)
  const history = new History()
  const memory = new EventMemory()
  const bus = yield* PubSub.sliding<Piece>(waitingPieces)
  /** A look and what it is compared with are one step. */
  const oneAtATime = yield* Semaphore.make(1)
  let waiting: Array<NumberedEvent> = []
  let lost = 0
  /** Number of the first event that no tick has told yet. */
  let untold = 0
  let tick = 0
  let readers = 0
  /** The state as readers know it, while there are any. */
  let told: Live.Look | undefined
  let snapshot: Piece | undefined
  let before: { readonly millis: number; readonly received: number; readonly sent: number } | undefined

  yield* source.events.pipe(
    Stream.runForEach((event) =>
      Effect.sync(() => {
        waiting.push(memory.add(event))
        if (waiting.length > eventsPerTick) {
          waiting.shift()
          lost++
        }
      })
    ),
    (reading) => runBeside("reading events for the page", reading)
  )

  const sampled = Effect.gen(function* () {
    const at = yield* Clock.currentTimeMillis
    const millis = yield* Monotonic.millis
    const { received, sent, ...counts } = yield* source.sample
    const rate = (now: number, then: number, since: number) =>
      Math.max(0, Math.round(((now - then) * 1000) / Math.max(1, millis - since)))
    const sample: Sample = {
      at,
      ...counts,
      received: before === undefined ? 0 : rate(received, before.received, before.millis),
      sent: before === undefined ? 0 : rate(sent, before.sent, before.millis)
    }
    before = { millis, received, sent }
    return { sample, minute: history.add(sample) }
  })

  const rows = () => ({ seconds: history.seconds.map(Live.rowOf), minutes: history.minutes.map(Live.rowOf) })

  const beat = Effect.gen(function* () {
    const { minute, sample } = yield* sampled
    const events = waiting
    const missed = lost
    waiting = []
    lost = 0
    untold = (events.at(-1)?.[0] ?? untold - 1) + 1
    tick++
    snapshot = undefined
    if (readers === 0) told = undefined
    if (told === undefined) return
    const { changes, told: next } = Live.difference(told, yield* source.look, tick)
    told = next
    const [first] = events
    const gap: ReadonlyArray<NumberedEvent> =
      missed === 0 || first === undefined ? [] : [[first[0] - 1, { _tag: "EventsLost", at: sample.at, count: missed }]]
    const bytes = encode("tick", {
      _tag: "Tick",
      tick,
      sample: Live.rowOf(sample),
      minute: minute === undefined ? undefined : Live.rowOf(minute),
      ...changes,
      events: events.length === 0 ? undefined : [...gap, ...events]
    })
    yield* PubSub.publish(bus, { tick, bytes })
  })
  yield* oneAtATime
    .withPermits(1)(beat)
    .pipe(
      // A bug of one second, and a page that goes on with the next one.
      Effect.catchCause((cause) => log("missed", Effect.logError("the page's stream missed a second", cause))),
      Effect.repeat(Schedule.fixed(interval)),
      (beating) => runBeside("the page's stream", beating)
    )

  /** The whole state as of the last tick, encoded once in a second however many ask for it. */
  const current = oneAtATime.withPermits(1)(
    Effect.gen(function* () {
      told ??= yield* source.look
      // What waits for the next tick is in that one.
      const events = memory.latest(Infinity).filter(([number]) => number < untold)
      snapshot ??= {
        tick,
        bytes: encode("snapshot", {
          _tag: "Snapshot",
          process,
          tick,
          history: rows(),
          ...told,
          events: events.slice(-eventsAtFirst)
        })
      }
      return snapshot
    })
  )

  const stream = Stream.unwrap(
    Effect.gen(function* () {
      const subscription = yield* PubSub.subscribe(bus)
      yield* Effect.acquireRelease(
        Effect.sync(() => readers++),
        () => Effect.sync(() => readers--)
      )
      const start = yield* current
      let last = start.tick
      const next = Effect.flatMap(PubSub.take(subscription), (piece) => {
        const isNext = piece.tick === last + 1
        // It is in the snapshot already.
        if (piece.tick <= last) return Effect.succeed(Buffer.alloc(0))
        if (isNext) {
          last = piece.tick
          return Effect.succeed(piece.bytes)
        }
        return Effect.map(current, ({ bytes, tick }) => {
          last = tick
          return bytes
        })
      })
      return Stream.concat(
        Stream.succeed(start.bytes),
        Stream.fromEffectRepeat(next).pipe(Stream.filter((bytes) => bytes.length > 0))
      )
    })
  )

  return { stream, history: Effect.sync(rows), events: memory } satisfies LiveFeed
})
