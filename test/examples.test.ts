/** The examples, run as their readers run them: what they print, and that they end. */
import { execFile } from "node:child_process"
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { assert, describe, it } from "@effect/vitest"
import { compiled } from "./support/process.ts"

const root = new URL("..", import.meta.url).pathname

const env = { ...process.env, NODE_COMPILE_CACHE: compiled }

const run = async (name: string) => {
  const { stderr, stdout } = await promisify(execFile)(process.execPath, [`scripts/examples/${name}.ts`], {
    cwd: root,
    env,
    timeout: 100_000
  })
  assert.strictEqual(stderr, "")
  return stdout.trim().split("\n")
}

const hash = "029f11d80ef9765602235e1bc9727e3eb6ba20839319f761fee920d63401e327"
const id = "c4eaa58879081de3c24a7b117ed2b28300e7ec4c4c1dff1d3f1268b7857a4ddb"

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
      "healed:  2 peers, 3 addresses"
    ])
  })
})

describe("a program of somebody else", () => {
  const files = ["mempool-watcher.ts", "test-a-mempool-watcher.ts"]

  /** A folder that has what a package manager would put there: the package, linked, and Effect. */
  const elsewhere = () => {
    const folder = mkdtempSync(join(tmpdir(), "network-effect-guest-"))
    mkdirSync(join(folder, "node_modules"))
    symlinkSync(root, join(folder, "node_modules/network-effect"), "dir")
    symlinkSync(join(root, "node_modules/effect"), join(folder, "node_modules/effect"), "dir")
    const dependencies = { effect: "*", "network-effect": "*" }
    writeFileSync(join(folder, "package.json"), JSON.stringify({ private: true, type: "module", dependencies }))
    for (const file of files) copyFileSync(join(root, "scripts/examples", file), join(folder, file))
    return folder
  }

  const runIn = (folder: string, file: string) => {
    const node = join(root, "node_modules/.bin/node")
    return promisify(execFile)(existsSync(node) ? node : process.execPath, [file], {
      cwd: folder,
      env,
      timeout: 100_000
    })
  }

  it("both answers and asks, in a folder of its own that depends on the package", async () => {
    const folder = elsewhere()
    try {
      const { stderr, stdout } = await runIn(folder, "test-a-mempool-watcher.ts")
      assert.strictEqual(stderr, "")
      assert.deepStrictEqual(stdout.trim().split("\n"), ["made up: asked 1 time, knows 1", "simulated: knows 1"])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it("may begin with the tests of the README", async () => {
    const folder = elsewhere()
    try {
      const readme = readFileSync(join(root, "README.md"), "utf8")
      const tests = [...readme.matchAll(/^```ts\n([\s\S]*?)^```/gm)].flatMap(([, code = ""], block) => {
        const exported = /^export const (test|survives\w+)/m.exec(code)?.[1]
        if (exported === undefined) return []
        writeFileSync(join(folder, `block-${block}.ts`), code)
        return [`import { ${exported} as block${block} } from "./block-${block}.ts"\nawait run(block${block})\n`]
      })
      assert.lengthOf(tests, 3)
      const main = `import { Effect, References } from "effect"
const run = (test) => Effect.runPromise(Effect.provideService(test, References.MinimumLogLevel, "None"))
${tests.join("")}console.log("done")`
      writeFileSync(join(folder, "main.ts"), main)
      const { stderr, stdout } = await runIn(folder, "main.ts")
      assert.deepStrictEqual([stdout, stderr], ["done\n", ""])
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  it("takes sixty lines, no cast, and only what the package says it has", () => {
    const texts = files.map((file) => readFileSync(join(root, "scripts/examples", file), "utf8"))
    assert.isAtMost(texts[0]?.split("\n").length ?? 0, 61)
    const code = texts.join("").replaceAll("as const", "")
    assert.notMatch(code.replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, ""), /\bas [A-Za-z{[(]|[\w)\]]!|\bany\b|@ts-/)
    const imported = [...code.matchAll(/from "([^"]+)"/g)].map(([, from]) => from)
    assert.deepStrictEqual([...new Set(imported)].toSorted(), [
      "./mempool-watcher.ts",
      "effect",
      "network-effect",
      "network-effect/layers",
      "network-effect/simulation",
      "node:assert"
    ])
  })
})
