/** The status interface of a real node, asked through the typed client and by whoever does not keep to it. */
import { Validator } from "@seriousme/openapi-schema-validator"
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Option, Schema, Stream } from "effect"
import { HttpApi, OpenApi } from "effect/http-api"
import { AddressBook, BanList, ListenError, NetworkEvents, PeerSocketAddress } from "network-effect"
import { StatusServer } from "network-effect/layers"
import { StatusNeedsToken } from "../../src/status/StatusAddress.ts"
import { CensusApi } from "../../src/status/CensusApi.ts"
import { StatusApi } from "../../src/status/StatusApi.ts"
import { listenAddress, node, raw, until, withStatus } from "../support/statusWorld.ts"
import { defaults } from "../../src/Policy.ts"

const json = (body: unknown, method = "POST"): RequestInit => ({
  method,
  headers: { "content-type": "application/json" },
  body: typeof body === "string" ? body : JSON.stringify(body)
})

describe("the status interface", () => {
  it.live("shows every field of a peer, filled, after a connection over TCP", () =>
    Effect.gen(function* () {
      const { client } = yield* withStatus("127.0.7.1")
      const bob = yield* Layer.build(node("127.0.7.2"))
      const { peer } = yield* client.connect({ payload: { address: listenAddress(bob), mode: "onetry" } })
      assert.strictEqual(peer?.addr, listenAddress(bob))
      const [shown] = yield* until(client.peers(), ([peer]) => peer?.pingtime !== null && peer !== undefined)
      const always = ["banscore", "synced_headers", "synced_blocks", "inflight", "addr_processed"]
      const empty = Object.entries(shown ?? {}).filter(([, value]) => value === null)
      assert.deepStrictEqual(
        empty.map(([name]) => name).filter((name) => name !== "pingwait"),
        [...always, "addr_rate_limited", "whitelisted"]
      )
      assert.deepInclude(shown, {
        addr: listenAddress(bob),
        services: "0000000000000001",
        relaytxes: true,
        version: 170190,
        negotiated_version: 170190,
        subver: "/network-effect:0.1.0/",
        inbound: false,
        startingheight: 0
      })
      assert.match(shown?.addrlocal ?? "", /^127\.0\.7\.1:\d+$/)
      assert.isAtLeast(shown?.bytessent ?? 0, 24)
      assert.isAtLeast(shown?.bytesrecv ?? 0, 24)
      assert.isAtLeast(shown?.lastrecv ?? 0, shown?.conntime ?? Infinity)
      assert.isAtLeast(shown?.lastsend ?? 0, shown?.conntime ?? Infinity)
      assert.isAbove(shown?.load_ms ?? 0, 0)
      assert.isAtLeast(shown?.messagessent["version"] ?? 0, 1)
      assert.isAtLeast(shown?.messagesrecv["pong"] ?? 0, 1)
      // Rounded down to 300 s by the other side.
      assert.isAtMost(shown?.timeoffset ?? 1, 0)
      assert.isAbove(shown?.timeoffset ?? -301, -301)
    }).pipe(Effect.scoped)
  )

  it.live("says whether the node lives and is ready, and why it is not", () =>
    Effect.gen(function* () {
      const { client, services } = yield* withStatus("127.0.7.3")
      const health = yield* client.health()
      assert.deepInclude(health, { status: "live", network: "Regtest", listen: listenAddress(services) })
      assert.deepStrictEqual(health.slots, { inbound: 0, inboundLimit: 20, outbound: 0, outboundLimit: 12 })
      const error = yield* Effect.flip(client.ready())
      assert.deepInclude(error, { _tag: "NotReady", peers: 0, wanted: 2 })
      assert.strictEqual(error.message, "0 of the 2 peers that make this node ready are connected.")
      for (const ip of ["127.0.7.4", "127.0.7.5"]) {
        const other = yield* Layer.build(node(ip))
        yield* client.connect({ payload: { address: listenAddress(other), mode: "onetry" } })
      }
      assert.deepStrictEqual({ ...(yield* client.ready()) }, { peers: 2, wanted: 2 })
    }).pipe(Effect.scoped)
  )

  it.live("tells events as they happen, totals, metrics, and the picture of the network", () =>
    Effect.gen(function* () {
      const { client, services } = yield* withStatus("127.0.7.6")
      const events = yield* client.events()
      const connected = yield* events.pipe(
        Stream.filter((event) => event._tag === "PeerConnected"),
        Stream.runHead,
        Effect.forkScoped({ startImmediately: true })
      )
      const bob = yield* Layer.build(node("127.0.7.7"))
      yield* client.connect({ payload: { address: listenAddress(bob), mode: "onetry" } })
      const event = Option.getOrThrow(yield* Fiber.join(connected))
      assert.deepInclude(event, { address: listenAddress(bob), direction: "outbound" })
      const totals = yield* until(
        client.totals(),
        ({ messagesReceived }) => "ping" in messagesReceived && "pong" in messagesReceived
      )
      assert.isAbove(totals.bytesReceived, 0)
      assert.isAbove(totals.bytesSent, 0)
      assert.isAtLeast(totals.messagesSent["ping"] ?? 0, 1)
      assert.containsAllKeys(totals.messagesReceived, ["ping", "pong"])
      const [shown] = yield* client.network()
      assert.strictEqual(shown?.listen, listenAddress(services))
      assert.deepStrictEqual(
        shown?.peers.map(({ addr, inbound }) => ({ addr, inbound })),
        [{ addr: listenAddress(bob), inbound: false }]
      )
      assert.match(yield* client.metrics(), /^zcash_net_peers\{network="regtest"\} 1$/m)
    }).pipe(Effect.scoped)
  )

  it.live("tells the page all of it, then each second what changed, in the form that is described", () =>
    Effect.gen(function* () {
      const { client } = yield* withStatus("127.0.7.21")
      const messages = yield* (yield* client.live()).pipe(
        Stream.takeUntil((message) => message._tag === "Tick" && (message.peersCame ?? []).length > 0),
        Stream.runCollect,
        Effect.forkScoped({ startImmediately: true })
      )
      const bob = yield* Layer.build(node("127.0.7.22", { policy: { outboundMultiplier: 0 } }))
      const address = listenAddress(bob)
      const { peer } = yield* client.connect({ payload: { address, mode: "onetry" } })
      const [first, ...ticks] = yield* Fiber.join(messages).pipe(Effect.timeout("100 seconds"))
      assert.deepInclude(first, { _tag: "Snapshot", peers: [], bans: [], nodes: [] })
      assert.isTrue(ticks.every(({ _tag }) => _tag === "Tick"))
      const last = ticks.at(-1)
      const [came] = last?._tag === "Tick" ? (last.peersCame ?? []) : []
      assert.deepInclude(came, { id: peer?.id ?? 0, addr: address, inbound: false, agent: "/network-effect:0.1.0/" })
      const { minutes, seconds } = yield* client.history()
      assert.isAtLeast(seconds.length, 2)
      assert.isAtMost(minutes.length, 1)

      const params = { id: peer?.id ?? 0 }
      const detail = yield* until(client.peer({ params }), ({ pings }) => pings.length > 0)
      assert.strictEqual(detail.peer.addr, address)
      assert.isTrue(detail.pings.every(([at, millis]) => at > 1e12 && millis > 0))
      assert.deepStrictEqual(
        detail.events.map(({ _tag }) => _tag),
        ["DialStarted", "PeerConnected"]
      )
      const other = yield* Effect.flip(client.peer({ params: { id: params.id + 1 } }))
      assert.strictEqual(other.message, `No peer has the number ${params.id + 1}.`)
    }).pipe(Effect.scoped)
  )

  it.live("finds addresses by what is in them, in any case", () =>
    Effect.gen(function* () {
      const { client, services } = yield* withStatus("127.0.7.23", { policy: { dialInterval: Duration.hours(1) } })
      const book = Context.get(services, AddressBook)
      for (let n = 1; n <= 5; n++) yield* book.addPeer(PeerSocketAddress.fromStringUnsafe(`127.0.7.21${n}:1`))
      const found = (search: string, offset = 0) => client.addresses({ query: { search, offset } })
      assert.deepInclude(yield* found("7.214:"), { found: 1, offset: 0 })
      const all = yield* found("127.0.7.21", 2)
      assert.strictEqual(all.found, 5)
      assert.lengthOf(all.entries, 3)
      assert.strictEqual(all.counts.total, 5)
      assert.strictEqual((yield* found("nobody")).found, 0)
      const states = yield* Effect.all([found("NEVERATTEMPTED"), found("attemptpending"), found("Failed")])
      assert.strictEqual(
        states.reduce((sum, { found }) => sum + found, 0),
        5
      )
      const past = yield* Effect.flip(found("7.214:", 1))
      assert.strictEqual(past.message, "offset 1 is past the end: only 1 fit.")
      const long = yield* raw(`${(yield* withStatus("127.0.7.24")).url}/addresses?search=${"x".repeat(101)}`)
      assert.deepInclude(long, { status: 400 })
    }).pipe(Effect.scoped)
  )

  it.live("says which networks have the inbound places, and who had to go for whom", () =>
    Effect.gen(function* () {
      const { client, services } = yield* withStatus("127.0.7.30")
      const before = yield* client.evictions()
      assert.deepInclude(before, { inbound: 0, inboundLimit: 20, handshakePlaces: 8, networks: [], evictions: [] })
      yield* Layer.build(node("127.0.7.31", { peers: [PeerSocketAddress.fromStringUnsafe(listenAddress(services))] }))
      const { inbound, networks } = yield* until(client.evictions(), ({ inbound }) => inbound === 1)
      assert.deepStrictEqual([inbound, networks], [1, [{ network: "127.0.7.31", peers: 1 }]])
      const [peer] = yield* client.peers()
      assert.deepInclude(peer, { inbound: true, network: "127.0.7.31" })
      assert.match(yield* client.metrics(), /^zcash_net_inbound_largest_network_share\{network="regtest"\} 1$/m)
    }).pipe(Effect.scoped)
  )

  it.live("lists addresses by page, and says when there is no such page", () =>
    Effect.gen(function* () {
      const { client, services } = yield* withStatus("127.0.7.8", { policy: { dialInterval: Duration.hours(1) } })
      const book = Context.get(services, AddressBook)
      for (let n = 1; n <= 5; n++) yield* book.addPeer(PeerSocketAddress.fromStringUnsafe(`127.0.7.20${n}:1`))
      // A dial that ends between the two changes their order.
      const pages = Effect.all([client.addresses({ query: { limit: 2 } }), client.addresses({ query: { offset: 2 } })])
      const shown = (answer: Effect.Success<typeof pages>) =>
        answer.flatMap(({ entries }) => entries.map(({ address }) => address))
      const answer = yield* until(pages, (answer) => new Set(shown(answer)).size === 5)
      const [first] = answer
      const { attemptPending, failed, neverAttempted, responded } = first.counts
      // It may be dialling them already.
      assert.strictEqual(neverAttempted + attemptPending + failed + responded, 5)
      assert.deepInclude(first.counts, { total: 5, limit: 5000 })
      assert.lengthOf(first.entries, 2)
      assert.deepStrictEqual(
        shown(answer).toSorted(),
        [1, 2, 3, 4, 5].map((n) => `127.0.7.20${n}:1`)
      )
      assert.deepInclude(first.entries[0], { inbound: false, lastResponse: null })
      const error = yield* Effect.flip(client.addresses({ query: { offset: 5 } }))
      assert.strictEqual(error.message, "offset 5 is past the end: the book has 5 addresses.")
    }).pipe(Effect.scoped)
  )

  it.live("tells of each address which part of the internet and which table it is in, and finds it by them", () =>
    Effect.gen(function* () {
      // It dials nobody, so all stay where they are.
      const { client, services } = yield* withStatus("127.0.7.33", {
        policy: { outboundMultiplier: 0, reconnectDelay: defaults.reconnectDelay }
      })
      const book = Context.get(services, AddressBook)
      const address = PeerSocketAddress.fromStringUnsafe
      const told = ["203.0.113.7:1", "203.0.200.7:1", "198.51.100.7:1"].map((text) => ({
        address: address(text),
        services: 1n,
        lastSeenSeconds: 1_700_000_000
      }))
      yield* book.addGossiped(told, address("192.0.2.1:1"))
      yield* book.record({
        _tag: "UpdateConnected",
        address: address("203.0.113.7:1"),
        services: 1n,
        isInbound: false,
        userAgent: "/x/",
        negotiatedVersion: 170_190
      })
      const all = yield* client.addresses({ query: {} })
      assert.deepStrictEqual(all.tables, { new: 2, tried: 1, tested: 0, groups: 2 })
      assert.deepStrictEqual(all.anchors, ["203.0.113.7:1"])
      const places = all.entries.map(({ address, anchor, group, table }) => [address, group, table, anchor])
      assert.sameDeepMembers(places, [
        ["203.0.113.7:1", "203.0", "tried", true],
        ["203.0.200.7:1", "203.0", "new", false],
        ["198.51.100.7:1", "198.51", "new", false]
      ])
      for (const [search, found] of [
        ["203.0\n", 2],
        ["tried", 1],
        ["anchor", 1]
      ] as const) {
        assert.strictEqual((yield* client.addresses({ query: { search } })).found, found)
      }
      const metrics = yield* client.metrics()
      for (const [name, value] of Object.entries({ ...all.tables, anchors: 1 })) {
        assert.include(metrics, `zcash_net_addresses_${name}{network="regtest"} ${value}\n`)
      }
    }).pipe(Effect.scoped)
  )

  it.live("disconnects, bans for as long as told, and lifts bans", () =>
    Effect.gen(function* () {
      const { client, services } = yield* withStatus("127.0.7.9")
      // Bob does not dial back.
      const bob = yield* Layer.build(node("127.0.7.10", { policy: { outboundMultiplier: 0 } }))
      const payload = { address: listenAddress(bob), mode: "onetry" } as const
      const { peer } = yield* client.connect({ payload })
      const params = { id: peer?.id ?? 0 }
      yield* client.disconnect({ params })
      assert.deepStrictEqual(yield* client.peers(), [])
      const gone = yield* Effect.flip(client.disconnect({ params }))
      assert.strictEqual(gone.message, `No peer has the number ${params.id}.`)

      // Alice may have come first: Bob is in her book.
      yield* Effect.ignore(client.connect({ payload }))
      yield* until(client.peers(), (peers) => peers.length === 1)
      const ban = yield* client.ban({ payload: { address: "127.0.7.10", seconds: 60, reason: "a test" } })
      assert.deepInclude(ban, { group: "127.0.7.10", reason: "a test" })
      yield* until(client.peers(), (peers) => peers.length === 0)
      const refused = yield* Effect.flip(client.connect({ payload }))
      assert.deepInclude(refused, { _tag: "Conflict", reason: "PeerBanned" })
      assert.deepStrictEqual(yield* client.bans(), [ban])
      const bans = Context.get(services, BanList)
      assert.isTrue(yield* bans.isBanned(PeerSocketAddress.fromStringUnsafe("127.0.7.10:1")))
      yield* client.unban({ params: { group: "127.0.7.10" } })
      assert.deepStrictEqual(yield* client.bans(), [])
      const error = yield* Effect.flip(client.unban({ params: { group: "127.0.7.10" } }))
      assert.strictEqual(error.message, "127.0.7.10 is not banned.")
      const wide = yield* client.ban({ payload: { address: "2001:db8::7" } })
      assert.strictEqual(wide.group, "2001:db8::/64")
      yield* client.unban({ params: { group: "2001:db8::/64" } })
      const mapped = yield* client.ban({ payload: { address: "::ffff:127.0.7.10" } })
      assert.strictEqual(mapped.group, "127.0.7.10")
      const port = payload.address.slice(payload.address.indexOf(":") + 1)
      const still = yield* Effect.flip(
        client.connect({ payload: { ...payload, address: `[::ffff:127.0.7.10]:${port}` } })
      )
      assert.deepInclude(still, { _tag: "Conflict", reason: "PeerBanned" })
      yield* client.unban({ params: { group: "::ffff:127.0.7.10" } })
      assert.deepStrictEqual(yield* client.bans(), [])
    }).pipe(Effect.scoped)
  )

  it.live("dials once and says why it failed, or keeps an address connected until it is removed", () =>
    Effect.gen(function* () {
      const { client } = yield* withStatus("127.0.7.11")
      const refused = yield* Effect.flip(client.connect({ payload: { address: "127.0.7.12:1", mode: "onetry" } }))
      assert.deepInclude(refused, { _tag: "NotConnected", reason: "ECONNREFUSED" })
      const bob = yield* Layer.build(node("127.0.7.12"))
      const address = listenAddress(bob)
      const { added } = yield* client.connect({ payload: { address, mode: "add" } })
      assert.deepStrictEqual(added, [address])
      const [peer] = yield* until(client.peers(), (peers) => peers.length === 1)
      // It comes back after it was let go.
      yield* client.disconnect({ params: { id: peer?.id ?? 0 } })
      const [again] = yield* until(client.peers(), (peers) => peers.length === 1)
      assert.notStrictEqual(again?.id, peer?.id)
      const { added: left } = yield* client.connect({ payload: { address, mode: "remove" } })
      assert.deepStrictEqual(left, [])
      const error = yield* Effect.flip(client.connect({ payload: { address, mode: "remove" } }))
      assert.strictEqual(error.message, `${address} is not among the added addresses.`)
    }).pipe(Effect.scoped)
  )

  it.live("says why a host that is connected already may not have a second connection, and what to do", () =>
    Effect.gen(function* () {
      const { client } = yield* withStatus("127.0.7.43")
      const quiet = { policy: { outboundMultiplier: 0 } }
      const [first, second] = [
        yield* Layer.build(node("127.0.7.44", quiet)),
        yield* Layer.build(node("127.0.7.44", quiet))
      ]
      yield* client.connect({ payload: { address: listenAddress(first), mode: "onetry" } })
      const refused = yield* Effect.flip(
        client.connect({ payload: { address: listenAddress(second), mode: "onetry" } })
      )
      assert.strictEqual(
        refused.message,
        "No connection was made: its host has all the connections it may have: disconnect one of them first."
      )
      assert.deepInclude(refused, { _tag: "Conflict", reason: "PeerRefused" })
    }).pipe(Effect.scoped)
  )

  it.live("changes the level of the logs", () =>
    Effect.gen(function* () {
      const { client } = yield* withStatus("127.0.7.13")
      const before = yield* client.logLevel()
      assert.deepStrictEqual(yield* client.setLogLevel({ payload: { level: "Debug" } }), { level: "Debug" })
      assert.deepStrictEqual(yield* client.logLevel(), { level: "Debug" })
      yield* client.setLogLevel({ payload: before })
    }).pipe(Effect.scoped)
  )

  it.live("describes itself in OpenAPI, as a validator of others finds", () =>
    Effect.gen(function* () {
      const { url } = yield* withStatus("127.0.7.14")
      const { body } = yield* raw(`${url}/openapi.json`)
      const validator = new Validator()
      const result = yield* Effect.promise(() => validator.validate(body))
      assert.deepStrictEqual(result, { valid: true })
      const paths = body["paths"] as Readonly<Record<string, { readonly get?: Operation }>>
      assert.includeMembers(Object.keys(paths), ["/peers", "/bans/{group}", "/events", "/metrics"])
      // What it shows as parameters is taken, at one of which nothing is there.
      for (const [path, { get }] of Object.entries(paths)) {
        if (get?.parameters === undefined || get.parameters.length === 0) continue
        const given = get.parameters.map(({ example, name }) => [name, String(example)])
        const filled = given.reduce((text, [name = "", value = ""]) => text.replace(`{${name}}`, value), path)
        const { body: said, status } = yield* raw(
          `${url}${filled}?${path.includes("{") ? "" : new URLSearchParams(given)}`
        )
        assert.strictEqual(status, path === "/peers/{id}" ? 404 : 200, `${filled} ${JSON.stringify(said)}`)
      }
    }).pipe(Effect.scoped)
  )
})

