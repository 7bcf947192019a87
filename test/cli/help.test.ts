/** Help as it is printed: what a command does, examples, and then the rest, in 80 columns. */
import { assert, describe, it } from "@effect/vitest"
import { Console, Effect } from "effect"
import { Command } from "effect/cli"
import { command } from "../../layers/commands/all.ts"
import { platform, programs } from "../../layers/main.ts"
import { width } from "../../src/cli/Text.ts"

/** What a command prints, run in this process. */
const printed = (...args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const lines: Array<string> = []
    const recorded: Console.Console = Object.assign(Object.create(globalThis.console), {
      log: (...texts: ReadonlyArray<string>) => lines.push(...texts)
    })
    yield* Command.runWith(command, { version: "0" })(args).pipe(
      Effect.provideService(Console.Console, recorded),
      Effect.provide(platform)
    )
    return lines.join("\n")
  })

const commandsOf = (help: string): ReadonlyArray<string> => {
  const [, list = ""] = /^COMMANDS\n((?: .*\n)*)/m.exec(help) ?? []
  return [...list.matchAll(/^ {2}([a-z-]+) /gm)].map(([, name = ""]) => name)
}

describe("the help", () => {
  it.live("lists the commands that can be named first, and no other", () =>
    Effect.map(printed("--help"), (help) => assert.sameMembers([...commandsOf(help)], Object.keys(programs)))
  )

  it.live("of every command says what it does and how others call it first, in 80 columns", () =>
    Effect.gen(function* () {
      const unread: Array<ReadonlyArray<string>> = [[]]
      const read: Array<string> = []
      for (let path = unread.pop(); path !== undefined; path = unread.pop()) {
        const help = yield* printed(...path, "--help")
        const name = ["network-effect", ...path].join(" ")
        read.push(name)
        for (const line of help.split("\n")) assert.isAtMost(width(line), 80, `${name}: ${line}`)
        const [what = "", ...sections] = help.split(/\n\n(?=[A-Z]+)/)
        assert.match(what, /^[A-Z]\w+ \w/, name)
        assert.match(sections[0] ?? "", new RegExp(`^EXAMPLES\n(  # .*\n)*  ${name}`), name)
        assert.match(sections[1] ?? "", /^USAGE\n {2}network-effect/, name)
        unread.push(...commandsOf(help).map((inner) => [...path, inner]))
      }
      for (const name of ["start", "devnet", "connect", "log-level", "census run", "config default"]) {
        assert.include(read, `network-effect ${name}`)
      }
    })
  )

  it.live("lays out flags, arguments and what they mean", () =>
    Effect.gen(function* () {
      const help = yield* printed("connect", "--help")
      assert.include(help, "\nARGUMENTS\n  address  A peer, ip:port; the port of the chain unless given\n")
      assert.include(help, "\n  --keep       Dial it again whenever it is gone, also after a restart\n")
      assert.match(help, /\n {2}--log-format choice {2}How logs look on stderr; .*\n {23}\S/)
    })
  )
})
