/** Commands that start nothing, in this process: what `doctor` finds without a node, and what `config` says of files. */
import { mkdirSync, writeFileSync } from "node:fs"
import { createServer } from "node:http"
import * as net from "node:net"
import { join } from "node:path"
import { NodeFileSystem, NodePath } from "@effect/platform-node"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFile, shortName } from "../../src/cli/Files.ts"
import type { Health, PeerInfo } from "../../src/status/StatusApi.ts"
import { runIn } from "../support/inProcess.ts"
import { makeHome } from "../support/process.ts"
import { health, peerInfo } from "../support/statusAnswers.ts"

const { directory, remove } = makeHome()
afterAll(remove)
const cache = join(directory, "cache")
const peers = join(cache, "network", "testnet.peers")
mkdirSync(join(cache, "network"), { recursive: true })

interface Found {
  readonly check: string
  readonly verdict: string
  readonly finding: string
}

/** A port of loopback that is held until the test is over. */
const portOf = (server: net.Server) =>
  new Promise<number>((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const at = server.address()
      resolve(typeof at === "object" && at !== null ? at.port : 0)
    })
  })

/** What is found of a Testnet with these settings; no node answers unless it is said where one does. */
const doctor = async (
  lines: ReadonlyArray<string>,
  { listen = "127.0.0.1:0", node = "127.0.0.1:1" },
  ...args: ReadonlyArray<string>
) => {
  const file = join(directory, "zebrad.toml")
  writeFileSync(file, `[network]\nnetwork = "Testnet"\n${lines.join("\n")}\n`)
  const asked = ["doctor", "--config", file, "--listen", listen, "--node", node, "--json", ...args]
  const { code, errors, output } = await runIn(directory)(...asked)
  const found: ReadonlyArray<Found> = JSON.parse(output)
  return { code, errors, of: (check: string) => found.find((one) => one.check === check) }
}
const cached = `cache_dir = "${cache}"`
const aSeed = 'initial_testnet_peers = ["127.0.0.1:18233"]'

describe("doctor without a node", () => {
  it("finds nothing wrong where nothing is kept and no name has to be asked for", async () => {
    const { code, errors, of } = await doctor(["cache_dir = false", aSeed], {})
    assert.deepStrictEqual([code, errors], [0, []])
    assert.deepInclude(of("listen"), { verdict: "ok", finding: "127.0.0.1:0 is free" })
    assert.deepInclude(of("dns"), { verdict: "ok", finding: "1 of 1 seeds answered, with 1 addresses" })
    assert.deepInclude(of("cache"), { verdict: "skipped", finding: "nothing is kept on disk (cache_dir = false)" })
    for (const check of ["clock", "reachable"]) {
      assert.deepInclude(of(check), { verdict: "skipped", finding: "no node answers, so its peers cannot be asked" })
    }
  })

  it("says of a cache what is in it, or that it is damaged", async () => {
    const empty = await doctor([cached, aSeed], {})
    assert.match(empty.of("cache")?.finding ?? "", /can be written; no addresses are kept yet$/)
    writeFileSync(peers, "192.0.2.1:18233\n192.0.2.2:18233\n")
    const full = await doctor([cached, aSeed], {})
    assert.deepInclude(full.of("cache"), { verdict: "ok", finding: `${peers} has 2 addresses` })
    writeFileSync(peers, "nobody\nnowhere\n")
    const damaged = await doctor([cached, aSeed], {})
    assert.deepInclude(damaged.of("cache"), { verdict: "warning", finding: `${peers} is damaged` })
    assert.strictEqual(damaged.code, 0)
  })

  it("says that nobody is asked where there are no seeds", async () => {
    const { of } = await doctor(["cache_dir = false", "initial_testnet_peers = []"], {})
    assert.deepInclude(of("dns"), { verdict: "skipped", finding: "no seeds are set" })
    const regtest = await doctor(["cache_dir = false"], {}, "--network", "regtest")
    assert.deepInclude(regtest.of("dns"), { verdict: "skipped", finding: "Regtest has no public seeds" })
  })

  it("fails, and says how many checks did, where it cannot listen", async () => {
    const holder = net.createServer()
    const listen = `127.0.0.1:${await portOf(holder)}`
    const taken = await doctor(["cache_dir = false", aSeed], { listen }).finally(() => holder.close())
    assert.deepInclude(taken.of("listen"), { verdict: "failure", finding: `${listen} is in use` })
    assert.deepStrictEqual([taken.code, taken.errors], [1, ["network-effect: 1 of 5 checks failed."]])
    const elsewhere = await doctor(["cache_dir = false", aSeed], { listen: "192.0.2.1:1" })
    assert.deepInclude(elsewhere.of("listen"), {
      verdict: "failure",
      finding: "192.0.2.1:1 cannot be listened on (EADDRNOTAVAIL)"
    })
  })

  it("has a line for each check for people, with what to do", async () => {
    const file = join(directory, "regtest.toml")
    writeFileSync(file, '[network]\nnetwork = "Regtest"\ncache_dir = false\n')
    const asked = ["doctor", "--config", file, "--listen", "192.0.2.1:1", "--node", "127.0.0.1:1"]
    const { code, output } = await runIn(directory)(...asked)
    assert.strictEqual(code, 1)
    const [title = "", listen = "", dns = ""] = output.split("\n")
    assert.match(title, /^verdict +check +finding$/)
    assert.match(listen, /^failure +listen +192\.0\.2\.1:1 cannot be listened on \(EADDRNOTAVAIL\): choose another/)
    assert.match(dns, /^skipped +dns +Regtest has no public seeds$/)
  })
})

