/** What the page decides by itself, without a browser: lines of the feed, places in the picture, paths, words; and how it is assembled. */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { FileSystem, Layer, Path } from "effect"
import { HttpRouter } from "effect/http"
import { NetworkEvent } from "network-effect"
import { add, kindOf, words } from "../../src/status/page/feed-lines.js"
import * as format from "../../src/status/page/format.js"
import { place } from "../../src/status/page/graph-layout.js"
import * as Reasons from "../../src/network/Reasons.ts"
import * as reasons from "../../src/status/page/reasons.js"
import * as state from "../../src/status/page/state.js"
import { areaPath, linePath } from "../../src/status/page/spark.js"
import * as Documents from "../../src/status/Documents.ts"
import { assemble } from "../../src/status/PageFiles.ts"

type PageEvent = Parameters<typeof kindOf>[0]

const said = (...events: ReadonlyArray<PageEvent>) => {
  let lines: ReturnType<typeof add> = []
  for (const event of events) lines = add(lines, event)
  return lines.map(({ count, event }) => `${count} ${words(event, count)}`)
}

const dial = (at: number, address = "192.0.2.1:8233") => ({ _tag: "DialStarted", at, address })
const failed = (at: number, address = "192.0.2.1:8233") => ({ _tag: "DialFailed", at, address, reason: "ECONNREFUSED" })
const learned = (at: number, count: number, added: number) => ({ _tag: "AddressesLearned", at, count, added })

describe("what a page knows of its node", () => {
  const knowing = () =>
    state.begin({
      process: "p",
      tick: 0,
      history: { seconds: [], minutes: [] },
      totals: [0, 0],
      health: "starting",
      book: {},
      bans: [],
      added: [],
      peers: [{ id: 1, now: [1, 0] }],
      nodes: [],
      links: []
    })

  it("is five minutes of seconds and an hour of minutes, the latest", () => {
    const known = knowing()
    for (let n = 1; n <= 400; n++) state.apply(known, { tick: n, totals: [n, n], sample: n, minute: -n })
    assert.deepStrictEqual([known.seconds.length, known.seconds[0], known.seconds.at(-1)], [300, 101, 400])
    assert.deepStrictEqual([known.minutes.length, known.minutes[0], known.minutes.at(-1)], [60, -341, -400])
  })

  it("changes where it is told, and has nothing of peers that are not there", () => {
    const known = knowing()
    state.apply(known, {
      tick: 1,
      totals: [1, 1],
      sample: 1,
      health: "ready",
      peersNow: [
        [1, 5],
        [2, 6]
      ]
    })
    assert.strictEqual(known.health, "ready")
    assert.deepStrictEqual([...known.peers], [[1, { id: 1, now: [1, 5] }]])
    assert.deepStrictEqual([...known.moved], [1])
  })
})

describe("the reasons of the feed", () => {
  it("are said as in a terminal", () => {
    assert.deepStrictEqual(reasons.known, Reasons.known)
    assert.strictEqual(reasons.ofHandshake("Serialization"), Reasons.ofHandshake("Serialization"))
    assert.strictEqual(
      words({ _tag: "HandshakeFailed", at: 0, address: "192.0.2.1:8233", reason: "RemoteNonceReuse" }),
      "no agreement with 192.0.2.1:8233: this is our own address"
    )
    assert.strictEqual(
      words({ _tag: "PeerDisconnected", at: 0, address: "192.0.2.1:8233", reason: "HeartbeatTaskExited" }),
      "lost 192.0.2.1:8233: it did not answer a ping in time"
    )
  })
})

