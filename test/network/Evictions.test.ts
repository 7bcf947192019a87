/** Who gets into a full node, who has to go for it, and who moves nobody. */
import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Metric, References } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { TestClock } from "effect/testing"
import { defaults, inboundLimit, type NetworkEvent, PeerSocketAddress } from "network-effect"
import { ScriptedPeer, SeededRandom, SimRuntime } from "network-effect/simulation"
import { AddressGroups, byNetwork } from "../../src/addresses/AddressGroups.ts"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import { ChainParams, mainnet } from "../../src/chain/ChainParams.ts"
import { ConnectionSlots, type Slot } from "../../src/network/ConnectionSlots.ts"
import { Evictions } from "../../src/network/Evictions.ts"
import { Listener } from "../../src/network/Listener.ts"
import { NetworkEvents } from "../../src/network/NetworkEvents.ts"
import { PeerAdmission } from "../../src/network/PeerAdmission.ts"
import { PeerSet } from "../../src/network/PeerSet.ts"
import { Handshake, HandshakeError, HandshakeTimeout } from "../../src/peer/Handshake.ts"
import { ListeningPort } from "../../src/transport/ListeningPort.ts"
import { InboundTransport, OutboundTransport } from "../../src/transport/Transport.ts"
import { fakePeer } from "../support/fakePeer.ts"
import { seriesOf, withMetrics } from "../support/metrics.ts"
import { silentStream } from "../support/silentStream.ts"
import { world } from "../support/peerSetWorld.ts"
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

/** The nth host of a company that has whole 45.0.0.0/8: one system, and each is in a /16 of its own. */
const ofOneSystem = (n: number) => at(`45.${n}.1.1`)
const systems: AddressGroups = {
  ...byNetwork,
  groupOf: (address) => (PeerSocketAddress.format(address).startsWith("45.") ? "AS64496" : byNetwork.groupOf(address))
}

