/**
 * Who gets our requests when some peers answer at once to get them: the peer set as it is, among peers that answer after a
 * time of their own.
 *
 * Nothing is on a wire. Each peer does one request after the other and has one more waiting, as a connection does, and what
 * it took is estimated as a connection does. All have been connected for an hour, and what is estimated of them is right.
 *
 * @module
 */
import { Cause, Clock, Deferred, Duration, Effect, Exit, FiberSet, Layer, Random, References } from "effect"
import { BanList } from "../addresses/BanList.ts"
import { BackgroundTasks } from "../BackgroundTasks.ts"
import { ChainParams, mainnet } from "../chain/ChainParams.ts"
import { ChainTip } from "../chain/ChainTip.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { PeerSet } from "../network/PeerSet.ts"
import type { PeerError } from "../peer/Peer.ts"
import * as PeerLoad from "../peer/PeerLoad.ts"
import type { Request, Response, ResponseOf } from "../peer/Request.ts"
import { defaults, Policy } from "../Policy.ts"
import { InventoryRegistry } from "../routing/InventoryRegistry.ts"
import { PeerSelection } from "../routing/PeerSelection.ts"
import { madeUpPeer } from "./MadeUpPeer.ts"
import * as SeededRandom from "./SeededRandom.ts"
import { SimRuntime } from "./SimRuntime.ts"

/** Who is there, and how much is asked. */
export interface CaptureOptions {
  readonly peers: number
  /** Those of them that want our requests. */
  readonly attackers: number
  /** Networks they are in; every honest peer is in one of its own. */
  readonly networks: number
  /** Answer times in milliseconds, the same for each request of a peer and drawn evenly for each peer. */
  readonly honestMillis: readonly [from: number, to: number]
  readonly attackerMillis: number
  /**
   * `half`: requests come at random, so many that honest peers that all get the same are busy half of the time, which leaves
   * half of them free. `saturated`: twice as many callers as peers ask again and again.
   */
  readonly load: "half" | "saturated"
  /** How long it is measured, after half as long again to begin with. */
  readonly seconds: number
  readonly selection: PeerSelection
  readonly seed: SeededRandom.Seed
}

/** What came of it. */
export interface Capture {
  /** Share of the answered requests that honest peers answered. */
  readonly honestShare: number
  readonly answeredPerSecond: number
  /** From asking to the answer, on average. */
  readonly answerMillis: number
}

const layer = PeerSet.layer.pipe(
  Layer.provideMerge(Layer.mergeAll(InventoryRegistry.layer, BanList.layer, ChainTip.layerNone)),
  Layer.provide(Layer.mergeAll(Layer.succeed(ChainParams, mainnet), BackgroundTasks.layer)),
  Layer.provide(Layer.succeed(Policy, { ...defaults, targetPeers: 1000 }))
)

const decayNanos = Duration.toMillis(defaults.answerTimeDecay) * 1e6

/** A peer that takes so long for each request, one after the other. `answered` hears of each. */
const timedPeer = (id: number, ip: string, millis: number, clock: Clock.Clock, answered: () => void) => {
  interface Task {
    readonly sinceNanos: bigint
    readonly done: Deferred.Deferred<Response, PeerError>
  }
  let waiting: Task | undefined
  let isWorking = false
  let unfinished = 0
  let isWanted = Deferred.makeUnsafe<void>()
  let isFree = Deferred.makeUnsafe<void>()
  let estimate: PeerLoad.Estimate = { answerNanos: millis * 1e6, updatedAtNanos: clock.monotonicTimeNanosUnsafe() }

  const work = Effect.gen(function* () {
    const task = waiting
    if (task === undefined) {
      isWanted = Deferred.makeUnsafe()
      return yield* Deferred.await(isWanted)
    }
    waiting = undefined
    isWorking = true
    Deferred.doneUnsafe(isFree, Exit.void)
    yield* Effect.sleep(Duration.millis(millis))
    isWorking = false
    unfinished--
    const now = clock.monotonicTimeNanosUnsafe()
    estimate = PeerLoad.observed(estimate, Number(now - task.sinceNanos), now, decayNanos)
    answered()
    Deferred.doneUnsafe(task.done, Exit.succeed({ _tag: "Nil" }))
  }).pipe(Effect.forever)

  const peer = madeUpPeer({
    id,
    address: PeerSocketAddress.fromStringUnsafe(`${ip}:8233`),
    serving: true,
    readiness: () => (waiting === undefined ? "Ready" : "Busy"),
    awaitReady: Effect.suspend(() => {
      if (waiting === undefined) return Effect.void
      isFree = Deferred.makeUnsafe()
      return Deferred.await(isFree)
    }),
    enqueueUnsafe: <R extends Request>(_request: R) => {
      const done = Deferred.makeUnsafe<Response, PeerError>()
      waiting = { sinceNanos: clock.monotonicTimeNanosUnsafe(), done }
      unfinished++
      if (!isWorking) Deferred.doneUnsafe(isWanted, Exit.void)
      // It says no more than that it is an answer.
      return Deferred.await(done) as Effect.Effect<ResponseOf<R>, PeerError>
    },
    load: (nowNanos) => PeerLoad.load(estimate, unfinished, nowNanos, decayNanos)
  })
  return { peer, work }
}