describe("doctor of a node that answers", () => {
  /** What is found where a node says this of itself and its peers. */
  const withNode = async (of: (port: number) => Health, peers: ReadonlyArray<PeerInfo>, isAsked = true) => {
    let port = 0
    const server = createServer((request, response) => {
      response.writeHead(200, { "content-type": "application/json" })
      response.end(JSON.stringify(!isAsked ? "no" : request.url === "/health" ? of(port) : peers))
    })
    port = await portOf(server)
    const node = `127.0.0.1:${port}`
    return doctor(["cache_dir = false", aSeed], { listen: node, node }).finally(() => server.close())
  }
  const listening = (port: number) => health({ listen: `0.0.0.0:${port}` })

  it("knows the node by its port, and its place by what most peers see", async () => {
    const elsewhere = peerInfo({ id: 3, addrlocal: "198.51.100.1:8233" })
    const { code, of } = await withNode(listening, [peerInfo(), peerInfo({ id: 2 }), elsewhere])
    assert.strictEqual(code, 0)
    assert.match(of("listen")?.finding ?? "", /^127\.0\.0\.1:\d+ is held by the running node$/)
    assert.deepInclude(of("clock"), { verdict: "ok", finding: "within 600 s of what 3 peers say" })
    assert.deepInclude(of("reachable"), {
      verdict: "warning",
      finding: "no peer has dialled this node yet; 2 of 3 see it at 203.0.113.9"
    })
  })

  it("fails where the clock is more than ten minutes from what half of the peers say, either way", async () => {
    for (const [timeoffset, finding] of [
      [500, "650 s behind what 1 peers say"],
      [-800, "650 s ahead of what 1 peers say"]
    ] as const) {
      const { code, of } = await withNode(listening, [peerInfo({ timeoffset, inbound: true })])
      assert.deepInclude(of("clock"), { verdict: "failure", finding })
      assert.deepInclude(of("reachable"), { verdict: "ok", finding: "1 peers have dialled this node" })
      assert.strictEqual(code, 1)
    }
  })

  it("asks nobody where nobody is connected, and expects no guest of a node that only dials", async () => {
    const alone = await withNode(listening, [])
    assert.deepInclude(alone.of("clock"), {
      verdict: "skipped",
      finding: "no peer is connected, so none can be asked"
    })
    assert.deepInclude(alone.of("reachable"), { finding: "no peer has dialled this node yet" })
    const dialling = await withNode(() => health({ listen: null }), [])
    assert.deepInclude(dialling.of("reachable"), { verdict: "skipped", finding: "the node only dials" })
  })

  it("says what answers there when it is no node, and goes on without it", async () => {
    const { errors, of } = await withNode(listening, [], false)
    assert.match(errors[0] ?? "", /^the node at 127\.0\.0\.1:\d+ cannot be asked: /)
    assert.deepInclude(of("clock"), { verdict: "skipped" })
  })
})

describe("config", () => {
  it("says for people that a file is fine, with what is not used of it", async () => {
    const file = join(directory, "noted.toml")
    writeFileSync(file, '[network]\nnetwork = "Testnet"\n[tracing]\nuse_color = true\n')
    const { code, output } = await runIn(directory)("config", "check", file)
    assert.strictEqual(code, 0)
    assert.deepStrictEqual(output.trimEnd().split("\n"), [
      `note: ${file} line 3: [tracing] is for other parts of Zebra, and is not used`,
      `${file} is fine: Testnet, 25 initial peers`
    ])
  })

  it("prints what is in force and the defaults, for people and for programs", async () => {
    const printed = await runIn(directory)("config", "default")
    assert.match(printed.output, /^\[network\]$/m)
    const asked = ["config", "show", "--network", "regtest", "--json"]
    const shown: { readonly toml: string } = JSON.parse((await runIn(directory)(...asked)).output)
    assert.match(shown.toml, /^network = "Regtest"$/m)
  })

  it("says in one sentence that a file is not there, or cannot be read", async () => {
    for (const [file, why] of [
      [join(directory, "none.toml"), "there is no such file"],
      [directory, "cannot be read: "]
    ] as const) {
      const { message } = await Effect.runPromise(
        Effect.flip(readFile(file, "it")).pipe(Effect.provide(NodeFileSystem.layer))
      )
      assert.include(message, `it${why.startsWith("there") ? ":" : ""} ${why}`)
    }
  })

  it("names a file from here, and in whole where it is elsewhere", async () => {
    const names = await Effect.runPromise(
      Effect.forEach([join(process.cwd(), "test", "a.toml"), "/elsewhere/a.toml", process.cwd()], shortName).pipe(
        Effect.provide(NodePath.layer)
      )
    )
    assert.deepStrictEqual(names, [join("test", "a.toml"), "/elsewhere/a.toml", process.cwd()])
  })
})
