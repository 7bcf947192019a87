/**
 * What one may look for in a record.
 *
 *     ending                     the connection ends
 *     ending:PeerOverloaded      … with this error
 *     message:addr               the peer says this
 *     action:Report              this is decided; what it begins with, as records say it: `Count closedForTimeout`
 *     defect                     the machine throws, or the connection ends by a bug of this node
 *
 * Pure.
 *
 * @module
 */
import { Cause, Exit, Option } from "effect"
import type { Action, Event } from "../peer/ConnectionMachine.ts"
import { commandOf, commands } from "../wire/Message.ts"
import type { Transcript } from "./Transcript.ts"

/** An event and what came of it. */
export interface Happening {
  readonly event: Event
  readonly actions: ReadonlyArray<Action>
  /** The name of what the machine threw. */
  readonly thrown: string | undefined
}

/** Whether something that happened is what was looked for. */
export type Property = (happening: Happening, transcript: Transcript) => boolean

/** How properties are written, for whoever wrote another one. */
export const forms = "ending, ending:TAG, message:COMMAND, action:TEXT or defect"

const known: ReadonlySet<string> = new Set(Object.values(commands))

/** `undefined` when it is none. */
export const parse = (text: string): Property | undefined => {
  const [, kind = "", , rest] = /^(\w+)(:(.+))?$/s.exec(text) ?? []
  switch (kind) {
    case "ending":
      return ({ actions }) =>
        actions.some((action) => action._tag === "Close" && (rest === undefined || action.error._tag === rest))
    case "message":
      if (rest === undefined || !known.has(rest)) return undefined
      return ({ event }) => event._tag === "Message" && commandOf(event.message) === rest
    case "action":
      if (rest === undefined) return undefined
      return ({ actions }, transcript) =>
        actions.some((action) => rest.startsWith(action._tag) && transcript.action(action).startsWith(rest))
    case "defect":
      if (rest !== undefined) return undefined
      return ({ actions, thrown }) =>
        thrown !== undefined || actions.some((action) => action._tag === "Close" && isDefect(action.failure))
    default:
      return undefined
  }
}

const isDefect = (exit: Exit.Exit<never, unknown>): boolean =>
  Exit.isFailure(exit) && Option.isNone(Cause.findErrorOption(exit.cause))
