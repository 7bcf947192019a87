/**
 * Which peer groups connected to us a short while ago.
 *
 * Pure but for its own state; time is an argument. Without it one host could cost us a handshake per second.
 *
 * **Security**
 *
 * There is no cap on the groups remembered, and no eviction that an attacker could use to have its own group forgotten:
 * the pace of the accept loop bounds them to about one per second of the window.
 *
 * Source: Zebra peer_set/initialize/recent_by_ip.rs.
 *
 * @module
 */

export class InboundThrottle {
  /** In the order of admission, so the oldest are at the front. */
  readonly #admitted: Array<{ readonly group: string; readonly atMillis: number }> = []
  readonly #counts = new Map<string, number>()
  readonly #windowMillis: number
  readonly #limit: number

  /** At most `limit` admissions of one group within `windowMillis`. */
  constructor(options: { readonly windowMillis: number; readonly limit: number }) {
    this.#windowMillis = options.windowMillis
    this.#limit = options.limit
  }

  /**
   * Whether `group` has used up its admissions at `nowMillis` (monotonic). When it has not, this one is recorded. An
   * admission whose age equals the window no longer counts; a refusal is never recorded.
   */
  isPastLimitOrAdd(group: string, nowMillis: number): boolean {
    this.#expire(nowMillis)
    const count = this.#counts.get(group) ?? 0
    if (count >= this.#limit) return true
    this.#counts.set(group, count + 1)
    this.#admitted.push({ group, atMillis: nowMillis })
    return false
  }

  /** Admissions remembered. */
  get size(): number {
    return this.#admitted.length
  }

  #expire(nowMillis: number): void {
    let expired = 0
    for (const { atMillis, group } of this.#admitted) {
      if (atMillis > nowMillis - this.#windowMillis) break
      expired++
      const count = (this.#counts.get(group) ?? 0) - 1
      if (count > 0) this.#counts.set(group, count)
      else this.#counts.delete(group)
    }
    this.#admitted.splice(0, expired)
  }
}
