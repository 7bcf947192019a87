/**
 * What we believe of addresses that others tell us, and what we tell others. Pure.
 *
 * @module
 */
import type { ChainParamsShape } from "../chain/ChainParams.ts"
import { type GossipedAddress, NODE_NETWORK } from "../wire/AddressCodec.ts"
import * as PeerAddress from "./PeerAddress.ts"

/**
 * Step to which times are rounded down before they are told, in seconds, so that nobody learns when exactly we heard from
 * a peer.
 *
 * Source: Zebra constants.rs, `TIMESTAMP_TRUNCATION_SECONDS`.
 */
const truncationSeconds = 1800

/**
 * Addresses one message may hold; a longer answer of ours would be refused by everybody.
 *
 * Source: ZIP 155; Zebra constants.rs, `MAX_ADDRS_IN_MESSAGE`.
 */
const maxAnswerAddresses = 1000

/**
 * Takes claimed times back until none is later than `limitSeconds`, all of one answer by the same span: an honest peer's
 * clock may be wrong, and a liar must not stay ahead of the newest-first order. Drops all when that would take a time below
 * zero. Order, number and everything else stay.
 *
 * Source: Zebra peer_set/candidate_set.rs, `validate_addrs`.
 */
export const validate = (
  addresses: ReadonlyArray<GossipedAddress>,
  limitSeconds: number
): ReadonlyArray<GossipedAddress> => {
  let newest = -Infinity
  let oldest = Infinity
  for (const { lastSeenSeconds } of addresses) {
    newest = Math.max(newest, lastSeenSeconds)
    oldest = Math.min(oldest, lastSeenSeconds)
  }
  const excess = newest - limitSeconds
  if (!(excess > 0)) return addresses
  if (oldest < excess) return []
  return addresses.map((gossiped) => ({ ...gossiped, lastSeenSeconds: gossiped.lastSeenSeconds - excess }))
}

/**
 * An entry as others may see it, or `undefined` when it is not to be told. What comes out has the type of what we decode
 * from others, so nothing internal can leak.
 */
export const sanitize = (entry: PeerAddress.PeerAddress, chain: ChainParamsShape): GossipedAddress | undefined => {
  const lastSeen = PeerAddress.lastSeenSeconds(entry)
  if (lastSeen === undefined || entry.isInbound || !PeerAddress.isValidForOutbound(entry, chain)) return undefined
  return {
    address: entry.address,
    services: (entry.services ?? NODE_NETWORK) & NODE_NETWORK,
    lastSeenSeconds: lastSeen - (lastSeen % truncationSeconds)
  }
}

/** How many of `available` addresses one answer tells: one in `share`, rounded up, within what a message may hold. */
export const answerSize = (available: number, share: number): number =>
  Math.min(maxAnswerAddresses, Math.ceil(available / share))
