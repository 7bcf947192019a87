/**
 * One made-up address for each address: of the same family and group, and nobody's to tell.
 *
 * IPv4 keeps its /16 and IPv6 its /32, so one still sees how a peer's addresses are spread. The rest of the IP is permuted
 * under a key that is drawn for each start and never written, so two addresses never share a pseudonym and one address
 * always has the same. The usual ports of Zcash stay; every other port, which may give a host away, becomes another one.
 *
 * **Security**
 *
 * A Feistel network of four rounds with AES-128 as its round function is a permutation nobody without the key tells from a
 * random one (Luby and Rackoff, 1988). A peer that sends many addresses of its choice, and later sees the record, learns
 * the pseudonyms of those: what it already knew.
 *
 * @module
 */
import { Buffer } from "node:buffer"
import { createCipheriv } from "node:crypto"
import { NetAddress } from "effect/net"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"

/** Bytes of a key. */
export const keyBytes = 16

/** P2P ports of Mainnet, Testnet and Regtest. Source: Zebra zebra-chain parameters/network.rs, `default_port`. */
const usualPorts: ReadonlySet<number> = new Set([8233, 18_233, 18_344])

/** Addresses whose pseudonyms are remembered: some of the largest `addr` messages. */
const rememberedAddresses = 8192

/** What stands for an address. */
export type Pseudonym = (address: PeerSocketAddress.PeerSocketAddress) => PeerSocketAddress.PeerSocketAddress

/** Every address for itself. */
export const none: Pseudonym = (address) => address

/** Under a key of `keyBytes` bytes. */
export const make = (key: Uint8Array): Pseudonym => {
  const cipher = createCipheriv("aes-128-ecb", key, null).setAutoPadding(false)
  const block = Buffer.alloc(16)

  /** A function of a half, the round, and what the address keeps, with 48 bits of result. */
  const round = (kind: number, number: number, kept: number, half: number): number => {
    block.writeUInt32LE(kind | (number << 8), 0)
    block.writeUInt32LE(kept, 4)
    block.writeUIntLE(half, 8, 6)
    return cipher.update(block).readUIntLE(0, 6)
  }

  /** Permutes a value of two halves of so many values each. */
  const permute = (kind: number, kept: number, left: number, right: number, size: number): [number, number] => {
    for (let number = 0; number < 4; number++) {
      const next = (left + (round(kind, number, kept, right) % size)) % size
      left = right
      right = next
    }
    return [left, right]
  }

  const portOf = (port: number): number => {
    if (usualPorts.has(port)) return port
    // One that stays is not to be had by another: on to the next, which is still a permutation.
    let permuted = port
    do {
      const [left, right] = permute(port4, 0, permuted >> 8, permuted & 0xff, 256)
      permuted = left * 256 + right
    } while (usualPorts.has(permuted))
    return permuted
  }

  const ipOf = (ip: NetAddress.IpAddress): NetAddress.IpAddress => {
    if (NetAddress.isIpv4Address(ip)) {
      const [a, b, c, d] = Buffer.from(NetAddress.ipv4ToOctets(ip))
      const [left, right] = permute(ip4, (a! << 8) | b!, c!, d!, 256)
      return NetAddress.ipv4FromBytesUnsafe(Uint8Array.of(a!, b!, left, right))
    }
    const bytes = Buffer.from(NetAddress.ipv6ToOctets(ip))
    const [left, right] = permute(ip6, bytes.readUInt32LE(0), bytes.readUIntLE(4, 6), bytes.readUIntLE(10, 6), 2 ** 48)
    bytes.writeUIntLE(left, 4, 6)
    bytes.writeUIntLE(right, 10, 6)
    return NetAddress.ipv6FromBytesUnsafe(bytes)
  }

  const remembered = new Map<string, PeerSocketAddress.PeerSocketAddress>()
  return (address) => {
    const text = PeerSocketAddress.format(address)
    const known = remembered.get(text)
    if (known !== undefined) return known
    const pseudonym = PeerSocketAddress.fromIp(ipOf(address.address), portOf(address.port))
    for (const oldest of remembered.keys()) {
      if (remembered.size < rememberedAddresses) break
      remembered.delete(oldest)
    }
    remembered.set(text, pseudonym)
    return pseudonym
  }
}

/** What is permuted: part of what the round function sees, so that one permutation says nothing about another. */
const [ip4, ip6, port4] = [4, 6, 1]
