/**
 * `network-effect census watch`: is a node where the others are?
 *
 * @module
 */
import { Console, Data, DateTime, Duration, Effect, Option, Runtime, Stream } from "effect"
import { Command, Flag } from "effect/cli"
import type { Verdict } from "../census/Quorum.ts"
import { type Look, looks } from "../census/Watch.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { CensusSource, durationFlag, sourceFlags } from "./census.ts"

/** Flags of `census watch`. */
export const watchFlags = {
  ...sourceFlags,
  node: Flag.String("node").pipe(
    Flag.withDescription("The node that is watched: ip:port of its peer-to-peer port"),
    Flag.withMetavar("ADDR"),
    Flag.filterMap(
      (text) => Option.fromUndefinedOr(PeerSocketAddress.fromText(text)),
      () => "ip:port or [ip6]:port"
    )
  ),
  for: durationFlag("for").pipe(
    Flag.withDescription("How long to try for a verdict; with --follow how long to watch"),
    Flag.withDefault(Duration.minutes(5))
  ),
  follow: Flag.Boolean("follow").pipe(
    Flag.withDescription("Go on after the first verdict, and say so when it changes"),
    Flag.withDefault(false)
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("JSON on stdout"), Flag.withDefault(false))
}

/** The exit code of each verdict; 1 is for whatever could not be done at all. */
export const exitCodes: Readonly<Record<Verdict, number>> = { WithQuorum: 0, Behind: 2, AheadAlone: 3, Unknown: 4 }

const sources: Readonly<Record<Look["source"], string>> = {
  version: "version messages",
  adverts: "blocks advertised since",
  both: "version messages and blocks advertised since"
}

/** What a look found, in one line. */
export const sentenceOf = (look: Look): string => {
  const { agreeing, groups, node, sinceMillis, source, sure, tip, verdict } = look
  const words: Record<Verdict, string> = {
    WithQuorum: `the node is with the quorum, at ${node}`,
    Behind: `the node is behind: at ${node}, while half of the groups are at ${tip} or above`,
    AheadAlone: `the node is ahead alone: at ${node}, while half of the groups are at ${tip} or below`,
    Unknown:
      node === null
        ? "unknown: the node does not answer, or does not state its height"
        : `unknown: the node is at ${node}, and too few groups agree on anything`
  }
  const since = DateTime.formatIso(DateTime.makeUnsafe(sinceMillis))
  return (
    `${words[verdict]}; ${agreeing} of ${groups} groups say so, at least ${Math.round(sure * 100)} % of all with 95 %; ` +
    `since ${since}, by heights of ${sources[source]}`
  )
}

/** The verdict was printed, and is no good one: only the exit code is left to say. */
export class NotWithQuorum extends Data.TaggedError("NotWithQuorum")<{ readonly verdict: Verdict }> {
  override readonly [Runtime.errorReported] = false
  override readonly [Runtime.errorExitCode] = exitCodes[this.verdict]
}

const lastOf = (look: Look | undefined): Verdict => look?.verdict ?? "Unknown"

export const watch = Command.make(
  "watch",
  watchFlags,
  Effect.fnUntraced(function* (flags) {
    const { from, userAgent } = yield* CensusSource
    const addresses = yield* from
    let last: Look | undefined
    let isOver = false
    yield* looks({ node: flags.node, from: addresses, userAgent }).pipe(
      Stream.tap((look) => {
        const isNew = last?.verdict !== look.verdict
        last = look
        isOver = !flags.follow && look.verdict !== "Unknown"
        return isNew || flags.json ? Console.log(flags.json ? JSON.stringify(look) : sentenceOf(look)) : Effect.void
      }),
      Stream.takeUntil(() => isOver),
      Stream.runDrain,
      Effect.timeoutOption(flags.for)
    )
    const verdict = lastOf(last)
    if (verdict !== "WithQuorum") return yield* new NotWithQuorum({ verdict })
  })
).pipe(
  Command.withDescription(
    "Say whether a node is behind, ahead alone, or with the quorum.\n" +
      "Exit code 0: with the quorum. 2: behind. 3: ahead alone. 4: unknown. 1: it could not be found out at all."
  ),
  Command.withExamples([
    { command: "network-effect census watch --node 192.0.2.10:8233", description: "One node of yours" }
  ])
)
