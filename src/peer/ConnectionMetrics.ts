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
import { Cause, Effect, Exit, Metric, Option } from "effect"
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

const count = (id: string, attributes: Record<string, string>): Effect.Effect<void> =>
  Metric.update(Metric.counter(id, { incremental: true, attributes }), 1)

/** An attempt begins: before dialling, or with an accepted stream, also one that will be refused. */
export const attempted = (
  chain: ChainParamsShape,
  connected: ConnectedAddress.ConnectedAddress
): Effect.Effect<void> => {
  const labels = labelsOf(chain, connected)
  return labels === undefined ? Effect.void : count("zcash.net.connection.attempts.total", labels)
}

/** An attempt ended where the handshake does not see it. */
export const ended = (
  chain: ChainParamsShape,
  connected: ConnectedAddress.ConnectedAddress,
  outcome: Outcome
): Effect.Effect<void> => {
  const labels = labelsOf(chain, connected)
  return labels === undefined
    ? Effect.void
    : count("zcash.net.connection.outcomes.total", { ...labels, stage: outcome.stage, outcome: outcome.outcome })
}

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

const latestConnected = Metric.gauge("zcash.net.peers.version.connected", {
  description: "version of the peer accepted last"
})
const latestObsolete = Metric.gauge("zcash.net.peers.version.obsolete", {
  description: "version of the peer refused last for being too old"
})

/** What one handshake counts. */
export interface HandshakeCount {
  /** The remote's `version` was decoded. From here on exactly one version outcome is counted. */
  readonly versionReceived: (theirs: Version) => Effect.Effect<void>
  /** It passed the checks; before `verack` is exchanged, so also for handshakes that then fail. */
  readonly accepted: (version: number, negotiatedVersion: number, minimumVersion: number) => Effect.Effect<void>
  /** The exchange is over, by itself or by interruption. */
  readonly exchanged: (exit: Exit.Exit<unknown, HandshakeReason>) => Effect.Effect<void>
  /** The whole handshake is over, and not by interruption. */
  readonly decided: (exit: Exit.Exit<unknown, HandshakeReason>) => Effect.Effect<void>
}

export const handshake = (
  chain: ChainParamsShape,
  connected: ConnectedAddress.ConnectedAddress
): Effect.Effect<HandshakeCount> =>
  Effect.map(Monotonic.millis, (startedAtMillis) => {
    const labels = labelsOf(chain, connected)
    let implementation: string | undefined

    const versionOutcome = (outcome: string) =>
      labels === undefined || implementation === undefined
        ? Effect.void
        : count("zcash.net.peer.version.outcomes.total", { ...labels, implementation, outcome })

    return {
      versionReceived: (theirs) => {
        implementation = implementationOf(theirs.userAgent)
        return labels === undefined
          ? Effect.void
          : count("zcash.net.peer.version.messages.total", { ...labels, implementation })
      },
      accepted: (version, negotiatedVersion, minimumVersion) =>
        Effect.andThen(
          count("zcash.net.peers.connected", {
            remote_version: versionLabel(version),
            negotiated_version: versionLabel(negotiatedVersion),
            min_version: versionLabel(minimumVersion)
          }),
          Metric.update(latestConnected, version)
        ),
      exchanged: Effect.fnUntraced(function* (exit: Exit.Exit<unknown, HandshakeReason>) {
        const error = Exit.isSuccess(exit) ? Option.none() : Cause.findErrorOption(exit.cause)
        if (Exit.isFailure(exit) && Option.isNone(error)) return yield* versionOutcome("canceled")
        const seconds = ((yield* Monotonic.millis) - startedAtMillis) / 1000
        yield* Metric.update(durationOf(Option.isNone(error) ? "success" : "failure"), seconds)
        yield* versionOutcome(Option.isNone(error) ? "success" : outcomeOf(error.value).outcome)
      }),
      decided: Effect.fnUntraced(function* (exit: Exit.Exit<unknown, HandshakeReason>) {
        if (Exit.isSuccess(exit)) return yield* ended(chain, connected, succeeded)
        const error = Cause.findErrorOption(exit.cause)
        if (Option.isNone(error)) return
        yield* ended(chain, connected, outcomeOf(error.value))
        yield* count("zcash.net.peer.handshake.failures.total", { reason: failureReasons[error.value._tag] })
        if (error.value._tag === "ObsoleteVersion") {
          const { minimumVersion, version } = error.value
          yield* count("zcash.net.peers.obsolete", {
            remote_version: versionLabel(version),
            min_version: versionLabel(minimumVersion)
          })
          yield* Metric.update(latestObsolete, version)
        }
        if (error.value._tag === "MissingRequiredServices") {
          yield* count("zcash.net.peers.missing_services", { remote_services: servicesLabel(error.value.services) })
        }
      })
    }
  })
