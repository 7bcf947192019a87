/**
 * Finds new addresses by asking connected peers for theirs, and decides when to dial.
 *
 * One loop turns demand and timer ticks into dials and crawls; `Connector.ts` knows how to dial. Each dial and each crawl
 * is a fiber of its own and none waits for another; a dial's fiber lives as long as the connection it made.
 *
 * Source: Zebra peer_set/initialize.rs, crawler loop, and peer_set/candidate_set/crawl.rs.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, FiberSet, Layer, Metric, Option } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { isNetworkEnd, type NetworkEnd } from "../BackgroundTasks.ts"
import * as Gossip from "../addresses/Gossip.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { outboundLimit, Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { Connector } from "./Connector.ts"
import { ConnectionSlots, type Slot } from "./ConnectionSlots.ts"
import { NetworkEvents } from "./NetworkEvents.ts"
import { PeerSet } from "./PeerSet.ts"

/** Looks for peers and dials them when more are wanted. */
export class Crawler extends Context.Service<
  Crawler,
  {
    /**
     * Asks up to `fanout` peers (all `Policy.crawlFanout` unless given) for addresses and adds them to the book. `true`
     * when one answered, even with nothing. `false` at once while a crawl runs or `Policy.getaddrInterval` has not passed
     * since the last one that asked somebody. Ends within `Policy.crawlTimeout`.
     */
    readonly crawlOnce: (fanout?: number) => Effect.Effect<boolean, NetworkEnd>
    /** Crawls and dials for as long as it runs; fails when the peer set has ended. */
    readonly run: Effect.Effect<never, NetworkEnd>
  }
