import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Equal, Fiber, Layer, Metric, Option, References, Result, type Scope } from "effect"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import { BackgroundTasks, NetworkClosed } from "../../src/BackgroundTasks.ts"
import { ChainParams, regtest } from "../../src/chain/ChainParams.ts"
import { ChainTip } from "../../src/chain/ChainTip.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ConnectionSlots } from "../../src/network/ConnectionSlots.ts"
import { type ConnectError, Connector } from "../../src/network/Connector.ts"
import * as Demand from "../../src/network/Demand.ts"
import { type NetworkEvent, NetworkEvents } from "../../src/network/NetworkEvents.ts"
import { PeerAdmission } from "../../src/network/PeerAdmission.ts"
import { PeerRefused, PeerSet } from "../../src/network/PeerSet.ts"
import * as Reasons from "../../src/network/Reasons.ts"
import { Handshake } from "../../src/peer/Handshake.ts"
import { InboundRequests } from "../../src/peer/InboundRequests.ts"
import { ClientDropped, type Peer } from "../../src/peer/Peer.ts"
import { defaults, Policy } from "../../src/Policy.ts"
import * as LinkRule from "../../src/simulation/LinkRule.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import { Message } from "../../src/wire/Message.ts"
import { bobsVersion, remoteEnd } from "../peer/rig.ts"
import { alice, bob, mallory } from "../support/addresses.ts"
import { collectEvents } from "../support/dialWorld.ts"
import { fakePeer } from "../support/fakePeer.ts"
import { linesOf } from "../support/logs.ts"
import { elapse, settle } from "../support/time.ts"

const admitted: Array<Peer> = []
/** Why whoever agrees may not join, if so. */
let refusal: PeerRefused["reason"] | undefined

const admission = Layer.sync(PeerAdmission, () => {
  admitted.length = 0
  refusal = undefined
  return {
    hostFor: () => ({ report: () => Effect.void, mayAdvertise: () => Effect.succeed(true) }),
    admit: (peer, slot) =>
      refusal === undefined
        ? Effect.map(slot.markOpen, () => void admitted.push(peer))
        : Effect.andThen(peer.close(new ClientDropped()), Effect.fail(new PeerRefused({ reason: refusal })))
  }
})

/** Alice dials; Bob is scripted. */
const worldFor = (targetPeers: number) =>
  Connector.layer.pipe(
    Layer.provideMerge(
      Layer.mergeAll(
        ConnectionSlots.layer,
        NetworkEvents.layer,
        Handshake.layer,
        admission,
        Layer.effect(
          PeerSet,
          Effect.map(Demand.make<never>(0), ({ demand }) => {
            const partial: Partial<PeerSet["Service"]> = {
              demand,
              hasAddressUnsafe: (address) =>
                admitted.some((peer) => peer.readiness() !== "Failed" && Equal.equals(peer.transientAddress, address))
            }
            return partial as PeerSet["Service"]
          })
        ),
        AddressBook.layerReference.pipe(Layer.provideMerge(BanList.layer))
      )
    ),
    Layer.provideMerge(
      Layer.mergeAll(ChainTip.layerNone, InboundRequests.layerNone, OwnAddress.layerNone, BackgroundTasks.layer)
    ),
    Layer.provideMerge(SimNetwork.layerTransport(alice)),
    Layer.provideMerge(SimNetwork.layer),
    Layer.provideMerge(SeededRandom.layer("connector")),
    Layer.provideMerge(Layer.sync(Metric.MetricRegistry, () => new Map())),
    Layer.provideMerge(Layer.succeed(ChainParams, regtest)),
    Layer.provideMerge(Layer.succeed(Policy, { ...defaults, targetPeers }))
  )
const world = worldFor(1)

const inWorld = <A, E>(test: Effect.Effect<A, E, Scope.Scope | Layer.Success<typeof world>>) =>
  test.pipe(Effect.scoped, Effect.provide(world), Effect.provideService(References.MinimumLogLevel, "None"))

