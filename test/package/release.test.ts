/** What has to agree before a release, and what of this package already has to. */
import { execFileSync, spawnSync } from "node:child_process"
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { thirdPartyText } from "../../scripts/licences.ts"
import { packedReadme, repositoryOf } from "../../scripts/pack.ts"
import { type Facts, prepared, problemsOf } from "../../scripts/release.ts"
import { version } from "../../src/version.ts"

const read = (name: string) => readFileSync(new URL(`../../${name}`, import.meta.url), "utf8")

const ready: Facts = {
  versions: ["1.2.3", "1.2.3", "1.2.3"],
  changelog: "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-29\n\n### Added\n\n- all of it\n",
  changes: "",
  tags: ["v1.2.2"],
  thirdParty: { written: "list", found: "list" },
  hasRepository: true,
  origin: "https://example.org/a/b.git"
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
      "CHANGELOG.md has changes under Unreleased: npm run release -- --prepare VERSION moves them to a version"
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
      { hasRepository: false, origin: undefined },
      "nobody could be told where the source is, for there is no remote origin: git remote add origin https://HOST/PATH.git"
    ],
    [
      "a source where nobody else is",
      { hasRepository: false, origin: "/srv/git/a.git" },
      "nobody could be told where the source is, for the remote origin is /srv/git/a.git: git remote set-url origin https://HOST/PATH.git"
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

describe("a changelog that is prepared", () => {
  const older = "## [1.2.2] - 2026-01-01\n\n### Fixed\n\n- old\n"

  it("has what was Unreleased under its version, and a place for the changes to come", () => {
    const before = `# Changelog\n\n## [Unreleased]\n\n### Added\n\n- a\n- b\n\n### Fixed\n\n- c\n\n${older}`
    const after = prepared(before, "1.2.3", "2026-11-29")
    assert.strictEqual(
      after,
      `# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-29\n\n### Added\n\n- a\n- b\n\n### Fixed\n\n- c\n\n${older}`
    )
    assert.deepStrictEqual(problemsOf({ ...ready, changelog: after }), [])
    assert.strictEqual(prepared(after, "1.2.3", "2026-11-30"), after)
  })

  it("adds to a version that has a section already", () => {
    const before = `# Changelog\n\n## [Unreleased]\n\n### Changed\n\n- a\n\n## [1.2.3] - 2026-11-01\n\n### Added\n\n- b\n\n### Changed\n\n- c\n`
    assert.strictEqual(
      prepared(before, "1.2.3", "2026-11-29"),
      "# Changelog\n\n## [Unreleased]\n\n## [1.2.3] - 2026-11-29\n\n### Added\n\n- b\n\n### Changed\n\n- a\n- c\n"
    )
  })
})

describe("the release of a checkout", () => {
  const folder = mkdtempSync(join(tmpdir(), "network-effect-release-"))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const root = new URL("../..", import.meta.url).pathname
  const [checkout, bin, calls, bare] = ["checkout", "bin", "calls", "bare.git"].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string
  ]

  /** Runs in the checkout; npm and npx only write down what they are told, and one of them may fail. */
  const run = (command: string, args: ReadonlyArray<string>, failing = "") =>
    spawnSync(command, args, {
      cwd: checkout,
      encoding: "utf8",
      env: {
        PATH: `${bin}:${process.env["PATH"] ?? ""}`,
        HOME: folder,
        FAILING: failing,
        GIT_AUTHOR_NAME: "test",
        GIT_AUTHOR_EMAIL: "test@localhost",
        GIT_COMMITTER_NAME: "test",
        GIT_COMMITTER_EMAIL: "test@localhost"
      }
    })
  const release = (args: ReadonlyArray<string>, failing?: string) => {
    writeFileSync(calls, "")
    const { status, stderr, stdout } = run(process.execPath, ["scripts/release.ts", ...args], failing)
    return { status, stdout, stderr, calls: readFileSync(calls, "utf8").trim().split("\n") }
  }
  const git = (...args: ReadonlyArray<string>) => run("git", args).stdout.trim()

  beforeAll(() => {
    mkdirSync(bin)
    for (const name of ["npm", "npx"]) {
      const file = join(bin, name)
      writeFileSync(file, `#!/bin/sh\necho "${name} $*" >> ${calls}\n[ "$1" != "$FAILING" ]\n`)
      chmodSync(file, 0o755)
    }
    mkdirSync(checkout)
    const files = execFileSync("git", ["ls-files", "-co", "--exclude-standard", "-z"], { cwd: root, encoding: "utf8" })
    for (const file of files.split("\0")) {
      if (/^(scripts\/[^/]*|src\/version\.ts|[^/]+)$/.test(file) && existsSync(join(root, file))) {
        cpSync(join(root, file), join(checkout, file))
      }
    }
    symlinkSync(join(root, "node_modules"), join(checkout, "node_modules"))
    git("init", "-q")
    git("add", "-A")
    git("commit", "-qm", "as it is")
  })

  it("is ready once it is prepared and has a place, and tags and publishes only when it is told to", () => {
    const early = release(["--dry-run"])
    assert.deepStrictEqual([early.status, early.calls], [1, [""]])
    assert.include(early.stderr, "there is no remote origin: git remote add origin https://HOST/PATH.git")
    assert.strictEqual(release(["--prepare", "9.8.7"]).status, 0)
    assert.include(release(["--dry-run"]).stderr, "the tree is not clean")
    execFileSync("git", ["init", "-q", "--bare", bare])
    git("remote", "add", "origin", bare)
    git("commit", "-qam", "9.8.7")
    assert.strictEqual(
      release(["--dry-run"]).stderr.trim().split("\n").at(-1),
      `- nobody could be told where the source is, for the remote origin is ${bare}: git remote set-url origin https://HOST/PATH.git`
    )
    git("remote", "set-url", "origin", "git@example.org:group/network-effect.git")
    const dry = release(["--dry-run"])
    assert.deepStrictEqual(
      [dry.status, dry.stdout.trim().split("\n").at(-1)],
      [0, "9.8.7 is ready: nothing was tagged or published"]
    )
    assert.deepStrictEqual(dry.calls, ["npm test", "npx vitest run --config test/vitest.config.ts test/package"])
    assert.strictEqual(git("tag"), "")

    assert.strictEqual(release([], "publish").status, 1)
    assert.strictEqual(git("tag"), "")
    const real = release([])
    assert.strictEqual(real.status, 0, real.stderr)
    assert.deepStrictEqual(real.calls.slice(2), [
      "npm pack",
      "npm publish ./network-effect-9.8.7.tgz --access public --provenance"
    ])
    assert.strictEqual(git("tag"), "v9.8.7")
    assert.include(release(["--dry-run"]).stderr, "the tag v9.8.7 is taken")
  })

  it("needs a version that is one", () => {
    const { status, stderr } = release(["--prepare", "soon"])
    assert.deepStrictEqual([status, stderr], [1, "soon is no version: say 1.2.3\n"])
  })
})

