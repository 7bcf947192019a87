/**
 * How the source is changed by `scripts/mutants.ts`: the operators, and what is left out and why.
 *
 * Pure: a text goes in, and every small change of it comes out.
 */
import { type Node, parse } from "../test/support/codePattern.ts"

/** A change of a text: what is from `start` on and before `end` is replaced. */
export interface Change {
  readonly operator: string
  readonly start: number
  readonly end: number
  readonly replacement: string
  /** How the place is marked to see which tests come by: around an expression, around statements, or at the start of a block. */
  readonly kind: "expression" | "statement" | "block"
  /** What is marked. */
  readonly place: { readonly start: number; readonly end: number }
  /** It runs when its module is loaded: every test that imports the file comes by. */
  readonly isOnce: boolean
}

/** The operators in use, and what each does. */
export const operators: Readonly<Record<string, string>> = {
  ConditionalExpression: "a condition is always true, or never",
  EqualityOperator: "`<` is `<=` or `>=`, `===` is `!==`, and so on",
  LogicalOperator: "`&&` is `||`, `||` and `??` are `&&`",
  BooleanLiteral: "`true` is `false`; `!x` is `x`",
  NumberByOne: "a whole number is one more, or one less",
  ArithmeticOperator: "`+` is `-`, `*` is `/`, `%` is `*`, and so on",
  UpdateOperator: "`++` is `--`",
  AssignmentOperator: "`+=` is `-=`, and so on",
  UnaryOperator: "`-x` is `x`",
  CallDropped: "a statement that stands for its effect (`f()`, `yield* f`, `a = b`, `a++`) is left out",
  OrderSwapped:
    "two such statements that follow each other change places, unless each sets what the other does not name",
  BlockStatement: "a block is empty",
  ArrayDeclaration: "an array is empty",
  MethodExpression: "`min` is `max`, `some` is `every`; `filter`, `slice`, `toSorted` and `toReversed` are left out"
}

