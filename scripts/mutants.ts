/**
 * Changes the source in small ways, one at a time, and runs the tests that come by: a change that none of them notices is a
 * survivor, and shows what is not tested. Prints the score and each survivor with its place and what it was changed to.
 *
 *     npm run mutants [-- [--folder NAME]… [--file FILE]… [--sample N] [--seed N] [--minutes N] [--only TEXT] [--near]
 *                         [--again] [--list] [--report]]
 *
 * Of src/addresses, network, peer, routing and wire unless told. `--sample` takes so many, drawn by the seed (1 unless given), and
 * says within which bounds the score of all is then, at 95 %. What was found is in `node_modules/.cache/mutants/results.json`: a
 * run goes on where one was stopped, or where `--minutes` were over, and a file that was changed begins anew. `--list` says what
 * would be done and what is left out, `--report` prints what was found so far; neither runs a test. `--again` judges survivors once
 * more; `--near` leaves it at the tests of their folder; `--only` does those of the drawn ones that are in such a
 * file. A test that takes too long, and a change that does not compile, is not counted as noticed. `test/mutants/survivors.md` says
 * why the survivors that are left are equivalent.
 *
 * A change is compiled, then the tests of its folder run that come by, then all others that do, up to the first failure. Needs
 * nothing, and leaves the working tree alone: the copy is in a temporary folder. All of it takes hours, 200 some minutes.
 */
import { spawnSync } from "node:child_process"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { basename, dirname, join, normalize, relative } from "node:path"
import { parseArgs } from "node:util"
import {
  type Change,
  changesOf,
  codeLeftOut,
  filesLeftOut,
  marked,
  operators,
  operatorsLeftOut
} from "./mutantOperators.ts"
import { makeCopy, TestProcess } from "./testProcess.ts"

const root = new URL("..", import.meta.url).pathname
const cache = join(root, "node_modules/.cache/mutants")

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
        list: { type: "boolean" },
        report: { type: "boolean" },
        again: { type: "boolean" },
        near: { type: "boolean" },
        only: { type: "string" }
      }
    }).values
  } catch (error) {
    return fail(`${(error as Error).message.split(".")[0]}; see the top of scripts/mutants.ts`)
  }
}

const flags = readArguments()
const number = (name: "sample" | "seed" | "minutes"): number | undefined => {
  const text = flags[name]
  if (text === undefined) return undefined
  return /^[1-9]\d*$/.test(text) ? Number(text) : fail(`--${name} ${text} is not a number from 1 on`)
}
const sample = number("sample")
const seed = number("seed") ?? 1
const minutes = number("minutes")

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

interface Mutant extends Change {
  readonly file: string
  /** Of this text of its file. */
  readonly id: string
}

const everyMutant: ReadonlyArray<Mutant> = Array.from(texts, ([file, text]) => {
  const seen = new Map<string, number>()
  return changesOf(text).map((change): Mutant => {
    const place = `${change.operator} ${change.start}-${change.end}`
    const index = seen.get(place) ?? 0
    seen.set(place, index + 1)
    return { ...change, file, id: `${file} ${hashOf(text)} ${place} ${index}` }
  })
}).flat()

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

/** Tests of what surrounds a node start processes, and whole worlds take minutes: they would notice, and hours later. */
const testFolders = ["addresses", "layers", "network", "peer", "routing", "transport", "wire"]
const testsLeftOut = ["test/network/requirements.test.ts", "test/addresses/Killed.test.ts", "test/layers/Live.test.ts"]

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
const importersOf = (source: string): ReadonlyArray<string> =>
  testFiles.filter((test) => reachedByTest.get(test)?.has(source) === true)

// -- results -----------------------------------------------------------------------------------

/** `compiles`: not judged yet. */
type Verdict = "killed" | "survived" | "uncovered" | "time-out" | "does not compile" | "error" | "compiles"

interface Result {
  readonly verdict: Verdict
  /** The first test that noticed. */
  readonly by?: string
}

const resultsFile = join(cache, "results.json")
const results = new Map<string, Result>(
  existsSync(resultsFile) ? Object.entries(JSON.parse(readFileSync(resultsFile, "utf8")) as Record<string, Result>) : []
)
mkdirSync(cache, { recursive: true })
const keep = () => writeFileSync(resultsFile, JSON.stringify(Object.fromEntries(results), undefined, 1))

