/// <reference lib="dom" />
/** The node's page before a node that is made up: 200 nodes in one picture, one that falls silent, that restarts, that has a token. */
import { readFileSync } from "node:fs"
import { createServer, type ServerResponse } from "node:http"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import type { BrowserContext, Page } from "playwright-core"
import { assemble } from "../../src/status/PageFiles.ts"
import { open, whyNoBrowser } from "../support/browser.ts"

if (whyNoBrowser !== undefined) console.log(`the page is not tested alone: ${whyNoBrowser}`)

const folder = new URL("../../src/status/page/", import.meta.url)
const { html } = assemble("node.html", (name) => readFileSync(new URL(name, folder), "utf8"))

const nodesCount = 200
const listen = (n: number) => `127.0.${n >> 8}.${n & 255}:18233`
/** Everybody dials the next ten. */
const links = Array.from({ length: nodesCount }, (_, n) =>
  Array.from({ length: 10 }, (_, k): [number, number] => [n, (n + k + 1) % nodesCount])
).flat()

const sample = (at: number, received = 1000) => [at, received, 2000, 10, 10, 12.5, 30, 10, 1, 2]

const snapshot = (process: string, events: ReadonlyArray<unknown> = []) => ({
  _tag: "Snapshot",
  process,
  tick: 1,
  history: { seconds: Array.from({ length: 100 }, (_, n) => sample(1e12 + n * 1000)), minutes: [] },
  totals: [64_282, 1_000_000],
  health: {
    network: "Regtest",
    userAgent: "/network-effect:0.1.0/",
    version: 170_190,
    listen: listen(0),
    wanted: 2,
    inboundLimit: 125,
    outboundLimit: 75
  },
  book: { responded: 30, neverAttempted: 10, failed: 2, attemptPending: 1, total: 43, limit: 5000 },
  bans: [],
  added: [],
  peers: Array.from({ length: 20 }, (_, k) => {
    const other = k < 10 ? k + 1 : nodesCount - (k - 9)
    return {
      id: k + 1,
      addr: listen(other),
      inbound: k >= 10,
      agent: "/network-effect:0.1.0/",
      version: 170_190,
      since: 1e9,
      now: [k + 1, 1000, 1000, 10 + k, "Ready"]
    }
  }),
  nodes: Array.from({ length: nodesCount }, (_, n) => [n, listen(n), "/network-effect:0.1.0/", 170_190]),
  links,
  events
})

