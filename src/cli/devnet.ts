/**
 * `network-effect devnet`: a whole Zcash network on this machine.
 *
 * Full nodes in one process, each on a loopback address or port of its own, real TCP between them. They know one seed and find
 * each other by asking for addresses. This file watches and tells; `layers/Devnet.ts` says what a node is made of.
 *
 * @module
 */
import {
  Clock,
  Console,
  Context,
  Deferred,
  Duration,
  Effect,
  Exit,
  Option,
  identity,
  Random,
  References,
  Schedule,
  Scope,
  Stdio,
  Stream
} from "effect"
import { Command, Flag } from "effect/cli"
import type { AddressBook } from "../addresses/AddressBook.ts"
import { regtest } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { ConnectionSlots } from "../network/ConnectionSlots.ts"
import type { Network } from "../network/Network.ts"
import { NetworkEvent } from "../network/NetworkEvents.ts"
import type { TaskNameTaken } from "../BackgroundTasks.ts"
import * as RecordFolder from "../recording/RecordFolder.ts"
import type { Records } from "../recording/RecordFolder.ts"
import * as StatusAddress from "../status/StatusAddress.ts"
import type { ListedNode } from "../status/NodeView.ts"
import type { ListenError } from "../transport/Transport.ts"
import * as DevnetView from "./DevnetView.ts"
import { explained, numberFlag, optionalStatusFlag, recordFlags, statusListening, urlOf } from "./root.ts"
import { draw } from "./screen.ts"
import { parseDuration } from "./SettingsFile.ts"

/** One running node of a local network. */
export interface DevnetNode {
  readonly network: Network["Service"]
  readonly slots: ConnectionSlots["Service"]
  readonly addressBook: AddressBook["Service"]
  /** Where it listens. */
  readonly address: PeerSocketAddress.PeerSocketAddress
  /** Where its status interface was bound; `None` when it has none. */
  readonly statusAddress: Option.Option<PeerSocketAddress.PeerSocketAddress>
  /** For the status page. */
  readonly shown: Context.Context<ListedNode>
}

/** The status interface of a node, which shows the others too. */
export interface DevnetStatus {
  /** Port 0 takes a free one. */
  readonly address: PeerSocketAddress.PeerSocketAddress
  readonly others: () => ReadonlyArray<Context.Context<ListedNode>>
}

/** A local network whose nodes start one by one. */
export interface LocalNetwork {
  /**
   * Starts node `index`, from 1, and its status interface if it has one; they stop when the scope closes. The first has to
   * be started first, for the others start from it. One that comes back listens where it did.
   */
  readonly startNode: (
    index: number,
    status?: DevnetStatus
  ) => Effect.Effect<DevnetNode, ListenError | StatusAddress.StatusNeedsToken | TaskNameTaken, Scope.Scope>
}

/** How nodes of a local network are made. */
export class Devnet extends Context.Service<
  Devnet,
  {
    /**
     * A network of at most so many nodes on this port, or where only 127.0.0.1 is there on this and the following ones;
     * on port 0 each takes a free one.
     */
    readonly open: (options: {
      readonly nodes: number
      readonly port: number
      /** Records the connections of the nodes, each under its index. */
      readonly records?: Records["Service"] | undefined
    }) => Effect.Effect<LocalNetwork>
  }
>()("network-effect/cli/Devnet") {}

/** Loopback has room for more, but one process serves no more than this within the times the README names. */
const maxNodes = 200

/** Nodes that start later find each other by asking, and not by dialling each other at the same moment. */
const startInterval = Duration.millis(100)

/** Often enough to look alive, seldom enough to be read. */
const redrawInterval = Duration.millis(250)

/** Where the status page is when nobody said where, and another network may have the usual place. */
const anyStatusPort = PeerSocketAddress.fromStringUnsafe("127.0.0.1:0")

const openSlots = ({ slots }: DevnetNode): number =>
  slots.open("outbound") + slots.open("inbound") + slots.open("trusted")

const flags = {
  nodes: numberFlag("nodes", { minimum: 1, maximum: maxNodes }).pipe(
    Flag.withDescription(`How many nodes, 1 to ${maxNodes}`),
    Flag.withDefault(12)
  ),
  duration: Flag.String("for").pipe(
    Flag.withDescription("Stop after this time, for example 20s; without it, Ctrl-C stops"),
    Flag.withMetavar("TIME"),
    Flag.filterMap(
      (text) => Option.fromUndefinedOr(parseDuration(text)),
      () => "a time such as 20s or 1m 30s"
    ),
    Flag.optional
  ),
  churn: numberFlag("churn", { minimum: 0, maximum: 1, integer: false }).pipe(
    Flag.withDescription("Chance, each second, that a node stops or comes back, 0 to 1"),
    Flag.withDefault(0)
  ),
  port: numberFlag("port", { minimum: 0, maximum: 65_535 }).pipe(
    Flag.withDescription("Port of the nodes; 0 takes free ones, also for the status page unless --status says where"),
    Flag.withDefault(regtest.defaultPort)
  ),
  status: optionalStatusFlag,
  ...recordFlags,
  json: Flag.Boolean("json").pipe(
    Flag.withDescription("Events as JSON, one per line, and a summary as the last line"),
    Flag.withDefault(false)
  )
}

