/** Who is who: Alice is us, Bob is the peer, Mallory lies. */
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"

/** The three networks that RFC 5737 keeps for documentation; limits that count per host count these as three. */
export const alice = PeerSocketAddress.fromStringUnsafe("192.0.2.1:8233")
export const bob = PeerSocketAddress.fromStringUnsafe("198.51.100.2:8233")
export const mallory = PeerSocketAddress.fromStringUnsafe("203.0.113.3:8233")

/** Any number of others, 256 of them each in a network of its own: `10.n.m.1` with port 8233. `index` is in 0..65535. */
export const peerAddress = (index: number): PeerSocketAddress.PeerSocketAddress =>
  PeerSocketAddress.fromStringUnsafe(`10.${index & 0xff}.${index >> 8}.1:8233`)

/** 127.0.0.`lastByte`, for real sockets. Port 0 asks for a free one. */
export const loopback = (lastByte = 1, port = 0): PeerSocketAddress.PeerSocketAddress =>
  PeerSocketAddress.fromStringUnsafe(`127.0.0.${lastByte}:${port}`)
