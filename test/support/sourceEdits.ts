/**
 * Changes source by meaning: an edit says which code is replaced by which, and finds it wherever it is in its file and however
 * it is laid out (`codePattern.ts`).
 *
 * An edit that has no place, or several, is refused with a message that says where its code is, so that it can follow code
 * that moved. So is one whose outcome does not parse, is read as something else than it says, uses a name that is not known
 * there, or changes nothing: a test that failed for such a reason would prove nothing.
 */
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import {
  asPart,
  declaredIn,
  holePattern,
  isSame,
  type Match,
  matchesOf,
  namesIn,
  type Node,
  parse,
  type Pattern,
  readAlike,
  visibleAt
} from "./codePattern.ts"

export interface Edit {
  /** From the root of the repository. */
  readonly file: string
  /** A function, member, variable or class: only code in its definition is looked at. */
  readonly within?: string
  /** A pattern that fits one place. */
  readonly find: string
  /** What stands there instead, with the holes of `find` filled in. Empty: the statements are removed. */
  readonly replace: string
}

/** One edit. The file is named without `src/` and `.ts`; what is found is left out, unless something takes its place. */
export const edit = (file: string, find: string, replace = "", where?: { readonly within: string }): Edit => ({
  file: file.startsWith("layers/") ? `${file}.ts` : `src/${file}.ts`,
  find,
  replace,
  ...where
})

/** A file. */
export interface Source {
  readonly text: string
  readonly tree: () => Node
}

export type Sources = ReadonlyMap<string, Source>

/** Where code was found. */
export interface Place {
  readonly file: string
  /** From 1 on. */
  readonly line: number
  /** The innermost function, member, variable or class it is in the definition of. */
  readonly within: string | undefined
}

/** A file that is parsed when somebody asks for it, and then once. */
export const makeSource = (text: string): Source => {
  let tree: Node | undefined
  return { text, tree: () => (tree ??= parse(text)) }
}

/** The TypeScript files in some folders. */
export const readSources = (root: string, folders: ReadonlyArray<string>): Sources =>
  new Map(
    folders.flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
        .filter((name) => name.endsWith(".ts"))
        .map((name) => `${folder}/${name.replaceAll("\\", "/")}`)
        .toSorted()
        .map((file) => [file, makeSource(readFileSync(join(root, file), "utf8"))] as const)
    )
  )

/** A place as a developer would look it up. */
export const showPlace = ({ file, line, within }: Place): string =>
  `${file}:${line}${within === undefined ? "" : ` in ${within}`}`

/** Where an edit goes. Throws when there is no such place, or several. */
export const placeFor = (sources: Sources, edit: Edit): Place => {
  const match = theMatch(sources, edit, patternsOf(edit).find)
  return placeOf(edit.file, sourceOf(sources, edit.file), match)
}

/** The files that edits change, as they are when all are made, in whatever order. Throws when one cannot be. */
export const applied = (sources: Sources, edits: ReadonlyArray<Edit>): ReadonlyMap<string, string> => {
  const byFile = Map.groupBy(edits, ({ file }) => file)
  return new Map(Array.from(byFile, ([file, ofFile]) => [file, changed(sources, file, ofFile)]))
}

// -- finding -----------------------------------------------------------------------------------

/** Statements that are removed leave an empty block, so that nothing else becomes the body of an `if`. */
const replacementOf = ({ replace }: Edit): string => (replace === "" ? "{;}" : replace)

const patternsOf = (edit: Edit): { readonly find: Pattern; readonly replace: Pattern } => {
  const [find, replace] = readAlike([edit.find, replacementOf(edit)]) ?? []
  if (find === undefined || replace === undefined) {
    throw new Error(`${edit.file}: not both expressions, statements or properties: ${edit.find} → ${edit.replace}`)
  }
  return { find, replace }
}

const placeOf = (file: string, { text }: Source, { start, within }: Match): Place => ({
  file,
  line: text.slice(0, start).split("\n").length,
  within: within.at(-1)
})

