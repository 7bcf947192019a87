/** What attacked others is tried on us: each row of ARCHITECTURE's table names tests, and their titles name the row. */
import { existsSync, readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"

const read = (file: string): string => readFileSync(new URL(`../${file}`, import.meta.url), "utf8")

const rows = read("ARCHITECTURE.md")
  .split("\n")
  .filter((line) => /^\| [WPAN]\d+(, [WPAN]\d+)* \|/.test(line))
  .map((line) => {
    const [, names = "", , tests = ""] = line.split("|").map((cell) => cell.trim())
    return {
      names: names.split(", "),
      files: [...tests.matchAll(/`(test\/[^`]+)`/g)].map(([, file]) => `${file}.test.ts`)
    }
  })

/** The advisories that the titles of a file name: "advisory P6", "advisories A1 and A2". */
const namedIn = (file: string): ReadonlySet<string> => {
  const titles = [...read(file).matchAll(/"((?:[^"\\\n]|\\.)+)"|`([^`]+)`/g)].map(
    ([, plain, template]) => plain ?? template
  )
  const lists = titles.flatMap((title) => [
    ...(title ?? "").matchAll(/\badvisor(?:y|ies) ([WPAN]\d+(?:(?:, | and )[WPAN]\d+)*)/g)
  ])
  return new Set(lists.flatMap(([, list = ""]) => list.split(/, | and /)))
}

describe("an advisory", () => {
  it("is in the table once, none left out", () => {
    const numbered = (letter: string, count: number) => Array.from({ length: count }, (_, i) => `${letter}${i + 1}`)
    const every = [numbered("W", 13), numbered("P", 14), numbered("A", 9), numbered("N", 15)].flat()
    assert.sameMembers(
      rows.flatMap(({ names }) => names),
      every
    )
  })

  for (const { files, names } of rows) {
    it(`is named by the titles of its tests: ${names.join(", ")}`, () => {
      for (const file of files) {
        assert.isTrue(existsSync(new URL(`../${file}`, import.meta.url)), file)
        const named = namedIn(file)
        assert.isTrue(
          names.some((name) => named.has(name)),
          `${file} has no title that names one of ${names.join(", ")}`
        )
      }
      const named = new Set(files.flatMap((file) => [...namedIn(file)]))
      assert.deepStrictEqual(
        names.filter((name) => !named.has(name)),
        []
      )
    })
  }
})
