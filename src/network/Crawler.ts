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
import { dropOldest } from "../Bounded.ts"
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
     * Asks up to `fanout` peers (as many as the layer asks unless given, and never more) for addresses and adds them to the book. `true`
     * when one answered, even with nothing. `false` at once while a crawl runs or `Policy.getaddrInterval` has not passed
     * since the last one that asked somebody. Ends within `Policy.crawlTimeout`.
     */
    readonly crawlOnce: (fanout?: number) => Effect.Effect<boolean, NetworkEnd>
  }
>()("network-effect/network/Crawler") {
  /**
   * Asks `Policy.crawlGroups` outbound peers at the same time, each of another part of the internet, of those that were not asked
   * for longest; and one of those that dialled us, of which little is believed but what it says of itself. Only when nobody else
   * is there are they asked as others are.
   * Crawls when it is asked to: by `InitialPeers` once, then by `Dialer`.
   */
  static readonly layer: Layer.Layer<Crawler, never, AddressBook | NetworkEvents | PeerSet> = Layer.effect(
    Crawler,
    make(true)
  )

  /** As the reference: asks `Policy.crawlFanout` times whomever the peer set chooses. */
  static readonly layerReference: Layer.Layer<Crawler, never, AddressBook | NetworkEvents | PeerSet> = Layer.effect(
    Crawler,
    make(false)
  )
}

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
    const most = choosesWhom ? policy.crawlGroups : policy.crawlFanout

    /** Turns by group, the one that was asked last behind all others. */
    const groupOf = new WeakMap<Peer, string>()
    const turns = new Map<string, number>()
    let turn = 0

    /** Of those that are ready, so many of distinct groups: those that were not asked for longest. */
    const nextOf = Effect.fnUntraced(function* (count: number, isWanted: (peer: Peer) => boolean) {
      const ready: Array<{ readonly peer: Peer; readonly group: string; readonly last: number }> = []
      for (const peer of yield* Random.shuffle(peerSet.peersUnsafe().filter(isWanted))) {
        if (peer.readiness() !== "Ready" || peer.transientAddress === undefined) continue
        const group = groupOf.get(peer) ?? groups.groupOf(peer.transientAddress)
        groupOf.set(peer, group)
        ready.push({ peer, group, last: turns.get(group) ?? -1 })
      }
      const chosen = new Map<string, Peer>()
      // The order is a stable one, so it is chance where nobody was asked yet.
      for (const { group, peer } of ready.toSorted((a, b) => a.last - b.last)) {
        if (chosen.size === count) break
        if (!chosen.has(group)) chosen.set(group, peer)
      }
      return [...chosen.values()]
    })

    const noteTurn = (group: string) => {
      turns.delete(group)
      turns.set(group, turn++)
      dropOldest(turns, turnsKept)
    }

    /** Asks a peer, or whom the peer set chooses. `None` when there was an error answer: another crawl asks another peer. */
    const ask = (peer: Peer | undefined) =>
      Effect.gen(function* () {
        const from = peer?.transientAddress
        if (from !== undefined) noteTurn(groups.groupOf(from))
        // In the step in which it was seen to be ready: nobody else is asked instead.
        const others = peer === undefined ? undefined : new Set(peerSet.peersUnsafe().map(({ id }) => id))
        if (peer !== undefined) others?.delete(peer.id)
        const answer = yield* peerSet.request({ _tag: "Peers" }, others === undefined ? {} : { exclude: others })
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
      const [newcomer] = yield* nextOf(1, ({ isInbound }) => isInbound)
      const answer = newcomer === undefined ? Option.none() : yield* ask(newcomer)
      if (Option.isNone(answer) || answer.value.from === undefined) return
      const { addresses, from } = answer.value
      const host = limitKey(from)
      const own = addresses.filter(({ address }) => limitKey(address) === host)
      const others = addresses.filter(({ address }) => limitKey(address) !== host)
      yield* learn([...own, ...others.slice(0, policy.believedOfNewcomers)], from)
    })

    /** `true` when it answered, even with nothing. */
    const crawlPeer = Effect.fnUntraced(function* (peer?: Peer) {
      const answer = yield* ask(peer)
      if (Option.isNone(answer)) return false
      yield* learn(answer.value.addresses, answer.value.from)
      return true
    })

    const crawlPeers = Effect.fnUntraced(function* (fanout: number) {
      const chosen = choosesWhom ? yield* nextOf(fanout, ({ isInbound }) => !isInbound) : []
      if (chosen.length > 0) {
        // All at the same time: whoever is slow takes nothing from the others.
        const answered = yield* Effect.forEach(chosen, crawlPeer, { concurrency: "unbounded" })
        yield* Effect.timeoutOption(askNewcomer, Duration.times(policy.crawlTimeout, 0.5))
        return answered.includes(true)
      }
      let answered = false
      for (let asked = 0; asked < Math.min(fanout, policy.crawlFanout); asked++) {
        answered = (yield* crawlPeer()) || answered
        yield* Effect.yieldNow
      }
      return answered
    })

    const crawlOnce = Effect.fnUntraced(function* (limit?: number) {
      const fanout = Math.min(limit ?? most, most)
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