/** Dials, beside the test. */
const dial = (address = bob) =>
  Effect.flatMap(Connector, ({ connect }) =>
    Effect.forkChild(Effect.result(connect({ whom: address, why: "initial" })), { startImmediately: true })
  )

/** What the connector told of its dials: each address with what happened. */
const told = (events: ReadonlyArray<NetworkEvent>) =>
  events.flatMap((event) =>
    "address" in event ? [`${event._tag}${"reason" in event ? ` ${event.reason}` : ""} ${event.address}`] : []
  )

const bobText = PeerSocketAddress.format(bob)

const listens = (address: PeerSocketAddress.PeerSocketAddress) =>
  Effect.flatMap(SimNetwork, (network) => network.host(address).listen(address))

const bobListens = listens(bob)

/** With the port of the network, which the book would not take Bob without. */
const carol = PeerSocketAddress.fromStringUnsafe("198.51.100.3:18233")

const outcomes = Effect.map(Metric.snapshot, (metrics) =>
  metrics
    .filter(({ id }) => id === "zcash.net.connection.outcomes.total")
    .map(({ attributes }) => [attributes?.["stage"], attributes?.["outcome"], attributes?.["direction"]])
)

describe("a dial", () => {
  it.effect("that fails is told once a minute, however many do", () =>
    Effect.gen(function* () {
      const lines = yield* linesOf(
        Effect.gen(function* () {
          const { connect } = yield* Connector
          for (let host = 1; host <= 600; host++) {
            const whom = PeerSocketAddress.fromStringUnsafe(`192.0.${host >> 8}.${host & 255}:18233`)
            const fiber = yield* Effect.forkChild(Effect.flip(connect({ whom, why: "candidate" })))
            yield* elapse("100 millis", "50 millis")
            assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "DialError")
          }
          yield* elapse("1 second")
        }).pipe(Effect.scoped, Effect.provide(world))
      )
      assert.deepStrictEqual(
        lines.filter((line) => line.includes("dial failed")),
        ["Info: dial failed"]
      )
    })
  )

  it.effect.each([
    { others: 4, level: "Info" },
    { others: 5, level: "Debug" }
  ])("that fails beside $others others is told at level $level (network, MAX_CONNECTIONS_FOR_INFO_LOG)", (_) =>
    Effect.gen(function* () {
      const lines = yield* linesOf(
        Effect.gen(function* () {
          const { reserve } = yield* ConnectionSlots
          for (let n = 0; n < _.others; n++) yield* reserve("outbound")
          const { connect } = yield* Connector
          const fiber = yield* Effect.forkChild(Effect.flip(connect({ whom: bob, why: "candidate" })))
          yield* elapse("200 millis", "100 millis")
          assert.strictEqual((yield* Fiber.join(fiber)).reason._tag, "DialError")
        }).pipe(Effect.scoped, Effect.provide(worldFor(3)))
      )
      assert.deepStrictEqual(
        lines.filter((line) => line.includes("dial failed")),
        [`${_.level}: dial failed`]
      )
    })
  )

  it.effect("and its handshake bring a peer, whose slot is open from then on", () =>
    inWorld(
      Effect.gen(function* () {
        const listener = yield* bobListens
        const fiber = yield* dial()
        const remote = remoteEnd(yield* listener.accept)
        yield* remote.says(Message.Version(bobsVersion()), Message.Verack())
        yield* settle
        const result = yield* Fiber.join(fiber)
        assert.strictEqual(result._tag, "Success")
        assert.strictEqual(admitted.length, 1)
        assert.strictEqual((yield* ConnectionSlots).used("outbound"), 1)
        assert.deepStrictEqual(yield* outcomes, [["handshake", "success", "outbound"]])
        yield* (yield* BackgroundTasks).end(new NetworkClosed())
        assert.strictEqual((yield* remote.end).reason, "Eof")
        assert.strictEqual((yield* ConnectionSlots).used("outbound"), 0)
      })
    )
  )

  it.effect("that nobody answers fails after 3 seconds, and leaves nothing", () =>
    inWorld(
      Effect.gen(function* () {
        const network = yield* SimNetwork
        yield* network.addRule(LinkRule.blackHole({ to: [bob] }))
        const events = yield* collectEvents
        const fiber = yield* dial()
        yield* elapse("2999 millis", "100 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* elapse("1 millis")
        const result = yield* Fiber.join(fiber)
        assert.deepInclude(result, { _tag: "Failure" })
        assert.strictEqual(network.openEnds(), 0)
        assert.deepStrictEqual(yield* outcomes, [["tcp_or_handshake", "timeout", "outbound"]])
        assert.deepStrictEqual(
          events.map((event) => (event._tag === "HandshakeFailed" ? event.reason : event._tag)),
          ["DialStarted", "HandshakeTimeout"]
        )
      })
    )
  )

  it.effect("whose stream breaks is told by the code of the system, and is no talk of another network", () =>
    inWorld(
      Effect.gen(function* () {
        const network = yield* SimNetwork
        yield* bobListens
        yield* network.addRule(LinkRule.cutAfter(10, { to: [bob] }))
        const events = yield* collectEvents
        const fiber = yield* dial()
        yield* settle
        const result = yield* Fiber.join(fiber)
        assert.strictEqual(result._tag === "Failure" ? result.failure.code : undefined, "ECONNRESET")
        assert.deepStrictEqual(told(events), [`DialStarted ${bobText}`, `HandshakeFailed ECONNRESET ${bobText}`])
        assert.strictEqual(Reasons.ofHandshake("ECONNRESET"), "it broke the connection")
      })
    )
  )

  it.effect("has one budget for connecting and shaking hands", () =>
    inWorld(
      Effect.gen(function* () {
        const network = yield* SimNetwork
        // One second there and one back.
        yield* network.addRule(LinkRule.delay("1 second"))
        yield* bobListens
        const fiber = yield* dial()
        yield* elapse("2999 millis", "100 millis")
        assert.isUndefined(fiber.pollUnsafe())
        yield* elapse("1 millis")
        assert.isDefined(fiber.pollUnsafe())
        yield* elapse("5 seconds", "100 millis")
      })
    )
  )

  it.effect("that is refused fails at once, with the code", () =>
    inWorld(
      Effect.gen(function* () {
        const network = yield* SimNetwork
        const fiber = yield* dial()
        yield* settle
        const result = yield* Fiber.join(fiber)
        assert.deepInclude(result._tag === "Failure" ? result.failure.reason : result, {
          _tag: "DialError",
          code: "ECONNREFUSED"
        })
        assert.strictEqual(network.openEnds(), 0)
        assert.deepStrictEqual(yield* outcomes, [["tcp_connect", "connection_refused", "outbound"]])
      })
    )
  )

  it.effect("that reaches ourselves makes the address our own, for good", () =>
    inWorld(
      Effect.gen(function* () {
        const book = yield* AddressBook
        yield* book.record({ _tag: "NewInitial", address: carol })
        assert.isTrue(Option.isSome(yield* book.get(carol)))
        const listener = yield* listens(carol)
        const fiber = yield* dial(carol)
        const remote = remoteEnd(yield* listener.accept)
        const ours = yield* remote.hears
        assert.strictEqual(ours._tag, "Version")
        if (ours._tag === "Version") yield* remote.says(ours)
        yield* settle
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "Failure")
        assert.isTrue(Option.isNone(yield* book.get(carol)))
        assert.isFalse(yield* book.addPeer(carol))
      })
    )
  )

  it.effect.each([
    // What an operator asks for says nothing to the book, and of an initial peer a failure would bar it.
    { why: "manual", outcome: "nobody", state: "NeverAttempted" },
    { why: "initial", outcome: "nobody", state: "NeverAttempted" },
    { why: "candidate", outcome: "nobody", state: "Failed" },
    { why: "recovery", outcome: "nobody", state: "Failed" },
    { why: "stale tip", outcome: "nobody", state: "Failed" },
    { why: "candidate", outcome: "no agreement", state: "Failed" },
    // It answers, whatever else speaks against it.
    { why: "candidate", outcome: "refused", state: "NeverAttempted" }
  ] as const)("for a $why that meets $outcome leaves the book with $state", ({ outcome, state, why }) =>
    inWorld(
      Effect.gen(function* () {
        const book = yield* AddressBook
        const { connect } = yield* Connector
        yield* book.record({ _tag: "NewInitial", address: carol })
        const listener = outcome === "nobody" ? undefined : yield* listens(carol)
        if (outcome === "refused") refusal = "GroupFull"
        const fiber = yield* Effect.forkChild(Effect.result(connect({ whom: carol, why })), { startImmediately: true })
        if (listener !== undefined) {
          const remote = remoteEnd(yield* listener.accept)
          if (outcome === "refused") yield* remote.says(Message.Version(bobsVersion()), Message.Verack())
        }
        yield* elapse("4 seconds", "100 millis")
        assert.isTrue(Result.isFailure(yield* Fiber.join(fiber)))
        // Nor is it taken for our own.
        assert.strictEqual(Option.getOrUndefined(yield* book.get(carol))?.state, state)
      })
    )
  )

  it.effect("that is begun ends in exactly one event, whatever ends it", () =>
    inWorld(
      Effect.gen(function* () {
        const events = yield* collectEvents
        const tasks = yield* BackgroundTasks
        // Nobody listens.
        yield* Fiber.join(yield* dial())
        const listener = yield* bobListens
        // Bob agrees, and may not join.
        refusal = "GroupFull"
        const refused = yield* dial()
        yield* elapse("100 millis")
        const remote = remoteEnd(yield* listener.accept)
        yield* remote.says(Message.Version(bobsVersion()), Message.Verack())
        yield* settle
        const outcome = yield* Fiber.join(refused)
        assert.deepInclude(outcome._tag === "Failure" ? outcome.failure.reason : outcome, {
          _tag: "PeerRefused",
          reason: "GroupFull"
        })
        yield* remote.end
        // Whoever wanted it gives up.
        const interrupted = yield* dial()
        yield* elapse("200 millis")
        yield* Effect.forkChild(Fiber.interrupt(interrupted), { startImmediately: true })
        // Bob does not read: his stream is cut after a second.
        yield* elapse("1 second", "100 millis")
        // The network ends.
        const ended = yield* dial()
        yield* elapse("200 millis")
        yield* Effect.forkChild(tasks.end(new NetworkClosed()), { startImmediately: true })
        yield* elapse("1 second", "100 millis")
        const last = yield* Fiber.join(ended)
        assert.strictEqual(last._tag === "Failure" ? last.failure.reason._tag : last._tag, "NetworkClosed")
        yield* settle
        assert.deepStrictEqual(told(events), [
          `DialStarted ${bobText}`,
          `DialFailed ECONNREFUSED ${bobText}`,
          `DialStarted ${bobText}`,
          `PeerRefused GroupFull ${bobText}`,
          `DialStarted ${bobText}`,
          `DialFailed Interrupted ${bobText}`,
          `DialStarted ${bobText}`,
          `DialFailed Interrupted ${bobText}`
        ])
        assert.strictEqual((yield* ConnectionSlots).used("outbound"), 0)
        const after = yield* Fiber.join(yield* dial())
        assert.strictEqual(after._tag === "Failure" ? after.failure.reason._tag : after._tag, "NetworkClosed")
      })
    )
  )

  it.effect("beyond the limit is refused at once, whoever wants it, and starts nothing (S22)", () =>
    inWorld(
      Effect.gen(function* () {
        const events = yield* collectEvents
        const network = yield* SimNetwork
        yield* network.addRule(LinkRule.blackHole({}))
        const hosts = [1, 2, 3, 4].map((n) => PeerSocketAddress.fromStringUnsafe(`10.9.0.${n}:18233`))
        const dials = yield* Effect.forEach(hosts, (host) => dial(host))
        const outcome = yield* Fiber.join(dials[3]!)
        assert.deepInclude(outcome._tag === "Failure" ? outcome.failure.reason : outcome, {
          _tag: "NoFreeSlot",
          limit: 3
        })
        yield* elapse("2 seconds", "100 millis")
        assert.deepStrictEqual(
          told(events),
          hosts.slice(0, 3).map((host) => `DialStarted ${PeerSocketAddress.format(host)}`)
        )
      })
    )
  )

  it.effect("keeps its slot while it is found out whom to dial, and frees it when nobody is found", () =>
    inWorld(
      Effect.gen(function* () {
        const slots = yield* ConnectionSlots
        const gate = yield* Deferred.make<never, string>()
        const connector = yield* Connector
        const looking = yield* Effect.forkChild(
          Effect.flip(connector.connect({ whom: Deferred.await(gate), why: "candidate" })),
          { startImmediately: true }
        )
        assert.strictEqual(slots.used("outbound"), 1)
        yield* Deferred.fail(gate, "nobody is due")
        assert.strictEqual(yield* Fiber.join(looking), "nobody is due")
        yield* settle
        assert.strictEqual(slots.used("outbound"), 0)
      })
    )
  )

  it.effect(
    "is not made to whom is dialled or connected already, nor to whom was banned while it waited for its turn",
    () =>
      inWorld(
        Effect.gen(function* () {
          const events = yield* collectEvents
          const reasonOf = (fiber: Fiber.Fiber<Result.Result<Peer, ConnectError>>) =>
            Effect.map(Fiber.join(fiber), (result) =>
              Result.isFailure(result) ? result.failure.reason._tag : "a peer"
            )
          const listener = yield* bobListens
          const first = yield* dial()
          assert.strictEqual(yield* reasonOf(yield* dial()), "AlreadyConnected")
          const remote = remoteEnd(yield* listener.accept)
          yield* remote.says(Message.Version(bobsVersion()), Message.Verack())
          yield* settle
          assert.strictEqual(yield* reasonOf(first), "a peer")
          assert.strictEqual(yield* reasonOf(yield* dial()), "AlreadyConnected")
          // Its turn comes 100 ms after Bob's.
          const late = yield* dial(mallory)
          yield* (yield* AddressBook).ban({ address: mallory, reason: "a test" })
          yield* elapse("200 millis")
          assert.strictEqual(yield* reasonOf(late), "PeerBanned")
          assert.deepStrictEqual(told(events), [`DialStarted ${bobText}`])
          assert.strictEqual((yield* ConnectionSlots).used("outbound"), 1)
        })
      )
  )

  it.effect("is not made to whom has connected to us while it waited for its turn", () =>
    inWorld(
      Effect.gen(function* () {
        const events = yield* collectEvents
        const text = PeerSocketAddress.format(mallory)
        yield* dial()
        const late = yield* dial(mallory)
        admitted.push(fakePeer({ id: 1, address: text, inbound: true }))
        yield* elapse("200 millis")
        const result = yield* Fiber.join(late)
        assert.strictEqual(Result.isFailure(result) ? result.failure.reason._tag : "a peer", "AlreadyConnected")
        assert.notInclude(told(events), `DialStarted ${text}`)
      })
    )
  )
})

describe("a look at an address that nobody needs", () => {
  it.effect("takes no slot, and waits for the one before it, whoever asks", () =>
    inWorld(
      Effect.gen(function* () {
        const network = yield* SimNetwork
        const { feel } = yield* Connector
        const { used } = yield* ConnectionSlots
        yield* network.addRule(LinkRule.blackHole({ to: [bob, mallory] }))
        const events = yield* collectEvents
        for (const address of [bob, mallory]) yield* Effect.forkChild(Effect.ignore(feel(address)))
        yield* elapse("2999 millis", "100 millis")
        assert.deepStrictEqual(told(events), [`DialStarted ${bobText}`])
        assert.strictEqual(used("outbound"), 0)
        // The second begins when the first is over, and has as long.
        yield* elapse("3 seconds", "100 millis")
        assert.deepStrictEqual(told(events), [
          `DialStarted ${bobText}`,
          `HandshakeFailed HandshakeTimeout ${bobText}`,
          `DialStarted ${PeerSocketAddress.format(mallory)}`
        ])
        yield* elapse("200 millis", "100 millis")
        assert.strictEqual(network.openEnds(), 0)
      })
    )
  )
})
