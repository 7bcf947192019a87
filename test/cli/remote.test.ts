/** The commands that ask a running node, which is a process; so is one command of each kind. */
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { nodeUrl } from "../../src/cli/remote.ts"
import { runIn } from "../support/inProcess.ts"
import { freePort, isListening, makeHome, outcomeOf, type Run, startIn, until } from "../support/process.ts"

const { directory, remove } = makeHome()

describe("a running node", () => {
  let status = ""
  let alice: Run
  let bob: Run
  let bobAddress = ""

  const ask = (...args: ReadonlyArray<string>) => runIn(directory, { NETWORK_EFFECT_STATUS: status })(...args)
  const answer = async (...args: ReadonlyArray<string>) => {
    const { code, errors, output } = await ask(...args)
    assert.deepStrictEqual({ code, errors }, { code: 0, errors: [] }, args.join(" "))
    return output.trim().split("\n")
  }
  const refusal = async (...args: ReadonlyArray<string>) => {
    const { code, errors, output } = await ask(...args)
    assert.deepStrictEqual({ code, output }, { code: 1, output: "" }, args.join(" "))
    return errors
  }

  beforeAll(async () => {
    status = `127.0.0.1:${await freePort()}`
    alice = startIn(directory, { NETWORK_EFFECT_STATUS: status })(
      "start",
      "--network",
      "regtest",
      "--listen",
      "127.0.12.1:0"
    )
    bob = startIn(directory)(
      "start",
      "--network",
      "regtest",
      "--listen",
      "127.0.12.2:0",
      "--user-agent",
      "/bob\u001b[31m/"
    )
    await Promise.all([isListening(alice), isListening(bob)])
    bobAddress = /listening on ([\d.:]+)/.exec(bob.output())?.[1] ?? ""
  })

  afterAll(async () => {
    for (const run of [alice, bob]) {
      run.child.kill("SIGTERM")
      await run.ended
    }
    remove()
  })

  it("says where its page is", async () => {
    await until(() => alice.output().includes("status page"), "the page")
    assert.include(alice.output(), `status page: http://${status}/`)
  })

  it("is asked by a process, whose answer is on stdout and whose refusal is on stderr", async () => {
    const asked = (...args: ReadonlyArray<string>) =>
      outcomeOf(startIn(directory, { NETWORK_EFFECT_STATUS: status })(...args))
    const [answered, refused] = await Promise.all([asked("log-level"), asked("unban", "192.0.2.1")])
    assert.deepStrictEqual(answered, { code: 0, errors: [], output: "logs are from level info\n" })
    assert.deepStrictEqual(refused, { code: 1, errors: ["network-effect: 192.0.2.1 is not banned."], output: "" })
  })

  it("is asked to connect, and tells its peers, its addresses and its state", async () => {
    assert.deepStrictEqual(await answer("peers"), ["no peer is connected"])
    assert.deepStrictEqual(await answer("connect", bobAddress), [`connected to ${bobAddress}: /bob?[31m/`])

    const [[head = "", line = ""], [json = ""], addresses, [book = ""], look, findings] = await Promise.all([
      answer("peers"),
      answer("peers", "--json"),
      answer("addresses", "--limit", "5"),
      answer("addresses", "--limit", "0", "--json"),
      answer("top"),
      answer("doctor", "--network", "regtest", "--listen", "127.0.12.3:0", "--json")
    ])
    assert.match(head, /^id {2}address +way +ping +received +sent +age +version +agent$/)
    assert.match(line, new RegExp(`^1 +${bobAddress} +out .* 170190 +/bob\\?\\[31m/$`))
    assert.include((JSON.parse(json) as ReadonlyArray<object>)[0], { addr: bobAddress, subver: "/bob\u001b[31m/" })
    assert.match(addresses[0] ?? "", /^addresses: \d of 5000, \d responded/)
    assert.match(addresses.join("\n"), new RegExp(`^${bobAddress} +Responded`, "m"))
    const [known = "", state = "", next = ""] = await answer("why", bobAddress)
    assert.match(known, new RegExp(`^${bobAddress} in \\d+\\.\\d+`))
    assert.match(state, /^Responded/)
    assert.match(next, /^is not dialled now: /)
    assert.deepStrictEqual((await answer("why", "192.0.2.77:1")).slice(1), [
      "not in the book",
      "is not dialled now: it is not in the book"
    ])
    assert.deepInclude((JSON.parse(book) as { readonly counts: object }).counts, { limit: 5000 })
    assert.match(look.join("\n"), /peers: \d out of 75, \d in of 125, ready/)
    const verdicts = JSON.parse(findings[0] ?? "") as ReadonlyArray<{
      readonly check: string
      readonly verdict: string
    }>
    // Bob may have dialled back by now, or not.
    assert.match(
      verdicts.map(({ check, verdict }) => `${check} ${verdict}`).join(", "),
      /^listen ok, dns skipped, clock ok, reachable (warning|ok), cache ok$/
    )
  })

  it("is found by its address, its name and its URL", async () => {
    const [, port = ""] = status.split(":")
    for (const node of [status, `localhost:${port}`, `LOCALHOST:${port}`, `http://${status}`, `http://${status}/`]) {
      assert.deepStrictEqual(await answer("bans", "--node", node), ["nobody is banned"], node)
    }
  })

  it("tells the level of its logs, and changes it", async () => {
    assert.deepStrictEqual(await answer("log-level"), ["logs are from level info"])
    assert.deepStrictEqual(await answer("log-level", "debug"), ["logs are from level debug"])
    assert.deepStrictEqual(await answer("log-level", "--json"), ['{"level":"Debug"}'])
    assert.deepStrictEqual(await answer("log-level", "info"), ["logs are from level info"])
  })

  it("bans and unbans", async () => {
    const [text = ""] = await answer("ban", "198.51.100.9", "--for", "2h", "--reason", "a test")
    assert.match(text, /^198\.51\.100\.9 is banned until \d{4}-\d\d-\d\dT[\d:.]+Z: a test$/)
    assert.deepStrictEqual(await answer("bans"), [text])
    assert.deepStrictEqual(await answer("unban", "198.51.100.9"), ["198.51.100.9 is no longer banned"])
    const [json = ""] = await answer("ban", "2001:db8::1", "--json")
    assert.deepInclude(JSON.parse(json), { group: "2001:db8::/64", reason: "banned by the operator" })
    assert.deepStrictEqual(await answer("bans", "--json"), [`[${json}]`])
    assert.deepStrictEqual(await answer("unban", "2001:db8::1", "--json"), ['{"unbanned":"2001:db8::1"}'])
    assert.deepStrictEqual(await answer("bans"), ["nobody is banned"])
  })

  it("keeps an address connected until it is told otherwise", async () => {
    assert.deepStrictEqual(await answer("connect", "127.0.12.9:1", "--keep"), ["127.0.12.9:1 is kept connected"])
    const [json = ""] = await answer("connect", "127.0.12.9:1", "--remove", "--json")
    assert.deepStrictEqual(JSON.parse(json), { peer: null, added: [] })
  })

  it("is watched, a snapshot a second, until that is stopped", async () => {
    const watching = startIn(directory, { NETWORK_EFFECT_STATUS: status })("top", "--json")
    await until(() => watching.output().split("\n").length > 2, "two snapshots")
    watching.child.kill("SIGINT")
    const { code } = await watching.ended
    assert.strictEqual(code, 130)
    for (const line of watching.output().trim().split("\n")) {
      assert.containsAllKeys(JSON.parse(line), ["at", "health", "totals", "addresses", "peers"])
    }
  })

  for (const [name, args, sentence] of [
    [
      "an address nobody is at",
      ["connect", "127.0.12.9:1"],
      "network-effect: 127.0.12.9:1 could not be connected: nobody listens there."
    ],
    [
      "an address that is none",
      ["connect", "nowhere"],
      'network-effect: address has to be ip, ip:port or [ip6]:port, not "nowhere": see network-effect connect --help.'
    ],
    [
      "both of two",
      ["connect", "127.0.12.9:1", "--keep", "--remove"],
      "network-effect: say --keep or --remove, not both."
    ],
    [
      "a ban of nobody",
      ["ban", "nobody"],
      'network-effect: address has to be an IP such as 192.0.2.10 or 2001:db8::1, not "nobody": see network-effect ban --help.'
    ],
    [
      "a ban for ever",
      ["ban", "192.0.2.1", "--for", "4000d"],
      'network-effect: --for has to be a time from 1s to 3650d, not "4000d": see network-effect ban --help.'
    ],
    ["a ban that is not", ["unban", "192.0.2.1"], "network-effect: 192.0.2.1 is not banned."],
    [
      "a page past the end",
      ["addresses", "--offset", "999"],
      /^network-effect: offset 999 is past the end: the book has \d addresses\.$/
    ],
    [
      "a node that is not there",
      ["peers", "--node", "127.0.0.1:1"],
      "network-effect: no node answers at 127.0.0.1:1: start one, or say where it is with --node."
    ],
    [
      "a level that is none",
      ["log-level", "loud"],
      'network-effect: level has to be all, trace, debug, info, warn, error, fatal or none, not "loud": see network-effect log-level --help.'
    ],
    [
      "a page that is too long",
      ["addresses", "--limit", "1001"],
      'network-effect: --limit has to be a whole number from 0 to 1000, not "1001": see network-effect addresses --help.'
    ],
    [
      "a URL with a password",
      ["peers", "--node", "http://me:secret@127.0.0.1"],
      'network-effect: --node has to be ip:port, [ip6]:port, name:port or a URL, not "http://me:secret@127.0.0.1": see network-effect peers --help.'
    ],
    [
      "a node at no address",
      ["peers", "--node", "off"],
      'network-effect: --node has to be ip:port, [ip6]:port, name:port or a URL, not "off": see network-effect peers --help.'
    ]
  ] as const) {
    it(`says in one sentence what is wrong with ${name}`, async () => {
      const errors = await refusal(...args)
      if (typeof sentence === "string") assert.deepStrictEqual(errors, [sentence])
      else assert.match(errors.join("\n"), sentence)
    })
  }
})

