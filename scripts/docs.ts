/**
 * Makes the API documents, `dist/docs/index.html`, of the comments in the types.
 *
 *     npm run docs                          needs the npm registry, half a minute
 *     npm run docs -- --tools FOLDER        with a typedoc that is installed there
 *
 * typedoc is installed into a folder of its own with the TypeScript that it works with, which is not the one of this checkout.
 * Fails when it does not understand a comment. Replaces `dist`.
 */
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { build } from "./build.ts"
import { entries } from "./exports.ts"

const tools = ["typedoc@0.28.20", "typescript@5.9.3"]

const run = (command: string, args: ReadonlyArray<string>, cwd: string): void => {
  const { status } = spawnSync(command, args, { cwd, stdio: "inherit" })
  if (status !== 0) throw new Error(`${command} ${args[0]} failed`)
}

/** Paths are those from `dist`, where the file with these is. */
const options = {
  name: "network-effect",
  entryPoints: Object.values(entries).map((file) => file.replace(/\.ts$/, ".d.ts")),
  tsconfig: "tsconfig.docs.json",
  readme: "../README.md",
  projectDocuments: ["../ARCHITECTURE.md", "../CHANGELOG.md"],
  out: "docs",
  excludeExternals: true,
  excludePrivate: true,
  // The types were checked by the compiler that made them.
  skipErrorChecking: true,
  disableSources: true,
  githubPages: false,
  validation: { notExported: false, invalidLink: true, notDocumented: false },
  treatValidationWarningsAsErrors: false
}

const compilerOptions = {
  target: "es2024",
  lib: ["es2024", "dom", "dom.iterable", "esnext"],
  module: "nodenext",
  moduleResolution: "nodenext",
  strict: true,
  skipLibCheck: true,
  noEmit: true
}

const make = async (folder: string): Promise<void> => {
  if (!(await build())) throw new Error("no documents are made: it does not compile")
  // Modules are called as they are imported, and not as their folders.
  for (const [name, file] of Object.entries(entries)) {
    const types = join("dist", file.replace(/\.ts$/, ".d.ts"))
    writeFileSync(types, readFileSync(types, "utf8").replace(/^ \* @module$/m, ` * @module ${name}`))
  }
  writeFileSync(join("dist", options.tsconfig), JSON.stringify({ compilerOptions, files: options.entryPoints }))
  writeFileSync("dist/typedoc.json", JSON.stringify(options))
  run(process.execPath, [join(folder, "node_modules/typedoc/bin/typedoc"), "--options", "dist/typedoc.json"], ".")
  for (const name of [options.tsconfig, "typedoc.json"]) rmSync(join("dist", name))
  if (!existsSync("dist/docs/index.html")) throw new Error("typedoc made no documents")
}

process.chdir(new URL("..", import.meta.url).pathname)
const { values } = parseArgs({ options: { tools: { type: "string" } } })
const own = values.tools === undefined ? mkdtempSync(join(tmpdir(), "network-effect-docs-")) : undefined
try {
  if (own !== undefined) {
    writeFileSync(join(own, "package.json"), '{ "private": true }')
    run("npm", ["install", "--no-audit", "--no-fund", "--silent", ...tools], own)
  }
  await make(own ?? values.tools ?? "")
  console.log("made dist/docs/index.html")
} catch (error) {
  console.error(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
} finally {
  if (own !== undefined) rmSync(own, { recursive: true, force: true })
}
