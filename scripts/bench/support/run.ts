/** Runs one benchmark in this process: the part of `scripts/bench.ts` that measures. */

/** What a benchmark's file exports. */
interface Benchmark {
  readonly run: (args: ReadonlyArray<string>) => Promise<void>
}

export const file = import.meta.filename

export const load = async (name: string) => (await import(`../${name}.ts`)) as Benchmark

if (import.meta.main) {
  const [name = "", ...args] = process.argv.slice(2)
  const { run } = await load(name)
  // What it shows is also told to whoever started it.
  const show = console.table
  console.table = (table: unknown) => {
    process.send?.(table)
    show(table)
  }
  await run(args)
  if (process.connected) process.disconnect()
}
