/**
 * A node that loses everybody: the ten worlds that were hardest, of some hundred, and three of them where there is little time.
 * `npm run simulate` runs them from any seed.
 */
import { assert, describe, it } from "@effect/vitest"
import { Simulated } from "network-effect/layers"
import { scenarios, Simulation } from "network-effect/simulation"
import * as OutagePlan from "../../src/simulation/OutagePlan.ts"
import { isLong } from "../support/long.ts"

const outage = scenarios.find(({ name }) => name === "outage")!

const run = (seed: number) => Simulation.run({ scenario: outage, seed, node: Simulated.worldNode })

/** The slowest of those that take no more than a second. Each fails when nobody starts over. */
const worst = [166, 42, 182, 38, 93, 471, 398, 242, 353, 295]

const { hours, nodes } = outage.size
const plans = worst.map((seed) => OutagePlan.draw(seed, nodes, hours * 3_600_000))

describe("a node that has lost everybody", { timeout: 600_000 }, () => {
  for (const seed of isLong ? worst : worst.slice(0, 3)) {
    it(`is connected again within three minutes of when one whom it knows answers: seed ${seed}`, () => {
      const { drawn, failure, measures } = run(seed)
      assert.isUndefined(failure, `${failure?.reason}; drawn: ${drawn}`)
      const seconds = [...measures.values()].flat()
      // It really was alone, or this shows nothing.
      assert.isAbove(Math.max(...seconds), 0)
      assert.isAtMost(Math.max(...seconds), 180)
    })
  }
})

describe("the worlds that a seed draws", () => {
  it("are the same each time, and say what they are", () => {
    assert.deepStrictEqual(
      plans,
      worst.map((seed) => OutagePlan.draw(seed, nodes, hours * 3_600_000))
    )
    assert.match(OutagePlan.describe(plans[0]!), /^(link|hosts|names|peers) out for .*; target \d; /)
  })

  it("have outages of a minute to three weeks, of each order of magnitude, and every kind of everything", () => {
    const many = Array.from({ length: 400 }, (_, seed) => OutagePlan.draw(seed, nodes, hours * 3_600_000))
    const minutes = many.map(({ outageMillis }) => outageMillis / 60_000)
    assert.isAtLeast(Math.min(...minutes), 1)
    assert.isAtMost(Math.max(...minutes), 21 * 24 * 60)
    for (const [from, to] of [
      [1, 10],
      [10, 100],
      [100, 1000],
      [1000, 10_000]
    ] as const) {
      // One in three is log-uniform over 4.48 decades: 30 of each.
      assert.isAtLeast(minutes.filter((length) => length >= from && length < to).length, 18)
    }
    // Two in three, and those of the others that are so long: 287.
    const unreachable = minutes.filter((length) => length >= 3 * 24 * 60).length
    assert.isAtLeast(unreachable, 250)
    assert.isAtMost(unreachable, 320)
    const kinds = (of: (plan: OutagePlan.Plan) => string) => [...new Set(many.map(of))].toSorted()
    assert.deepStrictEqual(
      kinds(({ what }) => what),
      ["hosts", "link", "names", "peers"]
    )
    assert.deepStrictEqual(
      kinds(({ manner }) => manner),
      ["crash", "leave", "silence"]
    )
    assert.deepStrictEqual(
      kinds(({ company }) => company),
      ["nodes", "scripts"]
    )
    for (const has of [
      (plan) => plan.guestsAt.length > 4,
      (plan) => plan.guestsAt.length === 0,
      (plan) => plan.gone.length > 0,
      (plan) => plan.restarts.length > 0,
      (plan) => plan.clock.some(({ byMillis }) => byMillis < -365 * 86_400_000),
      (plan) => plan.clock.some(({ byMillis }) => byMillis > 365 * 86_400_000),
      (plan) => plan.configured.length === 0 && plan.cached.length === 0,
      (plan) => plan.names.some(({ resolvesTo }) => resolvesTo.length === 0),
      (plan) => plan.names.some(({ isGoneFromOutage }) => isGoneFromOutage)
    ] satisfies ReadonlyArray<(plan: OutagePlan.Plan) => boolean>) {
      assert.isAtLeast(many.filter(has).length, 10)
    }
  })
})
