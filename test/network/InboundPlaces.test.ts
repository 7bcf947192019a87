/** Whom a whole node lets in: its limit, the places it keeps for trusted peers, and how it knows who comes. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Duration, Effect, Fiber, Layer, Option, References, Schedule, Stream } from "effect"
import {
  ChainParams,
  defaults,
  mainnet,
  Network,
  type NetworkEvent,
  NetworkEvents,
  PeerSet,
  PeerSocketAddress,
  Policy,
  TcpTransport
} from "network-effect"
import { Node } from "network-effect/layers"
import { ScriptedPeer } from "network-effect/simulation"
import { peerAddress } from "../support/addresses.ts"
import { inWorld, peerFrom, startNode, told, until } from "../support/wholeNode.ts"

const hostOf = (text: string) => text.slice(0, text.lastIndexOf(":"))

/** Who was let in, and who was refused and why, in the order of their coming. */
const admissions = (events: ReadonlyArray<NetworkEvent>) =>
  events.flatMap((event) => {
    if (event._tag === "PeerConnected") return [[hostOf(event.address), "in"]]
    return event._tag === "InboundRefused" ? [[hostOf(event.address), event.reason]] : []
  })

/** How many were let in. */
const letIn = (events: ReadonlyArray<NetworkEvent>) =>
  admissions(events).filter(([, outcome]) => outcome === "in").length

const quick = { acceptInterval: Duration.millis(25) }

describe("a node's limit of inbound connections", () => {
  const listener = "network 35, listener_peer_limit_default_handshake_ok_stay_open"

  it(`lets as many hosts in as there are places, and refuses the others (${listener})`, () =>
    inWorld(
      Effect.gen(function* () {
        const { events, peerSet } = yield* startNode({ policy: quick })
        const seen = yield* Effect.forEach(Array.from({ length: 251 }), (_, i) => peerFrom(peerAddress(i)))
        yield* until("10 seconds")
        assert.deepInclude(yield* peerSet.counts, { inbound: 125, outbound: 0 })
        assert.strictEqual(letIn(events), 125)
        assert.strictEqual(seen.filter(({ open }) => open === 1).length, 125)
        const refused = admissions(events).filter(([, outcome]) => outcome === "capacity")
        assert.strictEqual(new Set(refused.map(([host]) => host)).size, 126)
      })
    ))

  it(`lets one host in once, however often it comes (${listener})`, () =>
    inWorld(
      Effect.gen(function* () {
        const { events, peerSet } = yield* startNode({ policy: quick })
        const seen = yield* Effect.forEach(Array.from({ length: 251 }), () => peerFrom(peerAddress(1)))
        yield* until("10 seconds")
        assert.deepInclude(yield* peerSet.counts, { inbound: 1, outbound: 0 })
        assert.strictEqual(letIn(events), 1)
        assert.strictEqual(seen.filter(({ open }) => open === 1).length, 1)
      })
    ))
})

describe("a place that is kept for a trusted peer", () => {
  const sidecar = peerAddress(2)

  const takesOne = Effect.fnUntraced(function* (trusted: string) {
    const { events, peerSet } = yield* startNode({
      policy: { ...quick, targetPeers: 1, connectionsPerGroup: 1000 },
      trustedPeers: new Set([trusted])
    })
    // Of as many networks: of a crowd from one of them somebody would have to go for the second trusted connection.
    for (let n = 0; n < 5; n++) yield* peerFrom(peerAddress(100 + n))
    yield* until("5 seconds")
    for (let n = 0; n < 2; n++) yield* peerFrom(sidecar)
    yield* until("10 seconds")
    const trustedHost = hostOf(PeerSocketAddress.format(sidecar))
    const trustedOnes = admissions(events).filter(([host, outcome]) => host === trustedHost && outcome === "in").length
    assert.deepStrictEqual([letIn(events) - trustedOnes, trustedOnes], [4, 1])
    assert.deepInclude(yield* peerSet.counts, { inbound: 5 })
  })

  it("leaves the public one place less (network 27, listener_reserves_one_zcashd_compat_inbound_slot)", () =>
    inWorld(takesOne("10.2.0.1")))

  it("is kept for it in whichever spelling it was named (network 27, listener_reserves_one_zcashd_compat_inbound_slot; NB-9)", () =>
    inWorld(takesOne("::ffff:10.2.0.1")))

  it("does not count for what its host may have within 119 s (network 3.3, step 5)", () =>
    inWorld(
      Effect.gen(function* () {
        const { events } = yield* startNode({
          policy: { ...quick, targetPeers: 1 },
          trustedPeers: new Set(["10.2.0.1"])
        })
        // The kept place is taken once; from then on it comes as everybody does, which is once.
        for (const second of [1, 2, 3]) {
          yield* peerFrom(sidecar)
          yield* until(`${second} seconds`)
        }
        assert.deepStrictEqual(admissions(events), [
          ["10.2.0.1", "in"],
          ["10.2.0.1", "in"],
          ["10.2.0.1", "too-soon"]
        ])
      })
    ))
})

