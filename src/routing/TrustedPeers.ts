/**
 * Processes the operator vouches for.
 *
 * @module
 */
import { Context } from "effect"

/**
 * IPs of processes the operator trusts, canonical. Their inbound connections have reserved places (one inbound place
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
