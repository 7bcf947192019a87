/**
 * How attempts to connect end, counted under the names and labels of the reference.
 *
 * Whoever opens or accepts a stream counts the attempt and what happens before the handshake (`attempted`, `ended`); the
 * handshake counts its own outcome (`handshake`), unless it is interrupted from outside, for then only the caller knows
 * why. Isolated connections are not counted: they tell nothing of themselves here either.
 *
 * Source: Zebra connection_metrics.rs and peer/handshake.rs.
 *
 * @module
 */
import { Cause, Clock, Context, Effect, Exit, Metric, Option } from "effect"
import type { ChainParamsShape } from "../chain/ChainParams.ts"
import { knownVersions } from "../chain/ProtocolVersion.ts"
import * as Monotonic from "../Monotonic.ts"
import type { DialError } from "../transport/Transport.ts"
import type { Version } from "../wire/Message.ts"
import * as ConnectedAddress from "./ConnectedAddress.ts"
import type { HandshakeReason } from "./Handshake.ts"
import type { Serialization } from "./Peer.ts"

/** How far an attempt came, and how it ended there. */
export interface Outcome {
  readonly stage: "admission" | "tcp_connect" | "tcp_or_handshake" | "version" | "handshake"
  readonly outcome: string
}

const succeeded: Outcome = { stage: "handshake", outcome: "success" }
/** An inbound stream of a banned peer group. */
export const banned: Outcome = { stage: "admission", outcome: "banned" }
/** An inbound stream above a limit, or too soon after another of its peer group. */
export const refused: Outcome = { stage: "admission", outcome: "capacity_or_rate_limited" }
/** The time for dialling and handshake together was over; for an inbound stream there is only the handshake. */
export const timedOut = (direction: Direction): Outcome => ({
  stage: direction === "outbound" ? "tcp_or_handshake" : "handshake",
  outcome: "timeout"
})

export type Direction = "inbound" | "outbound"

/** What the error of an attempt counts as. */
export const outcomeOf = (error: DialError | HandshakeReason): Outcome => {
  switch (error._tag) {
    case "DialError":
      return { stage: "tcp_connect", outcome: ioLabel(error.code) }
    case "RemoteNonceReuse":
      return { stage: "version", outcome: "self_connection" }
    case "ObsoleteVersion":
      return { stage: "version", outcome: "obsolete_version" }
    case "MissingRequiredServices":
      return { stage: "version", outcome: "missing_required_services" }
    case "LocalDuplicateNonce":
      return { stage: "handshake", outcome: "local_nonce_collision" }
    case "ConnectionClosed":
      return { stage: "handshake", outcome: "connection_closed" }
    case "HandshakeTimeout":
      return { stage: "handshake", outcome: "timeout" }
    case "Serialization":
      return { stage: "handshake", outcome: serializationLabel(error) }
  }
}

const serializationLabel = ({ cause }: Serialization): string => {
  switch (cause._tag) {
    case "StreamClosed":
      return ioLabel(cause.code)
    case "Truncated":
    case "WireEof":
      return "unexpected_eof"
    default:
      return "protocol_parse_error"
  }
}

const ioLabels: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection_refused",
  ECONNRESET: "connection_reset",
  ECONNABORTED: "connection_aborted",
  ENOTCONN: "not_connected",
  EADDRINUSE: "address_in_use",
  EADDRNOTAVAIL: "address_not_available",
  EPIPE: "broken_pipe",
  ETIMEDOUT: "timeout",
  ENETUNREACH: "network_unreachable",
  EHOSTUNREACH: "host_unreachable"
}

const ioLabel = (code: string): string => ioLabels[code] ?? "io_error"

/** Which program a peer says it runs: a small set, whatever it says. */
export const implementationOf = (userAgent: string): "zakura" | "zebra" | "legacy_zcashd" | "other" =>
  userAgent.startsWith("/Zakura:")
    ? "zakura"
    : userAgent.startsWith("/Zebra:")
      ? "zebra"
      : userAgent.startsWith("/MagicBean:")
        ? "legacy_zcashd"
        : "other"

/** A version as a label: one that some upgrade demands, or `other`. */
const versionLabel = (version: number): string => (knownVersions.includes(version) ? String(version) : "other")

/** Services as a label: a peer may state any of their 64 bits. */
const servicesLabel = (services: bigint): string => (services === 0n ? "0" : "other")

/** Labels of a connection; `undefined` for an isolated one. */
const labelsOf = (chain: ChainParamsShape, connected: ConnectedAddress.ConnectedAddress) => {
  const address = ConnectedAddress.transientAddress(connected)
  if (address === undefined) return undefined
  return {
    network: chain.kind,
    direction: ConnectedAddress.isInbound(connected) ? "inbound" : "outbound",
    address_family: address._tag === "InetAddressV4" ? "ipv4" : "ipv6"
  }
}

/** Made once each, for the key of a series costs ten times what a count does; labels have few values, so there are few. */
const made = new Map<string, Metric.Counter<number>>()

const series = (id: string, attributes: Record<string, string>): Metric.Counter<number> => {
  // The names of the labels follow from that of the metric.
  let key = id
  for (const label in attributes) key += ` ${attributes[label]}`
  const known = made.get(key)
  if (known !== undefined) return known
  const counter = Metric.counter(id, { incremental: true, attributes })
  made.set(key, counter)
  return counter
}

