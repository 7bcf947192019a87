/**
 * When hosts answered, or were dialled, for as long as it matters. What is kept are those of two spans at most, so that asking costs
 * the same whether a book holds hundreds of addresses or thousands, and nobody who is named once is remembered for ever.
 *
 * @module
 */

/** The latest time of each host, in monotonic milliseconds; what is older than `spanMillis` may be forgotten. */
export class RecentTimes {
  readonly #spanMillis: number
  #latest = new Map<string, number>()
  /** Of the span before. */
  #before = new Map<string, number>()
  /** When `#latest` began. */
  #sinceMillis = Number.NEGATIVE_INFINITY

  constructor(spanMillis: number) {
    this.#spanMillis = spanMillis
  }

  /** It was at `atMillis`, which may be a while ago. */
  note(host: string, atMillis: number, nowMillis: number): void {
    this.#advance(nowMillis)
    if (nowMillis - atMillis > this.#spanMillis) return
    const known = this.#at(host)
    if (known === undefined || known < atMillis) this.#latest.set(host, atMillis)
  }

  /** Whether it was within the span. */
  has(host: string, nowMillis: number): boolean {
    this.#advance(nowMillis)
    const atMillis = this.#at(host)
    return atMillis !== undefined && nowMillis - atMillis <= this.#spanMillis
  }

  /** Whether anything is kept of it. */
  knows(host: string): boolean {
    return this.#at(host) !== undefined
  }

  forget(host: string): void {
    this.#latest.delete(host)
    this.#before.delete(host)
  }

  #at(host: string): number | undefined {
    return this.#latest.get(host) ?? this.#before.get(host)
  }

  #advance(nowMillis: number): void {
    if (nowMillis - this.#sinceMillis <= this.#spanMillis) return
    this.#before = this.#latest
    this.#latest = new Map()
    this.#sinceMillis = nowMillis
  }
}
