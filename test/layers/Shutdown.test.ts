/** How a node ends, whatever ends it, with everything under way: callers hear why, and nothing is left. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Deferred, Effect, Exit, Fiber, Layer, Option, Scope, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import {
  BackgroundTasks,
  BlockAdvertiser,
  ChainParams,
  ConnectionSlots,
  Connector,
  defaults,
  Handshake,
  InitialPeers,
  IsolatedPeer,
  ListeningPort,
  ManualPeers,
  Network,
  NetworkClosed,
  type NetworkEvent,
  NetworkEvents,
  OutboundTransport,
  PeerSet,
  PeerSocketAddress,
  Policy,
  regtest
} from "network-effect"
import { Node, Simulated } from "network-effect/layers"
import { LinkRule, SimDisk, SimNetwork } from "network-effect/simulation"
import * as StatusLog from "../../src/network/StatusLog.ts"
import { collectEvents } from "../support/dialWorld.ts"
import { blockHash } from "../support/peerSetWorld.ts"
import { inWorld } from "../support/wholeNode.ts"

const host = PeerSocketAddress.fromStringUnsafe("10.1.0.1:18233")
const silent = PeerSocketAddress.fromStringUnsafe("10.1.0.9:18233")
const policy: Policy = { ...defaults, connectionsPerGroup: 3 }

const at = (ip: string) => SimNetwork.layerTransport(PeerSocketAddress.fromStringUnsafe(`${ip}:0`))

/** Somebody who connects, and answers nothing but pings. */
const stranger = (ip: string) =>
  IsolatedPeer.connect(host, { userAgent: "/test/" }).pipe(
    Effect.provide([at(ip), Layer.succeed(ChainParams, regtest), SecureRandom.layerWebCrypto])
  )

/** Somebody who connects and says nothing. */
const mute = (ip: string) => Effect.flatMap(OutboundTransport, ({ dial }) => dial(host)).pipe(Effect.provide(at(ip)))

const node = Simulated.layer({ chain: regtest, host, listenAddress: host, seed: 1 })

type Services = Layer.Success<typeof node>

/** What the tag of an exit's error is, or of the reason in it. */
const reasonOf = (exit: Exit.Exit<unknown, unknown>): string => {
  const error = Exit.isFailure(exit) ? Option.getOrUndefined(Exit.findErrorOption(exit)) : undefined
  const { _tag, reason } = (error ?? {}) as { readonly _tag?: string; readonly reason?: { readonly _tag?: string } }
  return reason?._tag ?? _tag ?? "none"
}

/** A node with everything under way; then `end` ends it. What everybody heard, and what is left. */
const ended = <E>(end: (services: Context.Context<Services>, scope: Scope.Closeable) => Effect.Effect<unknown, E>) =>
  Effect.gen(function* () {
    const world = yield* SimNetwork
    const scope = yield* Scope.make()
    const services = yield* Layer.build(node).pipe(Scope.provide(scope))
    const network = Context.get(services, Network)
    const events: ReadonlyArray<NetworkEvent> = yield* Effect.provideContext(collectEvents, services)
    yield* network.awaitStarted
    yield* stranger("10.1.0.2")
    yield* network.awaitReady({ peers: 1 })
    yield* mute("10.1.0.3")
    // The listener's pause after whom it let in.
    yield* Effect.sleep("1100 millis")
    // A dial that nobody answers; a handshake that goes nowhere is under way.
    yield* world.addRule(LinkRule.blackHole({ to: [silent] }))
    const dial = yield* Effect.forkChild(Context.get(services, ManualPeers).connect(silent), {
      startImmediately: true
    })
    // Requests that a peer owes, and others that wait for it; an advert with nobody else to tell.
    const find = { _tag: "FindBlocks", known: [], stop: undefined } as const
    const requests = yield* Effect.forEach([1, 2, 3, 4, 5], () =>
      Effect.forkChild(network.request(find), { startImmediately: true })
    )
    const waiting = yield* Effect.forkChild(network.awaitReady({ peers: 10 }), { startImmediately: true })
    yield* Effect.sleep("200 millis")
    const callers: ReadonlyArray<Fiber.Fiber<unknown, unknown>> = [dial, waiting, ...requests]
    for (const caller of callers) assert.isUndefined(caller.pollUnsafe())
    const slots = Context.get(services, ConnectionSlots)
    assert.deepStrictEqual([slots.used("outbound"), slots.used("inbound")], [1, 2])

    const began = yield* Clock.currentTimeMillis
    const ending = yield* Effect.forkChild(end(services, scope), { startImmediately: true })
    const heard: Array<string> = []
    for (const caller of callers) heard.push(reasonOf(yield* Fiber.await(caller)))
    const heardAfter = (yield* Clock.currentTimeMillis) - began
    yield* Fiber.await(ending)
    yield* Context.get(services, BackgroundTasks).end(new NetworkClosed())
    const goneAfter = (yield* Clock.currentTimeMillis) - began
    const advert = yield* Effect.exit(Context.get(services, BlockAdvertiser).advertise(blockHash(1)))
    const late = yield* Effect.exit(network.request(find))
    const nonces = yield* Context.get(services, Handshake).nonceCount
    const dialsBefore = events.filter(({ _tag }) => _tag === "DialStarted").length
    // Nobody is let in, and nobody is dialled, in all the time that follows.
    const knock = yield* Effect.exit(Effect.scoped(Effect.timeout(stranger("10.1.0.4"), "10 seconds")))
    yield* Effect.sleep("10 minutes")
    const left = {
      tasks: yield* Context.get(services, BackgroundTasks).names,
      slots: [slots.used("outbound"), slots.used("inbound")],
      peers: (yield* Context.get(services, PeerSet).peers).length,
      handshakes: (yield* Context.get(services, Handshake).nonceCount) - nonces,
      dials: events.filter(({ _tag }) => _tag === "DialStarted").length - dialsBefore,
      letIn: Exit.isSuccess(knock)
    }
    yield* Scope.close(scope, Exit.void)
    return { heard: [...new Set(heard)], heardAfter, goneAfter, later: [reasonOf(advert), reasonOf(late)], left }
  }).pipe(Effect.provideService(Policy, policy))

