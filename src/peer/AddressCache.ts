/**
 * Addresses a peer told us that nobody asked for yet.
 *
 * Nodes answer `getaddr` rarely and often volunteer addresses soon after connecting. A connection keeps those until the
 * crawler asks; until then nothing a peer says about addresses leaves its own connection.
 *
 * Pure.
 *
 * Source: Zebra peer/connection.rs, `update_addr_cache`.
 *
 * @module
 */
import type { GossipedAddress } from "../wire/AddressCodec.ts"

export type AddressCache = ReadonlyArray<GossipedAddress>

/** Adds what came unasked. Above `capacity` the newest are dropped: a peer cannot flush what it said before. */
export const add = (cache: AddressCache, fresh: AddressCache, capacity: number): AddressCache =>
  cache.length >= capacity ? cache : cache.concat(fresh.slice(0, capacity - cache.length))

/**
 * Adds `fresh` and takes out `count` at random, or all if there are fewer. Which ones is chance, so that a peer does not
 * decide by its order what we learn. `random` draws from [0, 1).
 */
export const take = (
  cache: AddressCache,
  fresh: AddressCache,
  count: number,
  capacity: number,
  random: () => number
): { readonly taken: AddressCache; readonly cache: AddressCache } => {
  const all = [...cache, ...fresh]
  const size = Math.min(count, all.length)
  for (let i = 0; i < size; i++) {
    const j = i + Math.floor(random() * (all.length - i))
    const chosen = all[j]!
    all[j] = all[i]!
    all[i] = chosen
  }
  return { taken: all.slice(0, size), cache: all.slice(size, size + capacity) }
}