const place = ({ file, start }: Mutant): string => {
  const before = (texts.get(file) ?? "").slice(0, start).split("\n")
  return `${file}:${before.length}:${(before.at(-1)?.length ?? 0) + 1}`
}
const original = ({ end, file, start }: Mutant): string => (texts.get(file) ?? "").slice(start, end)
const mutated = ({ end, file, replacement, start }: Mutant): string => {
  const text = texts.get(file) ?? ""
  return text.slice(0, start) + replacement + text.slice(end)
}
const short = (code: string): string => {
  const line = code.replace(/\s+/g, " ")
  return line.length > 100 ? `${line.slice(0, 97)}…` : line
}

/** Where the share of all is, when `part` of `whole` drawn ones are. Source: E. B. Wilson, 1927, at 95 %. */
const interval = (part: number, whole: number): string => {
  const z = 1.96
  const share = part / whole
  const middle = share + (z * z) / (2 * whole)
  const width = z * Math.sqrt((share * (1 - share)) / whole + (z * z) / (4 * whole * whole))
  const bounds = [middle - width, middle + width].map((bound) => ((100 * bound) / (1 + (z * z) / whole)).toFixed(1))
  return `${bounds.join(" to ")} %`
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
      part.filter(({ id }) => ["compiles", undefined].includes(results.get(id)?.verdict)).length,
      judged === 0 ? "-" : `${((100 * count("killed")) / judged).toFixed(1)} %`
    ]
  }
  const widths = [7, 6, 8, 9, 8, 12, 5, 4, 7]
  const line = (name: string, cells: ReadonlyArray<number | string>) =>
    console.log(`${name.padEnd(11)}  ${cells.map((cell, i) => String(cell).padStart(widths[i] ?? 0)).join("  ")}`)
  for (const [folder, part] of Map.groupBy(mutants, ({ file }) => file.split("/")[1] ?? "")) line(folder, share(part))
  line("all", share(mutants))
  const judged = killed.length + survived.length + uncovered.length
  console.log(`${killed.length} of ${judged} judged mutants were noticed`)
  if (sample !== undefined && judged > 0) {
    console.log(
      `of all ${everyMutant.length} it is ${interval(killed.length, judged)}, at 95 %, if those that compile are as these`
    )
  }
}

const isOpen = (verdict: Verdict | undefined): boolean =>
  verdict === undefined ||
  verdict === "compiles" ||
  (flags.again === true && ["survived", "uncovered", "time-out", "error"].includes(verdict))
const todo = mutants.filter(
  ({ file, id }) => (flags.only === undefined || file.includes(flags.only)) && isOpen(results.get(id)?.verdict)
)
for (const [name, what] of Object.entries(operators)) console.log(`operator: ${name}: ${what}`)
for (const [name, why] of Object.entries(operatorsLeftOut)) console.log(`left out: ${name}: ${why}`)
for (const [name, why] of Object.entries(filesLeftOut)) console.log(`left out: ${name}: ${why}`)
console.log(`left out: ${codeLeftOut}`)
console.log(`left out of the tests: ${testsLeftOut.join(", ")}, whole worlds, and what starts a process`)
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

const started = process.hrtime.bigint()
const minutesPassed = (): number => Number(process.hrtime.bigint() - started) / 6e10
const isOver = (): boolean => minutes !== undefined && minutesPassed() >= minutes
const say = (what: string) => console.log(`mutants: ${minutesPassed().toFixed(1)} minutes: ${what}`)

const copy = makeCopy(root)
const write = (file: string, text: string) => writeFileSync(join(copy, file), text)
const restore = (file: string) => write(file, texts.get(file) ?? "")

