/** What a report says of rows that are written by hand. */
import { assert, describe, it } from "@effect/vitest"
import type { Run, Sighting } from "../../src/census/CensusStore.ts"
import * as Filter from "../../src/census/Filter.ts"
import * as Report from "../../src/census/Report.ts"
import { mainnet } from "../../src/chain/ChainParams.ts"
import * as text from "../../src/cli/censusText.ts"

const run = (id: number, more: Partial<Run> = {}): Run => ({
  id,
  network: "Mainnet",
  userAgent: "/census/",
  startedAt: id * 3600,
  endedAt: id * 3600 + 10,
  ending: "Exhausted",
  known: 0,
  waiting: 0,
  doubtful: 0,
  ...more
})

const sighting = (address: string, more: Partial<Sighting> = {}): Sighting => {
  const host = address.split(":")[0] ?? ""
  return {
    runId: 1,
    host,
    group: host.split(".").slice(0, 2).join("."),
    address,
    at: 3605,
    how: "Explored",
    isReached: true,
    reason: null,
    code: null,
    version: 170_190,
    services: 1,
    userAgent: "/Zebra:15.0.0/",
    height: 3_600_000,
    clockOffset: 0,
    latency: 10,
    told: 5,
    claims: null,
    ...more
  }
}

const gone: Partial<Sighting> = { isReached: false, reason: "Refused", version: null, userAgent: null, height: null }

const made = (
  sightings: ReadonlyArray<Sighting>,
  earlier: ReadonlyArray<ReadonlyArray<Sighting>> = [],
  more: Partial<Report.Input> = {}
) =>
  Report.make({
    chain: mainnet,
    run: run(9, { known: 50 }),
    runs: earlier.length + 1,
    sightings: sightings.map((sighting) => ({ ...sighting, at: 9 * 3600 + 5 })),
    earlier: earlier.map((sightings, index) => ({ run: run(8 - index), sightings })),
    tellers: [],
    ...more
  })

