/**
 * Service: a census whose findings are kept in the store, by one process or by several machines.
 *
 * @module
 */
import { Context, type Duration, Effect, Layer, type Scope, Stream } from "effect"
import { SecureRandom } from "effect/crypto"
import { ChainParams } from "../chain/ChainParams.ts"
import { InboundTransport, type ListenError } from "../transport/Transport.ts"
import { Census } from "./Census.ts"
import { CensusStore, type CensusStoreError } from "./CensusStore.ts"
import { CensusPolicy } from "./CensusPolicy.ts"
import type { Finding } from "./Finding.ts"
import { guests } from "./Guests.ts"
import { markedRuns } from "./Report.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"

/** What a run is told. */
export interface KeptOptions {
  /** As `ChainParams.name`. */
  readonly network: string
  /** Where it begins. */
  readonly from: ReadonlyArray<PeerSocketAddress>
  /** How long it dials at most. */
  readonly for: Duration.Duration | undefined
  /** At most 256 bytes of UTF-8. */
  readonly userAgent: string
  readonly protocolVersion: number
  /** Where we listen for nodes that come to us, until `for` is over or, without it, the run. */
  readonly listen: PeerSocketAddress | undefined
  /** Runs that began longer ago are forgotten first. */
  readonly keep: Duration.Duration
  /** Told once when the database is away, which is waited for. */
  readonly onWait: Effect.Effect<void>
}

/** A run that is under way. */
export interface KeptRun {
  readonly id: number
  /** Others began it. */
  readonly isJoined: boolean
  /** What this process finds, after it was kept, and how far the run is. Ends with the run; nothing happens unless it is read. */
  readonly findings: Stream.Stream<Finding, CensusStoreError>
}

/** Runs of a census that are kept. */
export class KeptCensus extends Context.Service<
  KeptCensus,
  {
    /** A new run; or, where machines share one, the one under way. */
    readonly begin: (options: KeptOptions) => Effect.Effect<KeptRun, CensusStoreError | ListenError, Scope.Scope>
  }
>()("network-effect/census/KeptCensus") {
  /** One process. */
  static readonly layer: Layer.Layer<KeptCensus, never, Census | CensusStore | GuestServices> = Layer.effect(
    KeptCensus,
    Effect.gen(function* () {
      const withGuests = yield* guestsIn
      const census = yield* Census
      const store = yield* CensusStore
      return KeptCensus.of({
        begin: Effect.fnUntraced(function* ({ keep, network, onWait, ...options }) {
          const beside = yield* withGuests(options)
          yield* store.prune(keep)
          const recheck = yield* store.reachedBefore(network, markedRuns)
          const id = yield* store.begin({ ...options, network })
          const findings = census.run({ ...options, recheck }).pipe(
            Stream.groupedWithin(batchSize, batchTime),
            Stream.mapEffect((findings) => Effect.as(store.record(id, network, findings, onWait), findings)),
            Stream.flattenIterable
          )
          return {
            id,
            isJoined: false,
            findings: beside(findings, (found) => store.record(id, network, found, onWait))
          }
        })
      })
    })
  )
}

/** What it needs to listen. */
export type GuestServices = ChainParams | InboundTransport | SecureRandom.SecureRandom

type Findings = Stream.Stream<Finding, CensusStoreError>

/** Listens if it is to, and puts what comes beside what is found. */
export const guestsIn = Effect.gen(function* () {
  const services = Context.make(ChainParams, yield* ChainParams).pipe(
    Context.add(InboundTransport, yield* InboundTransport),
    Context.add(SecureRandom.SecureRandom, yield* SecureRandom.SecureRandom),
    Context.add(CensusPolicy, yield* CensusPolicy)
  )
  return Effect.fnUntraced(function* ({
    for: time,
    listen,
    ...greeting
  }: Pick<KeptOptions, "for" | "listen" | "protocolVersion" | "userAgent">) {
    if (listen === undefined) return (findings: Findings) => findings
    const came = yield* guests(listen, { ...greeting, stated: listen }).pipe(Effect.provideContext(services))
    return (
      findings: Findings,
      record: (found: ReadonlyArray<Finding>) => Effect.Effect<void, CensusStoreError>
    ): Findings => {
      const kept = Stream.mapEffect(came, (finding) => Effect.as(record([finding]), finding))
      return time === undefined
        ? Stream.merge(findings, kept, { haltStrategy: "left" })
        : Stream.merge(findings, Stream.interruptWhen(kept, Effect.sleep(time)))
    }
  })
})

/** Findings that are written at once, and the longest time one waits for it. */
const batchSize = 500
const batchTime = "1 second"
