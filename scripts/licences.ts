/**
 * The licences of what comes with this package when it is installed, as scripts/THIRD-PARTY.md lists them.
 *
 *     npm run licences                writes scripts/THIRD-PARTY.md
 *     npm run licences -- --check     fails when it is not what would be written
 *
 * Read from the lock file and from the packages as they are installed here; nothing of them is in the package itself.
 */
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = new URL("..", import.meta.url).pathname

interface Locked {
  readonly version: string
  readonly license?: string
  readonly dev?: boolean
  readonly devOptional?: boolean
  readonly optional?: boolean
}

/** First line of a licence's text that says whose it is. */
const copyrightOf = (folder: string): string => {
  const file = readdirSync(folder).find((name) => /^(licen[cs]e|copying)/i.test(name))
  const text = file === undefined ? "" : readFileSync(join(folder, file), "utf8")
  return (
    text
      .split("\n")
      .map((line) => line.trim())
      .find((line) => /^copyright .*\S/i.test(line)) ?? "not said in the package"
  )
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
    "What is installed with this package, and under which licence. None of it is part of the package. `effect` and",
    "`@effect/platform-node` are peers: a program brings its own. Written by `npm run licences`.",
    "",
    "| Package | Version | Licence | Copyright |",
    "| --- | --- | --- | --- |",
    ...rows,
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
