/** A process that is killed while it writes the peer cache and the list of bans: each is the old one or the new one. */
import { spawn } from "node:child_process"
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { isLong } from "../support/long.ts"
import { compiled } from "../support/process.ts"

const root = mkdtempSync(join(tmpdir(), "network-effect-"))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let folders = 0
/** An empty cache directory. */
const makeDirectory = () => {
  const directory = join(root, String(folders++))
  mkdirSync(join(directory, "network"), { recursive: true })
  return directory
}

/** Saves two lists in turn to both files, as fast as it can, until it is killed. Says when it begins, and that all is saved once. */
const writer = (directory: string) => `
import { flushCompileCache, registerHooks } from "node:module"
const parts = ${JSON.stringify(new URL("../support/partsOfEffect.ts", import.meta.url).href)}
registerHooks({
  resolve: (name, context, next) => (name === "effect" ? { url: parts, shortCircuit: true } : next(name, context))
})
const { Effect, Layer, Path } = await import(parts)
const NodeFileSystem = await import("@effect/platform-node/NodeFileSystem")
const CacheFile = await import(${JSON.stringify(new URL("../../src/addresses/CacheFile.ts", import.meta.url).href)})
// Who is killed keeps nothing of what it has compiled otherwise.
flushCompileCache()
const lists = ["a", "b"].map((letter) => Array.from({ length: 500 }, (_, i) => letter.repeat(40) + i))
const fileAt = (name) => CacheFile.make({
  path: ${JSON.stringify(directory)} + "/network/" + name, name, maxLines: 500, parse: (line) => line, format: (line) => line
})
await Effect.runPromise(Effect.gen(function* () {
  const files = [yield* fileAt("mainnet.peers"), yield* fileAt("mainnet.bans")]
  console.log("ready")
  for (let n = 0; ; n++) {
    yield* Effect.forEach(files, (file) => file.save(lists[n % 2]), { concurrency: 2 })
    if (n === 0) console.log("saved")
  }
}).pipe(Effect.provide(Layer.merge(NodeFileSystem.layer, Path.layer))))
`

/** Each needs a process. */
const kills = isLong ? 80 : 12

describe("a process that is killed while it writes", () => {
  it(
    `leaves the old file or the new one, ${kills} times out of ${kills}, of addresses and of bans`,
    { timeout: 600_000 },
    async () => {
      const lists = ["a", "b"].map((letter) => Array.from({ length: 500 }, (_, i) => letter.repeat(40) + i).join("\n"))
      const found: Record<string, number> = { "mainnet.peers": 0, "mainnet.bans": 0 }
      // The others need not go on.
      let hasFailed = false
      const killAgainAndAgain = async (directory: string, kills: number) => {
        for (let n = 0; n < kills && !hasFailed; n++) {
          const child = spawn(process.execPath, ["--input-type=module", "-e", writer(directory)], {
            cwd: new URL("../..", import.meta.url).pathname,
            env: { ...process.env, NODE_COMPILE_CACHE: compiled },
            stdio: ["ignore", "pipe", "inherit"]
          })
          // The first one may be killed before it has saved anything; after that there is an old file.
          const awaited = n === 0 ? "ready" : "saved"
          const isReady = await new Promise<boolean>((resolve) => {
            let said = ""
            child.stdout.on("data", (chunk: Buffer) => {
              said += chunk.toString()
              if (said.includes(awaited)) resolve(true)
            })
            child.once("close", () => resolve(false))
          })
          assert.isTrue(isReady, `it ended before it was ${awaited}`)
          await new Promise((resolve) => setTimeout(resolve, (n * 7) % 40))
          child.kill("SIGKILL")
          await new Promise((resolve) => child.once("close", resolve))
          for (const name of Object.keys(found)) {
            const file = join(directory, "network", name)
            if (!existsSync(file)) continue
            found[name] = (found[name] ?? 0) + 1
            const content = readFileSync(file, "utf8")
            hasFailed = !lists.includes(content)
            assert.isFalse(hasFailed, `${name} is neither list: ${content.length} characters`)
          }
        }
      }
      const atOnce = 4
      await Promise.all(Array.from({ length: atOnce }, () => killAgainAndAgain(makeDirectory(), kills / atOnce)))
      for (const times of Object.values(found)) assert.isAtLeast(times, kills - atOnce)
    }
  )
})
