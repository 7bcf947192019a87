/** Who is who: Alice is us, Bob is the peer, Mallory lies. */
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"

/** The three networks that RFC 5737 keeps for documentation; limits that count per host count these as three. */
export const alice = PeerSocketAddress.fromStringUnsafe("192.0.2.1:8233")
export const bob = PeerSocketAddress.fromStringUnsafe("198.51.100.2:8233")
export const mallory = PeerSocketAddress.fromStringUnsafe("203.0.113.3:8233")

/** Any number of others, 256 of them each in a network of its own: `10.n.m.1` with port 8233. `index` is in 0..65535. */
export const peerAddress = (index: number): PeerSocketAddress.PeerSocketAddress =>
  PeerSocketAddress.fromStringUnsafe(`10.${index & 0xff}.${index >> 8}.1:8233`)

/**
 * A host of 127.0.0.0/8 that no other process of tests has, for a port that has to be a certain one. `network` is for hosts that
 * are to be in two parts of the internet.
 */
export const ownLoopback = (lastByte: number, network: 0 | 1 = 0): string =>
  `127.${128 + 2 * ((process.pid >> 8) % 60) + network}.${process.pid & 255}.${lastByte}`

/** 127.0.0.`lastByte`, for real sockets. Port 0 asks for a free one. */
export const loopback = (lastByte = 1, port = 0): PeerSocketAddress.PeerSocketAddress =>
  PeerSocketAddress.fromStringUnsafe(`127.0.0.${lastByte}:${port}`)
