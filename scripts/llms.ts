/**
 * The package for readers that are programs: what is exported, from where, and the limits. Written to `dist/llms.txt` by
 * `npm run build` and to `llms.txt` of the package, in the form that llmstxt.org describes.
 */
import { readFileSync } from "node:fs"
import { exportsOf } from "./exports.ts"

const root = new URL("..", import.meta.url).pathname

/** A section of the README by its title, without the title. */
export const section = (title: string): string => {
  const text = readFileSync(`${root}README.md`, "utf8")
  const start = text.indexOf(`\n## ${title}\n`)
  if (start < 0) throw new Error(`README.md has no section ${title}`)
  const end = text.indexOf("\n## ", start + 1)
  return text.slice(start + `\n## ${title}\n`.length, end < 0 ? undefined : end).trim()
}

/** The programs in `scripts/examples`, and what each shows. */
export const examples: ReadonlyArray<readonly [name: string, what: string]> = [
  ["ask-for-a-block", "asks the network for a block"],
  ["watch-inventory", "watches what peers advertise"],
  ["custom-inbound", "answers peers from a service of your own"],
  ["mempool-watcher", "a service of your own that both answers and asks"],
  ["test-a-mempool-watcher", "its test, with mocks and in a simulated network"],
  ["test-with-a-partition", "a network that falls apart, in a test"]
]

/** The text with links as they are in a checkout, or in the package, where types are what can be read. */
export const llmsText = (where: "checkout" | "package" = "checkout"): string => {
  const isPackage = where === "package"
  const declared = (file: string): string => (isPackage ? `dist/${file.replace(/\.ts$/, ".d.ts")}` : file)
  const all = exportsOf()
  const lists = [...new Set(all.map(({ entry }) => entry))].flatMap((entry) => [
    `## ${entry}`,
    "",
    ...all
      .filter((item) => item.entry === entry)
      .map(({ file, name, summary }) => `- [${name}](${declared(file)}): ${summary.replace(/\.$/, "")}`),
    ""
  ])
  return [
    "# network-effect",
    "",
    "> The Zcash peer-to-peer network as Effect services, in TypeScript: a node that listens, dials, shakes hands, learns",
    "> addresses and keeps connected, and a library whose parts are used, replaced and extended. Services are Effect 4",
    "> `Context.Service`s; ask for them with `yield* PeerSet` and provide them with `Node.layer` or `Simulated.layer`.",
    "",
    section("Limits"),
    "",
    "## Examples",
    "",
    ...examples.map(
      ([name, what]) => `- [${name}](${isPackage ? "ai-docs/src" : "scripts/examples"}/${name}.ts): ${what}`
    ),
    "",
    ...lists,
    "## Optional",
    "",
    "- [README](README.md): first steps, commands, the status interface",
    "- [ARCHITECTURE](ARCHITECTURE.md): where everything is",
    ""
  ].join("\n")
}
