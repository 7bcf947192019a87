/** How removals are written: what is taken out of the source, and the tests that have to notice. */
import type { Edit } from "./sourceEdits.ts"

/** A change of a file of `src` or `layers`, named without its ending. Without a replacement the statements are removed. */
export const edit = (file: string, find: string, replace = "", where?: { readonly within: string }): Edit => ({
  file: file.startsWith("layers/") ? `${file}.ts` : `src/${file}.ts`,
  find,
  replace,
  ...where
})

/** A scenario of the acceptance list, or a rule beyond it, and how it is taken out. */
export interface ScenarioRemoval {
  /** Of the acceptance list, or of the area: `status 3`. */
  readonly id: string
  /** Of the tests, from the root of the repository. */
  readonly file: string
  /** Of the one test; without it, of the tests whose titles name the scenario one has to notice. */
  readonly title?: string
  readonly edits: ReadonlyArray<Edit>
}

/** Scenarios that the titles of a test file name: `peer 3, peer 12`. One change takes all of them out. */
export const removed = (test: string, ids: string, ...edits: ReadonlyArray<Edit>): ReadonlyArray<ScenarioRemoval> =>
  ids.split(", ").map((id) => ({ id, file: `test/${test}.test.ts`, edits }))

/** A rule that no scenario names, in an area, by the test that holds it. */
export const rule = (
  id: string,
  test: string,
  title: string,
  ...edits: ReadonlyArray<Edit>
): ReadonlyArray<ScenarioRemoval> => [{ id, file: `test/${test}.test.ts`, title, edits }]
