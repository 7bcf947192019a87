/**
 * The façade: everything a node does on the network, started in order and watched over.
 *
 * The layer is there once the port is bound and connections are accepted; seeds, first dials and the first crawl follow
 * in a fiber, and `awaitStarted` tells when they are done. Whichever background task ends, ends the network: every
 * pending and later request fails with a typed error that says which one and why.
 *
 * @module
 */
import { Cause, Context, Deferred, Effect, Exit, Layer, Option, Schema, Stream } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { BanList } from "../addresses/BanList.ts"
import { Misbehavior } from "../addresses/Misbehavior.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import { ChainTip } from "../chain/ChainTip.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import { ourProtocolVersion, specifiedVersion } from "../chain/ProtocolVersion.ts"
import { Policy } from "../Policy.ts"
import { BlockAdvertiser } from "./BlockAdvertiser.ts"
import { ConnectionSlots } from "./ConnectionSlots.ts"
import { Crawler } from "./Crawler.ts"
import { InitialPeers } from "./InitialPeers.ts"
import { Listener } from "./Listener.ts"
import { NetworkEvents, type NetworkEvent } from "./NetworkEvents.ts"
import { BackgroundTaskExited, NodeOutdated, PeerSet, type PeerSetClosed } from "./PeerSet.ts"

/** A number of the policy that no node can run with. */
export class InvalidSetting extends Schema.TaggedError<InvalidSetting>()("InvalidSetting", {
  setting: Schema.String,
  value: Schema.Finite,
  /** What it has to be. */
  expected: Schema.String
}) {}

/** A whole node: what a program usually asks. */
export class Network extends Context.Service<
  Network,
  {
    /** The address we listen on; `None` for a node that only dials. */
    readonly listenAddress: Option.Option<PeerSocketAddress>
    /** As `PeerSet.request`: waits while nobody is free, so bound it. */
    readonly request: PeerSet["Service"]["request"]
    /** As `BlockAdvertiser.advertise`. */
    readonly advertiseBlock: BlockAdvertiser["Service"]["advertise"]
    readonly addressBook: AddressBook["Service"]
    /** Reports what a peer did; 100 points ban its group. Never waits. */
    readonly reportMisbehavior: Misbehavior["Service"]["report"]
    /** Seeds are resolved, the first dials and the first crawl have ended, and dialling goes on. */
    readonly awaitStarted: Effect.Effect<void, PeerSetClosed>
    /** So many peers are connected. */
    readonly awaitReady: (options: { readonly peers: number }) => Effect.Effect<void, PeerSetClosed>
    /** Fails with whatever ended the network; never succeeds. */
    readonly awaitEnd: Effect.Effect<never, PeerSetClosed>
    readonly events: Stream.Stream<NetworkEvent>
  }
>()("network-effect/network/Network") {
  static readonly layer = Layer.effect(
    Network,
    Effect.suspend(() => make)
  )
}

/** Fails when the policy in force makes no sense; to be asked before anything is bound. */
export const checkPolicy = Effect.flatMap(Policy, ({ targetPeers }) =>
  targetPeers < 1
    ? Effect.fail(
        new InvalidSetting({ setting: "peerset_initial_target_size", value: targetPeers, expected: "at least 1" })
      )
    : Effect.void
)

