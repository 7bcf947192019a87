/**
 * What `npm pack` runs before and after it: the package has a manifest of its own, which is in place while npm packs.
 *
 *     npm pack
 *
 * The checkout runs from its sources, with tools that no consumer needs; the package is `dist`. npm packs the manifest it
 * finds in package.json and has no other way to change `exports`, so the two are swapped, as is the README, and what only the
 * package has is put beside it (`agents.ts`). `restore` undoes both; after a pack that was killed, so does the next one.
 */
import { spawnSync } from "node:child_process"
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { place as placeTexts, placed } from "./agents.ts"
import { build } from "./build.ts"

/** What of package.json the package has as it is. `dist` is built from it. */
interface Manifest {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly license: string
  readonly type: string
  readonly engines: Readonly<Record<string, string>>
  readonly bin: Readonly<Record<string, string>>
  readonly exports: Readonly<Record<string, string>>
  readonly dependencies: Readonly<Record<string, string>>
  readonly optionalDependencies: Readonly<Record<string, string>>
  readonly keywords?: ReadonlyArray<string>
  readonly repository?: unknown
  readonly homepage?: string
}

/** A program has one `effect`, and what runs it: with a copy of ours beside its own, services would not find each other. */
const peers = ["effect", "@effect/platform-node"]

/** Loaded only by what asks for it, which says so when it is not there. */
const optionalPeers = ["@effect/sql-pg"]

/**
 * What is in the package beside its manifest, README and licence. The checkout's own list has nothing of it but a notice: a file
 * that was packed without scripts has that manifest, and cannot be mistaken for the package.
 */
const files = ["dist", "ARCHITECTURE.md", "CHANGELOG.md", "scripts/THIRD-PARTY.md", ...placed]

/** `./src/index.ts` as it is in `dist`. */
const built = (path: string, extension: string): string =>
  `./dist/${path.replace(/^\.\//, "").replace(/\.[jt]s$/, extension)}`

/** Where git pushes to; `undefined` when it does not know. */
export const originOf = (): string | undefined => {
  const { status, stdout } = spawnSync("git", ["remote", "get-url", "origin"], { encoding: "utf8" })
  return status === 0 ? stdout.trim() : undefined
}

/** Where the source is: as the manifest says, or else the origin. `undefined` when neither is a place that others can reach. */
export const repositoryOf = (stated: unknown, origin: string | undefined): unknown => {
  if (stated !== undefined) return stated
  const [, host, path] = /^(?:https:\/\/|git@|ssh:\/\/git@)([^/:]+)[/:](.+?)(?:\.git)?$/.exec(origin ?? "") ?? []
  return host === undefined ? undefined : { type: "git", url: `git+https://${host}/${path}.git` }
}

/** The manifest of the package, made of the checkout's. */
export const packedManifest = (checkout: Manifest, repository: unknown) => ({
  name: checkout.name,
  version: checkout.version,
  description: checkout.description,
  license: checkout.license,
  ...(checkout.keywords === undefined ? {} : { keywords: checkout.keywords }),
  ...(repository === undefined ? {} : { repository }),
  ...(checkout.homepage === undefined ? {} : { homepage: checkout.homepage }),
  type: checkout.type,
  engines: checkout.engines,
  bin: Object.fromEntries(Object.entries(checkout.bin).map(([name, path]) => [name, built(path, ".js").slice(2)])),
  exports: {
    ...Object.fromEntries(
      Object.entries(checkout.exports).map(([name, path]) => [
        name,
        { types: built(path, ".d.ts"), default: built(path, ".js") }
      ])
    ),
    "./package.json": "./package.json"
  },
  files,
  dependencies: Object.fromEntries(Object.entries(checkout.dependencies).filter(([name]) => !peers.includes(name))),
  // Any version that keeps the promises of the one this was tested with.
  peerDependencies: Object.fromEntries([
    ...peers.map((name) => [name, `^${checkout.dependencies[name]}`]),
    ...optionalPeers.map((name) => [name, `^${checkout.optionalDependencies[name]}`])
  ]),
  peerDependenciesMeta: Object.fromEntries(optionalPeers.map((name) => [name, { optional: true }])),
  publishConfig: { access: "public", provenance: true }
})

/** Where the files of a repository are read, `https://HOST/PATH`; `undefined` when that is unknown. */
const placeOf = (repository: unknown): string | undefined => {
  const stated =
    typeof repository === "object" && repository !== null && "url" in repository ? repository.url : undefined
  return /^git\+(https:.+)\.git$/.exec(String(stated))?.[1]
}

/**
 * The README of the package: its pictures are where the source is, for they are not in the package. Where that is unknown it has
 * none.
 */
export const packedReadme = (readme: string, repository: unknown): string => {
  const place = placeOf(repository)
  return place === undefined
    ? readme.replaceAll(/^!\[[^\]]*\]\((?!https:)[^)]*\)\n\n/gm, "")
    : readme.replaceAll(/^(!\[[^\]]*\]\()(?!https:)([^)]*\)\n)/gm, `$1${place}/raw/HEAD/$2`)
}

const manifest = "package.json"

/** What the package has in another form, and where the checkout's is meanwhile. */
const swapped = [manifest, "README.md"]
const backupOf = (name: string) => `.${name}.checkout`

const restore = (): void => {
  for (const name of swapped) if (existsSync(backupOf(name))) renameSync(backupOf(name), name)
  for (const path of placed) rmSync(path, { recursive: true, force: true })
}

/** Whoever reads it in this moment reads one of the two, and never a part. */
const replace = (name: string, text: string): void => {
  copyFileSync(name, backupOf(name))
  writeFileSync(`${backupOf(name)}.new`, text)
  renameSync(`${backupOf(name)}.new`, name)
}

const swap = async (): Promise<void> => {
  if (swapped.some((name) => existsSync(backupOf(name)))) {
    console.error("package.json is still that of a pack which was stopped: the checkout's is put back first")
    restore()
  }
  const checkout = JSON.parse(readFileSync(manifest, "utf8")) as Manifest
  const repository = repositoryOf(checkout.repository, originOf())
  const place = placeOf(repository)
  const sources = place === undefined ? undefined : `${place}/raw/v${checkout.version}`
  if (!(await build(sources))) throw new Error("nothing is packed: it does not compile")
  placeTexts()
  replace("README.md", packedReadme(readFileSync("README.md", "utf8"), repository))
  replace(manifest, `${JSON.stringify(packedManifest(checkout, repository), undefined, 2)}\n`)
}

if (process.argv[1] === import.meta.filename) {
  process.chdir(new URL("..", import.meta.url).pathname)
  const [, , step] = process.argv
  try {
    if (step === "restore") restore()
    else await swap()
  } catch (error) {
    console.error(`network-effect: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  }
}
