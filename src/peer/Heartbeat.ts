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
import { HeartbeatTaskExited, type PeerError, type PeerReport } from "./Peer.ts"

export interface Options {
  /** `Policy.pingTimeout`: the limit of one exchange. */
  readonly timeout: Duration.Duration
  /** Waits for the heartbeat's slot, then for the answer, which has a limit of its own. */
  readonly ping: Effect.Effect<Duration.Duration, PeerError>
  readonly report: (report: PeerReport) => Effect.Effect<void>
}

/** One ping and its pong. */
export const exchange = ({ ping, report, timeout }: Options): Effect.Effect<void, PeerError> =>
  Effect.gen(function* () {
    const sentAtMillis = yield* Monotonic.millis
    yield* report({ _tag: "PingSent", sentAtMillis })
    const roundTrip = yield* Effect.timeoutOrElse(ping, {
      duration: timeout,
      orElse: () => Effect.fail(new HeartbeatTaskExited({ message: "no answer to a ping in time" }))
    })
    yield* report({ _tag: "Responded", roundTrip })
  })

/**
 * Runs an exchange every `Policy.pingInterval`, from tick to tick, until one fails. A late tick moves those after it: pings
 * never come in bursts.
 */
export const run = (
  interval: Duration.Duration,
  exchange: Effect.Effect<void, PeerError>
): Effect.Effect<never, PeerError> => {
  const beatAfter = (pause: Duration.Duration): Effect.Effect<never, PeerError> =>
    Effect.andThen(
      Effect.sleep(pause),
      Effect.flatMap(Effect.timed(exchange), ([took]) =>
        beatAfter(Duration.max(Duration.zero, Duration.subtract(interval, took)))
      )
    )
  return beatAfter(interval)
}
