/**
 * How what a node tells is shown in a terminal. Pure.
 *
 * What comes from a peer, its user agent above all, is made harmless (`Text.ts`).
 *
 * @module
 */
import { DateTime } from "effect"
import type { Addresses, AddressWhy, BanInfo, Health, PeerInfo, Totals } from "../status/StatusApi.ts"
import { fit, harmless, padEnd, padStart, width } from "./Text.ts"

/** How a table is laid out. */
export interface Layout {
  /** Columns of the terminal; without it the table is as wide as what is in it. */
  readonly room?: number | undefined
  /** Titles of columns that are left out where there is no room for all, the first of them first. */
  readonly spare?: ReadonlyArray<string>
}

/**
 * Columns as wide as what is in them, two spaces apart; those whose title starts with a space to the right. What still does not
 * fit when the spare ones are gone is cut at the end of its line.
 */
export const columns = (
  titles: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  { room = Infinity, spare = [] }: Layout = {}
): ReadonlyArray<string> => {
  const cells = [titles.map((title) => title.trim()), ...rows.map((row) => row.map(harmless))]
  const widths = titles.map((_, column) => Math.max(...cells.map((row) => width(row[column] ?? ""))))
  let shown = titles.map((_, column) => column)
  const needed = () => shown.reduce((sum, column) => sum + (widths[column] ?? 0), 2 * (shown.length - 1))
  for (const title of spare) {
    if (needed() <= room) break
    shown = shown.filter((column) => titles[column]?.trim() !== title)
  }
  return cells.map((row) =>
    fit(
      shown
        .map((column) => {
          const pad = titles[column]?.startsWith(" ") === true ? padStart : padEnd
          return pad(row[column] ?? "", widths[column] ?? 0)
        })
        .join("  ")
        .trimEnd(),
      room
    )
  )
}

/** `1.2 KB`, as storage is counted: by thousands. */
export const size = (bytes: number): string => {
  for (const unit of ["B", "KB", "MB", "GB"]) {
    if (bytes < 1000) return `${unit === "B" || bytes >= 10 ? Math.round(bytes) : bytes.toFixed(1)} ${unit}`
    bytes /= 1000
  }
  return `${bytes.toFixed(1)} TB`
}

/** The largest unit that says something: `12 s`, `5 min`, `3 h`, `2 d`. */
export const age = (seconds: number): string => {
  if (seconds < 60) return `${Math.max(0, Math.round(seconds))} s`
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`
  return seconds < 86_400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} d`
}

const milliseconds = (seconds: number | null): string =>
  seconds === null ? "-" : `${(seconds * 1000).toFixed(seconds < 0.01 ? 1 : 0)} ms`

/** One line for each peer. */
export const peers = (peers: ReadonlyArray<PeerInfo>, nowSeconds: number, room?: number): ReadonlyArray<string> =>
  peers.length === 0
    ? ["no peer is connected"]
    : columns(
        ["id", "address", "way", " ping", " received", " sent", " age", "version", "agent"],
        peers.map((peer) => [
          String(peer.id),
          peer.addr ?? "-",
          peer.inbound ? "in" : "out",
          milliseconds(peer.pingtime),
          size(peer.bytesrecv),
          size(peer.bytessent),
          age(nowSeconds - peer.conntime),
          String(peer.version),
          peer.subver
        ]),
        { room, spare: ["received", "sent", "age", "version"] }
      )

/** The counts in one line, and the tables and anchors in another one where there are some. */
export const addressCounts = ({ anchors, counts, tables }: Addresses): ReadonlyArray<string> => [
  `addresses: ${counts.total} of ${counts.limit}, ${counts.responded} responded, ${counts.neverAttempted} heard of, ` +
    `${counts.attemptPending} under way, ${counts.failed} failed`,
  ...(tables.groups === 0
    ? []
    : [
        `tables: ${tables.new} heard of, ${tables.tried} met, in ${tables.groups} parts of the internet; ` +
          (anchors.length === 0 ? "no anchor" : `anchors ${harmless(anchors.join(", "))}`)
      ])
]

