/** The tables of requirements name what exists; `npm run requirements` shows that it holds. */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { RegExp as Pattern } from "effect"
import { heldOtherwise, requirementsOf, scenarioRemovals, scenariosWithout, tables } from "../support/requirements.ts"
import { scenariosIn } from "../support/scenarios.ts"
import { applied, type Edit, readSources } from "../support/sourceEdits.ts"

const root = new URL("../..", import.meta.url).pathname
const sources = readSources(root, ["src", "layers"])

/** Whether a test file has a title, written out or as a template. */
const hasTitle = (file: string, title: string): boolean =>
  [...readFileSync(`${root}${file}`, "utf8").matchAll(/"((?:[^"\\\n]|\\.)+)"|`([^`]+)`/g)].some(
    ([, plain, template]) => {
      const text = plain ?? template ?? ""
      if (text === title) return true
      const parts = text.split(/\$\{[^}]*\}|\$\w+(?:\.\w+)*|%[sd]/)
      if (parts.length === 1 || parts.join("").trim() === "") return false
      return new RegExp(`^${parts.map(Pattern.escape).join(".+")}$`).test(title)
    }
  )

it("no two tables have a letter in common", () => {
  const letters = tables.flatMap(({ rows }) => Object.keys(rows))
  assert.deepStrictEqual([...new Set(letters)], letters)
})

for (const table of tables) {
  const requirements = requirementsOf(table)
  describe(table.file, () => {
    it("has each requirement once, in words, with a test and a way to take it out", () => {
      const ids = Object.entries(table.rows).flatMap(([letter, count]) =>
        Array.from({ length: count }, (_, i) => `${letter}${i + 1}`)
      )
      assert.deepStrictEqual(
        requirements.map(({ id }) => id),
        ids
      )
      assert.deepStrictEqual(Object.keys(table.removals).toSorted(), ids.toSorted())
      for (const { id, tests, words } of requirements) {
        assert.match(words, /^[A-Z].{20,}\.$/, id)
        assert.isNotEmpty(tests, id)
      }
    })

    for (const { id, tests } of requirements) {
      it(`${id} is held by tests that exist, and can be taken out for each`, () => {
        for (const { file, title } of tests) assert.isTrue(hasTitle(file, title), `${file} has a test "${title}"`)
        const removals = table.removals[id] ?? []
        assert.strictEqual(removals.length, tests.length)
        for (const edits of removals) {
          assert.isNotEmpty(edits)
          // Throws, and says where the code is by now, when an edit has no place.
          assert.isAbove(applied(sources, edits).size, 0)
        }
      })
    }
  })
}

describe("the scenarios of the acceptance list", () => {
  it.each([
    ["is silent (peer 1 and 2, run_loop_ok)", ["peer 1", "peer 2"]],
    ["is told (MA-2 to MA-4; network 14, x; NB-3)", ["network 14", "MA-2", "MA-3", "MA-4", "NB-3"]],
    ["is refused (wire W1, AB-P1, advisories A1 and A2)", ["wire W1", "advisory A1", "advisory A2", "AB-P1"]],
    ["are 1,000 of 16 peers", []]
  ])("are named by titles: %s", (title, expected) => {
    assert.deepStrictEqual([...scenariosIn(title)], expected)
  })

  it("are taken out where a test says so, each at a place that exists", () => {
    /** How many files each list of edits changes; several scenarios may share one. */
    const made = new Map<string, number>()
    const filesChanged = (edits: ReadonlyArray<Edit>): number => {
      const key = JSON.stringify(edits)
      const known = made.get(key) ?? applied(sources, edits).size
      made.set(key, known)
      return known
    }
    const texts = new Map<string, string>()
    const faults = scenarioRemovals.flatMap(({ edits, file, id, title }) => {
      const text = texts.get(file) ?? readFileSync(`${root}${file}`, "utf8")
      texts.set(file, text)
      const isNamed =
        title === undefined
          ? scenariosIn(text).has(id) || text.includes(id.replace(/^\w+ /, ""))
          : hasTitle(file, title)
      try {
        // Throws, and says where the code is by now, when an edit has no place.
        return filesChanged(edits) > 0 && isNamed ? [] : [`${id}: ${file} has no test of it`]
      } catch (error) {
        return [`${id}: ${(error as Error).message}`]
      }
    })
    assert.deepStrictEqual(faults, [])
  })

  it("have a way each, but for types, which the compiler holds", () => {
    assert.deepStrictEqual(scenariosWithout(), ["peer 64", "network 78"])
    assert.sameMembers(Object.keys(heldOtherwise), [...scenariosWithout()])
  })
})
