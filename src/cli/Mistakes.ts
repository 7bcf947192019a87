/**
 * What is wrong with a command line, as one sentence that says what to change. Pure.
 *
 *     words ─▶ joined ─▶ the parser of Effect ─▶ its errors ─▶ sentence ─▶ one line of stderr
 *
 * @module
 */
import type { CliError } from "effect/cli"
import { fit, harmless } from "./Text.ts"

/**
 * Words as the parser is given them: a flag and a value that begins with a minus and a digit are one word, `--for=-3s`, for the
 * parser takes `-3s` to be two flags. No flag of ours begins with a digit.
 */
export const joined = (words: ReadonlyArray<string>): ReadonlyArray<string> => {
  const end = words.indexOf("--")
  const found: Array<string> = []
  for (const [at, word] of words.entries()) {
    const before = found.at(-1) ?? ""
    const isValue = /^-\.?\d/.test(word) && /^--?[a-z][a-z-]*$/.test(before) && (end < 0 || at < end)
    if (isValue) found[found.length - 1] = `${before}=${word}`
    else found.push(word)
  }
  return found
}

/** Columns of a word that is said again: enough to know it by. */
const saidColumns = 60

/** A word that was given, to be shown. */
const said = (word: string): string => `"${fit(harmless(word), saidColumns)}"`

/** `a, b or c`. */
const oneOf = (choices: ReadonlyArray<string>): string =>
  choices.length < 2 ? choices.join("") : `${choices.slice(0, -1).join(", ")} or ${choices.at(-1)}`

/** Values of a switch that nobody writes, as `--json` is enough. */
const switchValues = "true, yes, on, 1, y, false, no, off, 0 or n"

/** What a value has to be, in words: `undefined` where all that is known is the name of its type. */
const expectation = (expected: string): string | undefined => {
  const words = expected.replace(/^Expected:? /, "")
  const choices = words.split(" | ")
  if (choices.length > 1) {
    const found = oneOf(choices.map((choice) => choice.replace(/^"(.*)"$/, "$1")))
    return found === switchValues ? "true or false" : found
  }
  return /^([A-Z|:]+|[a-z]+)$/.test(words) ? undefined : words
}

/** What a value has to be, when it is that of a variable which stands in for the flag: it is the variable that is to be changed. */
export const ofVariable = (name: string, expected: string): string => `${name} has to be ${expected}`

const variableOf = (expected: string): ReadonlyArray<string> => /^([A-Z_]+) has to be (.*)$/.exec(expected) ?? []

const invalid = (error: CliError.InvalidValue): string => {
  const [, variable, expected = error.expected] = variableOf(error.expected)
  const { option, value } = error
  const name = variable ?? (error.kind === "flag" ? `--${option}` : option)
  const [, times] = /^(\d+) occurrences$/.exec(value) ?? []
  const [, most] = /^at most (\d+) values?$/.exec(expected) ?? []
  if (times !== undefined && most !== undefined) {
    return `${name} may be said ${most === "1" ? "once" : `${most} times`}, not ${times} times`
  }
  // Of Effect's own check of paths.
  const what = /^(Path does not exist|Path is not|Failed to \w+ path)/.test(expected)
    ? "a file that is there"
    : expectation(expected)
  if (value === "") return what === undefined ? `${name} needs a value` : `${name} needs a value: ${what}`
  return `${name} has to be ${what ?? "something else"}, not ${said(value)}`
}

/** `: did you mean x?`, or where to look. */
const advice = (suggestions: ReadonlyArray<string>, command: string): string =>
  suggestions.length === 0 ? `: see ${command} --help.` : `: did you mean ${oneOf(suggestions)}?`

const described = (error: CliError.NonShowHelpErrors, command: string): string => {
  switch (error._tag) {
    case "UnrecognizedOption":
      return `${fit(harmless(error.option), saidColumns)} is no flag of ${command}${advice(error.suggestions, command)}`
    case "UnknownSubcommand":
      return `${said(error.subcommand)} is no command of ${command}${advice(error.suggestions, command)}`
    case "InvalidValue":
      return `${invalid(error)}: see ${command} --help.`
    case "MissingOption":
      return `--${error.option} is missing: see ${command} --help.`
    case "MissingArgument":
      return `${error.argument} is missing: see ${command} --help.`
    case "UnexpectedArgument":
      return `${said(error.arguments[0] ?? "")} is one word too many: see ${command} --help.`
    case "DuplicateOption":
    case "UserError":
    case "ValidationError":
      return harmless(error.message)
  }
}

/**
 * The sentence. Of several errors it tells the first, for the others are mostly what follows from that: the value of a flag
 * that is none is a word too many.
 */
export const sentence = (
  errors: ReadonlyArray<CliError.NonShowHelpErrors>,
  commandPath: ReadonlyArray<string>
): string => {
  const [first] = errors
  const command = commandPath.join(" ")
  return first === undefined ? `see ${command} --help.` : described(first, command)
}
