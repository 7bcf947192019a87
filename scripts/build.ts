/**
 * Makes `dist`: JavaScript and types of `src` and `layers`, as the package has them.
 *
 *     npm run build
 *
 * Replaces `dist` and touches nothing else.
 */
import { spawnSync } from "node:child_process"
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { llmsText } from "./llms.ts"

/** The types name each other as the sources do, `./Frame.ts`: in the package they are named as the JavaScript is. */
const nameTypesAsCode = (folder: string): void => {
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!entry.endsWith(".d.ts")) continue
    const file = join(folder, entry)
    const text = readFileSync(file, "utf8")
    writeFileSync(file, text.replace(/((?:from|import)\s*\(?\s*"\.{1,2}\/[^"]*)\.ts"/g, '$1.js"'))
  }
}

/** Makes `dist`; false when it does not compile, and then the compiler has said why on stderr. */
export const build = (): boolean => {
  process.chdir(new URL("..", import.meta.url).pathname)
  rmSync("dist", { recursive: true, force: true })
  const compiler = join("node_modules", "typescript", "bin", "tsc")
  // On stderr: the stdout of `npm pack --json` is for the program that reads it.
  const { status } = spawnSync(process.execPath, [compiler, "-p", "scripts/tsconfig.build.json"], {
    stdio: ["ignore", 2, 2]
  })
  if (status !== 0) return false
  nameTypesAsCode("dist")
  cpSync("src/status/page", "dist/src/status/page", { recursive: true })
  writeFileSync("dist/llms.txt", llmsText())
  return true
}

if (process.argv[1] === import.meta.filename) {
  if (!build()) process.exit(1)
  console.log(
    "built dist/src/index.js, dist/src/simulation/index.js and dist/layers/index.js, with types, and dist/llms.txt"
  )
}
