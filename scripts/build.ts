/**
 * Makes `dist`: JavaScript and types of `src` and `layers`, as the package has them.
 *
 *     npm run build
 *
 * Replaces `dist` and touches nothing else.
 */
import { spawnSync } from "node:child_process"
import { copyFileSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseSync } from "oxc-parser"
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

/**
 * A source without the comments that have lines of their own, which stay as empty ones: nothing else moves, so source maps fit.
 * The types keep all of them, and are what is read.
 */
const withoutComments = (file: string, text: string): string => {
  let thin = ""
  let at = 0
  for (const { end, start, value } of parseSync(file, text).comments) {
    const lineStart = text.lastIndexOf("\n", start - 1) + 1
    const isAlone = text.slice(lineStart, start).trim() === "" && (end === text.length || text[end] === "\n")
    if (!isAlone || value.startsWith("#")) continue
    thin += text.slice(at, lineStart) + "\n".repeat(text.slice(start, end).split("\n").length - 1)
    at = end
  }
  return thin + text.slice(at)
}

/** Takes comments out of the code and of the sources in its maps: they are a third of the package. */
const thinCode = (folder: string): void => {
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = join(folder, entry)
    if (entry.endsWith(".js")) writeFileSync(file, withoutComments(file, readFileSync(file, "utf8")))
    if (!entry.endsWith(".js.map")) continue
    const map = JSON.parse(readFileSync(file, "utf8")) as {
      readonly sources: ReadonlyArray<string>
      sourcesContent: ReadonlyArray<string>
    }
    map.sourcesContent = map.sourcesContent.map((text, index) => withoutComments(map.sources[index] ?? "", text))
    writeFileSync(file, JSON.stringify(map))
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
  thinCode("dist")
  copyFileSync("src/status/page.html", "dist/src/status/page.html")
  writeFileSync("dist/llms.txt", llmsText())
  return true
}

if (process.argv[1] === import.meta.filename) {
  if (!build()) process.exit(1)
  console.log(
    "built dist/src/index.js, dist/src/simulation/index.js and dist/layers/index.js, with types, and dist/llms.txt"
  )
}
