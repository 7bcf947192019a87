/** The sentence of each kind of mistake: those that flags of ours cannot bring about, too. */
import { assert, describe, it } from "@effect/vitest"
import { CliError } from "effect/cli"
import { sentence } from "../../src/cli/Mistakes.ts"

const invalid = (value: string, expected: string, kind: "flag" | "argument" = "flag") =>
  sentence([new CliError.InvalidValue({ option: "it", value, expected, kind })], ["program", "go"])

describe("a mistake in a command line", () => {
  it("of a value says what it has to be, in words where it is a switch or a type", () => {
    assert.strictEqual(
      invalid("maybe", "true | yes | on | 1 | y | false | no | off | 0 | n"),
      '--it has to be true or false, not "maybe": see program go --help.'
    )
    assert.strictEqual(invalid("x", "INTEGER"), '--it has to be something else, not "x": see program go --help.')
    assert.strictEqual(invalid("x", '"a" | "b"', "argument"), 'it has to be a or b, not "x": see program go --help.')
  })

  it("of a flag that is said too often says how often it may be", () => {
    assert.strictEqual(
      invalid("3 occurrences", "at most 2 values"),
      "--it may be said 2 times, not 3 times: see program go --help."
    )
    assert.strictEqual(
      invalid("2 occurrences", "at most 1 value"),
      "--it may be said once, not 2 times: see program go --help."
    )
  })

  it("that is told in words of its own is told in these, without what a terminal would obey", () => {
    const cause = new Error("inside")
    assert.strictEqual(
      sentence([new CliError.UserError({ cause, userMessage: "nobody \u001b[31mthere" })], ["program"]),
      "nobody ?[31mthere"
    )
    assert.strictEqual(sentence([new CliError.ValidationError({ message: "too much" })], ["program"]), "too much")
  })

  it("that nobody names leads to the help", () => {
    assert.strictEqual(sentence([], ["program", "go"]), "see program go --help.")
  })
})
