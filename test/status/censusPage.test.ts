/// <reference lib="dom" />
/** The page of a census: what its server answers, and the page in a real browser, over a store with forty days of runs. */
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { ConfigProvider, Context, Effect, Exit, Layer, Option, References, Scope } from "effect"
import { PeerSocketAddress } from "network-effect"
import { SqliteClient, StatusServer } from "network-effect/layers"
import type { BrowserContext, Page } from "playwright-core"
import { CensusStore, CensusStoreError } from "../../src/census/CensusStore.ts"
import { StatusListening, StatusNeedsToken } from "../../src/status/StatusAddress.ts"
import { open, violations, whyNoBrowser } from "../support/browser.ts"
import { addressOf, fill, firstRunAt } from "../support/censusHistory.ts"

if (whyNoBrowser !== undefined) console.log(`the page of a census is not tested: ${whyNoBrowser}`)

const at = PeerSocketAddress.fromStringUnsafe
const local = at("127.0.0.1:0")

/** A server of a store on a free port until the scope closes: where it is. */
const serving = <E>(
  store: Layer.Layer<CensusStore, E>,
  { address = local, token }: { readonly address?: PeerSocketAddress.PeerSocketAddress; readonly token?: string } = {}
) =>
  Layer.build(
    StatusServer.layerCensus(address).pipe(
      Layer.provide(store),
      Layer.provide(
        ConfigProvider.layer(
          ConfigProvider.fromUnknown(token === undefined ? {} : { NETWORK_EFFECT_STATUS_TOKEN: token })
        )
      ),
      Layer.provide(Layer.succeed(References.MinimumLogLevel, "None"))
    )
  ).pipe(
    Effect.map((services) => {
      const { address } = Context.get(services, StatusListening)
      return `http://${PeerSocketAddress.format(Option.getOrThrow(address))}`
    })
  )

const ask = (url: string, init: RequestInit = {}) =>
  Effect.promise(async () => {
    const response = await fetch(url, { redirect: "manual", ...init })
    const text = await response.text()
    return { status: response.status, headers: response.headers, body: text.startsWith("{") ? JSON.parse(text) : text }
  })

/** A store whose questions all fail. */
const broken = Layer.effect(
  CensusStore,
  Effect.sync(() => {
    const error = new CensusStoreError({ reason: "Unreachable", message: "The database is away.", cause: "a test" })
    const fail = () => Effect.fail(error)
    return CensusStore.of({
      begin: fail,
      record: fail,
      runs: fail,
      sightings: fail,
      reachedBefore: fail,
      tellers: fail,
      versions: fail,
      guests: fail,
      host: fail,
      prune: fail
    })
  })
)

const directory = mkdtempSync(join(tmpdir(), "network-effect-census-page-"))
afterAll(() => rmSync(directory, { recursive: true, force: true }))
const storeIn = (name: string) =>
  CensusStore.layer.pipe(Layer.provide(SqliteClient.layer(join(directory, name))), Layer.orDie)

