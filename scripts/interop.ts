/**
 * Runs a foreign node beside ours on loopback, in both directions, and prints what was measured.
 *
 * Needs: a foreign node's program. Writes nothing.
 *
 *     npm run interop -- --command "zebrad-like --listen {listen} --peer {peer}" [--for 120s]
 *     npm run interop -- codec --command PROGRAM [--frames 250000] [--seed N]
 *
 * In the command, `{listen}` becomes the address the foreign node shall listen on and `{peer}` the one it shall dial; a
 * word that holds `{peer}` is left out, with the flag before it, where there is none to dial. Regtest. With `codec`, messages are compared instead: `interopCodec.ts`.
 */
import { spawnSync } from "node:child_process"
import { parseArgs } from "node:util"

const [what, ...others] = process.argv.slice(2)
if (what === "codec") {
  await (await import("./interopCodec.ts")).run(others)
  process.exit()
}

const fail = (): never => {
  console.error('interop: say which node to run: --command "PROGRAM --listen {listen} --peer {peer}" [--for 120s]')
  process.exit(1)
}

const readArguments = () => {
  try {
    return parseArgs({ options: { command: { type: "string" }, for: { type: "string", default: "120s" } } }).values
  } catch {
    return fail()
  }
}

const values = readArguments()
const duration = /^(\d+)s$/.exec(values.for) ?? fail()
const command = values.command ?? fail()

const { status } = spawnSync("vitest", ["run", "--config", "test/vitest.config.ts", "test/interop"], {
  stdio: "inherit",
  env: {
    ...process.env,
    NETWORK_EFFECT_INTEROP_COMMAND: command,
    NETWORK_EFFECT_INTEROP_SECONDS: duration[1]
  }
})
process.exit(status ?? 1)
