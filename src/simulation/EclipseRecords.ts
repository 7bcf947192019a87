/**
 * The figures of seeds that were played (`Eclipse.ts`), one line of JSON each, so that a study of hours can be ended at any time
 * and goes on where it was.
 *
 * A line says what was played and how it went, not with which source: whoever changes a rule begins a new file.
 *
 * @module
 */
import { Result, Schema } from "effect"
import { type Figures, quantile } from "./Eclipse.ts"

const Played = Schema.Struct({
  /** Of `Eclipse.scripts`. */
  script: Schema.String,
  book: Schema.Literals(["reference", "hardened"]),
  world: Schema.Literals(["distinct", "crowded"]),
  groups: Schema.Int,
  /** Rules that were off, separated by commas. */
  without: Schema.String,
  /** As the script has it when absent. */
  hours: Schema.optional(Schema.Finite),
  seed: Schema.Int
})

/** What was played: a world, an attack, the rules that were in force, and the seed. */
export type Played = typeof Played.Type

const count = Schema.Int
const share = Schema.Finite
const never = Schema.optional(Schema.Finite)

const Line = Schema.Struct({
  ...Played.fields,
  figures: Schema.Struct({
    attacker: count,
    honest: count,
    share,
    shareOfBook: share,
    shareOfCache: share,
    honestOfBook: share,
    secondsTo8: never,
    secondsTo75: never,
    hoursToHalf: never,
    hoursTo90: never,
    dials: count,
    wasted: share,
    /** JSON has no infinity. */
    leastRedialSeconds: Schema.NullOr(Schema.Finite),
    honestAfterRestart: Schema.optional(Schema.Int),
    secondsToMixed: never
  })
})

const decode = Schema.decodeUnknownResult(Schema.fromJsonString(Line))

/** Equal for what is played alike. */
export const keyOf = ({ book, groups, hours, script, seed, without, world }: Played): string =>
  JSON.stringify([script, book, world, groups, without, hours, seed])

/** Without the end of the line. */
export const format = (played: Played, figures: Figures): string => JSON.stringify({ ...played, figures })

/** By `keyOf`, and how many lines say nothing: the last one of a study that was killed is not whole. */
export const parse = (
  text: string
): { readonly figures: ReadonlyMap<string, Figures>; readonly unreadable: number } => {
  const figures = new Map<string, Figures>()
  let unreadable = 0
  for (const line of text.split("\n")) {
    if (line === "") continue
    const read = decode(line)
    if (Result.isFailure(read)) {
      unreadable++
      continue
    }
    const { figures: said, ...played } = read.success
    const { hoursTo90, hoursToHalf, honestAfterRestart, leastRedialSeconds, secondsTo75, secondsTo8, secondsToMixed } =
      said
    figures.set(keyOf(played), {
      ...said,
      leastRedialSeconds: leastRedialSeconds ?? Number.POSITIVE_INFINITY,
      hoursTo90,
      hoursToHalf,
      honestAfterRestart,
      secondsTo75,
      secondsTo8,
      secondsToMixed
    })
  }
  return { figures, unreadable }
}

/** Median, and the values that 5 % and 95 % are below. `values` are those that there are, of so many worlds. */
export interface Spread {
  readonly median: number
  readonly low: number
  readonly high: number
  readonly values: number
  readonly worlds: number
}

/** `undefined` where no world has such a value. */
export const spreadOf = (
  worlds: ReadonlyArray<Figures>,
  what: (figures: Figures) => number | undefined
): Spread | undefined => {
  const values = worlds.map(what).filter((value): value is number => value !== undefined && Number.isFinite(value))
  if (values.length === 0) return undefined
  return {
    median: quantile(values, 0.5),
    low: quantile(values, 0.05),
    high: quantile(values, 0.95),
    values: values.length,
    worlds: worlds.length
  }
}
