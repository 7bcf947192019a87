/** The table of `src/routing/BlockRouting.ts`, read line by line with a pass over all peers for each question. */
import type { HashRecord } from "../../src/routing/InventoryRegistry.ts"

export interface Someone {
  readonly id: number
  readonly ready: boolean
  readonly serving: boolean
}

/** Whom to ask, in order of their ids, or in words what else. */
export type Outcome = string | ReadonlyArray<number>

export const naiveOutcome = (peers: ReadonlyArray<Someone>, { advertised, failed, missing }: HashRecord): Outcome => {
  const ready = peers.filter((peer) => peer.ready)
  const busy = peers.filter((peer) => !peer.ready)
  const mayHave = ({ id }: Someone) => !missing.has(id) && !failed.has(id)
  const known = peers.some(({ id }) => advertised.has(id) && !failed.has(id))
  const qualifies = busy.some((peer) => mayHave(peer) && (peer.serving || known))
  const lines: ReadonlyArray<ReadonlyArray<Someone> | string> = [
    ready.filter(({ id }) => advertised.has(id) && !failed.has(id)),
    ready.filter((peer) => peer.serving && mayHave(peer)),
    known || !qualifies ? ready.filter((peer) => !peer.serving && mayHave(peer)) : [],
    qualifies ? `wait for ${known ? "any" : "serving"}` : [],
    ready.filter(({ id }) => failed.has(id) && !missing.has(id)),
    busy.some(({ id }) => failed.has(id) && !missing.has(id)) ? "wait for any" : [],
    "refuse"
  ]
  const line = lines.find((line) => line.length > 0)!
  return typeof line === "string" ? line : line.map(({ id }) => id).sort((a, b) => a - b)
}
