/** The command: what it prints, how it ends, and as a process how it is ended. */
import { existsSync, mkdirSync, readdirSync, truncateSync, writeFileSync } from "node:fs"
import * as net from "node:net"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { runIn } from "../support/inProcess.ts"
import { isListening, makeHome, outcomeOf, startIn, until } from "../support/process.ts"

const { directory, remove } = makeHome()
afterAll(remove)
const start = startIn(directory)
const outcome = runIn(directory)

const takePort = () =>
  new Promise<{ readonly address: string; readonly close: () => void }>((resolve) => {
    const server = net.createServer()
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo
      resolve({ address: `127.0.0.1:${port}`, close: () => server.close() })
    })
  })

describe("a command that can't do what it was told says so in one sentence, and ends with 1:", () => {
  const cases: ReadonlyArray<readonly [string, ReadonlyArray<string>, string]> = [
    [
      "an unknown flag",
      ["start", "--lissen", "127.0.0.1:0"],
      "network-effect: --lissen is no flag of network-effect start: did you mean --listen?"
    ],
    [
      "a bad address",
      ["start", "--listen", "nowhere"],
      "network-effect: --listen nowhere is not an address: say ip, ip:port or [ip6]:port"
    ],
    [
      "a peer without a port",
      ["start", "--peer", "127.0.0.1"],
      "network-effect: --peer 127.0.0.1 is not an address: say ip:port or [ip6]:port"
    ],
    [
      "an unknown network",
      ["start", "--network", "moonnet"],
      'network-effect: --network has to be mainnet, testnet or regtest, not "moonnet": see network-effect start --help.'
    ],
    [
      "an address of another machine",
      ["start", "--network", "regtest", "--listen", "192.0.2.1:1"],
      "network-effect: 192.0.2.1:1 is not an address of this machine: choose another with --listen."
    ],
    [
      "a collector that is no URL",
      ["start", "--otlp", "http://"],
      'network-effect: --otlp has to be a URL such as http://127.0.0.1:4318, not "http://": see network-effect start --help.'
    ],
    [
      "a status interface nowhere",
      ["start", "--status", "nowhere"],
      'network-effect: --status has to be ip:port, [ip6]:port or off, not "nowhere": see network-effect start --help.'
    ],
    [
      "a time that is none",
      ["devnet", "--for", "soon"],
      'network-effect: --for has to be a time such as 20s or 1m 30s, not "soon": see network-effect devnet --help.'
    ],
    [
      "a number out of bounds",
      ["devnet", "--nodes", "0"],
      'network-effect: --nodes has to be a whole number from 1 to 200, not "0": see network-effect devnet --help.'
    ],
    [
      "a number that is none",
      ["devnet", "--churn", "often"],
      'network-effect: --churn has to be a number from 0 to 1, not "often": see network-effect devnet --help.'
    ],
    [
      "a word that is none of a few",
      ["devnet", "--log-format", "xml"],
      'network-effect: --log-format has to be pretty or json, not "xml": see network-effect devnet --help.'
    ],
    [
      "a file that is not there",
      ["start", "--config", "missing.toml"],
      'network-effect: --config has to be a file that is there, not "missing.toml": see network-effect start --help.'
    ],
    [
      "a folder where a file should be",
      ["start", "--config", "."],
      'network-effect: --config has to be a file that is there, not ".": see network-effect start --help.'
    ],
    [
      "a time below nothing",
      ["devnet", "--for", "-3s"],
      'network-effect: --for has to be a time such as 20s or 1m 30s, not "-3s": see network-effect devnet --help.'
    ],
    [
      "a flag without its value",
      ["devnet", "--for"],
      "network-effect: --for needs a value: see network-effect devnet --help."
    ],
    [
      "a flag that is said twice",
      ["devnet", "--for", "1s", "--for", "2s"],
      "network-effect: --for may be said once, not 2 times: see network-effect devnet --help."
    ],
    [
      "a value that is longer than a line, and would turn a terminal red",
      ["devnet", "--nodes", `\u001b[31m${"9".repeat(5000)}`],
      `network-effect: --nodes has to be a whole number from 1 to 200, not "?[31m${"9".repeat(54)}…": see network-effect devnet --help.`
    ],
    [
      "a word too many",
      ["peers", "all", "--node", "127.0.0.1:1"],
      'network-effect: "all" is one word too many: see network-effect peers --help.'
    ],
    [
      "a command that is none",
      ["strat"],
      'network-effect: "strat" is no command of network-effect: did you mean start?'
    ],
    [
      "a variable that stands in for a flag",
      ["peers"],
      'network-effect: NETWORK_EFFECT_STATUS has to be ip:port, [ip6]:port, name:port or a URL, not "off": see network-effect peers --help.'
    ],
    [
      "a name with a port",
      ["start", "--status-host", "node.example.org:80"],
      'network-effect: --status-host has to be a name such as node.example.org, without a port, not "node.example.org:80": see network-effect start --help.'
    ],
    [
      "a user agent that says nothing",
      ["start", "--user-agent", " "],
      "network-effect: --user-agent is blank: say what this node calls itself"
    ],
    [
      "a map that is not there",
      ["start", "--asmap", "missing.map"],
      'network-effect: --asmap has to be a file that is there, not "missing.map": see network-effect start --help.'
    ],
    [
      "a folder whose variable is empty",
      ["start", "--record", ""],
      "network-effect: --record needs a value: a folder: see network-effect start --help."
    ],
    [
      "a login for what is off",
      ["start", "--status", "off", "--rpc-cookie", "cookie"],
      "network-effect: --rpc-cookie is a login of the status interface: say where that is with --status, which is off"
    ],
    ["nobody to ban", ["ban"], "network-effect: address is missing: see network-effect ban --help."],
    [
      "a peer on a port nobody listens on",
      ["start", "--peer", "192.0.2.1:0"],
      "network-effect: --peer 192.0.2.1:0 cannot be dialled, for the port is 0: say where the peer listens"
    ],
    [
      "a peer of another network",
      ["start", "--network", "regtest", "--peer", "192.0.2.1:8233"],
      "network-effect: --peer 192.0.2.1:8233 cannot be dialled, for 8233 is the port of Mainnet, and this is Regtest: say where the peer listens"
    ]
  ]
  for (const [name, args, sentence] of cases) {
    it(name, async () => {
      assert.deepStrictEqual(await outcome(...args), { code: 1, errors: [sentence], output: "" })
    })
  }

  it("an unknown flag, as a process of the sources", async () => {
    const [, args, sentence] = cases[0] ?? ["", [], ""]
    const start = startIn(directory, {}, undefined, "layers/bin.js")
    assert.deepStrictEqual(await outcomeOf(start(...args)), { code: 1, errors: [sentence], output: "" })
  })

  it("a file with several mistakes, one sentence for each", async () => {
    const file = join(directory, "broken.toml")
    writeFileSync(file, '[network]\nlisten_addr = "x"\ncache_dir = 3\n')
    for (const args of [
      ["start", "--config", file],
      ["doctor", "--config", file, "--node", "127.0.0.1:1"],
      ["config", "check", file]
    ]) {
      assert.deepStrictEqual(await outcome(...args), {
        code: 1,
        errors: [
          `network-effect: ${file} line 2: listen_addr x is not an address: say ip, ip:port or [ip6]:port`,
          `network-effect: ${file} line 3: cache_dir has to be true, false or a directory in quotes`
        ],
        output: ""
      })
    }
  })

  it("a setting that is longer than a page, of which the beginning is said", async () => {
    const file = join(directory, "long.toml")
    writeFileSync(file, `[network]\nlisten_addr = "${"x".repeat(5000)}"\n`)
    const { code, errors } = await outcome("config", "check", file)
    assert.deepStrictEqual(
      [code, errors],
      [
        1,
        [
          `network-effect: ${file} line 2: listen_addr ${"x".repeat(59)}… is not an address: say ip, ip:port or [ip6]:port`
        ]
      ]
    )
  })

  it("a file that is far too long for settings, of which none is read", async () => {
    const file = join(directory, "huge.toml")
    writeFileSync(file, "")
    truncateSync(file, 2 ** 40)
    for (const args of [
      ["start", "--config", file],
      ["config", "check", file]
    ]) {
      const { code, errors } = await outcome(...args)
      assert.strictEqual(code, 1)
      assert.match(errors.join("\n"), /^network-effect: .*huge\.toml has \d+ bytes, so it is no settings file: /)
    }
  })

  it("a token that nobody could say, for the node and for who asks it", async () => {
    for (const token of [" ", "open sesame\n", "sésame"]) {
      const outcome = runIn(directory, { NETWORK_EFFECT_STATUS: "127.0.0.1:1", NETWORK_EFFECT_STATUS_TOKEN: token })
      for (const args of [["start", "--network", "regtest", "--listen", "127.0.0.1:0"], ["peers"], ["devnet"]]) {
        assert.deepStrictEqual(await outcome(...args), {
          code: 1,
          errors: [
            "network-effect: NETWORK_EFFECT_STATUS_TOKEN holds what no request can carry: use printable ASCII characters, and no blank at an end."
          ],
          output: ""
        })
      }
    }
  })

  it("a node that is asked through a proxy", async () => {
    const run = startIn(directory, { NODE_USE_ENV_PROXY: "1", HTTP_PROXY: "http://127.0.0.1:1" })
    const { code, errors } = await outcomeOf(run("peers", "--node", "127.0.0.1:2"))
    assert.strictEqual(code, 1)
    assert.match(
      errors.join("\n"),
      /^network-effect: no node answers at 127\.0\.0\.1:2 through the proxy of HTTP_PROXY: /
    )
  })

  it("a port that is taken", async () => {
    const { address, close } = await takePort()
    const { code, errors } = await outcome("start", "--network", "regtest", "--listen", address)
    close()
    assert.deepStrictEqual(
      { code, errors },
      {
        code: 1,
        errors: [
          `network-effect: ${address} is already in use, probably by another node: choose another with --listen.`
        ]
      }
    )
  })
})

