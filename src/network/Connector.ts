/**
 * Dials, shakes hands, and brings the peer into the peer set.
 *
 * It knows how to dial; `Crawler.ts` and `InitialPeers.ts` know whom and when. What it shares between them is the pace:
 * no two dials of this node start within `Policy.dialInterval`.
 *
 * @module
 */
import { Clock, Context, Duration, Effect, Exit, Layer, Scope } from "effect"
import { AddressBook } from "../addresses/AddressBook.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as ConnectedAddress from "../peer/ConnectedAddress.ts"
import * as ConnectionMetrics from "../peer/ConnectionMetrics.ts"
import { Handshake, HandshakeError, HandshakeTimeout } from "../peer/Handshake.ts"
import type { Peer } from "../peer/Peer.ts"
import { Policy } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { type DialError, OutboundTransport } from "../transport/Transport.ts"
import { ConnectionReports } from "./ConnectionReports.ts"
import type { Slot } from "./ConnectionSlots.ts"
import { NetworkEvents } from "./NetworkEvents.ts"

/** No connection: the address did not answer, or no agreement was reached. */
export type ConnectError = DialError | HandshakeError

/** Dials, `Policy.dialInterval` apart. */
export class Connector extends Context.Service<
  Connector,
  {
    /**
     * Waits until a dial may start. Turns are given out in the order of asking, `Policy.dialInterval` apart, across all
     * callers; there is no credit for idle time.
     */
    readonly takeTurn: Effect.Effect<void>

    /**
     * Dials now and shakes hands, both within `Policy.handshakeTimeout`. The peer is in the peer set until it goes or the
     * scope closes; `Peer.awaitClosed` tells. On failure nothing is left behind.
     */
    readonly connect: (
      address: PeerSocketAddress.PeerSocketAddress,
      slot: Slot
    ) => Effect.Effect<Peer, ConnectError, Scope.Scope>
  }
>()("network-effect/network/Connector") {
  static readonly layer = Layer.effect(
    Connector,
    Effect.gen(function* () {
      const policy = yield* Policy
      const chain = yield* ChainParams
      const transport = yield* OutboundTransport
      const handshake = yield* Handshake
      const reports = yield* ConnectionReports
      const book = yield* AddressBook
      const events = yield* NetworkEvents

      const connect = Effect.fnUntraced(function* (address: PeerSocketAddress.PeerSocketAddress, slot: Slot) {
        const text = PeerSocketAddress.format(address)
        const connected = { _tag: "OutboundDirect", address } as const
        // A scope of its own, so that a failed attempt leaves nothing in a caller's scope that lives on.
        const scope = yield* Scope.fork(yield* Effect.scope)
        return yield* Effect.gen(function* () {
          yield* events.publish({ _tag: "DialStarted", address: text })
          yield* ConnectionMetrics.attempted(chain, connected)
          const peer = yield* transport.dial(address).pipe(
            Effect.tapError((error) =>
              Effect.andThen(
                ConnectionMetrics.ended(chain, connected, ConnectionMetrics.outcomeOf(error)),
                events.publish({ _tag: "DialFailed", address: text, reason: error.code })
              )
            ),
            Effect.flatMap((stream) => handshake.run(stream, connected, reports.hostFor(connected))),
            // One budget for both, so a slow connect leaves less for the handshake.
            Effect.timeoutOrElse({
              duration: policy.handshakeTimeout,
              orElse: () =>
                Effect.andThen(
                  ConnectionMetrics.ended(chain, connected, ConnectionMetrics.timedOut("outbound")),
                  Effect.fail(new HandshakeError({ reason: new HandshakeTimeout() }))
                )
            }),
            Effect.tapErrorTag("HandshakeError", ({ reason }) =>
              Effect.andThen(
                // Whoever echoes our nonce may be lying, but only about the address we dialled.
                reason._tag === "RemoteNonceReuse" ? book.markOwn(address) : Effect.void,
                events.publish({ _tag: "HandshakeFailed", address: text, direction: "outbound", reason: reason._tag })
              )
            )
          )
          yield* reports.welcome(peer, slot)
          return peer
        }).pipe(
          Scope.provide(scope),
          Effect.onExit((exit) => (Exit.isFailure(exit) ? Scope.close(scope, exit) : Effect.void)),
          Spans.within("connector", { attributes: { peer: ConnectedAddress.label(connected) } })
        )
      })

      return Connector.of({ connect, takeTurn: yield* makePace(policy.dialInterval) })
    })
  )
}

/** A gate that lets one caller through per `interval`. The turn is taken before sleeping, so callers never share one. */
export const makePace = (interval: Duration.Duration) =>
  Effect.sync(() => {
    const intervalMillis = Duration.toMillis(interval)
    let nextMillis = -Infinity
    return Effect.gen(function* () {
      const now = yield* monotonicMillis
      const turn = Math.max(nextMillis, now)
      nextMillis = turn + intervalMillis
      if (turn > now) yield* Effect.sleep(Duration.millis(turn - now))
      // A late wake-up must not bring the next dial closer.
      const woken = yield* monotonicMillis
      nextMillis = Math.max(nextMillis, woken + intervalMillis)
    })
  })

const monotonicMillis = Effect.map(Clock.monotonicTimeNanos, (nanos) => Number(nanos) / 1_000_000)