describe("a report", () => {
  it("has no interval of one run, and says why", () => {
    const report = made([sighting("1.0.0.1:1"), sighting("2.0.0.1:1", gone)])
    assert.deepStrictEqual(
      [report.reachable, report.estimate, report.low, report.high, report.claimed, report.unreachable],
      [1, null, null, null, 50, 1]
    )
    assert.strictEqual(report.reason, "this is the first run of this network, and an interval needs two")
    assert.deepStrictEqual(report.reasons, { Refused: 1 })
    assert.include(text.report(report).join("\n"), "no interval: this is the first run")
  })

  it("counts nodes found again, missed and gone, of the three runs before", () => {
    const name = (n: number) => `1.${n}.0.1:1`
    const before = Array.from({ length: 100 }, (_, n) => sighting(name(n)))
    const now = [
      ...Array.from({ length: 60 }, (_, n) => sighting(name(n))),
      ...Array.from({ length: 20 }, (_, n) => sighting(name(60 + n), { how: "Rechecked" })),
      ...Array.from({ length: 20 }, (_, n) => sighting(name(80 + n), gone)),
      ...Array.from({ length: 60 }, (_, n) => sighting(name(200 + n)))
    ]
    const report = made(now, [before])
    assert.strictEqual(report.reachable, 140)
    // 120 found, and three of four that were there: 160.
    assert.strictEqual(report.estimate, 160)
    assert.isBelow(report.low ?? Infinity, 160)
    assert.isAtLeast(report.low ?? 0, 140)
    assert.isAbove(report.high ?? 0, 160)
    assert.strictEqual(report.reason, null)
    assert.deepStrictEqual([report.churn?.arrived, report.churn?.departed, report.churn?.hours], [60, 20, 1])
    // Missed nodes may all be ready, or none.
    const [ready] = report.readiness
    assert.isTrue((ready?.low ?? 1) < 1 && ready?.high === 1)
  })

  it("counts a node once that answers at the address it states", () => {
    const found = [
      sighting("1.0.0.1:1"),
      // Its other address.
      sighting("1.1.0.1:1", { claims: "1.0.0.1" }),
      // Each names the other.
      sighting("2.0.0.1:1", { claims: "2.1.0.1" }),
      sighting("2.1.0.1:1", { claims: "2.0.0.1" }),
      // Nobody answers there; another node does; and so does one that says it is somebody else.
      sighting("3.0.0.1:1", { claims: "3.1.0.1" }),
      sighting("3.1.0.1:1", gone),
      sighting("4.0.0.1:1", { claims: "1.0.0.1", userAgent: "/MagicBean:6.0.0/" }),
      sighting("5.0.0.1:1", { claims: "4.0.0.1", userAgent: "/MagicBean:6.0.0/" })
    ]
    assert.deepStrictEqual([...Report.aliases(found)], ["1.1.0.1", "2.1.0.1"])
    const report = made(found, [found])
    assert.deepStrictEqual([report.reachable, report.aliases, report.unreachable, report.churn?.departed], [5, 2, 1, 0])
    assert.include(report.notes, "2 hosts are another address of a node that is counted")
    assert.strictEqual(report.estimate, 5)
  })

  it("counts who came, and who of them cannot be dialled", () => {
    const guest = (host: string) => ({
      host,
      address: `${host}:40000`,
      at: 1,
      version: 170_190,
      services: 1,
      userAgent: "/a/",
      height: null
    })
    const found = [sighting("1.0.0.1:1"), sighting("2.0.0.1:1", gone)]
    const report = made(found, [], { guests: ["1.0.0.1", "2.0.0.1", "3.0.0.1"].map(guest) })
    assert.deepStrictEqual(report.guests, { count: 3, unreached: 2 })
    assert.strictEqual(report.reachable, 1)
    assert.include(text.report(report), "came to us: 3 nodes, of which 2 cannot be dialled")
    assert.notInclude(text.report(made(found)).join("\n"), "came to us")
  })

  it("counts by autonomous system, when it is told them", () => {
    const found = Array.from({ length: 6 }, (_, n) => sighting(`${n + 1}.0.0.1:1`))
    const systemOf = (address: string) =>
      Number(address[0]) > 5 ? undefined : Number(address[0]) % 2 === 0 ? 64_500 : 7
    assert.strictEqual(made(found).systems, null)
    const report = made(found, [], { systemOf })
    assert.deepStrictEqual(report.systems, {
      count: 2,
      unmapped: 1,
      largest: [
        { system: 7, hosts: 3 },
        { system: 64_500, hosts: 2 }
      ]
    })
    assert.match(text.report(report).join("\n"), /^AS7 +3\nAS64500 +2\nnot in the map +1$/m)
  })

  it("lets each group have one voice about the upgrade and the tip", () => {
    // Ninety of one group are ready and at a false tip; ten others are neither.
    const crowd = Array.from({ length: 90 }, (_, n) => sighting(`6.6.0.${n}:1`, { height: 4_000_000 }))
    const others = Array.from({ length: 10 }, (_, n) =>
      sighting(`7.${n}.0.1:1`, { version: 170_160, height: 3_600_000 + (n % 2) })
    )
    const report = made([...crowd, ...others])
    const nu7 = report.readiness.find(({ upgrade }) => upgrade === "NU7")
    assert.deepStrictEqual(
      [nu7?.count, nu7?.share, nu7?.groupsReady, nu7?.groups, nu7?.quorum],
      [90, 0.9, 1, 11, false]
    )
    assert.deepStrictEqual(report.heights.tip, {
      height: 3_600_001,
      tolerance: 4,
      groups: 11,
      groupsThere: 10,
      quorum: true,
      behind: 0,
      there: 10,
      ahead: 90
    })
  })

  it("takes a height that is not stated for unknown", () => {
    const report = made([sighting("1.0.0.1:1", { height: null }), sighting("2.0.0.1:1", { height: 3_600_000 })])
    assert.deepStrictEqual(
      [report.heights.known, report.heights.unknown, report.heights.tip?.height],
      [1, 1, 3_600_000]
    )
    assert.include(report.notes, "a start height of 0 says nothing, so it counts as unknown")
    assert.strictEqual(made([sighting("1.0.0.1:1", { height: null })]).heights.tip, null)
  })

  it("counts only what passes its filter", () => {
    const nodes = [
      sighting("1.0.0.1:1", { userAgent: "/Flux:1.0/" }),
      sighting("2.0.0.1:1", { version: 170_100 }),
      sighting("3.0.0.1:1")
    ]
    const count = (filter: Filter.Filter) => made(nodes, [], { filter }).reachable
    assert.strictEqual(count(Filter.notForeign), 2)
    assert.strictEqual(count(Filter.versionAtLeast(170_150)), 2)
    assert.strictEqual(count(Filter.all(Filter.notForeign, Filter.versionAtLeast(170_150))), 1)
    assert.strictEqual(count(Filter.agentHas("zebra")), 2)
    assert.strictEqual(count(Filter.not(Filter.agentHas("zebra"))), 1)
  })

  it("takes a node that does not name itself for one of this chain", () => {
    const nodes = [sighting("1.0.0.1:1", { userAgent: null }), sighting("2.0.0.1:1", { userAgent: "/Flux:1.0/" })]
    const report = made(nodes, [], { filter: Filter.notForeign })
    assert.deepStrictEqual([report.reachable, report.agents], [1, { "": 1 }])
  })

  it("has no interval when the run before reached nobody, and shares of none are 0", () => {
    const report = made([sighting("1.0.0.1:1", gone)], [[sighting("1.0.0.1:1", gone)]])
    assert.deepStrictEqual([report.reachable, report.low, report.high], [0, null, null])
    assert.strictEqual(report.reason, "no earlier run has reached a node")
    assert.isTrue(report.readiness.every(({ count, share }) => count === 0 && share === 0))
    assert.include(text.report(report), "heights: nobody says")
  })

  it("has the most frequent first, and those that are as many by their names", () => {
    const agents = ["/b/", "/c/", "/a/", "/c/"]
    const nodes = agents.map((userAgent, n) => sighting(`${n + 1}.0.0.1:1`, { userAgent, latency: null }))
    const report = made(nodes, [], { run: run(9, { endedAt: null }) })
    assert.deepStrictEqual(Object.entries(report.agents), [
      ["/c/", 2],
      ["/a/", 1],
      ["/b/", 1]
    ])
    assert.include(report.notes, "the run was ended by force, or still runs")
  })

  it("estimates only what passes its filter", () => {
    const nodes = Array.from({ length: 40 }, (_, n) =>
      sighting(`${n}.0.0.1:1`, {
        userAgent: n % 2 === 0 ? "/Flux:1.0/" : "/Zebra:15.0.0/",
        how: n === 38 ? "Rechecked" : "Explored"
      })
    )
    const all = made(nodes, [nodes])
    const some = made(nodes, [nodes], { filter: Filter.notForeign })
    assert.deepStrictEqual([all.reachable, all.estimate], [40, 40])
    assert.deepStrictEqual([some.reachable, some.estimate], [20, 20])
  })

  it("names tellers of whose word almost nobody answers, and clocks that are wrong", () => {
    const report = made(
      [sighting("1.0.0.1:1", { clockOffset: -900 }), sighting("2.0.0.1:1", { clockOffset: 300 })],
      [],
      {
        tellers: [
          { teller: "1.0.0.1", sampled: 64, reached: 1 },
          { teller: "2.0.0.1", sampled: 64, reached: 25 },
          { teller: "3.0.0.1", sampled: 3, reached: 0 }
        ]
      }
    )
    assert.deepStrictEqual(
      report.wrongTellers.map(({ teller }) => teller),
      ["1.0.0.1"]
    )
    assert.strictEqual(report.wrongClocks, 1)
  })

  it("says when it is of a run that did not get to everybody", () => {
    const { notes, undialled } = made([sighting("1.0.0.1:1")], [], {
      run: run(9, { ending: "OutOfTime", waiting: 30, doubtful: 12 })
    })
    assert.strictEqual(undialled, 42)
    assert.include(notes, "the run was out of time before everybody was dialled, so its estimate is too low")
  })
})

