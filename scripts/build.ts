/**
 * Makes `dist`: JavaScript and types of `src` and `layers`, and the program in few files, as the package has them.
 *
 *     npm run build
 *     node scripts/build.ts FOLDER     only what runs, to a folder that is there and is in the project, as tests use it
 *
 * Replaces `dist`, or fills the folder, and touches nothing else.
 */
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { stripTypeScriptTypes } from "node:module"
import { basename, dirname, join, relative, resolve } from "node:path"
import { fileURLToPath } from "node:url"
import { parseSync } from "oxc-parser"
import { bundle } from "./bundle.ts"
import { llmsText } from "./llms.ts"
import { lineByLine } from "./mappings.ts"

const root = new URL("..", import.meta.url).pathname

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
 * Code without the comments that have lines of their own, which stay as empty ones: nothing else moves. The types keep all of
 * them, and are what is read.
 */
const withoutComments = (file: string, text: string): string => {
  let thin = ""
  let at = 0
  for (const { end, start, value } of parseSync(file, text).comments) {
    const lineStart = text.lastIndexOf("\n", start - 1) + 1
    const isAlone = text.slice(lineStart, start).trim() === "" && (end === text.length || text[end] === "\n")
    // Not what a system or a debugger reads.
    if (!isAlone || value.startsWith("#") || text.startsWith("#!", start)) continue
    thin += text.slice(at, lineStart) + "\n".repeat(text.slice(start, end).split("\n").length - 1)
    at = end
  }
  return thin + text.slice(at)
}

/** Where the code has text that is for somebody: strings, and what stands between the values of a template. In their order. */
const textsOf = (file: string, code: string): ReadonlyArray<readonly [start: number, end: number]> => {
  const texts: Array<readonly [number, number]> = []
  const visit = (node: unknown): void => {
    if (typeof node !== "object" || node === null) return
    const { end, start, type } = node as { readonly end?: number; readonly start?: number; readonly type?: string }
    const isText = type === "Literal" || type === "TemplateElement"
    if (isText && start !== undefined && end !== undefined) texts.push([start, end])
    else for (const child of Object.values(node)) visit(child)
  }
  visit(parseSync(file, code).program)
  return texts.toSorted(([a], [b]) => a - b)
}

/** Code without what blanked types leave, and without indentation, a hundredth of the package. Lines stay, and every text. */
const withoutSpaces = (file: string, code: string): string => {
  let thin = ""
  let at = 0
  const thinned = (between: string) =>
    between
      .replaceAll(/ +$/gm, (spaces, offset: number) => (offset + spaces.length === between.length ? spaces : ""))
      .replaceAll(/(\S) {2,}/g, "$1 ")
      .replaceAll(/(?<=\n) +/g, "")
  for (const [start, end] of textsOf(file, code)) {
    thin += thinned(code.slice(at, start)) + code.slice(start, end)
    at = end
  }
  return thin + thinned(code.slice(at))
}

/**
 * The JavaScript of a source: its types are blanked out, as Node does when it runs one, and its imports named as files are here.
 * Lines stay where they are, so a stack trace names the line of the source whether or not anybody reads the map.
 */
const withoutTypes = (text: string): string =>
  stripTypeScriptTypes(text).replace(/((?:from|import)\s*\(?\s*"\.{1,2}\/[^"]*)\.ts"/g, '$1.js"')

/** Writes the code of a folder of sources to a folder, and for each file a map to its source, which is found at `sources`. */
const writeCode = (folder: string, to: string, sources: string | undefined): void => {
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!/\.[jt]s$/.test(entry) || entry.startsWith("status/page/")) continue
    const source = join(folder, entry)
    const file = join(to, folder, entry.replace(/\.ts$/, ".js"))
    mkdirSync(dirname(file), { recursive: true })
    const code = withoutSpaces(file, withoutComments(file, withoutTypes(readFileSync(source, "utf8"))))
    const original = sources === undefined ? relative(dirname(file), source) : `${sources}/${source}`
    writeFileSync(file, `${code}//# sourceMappingURL=${basename(file)}.map\n`)
    writeFileSync(`${file}.map`, JSON.stringify(lineByLine(original, code.split("\n").length - 1)))
  }
}

/** What a module of others gives that does nothing but gather modules: each name, and how it is imported without the rest. */
const gathered = (specifier: string): ReadonlyMap<string, string> => {
  const file = fileURLToPath(import.meta.resolve(specifier))
  const isIndex = file.endsWith("/index.js")
  const modules = isIndex
    ? readFileSync(file, "utf8").matchAll(/^export (\* as \w+|\{[^}]*\}) from "\.\/(\w+)\.js"/gm)
    : []
  return new Map(
    [...modules].flatMap(([, names = "", module]) =>
      names.startsWith("*")
        ? [[names.slice("* as ".length), `import ${names} from "${specifier}/${module}";`] as const]
        : [...names.replaceAll(/\/\*[^]*?\*\//g, "").matchAll(/\w+/g)].map(
            ([name]) => [name, `import { ${name} } from "${specifier}/${module}";`] as const
          )
    )
  )
}

