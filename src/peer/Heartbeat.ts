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
import type { Alarm, AlarmClock } from "./Alarms.ts"
import type { PeerError, PeerReport } from "./Peer.ts"

/** The heartbeat of one connection. */
export class Heart {
  readonly #alarmClock: AlarmClock
  readonly #intervalNanos: bigint
  readonly #beat: (over: () => void) => void
  /** `late`: its time came while the last exchange was not over. */
  #state: "resting" | "beating" | "late" = "resting"
  #next: Alarm
  #isOver = false

  /**
   * The first tick is an interval from now, and so on, from tick to tick; a late one moves those after it, so pings never come in
   * bursts. `beat` begins an exchange, and calls when that is over.
   */
  constructor(alarmClock: AlarmClock, interval: Duration.Duration, beat: (over: () => void) => void) {
    this.#alarmClock = alarmClock
    this.#intervalNanos = Duration.toNanosUnsafe(interval)
    this.#beat = beat
    this.#next = this.#setNext()
  }

  /** There is no tick from now on. An exchange that has begun goes on. */
  end(): void {
    this.#isOver = true
    this.#alarmClock.giveUp(this.#next)
  }

  #setNext(): Alarm {
    return this.#alarmClock.setIn(this.#intervalNanos, () => this.#tick())
  }

  #tick(): void {
    this.#next = this.#setNext()
    if (this.#state !== "resting") {
      this.#state = "late"
      return
    }
    this.#state = "beating"
    this.#beat(() => this.#over())
  }

  #over(): void {
    const isLate = this.#state === "late"
    this.#state = "resting"
    if (!isLate || this.#isOver) return
    this.#alarmClock.giveUp(this.#next)
    this.#tick()
  }
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
