/**
 * Walks through a recorded connection in the terminal: what happened, what the connection was at, what it decided, and why.
 *
 * @module
 */
import { Effect, Option, Queue, Stdio, Terminal } from "effect"
import { isSame, type Walked } from "../recording/Replay.ts"
import * as Telling from "../recording/Telling.ts"
import { ReplayFailure } from "./root.ts"
import { draw } from "./screen.ts"
import { harmless } from "./Text.ts"

/** What is walked through. */
export interface Walk {
  readonly title: string
  readonly steps: ReadonlyArray<Walked>
  /** Times are shown relative to this. */
  readonly baseNanos: bigint
  /** Where to begin, from 0. */
  readonly at: number
}

/** Events shown around the one that is looked at. */
const around = 4

/** The screen at one event. */
export const view = ({ at, baseNanos, steps, title }: Walk): ReadonlyArray<string> => {
  const step = steps[at]
  if (step === undefined) return [title]
  const list = steps.slice(Math.max(0, at - around), at + around + 1).map((each) => {
    const time = `${(each.entry.at / 1e9).toFixed(3)} s`.padStart(12)
    return `${each === step ? ">" : " "} ${String(each.number).padStart(6)}  ${time}  ${Telling.eventText(each.event)}`
  })
  const decided = step.decided.length === 0 ? ["nothing"] : step.decided
  const then = isSame(step.recorded, step.decided)
    ? []
    : ["", "then it was:", ...step.recorded.map((text) => `    ${text}`)]
  return [
    title,
    `event ${step.number} of ${steps.length}`,
    "",
    ...list,
    "",
    `before    ${Telling.stateText(step.before, baseNanos)}`,
    `decision  ${decided[0]}`,
    ...decided.slice(1).map((text) => `          ${text}`),
    `rule      ${Telling.ruleOf(step.before, step.event, step.actions, step.thrown)}`,
    `after     ${Telling.stateText(step.after, baseNanos)}`,
    ...then,
    "",
    "n next   p back   g first   G last   m next message of the peer   q quit"
  ].map(harmless)
}

/** Where a key leads; `undefined` to the end. */
export const moved = ({ at, steps }: Walk, key: string): number | undefined => {
  const last = steps.length - 1
  switch (key) {
    case "n":
    case "right":
    case "down":
    case "space":
    case "return":
    case "enter":
      return Math.min(last, at + 1)
    case "p":
    case "left":
    case "up":
    case "backspace":
      return Math.max(0, at - 1)
    case "g":
    case "home":
      return 0
    case "G":
    case "end":
      return last
    case "m": {
      const next = steps.findIndex(({ event }, index) => index > at && event._tag === "Message")
      return next < 0 ? at : next
    }
    case "q":
    case "escape":
      return undefined
    default:
      return at
  }
}

/** Draws the screen and follows the keys until one ends it. */
export const walk = Effect.fnUntraced(
  function* (walked: Walk) {
    if (!(yield* (yield* Stdio.Stdio).stdoutIsTerminal)) {
      return yield* new ReplayFailure({ message: "--step needs a terminal to draw on; --until prints instead." })
    }
    const terminal = yield* Terminal.Terminal
    const input = yield* terminal.readInput
    let at: number | undefined = walked.at
    yield* terminal.display("\x1b[2J")
    while (at !== undefined) {
      const here: Walk = { ...walked, at }
      yield* draw(() => view(here))
      const { input: text, key } = yield* Queue.take(input)
      at =
        key.ctrl && key.name === "c"
          ? undefined
          : moved(here, key.shift ? Option.getOrElse(text, () => key.name) : key.name)
    }
  },
  Effect.scoped,
  Effect.catchTag(["Done", "PlatformError"], () => Effect.void)
)