/** An attempt begins: before dialling, or with an accepted stream, also one that will be refused. */
export const attempted = (
  chain: ChainParamsShape,
  connected: ConnectedAddress.ConnectedAddress
): Effect.Effect<void> => {
  const labels = labelsOf(chain, connected)
  return labels === undefined ? Effect.void : Metric.update(series("zcash.net.connection.attempts.total", labels), 1)
}

/** An attempt ended where the handshake does not see it. */
export const ended = (
  chain: ChainParamsShape,
  connected: ConnectedAddress.ConnectedAddress,
  outcome: Outcome
): Effect.Effect<void> => {
  const labels = labelsOf(chain, connected)
  return labels === undefined ? Effect.void : Metric.update(outcomes(labels, outcome), 1)
}

const outcomes = (labels: Record<string, string>, { outcome, stage }: Outcome) =>
  series("zcash.net.connection.outcomes.total", { ...labels, stage, outcome })

const failureReasons: Readonly<Record<HandshakeReason["_tag"], string>> = {
  RemoteNonceReuse: "nonce_reuse",
  LocalDuplicateNonce: "duplicate_nonce",
  ObsoleteVersion: "obsolete_version",
  MissingRequiredServices: "missing_required_services",
  HandshakeTimeout: "timeout",
  ConnectionClosed: "connection_closed",
  Serialization: "serialization"
}

/** Seconds; a handshake that takes longer has failed. */
const durationBoundaries = [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3]

const durationOf = (result: "success" | "failure") =>
  Metric.histogram("zcash.net.peer.handshake.duration_seconds", {
    description: "time from the open stream to verack, unless it was interrupted",
    boundaries: durationBoundaries,
    attributes: { result }
  })
const durations = { success: durationOf("success"), failure: durationOf("failure") }

const latestConnected = Metric.gauge("zcash.net.peers.version.connected", {
  description: "version of the peer accepted last"
})
const latestObsolete = Metric.gauge("zcash.net.peers.version.obsolete", {
  description: "version of the peer refused last for being too old"
})

/** What one handshake counts, at once. */
export interface HandshakeCount {
  /** The remote's `version` was decoded. From here on exactly one version outcome is counted. */
  readonly versionReceived: (theirs: Version) => void
  /** It passed the checks; before `verack` is exchanged, so also for handshakes that then fail. */
  readonly accepted: (version: number, negotiatedVersion: number, minimumVersion: number) => void
  /** The exchange is over, by itself or by interruption. */
  readonly exchanged: (exit: Exit.Exit<unknown, HandshakeReason>) => void
  /** The whole handshake is over, and not by interruption. */
  readonly decided: (exit: Exit.Exit<unknown, HandshakeReason>) => void
}

/** Of a handshake that begins now. `context` is where metrics are registered, and has the clock. */
export const handshake = (
  chain: ChainParamsShape,
  connected: ConnectedAddress.ConnectedAddress,
  context: Context.Context<never>
): HandshakeCount => {
  const clock = Context.get(context, Clock.Clock)
  const startedAtMillis = Monotonic.millisUnsafe(clock)
  const labels = labelsOf(chain, connected)
  let implementation: string | undefined

  const count = (id: string, attributes: Record<string, string>) => series(id, attributes).updateUnsafe(1, context)

  const versionOutcome = (outcome: string) => {
    if (labels !== undefined && implementation !== undefined)
      count("zcash.net.peer.version.outcomes.total", { ...labels, implementation, outcome })
  }

  return {
    versionReceived: (theirs) => {
      implementation = implementationOf(theirs.userAgent)
      if (labels !== undefined) count("zcash.net.peer.version.messages.total", { ...labels, implementation })
    },
    accepted: (version, negotiatedVersion, minimumVersion) => {
      count("zcash.net.peers.connected", {
        remote_version: versionLabel(version),
        negotiated_version: versionLabel(negotiatedVersion),
        min_version: versionLabel(minimumVersion)
      })
      latestConnected.updateUnsafe(version, context)
    },
    exchanged: (exit) => {
      const error = Exit.isSuccess(exit) ? Option.none() : Cause.findErrorOption(exit.cause)
      if (Exit.isFailure(exit) && Option.isNone(error)) return versionOutcome("canceled")
      const seconds = (Monotonic.millisUnsafe(clock) - startedAtMillis) / 1000
      durations[Option.isNone(error) ? "success" : "failure"].updateUnsafe(seconds, context)
      versionOutcome(Option.isNone(error) ? "success" : outcomeOf(error.value).outcome)
    },
    decided: (exit) => {
      const error = Exit.isSuccess(exit) ? Option.none() : Cause.findErrorOption(exit.cause)
      if (Exit.isFailure(exit) && Option.isNone(error)) return
      if (labels !== undefined)
        outcomes(labels, Option.isNone(error) ? succeeded : outcomeOf(error.value)).updateUnsafe(1, context)
      if (Option.isNone(error)) return
      count("zcash.net.peer.handshake.failures.total", { reason: failureReasons[error.value._tag] })
      if (error.value._tag === "ObsoleteVersion") {
        const { minimumVersion, version } = error.value
        count("zcash.net.peers.obsolete", {
          remote_version: versionLabel(version),
          min_version: versionLabel(minimumVersion)
        })
        latestObsolete.updateUnsafe(version, context)
      }
      if (error.value._tag === "MissingRequiredServices") {
        count("zcash.net.peers.missing_services", { remote_services: servicesLabel(error.value.services) })
      }
    }
  }
}
