/** The table of requirements names what exists; `npm run requirements` shows that it holds. */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { RegExp as Pattern } from "effect"
import { requirements } from "../support/requirements.ts"
import { removals } from "./removals.ts"

const read = (file: string) => readFileSync(new URL(`../../${file}`, import.meta.url), "utf8")

/** Whether a test file has a title, written out or as a template. */
const hasTitle = (file: string, title: string): boolean =>
  [...read(file).matchAll(/"((?:[^"\\\n]|\\.)+)"|`([^`]+)`/g)].some(([, plain, template]) => {
    const text = plain ?? template ?? ""
    if (text === title) return true
    const parts = text.split(/\$\{[^}]*\}|\$\w+(?:\.\w+)*|%s/)
    if (parts.length === 1 || parts.join("").trim() === "") return false
    return new RegExp(`^${parts.map(Pattern.escape).join(".+")}$`).test(title)
  })

describe("requirements of the network", () => {
  it("are all there, each once, in words and with a test", () => {
    const expected = [
      ...Array.from({ length: 50 }, (_, i) => `S${i + 1}`),
      ...Array.from({ length: 30 }, (_, i) => `C${i + 1}`)
    ]
    assert.deepStrictEqual(
      requirements.map(({ id }) => id),
      expected
    )
    for (const { id, tests, words } of requirements) {
      assert.match(words, /^[A-Z].{20,}\.$/, id)
      assert.isNotEmpty(tests, id)
    }
  })

  for (const { id, tests } of requirements) {
    it(`${id} is held by tests that exist, and can be taken out where each says`, () => {
      for (const { file, title } of tests) assert.isTrue(hasTitle(file, title), `${file} has a test "${title}"`)
      assert.strictEqual(removals[id]?.length, tests.length)
      for (const edits of removals[id] ?? []) {
        assert.isNotEmpty(edits)
        for (const { file, find, replace } of edits) {
          assert.strictEqual(read(file).split(find).length, 2, `${file} has once: ${find}`)
          assert.notStrictEqual(replace, find)
        }
      }
    })
  }
})