/** The counts, and one line for each entry. */
export const addresses = (addresses: Addresses, nowSeconds: number, room?: number): ReadonlyArray<string> => [
  ...addressCounts(addresses),
  ...(addresses.entries.length === 0
    ? []
    : columns(
        ["address", "state", " last response", "group", "table", "agent"],
        addresses.entries.map(({ address, anchor, group, inbound, lastResponse, state, table, userAgent }) => [
          address,
          inbound ? `${state} (inbound)` : state,
          lastResponse === null ? "-" : age(nowSeconds - lastResponse),
          group,
          `${table ?? "-"}${anchor ? ", anchor" : ""}`,
          userAgent ?? "-"
        ]),
        { room, spare: ["group", "table"] }
      ))
]

const reasons: Record<NonNullable<AddressWhy["against"]>, string> = {
  unknown: "it is not in the book",
  banned: "its host is banned",
  "not-dialable": "somebody connected from there, it serves no blocks, or it is no address of this chain",
  "recently-updated": "it answered, failed or was dialled within the last 119 s",
  unreachable: "it failed, and nobody saw it for three days",
  "host-connected": "its host answered within the last 119 s",
  "group-full": "its part of the internet has all the connections it may have",
  resting: "it failed so often that others come first for a while",
  "places-kept": "the places left are kept for those met a day ago"
}

/** What is known of an address, and whether it would be dialled now. */
export const why = (why: AddressWhy, nowSeconds: number): ReadonlyArray<string> => [
  `${why.address} in ${why.group}: ${
    why.table === null ? "in no table" : `${why.table === "new" ? "heard of" : "met"}, bucket ${why.bucket}`
  }${why.anchor ? ", an anchor" : ""}`,
  why.entry === null
    ? "not in the book"
    : `${why.entry.state}${why.entry.inbound ? " (inbound)" : ""}, ` +
      `${why.entry.lastResponse === null ? "never answered" : `answered ${age(nowSeconds - why.entry.lastResponse)} ago`}` +
      (why.failures === 0 ? "" : `, failed ${why.failures === 1 ? "once" : `${why.failures} times in a row`}`),
  why.against === null ? "may be dialled now" : `is not dialled now: ${reasons[why.against]}`
]

/** A ban in words. */
export const ban = ({ group, reason, until }: BanInfo): string =>
  `${harmless(group)} is banned until ${DateTime.formatIso(DateTime.makeUnsafe(until * 1000))}: ${harmless(reason)}`

/** One line for each ban. */
export const bans = (bans: ReadonlyArray<BanInfo>): ReadonlyArray<string> =>
  bans.length === 0 ? ["nobody is banned"] : bans.map(ban)

/** What a node is doing, in three lines. */
export const overview = (health: Health, totals: Totals): ReadonlyArray<string> => {
  const { peers, slots } = health
  return [
    harmless(`network-effect  ${health.network}  ${health.listen ?? "only dials"}  ${health.userAgent}`),
    `peers: ${peers.outbound} out of ${slots.outboundLimit}, ${peers.inbound} in of ${slots.inboundLimit}, ` +
      (peers.inbound + peers.outbound >= health.wanted ? "ready" : `not ready before ${health.wanted}`),
    `received ${size(totals.bytesReceived)}, sent ${size(totals.bytesSent)}`
  ]
}

const bars = "▁▂▃▄▅▆▇█"

/** The latest of these values as a row of bars, the highest of them as high as a line; oldest first. */
export const sparkline = (values: ReadonlyArray<number>, columns: number): string => {
  const shown = values.slice(-columns)
  const highest = Math.max(...shown, 0)
  return shown
    .map((value) => {
      const level = highest > 0 ? Math.ceil((Math.max(0, value) / highest) * (bars.length - 1)) : 0
      return bars.charAt(level)
    })
    .join("")
    .padStart(columns)
}
