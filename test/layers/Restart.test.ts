/** What a node keeps of its peers from one run to the next, over TCP: whom it dials first, and for whom it keeps places. */
import { NodeFileSystem } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Clock, Context, Duration, Effect, FileSystem, Layer, Option, References, Schedule, Stream } from "effect"
import {
  AddressBook,
  Network,
  NODE_NETWORK,
  PeerSet,
  PeerSocketAddress,
  type Policy,
  Policy as PolicyService,
  testnet
} from "network-effect"
import { Node } from "network-effect/layers"

const address = PeerSocketAddress.fromStringUnsafe

const quick: Partial<Policy> = {
  dialInterval: Duration.millis(20),
  acceptInterval: Duration.millis(1),
  crawlInterval: Duration.millis(100)
}

/** A node of Testnet, where each /16 of loopback addresses is a part of the internet. */
const node = (
  ip: string,
  options: {
    readonly cacheDirectory?: string
    readonly policy?: Partial<Policy>
    readonly seeds?: ReadonlyArray<string>
  } = {}
) =>
  Layer.build(
    Node.layer({ chain: testnet, listenAddress: address(`${ip}:0`), seeds: [], ...options }).pipe(
      Layer.provide(PolicyService.layer({ ...quick, ...options.policy }))
    )
  )

/** One that knows nobody, and dials nobody. */
const bob = (part: number) =>
  Effect.map(node(`127.${part}.0.1`, { policy: { outboundMultiplier: 0 } }), (services) =>
    Option.getOrThrow(Context.get(services, Network).listenAddress)
  )

const hears = (services: Context.Context<AddressBook>, of: PeerSocketAddress.PeerSocketAddress) =>
  Effect.flatMap(Clock.currentTimeMillis, (now) =>
    Context.get(services, AddressBook).addGossiped([
      { address: of, services: NODE_NETWORK, lastSeenSeconds: Math.floor(now / 1000) }
    ])
  )

const connected = (services: Context.Context<PeerSet>) =>
  Context.get(services, PeerSet)
    .peersUnsafe()
    .map(({ transientAddress }) => PeerSocketAddress.format(transientAddress!))

const until = <E, R>(holds: Effect.Effect<boolean, E, R>) =>
  holds.pipe(
    Effect.repeat({ schedule: Schedule.spaced("20 millis"), until: (held) => held }),
    Effect.timeout("100 seconds")
  )

describe("a node that starts again", () => {
  it.live("dials the four peers of longest standing before anybody else (E6)", () =>
    Effect.gen(function* () {
      const cacheDirectory = yield* (yield* FileSystem.FileSystem).makeTempDirectoryScoped()
      const bobs = yield* Effect.forEach(
        Array.from({ length: 9 }, (_, n) => 100 + n),
        bob
      )
      // One after the other, in no order of their addresses.
      const order = [5, 2, 8, 0, 7, 1, 3, 6, 4].map((n) => bobs[n]!)
      yield* Effect.gen(function* () {
        const alice = yield* node("127.0.3.1", { cacheDirectory })
        for (const one of order) {
          yield* hears(alice, one)
          yield* until(Effect.sync(() => connected(alice).includes(PeerSocketAddress.format(one))))
        }
      }).pipe(Effect.scoped)

      const texts = order.map(PeerSocketAddress.format)
      // The others are at hand as well.
      const again = yield* node("127.0.3.1", { cacheDirectory, seeds: texts })
      const dialled = yield* Context.get(again, Network).events.pipe(
        Stream.filter((event) => event._tag === "DialStarted"),
        Stream.map((event) => event.address),
        Stream.take(8),
        Stream.runCollect,
        Effect.timeout("100 seconds")
      )
      assert.sameMembers(dialled.slice(0, 4), texts.slice(0, 4))
      // Then others, in any order.
      assert.isTrue(dialled.slice(4).some((text) => texts.slice(4).includes(text)))
    }).pipe(
      Effect.scoped,
      Effect.provide(NodeFileSystem.layer),
      Effect.provideService(References.MinimumLogLevel, "None")
    )
  )
})