describe.skipIf(whyNoBrowser !== undefined)("the page alone", { shuffle: false }, () => {
  let browser: BrowserContext
  let closeBrowser: () => Promise<void> = () => Promise.resolve()
  let page: Page
  let url = ""
  let streams: Array<ServerResponse> = []
  let first: unknown = snapshot("one")
  let token: string | undefined
  const problems: Array<string> = []

  const send = (message: unknown) => {
    for (const stream of streams) stream.write(`event: x\ndata: ${JSON.stringify(message)}\n\n`)
  }

  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url ?? "/", "http://localhost")
    if (pathname === "/") response.setHeader("content-type", "text/html; charset=utf-8").end(html)
    else if (token !== undefined && request.headers.authorization !== `Bearer ${token}`) {
      response.writeHead(401, { "content-type": "application/problem+json" }).end(`{"detail":"Send the token."}`)
    } else if (pathname === "/live") {
      response.setHeader("content-type", "text/event-stream")
      streams.push(response)
      response.write(`event: snapshot\ndata: ${JSON.stringify(first)}\n\n`)
    } else if (pathname === "/addresses") {
      const entry = {
        address: "192.0.2.1:8233",
        state: "Responded",
        inbound: false,
        lastResponse: 1e9,
        lastSeen: null,
        userAgent: null,
        group: "192.0",
        table: "tried"
      }
      response.setHeader("content-type", "application/json").end(JSON.stringify({ found: 1, entries: [entry] }))
    } else response.writeHead(404).end()
  })

  beforeAll(async () => {
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve))
    const at = server.address()
    url = `http://127.0.0.1:${typeof at === "object" ? at?.port : 0}/`
    const started = await open()
    browser = started.browser
    closeBrowser = started.close
    page = await browser.newPage()
    page.setDefaultTimeout(100_000)
    page.on("pageerror", (error) => problems.push(error.message))
    await page.clock.install()
    await page.goto(url)
    await page.getByText("ready, 20 peers").waitFor()
  })

  afterAll(async () => {
    await closeBrowser()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  it("shows 200 nodes, and of their 2000 connections those of the one in the middle", async () => {
    assert.strictEqual(await page.locator("#graph .place").count(), nodesCount)
    assert.strictEqual(await page.locator("#graph .edge").count(), 20)
    assert.strictEqual(
      await page.locator("#caption").textContent(),
      `${listen(0)} has 10 peers it dialled and 10 that dialled it; 179 other nodes are on the rim.`
    )
    const clashes = await page.locator("#graph circle").evaluateAll((circles) => {
      const boxes = circles.map((circle) => circle.getBoundingClientRect())
      const middle = ({ height, left, top, width }: DOMRect) => ({
        x: left + width / 2,
        y: top + height / 2,
        r: width / 2
      })
      return boxes.filter((a, n) =>
        boxes.some((b, m) => {
          const [p, q] = [middle(a), middle(b)]
          // The line around a dot may touch the next one's.
          return m > n && Math.hypot(p.x - q.x, p.y - q.y) < p.r + q.r - 1.6
        })
      ).length
    })
    assert.strictEqual(clashes, 0)
  })

  it("shows the connections among the others for the one under the mouse", async () => {
    const dot = page.locator("#graph .place circle.far").first()
    await dot.hover()
    assert.strictEqual(await page.locator("#graph .edge.shown").count(), 20)
    assert.match(
      (await page.locator("#tip").textContent()) ?? "",
      /^127\.0\.0\.\d+:18233\n\/network-effect:0\.1\.0\/ 170190$/
    )
    await page.locator("#feed").hover()
    assert.strictEqual(await page.locator("#graph .edge.shown").count(), 0)
    assert.isFalse(await page.locator("#tip").isVisible())
  })

  it("puts the node in the middle that one chooses, by mouse and by keyboard", async () => {
    await page.getByLabel("Look at").selectOption(listen(77))
    assert.match((await page.locator("#caption").textContent()) ?? "", /^127\.0\.0\.77:18233 has 10 peers it dialled/)
    assert.strictEqual(await page.locator("#graph .edge").count(), 20)
    await page.locator("#graph .place circle.out").first().click()
    assert.notMatch((await page.locator("#caption").textContent()) ?? "", /^127\.0\.0\.77:/)
    await page.getByLabel("Look at").selectOption({ index: 0 })
    assert.match((await page.locator("#caption").textContent()) ?? "", /^127\.0\.0\.0:18233 has/)
  })

  it("follows nodes and connections as they come and go", async () => {
    const tick = {
      _tag: "Tick",
      tick: 2,
      sample: sample(1e12 + 100_000),
      totals: [1, 1],
      nodesCame: [[200, "127.0.9.9:18233", "/new/", 170_190]],
      nodesWent: [5],
      linked: [[0, 200]],
      unlinked: [[0, 1]]
    }
    send(tick)
    // Again, for a page that a busy machine kept from hearing anything for five seconds has begun anew meanwhile.
    const again = setInterval(() => send(tick), 1000)
    try {
      await page.waitForFunction(() => document.querySelectorAll("#graph .edge").length === 19)
    } finally {
      clearInterval(again)
    }
    assert.strictEqual(await page.locator("#graph .place").count(), nodesCount)
  })

  it("shows what a book says of groups and tables, where it does", async () => {
    assert.deepStrictEqual(await page.locator("#address-columns th").allTextContents(), [
      "Address",
      "State",
      "Answered us",
      "Seen by others",
      "Agent",
      "Group",
      "Table"
    ])
    assert.match((await page.locator("#addresses tr").textContent()) ?? "", /192\.0tried$/)
  })

  it("is of then when a node says nothing for five seconds, and of now when it is back", async () => {
    const disabled = () => page.locator("#connect button").isDisabled()
    // Time stands, so that it is known when the last thing was said.
    await page.clock.pauseAt((await page.evaluate(() => Date.now())) + 1000)
    send({ _tag: "Tick", tick: 3, sample: sample(1e12 + 101_000, 7000), totals: [2, 2] })
    await page.locator("#figure-received .value", { hasText: /^7\.0 KB\/s/ }).waitFor()
    await page.clock.fastForward(4900)
    assert.isFalse(await disabled())
    await page.clock.fastForward(200)
    await page.getByText(/^away since /).waitFor()
    assert.isTrue(await disabled())
    assert.strictEqual(await page.title(), "away · network-effect")
    await page.clock.fastForward(2100)
    await page.getByText("ready, 20 peers").waitFor()
    assert.isFalse(await disabled())
    await page.clock.resume()
  })

  it("shows a node that started anew, whose rates are what they are and whose events begin again", async () => {
    first = snapshot("two", [[0, { _tag: "Listening", at: 1e12, address: "127.0.0.0:18233" }]])
    for (const stream of streams) stream.end()
    streams = []
    await page.getByText(/^away since /).waitFor()
    await page.clock.fastForward(2100)
    await page.getByText("listens on 127.0.0.0:18233").waitFor()
    send({ _tag: "Tick", tick: 2, sample: sample(1e12 + 100_000, 0), totals: [5, 5] })
    await page.locator("#figure-received .value", { hasText: /^0 B\/s/ }).waitFor()
    assert.notInclude((await page.locator("#figures").textContent()) ?? "", "-")
  })

  it("says how many events it missed while the node was away", async () => {
    const listening = (number: number) => [number, { _tag: "Listening", at: 1e12, address: `127.0.0.0:${number}` }]
    first = snapshot("two", [0, 7, 8].map(listening))
    for (const stream of streams) stream.end()
    streams = []
    await page.getByText(/^away since /).waitFor()
    await page.clock.fastForward(2100)
    await page.getByText("listens on 127.0.0.0:8", { exact: true }).waitFor()
    assert.deepStrictEqual(await page.locator("#feed .what").allTextContents(), [
      "listens on 127.0.0.0:8",
      "listens on 127.0.0.0:7",
      "6 events not shown",
      "listens on 127.0.0.0:18233"
    ])
  })

  it("asks for the token of a node that has one, and then for all else with it", async () => {
    token = "open sesame"
    for (const stream of streams) stream.end()
    streams = []
    await page.clock.fastForward(2100)
    await page.getByText("This node has a token").waitFor()
    assert.strictEqual(await page.locator("#ready").textContent(), "locked: it needs its token")
    await page.getByRole("textbox", { name: "Token" }).fill("open sesame")
    await page.getByRole("button", { name: "Unlock" }).click()
    await page.getByText("ready, 20 peers").waitFor()
  })

  it("made no mistake of its own", () => {
    assert.deepStrictEqual(problems, [])
  })
})
