/**
 * How many lines may be printed that others set off. Pure but for its own state; time is an argument.
 *
 * **Security**
 *
 * What peers do at will is told up to a rate, and beyond it counted: one peer that sends inventory as fast as it can would
 * otherwise fill the disk of whoever keeps what a node prints.
 *
 * @module
 */

/** What may be printed. */
export interface Limits {
  /** Lines in each second; one begins with its first line, as an hour and a minute do. */
  readonly linesPerSecond: number
  /** Bytes in each hour. */
  readonly bytesPerHour: number
  /** Lines of a kind in each minute; without it as many as the others let through. */
  readonly linesPerKindAndMinute?: number | undefined
}

/** Kinds counted apart at most: events have some twenty. The others are counted together. */
const maxKinds = 64

const rest = "other"

export class LineBudget {
  readonly #limits: Limits
  #second = { startMillis: Number.NEGATIVE_INFINITY, lines: 0 }
  #hour = { startMillis: Number.NEGATIVE_INFINITY, bytes: 0 }
  #minute = { startMillis: Number.NEGATIVE_INFINITY, lines: new Map<string, number>() }
  #omitted = new Map<string, number>()

  constructor(limits: Limits) {
    this.#limits = limits
  }

  /** Whether a line of so many bytes may be printed at `nowMillis` (monotonic). One that may not is counted by its kind. */
  take(kind: string, bytes: number, nowMillis: number): boolean {
    if (nowMillis - this.#second.startMillis >= 1000) this.#second = { startMillis: nowMillis, lines: 0 }
    if (nowMillis - this.#hour.startMillis >= 3_600_000) this.#hour = { startMillis: nowMillis, bytes: 0 }
    if (nowMillis - this.#minute.startMillis >= 60_000) this.#minute = { startMillis: nowMillis, lines: new Map() }
    const ofKind = this.#minute.lines.get(kind) ?? 0
    const isWithin =
      ofKind < (this.#limits.linesPerKindAndMinute ?? Infinity) &&
      this.#second.lines < this.#limits.linesPerSecond &&
      this.#hour.bytes + bytes <= this.#limits.bytesPerHour
    if (isWithin) {
      if (this.#minute.lines.has(kind) || this.#minute.lines.size < maxKinds) this.#minute.lines.set(kind, ofKind + 1)
      this.#second.lines++
      this.#hour.bytes += bytes
    } else this.omit(kind)
    return isWithin
  }

  /** Counts lines that were not printed for another reason. */
  omit(kind: string, lines = 1): void {
    const key = this.#omitted.has(kind) || this.#omitted.size < maxKinds ? kind : rest
    this.#omitted.set(key, (this.#omitted.get(key) ?? 0) + lines)
  }

  /** What was not printed since the last time this was asked, by kind. */
  takeOmitted(): ReadonlyMap<string, number> {
    const omitted = this.#omitted
    if (omitted.size > 0) this.#omitted = new Map()
    return omitted
  }
}
