/** Every scenario, from fixed seeds. `npm run simulate` runs them from any. */
import { assert, describe, it } from "@effect/vitest"
import { Simulated } from "network-effect/layers"
import { type Scenario, scenarios, Simulation } from "network-effect/simulation"
import { isLong } from "../support/long.ts"

/** Those of which the full hour, or the full crowd, takes longer than half a second; a part of it is enough but in `.ci/run`. */
const smaller: Readonly<Record<string, Partial<Scenario["size"]>>> = {
  bootstrap: { nodes: 8, hours: 0.25 },
  "byzantine-third": { nodes: 9 },
  churn: { nodes: 8, hours: 0.1 },
  "clock-jumps": { nodes: 6, hours: 0.25 },
  "crash-and-restart": { nodes: 6, hours: 0.25 },
  crowd: { nodes: 10, hours: 0.2 },
  eclipse: { nodes: 8, hours: 0.15 },
  partition: { nodes: 8 },
  "seed-dies": { nodes: 6 }
}

/**
 * Other seeds than the first, where a part is enough: one that draws an outage of a second, of which `Outage.test.ts` has more; and
 * one in which the node under attack asks a liar within so short a world.
 */
const seeds: Readonly<Record<string, number>> = { outage: 166, eclipse: 3 }

/** What a scenario tries that was done to others. */
const advisories: Readonly<Record<string, string>> = { eclipse: "advisory A8" }

// Nothing waits here: how long it takes is the machine's affair.
describe("each scenario", { timeout: 600_000 }, () => {
  for (const scenario of scenarios) {
    const name = advisories[scenario.name]
    it(`holds: ${scenario.name} (${scenario.description}${name === undefined ? "" : `; ${name}`})`, () => {
      const size = isLong ? undefined : smaller[scenario.name]
      const seed = isLong ? 1 : (seeds[scenario.name] ?? 1)
      const outcome = Simulation.run({ scenario, seed, size, node: Simulated.worldNode })
      assert.isUndefined(outcome.failure, outcome.failure?.reason)
      assert.isAbove(outcome.events, 50)
    })
  }

  it("has its full size somewhere: those that are smaller here are scenarios", () => {
    assert.includeMembers(
      scenarios.map(({ name }) => name),
      [...Object.keys(smaller), ...Object.keys(seeds)]
    )
  })
})
