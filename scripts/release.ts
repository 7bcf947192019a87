/**
 * Releases what is committed: looks at everything that has to agree, tests the package, tags it and publishes it.
 *
 *     npm run release -- --prepare 1.2.3   the version, and what is Unreleased under it: to be looked at and committed
 *     npm run release -- --dry-run         looks and tests, and changes nothing
 *     npm run release
 *
 * Publishing is for a workflow that npm trusts (`id-token: write`), as only that can state where a package was made. What is
 * published is the packed file: npm would state the checkout's manifest with it if it published the folder.
 */
import { spawnSync } from "node:child_process"
import { readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { parseArgs } from "node:util"
import { version } from "../src/version.ts"
import { thirdPartyText } from "./licences.ts"
import { originOf, repositoryOf } from "./pack.ts"

const root = new URL("..", import.meta.url).pathname

/** What has to agree. */
export interface Facts {
  /** Of package.json, package-lock.json and `src/version.ts`. */
  readonly versions: readonly [string, string, string]
  readonly changelog: string
  /** What `git status --porcelain` says. */
  readonly changes: string
  readonly tags: ReadonlyArray<string>
  readonly thirdParty: { readonly written: string; readonly found: string }
  /** Whether it is known where the source is, as a statement of provenance needs. */
  readonly hasRepository: boolean
  /** Where git pushes to. */
  readonly origin: string | undefined
}

/** The text of a section of the changelog, without its title; `undefined` when there is none. */
const section = (changelog: string, title: RegExp): string | undefined => {
  const sections = changelog.split(/^(?=## )/m)
  const found = sections.find((text) => title.test(text))
  return found?.slice(found.indexOf("\n")).trim()
}

/** One sentence for each thing that keeps these facts from being released. */
export const problemsOf = (facts: Facts): ReadonlyArray<string> => {
  const [inManifest, inLock, inSource] = facts.versions
  const problems: Array<string> = []
  if (!/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(inManifest)) problems.push(`package.json: ${inManifest} is no version`)
  if (inLock !== inManifest) problems.push(`package-lock.json says ${inLock}, package.json ${inManifest}`)
  if (inSource !== inManifest) problems.push(`src/version.ts says ${inSource}, package.json ${inManifest}`)
  const escaped = inManifest.replaceAll(".", "\\.")
  const notes = section(facts.changelog, new RegExp(`^## \\[${escaped}\\] - \\d{4}-\\d{2}-\\d{2}\\s*\\n`))
  if (notes === undefined) problems.push(`CHANGELOG.md has no section "## [${inManifest}] - YEAR-MONTH-DAY"`)
  else if (!/^### (Added|Changed|Deprecated|Removed|Fixed|Security)\n\n?- /m.test(notes)) {
    problems.push(`CHANGELOG.md says nothing under ${inManifest}`)
  }
  const unreleased = section(facts.changelog, /^## \[Unreleased\]\s*\n/)
  if (unreleased === undefined) problems.push('CHANGELOG.md has no section "## [Unreleased]"')
  else if (unreleased !== "")
    problems.push(
      `CHANGELOG.md has changes under Unreleased: npm run release -- --prepare VERSION moves them to a version`
    )
  if (facts.changes !== "") problems.push(`the tree is not clean: ${facts.changes.trim().split("\n").join(", ")}`)
  if (facts.tags.includes(`v${inManifest}`)) problems.push(`the tag v${inManifest} is taken: choose another version`)
  if (facts.thirdParty.written !== facts.thirdParty.found) {
    problems.push("scripts/THIRD-PARTY.md is not what is installed: run npm run licences")
  }
  if (!facts.hasRepository) {
    const is = facts.origin === undefined ? "there is no remote origin" : `the remote origin is ${facts.origin}`
    problems.push(
      `nobody could be told where the source is, for ${is}: git remote ${facts.origin === undefined ? "add" : "set-url"} origin https://HOST/PATH.git`
    )
  }
  return problems
}

const categories = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]

/** The entries of a section by category: each the text below its title. */
const entriesOf = (text: string): ReadonlyMap<string, string> =>
  new Map(
    text
      .split(/^(?=### )/m)
      .map((part) => /^### (\w+)\n+([\s\S]*)$/.exec(part))
      .flatMap((match) => (match === null ? [] : [[match[1] ?? "", (match[2] ?? "").trim()] as const]))
  )

/**
 * The changelog with what is Unreleased under a version, of this day; a section that is there already is added to. As it is
 * when nothing is Unreleased.
 */
export const prepared = (changelog: string, version: string, day: string): string => {
  const title = new RegExp(`^## \\[${version.replaceAll(".", "\\.")}\\] - .*\\n`)
  const unreleased = section(changelog, /^## \[Unreleased\]\s*\n/) ?? ""
  const [now, before] = [entriesOf(unreleased), entriesOf(section(changelog, title) ?? "")]
  if (now.size === 0) return changelog
  const merged = categories.flatMap((name) => {
    const entries = [now.get(name), before.get(name)].filter((text) => text !== undefined)
    return entries.length === 0 ? [] : [`### ${name}\n\n${entries.join("\n")}\n`]
  })
  const sections = changelog.split(/^(?=## )/m).filter((text) => !title.test(text))
  const at = sections.findIndex((text) => text.startsWith("## [Unreleased]"))
  return [
    ...sections.slice(0, at),
    "## [Unreleased]\n\n",
    `## [${version}] - ${day}\n\n${merged.join("\n")}${sections.length > at + 1 ? "\n" : ""}`,
    ...sections.slice(at + 1)
  ].join("")
}

const git = (...args: ReadonlyArray<string>): string => {
  const { error, status, stderr, stdout } = spawnSync("git", args, { cwd: root, encoding: "utf8" })
  if (status !== 0) throw new Error(`git ${args.join(" ")}: ${error?.message ?? stderr}`)
  return stdout
}

const run = (command: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}): void => {
  const { status } = spawnSync(command, args, { cwd: root, stdio: "inherit", env: { ...process.env, ...env } })
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed`)
}

const readJson = (name: string) =>
  JSON.parse(readFileSync(join(root, name), "utf8")) as { readonly version: string; readonly repository?: unknown }

/** Writes a version wherever it stands. */
const prepare = (to: string): void => {
  if (!/^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?$/.test(to)) throw new Error(`${to} is no version: say 1.2.3`)
  const change = (name: string, edit: (text: string) => string) =>
    writeFileSync(join(root, name), edit(readFileSync(join(root, name), "utf8")))
  const from = `"version": "${readJson("package.json").version}"`
  change("package.json", (text) => text.replace(from, `"version": "${to}"`))
  // Of the package itself, which comes first and twice.
  change("package-lock.json", (text) => text.replace(from, `"version": "${to}"`).replace(from, `"version": "${to}"`))
  change("src/version.ts", (text) => text.replace(`"${version}"`, `"${to}"`))
  change("CHANGELOG.md", (text) => prepared(text, to, new Date().toISOString().slice(0, 10)))
  console.log(`${to} is in package.json, package-lock.json, src/version.ts and CHANGELOG.md: look at it and commit it`)
}

const release = (isDry: boolean): void => {
  const manifest = readJson("package.json")
  const origin = originOf()
  const problems = problemsOf({
    versions: [manifest.version, readJson("package-lock.json").version, version],
    changelog: readFileSync(join(root, "CHANGELOG.md"), "utf8"),
    changes: git("status", "--porcelain"),
    tags: git("tag", "--list").split("\n"),
    thirdParty: { written: readFileSync(join(root, "scripts/THIRD-PARTY.md"), "utf8"), found: thirdPartyText() },
    hasRepository: repositoryOf(manifest.repository, origin) !== undefined,
    origin
  })
  if (problems.length > 0) throw new Error(`not ready to be released:\n- ${problems.join("\n- ")}`)
  run("npm", ["test"], { NETWORK_EFFECT_BROWSER: "1", NETWORK_EFFECT_LONG: "1", NETWORK_EFFECT_PROMETHEUS: "1" })
  run("npx", ["vitest", "run", "--config", "test/vitest.config.ts", "test/package"], { NETWORK_EFFECT_PACK: "1" })
  if (isDry) return console.log(`${manifest.version} is ready: nothing was tagged or published`)
  const file = `network-effect-${manifest.version}.tgz`
  git("tag", "--annotate", `v${manifest.version}`, "--message", manifest.version)
  try {
    run("npm", ["pack"])
    run("npm", ["publish", `./${file}`, "--access", "public", "--provenance"])
  } catch (error) {
    // What is not published has no tag.
    git("tag", "--delete", `v${manifest.version}`)
    throw error
  } finally {
    rmSync(join(root, file), { force: true })
  }
  console.log(`${manifest.version} is published: git push origin v${manifest.version}`)
}

if (process.argv[1] === import.meta.filename) {
  try {
    const { values } = parseArgs({ options: { "dry-run": { type: "boolean" }, prepare: { type: "string" } } })
    if (values.prepare === undefined) release(values["dry-run"] === true)
    else prepare(values.prepare)
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    process.exit(1)
  }
}
