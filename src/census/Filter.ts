/**
 * Which nodes are counted. Pure.
 *
 *     Filter.all(Filter.notForeign, Filter.versionAtLeast(170_150))
 *
 * @module
 */
import type { Sighting } from "./CensusStore.ts"

/** Whether a node is counted. */
export type Filter = (sighting: Sighting) => boolean

/** Those that pass every one. */
export const all =
  (...filters: ReadonlyArray<Filter>): Filter =>
  (sighting) =>
    filters.every((filter) => filter(sighting))

/** Those that do not pass. */
export const not =
  (filter: Filter): Filter =>
  (sighting) =>
    !filter(sighting)

/** Those whose user agent has this in it, in any case of letters. */
export const agentHas = (text: string): Filter => {
  const wanted = text.toLowerCase()
  return ({ userAgent }) => userAgent?.toLowerCase().includes(wanted) === true
}

/** Those that speak at least this protocol version. */
export const versionAtLeast =
  (lowest: number): Filter =>
  ({ version }) =>
    version !== null && version >= lowest

/** Coins that forked from zcashd and kept its magic: their nodes shake hands with us, and are of another chain. */
const foreignAgents = ["zclassic", "zelcash", "flux", "bitcoinz", "komodo", "pirate"]

/** Those that do not name another coin. Their ports are refused before they are dialled, see `AddressRules`. */
export const notForeign: Filter = ({ userAgent }) => {
  const agent = userAgent?.toLowerCase() ?? ""
  return !foreignAgents.some((name) => agent.includes(name))
}
