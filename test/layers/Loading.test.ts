/** What is read when a command starts: the modules that are named by imports, and by those of what they name. */
import { readFileSync } from "node:fs"
import { dirname, join, relative } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { programs } from "../../layers/main.ts"

const root = new URL("../..", import.meta.url).pathname

/** Of a source: what it reads before it runs. Types are not read. */
const importsOf = (text: string): ReadonlyArray<string> =>
  [...text.matchAll(/^(?:import|export) (?!type )(?:[^"';]*? from )?"([^"]+)"/gm)].map(([, target = ""]) => target)

/** Every module that a start of this one reads, by its path or the name of its package. */
const readBy = (...entries: ReadonlyArray<string>): ReadonlySet<string> => {
  const found = new Set<string>()
  const waiting = entries.map((entry) => join(root, entry))
  for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
    const name = relative(root, file)
    if (found.has(name)) continue
    found.add(name)
    for (const target of importsOf(readFileSync(file, "utf8"))) {
      if (target.startsWith(".")) waiting.push(join(dirname(file), target))
      else found.add(target)
    }
  }
  return found
}

describe("a start", () => {
  const read = readBy("layers/main.ts", "layers/commands/start.ts")

  it("reads what a node is made of", () => {
    for (const needed of ["layers/Node.ts", "src/network/Network.ts", "src/wire/Message.ts", "effect/cli"]) {
      assert.isTrue(read.has(needed), needed)
    }
  })

  it("reads nothing that only other commands, or a page, a collector and records need", () => {
    const late = [...read].filter((name) =>
      /^(src\/(census|recording|simulation)\/|src\/status\/(?!StatusAddress|LogLevelControl)|layers\/(Census|Collector|Devnet|StatusServer)|effect\/(http|sql|observability|cluster)|layers\/commands\/(?!start))/.test(
        name
      )
    )
    assert.deepStrictEqual(late, [])
  })
})

describe("each command", () => {
  it("is found by its name alone, in a file that reads no other's", () => {
    const source = readFileSync(join(root, "layers/main.ts"), "utf8")
    const files = [...source.matchAll(/import\("(\.\/commands\/(?!all)[^"]+)"\)/g)].map(([, file = ""]) => file)
    assert.isAtLeast(files.length, 7)
    for (const file of files) {
      const others = [...readBy(join("layers", file))].filter(
        (name) => name.startsWith("layers/commands/") && name !== join("layers", file)
      )
      assert.deepStrictEqual(others, [], file)
    }
    assert.includeMembers(Object.keys(programs), ["start", "devnet", "peers", "top"])
  })
})
