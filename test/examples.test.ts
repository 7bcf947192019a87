/** The examples, run as their readers run them: what they print, and that they end. */
import { execFile } from "node:child_process"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"

const root = new URL("..", import.meta.url).pathname

const run = async (name: string) => {
  const { stderr, stdout } = await promisify(execFile)(process.execPath, [`scripts/examples/${name}.ts`], {
    cwd: root,
    timeout: 30_000
  })
  assert.strictEqual(stderr, "")
  return stdout.trim().split("\n")
}

const hash = "029f11d80ef9765602235e1bc9727e3eb6ba20839319f761fee920d63401e327"
const id = "c4eaa58879081de3c24a7b117ed2b28300e7ec4c4c1dff1d3f1268b7857a4ddb"

// One after the other: they use the same addresses.
describe("the example", () => {
  it("ask-for-a-block prints a block", async () => {
    assert.deepStrictEqual(await run("ask-for-a-block"), [`${hash}: 382 bytes, transactions ${id}`])
  })

  it("watch-inventory prints three adverts", async () => {
    const lines = await run("watch-inventory")
    assert.strictEqual(lines.length, 3)
    for (const line of lines) assert.match(line, new RegExp(`^peer \\d+ has block ${hash}$`))
  })

  it("custom-inbound prints what it was asked and what became of it", async () => {
    assert.deepStrictEqual(await run("custom-inbound"), [
      `request 1: ${hash} is here`,
      "answer: Available",
      `request 2: ${"0".repeat(64)} is not here`,
      "answer: NotFoundResponse"
    ])
  })

  it("test-with-a-partition prints what a node sees before, during and after", async () => {
    assert.deepStrictEqual(await run("test-with-a-partition"), [
      "before:  2 peers, 2 addresses",
      "cut off: 0 peers, 2 addresses",
      "healed:  2 peers, 2 addresses"
    ])
  })
})
