/**
 * Looks for another view of the chain when no block came for long: whoever has every outbound connection of a node can keep
 * blocks from it, but not from somebody it meets besides.
 *
 *     no block for `Policy.staleTipSpacings` ─▶ one more outbound connection, in a place of its own
 *     still none, as long again ──────────────▶ another one in its place
 *
 * With somebody who answered once, in a part of the internet where no connection is (`AddressBook.takeElsewhere`). It stays: from
 * whom the block came is not looked at. Only where the program that uses us says how far it is (`ChainTip`), and never on
 * Regtest, where blocks come when somebody wants one.
 *
 * Source: Bitcoin Core net_processing.cpp, `CheckForStaleTipAndEvictPeers`.
 *
 * @module
 */
import { Duration, Effect, Layer, Metric, Option, Stream } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { BackgroundTasks, isNetworkEnd, type NetworkEnd, type TaskNameTaken } from "../BackgroundTasks.ts"
import { ChainParams, targetSpacing } from "../chain/ChainParams.ts"
import { ChainTip, type Tip } from "../chain/ChainTip.ts"
import { ClientDropped, type Peer } from "../peer/Peer.ts"
import { Policy } from "../Policy.ts"
import { Connector } from "./Connector.ts"
import { InitialPeers } from "./InitialPeers.ts"

/** Watches the tip for as long as it runs; fails when the network ends. */
export const run: Effect.Effect<never, NetworkEnd, AddressBook | ChainParams | ChainTip | Connector> = Effect.gen(
  function* () {
    const policy = yield* Policy
    const chain = yield* ChainParams
    const { tip } = yield* ChainTip
    const book = yield* AddressBook
    const connector = yield* Connector
    const dials = Metric.withAttributes(
      Metric.counter("zcash.net.stale_tip.dials", {
        description: "dials because no block came for long",
        incremental: true
      }),
      { network: chain.kind }
    )
    yield* Metric.update(dials, 0)
    if (chain.kind === "regtest") return yield* Effect.never

    let met: Peer | undefined

    const lookElsewhere = (patience: Duration.Duration) =>
      Effect.gen(function* () {
        const candidate = yield* book.takeElsewhere
        if (Option.isNone(candidate)) return
        yield* Effect.logInfo("no block for long: one more peer is asked in").pipe(
          Effect.annotateLogs({ for: Duration.format(patience) })
        )
        // The last one brought nothing, and there is one place.
        yield* leave
        yield* Metric.update(dials, 1)
        yield* Effect.uninterruptibleMask((restore) =>
          Effect.map(restore(connector.connect({ whom: candidate.value.address, why: "stale tip" })), (peer) => {
            met = peer
          })
        )
      }).pipe(
        // What came of it the book knows.
        Effect.catch(({ reason }) => (isNetworkEnd(reason) ? Effect.fail(reason) : Effect.void))
      )

    const leave = Effect.suspend(() => {
      if (met === undefined) return Effect.void
      const peer = met
      met = undefined
      return Effect.andThen(peer.close(new ClientDropped()), Effect.ignore(peer.awaitClosed))
    })

    return yield* tip.changes.pipe(
      Stream.changesWith(isSame),
      // The next block begins the wait anew, and gives up a dial that is under way.
      Stream.switchMap(
        Option.match({
          onNone: () => Stream.empty,
          onSome: ({ height }) => {
            const patience = Duration.times(targetSpacing(chain, height), policy.staleTipSpacings)
            return Stream.fromEffect(Effect.forever(Effect.delay(lookElsewhere(patience), patience)))
          }
        })
      ),
      Stream.runDrain,
      Effect.andThen(Effect.never)
    )
  }
)

const isSame = (a: Option.Option<Tip>, b: Option.Option<Tip>): boolean =>
  Option.isSome(a)
    ? Option.isSome(b) && a.value.height === b.value.height && a.value.hash === b.value.hash
    : Option.isNone(b)

/** The loop as the task `stale tip`, from when the first dials are over. Provides nothing. */
export const layer: Layer.Layer<
  never,
  TaskNameTaken,
  AddressBook | BackgroundTasks | ChainParams | ChainTip | Connector | InitialPeers
> = Layer.effectDiscard(
  Effect.gen(function* () {
    const tasks = yield* BackgroundTasks
    const initialPeers = yield* InitialPeers
    yield* tasks.run("stale tip", Effect.andThen(initialPeers.awaitStarted, run))
  })
)
