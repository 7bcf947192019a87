/**
 * Releases what is committed: looks at everything that has to agree, tests the package, tags it and publishes it.
 *
 *     npm run release -- --dry-run      looks and tests, and changes nothing
 *     npm run release
 *
 * Publishing is for a workflow that npm trusts (`id-token: write`), as only that can state where a package was made. What is
 * published is the packed file: npm would state the checkout's manifest with it if it published the folder.
 */
import { spawnSync } from "node:child_process"
import { readFileSync, rmSync } from "node:fs"
import { join } from "node:path"
import { version } from "../src/version.ts"
import { thirdPartyText } from "./licences.ts"

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
  /** Whether package.json says where the source is, as a statement of provenance needs. */
  readonly hasRepository: boolean
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
  else if (unreleased !== "") problems.push(`CHANGELOG.md has changes under Unreleased: move them to ${inManifest}`)
  if (facts.changes !== "") problems.push(`the tree is not clean: ${facts.changes.trim().split("\n").join(", ")}`)
  if (facts.tags.includes(`v${inManifest}`)) problems.push(`the tag v${inManifest} is taken: choose another version`)
  if (facts.thirdParty.written !== facts.thirdParty.found) {
    problems.push("scripts/THIRD-PARTY.md is not what is installed: run npm run licences")
  }
  if (!facts.hasRepository) problems.push("package.json has no repository: npm cannot state where the package was made")
  return problems
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

const release = (isDry: boolean): void => {
  const manifest = readJson("package.json")
  const problems = problemsOf({
    versions: [manifest.version, readJson("package-lock.json").version, version],
    changelog: readFileSync(join(root, "CHANGELOG.md"), "utf8"),
    changes: git("status", "--porcelain"),
    tags: git("tag", "--list").split("\n"),
    thirdParty: { written: readFileSync(join(root, "scripts/THIRD-PARTY.md"), "utf8"), found: thirdPartyText() },
    hasRepository: manifest.repository !== undefined
  })
  if (problems.length > 0) throw new Error(`not ready to be released:\n- ${problems.join("\n- ")}`)
  run("npm", ["test"])
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
    release(process.argv.includes("--dry-run"))
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error))
    process.exit(1)
  }
}
