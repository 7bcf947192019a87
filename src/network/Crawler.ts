/**
 * Asks connected peers for the addresses they know.
 *
 * When to ask is for `InitialPeers.ts` and `Dialer.ts` to say; how often at most is kept here.
 *
 * Source: Zebra peer_set/candidate_set/crawl.rs.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, Layer, Option } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import * as Gossip from "../addresses/Gossip.ts"
import { isNetworkEnd, type NetworkEnd } from "../BackgroundTasks.ts"
import * as Monotonic from "../Monotonic.ts"
import { Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { NetworkEvents } from "./NetworkEvents.ts"
import { PeerSet } from "./PeerSet.ts"

/** Finds new addresses. */
export class Crawler extends Context.Service<
  Crawler,
  {
    /**
     * Asks up to `fanout` peers (all `Policy.crawlFanout` unless given) for addresses and adds them to the book. `true`
     * when one answered, even with nothing. `false` at once while a crawl runs or `Policy.getaddrInterval` has not passed
     * since the last one that asked somebody. Ends within `Policy.crawlTimeout`.
     */
    readonly crawlOnce: (fanout?: number) => Effect.Effect<boolean, NetworkEnd>
  }
>()("network-effect/network/Crawler") {
  /** Asks the peer set it is given. Crawls when it is asked to: by `InitialPeers` once, then by `Dialer`. */
  static readonly layer: Layer.Layer<Crawler, never, AddressBook | NetworkEvents | PeerSet> = Layer.effect(
    Crawler,
    Effect.gen(function* () {
      const policy = yield* Policy
      const book = yield* AddressBook
      const peerSet = yield* PeerSet
      const events = yield* NetworkEvents
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
        const now = yield* Monotonic.millis
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
            Effect.map(Monotonic.millis, (ended) => {
              limiter.running = false
              limiter.nextMillis = ended + Duration.toMillis(policy.getaddrInterval)
            })
        )
      }, Spans.within("crawl"))

      return Crawler.of({ crawlOnce })
    })
  )
}
