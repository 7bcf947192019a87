/**
 * What addresses that others tell of cost them: a token each. A source has so many to begin with and gets more with time, so one
 * that tells without end is no more heard than others.
 *
 * @module
 */
import { dropOldest } from "../Bounded.ts"
import type { Policy } from "../Policy.ts"

interface Tokens {
  readonly left: number
  readonly atMillis: number
}

/** `Policy.sourceBurst` and `sourceRate`, of the `Policy.sourceCapacity` sources that told something last. */
export class SourceTokens {
  readonly #policy: Policy
  readonly #bySource = new Map<string, Tokens>()

  constructor(policy: Policy) {
    this.#policy = policy
  }

  /** Takes one, if there is one. `nowMillis` are monotonic. */
  take(source: string, nowMillis: number): boolean {
    const { sourceBurst, sourceCapacity, sourceRate } = this.#policy
    const had = this.#bySource.get(source) ?? { left: sourceBurst, atMillis: nowMillis }
    const left = Math.min(sourceBurst, had.left + ((nowMillis - had.atMillis) / 1000) * sourceRate)
    // Put behind all others: a map keeps the order in which keys came.
    this.#bySource.delete(source)
    this.#bySource.set(source, { left: left < 1 ? left : left - 1, atMillis: nowMillis })
    dropOldest(this.#bySource, sourceCapacity)
    return left >= 1
  }
}