interface Media {
  readonly schema?: object
  readonly example?: unknown
}
interface Operation {
  readonly description?: string
  readonly parameters?: ReadonlyArray<{
    readonly name: string
    readonly description?: string
    readonly example?: unknown
  }>
  readonly requestBody?: { readonly content: Readonly<Record<string, Media>> }
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Media>> }>>
}

describe.each([
  { of: "a node", api: StatusApi, atLeast: [21, 60, 7] },
  { of: "a census", api: CensusApi, atLeast: [2, 12, 3] }
] as const)("the description of the interface of $of", ({ api, atLeast }) => {
  const [someOperations, someAnswers, someParameters] = atLeast
  const spec: OpenApi.OpenAPISpec = api === CensusApi ? OpenApi.fromApi(CensusApi) : OpenApi.fromApi(StatusApi)
  const operations = Object.entries(
    spec.paths as unknown as Readonly<Record<string, Readonly<Record<string, Operation>>>>
  ).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ name: `${method} ${path}`, operation }))
  )

  it("says of every operation what it does, and shows what is sent and answered", () => {
    assert.isAtLeast(operations.length, someOperations)
    for (const { name, operation } of operations) {
      assert.match(operation.description ?? "", /^[A-Z0-9].*[.]$/, name)
      const contents = [operation.requestBody, ...Object.values(operation.responses)].flatMap((part) =>
        Object.entries(part?.content ?? {})
      )
      assert.isNotEmpty(contents, name)
      for (const [type, { example }] of contents) assert.isDefined(example, `${name} ${type}`)
    }
  })

  it("says of every parameter what it is, and shows one", () => {
    const all = operations.flatMap(({ operation }) => operation.parameters ?? [])
    assert.strictEqual(all.length, someParameters)
    for (const { description, example, name } of all) {
      assert.match(description ?? "", /^[A-Z].*[.]$/, name)
      assert.isString(example, name)
    }
  })

  it("has examples that the interface itself takes", () => {
    let checked = 0
    type OnEndpoint = Parameters<typeof HttpApi.reflect>[1]["onEndpoint"]
    const look: OnEndpoint = ({ endpoint, errors, successes }) => {
      const name = `${endpoint.method.toLowerCase()} ${endpoint.path.replaceAll(/:(\w+)/g, "{$1}")}`
      const { operation } = operations.find((other) => other.name === name) ?? assert.fail(name)
      for (const [status, schemas] of [...successes, ...errors]) {
        for (const [type, { example }] of Object.entries(operation.responses[status]?.content ?? {})) {
          if (!type.includes("json")) continue
          const isOne = schemas.some((schema) => Schema.is(Schema.toEncoded(schema))(example))
          assert.isTrue(isOne, `${name} ${status}: ${JSON.stringify(example)}`)
          checked++
        }
      }
    }
    const parts = { onGroup: () => {}, onEndpoint: look }
    if (api === CensusApi) HttpApi.reflect(CensusApi, parts)
    else HttpApi.reflect(StatusApi, parts)
    assert.isAtLeast(checked, someAnswers)
  })

  if (api === CensusApi) return
  it("has examples that a node could have given", () => {
    const health = operations.find(({ name }) => name === "get /health")?.operation.responses["200"]?.content
    assert.deepInclude(health?.["application/json"]?.example as object, {
      status: "live",
      network: "Mainnet",
      userAgent: "/Zebra:5.2.0/",
      listen: "198.51.100.20:8233"
    })
    const wrong = operations.find(({ name }) => name === "post /connect")?.operation.responses["409"]?.content
    assert.deepInclude(wrong?.["application/problem+json"]?.example as object, {
      status: 409,
      title: "Conflict",
      detail: "No connection was made: it is connected already."
    })
  })
})

