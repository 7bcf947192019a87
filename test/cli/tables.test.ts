/** How answers are shown: aligned, in units people read, and without what a terminal would obey. */
import { assert, describe, it } from "@effect/vitest"
import * as tables from "../../src/cli/tables.ts"
import { BanInfo } from "../../src/status/StatusApi.ts"

describe("a table", () => {
  it("has columns as wide as what is in them, numbers to the right, and no end of spaces", () => {
    assert.deepStrictEqual(
      tables.columns(
        ["name", " bytes", "note"],
        [
          ["a", "10", "x"],
          ["long name", "5", ""]
        ]
      ),
      ["name       bytes  note", "a             10  x", "long name      5"]
    )
  })

  it("holds nothing a terminal would obey", () => {
    assert.deepStrictEqual(tables.columns(["agent"], [["\u0007"]]), ["agent", "?"])
  })

  it("is straight whatever letters are in it", () => {
    assert.deepStrictEqual(
      tables.columns(
        ["agent", "n"],
        [
          ["/zebra/", "1"],
          ["/漢字/", "2"],
          ["/e\u0301🦓/", "3"]
        ]
      ),
      ["agent    n", "/zebra/  1", "/漢字/   2", "/e\u0301🦓/    3"]
    )
  })

  it("fits where there is little room: without what can be spared first, then cut", () => {
    const [titles, rows] = [["id", " bytes", "note"], [["1", "1000", "a long note"]]]
    const layout = { room: 15, spare: ["bytes"] }
    assert.deepStrictEqual(tables.columns(titles, rows, { ...layout, room: 22 }), [
      "id  bytes  note",
      "1    1000  a long note"
    ])
    assert.deepStrictEqual(tables.columns(titles, rows, layout), ["id  note", "1   a long note"])
    assert.deepStrictEqual(tables.columns(titles, rows, { ...layout, room: 10 }), ["id  note", "1   a lon…"])
  })
})

describe("a sparkline", () => {
  it("has the latest values, the highest of them highest, and nothing below nothing", () => {
    assert.strictEqual(tables.sparkline([9, 0, 1, 7, -3, 3.5], 5), "▁▂█▁▅")
    assert.strictEqual(tables.sparkline([0, 0], 4), "  ▁▁")
    assert.strictEqual(tables.sparkline([], 3), "   ")
  })
})

describe("a figure", () => {
  it("is shown in the largest unit that says something", () => {
    assert.deepStrictEqual([0, 999, 1000, 12_345, 1e6, 2.5e9, 7e12].map(tables.size), [
      "0 B",
      "999 B",
      "1.0 KB",
      "12 KB",
      "1.0 MB",
      "2.5 GB",
      "7.0 TB"
    ])
    assert.deepStrictEqual([-1, 0, 59, 60, 3599, 3600, 86_400, 1e6].map(tables.age), [
      "0 s",
      "0 s",
      "59 s",
      "1 min",
      "59 min",
      "1 h",
      "1 d",
      "11 d"
    ])
    const ban = new BanInfo({ group: "192.0.2.1", reason: "\u001b", until: 1_700_000_000 })
    assert.strictEqual(tables.ban(ban), "192.0.2.1 is banned until 2023-11-14T22:13:20.000Z: ?")
  })
})