describe("changes between two runs", () => {
  it("are who came, who went and who runs something else", () => {
    const changes = Report.changes(
      { run: run(1), sightings: [sighting("1.0.0.1:1"), sighting("2.0.0.1:1"), sighting("3.0.0.1:1", gone)] },
      {
        run: run(2),
        sightings: [sighting("1.0.0.1:1", { version: 170_191 }), sighting("2.0.0.1:1", gone), sighting("3.0.0.1:1")]
      }
    )
    const { arrived, changed, departed } = changes
    assert.deepStrictEqual(
      [arrived.map(({ host }) => host), departed.map(({ host }) => host), changed.map(({ after }) => after.host)],
      [["3.0.0.1"], ["2.0.0.1"], ["1.0.0.1"]]
    )
    assert.deepStrictEqual(text.changes(changes).slice(1), [
      "1 arrived, 1 departed, 1 changed",
      "+ 3.0.0.1:1 170190 /Zebra:15.0.0/",
      "- 2.0.0.1:1 170190 /Zebra:15.0.0/",
      "~ 1.0.0.1:1 170190 /Zebra:15.0.0/ -> 170191 /Zebra:15.0.0/"
    ])
  })
})

describe("what is shown of a census", () => {
  it("fits 80 columns and keeps every number, and is whole where there is no terminal", () => {
    const agent = `/${"a".repeat(200)}/`
    const now = Array.from({ length: 12 }, (_, n) =>
      sighting(`[2001:db8:${n}:1111:2222:3333:4444:5555]:65535`, { userAgent: agent })
    )
    const report = made(now, [now.slice(0, 9), now.slice(0, 8)])
    const [whole, fitted] = [text.report(report), text.report(report, 80)]
    assert.isTrue(fitted.every((line) => line.length <= 80))
    assert.isTrue(whole.some((line) => line.length > 200))
    const words = (lines: ReadonlyArray<string>) =>
      lines
        .join(" ")
        .split(/\s+/)
        .filter((word) => /\d/.test(word))
    assert.includeMembers(words(fitted), words(whole.slice(0, 4)))
    assert.match(fitted.join("\n"), /^\/a+… +12$/m)

    const changes = text.changes(
      Report.changes({ run: run(1), sightings: [] }, { run: run(2), sightings: now.slice(0, 1) }),
      80
    )
    assert.isTrue(changes.every((line) => line.length <= 80))
  })
})

