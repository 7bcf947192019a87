/** Where logs, traces and metrics of a process go, and what they say. */
import { afterAll, assert, describe, it } from "@effect/vitest"
import * as http from "node:http"
import type * as net from "node:net"
import { runIn } from "../support/inProcess.ts"
import { makeHome, startIn, until } from "../support/process.ts"

const { directory, remove } = makeHome()
afterAll(remove)

const node = ["start", "--network", "regtest", "--listen", "127.0.12.10:0", "--peer", "127.0.12.11:1"] as const

/** What the log says of the one peer, who is not there. */
const logOf = async (env: Readonly<Record<string, string>>, ...args: ReadonlyArray<string>) => {
  const run = startIn(directory, env)(...node, ...args)
  await until(() => run.output().includes("could not reach "), "the dial to fail")
  await until(() => run.errors().includes("initial peers dialled") || args.length > 0, "the log")
  run.child.kill("SIGTERM")
  await run.ended
  return run.errors()
}

describe.concurrent("the log", () => {
  it("is an object per line when it is no terminal, and names no IP of a peer", async () => {
    const lines = (await logOf({})).trim().split("\n")
    const entry = lines
      .map((line) => JSON.parse(line) as { readonly message: string; readonly annotations: Record<string, unknown> })
      .find(({ message }) => message === "initial peer not reached")
    assert.deepStrictEqual(entry?.annotations, { address: "v4redacted:1", reason: "ECONNREFUSED" })
    assert.notInclude(lines.join(), "127.0.12.11")
  })

  it("is for people, and names them, when it is told to", async () => {
    const text = await logOf({}, "--log-format", "pretty", "--show-addresses")
    assert.match(text, /INFO.*initial peer not reached/)
    assert.include(text, "127.0.12.11:1")
  })

  it("begins at the level of the flag, or else of the environment", async () => {
    assert.strictEqual(await logOf({}, "--log-level", "error"), "")
    assert.strictEqual(await logOf({ NETWORK_EFFECT_LOG_LEVEL: "error" }, "--log-format", "json"), "")
    const { code, errors } = await runIn(directory, { NETWORK_EFFECT_LOG_LEVEL: "loud" })(...node)
    assert.strictEqual(code, 1)
    assert.deepStrictEqual(errors, [
      "network-effect: NETWORK_EFFECT_LOG_LEVEL is loud: say all, fatal, error, warn, info, debug, trace, none"
    ])
  })
})

/** What a collector is sent of a node that reaches nobody, by path. */
const collected = async (...args: ReadonlyArray<string>) => {
  const sent = new Map<string, string>()
  const collector = http.createServer((request, response) => {
    const path = request.url ?? ""
    request
      .on("data", (chunk: Buffer) => sent.set(path, (sent.get(path) ?? "") + chunk.toString()))
      .on("end", () => response.end("{}"))
  })
  await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve))
  const { port } = collector.address() as net.AddressInfo
  await logOf({}, "--otlp", `http://127.0.0.1:${port}`, ...args)
  collector.close()
  collector.closeAllConnections()
  return sent
}

describe.concurrent("a collector", () => {
  it("is sent traces, logs and metrics, with the spans that an operator needs and without IPs of peers", async () => {
    const sent = await collected()
    assert.deepStrictEqual([...sent.keys()].toSorted(), ["/v1/logs", "/v1/metrics", "/v1/traces"])
    const traces = sent.get("/v1/traces") ?? ""
    assert.include(traces, '"name":"connector"')
    assert.include(traces, "v4redacted:1")
    assert.notInclude(traces, '"name":"address book"')
    assert.notInclude([...sent.values()].join(), "127.0.12.11")
  })

  it("is sent more detailed spans when the logs are more detailed", async () => {
    assert.include((await collected("--log-level", "trace")).get("/v1/traces"), '"name":"address book"')
  })

  it("has to be a URL", async () => {
    const { code, errors } = await runIn(directory)(...node, "--otlp", "collector")
    assert.strictEqual(code, 1)
    assert.deepStrictEqual(errors, [
      'network-effect: --otlp has to be a URL such as http://127.0.0.1:4318, not "collector": see network-effect start --help.'
    ])
  })
})