/** A file that is not there has nothing in it. */
const sourceOf = (sources: Sources, file: string): Source => sources.get(file) ?? makeSource("")

const theMatch = (sources: Sources, { file, find: code, within }: Edit, find: Pattern): Match => {
  const source = sourceOf(sources, file)
  const matches = matchesOf(find, source.tree()).filter(
    (match) => within === undefined || match.within.includes(within)
  )
  const [match] = matches
  if (match !== undefined && matches.length === 1) return match

  const where = within === undefined ? file : `${within} of ${file}`
  const what = `the ${find.kind}: ${code}`
  const list = (places: ReadonlyArray<Place>) => places.map((place) => `\n  ${showPlace(place)}`).join("")
  if (matches.length > 1) {
    throw new Error(`${where} has more than once ${what}${list(matches.map((match) => placeOf(file, source, match)))}`)
  }
  const elsewhere = Array.from(sources, ([other, source]) =>
    matchesOf(asPart(find), source.tree()).map((match) => ({ match, place: placeOf(other, source, match) }))
  ).flat()
  // Code that moved takes its name with it.
  const named = elsewhere.filter(({ match }) => within !== undefined && match.within.includes(within))
  const places = (named.length === 0 ? elsewhere : named).map(({ place }) => place)
  const hint = places.length === 0 ? "\n  nor does any other file" : `\n  which is in${list(places)}`
  throw new Error(`${where} does not have ${what}${hint}`)
}

// -- changing ----------------------------------------------------------------------------------

const changed = (sources: Sources, file: string, edits: ReadonlyArray<Edit>): string => {
  const source = sourceOf(sources, file)
  const planned = edits.map((edit) => {
    const { find, replace } = patternsOf(edit)
    return { edit, replace, match: theMatch(sources, edit, find) }
  })
  let text = ""
  let done = 0
  const made = planned
    .toSorted((a, b) => a.match.start - b.match.start)
    .map(({ edit, match, replace }) => {
      if (match.start < done) throw new Error(`${file}: another edit changes a part of: ${edit.find}`)
      text += source.text.slice(done, match.start)
      done = match.end
      const start = text.length
      text += filled(edit, match, source)
      return { edit, replace, start, end: text.length }
    })
  text += source.text.slice(done)

  const tree = parsed(file, text)
  for (const { edit, end, replace, start } of made) {
    const isThere = matchesOf(replace, tree).some((match) => match.start >= start && match.end <= end)
    if (!isThere) throw new Error(`${file}: means something else there, put it in parentheses: ${edit.replace}`)
    const visible = visibleAt(tree, { start, end })
    const own = replace.nodes.flatMap(declaredIn)
    const isKnown = (name: string) => visible.has(name) || own.includes(name) || name in globalThis
    const unknown = replace.nodes.flatMap(namesIn).find((name) => !isKnown(name))
    if (unknown !== undefined) throw new Error(`${file}: there is no ${unknown} for: ${edit.replace}`)
  }
  if (isSame(source.tree(), tree)) {
    throw new Error(`${file}: nothing is changed by: ${edits.map(({ replace }) => replace).join(", ")}`)
  }
  return text
}

/** The replacement, with what was found in its holes. It ends as what it replaces did, or it could go on into what follows. */
const filled = (edit: Edit, { end, holes }: Match, { text }: Source): string => {
  const replacement = replacementOf(edit).replace(holePattern, (hole) => {
    const nodes = holes.get(hole)
    if (nodes === undefined) throw new Error(`${edit.file}: there is no ${hole} in: ${edit.find}`)
    return text.slice(nodes.at(0)?.start ?? 0, nodes.at(-1)?.end ?? 0)
  })
  return text[end - 1] === ";" && !/[;}]$/.test(replacement) ? `${replacement};` : replacement
}

const parsed = (file: string, text: string): Node => {
  try {
    return parse(text)
  } catch (error) {
    throw new Error(`${file}: does not parse when changed`, { cause: error })
  }
}
