/**
 * Service: visits every host of the network that can be heard of, once, and says what it finds.
 *
 *     from ─▶ Frontier ─take─▶ pace ─▶ Visit ─▶ Finding
 *                ▲                       │
 *                └──────── told ─────────┘
 *
 * Polite by construction: one fiber takes hosts and begins dials, at its pace, and `Frontier` never gives a host that is under
 * way or that was asked within half an hour.
 *
 * @module
 */
import { type Cause, Clock, Context, Duration, Effect, FiberSet, Latch, Layer, Queue, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { ChainParams } from "../chain/ChainParams.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../chain/ProtocolVersion.ts"
import * as Monotonic from "../Monotonic.ts"
import { Policy } from "../Policy.ts"
import { OutboundTransport } from "../transport/Transport.ts"
import { version } from "../version.ts"
import { CensusPolicy } from "./CensusPolicy.ts"
import { type End, Finding } from "./Finding.ts"
import { Frontier, type Visit } from "./Frontier.ts"
import * as Visits from "./Visit.ts"

/** What a census calls itself unless told otherwise. */
export const defaultUserAgent = `/network-effect-census:${version}/`

/** What a run is told. */
export interface RunOptions {
  /** Where it begins: seeds, a cache, a book or a list. */
  readonly from: ReadonlyArray<PeerSocketAddress>
  /** How long it dials at most. What is under way then is finished, for at most `CensusPolicy.endGrace`. */
  readonly for?: Duration.Duration | undefined
  /**
   * Hosts that earlier runs reached. Those of them that nobody tells of are dialled after all others, and not asked for
   * addresses: how many of them are there says how many this run has missed.
   */
  readonly recheck?: ReadonlyArray<PeerSocketAddress> | undefined
  /** At most 256 bytes of UTF-8. */
  readonly userAgent?: string | undefined
  /** Where we listen, which visits state: see `Guests.ts`. */
  readonly listen?: PeerSocketAddress | undefined
  /** The protocol version that is said; ours unless told. Peers may refuse what is too old for them. */
  readonly protocolVersion?: number | undefined
}

/** A count of the network, as a service. */
export class Census extends Context.Service<
  Census,
  {
    /**
     * One run. Ends by itself when nothing new is found or its time is over; its last finding is a `Progress` with its
     * end. Waits when its reader does. Ending the stream ends every connection.
     */
    readonly run: (options: RunOptions) => Stream.Stream<Finding>
  }
>()("network-effect/census/Census") {
  static readonly layer: Layer.Layer<Census, never, ChainParams | OutboundTransport | SecureRandom.SecureRandom> =
    Layer.effect(
      Census,
      Effect.gen(function* () {
        const numbers = yield* CensusPolicy
        const services = Context.make(ChainParams, yield* ChainParams).pipe(
          Context.add(OutboundTransport, yield* OutboundTransport),
          Context.add(SecureRandom.SecureRandom, yield* SecureRandom.SecureRandom),
          Context.add(CensusPolicy, numbers),
          Context.add(Policy, yield* Policy)
        )
        return Census.of({
          run: (options) =>
            Stream.callback<Finding>((queue) => Effect.provideContext(run(options, queue), services), {
              bufferSize: numbers.findingBuffer
            })
        })
      })
    )
}

/** Time between two looks at how far a run is. */
const progressInterval = Duration.seconds(1)

const run = Effect.fnUntraced(function* (options: RunOptions, output: Queue.Queue<Finding, Cause.Done>) {
  const numbers = yield* CensusPolicy
  const clock = yield* Clock.Clock
  const now = () => Monotonic.millisUnsafe(clock)
  const startedAt = now()
  const forMillis = options.for === undefined ? Number.POSITIVE_INFINITY : Duration.toMillis(options.for)
  const recheck = options.recheck ?? []
  const exploresUntil = startedAt + forMillis * (recheck.length === 0 ? 1 : numbers.recheckAfter)
  const endsAt = startedAt + forMillis
  const intervalMillis = 1000 / numbers.maxRate
  const greeting = {
    userAgent: options.userAgent ?? defaultUserAgent,
    protocolVersion: options.protocolVersion ?? ourProtocolVersion,
    stated: options.listen
  }

  const frontier = new Frontier(numbers)
  const visits = yield* FiberSet.make<void>()
  /** Opened when a visit ended: there may be more to dial, or room for it. */
  const ended = yield* Latch.make(false)
  for (const address of options.from) frontier.add(address)

  const progress = (end: End | null) =>
    Effect.suspend(() => {
      const { groups: _, ...counts } = frontier.counts()
      return Queue.offer(
        output,
        Finding.Progress({
          ...counts,
          atMillis: clock.currentTimeMillisUnsafe(),
          elapsedMillis: now() - startedAt,
          end
        })
      )
    })

  const visit = Effect.fnUntraced(function* (visit: Visit) {
    const { address, how } = visit
    const outcome = yield* Effect.scoped(Visits.visit(address, { ...greeting, asks: how === "Explored" }))
    const atMillis = clock.currentTimeMillisUnsafe()
    if (outcome._tag === "Unreachable") {
      frontier.unreachable(visit)
      yield* Queue.offer(
        output,
        Finding.Unreachable({ address, atMillis, how, reason: outcome.reason, code: outcome.code })
      )
      return
    }
    frontier.reached(visit, now())
    for (const address of outcome.addresses) frontier.add(address, visit.host)
    yield* Queue.offerAll(output, Visits.findingsOf(address, atMillis, how, outcome))
  })

  /** Waits for a visit to end, or that long. */
  const pause = (millis: number) =>
    Effect.suspend(() => {
      ended.closeUnsafe()
      return Effect.raceFirst(ended.await, Effect.sleep(Duration.millis(Math.max(0, millis))))
    })

  /** Dials whatever is to be dialled, until nothing is left or `until`. Returns whether nothing was left. */
  const dial = Effect.fnUntraced(function* (until: number) {
    let nextDialAt = now()
    while (now() < until) {
      if (frontier.counts().underWay >= numbers.maxUnderWay) {
        yield* pause(until - now())
        continue
      }
      if (nextDialAt > now()) {
        yield* Effect.sleep(Duration.millis(Math.min(nextDialAt, until) - now()))
        continue
      }
      const next = frontier.take(now())
      if (next === undefined) {
        if (frontier.counts().underWay === 0) return true
        yield* pause(until - now())
      } else if (typeof next === "number") {
        yield* pause(Math.min(next, until - now()))
      } else {
        nextDialAt = Math.max(nextDialAt, now()) + intervalMillis
        yield* FiberSet.run(
          visits,
          Effect.ensuring(
            visit(next),
            Effect.sync(() => ended.openUnsafe())
          )
        )
      }
    }
    return false
  })

  yield* progress(null).pipe(Effect.delay(progressInterval), Effect.forever, Effect.forkScoped)
  let isExhausted = yield* dial(exploresUntil)
  if (recheck.length > 0) {
    frontier.recheck(recheck)
    isExhausted = (yield* dial(endsAt)) && isExhausted
  }
  yield* FiberSet.awaitEmpty(visits).pipe(Effect.timeoutOption(numbers.endGrace))
  yield* FiberSet.clear(visits)
  yield* progress(isExhausted ? "Exhausted" : "OutOfTime")
  yield* Queue.end(output)
})
