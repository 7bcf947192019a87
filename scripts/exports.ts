/**
 * What the package exports, read from its own text: names, where they are declared, and what their comments say first.
 *
 *     node scripts/exports.ts          prints every export that has no comment, and fails if there is one
 */
import { readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"

const root = new URL("..", import.meta.url).pathname

/** The files that are the package, by how they are imported. */
export const entries = {
  "network-effect": "src/index.ts",
  "network-effect/layers": "layers/index.ts",
  "network-effect/simulation": "src/simulation/index.ts"
} as const

export interface Export {
  /** As a program imports it: `network-effect`. */
  readonly entry: string
  /** `Frame.encode` for a member of a namespace. */
  readonly name: string
  /** Of the repository. */
  readonly file: string
  /** The first sentence of its comment; empty when there is none. */
  readonly summary: string
}

/** The comment that ends right before `at`, without its marks. */
const commentBefore = (text: string, at: number): string => {
  const before = text.slice(0, at).trimEnd()
  if (!before.endsWith("*/")) return ""
  return before
    .slice(before.lastIndexOf("/**") + 3, -2)
    .split("\n")
    .map((line) => line.replace(/^\s*\*\s?/, ""))
    .join("\n")
    .trim()
}

/** Up to the first full stop that ends a sentence, or the first empty line. */
const firstSentence = (comment: string): string => {
  const [paragraph = ""] = comment.split(/\n\s*\n|:\s*\n\s{4}/)
  const line = paragraph.replace(/\s+/g, " ").trim()
  return /^.*?[.](?= |$)/.exec(line)?.[0] ?? line
}

const declaration = /^export (?:abstract )?(?:const|class|function|interface|type) (\w+)/gm

/** Declared in a file itself: names and summaries. */
const declaredIn = (file: string): ReadonlyMap<string, string> => {
  const text = readFileSync(join(root, file), "utf8")
  const found = new Map<string, string>()
  for (const match of text.matchAll(declaration)) {
    const [, name = ""] = match
    const summary = firstSentence(commentBefore(text, match.index))
    // A type and a value may share a name, and then a comment.
    if ((found.get(name) ?? "") === "") found.set(name, summary)
  }
  return found
}

const moduleSummary = (file: string): string => {
  const text = readFileSync(join(root, file), "utf8")
  return firstSentence(commentBefore(text, text.indexOf("*/") + 2))
}

/** Everything that is exported, namespaces and what is in them. */
export const exportsOf = (): ReadonlyArray<Export> =>
  Object.entries(entries).flatMap(([entry, index]) => {
    const text = readFileSync(join(root, index), "utf8")
    return [...text.matchAll(/^export (?:type )?(\*(?: as (\w+))?|\{[^}]*\}) from "([^"]+)"/gm)].flatMap(
      ([, what = "", namespace, from = ""]): ReadonlyArray<Export> => {
        const file = relative(root, join(root, dirname(index), from))
        const declared = [...declaredIn(file)]
        if (namespace !== undefined) {
          return [
            { entry, name: namespace, file, summary: moduleSummary(file) },
            ...declared.map(([name, summary]) => ({ entry, name: `${namespace}.${name}`, file, summary }))
          ]
        }
        const wanted = what.startsWith("{") ? new Set(what.match(/\w+/g)) : undefined
        return declared
          .filter(([name]) => wanted === undefined || wanted.has(name))
          .map(([name, summary]) => ({ entry, name, file, summary }))
      }
    )
  })

if (process.argv[1] === import.meta.filename) {
  const all = exportsOf()
  const bare = all.filter(({ summary }) => summary === "")
  for (const { file, name } of bare) console.error(`${file}: ${name} is exported and has no comment`)
  console.log(`${all.length} exports, ${all.length - bare.length} with a comment`)
  if (bare.length > 0) process.exit(1)
}
