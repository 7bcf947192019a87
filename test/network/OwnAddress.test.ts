/** What a node says of where it can be reached, to the book and to others, and what it does when it hears of itself. */
import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Duration, Effect, Layer, Option, References } from "effect"
import {
  AddressBook,
  ChainParams,
  type ChainParamsShape,
  mainnet,
  type Message,
  Network,
  NODE_NETWORK,
  PeerSocketAddress,
  TcpTransport,
  testnet
} from "network-effect"
import { Node } from "network-effect/layers"
import { ScriptedPeer } from "network-effect/simulation"
import { alice, peerAddress } from "../support/addresses.ts"
import { countOf, dialsOf, gossip, inWorld, peerFrom, startNode, until } from "../support/wholeNode.ts"

const address = PeerSocketAddress.fromStringUnsafe
const { format } = PeerSocketAddress

const skipsIpv6 = process.env["SKIP_IPV6_TESTS"] !== undefined
if (skipsIpv6) console.log("IPv6 tests are skipped: SKIP_IPV6_TESTS is set")

/** What somebody is told who dials there: the `version` of whoever answers. */
const versionAt = (listener: PeerSocketAddress.PeerSocketAddress, chain: ChainParamsShape) =>
  Effect.gen(function* () {
    const version = yield* Deferred.make<Message.Version>()
    const script: ScriptedPeer.Script = {
      shakes: false,
      answer: (message) => (message._tag === "Version" ? Deferred.succeed(version, message) : Effect.succeed(true))
    }
    return yield* Effect.raceFirst(
      Deferred.await(version),
      Effect.andThen(ScriptedPeer.dial(listener, script), Effect.die("nobody said a version"))
    )
  }).pipe(Effect.provide(TcpTransport.layer), Effect.provideService(ChainParams, chain), Effect.timeout("100 seconds"))

/** A node over TCP that listens there, until it is known what it says of that, to the book and to whoever connects. */
const toldOf = Effect.fnUntraced(
  function* (chain: ChainParamsShape, listenAddress: PeerSocketAddress.PeerSocketAddress) {
    const node = yield* Layer.build(Node.layer({ chain, listenAddress, peers: [] }))
    const bound = Option.getOrThrow(Context.get(node, Network).listenAddress)
    const reachable = listenAddress._tag === "InetAddressV6" ? address("[::1]:0") : address("127.0.0.1:0")
    const { addressFrom } = yield* versionAt(PeerSocketAddress.fromIp(reachable.address, bound.port), chain)
    const gossiped = (yield* Context.get(node, AddressBook).gossip).map((told) => format(told.address))
    return { bound, stated: format(addressFrom.address), gossiped }
  },
  Effect.scoped,
  Effect.provideService(References.MinimumLogLevel, "None")
)