describe("where a node is", () => {
  for (const [text, url] of [
    ["127.0.0.1", "http://127.0.0.1:8234"],
    ["127.0.0.1:1", "http://127.0.0.1:1"],
    ["[::1]:1", "http://[::1]:1"],
    ["::1", "http://[::1]:8234"],
    ["zebra", "http://zebra:8234"],
    ["Zebra.example:1", "http://zebra.example:1"],
    ["http://zebra", "http://zebra"],
    ["https://zebra.example/status/", "https://zebra.example/status"],
    ["off", undefined],
    ["", undefined],
    ["-", undefined],
    ["a b", undefined],
    ["zebra:0", undefined],
    ["zebra:99999", undefined],
    ["999.0.0.1:1", undefined],
    ["ftp://zebra", undefined],
    ["http://me:secret@zebra", undefined],
    ["http://me@zebra", undefined],
    ["http://a?b", undefined],
    ["http://a#b", undefined],
    ["http://", undefined]
  ] as const) {
    it(`is ${url ?? "nowhere"} for ${JSON.stringify(text)}`, () => assert.strictEqual(nodeUrl(text), url))
  }
})

describe("a settings file", () => {
  it("is checked, and printed with every default, for programs too", async () => {
    const home = makeHome()
    afterAll(home.remove)
    const file = join(home.directory, "zebrad.toml")
    writeFileSync(file, '[network]\nnetwork = "Testnet"\n')
    const ask = (...args: ReadonlyArray<string>) => runIn(home.directory)("config", ...args, "--json")
    const [checked, printed] = await Promise.all([ask("check", file), ask("default")])
    assert.deepStrictEqual(JSON.parse(checked.output), { file, network: "Testnet", targetPeers: 25, notes: [] })
    assert.match((JSON.parse(printed.output) as { readonly toml: string }).toml, /^\[network\]$/m)

    // What is in force is printed in a form that loads as the same.
    const show = (...args: ReadonlyArray<string>) =>
      runIn(home.directory, { ZEBRA_NETWORK__CACHE_DIR: "false" })("config", "show", ...args)
    const inForce = await show("-c", file, "--listen", "127.0.0.1:7")
    assert.deepStrictEqual([inForce.code, inForce.errors], [0, []])
    for (const line of ['network = "Testnet"', 'listen_addr = "127.0.0.1:7"', "cache_dir = false"]) {
      assert.include(inForce.output.split("\n"), line)
    }
    writeFileSync(file, inForce.output)
    assert.strictEqual((await show("-c", file)).output, inForce.output)
  })
})

