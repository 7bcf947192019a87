/**
 * The events of a node for many readers at once.
 *
 * Each event is encoded once, and what happened within `interval` goes out in one piece, so that a thousand readers
 * cost a node little. Pieces wait for slow readers in one ring that all share; who falls behind further loses the oldest
 * and is told how many.
 *
 * @module
 */
import { Clock, Effect, PubSub, Stream } from "effect"
import { runBeside } from "../BackgroundTasks.ts"
import { type NetworkEvent, replayedEvents } from "../network/NetworkEvents.ts"

/** Pieces the slowest reader may be behind. */
export const waitingPieces = 64

/**
 * A piece is closed when it has so many bytes. The largest event, of a thousand ids, has some 67,000; so what waits for
 * all readers together is below 9 MB.
 */
const pieceBytes = 65_536

/** Most events that are looked at together. */
const maxGroup = 1024

/** Short enough to look live. */
const interval = "100 millis"

interface Piece {
  /** Number of its first event, from 0. */
  readonly first: number
  readonly count: number
  /** Of its last event, in milliseconds since the Unix epoch. */
  readonly at: number
  readonly bytes: Uint8Array
}

const encode = (event: NetworkEvent): string => `data: ${JSON.stringify(event)}\n\n`

/**
 * One stream of server-sent events for as many readers as run it. Reads `events` until the scope closes.
 *
 * A reader gets the latest `replayedEvents` first, or, when it names the last one it had (`Last-Event-ID`), those after
 * that; if there were more, it is told how many it missed. An id of another process is as none.
 */
export const make = Effect.fnUntraced(function* (events: Stream.Stream<NetworkEvent>) {
  // An id is of this feed only: numbers begin anew with each process.
  const feed = (yield* Clock.currentTimeMillis).toString(36)
  const bus = yield* PubSub.sliding<Piece>(waitingPieces)
  /** The bytes of the latest ones, which all readers share: 32 of a thousand ids are two megabytes. */
  let recent: ReadonlyArray<Uint8Array> = []
  let next = 0
  let latestAt = 0

  /** What a reader gets at once that had events before number `from`; the first piece is empty when it missed none. */
  const since = (from: number): ReadonlyArray<Uint8Array> => {
    const kept = next - recent.length
    const lost = Math.max(0, kept - from)
    const missed = lost === 0 ? "" : encode({ _tag: "EventsLost", at: latestAt, count: lost })
    return [Buffer.from(missed), ...recent.slice(Math.max(0, from - kept))]
  }

  /** Number of the event after the one with this id, when that has been. */
  const after = (id: string | undefined): number | undefined => {
    const [, of, number] = /^([0-9a-z]+)-(\d{1,15})$/.exec(id ?? "") ?? []
    return of === feed && Number(number) < next ? Number(number) + 1 : undefined
  }

  yield* events.pipe(
    Stream.groupedWithin(maxGroup, interval),
    Stream.runForEach((group) =>
      Effect.suspend(() => {
        const texts = group.map((event, index) => `id: ${feed}-${next + index}\n${encode(event)}`)
        const latest = texts.slice(-replayedEvents).map((text) => Buffer.from(text))
        recent = [...recent, ...latest].slice(-replayedEvents)
        latestAt = group.at(-1)?.at ?? latestAt
        const pieces: Array<Piece> = []
        let open: Array<string> = []
        let length = 0
        for (const [index, text] of texts.entries()) {
          open.push(text)
          length += text.length
          if (length < pieceBytes && index < texts.length - 1) continue
          pieces.push({ first: next, count: open.length, at: group[index]?.at ?? 0, bytes: Buffer.from(open.join("")) })
          next += open.length
          open = []
          length = 0
        }
        return PubSub.publishAll(bus, pieces)
      })
    ),
    (reading) => runBeside("telling of events", reading)
  )

  return (lastEventId?: string) =>
    Stream.unwrap(
      Effect.gen(function* () {
        const subscription = yield* PubSub.subscribe(bus)
        let expected = next
        const start = since(after(lastEventId) ?? next - recent.length)
        // One at a time: what a reader holds by itself is a piece and what its socket has room for.
        const rest = Stream.fromEffectRepeat(PubSub.take(subscription)).pipe(
          Stream.map(({ at, bytes, count, first }) => {
            const lost = first - expected
            expected = first + count
            if (lost === 0) return bytes
            return Buffer.concat([Buffer.from(encode({ _tag: "EventsLost", at, count: lost })), bytes])
          })
        )
        return Stream.concat(Stream.fromIterable(start), rest)
      })
    )
})
