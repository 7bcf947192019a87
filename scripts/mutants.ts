/**
 * Changes the source in small ways, one at a time, and runs the tests: a change that none of them notices is a survivor, and
 * shows what is not tested. Prints the score and each survivor with its place and what it was changed to.
 *
 *     npm run mutants [-- [--folder NAME]… [--file FILE]… [--sample N] [--seed N] [--minutes N] [--jobs N] [--list] [--report]]
 *
 * Of src/addresses, network, peer, routing and wire unless told. `--sample` takes so many, drawn by the seed (1 unless given).
 * What was found is in `node_modules/.cache/mutants/results.json`: a run goes on where one was stopped, or where `--minutes` were
 * over, and a file that was changed begins anew. `--list` says what would be done and what is left out, `--report` prints what
 * was found so far; neither runs a test. A test that takes too long, and a change that does not compile, is not counted as
 * noticed. `test/mutants/survivors.md` says why the survivors that are left are equivalent.
 *
 * Needs the npm registry the first time, for Stryker. Leaves the working tree alone. All of it takes hours.
 */
import { spawn, spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join, normalize, relative } from "node:path"
import { parseArgs } from "node:util"

import type { Location } from "./mutantOperators.ts"

const root = new URL("..", import.meta.url).pathname
const cache = join(root, "node_modules/.cache/mutants")
const strykerVersion = "10.1.1"

const fail = (message: string): never => {
  console.error(`mutants: ${message}`)
  process.exit(1)
}

const readArguments = () => {
  try {
    return parseArgs({
      options: {
        folder: { type: "string", multiple: true },
        file: { type: "string", multiple: true },
        sample: { type: "string" },
        seed: { type: "string", default: "1" },
        minutes: { type: "string" },
        jobs: { type: "string", default: "1" },
        list: { type: "boolean" },
        report: { type: "boolean" }
      }
    }).values
  } catch (error) {
    return fail(`${(error as Error).message.split(".")[0]}; see the top of scripts/mutants.ts`)
  }
}

const flags = readArguments()
const number = (name: "sample" | "seed" | "minutes" | "jobs"): number | undefined => {
  const text = flags[name]
  if (text === undefined) return undefined
  return /^[1-9]\d*$/.test(text) ? Number(text) : fail(`--${name} ${text} is not a number from 1 on`)
}
const sample = number("sample")
const seed = number("seed") ?? 1
const minutes = number("minutes")
const jobs = number("jobs") ?? 1

// -- Stryker -----------------------------------------------------------------------------------

const installed = join(cache, "node_modules/@stryker-mutator/core/package.json")
if (
  !existsSync(installed) ||
  (JSON.parse(readFileSync(installed, "utf8")) as { version: string }).version !== strykerVersion
) {
  console.log("mutants: installing Stryker")
  mkdirSync(cache, { recursive: true })
  const packages = ["core", "vitest-runner"].map((name) => `@stryker-mutator/${name}@${strykerVersion}`)
  // Its peer is the project's own vitest, which it finds above its folder.
  const flags = ["--no-audit", "--no-fund", "--no-package-lock", "--legacy-peer-deps", "--ignore-scripts"]
  const { status } = spawnSync("npm", ["install", "--prefix", cache, ...flags, ...packages], {
    stdio: ["ignore", "ignore", "inherit"]
  })
  if (status !== 0) fail(`Stryker could not be installed into ${relative(root, cache)}`)
}
process.env["NETWORK_EFFECT_MUTANTS_TOOLS"] = cache
const { codeLeftOut, filesLeftOut, keyOf, operators, operatorsLeftOut, shouldIgnore } =
  await import("./mutantOperators.ts")

// -- what there is to do -----------------------------------------------------------------------

