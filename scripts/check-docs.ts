/**
 * Compiles the TypeScript of README.md and ARCHITECTURE.md against this package.
 *
 *     node scripts/check-docs.ts
 *
 * Writes to a folder of its own below node_modules, where the next run finds what the compiler knows of the unchanged sources.
 */
import { spawnSync } from "node:child_process"
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"

const root = new URL("..", import.meta.url).pathname
const folder = join(root, "node_modules/.cache/docs")
rmSync(folder, { recursive: true, force: true })
mkdirSync(folder, { recursive: true })

let blocks = 0
for (const name of ["README.md", "ARCHITECTURE.md"]) {
  for (const [, code = ""] of readFileSync(join(root, name), "utf8").matchAll(/^```ts\n([\s\S]*?)^```/gm)) {
    writeFileSync(join(folder, `${name.replace(".md", "")}-${++blocks}.ts`), code)
  }
}
writeFileSync(
  join(folder, "tsconfig.json"),
  JSON.stringify({
    extends: join(root, "tsconfig.json"),
    compilerOptions: {
      incremental: true,
      tsBuildInfoFile: join(root, "node_modules/.cache/docs.tsbuildinfo"),
      noUnusedLocals: false,
      typeRoots: [join(root, "node_modules/@types")],
      paths: {
        "network-effect": [join(root, "src/index.ts")],
        "network-effect/layers": [join(root, "layers/index.ts")],
        "network-effect/simulation": [join(root, "src/simulation/index.ts")]
      }
    },
    include: ["*.ts"],
    exclude: []
  })
)
const { status } = spawnSync("tsc", ["-p", folder], { stdio: "inherit" })
rmSync(folder, { recursive: true, force: true })
if (status === 0) console.log(`${blocks} code blocks compile`)
process.exit(status ?? 1)
