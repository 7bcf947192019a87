/**
 * Runs one benchmark, or lists them.
 *
 *     npm run bench -- NAME [its own flags]
 *
 * Each prints its figures beside those of a plain counterpart in the same run, so they are ratios that mean the same on
 * every machine. Leaves nothing behind.
 */
import { spawn } from "node:child_process"
import { once } from "node:events"
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
const cache = mkdtempSync(join(tmpdir(), "network-effect-bench-"))
try {
  enableCompileCache(cache)
  const { file, load } = await import("./bench/support/run.ts")
  await load(name)
  flushCompileCache()
  const child = spawn(process.execPath, [file, name, ...args], {
    stdio: "inherit",
    env: { ...process.env, NODE_COMPILE_CACHE: cache }
  })
  for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => child.kill(signal))
  const [code] = await once(child, "exit")
  process.exitCode = typeof code === "number" ? code : 1
} finally {
  rmSync(cache, { recursive: true, force: true })
}
