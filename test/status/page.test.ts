/// <reference lib="dom" />
/** The status page in a real browser, of a node with real peers. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope } from "effect"
import type { BrowserContext, Page } from "playwright-core"
import { executablePath, open } from "../support/browser.ts"
import { listenAddress, node, withStatus } from "../support/statusWorld.ts"

const hasBrowser = executablePath !== undefined
if (!hasBrowser) console.log("the status page is not tested: there is no Chromium; name one with CHROMIUM")

const alice = "127.0.10.1"

describe.skipIf(!hasBrowser)("the status page", () => {
  const scope = Effect.runSync(Scope.make())
  const scopes = new Map<string, Scope.Closeable>()
  const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.runPromise(Scope.provide(effect, scope))
  const problems: Array<string> = []
  const asked = new Set<string>()
  let status: Effect.Success<ReturnType<typeof withStatus>>
  let browser: BrowserContext
  let page: Page
  let closeBrowser: () => Promise<void> = () => Promise.resolve()

  /** A node at this IP, which Alice dials. */
  const join = async (ip: string) => {
    const own = await run(Scope.fork(scope))
    scopes.set(ip, own)
    const services = await Effect.runPromise(Scope.provide(Layer.build(node(ip)), own))
    await run(status.client.connect({ payload: { address: listenAddress(services), mode: "onetry" } }))
  }
  const leave = (ip: string) => Effect.runPromise(Scope.close(scopes.get(ip)!, Exit.void))

  const rowOf = (ip: string) => page.locator(`#peers tr[data-peer^="${ip}:"]`)
  const addresses = () =>
    page
      .locator("#peers tr")
      .evaluateAll((rows) => rows.map((row) => row.getAttribute("data-peer")?.replace(/:.*/, "") ?? ""))

  beforeAll(async () => {
    status = await run(withStatus(alice))
    const opened = await open()
    browser = opened.browser
    closeBrowser = opened.close
    page = await browser.newPage()
    page.setDefaultTimeout(10_000)
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") problems.push(message.text())
    })
    page.on("pageerror", (error) => problems.push(error.message))
    page.on("request", (request) => asked.add(new URL(request.url()).host))
    await page.goto(status.url)
  }, 60_000)

  afterAll(async () => {
    await closeBrowser()
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }, 60_000)

  it("says what the node is, and that nobody is there yet", async () => {
    await page.getByText("0 of the 2 peers that make it ready").waitFor()
    assert.strictEqual(await page.locator("#network").textContent(), "Regtest")
    assert.isTrue(await page.getByText("No peer is connected.").isVisible())
    await page.getByText("starts with 0 addresses").first().waitFor()
  })

  it("shows peers as they come: in the table, the picture and the feed", async () => {
    for (const ip of ["127.0.10.2", "127.0.10.3", "127.0.10.10"]) await join(ip)
    for (const ip of ["127.0.10.2", "127.0.10.3", "127.0.10.10"]) await rowOf(ip).waitFor()
    await page.getByText("ready, 3 peers").waitFor()
    await page.getByText(/^connected to 127\.0\.10\.2:/).waitFor()
    assert.strictEqual(await page.locator("#graph .place").count(), 4)
    assert.strictEqual(await page.locator("#graph .edge.out").count(), 3)
    assert.match((await rowOf("127.0.10.2").textContent()) ?? "", /outbound\/network-effect:0\.1\.0\/170190/)
    await page.waitForFunction(() => /ms/.test(document.querySelector("#peers tr td:nth-child(5)")?.textContent ?? ""))
  })

  it("sorts by any column, by mouse and by keyboard, numbers as numbers", async () => {
    const head = page.locator("th[data-key=addr]")
    await head.getByRole("button").click()
    assert.deepStrictEqual(await addresses(), ["127.0.10.2", "127.0.10.3", "127.0.10.10"])
    assert.strictEqual(await head.getAttribute("aria-sort"), "ascending")
    await head.getByRole("button").focus()
    await page.keyboard.press("Enter")
    assert.deepStrictEqual(await addresses(), ["127.0.10.10", "127.0.10.3", "127.0.10.2"])
    assert.strictEqual(await head.getAttribute("aria-sort"), "descending")
  })

  it("shows the peers that fit the filter", async () => {
    await page.getByLabel("Filter peers").fill("10.10")
    assert.deepStrictEqual(await addresses(), ["127.0.10.10"])
    await page.getByLabel("Filter peers").fill("nobody")
    assert.isTrue(await page.getByText("No peer fits the filter.").isVisible())
    await page.getByLabel("Filter peers").fill("")
    assert.strictEqual((await addresses()).length, 3)
  })

  it("shows that a peer left", async () => {
    await leave("127.0.10.3")
    await rowOf("127.0.10.3").waitFor({ state: "detached" })
    await page.getByText(/^lost 127\.0\.10\.3:/).waitFor()
    assert.strictEqual(await page.locator("#graph .place").count(), 3)
  })

  it("bans a peer, which goes, and lifts the ban", async () => {
    await rowOf("127.0.10.2").getByRole("button", { name: /^Ban/ }).click()
    await rowOf("127.0.10.2").waitFor({ state: "detached" })
    const row = page.locator("#bans tr", { hasText: "127.0.10.2" })
    await row.waitFor()
    assert.deepStrictEqual(
      (await run(status.client.bans())).map(({ group }) => group),
      ["127.0.10.2"]
    )
    await row.getByRole("button").click()
    await row.waitFor({ state: "detached" })
    assert.deepStrictEqual(await run(status.client.bans()), [])
  })

  it("says what the node has against a wish", async () => {
    await page.getByLabel("Peer", { exact: true }).fill("nowhere")
    await page.getByRole("button", { name: "Connect", exact: true }).click()
    await page.getByText('"nowhere" is not an address: say ip, ip:port or [ip6]:port.').waitFor()
    assert.include(problems.splice(0).join(), "400")
  })

  it("fits a phone, and every control can be reached by keyboard", async () => {
    await page.setViewportSize({ width: 375, height: 700 })
    const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
    assert.isAtMost(overflow, 0)
    await page.setViewportSize({ width: 1300, height: 900 })
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
    const reached = new Set<string>()
    for (let n = 0; n < 40; n++) {
      await page.keyboard.press("Tab")
      reached.add(
        await page.evaluate(() => (document.activeElement?.textContent || document.activeElement?.ariaLabel) ?? "")
      )
    }
    for (const control of ["API", "Metrics", "Pause", "Address", "Filter peers", "Disconnect", "Connect", "Ban"]) {
      assert.include([...reached], control)
    }
  })

  it("has a light and a dark theme, and keeps the one that was chosen", async () => {
    const paper = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor)
    const first = await paper()
    await page.locator("#theme").click()
    const second = await paper()
    assert.notStrictEqual(first, second)
    await page.reload()
    await page.getByText("Regtest").waitFor()
    assert.strictEqual(await paper(), second)
  })

  it("shows a user agent as it is, and never as a part of itself", async () => {
    const own = await run(Scope.fork(scope))
    scopes.set("127.0.10.11", own)
    const userAgent = "/<img src=x onerror=document.title=1>/"
    const services = await Effect.runPromise(Scope.provide(Layer.build(node("127.0.10.11", { userAgent })), own))
    await run(status.client.connect({ payload: { address: listenAddress(services), mode: "onetry" } }))
    await rowOf("127.0.10.11").waitFor()
    assert.include((await rowOf("127.0.10.11").textContent()) ?? "", userAgent)
    assert.strictEqual(await page.locator("main img").count(), 0)
  })

  it("asked nobody but this node, and complained of nothing", () => {
    assert.deepStrictEqual([...asked], [new URL(status.url).host])
    assert.deepStrictEqual(problems, [])
  })
})
