/**
 * What a census finds out, one fact at a time. Pure data.
 *
 * @module
 */
import { Data } from "effect"
import { NetAddress } from "effect/net"
import * as AddressRules from "../addresses/AddressRules.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"

/**
 * How a host came to be dialled. `Explored`: somebody told of it in this run, or it was in the list the run began with.
 * `Rechecked`: nobody told of it in this run; an earlier run had reached it.
 */
export type How = "Explored" | "Rechecked"

/**
 * Why a host counts as unreachable.
 *
 * - `Refused`: nobody listens on that port.
 * - `NoConnection`: nothing answered in time, or the network said that there is no way; `code` says which.
 * - `NoVersion`: there is a connection, and nobody said `version` in time.
 * - `Closed`: the other side ended the connection before its `version`: it is full, or does not want us.
 * - `OtherProtocol`: what came is not Zcash's protocol, or is of another chain.
 * - `Echo`: our own `version` came back.
 */
export type UnreachableReason = "Refused" | "NoConnection" | "NoVersion" | "Closed" | "OtherProtocol" | "Echo"

/** One fact. Times are milliseconds since the Unix epoch, by our clock. */
export type Finding = Data.TaggedEnum<{
  /** A node said `version`. */
  Reached: {
    readonly address: PeerSocketAddress.PeerSocketAddress
    readonly atMillis: number
    readonly how: How
    /** Newest protocol version it speaks, whatever ours is. */
    readonly protocolVersion: number
    readonly services: bigint
    /** As it was sent: whoever shows it makes it harmless. */
    readonly userAgent: string
    /** `null` when it said 0, or a number that is no height: then nothing is known. */
    readonly height: number | null
    /** Its clock less ours, in seconds. Most nodes round theirs down to 300 s. */
    readonly clockOffsetSeconds: number
    /** From `ping` to `pong`; `null` when there was no pong. */
    readonly latencyMillis: number | null
    /** Addresses it told, those that cannot be dialled included; `null` when it was not asked, or did not answer. */
    readonly told: number | null
    /** The other host that it says is its own address; `null` when it names none, or the one it was dialled at. */
    readonly claims: string | null
  }
  /** Nobody said `version` there. */
  Unreachable: {
    readonly address: PeerSocketAddress.PeerSocketAddress
    readonly atMillis: number
    readonly how: How
    readonly reason: UnreachableReason
    /** As the platform names what happened: `ECONNREFUSED`, …; empty when it has no name. */
    readonly code: string
  }
  /** A node told of these addresses, each of which may be dialled. At most `CensusPolicy.addressesPerVisit`. */
  Told: {
    readonly teller: PeerSocketAddress.PeerSocketAddress
    readonly atMillis: number
    readonly addresses: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>
  }
  /** A node came to us and said `version`. Its port is not where it listens. */
  Came: {
    readonly address: PeerSocketAddress.PeerSocketAddress
    readonly atMillis: number
    readonly protocolVersion: number
    readonly services: bigint
    readonly userAgent: string
    readonly height: number | null
  }
  /** How far the run is: every second, and once at its end. */
  Progress: Progress
}>

/** How far a run is. */
export interface Progress {
  readonly atMillis: number
  readonly elapsedMillis: number
  /** Hosts heard of, dialled or not. */
  readonly known: number
  /** Hosts dialled to their end. */
  readonly visited: number
  readonly reached: number
  /** Dials begun; more than hosts when hosts have several ports. */
  readonly dials: number
  readonly underWay: number
  /** Hosts still to be dialled. */
  readonly waiting: number
  /** Hosts not dialled because everybody who told of them was wrong too often. */
  readonly doubtful: number
  /** `null` while it runs. */
  readonly end: End | null
}

/** Why a run ended. `Exhausted`: nothing new was found. `OutOfTime`: there was more. */
export type End = "Exhausted" | "OutOfTime"

/** One fact of a census. */
export const Finding = Data.taggedEnum<Finding>()

/** The numbers a finding is about in a form that JSON has. */
export const toJson = (finding: Finding): Record<string, unknown> => {
  switch (finding._tag) {
    case "Came":
    case "Reached":
      return {
        ...finding,
        address: PeerSocketAddress.format(finding.address),
        services: Number(finding.services)
      }
    case "Unreachable":
      return { ...finding, address: PeerSocketAddress.format(finding.address) }
    case "Told":
      return {
        ...finding,
        teller: PeerSocketAddress.format(finding.teller),
        addresses: finding.addresses.map(PeerSocketAddress.format)
      }
    case "Progress":
      return { ...finding }
  }
}

/** 127/8 or ::1. */
export const isLoopback = ({ address }: PeerSocketAddress.PeerSocketAddress): boolean =>
  NetAddress.isIpv4Address(address)
    ? NetAddress.ipv4ToOctets(address)[0] === 127
    : NetAddress.formatIp(address) === "::1"

/**
 * What counts as one host: an IPv4 address or an IPv6 /64, whatever the port. On loopback each port is a host, for all of them
 * are this machine's. When two hosts are one node is said in `Report.aliases`.
 */
export const hostOf = (address: PeerSocketAddress.PeerSocketAddress): string =>
  isLoopback(address) ? PeerSocketAddress.format(address) : AddressRules.limitKey(address)

/** The part of the internet a host is in, which has one vote and one pace: IPv4 /16 or IPv6 /32. */
export const groupOf = (address: PeerSocketAddress.PeerSocketAddress): string => AddressRules.networkKey(address)
