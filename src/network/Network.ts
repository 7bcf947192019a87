/**
 * The façade: what a program usually asks of a whole node.
 *
 * It runs nothing itself but what watches over all: the chain's tip, and what is told of bans. The other tasks belong
 * to the layers of their services (`BackgroundTasks.ts`). The layer is there once the port is bound and connections are
 * accepted; seeds, first dials and the first crawl follow, and `awaitStarted` tells when they are done.
 *
 * @module
 */
import { Context, Effect, Layer, Option, Schema, Stream } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { limitKey } from "../addresses/AddressRules.ts"
import { BanList } from "../addresses/BanList.ts"
import { Misbehavior } from "../addresses/Misbehavior.ts"
import {
  BackgroundTasks,
  runBeside,
  type NetworkEnd,
  NetworkClosed,
  NodeOutdated,
  type TaskNameTaken
} from "../BackgroundTasks.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import { ChainTip } from "../chain/ChainTip.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import { ourProtocolVersion, specifiedVersion } from "../chain/ProtocolVersion.ts"
import * as Mock from "../Mock.ts"
import { Policy } from "../Policy.ts"
import { OwnAddress } from "../transport/OwnAddress.ts"
import { BlockAdvertiser } from "./BlockAdvertiser.ts"
import { InitialPeers } from "./InitialPeers.ts"
import { type MockedWithRequests, mockRequests } from "./MockedRequests.ts"
import { NetworkEvents, type NetworkEvent } from "./NetworkEvents.ts"
import { PeerSet } from "./PeerSet.ts"

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
    /** The book this node dials from; what is written to it counts. */
    readonly addressBook: AddressBook["Service"]
    /** Reports what a peer did; 100 points ban its group, and any make it be asked less. Never waits. */
    readonly reportMisbehavior: Misbehavior["Service"]["report"]
    /** Seeds are resolved, the first dials and the first crawl have ended, and dialling goes on. */
    readonly awaitStarted: Effect.Effect<void, NetworkEnd>
    /** So many peers are connected. */
    readonly awaitReady: (options: { readonly peers: number }) => Effect.Effect<void, NetworkEnd>
    /** Fails with whatever ended the network; never succeeds. */
    readonly awaitEnd: Effect.Effect<never, NetworkEnd>
    /** As `NetworkEvents.stream`: the latest first, then all from now on. Ends when the network has. */
    readonly events: Stream.Stream<NetworkEvent>
  }
>()("network-effect/network/Network") {
  /** The façade of the services it is given. Closing it ends the network with `NetworkClosed`. */
  static readonly layer: Layer.Layer<
    Network,
    TaskNameTaken,
    | AddressBook
    | BackgroundTasks
    | BanList
    | BlockAdvertiser
    | ChainParams
    | ChainTip
    | InitialPeers
    | Misbehavior
    | NetworkEvents
    | OwnAddress
    | PeerSet
  > = Layer.effect(Network, Effect.gen(make))

  /**
   * A network that a test makes up: only what the test uses is needed, and whatever else is used ends it with a sentence
   * that names it. Requests are answered by their tag:
   *
   *     Network.layerTest({
   *       awaitReady: () => Effect.void,
   *       request: { Peers: () => Effect.succeed({ _tag: "Peers", addresses: [] }) }
   *     })
   */
  static readonly layerTest = ({ request, ...given }: MockedWithRequests<Network["Service"]>): Layer.Layer<Network> =>
    Layer.sync(Network, () =>
      Mock.make<Network["Service"]>(
        "Network",
        {
          listenAddress: "value",
          request: "effects",
          advertiseBlock: "effects",
          addressBook: "value",
          reportMisbehavior: "effects",
          awaitStarted: "effect",
          awaitReady: "effects",
          awaitEnd: "effect",
          events: "stream"
        },
        request === undefined ? given : { ...given, request: mockRequests("Network", request) }
      )
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

function* make() {
  const chain = yield* ChainParams
  const { tip } = yield* ChainTip
  const book = yield* AddressBook
  const bans = yield* BanList
  const misbehavior = yield* Misbehavior
  const advertiser = yield* BlockAdvertiser
  const peerSet = yield* PeerSet
  const initialPeers = yield* InitialPeers
  const events = yield* NetworkEvents
  const tasks = yield* BackgroundTasks
  const { listening } = yield* OwnAddress

  /** Ends the network when this build is older than the chain it is on. */
  const watchTip = tip.changes.pipe(
    Stream.runForEach((tip) => {
      const height = Option.match(tip, { onNone: () => 0, onSome: (tip) => tip.height })
      const requiredVersion = specifiedVersion(chain, height)
      return requiredVersion <= ourProtocolVersion
        ? Effect.void
        : Effect.fail(new NodeOutdated({ ourVersion: ourProtocolVersion, requiredVersion, height }))
    }),
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

  yield* tasks.run("ban events", tellBans)
  yield* tasks.run("chain tip", watchTip)
  // Outlives the tasks by a moment: it tells of their end.
  yield* runBeside(
    "telling of the end",
    Effect.catch(tasks.awaitEnd, (end) =>
      end._tag === "BackgroundTaskExited"
        ? events.publish({ _tag: "BackgroundTaskExited", task: end.task, reason: tagOf(end.cause) })
        : Effect.void
    )
  )
  // This layer is the last to be built and so the first to close: what is left to write is written after the end.
  yield* Effect.addFinalizer(() => tasks.end(new NetworkClosed()))

  /** Every connection is closed, and whoever reads has been told so. */
  const gone = Effect.catch(tasks.awaitEnd, (end) => Effect.andThen(tasks.end(end), Effect.yieldNow))

  return Network.of({
    listenAddress: listening,
    request: peerSet.request,
    advertiseBlock: advertiser.advertise,
    addressBook: book,
    reportMisbehavior: (report) =>
      Effect.andThen(
        report.score > 0 ? peerSet.doubt(limitKey(report.address)) : Effect.void,
        misbehavior.report(report)
      ),
    awaitStarted: initialPeers.awaitStarted,
    awaitReady: ({ peers }) => peerSet.awaitPeers({ peers }),
    awaitEnd: tasks.awaitEnd,
    events: Stream.interruptWhen(events.stream, gone)
  })
}

const tagOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "_tag" in cause ? String(cause._tag) : "Defect"