/** With a cache of its own: a node has its directory to itself. */
const startApart = (name: string) => {
  const home = join(directory, name)
  mkdirSync(home)
  return startIn(home)
}

describe.concurrent("a node that was started", () => {
  it("tells its events as JSON, and its logs on stderr", async () => {
    const start = startApart("events")
    const run = start("start", "--network", "regtest", "--listen", "127.0.0.1:0", "--json", "--user-agent", "/test/")
    await until(() => run.output().includes("InitialPeersFound"), "events")
    run.child.kill("SIGTERM")
    await run.ended
    const events = run
      .output()
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line) as { readonly _tag: string; readonly at: number })
    // Whichever comes first.
    assert.deepStrictEqual(
      events
        .slice(0, 2)
        .map(({ _tag }) => _tag)
        .toSorted(),
      ["InitialPeersFound", "Listening"]
    )
    for (const { at } of events) assert.isAbove(at, 0)
  })

  it("takes its settings from a file, named before or after the command", async () => {
    const start = startApart("settings")
    const file = join(directory, "zebrad.toml")
    writeFileSync(file, '[network]\nnetwork = "Regtest"\nlisten_addr = "127.0.0.1:0"\n')
    for (const args of [
      ["-c", file, "start"],
      ["start", "--config", file]
    ]) {
      const run = start(...args)
      await isListening(run)
      assert.match(run.output(), /^listening on 127\.0\.0\.1:\d+;/m)
      run.child.kill("SIGTERM")
      await run.ended
    }
  })

  for (const [signal, code] of [
    ["SIGTERM", 0],
    ["SIGHUP", 0],
    ["SIGINT", 130]
  ] as const) {
    it(`closes its sockets and ends with ${code} on ${signal}, and says nothing of a page it has not`, async () => {
      const start = startApart(signal)
      const run = start("start", "--network", "regtest", "--listen", "127.0.0.1:0")
      await isListening(run)
      const port = Number(/listening on 127\.0\.0\.1:(\d+)/.exec(run.output())?.[1])
      const peer = net.connect(port, "127.0.0.1")
      const closed = new Promise((resolve) => peer.on("close", resolve))
      peer.on("error", () => undefined).resume()
      await new Promise((resolve) => peer.on("connect", resolve))
      run.child.kill(signal)
      const [ended] = await Promise.all([run.ended, closed])
      assert.deepStrictEqual(ended, { code, signal: null })
      assert.notInclude(run.output(), "status page")
    })
  }
})

