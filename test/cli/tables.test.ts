/** How answers are shown: aligned, in units people read, and without what a terminal would obey. */
import { assert, describe, it } from "@effect/vitest"
import * as tables from "../../src/cli/tables.ts"
import { BanInfo, Totals } from "../../src/status/StatusApi.ts"
import { addresses, addressInfo, addressWhy, health, peerInfo } from "../support/statusAnswers.ts"

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

describe("an answer of a node", () => {
  /** The words of each line, without its title. */
  const rows = (lines: ReadonlyArray<string>, titles = 1) =>
    lines.slice(titles).map((line) => line.replaceAll(/ {2,}/g, " | "))

  it("names each peer, who dialled whom, and what is not known of it", () => {
    const known = peerInfo({ pingtime: 0.0042 })
    const strange = peerInfo({ id: 2, addr: null, inbound: true, pingtime: null, bytessent: 0, subver: "\u001b[31m" })
    assert.deepStrictEqual(
      rows(tables.peers([known, strange, peerInfo({ id: 3 })], 1120)),
      [
        " 1 | 192.0.2.1:8233 | out | 4.2 ms | 2.0 KB | 10 B | 2 min | 170190 | /Zebra/",
        " 2 | - | in | - | 2.0 KB | 0 B | 2 min | 170190 | ?[31m",
        " 3 | 192.0.2.1:8233 | out | 25 ms | 2.0 KB | 10 B | 2 min | 170190 | /Zebra/"
      ].map((line) => line.trimStart())
    )
    assert.deepStrictEqual(tables.peers([], 1120), ["no peer is connected"])
  })

  it("counts what is in the book, and lists what is asked for", () => {
    const counts = "addresses: 10 of 5000, 1 responded, 2 heard of, 4 under way, 3 failed"
    assert.deepStrictEqual(tables.addresses(addresses([]), 0), [counts])
    const met = addressInfo({
      address: "192.0.2.2:8233",
      state: "Responded",
      lastResponse: 940,
      table: "tried",
      anchor: true,
      userAgent: "/Zebra/"
    })
    const guest = addressInfo({ address: "192.0.2.3:1", inbound: true, table: null })
    const [first, second, , ...listed] = tables.addresses(addresses([met, addressInfo(), guest]), 1000)
    assert.deepStrictEqual(
      [first, second],
      [counts, "tables: 6 heard of, 4 met, in 3 parts of the internet; no anchor"]
    )
    assert.deepStrictEqual(rows(listed, 0), [
      "192.0.2.2:8233 | Responded | 1 min | 192.0 | tried, anchor | /Zebra/",
      "192.0.2.1:8233 | NeverAttempted | - | 192.0 | new | -",
      "192.0.2.3:1 | NeverAttempted (inbound) | - | 192.0 | - | -"
    ])
    const anchored = addresses([met], { anchors: ["192.0.2.2:8233", "\u001b"] })
    assert.match(tables.addressCounts(anchored)[1] ?? "", /; anchors 192\.0\.2\.2:8233, \?$/)
  })

  it("says what is known of an address and whether it would be dialled", () => {
    assert.deepStrictEqual(tables.why(addressWhy(), 0), [
      "192.0.2.1:8233 in 192.0: heard of, bucket 7",
      "NeverAttempted, never answered",
      "may be dialled now"
    ])
    const entry = addressInfo({ state: "Failed", inbound: true, lastResponse: 400 })
    const failed = addressWhy({ entry, table: "tried", anchor: true, failures: 3, against: "resting" })
    assert.deepStrictEqual(tables.why(failed, 1000), [
      "192.0.2.1:8233 in 192.0: met, bucket 7, an anchor",
      "Failed (inbound), answered 10 min ago, failed 3 times in a row",
      "is not dialled now: it failed so often that others come first for a while"
    ])
    assert.match(tables.why(addressWhy({ failures: 1 }), 0)[1] ?? "", /, failed once$/)
    const unknown = addressWhy({ entry: null, table: null, bucket: null, against: "unknown" })
    assert.deepStrictEqual(tables.why(unknown, 0), [
      "192.0.2.1:8233 in 192.0: in no table",
      "not in the book",
      "is not dialled now: it is not in the book"
    ])
  })

  it("sums up a node in three lines", () => {
    const totals = new Totals({ bytesReceived: 12_345, bytesSent: 5, messagesReceived: {}, messagesSent: {} })
    assert.deepStrictEqual(tables.overview(health(), totals), [
      "network-effect  Testnet  0.0.0.0:18233  /me/",
      "peers: 1 out of 75, 0 in of 125, not ready before 2",
      "received 12 KB, sent 5 B"
    ])
    const ready = health({ listen: null, wanted: 1 })
    assert.deepStrictEqual(tables.overview(ready, totals).slice(0, 2), [
      "network-effect  Testnet  only dials  /me/",
      "peers: 1 out of 75, 0 in of 125, ready"
    ])
  })
})
