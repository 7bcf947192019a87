/**
 * Notes which tests come by which changes: `scripts/mutants.ts` has it run before each test file, over source in which every
 * place that is to be changed tells its number.
 *
 * Needs `NETWORK_EFFECT_REACHED`, a file to append to; writes a line of JSON for each test file: its path, and the titles of the
 * tests that came by each number. What happens outside of a test has the empty title.
 */
import { appendFileSync } from "node:fs"
import { afterAll, beforeEach, expect } from "vitest"

declare global {
  var networkEffectReached: ((id: number) => void) | undefined
}

const reached = new Map<number, Set<string>>()
let title = ""

globalThis.networkEffectReached = (id) => {
  const titles = reached.get(id)
  if (titles === undefined) reached.set(id, new Set([title]))
  else titles.add(title)
}

beforeEach(({ task }) => {
  title = task.name
})

afterAll(() => {
  const file = expect.getState().testPath
  const line = { file, reached: Array.from(reached, ([id, titles]) => [id, [...titles]]) }
  appendFileSync(process.env["NETWORK_EFFECT_REACHED"] ?? "", `${JSON.stringify(line)}\n`)
})
