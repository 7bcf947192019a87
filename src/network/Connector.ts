/**
 * Makes every outbound connection, from its slot to its end.
 *
 *     slot ─▶ whom ─▶ turn ─▶ dial ─▶ handshake ─▶ admission ─▶ peer
 *      └──────── each may refuse: one `ConnectError` says which ─┘
 *
 * Whoever wants a connection says whom and why (`Dialer.ts`, `InitialPeers.ts`, `ManualPeers.ts`). The limit, the pace, the
 * bans and the budget of time are kept here and cannot be forgotten by a caller. What was true before a wait is looked at
 * again after it.
 *
 * @module
 */
import {
  Cause,
  Clock,
  Context,
  Data,
  Deferred,
  Duration,
  Effect,
  Exit,
  Fiber,
  FiberSet,
  identity,
  Layer,
  Option,
  Scope,
  Semaphore
} from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { BanList } from "../addresses/BanList.ts"
import { BackgroundTasks, CurrentTask, isNetworkEnd, type NetworkEnd, type TaskNameTaken } from "../BackgroundTasks.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as LimitedLog from "../LimitedLog.ts"
import * as Monotonic from "../Monotonic.ts"
import * as Alarms from "../peer/Alarms.ts"
import * as ConnectedAddress from "../peer/ConnectedAddress.ts"
import * as ConnectionMetrics from "../peer/ConnectionMetrics.ts"
import { Handshake, HandshakeError, HandshakeTimeout } from "../peer/Handshake.ts"
import { codeOf, type Peer } from "../peer/Peer.ts"
import * as TimeLimit from "../peer/TimeLimit.ts"
import { Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { type DialError, OutboundTransport } from "../transport/Transport.ts"
import { ConnectionSlots, type NoFreeSlot, type Slot } from "./ConnectionSlots.ts"
import { NetworkEvents } from "./NetworkEvents.ts"
import { PeerAdmission } from "./PeerAdmission.ts"
import { type PeerRefused, PeerSet } from "./PeerSet.ts"

/** It is a peer already, or is being dialled right now. Nothing was dialled. */
export class AlreadyConnected extends Data.TaggedError("AlreadyConnected")<{}> {}

/** Its peer group is banned. Nothing was dialled. */
export class PeerBanned extends Data.TaggedError("PeerBanned")<{}> {}

/** Which step refused. */
export type ConnectFailure =
  /** Nothing was dialled: try again when a connection has ended. */
  | NoFreeSlot
  | AlreadyConnected
  | PeerBanned
  /** The address did not answer. */
  | DialError
  /** It answered, and no agreement was reached; its `reason` says why. */
  | HandshakeError
  /** It agreed, and may not join: its host has all the connections it may have, or it was banned meanwhile. */
  | PeerRefused
  /** The network has ended. */
  | NetworkEnd

/** There is no connection. */
export class ConnectError extends Data.TaggedError("ConnectError")<{ readonly reason: ConnectFailure }> {
  /** The shortest name of the cause, for logs: the system's code of a failed dial, else a tag. Names no address. */
  get code(): string {
    const { reason } = this
    return reason._tag === "DialError"
      ? reason.code
      : reason._tag === "HandshakeError"
        ? codeOf(reason.reason)
        : reason._tag
  }

  /** Whether the address was dialled, so that the failure says something about it. */
  get wasDialled(): boolean {
    return this.reason._tag === "DialError" || this.reason._tag === "HandshakeError"
  }

  override get message(): string {
    return `no connection: ${this.code}`
  }
}

/** A connection that somebody wants. */
export interface Wanted<E> {
  /**
   * The address, or how to find it once there is a slot for it, which stays taken meanwhile. If that fails, so does the
   * attempt.
   */
  readonly whom: PeerSocketAddress.PeerSocketAddress | Effect.Effect<PeerSocketAddress.PeerSocketAddress, E>
  /**
   * Who wants it: the book offered a `candidate`, it is one of the `initial` peers, it is looked for again in `recovery`, no
   * block came for long (`stale tip`, in a place of its own), or the operator asked (`manual`). What failed is told to the book,
   * but for what the operator asked. Of an initial peer it is not: a failure would bar an address that was never seen, and the crawler's own try tells more.
   */
  readonly why: "candidate" | "initial" | "recovery" | "stale tip" | "manual"
}

type Why = Wanted<never>["why"]

/** Makes outbound connections. */
export class Connector extends Context.Service<
  Connector,
  {
    /**
     * Takes a slot at once or fails, waits for a turn, dials, shakes hands (both within `Policy.handshakeTimeout`) and has
     * the peer admitted. The connection belongs to the connector and lives until the peer goes or the network ends;
     * `Peer.awaitClosed` tells. Interrupting it before there is a peer gives the attempt up. On failure nothing is left
     * behind.
     *
     * Turns are given out in the order of asking, `Policy.dialInterval` apart, across all callers; there is no credit for
     * idle time.
     */
    readonly connect: <E = never>(wanted: Wanted<E>) => Effect.Effect<Peer, ConnectError | E>
    /**
     * Waits for a turn, dials, shakes hands (as `connect`) and leaves: the book learns whether somebody is there. The peer never
     * joins, so it takes no slot: one address is looked at at a time, whoever asks, and the others wait.
     */
    readonly feel: (address: PeerSocketAddress.PeerSocketAddress) => Effect.Effect<void, ConnectError>
  }
>()("network-effect/network/Connector") {
  /** Dials over the `OutboundTransport` it is given. Its connections end with the network. */
  static readonly layer: Layer.Layer<
    Connector,
    TaskNameTaken,
    | AddressBook
    | BackgroundTasks
    | BanList
    | ChainParams
    | ConnectionSlots
    | Handshake
    | NetworkEvents
    | PeerAdmission
    | PeerSet
    | OutboundTransport
  > = Layer.effect(
    Connector,
    Effect.gen(function* () {
      const policy = yield* Policy
      const log = LimitedLog.make(policy.statusLogInterval)
      const chain = yield* ChainParams
      const transport = yield* OutboundTransport
      const handshake = yield* Handshake
      const admission = yield* PeerAdmission
      const peerSet = yield* PeerSet
      const slots = yield* ConnectionSlots
      const book = yield* AddressBook
      const bans = yield* BanList
      const events = yield* NetworkEvents
      const tasks = yield* BackgroundTasks

      const connections = yield* FiberSet.make<void, never>().pipe(Scope.provide(tasks.scope))
      const sleepers = yield* Alarms.sleepers.pipe(
        Scope.provide(tasks.scope),
        Effect.provideService(CurrentTask, "dial")
      )
      const alarmClock = new Alarms.AlarmClock(sleepers, yield* Clock.Clock, policy.handshakeTimeout)
      const limit = new TimeLimit.Shared(alarmClock, policy.handshakeTimeout)
      // A defect in a connection is ours and must not go unnoticed.
      yield* tasks.run("outbound connections", Effect.andThen(FiberSet.join(connections), Effect.never))
      const takeTurn = yield* makePace(policy.dialInterval)
      /** A look has no slot that would bound how many there are. */
      const looking = yield* Semaphore.make(1)
      const underWay = new Set<string>()

      /** Why the address is not to be dialled, as of now. */
      const objection = Effect.fnUntraced(function* (address: PeerSocketAddress.PeerSocketAddress) {
        if (peerSet.hasAddressUnsafe(address)) return yield* new AlreadyConnected()
        if (yield* bans.isBanned(address)) return yield* new PeerBanned()
      })

      const publishFailure = (text: string, exit: Exit.Exit<Peer, DialError | HandshakeError | PeerRefused>) => {
        if (Exit.isSuccess(exit)) return Effect.void
        const error = Option.getOrUndefined(Cause.findErrorOption(exit.cause))
        switch (error?._tag) {
          case "HandshakeError":
            return events.publish({
              _tag: "HandshakeFailed",
              address: text,
              direction: "outbound",
              reason: codeOf(error.reason)
            })
          case "PeerRefused":
            return events.publish({ _tag: "PeerRefused", address: text, direction: "outbound", reason: error.reason })
          case "DialError":
            return events.publish({ _tag: "DialFailed", address: text, reason: error.code })
          case undefined:
            return events.publish({
              _tag: "DialFailed",
              address: text,
              reason: Cause.hasInterruptsOnly(exit.cause) ? "Interrupted" : "Defect"
            })
        }
      }

      /** Dials and shakes hands. */
      const agree = (
        address: PeerSocketAddress.PeerSocketAddress,
        connected: ConnectedAddress.ConnectedAddress & { readonly _tag: "OutboundDirect" }
      ) =>
        transport.dial(address).pipe(
          Effect.tapError((error) => ConnectionMetrics.ended(chain, connected, ConnectionMetrics.outcomeOf(error))),
          Effect.flatMap((stream) => {
            const through = ConnectedAddress.outbound(address, stream)
            return handshake.run(stream, through, admission.hostFor(through))
          }),
          // One budget for both, so a slow connect leaves less for the handshake.
          (attempt) =>
            limit.within(attempt, () =>
              Effect.andThen(
                ConnectionMetrics.ended(chain, connected, ConnectionMetrics.timedOut("outbound")),
                Effect.fail(new HandshakeError({ reason: new HandshakeTimeout() }))
              )
            ),
          Effect.tapErrorTag("HandshakeError", ({ reason }) =>
            // Whoever echoes our nonce may be lying, but only about the address we dialled.
            reason._tag === "RemoteNonceReuse" ? book.markOwn(address) : Effect.void
          )
        )

      const meet = Effect.fnUntraced(function* (
        address: PeerSocketAddress.PeerSocketAddress,
        connected: ConnectedAddress.ConnectedAddress & { readonly _tag: "OutboundDirect" },
        text: string,
        slot: Slot | undefined
      ) {
        yield* events.publish({ _tag: "DialStarted", address: text })
        yield* ConnectionMetrics.attempted(chain, connected)
        const peer = yield* agree(address, connected)
        if (slot === undefined) {
          yield* events.publish({ _tag: "PeerRefused", address: text, direction: "outbound", reason: "OnlyLookedAt" })
        } else yield* admission.admit(peer, slot)
        return peer
      })

      /** From `DialStarted` to the one event that ends it: the peer, or why there is none. Without a slot it may not stay. */
      const dial = (address: PeerSocketAddress.PeerSocketAddress, slot: Slot | undefined) => {
        const connected = { _tag: "OutboundDirect", address } as const
        const text = PeerSocketAddress.format(address)
        return meet(address, connected, text, slot).pipe(
          Effect.onExit((exit) => publishFailure(text, exit)),
          Spans.within("connector", { attributes: { peer: ConnectedAddress.label(connected) } })
        )
      }

      /** The address, while nobody else dials it. */
      const alone = <A, E, R>(address: PeerSocketAddress.PeerSocketAddress, attempt: Effect.Effect<A, E, R>) => {
        const text = PeerSocketAddress.format(address)
        return Effect.suspend((): Effect.Effect<A, E | AlreadyConnected, R> => {
          if (underWay.has(text)) return Effect.fail(new AlreadyConnected())
          underWay.add(text)
          return Effect.ensuring(
            attempt,
            Effect.sync(() => underWay.delete(text))
          )
        })
      }

      const attempt = (address: PeerSocketAddress.PeerSocketAddress, slot: Slot | undefined, why: Why | "feeler") =>
        alone(address, inTurn(address, slot, why))

      const inTurn = Effect.fnUntraced(function* (
        address: PeerSocketAddress.PeerSocketAddress,
        slot: Slot | undefined,
        why: Why | "feeler"
      ) {
        yield* objection(address)
        yield* takeTurn
        yield* objection(address)
        const outbound = slots.used("outbound")
        const isReported = why !== "initial" && why !== "manual"
        return yield* dial(address, slot).pipe(
          isReported ? Effect.tapError((error) => report(address, error, outbound)) : identity,
          spanOf(address, why)
        )
      })

      /** What a failed dial means for its address. */
      const report = (
        address: PeerSocketAddress.PeerSocketAddress,
        error: DialError | HandshakeError | PeerRefused,
        outbound: number
      ) =>
        Effect.gen(function* () {
          const told = Effect.annotateLogs({ reason: new ConnectError({ reason: error }).code, outbound })
          // A node that reaches nobody dials several a second, and others decide whom it knows.
          yield* outbound <= policy.verboseDials
            ? log("dial failed", told(Effect.logInfo("dial failed")))
            : told(Effect.logDebug("dial failed"))
          // It agreed, and answers: nothing is wrong with its address.
          if (error._tag === "PeerRefused") return
          // Without services: "no services" would bar the address for good.
          yield* book
            .record({ _tag: "UpdateFailed", address, services: undefined })
            .pipe(Spans.within("report_failed", { attributes: { addr: PeerSocketAddress.redacted(address) } }))
        })

      /** The reference has a span of its own for the dials of its crawler. */
      const spanOf = (address: PeerSocketAddress.PeerSocketAddress, why: Why | "feeler") =>
        why === "candidate"
          ? Spans.within("dial", {
              attributes: { network: chain.kind, candidate: PeerSocketAddress.redacted(address) }
            })
          : identity

      const refused = (reason: ConnectFailure) => Effect.fail(new ConnectError({ reason }))

      /** The end of the network interrupts the attempt; its caller hears why. */
      const untilEnd = <A, E>(outcome: Effect.Effect<A, E>): Effect.Effect<A, E | ConnectError> =>
        tasks
          .untilEnd(outcome)
          .pipe(Effect.mapError((error) => (isNetworkEnd(error) ? new ConnectError({ reason: error }) : error)))

      /** The connection until it ends. The scope holds the slot first and the stream after it: free is a slot whose socket is closed. */
      const run = (
        address: PeerSocketAddress.PeerSocketAddress,
        why: Why,
        slot: Slot,
        scope: Scope.Closeable,
        outcome: Deferred.Deferred<Peer, ConnectError>
      ) =>
        Effect.catch(attempt(address, slot, why), refused).pipe(
          Effect.flatMap((peer) => Effect.andThen(Deferred.succeed(outcome, peer), peer.awaitClosed)),
          Scope.provide(scope),
          Effect.interruptible,
          Effect.onExit((exit) => Scope.close(scope, exit)),
          Effect.onError((cause) => Deferred.failCause(outcome, cause)),
          // Its caller was told; what is a defect of ours also ends the network.
          Effect.ignore,
          Effect.annotateLogs({ why }),
          Effect.uninterruptible
        )

      // The slot is taken before anything that waits: before the next attempt is looked at.
      const connect = <E>({ whom, why }: Wanted<E>) =>
        Effect.uninterruptibleMask(
          Effect.fnUntraced(function* (restore) {
            const scope = Scope.makeUnsafe()
            const kind = why === "stale tip" ? why : "outbound"
            const slot = yield* slots.reserve(kind).pipe(Scope.provide(scope), Effect.catch(refused))
            const address = Effect.isEffect(whom)
              ? yield* untilEnd(restore(whom)).pipe(
                  Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause)))
                )
              : whom
            const over = tasks.endedUnsafe()
            if (over !== undefined) return yield* Effect.andThen(Scope.close(scope, Exit.void), refused(over))
            const outcome = Deferred.makeUnsafe<Peer, ConnectError>()
            const connection = run(address, why, slot, scope, outcome)
            const fiber = yield* FiberSet.run(connections, connection, { startImmediately: true })
            return yield* restore(untilEnd(Deferred.await(outcome))).pipe(
              Effect.onInterrupt(() => Fiber.interrupt(fiber))
            )
          })
        )

      const feel = (address: PeerSocketAddress.PeerSocketAddress) =>
        untilEnd(
          attempt(address, undefined, "feeler").pipe(
            Effect.scoped,
            looking.withPermits(1),
            Effect.catch(refused),
            Effect.asVoid
          )
        )

      return Connector.of({ connect, feel })
    })
  )
}

/**
 * A gate that lets one caller through per `interval`, first come, first served. Whoever gives up while it waits leaves the
 * others their turns; there is no credit for idle time.
 */
export const makePace = (interval: Duration.Duration): Effect.Effect<Effect.Effect<void>> =>
  Effect.map(Semaphore.make(1), (gate) => {
    const intervalMillis = Duration.toMillis(interval)
    let nextMillis = Number.NEGATIVE_INFINITY
    return gate.withPermits(1)(
      Effect.gen(function* () {
        const left = nextMillis - (yield* Monotonic.millis)
        if (left > 0) yield* Effect.sleep(Duration.millis(left))
        // From when it really woke: a late turn must not bring the next one closer.
        nextMillis = (yield* Monotonic.millis) + intervalMillis
      })
    )
  })
