/**
 * Where a setting comes from, so that whoever has to change it is told where. Pure.
 *
 * @module
 */
import { Data, Result } from "effect"
import * as Toml from "effect/encoding/Toml"

/** Settings that make no sense. The message has a line for each thing to change: one sentence, which says where. */
export class SettingsError extends Data.TaggedError("SettingsError")<{ readonly message: string }> {}

export type Table = Readonly<Record<string, unknown>>

export const isTable = (value: unknown): value is Table =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Settings as they were read, with a way to say where each stands. */
export interface Source {
  readonly table: Table
  /** Where a key stands, for the beginning of a sentence: `zebrad.toml line 3`, `ZEBRA_NETWORK__NETWORK`. */
  readonly whereIs: (path: ReadonlyArray<string>) => string
}

/** What is wrong with settings, gathered so that all of it is said at once. */
export class Problems {
  readonly #found: Array<string> = []

  /** One sentence that says what to change, and where. */
  add(message: string): void {
    if (!this.#found.includes(message)) this.#found.push(message)
  }

  /** The value, or what to go on with after its problems were noted. */
  or<A, B>(result: Result.Result<A, SettingsError>, otherwise: B): A | B {
    if (Result.isSuccess(result)) return result.success
    for (const message of result.failure.message.split("\n")) this.add(message)
    return otherwise
  }

  /** The value when nothing was wrong. Else all problems: those of a file by its lines, and then the others. */
  result<A>(value: A): Result.Result<A, SettingsError> {
    if (this.#found.length === 0) return Result.succeed(value)
    const lineOf = (message: string) => Number(/ line (\d+): /.exec(message)?.[1] ?? Infinity)
    const sorted = this.#found.toSorted((a, b) => (lineOf(a) === lineOf(b) ? 0 : lineOf(a) - lineOf(b)))
    return Result.fail(new SettingsError({ message: sorted.join("\n") }))
  }
}

/** A file in the form of a zebrad.toml. */
export const fromToml = (name: string, text: string): Result.Result<Source, SettingsError> =>
  Result.match(Toml.parse(text), {
    onFailure: (error) =>
      Result.fail(new SettingsError({ message: `${name} is not valid TOML: ${sentence(error.message)}` })),
    onSuccess: (table) =>
      Result.succeed({
        table,
        whereIs: (path) => {
          const line = lineOf(text, path)
          return line === undefined ? name : `${name} line ${line}`
        }
      })
  })

const sentence = (message: string): string => {
  const [line = ""] = message.split("\n")
  return line.charAt(0).toLowerCase() + line.slice(1)
}

const unquoted = (key: string): string => key.trim().replace(/^(["'])(.*)\1$/, "$2")

/** `a.b."c.d"` taken apart. */
const segments = (path: string): ReadonlyArray<string> =>
  [...path.matchAll(/"[^"]*"|'[^']*'|[^.]+/g)].map(([segment]) => unquoted(segment))

/**
 * The line, from 1, of the first assignment or header that a path names, or that names something below it; of its nearest
 * parent, when there is none.
 */
const lineOf = (text: string, path: ReadonlyArray<string>): number | undefined => {
  let section: ReadonlyArray<string> = []
  let best: { readonly depth: number; readonly line: number } | undefined
  for (const [index, line] of text.split("\n").entries()) {
    const header = /^\s*\[\[?([^\]]+)\]/.exec(line)
    const assignment = header === null ? /^\s*((?:"[^"]*"|'[^']*'|[\w.-])+)\s*=/.exec(line) : null
    if (header !== null) section = segments(header[1] ?? "")
    if (header === null && assignment === null) continue
    const found = assignment === null ? section : [...section, ...segments(assignment[1] ?? "")]
    const depth = Math.min(found.length, path.length)
    if (!found.slice(0, depth).every((segment, i) => segment === path[i])) continue
    if (best === undefined || depth > best.depth) best = { depth, line: index + 1 }
  }
  return best?.line
}

/** Ends of names that hold secrets, which do not belong into an environment that every child process inherits. */
const sensitive = /(password|secret|token|cookie|private_key)$/i

const prefix = "ZEBRA_"

/**
 * The variables of the environment that begin with `ZEBRA_`, nested at `__`. Other variables are left alone; one that may not
 * be there is a problem, and is left out.
 *
 * Source: Zebra zebrad/src/config.rs.
 */
export const fromEnvironment = (environment: Readonly<Record<string, string>>, problems: Problems): Source => {
  const table: Record<string, unknown> = {}
  const names = new Map<string, string>()
  for (const [name, value] of Object.entries(environment).toSorted(([a], [b]) => (a < b ? -1 : 1))) {
    if (!name.startsWith(prefix)) continue
    const path = name.slice(prefix.length).toLowerCase().split("__")
    if (sensitive.test(path.at(-1) ?? "")) {
      problems.add(`${name} is a sensitive key: take it out of the environment and into the file`)
      continue
    }
    let parent = table
    for (const segment of path.slice(0, -1)) {
      const child = parent[segment]
      parent = (isTable(child) ? child : (parent[segment] = {})) as Record<string, unknown>
    }
    parent[path.at(-1) ?? ""] = valueOf(value)
    names.set(path.join("."), name)
  }
  return {
    table,
    whereIs: (path) => names.get(path.join(".")) ?? `${prefix}${path.join("__").toUpperCase()}`
  }
}

/** A boolean in any case, a number, or else the text itself. */
const valueOf = (text: string): unknown => {
  if (/^true$/i.test(text)) return true
  if (/^false$/i.test(text)) return false
  if (/^[+-]?\d{1,15}$/.test(text)) return Number(text)
  if (/^[+-]?\d+\.\d+$/.test(text)) return Number(text)
  return text
}

/** Which of `known` somebody may have meant, for the end of a sentence: `: did you mean x?`; else nothing. */
export const nearMiss = (word: string, known: Iterable<string>): string => {
  let best: { readonly name: string; readonly distance: number } | undefined
  for (const name of known) {
    const distance = editDistance(word.toLowerCase(), name.toLowerCase())
    if (distance <= 2 && (best === undefined || distance < best.distance)) best = { name, distance }
  }
  return best === undefined ? "" : `: did you mean ${best.name}?`
}

/** Letters to add, drop or change to make one word of the other. */
const editDistance = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const current = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = (previous[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      current.push(Math.min(substitution, (previous[j] ?? 0) + 1, (current[j - 1] ?? 0) + 1))
    }
    previous = current
  }
  return previous[b.length] ?? 0
}
