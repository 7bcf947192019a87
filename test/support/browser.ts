/** A headless Chromium where `NETWORK_EFFECT_BROWSER` is set, as `.ci/run` does, or the reason why there is none. */
import { existsSync, mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import axe from "axe-core"
import { type BrowserContext, chromium, type Page } from "playwright-core"

/** `CHROMIUM` names one; else Debian's, or whatever a machine usually calls it. */
const executablePath = [
  process.env["CHROMIUM"],
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome"
].find((path) => path !== undefined && existsSync(path))

/** Why no test opens it; `undefined` where they do. */
export const whyNoBrowser =
  process.env["NETWORK_EFFECT_BROWSER"] === undefined
    ? "NETWORK_EFFECT_BROWSER is not set"
    : executablePath === undefined
      ? "there is no Chromium; name one with CHROMIUM"
      : undefined

/** Quiet: it asks nobody but the pages it is shown. */
const flags = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync"
]

/** A browser with nothing in it, and how to end it. */
export const open = async (): Promise<{ readonly browser: BrowserContext; readonly close: () => Promise<void> }> => {
  const profile = mkdtempSync(join(tmpdir(), "network-effect-browser-"))
  const browser = await chromium.launchPersistentContext(profile, {
    ...(executablePath === undefined ? {} : { executablePath }),
    args: flags,
    viewport: { width: 1300, height: 900 }
  })
  browser.setDefaultTimeout(100_000)
  return {
    browser,
    close: async () => {
      await browser.close()
      rmSync(profile, { recursive: true, force: true })
    }
  }
}

/** What axe-core has against a page, as `rule: where`. */
export const violations = async (page: Page): Promise<ReadonlyArray<string>> => {
  await page.evaluate(axe.source)
  return page.evaluate(
    `axe.run().then(({ violations }) => violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => id + ": " + target.join(" "))))`
  )
}
