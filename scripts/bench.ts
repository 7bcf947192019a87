/**
 * Runs one benchmark, or lists them.
 *
 *     npm run bench -- NAME [its own flags]
 *
 * Each prints its figures beside those of a plain counterpart in the same run, so they are ratios that mean the same on
 * every machine. Leaves nothing behind.
 */
import { spawnSync } from "node:child_process"
import { mkdtempSync, readdirSync, rmSync } from "node:fs"
import { enableCompileCache, flushCompileCache } from "node:module"
import { tmpdir } from "node:os"
import { join } from "node:path"

const [name = "", ...args] = process.argv.slice(2)
const names = readdirSync(new URL("bench", import.meta.url), { withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => entry.name.replace(/\.ts$/, ""))

if (!names.includes(name)) {
  console.error(`bench: say which: ${names.join(", ")}; for example npm run bench -- ${names[0]}`)
  process.exit(1)
}

// Node takes the types out of a file by a WebAssembly module. Its memory grows, and from then on V8 checks at every access
// to a buffer that its memory is still there. Programs that use the built package do not pay for that. So this process only
// fills a cache of files without types, and another one, which never sees a type, measures.
const file = new URL(`bench/${name}.ts`, import.meta.url).href
const cache = mkdtempSync(join(tmpdir(), "network-effect-bench-"))
try {
  enableCompileCache(cache)
  await import(file)
  flushCompileCache()
  const program = "const { run } = await import(process.argv[1]); await run(process.argv.slice(2))"
  const { status } = spawnSync(process.execPath, ["--input-type=module", "--eval", program, file, ...args], {
    stdio: "inherit",
    env: { ...process.env, NODE_COMPILE_CACHE: cache }
  })
  process.exitCode = status ?? 1
} finally {
  rmSync(cache, { recursive: true, force: true })
}