describe("where the source is", () => {
  it("is what the manifest says", () => {
    assert.strictEqual(repositoryOf("github:a/b", undefined), "github:a/b")
  })

  it("is where git pushes to, when others can reach that", () => {
    const url = "git+https://example.org/a/b.git"
    for (const origin of ["https://example.org/a/b", "git@example.org:a/b.git", "ssh://git@example.org/a/b.git"]) {
      assert.deepStrictEqual(repositoryOf(undefined, origin), { type: "git", url })
    }
    assert.isUndefined(repositoryOf(undefined, "/srv/git/a.git"))
    assert.isUndefined(repositoryOf(undefined, undefined))
  })
})

describe("the README of the package", () => {
  const repository = { type: "git", url: "git+https://example.org/a/b.git" }

  it("has its picture where the source is, or none", () => {
    const readme = "# A\n\n![the page](.github/page.png)\n\ntext ![small](https://example.org/x.png)\n"
    assert.strictEqual(
      packedReadme(readme, repository),
      readme.replace(".github", "https://example.org/a/b/raw/HEAD/.github")
    )
    assert.strictEqual(packedReadme(readme, undefined), "# A\n\ntext ![small](https://example.org/x.png)\n")
  })

  it("has one picture to be shown, which is in the checkout", () => {
    const [, path = ""] = /^!\[.*\]\(([^)]*)\)$/m.exec(read("README.md")) ?? []
    assert.isTrue(existsSync(new URL(`../../${path}`, import.meta.url)), path)
    assert.notInclude(packedReadme(read("README.md"), undefined), path)
  })
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
