/**
 * When addresses were dialled last and how often in a row they failed, apart from the book: giving up an entry and hearing of it
 * again makes nobody forget it.
 *
 * @module
 */

/** What is remembered of one address. */
export interface Remembered {
  /** Monotonic milliseconds of the latest dial, failure or answer. */
  readonly latestMillis: number
  /** Failures since it last answered. */
  readonly failures: number
}

/** Of at most `capacity` addresses; of more, those are forgotten that nothing happened to for longest. */
export class FailureMemory {
  readonly #capacity: number
  readonly #byAddress = new Map<string, Remembered>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#byAddress.size
  }

  of(key: string): Remembered | undefined {
    return this.#byAddress.get(key)
  }

  attempted(key: string, nowMillis: number): void {
    this.#note(key, nowMillis, this.of(key)?.failures ?? 0)
  }

  failed(key: string, nowMillis: number): void {
    this.#note(key, nowMillis, (this.of(key)?.failures ?? 0) + 1)
  }

  answered(key: string, nowMillis: number): void {
    this.#note(key, nowMillis, 0)
  }

  /** What an earlier run knew: so many failures, of long ago. */
  restore(key: string, failures: number): void {
    if (failures > 0) this.#note(key, Number.NEGATIVE_INFINITY, failures)
  }

  #note(key: string, latestMillis: number, failures: number): void {
    // Put behind all others: a map keeps the order in which keys came.
    this.#byAddress.delete(key)
    this.#byAddress.set(key, { latestMillis, failures })
    if (this.#byAddress.size <= this.#capacity) return
    for (const oldest of this.#byAddress.keys()) {
      this.#byAddress.delete(oldest)
      break
    }
  }
}