/** Operators that others have, and why they are not used. */
export const operatorsLeftOut: Readonly<Record<string, string>> = {
  StringLiteral: "texts of logs, errors and spans; names that matter are compared by the tests of metrics and messages",
  ObjectLiteral: "almost no program without the fields of an object compiles",
  ArrowFunction: "almost no program with a function of nothing in its place compiles",
  OptionalChaining: "almost no program without it compiles",
  Regex: "there are few, and their changes are mostly of one character in a text"
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
export const codeLeftOut = "calls of Effect.log… and annotateLogs"

const isNode = (value: unknown): value is Node => typeof value === "object" && value !== null && "type" in value
const nodesOf = (value: unknown): ReadonlyArray<Node> =>
  Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : []
const nodeOf = (value: unknown): Node | undefined => nodesOf(value)[0]

const nameOfCallee = (node: Node): string | undefined => {
  const name = nodeOf(nodeOf(node["callee"])?.["property"])?.["name"]
  return typeof name === "string" ? name : undefined
}

const logs = /^(log(Trace|Debug|Info|Warning|Error|Fatal)?|annotateLogs)$/

/** `Effect.log…(…)`, with whatever is said of it: `.pipe(Effect.annotateLogs(…))`. */
const isLog = (node: Node | undefined): boolean => {
  if (node?.type === "YieldExpression") return isLog(nodeOf(node["argument"]))
  if (node?.type !== "CallExpression") return false
  const name = nameOfCallee(node) ?? ""
  return logs.test(name) || (name === "pipe" && isLog(nodeOf(nodeOf(node["callee"])?.["object"])))
}

/** `f()`, `yield* f`, `a = b`, `a++`: a statement for its effect. */
const isForItsEffect = (node: Node): boolean => {
  const expression = nodeOf(node["expression"])
  return (
    node.type === "ExpressionStatement" &&
    expression !== undefined &&
    !isLog(expression) &&
    ["CallExpression", "YieldExpression", "AssignmentExpression", "UpdateExpression"].includes(expression.type) &&
    nodeOf(expression["callee"])?.type !== "Super"
  )
}

/** What it has no effect to read: names, fields and literals, and what is computed of them. */
const plain = new Set([
  "ArrayExpression",
  "BinaryExpression",
  "ChainExpression",
  "ConditionalExpression",
  "Identifier",
  "Literal",
  "LogicalExpression",
  "MemberExpression",
  "PrivateIdentifier",
  "ThisExpression",
  "UnaryExpression"
])
/** Functions of their arguments alone. */
const pure = /^(?:Duration\.to\w+|Math\.\w+|BigInt|new (?:Map|Set)(?:<.*>)?)\(/s

const isPlain = (node: Node, text: string): boolean =>
  (plain.has(node.type) || pure.test(text.slice(node.start, node.end))) &&
  Object.values(node).every((value) =>
    nodesOf(value).every((child) => child.type.startsWith("TS") || isPlain(child, text))
  )

/** What a statement sets that does nothing else, as whoever reads it names it; `undefined` of any other statement. */
const setBy = (statement: Node, text: string): RegExp | undefined => {
  const expression = nodeOf(statement["expression"])
  const [left, right] = [nodeOf(expression?.["left"]), nodeOf(expression?.["right"])]
  if (expression?.type !== "AssignmentExpression" || left === undefined || right === undefined) return undefined
  if (!isPlain(left, text) || !isPlain(right, text)) return undefined
  const name = /\w+$/.exec(text.slice(left.start, left.end))?.[0]
  if (name === undefined) return undefined
  // A field of whatever it is, or a variable.
  return new RegExp(left.type === "MemberExpression" ? `\\.#?${name}\\b` : `(?<![.#\\w])${name}\\b`)
}

/** Whether each sets what the other does not name: then nobody sees which came first. */
const areIndependent = (first: Node, second: Node, text: string): boolean => {
  const [a, b] = [setBy(first, text), setBy(second, text)]
  const names = (set: RegExp | undefined, node: Node) => set?.test(text.slice(node.start, node.end)) !== false
  return !names(a, second) && !names(b, first)
}

const others: Readonly<Record<string, ReadonlyArray<string>>> = {
  "<": ["<=", ">="],
  "<=": ["<", ">"],
  ">": [">=", "<="],
  ">=": [">", "<"],
  "===": ["!=="],
  "!==": ["==="],
  "+": ["-"],
  "-": ["+"],
  "*": ["/"],
  "/": ["*"],
  "%": ["*"],
  "&&": ["||"],
  "||": ["&&"],
  "??": ["&&"],
  "+=": ["-="],
  "-=": ["+="],
  "*=": ["/="],
  "/=": ["*="]
}

const methods: ReadonlyMap<string, string> = new Map([
  ["min", "max"],
  ["max", "min"],
  ["some", "every"],
  ["every", "some"]
])
const leftOutMethods = new Set(["filter", "slice", "toSorted", "toReversed"])

const functions = new Set(["ArrowFunctionExpression", "FunctionExpression", "FunctionDeclaration"])
/** Of these only the expression is code. */
const typed = new Set(["TSAsExpression", "TSNonNullExpression", "TSSatisfiesExpression"])

type Made = Omit<Change, "isOnce" | "place">

/** The changes of one node, without those of what is in it. */
const changesAt = (node: Node, text: string): ReadonlyArray<Made> => {
  const { end, start } = node
  const code = (of: unknown): string => {
    const part = nodeOf(of)
    return part === undefined ? "" : text.slice(part.start, part.end)
  }
  const whole = (operator: string, ...replacements: ReadonlyArray<string>): ReadonlyArray<Made> =>
    replacements.map((replacement) => ({ operator, start, end, replacement, kind: "expression" as const }))
  const condition = (test: unknown, ...replacements: ReadonlyArray<string>): ReadonlyArray<Made> => {
    const at = nodeOf(test)
    if (at === undefined) return []
    return replacements.map((replacement) => ({
      operator: "ConditionalExpression",
      start: at.start,
      end: at.end,
      replacement,
      kind: "expression"
    }))
  }
  const withOperator = (operator: string): ReadonlyArray<Made> => {
    const sign = String(node["operator"])
    const [left, right] = [code(node["left"]), code(node["right"])]
    return whole(operator, ...(others[sign] ?? []).map((other) => `((${left}) ${other} (${right}))`))
  }

  switch (node.type) {
    case "IfStatement":
    case "ConditionalExpression":
      return condition(node["test"], "true", "false")
    case "WhileStatement":
    case "ForStatement":
      return condition(node["test"], "false")
    case "BinaryExpression": {
      const sign = String(node["operator"])
      if (!"+-*/%".includes(sign)) return withOperator("EqualityOperator")
      const isText = [node["left"], node["right"]].some((side) => {
        const part = nodeOf(side)
        return part?.type === "TemplateLiteral" || typeof part?.["value"] === "string"
      })
      return isText ? [] : withOperator("ArithmeticOperator")
    }
    case "LogicalExpression":
      return withOperator("LogicalOperator")
    case "AssignmentExpression":
      return String(node["operator"]) in others
        ? whole(
            "AssignmentOperator",
            ...(others[String(node["operator"])] ?? []).map(
              (other) => `${code(node["left"])} ${other} ${code(node["right"])}`
            )
          )
        : []
    case "UpdateExpression": {
      const other = node["operator"] === "++" ? "--" : "++"
      return whole(
        "UpdateOperator",
        node["prefix"] === true ? `${other}${code(node["argument"])}` : `${code(node["argument"])}${other}`
      )
    }
    case "UnaryExpression":
      if (node["operator"] === "!") return whole("BooleanLiteral", `(${code(node["argument"])})`)
      return node["operator"] === "-" ? whole("UnaryOperator", `(${code(node["argument"])})`) : []
    case "Literal": {
      const { value } = node
      if (typeof value === "boolean") return whole("BooleanLiteral", String(!value))
      if (typeof value === "bigint")
        return whole("NumberByOne", `${value + 1n}n`, ...(value > 0n ? [`${value - 1n}n`] : []))
      if (typeof value !== "number" || !Number.isSafeInteger(value)) return []
      return whole("NumberByOne", String(value + 1), ...(value > 0 ? [String(value - 1)] : []))
    }
    case "ArrayExpression":
      return nodesOf(node["elements"]).length === 0 ? [] : whole("ArrayDeclaration", "[]")
    case "CallExpression": {
      const name = nameOfCallee(node) ?? ""
      const callee = nodeOf(node["callee"])
      const object = code(callee?.["object"])
      if (leftOutMethods.has(name)) return whole("MethodExpression", object)
      const other = methods.get(name)
      const property = nodeOf(callee?.["property"])
      if (other === undefined || property === undefined) return []
      return whole("MethodExpression", text.slice(start, property.start) + other + text.slice(property.end, end))
    }
    case "ExpressionStatement":
      return isForItsEffect(node) ? [{ operator: "CallDropped", start, end, replacement: "{}", kind: "statement" }] : []
    case "BlockStatement": {
      const body = nodesOf(node["body"])
      if (body.length === 0) return []
      const swaps = body.flatMap((statement, i): ReadonlyArray<Made> => {
        const next = body[i + 1]
        if (next === undefined || !isForItsEffect(statement) || !isForItsEffect(next)) return []
        if (areIndependent(statement, next, text)) return []
        const [first, second] = [code(statement), code(next)]
        const between = text.slice(statement.end, next.start)
        const replacement = `{${second};${between}${first}}`
        return [{ operator: "OrderSwapped", start: statement.start, end: next.end, replacement, kind: "statement" }]
      })
      return [{ operator: "BlockStatement", start, end, replacement: "{}", kind: "block" }, ...swaps]
    }
    default:
      return []
  }
}

/** Every change of a text, in the order of their places. */
export const changesOf = (text: string): ReadonlyArray<Change> => {
  const found: Array<Change> = []
  const visit = (node: Node, isOnce: boolean, statement: Node | undefined): void => {
    if (node.type === "ImportDeclaration" || node.type === "ExportAllDeclaration") return
    if (node.type.startsWith("TS") && !typed.has(node.type)) return
    if (node.type === "CallExpression" && logs.test(nameOfCallee(node) ?? "")) return
    for (const change of changesAt(node, text)) {
      // Lines do not end with a semicolon: none may begin with a parenthesis, which would go on from the one before.
      if (change.kind !== "expression" || change.start !== statement?.start) {
        found.push({ ...change, isOnce, place: { start: change.start, end: change.end } })
        continue
      }
      const isWhole = change.end === nodeOf(statement["expression"])?.end
      const begins = change.replacement.startsWith("(")
      if (begins && !isWhole) continue
      const replacement = begins ? `void ${change.replacement}` : change.replacement
      found.push({
        ...change,
        replacement,
        isOnce,
        kind: "statement",
        place: { start: statement.start, end: statement.end }
      })
    }
    const isLater =
      functions.has(node.type) || (node.type === "PropertyDefinition" && node["static"] !== true) ? false : isOnce
    for (const [field, value] of Object.entries(node)) {
      // A name, and not a value; `a?.b` must stay whole.
      if (field === "key" && node["computed"] !== true) continue
      if (typed.has(node.type) && field !== "expression") continue
      for (const child of nodesOf(value))
        if (child.type !== "ChainExpression") {
          visit(child, isLater, child.type === "ExpressionStatement" ? child : statement)
        }
    }
  }
  visit(parse(text), true, undefined)
  return found.toSorted((a, b) => a.start - b.start || b.end - a.end)
}

/** A text in which every change's place tells its number to `globalThis.networkEffectReached` when it is come by. */
export const marked = (text: string, changes: ReadonlyMap<number, Change>): string => {
  const call = (id: number) => `globalThis.networkEffectReached?.(${id})`
  interface Insert {
    readonly at: number
    readonly text: string
    /** At one place: what ends comes before what begins, and of what begins the longer first. */
    readonly order: number
  }
  const inserts: Array<Insert> = []
  for (const [id, { kind, place }] of changes) {
    const { end, start } = place
    const length = end - start + (kind === "statement" ? 0.5 : 0)
    if (kind === "block") inserts.push({ at: start + 1, text: `${call(id)};`, order: -1e9 })
    else {
      const isExpression = kind === "expression"
      inserts.push({ at: start, text: isExpression ? `(${call(id)},` : `{${call(id)};`, order: 1e9 - length })
      inserts.push({ at: end, text: isExpression ? ")" : "}", order: length - 1e9 })
    }
  }
  let made = ""
  let done = 0
  for (const insert of inserts.toSorted((a, b) => a.at - b.at || a.order - b.order)) {
    made += text.slice(done, insert.at) + insert.text
    done = insert.at
  }
  return made + text.slice(done)
}
