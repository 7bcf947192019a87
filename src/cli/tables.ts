/**
 * How what a node tells is shown in a terminal. Pure.
 *
 * What comes from a peer, its user agent above all, may hold what a terminal would obey: it is replaced.
 *
 * @module
 */
import { DateTime } from "effect"
import type { Addresses, AddressWhy, BanInfo, Health, PeerInfo, Totals } from "../status/StatusApi.ts"

/** Without what moves a cursor, changes a colour or turns a text round. */
export const harmless = (text: string): string => text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?")

/** Columns as wide as what is in them, two spaces apart; those whose title starts with a space to the right. */
export const columns = (
  titles: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>
): ReadonlyArray<string> => {
  const cells = [titles.map((title) => title.trim()), ...rows.map((row) => row.map(harmless))]
  const widths = titles.map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)))
  return cells.map((row) =>
    row
      .map((cell, column) =>
        titles[column]?.startsWith(" ") ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0)
      )
      .join("  ")
      .trimEnd()
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
export const peers = (peers: ReadonlyArray<PeerInfo>, nowSeconds: number): ReadonlyArray<string> =>
  peers.length === 0
    ? ["no peer is connected"]
    : columns(
        ["id", "address", "direction", " ping", " received", " sent", " age", "version", "agent"],
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
        ])
      )

/** The counts in one line. */
export const addressCounts = ({ counts }: Addresses): string =>
  `${counts.total} of at most ${counts.limit} addresses: ${counts.responded} responded, ${counts.neverAttempted} heard of, ` +
  `${counts.attemptPending} being dialled, ${counts.failed} failed`

/** The counts, and one line for each entry. */
export const addresses = (addresses: Addresses, nowSeconds: number): ReadonlyArray<string> => [
  addressCounts(addresses),
  ...(addresses.entries.length === 0
    ? []
    : columns(
        ["address", "state", " last response", "agent"],
        addresses.entries.map(({ address, inbound, lastResponse, state, userAgent }) => [
          address,
          inbound ? `${state} (inbound)` : state,
          lastResponse === null ? "-" : age(nowSeconds - lastResponse),
          userAgent ?? "-"
        ])
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
      `${why.entry.lastResponse === null ? "never answered" : `answered ${age(nowSeconds - why.entry.lastResponse)} ago`}, ` +
      `failed ${why.failures} times in a row`,
  why.against === null ? "may be dialled now" : `is not dialled now: ${reasons[why.against]}`
]

/** A ban in words. */
export const ban = ({ group, reason, until }: BanInfo): string =>
  `${group} is banned until ${DateTime.formatIso(DateTime.makeUnsafe(until * 1000))}: ${harmless(reason)}`

/** One line for each ban. */
export const bans = (bans: ReadonlyArray<BanInfo>): ReadonlyArray<string> =>
  bans.length === 0 ? ["nobody is banned"] : bans.map(ban)

/** What a node is doing, in three lines. */
export const overview = (
  health: Health,
  totals: Totals,
  rates: { readonly received: number; readonly sent: number } | undefined
): ReadonlyArray<string> => {
  const { peers, slots } = health
  const rate = (bytes: number | undefined) => (bytes === undefined ? "" : ` (${size(bytes)}/s)`)
  return [
    `network-effect  ${health.network}  ${health.listen ?? "only dials"}  ${harmless(health.userAgent)}`,
    `peers: ${peers.outbound} out of ${slots.outboundLimit}, ${peers.inbound} in of ${slots.inboundLimit}, ` +
      (peers.inbound + peers.outbound >= health.wanted ? "ready" : `not ready before ${health.wanted}`),
    `received ${size(totals.bytesReceived)}${rate(rates?.received)}, sent ${size(totals.bytesSent)}${rate(rates?.sent)}`
  ]
}
