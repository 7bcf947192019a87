/**
 * Asks a foreign codec what it makes of bytes that ours was asked about too, and prints each class of disagreement with its
 * shortest input.
 *
 *     npm run interop -- codec --command PROGRAM [--frames 250000] [--seed N]
 *
 * `test/support/codecComparison.ts` says what the program reads and answers. Needs that program; writes nothing. Exit code 1 when
 * there is a class that is not documented there.
 */
import { spawn } from "node:child_process"
import { parseArgs } from "node:util"
import { type Case, casesOf, Comparison, documented, recordOf } from "../test/support/codecComparison.ts"

const fail = (message: string): never => {
  console.error(`interop codec: ${message}`)
  process.exit(1)
}

/** A program that was given so many gives its answers before it is given more. */
const batch = 10_000

/** What it may write for each of them on average, and how long it may take for all of them: well above what a codec needs. */
const answerBytes = 4096
const answerMillis = 300_000

/** The lines a program answers some cases with. */
const asked = (command: string, cases: ReadonlyArray<Case>) =>
  new Promise<ReadonlyArray<string>>((resolve) => {
    const [program = "", ...args] = command.split(/\s+/)
    const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"] })
    const output: Array<Buffer> = []
    let bytes = 0
    const stopped = (why: string): never => {
      child.kill("SIGKILL")
      return fail(`${program} ${why}`)
    }
    const late = setTimeout(() => stopped(`gave no end of its answers in ${answerMillis / 1000} s`), answerMillis)
    child.on("error", (error) => fail(`${program} cannot be run: ${error.message}`))
    child.stdout.on("data", (chunk: Buffer) => {
      output.push(chunk)
      bytes += chunk.length
      if (bytes > answerBytes * cases.length) stopped(`wrote more than ${bytes} bytes for ${cases.length} frames`)
    })
    child.on("close", (code) => {
      clearTimeout(late)
      const lines = Buffer.concat(output).toString().trimEnd().split("\n")
      if (lines.length !== cases.length)
        fail(`${program} ended with ${code}, and ${lines.length} answers for ${cases.length} frames`)
      resolve(lines)
    })
    // It may end before it has read everything; its answers tell.
    child.stdin.on("error", () => undefined)
    child.stdin.end(Buffer.concat(cases.map(recordOf)))
  })

const readArguments = (args: ReadonlyArray<string>) => {
  try {
    return parseArgs({
      args: [...args],
      options: {
        command: { type: "string" },
        frames: { type: "string", default: "250000" },
        seed: { type: "string", default: "1" }
      }
    }).values
  } catch (error) {
    return fail(`${(error as Error).message.split(".")[0]}; see the top of scripts/interopCodec.ts`)
  }
}

export const run = async (args: ReadonlyArray<string>): Promise<void> => {
  const values = readArguments(args)
  const [frames, seed] = [Number(values.frames), Number(values.seed)]
  const command = values.command ?? fail("say which codec to ask: --command PROGRAM")
  if (!Number.isInteger(frames) || frames < 1) fail(`--frames ${values.frames} is not a number from 1 on`)
  if (!Number.isInteger(seed)) fail(`--seed ${values.seed} is not a number`)

  const comparison = new Comparison()
  const cases = casesOf(seed)
  while (comparison.cases < frames) {
    const some = Array.from({ length: Math.min(batch, frames - comparison.cases) }, () => cases.next().value)
    const lines = await asked(command, some)
    for (const [i, aCase] of some.entries()) comparison.add(aCase, lines[i] ?? "")
    console.log(`${comparison.cases} frames, ${comparison.classes.size} classes of disagreement`)
  }

  const kinds = Map.groupBy(comparison.verdicts, ([verdict]) => verdict.split(" ")[1] ?? "")
  const sum = (kind: string) => (kinds.get(kind) ?? []).reduce((total, [, count]) => total + count, 0)
  console.log(`accepted ${sum("M")}, refused ${sum("E")}, incomplete or ignored ${sum("I")}, seed ${seed}`)
  for (const [name, { count, ours, shortest, theirs }] of comparison.classes) {
    const why = documented[name]
    console.log(
      `\n${why === undefined ? "NOT DOCUMENTED" : "documented"}  ${count} times: ${name}${why === undefined ? "" : ` (${why})`}`
    )
    const { bytes, maxBodyBytes, negotiatedVersion, network } = shortest
    console.log(
      `    network ${network}, version ${negotiatedVersion}, bodies of at most ${maxBodyBytes}: ${Buffer.from(bytes).toString("hex")}`
    )
    console.log(`    there: ${theirs.slice(0, 200)}\n    here:  ${ours.slice(0, 200)}`)
  }
  console.log(`\n${comparison.unknown.length} classes of disagreement that are not documented`)
  process.exitCode = comparison.unknown.length === 0 ? 0 : 1
}