const program = (options: CaptureOptions) =>
  Effect.gen(function* () {
    const { attackerMillis, attackers, honestMillis, load, networks, peers, seconds } = options
    const clock = yield* Clock.Clock
    const peerSet = yield* PeerSet
    const [from, to] = honestMillis
    let isMeasured = false
    let [honest, all, tookMillis] = [0, 0, 0]
    for (let n = 0; n < peers; n++) {
      const isAttacker = n < attackers
      const ip = isAttacker
        ? `44.${n % networks}.${1 + Math.floor(n / networks)}.1`
        : `${60 + (n >> 8)}.${n & 0xff}.1.1`
      const millis = isAttacker ? attackerMillis : from + (yield* Random.next) * (to - from)
      const { peer, work } = timedPeer(n + 1, ip, millis, clock, () => {
        if (isMeasured && !isAttacker) honest++
      })
      yield* Effect.forkScoped(work, { startImmediately: true })
      yield* peerSet.add(peer)
    }
    yield* Effect.sleep("1 hour")

    const ask = Effect.gen(function* () {
      const began = clock.currentTimeMillisUnsafe()
      const countsHere = isMeasured
      yield* Effect.exit(peerSet.request({ _tag: "MempoolTransactionIds" }))
      if (!isMeasured) return
      all++
      if (countsHere) tookMillis += clock.currentTimeMillisUnsafe() - began
    })
    const asking = yield* FiberSet.make<unknown>()
    if (load === "saturated") {
      for (let caller = 0; caller < 2 * peers; caller++) yield* FiberSet.run(asking, Effect.forever(ask))
    } else {
      const meanGapMillis = (from + to) / peers
      const arrivals = Effect.gen(function* () {
        yield* Effect.sleep(Duration.millis(-Math.log(1 - (yield* Random.next)) * meanGapMillis))
        yield* FiberSet.run(asking, ask)
      })
      yield* FiberSet.run(asking, Effect.forever(arrivals))
    }
    yield* Effect.sleep(Duration.seconds(seconds / 2))
    isMeasured = true
    yield* Effect.sleep(Duration.seconds(seconds))
    return { honestShare: honest / all, answeredPerSecond: all / seconds, answerMillis: tookMillis / all }
  }).pipe(Effect.scoped)

/** Runs one such world in virtual time; the same options give the same figures. */
export const run = (options: CaptureOptions): Capture => {
  const world = program(options).pipe(
    Effect.provide(layer),
    Effect.provideService(PeerSelection, options.selection),
    Effect.provideService(References.MinimumLogLevel, "None"),
    Effect.provide(SeededRandom.layer(options.seed, "capture"))
  )
  // Moments far from the beginning of time, so that what is an hour old has a moment to be from.
  const ending = new SimRuntime(864_000_000).run(world, Duration.toMillis("1 day"))
  if (ending._tag !== "Done") throw new Error(`the world did not end: ${ending._tag}`)
  if (Exit.isFailure(ending.exit)) throw Cause.squash(ending.exit.cause)
  return ending.exit.value
}
