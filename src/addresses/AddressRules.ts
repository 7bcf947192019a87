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
 * The part of the internet an address is in: IPv4 /16 or IPv6 /32. Spreads connections, the cache file and requests over networks;
 * what counts as one host is `limitKey`. An IPv6 address that carries an IPv4 one is where that is: whoever rents an IPv4 network
 * has the 6to4 one of the same number for nothing, and would be in two parts.
 *
 * Source: Bitcoin Core netgroup.cpp, `GetGroup`.
 */
export const networkKey = (of: PeerSocketAddress): string => {
  if (of._tag === "InetAddressV4") return formatNetwork(NetAddress.ipv4ToOctets(of.address))
  const ipv4 = carriedIpv4(of.address)
  return ipv4 === undefined ? `${prefixOf(of.address, 2)}/32` : formatNetwork(ipv4)
}

type Octets = ReadonlyArray<number>

const formatNetwork = ([a, b]: Octets): string => `${a}.${b}`

/**
 * The four bytes of the IPv4 address that an IPv6 address carries; `undefined` when it carries none.
 *
 * Source: RFC 3056 (6to4), RFC 4380 (Teredo), RFC 6052 and RFC 7915 (translation); Bitcoin Core netaddress.cpp, `HasLinkedIPv4`.
 */
export const carriedIpv4 = (address: NetAddress.Ipv6Address): Octets | undefined => {
  const octets = NetAddress.ipv6ToOctets(address)
  if (octets[0] === 0x20 && octets[1] === 0x02) return octets.slice(2, 6)
  if (beginsWith(octets, teredo)) return octets.slice(12).map((byte) => byte ^ 0xff)
  return translations.some((prefix) => beginsWith(octets, prefix)) ? octets.slice(12) : undefined
}

const teredo = [0x20, 0x01, 0, 0]
const translations = [
  [0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0],
  [0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0]
]

const beginsWith = (octets: Octets, prefix: Octets): boolean => prefix.every((byte, index) => octets[index] === byte)

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