const skipsIpv6 = process.env["SKIP_IPV6_TESTS"] !== undefined
if (skipsIpv6) console.log("IPv6 tests are skipped: SKIP_IPV6_TESTS is set")

const holds = (condition: Effect.Effect<boolean>) =>
  condition.pipe(
    Effect.repeat({ schedule: Schedule.spaced("10 millis"), until: (held) => held }),
    Effect.timeout("100 seconds")
  )

describe.skipIf(skipsIpv6)("a node on a dual-stack socket", () => {
  it.live(
    "knows an IPv4 peer by its IPv4 address, for its limit, its ban and when it lets go of it (network 32, banned_connected_inbound_peer_is_dropped_from_peer_set; NB-9)",
    () =>
      Effect.gen(function* () {
        const node = yield* Layer.build(
          Node.layer({ chain: mainnet, listenAddress: PeerSocketAddress.fromStringUnsafe("[::]:0"), peers: [] })
        )
        const network = Context.get(node, Network)
        const peerSet = Context.get(node, PeerSet)
        const events: Array<NetworkEvent> = []
        yield* Context.get(node, NetworkEvents).stream.pipe(
          Stream.runForEach((event) => Effect.sync(() => events.push(event))),
          Effect.forkScoped({ startImmediately: true })
        )
        const { port } = Option.getOrThrow(network.listenAddress)
        const ipv4 = PeerSocketAddress.fromStringUnsafe(`127.0.0.1:${port}`)
        /** Ends with its connection. */
        const connection = ScriptedPeer.dial(ipv4, ScriptedPeer.honest(told([peerAddress(1)]))).pipe(
          Effect.provide(TcpTransport.layer),
          Effect.provideService(ChainParams, mainnet)
        )
        const first = yield* Effect.forkScoped(connection)
        yield* network.awaitReady({ peers: 1 })
        const answer = yield* network.request({ _tag: "Peers" }).pipe(Effect.timeout("100 seconds"))
        assert.strictEqual(answer.addresses.length, 1)
        const [peer] = yield* peerSet.peers
        assert.deepStrictEqual(peer?.transientAddress?.address, ipv4.address)
        // Another connection of the same host comes too soon, whatever its spelling.
        yield* connection.pipe(Effect.timeout("100 seconds"))
        assert.deepStrictEqual(admissions(events), [
          ["127.0.0.1", "in"],
          ["127.0.0.1", "too-soon"]
        ])

        yield* network.reportMisbehavior({
          address: PeerSocketAddress.fromStringUnsafe("127.0.0.1:1"),
          score: 100,
          reason: "an invalid block"
        })
        yield* Fiber.join(first).pipe(Effect.timeout("100 seconds"))
        yield* holds(Effect.map(peerSet.peers, (peers) => peers.length === 0))
        // Nobody is left to answer.
        const unanswered = yield* Effect.forkScoped(network.request({ _tag: "Peers" }), { startImmediately: true })
        yield* connection.pipe(Effect.timeout("100 seconds"))
        yield* holds(Effect.sync(() => admissions(events).length === 3))
        assert.deepStrictEqual(admissions(events)[2], ["127.0.0.1", "banned"])
        assert.isUndefined(unanswered.pollUnsafe())
      }).pipe(
        Effect.scoped,
        Effect.provideService(Policy, {
          ...defaults,
          misbehaviorInterval: Duration.millis(100),
          acceptInterval: Duration.millis(5)
        }),
        Effect.provideService(References.MinimumLogLevel, "None")
      )
  )
})
