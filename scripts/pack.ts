/**
 * What `npm pack` runs before and after it: the package has a manifest of its own, which is in place while npm packs.
 *
 *     npm pack
 *
 * The checkout runs from its sources, with tools that no consumer needs; the package is `dist`. npm packs the manifest it
 * finds in package.json and has no other way to change `exports`, so the two are swapped, and what only the package has is
 * put beside it (`agents.ts`). `restore` undoes both; after a pack that was killed, so does the next one.
 */
import { spawnSync } from "node:child_process"
import { copyFileSync, existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { place, placed } from "./agents.ts"
import { build } from "./build.ts"

/** What of package.json the package has as it is. `dist` is built from it. */
interface Manifest {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly license: string
  readonly type: string
  readonly engines: Readonly<Record<string, string>>
  readonly files: ReadonlyArray<string>
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

/** What speaks for a file that was packed without scripts; in any other it would have nothing to say. */
const notice = "scripts/unpacked.js"

/** `./src/index.ts` as it is in `dist`. */
const built = (path: string, extension: string): string =>
  `./dist/${path.replace(/^\.\//, "").replace(/\.[jt]s$/, extension)}`

/** Where the source is: as the manifest says, or else where git pushes it to. `undefined` when neither knows. */
export const repositoryOf = (stated: unknown): unknown => {
  if (stated !== undefined) return stated
  const { status, stdout } = spawnSync("git", ["remote", "get-url", "origin"], { encoding: "utf8" })
  const [, host, path] = /^(?:https:\/\/|git@|ssh:\/\/git@)([^/:]+)[/:](.+?)(?:\.git)?\s*$/.exec(stdout ?? "") ?? []
  return status === 0 && host !== undefined ? { type: "git", url: `git+https://${host}/${path}.git` } : undefined
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
  files: [...checkout.files.filter((file) => file !== notice), ...placed],
  dependencies: Object.fromEntries(Object.entries(checkout.dependencies).filter(([name]) => !peers.includes(name))),
  // Any version that keeps the promises of the one this was tested with.
  peerDependencies: Object.fromEntries([
    ...peers.map((name) => [name, `^${checkout.dependencies[name]}`]),
    ...optionalPeers.map((name) => [name, `^${checkout.optionalDependencies[name]}`])
  ]),
  peerDependenciesMeta: Object.fromEntries(optionalPeers.map((name) => [name, { optional: true }])),
  publishConfig: { access: "public", provenance: true }
})

const [manifest, backup] = ["package.json", ".package.json.checkout"]

const restore = (): void => {
  if (existsSync(backup)) renameSync(backup, manifest)
  for (const path of placed) rmSync(path, { recursive: true, force: true })
}

const swap = (): void => {
  if (existsSync(backup)) {
    console.error(`package.json is still that of a pack which was stopped: ${backup} is put back first`)
    restore()
  }
  if (!build()) throw new Error("nothing is packed: it does not compile")
  const checkout = JSON.parse(readFileSync(manifest, "utf8")) as Manifest
  place()
  copyFileSync(manifest, backup)
  // Whoever reads package.json in this moment reads one of the two, and never a part.
  writeFileSync(
    `${backup}.new`,
    `${JSON.stringify(packedManifest(checkout, repositoryOf(checkout.repository)), undefined, 2)}\n`
  )
  renameSync(`${backup}.new`, manifest)
}

if (process.argv[1] === import.meta.filename) {
  process.chdir(new URL("..", import.meta.url).pathname)
  const [, , step] = process.argv
  try {
    if (step === "restore") restore()
    else swap()
  } catch (error) {
    console.error(`network-effect: ${error instanceof Error ? error.message : String(error)}`)
    process.exit(1)
  }
}