const make = Effect.gen(function* () {
  const policy = yield* Policy
  const chain = yield* ChainParams
  const { tip } = yield* ChainTip
  const book = yield* AddressBook
  const bans = yield* BanList
  const misbehavior = yield* Misbehavior
  const advertiser = yield* BlockAdvertiser
  const slots = yield* ConnectionSlots
  const peerSet = yield* PeerSet
  const initialPeers = yield* InitialPeers
  const crawler = yield* Crawler
  const events = yield* NetworkEvents
  const listener = yield* Effect.serviceOption(Listener)
  const started = yield* Deferred.make<void>()
  const scope = yield* Effect.scope

  /** Runs a task for as long as the network lives. Its end, of whatever kind, is the end of the network. */
  const supervise = <A, E>(task: string, effect: Effect.Effect<A, E>) =>
    effect.pipe(
      Effect.onExit((exit) =>
        Exit.isFailure(exit) && Cause.hasInterruptsOnly(exit.cause)
          ? Effect.void
          : Effect.gen(function* () {
              const cause = Exit.isFailure(exit) ? Cause.squash(exit.cause) : new Error("it ended without an error")
              const error = new BackgroundTaskExited({ task, cause })
              yield* Effect.logError("a background task ended").pipe(
                Effect.annotateLogs({ task, cause: String(cause) })
              )
              yield* events.publish({ _tag: "BackgroundTaskExited", task, reason: tagOf(cause) })
              yield* peerSet.fail(error)
            })
      ),
      Effect.exit,
      Effect.forkIn(scope, { startImmediately: true })
    )

  const demandMissingPeers = Effect.gen(function* () {
    for (let missing = policy.targetPeers - slots.used("outbound"); missing > 0; missing--) yield* peerSet.demand.offer
  })

  /** What remains to be done once connections are accepted, in the reference's order. */
  const startUp = Effect.gen(function* () {
    const connected = yield* initialPeers.start
    yield* Effect.logInfo("initial peers done").pipe(Effect.annotateLogs({ outbound: slots.used("outbound") }))
    // Some nodes answer address requests only once per connection: this one must not be lost.
    yield* crawler.crawlOnce(Math.min(connected, policy.crawlFanout))
    yield* demandMissingPeers
    yield* supervise("crawler", crawler.run)
    yield* supervise("initial peers", initialPeers.startOver)
    yield* Deferred.succeed(started, undefined)
    return yield* Effect.never
  })

  /** Ends the network when this build is older than the chain it is on. */
  const watchTip = tip.changes.pipe(
    Stream.runForEach((tip) => {
      const height = Option.match(tip, { onNone: () => 0, onSome: (tip) => tip.height })
      const requiredVersion = specifiedVersion(chain, height)
      return requiredVersion <= ourProtocolVersion
        ? Effect.void
        : peerSet.fail(new NodeOutdated({ ourVersion: ourProtocolVersion, requiredVersion, height }))
    }),
    Effect.andThen(Effect.never)
  )

  /** Lets go of connected peers whose group is banned. Looks at them only when the list of bans has changed. */
  const enforceBans = bans.bans.changes.pipe(
    Stream.runForEach(() =>
      Effect.gen(function* () {
        for (const { id, transientAddress } of yield* peerSet.peers) {
          if (transientAddress !== undefined && (yield* bans.isBanned(transientAddress))) yield* peerSet.remove(id)
        }
      })
    ),
    Effect.andThen(Effect.never)
  )

  const tellBans = bans.changes.pipe(
    Stream.runForEach((change) =>
      events.publish(
        change._tag === "Banned"
          ? {
              _tag: "PeerBanned",
              group: change.ban.group,
              reason: change.ban.reason,
              until: change.ban.untilSeconds * 1000
            }
          : { _tag: "BanEnded", group: change.group }
      )
    ),
    Effect.andThen(Effect.never)
  )

  yield* supervise("ban enforcement", enforceBans)
  yield* supervise("ban events", tellBans)
  if (Option.isSome(listener)) yield* supervise("listener", listener.value.run)
  yield* supervise("start-up", startUp)
  yield* supervise("chain tip", watchTip)

  return Network.of({
    listenAddress: Option.map(listener, (listener) => listener.address),
    request: peerSet.request,
    advertiseBlock: advertiser.advertise,
    addressBook: book,
    reportMisbehavior: misbehavior.report,
    awaitStarted: Effect.raceFirst(Deferred.await(started), peerSet.awaitEnd),
    awaitReady: ({ peers }) => peerSet.awaitPeers({ peers }),
    awaitEnd: peerSet.awaitEnd,
    events: events.stream
  })
})

const tagOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "_tag" in cause ? String(cause._tag) : "Defect"
