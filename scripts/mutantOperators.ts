/**
 * How mutants are made: a plugin of Stryker, which brings most operators, with three of our own. Loaded by Stryker itself and by
 * `scripts/mutants.ts`; says what is left out and why.
 *
 * Needs `NETWORK_EFFECT_MUTANTS_TOOLS`, the folder that Stryker is installed in, and for a run `NETWORK_EFFECT_MUTANTS_CHOSEN`,
 * a file with the keys of the mutants that are wanted.
 */
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { pathToFileURL } from "node:url"

/** A node of Babel's tree, as far as operators look at it. */
export interface BabelNode {
  readonly type: string
  readonly loc?: Location | null
  readonly [field: string]: unknown
}

export interface Location {
  readonly start: { readonly line: number; readonly column: number }
  readonly end: { readonly line: number; readonly column: number }
}

interface NodePath {
  readonly node: BabelNode
  readonly parent?: BabelNode
}

interface Operator {
  readonly name: string
  mutate: (path: NodePath, options: unknown) => Iterable<BabelNode>
}

/** Operators of Stryker that are not used, and why. */
export const operatorsLeftOut: Readonly<Record<string, string>> = {
  StringLiteral: "texts of logs, errors and spans; names that matter are compared by the tests of metrics and messages",
  ObjectLiteral: "almost no program without the fields of an object compiles",
  ArrowFunction: "almost no program with a function of nothing in its place compiles",
  CallExpression: "a part of CallDropped, which drops what is yielded too"
}

/** Files whose rules are not those of a node. */
export const filesLeftOut: Readonly<Record<string, string>> = {
  "src/network/MockedRequests.ts": "a double for programs' tests",
  "src/peer/Request.ts": "types, and constructors of what they say",
  "src/routing/RequestError.ts": "an error's words",
  "src/network/StatusLog.ts": "lines of a log",
  "src/addresses/AddressMetrics.ts": "names of metrics",
  "src/routing/PeerSetMetrics.ts": "names of metrics"
}

/** Code that only writes a line of log. */
export const codeLeftOut = "calls of Effect.log… and annotateLogs, and code that runs once when its module is loaded"

const isNode = (value: unknown): value is BabelNode => typeof value === "object" && value !== null && "type" in value
const nodesOf = (value: unknown): ReadonlyArray<BabelNode> => (Array.isArray(value) ? value.filter(isNode) : [])

/** `f()`, `yield* f`, `a = b`, `a++`: a statement for its effect. */
const isForItsEffect = (node: BabelNode): boolean => {
  const { expression } = node
  return (
    node.type === "ExpressionStatement" &&
    isNode(expression) &&
    ["CallExpression", "YieldExpression", "AssignmentExpression", "UpdateExpression"].includes(expression.type) &&
    !(isNode(expression["callee"]) && expression["callee"].type === "Super")
  )
}

const ours: ReadonlyArray<Operator> = [
  {
    name: "NumberByOne",
    *mutate({ node, parent }) {
      const { value } = node
      if (node.type !== "NumericLiteral" || typeof value !== "number" || !Number.isInteger(value)) return
      // A type.
      if (parent?.type === "TSLiteralType") return
      yield { type: "NumericLiteral", value: value + 1 }
      if (value > 0) yield { type: "NumericLiteral", value: value - 1 }
    }
  },
  {
    name: "CallDropped",
    *mutate({ node }) {
      if (isForItsEffect(node)) yield { type: "BlockStatement", body: [], directives: [] }
    }
  },
  {
    name: "OrderSwapped",
    *mutate({ node }) {
      if (node.type !== "BlockStatement") return
      const body = nodesOf(node["body"])
      for (const [i, statement] of body.entries()) {
        const next = body[i + 1]
        if (next === undefined || !isForItsEffect(statement) || !isForItsEffect(next)) continue
        yield { ...node, body: [...body.slice(0, i), next, statement, ...body.slice(i + 2)] }
      }
    }
  }
]

/** Where a mutant is and which of its operator it is there, from 0 on. Lines from 1 on. */
export const keyOf = (operator: string, { end, start }: Location, index: number): string =>
  `${operator} ${start.line}:${start.column}-${end.line}:${end.column} ${index}`

const tools = process.env["NETWORK_EFFECT_MUTANTS_TOOLS"] ?? ""
const chosenFile = process.env["NETWORK_EFFECT_MUTANTS_CHOSEN"]
const chosen =
  chosenFile === undefined ? undefined : new Set(JSON.parse(readFileSync(chosenFile, "utf8")) as ReadonlyArray<string>)

const { allMutators } = (await import(
  pathToFileURL(join(tools, "node_modules/@stryker-mutator/instrumenter/dist/src/mutators/mutate.js")).href
)) as { readonly allMutators: Array<Operator> }

const wanted = (operator: Operator): Operator => ({
  name: operator.name,
  *mutate(path, options) {
    let index = 0
    for (const replacement of operator.mutate(path, options)) {
      const { loc } = path.node
      const isWanted = loc && (chosen === undefined || chosen.has(keyOf(operator.name, loc, index)))
      index++
      if (isWanted) yield replacement
    }
  }
})

const all = [...allMutators, ...ours].filter(({ name }) => !(name in operatorsLeftOut)).map(wanted)
allMutators.splice(0, allMutators.length, ...all)

/** The operators in use. */
export const operators: ReadonlyArray<string> = all.map(({ name }) => name)

const logs = /^(log(Trace|Debug|Info|Warning|Error|Fatal)?|annotateLogs)$/

const nameOfCallee = (node: BabelNode): string | undefined => {
  const { callee } = node
  if (!isNode(callee)) return undefined
  const { property } = callee
  return isNode(property) && typeof property["name"] === "string" ? property["name"] : undefined
}

/** Why nothing below a node is changed. */
export const shouldIgnore = ({ node }: NodePath): string | undefined =>
  node.type === "CallExpression" && logs.test(nameOfCallee(node) ?? "") ? "a line of log" : undefined

/** In the form that Stryker wants its plugins in. */
export const strykerPlugins = [{ kind: "Ignore", name: "logs", value: { shouldIgnore } }]