/** A node whose every inbound place is taken by a crowd: hosts of one /16 unless said otherwise. */
const fullNode = Effect.fnUntraced(function* (ofCrowd = ofOneNetwork) {
  const node = yield* startNode()
  const attackers = yield* Effect.forEach(Array.from({ length: 125 }), (_, n) =>
    // One network may not have more than so many waiting.
    Effect.tap(peerFrom(ofCrowd(n + 1)), () => Effect.sleep("1200 millis"))
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
        for (let minute = 4; minute < 16; minute++) {
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
        yield* until("20 minutes")
        assert.strictEqual(newcomers.filter(({ open }) => open === 1).length, 12)
        assert.strictEqual(attackers.filter(({ open }) => open === 1).length, 113)
        const evicted = evictedOf(events)
        assert.deepStrictEqual(
          evicted.map(({ ofNetwork }) => ofNetwork),
          Array.from({ length: 12 }, (_, n) => 125 - n)
        )
        assert.strictEqual(hostOf(evicted[0]), "44.1.0.125")
        assert.deepInclude(evicted[0], { network: "44.1", reason: "largest-network", newcomerNetwork: "60.4" })
        assert.deepStrictEqual(evictions.networks().slice(0, 2), [
          ["44.1", 113],
          ["60.4", 1]
        ])
        assert.deepStrictEqual(
          evictions.latest().map(({ at, connection }) => [at, connection]),
          evicted.map(({ at, connection }) => [at, connection])
        )
        assert.match(
          yield* PrometheusMetrics.format(),
          /^zcash_net_inbound_evictions\{network="mainnet",reason="largest-network"\} 12$/m
        )
        assert.match(yield* PrometheusMetrics.format(), /^zcash_net_inbound_largest_network_share\{.*\} 0.904$/m)
        // A collector takes what may go down for no counter.
        const counters = (yield* Metric.snapshot).filter((metric) => metric.type === "Counter")
        assert.isNotEmpty(counters)
        assert.isEmpty(counters.flatMap(({ id, state }) => (state.incremental ? [] : [id])))
        const reasons = events.flatMap((event) => (event._tag === "PeerDisconnected" ? [event.reason] : []))
        assert.deepStrictEqual(new Set(reasons), new Set(["PeerEvicted"]))
      }).pipe(Effect.provideService(Metric.MetricRegistry, new Map()))
    ))

  it("has one network for each autonomous system, where a map says so (E12)", () =>
    inWorld(
      Effect.gen(function* () {
        const { events, evictions, peerSet } = yield* fullNode(ofOneSystem)
        assert.deepStrictEqual(evictions.networks(), [["AS64496", 125]])
        yield* peerFrom(ofItsOwn(1))
        yield* Effect.sleep("2 seconds")
        assert.deepInclude(evictedOf(events)[0], { network: "AS64496", ofNetwork: 125, newcomerNetwork: "60.1" })
        // Requests go by it, too.
        const networks = new Set(Array.from(peerSet.standingsUnsafe(), ({ network }) => network))
        assert.sameMembers([...networks], ["AS64496", "60.1"])
      }).pipe(Effect.provideService(AddressGroups, systems))
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

  it.effect("lets nobody go for ten thousand of as many networks who never shake hands", () => {
    let knocked = 0
    let shaken = 0
    const here = at("192.0.2.1")
    const knocking = Effect.gen(function* () {
      if (knocked === 10_000) return yield* Effect.never
      if (knocked % 10 === 0) yield* Effect.sleep("250 millis")
      return silentStream(ofItsOwn(knocked++), here)
    })
    const transports = Layer.mergeAll(
      Layer.mock(InboundTransport, { listen: () => Effect.succeed({ address: here, accept: knocking }) }),
      Layer.mock(OutboundTransport, {})
    )
    const handshake = Layer.mock(Handshake, {
      run: () =>
        Effect.andThen(
          Effect.sleep(defaults.handshakeTimeout),
          Effect.suspend(() => {
            shaken++
            return Effect.fail(new HandshakeError({ reason: new HandshakeTimeout() }))
          })
        )
    })
    const admission = Layer.mock(PeerAdmission, {
      hostFor: () => ({ report: () => Effect.void, mayAdvertise: () => Effect.succeed(true) })
    })
    return Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const slots = yield* ConnectionSlots
      const evictions = yield* Evictions
      for (let id = 1; id <= 125; id++) {
        const address = PeerSocketAddress.format(ofOneNetwork(id))
        const slot = yield* slots.reserve("inbound")
        yield* peerSet.add(fakePeer({ id, address, inbound: true }))
        yield* slot.markOpen
        evictions.joined(id, slot)
      }
      yield* Effect.sleep("270 seconds")
      assert.strictEqual(knocked, 10_000)
      assert.isAbove(shaken, 500)
      assert.deepStrictEqual(evictions.latest(), [])
      assert.deepInclude(yield* peerSet.counts, { inbound: 125 })
      assert.deepStrictEqual([slots.used("inbound"), slots.used("handshake")], [125, 0])
      // And there is a place for whoever does.
      assert.isTrue(evictions.mightMakeRoom(ofItsOwn(1)))
    }).pipe(
      Effect.scoped,
      Effect.provide(
        Listener.layer.pipe(
          Layer.provide(Layer.mergeAll(handshake, admission, NetworkEvents.layer)),
          Layer.provideMerge(Evictions.layer),
          Layer.provideMerge(ConnectionSlots.layer),
          Layer.provideMerge(world({ policy: quick })),
          Layer.provide(
            ListeningPort.layer(here).pipe(Layer.provide(transports), Layer.provide(BackgroundTasks.layer))
          ),
          Layer.provide(Layer.mergeAll(SeededRandom.layer(1), Layer.succeed(ChainParams, mainnet)))
        )
      ),
      SimRuntime.within("10 minutes"),
      Effect.provideService(References.MinimumLogLevel, "None")
    )
  })

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

/** The service alone, with peers that a test lets join. */
const aloneWith = (trusted: ReadonlyArray<string>) =>
  Evictions.layer.pipe(
    Layer.provideMerge(ConnectionSlots.layer),
    Layer.provideMerge(world({ policy: { targetPeers: 1 }, trusted })),
    Layer.provide(Layer.mergeAll(SeededRandom.layer(1), Layer.succeed(ChainParams, mainnet)))
  )
const alone = aloneWith([])
/** A peer of which it is not known where it is. */
const hidden = (id: number) => ({
  ...fakePeer({ id, address: "44.1.9.9:1", inbound: true }),
  transientAddress: undefined
})
const joins = Effect.fnUntraced(function* (id: number, address: PeerSocketAddress.PeerSocketAddress) {
  const slot = yield* (yield* ConnectionSlots).reserve("inbound")
  yield* (yield* PeerSet).add(fakePeer({ id, address: PeerSocketAddress.format(address), inbound: true }))
  yield* slot.markOpen
  const evictions = yield* Evictions
  evictions.joined(id, slot)
  return slot
})

