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
  await run(args)
}
