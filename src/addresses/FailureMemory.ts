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

/** Of one address, in a ring by when something happened to each; at first it is the only one. */
class Note {
  readonly key: string
  remembered: Remembered
  earlier: Note = this
  later: Note = this

  constructor(key: string, remembered: Remembered) {
    this.key = key
    this.remembered = remembered
  }
}

/**
 * Of at most `capacity` addresses; of more, those are forgotten that nothing happened to for longest.
 *
 * They are in a ring, for a map that gives up its oldest key again and again looks through all that it gave up before to find
 * the next.
 */
export class FailureMemory {
  readonly #capacity: number
  readonly #byAddress = new Map<string, Note>()
  /** Of the latest; `later` of it is the oldest. */
  #latest: Note | undefined

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  get size(): number {
    return this.#byAddress.size
  }

  of(key: string): Remembered | undefined {
    return this.#byAddress.get(key)?.remembered
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
    const remembered = { latestMillis, failures }
    const known = this.#byAddress.get(key)
    if (known !== undefined) {
      known.remembered = remembered
      this.#leave(known)
      this.#join(known)
      return
    }
    const note = new Note(key, remembered)
    this.#byAddress.set(key, note)
    this.#join(note)
    const oldest = this.#latest?.later
    if (this.#byAddress.size <= this.#capacity || oldest === undefined) return
    this.#leave(oldest)
    this.#byAddress.delete(oldest.key)
  }

  /** As the latest. */
  #join(note: Note): void {
    note.earlier = this.#latest ?? note
    note.later = this.#latest?.later ?? note
    note.earlier.later = note
    note.later.earlier = note
    this.#latest = note
  }

  #leave(note: Note): void {
    const { earlier, later } = note
    earlier.later = later
    later.earlier = earlier
    if (this.#latest === note) this.#latest = earlier === note ? undefined : earlier
  }
}
