/**
 * The first addresses and the first dials.
 *
 * Addresses come from the DNS seeds (or the peers the operator named) and from the cache file. All valid ones go to the
 * book, some are dialled at once.
 *
 * Source: Zebra peer_set/initialize.rs, `limit_initial_peers` and `add_initial_peers`.
 *
 * @module
 */
import { Context, Deferred, Duration, Effect, Fiber, Layer, Option, Random } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { PeerCache } from "../addresses/AddressBookFile.ts"
import * as AddressRules from "../addresses/AddressRules.ts"
import { DnsSeeds } from "../addresses/DnsSeeds.ts"
import { BackgroundTasks, type TaskNameTaken } from "../BackgroundTasks.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as Monotonic from "../Monotonic.ts"
import { Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { Connector } from "./Connector.ts"
import { ConnectionSlots } from "./ConnectionSlots.ts"
import { Crawler } from "./Crawler.ts"
import { NetworkEvents } from "./NetworkEvents.ts"
import { PeerSet } from "./PeerSet.ts"

/** Dials the first peers, and starts over when nobody is left. */
export class InitialPeers extends Context.Service<
  InitialPeers,
  {
    /**
     * The first dials are known to have succeeded or failed, and the first crawl is over: more peers are looked for from now
     * on. Waits for seeds as long as there are any.
     */
    readonly awaitStarted: Effect.Effect<void>
  }
>()("network-effect/network/InitialPeers") {
  /** Starts over at most once every `Policy.reconnectDelay`, and without those dialled in that time. */
  static readonly layer: Layer.Layer<
    InitialPeers,
    TaskNameTaken,
    | AddressBook
    | BackgroundTasks
    | ChainParams
    | ConnectionSlots
    | Connector
    | Crawler
    | DnsSeeds
    | NetworkEvents
    | PeerCache
    | PeerSet
  > = Layer.effect(
    InitialPeers,
    Effect.gen(function* () {
      const policy = yield* Policy
      const chain = yield* ChainParams
      const seeds = yield* DnsSeeds
      const cache = yield* PeerCache
      const book = yield* AddressBook
      const connector = yield* Connector
      const crawler = yield* Crawler
      const slots = yield* ConnectionSlots
      const peerSet = yield* PeerSet
      const events = yield* NetworkEvents
      const tasks = yield* BackgroundTasks
      const started = yield* Deferred.make<void>()
      const dialledAt = new Map<string, number>()

      /** All addresses there are, valid ones only, best first, all told to the book; then those to dial, in random order. */
      const choose = Effect.gen(function* () {
        const found = [...(yield* seeds.resolve), ...(chain.kind === "regtest" ? [] : yield* cache.load)]
        const unique = new Map(found.map((address) => [PeerSocketAddress.format(address), address]))
        yield* events.publish({ _tag: "InitialPeersFound", count: unique.size })
        if (unique.size > policy.targetPeers) {
          yield* Effect.logInfo("more initial peers than needed").pipe(
            Effect.annotateLogs({ found: unique.size, dialled: policy.targetPeers })
          )
        }
        const valid: Array<PeerSocketAddress.PeerSocketAddress> = []
        for (const address of unique.values()) {
          const invalid = AddressRules.validForOutbound(address, chain)
          if (invalid === undefined) valid.push(address)
          else {
            yield* Effect.logInfo("initial peer ignored").pipe(
              PeerSocketAddress.annotateLogs("address", address),
              Effect.annotateLogs({ reason: invalid })
            )
          }
        }
        // Shuffled before they are grouped, so each group is a random one; then the preferred group is used up first.
        const shuffled = yield* Random.shuffle(valid)
        const byPreference = [
          ...shuffled.filter((address) => AddressRules.isPreferred(address, chain)),
          ...shuffled.filter((address) => !AddressRules.isPreferred(address, chain))
        ]
        for (const address of byPreference) yield* book.record({ _tag: "NewInitial", address })
        const now = yield* Monotonic.millis
        for (const [address, dialled] of dialledAt) {
          if (now - dialled >= Duration.toMillis(policy.reconnectDelay)) dialledAt.delete(address)
        }
        const due: Array<PeerSocketAddress.PeerSocketAddress> = []
        for (const address of byPreference) {
          const entry = Option.getOrUndefined(yield* book.get(address))
          // The crawler may have dialled it since.
          const attempted = Math.max(
            dialledAt.get(PeerSocketAddress.format(address)) ?? -Infinity,
            entry?.lastAttemptMillis ?? -Infinity
          )
          if (now - attempted >= Duration.toMillis(policy.reconnectDelay)) due.push(address)
        }
        return yield* Random.shuffle(due.slice(0, policy.targetPeers))
      })

      /** Dials one. Whether it succeeded. */
      const dial = (address: PeerSocketAddress.PeerSocketAddress) =>
        connector
          .connect({
            whom: Effect.map(Monotonic.millis, (now) => {
              dialledAt.set(PeerSocketAddress.format(address), now)
              return address
            }),
            why: "initial"
          })
          .pipe(
            Effect.as(true),
            // Not told to the book: a recorded failure would bar an address that was never seen for good.
            Effect.catch((error) => {
              // No such IP family on this host says nothing about the peer.
              const log = error.code === "EADDRNOTAVAIL" ? Effect.logDebug : Effect.logInfo
              return log("initial peer not reached").pipe(
                PeerSocketAddress.annotateLogs("address", address),
                Effect.annotateLogs({ reason: error.code }),
                Effect.as(false)
              )
            })
          )

      /** Dials each at its turn. How many of them succeeded, once all are known. */
      const dialAll = Effect.fnUntraced(function* (addresses: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) {
        const ipv4 = addresses.filter((address) => address._tag === "InetAddressV4").length
        yield* Effect.logInfo("dialling initial peers").pipe(
          Effect.annotateLogs({ ipv4, ipv6: addresses.length - ipv4 })
        )
        // Each takes its slot now, and its turn as it comes.
        const dials = yield* Effect.forEach(addresses, (address) =>
          Effect.forkChild(dial(address), { startImmediately: true })
        )
        let succeeded = 0
        for (const each of dials) {
          if (yield* Fiber.join(each)) succeeded++
          // Remote peers must not keep everybody else waiting by answering all at once.
          yield* Effect.yieldNow
        }
        yield* Effect.logInfo("initial peers dialled").pipe(
          Effect.annotateLogs({ connected: succeeded, failed: addresses.length - succeeded })
        )
        return succeeded
      })

      const gatherAndDial = Effect.flatMap(choose, dialAll).pipe(Spans.within("add_initial_peers"))

      const startUp = Effect.gen(function* () {
        yield* gatherAndDial
        yield* Effect.logInfo("initial peers done").pipe(Effect.annotateLogs({ outbound: slots.used("outbound") }))
        // Those that live now. Some nodes answer address requests only once per connection: this one must not be lost.
        yield* crawler.crawlOnce(Math.min(slots.open("outbound"), policy.crawlFanout))
        for (let missing = policy.targetPeers - slots.used("outbound"); missing > 0; missing--) {
          yield* peerSet.demand.offer
        }
        yield* Deferred.succeed(started, undefined)
      })

      const startOver = Effect.gen(function* () {
        const isAlone = (yield* peerSet.peers).length === 0 && (yield* book.readyCount) === 0
        if (isAlone) yield* gatherAndDial
      }).pipe(Effect.delay(policy.reconnectDelay), Effect.forever)

      yield* tasks.run("initial peers", Effect.andThen(startUp, startOver))

      return InitialPeers.of({ awaitStarted: Deferred.await(started) })
    })
  )
}
