/**
 * Runs one benchmark, or lists them.
 *
 *     npm run bench -- NAME [its own flags]
 *
 * Each prints its figures beside those of a plain counterpart in the same run, so they are ratios that mean the same on
 * every machine. Writes nothing.
 */
import { readdirSync } from "node:fs"

/** What a benchmark's file exports. */
interface Benchmark {
  readonly run: (args: ReadonlyArray<string>) => Promise<void>
}

const [name = "", ...args] = process.argv.slice(2)
const names = readdirSync(new URL("bench", import.meta.url), { withFileTypes: true })
  .filter((entry) => entry.isFile())
  .map((entry) => entry.name.replace(/\.ts$/, ""))

if (names.includes(name)) {
  const benchmark = (await import(`./bench/${name}.ts`)) as Benchmark
  await benchmark.run(args)
} else {
  console.error(`bench: say which: ${names.join(", ")}; for example npm run bench -- ${names[0]}`)
  process.exit(1)
}
