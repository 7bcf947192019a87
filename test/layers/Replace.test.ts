/** An open node: every replaceable service replaced in a running node, left out, provided twice, and broken. */
// @effect-diagnostics missingLayerContext:off
import { NodeDns, NodeFileSystem, NodePath } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Context, type Duration, Effect, Fiber, Layer, Option, References, Result, Schedule, type Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import {
  AddressBook,
  BackgroundTasks,
  BanList,
  ChainTip,
  Crawler,
  defaults,
  DnsSeeds,
  InboundRequests,
  InboundTransport,
  Misbehavior,
  Network,
  OutboundTransport,
  PeerCache,
  PeerSet,
  PeerSocketAddress,
  Policy,
  regtest,
  Subscribable
} from "network-effect"
import { Node, Simulated } from "network-effect/layers"
import { SimNetwork } from "network-effect/simulation"
import { type Kind, kinds } from "../support/kinds.ts"
import { settle } from "../support/time.ts"

const address = PeerSocketAddress.fromStringUnsafe

const quick: Policy = { ...defaults, targetPeers: 2 }

const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

/** Below a node at an IP, over a kind of network. */
const below = ({ from }: Kind, ip: string) =>
  Layer.mergeAll(from(ip), SecureRandom.layerWebCrypto, NodeDns.layer, NodeFileSystem.layer, NodePath.layer)

const optionsAt = (ip: string) => ({ chain: regtest, listenAddress: address(`${ip}:0`) })

const portOf = (services: Context.Context<Network>) => Option.getOrThrow(Context.get(services, Network).listenAddress)

const until = <A, E, R>(effect: Effect.Effect<A, E, R>, holds: (value: A) => boolean, every: Duration.Input) =>
  effect.pipe(Effect.repeat({ schedule: Schedule.spaced(every), until: holds }), Effect.timeout("100 seconds"))

/** How often each member of a service was asked for, by name. */
type Calls = Map<string, number>

/** The same service, which counts. */
const counting = <S extends object>(service: S, calls: Calls, name: string): S =>
  new Proxy(service, {
    get: (target, member) => {
      const key = `${name}.${String(member)}`
      calls.set(key, (calls.get(key) ?? 0) + 1)
      return Reflect.get(target, member) as unknown
    }
  })

/** The layer of a service with each use of it counted. */
const counted = <I, S extends object, E, R, A>(
  service: Context.Key<I, S>,
  layer: Layer.Layer<I | A, E, R>,
  calls: Calls,
  name: string
): Layer.Layer<I, E, R> =>
  Layer.effect(
    service,
    Effect.map(service, (usual) => counting(usual, calls, name))
  ).pipe(Layer.provide(layer))

