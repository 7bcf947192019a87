/**
 * Accepts connections at our pace, shakes hands, and brings the peers into the peer set.
 *
 * **Security**
 *
 * Every accepted stream is canonicalised before its address is used as a key, checked against bans and limits before a
 * slot or a handshake is spent on it, and counted before its handshake starts. The loop pauses after each stream,
 * longer after one it admitted, so that neither junk nor a crowd can take all our time.
 *
 * Source: Zebra peer_set/initialize.rs, accept loop.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, Exit, FiberSet, Layer, Scope } from "effect"
import { NetAddress } from "effect/net"
import { AddressBook } from "../addresses/AddressBook.ts"
import { limitKey, validForListening } from "../addresses/AddressRules.ts"
import { BanList } from "../addresses/BanList.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as ConnectedAddress from "../peer/ConnectedAddress.ts"
import * as ConnectionMetrics from "../peer/ConnectionMetrics.ts"
import { Handshake } from "../peer/Handshake.ts"
import { inboundLimit, Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { type ByteStream, type ListenError, Transport } from "../transport/Transport.ts"
import { ConnectionReports } from "./ConnectionReports.ts"
import { ConnectionSlots, type SlotKind } from "./ConnectionSlots.ts"
import { InboundThrottle } from "./InboundThrottle.ts"
import { NetworkEvents } from "./NetworkEvents.ts"
import { TrustedPeers } from "../routing/TrustedPeers.ts"

/** Accepts whoever may connect. */
export class Listener extends Context.Service<
  Listener,
  {
    /** The address we really listen on: its port is the one the system chose when 0 was asked for. */
    readonly address: PeerSocketAddress.PeerSocketAddress
    /** Accepts for as long as it runs; ends only by interruption or a defect. */
    readonly run: Effect.Effect<never>
  }
>()("network-effect/network/Listener") {
  /** Binds now; the layer fails when the address is taken or forbidden. Nobody is accepted before `run`. */
  static readonly layer = (address: PeerSocketAddress.PeerSocketAddress): Layer.Layer<Listener, ListenError, Needs> =>
    Layer.effect(Listener, make(address))
}

type Needs =
  | Transport
  | ChainParams
  | AddressBook
  | BanList
  | Handshake
  | ConnectionReports
  | ConnectionSlots
  | NetworkEvents

