/** What a Tab offers in the shells that people have: commands, flags, values and files. */
import { execFile, execFileSync } from "node:child_process"
import { mkdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { promisify } from "node:util"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { runIn } from "../support/inProcess.ts"
import { makeHome, outcomeOf, startIn } from "../support/process.ts"

const { directory, remove } = makeHome()
afterAll(remove)

/** What the command prints for a shell: of a process for bash, which every system has, else of this one. */
const completionsFor = (name: string) =>
  name === "bash" ? outcomeOf(startIn(directory)("--completions", name)) : runIn(directory)("--completions", name)

const run = async (command: string, args: ReadonlyArray<string>) => {
  const { stdout } = await promisify(execFile)(command, args, { cwd: directory, timeout: 100_000 })
  return stdout
}

/** A shell: what it is started with to say, a line each, what a Tab after a line offers. */
interface Shell {
  /** Where it looks for the completions. */
  readonly file: string
  readonly offered: (line: string) => Promise<string>
}

/** zsh completes in a terminal only: one is opened, in which whatever is offered is printed in `<>`. */
const zshProgram = `
zmodload zsh/zpty
zpty shell zsh -f -i
tell() { zpty -w shell "$1" }
tell 'PS1= RPS1= ; unsetopt zle_bracketed_paste; cd '$1'; fpath=('$1' $fpath); autoload -Uz compinit; compinit -u -d '$1'/dump'
tell 'compadd() { local -a offered; builtin compadd -O offered "$@"; print -rl -- "<"$^offered">"; builtin compadd "$@" }'
tell 'after() { print "<END>" }; comppostfuncs=(after); bindkey "^I" complete-word; print "<REA""DY>"'
while zpty -r shell line; do [[ $line == *'<READY>'* ]] && break; done
zpty -n -w shell "$2"$'\t'
while zpty -r shell line; do [[ $line == *'<END>'* ]] && break; print -r -- "$line"; done
zpty -d shell
`

const shells: Readonly<Record<string, Shell>> = {
  bash: {
    file: "completions.bash",
    offered: (line) => {
      const words = line.split(" ")
      const script = join(directory, "completions.bash")
      const program = [
        // Of the bash-completion package, which not every system has: without it the script brings its own.
        `source ${script}`,
        `COMP_WORDS=(${words.map((word) => `'${word}'`).join(" ")})`,
        `COMP_CWORD=${words.length - 1}`,
        `COMP_LINE='${line}'`,
        "COMP_POINT=${#COMP_LINE}",
        `complete -p network-effect | sed 's/.*-F \\([^ ]*\\).*/\\1/' > ${script}.name`,
        `$(cat ${script}.name) network-effect '${words.at(-1)}' '${words.at(-2)}'`,
        'printf "%s\\n" "${COMPREPLY[@]}"'
      ].join("\n")
      return run("bash", ["--norc", "-c", program])
    }
  },
  zsh: {
    file: "_network-effect",
    offered: async (line) => {
      const program = join(directory, "offered.zsh")
      writeFileSync(program, zshProgram)
      const printed = await run("zsh", ["-f", program, directory, line])
      return [...printed.matchAll(/<([^<>]*)>/g)].map(([, word]) => word).join("\n")
    }
  },
  fish: {
    file: "completions.fish",
    offered: async (line) => {
      const printed = await run("fish", ["-N", "-c", `source completions.fish; complete -C '${line}'`])
      // What it means stands behind a tab.
      return printed.replaceAll(/\t.*$/gm, "")
    }
  }
}

const has = (shell: string): boolean => {
  try {
    execFileSync("sh", ["-c", `command -v ${shell}`], { stdio: "ignore" })
    return true
  } catch {
    console.log(`completions for ${shell} are not tried: it is not installed`)
    return false
  }
}

for (const [name, { file, offered }] of Object.entries(shells)) {
  describe.skipIf(!has(name))(`completions for ${name}`, () => {
    it("offer commands, flags, values and files", async () => {
      mkdirSync(directory, { recursive: true })
      writeFileSync(join(directory, file), (await completionsFor(name)).output)
      writeFileSync(join(directory, "zebrad-test.toml"), "")
      const words = async (line: string) =>
        [...new Set((await offered(line)).split("\n").map((word) => word.trim()))]
          .filter((word) => word !== "")
          .toSorted()
      assert.deepStrictEqual(await words("network-effect log"), ["log-level"])
      assert.include(await words("network-effect devnet --p"), "--port")
      assert.deepStrictEqual(await words("network-effect start --network "), ["mainnet", "regtest", "testnet"])
      assert.deepStrictEqual(await words("network-effect log-level d"), ["debug"])
      assert.deepStrictEqual(await words("network-effect start --config zebrad-t"), ["zebrad-test.toml"])
      assert.deepStrictEqual(await words("network-effect config check zebrad-t"), ["zebrad-test.toml"])
    })
  })
}
