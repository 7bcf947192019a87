/**
 * How many nodes are reachable, with an interval: capture and recapture over repeated runs. Pure.
 *
 * A run explores from its seeds as if no other had been before, and reaches `found` nodes. Then it dials those of earlier runs
 * that nobody told it of. Of the marked nodes, those that earlier runs had reached and that are still there, exploring had
 * found `again` and missed `missed`. If it found all others as easily as these, the number of reachable nodes is
 *
 *     N = found × (again + missed) / again
 *
 * which is Lincoln's and Petersen's estimator. Because the marked nodes are those that answer in this very run, what left
 * since does not look like what was missed, as it would if two lists were compared.
 *
 * The estimate is of the middle of the run, and a node was seen when it was dialled. Of those dialled before the middle some
 * have left by then: as many as the rate at which nodes of the run before have gone says. They are taken out of `found`.
 *
 * The interval is 95 %, from
 *
 * 1. Wilson's interval of the share that was found, again / (again + missed). Marked nodes the run had no time to dial may be
 *    there or gone, so the upper end takes them for missed and the lower one for gone;
 * 2. chance in coming and going between a dial and the middle, two Poisson counts of that rate;
 * 3. what cannot be seen of it. Nodes that came in place of those who left before the middle were heard of or not: the upper
 *    end adds them. Nodes dialled after the middle may have come after it: the lower end takes them out;
 * 4. who has only just come. Nodes keep an answer to `getaddr` for ten minutes, so what they tell is five minutes old in the
 *    mean, and a newcomer of these minutes is told of by nobody: the upper end adds as many as have gone in that time.
 *
 * **When it does not hold**
 *
 * - Nodes that nobody ever tells of, or that came so shortly ago that nobody does yet, were never marked either: the estimate
 *   is of the nodes one can hear of.
 * - Runs that begin with the same few nodes hear the same gossip, so a node that is hard to find for one is hard to find for
 *   the other: then the estimate is too low. Begin with several seeds.
 * - A run that was out of time while it explored found what is told first, and so had the run before it: too low again. The
 *   report says when that was so.
 * - Runs of one address lie less than two minutes apart: most nodes let an address in once in 119 seconds, so those of the
 *   run before look gone.
 * - A node that was full when it was dialled counts as unreachable, and one with two addresses in two groups as two.
 * - The network changes much faster or slower than between the last two runs.
 *
 * Source: Seber, The Estimation of Animal Abundance, 1982, chapter 3; Wilson, J. Am. Stat. Assoc. 22, 1927.
 *
 * @module
 */

/** What two or more runs have counted. */
export interface Counts {
  /** Nodes that the last run reached by exploring. */
  readonly found: number
  /** Of the marked nodes: reached by exploring again; reached only because an earlier run had; not dialled at all. */
  readonly again: number
  readonly missed: number
  readonly undialled: number
  /** Nodes that the run before had reached, and how many of them the last run dialled and did not reach. */
  readonly before: number
  readonly gone: number
  /** Seconds between the middles of both runs. */
  readonly secondsBetween: number
  /** Of each node in `found`, seconds from the middle of the run to its dial: negative for those dialled before. */
  readonly distances: ReadonlyArray<number>
}

/** Nodes reachable at the middle of the last run. */
export interface Estimate {
  readonly estimate: number
  readonly low: number
  readonly high: number
}

/** Of the normal distribution, for 95 %. */
const z = 1.959964

/** Wilson's interval of a share, in 0..1. */
export const wilson = (hits: number, trials: number): { readonly low: number; readonly high: number } => {
  if (trials === 0) return { low: 0, high: 1 }
  const share = hits / trials
  const weight = (z * z) / trials
  const middle = (share + weight / 2) / (1 + weight)
  const half = (z / (1 + weight)) * Math.sqrt((share * (1 - share)) / trials + weight / (4 * trials))
  return { low: Math.max(0, middle - half), high: Math.min(1, middle + half) }
}

/** Nodes that come or go per node and second. Half a node more than were seen, for a short time shows too little. */
export const churnRate = ({
  before,
  gone,
  secondsBetween
}: Pick<Counts, "before" | "gone" | "secondsBetween">): number =>
  secondsBetween <= 0 ? 0 : -Math.log(1 - (gone + 0.5) / (before + 1)) / secondsBetween

/**
 * Mean age in seconds of what a node tells.
 *
 * Source: half of zebrad components/inbound/cached_peer_addr_response.rs, `CACHED_ADDRS_REFRESH_INTERVAL`.
 */
const hearsay = 300

/** The share of all nodes that comes in that time, as many as go. */
const newcomers = ({ before, gone, secondsBetween }: Counts): number =>
  gone === 0 || secondsBetween <= 0 ? 0 : 1 - (1 - Math.min(gone, before - 0.5) / before) ** (hearsay / secondsBetween)

/** `undefined` when no marked node was found again, for then nothing is known. */
export const reachable = (counts: Counts): Estimate | undefined => {
  const { again, distances, missed, undialled } = counts
  if (again === 0) return undefined
  const rate = churnRate(counts)
  // Of one node, the chance that it has left, or had not come, at that distance.
  const changed = (distance: number) => 1 - Math.exp(-rate * Math.abs(distance))
  const sum = (of: ReadonlyArray<number>) => of.reduce((sum, distance) => sum + changed(distance), 0)
  const left = sum(distances.filter((distance) => distance < 0))
  const came = sum(distances.filter((distance) => distance > 0))

  const found = counts.found - left
  const estimate = (found * (again + missed)) / again
  const atLeast = Math.max(found + missed, found / wilson(again, again + missed).high)
  const atMost = found / wilson(again, again + missed + undialled).low
  const chance = z * Math.sqrt(2 * (left + came))
  return {
    estimate: Math.round(estimate),
    low: Math.max(0, Math.floor(estimate - came - Math.hypot(Math.max(0, estimate - atLeast), chance))),
    high: Math.ceil(estimate * (1 + newcomers(counts)) + left + Math.hypot(Math.max(0, atMost - estimate), chance))
  }
}
