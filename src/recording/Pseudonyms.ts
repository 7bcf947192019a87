/**
 * One made-up address for each address: of the same family and group, and nobody's to tell.
 *
 * IPv4 keeps its /16 and IPv6 its /32, so one still sees how a peer's addresses are spread. The rest of the IP is permuted
 * under a key that is drawn for each start and never written, so two addresses never share a pseudonym and one address
 * always has the same. The usual ports of Zcash stay; every other port, which may give a host away, becomes another one.
 *
 * **Security**
 *
 * A Feistel network of four rounds is a permutation that nobody without the keys tells from a random one, if the function
 * of its rounds is a good one (Luby and Rackoff, 1988). That is HalfSipHash-2-4 (Aumasson and Bernstein) with a key of 64
 * bits for each round: a peer may send thousands of addresses in a message, which must cost no more than reading them. A
 * peer that sends addresses of its choice, and later sees the record, learns the pseudonyms of those: what it already knew.
 *
 * @module
 */
import { Buffer } from "node:buffer"
import { NetAddress } from "effect/net"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"

/** Bytes of a key: 8 for each round. */
export const keyBytes = 32

/** P2P ports of Mainnet, Testnet and Regtest. Source: Zebra zebra-chain parameters/network.rs, `default_port`. */
const usualPorts: ReadonlySet<number> = new Set([8233, 18_233, 18_344])

/** What stands for an address. */
export type Pseudonym = (address: PeerSocketAddress.PeerSocketAddress) => PeerSocketAddress.PeerSocketAddress

/** Every address for itself. */
export const none: Pseudonym = (address) => address

/** Under a key of `keyBytes` bytes. */
export const make = (key: Uint8Array): Pseudonym => {
  const words = new DataView(key.buffer, key.byteOffset, keyBytes)

  /** A function of a half and of what the address keeps, below `size`. */
  const round = (kind: number, number: number, kept: number, half: number, size: number): number => {
    const [low, high] = [half >>> 0, Math.floor(half / 2 ** 32)]
    const [key0, key1] = [words.getUint32(number * 8, true), words.getUint32(number * 8 + 4, true)]
    const result = halfSipHash(key0, key1, kind, kept, low, high)
    if (size <= 2 ** 32) return result % size
    return (halfSipHash(key0, key1, kind | 0x100, kept, low, high) % (size / 2 ** 32)) * 2 ** 32 + result
  }

  /** Permutes a value of two halves of so many values each. */
  const permute = (kind: number, kept: number, left: number, right: number, size: number): [number, number] => {
    for (let number = 0; number < 4; number++) {
      const next = (left + round(kind, number, kept, right, size)) % size
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

  return (address) => PeerSocketAddress.fromIp(ipOf(address.address), portOf(address.port))
}

/** HalfSipHash-2-4 of four words. Source: https://github.com/veorq/SipHash, halfsiphash.c. */
const halfSipHash = (key0: number, key1: number, ...message: readonly [number, number, number, number]): number => {
  let [v0, v1, v2, v3] = [key0 | 0, key1 | 0, 0x6c796765 ^ key0, 0x74656462 ^ key1]
  const mix = (rounds: number) => {
    for (let i = 0; i < rounds; i++) {
      v0 = (v0 + v1) | 0
      v1 = rotated(v1, 5) ^ v0
      v0 = rotated(v0, 16)
      v2 = (v2 + v3) | 0
      v3 = rotated(v3, 8) ^ v2
      v0 = (v0 + v3) | 0
      v3 = rotated(v3, 7) ^ v0
      v2 = (v2 + v1) | 0
      v1 = rotated(v1, 13) ^ v2
      v2 = rotated(v2, 16)
    }
  }
  for (const word of message) {
    v3 ^= word
    mix(2)
    v0 ^= word
  }
  // The last word is the length in its highest byte.
  v3 ^= 16 << 24
  mix(2)
  v0 ^= 16 << 24
  v2 ^= 0xff
  mix(4)
  return (v1 ^ v3) >>> 0
}

const rotated = (word: number, by: number): number => (word << by) | (word >>> (32 - by))

/** What is permuted: part of what the round function sees, so that one permutation says nothing about another. */
const [ip4, ip6, port4] = [4, 6, 1]
