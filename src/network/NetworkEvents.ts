/**
 * What happened on the network, as a stream.
 *
 * One union for everybody who looks: `--json`, the status page, tests and the program that uses us. A reader that is
 * slower than the network loses the oldest events and is told how many.
 *
 * @module
 */
import { Clock, Context, Effect, Layer, Metric, PubSub, Schema, Stream } from "effect"
import { BlockHash, TransactionId } from "../chain/Hash.ts"
import * as Monotonic from "../Monotonic.ts"
import { Policy } from "../Policy.ts"

/** Past events a new reader gets first. */
export const replayedEvents = 32

/**
 * Ids of blocks and transactions told in a second, at most, by all events together; a burst may have twice as many. Peers of
 * Mainnet advertise some tens a second, and one that means harm fifty thousand in a message. Events beyond that are lost for
 * everybody, who is told how many.
 */
export const advertisedPerSecond = 1000

/** Milliseconds since the Unix epoch, by our clock. */
const at = Schema.Finite
const connection = Schema.Int
const direction = Schema.Literals(["inbound", "outbound"])
/** `ip:port`, in full: events are for the operator. Logs say the redacted form. */
const address = Schema.String
/** Tag of the error that ended something. */
const reason = Schema.String

/** Something that happened, with its time in milliseconds since the Unix epoch. */
export const NetworkEvent = Schema.Union([
  Schema.TaggedStruct("Listening", { at, address }),
  /** Addresses from seeds, the cache file and the command line. */
  Schema.TaggedStruct("InitialPeersFound", { at, count: Schema.Int }),
  /** Is followed by exactly one of `DialFailed`, `HandshakeFailed`, `PeerRefused` and `PeerConnected` for the address. */
  Schema.TaggedStruct("DialStarted", { at, address }),
  Schema.TaggedStruct("DialFailed", { at, address, reason }),
  Schema.TaggedStruct("InboundRefused", {
    at,
    address,
    /** `crowded`: too many of its peer group, or of its part of the internet, wait already. */
    reason: Schema.Literals(["banned", "capacity", "crowded", "too-soon"])
  }),
  Schema.TaggedStruct("HandshakeFailed", { at, address, direction, reason }),
  /** It shook hands and may not join: its group is banned or has all its connections, or it is connected already. */
  Schema.TaggedStruct("PeerRefused", { at, address, direction, reason }),
  Schema.TaggedStruct("PeerConnected", {
    at,
    address,
    direction,
    connection,
    userAgent: Schema.String,
    version: Schema.Int
  }),
  /**
   * An inbound peer has to go for a newcomer, as every inbound place is taken: the youngest of the network (IPv4 /16, IPv6
   * /32) that has most, `ofNetwork`, or of the next one. Is followed by its `PeerDisconnected`.
   */
  Schema.TaggedStruct("PeerEvicted", {
    at,
    address,
    connection,
    network: Schema.String,
    ofNetwork: Schema.Int,
    reason: Schema.Literals(["largest-network", "next-largest-network"]),
    newcomer: address,
    newcomerNetwork: Schema.String
  }),
  Schema.TaggedStruct("PeerDisconnected", { at, address, direction, connection, reason }),
  /** A crawl brought `count` addresses, of which `added` were new to the book. */
  Schema.TaggedStruct("AddressesLearned", { at, count: Schema.Int, added: Schema.Int }),
  /**
   * A peer advertised blocks or transactions, at most 1000, which can be asked for as they are. A slow reader loses events, and
   * everybody those beyond `advertisedPerSecond`;
   * `onBlock` and `onTransactionIds` of `NodeAnswers` hear of each that their sender's limit lets through.
   */
  Schema.TaggedStruct("InventoryAdvertised", {
    at,
    connection,
    blocks: Schema.Array(BlockHash),
    transactions: Schema.Array(TransactionId)
  }),
  Schema.TaggedStruct("PeerBanned", { at, group: Schema.String, reason, until: at }),
  Schema.TaggedStruct("BanEnded", { at, group: Schema.String }),
  Schema.TaggedStruct("BackgroundTaskExited", { at, task: Schema.String, reason }),
  /** This reader was too slow: so many events are missing before the next one. */
  Schema.TaggedStruct("EventsLost", { at, count: Schema.Int })
])

export type NetworkEvent = typeof NetworkEvent.Type

type WithoutTime<E> = E extends NetworkEvent ? Omit<E, "at"> : never

/** An event before it is stamped. */
export type NewEvent = WithoutTime<Exclude<NetworkEvent, { readonly _tag: "EventsLost" }>>

/** What happens, for as many readers as look. */
export class NetworkEvents extends Context.Service<
  NetworkEvents,
  {
    /** Stamps an event with the time and hands it to every reader; never waits. */
    readonly publish: (event: NewEvent) => Effect.Effect<void>
    /**
     * The latest `replayedEvents`, so that a program sees how its own node started, then all from now on. Each reader may
     * fall `Policy.eventBuffer` events behind.
     */
    readonly stream: Stream.Stream<NetworkEvent>
  }
>()("network-effect/network/NetworkEvents") {
  /** Events of this process, in memory. Ends every stream when it closes. */
  static readonly layer: Layer.Layer<NetworkEvents> = Layer.effect(
    NetworkEvents,
    Effect.gen(function* () {
      const policy = yield* Policy
      const bus = yield* PubSub.sliding<{ readonly sequence: number; readonly event: NetworkEvent }>({
        capacity: policy.eventBuffer,
        replay: replayedEvents
      })
      yield* Effect.addFinalizer(() => PubSub.shutdown(bus))
      const clock = yield* Clock.Clock
      const omitted = Metric.counter("network_effect.events.omitted", {
        description: "adverts of peers that were too many to be told as events",
        incremental: true
      })
      let sequence = 0
      let left = 2 * advertisedPerSecond
      let leftAtMillis = Monotonic.millisUnsafe(clock)

      /** Whether so many ids may be told now. */
      const take = (ids: number): boolean => {
        const now = Monotonic.millisUnsafe(clock)
        left = Math.min(2 * advertisedPerSecond, left + ((now - leftAtMillis) / 1000) * advertisedPerSecond)
        leftAtMillis = now
        if (ids > left) return false
        left -= ids
        return true
      }

      const publish = (event: NewEvent) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => {
          const number = sequence++
          // Readers see that a number is missing.
          if (event._tag === "InventoryAdvertised" && !take(event.blocks.length + event.transactions.length)) {
            return Metric.update(omitted, 1)
          }
          // The event is complete: `NewEvent` is each member of the union less its time.
          return PubSub.publish(bus, { sequence: number, event: { ...event, at: now } as NetworkEvent })
        })

      const stream = Stream.suspend(() => {
        let expected: number | undefined
        return Stream.fromPubSub(bus).pipe(
          Stream.flatMap((entry) => {
            const lost = expected === undefined ? 0 : entry.sequence - expected
            expected = entry.sequence + 1
            return lost === 0
              ? Stream.succeed(entry.event)
              : Stream.make({ _tag: "EventsLost" as const, at: entry.event.at, count: lost }, entry.event)
          })
        )
      })

      return NetworkEvents.of({ publish, stream })
    })
  )
}
