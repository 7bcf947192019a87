/** The files that tests see little of are named with a reason. `npm run test:coverage` shows which they are. */
import { existsSync, readFileSync } from "node:fs"
import { assert, it } from "@effect/vitest"

const rows = [
  ...readFileSync(new URL("coverage.md", import.meta.url), "utf8").matchAll(/^\| `([^`]+)` \| (.*) \|$/gm)
].map(([, file = "", why = ""]) => ({ file, why }))

it("names files and folders that are there, each once, in their order, with a sentence", () => {
  const files = rows.map(({ file }) => file)
  assert.isNotEmpty(files)
  assert.deepStrictEqual(files, [...new Set(files)].toSorted())
  for (const { file, why } of rows) {
    assert.isTrue(existsSync(new URL(`../${file.replace(/\*$/, "")}`, import.meta.url)), file)
    assert.match(why, /^[A-Z`].{20,}\.$/, file)
  }
})