const make = Effect.fnUntraced(function* (wanted: PeerSocketAddress.PeerSocketAddress) {
  const policy = yield* Policy
  const chain = yield* ChainParams
  const transport = yield* Transport
  const bans = yield* BanList
  const handshake = yield* Handshake
  const reports = yield* ConnectionReports
  const slots = yield* ConnectionSlots
  const events = yield* NetworkEvents
  const trusted = yield* TrustedPeers

  const unusual = validForListening(wanted, chain)
  if (unusual !== undefined && wanted.port !== 0) {
    yield* Effect.logWarning("other nodes will not dial this port").pipe(
      Effect.annotateLogs({ port: wanted.port, expected: chain.defaultPort, chain: chain.name, reason: unusual })
    )
  }
  const listener = yield* transport
    .listen(wanted)
    .pipe(Spans.within("open_listener", { attributes: { addr: PeerSocketAddress.format(wanted) } }))
  const bound = listener.address
  yield* handshake.setListenAddress(bound)
  yield* Effect.logInfo("listening").pipe(Effect.annotateLogs({ address: PeerSocketAddress.format(bound) }))
  yield* events.publish({ _tag: "Listening", address: PeerSocketAddress.format(bound) })

  const throttle = new InboundThrottle({
    windowMillis: Duration.toMillis(policy.reconnectDelay),
    limit: policy.connectionsPerGroup
  })
  const reserved = Math.min(trusted.size, Math.max(0, inboundLimit(policy) - 1))

  /** Where the connection may be, or why it may not. The caller reserves the place in the same synchronous step. */
  const admission = (
    address: PeerSocketAddress.PeerSocketAddress,
    nowMillis: number
  ): SlotKind | "capacity" | "too-soon" => {
    const total = slots.used("inbound") + slots.used("trusted")
    if (total >= inboundLimit(policy)) return "capacity"
    if (trusted.has(ipOf(address)) && slots.used("trusted") < reserved) return "trusted"
    if (slots.used("inbound") >= inboundLimit(policy) - reserved) return "capacity"
    // Last, so that whoever is refused for capacity may come back at once.
    return throttle.isPastLimitOrAdd(limitKey(address), nowMillis) ? "too-soon" : "inbound"
  }

  /** One inbound connection, from its slot to its end. */
  const serve = Effect.fnUntraced(function* (stream: ByteStream, kind: SlotKind) {
    const slot = yield* slots.reserve(kind)
    const connected = { _tag: "InboundDirect", address: stream.remoteAddress } as const
    const peer = yield* handshake.run(stream, connected, reports.hostFor(connected)).pipe(
      Effect.tapErrorTag("HandshakeError", ({ reason }) =>
        events.publish({
          _tag: "HandshakeFailed",
          address: PeerSocketAddress.format(stream.remoteAddress),
          direction: "inbound",
          reason: reason._tag
        })
      ),
      Spans.within("accept_inbound_handshake", {
        attributes: { network: chain.kind, addr: ConnectedAddress.label(connected) }
      })
    )
    yield* reports.welcome(peer, slot)
    yield* peer.awaitClosed
  })

  const refuse = (stream: ByteStream, scope: Scope.Closeable, reason: "banned" | "capacity" | "too-soon") =>
    Effect.andThen(
      events.publish({ _tag: "InboundRefused", address: PeerSocketAddress.format(stream.remoteAddress), reason }),
      Scope.close(scope, Exit.void)
    )

  const run = Effect.gen(function* () {
    const loopScope = yield* Effect.scope
    const connections = yield* FiberSet.make<void, never>()

    const acceptOne = Effect.gen(function* () {
      // The stream's scope hangs below the loop's, so an interruption between here and its fiber leaves nothing open.
      const scope = yield* Scope.fork(loopScope)
      const stream = yield* listener.accept.pipe(Scope.provide(scope))
      const connected = { _tag: "InboundDirect", address: stream.remoteAddress } as const
      yield* ConnectionMetrics.attempted(chain, connected)
      if (yield* bans.isBanned(stream.remoteAddress)) {
        yield* ConnectionMetrics.ended(chain, connected, ConnectionMetrics.banned)
        yield* refuse(stream, scope, "banned")
        return yield* Effect.yieldNow
      }
      const now = Number(yield* Clock.monotonicTimeNanos) / 1_000_000
      const verdict = admission(stream.remoteAddress, now)
      if (verdict === "capacity" || verdict === "too-soon") {
        yield* ConnectionMetrics.ended(chain, connected, ConnectionMetrics.refused)
        yield* refuse(stream, scope, verdict)
        yield* Effect.sleep(policy.refuseInterval)
        return yield* Effect.yieldNow
      }
      yield* serve(stream, verdict).pipe(
        Effect.catchTag("HandshakeError", (error) =>
          Effect.logDebug("inbound handshake failed").pipe(Effect.annotateLogs({ reason: error.reason._tag }))
        ),
        Scope.provide(scope),
        Effect.onExit((exit) => Scope.close(scope, exit)),
        // Started at once: the slot is taken before the next stream is looked at.
        (connection) => FiberSet.run(connections, connection, { startImmediately: true })
      )
      yield* Effect.sleep(policy.acceptInterval)
      // A sleep alone does not guarantee that others run first.
      yield* Effect.yieldNow
    })

    return yield* Effect.raceFirst(
      Effect.forever(acceptOne),
      // A defect in a connection is ours: it ends the loop, and with it the network.
      Effect.andThen(FiberSet.join(connections), Effect.never)
    )
  }).pipe(
    Effect.scoped,
    Spans.within("accept_inbound_connections", { attributes: { listener_addr: PeerSocketAddress.format(bound) } })
  )

  return Listener.of({ address: bound, run })
})

const ipOf = (address: PeerSocketAddress.PeerSocketAddress): string => NetAddress.formatIp(address.address)
