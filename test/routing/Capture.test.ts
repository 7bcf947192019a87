/** How many requests honest peers get when others answer at once to get them. Fixed seeds, virtual time. */
import { assert, describe, it } from "@effect/vitest"
import { diverse, PeerSelection, twoAtRandom } from "../../src/routing/PeerSelection.ts"
import * as Capture from "../../src/simulation/Capture.ts"

const world = { peers: 100, honestMillis: [200, 400], attackerMillis: 10, load: "half", seconds: 20 } as const
const [before, now] = [{ make: () => twoAtRandom }, diverse]

describe("honest peers among those that answer at once", () => {
  for (const [attackers, networks] of [
    [20, 32],
    [50, 8],
    [80, 8],
    [80, 32]
  ] as const) {
    it(`are asked as often as they are many: ${attackers} % attackers in ${networks} networks`, () => {
      for (const seed of [1, 2]) {
        const share = 1 - attackers / 100
        const { honestShare } = Capture.run({ ...world, attackers, networks, selection: now, seed })
        assert.isAtLeast(honestShare, 0.9 * share)
        assert.isAtMost(honestShare, 1.1 * share)
      }
    })
  }

  it("are hardly asked by load alone, as Zebra chooses", () => {
    const { honestShare } = Capture.run({ ...world, attackers: 80, networks: 32, selection: before, seed: 1 })
    assert.isBelow(honestShare, 0.06)
  })

  it("do as much as ever, in hardly more time, when nobody attacks", () => {
    const [old, recent] = [before, now].map((selection) =>
      Capture.run({ ...world, attackers: 0, networks: 1, selection, seed: 1 })
    ) as [Capture.Capture, Capture.Capture]
    assert.isAbove(recent.answeredPerSecond, 0.97 * old.answeredPerSecond)
    assert.isBelow(recent.answerMillis, 1.1 * old.answerMillis)
  })

  it("are what the default is for", () => {
    assert.strictEqual(PeerSelection.defaultValue(), diverse)
  })
})
