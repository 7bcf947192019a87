/**
 * Which addresses may be dialled, which are preferred, and which count as one host. Pure.
 *
 * Source: Zebra zebra-network peer/priority.rs and protocol/external/addr/canonical.rs.
 *
 * @module
 */
import { NetAddress } from "effect/net"
import type { ChainParamsShape } from "../chain/ChainParams.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"

const mainnetPort = 8233
const testnetPort = 18233

/** Ports on which no peer of ours can be, whatever the chain. */
const foreignPorts: ReadonlyMap<number, string> = new Map([
  [18344, "18344 is zcashd's Regtest port, which nobody here speaks"],
  // These coins share the magic of Zcash, so a handshake would not tell them apart.
  [8033, "8033 is ZClassic's port"],
  [18033, "18033 is ZClassic's Testnet port"],
  [16125, "16125 is Flux's port"],
  [26125, "26125 is Flux's Testnet port"]
])

/**
 * Why a node of `chain` would not be dialled at this port, or `undefined` when it would. Our own listener is only warned
 * about it.
 *
 * Source: Zebra peer/priority.rs, `address_is_valid_for_inbound_listeners`.
 */
export const validForListening = (address: PeerSocketAddress, chain?: ChainParamsShape): string | undefined => {
  const { port } = address
  if (chain !== undefined) {
    if (port === chain.defaultPort) return undefined
    if (port === mainnetPort || port === testnetPort) {
      const owner = port === mainnetPort ? "Mainnet" : "Testnet and Regtest"
      return `${port} is the port of ${owner}, and this is ${chain.name}`
    }
    if (port === 8232) return "8232 is the RPC port of Mainnet"
    if (port === 18232) return "18232 is the RPC port of Testnet"
  }
  return foreignPorts.get(port)
}

/**
 * Why this address can't be dialled on `chain`, or `undefined` when it can. Private, loopback and multicast addresses
 * pass: a private network is made of them. Without a chain only what is wrong on every chain is refused.
 *
 * Source: Zebra peer/priority.rs, `address_is_valid_for_outbound_connections`.
 */
export const validForOutbound = (address: PeerSocketAddress, chain?: ChainParamsShape): string | undefined => {
  if (NetAddress.isUnspecified(address.address)) return "the IP is unspecified"
  if (address.port === 0) return "the port is 0"
  return validForListening(address, chain)
}

/**
 * Whether the port is the one most nodes of `chain` listen on. Without a chain, of any chain. Meaningful for valid
 * addresses only.
 */
export const isPreferred = ({ port }: PeerSocketAddress, chain?: ChainParamsShape): boolean =>
  chain === undefined ? port === mainnetPort || port === testnetPort : port === chain.defaultPort

/**
 * The peer group of an address: what counts as one host for every limit and for bans. `192.0.2.10` for an IPv4 address,
 * `2001:db8::/64` for an IPv6 one; the port never counts. A further IPv4 address costs money, a /64 is what one machine
 * gets.
 *
 * **Security**
 *
 * The only such function. A check that groups in another way is a hole: whoever owns a /64 returns from its next address.
 *
 * Source: Zebra protocol/external/addr/canonical.rs, `connection_limit_key`.
 */
export const limitKey = (of: PeerSocketAddress): string =>
  of._tag === "InetAddressV4" ? formatOctets(NetAddress.ipv4ToOctets(of.address)) : `${prefixOf(of.address, 4)}/64`

/** As `NetAddress.formatIp`, at the pace at which limits are looked at. */
const formatOctets = ([a, b, c, d]: ReturnType<typeof NetAddress.ipv4ToOctets>): string => `${a}.${b}.${c}.${d}`

/**
 * The part of the internet an address is in: IPv4 /16 or IPv6 /32. Spreads the cache file over networks; limits nobody.
 */
export const networkKey = (of: PeerSocketAddress): string => {
  if (of._tag === "InetAddressV6") return `${prefixOf(of.address, 2)}/32`
  const [a, b] = NetAddress.ipv4ToOctets(of.address)
  return `${a}.${b}`
}

/** The address with all but the first 16-bit segments set to zero. */
const prefixOf = (address: NetAddress.Ipv6Address, segments: number): string => {
  const kept = NetAddress.ipv6ToOctets(address).slice(0, segments * 2)
  const bytes = new Uint8Array(16)
  bytes.set(kept)
  return NetAddress.formatIp(NetAddress.ipv6FromBytesUnsafe(bytes))
}

/**
 * Text that orders addresses: IPv4 before IPv6, then by bytes, then by port. Equal only for equal addresses. Not to be read: 16
 * bits are one character, for a book holds thousands of them.
 */
export const sortKey = (of: PeerSocketAddress): string => {
  if (of._tag === "InetAddressV6") return String.fromCharCode(6, ...NetAddress.ipv6ToSegments(of.address), of.port)
  const [a, b, c, d] = NetAddress.ipv4ToOctets(of.address)
  return String.fromCharCode(4, (a << 8) | b, (c << 8) | d, of.port)
}
