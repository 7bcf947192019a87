/** What is kept of a study that takes hours, and how it is summed up. */
import { assert, describe, it } from "@effect/vitest"
import { type Eclipse, EclipseRecords } from "network-effect/simulation"

const played: EclipseRecords.Played = {
  script: "front-run",
  book: "hardened",
  world: "distinct",
  groups: 8,
  without: "tables,tenure",
  hours: undefined,
  seed: 7
}

const figures = (honest: number, more: Partial<Eclipse.Figures> = {}): Eclipse.Figures => ({
  attacker: 75 - honest,
  honest,
  share: (75 - honest) / 75,
  shareOfBook: 0.25,
  shareOfCache: 0.5,
  secondsTo8: 0.7,
  secondsTo75: undefined,
  hoursToHalf: undefined,
  hoursTo90: undefined,
  dials: 100,
  wasted: 0.5,
  leastRedialSeconds: Number.POSITIVE_INFINITY,
  honestOfBook: 0.125,
  honestAfterRestart: undefined,
  secondsToMixed: undefined,
  ...more
})

describe("the figures of a seed", () => {
  it("are read from a line as they were, those that never came to be too", () => {
    for (const some of [figures(67), figures(3, { secondsTo75: 660.25, leastRedialSeconds: 119.5, hoursTo90: 2 })]) {
      const line = EclipseRecords.format(played, some)
      assert.notInclude(line, "\n")
      const { figures: read, unreadable } = EclipseRecords.parse(`${line}\n`)
      assert.deepStrictEqual([...read], [[EclipseRecords.keyOf(played), some]])
      assert.strictEqual(unreadable, 0)
    }
  })

  it("are those of what was played and of nothing else", () => {
    const others: ReadonlyArray<Partial<EclipseRecords.Played>> = [
      {},
      { seed: 8 },
      { groups: 32 },
      { book: "reference" },
      { world: "crowded" },
      { script: "trash" },
      { without: "tables" },
      { hours: 12 }
    ]
    assert.strictEqual(new Set(others.map((other) => EclipseRecords.keyOf({ ...played, ...other }))).size, 8)
  })

  it("are not lost with the line beside them that was cut off, or is something else", () => {
    const [first, second] = [1, 2].map((seed) => EclipseRecords.format({ ...played, seed }, figures(60 + seed)))
    const text = [first, "{}", "null", second, first!.slice(0, 90), first!.replace('"honest":61', '"honest":"x"')]
    const { figures: read, unreadable } = EclipseRecords.parse(text.join("\n"))
    assert.deepStrictEqual(
      [...read.values()].map(({ honest }) => honest),
      [61, 62]
    )
    assert.strictEqual(unreadable, 4)
  })
})

describe("of many worlds", () => {
  it("median and both ends are told, of those that have a value", () => {
    const worlds = Array.from({ length: 100 }, (_, n) => figures(n, n < 40 ? { secondsTo75: 1000 + n } : {}))
    assert.deepStrictEqual(
      EclipseRecords.spreadOf(worlds, ({ honest }) => honest),
      { median: 50, low: 5, high: 95, values: 100, worlds: 100 }
    )
    assert.deepStrictEqual(
      EclipseRecords.spreadOf(worlds, ({ secondsTo75 }) => secondsTo75),
      { median: 1020, low: 1002, high: 1038, values: 40, worlds: 100 }
    )
    assert.isUndefined(EclipseRecords.spreadOf(worlds, ({ secondsToMixed }) => secondsToMixed))
  })
})
