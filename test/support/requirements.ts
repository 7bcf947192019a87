/** The tables of requirements: what must hold, which tests hold it, and how it is taken out of the source. */
import { readFileSync } from "node:fs"
import { removals as ofBook } from "../addresses/bookRemovals.ts"
import { removals as ofAddresses } from "../addresses/removals.ts"
import { removals as ofCensus } from "../census/removals.ts"
import { removals as ofChain } from "../chain/removals.ts"
import { removals as ofSettings } from "../cli/removals.ts"
import { removals as ofNetwork } from "../network/removals.ts"
import { removals as ofNetworkScenarios } from "../network/scenarioRemovals.ts"
import { removals as ofPeer } from "../peer/removals.ts"
import { removals as ofPeerScenarios } from "../peer/scenarioRemovals.ts"
import { removals as ofSimulation } from "../simulation/removals.ts"
import { removals as ofStatus } from "../status/removals.ts"
import { removals as ofWire } from "../wire/removals.ts"
import type { ScenarioRemoval } from "./removal.ts"
import { scenarios, scenariosIn } from "./scenarios.ts"
import type { Edit } from "./sourceEdits.ts"

/** One table, in the folder of its tests. A new one is added here, and nowhere else. */
export interface Table {
  /** From the root of the repository. */
  readonly file: string
  /** How many rows each letter has: `S1` to `S50`. No two tables share a letter. */
  readonly rows: Record<string, number>
  /** By id: for each test of the row, the edits without which the row would hold. */
  readonly removals: Record<string, ReadonlyArray<ReadonlyArray<Edit>>>
}

export const tables: ReadonlyArray<Table> = [
  { file: "test/network/requirements.md", rows: { S: 50, C: 30, L: 13, E: 17 }, removals: ofNetwork },
  { file: "test/peer/requirements.md", rows: { W: 6, P: 9 }, removals: ofPeer },
  { file: "test/addresses/requirements.md", rows: { B: 27 }, removals: ofBook }
]

/** How each scenario of the acceptance list is taken out, area by area, and rules of areas that it does not speak of. */
export const scenarioRemovals: ReadonlyArray<ScenarioRemoval> = [
  ...ofAddresses,
  ...ofCensus,
  ...ofChain,
  ...ofNetworkScenarios,
  ...ofPeerScenarios,
  ...ofSettings,
  ...ofSimulation,
  ...ofStatus,
  ...ofWire
]

export interface HoldingTest {
  /** From the root of the repository. */
  readonly file: string
  /** Without its `describe`. */
  readonly title: string
}

export interface Requirement {
  readonly id: string
  readonly words: string
  readonly tests: ReadonlyArray<HoldingTest>
}

const holdingTest = (cell: string): HoldingTest => {
  const [, file = "", title = ""] = /^`([^`]+)`: (.+)$/.exec(cell.trim()) ?? []
  return { file: `test/${file}.test.ts`, title }
}

/** The rows of a table, in its order. */
export const requirementsOf = ({ file }: Table): ReadonlyArray<Requirement> =>
  readFileSync(new URL(`../../${file}`, import.meta.url), "utf8")
    .split("\n")
    .filter((line) => /^\| [A-Z]+\d+ \|/.test(line))
    .map((line) => {
      const [, id = "", words = "", tests = ""] = line.split("|").map((cell) => cell.trim())
      return { id, words, tests: tests.split("<br>").map(holdingTest) }
    })

/** Scenarios that nothing in the source can be changed for so that a test fails, and what holds them instead. */
export const heldOtherwise: Readonly<Record<string, string>> = {
  "peer 64":
    "is about types, which are gone when tests run: the program of `test/layers/UserProgram` does not compile (`npm run typecheck`) without one",
  "network 78": "is the same as peer 64"
}

/** Scenarios of which nothing shows yet that a test would notice their loss. */
export const scenariosWithout = (): ReadonlyArray<string> => {
  const named = tables.flatMap((table) =>
    requirementsOf(table).flatMap(({ tests }) => tests.flatMap(({ title }) => [...scenariosIn(title)]))
  )
  const known = new Set([...named, ...scenarioRemovals.map(({ id }) => id)])
  return scenarios.filter((id) => !known.has(id))
}
