/** What a process that runs a node makes of standard streams that fail. */
import { spawn } from "node:child_process"
import { closeSync, existsSync, openSync, readFileSync } from "node:fs"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { compiled, freePort, isListening, makeHome, startIn, until } from "../support/process.ts"
import { program } from "../support/program.ts"

const home = makeHome()
afterAll(home.remove)
const start = startIn(home.directory)
const node = ["start", "--network", "regtest", "--listen", "127.0.0.1:0"] as const

describe.concurrent("a node whose", () => {
  it("stdout is closed by its reader ends in order, as `| head -1` wants it", async () => {
    const run = start("devnet", "--nodes", "3", "--port", "0", "--json")
    await until(() => run.output() !== "", "the first line")
    run.child.stdout?.destroy()
    assert.deepStrictEqual(await run.ended, { code: 0, signal: null })
  })

  it("stdout is a disk that is full goes on, says so once, and ends in order", async () => {
    const full = openSync("/dev/full", "w")
    const run = startIn(home.directory, {}, ["ignore", full, "pipe"])(...node, "--json")
    closeSync(full)
    await until(() => run.errors().includes("stdout cannot be written"), "the warning")
    run.child.kill("SIGTERM")
    assert.deepStrictEqual(await run.ended, { code: 0, signal: null })
    assert.strictEqual(run.errors().split("stdout cannot be written").length, 2)
  })

  it("stderr is closed by its reader goes on", async () => {
    const run = start(...node, "--log-level", "debug")
    await until(() => run.errors() !== "", "the first log line")
    run.child.stderr?.destroy()
    await isListening(run)
    // It has logged since, to nobody.
    await until(() => run.output().includes("to begin with"), "the next event")
    run.child.kill("SIGTERM")
    assert.deepStrictEqual(await run.ended, { code: 0, signal: null })
  })

  // util-linux's, which gives a command a terminal and waits for whoever reads its own output.
  const script = "/usr/bin/script"
  const hasScript = process.platform === "linux" && existsSync(script)
  if (!hasScript) console.log(`a terminal that stands still is not tried: there is no ${script} to make one with`)

  it.skipIf(!hasScript)("terminal stands still goes on, answers, and ends in order", async () => {
    const port = await freePort()
    const command = [process.execPath, program(), ...node, "--json", "--status", `127.0.0.1:${port}`].join(" ")
    const child = spawn(script, ["--quiet", "--return", "--flush", "--command", `exec ${command}`, "/dev/null"], {
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: home.directory,
        XDG_CACHE_HOME: `${home.directory}/terminal`,
        NODE_COMPILE_CACHE: compiled
      },
      stdio: ["ignore", "pipe", "ignore"]
    })
    try {
      const ended = new Promise<number | null>((resolve) => child.on("close", resolve))
      const ask = (path: string, init: RequestInit = {}) =>
        fetch(`http://127.0.0.1:${port}${path}`, init).then((answer) => answer.text())
      const waits = () => new Promise((resolve) => setTimeout(resolve, 50))
      while ((await ask("/health").catch(() => "")) === "") await waits()
      // Nobody takes anything out of the terminal, which has room for 64 KiB: 400 lines of 300 bytes come.
      child.kill("SIGSTOP")
      const headers = { "content-type": "application/json" }
      for (let n = 0; n < 400; n++) {
        const body = JSON.stringify({ address: `10.0.${n >> 8}.${n & 255}`, reason: "x".repeat(200) })
        assert.include(await ask("/bans", { method: "POST", headers, body }), '"reason"')
      }
      assert.isNotEmpty(await ask("/health"))
      await ask("/rpc", { method: "POST", body: JSON.stringify({ method: "stop" }) })
      // It has ended before anybody reads, and waits for who would ask how.
      const [id = ""] = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").split(" ")
      while (!readFileSync(`/proc/${id}/stat`, "utf8").includes(") Z ")) await waits()
      let bytes = 0
      child.stdout.on("data", (piece: Buffer) => (bytes += piece.length))
      child.kill("SIGCONT")
      assert.strictEqual(await ended, 0)
      assert.isBelow(bytes, 100_000)
    } finally {
      child.kill("SIGKILL")
    }
  })
})
