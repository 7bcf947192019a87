/**
 * `addr` and `addrv2`: addresses of other nodes.
 *
 * Source: Zebra protocol/external/addr/{v1,v2}.rs; ZIP 155.
 *
 * @module
 */
import { NetAddress } from "effect/net"
import { maxMessageCompactSize, type Reader } from "../bytes/Reader.ts"
import type { Writer } from "../bytes/Writer.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { type GossipedAddress, gossipedBytes, NODE_NETWORK, readGossiped, writeGossiped } from "./AddressCodec.ts"

/** Answer to `getaddr`, or gossip. What `addr` and `addrv2` both decode to; a node only ever writes `addr`. */
export interface Addr {
  readonly _tag: "Addr"
  /** At most 1,000. Of an `addrv2` only IPv4 and IPv6 entries are kept, so it may be empty though the peer sent some. */
  readonly addresses: ReadonlyArray<GossipedAddress>
}

/**
 * Most entries of one `addr` or `addrv2`.
 *
 * Source: Zebra constants.rs, `MAX_ADDRS_IN_MESSAGE`; ZIP 155.
 */
const maxAddresses = 1000

/**
 * Longest address of an `addrv2` entry in bytes, whatever its network.
 *
 * Source: ZIP 155.
 */
const maxAddrV2AddressBytes = 512

const ipv4Network = 1
const ipv6Network = 2

export const readAddr = (reader: Reader): Addr => {
  const count = reader.compactSize(maxAddresses, "address count")
  const addresses = reader.arrayOf<GossipedAddress>(count, gossipedBytes)
  for (let i = 0; i < count && reader.failure === undefined; i++) addresses[i] = readGossiped(reader)
  return { _tag: "Addr", addresses }
}

export const writeAddr = (writer: Writer, { addresses }: Addr): void => {
  writer.count(addresses.length, maxAddresses, "address count")
  for (const gossiped of addresses) writeGossiped(writer, gossiped)
}

export const readAddrV2 = (reader: Reader): Addr => {
  const count = reader.compactSize(maxAddresses, "address count")
  const addresses: Array<GossipedAddress> = []
  for (let i = 0; i < count && reader.failure === undefined; i++) {
    const lastSeenSeconds = reader.u32("time")
    const services = reader.compactSize64("services") & NODE_NETWORK
    const network = reader.u8("network id")
    const length = reader.compactSize(maxMessageCompactSize, "address length")
    if (length > maxAddrV2AddressBytes) reader.refuse("address length above its limit")
    if ((network === ipv4Network && length !== 4) || (network === ipv6Network && length !== 16)) {
      reader.refuse("address length does not fit its network")
    }
    const ip = reader.view(length, "address")
    const port = reader.u16be("port")
    if (reader.failure !== undefined) break
    if (network === ipv4Network) {
      const address = PeerSocketAddress.fromIp(NetAddress.ipv4FromBytesUnsafe(ip), port)
      addresses.push({ address, services, lastSeenSeconds })
    } else if (network === ipv6Network) {
      const address = PeerSocketAddress.fromIp(NetAddress.ipv6FromBytesUnsafe(ip), port)
      addresses.push({ address, services, lastSeenSeconds })
    }
  }
  return { _tag: "Addr", addresses }
}

/** For tests and scripted peers: nodes never send `addrv2`. */
export const writeAddrV2 = (writer: Writer, { addresses }: Addr): void => {
  writer.count(addresses.length, maxAddresses, "address count")
  for (const { address, services, lastSeenSeconds } of addresses) {
    writer.u32(lastSeenSeconds)
    writer.compactSize64(services)
    const ip = address.address
    const octets = NetAddress.isIpv4Address(ip) ? NetAddress.ipv4ToOctets(ip) : NetAddress.ipv6ToOctets(ip)
    writer.u8(octets.length === 4 ? ipv4Network : ipv6Network)
    writer.compactSize(octets.length)
    writer.bytes(Uint8Array.from(octets))
    writer.u16be(address.port)
  }
}
