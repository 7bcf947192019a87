/** What has to agree before a release, and what of this package already has to. */
import { readFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { thirdPartyText } from "../../scripts/licences.ts"
import { type Facts, problemsOf } from "../../scripts/release.ts"
import { version } from "../../src/version.ts"

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8")

const ready: Facts = {
  versions: ["1.2.3", "1.2.3", "1.2.3"],
  changelog: "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-29\n\n### Added\n\n- all of it\n",
  changes: "",
  tags: ["v1.2.2"],
  thirdParty: { written: "list", found: "list" },
  hasRepository: true
}

describe("a release", () => {
  it("is ready when everything agrees", () => {
    assert.deepStrictEqual(problemsOf(ready), [])
  })

  const cases: ReadonlyArray<readonly [string, Partial<Facts>, string]> = [
    ["a version that is none", { versions: ["1.2", "1.2", "1.2"] }, "package.json: 1.2 is no version"],
    [
      "a lock of another version",
      { versions: ["1.2.3", "1.2.2", "1.2.3"] },
      "package-lock.json says 1.2.2, package.json 1.2.3"
    ],
    [
      "a source of another version",
      { versions: ["1.2.3", "1.2.3", "1.2.2"] },
      "src/version.ts says 1.2.2, package.json 1.2.3"
    ],
    [
      "a section without a date",
      { changelog: ready.changelog.replace(" - 2026-11-29", "") },
      'CHANGELOG.md has no section "## [1.2.3] - YEAR-MONTH-DAY"'
    ],
    [
      "a section that says nothing",
      { changelog: ready.changelog.replace("- all of it\n", "") },
      "CHANGELOG.md says nothing under 1.2.3"
    ],
    [
      "changes that belong to no version",
      { changelog: ready.changelog.replace("[Unreleased]\n", "[Unreleased]\n\n### Fixed\n\n- this\n") },
      "CHANGELOG.md has changes under Unreleased: move them to 1.2.3"
    ],
    [
      "no place for the changes to come",
      { changelog: ready.changelog.replace("## [Unreleased]\n", "") },
      'CHANGELOG.md has no section "## [Unreleased]"'
    ],
    ["a changed file", { changes: " M src/index.ts\n" }, "the tree is not clean: M src/index.ts"],
    ["a tag that is taken", { tags: ["v1.2.3"] }, "the tag v1.2.3 is taken: choose another version"],
    [
      "licences of what was installed before",
      { thirdParty: { written: "list", found: "longer list" } },
      "scripts/THIRD-PARTY.md is not what is installed: run npm run licences"
    ],
    [
      "no word of where the source is",
      { hasRepository: false },
      "package.json has no repository: npm cannot state where the package was made"
    ]
  ]
  for (const [name, change, sentence] of cases) {
    it(`is refused for ${name}`, () => {
      const problems = problemsOf({ ...ready, ...change })
      assert.include(problems, sentence)
      // A version that is none has no section either.
      if (!name.startsWith("a version")) assert.strictEqual(problems.length, 1)
    })
  }
})

describe("this package", () => {
  it("says its version once", () => {
    for (const name of ["package.json", "package-lock.json"]) {
      assert.strictEqual((JSON.parse(read(name)) as { readonly version: string }).version, version, name)
    }
  })

  it("lists the licences of what is installed with it", () => {
    assert.strictEqual(read("scripts/THIRD-PARTY.md"), thirdPartyText())
  })

  it("keeps its changelog in the form that a release reads", () => {
    const problems = problemsOf({ ...ready, versions: [version, version, version], changelog: read("CHANGELOG.md") })
    assert.deepStrictEqual(
      problems.filter((problem) => !/has changes under Unreleased/.test(problem)),
      []
    )
  })
})
