/**
 * Addresses as `version`, `addr` and `addrv2` write them.
 *
 * Every address that is read is canonical: IPv4-mapped IPv6 becomes IPv4. IPv4 is written as IPv4-mapped IPv6.
 *
 * Source: Zebra protocol/external/addr/{canonical,in_version,v1,v2}.rs; ZIP 155.
 *
 * @module
 */
import { NetAddress } from "effect/net"
import { type Reader, u32At } from "../bytes/Reader.ts"
import type { Writer } from "../bytes/Writer.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"

/** Service bit 0: the peer serves blocks. All other bits are dropped on receipt. */
export const NODE_NETWORK = 1n

/** An address somebody told us about, with what they claim of it. */
export interface GossipedAddress {
  readonly address: PeerSocketAddress.PeerSocketAddress
  /** Known bits only: 0n or `NODE_NETWORK`. */
  readonly services: bigint
  /** Seconds since the Unix epoch, 0 to 4 294 967 295, by the clock of whoever told us. */
  readonly lastSeenSeconds: number
}

/** An address inside `version`: no time. */
export interface VersionAddress {
  readonly address: PeerSocketAddress.PeerSocketAddress
  readonly services: bigint
}

/** 8 bytes of service bits, of which the known ones are kept. */
export const readServices = (reader: Reader): bigint => {
  const known = reader.u8("services") & 1
  reader.skip(7, "services")
  return known === 1 ? NODE_NETWORK : 0n
}

/** 16 bytes of IPv6 and a port. */
const readSocketAddress = (reader: Reader): PeerSocketAddress.PeerSocketAddress => {
  const at = reader.take(18, "address")
  return reader.failure === undefined ? socketAddressAt(reader.bytes, at) : PeerSocketAddress.unspecified
}

const socketAddressAt = (bytes: Buffer, at: number): PeerSocketAddress.PeerSocketAddress => {
  const port = (bytes[at + 16]! << 8) | bytes[at + 17]!
  return isMapped(bytes, at)
    ? PeerSocketAddress.fromIpv4Bytes(bytes, at + 12, port)
    : PeerSocketAddress.fromIp(NetAddress.ipv6FromBytesUnsafe(bytes.subarray(at, at + 16)), port)
}

/** Whether the 16 bytes from `at` are `::ffff:a.b.c.d`. */
const isMapped = (bytes: Buffer, at: number): boolean =>
  u32At(bytes, at) === 0 && u32At(bytes, at + 4) === 0 && u32At(bytes, at + 8) === 0xffff_0000

const writeSocketAddress = (writer: Writer, { address, port }: PeerSocketAddress.PeerSocketAddress): void => {
  if (NetAddress.isIpv4Address(address)) {
    writer.zeros(10)
    writer.u16be(0xffff)
    for (const octet of NetAddress.ipv4ToOctets(address)) writer.u8(octet)
  } else writer.bytes(Uint8Array.from(NetAddress.ipv6ToOctets(address)))
  writer.u16be(port)
}

/** 26 bytes: services, address, port. */
export const readVersionAddress = (reader: Reader): VersionAddress => {
  const services = readServices(reader)
  return { address: readSocketAddress(reader), services }
}

export const writeVersionAddress = (writer: Writer, { address, services }: VersionAddress): void => {
  writer.u64(services)
  writeSocketAddress(writer, address)
}

/** 30 bytes: time, services, address, port. */
export const readGossiped = (reader: Reader): GossipedAddress => {
  const at = reader.take(gossipedBytes, "address")
  if (reader.failure !== undefined) return nobody
  const { bytes } = reader
  const services = (bytes[at + 4]! & 1) === 1 ? NODE_NETWORK : 0n
  return { address: socketAddressAt(bytes, at + 12), services, lastSeenSeconds: u32At(bytes, at) }
}

/** Bytes of an entry of `addr`. */
export const gossipedBytes = 30

const nobody: GossipedAddress = { address: PeerSocketAddress.unspecified, services: 0n, lastSeenSeconds: 0 }

export const writeGossiped = (writer: Writer, gossiped: GossipedAddress): void => {
  writer.u32(gossiped.lastSeenSeconds)
  writer.u64(gossiped.services)
  writeSocketAddress(writer, gossiped.address)
}
