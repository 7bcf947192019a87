/** Every scenario, from fixed seeds. `npm run simulate` runs them from any. */
import { assert, describe, it } from "@effect/vitest"
import { Simulated } from "network-effect/layers"
import { scenarios, Simulation } from "network-effect/simulation"

// Nothing waits here: how long it takes is the machine's affair.
describe("each scenario", { timeout: 600_000 }, () => {
  for (const scenario of scenarios) {
    it(`holds: ${scenario.name} (${scenario.description})`, () => {
      const outcome = Simulation.run({ scenario, seed: 1, node: Simulated.worldNode })
      assert.isUndefined(outcome.failure, outcome.failure?.reason)
      assert.isAbove(outcome.events, 50)
    })
  }
})