describe("a node with a token", () => {
  it("is not started on an address of others without one, and not asked without it", async () => {
    const home = makeHome()
    afterAll(home.remove)
    const at = `127.0.0.1:${await freePort()}`
    const open = await runIn(home.directory, { NETWORK_EFFECT_STATUS: "0.0.0.0:0" })(
      "start",
      "--network",
      "regtest",
      "--listen",
      "127.0.12.5:0"
    )
    assert.strictEqual(open.code, 1)
    assert.deepStrictEqual(open.errors, [
      "network-effect: 0.0.0.0:0 can be reached by others, who could then rule this node: set NETWORK_EFFECT_STATUS_TOKEN, or choose a loopback address with --status."
    ])
    const env = { NETWORK_EFFECT_STATUS: at, NETWORK_EFFECT_STATUS_TOKEN: "open sesame" }
    const node = startIn(home.directory, env)("start", "--network", "regtest", "--listen", "127.0.12.6:0")
    await isListening(node)
    const [stranger, owner] = await Promise.all([
      runIn(home.directory, { NETWORK_EFFECT_STATUS: at })("peers"),
      runIn(home.directory, env)("peers")
    ])
    const odd = await runIn(home.directory, { ...env, NETWORK_EFFECT_STATUS_TOKEN: "open\nsesame" })("peers")
    assert.deepStrictEqual(odd.errors, [
      "network-effect: NETWORK_EFFECT_STATUS_TOKEN holds what no request can carry: use printable ASCII characters, and no blank at an end."
    ])
    node.child.kill("SIGTERM")
    await node.ended
    assert.deepStrictEqual(stranger.errors, [
      "network-effect: Send the token of this node: Authorization: Bearer TOKEN."
    ])
    assert.deepStrictEqual(owner.output, "no peer is connected\n")
  })
})
