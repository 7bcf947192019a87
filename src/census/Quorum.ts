/**
 * Whether one node is where the others are. Pure.
 *
 * Each group of addresses (IPv4 /16, IPv6 /32) is one voice, the median of its hosts, so whoever has many hosts in one network
 * says one thing. A voice is a height that somebody stated some time ago. Chains grow: a voice above the node's height was
 * above it then and is more so now, while one below it may have caught up since, as far as a chain can grow in that time.
 *
 * A verdict needs more than half of all groups, and the groups heard are a sample of them: the lower end of Wilson's interval
 * of the share that agrees has to be above one half. Five groups that all agree are enough, four of five are not.
 *
 * **When it does not hold**
 *
 * Whoever owns addresses in most groups that answer says what the tip is. Heights are stated, not proved.
 *
 * @module
 */
import { wilson } from "./Estimate.ts"

/** A height somebody stated in its `version`. */
export interface Voice {
  readonly group: string
  readonly height: number
  /** Seconds since then. */
  readonly age: number
}

/**
 * `WithQuorum`: where more than half of the groups are. `Behind`: more than half are further. `AheadAlone`: more than half are
 * not there, and could not be. `Unknown`: too few say anything, or they do not agree, or the node does not.
 */
export type Verdict = "WithQuorum" | "Behind" | "AheadAlone" | "Unknown"

export interface Judgement {
  readonly verdict: Verdict
  /** Height of the node; `null` when it does not answer or does not say. */
  readonly node: number | null
  /** Half of the groups are at this height or a higher one; `null` when nobody says. */
  readonly tip: number | null
  /** Groups heard, and how many of them support the verdict. */
  readonly groups: number
  readonly agreeing: number
  /** The least share of all groups that agrees, with 95 %; above one half unless `Unknown`. */
  readonly sure: number
}

/** Blocks that nodes differ by for no other reason than that the newest is still on its way. */
const slack = 3

/** How much faster than its target a chain may grow for some minutes. */
const burst = 4

/** `spacing`: seconds between two blocks, as the chain aims at. */
export const judge = (node: number | null, voices: ReadonlyArray<Voice>, spacing: number): Judgement => {
  const groups = [...Map.groupBy(voices, ({ group }) => group).values()].map(medianVoice)
  const heights = groups.map(({ height }) => height).toSorted((a, b) => a - b)
  const tip = heights[Math.floor(heights.length / 2)] ?? null
  const stateOf = ({ age, height }: Voice): Verdict => {
    if (node === null) return "Unknown"
    if (height > node + slack) return "Behind"
    return height + slack + (burst * age) / spacing < node ? "AheadAlone" : "WithQuorum"
  }
  const counted = new Map<Verdict, number>()
  for (const group of groups) counted.set(stateOf(group), (counted.get(stateOf(group)) ?? 0) + 1)
  let [verdict, agreeing]: readonly [Verdict, number] = ["Unknown", 0]
  for (const [state, count] of counted)
    if (state !== "Unknown" && count > agreeing) [verdict, agreeing] = [state, count]
  const sure = groups.length === 0 ? 0 : wilson(agreeing, groups.length).low
  return { verdict: sure > 0.5 ? verdict : "Unknown", node, tip, groups: groups.length, agreeing, sure }
}

const medianVoice = (voices: ReadonlyArray<Voice>): Voice => {
  const sorted = voices.toSorted((a, b) => a.height - b.height)
  return sorted[Math.floor(sorted.length / 2)]!
}
