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
import { ask, clientOf, jsonFlag, nodeFlag } from "./remote.ts"
import { draw } from "./screen.ts"
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

const lines = (
  snapshot: Snapshot,
  before: Snapshot | undefined,
  events: ReadonlyArray<NetworkEvent>,
  rows: number
): ReadonlyArray<string> => {
  const { addresses, health, peers, totals } = snapshot
  const seconds = before === undefined ? 0 : (snapshot.at - before.at) / 1000
  const rates =
    before === undefined || seconds <= 0
      ? undefined
      : {
          received: (totals.bytesReceived - before.totals.bytesReceived) / seconds,
          sent: (totals.bytesSent - before.totals.bytesSent) / seconds
        }
  const head = [...tables.overview(health, totals, rates), tables.addressCounts(addresses), ""]
  const tail = events.length === 0 ? [] : ["", ...events.slice(-shownEvents).map(describe).map(tables.harmless)]
  const room = Math.max(2, rows - head.length - tail.length - 2)
  const table = tables.peers(peers, snapshot.at / 1000)
  const shown = table.length <= room ? table : [...table.slice(0, room - 1), `and ${table.length - room} more`]
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
    if (!live) return yield* Console.log(lines(yield* snapshot, undefined, [], Infinity).join("\n"))

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
    let before: Snapshot | undefined
    const refresh = Effect.gen(function* () {
      const now = yield* snapshot
      yield* draw((rows) => lines(now, before, events, rows))
      before = now
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
