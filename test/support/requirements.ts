/** The rows of `test/network/requirements.md`: what must hold, and which tests hold it. */
import { readFileSync } from "node:fs"

export interface HoldingTest {
  /** Of the repository. */
  readonly file: string
  /** Without its `describe`. */
  readonly title: string
}

export interface Requirement {
  readonly id: string
  readonly words: string
  readonly tests: ReadonlyArray<HoldingTest>
}

const path = new URL("../network/requirements.md", import.meta.url)

const holdingTest = (cell: string): HoldingTest => {
  const [, file = "", title = ""] = /^`([^`]+)`: (.+)$/.exec(cell.trim()) ?? []
  return { file: `test/${file}.test.ts`, title }
}

export const requirements: ReadonlyArray<Requirement> = readFileSync(path, "utf8")
  .split("\n")
  .filter((line) => /^\| [SC]\d/.test(line))
  .map((line) => {
    const [, id = "", words = "", tests = ""] = line.split("|").map((cell) => cell.trim())
    return { id, words, tests: tests.split("<br>").map(holdingTest) }
  })
