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
import type { Reader } from "../bytes/Reader.ts"
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
  const at = reader.take(16, "address")
  const port = reader.u16be("port")
  if (reader.failure !== undefined) return PeerSocketAddress.unspecified
  const { bytes } = reader
  return isMapped(bytes, at)
    ? PeerSocketAddress.fromIpv4Bytes(bytes, at + 12, port)
    : PeerSocketAddress.fromIp(NetAddress.ipv6FromBytesUnsafe(bytes.subarray(at, at + 16)), port)
}

/** Whether the 16 bytes from `at` are `::ffff:a.b.c.d`. */
const isMapped = (bytes: Buffer, at: number): boolean =>
  bytes.readUInt32LE(at) === 0 && bytes.readUInt32LE(at + 4) === 0 && bytes.readUInt32BE(at + 8) === 0xffff

const writeSocketAddress = (writer: Writer, { address, port }: PeerSocketAddress.PeerSocketAddress): void => {
  const ip = NetAddress.isIpv4Address(address) ? NetAddress.toIpv4Mapped(address) : address
  writer.bytes(Uint8Array.from(NetAddress.ipv6ToOctets(ip)))
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
  const lastSeenSeconds = reader.u32("time")
  const services = readServices(reader)
  return { address: readSocketAddress(reader), services, lastSeenSeconds }
}

export const writeGossiped = (writer: Writer, gossiped: GossipedAddress): void => {
  writer.u32(gossiped.lastSeenSeconds)
  writer.u64(gossiped.services)
  writeSocketAddress(writer, gossiped.address)
}
