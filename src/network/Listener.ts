/**
 * Accepts connections at our pace, shakes hands, and brings the peers into the peer set.
 *
 * **Security**
 *
 * Every accepted stream is canonicalised before its address is used as a key, checked against bans and limits before a
 * slot or a handshake is spent on it, and counted before its handshake starts. The loop pauses after each stream,
 * longer after one it admitted, so that neither junk nor a crowd can take all our time. Turns go round by network
 * (`FairQueue.ts`); what is beyond the share of its peer group or its network is refused at once, without a turn, and whoever
 * leaves before its turn is let go then (`WaitingRoom.ts`).
 *
 * When every inbound place is taken, whoever comes from a less crowded network than others may shake hands in one of a few
 * places that are kept for that, and then take the place of one of those (`Evictions.ts`); everybody else is refused.
 * Whoever does not shake hands has moved nobody.
 *
 * Source: Zebra peer_set/initialize.rs, accept loop.
 *
 * @module
 */
import { Context, Duration, Effect, Exit, FiberSet, Latch, Layer, Option, Scope } from "effect"
import { AddressGroups } from "../addresses/AddressGroups.ts"
import { limitKey, validForListening } from "../addresses/AddressRules.ts"
import { BanList } from "../addresses/BanList.ts"
import { BackgroundTasks, type TaskNameTaken } from "../BackgroundTasks.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as Monotonic from "../Monotonic.ts"
import * as ConnectedAddress from "../peer/ConnectedAddress.ts"
import * as ConnectionMetrics from "../peer/ConnectionMetrics.ts"
import { Handshake, type HandshakeError } from "../peer/Handshake.ts"
import { codeOf, type Peer, Serialization } from "../peer/Peer.ts"
import { Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { ListeningPort } from "../transport/ListeningPort.ts"
import { OwnAddress } from "../transport/OwnAddress.ts"
import { type ByteStream, maxWaitingStreams } from "../transport/Transport.ts"
import { originOf } from "../routing/Origin.ts"
import { ConnectionSlots, type NoFreeSlot, type SlotKind } from "./ConnectionSlots.ts"
import { Evictions } from "./Evictions.ts"
import { InboundThrottle } from "./InboundThrottle.ts"
import { NetworkEvents } from "./NetworkEvents.ts"
import { PeerAdmission } from "./PeerAdmission.ts"
import type { PeerRefused } from "./PeerSet.ts"
import { TrustedPeers } from "../routing/TrustedPeers.ts"
import { type Arrival, WaitingRoom } from "./WaitingRoom.ts"

/** Crowded networks (IPv4 /16, IPv6 /32) that it takes to fill all waiting places; one alone has 64 of them. */
const networksThatFill = 16

/** Connections of one peer group that may wait, for each that it may have. */
const waitingPerGroup = 4

/** What becomes of a connection that did not come about. */
const failures = {
  HandshakeError: ({ reason }: HandshakeError) =>
    Effect.logDebug("inbound handshake failed").pipe(Effect.annotateLogs({ reason: codeOf(reason) })),
  PeerRefused: ({ reason }: PeerRefused) =>
    Effect.logDebug("an inbound peer may not join").pipe(Effect.annotateLogs({ reason })),
  NoFreeSlot: (error: NoFreeSlot) => Effect.die(error)
}

/** Accepts whoever may connect. Nobody does when this node has no port. */
export class Listener extends Context.Service<
  Listener,
  {
    /** Where we accept; `None` for a node that only dials. */
    readonly address: Option.Option<PeerSocketAddress.PeerSocketAddress>
  }
>()("network-effect/network/Listener") {
  /** Accepts from now on. */
  static readonly layer: Layer.Layer<
    Listener,
    TaskNameTaken,
    | BackgroundTasks
    | BanList
    | ChainParams
    | ConnectionSlots
    | Evictions
    | Handshake
    | ListeningPort
    | NetworkEvents
    | OwnAddress
    | PeerAdmission
  > = Layer.effect(Listener, Effect.gen(make))
}

function* make() {
  const policy = yield* Policy
  const chain = yield* ChainParams
  const port = yield* ListeningPort
  const { listening } = yield* OwnAddress
  const bans = yield* BanList
  const handshake = yield* Handshake
  const admission = yield* PeerAdmission
  const slots = yield* ConnectionSlots
  const evictions = yield* Evictions
  const events = yield* NetworkEvents
  const trusted = yield* TrustedPeers
  const groups = yield* AddressGroups
  const tasks = yield* BackgroundTasks

  if (Option.isSome(listening)) {
    const address = listening.value
    const unusual = validForListening(address, chain)
    if (unusual !== undefined) {
      yield* Effect.logWarning("other nodes will not dial this port").pipe(
        Effect.annotateLogs({
          port: address.port,
          expected: chain.defaultPort,
          chain: chain.name,
          reason: unusual
        })
      )
    }
    yield* Effect.logInfo("listening").pipe(Effect.annotateLogs({ address: PeerSocketAddress.format(address) }))
    yield* events.publish({ _tag: "Listening", address: PeerSocketAddress.format(address) })
  }

  const throttle = new InboundThrottle({
    windowMillis: Duration.toMillis(policy.reconnectDelay),
    limit: policy.connectionsPerGroup
  })

  /** Where the connection may be, or why it may not. Its place is taken in the same synchronous step. */
  const verdictOn = (
    address: PeerSocketAddress.PeerSocketAddress,
    nowMillis: number
  ): SlotKind | "capacity" | "too-soon" => {
    let kind: SlotKind = trusted.has(address) ? "trusted" : "inbound"
    if (!slots.hasRoom(kind)) {
      // Somebody may have to go for it, once it has shaken hands.
      if (!slots.hasRoom("handshake") || !evictions.mightMakeRoom(address)) return "capacity"
      kind = "handshake"
    }
    // Reserved places are not counted against their owners.
    if (kind === "trusted" && slots.used("trusted") < slots.limits.trusted) return kind
    // Last, so that whoever is refused for capacity may come back at once.
    return throttle.isPastLimitOrAdd(limitKey(address), nowMillis) ? "too-soon" : kind
  }

  /** One inbound connection, from its slot until it is a peer. */
  const serve = Effect.fnUntraced(function* (stream: ByteStream, kind: SlotKind) {
    const slot = yield* slots.reserve(kind)
    const connected = ConnectedAddress.inbound(stream)
    const peer = yield* handshake.run(stream, connected, admission.hostFor(connected)).pipe(
      Effect.tapErrorTag("HandshakeError", ({ reason }) =>
        events.publish({
          _tag: "HandshakeFailed",
          address: PeerSocketAddress.format(stream.remoteAddress),
          direction: "inbound",
          reason: codeOf(reason)
        })
      ),
      Spans.within("accept_inbound_handshake", {
        attributes: { network: chain.kind, addr: ConnectedAddress.label(connected) }
      })
    )
    yield* Effect.tapErrorTag(admission.admit(peer, slot), "PeerRefused", ({ reason }) =>
      events.publish({
        _tag: "PeerRefused",
        address: PeerSocketAddress.format(stream.remoteAddress),
        direction: "inbound",
        reason
      })
    )
    return peer
  })

  const refuse = (stream: ByteStream, scope: Scope.Closeable, reason: "banned" | "capacity" | "crowded" | "too-soon") =>
    Effect.andThen(
      events.publish({ _tag: "InboundRefused", address: PeerSocketAddress.format(stream.remoteAddress), reason }),
      Scope.close(scope, Exit.void)
    )

  const run = Effect.gen(function* () {
    // All at once when the loop ends, for each may have something left to flush.
    const guests = yield* Scope.fork(yield* Effect.scope, "parallel")
    const connections = yield* FiberSet.make<void, never>()
    const start = yield* FiberSet.runtime(connections)()

    const perGroup = waitingPerGroup * policy.connectionsPerGroup
    const waiting = new WaitingRoom(
      { total: maxWaitingStreams, perNetwork: Math.max(maxWaitingStreams / networksThatFill, perGroup), perGroup },
      ({ stream }, reason) =>
        ConnectionMetrics.ended(
          chain,
          ConnectedAddress.inbound(stream),
          ConnectionMetrics.outcomeOf(new Serialization({ cause: reason }))
        ),
      connections
    )
    const arrived = yield* Latch.make()

    /** Takes in whoever comes, as fast as they come. */
    const takeIn = Effect.gen(function* () {
      // The stream's scope hangs below the loop's, so an interruption between here and its fiber leaves nothing open.
      const scope = yield* Scope.fork(guests)
      const stream = yield* port.accept.pipe(Scope.provide(scope))
      const { remoteAddress } = stream
      yield* ConnectionMetrics.attempted(chain, ConnectedAddress.inbound(stream))
      const gone = yield* waiting.offer({ stream, scope, ...originOf(remoteAddress, groups) })
      yield* arrived.open
      if (gone === undefined) return
      yield* ConnectionMetrics.ended(chain, ConnectedAddress.inbound(gone.stream), ConnectionMetrics.refused)
      yield* refuse(gone.stream, gone.scope, "crowded")
      // A flood is not to keep everybody else from running.
      yield* Effect.yieldNow
    })

    /** A peer has no fiber but its own: that its connection has ended is what closes its scope. */
    const stay = (peer: Peer, scope: Scope.Closeable) =>
      Effect.sync(() => peer.onClosed(() => void start(Scope.close(scope, Exit.void))))

    const next: Effect.Effect<Arrival> = Effect.suspend(() => {
      const arrival = waiting.take()
      if (arrival !== undefined) return arrival
      return arrived.close.pipe(Effect.andThen(arrived.await), Effect.andThen(next))
    })

    const acceptOne = Effect.gen(function* () {
      const { scope, stream } = yield* next
      const connected = ConnectedAddress.inbound(stream)
      if (yield* bans.isBanned(stream.remoteAddress)) {
        yield* ConnectionMetrics.ended(chain, connected, ConnectionMetrics.banned)
        yield* refuse(stream, scope, "banned")
        return yield* Effect.yieldNow
      }
      const now = yield* Monotonic.millis
      const verdict = verdictOn(stream.remoteAddress, now)
      if (verdict === "capacity" || verdict === "too-soon") {
        yield* ConnectionMetrics.ended(chain, connected, ConnectionMetrics.refused)
        yield* refuse(stream, scope, verdict)
        yield* Effect.sleep(policy.refuseInterval)
        return yield* Effect.yieldNow
      }
      yield* serve(stream, verdict).pipe(
        // Made once: a handler of each connection would be there as long as that.
        Effect.catchTags(failures),
        Scope.provide(scope),
        Effect.onExit((exit) =>
          Exit.isSuccess(exit) && exit.value !== undefined ? stay(exit.value, scope) : Scope.close(scope, exit)
        ),
        Effect.asVoid,
        // Started at once: the slot is taken before the next stream is looked at.
        (connection) => FiberSet.run(connections, connection, { startImmediately: true })
      )
      yield* Effect.sleep(policy.acceptInterval)
      // A sleep alone does not guarantee that others run first.
      yield* Effect.yieldNow
    })

    return yield* Effect.raceFirst(
      Effect.raceFirst(Effect.forever(takeIn), Effect.forever(acceptOne)),
      // A defect in a connection is ours: it ends the loop, and with it the network.
      Effect.andThen(FiberSet.join(connections), Effect.never)
    )
  }).pipe(
    Effect.scoped,
    Spans.within("accept_inbound_connections", {
      attributes: {
        listener_addr: Option.match(listening, { onNone: () => "none", onSome: PeerSocketAddress.format })
      }
    })
  )

  yield* tasks.run("listener", run)
  return Listener.of({ address: listening })
}