>()("network-effect/network/Crawler") {
  static readonly layer = Layer.effect(
    Crawler,
    Effect.gen(function* () {
      const policy = yield* Policy
      const chain = yield* ChainParams
      const book = yield* AddressBook
      const peerSet = yield* PeerSet
      const connector = yield* Connector
      const slots = yield* ConnectionSlots
      const events = yield* NetworkEvents
      const inFlightGauge = Metric.withAttributes(
        Metric.gauge("crawler.in_flight_handshakes", { description: "dials and crawls under way" }),
        { network: chain.kind }
      )

      // -- crawling ------------------------------------------------------------------------

      const limiter = { running: false, nextMillis: -Infinity }

      /** Asks one peer. `undefined` when there was an error answer: another crawl asks another peer. */
      const askOne = peerSet.request({ _tag: "Peers" }).pipe(
        Effect.map((answer) => Option.some(answer.addresses)),
        Effect.catch((error) =>
          isNetworkEnd(error.reason)
            ? Effect.fail(error.reason)
            : Effect.as(Effect.logTrace("no addresses", error), Option.none())
        )
      )

      const crawlPeers = Effect.fnUntraced(function* (fanout: number) {
        let answered = false
        for (let asked = 0; asked < fanout; asked++) {
          const addresses = yield* askOne
          if (Option.isSome(addresses)) {
            answered = true
            const nowSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
            const plausible = Gossip.validate(addresses.value, nowSeconds)
            const added = yield* book.addGossiped(plausible)
            yield* events.publish({ _tag: "AddressesLearned", count: addresses.value.length, added })
          }
          yield* Effect.yieldNow
        }
        return answered
      })

      const crawlOnce = Effect.fnUntraced(function* (limit?: number) {
        const fanout = Math.min(limit ?? policy.crawlFanout, policy.crawlFanout)
        const now = yield* monotonicMillis
        // Nothing asked, nothing charged.
        if (fanout === 0 || limiter.running || now < limiter.nextMillis) return false
        return yield* Effect.acquireUseRelease(
          Effect.sync(() => {
            limiter.running = true
          }),
          () =>
            Effect.timeoutOrElse(crawlPeers(fanout), {
              duration: policy.crawlTimeout,
              orElse: () => Effect.as(Effect.logInfo("no peer answered the crawl in time"), false)
            }),
          // From the end, however it ended: a failing crawl must neither stop crawling for good nor repeat at once.
          () =>
            Effect.map(monotonicMillis, (ended) => {
              limiter.running = false
              limiter.nextMillis = ended + Duration.toMillis(policy.getaddrInterval)
            })
        )
      }, Spans.within("crawl"))

      // -- dialling ------------------------------------------------------------------------

      let inFlight = 0
      /** Counts an action while it is under way, for the gauge. */
      const counted = <A, E, R>(action: Effect.Effect<A, E, R>) =>
        Effect.acquireUseRelease(
          Effect.sync(() => inFlight++),
          () => action,
          () => Effect.sync(() => inFlight--)
        )

      const crawlAndAskForMore = Effect.gen(function* () {
        // Signals follow only a crawl that really ran, so an idle network does not keep the loop busy.
        if (yield* crawlOnce()) yield* peerSet.demand.offer
      })

      const dial = Effect.fnUntraced(function* (
        address: PeerSocketAddress.PeerSocketAddress,
        slot: Slot,
        outbound: number
      ) {
        const candidate = PeerSocketAddress.redacted(address)
        return yield* connector.connect(address, slot).pipe(
          Effect.map(Option.some),
          Effect.catch((error) =>
            Effect.gen(function* () {
              const log = outbound <= policy.verboseDials ? Effect.logInfo : Effect.logDebug
              const reason = error._tag === "DialError" ? error.code : error.reason._tag
              yield* log("dial failed").pipe(Effect.annotateLogs({ reason, outbound }))
              // Without services: "no services" would bar the address for good.
              yield* book
                .record({ _tag: "UpdateFailed", address, services: undefined })
                .pipe(Spans.within("report_failed", { attributes: { addr: candidate } }))
              yield* peerSet.demand.offer
              return Option.none()
            })
          ),
          Spans.within("dial", { attributes: { network: chain.kind, candidate } })
        )
      })

      /** One demand signal: a connection with the next candidate, or a crawl when there is none. */
      const dialOrCrawl = Effect.gen(function* () {
        const peer = yield* counted(
          Effect.gen(function* () {
            const slot = yield* slots.reserve("outbound")
            const outbound = slots.used("outbound")
            const candidate = yield* book.takeCandidate
            if (Option.isNone(candidate)) {
              yield* crawlAndAskForMore
              return Option.none()
            }
            yield* connector.takeTurn
            return yield* dial(candidate.value.address, slot, outbound)
          })
        )
        if (Option.isSome(peer)) yield* peer.value.awaitClosed
      }).pipe(Effect.scoped)

      const timerCrawl = Effect.suspend(() => {
        const outbound = slots.used("outbound")
        return counted(
          Effect.gen(function* () {
            if (policy.fillSpareSlots) {
              const spare = Math.max(0, outboundLimit(policy) - outbound)
              let wanted = Math.min(spare, yield* book.readyCount)
              while (wanted-- > 0 && (yield* peerSet.demand.offer)) continue
              yield* crawlAndAskForMore
            } else if ((yield* crawlOnce()) || outbound === 0) {
              yield* peerSet.demand.offer
            }
          })
        )
      })

      // -- the loop ------------------------------------------------------------------------

      const loop = Effect.fnUntraced(function* (actions: FiberSet.FiberSet<void, NetworkEnd>) {
        const intervalMillis = Duration.toMillis(policy.crawlInterval)
        // At once: a first crawl should not wait for a minute. A late tick delays all later ones.
        let nextTick = yield* monotonicMillis
        yield* Effect.logInfo("crawling").pipe(
          Effect.annotateLogs({ interval: Duration.format(policy.crawlInterval), outbound: slots.used("outbound") })
        )
        while (true) {
          yield* Metric.update(inFlightGauge, inFlight)
          const now = yield* monotonicMillis
          // The timer comes first: demand is potentially unlimited.
          if (now >= nextTick) {
            nextTick = now + intervalMillis
            yield* FiberSet.run(actions, timerCrawl, { startImmediately: true })
          } else if (peerSet.demand.takeUnsafe()) {
            // The slot is reserved before this returns, so the next signal is judged by the true count.
            if (slots.used("outbound") < outboundLimit(policy)) {
              yield* FiberSet.run(actions, dialOrCrawl, { startImmediately: true })
            }
          } else {
            yield* Effect.raceFirst(peerSet.demand.awaitOne, Effect.sleep(Duration.millis(nextTick - now)))
          }
          yield* Effect.yieldNow
        }
      })

      const run = Effect.gen(function* () {
        const actions = yield* FiberSet.make<void, NetworkEnd>()
        return yield* Effect.raceFirst(loop(actions), Effect.andThen(FiberSet.join(actions), Effect.never))
      }).pipe(
        Effect.scoped,
        Spans.within("crawl_and_dial", {
          attributes: { new_peer_interval: Duration.format(policy.crawlInterval) }
        })
      )

      return Crawler.of({ crawlOnce, run })
    })
  )
}

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1_000_000)
