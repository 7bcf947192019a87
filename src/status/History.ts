/**
 * What a node was like over the last hour: a sample a second for five minutes, the mean of each minute for an hour, and the
 * pings of each peer. Pure, in memory, and of one size however long the node runs.
 *
 * @module
 */

/** Seconds that are kept one by one. */
export const secondsKept = 300

/** Minutes that are kept, as the mean of their seconds. */
export const minutesKept = 60

/** Pings kept of a peer: an hour of them, as one goes out every `Policy.pingInterval`, a minute. */
export const pingsKept = 60

const millisPerMinute = 60_000

/** A node at one moment. Rates are bytes a second since the sample before. */
export interface Sample {
  /** Milliseconds since the Unix epoch. */
  readonly at: number
  readonly received: number
  readonly sent: number
  readonly inbound: number
  readonly outbound: number
  /** Median of the peers' latest round trips, in milliseconds; `null` when no ping was answered yet. */
  readonly latency: number | null
  readonly responded: number
  readonly neverAttempted: number
  readonly attemptPending: number
  readonly failed: number
}

/** The middle one; of an even number the lower of both. `null` of none. */
export const median = (values: ReadonlyArray<number>): number | null =>
  values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) / 2)] ?? null

const mean = (values: ReadonlyArray<number>): number => values.reduce((sum, value) => sum + value, 0) / values.length

/** One sample for many: rates and latency are means, what is counted is as it was last. `at` is the last one's. */
export const summary = (samples: readonly [Sample, ...ReadonlyArray<Sample>]): Sample => {
  const last = samples.at(-1) ?? samples[0]
  const latencies = samples.flatMap(({ latency }) => (latency === null ? [] : [latency]))
  return {
    ...last,
    received: Math.round(mean(samples.map(({ received }) => received))),
    sent: Math.round(mean(samples.map(({ sent }) => sent))),
    latency: latencies.length === 0 ? null : mean(latencies)
  }
}

const keep = <A>(ring: Array<A>, value: A, limit: number): void => {
  ring.push(value)
  if (ring.length > limit) ring.shift()
}

/** The last hour of a node. */
export class History {
  readonly #seconds: Array<Sample> = []
  readonly #minutes: Array<Sample> = []
  /** Those of the minute that is not over. */
  #open: Array<Sample> = []

  /** Takes the next sample; the mean of a minute when that is over by it. A clock that was set back begins a minute too. */
  add(sample: Sample): Sample | undefined {
    const [first, ...rest] = this.#open
    const isNext =
      first !== undefined && Math.floor(first.at / millisPerMinute) !== Math.floor(sample.at / millisPerMinute)
    const minute = isNext ? summary([first, ...rest]) : undefined
    if (minute !== undefined) {
      keep(this.#minutes, minute, minutesKept)
      this.#open = []
    }
    keep(this.#open, sample, secondsKept)
    keep(this.#seconds, sample, secondsKept)
    return minute
  }

  /** Oldest first. */
  get seconds(): ReadonlyArray<Sample> {
    return this.#seconds
  }

  /** Oldest first; without the minute that is not over. */
  get minutes(): ReadonlyArray<Sample> {
    return this.#minutes
  }
}

/** One answered ping: when it was noticed, in milliseconds since the Unix epoch, and its round trip in milliseconds. */
export type PingPoint = readonly [at: number, millis: number]

/** The answered pings of the peers that are connected. */
export class PingHistory<RoundTrip extends object> {
  readonly #points = new Map<number, { last: RoundTrip; readonly points: Array<PingPoint> }>()

  /**
   * Notes the latest round trip of each peer. Each ping has an object of its own, which is how a second one of the same length
   * is told from the first one. Whoever is not among `peers` is forgotten.
   */
  note(
    at: number,
    peers: Iterable<{ readonly id: number; readonly roundTrip: RoundTrip | undefined }>,
    millisOf: (roundTrip: RoundTrip) => number
  ): void {
    const here = new Set<number>()
    for (const { id, roundTrip } of peers) {
      here.add(id)
      if (roundTrip === undefined) continue
      const known = this.#points.get(id)
      if (known?.last === roundTrip) continue
      const entry = known ?? { last: roundTrip, points: [] }
      entry.last = roundTrip
      keep(entry.points, [at, millisOf(roundTrip)], pingsKept)
      this.#points.set(id, entry)
    }
    for (const id of this.#points.keys()) if (!here.has(id)) this.#points.delete(id)
  }

  /** Oldest first; none of a peer that is not connected. */
  of(id: number): ReadonlyArray<PingPoint> {
    return this.#points.get(id)?.points ?? []
  }
}