const nothing = { tasks: [], slots: [0, 0], peers: 0, handshakes: 0, dials: 0, letIn: false }

describe("the end of a node", () => {
  it("by its scope is heard as NetworkClosed by everybody, at once, and leaves nothing (network 138, 140, 142)", () =>
    inWorld(
      Effect.gen(function* () {
        const result = yield* ended((_, scope) => Scope.close(scope, Exit.void))
        assert.deepStrictEqual(result.heard, ["NetworkClosed"])
        assert.deepStrictEqual(result.later, ["NetworkClosed", "NetworkClosed"])
        assert.deepStrictEqual(result.left, nothing)
        // A peer that does not read is cut after `Policy.closeGrace`.
        assert.isAtMost(result.heardAfter, 10)
        assert.isAtMost(result.goneAfter, 1010)
      })
    ))

  const failures = [
    ["fails", Effect.fail("gone")],
    ["dies", Effect.die("gone")],
    ["stops", Effect.void]
  ] as const
  for (const [how, task] of failures) {
    it(`by a task that ${how} is heard as that by everybody, and leaves nothing while the layer lives on`, () =>
      inWorld(
        Effect.gen(function* () {
          const result = yield* ended((services) =>
            Effect.scoped(
              Effect.andThen(
                Context.get(services, BackgroundTasks).run("guest", Effect.delay(task, "1 millis")),
                Effect.sleep("2 millis")
              )
            )
          )
          assert.deepStrictEqual(result.heard, ["BackgroundTaskExited"])
          assert.deepStrictEqual(result.later, ["BackgroundTaskExited", "BackgroundTaskExited"])
          assert.deepStrictEqual(result.left, nothing)
          assert.isAtMost(result.goneAfter, 1010)
        })
      ))
  }
})

describe("a node that has not started yet", () => {
  it("ends for whoever waits for its start or reads its events, and takes nothing for whoever asks it later", () =>
    inWorld(
      Effect.gen(function* () {
        const world = yield* SimNetwork
        yield* world.addRule(LinkRule.blackHole({ to: [silent] }))
        const services = yield* Layer.build(
          Simulated.layer({ chain: regtest, host, listenAddress: host, peers: [silent], seed: 1 })
        )
        const { awaitStarted, events } = Context.get(services, Network)
        const parts: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
          awaitStarted,
          Context.get(services, InitialPeers).awaitStarted
        ]
        const waiting = yield* Effect.forEach(parts, (wait) => Effect.forkChild(wait, { startImmediately: true }))
        const read = yield* Effect.forkChild(Stream.runCollect(events), { startImmediately: true })
        yield* Effect.sleep("1 second")
        for (const fiber of [...waiting, read]) assert.isUndefined(fiber.pollUnsafe())

        yield* Context.get(services, BackgroundTasks).end(new NetworkClosed())
        for (const fiber of waiting) assert.strictEqual(reasonOf(yield* Fiber.await(fiber)), "NetworkClosed")
        // The last of them is what the end did: the dial was given up.
        const told = (yield* Fiber.join(read)).map(({ _tag }) => _tag)
        assert.deepStrictEqual(told.slice(-2), ["DialStarted", "DialFailed"])

        const { connect, feel } = Context.get(services, Connector)
        for (const late of [
          ...parts,
          connect({ whom: silent, why: "manual" }),
          connect({ whom: Effect.succeed(silent), why: "candidate" }),
          feel(silent)
        ]) {
          assert.strictEqual(reasonOf(yield* Effect.exit(Effect.asVoid(late))), "NetworkClosed")
        }
        assert.strictEqual(Context.get(services, ConnectionSlots).used("outbound"), 0)
        // Whoever reads from now on has what was told, and no more.
        assert.isNotEmpty(yield* Stream.runCollect(events))
      })
    ))
})

