/**
 * Which interface a link-local address is on. Only this machine knows, so it is no part of an address: nothing that is told to
 * others, limited, banned or kept has it. The operator names it once, and whoever opens a socket looks here.
 *
 * @module
 */
import { Context, Result } from "effect"
import { NetAddress } from "effect/net"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"

/** By IP, in the form of `NetAddress.formatIp`: the name or number of an interface. */
export const Zones = Context.Reference<ReadonlyMap<string, string>>("network-effect/transport/Zones", {
  defaultValue: () => new Map()
})

/** The IP for the system: `fe80::1%eth0` where it has a zone. */
export const hostOf = ({ address }: PeerSocketAddress, zones: ReadonlyMap<string, string>): string => {
  const ip = NetAddress.formatIp(address)
  const zone = zones.get(ip)
  return zone === undefined ? ip : `${ip}%${zone}`
}

/** A text without its zone, and what that says. */
export interface Zoned {
  readonly text: string
  readonly ip: string
  readonly zone: string
}

/**
 * Takes `[fe80::1%eth0]:18233` and `fe80::1%eth0` apart; `undefined` when there is no zone, or none of an IPv6.
 *
 * Source: RFC 4007, section 11.
 */
export const split = (text: string): Zoned | undefined => {
  const [, written = "", zone = "", port] = /^\[?([0-9a-f:.]+)%([^%[\]/:\s]{1,32})(?:\](:\d+)?)?$/i.exec(text) ?? []
  const ip = NetAddress.ipFromString(written)
  if (zone === "" || Result.isFailure(ip) || NetAddress.isIpv4Address(ip.success)) return undefined
  return { text: port === undefined ? written : `[${written}]${port}`, ip: NetAddress.formatIp(ip.success), zone }
}
