/** The numbers of a test. */
import { Layer } from "effect"
import { defaults, Policy } from "../../src/Policy.ts"

/** The defaults, except for what the test is about. */
export const policyWith = (overrides: Partial<Policy>): Layer.Layer<never> =>
  Layer.succeed(Policy, { ...defaults, ...overrides })