describe("a local network", () => {
  it("finds itself, and sums up in the last line", async () => {
    const run = start("devnet", "--nodes", "4", "--port", "0", "--json")
    const times = (tag: string) => run.output().split(`"_tag":"${tag}"`).length - 1
    // Six connections, each of which both ends tell of.
    await until(() => times("PeerConnected") - times("PeerDisconnected") === 12, "the nodes to connect")
    run.child.kill("SIGINT")
    const { code } = await run.ended
    const lines = run.output().trim().split("\n")
    const summary = JSON.parse(lines.at(-1) ?? "") as Record<string, unknown>
    assert.strictEqual(code, 130)
    assert.deepInclude(summary, { nodes: 4, readyPeers: [3, 3, 3, 3], target: 3 })
    assert.isNumber(summary["secondsToTarget"])
    for (const line of lines.slice(0, -1)) assert.isNumber((JSON.parse(line) as { readonly node: number }).node)
  })

  it("sums up for people too", async () => {
    const run = start("devnet", "--nodes", "2", "--port", "0")
    await until(() => /node 1 +connected/.test(run.output()), "the first node to connect")
    await until(() => /node 2 +connected/.test(run.output()), "the second node to connect")
    run.child.kill("SIGINT")
    const { code } = await run.ended
    assert.strictEqual(code, 130)
    assert.match(run.output(), /\n2 nodes ran for [\d.]+ s\.\nEvery node had found all 1 others? after/)
  })
})

