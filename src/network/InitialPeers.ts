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
import { Clock, Context, Deferred, Duration, Effect, FiberSet, Layer, Option, Random } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { PeerCache } from "../addresses/AddressBookFile.ts"
import * as AddressRules from "../addresses/AddressRules.ts"
import { DnsSeeds } from "../addresses/DnsSeeds.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { Connector, type ConnectError } from "./Connector.ts"
import { ConnectionSlots } from "./ConnectionSlots.ts"
import { NetworkEvents } from "./NetworkEvents.ts"
import { PeerSet } from "./PeerSet.ts"

/** Dials the first peers, and starts over when nobody is left. */
export class InitialPeers extends Context.Service<
  InitialPeers,
  {
    /**
     * Gathers, tells the book, dials up to `Policy.targetPeers`, and waits until each dial has succeeded or failed. Returns
     * how many succeeded. The connections live as long as the layer. Waits for seeds as long as there are any.
     */
    readonly start: Effect.Effect<number>
    /**
     * Starts over whenever no peer is connected and no candidate is left: at most once every `Policy.reconnectDelay`, and
     * without those dialled in that time.
     */
    readonly startOver: Effect.Effect<never>
  }
>()("network-effect/network/InitialPeers") {
  static readonly layer = Layer.effect(
    InitialPeers,
    Effect.gen(function* () {
      const policy = yield* Policy
      const chain = yield* ChainParams
      const seeds = yield* DnsSeeds
      const cache = yield* PeerCache
      const book = yield* AddressBook
      const connector = yield* Connector
      const slots = yield* ConnectionSlots
      const peerSet = yield* PeerSet
      const events = yield* NetworkEvents
      const connections = yield* FiberSet.make<void, never>()
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
        const now = yield* monotonicMillis
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

      /** One initial connection, from its slot to its end; tells `outcome` as soon as it is known. */
      const hold = (address: PeerSocketAddress.PeerSocketAddress, outcome: Deferred.Deferred<boolean>) =>
        Effect.gen(function* () {
          const slot = yield* slots.reserve("outbound")
          yield* connector.takeTurn
          dialledAt.set(PeerSocketAddress.format(address), yield* monotonicMillis)
          const peer = yield* connector.connect(address, slot)
          yield* Deferred.succeed(outcome, true)
          yield* peer.awaitClosed
        }).pipe(
          // Not told to the book: a recorded failure would bar an address that was never seen for good.
          Effect.catch((error) => {
            const reason = connectErrorReason(error)
            // No such IP family on this host says nothing about the peer.
            const log = reason === "EADDRNOTAVAIL" ? Effect.logDebug : Effect.logInfo
            return log("initial peer not reached").pipe(
              PeerSocketAddress.annotateLogs("address", address),
              Effect.annotateLogs({ reason })
            )
          }),
          Effect.scoped,
          Effect.ensuring(Deferred.succeed(outcome, false))
        )

      /** Dials each at its turn. How many of them succeeded, once all are known. */
      const dialAll = Effect.fnUntraced(function* (addresses: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>) {
        const ipv4 = addresses.filter((address) => address._tag === "InetAddressV4").length
        yield* Effect.logInfo("dialling initial peers").pipe(
          Effect.annotateLogs({ ipv4, ipv6: addresses.length - ipv4 })
        )
        const outcomes = yield* Effect.forEach(addresses, (address) =>
          Effect.gen(function* () {
            const outcome = yield* Deferred.make<boolean>()
            yield* FiberSet.run(connections, hold(address, outcome), { startImmediately: true })
            return outcome
          })
        )
        let succeeded = 0
        for (const outcome of outcomes) {
          if (yield* Deferred.await(outcome)) succeeded++
          // Remote peers must not keep everybody else waiting by answering all at once.
          yield* Effect.yieldNow
        }
        yield* Effect.logInfo("initial peers dialled").pipe(
          Effect.annotateLogs({ connected: succeeded, failed: addresses.length - succeeded })
        )
        return succeeded
      })

      const start = Effect.flatMap(choose, dialAll).pipe(Spans.within("add_initial_peers"))

      const startOver = Effect.gen(function* () {
        const isAlone = (yield* peerSet.peers).length === 0 && (yield* book.readyCount) === 0
        if (isAlone) yield* start
      }).pipe(Effect.delay(policy.reconnectDelay), Effect.forever)

      // A defect in a connection's fiber is ours and must not go unnoticed.
      const watch = Effect.andThen(FiberSet.join(connections), Effect.never)

      return InitialPeers.of({ start, startOver: Effect.raceFirst(startOver, watch) })
    })
  )
}

/** What a failed dial is logged with. */
const connectErrorReason = (error: ConnectError): string =>
  error._tag === "DialError" ? error.code : error.reason._tag

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1_000_000)
