/**
 * Finds code by what it means to a parser: how it is laid out, its comments, parentheses and types do not matter.
 *
 * A pattern is code: one expression, some statements, or one property of an object. `$NAME` in it stands for any one
 * node, `$$$NAME` for any number of neighbours (statements, arguments, properties):
 *
 *     Effect.sleep(policy.acceptInterval)
 *     yield* refuse(stream, scope, "banned"); return yield* Effect.yieldNow
 *     duration: policy.handshakeTimeout
 *     serve(stream, verdict).pipe($$$STEPS)
 *
 * A block of one statement is the same as that statement.
 */
import { parseSync } from "oxc-parser"

/** A node of a syntax tree, with its place in the text. */
export interface Node {
  readonly type: string
  readonly start: number
  readonly end: number
  readonly [field: string]: unknown
}

/** Neighbouring nodes; a single one for an expression or a property. */
export interface Pattern {
  readonly kind: "expression" | "statements" | "property"
  readonly nodes: ReadonlyArray<Node>
}

/** What the holes of a pattern stand for, by their names with the `$`. */
export type Holes = ReadonlyMap<string, ReadonlyArray<Node>>

export interface Match {
  readonly start: number
  readonly end: number
  readonly holes: Holes
  /** The functions, members, variables and classes it is in the definition of, from the outermost on. */
  readonly within: ReadonlyArray<string>
}

/** A hole in a pattern's text. */
export const holePattern = /\$(?:\$\$)?[A-Z]+\b/g

const isHole = (name: string): boolean => /^\$(?:\$\$)?[A-Z]+$/.test(name)

/** What a program means does not depend on these, nor does it on types. */
const ignoredFields = new Set([
  "accessibility",
  "declare",
  "decorators",
  "definite",
  "directive",
  "end",
  "implements",
  "override",
  "raw",
  "readonly",
  "returnType",
  "shorthand",
  "start",
  "superTypeArguments",
  "typeAnnotation",
  "typeArguments",
  "typeParameters"
])

const transparent = new Set(["ChainExpression", "TSAsExpression", "TSNonNullExpression", "TSSatisfiesExpression"])

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && "type" in value && "start" in value && "end" in value

/** The tree of a TypeScript file. Throws when it does not parse. */
export const parse = (text: string): Node => {
  const { errors, program } = parseSync("code.ts", text, { lang: "ts", sourceType: "module", preserveParens: false })
  const [error] = errors
  if (error !== undefined) throw new SyntaxError(error.message)
  // The parser's types name each kind of node; here only what all have in common counts.
  if (!isNode(program)) throw new Error("a program is a node")
  return program
}

const fieldsOf = (node: Node): ReadonlyArray<readonly [string, unknown]> =>
  Object.entries(node).filter(([field]) => !ignoredFields.has(field))

const nodesOf = (value: unknown): ReadonlyArray<Node> =>
  Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : []

const nameOf = (value: unknown): string | undefined =>
  isNode(value) && typeof value["name"] === "string"
    ? value.type === "PrivateIdentifier"
      ? `#${value["name"]}`
      : value["name"]
    : undefined

// -- patterns ----------------------------------------------------------------------------------

/** The statements of some code that may use whatever a method of a class may: `yield*`, `return`, `continue`, `this.#x`. */
const statementsOf = (code: string): ReadonlyArray<Node> | undefined => {
  try {
    const { body } = parse(`class C { async *m() { for (;;) {\n${code}\n} } }`)
    // class → its body → the method → its function → the loop → its block
    let nodes = nodesOf(body)
    for (const field of ["body", "body", "value", "body", "body", "body", "body"]) {
      if (nodes.length !== 1) return undefined
      nodes = nodesOf(nodes[0]?.[field])
    }
    return nodes
  } catch {
    return undefined
  }
}

/** The only statement's only expression. */
const expressionOf = (code: string): Node | undefined => {
  const statements = statementsOf(`(\n${code}\n)`)
  const [statement] = statements ?? []
  if (statements?.length !== 1 || statement?.type !== "ExpressionStatement") return undefined
  return nodesOf(statement["expression"])[0]
}