for (const kind of kinds) {
  describe(`a node over ${kind.name}`, () => {
    const inWorld = <E>(body: Effect.Effect<void, E, Scope.Scope | SimNetwork>) =>
      body.pipe(Effect.provide(SimNetwork.layer), Effect.provideService(Policy, quick), quietly)

    kind.test("uses each service that replaces one of its own", () =>
      inWorld(
        Effect.gen(function* () {
          const calls: Calls = new Map()
          const bob = yield* Layer.build(
            Node.services({ ...optionsAt("127.0.12.2"), peers: [] }).pipe(Layer.provide(below(kind, "127.0.12.2")))
          )
          const options = { ...optionsAt("127.0.12.1"), peers: [portOf(bob)] }
          const usual = Node.parts(options)
          const transports = Layer.mergeAll(
            counted(OutboundTransport, kind.from("127.0.12.1"), calls, "OutboundTransport"),
            counted(InboundTransport, kind.from("127.0.12.1"), calls, "InboundTransport")
          )
          const alice = yield* Layer.build(
            Node.compose(options, {
              chainTip: counted(ChainTip, usual.chainTip, calls, "ChainTip"),
              bans: counted(BanList, usual.bans, calls, "BanList"),
              addressBook: counted(AddressBook, usual.addressBook, calls, "AddressBook"),
              misbehavior: counted(Misbehavior, usual.misbehavior, calls, "Misbehavior"),
              peerCache: counted(PeerCache, usual.peerCache, calls, "PeerCache"),
              seeds: counted(DnsSeeds, usual.seeds, calls, "DnsSeeds"),
              answers: counted(InboundRequests, usual.answers, calls, "InboundRequests"),
              crawler: counted(Crawler, usual.crawler, calls, "Crawler")
            }).pipe(Layer.provide(transports), Layer.provide(below(kind, "127.0.12.1")))
          )
          const network = Context.get(alice, Network)
          yield* network.awaitReady({ peers: 1 })
          // Bob asks Alice for addresses.
          yield* Context.get(bob, PeerSet)
            .request({ _tag: "Peers" })
            .pipe(Effect.ignore, Effect.timeoutOption("5 seconds"))
          yield* network.reportMisbehavior({ address: address("127.0.12.9:1"), score: 0, reason: "a test" })
          const expected = [
            "ChainTip.tip",
            "BanList.isBanned",
            "AddressBook.record",
            "Misbehavior.report",
            "DnsSeeds.resolve",
            "InboundRequests.answer",
            "Crawler.crawlOnce",
            "OutboundTransport.dial",
            "InboundTransport.listen"
          ]
          const unused = Effect.sync(() => expected.filter((member) => (calls.get(member) ?? 0) === 0))
          yield* until(unused, (names) => names.length === 0, "20 millis").pipe(Effect.ignore)
          assert.deepStrictEqual(yield* unused, [])
        })
      )
    )

    kind.test("asks its own peer cache, off Regtest", () =>
      inWorld(
        Effect.gen(function* () {
          let loads = 0
          const options = { chain: regtest, peers: [] }
          const cache = Layer.succeed(
            PeerCache,
            PeerCache.of({ load: Effect.sync(() => (loads++, [])), writeOnce: Effect.succeed(false) })
          )
          const chain = { ...regtest, kind: "testnet" as const }
          const node = yield* Layer.build(
            Node.compose({ ...options, chain }, { ...Node.parts(options), peerCache: cache }).pipe(
              Layer.provide(below(kind, "127.0.12.4"))
            )
          )
          yield* Context.get(node, Network).awaitStarted
          assert.isAbove(loads, 0)
        })
      )
    )

    kind.test("and another one of the same parts share nothing", () =>
      inWorld(
        Effect.gen(function* () {
          const options = { chain: regtest, peers: [] }
          const parts = Node.parts(options)
          const one = Node.compose(options, parts).pipe(Layer.provide(below(kind, "127.0.12.5")))
          const other = Node.compose(options, parts).pipe(Layer.provide(below(kind, "127.0.12.5")))
          // In one build, where equal layers would be built once.
          const [a, b] = yield* Layer.build(
            Layer.effect(
              Both,
              Effect.gen(function* () {
                return [yield* Layer.build(one), yield* Layer.build(other)] as const
              })
            )
          ).pipe(Effect.map((context) => Context.get(context, Both)))
          const shared = [...a.mapUnsafe.keys()].filter(
            (key) => typeof a.mapUnsafe.get(key) === "object" && a.mapUnsafe.get(key) === b.mapUnsafe.get(key)
          )
          // The chain, a list of peers and a cache that keeps nothing: none of them ever changes.
          assert.deepStrictEqual(shared.toSorted(), [
            "network-effect/addresses/DnsSeeds",
            "network-effect/addresses/PeerCache",
            "network-effect/chain/ChainParams"
          ])
          yield* Context.get(a, AddressBook).addPeer(address("127.0.12.77:18233"))
          assert.strictEqual((yield* Context.get(b, AddressBook).entries).length, 0)
          yield* Context.get(a, BackgroundTasks).run("guest", Effect.fail("gone"))
          assert.deepInclude(yield* Effect.flip(Context.get(a, Network).awaitEnd), { task: "guest" })
          assert.isUndefined(Context.get(b, BackgroundTasks).endedUnsafe())
        })
      )
    )
  })
}

