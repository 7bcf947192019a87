/** Whether a node is where the others are. */
import { assert, describe, it } from "@effect/vitest"
import * as Quorum from "../../src/census/Quorum.ts"
import { sentenceOf } from "../../src/cli/censusWatch.ts"
import { watch } from "./watchWorld.ts"

const voices = (heights: ReadonlyArray<number>, age = 0): ReadonlyArray<Quorum.Voice> =>
  heights.map((height, n) => ({ group: `20.${n}`, height, age }))

describe("the quorum", () => {
  const verdict = (node: number | null, of: ReadonlyArray<Quorum.Voice>) => Quorum.judge(node, of, 25).verdict

  it("needs five groups that agree, or more when some do not", () => {
    assert.strictEqual(verdict(100, voices([100, 100, 100])), "Unknown")
    assert.strictEqual(verdict(100, voices([100, 101, 100, 99, 100])), "WithQuorum")
    assert.strictEqual(verdict(100, voices([100, 100, 100, 100, 500])), "Unknown")
    assert.strictEqual(verdict(100, voices([100, 100, 100, 100, 100, 100, 100, 100, 100, 500])), "WithQuorum")
  })

  it("says that a node is behind, or ahead alone, or does not say", () => {
    assert.strictEqual(verdict(100, voices([104, 104, 105, 104, 110])), "Behind")
    assert.strictEqual(verdict(101, voices([104, 104, 104, 104, 104])), "WithQuorum")
    assert.strictEqual(verdict(200, voices([104, 104, 105, 104, 110])), "AheadAlone")
    assert.strictEqual(verdict(null, voices([104, 104, 105, 104, 110])), "Unknown")
    assert.strictEqual(verdict(100, []), "Unknown")
  })

  it("does not hold it against a node that the chain has grown since others were asked", () => {
    // Ten minutes are 24 blocks of 25 seconds, and a chain may be four times as fast.
    assert.strictEqual(verdict(130, voices([104, 104, 104, 104, 104], 600)), "WithQuorum")
    assert.strictEqual(verdict(204, voices([104, 104, 104, 104, 104], 600)), "AheadAlone")
    assert.strictEqual(verdict(100, voices([104, 104, 104, 104, 104], 600)), "Behind")
  })

  it("hears one voice of a group, whatever it has hosts", () => {
    const crowd = Array.from({ length: 150 }, () => ({ group: "6.6", height: 9000, age: 0 }))
    const judgement = Quorum.judge(100, [...crowd, ...voices(Array.from({ length: 20 }, () => 100))], 25)
    assert.deepStrictEqual(
      [judgement.verdict, judgement.groups, judgement.agreeing, judgement.tip],
      ["WithQuorum", 21, 20, 100]
    )
  })
})

describe("a watch among sixty percent Sybils of one group", () => {
  it("says of an honest node that it is with the quorum, in every look of an hour", () => {
    const found = watch(1, { height: (tip) => tip }, 60)
    assert.isAtLeast(found.length, 20)
    assert.deepStrictEqual([...new Set(found.map(({ verdict }) => verdict))], ["WithQuorum"])
    assert.strictEqual(found.at(-1)?.sinceMillis, found[0]?.atMillis)
  })

  it("says of a stale node that it is behind, in its first look", () => {
    const [first] = watch(2, { height: () => 4990 }, 3)
    assert(first !== undefined)
    assert.strictEqual(first.verdict, "Behind")
    assert.isAtMost(first.atMillis, 60_000)
    const words = [
      "the node is behind: at 4990, while half of the groups are at \\d{4} or above",
      "\\d+ of \\d+ groups say so, at least \\d+ % of all with 95 %",
      "since 1970-01-01T00:00:[\\d.]+Z, by heights of version messages"
    ]
    assert.match(sentenceOf(first), new RegExp(`^${words.join("; ")}$`), sentenceOf(first))
  })

  it("says of a node that follows them that it is ahead alone", () => {
    assert.strictEqual(watch(3, { height: (tip) => tip + 1000 }, 3)[0]?.verdict, "AheadAlone")
  })

  it("says of a node that stops that it is behind, within eight minutes", () => {
    const stopsAt = 5000 + 600 / 25
    const found = watch(4, { height: (tip) => Math.min(tip, stopsAt) }, 30)
    const since = found.find(({ verdict }) => verdict === "Behind")?.atMillis ?? Infinity
    assert.strictEqual(found[0]?.verdict, "WithQuorum")
    assert.isAbove(since, 600_000)
    assert.isAtMost(since, 600_000 + 8 * 60_000)
  })
})