describe("a report in words", () => {
  it("sums up the agents behind the ten most frequent, those without a name, and who tells of nobody", () => {
    const agents = Array.from({ length: 12 }, (_, n) => (n === 0 ? "" : `/${String(n).padStart(2, "0")}/`))
    const nodes = agents.flatMap((userAgent, n) =>
      Array.from({ length: 20 - n }, (_, host) => sighting(`${n + 1}.0.0.${host}:1`, { userAgent, height: n * 100 }))
    )
    const lines = text.report(
      made(nodes, [nodes.slice(0, 9), nodes.slice(0, 9)], { tellers: [{ teller: "9.9.9.9", sampled: 64, reached: 1 }] })
    )
    // Twenty without a name, nineteen of the next, and so on: the last two have ten and nine.
    assert.include(lines, "(none)     20")
    assert.include(lines, "others     19")
    assert.include(lines, "9.9.9.9               64         1")
    assert.match(lines.join("\n"), /^heights: \d+ by 1 of 12 groups \(no quorum\); /m)
    assert.match(lines[1] ?? "", /^reachable nodes: 174 \(95 %: \d+ to \d+, best \d+\)$/)
  })

  it("leaves out of a difference what a node does not say", () => {
    const nameless: Partial<Sighting> = { version: null, userAgent: null }
    const lines = text.changes(
      Report.changes(
        { run: run(1), sightings: [sighting("1.0.0.1:1", nameless), sighting("2.0.0.1:1", nameless)] },
        { run: run(2), sightings: [sighting("1.0.0.1:1"), sighting("3.0.0.1:1", nameless)] }
      )
    )
    assert.deepStrictEqual(
      lines.slice(2).map((line) => line.trimEnd()),
      ["+ 3.0.0.1:1", "- 2.0.0.1:1", "~ 1.0.0.1:1   -> 170190 /Zebra:15.0.0/"]
    )
  })

  it("of a host has a line a run, and says when it was reached, or never", () => {
    const reached = sighting("1.0.0.1:1", { runId: 2, at: 7200, latency: 12.4 })
    const refused = sighting("1.0.0.1:1", { ...gone, code: "ECONNREFUSED", latency: null, told: null, at: 3600 })
    const silent = sighting("1.0.0.1:1", { ...gone, reason: null, runId: 3, at: 9000, latency: null, told: null })
    const host = { host: "1.0.0.1", firstDialled: 3600, lastDialled: 9000 }
    const never = { ...host, firstReached: null, lastReached: null, sightings: [refused] }
    assert.include(text.history(never), "never reached")
    const met = { ...host, firstReached: 7200, lastReached: 7200, sightings: [refused, reached, silent] }
    const lines = text.history(met)
    assert.include(
      lines,
      "reached from 1970-01-01T02:00:00.000Z to 1970-01-01T02:00:00.000Z, in 1 of the 3 runs that are kept"
    )
    assert.deepStrictEqual(
      lines.slice(-3).map((line) => line.trim().split(/ {2,}/)),
      [
        ["1", "1970-01-01T01:00:00.000Z", "1.0.0.1:1", "Refused ECONNREFUSED"],
        ["2", "1970-01-01T02:00:00.000Z", "1.0.0.1:1", "node", "170190", "/Zebra:15.0.0/", "3600000", "12 ms", "5"],
        ["3", "1970-01-01T02:30:00.000Z", "1.0.0.1:1"]
      ]
    )
  })

  it("says how far a run is, also before it has begun", () => {
    const begun = { atMillis: 0, elapsedMillis: 0, known: 0, visited: 0, reached: 0, dials: 0, underWay: 0, waiting: 5 }
    const rest = { doubtful: 0, end: null }
    assert.strictEqual(
      text.progress({ ...begun, ...rest }, 50),
      "[....................] 0 of 0 hosts, 0 reached, 0 under way, 0 dials/s, about 50 s left"
    )
    const on = {
      ...begun,
      elapsedMillis: 2000,
      known: 40,
      visited: 10,
      reached: 3,
      dials: 20,
      underWay: 2,
      waiting: 28
    }
    assert.strictEqual(
      text.progress({ ...on, ...rest }, 50),
      "[#####...............] 10 of 40 hosts, 3 reached, 2 under way, 10 dials/s, about 3 s left"
    )
  })
})

describe("an export", () => {
  it("is inert in a spreadsheet and keeps a line a host, whatever an agent is called", () => {
    const lines = text.csv([
      sighting("1.0.0.1:1", { userAgent: '=1+1,"x"' }),
      sighting("2.0.0.1:1", { ...gone, at: 1.5 })
    ])
    assert.deepStrictEqual(lines, [
      "runId,host,group,address,at,how,isReached,reason,code,version,services,userAgent,height,clockOffset,latency,told,claims",
      `1,1.0.0.1,1.0,1.0.0.1:1,3605,Explored,true,,,170190,1,"'=1+1,""x""",3600000,0,10,5,`,
      "1,2.0.0.1,2.0,2.0.0.1:1,1.5,Explored,false,Refused,,,1,,,0,10,5,"
    ])
  })
})
