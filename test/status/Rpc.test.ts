/** zcashd's network methods, asked by who speaks HTTP as zcash-cli and python-bitcoinlib do. */
import { execFile, execFileSync } from "node:child_process"
import {
  mkdtempSync,
  readdirSync,
  readFileSync,
  existsSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Layer, Scope } from "effect"
import type { PeerSocketAddress } from "network-effect"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import * as RpcCookie from "../../src/status/RpcCookie.ts"
import { linesOf } from "../support/logs.ts"
import { answerTo, listenAddress, node, talk, until, withStatus } from "../support/statusWorld.ts"

/** What zcash-cli sends: no type, a newline at the end. Source: zcashd src/bitcoin-cli.cpp, `CallRPC`. */
const cli = (body: string, { login = "", lines = [] as ReadonlyArray<string>, path = "/" } = {}) =>
  [
    `POST ${path} HTTP/1.1`,
    "Host: 127.0.0.1",
    "Connection: close",
    `Authorization: Basic ${Buffer.from(login).toString("base64")}`,
    `Content-Length: ${body.length + 1}`,
    ...lines,
    "",
    `${body}\n`
  ].join("\r\n")

interface RpcAnswer {
  readonly result: unknown
  readonly error: { readonly code: number; readonly message: string } | null
  readonly id: unknown
}

const caller =
  (at: PeerSocketAddress.PeerSocketAddress, login = "user:password") =>
  (method: string, ...params: ReadonlyArray<unknown>) =>
    Effect.gen(function* () {
      const { body, status } = yield* answerTo(at, cli(JSON.stringify({ method, params, id: 1 }), { login }))
      return { status, ...(JSON.parse(body) as RpcAnswer) }
    })

const folder = Effect.acquireRelease(
  Effect.sync(() => mkdtempSync(join(tmpdir(), "rpc-"))),
  (path) => Effect.sync(() => rmSync(path, { recursive: true }))
)

const python = process.env["NETWORK_EFFECT_PYTHON"]
if (python === undefined) {
  console.log("python-bitcoinlib does not call: name a Python that has it with NETWORK_EFFECT_PYTHON")
}

