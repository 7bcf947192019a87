/**
 * Port: who writes down what happens on a connection. Nobody unless a program provides one; then nothing is paid.
 *
 * `recording/Recorder.ts` is the usual implementation.
 *
 * @module
 */
import { Context } from "effect"
import type { Action, ConnectionMachine, Event, Options } from "./ConnectionMachine.ts"
import type { ConnectionInfo } from "./Peer.ts"
import type { ConnectionId } from "./Request.ts"

/** One connection that is recorded, from its first event to its last. */
export interface ConnectionRecord {
  /** What the machine is to be made of: its chance is seen too. */
  readonly options: Options
  /** Lets the machine decide, and writes down the event, the time and what it decided. Throws what the machine throws. */
  readonly step: (machine: ConnectionMachine, event: Event, nowNanos: bigint) => ReadonlyArray<Action>
}

/** Starts the record of a connection whose machine is about to be made of `options`; `undefined` if it is not recorded. */
export interface Recording {
  readonly begin: (id: ConnectionId, info: ConnectionInfo, options: Options) => ConnectionRecord | undefined
}

/** Off unless provided. */
export const Recording = Context.Reference<Recording | undefined>("network-effect/peer/Recording", {
  defaultValue: () => undefined
})