describe("the server of a census", () => {
  it.live("tells a network in numbers, and of a run that has ended reads nothing again", () =>
    Effect.gen(function* () {
      const store = Context.get(yield* Layer.build(storeIn("told.sqlite")), CensusStore)
      yield* Effect.provideService(fill("Mainnet", 6), CensusStore, store)
      yield* Effect.provideService(fill("Testnet", 1), CensusStore, store)
      const read: Array<number> = []
      const watched = CensusStore.of({
        ...store,
        sightings: (id) =>
          Effect.suspend(() => {
            read.push(id)
            return store.sightings(id)
          })
      })
      const url = yield* serving(Layer.succeed(CensusStore, watched))
      const { body, status } = yield* ask(`${url}/census/overview?network=Mainnet`)
      assert.strictEqual(status, 200)
      assert.deepInclude(body, { network: "Mainnet", networks: ["Mainnet", "Testnet"], runsKept: 6, reason: null })
      assert.deepStrictEqual(
        body.runs.map(({ reachable }: { reachable: number }) => reachable),
        [312, 324, 336, 348, 360, 372]
      )
      const [first, second] = body.runs
      assert.deepInclude(first, { low: null, high: null, arrived: null, departed: null, startedAt: firstRunAt / 1000 })
      assert.deepInclude(second, { arrived: 12, departed: 0 })
      assert.isTrue(second.low <= 324 && second.high >= 324)
      assert.strictEqual(body.arrived.length, 12)
      assert.deepStrictEqual(
        Object.values(body.agents).reduce((sum: number, n) => sum + Number(n), 0),
        372
      )
      assert.deepStrictEqual(read, [1, 2, 3, 4, 5, 6])
      read.length = 0
      yield* ask(`${url}/census/overview?network=Mainnet`)
      // The latest report is made anew, of the runs it is compared with.
      assert.deepStrictEqual(read.toSorted(), [3, 4, 5, 6])
      const other = yield* ask(`${url}/census/overview`)
      assert.deepInclude(other.body, { network: "Testnet", runsKept: 1 })
      assert.match(other.body.reason, /first run/)
    }).pipe(Effect.scoped)
  )

  it.live("tells everything about a host, however it is written, and says when there is none", () =>
    Effect.gen(function* () {
      const store = Context.get(yield* Layer.build(storeIn("host.sqlite")), CensusStore)
      yield* Effect.provideService(fill("Mainnet", 3), CensusStore, store)
      const url = yield* serving(Layer.succeed(CensusStore, store))
      const host = PeerSocketAddress.format(addressOf(5)).replace(/:.*/, "")
      for (const text of [host, `${host}:8233`, ` ${host} `]) {
        const { body } = yield* ask(`${url}/census/host?${new URLSearchParams({ network: "Mainnet", host: text })}`)
        assert.strictEqual(body.host, host)
        assert.deepStrictEqual(
          body.sightings.map(({ runId }: { runId: number }) => runId),
          [1, 2, 3]
        )
        assert.deepInclude(body.sightings[0], { isReached: true, version: 170_150, userAgent: "/Zebra:3.1.0/" })
      }
      const detail = (query: string) =>
        Effect.map(ask(`${url}/census/${query}`), ({ body, status }) => `${status} ${body.detail}`)
      assert.strictEqual(
        yield* detail("host?network=Mainnet&host=192.0.2.1"),
        "404 No run of Mainnet has dialled 192.0.2.1."
      )
      assert.strictEqual(
        yield* detail("host?network=Mainnet&host=nobody"),
        '400 "nobody" is not a host: say an IP such as 192.0.2.10 or 2001:db8::1.'
      )
      assert.strictEqual(yield* detail("overview?network=Nowhere"), "404 There is no run of Nowhere in this store.")
      assert.match(yield* detail("overview?x=1"), /^400 The query is wrong/)
      assert.match(yield* detail(`host?network=Mainnet&host=${"1".repeat(61)}`), /^400 The query is wrong at host/)
      assert.match(yield* detail("nothing"), /^404 /)
    }).pipe(Effect.scoped)
  )

  it.live("says what an empty store lacks, and what is wrong with one that does not answer", () =>
    Effect.gen(function* () {
      const empty = yield* ask(`${yield* serving(storeIn("empty.sqlite"))}/census/overview`)
      assert.strictEqual(empty.status, 404)
      assert.match(empty.body.detail, /^There is no run in this store yet: network-effect census run makes one\.$/)
      const away = yield* ask(`${yield* serving(broken)}/census/overview`)
      assert.deepInclude(away, { status: 503 })
      assert.strictEqual(away.body.detail, "The database is away.")
    }).pipe(Effect.scoped)
  )

  it.live("has the rules of a node's: a token where others reach it, no other name, its own headers", () =>
    Effect.gen(function* () {
      const url = yield* serving(storeIn("guarded.sqlite"), { token: "open sesame" })
      assert.strictEqual((yield* ask(`${url}/census/overview`)).status, 401)
      const headers = { authorization: "Bearer open sesame" }
      assert.strictEqual((yield* ask(`${url}/census/overview`, { headers })).status, 404)
      const page = yield* ask(`${url}/census`)
      assert.strictEqual(page.status, 200)
      assert.notInclude(page.headers.get("content-security-policy"), "unsafe")
      assert.strictEqual(page.headers.get("x-frame-options"), "DENY")
      const root = yield* ask(url)
      assert.deepStrictEqual([root.status, root.headers.get("location")], [302, "/census"])
      const foreign = yield* ask(`${url}/census`, { headers: { origin: "http://example.org" } })
      assert.strictEqual(foreign.status, 403)
      const open = yield* Effect.flip(serving(storeIn("open.sqlite"), { address: at("0.0.0.0:0") }))
      assert.instanceOf(open, StatusNeedsToken)
    }).pipe(Effect.scoped)
  )
})

