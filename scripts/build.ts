/**
 * Makes `dist`: JavaScript and types of `src` and `layers`, for programs that do not run TypeScript.
 *
 *     npm run build
 *
 * Replaces `dist` and touches nothing else.
 */
import { spawnSync } from "node:child_process"
import { copyFileSync, rmSync, writeFileSync } from "node:fs"
import { llmsText } from "./llms.ts"

process.chdir(new URL("..", import.meta.url).pathname)
rmSync("dist", { recursive: true, force: true })
const { status } = spawnSync("tsc", ["-p", "scripts/tsconfig.build.json"], { stdio: "inherit" })
if (status === 0) {
  copyFileSync("src/status/page.html", "dist/src/status/page.html")
  writeFileSync("dist/llms.txt", llmsText())
  console.log(
    "built dist/src/index.js, dist/src/simulation/index.js and dist/layers/index.js, with types, and dist/llms.txt"
  )
}
process.exit(status ?? 1)
