/**
 * `network-effect top`: a running node, as it is every second.
 *
 * @module
 */
import { Clock, Console, Effect, Schedule, Stdio, Stream } from "effect"
import { Command } from "effect/cli"
import type { NetworkEvent } from "../network/NetworkEvents.ts"
import type { Health, PeerInfo, Totals, Addresses } from "../status/StatusApi.ts"
import { describe } from "./DevnetView.ts"
import { ask, clientOf, nodeFlag } from "./remote.ts"
import { jsonFlag } from "./root.ts"
import { draw, room } from "./screen.ts"
import * as tables from "./tables.ts"

/** A node at one moment. */
interface Snapshot {
  /** Milliseconds since the Unix epoch. */
  readonly at: number
  readonly health: Health
  readonly totals: Totals
  readonly addresses: Addresses
  readonly peers: ReadonlyArray<PeerInfo>
}

/** Events shown below the peers. */
const shownEvents = 5

/** Seconds that the sparklines show: with what is beside them a line of 80 columns. */
const shownSeconds = 44

/** What the sparklines show, a value each second, the latest last. */
interface History {
  readonly received: Array<number>
  readonly sent: Array<number>
  readonly peers: Array<number>
  /** Median round trip of the pings, in milliseconds. */
  readonly ping: Array<number>
}

const emptyHistory = (): History => ({ received: [], sent: [], peers: [], ping: [] })

const medianPing = (peers: ReadonlyArray<PeerInfo>): number => {
  const pings = peers.flatMap(({ pingtime }) => (pingtime === null ? [] : [pingtime * 1000])).toSorted((a, b) => a - b)
  return pings[Math.floor(pings.length / 2)] ?? 0
}

/** Takes in a moment; `before` is the one before it. Totals that went back are those of a node that began anew. */
const remember = (history: History, now: Snapshot, before: Snapshot | undefined): void => {
  const seconds = before === undefined ? 0 : (now.at - before.at) / 1000
  const rate = (key: "bytesReceived" | "bytesSent") =>
    before === undefined || seconds <= 0 ? 0 : Math.max(0, (now.totals[key] - before.totals[key]) / seconds)
  history.received.push(rate("bytesReceived"))
  history.sent.push(rate("bytesSent"))
  history.peers.push(now.peers.length)
  history.ping.push(medianPing(now.peers))
  for (const values of [history.received, history.sent, history.peers, history.ping]) {
    if (values.length > shownSeconds) values.shift()
  }
}

const sparklines = (history: History): ReadonlyArray<string> => {
  const line = (title: string, values: ReadonlyArray<number>, latest: (value: number) => string) =>
    `${title.padEnd(9)}${tables.sparkline(values, shownSeconds)}  ${latest(values.at(-1) ?? 0)}, most ${latest(Math.max(...values))}`
  return [
    line("received", history.received, (value) => `${tables.size(value)}/s`),
    line("sent", history.sent, (value) => `${tables.size(value)}/s`),
    line("peers", history.peers, String),
    line("ping", history.ping, (value) => `${value.toFixed(value < 10 ? 1 : 0)} ms`)
  ]
}

const lines = (
  { addresses, at, health, peers, totals }: Snapshot,
  history: History | undefined,
  events: ReadonlyArray<NetworkEvent>,
  rows: number,
  room: number
): ReadonlyArray<string> => {
  const head = [
    ...tables.overview(health, totals),
    ...tables.addressCounts(addresses),
    ...(history === undefined ? [] : ["", ...sparklines(history)]),
    ""
  ]
  const tail = events.length === 0 ? [] : ["", ...events.slice(-shownEvents).map(describe)]
  const left = Math.max(2, rows - head.length - tail.length - 2)
  const table = tables.peers(peers, at / 1000, room)
  const shown = table.length <= left ? table : [...table.slice(0, left - 1), `and ${table.length - left + 1} more`]
  return [...head, ...shown, ...tail]
}

export const top = Command.make(
  "top",
  { node: nodeFlag, json: jsonFlag },
  Effect.fnUntraced(function* ({ json, node }) {
    const live = !json && (yield* (yield* Stdio.Stdio).stdoutIsTerminal)
    const snapshot = ask(node, (client) =>
      Effect.all(
        {
          at: Clock.currentTimeMillis,
          health: client.health(),
          totals: client.totals(),
          addresses: client.addresses({ query: { limit: 0 } }),
          peers: client.peers()
        },
        { concurrency: "unbounded" }
      )
    )
    if (json) {
      return yield* snapshot.pipe(
        Effect.flatMap((now) => Console.log(JSON.stringify(now))),
        Effect.repeat(Schedule.spaced("1 second")),
        Effect.asVoid
      )
    }
    if (!live) return yield* Console.log(lines(yield* snapshot, undefined, [], Infinity, Infinity).join("\n"))

    const events: Array<NetworkEvent> = []
    yield* clientOf(node).pipe(
      Effect.flatMap((client) => client.events()),
      Effect.flatMap(
        Stream.runForEach((event) =>
          Effect.sync(() => {
            events.push(event)
            if (events.length > shownEvents) events.shift()
          })
        )
      ),
      // Without events the rest is still worth looking at.
      Effect.ignore,
      Effect.forkScoped
    )
    const history = emptyHistory()
    let before: Snapshot | undefined
    const refresh = Effect.gen(function* () {
      const now = yield* snapshot
      remember(history, now, before)
      before = now
      const columns = yield* room
      yield* draw((rows) => lines(now, history, events, rows, columns))
    })
    yield* refresh.pipe(Effect.repeat(Schedule.spaced("1 second")))
  }, Effect.scoped)
).pipe(
  Command.withDescription("Watch a running node; Ctrl-C ends it"),
  Command.withExamples([
    { command: "network-effect top", description: "A live view; one look when piped" },
    { command: "network-effect top --json", description: "An object per second, one per line" }
  ])
)
