/**
 * Makes `dist`: JavaScript and types of `src` and `layers`, as the package has them.
 *
 *     npm run build
 *
 * Replaces `dist` and touches nothing else.
 */
import { spawnSync } from "node:child_process"
import { cpSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
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
    // Not what a system or a debugger reads.
    if (!isAlone || value.startsWith("#") || text.startsWith("#!", start)) continue
    thin += text.slice(at, lineStart) + "\n".repeat(text.slice(start, end).split("\n").length - 1)
    at = end
  }
  return thin + text.slice(at)
}

const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

/** The numbers of a segment of a source map. Source: ECMA-426, section on mappings: base64 VLQ. */
const numbersOf = (segment: string): ReadonlyArray<number> => {
  const numbers: Array<number> = []
  let [value, shift] = [0, 0]
  for (const digit of segment) {
    const bits = digits.indexOf(digit)
    value |= (bits & 31) << shift
    shift += 5
    if ((bits & 32) !== 0) continue
    numbers.push((value & 1) === 1 ? -(value >> 1) : value >> 1)
    ;[value, shift] = [0, 0]
  }
  return numbers
}

const textOf = (number: number): string => {
  let text = ""
  for (let left = number < 0 ? (-number << 1) | 1 : number << 1; ; left >>= 5) {
    if (left < 32) return text + digits[left]
    text += digits[(left & 31) | 32]
  }
}

/** The mappings of where lines begin: columns are a seventh of the package, and stack traces are read by line. */
const byLine = (mappings: string): string => {
  let [column, line] = [0, 0]
  let [toldColumn, toldLine] = [0, 0]
  return mappings
    .split(";")
    .map((segments) => {
      let first = ""
      for (const segment of segments.split(",")) {
        const [generated = 0, , lines, columns] = numbersOf(segment)
        if (lines === undefined || columns === undefined) continue
        line += lines
        column += columns
        if (first !== "") continue
        first = textOf(generated) + textOf(0) + textOf(line - toldLine) + textOf(column - toldColumn)
        ;[toldColumn, toldLine] = [column, line]
      }
      return first
    })
    .join(";")
}

/** Takes comments out of the code and of the sources in its maps, and columns out of these: together half of the package. */
const thinCode = (folder: string): void => {
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = join(folder, entry)
    if (entry.endsWith(".js")) writeFileSync(file, withoutComments(file, readFileSync(file, "utf8")))
    if (!entry.endsWith(".js.map")) continue
    const map = JSON.parse(readFileSync(file, "utf8")) as {
      readonly sources: ReadonlyArray<string>
      mappings: string
      sourcesContent: ReadonlyArray<string>
    }
    map.mappings = byLine(map.mappings)
    map.sourcesContent = map.sourcesContent.map((text, index) => withoutComments(map.sources[index] ?? "", text))
    writeFileSync(file, JSON.stringify(map))
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

/** Every module of a built folder that these lead to, by what code and types import; without its extension. */
const reachedFrom = (entries: ReadonlyArray<string>): ReadonlySet<string> => {
  const reached = new Set<string>()
  const waiting = [...entries]
  for (let module = waiting.pop(); module !== undefined; module = waiting.pop()) {
    // A comment may name one that is none.
    if (reached.has(module) || !existsSync(`${module}.js`)) continue
    reached.add(module)
    for (const extension of [".js", ".d.ts"]) {
      const text = readFileSync(`${module}${extension}`, "utf8")
      for (const [, target = ""] of text.matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]*)\.js"/g)) {
        waiting.push(join(dirname(module), target))
      }
    }
  }
  return reached
}

/** The command's own modules are for nobody to import: they go without types, and without maps. */
const thinCommand = (folder: string): void => {
  const { exports } = JSON.parse(readFileSync("package.json", "utf8")) as {
    readonly exports: Readonly<Record<string, string>>
  }
  const reached = reachedFrom(Object.values(exports).map((path) => join(folder, path.replace(/\.ts$/, ""))))
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    const file = join(folder, entry)
    if (!entry.endsWith(".js") || reached.has(file.slice(0, -".js".length))) continue
    rmSync(file.replace(/\.js$/, ".d.ts"))
    rmSync(`${file}.map`)
    writeFileSync(file, readFileSync(file, "utf8").replace(/^\/\/# sourceMappingURL=.*\n?/m, ""))
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
  importOnlyWhatIsUsed("dist")
  thinCode("dist")
  thinCommand("dist")
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
