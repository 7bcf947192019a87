/**
 * Processes the operator vouches for.
 *
 * @module
 */
import { Context, Layer } from "effect"
import { NetAddress } from "effect/net"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"

/** A set of IPs, each counted once however it is written. */
export interface TrustedIps {
  readonly size: number
  /** Whether the IP of this address is in it. Ports never count. */
  readonly has: (address: PeerSocketAddress) => boolean
}

const make = (ips: Iterable<NetAddress.IpAddress>): TrustedIps => {
  // Canonical, as every address of a peer is: the same host must not be a stranger by the other spelling of its IP.
  const texts = new Set(Array.from(ips, (ip) => NetAddress.formatIp(NetAddress.toCanonical(ip))))
  return { size: texts.size, has: ({ address }) => texts.has(NetAddress.formatIp(address)) }
}

/**
 * IPs of processes the operator trusts. Their inbound connections have reserved places (one inbound place always stays
 * public), may return at once, are not counted by the limit per peer group, get every block and transaction we gossip, and are
 * not disconnected for failing find requests. Bans and the minimum version apply to them too.
 *
 * **Security**
 *
 * List only IPs on which every process is trusted.
 */
export class TrustedPeers extends Context.Reference<TrustedIps>("network-effect/routing/TrustedPeers", {
  defaultValue: () => make([])
}) {
  /** The set of these, for `Layer.succeed` and for whoever looks at it without a layer. */
  static readonly make = make

  /** These; in whatever spelling, an IPv4 address and its IPv6-mapped form are the same one. */
  static readonly layer = (ips: Iterable<NetAddress.IpAddress>): Layer.Layer<never> =>
    Layer.sync(TrustedPeers, () => make(ips))
}