/** Who has to go, or why nobody does, for somebody from there who has shaken hands; and the place is given back. */
const goesFor = Effect.fnUntraced(function* (
  address: PeerSocketAddress.PeerSocketAddress,
  places: ReadonlyMap<number, Slot>
) {
  const slots = yield* ConnectionSlots
  const slot = yield* slots.reserve("handshake")
  const newcomer = fakePeer({ id: 1000, address: PeerSocketAddress.format(address), inbound: true })
  const { evicted, room } = (yield* Evictions).makeRoom(newcomer, slot)
  if (room._tag !== "Evict") return room._tag
  assert.deepStrictEqual([slot.kind, places.get(room.id)?.kind], ["inbound", "handshake"])
  assert.isTrue(slots.exchange(places.get(room.id)!, slot))
  return evicted
}, Effect.scoped)

/** Five places, all taken: three peers of one network and two of another. */
const threeAndTwo = Effect.gen(function* () {
  const places = new Map<number, Slot>()
  for (const id of [1, 2, 3]) places.set(id, yield* joins(id, ofOneNetwork(id)))
  for (const id of [4, 5]) places.set(id, yield* joins(id, at(`55.5.0.${id}`)))
  return places
})

describe("who has to go", () => {
  it.effect("is of a network that lost nobody for half a minute, for one that brought nobody for as long", () =>
    Effect.gen(function* () {
      const places = yield* threeAndTwo
      const [first, second, third] = [ofItsOwn(1), ofItsOwn(2), ofItsOwn(3)]
      const expected = { connection: 3, network: "44.1", ofNetwork: 3, reason: "largest-network" } as const
      assert.deepInclude(yield* goesFor(first, places), { ...expected, at: 0, newcomerNetwork: "60.1" })
      yield* TestClock.adjust("1 second")
      // The newcomer's network has had its turn, and the largest one.
      assert.strictEqual(yield* goesFor(first, places), "Full")
      const other = { at: 1000, connection: 5, network: "55.5", ofNetwork: 2, reason: "next-largest-network" } as const
      assert.deepInclude(yield* goesFor(second, places), other)
      assert.strictEqual(yield* goesFor(third, places), "Full")
      const refused = yield* seriesOf("zcash.net.inbound.evictions.refused")
      assert.strictEqual(refused["network=mainnet reason=newcomer-too-soon"], 1)
      assert.strictEqual(refused["network=mainnet reason=too-soon"], 1)
      assert.isFalse((yield* Evictions).mightMakeRoom(third))

      yield* TestClock.adjust("28999 millis")
      assert.strictEqual(yield* goesFor(third, places), "Full")
      yield* TestClock.adjust("1 millis")
      assert.isTrue((yield* Evictions).mightMakeRoom(third))
      assert.deepInclude(yield* goesFor(first, places), { ...expected, at: 30_000 })
      // The other network's half minute is not over.
      yield* TestClock.adjust("999 millis")
      assert.strictEqual(yield* goesFor(third, places), "Full")
      yield* TestClock.adjust("1 millis")
      assert.deepInclude(yield* goesFor(third, places), { ...other, at: 31_000 })
      assert.deepInclude(yield* seriesOf("zcash.net.inbound.evictions"), {
        "network=mainnet reason=largest-network": 2,
        "network=mainnet reason=next-largest-network": 2
      })
    }).pipe(Effect.provide(alone), withMetrics)
  )

  it.effect("is remembered, the latest hundred, oldest first", () =>
    Effect.gen(function* () {
      const { latest } = yield* Evictions
      const places = yield* threeAndTwo
      const remembered = () => latest().map(({ newcomer }) => newcomer)
      const newcomers: Array<string> = []
      for (let n = 0; n < 102; n++) {
        const newcomer = ofItsOwn(n)
        newcomers.push(PeerSocketAddress.format(newcomer))
        assert.deepInclude(yield* goesFor(newcomer, places), { address: "44.1.0.3:8233", newcomer: newcomers[n]! })
        yield* TestClock.adjust("30 seconds")
        if (n === 98) assert.deepStrictEqual(remembered(), newcomers)
        if (n === 99) assert.deepStrictEqual(remembered(), newcomers)
        if (n === 100) assert.deepStrictEqual(remembered(), newcomers.slice(1))
      }
      assert.deepStrictEqual(remembered(), newcomers.slice(2))
    }).pipe(Effect.provide(alone))
  )

  it.effect("is nobody while a place is free, of whoever came to us, or for somebody without a place", () =>
    Effect.gen(function* () {
      const slots = yield* ConnectionSlots
      const { makeRoom } = yield* Evictions
      const newcomer = fakePeer({ id: 9, address: "60.1.7.7:8233", inbound: true })
      for (const id of [1, 2, 3, 4]) yield* joins(id, ofOneNetwork(id))
      const shaken = yield* slots.reserve("handshake")
      assert.deepStrictEqual(makeRoom(newcomer, shaken), { room: { _tag: "Free" }, evicted: undefined })
      assert.strictEqual(shaken.kind, "inbound")
      // Its slot is no longer one of those that may be exchanged.
      const again = makeRoom(newcomer, shaken)
      assert.deepStrictEqual(again, { room: { _tag: "Full" }, evicted: undefined })
      assert.deepStrictEqual([slots.used("inbound"), slots.used("handshake")], [5, 0])
    }).pipe(Effect.provide(alone))
  )
})

