/**
 * Ping, pong, round-trip time.
 *
 * The only sign of life a connection needs: there is no other idle timer.
 *
 *     tick ─▶ PingSent ─▶ slot ─▶ connection takes it ─▶ ping … pong ─▶ Responded ─▶ next tick
 *             │                                          └─────────┘ at most `requestTimeout`
 *             └────────────────────────────────────────────────────┘ at most `pingTimeout`
 *
 * Source: Zebra peer/handshake.rs, `send_periodic_heartbeats_run_loop`.
 *
 * @module
 */
import { Duration, Effect } from "effect"
import * as Monotonic from "../Monotonic.ts"
import type { PeerError, PeerReport } from "./Peer.ts"

/**
 * Runs `exchange` every `interval`, which is from tick to tick, until one fails. A late tick moves those after it: pings never
 * come in bursts.
 */
export const run = (
  interval: Duration.Duration,
  exchange: () => Effect.Effect<void, PeerError>
): Effect.Effect<void, PeerError> => {
  let pause = interval
  return Effect.whileLoop({
    while: always,
    body: () => Effect.flatMap(Effect.sleep(pause), () => Effect.timed(exchange())),
    step: ([took]) => {
      pause = Duration.max(Duration.zero, Duration.subtract(interval, took))
    }
  })
}

/** One exchange. `ping` waits for the heartbeat's slot, then for the answer, within `Policy.pingTimeout` for both. */
export const exchange = Effect.fnUntraced(function* (
  ping: Effect.Effect<Duration.Duration, PeerError>,
  report: (report: PeerReport) => Effect.Effect<void>
) {
  const sentAtMillis = yield* Monotonic.millis
  yield* report({ _tag: "PingSent", sentAtMillis })
  const roundTrip = yield* ping
  yield* report({ _tag: "Responded", roundTrip })
})

const always = () => true