// A story on one page: each test goes on from where the one before has left it, in whatever order others run.
describe.skipIf(whyNoBrowser !== undefined)("the page of a census", { shuffle: false }, () => {
  const scope = Effect.runSync(Scope.make())
  const serverScope = Effect.runSync(Scope.make())
  let browser: BrowserContext
  let closeBrowser: () => Promise<void> = () => Promise.resolve()
  let page: Page
  const problems: Array<string> = []

  beforeAll(async () => {
    const url = await Effect.runPromise(
      Effect.gen(function* () {
        const store = Context.get(yield* Layer.build(storeIn("shown.sqlite")), CensusStore)
        yield* Effect.provideService(fill("Testnet", 1), CensusStore, store)
        yield* Effect.provideService(fill("Mainnet", 40), CensusStore, store)
        return yield* serving(Layer.succeed(CensusStore, store)).pipe(Scope.provide(serverScope))
      }).pipe(Scope.provide(scope))
    )
    const started = await open()
    browser = started.browser
    closeBrowser = started.close
    page = await browser.newPage()
    page.setDefaultTimeout(100_000)
    page.on("console", (message) => message.type() === "error" && problems.push(message.text()))
    page.on("pageerror", (error) => problems.push(error.message))
    await page.goto(url)
    await page.getByText(/^40 runs, the latest ended/).waitFor()
  })

  afterAll(async () => {
    await closeBrowser()
    await Effect.runPromise(Scope.close(serverScope, Exit.void))
    await Effect.runPromise(Scope.close(scope, Exit.void))
  })

  const text = async (selector: string) => (await page.locator(selector).textContent()) ?? ""

  it("shows nodes over time with the band of the interval, and says the numbers of each run", async () => {
    assert.strictEqual(await page.locator("#nodes .point").count(), 40)
    const band = await page.locator("#nodes .band").getAttribute("d")
    // There and back over the 39 runs that have one.
    assert.strictEqual(band?.match(/[ML]/g)?.length, 78)
    assert.match(await text("#nodes-said"), /reached \d+, about \d+ reachable, 95 % from \d+ to \d+; \d+ heard of\.$/)
    const latest = await text("#nodes-said")
    await page.locator("#nodes svg").focus()
    for (let n = 0; n < 50; n++) await page.keyboard.press("ArrowLeft")
    assert.match(await text("#nodes-said"), /reached 312, no interval; 512 heard of\.$/)
    const box = await page.locator("#nodes svg").boundingBox()
    assert.isNotNull(box)
    if (box !== null) await page.mouse.move(box.x + box.width - 2, box.y + 40)
    assert.strictEqual(await text("#nodes-said"), latest)
  })

  it("shows versions over time and agents, readiness with bounds, heights and groups", async () => {
    assert.strictEqual(await text("#versions-key"), "170190170150170140")
    assert.strictEqual(await page.locator("#versions path").count(), 3)
    assert.match(await text("#agents"), /\/Zebra:3\.1\.0\/\d+ · \d+ %/)
    assert.match(
      await text("#ready .share >> nth=0"),
      /^NU7 · \d+ %\d+ nodes, version 170190; \d+ of \d+ groups; \d+ % to \d+ % of all$/
    )
    assert.strictEqual(await page.locator("#ready .bounds").count(), await page.locator("#ready .share").count())
    assert.match(await text("#tip"), /^3,044,928, said by \d+ of 57 groups, within \d+ blocks\.$/)
    assert.match(await text("#heights"), /^there\d+ · \d+ %behind\d+/)
    assert.match(await text("#groups-said"), /^57 groups; the largest has \d+ % of the nodes\.$/)
    assert.match(await text("#reasons"), /no connection\d+ · \d+ %refused/)
  })

  it("shows who came and who went, and one of them with its history", async () => {
    assert.strictEqual(await page.locator("#moved rect").count(), 80)
    assert.match(await text("#moved-said"), /\d+ came, \d+ went\.$/)
    const gone = page.locator("#departed li button").first()
    const host = await gone.textContent()
    await gone.click()
    await page.getByText(`${host}: first reached`).waitFor()
    assert.match(await text("#sightings tr >> nth=0"), /no: (refused|no connection)/)
    assert.strictEqual(await page.locator("#strip i").count(), 40)
    assert.strictEqual(await page.evaluate(() => document.activeElement?.id), "search-title")
  })

  it("looks up a host that is typed, and says where it was typed what is wrong", async () => {
    const look = async (host: string) => {
      await page.getByRole("textbox", { name: "Host" }).fill(host)
      await page.keyboard.press("Enter")
    }
    const host = PeerSocketAddress.format(addressOf(0)).replace(/:.*/, "")
    await look(host)
    await page
      .getByText(/^198\.18\.0\.1: first reached Sep 1, .*; answered in 25 of the 40 runs that dialled it\.$/)
      .waitFor()
    await look("nobody")
    await page.locator("#search .said").getByText('"nobody" is not a host: say an IP').waitFor()
    assert.isFalse(await page.locator("#host").isVisible())
    await look("192.0.2.77")
    await page.locator("#search .said").getByText("No run of Mainnet has dialled 192.0.2.77.").waitFor()
    assert.lengthOf(
      problems.splice(0).filter((problem) => !/40[04]/.test(problem)),
      0
    )
    await look(host)
    await page.locator("#strip").waitFor()
  })

  it("fits a phone, a tablet and a screen, and axe-core finds nothing, in both themes", async () => {
    await page.getByRole("textbox", { name: "Host" }).fill("198.23.0.7")
    await page.keyboard.press("Enter")
    await page.getByText(/^198\.23\.0\.7: first reached/).waitFor()
    for (const theme of ["light", "dark"]) {
      if ((await page.evaluate(() => document.documentElement.dataset["theme"])) !== theme) {
        await page.locator("#theme").click()
      }
      for (const width of [375, 768, 1280]) {
        await page.setViewportSize({ width, height: 900 })
        const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth)
        assert.isAtMost(overflow, 0, `${width}`)
        // Why a host did not answer is in one line, and no word of it is broken.
        const why = page.locator("#sightings td", { hasText: /^no: no connection$/ }).first()
        assert.isBelow((await why.boundingBox())?.height ?? 100, 45, `${width}`)
        assert.deepStrictEqual(await violations(page), [], `${theme}, ${width}`)
      }
    }
  })

  it("shows another network of the store, with one run and why there is no interval", async () => {
    await page.getByLabel("Network").selectOption("Testnet")
    await page.getByText(/^1 run, the latest ended/).waitFor()
    assert.match(await text("#figures"), /this is the first run of this network, and an interval needs two/)
    assert.match(await text("#moved-said"), /the first run\.$/)
    assert.strictEqual(await page.locator("#nodes .point").count(), 1)
  })

  it("complains of nothing, and says when its server is away", async () => {
    assert.deepStrictEqual(problems, [])
    await Effect.runPromise(Scope.close(serverScope, Exit.void))
    await page.getByLabel("Network").selectOption("Mainnet")
    await page.getByText("away: the server does not answer, trying again").waitFor()
  })
})