describe("a reader of events", () => {
  it.live("that does not read loses the oldest, is told how many, and holds nobody up", () =>
    Effect.gen(function* () {
      const { client, services } = yield* withStatus("127.0.7.20")
      const events = yield* client.events()
      const { publish } = Context.get(services, NetworkEvents)
      // 130 MB, more than what sockets and the ring of waiting pieces hold together. Adverts would be left out for everybody.
      const group = "x".repeat(65_000)
      for (let n = 0; n < 2000; n++) {
        yield* publish({ _tag: "BanEnded", group })
        if (n % 50 === 0) yield* Effect.sleep("5 millis")
      }
      assert.strictEqual((yield* client.health()).status, "live")
      let [lost, told] = [0, 0]
      yield* events.pipe(
        Stream.runForEachWhile((event) =>
          Effect.sync(() => {
            if (event._tag === "BanEnded") told++
            if (event._tag === "EventsLost") lost += event.count
            return told + lost < 2000
          })
        ),
        Effect.timeout("100 seconds")
      )
      assert.isAbove(lost, 0)
      // More than what was told before anything was lost: it goes on with the latest.
      assert.isAbove(told, 2)
      assert.strictEqual(told + lost, 2000)
    }).pipe(Effect.scoped)
  )
})

describe("a request that makes no sense", () => {
  it.live("is answered with one sentence, and changes nothing", () =>
    Effect.gen(function* () {
      const { client, url } = yield* withStatus("127.0.7.15")
      const cases: ReadonlyArray<readonly [string, RequestInit, number, string]> = [
        ["/bans", json("{bad"), 400, "The body is wrong: Expected a valid JSON body."],
        [
          "/bans",
          json({ address: "192.0.2.1", secs: 5 }),
          400,
          "The body is wrong at secs: Expected no excess property."
        ],
        [
          "/bans",
          json({ address: "192.0.2.1", seconds: 1e12 }),
          400,
          "The body is wrong at seconds: Expected a value between 1 and 315360000."
        ],
        [
          "/bans",
          json({ address: "192.0.2.1", seconds: 0 }),
          400,
          "The body is wrong at seconds: Expected a value between 1 and 315360000."
        ],
        [
          "/bans",
          json({ address: "nobody" }),
          400,
          '"nobody" is not an address: say an IP such as 192.0.2.10 or 2001:db8::1.'
        ],
        ["/bans", json({}), 400, "The body is wrong at address: Missing key."],
        ["/bans", json(`{"address":"${"1".repeat(20_000)}"}`), 413, "A request may have 16 KiB at most."],
        [
          "/connect",
          json({ address: "0.0.0.0:1", mode: "add" }),
          400,
          "0.0.0.0:1 cannot be dialled: the IP is unspecified."
        ],
        [
          "/connect",
          json({ address: "nowhere", mode: "add" }),
          400,
          '"nowhere" is not an address: say ip, ip:port or [ip6]:port.'
        ],
        ["/peers/one", { method: "DELETE" }, 400, "The path is wrong at id: Expected a finite number."],
        ["/addresses?offset=9", {}, 400, "offset 9 is past the end: the book has 0 addresses."],
        ["/addresses?limit=1001", {}, 400, "The query is wrong at limit: Expected a value between 0 and 1000."],
        ["/addresses?pages=2", {}, 400, "The query is wrong at pages: Expected no excess property."],
        [
          "/log-level",
          json({ level: "Loud" }, "PUT"),
          400,
          'The body is wrong at level: Expected "All" | "Trace" | "Debug" | "Info" | "Warn" | "Error" | "Fatal" | "None".'
        ],
        ["/nothing", {}, 404, "There is nothing here: /docs lists what there is."],
        ["/peers", { method: "PATCH" }, 405, "This is asked by GET, not by PATCH."],
        ["/bans/192.0.2.1?x=1", { method: "POST" }, 405, "This is asked by DELETE, not by POST."],
        ["/log-level", { method: "DELETE" }, 405, "This is asked by GET or PUT, not by DELETE."],
        ["/", { method: "PUT" }, 405, "This is asked by GET or POST, not by PUT."],
        [
          "/bans",
          { method: "POST", body: "{}" },
          415,
          "The body has to be JSON: send it with content-type: application/json."
        ],
        [
          "/peers",
          { headers: { origin: "http://elsewhere.example" } },
          403,
          "Pages of http://elsewhere.example may not ask this server."
        ]
      ]
      for (const [path, init, status, detail] of cases) {
        const answer = yield* raw(`${url}${path}`, init)
        assert.deepInclude(answer, { status, type: "application/problem+json" }, path)
        assert.strictEqual(answer.body["detail"], detail)
        assert.strictEqual(answer.body["status"], status)
      }
      assert.deepStrictEqual(yield* client.bans(), [])
      assert.deepStrictEqual(yield* client.added(), [])
    }).pipe(Effect.scoped)
  )

  it.live("needs the token, where there is one; that the process lives is told to everybody", () =>
    Effect.gen(function* () {
      const { client, clientWith, url } = yield* withStatus("127.0.7.16", { token: "open sesame" })
      assert.deepStrictEqual(yield* client.peers(), [])
      yield* client.ban({ payload: { address: "192.0.2.1" } })
      for (const token of [undefined, "", "open", "open sesame!", "shut sesame"]) {
        const stranger = yield* clientWith(token)
        assert.strictEqual((yield* Effect.flip(stranger.peers()))._tag, "Unauthorized")
        assert.strictEqual((yield* Effect.flip(stranger.metrics()))._tag, "Unauthorized")
        assert.strictEqual(
          (yield* Effect.flip(stranger.ban({ payload: { address: "192.0.2.2" } })))._tag,
          "Unauthorized"
        )
        assert.strictEqual((yield* stranger.health()).status, "live")
      }
      assert.strictEqual((yield* client.bans()).length, 1)
      const { status } = yield* raw(`${url}/events`)
      assert.strictEqual(status, 401)
    }).pipe(Effect.scoped)
  )
})