const readings: ReadonlyArray<(code: string) => Pattern | undefined> = [
  (code) => {
    const node = expressionOf(code)
    return node === undefined ? undefined : { kind: "expression", nodes: [node] }
  },
  (code) => {
    const nodes = statementsOf(code)
    // A label is a property.
    if (nodes === undefined || nodes.length === 0 || nodes[0]?.type === "LabeledStatement") return undefined
    return { kind: "statements", nodes }
  },
  (code) => {
    const properties = nodesOf(expressionOf(`{ ${code} }`)?.["properties"])
    return properties.length === 1 ? { kind: "property", nodes: properties } : undefined
  }
]

/**
 * Reads pieces of code as the same kind of thing, the first one that all can be: an expression, statements, a property.
 * `undefined` when there is none.
 */
export const readAlike = (codes: ReadonlyArray<string>): ReadonlyArray<Pattern> | undefined => {
  for (const read of readings) {
    const patterns = codes.map(read).filter((pattern) => pattern !== undefined)
    if (patterns.length === codes.length) return patterns
  }
  return undefined
}

/** What a pattern says as a part of something larger, too: a statement may have become the outcome of a function. */
export const asPart = (pattern: Pattern): Pattern => {
  const [statement, ...others] = pattern.nodes
  const expression =
    others.length === 0 && statement?.type === "ExpressionStatement" ? statement["expression"] : undefined
  return isNode(expression) ? { kind: "expression", nodes: [expression] } : pattern
}

// -- matching ----------------------------------------------------------------------------------

/** The name of the hole that a node is, as an expression, a statement or a property. */
const holeOf = (node: Node): string | undefined => {
  const inner =
    node.type === "ExpressionStatement"
      ? node["expression"]
      : node.type === "Property" && node["shorthand"] === true
        ? node["value"]
        : node
  const name = isNode(inner) && inner.type === "Identifier" ? nameOf(inner) : undefined
  return name !== undefined && isHole(name) ? name : undefined
}

const plain = (node: Node): Node => {
  const { expression } = node
  return transparent.has(node.type) && isNode(expression) ? plain(expression) : node
}

const inBlock = (node: Node): ReadonlyArray<Node> => (node.type === "BlockStatement" ? nodesOf(node["body"]) : [node])

const bind = (hole: string, nodes: ReadonlyArray<Node>, holes: Holes): Holes | undefined => {
  const before = holes.get(hole)
  if (before !== undefined) return matchRun(before, nodes, holes)
  return new Map([...holes, [hole, nodes]])
}

const matchNode = (pattern: Node, node: Node, holes: Holes): Holes | undefined => {
  const hole = holeOf(pattern)
  if (hole !== undefined) return bind(hole, [node], holes)
  const wanted = plain(pattern)
  const found = plain(node)
  if (wanted.type === "BlockStatement" || found.type === "BlockStatement") {
    return matchRun(inBlock(wanted), inBlock(found), holes)
  }
  return wanted.type === found.type ? matchFields(wanted, found, holes) : undefined
}

const matchFields = (pattern: object, value: object, holes: Holes): Holes | undefined => {
  const fields: ReadonlyMap<string, unknown> = new Map(Object.entries(value))
  let all: Holes | undefined = holes
  for (const [field, wanted] of Object.entries(pattern)) {
    // `a?.b` is not `a.b`, but whether a parameter may be left out is its type.
    if (ignoredFields.has(field) || (field === "optional" && "name" in pattern)) continue
    all = matchValue(wanted, fields.get(field), all)
    if (all === undefined) return undefined
  }
  return all
}

const matchValue = (pattern: unknown, value: unknown, holes: Holes): Holes | undefined => {
  if (isNode(pattern)) return isNode(value) ? matchNode(pattern, value, holes) : undefined
  if (Array.isArray(pattern)) return Array.isArray(value) ? matchRun(pattern, value, holes) : undefined
  if (typeof pattern === "object" && pattern !== null) {
    return typeof value === "object" && value !== null ? matchFields(pattern, value, holes) : undefined
  }
  return Object.is(pattern, value) ? holes : undefined
}