describe("what is compiled", () => {
  const startWith = (caches: string) => startIn(directory, { NODE_COMPILE_CACHE: "", XDG_CACHE_HOME: caches })

  it("is kept in the user's folder of caches, for the next start", async () => {
    const caches = join(directory, "compiling")
    mkdirSync(caches)
    assert.strictEqual((await outcomeOf(startWith(caches)("--version"))).code, 0)
    const kept = readdirSync(join(caches, "network-effect", "compiled"), { recursive: true, encoding: "utf8" })
    // One for each file of the program that even this command reads.
    assert.isAbove(kept.filter((name) => name.includes("/")).length, 20)
  })

  it("is not kept where no folder can be made, which Node would try for ever", async () => {
    assert.strictEqual((await outcomeOf(startWith("/proc/no-caches")("--version"))).code, 0)
  })

  it("is not kept by a runtime that cannot, such as Deno, and nothing is said", async () => {
    const without = join(directory, "without.mjs")
    writeFileSync(
      without,
      'import module from "node:module"\nmodule.enableCompileCache = undefined\nmodule.syncBuiltinESMExports()\n'
    )
    const start = startIn(directory, { NODE_OPTIONS: `--import ${without}` })
    const { code, errors } = await outcomeOf(start("--version"))
    assert.deepStrictEqual({ code, errors }, { code: 0, errors: [] })
  })

  it("is not kept where that can't be written, and nothing is said", async () => {
    const caches = join(directory, "no-folder")
    writeFileSync(caches, "")
    const { code, errors } = await outcomeOf(startWith(caches)("--version"))
    assert.deepStrictEqual({ code, errors }, { code: 0, errors: [] })
    assert.isFalse(existsSync(join(caches, "network-effect")))
  })
})
