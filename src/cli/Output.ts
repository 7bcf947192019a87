/**
 * What a running node tells on stdout: lines that never hold it up.
 *
 * **Security**
 *
 * A reader that does not read, a full disk and peers that want to be heard cost at most `maxWaitingBytes` of memory and what
 * `LineBudget.ts` lets through; everything else is counted, and the counts are printed once a second, or once a minute where
 * each kind has a limit of its own.
 *
 * @module
 */
import { Clock, Context, Effect, Layer, Metric } from "effect"
import * as Monotonic from "../Monotonic.ts"
import { type Limits, LineBudget } from "./LineBudget.ts"

/** Where lines go: stdout, or a test's list. */
export interface LineSink {
  /** Hands a line over, without waiting. `false` when it cannot be written: a disk is full, nobody can ever read it. */
  readonly write: (line: string) => boolean
  /** Bytes that were handed over and are not written yet. */
  readonly waitingBytes: () => number
}

/** Bytes that may wait for a slow reader. */
export const maxWaitingBytes = 1_048_576

/** 200 lines a second and 64 MB an hour: everything an honest network does, and no more than a small disk can hold. */
export const defaultLimits: Limits = { linesPerSecond: 200, bytesPerHour: 64_000_000 }

/**
 * For people: the same, and of each kind a dozen lines a minute. A node that is left alone prints fewer; strangers who come as
 * fast as they can are a line each minute that counts them.
 */
export const limitsForPeople: Limits = { ...defaultLimits, linesPerKindAndMinute: 12 }

/** Prints what happens. */
export class Output extends Context.Service<
  Output,
  {
    /** Prints a line of a kind, or counts it. Kinds are few and fixed. Never waits, never fails. */
    readonly line: (kind: string, text: string) => Effect.Effect<void>
  }
>()("network-effect/cli/Output") {
  /** Prints to a sink. `counts` says what the line about omitted ones is, by kind and how many. */
  static readonly layer = (
    sink: LineSink,
    counts: (kind: string, omitted: number) => string,
    limits: Limits = defaultLimits
  ): Layer.Layer<Output> =>
    Layer.effect(
      Output,
      Effect.gen(function* () {
        const clock = yield* Clock.Clock
        const context = yield* Effect.context<never>()
        const budget = new LineBudget(limits)
        const omittedLines = Metric.counter("network_effect.output.omitted", {
          description: "lines that stdout did not take, or that were too many",
          incremental: true
        })

        /** It failed, and nothing was written since. One line a second tries again. */
        let isBroken = false
        let isTold = false

        const line = (kind: string, text: string) =>
          Effect.sync(() => {
            const bytes = Buffer.byteLength(text) + 1
            if (isBroken || sink.waitingBytes() + bytes > maxWaitingBytes) budget.omit(kind)
            else if (budget.take(kind, bytes, Monotonic.millisUnsafe(clock))) {
              isBroken = !sink.write(`${text}\n`)
              if (!isBroken) return
              budget.omit(kind)
            }
            // At once, for there may never be a line that says so.
            omittedLines.updateUnsafe(1, context)
          })

        /** The counts have room of their own: there is at most one line per kind and second. */
        const tellOmitted = Effect.gen(function* () {
          if (isBroken && !isTold) {
            isTold = true
            yield* Effect.logWarning("stdout cannot be written: what happens is counted until it can")
          }
          if (sink.waitingBytes() > maxWaitingBytes) return
          for (const [kind, omitted] of budget.takeOmitted()) {
            isBroken = !sink.write(`${counts(kind, omitted)}\n`)
            if (isBroken) budget.omit(kind, omitted)
          }
          if (!isBroken) isTold = false
        })
        const pause = limits.linesPerKindAndMinute === undefined ? "1 second" : "1 minute"
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(Effect.sleep(pause), tellOmitted)))

        return Output.of({ line })
      })
    )
}