/** All of a list. */
const matchRun = (
  patterns: ReadonlyArray<unknown>,
  values: ReadonlyArray<unknown>,
  holes: Holes
): Holes | undefined => {
  const [pattern, ...others] = patterns
  if (patterns.length === 0) return values.length === 0 ? holes : undefined
  const hole = isNode(pattern) ? holeOf(pattern) : undefined
  if (hole?.startsWith("$$$") === true) {
    for (let length = 0; length <= values.length; length++) {
      const bound = bind(hole, values.slice(0, length).filter(isNode), holes)
      const all = bound && matchRun(others, values.slice(length), bound)
      if (all !== undefined) return all
    }
    return undefined
  }
  if (values.length === 0) return undefined
  const first = matchValue(pattern, values[0], holes)
  return first && matchRun(others, values.slice(1), first)
}

const nothing: Holes = new Map()

/** Whether two trees mean the same. */
export const isSame = (one: Node, other: Node): boolean => matchNode(one, other, nothing) !== undefined

/** Every place of a tree that a pattern fits. */
export const matchesOf = (pattern: Pattern, tree: Node): ReadonlyArray<Match> => {
  const { nodes } = pattern
  const found = new Map<string, Match>()
  const look = (siblings: ReadonlyArray<Node>, within: ReadonlyArray<string>): void => {
    for (const [index, node] of siblings.entries()) {
      const run = siblings.slice(index, index + nodes.length)
      // What is transparent is looked at as what is in it.
      const holes =
        transparent.has(node.type) || node.type === "BlockStatement" ? undefined : matchRun(nodes, run, nothing)
      const end = run.at(-1)?.end ?? node.end
      // Key and value of `{ a }` are in one place.
      if (holes !== undefined) found.set(`${node.start} ${end}`, { start: node.start, end, holes, within })
      const name = nameOf(node["id"]) ?? nameOf(node["key"])
      const inside = name === undefined ? within : [...within, name]
      for (const [, value] of fieldsOf(node)) look(nodesOf(value), inside)
    }
  }
  look([tree], [])
  return [...found.values()]
}

// -- names -------------------------------------------------------------------------------------

/** Names of variables that code speaks of, declared there or not. Those of members and keys are none. */
export const namesIn = (node: Node): ReadonlyArray<string> => {
  if (node.type === "Identifier") return [nameOf(node) ?? ""].filter((name) => !isHole(name))
  return fieldsOf(node)
    .filter(([field]) => node["computed"] === true || (field !== "key" && field !== "property"))
    .flatMap(([, value]) => nodesOf(value).flatMap(namesIn))
}

/** Variables, functions, classes; parameters; imports; what is caught. */
const declaringFields = new Set(["id", "params", "local", "param"])

/** Names of the variables that code declares, anywhere in it. */
export const declaredIn = (node: Node): ReadonlyArray<string> =>
  fieldsOf(node).flatMap(([field, value]) =>
    nodesOf(value).flatMap((child) => [...(declaringFields.has(field) ? namesIn(child) : []), ...declaredIn(child)])
  )

const scopes = new Set(["ArrowFunctionExpression", "BlockStatement", "FunctionDeclaration", "FunctionExpression"])

/** Names of the variables that code of a file can use at a place: none that a function or block keeps to itself. */
export const visibleAt = (tree: Node, place: Pick<Match, "start" | "end">): ReadonlySet<string> => {
  const names = new Set<string>()
  const look = (node: Node): void => {
    for (const [field, value] of fieldsOf(node)) {
      for (const child of nodesOf(value)) {
        if (declaringFields.has(field)) for (const name of namesIn(child)) names.add(name)
        const isElsewhere = place.start < child.start || child.end < place.end
        if (!scopes.has(child.type) || !isElsewhere) look(child)
        else if (child.type === "FunctionDeclaration") names.add(nameOf(child["id"]) ?? "")
      }
    }
  }
  look(tree)
  return names
}