export const devnet = Command.make(
  "devnet",
  flags,
  Effect.fnUntraced(function* (options) {
    // Ends after the nodes, whose last words are recorded too.
    const records = Option.isNone(options.record)
      ? undefined
      : yield* explained("")(RecordFolder.make({ directory: options.record.value, keepsBodies: options.recordBodies }))
    const { startNode } = yield* (yield* Devnet).open({
      nodes: options.nodes,
      port: options.port,
      records
    })
    const live = !options.json && (yield* (yield* Stdio.Stdio).stdoutIsTerminal)
    const startedMillis = yield* Clock.currentTimeMillis
    const statusAddress = Option.getOrElse(options.status, () =>
      Option.some(options.port === 0 ? anyStatusPort : StatusAddress.defaultAddress)
    )
    const view = DevnetView.make({ startedMillis, nodes: options.nodes })

    // What happens when all nodes stop is no news.
    let isStopping = false
    const tell = (index: number, event: NetworkEvent) => {
      if (isStopping) return Effect.void
      DevnetView.record(view, index, event)
      if (live) return Effect.void
      return Console.log(
        options.json ? JSON.stringify({ node: index, ...event }) : DevnetView.eventLine(view, index, event)
      )
    }

    const running = new Map<number, { readonly node: DevnetNode; readonly scope: Scope.Closeable }>()

    /** All but the first, which never stops. */
    const others = () => [...running].filter(([index]) => index > 1).map(([, { node }]) => node.shown)

    const startOne = Effect.fnUntraced(function* (index: number) {
      const scope = yield* Scope.fork(yield* Effect.scope)
      yield* Effect.gen(function* () {
        const status = index === 1 ? Option.map(statusAddress, (address) => ({ address, others })) : Option.none()
        const node = yield* startNode(index, Option.getOrUndefined(status)).pipe(
          Effect.catchTag("ListenError", (error) =>
            explained(
              Option.exists(statusAddress, (address) => PeerSocketAddress.format(address) === error.address)
                ? "choose another place for the status page with --status, or --status off"
                : error.code === "EADDRNOTAVAIL"
                  ? "a local network is on 127.0.0.1, so give that to the loopback interface"
                  : "stop it, or take free ports with --port 0"
            )(Effect.fail(error))
          ),
          Effect.catchTag(["StatusNeedsToken", "TaskNameTaken"], (error) => explained("")(Effect.fail(error)))
        )
        running.set(index, { node, scope })
        DevnetView.recordAddress(view, index, PeerSocketAddress.format(node.address))
        if (Option.isSome(node.statusAddress)) {
          DevnetView.recordStatus(view, urlOf(node.statusAddress.value))
          if (!live) {
            const { value } = node.statusAddress
            yield* Console.log(
              options.json
                ? JSON.stringify({ node: index, ...(yield* statusListening(value)) })
                : `status page: ${urlOf(value)}`
            )
          }
        }
        yield* node.network.events.pipe(
          Stream.runForEach((event) => tell(index, event)),
          Effect.forkScoped({ startImmediately: true })
        )
        yield* node.network.awaitEnd.pipe(
          Effect.catch((error) => Effect.sync(() => DevnetView.recordEnd(view, index, error._tag))),
          Effect.forkScoped
        )
      }).pipe(Scope.provide(scope))
    })

    const stopOne = Effect.fnUntraced(function* (index: number) {
      const one = running.get(index)
      if (one === undefined) return
      running.delete(index)
      DevnetView.recordEnd(view, index, "Stopped")
      yield* Scope.close(one.scope, Exit.void)
    })

    /** Now and then a node but the first stops, or one that has stopped comes back. */
    const churn = Effect.gen(function* () {
      yield* Effect.sleep("1 second")
      if ((yield* Random.next) >= options.churn || options.nodes < 2) return
      const index = yield* Random.nextIntBetween(2, options.nodes)
      yield* running.has(index) ? stopOne(index) : startOne(index)
    })

    const watch = Effect.gen(function* () {
      const refresh = Effect.gen(function* () {
        for (const [index, { node }] of running) {
          DevnetView.recordKnown(view, index, node.addressBook.metrics.getUnsafe().total)
          DevnetView.recordSlots(view, index, openSlots(node))
        }
        if (!live) return
        const now = yield* Clock.currentTimeMillis
        yield* draw((rows) => DevnetView.table(view, now, rows))
      })
      yield* startOne(1)
      yield* refresh.pipe(Effect.repeat(Schedule.spaced(redrawInterval)), Effect.forkScoped)
      for (let index = 2; index <= options.nodes; index++) {
        yield* Effect.sleep(startInterval)
        yield* startOne(index)
      }
      return yield* Effect.forever(churn)
    })
    const watchForAsLongAsWanted = Option.match(options.duration, {
      onNone: () => watch,
      onSome: (duration) => Effect.timeoutOption(watch, duration)
    })

    const stop = Effect.map(Clock.currentTimeMillis, (now) => {
      isStopping = true
      return DevnetView.summary(view, now)
    })
    const tellSummary = (summary: DevnetView.Summary) =>
      Console.log(options.json ? JSON.stringify(summary) : DevnetView.summaryText(summary))

    // Also when the user has seen enough: of the running nodes, but as the last line, when all have stopped.
    const summary = yield* Deferred.make<DevnetView.Summary>()
    yield* watchForAsLongAsWanted.pipe(
      Effect.ensuring(Deferred.complete(summary, stop)),
      Effect.scoped,
      // Logs would be drawn over, and draw over the table.
      live ? Effect.provideService(References.MinimumLogLevel, "Error") : identity,
      // Of a network whose first node could not start there is nothing to sum up.
      Effect.ensuring(
        Effect.flatMap(Deferred.await(summary), (found) => (view.isUp ? tellSummary(found) : Effect.void))
      )
    )
  }, Effect.scoped)
).pipe(
  Command.withDescription("Run a local network of full nodes in this process (Regtest, loopback only)"),
  Command.withExamples([
    { command: "network-effect devnet", description: "12 nodes until Ctrl-C" },
    { command: "network-effect devnet --port 0", description: "A second network, on ports that are free" },
    { command: "network-effect devnet --nodes 40 --for 20s --json", description: "40 nodes for 20 s, for a script" }
  ])
)