/** What no compiler lets pass is no change that anybody could make. One of each file at a time. */
const dropUncompiled = (): void => {
  // A change may leave a name without a use, or code that is never come to: that is no error.
  const lenient = ["--noUnusedLocals", "false", "--noUnusedParameters", "false", "--allowUnreachableCode", "true"]
  const faultyFiles = (): ReadonlySet<string> => {
    const { stdout } = spawnSync(
      process.execPath,
      [
        join(root, "node_modules/typescript/bin/tsc"),
        "-p",
        "tsconfig.json",
        "--tsBuildInfoFile",
        join(copy, "types.tsbuildinfo"),
        ...lenient
      ],
      { cwd: copy, encoding: "utf8" }
    )
    return new Set(stdout.split("\n").flatMap((line) => /^([^(\s]+)\(\d+,\d+\): error TS/.exec(line)?.[1] ?? []))
  }
  const compile = (part: ReadonlyArray<Mutant>): void => {
    for (const mutant of part) write(mutant.file, mutated(mutant))
    const faulty = faultyFiles()
    for (const { file } of part) restore(file)
    for (const mutant of part) if (faulty.has(mutant.file)) results.set(mutant.id, { verdict: "does not compile" })
    const isElsewhere = [...faulty].some((file) => !part.some((mutant) => mutant.file === file))
    const others = part.filter(({ file }) => !faulty.has(file))
    // Somebody's change is an error of another file: each half for itself.
    if (!isElsewhere) return
    if (part.length === 1) for (const { id } of others) results.set(id, { verdict: "does not compile" })
    else {
      const half = Math.ceil(part.length / 2)
      compile(part.slice(0, half))
      compile(part.slice(half))
    }
  }
  let left: ReadonlyArray<Mutant> = todo.filter(({ id }) => !results.has(id))
  const tried = left
  while (left.length > 0) {
    const round = [...Map.groupBy(left, ({ file }) => file).values()].flatMap(([first]) => first ?? [])
    compile(round)
    left = left.filter((mutant) => !round.includes(mutant))
  }
  for (const { id } of tried) if (!results.has(id)) results.set(id, { verdict: "compiles" })
}

/** Titles of tests by test file; all of a file's when it comes by outside of its tests. */
type Reach = ReadonlyMap<string, ReadonlyArray<string>>

/** Which tests come by which mutants. */
const reaches = async (mutants: ReadonlyArray<Mutant>, files: ReadonlyArray<string>): Promise<ReadonlyArray<Reach>> => {
  const numbered = mutants.map((mutant, number) => ({ mutant, number }))
  for (const [file, ofFile] of Map.groupBy(numbered, ({ mutant }) => mutant.file)) {
    write(file, marked(texts.get(file) ?? "", new Map(ofFile.map(({ mutant, number }) => [number, mutant]))))
  }
  const log = join(copy, "reached.ndjson")
  writeFileSync(log, "")
  const process = new TestProcess(copy, ["scripts/mutantReach.ts"], { NETWORK_EFFECT_REACHED: log })
  const ran = await process.run({ files }, 3_600_000)
  process.stop()
  for (const file of texts.keys()) restore(file)
  const failed = ran === "endless" ? [] : ran.filter(({ state }) => state !== "passed")
  if (ran === "endless" || ran.length === 0) return fail("the tests do not run")
  // What fails without a change shows nothing with one.
  for (const { file, title } of failed) console.log(`fails as it is, and is left out: ${file}: ${title}`)
  const isLeftOut = (file: string, title: string) => failed.some((test) => test.file === file && test.title === title)
  const passed = Map.groupBy(
    ran.filter(({ state }) => state === "passed"),
    ({ file }) => file
  )
  const titlesOf = (file: string) => (passed.get(file) ?? []).map(({ title }) => title)
  const found = mutants.map(() => new Map<string, ReadonlyArray<string>>())
  /** Those that are come by outside of any test. */
  const loaded = new Set<number>()
  for (const line of readFileSync(log, "utf8").split("\n")) {
    if (line === "") continue
    const { file, reached } = JSON.parse(line) as {
      readonly file: string
      readonly reached: ReadonlyArray<readonly [number, ReadonlyArray<string>]>
    }
    const test = relative(copy, file)
    for (const [number, titles] of reached) {
      const kept = titles.filter((title) => !isLeftOut(test, title))
      // Files of one worker share what they load, and only the first of them comes by.
      if (kept.includes("")) loaded.add(number)
      else if (kept.length > 0) found[number]?.set(test, kept)
    }
  }
  for (const { mutant, number } of numbered) {
    if (!mutant.isOnce && !loaded.has(number)) continue
    for (const test of importersOf(mutant.file)) if (files.includes(test)) found[number]?.set(test, titlesOf(test))
  }
  return found
}

/** Files that run together: a change that makes one go on without end is found in time. */
const filesAtOnce = 12

/** The file of its own name first, in parts. */
const inOrder = (tests: Reach, { file }: Mutant): ReadonlyArray<ReadonlyArray<string>> => {
  const own = `/${basename(file, ".ts")}.test.ts`
  const [first, others] = [true, false].map((isOwn) => [...tests.keys()].filter((test) => test.endsWith(own) === isOwn))
  const parts = Array.from({ length: Math.ceil((others?.length ?? 0) / filesAtOnce) }, (_, part) =>
    (others ?? []).slice(part * filesAtOnce, (part + 1) * filesAtOnce)
  )
  return [first ?? [], ...parts].filter((part) => part.length > 0)
}

/** A change may make something go on without end; on a busy machine tests are slow too. */
const patienceMillis = 90_000

const judge = async (
  process: TestProcess,
  mutant: Mutant,
  tests: Reach,
  changed: ReadonlyArray<string>
): Promise<Result> => {
  if (tests.size === 0) return { verdict: "uncovered" }
  let isFirst = true
  for (const files of inOrder(tests, mutant)) {
    const all = await process.run(
      {
        changed: isFirst ? changed : [],
        files,
        titles: files.flatMap((file) => tests.get(file) ?? []),
        bail: true
      },
      patienceMillis
    )
    isFirst = false
    if (all === "endless") return { verdict: "time-out" }
    // What other files came to before is still known there.
    const ran = all.filter(({ file }) => files.includes(file))
    const noticed = ran.find(({ state }) => state === "failed")
    if (noticed !== undefined) return { verdict: "killed", by: `${noticed.file}: ${noticed.title}` }
    if (ran.some(({ state }) => state === "endless")) return { verdict: "time-out" }
    // No test ran to its end: the file could not be loaded.
    if (ran.length === 0) return { verdict: "error", by: `${files[0]} does not run` }
  }
  return { verdict: "survived" }
}

dropUncompiled()
keep()
const compiled = todo.filter(({ id }) => isOpen(results.get(id)?.verdict))
say(`${compiled.length} of ${todo.length} compile`)

/** Judges mutants by the tests of some files; gives those that nobody noticed. */
const judgeAll = async (mutants: ReadonlyArray<Mutant>, isAmong: (test: string, mutant: Mutant) => boolean) => {
  const files = testFiles.filter((test) =>
    mutants.some((mutant) => reachedByTest.get(test)?.has(mutant.file) === true && isAmong(test, mutant))
  )
  const reached = await reaches(mutants, files)
  say(`it is known which of ${files.length} test files come by`)
  const process = new TestProcess(copy)
  let changed: ReadonlyArray<string> = [...texts.keys()]
  const unnoticed: Array<Mutant> = []
  for (const [number, mutant] of mutants.entries()) {
    if (isOver()) break
    const tests = new Map([...(reached[number] ?? [])].filter(([test]) => isAmong(test, mutant)))
    write(mutant.file, mutated(mutant))
    changed = [...new Set([...changed, mutant.file])]
    const result = await judge(process, mutant, tests, changed)
    restore(mutant.file)
    // Where no test comes by none has run, and those before are not known to be restored yet.
    changed = result.verdict === "uncovered" ? changed : [mutant.file]
    const before = results.get(mutant.id)?.verdict
    // A test that came by and noticed nothing says more than one that did not come by.
    if (result.verdict !== "uncovered" || before === undefined || before === "compiles") results.set(mutant.id, result)
    if (result.verdict === "survived" || result.verdict === "uncovered") unnoticed.push(mutant)
    keep()
    const by = result.by === undefined ? "" : ` by ${result.by}`
    say(`${number + 1} of ${mutants.length}: ${result.verdict}: ${place(mutant)} ${mutant.operator}${by}`)
  }
  process.stop()
  return unnoticed
}

/** The tests of its folder come first, as most mutants are noticed there. */
const isOfFolder = (test: string, { file }: Mutant): boolean => dirname(test) === dirname(file).replace(/^src/, "test")

const unnoticed = await judgeAll(compiled, isOfFolder)
if (flags.near !== true && unnoticed.length > 0) {
  await judgeAll(unnoticed, (test, mutant) => !isOfFolder(test, mutant))
}
report()
process.exit(0)