describe("who came to us", () => {
  it.effect("is shown by network, the largest first, with the share of that one, until they are gone", () =>
    Effect.gen(function* () {
      const evictions = yield* Evictions
      const share = Effect.map(seriesOf("zcash.net.inbound.largest_network.share"), (all) => all["network=mainnet"])
      assert.deepStrictEqual([evictions.networks(), yield* share], [[], 0])
      yield* joins(1, ofItsOwn(1))
      assert.deepStrictEqual([evictions.networks(), yield* share], [[["60.1", 1]], 1])
      yield* joins(2, ofOneNetwork(1))
      yield* joins(3, ofOneNetwork(2))
      yield* joins(4, ofItsOwn(2))
      const [first, ...others] = evictions.networks()
      assert.deepStrictEqual([first, yield* share], [["44.1", 2], 0.5])
      assert.sameDeepMembers(others, [
        ["60.1", 1],
        ["60.2", 1]
      ])
      for (const id of [3, 2]) {
        yield* (yield* PeerSet).remove(id)
        evictions.gone(id)
      }
      assert.lengthOf(evictions.networks(), 2)
      assert.strictEqual(yield* share, 0.5)
    }).pipe(Effect.provide(alone), withMetrics)
  )

  it.effect("is in a public place, and from somewhere: no other has to go, and nobody for a peer from nowhere", () =>
    Effect.gen(function* () {
      const slots = yield* ConnectionSlots
      const evictions = yield* Evictions
      const peerSet = yield* PeerSet
      yield* joins(1, ofOneNetwork(1))
      // One that the operator trusts, though it is in a public place; one that we dialled, and one from nowhere.
      yield* joins(2, at("44.1.0.200"))
      yield* peerSet.add(fakePeer({ id: 3, address: "44.1.0.201:8233" }))
      const slot = yield* slots.reserve("inbound")
      yield* peerSet.add(hidden(4))
      evictions.joined(4, slot)
      assert.deepStrictEqual(evictions.networks(), [["44.1", 1]])
      assert.isFalse(evictions.mightMakeRoom(ofItsOwn(1)))

      for (const id of [5, 6]) yield* joins(id, ofOneNetwork(id))
      assert.deepStrictEqual(evictions.networks(), [["44.1", 3]])
      assert.isTrue(evictions.mightMakeRoom(ofItsOwn(1)))
      const made = evictions.makeRoom(hidden(8), yield* slots.reserve("handshake"))
      assert.deepStrictEqual(made, { room: { _tag: "Full" }, evicted: undefined })
    }).pipe(Effect.provide(aloneWith(["44.1.0.200"])))
  )

  it.effect("is counted by why nobody has to go for a newcomer", () =>
    Effect.gen(function* () {
      const evictions = yield* Evictions
      const refused = (reason: string) =>
        Effect.map(seriesOf("zcash.net.inbound.evictions.refused"), (all) => all[`network=mainnet reason=${reason}`])
      yield* joins(1, ofItsOwn(1))
      assert.isFalse(evictions.mightMakeRoom(ofItsOwn(2)))
      assert.strictEqual(yield* refused("no-larger-network"), 1)
      for (const id of [2, 3]) yield* joins(id, ofOneNetwork(id))
      // The first of a network stays: of two the other one has to go.
      assert.isTrue(evictions.mightMakeRoom(ofItsOwn(2)))
      assert.deepStrictEqual([yield* refused("no-larger-network"), yield* refused("too-soon")], [1, 0])
    }).pipe(Effect.provide(alone), withMetrics)
  )
})
