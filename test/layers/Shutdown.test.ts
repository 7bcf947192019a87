/** How a node ends, whatever ends it, with everything under way: callers hear why, and nothing is left. */
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Effect, Exit, Fiber, Layer, Option, References, Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import {
  BackgroundTasks,
  BlockAdvertiser,
  ChainParams,
  ConnectionSlots,
  defaults,
  Handshake,
  IsolatedPeer,
  ManualPeers,
  Network,
  type NetworkEvent,
  OutboundTransport,
  PeerSet,
  PeerSocketAddress,
  Policy,
  regtest
} from "network-effect"
import { Simulated } from "network-effect/layers"
import { LinkRule, SimNetwork } from "network-effect/simulation"
import { collectEvents } from "../support/dialWorld.ts"
import { blockHash } from "../support/peerSetWorld.ts"
import { inVirtualTime } from "../support/time.ts"

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
  inVirtualTime(
    Effect.gen(function* () {
      const world = yield* SimNetwork
      const scope = yield* Scope.make()
      const services = yield* Layer.build(node).pipe(Scope.provide(scope))
      const network = Context.get(services, Network)
      const events: ReadonlyArray<NetworkEvent> = yield* Effect.provideContext(collectEvents, services)
      yield* network.awaitStarted
      yield* stranger("10.1.0.2")
      yield* network.awaitReady({ peers: 1 })
      // A dial that nobody answers, a handshake that goes nowhere.
      yield* world.addRule(LinkRule.blackHole({ to: [silent] }))
      const dial = yield* Effect.forkChild(Context.get(services, ManualPeers).connect(silent), {
        startImmediately: true
      })
      yield* mute("10.1.0.3")
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
      yield* Context.get(services, BackgroundTasks).end({} as never)
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
    }),
    "10 millis"
  ).pipe(
    Effect.scoped,
    Effect.provide(SimNetwork.layer),
    Effect.provideService(Policy, policy),
    Effect.provideService(References.MinimumLogLevel, "None")
  )

const nothing = { tasks: [], slots: [0, 0], peers: 0, handshakes: 0, dials: 0, letIn: false }

describe("the end of a node", () => {
  it.effect(
    "by its scope is heard as NetworkClosed by everybody, at once, and leaves nothing (network 138, 140, 142)",
    () =>
      Effect.gen(function* () {
        const result = yield* ended((_, scope) => Scope.close(scope, Exit.void))
        assert.deepStrictEqual(result.heard, ["NetworkClosed"])
        assert.deepStrictEqual(result.later, ["NetworkClosed", "NetworkClosed"])
        assert.deepStrictEqual(result.left, nothing)
        // A peer that does not read is cut after `Policy.closeGrace`.
        assert.isAtMost(result.heardAfter, 10)
        assert.isAtMost(result.goneAfter, 1010)
      })
  )

  it.effect(
    "by a task that fails is heard by everybody as that task's, and leaves nothing while the layer lives on",
    () =>
      Effect.gen(function* () {
        const result = yield* ended((services) =>
          Context.get(services, BackgroundTasks).run("guest", Effect.fail("gone")).pipe(Effect.scoped)
        )
        assert.deepStrictEqual(result.heard, ["BackgroundTaskExited"])
        assert.deepStrictEqual(result.later, ["BackgroundTaskExited", "BackgroundTaskExited"])
        assert.deepStrictEqual(result.left, nothing)
        assert.isAtMost(result.goneAfter, 1010)
      })
  )
})

describe("the tasks of a node", () => {
  it.effect("are these, each by its name", () =>
    Effect.gen(function* () {
      const tasks = yield* BackgroundTasks
      assert.deepStrictEqual((yield* tasks.names).toSorted(), [])
    }).pipe(
      Effect.provide(node),
      Effect.provide(SimNetwork.layer),
      Effect.provideService(References.MinimumLogLevel, "None")
    )
  )
})
