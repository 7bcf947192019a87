/**
 * Service: one census by several machines.
 *
 *     conductor ──"dial!"──▶ a group ─begin─▶ Visit ─▶ store
 *     (one of the machines)  (one of them)  │            │
 *           ▲                               ▼            ▼
 *           └──────────────── SharedFrontier, in the database
 *
 * The entity of the cluster is the group of addresses (IPv4 /16, IPv6 /32): it lives on one machine at a time, which so keeps
 * its pace. The conductor, a singleton, looks once a second at what is due and wakes its groups. Neither holds anything: the
 * rows do, so a machine may come, go or be killed. What it was dialling then counts as dialled until its time is over.
 *
 * @module
 */
import { type Cause, Clock, Context, Duration, Effect, FiberSet, Layer, Queue, Schema, Semaphore, Stream } from "effect"
import { Entity, Sharding } from "effect/cluster"
import { SecureRandom } from "effect/crypto"
import { Rpc } from "effect/rpc"
import { ChainParams } from "../chain/ChainParams.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import * as Monotonic from "../Monotonic.ts"
import { Policy } from "../Policy.ts"
import { OutboundTransport } from "../transport/Transport.ts"
import { CensusPolicy } from "./CensusPolicy.ts"
import { CensusStore, type CensusStoreError } from "./CensusStore.ts"
import { Finding } from "./Finding.ts"
import { type GuestServices, guestsIn, KeptCensus } from "./KeptCensus.ts"
import { type Begun, type OpenRun, SharedFrontier } from "./SharedFrontier.ts"
import * as Visits from "./Visit.ts"

/** A group of addresses; its id is the group. `Dial`: dial your hosts until none is left. */
const Group = Entity.make("CensusGroup", [Rpc.make("Dial", { payload: { run: Schema.Int } })])

/** Time between two looks of the conductor. */
const tendInterval = Duration.seconds(1)

/** Groups woken at once, and the longest wait for one whose machine does not answer: it is woken again later. */
const wakesAtOnce = 32
const wakeTimeout = Duration.seconds(5)

/** Time a machine waits after its database gave up on it. */
const afterFailure = Duration.seconds(10)

/** What a machine does for the run: `KeptCensus` for as long as `Sharding` has it in the cluster. */
export const layer: Layer.Layer<
  KeptCensus,
  never,
  CensusStore | GuestServices | OutboundTransport | SharedFrontier | Sharding.Sharding
