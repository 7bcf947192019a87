/**
 * Who told us of which address, so that it counts for that peer when somebody is there. Plain state.
 *
 * **Security**
 *
 * Bounded, oldest out first. The first who tells of an address is the one who told, so nobody takes the merit of others by
 * repeating what they said.
 *
 * @module
 */
import { dropOldest } from "../Bounded.ts"
import type { ConnectionId } from "../peer/Request.ts"

/** Addresses remembered: those of 27 answers, `Policy.addressesPerAnswer` each. */
export const maxTold = 1000

export class ToldAddresses {
  readonly #tellers = new Map<string, ConnectionId>()

  get size(): number {
    return this.#tellers.size
  }

  /** A peer told of an address, `ip:port`. */
  told(address: string, id: ConnectionId): void {
    if (this.#tellers.has(address)) return
    this.#tellers.set(address, id)
    dropOldest(this.#tellers, maxTold)
  }

  /** A peer was found there. Who told of it, once. */
  proved(address: string): ConnectionId | undefined {
    const teller = this.#tellers.get(address)
    this.#tellers.delete(address)
    return teller
  }
}