const folders = flags.folder ?? ["addresses", "network", "peer", "routing", "wire"]
const filesOf = (folder: string): ReadonlyArray<string> => {
  const path = `src/${folder}`
  if (!existsSync(join(root, path))) fail(`there is no ${path}`)
  return readdirSync(join(root, path), { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts"))
    .map((name) => `${path}/${name}`)
    .toSorted()
}
const files = (flags.file ?? folders.flatMap(filesOf)).filter((file) => !(file in filesLeftOut))
for (const file of files) if (!existsSync(join(root, file))) fail(`there is no ${file}`)

/** Texts by file, as they are now. */
const texts = new Map(files.map((file) => [file, readFileSync(join(root, file), "utf8")]))
const hashOf = (text: string): string => createHash("sha256").update(text).digest("hex").slice(0, 12)

interface Mutant {
  readonly file: string
  readonly operator: string
  readonly location: Location
  readonly replacement: string
  /** As `mutantOperators.ts` knows it. */
  readonly key: string
  /** Of this text of its file. */
  readonly id: string
}

interface InstrumentedMutant {
  readonly fileName: string
  readonly mutatorName: string
  readonly location: Location
  readonly replacement: string
  readonly status?: string
}

interface Instrumenter {
  readonly instrument: (
    files: ReadonlyArray<{ readonly name: string; readonly content: string; readonly mutate: boolean }>,
    options: object
  ) => Promise<{ readonly mutants: ReadonlyArray<InstrumentedMutant> }>
}

const { Instrumenter } = (await import(
  join(cache, "node_modules/@stryker-mutator/instrumenter/dist/src/index.js")
)) as {
  readonly Instrumenter: new (logger: object) => Instrumenter
}
const silent = { debug: () => undefined, info: () => undefined, warn: console.warn, isDebugEnabled: () => false }
const { mutants: instrumented } = await new Instrumenter(silent).instrument(
  Array.from(texts, ([name, content]) => ({ name, content, mutate: true })),
  { excludedMutations: [], ignorers: [{ shouldIgnore }], plugins: null, mutator: { plugins: null }, noHeader: true }
)

/** Lines from 1 on, as everybody but the instrumenter counts. */
const fromOne = ({ end, start }: Location): Location => ({
  start: { ...start, line: start.line + 1 },
  end: { ...end, line: end.line + 1 }
})

const seen = new Map<string, number>()
const everyMutant: ReadonlyArray<Mutant> = instrumented
  .filter(({ status }) => status === undefined)
  .map(({ fileName: file, location: at, mutatorName: operator, replacement }) => {
    const location = fromOne(at)
    const place = `${file} ${keyOf(operator, location, 0)}`
    const index = seen.get(place) ?? 0
    seen.set(place, index + 1)
    const key = keyOf(operator, location, index)
    return { file, operator, location, replacement, key, id: `${file} ${hashOf(texts.get(file) ?? "")} ${key}` }
  })

/** A number that a seed and a name give, the same everywhere. */
const drawn = (name: string): string => hashOf(`${seed} ${name}`)
const mutants =
  sample === undefined
    ? everyMutant
    : everyMutant
        .map((mutant) => [drawn(mutant.id), mutant] as const)
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
        .slice(0, sample)
        .map(([, mutant]) => mutant)

// -- which tests -------------------------------------------------------------------------------

/** Tests of what surrounds a node start processes, or take minutes: they would notice, and hours later. */
const testFolders = ["addresses", "layers", "network", "peer", "routing", "simulation", "transport", "wire"]
const testsLeftOut = [
  "test/simulation/Scenarios.test.ts",
  "test/simulation/Outage.test.ts",
  "test/network/requirements.test.ts",
  "test/addresses/files.test.ts",
  "test/layers/Live.test.ts"
]

const packages: Readonly<Record<string, string>> = {
  "network-effect": "src/index.ts",
  "network-effect/layers": "layers/index.ts",
  "network-effect/simulation": "src/simulation/index.ts"
}

const importsOfFile = new Map<string, ReadonlyArray<string>>()
const importsOf = (file: string): ReadonlyArray<string> => {
  const known = importsOfFile.get(file)
  if (known !== undefined) return known
  const found: Array<string> = []
  for (const [, from = ""] of readFileSync(join(root, file), "utf8").matchAll(/(?:from|import) "([^"]+)"/g)) {
    const target = from.startsWith(".") ? normalize(join(dirname(file), from)) : packages[from]
    if (target !== undefined && target.endsWith(".ts") && existsSync(join(root, target))) found.push(target)
  }
  importsOfFile.set(file, found)
  return found
}

const reachedFrom = (file: string): ReadonlySet<string> => {
  const reached = new Set([file])
  for (const each of reached) for (const other of importsOf(each)) reached.add(other)
  return reached
}

const testFiles = testFolders
  .flatMap((folder) =>
    readdirSync(join(root, "test", folder))
      .filter((name) => name.endsWith(".test.ts"))
      .map((name) => `test/${folder}/${name}`)
  )
  .filter((file) => !testsLeftOut.includes(file))
const reachedByTest = new Map(testFiles.map((file) => [file, reachedFrom(file)]))
/** The tests that import a file, directly or not. */
const testsOf = (sources: ReadonlySet<string>): ReadonlyArray<string> =>
  testFiles.filter((test) => [...sources].some((source) => reachedByTest.get(test)?.has(source)))

// -- results -----------------------------------------------------------------------------------

type Verdict = "killed" | "survived" | "uncovered" | "time-out" | "does not compile" | "error"

interface Result {
  readonly verdict: Verdict
  /** The first test that noticed. */
  readonly by?: string
}

const resultsFile = join(cache, "results.json")
const results = new Map<string, Result>(
  existsSync(resultsFile) ? Object.entries(JSON.parse(readFileSync(resultsFile, "utf8")) as Record<string, Result>) : []
)
const keep = () => writeFileSync(resultsFile, JSON.stringify(Object.fromEntries(results), undefined, 1))

const place = ({ file, location: { start } }: Mutant): string => `${file}:${start.line}:${start.column + 1}`

const offsetOf = (text: string, { column, line }: Location["start"]): number =>
  text
    .split("\n")
    .slice(0, line - 1)
    .reduce((sum, each) => sum + each.length + 1, 0) + column
const original = ({ file, location }: Mutant): string => {
  const text = texts.get(file) ?? ""
  return text.slice(offsetOf(text, location.start), offsetOf(text, location.end))
}
const mutated = (mutant: Mutant): string => {
  const text = texts.get(mutant.file) ?? ""
  const { end, start } = mutant.location
  return text.slice(0, offsetOf(text, start)) + mutant.replacement + text.slice(offsetOf(text, end))
}
const short = (code: string): string => {
  const line = code.replace(/\s+/g, " ")
  return line.length > 100 ? `${line.slice(0, 97)}…` : line
}

const report = () => {
  const of = (wanted: Verdict) => mutants.filter(({ id }) => results.get(id)?.verdict === wanted)
  const [killed, survived, uncovered] = [of("killed"), of("survived"), of("uncovered")]
  for (const mutant of [...survived, ...uncovered].toSorted((a, b) => (place(a) < place(b) ? -1 : 1))) {
    const verdict = results.get(mutant.id)?.verdict ?? ""
    console.log(
      `${verdict.padEnd(9)}  ${place(mutant)}  ${mutant.operator}: ${short(original(mutant))} → ${short(mutant.replacement)}`
    )
  }
  console.log("\nfolder       mutants  killed  survived  uncovered  time-out  not compiled  error  left  score")
  const share = (part: ReadonlyArray<Mutant>) => {
    const count = (wanted: Verdict) => part.filter(({ id }) => results.get(id)?.verdict === wanted).length
    const judged = count("killed") + count("survived") + count("uncovered")
    return [
      part.length,
      count("killed"),
      count("survived"),
      count("uncovered"),
      count("time-out"),
      count("does not compile"),
      count("error"),
      part.filter(({ id }) => !results.has(id)).length,
      judged === 0 ? "-" : `${((100 * count("killed")) / judged).toFixed(1)} %`
    ]
  }
  const widths = [7, 6, 8, 9, 8, 12, 5, 4, 7]
  const line = (name: string, cells: ReadonlyArray<number | string>) =>
    console.log(`${name.padEnd(11)}  ${cells.map((cell, i) => String(cell).padStart(widths[i] ?? 0)).join("  ")}`)
  for (const [folder, part] of Map.groupBy(mutants, ({ file }) => file.split("/")[1] ?? "")) line(folder, share(part))
  line("all", share(mutants))
  console.log(`${killed.length} of ${killed.length + survived.length + uncovered.length} judged mutants were noticed`)
}

const todo = mutants.filter(({ id }) => !results.has(id))
console.log(`operators: ${operators.join(", ")}`)
for (const [name, why] of Object.entries(operatorsLeftOut)) console.log(`left out: ${name}: ${why}`)
for (const [name, why] of Object.entries(filesLeftOut)) console.log(`left out: ${name}: ${why}`)
console.log(`left out: ${codeLeftOut}`)
console.log(`left out of the tests: ${testsLeftOut.join(", ")}, and what starts a process`)
console.log(
  `${everyMutant.length} mutants of ${files.length} files, ${mutants.length} chosen${sample === undefined ? "" : ` by seed ${seed}`}, ${todo.length} to do`
)
if (flags.list === true) {
  for (const mutant of todo.slice(0, 2000))
    console.log(`${place(mutant)}  ${mutant.operator}: ${short(original(mutant))} → ${short(mutant.replacement)}`)
  process.exit(0)
}
if (flags.report === true) {
  report()
  process.exit(0)
}

// -- runs --------------------------------------------------------------------------------------

const temporary = realpathSync(mkdtempSync(join(tmpdir(), "network-effect-mutants-")))
process.on("exit", () => rmSync(temporary, { recursive: true, force: true }))
for (const signal of ["SIGINT", "SIGTERM"] as const) process.on(signal, () => process.exit(1))

const started = process.hrtime.bigint()
const minutesPassed = (): number => Number(process.hrtime.bigint() - started) / 6e10

interface StrykerReport {
  readonly files: Readonly<
    Record<
      string,
      {
        readonly mutants: ReadonlyArray<{
          readonly mutatorName: string
          readonly location: Location
          readonly replacement?: string
          readonly status: string
          readonly static?: boolean
          readonly killedBy?: ReadonlyArray<string>
        }>
      }
    >
  >
  readonly testFiles?: Readonly<
    Record<string, { readonly tests: ReadonlyArray<{ readonly id: string; readonly name: string }> }>
  >
}

const verdicts: Readonly<Record<string, Verdict>> = {
  Killed: "killed",
  Survived: "survived",
  NoCoverage: "uncovered",
  Timeout: "time-out",
  CompileError: "does not compile"
}

/** Runs Stryker on some mutants of one text each. */
const runStryker = async (chunk: ReadonlyArray<Mutant>): Promise<void> => {
  const sources = new Set(chunk.map(({ file }) => file))
  const chosenFile = join(temporary, "chosen.json")
  const reportFile = join(temporary, "report.json")
  const configFile = join(temporary, "stryker.json")
  writeFileSync(chosenFile, JSON.stringify(chunk.map(({ key }) => key)))
  rmSync(reportFile, { force: true })
  const modules = join(cache, "node_modules/@stryker-mutator")
  writeFileSync(
    configFile,
    JSON.stringify({
      testRunner: "vitest",
      plugins: [join(modules, "vitest-runner/dist/src/index.js"), join(root, "scripts/mutantOperators.ts")],
      ignorers: ["logs"],
      vitest: { configFile: "test/vitest.config.ts", related: false },
      testFiles: testsOf(sources),
      coverageAnalysis: "perTest",
      ignoreStatic: true,
      concurrency: jobs,
      timeoutMS: 20_000,
      dryRunTimeoutMinutes: 15,
      mutate: [...sources],
      reporters: ["json"],
      jsonReporter: { fileName: reportFile },
      checkers: [],
      // TypeScript 7 has no interface that could read it, and nothing here needs it.
      tsconfigFile: "none.json",
      tempDirName: join(temporary, "sandbox"),
      // As `npm test` runs; a rest of the tree is not needed to.
      ignorePatterns: ["/dist", "/.ci"]
    })
  )
  const stryker = spawn(process.execPath, [join(modules, "core/bin/stryker.js"), "run", configFile], {
    cwd: root,
    env: { ...process.env, NETWORK_EFFECT_MUTANTS_CHOSEN: chosenFile },
    stdio: ["ignore", "pipe", "inherit"]
  })
  let output = ""
  stryker.stdout.on("data", (data: Buffer) => (output += data.toString()))
  const code = await new Promise<number | null>((resolve) => stryker.on("close", resolve))
  if (!existsSync(reportFile)) fail(`Stryker ended with ${code}:\n${output.slice(-4000)}`)

  const { files: reported, testFiles = {} } = JSON.parse(readFileSync(reportFile, "utf8")) as StrykerReport
  const names = new Map(
    Object.entries(testFiles).flatMap(([file, { tests }]) => tests.map(({ id, name }) => [id, `${file}: ${name}`]))
  )
  const byKey = new Map(
    chunk.map((mutant) => [
      `${mutant.file} ${mutant.operator} ${JSON.stringify(mutant.location)} ${mutant.replacement}`,
      mutant
    ])
  )
  for (const [file, { mutants: ofFile }] of Object.entries(reported)) {
    for (const { killedBy, location: at, mutatorName, replacement, status, static: isStatic } of ofFile) {
      // In a report, columns begin at 1 too.
      const location = {
        start: { line: at.start.line, column: at.start.column - 1 },
        end: { line: at.end.line, column: at.end.column - 1 }
      }
      const mutant = byKey.get(`${file} ${mutatorName} ${JSON.stringify(location)} ${replacement}`)
      if (mutant === undefined) continue
      const by = names.get(killedBy?.[0] ?? "")
      // Code that runs when its module is loaded is left out.
      if (status === "Ignored" && isStatic !== false) results.set(mutant.id, { verdict: "error", by: "runs once" })
      else results.set(mutant.id, { verdict: verdicts[status] ?? "error", ...(by === undefined ? {} : { by }) })
    }
  }
  for (const { id } of chunk) if (!results.has(id)) results.set(id, { verdict: "error", by: "not reported" })
}

/** Of mutants that a test noticed, those that no compiler would let pass. One of each file at a time. */
const dropUncompiled = (chunk: ReadonlyArray<Mutant>): void => {
  const copy = join(temporary, "types")
  if (!existsSync(copy)) {
    mkdirSync(copy)
    for (const part of ["src", "layers", "test", "scripts", "package.json", "tsconfig.json"]) {
      cpSync(join(root, part), join(copy, part), { recursive: true })
    }
    symlinkSync(join(root, "node_modules"), join(copy, "node_modules"))
  }
  const faultyFiles = (): ReadonlySet<string> => {
    const { stdout } = spawnSync(
      process.execPath,
      [join(root, "node_modules/typescript/bin/tsc"), "-p", "tsconfig.json", "--incremental", "false"],
      {
        cwd: copy,
        encoding: "utf8"
      }
    )
    return new Set(stdout.split("\n").flatMap((line) => /^([^(\s]+)\(\d+,\d+\): error TS/.exec(line)?.[1] ?? []))
  }
  const compiles = (part: ReadonlyArray<Mutant>): void => {
    for (const mutant of part) writeFileSync(join(copy, mutant.file), mutated(mutant))
    const faulty = faultyFiles()
    for (const { file } of part) writeFileSync(join(copy, file), texts.get(file) ?? "")
    for (const mutant of part) if (faulty.has(mutant.file)) results.set(mutant.id, { verdict: "does not compile" })
    const isElsewhere = [...faulty].some((file) => !part.some((mutant) => mutant.file === file))
    const others = part.filter(({ file }) => !faulty.has(file))
    // Somebody's change is an error of another file: each for itself.
    if (!isElsewhere) return
    if (part.length === 1) {
      for (const { id } of others) results.set(id, { verdict: "does not compile" })
    } else for (const mutant of others) compiles([mutant])
  }
  let left = chunk.filter(({ id }) => ["killed", "survived"].includes(results.get(id)?.verdict ?? ""))
  while (left.length > 0) {
    const round = [...Map.groupBy(left, ({ file }) => file).values()].flatMap(([first]) =>
      first === undefined ? [] : [first]
    )
    compiles(round)
    left = left.filter((mutant) => !round.includes(mutant))
  }
}

const chunkSize = 120
for (let from = 0; from < todo.length; from += chunkSize) {
  if (minutes !== undefined && minutesPassed() >= minutes) break
  const chunk = todo.slice(from, from + chunkSize)
  console.log(`mutants ${from + 1} to ${from + chunk.length} of ${todo.length}, ${minutesPassed().toFixed(1)} minutes`)
  await runStryker(chunk)
  dropUncompiled(chunk)
  keep()
}
report()
