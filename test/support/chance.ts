/**
 * Runs before each test file: what a test draws by chance (`Random`, properties, whatever stands on `Math.random`) depends on
 * its name alone, so it is the same in every run, in any order, beside whatever else. `NETWORK_EFFECT_SEED=N` gives all tests
 * other chance: who changes how something is drawn runs them with some of those.
 *
 * Bytes of the platform's cryptography stay as they are: a test that needs those the same provides a `SecureRandom`.
 */
import { relative } from "node:path"
import { beforeEach, expect } from "vitest"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"

const seed = process.env["NETWORK_EFFECT_SEED"] ?? "1"

const drawBy = (name: string): void => {
  Math.random = SeededRandom.fractions(SeededRandom.draws(seed, name))
}

// What is made before the first test, in `describe` and `beforeAll`.
drawBy(relative(process.cwd(), expect.getState().testPath ?? ""))

beforeEach(({ task }) => drawBy(task.fullName))