> = Layer.effect(
  KeptCensus,
  Effect.gen(function* () {
    const sharding = yield* Sharding.Sharding
    const frontier = yield* SharedFrontier
    const store = yield* CensusStore
    const numbers = yield* CensusPolicy
    const chain = yield* ChainParams
    const clock = yield* Clock.Clock
    const services = Context.make(ChainParams, chain).pipe(
      Context.add(OutboundTransport, yield* OutboundTransport),
      Context.add(SecureRandom.SecureRandom, yield* SecureRandom.SecureRandom),
      Context.add(CensusPolicy, numbers),
      Context.add(Policy, yield* Policy)
    )
    const now = () => Monotonic.millisUnsafe(clock)
    const network = chain.name
    const withGuests = yield* guestsIn
    /** Where this machine listens, which its visits state. */
    let stated: PeerSocketAddress | undefined

    /** Who looks at what this machine finds. */
    let output: Queue.Queue<Finding, CensusStoreError | Cause.Done> | undefined
    const show = (finding: Finding) =>
      Effect.suspend(() => (output === undefined ? Effect.void : Queue.offer(output, finding)))

    /** Given up on, said, and tried again: the conductor asks for it. */
    const orLater = <A>(effect: Effect.Effect<A, CensusStoreError>) =>
      Effect.catch(effect, (error) =>
        Effect.andThen(Effect.logWarning(error.message), Effect.as(Effect.sleep(afterFailure), undefined))
      )

    // Visits are the machine's and not the group's, so that one goes on when its group moves to another machine.
    const visits = yield* FiberSet.make<void>()
    const permits = yield* Semaphore.make(numbers.maxUnderWay)
    // After that time another machine may dial the host: whoever stood still so long leaves it to them.
    const freshMillis = Duration.toMillis(numbers.askAgain) / 2
    const intervalMillis = 1000 / numbers.maxRate
    let nextDialAt = 0
    // One group waits for the next dial at a time, and one that is another machine's meanwhile takes no dial with it.
    const turn = yield* Semaphore.make(1)
    const paced = Effect.suspend(() => Effect.sleep(Duration.millis(Math.max(0, nextDialAt - now())))).pipe(
      Effect.andThen(Effect.sync(() => (nextDialAt = Math.max(nextDialAt, now()) + intervalMillis))),
      turn.withPermits(1)
    )

    const visit = Effect.fnUntraced(function* (run: OpenRun, dial: Begun) {
      const { address, host, how } = dial
      const asks = how === "Explored"
      const outcome = yield* Effect.scoped(Visits.visit(address, { ...run, stated, asks })).pipe(
        Effect.provideContext(services)
      )
      const atMillis = clock.currentTimeMillisUnsafe()
      if (outcome._tag === "Unreachable") {
        const { code, reason } = outcome
        const finding = Finding.Unreachable({ address, atMillis, how, reason, code })
        yield* store.record(run.id, network, [finding])
        yield* frontier.unreachable(run.id, dial)
        return yield* show(finding)
      }
      const findings = Visits.findingsOf(address, atMillis, how, outcome)
      yield* store.record(run.id, network, findings)
      // Before the host counts as visited: else the run might end in between.
      if (outcome.addresses.length > 0) yield* frontier.tell(run.id, host, outcome.addresses)
      yield* frontier.reached(run.id, dial)
      yield* Effect.forEach(findings, show, { discard: true })
    })

    let known: OpenRun | undefined
    const runOf = Effect.fnUntraced(function* (id: number) {
      if (known?.id !== id) known = yield* frontier.current(network)
      return known?.id === id ? known : undefined
    })

    /** Begins dials in a group at its pace and this machine's, until nothing of it is to be dialled. */
    const dialGroup = Effect.fnUntraced(function* (id: number, group: string) {
      const run = yield* runOf(id)
      if (run === undefined) return
      while (true) {
        yield* permits.take(1)
        yield* Effect.onInterrupt(paced, () => permits.release(1))
        // Once a dial is begun it is made.
        const next = yield* Effect.uninterruptibleMask((restore) =>
          Effect.gen(function* () {
            const askedAt = now()
            const next = yield* Effect.onError(restore(frontier.begin(run.id, group)), () => permits.release(1))
            if (next._tag === "Begun" && now() - askedAt < freshMillis) {
              yield* FiberSet.run(visits, Effect.ensuring(orLater(visit(run, next)), permits.release(1)))
            } else {
              nextDialAt -= intervalMillis
              yield* permits.release(1)
            }
            return next
          })
        )
        if (next._tag === "Nothing") return
        if (next._tag === "Wait") yield* Effect.sleep(Duration.millis(next.millis))
      }
    })

    yield* sharding.registerEntity(
      Group,
      Effect.succeed(
        Group.of({ Dial: ({ address, payload }) => Effect.asVoid(orLater(dialGroup(payload.run, address.entityId))) })
      )
    )

    const groupOf = yield* Group.client
    const conduct = Effect.gen(function* () {
      const run = yield* frontier.current(network)
      if (run === undefined) return
      const groups = yield* frontier.tend(run.id)
      yield* Effect.forEach(
        groups,
        (group) =>
          groupOf(group)
            .Dial({ run: run.id }, { discard: true })
            .pipe(
              Effect.timeout(wakeTimeout),
              Effect.catch((error) => Effect.logDebug("a group was not woken", error))
            ),
        { concurrency: wakesAtOnce, discard: true }
      )
    })
    yield* sharding.registerSingleton(
      "CensusConductor",
      Effect.forever(Effect.andThen(orLater(conduct), Effect.sleep(tendInterval)))
    )

    return KeptCensus.of({
      begin: Effect.fnUntraced(function* (options) {
        const beside = yield* withGuests(options)
        stated = options.listen
        yield* store.prune(options.keep)
        const { id, isNew } = yield* frontier.open(options)
        const findings = Stream.callback<Finding, CensusStoreError>(
          Effect.fnUntraced(function* (queue) {
            yield* Effect.acquireRelease(
              Effect.sync(() => (output = queue)),
              () => Effect.sync(() => (output = undefined))
            )
            while (true) {
              const progress = yield* frontier.progress(id)
              if (progress !== undefined) yield* Queue.offer(queue, progress)
              if (progress !== undefined && progress.end !== null) break
              yield* Effect.sleep(tendInterval)
            }
            // What this machine found last is in the database, and perhaps not in the queue yet.
            yield* Effect.timeoutOption(FiberSet.awaitEmpty(visits), numbers.endGrace)
            yield* Queue.end(queue)
          }),
          { bufferSize: numbers.findingBuffer }
        )
        return {
          id,
          isJoined: !isNew,
          findings: beside(findings, (found) => store.record(id, network, found, options.onWait))
        }
      })
    })
  })
)
