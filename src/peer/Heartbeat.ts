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
import { type Clock, Duration, Effect, type Fiber } from "effect"
import * as Monotonic from "../Monotonic.ts"
import type { Sleepers } from "./Alarms.ts"
import type { PeerError, PeerReport } from "./Peer.ts"

/** The heartbeat of one connection. */
export interface Heart {
  /** When the next one is due, by the monotonic clock. */
  nextNanos: bigint
  /** Begins an exchange, and calls when that is over. */
  readonly beat: (over: () => void) => void
  /** `late`: its time came while the last exchange was not over. */
  state: "resting" | "beating" | "late"
}

/**
 * Those of many connections: nearly all of them rest, so one fiber sleeps for all. Each beats every `interval`, which is from
 * tick to tick. A late tick moves those after it: pings never come in bursts.
 */
export class Heartbeats {
  readonly #sleepers: Sleepers
  readonly #clock: Clock.Clock
  readonly #intervalNanos: bigint
  /** In the order of their next ticks: each goes to the end with its tick, and all have the same interval. */
  readonly #hearts = new Set<Heart>()
  #sleeper: Fiber.Fiber<void> | undefined

  /** `clock` is the one by which `sleepers` sleep. */
  constructor(sleepers: Sleepers, clock: Clock.Clock, interval: Duration.Duration) {
    this.#sleepers = sleepers
    this.#clock = clock
    this.#intervalNanos = Duration.toNanosUnsafe(interval)
  }

  /** The first tick is an interval from now. */
  begin(beat: Heart["beat"]): Heart {
    const heart: Heart = {
      nextNanos: this.#clock.monotonicTimeNanosUnsafe() + this.#intervalNanos,
      beat,
      state: "resting"
    }
    this.#hearts.add(heart)
    if (this.#sleeper === undefined) this.#sleep(this.#intervalNanos)
    return heart
  }

  /** There is no tick from now on. An exchange that has begun goes on. */
  end(heart: Heart): void {
    this.#hearts.delete(heart)
    if (this.#hearts.size > 0) return
    this.#sleeper?.interruptUnsafe()
    this.#sleeper = undefined
  }

  #tick(heart: Heart, nowNanos: bigint): void {
    heart.nextNanos = nowNanos + this.#intervalNanos
    this.#hearts.delete(heart)
    this.#hearts.add(heart)
    if (heart.state !== "resting") {
      heart.state = "late"
      return
    }
    heart.state = "beating"
    heart.beat(() => {
      const isLate = heart.state === "late"
      heart.state = "resting"
      if (isLate && this.#hearts.has(heart)) this.#tick(heart, this.#clock.monotonicTimeNanosUnsafe())
    })
  }

  #sleep(nanos: bigint): void {
    this.#sleeper = this.#sleepers(Effect.map(Effect.sleep(Duration.nanos(nanos)), () => this.#wake()))
  }

  #wake(): void {
    this.#sleeper = undefined
    const now = this.#clock.monotonicTimeNanosUnsafe()
    for (const heart of this.#hearts) {
      if (heart.nextNanos > now) return this.#sleep(heart.nextNanos - now)
      this.#tick(heart, now)
    }
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
