/**
 * Metrics that nobody counts as things happen: of this process, and of the peers as they are when somebody asks.
 *
 * Names and units are those of Prometheus' own collectors for processes and for Node, so that common dashboards find them.
 *
 * @module
 */
import { monitorEventLoopDelay } from "node:perf_hooks"
import { Effect, FileSystem, Option } from "effect"
import { implementationOf } from "../peer/ConnectionMetrics.ts"
import type { Peer } from "../peer/Peer.ts"
import { version } from "../version.ts"

/** How often the delay of the event loop is looked at, in milliseconds: each time wakes the process. */
const resolution = 50

/** Bytes of a page of memory where Node runs on Linux. */
const pageBytes = 4096

interface Sample {
  readonly name: string
  readonly type: "counter" | "gauge"
  readonly help: string
  readonly values: ReadonlyArray<readonly [labels: string, value: number]>
}

const format = ({ help, name, type, values }: Sample): string =>
  [
    `# HELP ${name} ${help}`,
    `# TYPE ${name} ${type}`,
    ...values.map(([labels, value]) => `${name}${labels} ${value}`),
    ""
  ].join("\n")

/**
 * Peers by what they say they are. A peer may call itself anything, so what it says is no label: there are four classes,
 * of which the last is for everybody else.
 */
const byImplementation = (peers: ReadonlyArray<Peer>): Sample["values"] => {
  const counts = { zebra: 0, zakura: 0, legacy_zcashd: 0, other: 0 }
  for (const { info } of peers) counts[implementationOf(info.remote.userAgent)]++
  return Object.entries(counts).map(([name, count]) => [`{implementation="${name}"}`, count])
}

/**
 * The metrics in the text format of Prometheus, to be asked again for each scrape. Watches the event loop until the scope
 * closes; its figures are of the time since the scrape before. What only Linux tells is left out elsewhere.
 */
export const make = Effect.fnUntraced(function* (peersUnsafe: () => ReadonlyArray<Peer>, bansUnsafe: () => number) {
  const files = yield* FileSystem.FileSystem
  const delay = yield* Effect.acquireRelease(
    Effect.sync(() => {
      const delay = monitorEventLoopDelay({ resolution })
      delay.enable()
      return delay
    }),
    (delay) => Effect.sync(() => delay.disable())
  )
  const gauge = (name: string, help: string, value: number): Sample => ({
    name,
    type: "gauge",
    help,
    values: [["", value]]
  })
  /** Nanoseconds to seconds; what is due every `resolution` is late by the rest. */
  const lag = (nanos: number) => Math.max(0, Number.isFinite(nanos) ? nanos / 1e9 - resolution / 1000 : 0)
  const optional = <A>(effect: Effect.Effect<A, unknown>, sample: (value: A) => Sample | undefined) =>
    Effect.map(Effect.option(effect), (value) => Option.getOrUndefined(Option.map(value, sample)))

  return Effect.gen(function* () {
    const { system, user } = process.cpuUsage()
    const ofLinux = yield* Effect.all([
      optional(files.readDirectory("/proc/self/fd"), (open) =>
        gauge("process_open_fds", "Open file descriptors.", open.length)
      ),
      optional(files.readFileString("/proc/self/limits"), (limits) => {
        const [, most] = /^Max open files\s+(\d+)/m.exec(limits) ?? []
        return most === undefined ? undefined : gauge("process_max_fds", "Most file descriptors.", Number(most))
      }),
      optional(files.readFileString("/proc/self/statm"), (pages) =>
        gauge("process_virtual_memory_bytes", "Virtual memory in bytes.", Number.parseInt(pages, 10) * pageBytes)
      )
    ])
    const samples: ReadonlyArray<Sample | undefined> = [
      {
        name: "process_cpu_seconds_total",
        type: "counter",
        help: "Time of user and system, in seconds.",
        values: [["", (system + user) / 1e6]]
      },
      gauge("process_resident_memory_bytes", "Resident memory in bytes.", process.memoryUsage.rss()),
      ...ofLinux,
      gauge("nodejs_eventloop_lag_p50_seconds", "Median delay of the event loop.", lag(delay.percentile(50))),
      gauge("nodejs_eventloop_lag_p99_seconds", "99th percentile of that delay.", lag(delay.percentile(99))),
      gauge("nodejs_eventloop_lag_max_seconds", "Longest such delay.", lag(delay.max)),
      { name: "zebrad_build_info", type: "gauge", help: "The version.", values: [[`{version="${version}"}`, 1]] },
      {
        name: "zcash_net_peers_implementation",
        type: "gauge",
        help: "Peers by what they say they are.",
        values: byImplementation(peersUnsafe())
      },
      gauge("zcash_net_bans", "Peer groups nobody here talks to.", bansUnsafe())
    ]
    delay.reset()
    return samples.map((sample) => (sample === undefined ? "" : format(sample))).join("")
  })
})
