/**
 * The package for readers that write programs with it: `AGENTS.md` and `ai-docs`, in the places where those of Effect's own
 * packages are. Made of the README and of `scripts/examples` when the package is packed, so that there is one text of each.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { examples, llmsText, section } from "./llms.ts"

const root = new URL("..", import.meta.url).pathname

/** What is in no checkout, only in the package: placed before it is packed, and taken away after that. */
export const placed = ["AGENTS.md", "ai-docs", "llms.txt"]

const link = (text: string): string => text.replaceAll("scripts/examples", "ai-docs/src")

const agentsText = (): string =>
  [
    "# network-effect for those who write programs with it",
    "",
    "The Zcash peer-to-peer network as Effect 4 services. Read this, `llms.txt` (every export with a sentence) and the examples in",
    "`ai-docs/src` before you write code; the types in `dist` have the comments of every function. Effect's own `AGENTS.md` says",
    "how programs with Effect are written.",
    "",
    "- Ask for a service with `yield* PeerSet`; provide it with `Node.layer` on a machine, or `Simulated.layer` in a test.",
    "- Every wait for peers needs a timeout of yours. Errors have a `_tag`, those of the network a `reason` (see Errors).",
    "- Whatever comes from a peer is wrong until it is checked: nothing here validates blocks or transactions.",
    "- `PeerSocketAddress` is the only form of an address; never log one in full (`PeerSocketAddress.annotateLogs`).",
    "- A test needs no socket and no real time: `Network.layerTest` for one service, `Simulated` with `SimRuntime.within` for nodes.",
    "",
    ...["Embed it", "Extend it", "Test with a mock network", "Errors", "Limits"].flatMap((title) => [
      `## ${title}`,
      "",
      link(section(title)),
      ""
    ]),
    "## Examples",
    "",
    ...examples.map(([name, what]) => `- [${name}](ai-docs/src/${name}.ts): ${what}`),
    ""
  ].join("\n")

const readme = (): string =>
  [
    "# Examples",
    "",
    "Whole programs, which need no network. To run one, copy the folder into a program that has `network-effect`, `effect` and",
    "`@effect/platform-node` installed, and say `node src/NAME.ts`: Node runs no TypeScript below `node_modules`.",
    "",
    ...examples.map(([name, what]) => `- [${name}](src/${name}.ts): ${what}`),
    ""
  ].join("\n")

/** The bytes that the examples need, without the many of the tests: what stands before the end of the first value. */
const genesisBlocks = (): string => {
  const [, blocks] =
    /^([^]*?\nexport const genesis = \{[^]*?\n\} as const\n)/.exec(
      readFileSync(join(root, "test/support/goldens.ts"), "utf8")
    ) ?? []
  if (blocks === undefined) throw new Error("test/support/goldens.ts does not begin with the genesis blocks")
  return blocks
}

/** Puts them where npm packs them. */
export const place = (): void => {
  writeFileSync(join(root, "AGENTS.md"), agentsText())
  writeFileSync(join(root, "llms.txt"), llmsText("package"))
  const source = join(root, "scripts/examples")
  mkdirSync(join(root, "ai-docs/src"), { recursive: true })
  writeFileSync(join(root, "ai-docs/README.md"), readme())
  for (const name of readdirSync(source)) {
    const text = readFileSync(join(source, name), "utf8").replaceAll("../../test/support/goldens.ts", "./goldens.ts")
    writeFileSync(join(root, "ai-docs/src", name), text)
  }
  writeFileSync(join(root, "ai-docs/src/goldens.ts"), genesisBlocks())
  // There is one, and not in the folder of the code.
  rmSync(join(root, "dist/llms.txt"))
}