/**
 * Imports modules of Effect one by one: `import { Effect } from "effect"` loads all of its modules, and a program starts half
 * as fast again with a third less memory without those that it has no use for. Lines stay where they are.
 */
const importOnlyWhatIsUsed = (folder: string): void => {
  const known = new Map<string, ReadonlyMap<string, string>>()
  const ways = (specifier: string) => {
    const found = known.get(specifier) ?? gathered(specifier)
    known.set(specifier, found)
    return found
  }
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!entry.endsWith(".js")) continue
    const file = join(folder, entry)
    const text = readFileSync(file, "utf8").replace(
      /^import \{([^}]*)\} from "((?:effect|@effect\/platform-node)(?:\/[\w-]+)?)";/gm,
      (all, names: string, specifier: string) => {
        const imports = names
          .split(",")
          .map((name) => name.trim())
          .filter((name) => name !== "")
          .map((name) => ways(specifier).get(name))
        // Under another name, or of a module that gathers nothing: as it is.
        return imports.includes(undefined) ? all : imports.join(" ") + "\n".repeat(all.split("\n").length - 1)
      }
    )
    writeFileSync(file, text)
  }
}

/** Every module of a built folder that these lead to, by its types or by its code; without its extension. */
const reachedFrom = (entries: ReadonlyArray<string>, extension: ".d.ts" | ".js"): ReadonlySet<string> => {
  const reached = new Set<string>()
  const waiting = [...entries]
  for (let module = waiting.pop(); module !== undefined; module = waiting.pop()) {
    // A comment may name one that is none.
    if (reached.has(module) || !existsSync(`${module}${extension}`)) continue
    reached.add(module)
    const text = readFileSync(`${module}${extension}`, "utf8")
    for (const [, target = ""] of text.matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]*)\.js"/g)) {
      waiting.push(join(dirname(module), target))
    }
  }
  return reached
}

/** The modules that users name, in a built folder; without their extensions. */
const exported = (folder: string): ReadonlyArray<string> => {
  const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as {
    readonly exports: Readonly<Record<string, string>>
  }
  return Object.values(exports).map((path) => join(folder, path.replace(/\.ts$/, "")))
}

/** Types that nobody can come by from what is exported are left out. */
const thinTypes = (folder: string): void => {
  const reached = reachedFrom(exported(folder), ".d.ts")
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = join(folder, entry)
    if (entry.endsWith(".d.ts") && !reached.has(file.slice(0, -".d.ts".length))) rmSync(file)
  }
}

/** So is code that only benchmarks and tests of this project come by. */
const thinCode = (folder: string): void => {
  const reached = reachedFrom([...exported(folder), join(folder, "layers/bin"), join(folder, "layers/main")], ".js")
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = join(folder, entry)
    if (!entry.endsWith(".js") || reached.has(file.slice(0, -".js".length))) continue
    rmSync(file)
    rmSync(`${file}.map`)
  }
}

/** Writes all that runs to a folder that is there. `sources` is what it is for `build`. */
const buildCode = async (to: string, sources?: string): Promise<void> => {
  process.chdir(root)
  // Node says of `stripTypeScriptTypes` that it may change. It does the same whenever it runs a source of ours.
  process.removeAllListeners("warning")
  for (const folder of ["src", "layers"]) writeCode(folder, to, sources)
  thinCode(to)
  importOnlyWhatIsUsed(to)
  const page = join(to, "src/status/page")
  cpSync("src/status/page", page, { recursive: true })
  for (const name of readdirSync(page).filter((name) => name.endsWith(".js"))) {
    const file = join(page, name)
    writeFileSync(file, withoutComments(file, readFileSync(file, "utf8")))
  }
  await bundle(resolve(to))
}

/**
 * `true` when it compiles, and is there. `sources` is where the sources of this version are, as source maps tell it; without it
 * they say where in the package a source would be.
 */
export const build = async (sources?: string): Promise<boolean> => {
  process.chdir(root)
  rmSync("dist", { recursive: true, force: true })
  const compiler = join("node_modules", "typescript", "bin", "tsc")
  // On stderr: the stdout of `npm pack --json` is for the program that reads it.
  const { status } = spawnSync(process.execPath, [compiler, "-p", "scripts/tsconfig.build.json"], {
    stdio: ["ignore", 2, 2]
  })
  if (status !== 0) return false
  nameTypesAsCode("dist")
  thinTypes("dist")
  await buildCode("dist", sources)
  writeFileSync("dist/llms.txt", llmsText())
  return true
}

if (process.argv[1] === import.meta.filename && process.argv[2] !== undefined) {
  await buildCode(process.argv[2])
} else if (process.argv[1] === import.meta.filename) {
  if (!(await build())) process.exit(1)
  console.log(
    "built the library and its types in dist/src and dist/layers, the program in dist/program, and dist/llms.txt"
  )
}