describe("the lines of the feed", () => {
  it("have a dial and its end as one, and what happens again as one with its count", () => {
    assert.deepStrictEqual(said(dial(1), failed(2), dial(3, "192.0.2.2:8233"), dial(4), failed(5)), [
      "2 could not reach 192.0.2.1:8233: nobody listens there",
      "1 dials 192.0.2.2:8233"
    ])
  })

  it("add up what was learned, in which nothing new is no news", () => {
    assert.deepStrictEqual(said(learned(1, 10, 0)), [])
    assert.deepStrictEqual(said(learned(1, 10, 3), dial(2), learned(3, 1000, 0)), [
      "1 dials 192.0.2.1:8233",
      "2 learned 1,010 addresses in 2 answers, 3 new"
    ])
    assert.deepStrictEqual(said(learned(1, 10, 3), dial(2), learned(3, 20, 1)), [
      "2 learned 30 addresses in 2 answers, 4 new",
      "1 dials 192.0.2.1:8233"
    ])
  })

  it("add up adverts by peer", () => {
    const advert = (connection: number, transactions: number) => ({
      _tag: "InventoryAdvertised",
      at: 1,
      connection,
      blocks: 0,
      transactions
    })
    assert.deepStrictEqual(said(advert(1, 2), advert(2, 1), advert(1, 5)), [
      "2 peer 1 has 0 blocks, 7 transactions",
      "1 peer 2 has 0 blocks, 1 transaction"
    ])
  })

  it("tell apart what is ten minutes apart", () => {
    assert.lengthOf(said(failed(0), failed(600_000)), 1)
    assert.lengthOf(said(failed(0), failed(600_001)), 2)
  })

  it("are bounded by kind, so that dials push out no ban", () => {
    const many = Array.from({ length: 1000 }, (_, n) => failed(n, `192.0.2.1:${n}`))
    const lines = said({ _tag: "PeerBanned", at: 0, group: "192.0.2.9", reason: "a test" }, ...many)
    assert.lengthOf(lines, 121)
    assert.strictEqual(lines.at(-1), "1 banned 192.0.2.9: a test")
    assert.include(lines[0], "192.0.2.1:999")
  })

  it("have words and a kind for every event there is, and for one that comes later", () => {
    const tags = NetworkEvent.members.map(({ fields }) => fields._tag.schema.literal)
    assert.isAbove(tags.length, 14)
    for (const _tag of tags) {
      const text = words({
        _tag,
        at: 0,
        address: "a",
        reason: "b",
        userAgent: "c",
        direction: "inbound",
        group: "d",
        task: "e",
        count: 1,
        added: 1,
        blocks: 1,
        transactions: 1,
        connection: 1,
        network: "f",
        ofNetwork: 2,
        newcomer: "g"
      })
      assert.notInclude(text, "undefined", _tag)
      assert.notInclude(text, _tag, "in words")
    }
    assert.strictEqual(kindOf({ _tag: "SomethingNew", at: 0 }), "node")
    assert.strictEqual(words({ _tag: "SomethingNew", at: 0, address: "a", count: 3, list: [1] }), "something new a, 3")
  })
})

describe("the picture", () => {
  const named = (count: number) => Array.from({ length: count }, (_, n) => ({ key: `k${n}`, ping: n + 1 }))
  const box = { width: 700, height: 440 }

  it.each([
    ["a screen", { width: 700, height: 440 }, 60],
    ["a phone", { width: 340, height: 320 }, 20]
  ] as const)("has every node inside, and none on another, with 200 of them on %s", (_, box, count) => {
    const others = Array.from({ length: 200 - count }, (_, n) => `o${n}`)
    const places = [...place({ ...box, peers: named(count), others }).values()]
    assert.lengthOf(places, 200)
    for (const { r, x, y } of places) {
      assert.isTrue(x - r >= 0 && x + r <= box.width && y - r >= 0 && y + r <= box.height)
    }
    const clashes = places.flatMap((a, n) =>
      places.slice(n + 1).filter((b) => Math.hypot(a.x - b.x, a.y - b.y) < a.r + b.r)
    )
    assert.deepStrictEqual(clashes, [])
  })

  it("has the quicker peer nearer to the middle, and one that was not pinged at the edge", () => {
    const peers = [...named(8), { key: "silent", ping: null }]
    const places = place({ ...box, peers, others: [] })
    // In units of the ellipse.
    const out = (key: string) => {
      const at = places.get(key)
      return at === undefined ? NaN : Math.hypot((at.x - 350) / Math.min(310, 194 * 1.5), (at.y - 220) / 194)
    }
    for (let n = 1; n < 8; n++) assert.isAbove(out(`k${n}`), out(`k${n - 1}`))
    assert.closeTo(out("silent"), 1, 1e-9)
  })

  it("has the same places, in whichever order it is told of them", () => {
    const peers = named(20)
    assert.deepStrictEqual(
      new Map([...place({ ...box, peers, others: [] })].toSorted()),
      new Map([...place({ ...box, peers: peers.toReversed(), others: [] })].toSorted())
    )
  })
})

describe("lines", () => {
  it("go from left to right, break where there is no value, and end at the right when they are young", () => {
    assert.strictEqual(linePath([0, 10], { most: 10, height: 30 }), "M0.00 30.00L100.00 0.00")
    assert.strictEqual(linePath([5, null, 5], { most: 10, height: 30 }), "M0.00 15.00M100.00 15.00")
    assert.strictEqual(linePath([5, 5], { most: 10, height: 30, places: 5 }), "M75.00 15.00L100.00 15.00")
    assert.strictEqual(linePath([5], { most: 10, height: 30 }), "M100.00 15.00")
    assert.strictEqual(linePath([0], { most: 0, height: 30 }), "M100.00 30.00")
    assert.strictEqual(linePath([], { most: 1, height: 30 }), "")
  })

  it("have an area between two of them", () => {
    assert.strictEqual(
      areaPath([0, 0], [10, 5], { most: 10, height: 30 }),
      "M0.00 0.00L100.00 15.00L100.00 30.00L0.00 30.00Z"
    )
  })
})

