/**
 * Runs the tests on a busy machine: beside processes that want all of the processor, in another order each time. A test that
 * needs to be quick, or needs another one before it, fails here.
 *
 *     npm run test:busy [-- [--processes N] [--times N] [--seed N] PATH…]
 *
 * Four processes, three times and a seed of its own unless told; the seed is printed, and gives the same orders again. With
 * paths, only those tests. Needs nothing and writes nothing; the busy processes end with it.
 */
import { spawn, spawnSync } from "node:child_process"
import { parseArgs } from "node:util"

const fail = (message: string): never => {
  console.error(`busy: ${message}`)
  process.exit(1)
}

const readArguments = () => {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        processes: { type: "string", default: "4" },
        times: { type: "string", default: "3" },
        seed: { type: "string", default: String(Date.now() % 1_000_000) }
      }
    })
  } catch (error) {
    return fail(`${(error as Error).message.split(".")[0]}; see the top of scripts/busy.ts`)
  }
}

const { positionals, values } = readArguments()
const number = (name: "processes" | "times" | "seed", least: number): number => {
  const value = Number(values[name])
  return Number.isInteger(value) && value >= least
    ? value
    : fail(`--${name} ${values[name]} is not a number from ${least} on`)
}
const [processes, times, seed] = [number("processes", 0), number("times", 1), number("seed", 0)]

// They look whether this process is still there, so that they end with it whatever ends it.
const work = `const parent = process.ppid
for (let n = 0; ; n++) if (n % 1e7 === 0 && process.ppid !== parent) process.exit()`
const busy = Array.from({ length: processes }, () => spawn(process.execPath, ["-e", work], { stdio: "ignore" }))
// Nor do they keep this one from ending.
for (const child of busy) child.unref()
const stop = () => {
  for (const child of busy) child.kill("SIGKILL")
}
process.on("exit", stop)

let failed = 0
for (let run = 0; run < times; run++) {
  console.log(`busy: run ${run + 1} of ${times} beside ${processes} busy processes, in the order of seed ${seed + run}`)
  const order = ["--sequence.shuffle", `--sequence.seed=${seed + run}`]
  const { status } = spawnSync("vitest", ["run", "--config", "test/vitest.config.ts", ...order, ...positionals], {
    stdio: "inherit"
  })
  if (status !== 0) failed++
}
console.log(`busy: ${times - failed} of ${times} runs passed (--seed ${seed})`)
process.exitCode = failed === 0 ? 0 : 1
