/**
 * How a census is shown in a terminal. Pure.
 *
 * @module
 */
import { DateTime } from "effect"
import type { HostHistory, Sighting } from "../census/CensusStore.ts"
import type { Progress } from "../census/Finding.ts"
import type { Changes, Report, Share } from "../census/Report.ts"
import { columns } from "./tables.ts"
import { fit, harmless, wrap } from "./Text.ts"

/** Lines in at most `room` columns; what goes on is two columns in, and a word that is longer is cut. */
const wrapped = (lines: ReadonlyArray<string>, room: number): ReadonlyArray<string> =>
  room === Infinity
    ? lines
    : lines.flatMap((line) => {
        const [first = "", ...more] = wrap(line, room)
        const rest = more.length === 0 ? [] : wrap(more.join(" "), room - 2).map((text) => `  ${text}`)
        return [first, ...rest].map((text) => fit(text, room))
      })

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`

const withBounds = ({ high, low, share }: Share): string =>
  low === null || high === null ? percent(share) : `${percent(share)} (${percent(low)} to ${percent(high)})`

const when = (seconds: number): string => DateTime.formatIso(DateTime.makeUnsafe(Math.round(seconds * 1000)))

const mostCounts = 10

const counts = (title: string, of: Readonly<Record<string, number>>, room: number): ReadonlyArray<string> => {
  const rows = Object.entries(of)
  const rest = rows.slice(mostCounts).reduce((sum, [, count]) => sum + count, 0)
  return [
    "",
    ...columns(
      [title, " nodes"],
      [
        // A long agent is cut, and not its count.
        ...rows
          .slice(0, mostCounts)
          .map(([name, count]) => [name === "" ? "(none)" : fit(harmless(name), room - 12), String(count)]),
        ...(rest > 0 ? [["others", String(rest)]] : [])
      ]
    )
  ]
}

/** The whole report, in lines of at most `room` columns. */
export const report = (report: Report, room: number = Infinity): ReadonlyArray<string> => {
  const { heights, run } = report
  const interval =
    report.low === null || report.high === null
      ? `no interval: ${report.reason ?? ""}`
      : `95 %: ${report.low} to ${report.high}, best ${report.estimate ?? "-"}`
  const { tip } = heights
  const said = [
    `${report.network}, run ${run.id} of ${report.runs}, ${when(run.startedAt)}`,
    `reachable nodes: ${report.reachable} (${interval})`,
    `claimed hosts: ${report.claimed}, of which ${report.unreachable} did not answer and ${report.undialled} were not dialled`,
    ...(report.churn === null
      ? []
      : [
          `since the run before, ${report.churn.hours.toFixed(2)} h: ${report.churn.arrived} arrived, ${report.churn.departed} departed`
        ]),
    ...(report.guests.count === 0
      ? []
      : [`came to us: ${report.guests.count} nodes, of which ${report.guests.unreached} cannot be dialled`]),
    ...(tip === null
      ? ["heights: nobody says"]
      : [
          `heights: ${tip.height} by ${tip.groupsThere} of ${tip.groups} groups (${tip.quorum ? "" : "no "}quorum); ` +
            `${tip.there} there, ${tip.behind} behind, ${tip.ahead} ahead, ${heights.unknown} do not say`
        ])
  ]
  return [
    ...wrapped(said, room),
    ...counts("version", report.versions, room),
    ...counts("agent", report.agents, room),
    "",
    ...columns(
      ["upgrade", " version", " ready", "share", "groups"],
      report.readiness.map((ready) => [
        ready.upgrade,
        String(ready.version),
        String(ready.count),
        withBounds(ready),
        `${ready.groupsReady} of ${ready.groups}${ready.quorum ? ", quorum" : ""}`
      ]),
      { room, spare: ["groups", "version"] }
    ),
    "",
    ...columns(
      ["group", " nodes"],
      report.groups.largest.map(({ group, hosts }) => [group, String(hosts)])
    ),
    ...(report.systems === null
      ? []
      : [
          "",
          ...columns(
            ["system", " nodes"],
            [
              ...report.systems.largest.map(({ hosts, system }) => [`AS${system}`, String(hosts)]),
              ["not in the map", String(report.systems.unmapped)]
            ]
          )
        ]),
    ...(Object.keys(report.reasons).length === 0 ? [] : counts("why unreachable", report.reasons, room)),
    ...(report.wrongTellers.length === 0
      ? []
      : [
          "",
          ...columns(
            ["tells of nobody", " sampled", " answered"],
            report.wrongTellers.map(({ reached, sampled, teller }) => [teller, String(sampled), String(reached)])
          )
        ]),
    "",
    ...wrapped(
      report.notes.map((note) => `note: ${note}`),
      room
    )
  ]
}

/** What is different between two runs, in lines of at most `room` columns. */
export const changes = (
  { arrived, changed, departed, from, to }: Changes,
  room: number = Infinity
): ReadonlyArray<string> =>
  wrapped(
    [
      `from run ${from.id} (${when(from.startedAt)}) to run ${to.id} (${when(to.startedAt)})`,
      `${arrived.length} arrived, ${departed.length} departed, ${changed.length} changed`,
      ...arrived.map(({ address, userAgent, version }) => `+ ${address} ${version ?? ""} ${harmless(userAgent ?? "")}`),
      ...departed.map(
        ({ address, userAgent, version }) => `- ${address} ${version ?? ""} ${harmless(userAgent ?? "")}`
      ),
      ...changed.map(
        ({ after, before }) =>
          `~ ${after.address} ${before.version ?? ""} ${harmless(before.userAgent ?? "")} -> ${after.version ?? ""} ${harmless(after.userAgent ?? "")}`
      )
    ],
    room
  )

/** A host over all runs that are kept, in lines of at most `room` columns. */
export const history = (
  { firstDialled, firstReached, host, lastDialled, lastReached, sightings }: HostHistory,
  room: number = Infinity
): ReadonlyArray<string> => {
  const reached = sightings.filter(({ isReached }) => isReached).length
  const said = [
    host,
    `dialled from ${when(firstDialled)} to ${when(lastDialled)}`,
    firstReached === null || lastReached === null
      ? "never reached"
      : `reached from ${when(firstReached)} to ${when(lastReached)}, in ${reached} of the ${sightings.length} runs that are kept`,
    ""
  ]
  return [
    ...wrapped(said, room),
    ...columns(
      [" run", "when", "address", "found", " version", "agent", " height", " latency", " told"],
      sightings.map((sighting) => [
        String(sighting.runId),
        when(sighting.at),
        sighting.address,
        sighting.isReached ? "node" : `${sighting.reason ?? ""} ${sighting.code ?? ""}`.trim(),
        String(sighting.version ?? ""),
        sighting.userAgent ?? "",
        String(sighting.height ?? ""),
        sighting.latency === null ? "" : `${sighting.latency.toFixed(0)} ms`,
        String(sighting.told ?? "")
      ]),
      { room, spare: ["told", "latency", "address", "height"] }
    )
  ]
}

/** How far a run is, in one line. */
export const progress = (
  { elapsedMillis, known, reached, underWay, visited, waiting, dials }: Progress,
  rate: number
): string => {
  const width = 20
  const done = known === 0 ? 0 : Math.round((width * visited) / known)
  const speed = elapsedMillis === 0 ? 0 : (dials * 1000) / elapsedMillis
  const left = Math.ceil(waiting / Math.max(0.1, Math.min(speed, rate)))
  return (
    `[${"#".repeat(done)}${".".repeat(width - done)}] ${visited} of ${known} hosts, ${reached} reached, ` +
    `${underWay} under way, ${speed.toFixed(0)} dials/s, about ${left} s left`
  )
}

const csvColumns = [
  "runId",
  "host",
  "group",
  "address",
  "at",
  "how",
  "isReached",
  "reason",
  "code",
  "version",
  "services",
  "userAgent",
  "height",
  "clockOffset",
  "latency",
  "told",
  "claims"
] as const satisfies ReadonlyArray<keyof Sighting>

/**
 * As RFC 4180 has it. A text that a spreadsheet would take for a formula gets a quote in front: agents are strangers' texts.
 */
const csvCell = (value: string | number | boolean | null): string => {
  if (typeof value !== "string") return value === null ? "" : String(value)
  const inert = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(inert) ? `"${inert.replaceAll('"', '""')}"` : inert
}

/** Titles, then a line for each host. */
export const csv = (sightings: ReadonlyArray<Sighting>): ReadonlyArray<string> => [
  csvColumns.join(","),
  ...sightings.map((sighting) => csvColumns.map((column) => csvCell(sighting[column])).join(","))
]
