/// <reference lib="dom" />
/** The node's page in a real browser, of a node with real peers. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Duration, Effect, Exit, Layer, Scope } from "effect"
import type { BrowserContext, Page } from "playwright-core"
import { open, violations, whyNoBrowser } from "../support/browser.ts"
import { listenAddress, node, withStatus } from "../support/statusWorld.ts"

if (whyNoBrowser !== undefined) console.log(`the status page is not tested: ${whyNoBrowser}`)

const alice = "127.0.10.1"
// A story on one page: each test goes on from where the one before has left it, in whatever order others run.
describe.skipIf(whyNoBrowser !== undefined)("the status page", { shuffle: false }, () => {
  const scope = Effect.runSync(Scope.make())
  const scopes = new Map<string, Scope.Closeable>()
  const run = <A, E>(effect: Effect.Effect<A, E, Scope.Scope>) => Effect.runPromise(Scope.provide(effect, scope))
  const problems: Array<string> = []
  const asked: Array<string> = []
  let status: Effect.Success<ReturnType<typeof withStatus>>
  let statusScope: Scope.Closeable
  let browser: BrowserContext
  let page: Page
  let closeBrowser: () => Promise<void> = () => Promise.resolve()

  const opened = async (url: string) => {
    const page = await browser.newPage()
    page.setDefaultTimeout(100_000)
    page.on("console", (message) => {
      if (message.type() === "error" || message.type() === "warning") problems.push(message.text())
    })
    page.on("pageerror", (error) => problems.push(error.message))
    page.on("request", (request) => asked.push(request.url()))
    await page.goto(url)
    return page
  }

  /** A node at this IP, which Alice dials and which dials nobody. */
  const join = async (ip: string, settings: Parameters<typeof node>[1] = {}) => {
    const own = await run(Scope.fork(scope))
    scopes.set(ip, own)
    const services = await Effect.runPromise(
      Scope.provide(Layer.build(node(ip, { policy: { outboundMultiplier: 0 }, ...settings })), own)
    )
    await run(status.client.connect({ payload: { address: listenAddress(services), mode: "onetry" } }))
  }
  const leave = (ip: string) => Effect.runPromise(Scope.close(scopes.get(ip)!, Exit.void))

  const rowOf = (ip: string) => page.locator(`#peers tr.row[data-peer^="${ip}:"]`)
  const addresses = () =>
    page
      .locator("#peers tr.row")
      .evaluateAll((rows) => rows.map((row) => row.getAttribute("data-peer")?.replace(/:.*/, "") ?? ""))

  beforeAll(async () => {
    statusScope = await run(Scope.fork(scope))
    // It tries again so late that a test says when somebody comes back.
    status = await Effect.runPromise(
      Scope.provide(withStatus(alice, { policy: { reconnectDelay: Duration.hours(1) } }), statusScope)
    )
    const started = await open()
    browser = started.browser
    closeBrowser = started.close
    page = await opened(status.url)
  })

  afterAll(async () => {
    await closeBrowser()
    await Effect.runPromise(Scope.close(scope, Exit.void))
  })

  it("says what the node is, and that nobody is there yet", async () => {
    await page.getByText("0 of the 2 peers that make it ready").waitFor()
    assert.strictEqual(await page.locator("#network").textContent(), "Regtest")
    assert.isTrue(await page.getByText("No peer is connected.").isVisible())
    await page.getByText("has 0 addresses to begin with").first().waitFor()
  })

  it("shows peers as they come: in the table, the picture, the feed and by what they run", async () => {
    for (const ip of ["127.0.10.2", "127.0.10.3", "127.0.10.10"]) await join(ip)
    for (const ip of ["127.0.10.2", "127.0.10.3", "127.0.10.10"]) await rowOf(ip).waitFor()
    await page.getByText("ready, 3 peers").waitFor()
    await page.getByText(/^connected to 127\.0\.10\.2:/).waitFor()
    assert.strictEqual(await page.locator("#graph .place").count(), 4)
    assert.strictEqual(await page.locator("#graph .edge.out").count(), 3)
    assert.match((await rowOf("127.0.10.2").textContent()) ?? "", /outbound\/network-effect:0\.1\.0\/170190/)
    await page.waitForFunction(() => /ms/.test(document.querySelector("#peers tr td:nth-child(5)")?.textContent ?? ""))
    assert.strictEqual(await page.locator("#agents li").textContent(), "/network-effect:0.1.0/3 · 100 %")
    assert.strictEqual(await page.locator("#versions li").textContent(), "1701903 · 100 %")
    // Hosts on loopback are near, and each is a network of its own.
    assert.strictEqual(await page.locator("#peer-networks li").count(), 3)
  })

  it("asks once and then reads one stream", async () => {
    await page.waitForFunction(() =>
      document.querySelector("#figure-received path:last-of-type")?.getAttribute("d")?.includes("L")
    )
    // The list of addresses and an open peer are asked for when somebody looks; all else comes by itself.
    const polled = asked
      .map((url) => new URL(url).pathname)
      .filter((path) => !["/", "/live", "/addresses"].includes(path))
    assert.deepStrictEqual(polled, [])
    assert.strictEqual(asked.filter((url) => new URL(url).pathname === "/live").length, 1)
  })

  it("draws bytes, peers and latency over time, which a reload does not lose", async () => {
    const points = (id: string) =>
      page
        .locator(`#figure-${id} path`)
        .last()
        .evaluate((path) => (path.getAttribute("d") ?? "").split(/[ML]/).length - 1)
    await page.waitForFunction(
      () => (document.querySelector("#figure-latency path:last-of-type")?.getAttribute("d") ?? "").split("L").length > 2
    )
    const before = {
      outbound: await points("outbound"),
      received: await points("received"),
      latency: await points("latency")
    }
    const feed = await page.locator("#feed li").count()
    const since = await page.locator("#figure-received .from").textContent()
    await page.reload()
    await page.getByText("ready, 3 peers").waitFor()
    for (const id of ["outbound", "received", "latency"] as const) assert.isAtLeast(await points(id), before[id], id)
    assert.strictEqual(await page.locator("#figure-received .from").textContent(), since)
    assert.isAtLeast(await page.locator("#feed li").count(), feed)
    const { seconds } = await run(status.client.history())
    assert.isAtLeast(seconds.length, before.received)
    await page.getByRole("button", { name: "1 hour" }).click()
    assert.strictEqual(await page.getByRole("button", { name: "1 hour" }).getAttribute("aria-pressed"), "true")
    await page.getByRole("button", { name: "5 minutes" }).click()
  })

  it("opens a peer: what it is, its pings, its messages by type, its events", async () => {
    const open = rowOf("127.0.10.2").getByRole("button").first()
    await open.focus()
    await page.keyboard.press("Enter")
    const detail = page.locator("#peers tr.detail")
    await detail.getByText("Services").waitFor()
    const text = (await detail.textContent()) ?? ""
    assert.match(text, /Servicesnetwork/)
    assert.match(text, /Height at startnot told/)
    assert.match(text, /Version170190, spoken 170190/)
    assert.match(text, /connected to 127\.0\.10\.2:/)
    assert.isAtLeast(
      Number(await detail.locator(".messages tr", { hasText: "version" }).locator("td").nth(1).textContent()),
      1
    )
    // It goes on by itself: a ping a second here.
    const pings = () => detail.locator(".spark").getAttribute("aria-label")
    const before = await pings()
    await page.waitForFunction(
      (before) => document.querySelector("tr.detail .spark")?.getAttribute("aria-label") !== before,
      before
    )
    assert.match((await pings()) ?? "", /^\d+ pings, at most .* ms, the latest .* ms$/)
    assert.strictEqual(await open.getAttribute("aria-expanded"), "true")
    await detail.locator(".feed").focus()
    await page.keyboard.press("Escape")
    await detail.waitFor({ state: "detached" })
    assert.strictEqual(await page.evaluate(() => document.activeElement?.textContent?.replace(/:.*/, "")), "127.0.10.2")
  })

  it("opens the peer that is clicked in the picture", async () => {
    await page.locator("#graph .place", { hasText: "127.0.10.3" }).locator("circle").click()
    await page.locator("#peers tr.detail").getByText("127.0.10.3:").first().waitFor()
    await rowOf("127.0.10.3").getByRole("button").first().click()
    await page.locator("#peers tr.detail").waitFor({ state: "detached" })
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

  it("shows the peers that fit the filter, also by a click on what they run", async () => {
    await page.getByLabel("Filter peers").fill("10.10")
    assert.deepStrictEqual(await addresses(), ["127.0.10.10"])
    await page.getByLabel("Filter peers").fill("nobody")
    assert.isTrue(await page.getByText("No peer fits the filter.").isVisible())
    await page.locator("#versions").getByRole("button", { name: "170190" }).click()
    assert.strictEqual((await addresses()).length, 3)
    assert.strictEqual(await page.getByLabel("Filter peers").inputValue(), "170190")
    await page.locator("#peer-networks").getByRole("button").first().click()
    assert.strictEqual((await addresses()).length, 1)
    await page.getByLabel("Filter peers").fill("")
  })

  it("lists addresses, and those that fit a search", async () => {
    await page.locator("#addresses tr", { hasText: "127.0.10.10" }).waitFor()
    await page.getByLabel("Search addresses").fill("10.3")
    await page.getByText("1 address that fits, in the order they would be dialled.").waitFor()
    assert.strictEqual(await page.locator("#addresses tr").count(), 1)
    await page.getByLabel("Search addresses").fill("RESPONDED")
    await page.getByText("3 addresses that fit, in the order they would be dialled.").waitFor()
    await page.getByLabel("Search addresses").fill("nobody")
    await page.getByText("No address fits.").waitFor()
    await page.getByLabel("Search addresses").fill("")
    await page.getByText("3 addresses, in the order they would be dialled.").waitFor()
    assert.match((await page.locator("#key").textContent()) ?? "", /^3 responded0 heard of/)
  })

  it("shows that a peer left", async () => {
    await leave("127.0.10.3")
    await rowOf("127.0.10.3").waitFor({ state: "detached" })
    await page.getByText(/^lost 127\.0\.10\.3:/).waitFor()
    assert.strictEqual(await page.locator("#graph .place").count(), 3)
  })

  it("shows the kinds of events that are wanted, and remembers which", async () => {
    const kind = (name: string) => page.locator("#kinds").getByRole("button", { name })
    await kind("Peers").click()
    assert.strictEqual(await kind("Peers").getAttribute("aria-pressed"), "false")
    assert.strictEqual(await page.locator("#feed li[data-kind=peers]").count(), 0)
    assert.isAbove(await page.locator("#feed li[data-kind=node]").count(), 0)
    await page.reload()
    await page.locator("#feed li[data-kind=node]").first().waitFor()
    assert.strictEqual(await page.locator("#feed li[data-kind=peers]").count(), 0)
    await kind("Peers").click()
    assert.isAbove(await page.locator("#feed li[data-kind=peers]").count(), 2)
  })

  it("holds the feed, keeps what happens meanwhile, and then shows it", async () => {
    await page.getByRole("button", { name: "Pause" }).click()
    const before = await page.locator("#feed li").count()
    await join("127.0.10.4")
    await rowOf("127.0.10.4").waitFor()
    await page.getByRole("button", { name: /^Go on \(\d+ new\)$/ }).waitFor()
    assert.strictEqual(await page.locator("#feed li").count(), before)
    await page.getByRole("button", { name: /^Go on/ }).click()
    await page.getByText(/^connected to 127\.0\.10\.4:/).waitFor()
  })

  it("makes one line of what happens again", async () => {
    const dial = () =>
      run(Effect.ignore(status.client.connect({ payload: { address: "127.0.10.99:1", mode: "onetry" } })))
    for (let n = 0; n < 3; n++) await dial()
    const line = page.locator("#feed li", { hasText: "could not reach 127.0.10.99:1: nobody listens there" })
    await line.getByText("× 3").waitFor()
    assert.strictEqual(await line.count(), 1)
    assert.strictEqual(await page.getByText("dials 127.0.10.99:1").count(), 0)
  })

  it("bans a peer, says so in its place, and takes it back", async () => {
    await rowOf("127.0.10.2").getByRole("button", { name: /^Ban/ }).click()
    const note = page.locator("#peers tr.note")
    await note.getByText(/^127\.0\.10\.2 is banned until /).waitFor()
    await rowOf("127.0.10.2").waitFor({ state: "detached" })
    assert.deepStrictEqual(
      (await run(status.client.bans())).map(({ group }) => group),
      ["127.0.10.2"]
    )
    await page.locator("#bans li", { hasText: "127.0.10.2" }).waitFor()
    // The hand is there already.
    assert.strictEqual(
      await page.evaluate(() => document.activeElement?.getAttribute("aria-label")),
      "Undo the ban of 127.0.10.2"
    )
    await page.keyboard.press("Enter")
    await note.getByText(/^The ban of 127\.0\.10\.2 is lifted, and 127\.0\.10\.2:\d+ is connected again\.$/).waitFor()
    assert.deepStrictEqual(await run(status.client.bans()), [])
    await rowOf("127.0.10.2").waitFor()
    await note.getByRole("button", { name: "Dismiss this message" }).click()
    await note.waitFor({ state: "detached" })
  })

  it("bans and lifts by the form, and takes that back too", async () => {
    await page.locator("#ban").getByLabel("Host").fill("127.0.10.77")
    await page.locator("#ban").getByRole("button", { name: "Ban", exact: true }).click()
    await page
      .locator("#ban .said")
      .getByText(/^127\.0\.10\.77 is banned until /)
      .waitFor()
    await page.locator("#ban").getByRole("button", { name: "Undo the ban of 127.0.10.77" }).click()
    await page.locator("#ban .said").getByText("The ban of 127.0.10.77 is lifted.").waitFor()
    await page.locator("#ban").getByLabel("Host").fill("127.0.10.78")
    await page.locator("#ban").getByRole("button", { name: "Ban", exact: true }).click()
    await page.getByRole("button", { name: "Lift the ban of 127.0.10.78" }).click()
    await page.getByText("Nobody is banned.").waitFor()
  })

  it("says what the node has against a wish where it was made, and keeps what was typed", async () => {
    await page.getByLabel("Peer", { exact: true }).fill("nowhere")
    await page.getByRole("button", { name: "Connect", exact: true }).click()
    const said = page.locator("#connect .said")
    await said.getByText('"nowhere" is not an address: say ip, ip:port or [ip6]:port.').waitFor()
    const [box, form] = [await said.boundingBox(), await page.locator("#connect").boundingBox()]
    assert.isTrue(box !== null && form !== null && box.y >= form.y && box.y + box.height <= form.y + form.height)
    assert.strictEqual(await page.getByLabel("Peer", { exact: true }).inputValue(), "nowhere")
    await page.locator("#ban").getByLabel("Host").fill("everybody")
    await page.locator("#ban").getByRole("button", { name: "Ban", exact: true }).click()
    await page
      .locator("#ban .said")
      .getByText(/^"everybody" is not an address/)
      .waitFor()
    // What the browser says of a field by itself is not said beside what was said of another one.
    await page.locator("#ban").getByLabel("Hours").fill("0")
    await page.locator("#ban").getByRole("button", { name: "Ban", exact: true }).click()
    await page.locator("#ban .said").waitFor({ state: "hidden" })
    assert.isFalse(await page.locator("#ban").evaluate((form: HTMLFormElement) => form.checkValidity()))
    await page.locator("#ban").getByLabel("Hours").fill("24")
    // Nobody can type what only the interface would refuse, in its own words.
    await page.locator("#ban").getByLabel("Host").fill("")
    await page.locator("#ban").getByLabel("Host").pressSequentially("9".repeat(70))
    assert.lengthOf(await page.locator("#ban").getByLabel("Host").inputValue(), 60)
    assert.strictEqual(
      problems
        .splice(0)
        .filter((problem) => !problem.includes("400"))
        .join(),
      ""
    )
  })

  it("fits a phone and a tablet with cards, and a screen, where no button is out of sight", async () => {
    for (const width of [375, 768, 1000, 1280]) {
      await page.setViewportSize({ width, height: 900 })
      const overflows = await page.evaluate(() =>
        [document.documentElement, ...document.querySelectorAll("[role=region]")].map(
          ({ clientWidth, scrollWidth }) => scrollWidth - clientWidth
        )
      )
      assert.deepStrictEqual(overflows, [0, 0, 0], `${width}`)
    }
    await page.setViewportSize({ width: 375, height: 900 })
    const row = rowOf("127.0.10.10")
    assert.strictEqual(await row.evaluate((row) => getComputedStyle(row).display), "grid")
    const inside = await row.evaluate((row) => {
      const { left, right } = row.getBoundingClientRect()
      return [...row.children].every((cell) => {
        const box = cell.getBoundingClientRect()
        return box.left >= left && box.right <= right
      })
    })
    assert.isTrue(inside, "nothing is beside its card")
    assert.strictEqual(
      await row
        .locator("td")
        .nth(4)
        .evaluate((cell) => getComputedStyle(cell, "::before").content),
      '"Ping"'
    )
    await page.getByLabel("Sort by").selectOption("Address")
    assert.deepStrictEqual((await addresses())[0], "127.0.10.2")
    await page.setViewportSize({ width: 1300, height: 900 })
  })

  it("can be used by keyboard alone", async () => {
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
    const reached = new Set<string>()
    for (let n = 0; n < 80; n++) {
      await page.keyboard.press("Tab")
      reached.add(
        await page.evaluate(() => {
          const at = document.activeElement
          return at?.ariaLabel || at?.closest("label")?.firstChild?.textContent?.trim() || at?.textContent || ""
        })
      )
    }
    const controls = ["To the peers", "API", "Metrics", "5 minutes", "Pause", "Bans", "Address", "Filter peers"]
    for (const control of [...controls, "Connect", "Hours", "Search addresses", "Events, newest first"]) {
      assert.include([...reached], control)
    }
    assert.isTrue([...reached].some((name) => name.startsWith("Disconnect 127.0.10.")))
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
    await page.locator("#theme").click()
  })

  it("moves nothing for those who asked for that", async () => {
    const animated = () =>
      page
        .locator("#graph .new")
        .first()
        .evaluate((shape) => getComputedStyle(shape).animationName)
    assert.strictEqual(await animated(), "appear")
    await page.emulateMedia({ reducedMotion: "reduce" })
    assert.strictEqual(await animated(), "none")
    await page.emulateMedia({ reducedMotion: null })
  })

  it("has nothing that axe-core finds, in both themes, on a screen and on a phone, with a peer open", async () => {
    await rowOf("127.0.10.2").getByRole("button").first().click()
    await page.locator("#peers tr.detail").getByText("Services").waitFor()
    for (const theme of ["light", "dark"]) {
      if ((await page.evaluate(() => document.documentElement.dataset["theme"])) !== theme)
        await page.locator("#theme").click()
      for (const width of [1280, 375]) {
        await page.setViewportSize({ width, height: 900 })
        assert.deepStrictEqual(await violations(page), [], `${theme}, ${width}`)
      }
    }
    await page.setViewportSize({ width: 1300, height: 900 })
    await rowOf("127.0.10.2").getByRole("button").first().click()
  })

  it("is told by axe-core when something is wrong, so that the test before can fail", async () => {
    const other = await opened("about:blank")
    await other.setContent("<html><body><img src=data:,><button></button></body></html>")
    const found = await violations(other)
    assert.isTrue(found.some((violation) => violation.startsWith("button-name:")))
    await other.close()
  })

  it("asks for the token of a node that has one, and says at the field what is wrong with another", async () => {
    const locked = await run(withStatus("127.0.10.60", { token: "open sesame" }))
    const other = await opened(locked.url)
    const dialog = other.getByRole("dialog", { name: "This node has a token" })
    await dialog.waitFor()
    assert.deepStrictEqual(await violations(other), [])
    const give = async (token: string) => {
      await dialog.getByLabel("Token").fill(token)
      await other.keyboard.press("Enter")
    }
    await give("ключ")
    await dialog
      .getByRole("alert")
      .getByText("A token has printable ASCII characters, and no blank at an end.")
      .waitFor()
    await give("sesame")
    await dialog.getByRole("alert").getByText("This is not the token of this node.").waitFor()
    await give("open sesame")
    await other.getByText("0 of the 2 peers that make it ready").waitFor()
    assert.isFalse(await dialog.isVisible())
    // It is kept for this tab.
    await other.reload()
    await other.getByText("0 of the 2 peers that make it ready").waitFor()
    assert.isFalse(await dialog.isVisible())
    await other.close()
    // What was asked of another node is told apart.
    asked.splice(0, Infinity, ...asked.filter((url) => !url.startsWith(locked.url)))
    assert.deepStrictEqual(
      problems.splice(0).filter((problem) => !problem.includes("401")),
      []
    )
  })

  it("shows a user agent as it is, and never as a part of itself", async () => {
    const userAgent = "/<img src=x onerror=document.title=1>/"
    await join("127.0.10.11", { userAgent })
    await rowOf("127.0.10.11").waitFor()
    assert.include((await rowOf("127.0.10.11").textContent()) ?? "", userAgent)
    await rowOf("127.0.10.11").getByRole("button").first().click()
    await page.locator("#peers tr.detail").getByText(userAgent).first().waitFor()
    assert.strictEqual(await page.locator("main img").count(), 0)
    await rowOf("127.0.10.11").getByRole("button").first().click()
  })

  it("may run nothing but its own script and styles", async () => {
    const response = await page.request.get(status.url)
    const policy = response.headers()["content-security-policy"] ?? ""
    assert.notInclude(policy, "unsafe")
    assert.match(policy, /script-src 'sha256-[^']+'; style-src 'sha256-[^']+' 'sha256-[^']+'; /)
    await page.evaluate(() => {
      const script = document.createElement("script")
      script.textContent = "document.title = 'taken over'"
      document.body.append(script)
    })
    assert.notStrictEqual(await page.title(), "taken over")
    assert.match(problems.splice(0).join(), /Content Security Policy/)
  })

  it("asked nobody but this node, and complained of nothing", () => {
    assert.deepStrictEqual(
      [...new Set(asked.filter((url) => url !== "about:blank").map((url) => new URL(url).host))],
      [new URL(status.url).host]
    )
    assert.deepStrictEqual(problems, [])
  })

  it("is visibly of then when the node is away, with everything that asks it disabled", async () => {
    await Effect.runPromise(Scope.close(statusScope, Exit.void))
    await page.getByText(/^away since .*: what is shown is of then$/).waitFor()
    assert.strictEqual(await page.locator("#ready").getAttribute("class"), "state bad")
    const controls = page.locator(".asks")
    assert.isAbove(await controls.count(), 8)
    for (const control of await controls.all()) assert.isTrue(await control.isDisabled())
    for (const ip of ["127.0.10.2", "127.0.10.10"]) {
      assert.isTrue(await rowOf(ip).getByRole("button", { name: /^Ban/ }).isDisabled())
    }
    assert.isAtLeast(await page.locator("#peers tr.row").count(), 3)
    for (const open of await page.locator("#peers tr.row .opens").all()) assert.isTrue(await open.isDisabled())
    assert.deepStrictEqual(await violations(page), [])
  })
})
