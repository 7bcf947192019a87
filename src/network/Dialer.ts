/**
 * Decides when one more connection is dialled: one loop turns demand and timer ticks into dials and crawls.
 *
 * `AddressBook` says whom, `Connector` makes the connection and keeps the limit. Each dial and each crawl is a fiber of its
 * own and none waits for another.
 *
 * Source: Zebra peer_set/initialize.rs, crawler loop.
 *
 * @module
 */
import { Duration, Effect, FiberSet, Layer, Metric, Option } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { BackgroundTasks, isNetworkEnd, type NetworkEnd, type TaskNameTaken } from "../BackgroundTasks.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as Monotonic from "../Monotonic.ts"
import { Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { ConnectionSlots } from "./ConnectionSlots.ts"
import { Connector } from "./Connector.ts"
import { Crawler } from "./Crawler.ts"
import { InitialPeers } from "./InitialPeers.ts"
import { PeerSet } from "./PeerSet.ts"

/** No address is due. Most signals of an idle network end with it, so it is one value, and no error with a stack. */
const noCandidate = { _tag: "NoCandidate" } as const

/** What the loop needs once it runs. */
type LoopNeeds = AddressBook | ChainParams | ConnectionSlots | Connector | Crawler | PeerSet

/** Crawls and dials for as long as it runs; fails when the network ends. */
export const run: Effect.Effect<never, NetworkEnd, LoopNeeds> = Effect.gen(function* () {
  const policy = yield* Policy
  const chain = yield* ChainParams
  const book = yield* AddressBook
  const peerSet = yield* PeerSet
  const connector = yield* Connector
  const crawler = yield* Crawler
  const slots = yield* ConnectionSlots
  const inFlightGauge = Metric.withAttributes(
    Metric.gauge("crawler.in_flight_handshakes", { description: "dials and crawls under way" }),
    { network: chain.kind }
  )

  let inFlight = 0
  const countInFlight = (change: 1 | -1) =>
    Effect.suspend(() => {
      inFlight += change
      return Metric.update(inFlightGauge, inFlight)
    })
  /** Counts an action while it is under way. */
  const counted = <A, E, R>(action: Effect.Effect<A, E, R>) =>
    Effect.acquireUseRelease(
      countInFlight(1),
      () => action,
      () => countInFlight(-1)
    )

  const crawlAndAskForMore = Effect.gen(function* () {
    // Signals follow only a crawl that really ran, so an idle network does not keep the loop busy.
    if (yield* crawler.crawlOnce()) yield* peerSet.demand.offer
  })

  /** The next candidate; a crawl when there is none, during which the slot stays taken. */
  const nextCandidate = Effect.gen(function* () {
    const candidate = yield* book.takeCandidate
    if (Option.isSome(candidate)) return candidate.value.address
    // Nor is anybody due for the others that are wanted now.
    while (peerSet.demand.takeUnsafe()) continue
    yield* crawlAndAskForMore
    return yield* Effect.fail(noCandidate)
  })

  /** One demand signal: a connection with the next candidate, or nothing when every slot is taken. */
  const dialOrCrawl = connector.connect({ whom: nextCandidate, why: "candidate" }).pipe(
    Effect.asVoid,
    Effect.catchTag("NoCandidate", () => Effect.void),
    Effect.catchTag("ConnectError", ({ reason }) =>
      isNetworkEnd(reason)
        ? Effect.fail(reason)
        : // Another one is wanted instead, unless there is no place for it.
          reason._tag === "NoFreeSlot"
          ? Effect.void
          : Effect.asVoid(peerSet.demand.offer)
    )
  )

  const timerCrawl = Effect.gen(function* () {
    const outbound = slots.used("outbound")
    if (policy.fillSpareSlots) {
      const spare = Math.max(0, slots.limits.outbound - outbound)
      let wanted = spare === 0 ? 0 : Math.min(spare, yield* book.readyCount)
      while (wanted-- > 0 && (yield* peerSet.demand.offer)) continue
      yield* crawlAndAskForMore
    } else if ((yield* crawler.crawlOnce()) || outbound === 0) {
      yield* peerSet.demand.offer
    }
  })

  const loop = Effect.fnUntraced(function* (actions: FiberSet.FiberSet<void, NetworkEnd>) {
    const intervalMillis = Duration.toMillis(policy.crawlInterval)
    // At once: a first crawl should not wait for a minute. A late tick delays all later ones.
    let nextTick = yield* Monotonic.millis
    yield* Effect.logInfo("crawling").pipe(
      Effect.annotateLogs({ interval: Duration.format(policy.crawlInterval), outbound: slots.used("outbound") })
    )
    while (true) {
      const now = yield* Monotonic.millis
      // The timer comes first: demand is potentially unlimited.
      if (now >= nextTick) {
        nextTick = now + intervalMillis
        yield* FiberSet.run(actions, counted(timerCrawl), { startImmediately: true })
      } else if (peerSet.demand.takeUnsafe()) {
        // The slot is reserved, or refused, before this returns: the next signal is judged by the true count.
        yield* FiberSet.run(actions, counted(dialOrCrawl), { startImmediately: true })
      } else {
        yield* Effect.raceFirst(peerSet.demand.awaitOne, Effect.sleep(Duration.millis(nextTick - now)))
      }
      yield* Effect.yieldNow
    }
  })

  const actions = yield* FiberSet.make<void, NetworkEnd>()
  return yield* Effect.raceFirst(loop(actions), Effect.andThen(FiberSet.join(actions), Effect.never))
}).pipe(Effect.scoped, (running) =>
  Effect.flatMap(Policy, (policy) =>
    Spans.within("crawl_and_dial", {
      attributes: { new_peer_interval: Duration.format(policy.crawlInterval) }
    })(running)
  )
)

/** The loop as the task `crawler`, from when the first dials and the first crawl are over. Provides nothing. */
export const layer: Layer.Layer<never, TaskNameTaken, BackgroundTasks | InitialPeers | LoopNeeds> = Layer.effectDiscard(
  Effect.gen(function* () {
    const tasks = yield* BackgroundTasks
    const initialPeers = yield* InitialPeers
    yield* tasks.run("crawler", Effect.andThen(initialPeers.awaitStarted, run))
  })
)
