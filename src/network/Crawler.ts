/**
 * Asks connected peers for the addresses they know.
 *
 * When to ask is for `InitialPeers.ts` and `Dialer.ts` to say; how often at most is kept here.
 *
 * Source: Zebra peer_set/candidate_set/crawl.rs.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, Layer, Option, Random } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { AddressGroups } from "../addresses/AddressGroups.ts"
import { limitKey } from "../addresses/AddressRules.ts"
import * as Gossip from "../addresses/Gossip.ts"
import { isNetworkEnd, type NetworkEnd } from "../BackgroundTasks.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import * as Monotonic from "../Monotonic.ts"
import type { Peer } from "../peer/Peer.ts"
import { Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import type { GossipedAddress } from "../wire/AddressCodec.ts"
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
  /**
   * Asks outbound peers, each time one of a part of the internet that was not asked for longest; and one of those that dialled
   * us, of which little is believed but what it says of itself. Only when nobody else is there are they asked as others are.
   * Crawls when it is asked to: by `InitialPeers` once, then by `Dialer`.
   */
  static readonly layer: Layer.Layer<Crawler, never, AddressBook | NetworkEvents | PeerSet> = Layer.effect(
    Crawler,
    make(true)
  )

  /** As the reference: asks whomever the peer set chooses. */
  static readonly layerReference: Layer.Layer<Crawler, never, AddressBook | NetworkEvents | PeerSet> = Layer.effect(
    Crawler,
    make(false)
  )
}

/** Addresses of others that are believed of one who dialled us, each time it is asked. */
const believedOfNewcomers = 3

/** Groups whose last turn is remembered: more than there can be connections. */
const turnsKept = 1024

function make(choosesWhom: boolean) {
  return Effect.gen(function* () {
    const policy = yield* Policy
    const book = yield* AddressBook
    const peerSet = yield* PeerSet
    const events = yield* NetworkEvents
    const groups = yield* AddressGroups
    const limiter = { running: false, nextMillis: -Infinity }

    /** Turns by group, the one that was asked last behind all others. */
    const turns = new Map<string, number>()
    let turn = 0

    /** Of those that are ready, one of a group that was not asked for longest. */
    const nextOf = Effect.fnUntraced(function* (isWanted: (peer: Peer) => boolean) {
      let first: Peer | undefined
      let firstTurn = Infinity
      for (const peer of yield* Random.shuffle(peerSet.peersUnsafe())) {
        if (!isWanted(peer) || peer.readiness() !== "Ready" || peer.transientAddress === undefined) continue
        const last = turns.get(groups.groupOf(peer.transientAddress)) ?? -1
        if (last >= firstTurn) continue
        first = peer
        firstTurn = last
      }
      return first
    })

    const noteTurn = (group: string) => {
      turns.delete(group)
      turns.set(group, turn++)
      for (const oldest of turns.keys()) {
        if (turns.size <= turnsKept) break
        turns.delete(oldest)
      }
    }

    /** Asks a peer, or whom the peer set chooses. `None` when there was an error answer: another crawl asks another peer. */
    const ask = (peer: Peer | undefined) =>
      Effect.gen(function* () {
        const from = peer?.transientAddress
        if (from !== undefined) noteTurn(groups.groupOf(from))
        // In the step in which it was seen to be ready: nobody else is asked instead.
        const others = peerSet.peersUnsafe().flatMap(({ id }) => (id === peer?.id ? [] : [id]))
        const answer = yield* peerSet.request({ _tag: "Peers" }, peer === undefined ? {} : { exclude: new Set(others) })
        return Option.some({ addresses: answer.addresses, from })
      }).pipe(
        Effect.catch((error) =>
          isNetworkEnd(error.reason)
            ? Effect.fail(error.reason)
            : Effect.as(Effect.logTrace("no addresses", error), Option.none())
        )
      )

    const learn = Effect.fnUntraced(function* (
      addresses: ReadonlyArray<GossipedAddress>,
      from: PeerSocketAddress | undefined
    ) {
      const nowSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
      const plausible = Gossip.validate(addresses, nowSeconds)
      const added = yield* book.addGossiped(plausible, from)
      yield* events.publish({ _tag: "AddressesLearned", count: addresses.length, added })
    })

    /** What somebody who dialled us says of its own host, and a few others: nobody hears of a newcomer otherwise. */
    const askNewcomer = Effect.gen(function* () {
      const answer = yield* Effect.flatMap(
        nextOf(({ isInbound }) => isInbound),
        (peer) => (peer === undefined ? Effect.succeed(Option.none()) : ask(peer))
      )
      if (Option.isNone(answer) || answer.value.from === undefined) return
      const { addresses, from } = answer.value
      const host = limitKey(from)
      const own = addresses.filter(({ address }) => limitKey(address) === host)
      const others = addresses.filter(({ address }) => limitKey(address) !== host)
      yield* learn([...own, ...others.slice(0, believedOfNewcomers)], from)
    })

    const crawlPeers = Effect.fnUntraced(function* (fanout: number) {
      let answered = false
      for (let asked = 0; asked < fanout; asked++) {
        const outbound = choosesWhom ? yield* nextOf(({ isInbound }) => !isInbound) : undefined
        const answer = yield* ask(outbound)
        if (Option.isSome(answer)) {
          answered = true
          yield* learn(answer.value.addresses, answer.value.from)
        }
        yield* Effect.yieldNow
        if (outbound !== undefined && asked === fanout - 1) {
          yield* Effect.timeoutOption(askNewcomer, Duration.times(policy.crawlTimeout, 0.5))
        }
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
}
