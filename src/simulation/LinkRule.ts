/**
 * What goes wrong between two hosts.
 *
 * Pure. A rule says between whom and what; several rules on one link add up to its `Conditions`. Nothing here is more
 * than a user of TCP can see: refused, unanswered, late, slow, cut and split, but never reordered, changed or doubled.
 *
 * @module
 */
import { Duration } from "effect"
import { NetAddress } from "effect/net"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"

/** Hosts by their addresses; ports do not matter. Left out means everyone. */
export type Hosts = ReadonlyArray<PeerSocketAddress>

/** One direction: bytes on their way, and attempts to open a stream. */
export interface Direction {
  readonly from?: Hosts
  readonly to?: Hosts
}

/** Time on the way, one way. `sample` turns a uniform draw from [0, 1) into milliseconds. */
export interface Latency {
  readonly isConstant: boolean
  readonly sample: (draw: number) => number
}

/** What holds for one direction of a link, with no rule and then with each. */
export interface Conditions {
  /** What an attempt to open a stream meets. `Silent` is no answer at all. */
  readonly opening: "Answers" | "Refuses" | "Silent"
  /** Whether bytes of open streams pass. While they do not, they wait with the sender, as if sent again and again. */
  readonly passes: boolean
  readonly latencies: ReadonlyArray<Latency>
  readonly bytesPerSecond: number
  /** Share of packets that are lost on the way and sent again, in 0..1. */
  readonly lossRate: number
  /** Largest chunk that arrives at once, in bytes. */
  readonly segmentBytes: number
  /** Bytes after which a stream is reset, counted per stream and direction. */
  readonly cutAfterBytes: number
}

/** What may go wrong between hosts: the first rule that covers a link says how. */
export interface LinkRule {
  readonly applies: (from: string, to: string) => boolean
  readonly change: (conditions: Conditions) => Conditions
}

/** Largest chunk one read answers, in bytes: what Node reads from a socket at once. */
export const maxSegmentBytes = 65_536

/** A link without faults. */
export const perfect: Conditions = {
  opening: "Answers",
  passes: true,
  latencies: [],
  bytesPerSecond: Number.POSITIVE_INFINITY,
  lossRate: 0,
  segmentBytes: maxSegmentBytes,
  cutAfterBytes: Number.POSITIVE_INFINITY
}

/** Name of a host: its IP, whatever the port. */
export const hostOf = (address: PeerSocketAddress): string => NetAddress.formatIp(address.address)

const includes = (hosts: Hosts | undefined): ((host: string) => boolean) => {
  if (hosts === undefined) return () => true
  const names = new Set(hosts.map(hostOf))
  return (host) => names.has(host)
}

const rule = (direction: Direction, change: LinkRule["change"]): LinkRule => {
  const from = includes(direction.from)
  const to = includes(direction.to)
  return { applies: (a, b) => from(a) && to(b), change }
}

/** What `rules` make of one direction of a link. Their order does not matter. */
export const conditions = (rules: Iterable<LinkRule>, from: string, to: string): Conditions => {
  let result = perfect
  for (const each of rules) if (each.applies(from, to)) result = each.change(result)
  return result
}

/** Attempts to open a stream are refused, as where nobody listens. Open streams go on. */
export const refused = (direction: Direction): LinkRule =>
  rule(direction, (link) => ({ ...link, opening: link.opening === "Silent" ? "Silent" : "Refuses" }))

/** Nothing gets through and nothing says so: attempts hang, and bytes of open streams wait until the rule is gone. */
export const blackHole = (direction: Direction): LinkRule =>
  rule(direction, (link) => ({ ...link, opening: "Silent", passes: false }))

/** These hosts can dial out but nobody can dial them, as behind a router that translates addresses. */
export const behindNat = (hosts: Hosts): LinkRule => rule({ to: hosts }, (link) => ({ ...link, opening: "Silent" }))