describe("words", () => {
  it("are those one says", () => {
    assert.strictEqual(format.size(999), "999 B")
    assert.strictEqual(format.size(1000), "1.0 KB")
    assert.strictEqual(format.size(64_282), "64 KB")
    assert.strictEqual(format.size(3e15), "3000.0 TB")
    assert.strictEqual(format.ping(null), "–")
    assert.strictEqual(format.ping(1.25), "1.3 ms")
    assert.strictEqual(format.ping(12.4), "12 ms")
    assert.strictEqual(format.age(-5), "0 s")
    assert.strictEqual(format.age(59.4), "59 s")
    assert.strictEqual(format.age(3599), "59 min")
    assert.strictEqual(format.age(7200), "2 h")
    assert.strictEqual(format.age(172_800), "2 d")
    assert.strictEqual(format.inWords("HeartbeatTaskExited"), "heartbeat task exited")
    assert.strictEqual(format.inWords("too-soon"), "too-soon")
    assert.strictEqual(format.services("0000000000000001"), "network")
    assert.strictEqual(format.services("0000000000000405"), "network, bloom, 0x400")
    assert.strictEqual(format.services("0000000000000000"), "none")
  })
})

describe("the tables of an address book", () => {
  it("are said in a line, and nothing of a book without", () => {
    const tables = { new: 120, tried: 60, tested: 2, groups: 1 }
    assert.strictEqual(
      format.tablesLine(tables, ["192.0.2.1:8233", "[2001:db8::1]:8233"]),
      "Heard of 120, met 60, 2 of them to be tested, in 1 part of the internet. " +
        "Dialled first after a start: 192.0.2.1:8233, [2001:db8::1]:8233."
    )
    assert.strictEqual(
      format.tablesLine({ ...tables, tested: 0, groups: 90 }, []),
      "Heard of 120, met 60, in 90 parts of the internet. Nobody is an anchor."
    )
    assert.strictEqual(format.tablesLine({ ...tables, groups: 0 }, []), "")
    assert.strictEqual(format.tablesLine(undefined, []), "")
  })
})

describe("a page's files", () => {
  const folder = new URL("../../src/status/page/", import.meta.url).pathname
  const read = (name: string) => readFileSync(join(folder, name), "utf8")

  it("become one document that asks for nothing else, and whose scripts can be read", () => {
    for (const page of readdirSync(folder).filter((name) => name.endsWith(".html"))) {
      const { html, scripts, styles } = assemble(page, read)
      assert.isAbove(styles.length, 1)
      assert.lengthOf(scripts, 1)
      assert.notMatch(html, /rel="stylesheet"|<script[^>]* src=|^import |^export /m)
      // It is a program: what is not one throws here.
      assert.doesNotThrow(() => new Function(scripts.join("\n")))
    }
  })

  it("all belong to some page, and each is one that can be read at a time", () => {
    const pages = readdirSync(folder).filter((name) => name.endsWith(".html"))
    const used = new Set(pages)
    for (const page of pages) {
      assemble(page, (name) => {
        used.add(name)
        return read(name)
      })
    }
    assert.deepStrictEqual([...used].toSorted(), readdirSync(folder).toSorted())
    for (const name of used) if (name.endsWith(".js")) assert.isAtMost(read(name).split("\n").length, 320, name)
  })

  it("come in the order in which they can run, each once, with names of their own", () => {
    const files: Record<string, string> = {
      "a.html": `<script type="module" src="main.js"></script>`,
      "main.js": `import { one } from "./left.js"\nimport { two } from "./right.js"\nconst own = 1\nglobalThis.assembled = [one, two, own]\n`,
      "left.js": `import { $ } from "./base.js"\nconst own = 2\nexport const one = $(own)\n`,
      "right.js": `import {\n  $\n} from "./base.js"\nconst own = 3\nexport const two = $(own)\n`,
      "base.js": `export const $ = (value) => [value]\n`
    }
    const { scripts } = assemble("a.html", (name) => {
      const text = files[name]
      if (text === undefined) throw new Error(name)
      return text
    })
    const scope: { assembled?: unknown } = {}
    new Function("globalThis", scripts.join(""))(scope)
    assert.deepStrictEqual(scope.assembled, [[2], [3], 1])
    assert.lengthOf([...scripts.join("").matchAll(/const \$ =/g)], 1)
  })

  it("say which file is missing", () => {
    assert.throws(
      () =>
        assemble("a.html", (name) => {
          if (name === "a.html") return `<link rel="stylesheet" href="gone.css" />`
          throw new Error(`no file ${name}`)
        }),
      "no file gone.css"
    )
  })
})

describe("a page whose files were left behind", () => {
  it("says where they belong, as of a program that was bundled into one file", async () => {
    const nothing = Layer.merge(FileSystem.layerNoop({}), Path.layer)
    const { dispose, handler } = HttpRouter.toWebHandler(Layer.provide(Documents.layer, nothing), {
      disableLogger: true
    })
    const answer = await handler(new Request("http://localhost/"))
    await dispose()
    assert.strictEqual(answer.status, 404)
    assert.deepInclude(await answer.json(), {
      detail: `The files of this page are not at ${new URL("../../src/status/page/", import.meta.url).pathname}: copy the folder dist/src/status/page of network-effect there.`
    })
  })
})
