/** What `start` does with the flags of the status interface, as a process. */
import { existsSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Result } from "effect"
import { PeerSocketAddress } from "network-effect"
import { runIn } from "../support/inProcess.ts"
import { makeHome, outcomeOf, startIn, until } from "../support/process.ts"
import { answerTo } from "../support/statusWorld.ts"

const home = makeHome()
afterAll(home.remove)
const start = (...args: ReadonlyArray<string>) =>
  startIn(home.directory)("start", "--network", "regtest", "--peer", "127.0.13.9:1", ...args)

describe("the status interface of the command", () => {
  it("that others could reach is refused without a token before the node binds or dials", async () => {
    const run = start("--listen", "127.0.13.1:0", "--status", "0.0.0.0:0")
    assert.deepStrictEqual(await outcomeOf(run), {
      code: 1,
      output: "",
      errors: [
        "network-effect: 0.0.0.0:0 can be reached by others, who could then rule this node: set NETWORK_EFFECT_STATUS_TOKEN, or choose a loopback address with --status."
      ]
    })
    // Nor is there a line of log: a node says when it has bound its port.
    assert.lengthOf(run.errors().trim().split("\n"), 1)
  })

  it("has the names and the login it was told to have, and ends by JSON-RPC", async () => {
    const cookie = join(home.directory, ".cookie")
    const flags = ["--status", "127.0.13.2:0", "--status-host", "zebra", "--rpc-cookie", cookie, "--json"]
    const run = start("--listen", "127.0.13.2:0", ...flags)
    const address = () => /"_tag":"StatusListening".*?"address":"([^"]+)"/.exec(run.output())?.[1]
    await until(() => address() !== undefined, "the status interface")
    const at = Result.getOrThrow(PeerSocketAddress.fromString(address() ?? ""))
    const ask = (bytes: string) => Effect.runPromise(answerTo(at, bytes))
    const health = (host: string) => `GET /health HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
    assert.strictEqual((await ask(health("zebra:8234"))).status, 200)
    assert.strictEqual((await ask(health("zcashd:8234"))).status, 403)
    const login = readFileSync(cookie, "utf8")
    const body = '{"method":"stop","params":[],"id":1}'
    const lines = ["POST / HTTP/1.1", "Host: 127.0.0.1", "Connection: close"]
    const authorization = `Authorization: Basic ${Buffer.from(login).toString("base64")}`
    const answer = await ask([...lines, authorization, `Content-Length: ${body.length}`, "", body].join("\r\n"))
    assert.strictEqual(answer.status, 200)
    await run.ended
    assert.isFalse(existsSync(cookie))
  })

  it("says in a sentence where the login cannot be written", async () => {
    const cookie = join(home.directory, "nowhere", ".cookie")
    const args = "start --network regtest --listen 127.0.13.3:0 --status 127.0.13.3:0 --rpc-cookie".split(" ")
    const { code, errors } = await runIn(home.directory)(...args, cookie)
    assert.strictEqual(code, 1)
    assert.deepStrictEqual(errors, [
      `network-effect: the login for JSON-RPC cannot be written to ${cookie}: choose another file with --rpc-cookie.`
    ])
  })
})