/** Two groups that cannot reach each other; `others` left out means everyone not in `group`. Heals with its scope. */
export const partition = (group: Hosts, others?: Hosts): LinkRule => {
  const inGroup = includes(group)
  const inOthers = others === undefined ? (host: string) => !inGroup(host) : includes(others)
  return {
    applies: (from, to) => (inGroup(from) && inOthers(to)) || (inOthers(from) && inGroup(to)),
    change: (link) => ({ ...link, opening: "Silent", passes: false })
  }
}

/** Bytes and attempts take `by` longer, one way. Several delays add up. */
export const delay = (by: Duration.Input | Latency, direction: Direction = {}): LinkRule => {
  const latency = isLatency(by) ? by : constant(by)
  return rule(direction, (link) => ({ ...link, latencies: [...link.latencies, latency] }))
}

/** No more than this many bytes per second, over all streams of the direction. */
export const bandwidth = (bytesPerSecond: number, direction: Direction = {}): LinkRule =>
  rule(direction, (link) => ({ ...link, bytesPerSecond: Math.min(link.bytesPerSecond, bytesPerSecond) }))

/** Packets are lost with this chance, in 0..1. TCP sends them again: what is seen is that some bytes come late. */
export const loss = (rate: number, direction: Direction = {}): LinkRule =>
  rule(direction, (link) => ({ ...link, lossRate: 1 - (1 - link.lossRate) * (1 - rate) }))

/** Chunks arrive in pieces of at most this many bytes. 1 splits everywhere. */
export const split = (segmentBytes: number, direction: Direction = {}): LinkRule =>
  rule(direction, (link) => ({ ...link, segmentBytes: Math.max(1, Math.min(link.segmentBytes, segmentBytes)) }))

/** Each stream is reset after exactly this many bytes in this direction. */
export const cutAfter = (bytes: number, direction: Direction = {}): LinkRule =>
  rule(direction, (link) => ({ ...link, cutAfterBytes: Math.min(link.cutAfterBytes, bytes) }))

const isLatency = (by: Duration.Input | Latency): by is Latency =>
  typeof by === "object" && by !== null && "sample" in by

/** Always the same time. */
export const constant = (by: Duration.Input): Latency => {
  const millis = Duration.toMillis(Duration.fromInputUnsafe(by))
  return { isConstant: true, sample: () => millis }
}

/** Any time between the two, each as likely. */
export const uniform = (from: Duration.Input, to: Duration.Input): Latency => {
  const low = Duration.toMillis(Duration.fromInputUnsafe(from))
  const high = Duration.toMillis(Duration.fromInputUnsafe(to))
  return { isConstant: false, sample: (draw) => low + draw * (high - low) }
}

/** At least `least`, and beyond it exponential with the given mean: mostly quick, sometimes very late. */
export const longTail = (least: Duration.Input, meanBeyond: Duration.Input): Latency => {
  const low = Duration.toMillis(Duration.fromInputUnsafe(least))
  const mean = Duration.toMillis(Duration.fromInputUnsafe(meanBeyond))
  return { isConstant: false, sample: (draw) => low - mean * Math.log1p(-draw) }
}

/** Payload of one packet on an Ethernet, in bytes: what `lossRate` counts. */
const packetBytes = 1460

/** First time a sender waits before it sends a lost packet again, in milliseconds; each further time is twice as long. Source: Linux, TCP_RTO_MIN. */
const retransmitMillis = 200

/** How often a sender tries, at most. Source: Linux, tcp_retries2. */
const maxRetransmits = 15

/**
 * Milliseconds from handing `bytes` to the wire until they are there, without waiting for bandwidth. Draws only what the
 * conditions need, so that a rule for one link changes no choice on another.
 */
export const travelMillis = (link: Conditions, bytes: number, draw: () => number): number => {
  let millis = 0
  for (const latency of link.latencies) millis += latency.sample(latency.isConstant ? 0 : draw())
  if (link.lossRate > 0) {
    const anyLost = 1 - (1 - link.lossRate) ** Math.max(1, Math.ceil(bytes / packetBytes))
    let wait = retransmitMillis
    for (let tries = 0; tries < maxRetransmits && draw() < (tries === 0 ? anyLost : link.lossRate); tries++) {
      millis += wait
      wait *= 2
    }
  }
  return Math.max(0, millis)
}
