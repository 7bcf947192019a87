/** Whatever is wrong with a command line is one sentence, in one line, of every command and flag there is. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import { joined } from "../../src/cli/Mistakes.ts"
import { runIn } from "../support/inProcess.ts"
import { makeHome } from "../support/process.ts"

const { directory, remove } = makeHome()
afterAll(remove)
// Nothing of the environment is wrong, so that what is said is about the words.
const outcome = runIn(directory, { NETWORK_EFFECT_STATUS: "127.0.0.1:1" })

/** The words that begin the lines of a part of the help. */
const listed = (help: string, title: string): ReadonlyArray<string> => {
  const [, lines = ""] = new RegExp(`^${title}\\n((?: .*\\n)*)`, "m").exec(`${help}\n`) ?? []
  return [...lines.matchAll(/^ {2}(\S.*)$/gm)].map(([, line = ""]) => line)
}

interface Found {
  readonly path: ReadonlyArray<string>
  /** The flags, by name, and whether they take a value. */
  readonly flags: ReadonlyArray<{ readonly name: string; readonly hasValue: boolean }>
}

/** Every command that does something, as its help says. */
const commands = async (path: ReadonlyArray<string> = []): Promise<ReadonlyArray<Found>> => {
  const help = (await outcome(...path, "--help")).output
  const below = listed(help, "COMMANDS").map((line) => line.split(" ")[0] ?? "")
  if (below.length > 0) return (await Promise.all(below.map((name) => commands([...path, name])))).flat()
  const flags = listed(help, "FLAGS")
    .concat(listed(help, "FLAGS OF EVERY COMMAND"))
    .flatMap((line) => {
      const [, name, type] = /^--([a-z-]+)(?:, \S+)*(?: (\S+))?/.exec(line) ?? []
      return name === undefined ? [] : [{ name, hasValue: type !== undefined }]
    })
  return [{ path, flags }]
}

const isOneSentence = ({ code, errors, output }: Awaited<ReturnType<typeof outcome>>, words: ReadonlyArray<string>) => {
  const what = `${words.join(" ").slice(0, 100)}: ${errors.join("\n")}`
  assert.deepStrictEqual({ code, output, lines: errors.length }, { code: 1, output: "", lines: 1 }, what)
  assert.match(errors[0] ?? "", /^network-effect: [^\n]{10,250}(--help\.|\?)$/, what)
  // One sentence: no full stop but its own.
  assert.notMatch(errors[0] ?? "", /\. [A-Z]/, what)
}

describe("a command line", () => {
  it("is refused in one sentence, whichever flag is without its value, empty, said twice or none", async () => {
    const found = await commands()
    assert.isAbove(found.length, 20)
    const about = ["help", "version", "wizard", "completions"]
    let tried = 0
    for (const { flags, path } of found) {
      for (const { hasValue, name } of flags.filter(({ name }) => !about.includes(name))) {
        const refused: Array<ReadonlyArray<string>> = [[`--${name}=\u001b${"x".repeat(5000)}`, "--lissen", "-3s"]]
        if (!["peer", "status-host"].includes(name)) refused.push([`--${name}=a`, `--${name}=b`])
        if (hasValue) refused.push([`--${name}`])
        for (const words of refused) {
          isOneSentence(await outcome(...path, ...words), [...path, ...words])
          tried++
        }
      }
      isOneSentence(await outcome(...path, "--nonsense"), path)
    }
    assert.isAbove(tried, 300)
  })

  it("takes a value that begins with a minus for one", () => {
    assert.deepStrictEqual(joined(["devnet", "--for", "-3s"]), ["devnet", "--for=-3s"])
    assert.deepStrictEqual(joined(["x", "-c", "-.5", "--a=1", "-3", "--", "--b", "-1"]), [
      "x",
      "-c=-.5",
      "--a=1",
      "-3",
      "--",
      "--b",
      "-1"
    ])
  })
})