describe("a node tells of its listener, to the book and in its version", () => {
  for (const [number, listen, name] of [
    [1, "0.0.0.0:0", "local_listener_unspecified_port_unspecified_addr_v4; NB-12"],
    [2, "[::]:0", "local_listener_unspecified_port_unspecified_addr_v6; NB-12"]
  ] as const) {
    it.live.skipIf(skipsIpv6 && listen.startsWith("["))(
      `the port that it really has, and no IP when it has none: ${listen} (network ${number}, ${name})`,
      () =>
        Effect.gen(function* () {
          for (const chain of [mainnet, testnet]) {
            const { bound, gossiped, stated } = yield* toldOf(chain, address(listen))
            assert.isAbove(bound.port, 0)
            assert.strictEqual(stated, listen.replace(/0$/, `${bound.port}`))
            // Nobody could dial it.
            assert.isEmpty(gossiped)
          }
        })
    )
  }

  for (const [number, listen, name] of [
    [3, "127.0.0.1:0", "local_listener_unspecified_port_localhost_addr_v4; NB-12"],
    [4, "[::1]:0", "local_listener_unspecified_port_localhost_addr_v6; NB-12"]
  ] as const) {
    it.live.skipIf(skipsIpv6 && listen.startsWith("["))(
      `the port that it really has: ${listen} (network ${number}, ${name})`,
      () =>
        Effect.gen(function* () {
          for (const chain of [mainnet, testnet]) {
            const { bound, gossiped, stated } = yield* toldOf(chain, address(listen))
            const expected = listen.replace(/0$/, `${bound.port}`)
            assert.isAbove(bound.port, 0)
            assert.deepStrictEqual([stated, gossiped], [expected, [expected]])
          }
        })
    )
  }

  for (const [number, ip, name] of [
    [5, "127.0.0.1:0", "local_listener_fixed_port_localhost_addr_v4; NB-12"],
    [6, "[::1]:0", "local_listener_fixed_port_localhost_addr_v6; NB-12"]
  ] as const) {
    it.live.skipIf(skipsIpv6 && ip.startsWith("["))(
      `the port that it was given: ${ip.slice(0, -1)}N (network ${number}, ${name})`,
      () =>
        Effect.gen(function* () {
          for (const chain of [mainnet, testnet]) {
            // Somebody had it a moment ago.
            const { bound: free } = yield* toldOf(chain, address(ip))
            const { gossiped, stated } = yield* toldOf(chain, free)
            assert.deepStrictEqual([stated, gossiped], [format(free), [format(free)]])
          }
        })
    )
  }
})

describe("a node that others reach at another address than the one it listens at", () => {
  it("tells them that one, and not where it listens (addresses Q12)", () =>
    inWorld(
      Effect.gen(function* () {
        const externalAddress = address("203.0.113.77:8233")
        const heard: Array<Message.Message> = []
        const { book } = yield* startNode({ externalAddress })
        yield* peerFrom(peerAddress(1), {
          begin: ({ say }) => say({ _tag: "GetAddr" }),
          answer: (message) =>
            Effect.as(
              Effect.sync(() => heard.push(message)),
              true
            )
        })
        yield* until("1 second")
        const addresses = heard.flatMap((message) => (message._tag === "Addr" ? message.addresses : []))
        assert.deepStrictEqual(
          addresses.map((told) => [format(told.address), told.services]),
          [[format(externalAddress), NODE_NETWORK]]
        )
        assert.deepStrictEqual(
          (yield* book.gossip).map((told) => format(told.address)),
          [format(externalAddress)]
        )
      })
    ))
})

describe("a node that hears of its own address", () => {
  it("dials it once, is not connected, and forgets it for good (network 37, self_connections_should_fail; addresses E7)", () =>
    inWorld(
      Effect.gen(function* () {
        const { book, events, network, peerSet } = yield* startNode({
          listenAddress: PeerSocketAddress.fromIp(alice.address, 0),
          policy: { targetPeers: 3, crawlInterval: Duration.seconds(1) }
        })
        const own = Option.getOrThrow(network.listenAddress)
        assert.isAbove(own.port, 0)
        // What another node may say that saw us: the IP is specified, the port is real.
        assert.strictEqual(yield* gossip(book, [own]), 1)
        assert.deepStrictEqual(
          (yield* book.entries).map((entry) => format(entry.address)),
          [format(own)]
        )
        yield* until("3 seconds")
        assert.isEmpty(yield* book.entries)
        assert.strictEqual(yield* gossip(book, [own]), 0)
        // Nor later, whoever tells of it, and when each time of the book is over.
        yield* until("10 minutes")
        assert.strictEqual(yield* gossip(book, [own]), 0)
        yield* until("20 minutes")
        assert.deepStrictEqual(
          dialsOf(events).map((dial) => dial.address),
          [format(own)]
        )
        assert.strictEqual(countOf(events, "PeerConnected"), 0)
        assert.deepStrictEqual(yield* peerSet.counts, { ready: 0, busy: 0, inbound: 0, outbound: 0 })
        assert.isTrue(Option.isNone(yield* book.get(own)))
        // It still tells others where it is.
        assert.deepStrictEqual(
          (yield* book.gossip).map((told) => format(told.address)),
          [format(own)]
        )
      })
    ))
})
