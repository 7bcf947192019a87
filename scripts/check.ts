/**
 * What has to hold before any test runs, all at the same time: format, lint, types, code in the documents, exports.
 *
 *     npm run check
 *
 * Prints what each of them says, one after the other. Needs nothing; writes `node_modules/.cache` only. Exit code 1 when one fails.
 */
import { spawn } from "node:child_process"

const root = new URL("..", import.meta.url).pathname

/** The longest first. */
const checks: ReadonlyArray<readonly [string, ReadonlyArray<string>]> = [
  ["tsc", ["-p", "tsconfig.json"]],
  [process.execPath, ["scripts/check-docs.ts"]],
  [process.execPath, ["scripts/exports.ts"]],
  ["oxfmt", ["--check", "."]],
  ["oxlint", ["--quiet"]]
]

const results = checks.map(([command, args]) => {
  const child = spawn(command, args, { cwd: root, stdio: ["ignore", "pipe", "pipe"] })
  const said: Array<Buffer> = []
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece: Buffer) => said.push(piece))
  return new Promise<number>((resolve) => {
    const end = (code: number, text: string) => {
      process.stdout.write(text)
      resolve(code)
    }
    child.on("error", (error) => end(1, `check: ${command} cannot be run (${error.message}): use npm run check\n`))
    child.on("close", (code) => end(code ?? 1, Buffer.concat(said).toString()))
  })
})

const codes = await Promise.all(results)
process.exitCode = codes.every((code) => code === 0) ? 0 : 1
