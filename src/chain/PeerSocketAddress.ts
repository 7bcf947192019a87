/**
 * A peer's IP address and port, canonical by construction and redacted in logs.
 *
 * **Security**
 *
 * On a dual-stack socket an IPv4 peer appears as `::ffff:a.b.c.d`. A key made from one spelling and looked up with
 * the other has crashed and fooled other nodes, so the brand can only be had from `make`, which unmaps IPv4 and drops
 * IPv6 scopes.
 *
 * @module
 */
import { type Brand, Context, Effect, Result } from "effect"
import { NetAddress } from "effect/net"

/**
 * Equal and hashed by value. The only kind of address that transport, wire, book and peer set exchange.
 *
 * `Equal.equals` remembers what it was asked, in tables of both addresses: for those that a connection keeps, `isSame`.
 */
export type PeerSocketAddress = NetAddress.InetAddress & Brand.Brand<"network-effect/PeerSocketAddress">

/** Canonical: IPv4-mapped IPv6 becomes IPv4, other IPv6 loses its scope id. The port stays. */
export const make = (address: NetAddress.InetAddress): PeerSocketAddress => {
  const canonical = NetAddress.toCanonical(address)
  return (
    canonical._tag === "InetAddressV6" && canonical.scopeId !== 0
      ? NetAddress.inetAddressUnsafe(canonical.address, canonical.port)
      : canonical
  ) as PeerSocketAddress
}

/** From an IP and a port in 0..65535; throws on another port, which would be our bug. */
export const fromIp = (ip: NetAddress.IpAddress, port: number): PeerSocketAddress =>
  make(NetAddress.inetAddressUnsafe(ip, port))

/** From the four bytes of an IPv4 address in a buffer, and a port in 0..65535. For codecs: most addresses are of this kind. */
export const fromIpv4Bytes = (bytes: Uint8Array, at: number, port: number): PeerSocketAddress => {
  const value = ((bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!) >>> 0
  return new InetV4(new Ipv4(value), port)
}

/** From `ip:port` or `[ip6]:port`. */
export const fromString = (text: string): Result.Result<PeerSocketAddress, NetAddress.NetAddressError> =>
  Result.map(NetAddress.inetAddressFromString(text), make)

/** As users write it: `ip:port` or `[ip6]:port`; with a `defaultPort` also the IP alone, in brackets or not. */
export const fromText = (text: string, defaultPort?: number): PeerSocketAddress | undefined => {
  const whole = fromString(text)
  if (Result.isSuccess(whole)) return whole.success
  const ip = NetAddress.ipFromString(text.replace(/^\[(.*)\]$/, "$1"))
  return Result.isSuccess(ip) && defaultPort !== undefined ? fromIp(ip.success, defaultPort) : undefined
}

/** As `fromString`, for addresses written in our own source. */
export const fromStringUnsafe = (text: string): PeerSocketAddress => Result.getOrThrow(fromString(text))

/** `ip:port` or `[ip6]:port`, in full. For the wire, files and the operator's eyes; never for logs. */
export const format = (address: PeerSocketAddress): string =>
  address._tag === "InetAddressV4"
    ? `${NetAddress.formatIp(address.address)}:${address.port}`
    : `[${NetAddress.formatIp(address.address)}]:${address.port}`

/** Whether they are equal, looked at each time. */
export const isSame = (one: PeerSocketAddress, other: PeerSocketAddress): boolean =>
  one.port === other.port && NetAddress.formatIp(one.address) === NetAddress.formatIp(other.address)

/** `v4redacted:port` or `v6redacted:port`: what logs, spans and errors say. */
export const redacted = (address: PeerSocketAddress): string =>
  `${address._tag === "InetAddressV4" ? "v4" : "v6"}redacted:${address.port}`

/** Whether logs say addresses in full. Off unless the operator wants it. */
export const ShowAddresses = Context.Reference<boolean>("network-effect/chain/ShowAddresses", {
  defaultValue: () => false
})

/** Adds an address to the logs of an effect, redacted unless `ShowAddresses`. */
export const annotateLogs =
  (key: string, address: PeerSocketAddress | undefined) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.flatMap(ShowAddresses, (show) =>
      Effect.annotateLogs(effect, key, address === undefined ? "isolated" : show ? format(address) : redacted(address))
    )

/** Exactly 127.0.0.1 or ::1, not the rest of 127/8. */
export const isLocalhost = (address: PeerSocketAddress): boolean => {
  const ip = NetAddress.formatIp(address.address)
  return ip === "127.0.0.1" || ip === "::1"
}

/** 0.0.0.0 with port 0. */
export const unspecified: PeerSocketAddress = fromIp(NetAddress.ipv4Unspecified, 0)

// -- addresses at the pace of the wire -----------------------------------------------------------
//
// `NetAddress` checks and freezes what it makes, which costs more than all the rest of reading an address. These make the
// same values, of the same prototypes, out of parts that cannot be wrong.

const Ipv4 = function (this: { value: number }, value: number): void {
  this.value = value
} as unknown as new (value: number) => NetAddress.Ipv4Address
Ipv4.prototype = Object.getPrototypeOf(NetAddress.ipv4Unspecified)

const InetV4 = function (this: InetV4Fields, address: NetAddress.Ipv4Address, port: number): void {
  this.address = address
  this.port = port
} as unknown as new (address: NetAddress.Ipv4Address, port: number) => PeerSocketAddress
InetV4.prototype = Object.getPrototypeOf(unspecified)

interface InetV4Fields {
  address: NetAddress.Ipv4Address
  port: number
}
