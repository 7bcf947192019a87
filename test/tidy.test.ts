/** Holds the source to the rules of ARCHITECTURE.md: who may import whom, what is banned, what every file says of itself. */
import { readdirSync, readFileSync } from "node:fs"
import { dirname, join, posix, relative } from "node:path"
import { assert, describe, it } from "@effect/vitest"

const root = new URL("..", import.meta.url).pathname

/** A folder may import folders of a lower rank, and itself. */
const rank: Record<string, number> = {
  "src/Agenda.ts": 0,
  "src/Bounded.ts": 0,
  "src/Folders.ts": 0,
  "src/Mock.ts": 0,
  "src/Monotonic.ts": 0,
  "src/Policy.ts": 0,
  "src/Spans.ts": 0,
  "src/Subscribable.ts": 0,
  "src/version.ts": 0,
  "src/BackgroundTasks.ts": 0,
  "src/LimitedLog.ts": 0,
  "src/bytes": 1,
  "src/chain": 2,
  "src/transport": 3,
  "src/wire": 3,
  "src/addresses": 4,
  "src/peer": 4,
  "src/recording": 5,
  "src/routing": 5,
  "src/network": 6,
  "src/census": 6,
  "src/simulation": 7,
  "src/status": 7,
  "src/cli": 8,
  "src/index.ts": 9,
  // The first that fits.
  "layers/program.ts": 13,
  "layers/main.ts": 12,
  "layers/commands": 11,
  layers: 10
}

/** Pattern, what to use instead, and the files that implement what the pattern bans. */
const banned: ReadonlyArray<readonly [RegExp, string, ReadonlyArray<string>]> = [
  [/\bDate\.now\(|\bnew Date\(|\bperformance\.now\(/, "Clock", []],
  [/\bMath\.random\(/, "Random", []],
  [/\bsetTimeout\(|\bsetInterval\(|\bsetImmediate\(/, "Effect.sleep or Schedule", []],
  [/\bprocess\.env\b/, "Config", []],
  [/\bconsole\.\w+\(/, "Effect.log, or Console in src/cli", []],
  [
    /\bEffect\.run(Sync|Promise|Fork|Callback)\w*\b/,
    "return the Effect; only layers/main.ts runs one",
    ["src/simulation/SimRuntime.ts", "layers/main.ts"]
  ],
  [/\bmakeDirectory\([^)]*recursive/, "Folders.make: of a folder in /proc it never comes back", []],
  [/\bas any\b|: any\b|<any>|any\[\]/, "a type", []],
  [/\basync\b|(?<!\.)\bawait\b/, "Effect.gen", []],
  [/\b(Queue|PubSub)\.unbounded\b/, "a bounded one: a peer decides how fast it fills", []],
  [/\bEffect\.forkDetach\b/, "Effect.forkScoped or Effect.forkIn", []],
  [/@ts-ignore|@ts-expect-error|oxlint-disable|eslint-disable/, "code that needs no exception", []],
  [/\bTODO\b|\bFIXME\b|\bXXX\b/, "the finished thing, or an issue", []]
]

interface Source {
  readonly path: string
  readonly text: string
}

const read = (folder: string): ReadonlyArray<Source> =>
  readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => {
      const path = relative(root, join(entry.parentPath, entry.name)).replaceAll("\\", "/")
      return { path, text: readFileSync(join(root, path), "utf8") }
    })

const rankOf = (path: string): number | undefined => {
  const key = Object.keys(rank).find((key) => path === key || path.startsWith(`${key}/`))
  return key === undefined ? undefined : rank[key]
}

const withoutComments = (text: string): string =>
  text
    .replace(/\/\*[\s\S]*?\*\//g, "")
    .replace(/(^|[^:])\/\/.*$/gm, "$1")
    // The words of a message are not code.
    .replace(/"(?:[^"\\\n]|\\.)*"/g, (literal) =>
      literal.startsWith('"./') || literal.startsWith('"../') ? literal : '""'
    )

const brokenRules = ({ path, text }: Source): ReadonlyArray<string> => {
  const problems: Array<string> = []
  const own = rankOf(path)
  if (own === undefined) problems.push(`${path}: has no rank; add its folder to test/tidy.test.ts and ARCHITECTURE.md`)
  if (!/^(#![^\n]*\n)?\/\*\*[\s\S]*?@module\s*\*\//.test(text)) {
    problems.push(`${path}: starts with a module comment that ends in @module`)
  }
  const code = withoutComments(text)
  for (const [, target = ""] of code.matchAll(/(?:from|import)\s*\(?\s*"(\.{1,2}\/[^"]+)"/g)) {
    if (!target.endsWith(".ts")) problems.push(`${path}: imports "${target}" without .ts`)
    const imported = posix.normalize(posix.join(dirname(path), target))
    const other = rankOf(imported)
    const sameFolder = dirname(imported) === dirname(path)
    if (own !== undefined && (other === undefined || (!sameFolder && other >= own))) {
      problems.push(`${path}: may not import ${imported}, which is not below it`)
    }
  }
  for (const [pattern, instead, exempt] of banned) {
    const match = exempt.includes(path) ? null : pattern.exec(code)
    if (match !== null) problems.push(`${path}: ${match[0]} is banned, use ${instead}`)
  }
  if (/"node:net"/.test(text) && path !== "src/transport/TcpTransport.ts") {
    problems.push(`${path}: only src/transport/TcpTransport.ts imports node:net`)
  }
  return problems
}

describe("the source", () => {
  it("keeps the rules", () => {
    assert.deepStrictEqual([...read("src"), ...read("layers")].flatMap(brokenRules), [])
  })

  it("names neither machine paths nor skipped or focused tests without a switch", () => {
    const problems = [...read("test"), ...read("scripts")].flatMap(({ path, text }) =>
      path === "test/tidy.test.ts"
        ? []
        : [/\b(?:it|test|describe)(?:\.\w+)*\.(?:only|todo|fails)\b/, /["'`/](?:work|root|home)\//]
            .map((pattern) => pattern.exec(text))
            .flatMap((match) => (match === null ? [] : [`${path}: ${match[0]}`]))
    )
    assert.deepStrictEqual(problems, [])
  })

  it("is told when a rule is broken", () => {
    const bad: Source = {
      path: "src/wire/Bad.ts",
      text: `import { x } from "../network/PeerSet.ts"\nimport * as net from "node:net"\nexport const now = Date.now() + x.y as any\n`
    }
    assert.deepStrictEqual(brokenRules(bad), [
      "src/wire/Bad.ts: starts with a module comment that ends in @module",
      "src/wire/Bad.ts: may not import src/network/PeerSet.ts, which is not below it",
      "src/wire/Bad.ts: Date.now( is banned, use Clock",
      "src/wire/Bad.ts: as any is banned, use a type",
      "src/wire/Bad.ts: only src/transport/TcpTransport.ts imports node:net"
    ])
  })
})
