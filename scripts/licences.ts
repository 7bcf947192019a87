/**
 * The licences of what comes with this package when it is installed, as scripts/THIRD-PARTY.md lists them.
 *
 *     npm run licences                writes scripts/THIRD-PARTY.md
 *     npm run licences -- --check     fails when it is not what would be written
 *
 * Read from the lock file and from the packages as they are installed here; the program in the package has code of some, whose licences are told in full.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { bundled } from "./bundle.ts"

const root = new URL("..", import.meta.url).pathname

interface Locked {
  readonly version: string
  readonly license?: string
  readonly dev?: boolean
  readonly devOptional?: boolean
  readonly optional?: boolean
}

/** A licence as the package has it; empty where it has none. */
const licenceOf = (folder: string): string => {
  const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying)/i.test(name))
  return file === undefined ? "" : readFileSync(join(folder, file), "utf8").trim()
}

/** First line of a licence's text that says whose it is. */
const copyrightOf = (folder: string): string =>
  licenceOf(folder)
    .split("\n")
    .map((line) => line.trim())
    .find((line) => /^copyright .*\S/i.test(line)) ?? "not said in the package"

/** Parts of the bundled packages that are in no command: what they say of licences is not ours to repeat. */
const unused = /^dist\/(ai|cluster)\/|\/internal\/httpApi(Swagger|Scalar)\.js$/

/** What a package's sources say of whose they were before, as they say it. */
const noticesOf = (folder: string): ReadonlyArray<string> => {
  const found = new Set<string>()
  for (const entry of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    if (!entry.endsWith(".js") || unused.test(entry) || entry.includes("node_modules/")) continue
    const comments = readFileSync(join(folder, entry), "utf8").match(/\/\*[^]*?\*\/|(?:^[ \t]*\/\/.*\n)+/gm) ?? []
    for (const comment of comments) {
      if (!/copyright|under (the )?\w+ licen[cs]e/i.test(comment)) continue
      const text = comment
        .replaceAll(/^[ \t]*(\/\*+|\*+\/|\*|\/\/)[ \t]?|\*\/$/gm, "")
        .replaceAll(/^@.*$|[ \t]+$/gm, "")
      found.add(text.trim())
    }
  }
  return [...found].toSorted()
}

/** scripts/THIRD-PARTY.md as it has to be. */
export const thirdPartyText = (): string => {
  const lock = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as {
    readonly packages: Readonly<Record<string, Locked>>
  }
  const rows = Object.entries(lock.packages)
    .filter(([path, { dev, devOptional, optional }]) => path !== "" && !dev && !devOptional && !optional)
    .map(([path, { license, version }]) => {
      const name = path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length)
      return `| ${name} | ${version} | ${license ?? "not said"} | ${copyrightOf(join(root, path))} |`
    })
  return [
    "# Third parties",
    "",
    "What is installed with this package, and under which licence. `effect` and `@effect/platform-node` are peers: a program",
    "brings its own. The command has a copy of what it needs of some, in `dist/program`. Written by `npm run licences`.",
    "",
    "| Package | Version | Licence | Copyright |",
    "| --- | --- | --- | --- |",
    ...rows,
    "",
    "## In the command",
    ...bundled.flatMap((name) => {
      const folder = join(root, "node_modules", name)
      const texts = [licenceOf(folder), ...noticesOf(folder)]
      return ["", `### ${name}`, ...texts.flatMap((text) => ["", "```", text, "```"])]
    }),
    ""
  ].join("\n")
}

if (process.argv[1] === import.meta.filename) {
  const file = join(root, "scripts/THIRD-PARTY.md")
  const text = thirdPartyText()
  if (!process.argv.includes("--check")) writeFileSync(file, text)
  else if (readFileSync(file, "utf8") !== text) {
    console.error("scripts/THIRD-PARTY.md is not what is installed: run npm run licences")
    process.exit(1)
  }
}