describe("a status server", () => {
  it.live("does not start where another one is, and says so", () =>
    Effect.gen(function* () {
      const { at, services } = yield* withStatus("127.0.7.17")
      const second = Layer.build(StatusServer.layer(at)).pipe(Effect.provideContext(services))
      const error = yield* Effect.flip(Effect.scoped(second))
      assert.instanceOf(error, ListenError)
      assert.deepInclude(error, { code: "EADDRINUSE", address: PeerSocketAddress.format(at) })
    }).pipe(Effect.scoped)
  )

  it.live("does not start where others reach it, unless it has a token", () =>
    Effect.gen(function* () {
      const { services } = yield* withStatus("127.0.7.18")
      const anywhere = PeerSocketAddress.fromStringUnsafe("0.0.0.0:0")
      const open = Layer.build(StatusServer.layer(anywhere)).pipe(Effect.provideContext(services))
      assert.instanceOf(yield* Effect.flip(Effect.scoped(open)), StatusNeedsToken)
    }).pipe(Effect.scoped)
  )

  it.live("ends, whoever still listens to it, and so do all who do", () =>
    Effect.gen(function* () {
      const readers: Array<Promise<Response>> = []
      yield* Effect.gen(function* () {
        const { url } = yield* withStatus("127.0.7.19")
        for (let i = 0; i < 20; i++) readers.push(fetch(`${url}/events`))
        yield* Effect.promise(() => Promise.all(readers))
      }).pipe(Effect.scoped)
      // A body that is still open is read without end.
      const ends = readers.map((reader) =>
        reader
          .then((response) => response.text())
          .then(
            () => "end",
            () => "cut"
          )
      )
      for (const end of yield* Effect.promise(() => Promise.all(ends))) assert.include(["end", "cut"], end)
    })
  )
})
