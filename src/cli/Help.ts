/**
 * The help of a command: what it does, how others call it, and then every flag, in lines that fit any terminal. Pure.
 *
 * @module
 */
import { Option } from "effect"
import type { HelpDoc } from "effect/cli/HelpDoc"
import { padEnd, width, wrap } from "./Text.ts"

/** Columns of the narrowest terminal that people have. */
const columns = 80

/** Longest name that shares its line with what it means. */
const maxName = 26

/** A name and what it means beside it, or below it where the name is long. */
const entry = (name: string, nameColumns: number, meaning: string): ReadonlyArray<string> => {
  const indent = " ".repeat(nameColumns + 4)
  const [first = "", ...more] = wrap(meaning, columns - nameColumns - 4)
  return [
    ...(width(name) > nameColumns ? [`  ${name}`, `${indent}${first}`] : [`  ${padEnd(name, nameColumns)}  ${first}`]),
    ...more.map((line) => `${indent}${line}`)
  ].map((line) => line.trimEnd())
}

const section = (
  title: string,
  entries: ReadonlyArray<readonly [name: string, meaning: string]>
): ReadonlyArray<string> => {
  const names = entries.map(([name]) => width(name)).filter((length) => length <= maxName)
  const nameColumns = Math.max(0, ...names)
  return entries.length === 0
    ? []
    : ["", title, ...entries.flatMap(([name, meaning]) => entry(name, nameColumns, meaning))]
}

/** Types of a value that say less than nothing: choices are in the description, and a switch has no value. */
const typeOf = (type: string): string => (type === "boolean" || type.includes("|") ? "" : ` ${type}`)

const flags = (docs: HelpDoc["flags"]) =>
  docs.map(({ aliases, description, name, type }) => {
    const names = [`--${name}`, ...aliases].join(", ")
    return [`${names}${typeOf(type)}`, Option.getOrElse(description, () => "")] as const
  })

/** What `--help` prints: examples before everything that has to be looked up. */
export const format = (doc: HelpDoc): string => {
  const name = doc.commandPath?.join(" ") ?? ""
  const examples = (doc.examples ?? []).flatMap(({ command, description }) => [
    ...(description === undefined ? [] : wrap(description, columns - 4).map((line) => `  # ${line}`)),
    // To be copied, so in one line whatever its length.
    `  ${command}`
  ])
  const args = (doc.args ?? []).map(
    ({ description, name, required, variadic }) =>
      [`${required ? name : `[${name}]`}${variadic ? "..." : ""}`, Option.getOrElse(description, () => "")] as const
  )
  const commands = (doc.subcommands ?? []).flatMap(({ commands }) =>
    commands.map(({ description, name, shortDescription }) => [name, shortDescription ?? description] as const)
  )
  const lines = [
    ...doc.description.split("\n").flatMap((line) => wrap(line, columns)),
    ...(examples.length === 0 ? [] : ["", "EXAMPLES", ...examples]),
    "",
    "USAGE",
    `  ${doc.usage}`,
    ...section("COMMANDS", commands),
    ...section("ARGUMENTS", args),
    ...section("FLAGS", flags(doc.flags)),
    ...section("FLAGS OF EVERY COMMAND", flags([...(doc.inheritedFlags ?? []), ...(doc.globalFlags ?? [])])),
    ...(commands.length === 0 ? [] : ["", `${name} COMMAND --help says more of one.`])
  ]
  return lines.join("\n")
}
