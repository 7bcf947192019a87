/**
 * Processes the operator vouches for.
 *
 * @module
 */
import { Context, Effect, Result } from "effect"
import { NetAddress } from "effect/net"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"

/**
 * IPs of processes the operator trusts, in any spelling. Their inbound connections have reserved places (one inbound place
 * always stays public), may return at once, are not counted by the limit per peer group, get every block and transaction
 * we gossip, and are not disconnected for failing find requests. Bans and the minimum version apply to them too.
 *
 * **Security**
 *
 * List only IPs on which every process is trusted.
 */
export const TrustedPeers = Context.Reference<ReadonlySet<string>>("network-effect/routing/TrustedPeers", {
  defaultValue: () => new Set()
})

/**
 * The IPs of `TrustedPeers` as `PeerSocketAddress` has them, which is how connections are compared with them:
 * `::ffff:192.0.2.1` is `192.0.2.1`. What is no IP matches nobody.
 */
export const trustedIps: Effect.Effect<ReadonlySet<string>> = Effect.map(
  TrustedPeers,
  (ips) => new Set(Array.from(ips, canonical))
)

const canonical = (text: string): string =>
  Result.match(NetAddress.ipFromString(text), {
    onFailure: () => text,
    onSuccess: (ip) => NetAddress.formatIp(PeerSocketAddress.fromIp(ip, 0).address)
  })
