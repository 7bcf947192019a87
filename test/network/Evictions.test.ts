/** Who gets into a full node, who has to go for it, and who moves nobody. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Metric } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { defaults, inboundLimit, type NetworkEvent, PeerSocketAddress, type Policy } from "network-effect"
import { ScriptedPeer } from "network-effect/simulation"
import { countOf, elapsed, inWorld, peerFrom, startNode, until } from "../support/wholeNode.ts"

const at = (ip: string) => PeerSocketAddress.fromStringUnsafe(`${ip}:8233`)

/** The nth host of one /16. */
const ofOneNetwork = (n: number) => at(`44.1.${n >> 8}.${n & 0xff}`)

/** The nth of hosts that all are in networks of their own. */
const ofItsOwn = (n: number) => at(`${60 + (n >> 8)}.${n & 0xff}.7.7`)

const evictedOf = (events: ReadonlyArray<NetworkEvent>) =>
  events.flatMap((event) => (event._tag === "PeerEvicted" ? [event] : []))

const hostOf = (event: NetworkEvent | undefined) =>
  event !== undefined && "address" in event ? event.address.replace(/:\d+$/, "") : undefined

const quick = { acceptInterval: Duration.millis(25) }

/** A node whose every inbound place is taken by hosts of one /16. */
const fullNode = Effect.fnUntraced(function* (policy?: Partial<Policy>) {
  const node = yield* startNode(policy === undefined ? {} : { policy })
  const attackers = yield* Effect.forEach(Array.from({ length: 125 }), (_, n) =>
    // One network may not have more than so many waiting.
    Effect.tap(peerFrom(ofOneNetwork(n + 1)), () => Effect.sleep("1200 millis"))
  )
  yield* until("3 minutes")
  assert.strictEqual((yield* node.peerSet.counts).inbound, inboundLimit(defaults))
  return { ...node, attackers }
})

describe("a full listener", () => {
  it("lets an honest newcomer in every minute, within two seconds, and keeps it", () =>
    inWorld(
      Effect.gen(function* () {
        const { attackers, events, evictions, peerSet } = yield* fullNode()
        assert.deepStrictEqual(evictions.networks(), [["44.1", 125]])
        const newcomers = []
        for (let minute = 4; minute < 34; minute++) {
          yield* until(Duration.minutes(minute))
          const began = yield* elapsed
          const seen = yield* peerFrom(ofItsOwn(minute))
          yield* Effect.sleep("2 seconds")
          const joined = events.findLast((event) => event._tag === "PeerConnected")
          assert.strictEqual(hostOf(joined), `60.${minute}.7.7`)
          assert.isBelow((yield* elapsed) - began, 2001)
          assert.strictEqual((yield* peerSet.counts).inbound, inboundLimit(defaults))
          newcomers.push(seen)
        }
        yield* until("40 minutes")
        assert.strictEqual(newcomers.filter(({ open }) => open === 1).length, 30)
        assert.strictEqual(attackers.filter(({ open }) => open === 1).length, 95)
        const evicted = evictedOf(events)
        assert.deepStrictEqual(
          evicted.map(({ ofNetwork }) => ofNetwork),
          Array.from({ length: 30 }, (_, n) => 125 - n)
        )
        assert.strictEqual(hostOf(evicted[0]), "44.1.0.125")
        assert.deepInclude(evicted[0], { network: "44.1", reason: "largest-network", newcomerNetwork: "60.4" })
        assert.deepStrictEqual(evictions.networks().slice(0, 2), [
          ["44.1", 95],
          ["60.4", 1]
        ])
        assert.deepStrictEqual(
          evictions.latest().map(({ at, connection }) => [at, connection]),
          evicted.map(({ at, connection }) => [at, connection])
        )
        assert.match(
          yield* PrometheusMetrics.format(),
          /^zcash_net_inbound_evictions\{network="mainnet",reason="largest-network"\} 30$/m
        )
        assert.match(yield* PrometheusMetrics.format(), /^zcash_net_inbound_largest_network_share\{.*\} 0.76$/m)
        const reasons = events.flatMap((event) => (event._tag === "PeerDisconnected" ? [event.reason] : []))
        assert.deepStrictEqual(new Set(reasons), new Set(["PeerEvicted"]))
      }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
    ))

  it("refuses those of the crowd that holds it, without a handshake", () =>
    inWorld(
      Effect.gen(function* () {
        const { events } = yield* fullNode()
        const late = yield* Effect.forEach([1, 2, 3], (n) => peerFrom(ofOneNetwork(1000 + n)))
        yield* until("4 minutes")
        assert.deepStrictEqual(
          late.map(({ heard, open }) => [heard.length, open]),
          [
            [0, 0],
            [0, 0],
            [0, 0]
          ]
        )
        assert.strictEqual(evictedOf(events).length, 0)
      })
    ))

  it("lets nobody go for ten thousand of as many networks who never shake hands", () =>
    inWorld(
      Effect.gen(function* () {
        const { attackers, events } = yield* fullNode(quick)
        for (let n = 0; n < 10_000; n++) {
          yield* peerFrom(ofItsOwn(n), ScriptedPeer.silent)
          if (n % 10 === 0) yield* Effect.sleep("250 millis")
        }
        yield* Effect.sleep("10 seconds")
        assert.strictEqual(evictedOf(events).length, 0)
        assert.strictEqual(attackers.filter(({ open }) => open === 1).length, 125)
        assert.isAbove(countOf(events, "HandshakeFailed"), 500)
      })
    ))

  it("loses one of a network within half a minute, whoever comes", () =>
    inWorld(
      Effect.gen(function* () {
        const { events } = yield* fullNode()
        for (let n = 0; n < 40; n++) {
          yield* peerFrom(ofItsOwn(n))
          yield* Effect.sleep("3 seconds")
        }
        const times = evictedOf(events).map(({ at }) => at)
        assert.strictEqual(times.length, 4)
        for (let n = 1; n < times.length; n++) assert.isAtLeast(times[n]! - times[n - 1]!, 30_000)
      })
    ))

  it("lets nobody go for whom it may not let in", () =>
    inWorld(
      Effect.gen(function* () {
        const { book, events, evictions, peerSet } = yield* fullNode()
        // Its host was banned while it shook hands.
        yield* peerFrom(ofItsOwn(1), ScriptedPeer.compose(ScriptedPeer.honest(), ScriptedPeer.slow("1 second")))
        yield* Effect.sleep("500 millis")
        yield* book.ban({ address: ofItsOwn(1), reason: "a test" })
        yield* Effect.sleep("5 seconds")
        assert.strictEqual(countOf(events, "PeerRefused"), 1)
        assert.deepStrictEqual([evictedOf(events), evictions.latest()], [[], []])
        assert.strictEqual((yield* peerSet.counts).inbound, inboundLimit(defaults))
      })
    ))
})
