/** Help of commands that are not ours: every part may be missing, and lines fit all the same. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Option } from "effect"
import type { HelpDoc } from "effect/cli/HelpDoc"
import { format } from "../../src/cli/Help.ts"

const bare: HelpDoc = { description: "Does one thing", usage: "it", flags: [], annotations: Context.empty() }

describe("the help", () => {
  it("of a command that has nothing but a description is that and how it is called", () => {
    assert.strictEqual(format(bare), "Does one thing\n\nUSAGE\n  it")
  })

  it("shows arguments as they may be left out and said again, and an example that needs no words", () => {
    const argument = { type: "string", description: Option.none<string>() }
    const help = format({
      ...bare,
      args: [
        { ...argument, name: "from", required: true, variadic: false },
        { ...argument, name: "to", required: false, variadic: true, description: Option.some("where to") }
      ],
      examples: [{ command: "it a b" }, { command: "it c", description: "Just one" }]
    })
    assert.deepStrictEqual(help.split("\n"), [
      "Does one thing",
      "",
      "EXAMPLES",
      "  it a b",
      "  # Just one",
      "  it c",
      "",
      "USAGE",
      "  it",
      "",
      "ARGUMENTS",
      "  from",
      "  [to]...  where to"
    ])
  })

  it("puts what a flag means below a name that is too long to stand beside it", () => {
    const help = format({
      ...bare,
      flags: [
        { name: "a", aliases: [], type: "boolean", required: false, description: Option.some("short") },
        {
          name: "a-name-that-is-longer-than-most",
          aliases: ["-n"],
          type: "string",
          required: false,
          description: Option.some("long")
        }
      ]
    })
    assert.deepStrictEqual(help.split("\n").slice(-4), [
      "FLAGS",
      "  --a  short",
      "  --a-name-that-is-longer-than-most, -n string",
      "       long"
    ])
  })
})