describe("zcashd's tools", () => {
  it.live("ask for peers, totals and the network, in zcashd's fields", () =>
    Effect.gen(function* () {
      const { at, client, services } = yield* withStatus("127.0.12.1")
      const bob = yield* Layer.build(node("127.0.12.2"))
      yield* client.connect({ payload: { address: listenAddress(bob), mode: "onetry" } })
      const call = caller(at)
      assert.deepStrictEqual(yield* call("getconnectioncount"), { status: 200, result: 1, error: null, id: 1 })
      const { result: peers } = yield* call("getpeerinfo")
      const [peer] = peers as ReadonlyArray<Record<string, unknown>>
      const { pingwait: _, ...always } = peer ?? {}
      assert.deepStrictEqual(Object.fromEntries(Object.entries(always).map(([name, value]) => [name, typeof value])), {
        id: "number",
        addr: "string",
        addrlocal: "string",
        services: "string",
        relaytxes: "boolean",
        lastsend: "number",
        lastrecv: "number",
        bytessent: "number",
        bytesrecv: "number",
        conntime: "number",
        timeoffset: "number",
        pingtime: "number",
        version: "number",
        subver: "string",
        inbound: "boolean",
        startingheight: "number",
        banscore: "number",
        synced_headers: "number",
        synced_blocks: "number",
        inflight: "object",
        addr_processed: "number",
        addr_rate_limited: "number",
        whitelisted: "boolean"
      })
      assert.deepInclude(peer, { addr: listenAddress(bob), inbound: false, synced_headers: -1, inflight: [] })
      const { result: totals } = yield* call("getnettotals")
      assert.hasAllKeys(totals, ["totalbytesrecv", "totalbytessent", "timemillis", "uploadtarget"])
      assert.deepInclude(totals, {
        uploadtarget: {
          timeframe: 86_400,
          target: 0,
          target_reached: false,
          serve_historical_blocks: true,
          bytes_left_in_cycle: 0,
          time_left_in_cycle: 0
        }
      })
      const { result: network } = yield* call("getnetworkinfo")
      const port = Number(listenAddress(services).replace(/.*:/, ""))
      assert.deepStrictEqual(network, {
        version: 10_050,
        subversion: "/network-effect:0.1.0/",
        protocolversion: 170_190,
        localservices: "0000000000000001",
        timeoffset: 0,
        connections: 1,
        networks: ["ipv4", "ipv6", "onion"].map((name) => ({
          name,
          limited: name === "onion",
          reachable: name !== "onion",
          proxy: "",
          proxy_randomize_credentials: false
        })),
        relayfee: 0,
        localaddresses: [{ address: "127.0.12.1", port, score: 1 }],
        warnings: "",
        warningstimestamp: 0
      })
      // The heartbeat's first ping is a minute away.
      assert.strictEqual(peer?.["pingtime"], 0)
      assert.deepInclude(yield* call("ping"), { status: 200, result: null, error: null })
      yield* until(call("getpeerinfo"), ({ result }) => {
        const [pinged] = result as ReadonlyArray<{ readonly pingtime: number }>
        return (pinged?.pingtime ?? 0) > 0
      })
    }).pipe(Effect.scoped)
  )

  it.live("add, try, disconnect and remove nodes", () =>
    Effect.gen(function* () {
      const { at, client } = yield* withStatus("127.0.12.3")
      const bob = yield* Layer.build(node("127.0.12.4"))
      const carol = yield* Layer.build(node("127.0.12.5"))
      const call = caller(at)
      const address = listenAddress(bob)
      const refused = (method: string, ...params: ReadonlyArray<unknown>) =>
        Effect.map(call(method, ...params), ({ error, status }) => [status, error?.code, error?.message])
      assert.deepStrictEqual(yield* refused("addnode", address, "remove"), [
        500,
        -24,
        "Error: Node has not been added."
      ])
      assert.deepInclude(yield* call("addnode", address, "add"), { status: 200, result: null, error: null })
      assert.deepStrictEqual(yield* refused("addnode", address, "add"), [500, -23, "Error: Node already added"])
      yield* until(client.peers(), (peers) => peers.length === 1)
      assert.deepStrictEqual((yield* call("getaddednodeinfo", false)).result, [{ addednode: address }])
      assert.deepStrictEqual((yield* call("getaddednodeinfo", true, address)).result, [
        { addednode: address, connected: true, addresses: [{ address, connected: "outbound" }] }
      ])
      assert.deepStrictEqual(yield* refused("getaddednodeinfo", true, "192.0.2.1"), [
        500,
        -24,
        "Error: Node has not been added."
      ])
      assert.deepInclude(yield* call("addnode", address, "remove"), { status: 200, result: null })
      assert.deepStrictEqual((yield* call("getaddednodeinfo", true)).result, [])

      assert.deepInclude(yield* call("addnode", listenAddress(carol), "onetry"), { status: 200, result: null })
      const peers = yield* until(client.peers(), (peers) => peers.some(({ addr }) => addr === listenAddress(carol)))
      const { id } = peers.find(({ addr }) => addr === listenAddress(carol)) ?? { id: -1 }
      assert.deepInclude(yield* call("disconnectnode", id), { status: 200, result: null })
      yield* until(client.peers(), (peers) => peers.every((peer) => peer.id !== id))
      assert.deepStrictEqual(yield* refused("disconnectnode", id), [500, -29, "Node not found in connected nodes"])
      assert.deepStrictEqual(yield* refused("disconnectnode", "192.0.2.1:1"), [
        500,
        -29,
        "Node not found in connected nodes"
      ])
      for (const [method, params, message] of [
        ["addnode", [address, "keep"], 'addnode "node" "add|remove|onetry"'],
        ["addnode", [5, "add"], "JSON value is not a string as expected"],
        ["getaddednodeinfo", ["yes"], "JSON value is not a boolean as expected"],
        ["setban", ["192.0.2.1", "lift"], 'setban "ip(/netmask)" "add|remove" (bantime) (absolute)']
      ] as const) {
        assert.deepStrictEqual(yield* refused(method, ...params), [500, -1, message])
      }
      // As zcashd 6.x, which counts parameters before it calls a method.
      for (const [method, params, message] of [
        ["addnode", [address], 'addnode has 1 parameters, which are too few: addnode "node" "add|remove|onetry"'],
        ["disconnectnode", [], 'disconnectnode has 0 parameters, which are too few: disconnectnode "node"|id'],
        ["getpeerinfo", [1], "getpeerinfo has 1 parameters, which are too many: getpeerinfo"]
      ] as const) {
        assert.deepStrictEqual(yield* refused(method, ...params), [500, -32602, message])
      }
      assert.strictEqual((yield* call("addnode", "nowhere", "add")).error?.code, -8)
      assert.strictEqual((yield* call("addnode", "0.0.0.0:1", "onetry")).error?.code, -8)
    }).pipe(Effect.scoped)
  )

  it.live("ban and lift bans, as far as this node has subnets", () =>
    Effect.gen(function* () {
      const { at, client } = yield* withStatus("127.0.12.6")
      const call = caller(at)
      const done = { status: 200, result: null, error: null, id: 1 }
      const now = Effect.map(Clock.currentTimeMillis, (millis) => Math.floor(millis / 1000))
      const before = yield* now
      assert.deepStrictEqual(yield* call("setban", "192.0.2.1", "add", 60), done)
      assert.deepStrictEqual(yield* call("setban", "192.0.2.2/32", "add", before + 500, true), done)
      assert.deepStrictEqual(yield* call("setban", "192.0.2.3/255.255.255.255", "add"), done)
      assert.deepStrictEqual(yield* call("setban", "2001:db8::7/64", "add", 0), done)
      const { result } = yield* call("listbanned")
      const listed = result as ReadonlyArray<{
        readonly address: string
        readonly banned_until: number
        readonly ban_created: number
        readonly ban_reason: string
      }>
      for (const ban of listed) {
        assert.hasAllKeys(ban, ["address", "banned_until", "ban_created", "ban_reason"])
        assert.deepInclude(ban, { ban_created: 0, ban_reason: "manually added" })
      }
      assert.deepStrictEqual(
        listed.map(({ address }) => address),
        [
          "192.0.2.1/255.255.255.255",
          "192.0.2.2/255.255.255.255",
          "192.0.2.3/255.255.255.255",
          "2001:db8::/ffff:ffff:ffff:ffff:0:0:0:0"
        ]
      )
      const after = yield* now
      const ends = listed.map(({ banned_until }) => banned_until)
      // Each was made between the two, however long that took; the one that names its end has that end.
      assert.strictEqual(ends[1], before + 500)
      for (const [index, wanted] of [
        [0, 60],
        [2, 86_400],
        [3, 86_400]
      ] as const) {
        assert.isAtLeast(ends[index] ?? 0, before + wanted)
        assert.isAtMost(ends[index] ?? 0, after + wanted + 1)
      }
      for (const [params, code] of [
        [["192.0.2.1", "add"], -23],
        [["test", "add"], -23],
        [["192.0.2.1:5", "add"], -23],
        [["192.0.2.0/24", "add"], -8],
        [["2001:db8::/30", "add"], -8],
        [["192.0.2.9", "remove"], -1],
        [["192.0.2.9", "add", -1], -8],
        [["192.0.2.9", "add", 1.5], -1],
        [["192.0.2.9", "add", before - 1, true], -8],
        [["192.0.2.9", "lift"], -1],
        [["192.0.2.9"], -32602]
      ] as const) {
        assert.strictEqual((yield* call("setban", ...params)).error?.code, code, params.join(" "))
      }
      // What is listed can be lifted.
      for (const address of ["192.0.2.1", listed[3]?.address ?? ""]) {
        assert.deepStrictEqual(yield* call("setban", address, "remove"), done, address)
      }
      assert.lengthOf(yield* client.bans(), 2)
      assert.deepStrictEqual(yield* call("clearbanned"), done)
      assert.deepStrictEqual((yield* call("listbanned")).result, [])
    }).pipe(Effect.scoped)
  )

  it.live("stop the node where it can be stopped, and ask what there is", () =>
    Effect.gen(function* () {
      const stopped = yield* Deferred.make<void>()
      const { at } = yield* withStatus("127.0.12.7", {
        server: { stop: Effect.asVoid(Deferred.succeed(stopped, undefined)) }
      })
      const call = caller(at)
      const { result: help } = yield* call("help")
      const names = String(help)
        .split("\n")
        .slice(1)
        .map((line) => line.replace(/ .*/, ""))
      assert.deepStrictEqual(names, [
        "addnode",
        "clearbanned",
        "disconnectnode",
        "getaddednodeinfo",
        "getconnectioncount",
        "getnettotals",
        "getnetworkinfo",
        "getpeerinfo",
        "help",
        "listbanned",
        "ping",
        "setban",
        "stop"
      ])
      assert.strictEqual((yield* call("help", "addnode")).result, 'addnode "node" "add|remove|onetry"')
      assert.strictEqual((yield* call("help", "getblock")).result, "help: unknown command: getblock")
      assert.strictEqual((yield* call("stop")).result, "network-effect stopping")
      yield* Deferred.await(stopped).pipe(Effect.timeout("100 seconds"))
      const other = yield* withStatus("127.0.12.8")
      assert.deepInclude(yield* caller(other.at)("stop"), { status: 404, result: null })
    }).pipe(Effect.scoped)
  )

  it.live("find a login in the file, which only its owner may read and which goes with the server", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, ".cookie")
      // Of an earlier run, and open to all.
      writeFileSync(file, "__cookie__:old", { mode: 0o644 })
      const scope = yield* Scope.make()
      const { at } = yield* Scope.provide(withStatus("127.0.12.9", { server: { rpcCookie: file } }), scope)
      const login = readFileSync(file, "utf8")
      assert.match(login, /^__cookie__:[0-9a-f]{64}$/)
      assert.strictEqual(statSync(file).mode & 0o777, 0o600)
      assert.strictEqual((yield* caller(at, login)("getconnectioncount")).result, 0)
      const body = JSON.stringify({ method: "getconnectioncount", params: [], id: 1 })
      for (const wrong of ["", "__cookie__:old", `${login}\n`, login.replace("__cookie__", "user")]) {
        const refused = yield* answerTo(at, cli(body, { login: wrong }))
        assert.deepInclude(refused, { status: 401, body: "" }, wrong)
        assert.strictEqual(refused.headers["www-authenticate"], 'Basic realm="jsonrpc"')
      }
      yield* Scope.close(scope, Exit.void)
      assert.isFalse(existsSync(file))
    }).pipe(Effect.scoped)
  )

  it.live("find none where something else is, which stays as it is with whatever is beside it", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const [notes, beside, pipe, old] = ["notes", "free.tmp", "pipe", "old"].map((name) => join(path, name))
      writeFileSync(notes!, "not to be lost")
      writeFileSync(beside!, "nor this")
      execFileSync("mkfifo", [pipe!])
      writeFileSync(old!, "")
      const random = Effect.provide(SeededRandom.layer(1, "cookie"))
      for (const file of [notes!, pipe!, path]) {
        const error = yield* Effect.flip(RpcCookie.make(file)).pipe(random)
        assert.strictEqual(
          error.message,
          `${file} is something else than a login for JSON-RPC: choose another file with --rpc-cookie.`
        )
      }
      // Where it is written first.
      assert.strictEqual((yield* Effect.flip(RpcCookie.make(join(path, "free"))).pipe(random)).file, beside)
      // An empty file is nobody's, and so is the beginning of a login.
      for (const text of ["", "__coo", "__cookie__:of another program"]) {
        writeFileSync(old!, text)
        yield* Effect.scoped(RpcCookie.make(old!)).pipe(random)
        assert.isFalse(existsSync(old!), text)
      }
      // A pipe that took its place meanwhile is not waited for.
      const replaced = Effect.map(RpcCookie.make(old!), () => {
        rmSync(old!)
        renameSync(pipe!, old!)
      })
      yield* Effect.scoped(replaced).pipe(random)
      renameSync(old!, pipe!)
      assert.deepStrictEqual(readdirSync(path).toSorted(), ["free.tmp", "notes", "pipe"])
      assert.deepStrictEqual(
        [notes!, beside!].map((file) => readFileSync(file, "utf8")),
        ["not to be lost", "nor this"]
      )
      assert.isTrue(statSync(pipe!).isFIFO())
    }).pipe(Effect.scoped, Effect.provide(NodeFileSystem.layer))
  )

  it.live("use the token as a password, of whatever user and name", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.12.10", { token: "open sesame" })
      const body = JSON.stringify({ method: "getconnectioncount", params: [], id: 1 })
      const ask = (login: string, host: string) =>
        Effect.map(answerTo(at, cli(body, { login, path: "/rpc" }).replace("127.0.0.1", host)), ({ status }) => status)
      assert.strictEqual(yield* ask("user:open sesame", "zcashd"), 200)
      assert.strictEqual(yield* ask("user:shut sesame", "zcashd"), 403)
      assert.strictEqual(yield* ask("user:shut sesame", "127.0.0.1"), 401)
      assert.strictEqual(yield* ask("", "127.0.0.1"), 401)
    }).pipe(Effect.scoped)
  )

  it.live("that guess are told of once a minute, and those that send nothing are not", () =>
    Effect.gen(function* () {
      const lines = yield* linesOf(
        Effect.gen(function* () {
          const { at } = yield* withStatus("127.0.12.14", { token: "open sesame" })
          const body = JSON.stringify({ method: "getconnectioncount", params: [], id: 1 })
          const bare = cli(body).replace(/Authorization: .*\r\n/, "")
          for (const request of [bare, bare.replace("POST /", "POST /bans")]) {
            assert.strictEqual((yield* answerTo(at, request)).status, 401)
          }
          for (let n = 0; n < 5; n++) {
            assert.strictEqual((yield* answerTo(at, cli(body, { login: `user:${n}` }))).status, 401)
            const asked = cli(body, { path: "/bans" }).replace(/Basic .*\r/, `Bearer ${n}\r`)
            assert.strictEqual((yield* answerTo(at, asked)).status, 401)
          }
        }).pipe(Effect.scoped)
      )
      assert.deepStrictEqual(
        lines.filter((line) => line.startsWith("Warn")),
        ["Warn: JSON-RPC was asked with a wrong login", "Warn: the status interface was asked with a wrong token"]
      )
    })
  )

  it.live("send no more than a request may have, in pieces or whole", () =>
    Effect.gen(function* () {
      const { at } = yield* withStatus("127.0.12.13")
      const long = "x".repeat(20_000)
      const whole = cli(long)
      const pieces = [
        "POST /rpc HTTP/1.1",
        "Host: 127.0.0.1",
        "Transfer-Encoding: chunked",
        "Connection: close",
        "",
        long.length.toString(16),
        long,
        "0",
        "",
        ""
      ].join("\r\n")
      for (const request of [whole, pieces]) assert.strictEqual((yield* answerTo(at, request)).status, 413)
      // One that never ends is answered all the same.
      const { text } = yield* talk(at, pieces.slice(0, -5))
      yield* until(Effect.sync(text), (text) => text.startsWith("HTTP/1.1 413 "))
    }).pipe(Effect.scoped)
  )

  it.live("are no browser: what one sends for another site is refused whatever it asks and knows", () =>
    Effect.gen(function* () {
      const file = join(yield* folder, ".cookie")
      const { at, client } = yield* withStatus("127.0.12.11", { server: { rpcCookie: file } })
      const login = readFileSync(file, "utf8")
      for (const body of [JSON.stringify({ method: "setban", params: ["192.0.2.1", "add"], id: 1 }), "{bad", ""]) {
        for (const lines of [
          ["Origin: http://elsewhere.example", "Content-Type: text/plain"],
          ["Origin: null", "Content-Type: application/x-www-form-urlencoded"],
          ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: navigate"],
          ["Sec-Fetch-Site: cross-site", "Sec-Fetch-Mode: no-cors"]
        ]) {
          const { status } = yield* answerTo(at, cli(body, { login, lines }))
          assert.strictEqual(status, 403, `${body} ${lines.join(" ")}`)
        }
      }
      assert.deepStrictEqual(yield* client.bans(), [])
    }).pipe(Effect.scoped)
  )

  it.live.skipIf(python === undefined)("include python-bitcoinlib", () =>
    Effect.gen(function* () {
      const path = yield* folder
      const { at } = yield* withStatus("127.0.12.12", { server: { rpcCookie: join(path, ".cookie") } })
      writeFileSync(join(path, "bitcoin.conf"), `rpcconnect=127.0.12.12\nrpcport=${at.port}\n`)
      const program = [
        "import sys, json, bitcoin.rpc",
        "rpc = bitcoin.rpc.RawProxy(btc_conf_file=sys.argv[1])",
        "out = [rpc.getconnectioncount(), rpc.getpeerinfo(), rpc.setban('192.0.2.1', 'add', 60), rpc.listbanned()[0]['address']]",
        "try:",
        "    rpc.getblockcount()",
        "except bitcoin.rpc.JSONRPCError as error:",
        "    out.append(error.error['code'])",
        "print(json.dumps(out))"
      ].join("\n")
      const text = yield* Effect.callback<string>((resume) => {
        execFile(python ?? "", ["-c", program, join(path, "bitcoin.conf")], (error, stdout) =>
          resume(error === null ? Effect.succeed(stdout) : Effect.die(error))
        )
      })
      assert.deepStrictEqual(JSON.parse(text), [0, [], null, "192.0.2.1/255.255.255.255", -32601])
    }).pipe(Effect.scoped)
  )
})
