/**
 * What the time of a node goes into, as traces show it. Names, levels and attributes are the reference's.
 *
 * A span exists only where somebody collects spans of its level. One that is too detailed is left out, and what is below it
 * hangs on what is above it; Effect itself would drop all that is below it too.
 *
 * **Security**
 *
 * No attribute holds the IP of a peer.
 *
 * @module
 */
import { Context, Effect, LogLevel, References, Tracer } from "effect"

const levels = {
  // Starting.
  add_initial_peers: "Info",
  open_listener: "Info",
  // Looking for peers.
  crawl_and_dial: "Info",
  crawl: "Info",
  dial: "Info",
  report_failed: "Info",
  // Making a connection.
  connector: "Info",
  accept_inbound_connections: "Info",
  accept_inbound_handshake: "Info",
  negotiator: "Debug",
  // One connection. Its own span has no name there.
  connection: "Info",
  heartbeat: "Debug",
  msg_as_req: "Info",
  drop: "Info",
  // One message.
  outbound_metric: "Debug",
  inbound_ts_collector: "Debug",
  inventory_filter: "Debug",
  // Addresses.
  peer_cache_updater: "Info",
  "address book": "Trace"
} as const satisfies Record<string, LogLevel.LogLevel>

export type SpanName = keyof typeof levels

/** As long as a node or a connection. What is logged in them must not stay with them. */
const lasting: ReadonlySet<SpanName> = new Set([
  "accept_inbound_connections",
  "connection",
  "crawl_and_dial",
  "heartbeat",
  "peer_cache_updater"
])

export interface Options {
  readonly attributes?: Readonly<Record<string, string>>
}

/** Whether somebody collects this span. The tracer that is there by default keeps nothing. */
export const isCollected = (name: SpanName, context: Context.Context<never>): boolean =>
  Context.get(context, Tracer.Tracer) !== Tracer.nativeTracer &&
  Context.get(context, References.TracerEnabled) &&
  LogLevel.isGreaterThanOrEqualTo(levels[name], Context.get(context, Tracer.MinimumTraceLevel))

/** A span over the whole of an effect, if somebody collects it. */
export const within =
  (name: SpanName, { attributes }: Options = {}) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
    Effect.withFiber((fiber): Effect.Effect<A, E, R> => {
      if (!isCollected(name, fiber.context)) return effect
      const options = { level: levels[name], attributes }
      // Known below by its id alone: the default logger adds what is logged to the span in force.
      return lasting.has(name)
        ? Effect.useSpan(name, options, (span) => Effect.withParentSpan(effect, Tracer.externalSpan(span)))
        : Effect.withSpan(effect, name, { ...options, captureStackTrace: false })
    })