const names = [
  "address book file",
  "answers",
  "ban events",
  "ban file",
  "bans",
  "chain tip",
  "crawler",
  "feelers",
  "initial peers",
  "inventory",
  "listener",
  "manual peers",
  "misbehavior",
  "outbound connections",
  "peer cache",
  "peer set",
  "stale tip",
  "status log"
]

const cacheDirectory = "/cache"
/** On Regtest a book is not kept. */
const chain = { ...regtest, kind: "testnet" as const }

/** A node put together by hand from its slices, whose tasks each die when the test says so. */
const fragile = (bombs: Map<string, Deferred.Deferred<never>>) => {
  const options = { chain, listenAddress: host, peers: [], cacheDirectory }
  const parts = Node.parts(options)
  const tasks = Layer.effect(
    BackgroundTasks,
    Effect.map(BackgroundTasks, (tasks) => ({
      ...tasks,
      run: (name, task) => {
        const bomb = Deferred.makeUnsafe<never>()
        bombs.set(name, bomb)
        return tasks.run(name, Effect.raceFirst(task, Deferred.await(bomb)))
      }
    }))
  ).pipe(Layer.provide(BackgroundTasks.layer))
  return Layer.merge(Network.layer, StatusLog.layer).pipe(
    Layer.provideMerge(Node.listening),
    Layer.provideMerge(Node.diallingFrom(cacheDirectory)),
    Layer.provideMerge(parts.crawler),
    Layer.provideMerge(Node.peers),
    Layer.provideMerge(parts.answers),
    Layer.provideMerge(Layer.mergeAll(parts.misbehavior, parts.peerCache, parts.seeds)),
    Layer.provideMerge(parts.addressBook),
    Layer.provideMerge(parts.bans),
    Layer.provideMerge(ListeningPort.layer(host)),
    Layer.provideMerge(Layer.mergeAll(parts.chainTip, NetworkEvents.layer, ConnectionSlots.layer)),
    Layer.provideMerge(tasks),
    Layer.provideMerge(Layer.succeed(ChainParams, chain)),
    Layer.provide(Simulated.machine({ host, seed: 1, disk: SimDisk.make().layer }))
  )
}

describe("a task of a node", () => {
  it("has one of these names", () =>
    inWorld(
      Effect.gen(function* () {
        const kept = { cacheDirectory, disk: SimDisk.make().layer }
        const whole = Simulated.layer({ chain, host, listenAddress: host, seed: 1, ...kept })
        const tasks = Context.get(yield* Layer.build(whole), BackgroundTasks)
        assert.deepStrictEqual((yield* tasks.names).toSorted(), names)
      })
    ))

  for (const name of names) {
    it(`that dies ends the node by its name, and every other one: ${name}`, () =>
      inWorld(
        Effect.gen(function* () {
          const bombs = new Map<string, Deferred.Deferred<never>>()
          const services = yield* Layer.build(fragile(bombs))
          const network = Context.get(services, Network)
          yield* network.awaitStarted
          yield* stranger("10.1.0.2")
          yield* network.awaitReady({ peers: 1 })
          const asked = yield* Effect.forkChild(
            Effect.flip(network.request({ _tag: "FindBlocks", known: [], stop: undefined })),
            { startImmediately: true }
          )
          yield* Deferred.die(bombs.get(name) ?? Deferred.makeUnsafe<never>(), new Error("a bug"))
          const end = yield* Effect.flip(network.awaitEnd)
          assert.deepInclude(end, { _tag: "BackgroundTaskExited", task: name })
          assert.strictEqual((yield* Fiber.join(asked)).reason, end)
          yield* Effect.sleep("1 second")
          assert.deepStrictEqual(yield* Context.get(services, BackgroundTasks).names, [])
          assert.isTrue(Exit.isFailure(yield* Effect.exit(Effect.scoped(stranger("10.1.0.4")))))
          assert.strictEqual(Context.get(services, ConnectionSlots).used("inbound"), 0)
        })
      ))
  }
})