class Both extends Context.Service<Both, readonly [Context.Context<Running>, Context.Context<Running>]>()(
  "network-effect/test/Both"
) {}
type Running = Network | AddressBook | BackgroundTasks

describe("a node", () => {
  const host = address("10.1.0.1:18233")
  const options = { chain: regtest, listenAddress: host, peers: [] }
  const where = Simulated.machine({ host, seed: 1 })
  const build = <A, E>(layer: Layer.Layer<A, E, SimNetwork>) =>
    Effect.scoped(Effect.result(Layer.build(layer))).pipe(Effect.provide(SimNetwork.layer), quietly)
  const failureOf = <A, E>(result: Result.Result<A, E>) => (Result.isFailure(result) ? result.failure : "built")

  it.effect("of which a part cannot be built fails with one error that names it, whatever broke", () =>
    Effect.gen(function* () {
      for (const broken of [Effect.fail("no disk"), Effect.die("no disk")]) {
        const addressBook = Layer.effect(AddressBook, broken as Effect.Effect<AddressBook["Service"], string>)
        const error = failureOf(
          yield* build(Node.compose(options, { ...Node.parts(options), addressBook }).pipe(Layer.provide(where)))
        )
        assert.deepInclude(error, { _tag: "PartFailed", part: "addressBook", cause: "no disk" })
        assert.include((error as Error).message, `"addressBook"`)
      }
    })
  )

  it.effect("that is given a service it makes itself fails with its name, instead of ignoring it", () =>
    Effect.gen(function* () {
      const mine = Layer.succeed(Crawler, Crawler.of({ crawlOnce: () => Effect.succeed(true) }))
      const given = yield* build(Node.services(options).pipe(Layer.provide(where), Layer.provide(mine)))
      assert.deepInclude(failureOf(given), {
        _tag: "ServiceProvidedTwice",
        service: "network-effect/network/Crawler"
      })
      // Nor what cannot be replaced.
      const tasks = yield* build(
        Node.services(options).pipe(Layer.provide(where), Layer.provide(BackgroundTasks.layer))
      )
      assert.deepInclude(failureOf(tasks), { _tag: "ServiceProvidedTwice", service: BackgroundTasks.key })
      const transport = Layer.mock(OutboundTransport, {})
      const closed = yield* build(Node.layer({ chain: regtest, peers: [] }).pipe(Layer.provide(transport)))
      assert.deepInclude(failureOf(closed), { _tag: "ServiceProvidedTwice", service: OutboundTransport.key })
    })
  )

  it.effect("of which one part also makes the service of another fails with both names, instead of ignoring one", () =>
    Effect.gen(function* () {
      const parts = Node.parts(options)
      const mine = Layer.succeed(Crawler, Crawler.of({ crawlOnce: () => Effect.succeed(true) }))
      for (const [part, twice] of [
        ["chainTip", { ...parts, chainTip: Layer.merge(parts.chainTip, mine) }],
        ["bans", { ...parts, bans: Layer.merge(parts.bans, mine) }],
        ["answers", { ...parts, answers: Layer.merge(parts.answers, mine) }]
      ] as const) {
        const error = failureOf(yield* build(Node.compose(options, twice).pipe(Layer.provide(where))))
        assert.deepInclude(error, { _tag: "ServiceProvidedTwice", service: Crawler.key, part })
      }
      // What is below a part may be passed on by it.
      const bans = Layer.merge(parts.bans, Layer.effect(ChainTip, ChainTip))
      const passed = yield* build(Node.compose(options, { ...parts, bans }).pipe(Layer.provide(where)))
      assert.isTrue(Result.isSuccess(passed))
    })
  )

  it.effect("with two tasks of one name fails with that name, and one whose task ends at once ends by its name", () =>
    Effect.gen(function* () {
      const withTask = (name: string, task: Effect.Effect<unknown>) => ({
        ...Node.parts(options),
        crawler: Layer.effect(
          Crawler,
          Effect.gen(function* () {
            yield* (yield* BackgroundTasks).run(name, task)
            return Crawler.of({ crawlOnce: () => Effect.succeed(true) })
          })
        )
      })
      const twice = yield* build(Node.compose(options, withTask("listener", Effect.never)).pipe(Layer.provide(where)))
      assert.deepInclude(failureOf(twice), { _tag: "TaskNameTaken", task: "listener" })
      yield* Effect.gen(function* () {
        const node = yield* Layer.build(
          Node.compose(options, withTask("brief", Effect.void)).pipe(Layer.provide(where))
        )
        const end = yield* Effect.flip(Context.get(node, Network).awaitEnd)
        assert.deepInclude(end, { _tag: "BackgroundTaskExited", task: "brief" })
      }).pipe(Effect.scoped, Effect.provide(SimNetwork.layer), quietly)
    })
  )

  it.effect("gives a task of a guest an end of its own when the guest goes, and goes on", () =>
    Effect.gen(function* () {
      const node = yield* Layer.build(Node.services(options).pipe(Layer.provide(where)))
      const tasks = Context.get(node, BackgroundTasks)
      const guest = yield* Effect.forkChild(
        Effect.scoped(Effect.andThen(tasks.run("guest", Effect.never), Effect.never)),
        { startImmediately: true }
      )
      assert.include(yield* tasks.names, "guest")
      yield* Fiber.interrupt(guest)
      yield* settle
      assert.notInclude(yield* tasks.names, "guest")
      assert.isUndefined(tasks.endedUnsafe())
    }).pipe(Effect.scoped, Effect.provide(SimNetwork.layer), quietly)
  )

  it("of which something is left out does not compile", () => {
    const parts = Node.parts(options)
    const { addressBook, answers, bans, chainTip, crawler, misbehavior, peerCache, seeds } = parts
    // @ts-expect-error the address book is left out
    Node.compose(options, { answers, bans, chainTip, crawler, misbehavior, peerCache, seeds })
    // @ts-expect-error the answers are left out
    Node.compose(options, { addressBook, bans, chainTip, crawler, misbehavior, peerCache, seeds })
    // @ts-expect-error the bans are left out
    Node.compose(options, { addressBook, answers, chainTip, crawler, misbehavior, peerCache, seeds })
    // @ts-expect-error the tip is left out
    Node.compose(options, { addressBook, answers, bans, crawler, misbehavior, peerCache, seeds })
    // @ts-expect-error the crawler is left out
    Node.compose(options, { addressBook, answers, bans, chainTip, misbehavior, peerCache, seeds })
    // @ts-expect-error the reports are left out
    Node.compose(options, { addressBook, answers, bans, chainTip, crawler, peerCache, seeds })
    // @ts-expect-error the cache is left out
    Node.compose(options, { addressBook, answers, bans, chainTip, crawler, misbehavior, seeds })
    // @ts-expect-error the seeds are left out
    Node.compose(options, { addressBook, answers, bans, chainTip, crawler, misbehavior, peerCache })

    const complete = Node.compose(options, parts).pipe(Layer.provide(where))
    const closed: Layer.Layer<Network, Node.NodeError, SimNetwork> = complete
    // @ts-expect-error nothing is below it
    const open: Layer.Layer<Network, Node.NodeError> = Node.compose(options, parts)

    class Database extends Context.Service<Database, { readonly rows: number }>()("network-effect/test/Database") {}
    const tip = Layer.effect(
      ChainTip,
      Effect.map(Database, () => ChainTip.of({ tip: {} as Subscribable.Subscribable<Option.Option<never>> }))
    )
    const needy = Node.compose(options, { ...parts, chainTip: tip }).pipe(Layer.provide(where))
    // @ts-expect-error what a part needs is still needed
    const satisfied: Layer.Layer<Network, Node.NodeError, SimNetwork> = needy
    assert.isDefined([closed, open, satisfied])
  })
})
