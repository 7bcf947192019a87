/** What a process that runs a node makes of standard streams that fail. */
import { closeSync, openSync } from "node:fs"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { isListening, makeHome, startIn, until } from "../support/process.ts"

const home = makeHome()
afterAll(home.remove)
const start = startIn(home.directory)
const node = ["start", "--network", "regtest", "--listen", "127.0.0.1:0"] as const

describe.concurrent("a node whose", () => {
  it("stdout is closed by its reader ends in order, as `| head -1` wants it", async () => {
    const run = start("devnet", "--nodes", "3", "--port", "0", "--json")
    await until(() => run.output() !== "", "the first line")
    run.child.stdout?.destroy()
    assert.deepStrictEqual(await run.ended, { code: 0, signal: null })
  })

  it("stdout is a disk that is full goes on, says so once, and ends in order", async () => {
    const full = openSync("/dev/full", "w")
    const run = startIn(home.directory, {}, ["ignore", full, "pipe"])(...node, "--json")
    closeSync(full)
    await until(() => run.errors().includes("stdout cannot be written"), "the warning")
    run.child.kill("SIGTERM")
    assert.deepStrictEqual(await run.ended, { code: 0, signal: null })
    assert.strictEqual(run.errors().split("stdout cannot be written").length, 2)
  })

  it("stderr is closed by its reader goes on", async () => {
    const run = start(...node, "--log-level", "debug")
    await until(() => run.errors() !== "", "the first log line")
    run.child.stderr?.destroy()
    await isListening(run)
    // It has logged since, to nobody.
    await until(() => run.output().includes("starts with"), "the next event")
    run.child.kill("SIGTERM")
    assert.deepStrictEqual(await run.ended, { code: 0, signal: null })
  })
})
