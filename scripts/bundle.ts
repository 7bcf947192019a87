/**
 * The program of the package: `dist/layers/main.js` with what it needs of others, in few files that are read at once.
 *
 * ```
 *  dist/layers/bin.js ─▶ dist/layers/program.js ─▶ dist/program/main.js ─▶ start.js, Node.js …   Effect is in them
 *                    └─▶ dist/layers/main.js ─▶ dist/src/*.js                                    with PostgreSQL: the Effect beside it
 * ```
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs"
import { join, relative } from "node:path"
import { type Plugin, rolldown } from "rolldown"
import { byLine } from "./mappings.ts"

/** Whose code is in the program: `THIRD-PARTY.md` has their licences. */
export const bundled = ["@effect/platform-node", "@effect/platform-node-shared", "@noble/hashes", "effect"]

/** Where it is in `dist`, beside `src` and `layers`. */
const folder = "program"

/**
 * What only PostgreSQL's client leads to. That is a package of its own, which stands on the Effect that is installed beside it:
 * `layers/bin.js` runs the program from its modules then, so that both have one.
 */
const onlyFromModules = /^@effect\/sql-pg$|\/CensusCluster\.js$/

/** Half a megabyte that only a page for trying the interface out has a use for: read from the Effect that is installed beside. */
const swagger = /\/http-api\/internal\/httpApiSwagger\.js$/
const swaggerFromPeer = `
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { pathToFileURL } from "node:url"
const missing = "document.body.textContent = 'This page needs a package that is not installed: npm install effect'"
const read = async () => {
  const folder = dirname(createRequire(import.meta.url).resolve("effect/package.json"))
  return await import(pathToFileURL(join(folder, "dist/http-api/internal/httpApiSwagger.js")).href)
}
export const { css, javascript } = await read().catch(() => ({ css: "", javascript: missing }))
`

/**
 * No command has web sockets, yet Effect's server of HTTP names `ws`, which nobody can leave out as it is CommonJS. What stands
 * for it is left out, or else a build fails that has come to use it.
 */
const webSockets = /\/platform-node-shared\/dist\/NodeWS\.js$/
const noWebSockets = "the program has no web sockets"

/** Modules that are not in the program as they are. */
const replaced = (dist: string): Plugin => ({
  name: "replaced",
  load: (id) => {
    if (swagger.test(id)) return swaggerFromPeer
    if (!webSockets.test(id)) return undefined
    return ["WebSocket", "WebSocketServer"].map((name) => `export const ${name} = "${noWebSockets}"`).join("\n")
  },
  // What is found beside a module stays where it is. Lines stay, too.
  transform: (code, id) =>
    id.startsWith(dist) && code.includes("import.meta.url")
      ? {
          code: code.replaceAll(
            "import.meta.url",
            `new URL("${relative(join(dist, folder), id)}", import.meta.url).href`
          ),
          map: null
        }
      : undefined
})

/** The name of the package that has this module; `undefined` for our own. */
const packageOf = (id: string): string | undefined => /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(id)?.[1]

/**
 * Writes `dist/program`, and has `dist/layers/program.js` lead to it. `dist` is an absolute path, with the modules in it. Throws
 * when it has code of a package that `bundled` does not name.
 */
export const bundle = async (dist: string): Promise<void> => {
  const build = await rolldown({
    input: { main: join(dist, "layers/main.js") },
    platform: "node",
    external: (id) => onlyFromModules.test(id),
    plugins: [replaced(dist)],
    // Modules of ours and of Effect do nothing when they are read but make what they export.
    treeshake: { moduleSideEffects: false }
  })
  const { output } = await build.generate({
    dir: join(dist, folder),
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "[name].js",
    comments: false,
    // Names of classes stay: errors are told by them. Where a function is, its map says.
    minify: { compress: true, mangle: { keepNames: { function: false, class: true } }, codegen: true },
    sourcemap: true
  })
  await build.close()
  const strangers = new Set<string>()
  mkdirSync(join(dist, folder), { recursive: true })
  for (const piece of output) {
    if (piece.type === "asset") continue
    if (piece.code.includes(noWebSockets)) throw new Error("a command uses web sockets, which the program leaves out")
    for (const id of piece.moduleIds) {
      const name = packageOf(id)
      if (name !== undefined && !bundled.includes(name)) strangers.add(name)
    }
    const file = join(dist, folder, piece.fileName)
    writeFileSync(file, piece.code)
    if (piece.map !== null)
      writeFileSync(`${file}.map`, JSON.stringify(byLine(piece.map, (source) => packageOf(source) === undefined)))
  }
  if (strangers.size > 0)
    throw new Error(`the program has code of ${[...strangers].join(", ")}, whose licence it does not have`)
  writeFileSync(join(dist, "layers/program.js"), `export { run } from "../${folder}/main.js"\n`)
  // That of the file which had this name.
  rmSync(join(dist, "layers/program.js.map"), { force: true })
}
