import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Metric, Option, References, Scope } from "effect"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { BanList } from "../../src/addresses/BanList.ts"
import { ChainParams, regtest } from "../../src/chain/ChainParams.ts"
import { ChainTip } from "../../src/chain/ChainTip.ts"
import { ConnectionReports } from "../../src/network/ConnectionReports.ts"
import { ConnectionSlots } from "../../src/network/ConnectionSlots.ts"
import { Connector } from "../../src/network/Connector.ts"
import { NetworkEvents } from "../../src/network/NetworkEvents.ts"
import { Handshake } from "../../src/peer/Handshake.ts"
import { InboundRequests } from "../../src/peer/InboundRequests.ts"
import type { Peer } from "../../src/peer/Peer.ts"
import { defaults, Policy } from "../../src/Policy.ts"
import * as LinkRule from "../../src/simulation/LinkRule.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import { OwnAddress } from "../../src/transport/OwnAddress.ts"
import { Message } from "../../src/wire/Message.ts"
import { bobsVersion, remoteEnd } from "../peer/rig.ts"
import { alice, bob } from "../support/addresses.ts"
import { collectEvents } from "../support/dialWorld.ts"
import { elapse, settle } from "../support/time.ts"

const welcomed: Array<Peer> = []

/** Alice dials; Bob is scripted. */
const world = Connector.layer.pipe(
  Layer.provideMerge(
    Layer.mergeAll(
      ConnectionSlots.layer,
      NetworkEvents.layer,
      Handshake.layer,
      Layer.sync(ConnectionReports, () => {
        welcomed.length = 0
        return {
          hostFor: () => ({ report: () => Effect.void, mayAdvertise: () => Effect.succeed(true) }),
          welcome: (peer, slot) =>
            Effect.map(slot.markOpen, () => {
              welcomed.push(peer)
              return true
            })
        }
      }),
      AddressBook.layer.pipe(Layer.provideMerge(BanList.layer))
    )
  ),
  Layer.provide(Layer.mergeAll(ChainTip.layerNone, InboundRequests.layerNone, OwnAddress.layerNone)),
  Layer.provideMerge(SimNetwork.layerTransport(alice)),
  Layer.provideMerge(SimNetwork.layer),
  Layer.provideMerge(SeededRandom.layer("connector")),
  Layer.provideMerge(Layer.sync(Metric.MetricRegistry, () => new Map())),
  Layer.provideMerge(Layer.succeed(ChainParams, regtest)),
  Layer.provideMerge(Layer.succeed(Policy, defaults))
)

const inWorld = <A, E>(
  test: Effect.Effect<
    A,
    E,
    Scope.Scope | Connector | SimNetwork | ConnectionSlots | AddressBook | NetworkEvents | Handshake
  >
) => test.pipe(Effect.scoped, Effect.provide(world), Effect.provideService(References.MinimumLogLevel, "None"))

/** Dials Bob in a scope of its own, beside the test. */
const dial = Effect.gen(function* () {
  const connector = yield* Connector
  const slots = yield* ConnectionSlots
  const scope = yield* Scope.fork(yield* Effect.scope)
  const slot = yield* slots.reserve("outbound").pipe(Scope.provide(scope))
  const fiber = yield* Effect.forkChild(Effect.result(connector.connect(bob, slot)).pipe(Scope.provide(scope)), {
    startImmediately: true
  })
  return { fiber, scope }
})

const bobListens = Effect.flatMap(SimNetwork, (network) => network.host(bob).listen(bob))

const outcomes = Effect.map(Metric.snapshot, (metrics) =>
  metrics
    .filter(({ id }) => id === "zcash.net.connection.outcomes.total")
    .map(({ attributes }) => [attributes?.["stage"], attributes?.["outcome"], attributes?.["direction"]])
)

describe("a dial", () => {
  it.effect("and its handshake bring a peer, whose slot is open from then on", () =>
    inWorld(
      Effect.gen(function* () {
        const listener = yield* bobListens
        const { fiber, scope } = yield* dial
        const remote = remoteEnd(yield* listener.accept)
        yield* remote.says(Message.Version(bobsVersion()), Message.Verack())
        yield* settle
        const result = yield* Fiber.join(fiber)
        assert.strictEqual(result._tag, "Success")
        assert.strictEqual(welcomed.length, 1)
        assert.strictEqual((yield* ConnectionSlots).used("outbound"), 1)
        assert.deepStrictEqual(yield* outcomes, [["handshake", "success", "outbound"]])
        yield* Scope.close(scope, Exit.void)
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
        const { fiber } = yield* dial
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

  it.effect("has one budget for connecting and shaking hands", () =>
    inWorld(
      Effect.gen(function* () {
        const network = yield* SimNetwork
        // One second there and one back.
        yield* network.addRule(LinkRule.delay("1 second"))
        yield* bobListens
        const { fiber } = yield* dial
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
        const { fiber } = yield* dial
        yield* settle
        const result = yield* Fiber.join(fiber)
        assert.deepInclude(result._tag === "Failure" ? result.failure : result, {
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
        yield* book.record({ _tag: "NewInitial", address: bob })
        const listener = yield* bobListens
        const { fiber } = yield* dial
        const remote = remoteEnd(yield* listener.accept)
        const ours = yield* remote.hears
        assert.strictEqual(ours._tag, "Version")
        if (ours._tag === "Version") yield* remote.says(ours)
        yield* settle
        assert.strictEqual((yield* Fiber.join(fiber))._tag, "Failure")
        assert.isTrue(Option.isNone(yield* book.get(bob)))
        assert.isFalse(yield* book.addPeer(bob))
      })
    )
  )
})
