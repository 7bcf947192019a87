/**
 * Service: version and verack, both ways; a stream that agreed becomes a `Peer`.
 *
 *     us                                    them
 *      ├── version ──────────────────────────▶│     whoever dialled: nobody waits for the other to begin
 *      │◀────────── anything, ignored; version┤
 *      │  1. our own nonce?  2. too old?  3. useless while we catch up?
 *      ├── verack ───────────────────────────▶│
 *      │◀─────────── anything, ignored; verack┤
 *      ▼
 *     Connection
 *
 * `HandshakeMachine` decides; here are the stream, the time, the chain and the nonces. On a failed check nothing is sent;
 * the stream just ends.
 *
 * **Security**
 *
 * Until the peer's `verack` a message may have 1024 bytes. The whole exchange has one budget of time. Nonces stay in the
 * set when a handshake is over: whoever saw one on its way could otherwise make us forget it, and then make us connect to
 * ourselves. Which of them are forgotten when the set is full depends on their age alone.
 *
 * Source: Zebra peer/handshake.rs, `negotiate_version`.
 *
 * @module
 */
import { Clock, Context, Data, Effect, Layer, Option, type Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { NetAddress } from "effect/net"
import { CurrentTask } from "../BackgroundTasks.ts"
import { dropOldest } from "../Bounded.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import { ChainTip, isNearTip, statedHeight, type Tip } from "../chain/ChainTip.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import { minimumVersion, ourProtocolVersion } from "../chain/ProtocolVersion.ts"
import * as LimitedLog from "../LimitedLog.ts"
import { Policy, totalLimit } from "../Policy.ts"
import * as Spans from "../Spans.ts"
import { OwnAddress } from "../transport/OwnAddress.ts"
import type { ByteStream } from "../transport/Transport.ts"
import { version } from "../version.ts"
import { NODE_NETWORK } from "../wire/AddressCodec.ts"
import { Message, type Version } from "../wire/Message.ts"
import * as Alarms from "./Alarms.ts"
import * as ConnectedAddress from "./ConnectedAddress.ts"
import * as Connection from "./Connection.ts"
import * as ConnectionMetrics from "./ConnectionMetrics.ts"
import { type Facts, HandshakeMachine, type Refusal } from "./HandshakeMachine.ts"
import { InboundRequests } from "./InboundRequests.ts"
import { MessageStream } from "./MessageStream.ts"
import type { ConnectionClosed, ConnectionHost, Peer, Serialization } from "./Peer.ts"
import * as PeerMetrics from "./PeerMetrics.ts"
import * as TimeLimit from "./TimeLimit.ts"

export { MissingRequiredServices, ObsoleteVersion, RemoteNonceReuse } from "./HandshakeMachine.ts"
export type { Refusal }

/** The nonce we drew is in use. Chance, once in 2^64; another try draws another. */
export class LocalDuplicateNonce extends Data.TaggedError("LocalDuplicateNonce")<{}> {}
/** No agreement within `Policy.handshakeTimeout`. */
export class HandshakeTimeout extends Data.TaggedError("HandshakeTimeout")<{}> {}

/** Why there was no agreement. */
export type HandshakeReason =
  | Refusal
  | LocalDuplicateNonce
  | HandshakeTimeout
  /** The remote ended the stream between two messages. */
  | ConnectionClosed
  /** Bad bytes, a message too long for a handshake, or a stream that broke. */
  | Serialization

/**
 * No agreement was reached. Callers that only retry match on this; callers that punish or report match on `reason`.
 */
export class HandshakeError extends Data.TaggedError("HandshakeError")<{ readonly reason: HandshakeReason }> {}

/** What our `version` messages say of us, besides what the chain and `OwnAddress` decide. */
export interface LocalNode {
  /** At most 256 bytes of UTF-8. */
  readonly userAgent: string
  /** `NODE_NETWORK` for a node that serves blocks, else 0n. */
  readonly services: bigint
  /** Whether we want transactions announced. */
  readonly relay: boolean
}

/** Without a program's own. */
export const defaultUserAgent = `/network-effect:${version}/`

/** Provide another value to say something else. */
export const LocalNode = Context.Reference<LocalNode>("network-effect/peer/LocalNode", {
  defaultValue: () => ({
    userAgent: defaultUserAgent,
    services: NODE_NETWORK,
    relay: true
  })
})

/** `version.timestamp` is rounded down to a multiple of this: our clock is a fingerprint. Source: Zebra peer/handshake.rs. */
const timestampGranularitySeconds = 300

/** Makes a peer of a stream, in either direction. */
export class Handshake extends Context.Service<
  Handshake,
  {
    /**
     * Shakes hands on `stream` and starts the connection in the current scope, which has to close when
     * `Peer.awaitClosed` does. All of it within `Policy.handshakeTimeout`; interrupting it leaves nothing but the stream,
     * which is the scope's.
     *
     * `Connected` is reported to `host` before the peer is returned; a failure is not reported.
     */
    readonly run: (
      stream: ByteStream,
      connected: ConnectedAddress.ConnectedAddress,
      host: ConnectionHost
    ) => Effect.Effect<Peer, HandshakeError, Scope.Scope>

    /** Nonces remembered; at most as many as there may be connections. */
    readonly nonceCount: Effect.Effect<number>
  }
>()("network-effect/peer/Handshake") {
  /** Says of this node what `LocalNode`, `OwnAddress` and the chain say. Its nonces are its own: two do not know each other. */
  static readonly layer: Layer.Layer<
    Handshake,
    never,
    ChainParams | ChainTip | InboundRequests | OwnAddress | SecureRandom.SecureRandom
  > = Layer.effect(Handshake, Effect.gen(make))
}

function* make() {
  const policy = yield* Policy
  const chain = yield* ChainParams
  const { getUnsafe: tipNow } = (yield* ChainTip).tip
  const inbound = yield* InboundRequests
  const secureRandom = yield* SecureRandom.SecureRandom
  const local = yield* LocalNode
  const own = yield* OwnAddress
  // Of all connections: it belongs to the span that this service was made in, for that of whoever dialled ends long before,
  // and a context of its own for each would cost more than the rest of a connection.
  const context = Context.add(yield* Effect.context<never>(), CurrentTask, "connection")
  const sleepers = yield* Effect.provideContext(Alarms.sleepers, context)
  const alarmClock = new Alarms.AlarmClock(sleepers, Context.get(context, Clock.Clock), policy.requestTimeout)
  yield* PeerMetrics.initial

  const log = LimitedLog.make(policy.statusLogInterval)
  const nonces = new Set<bigint>()
  let connections = 0

  const nonce = Effect.map(secureRandom.randomBytes(8), (bytes) => Buffer.from(bytes).readBigUInt64LE(0))

  /** A nonce that is remembered before anybody sees it. */
  const rememberedNonce = Effect.flatMap(nonce, (nonce) => {
    if (nonces.has(nonce)) return Effect.fail(new LocalDuplicateNonce())
    nonces.add(nonce)
    dropOldest(nonces, totalLimit(policy))
    return Effect.succeed(nonce)
  })

  const ourVersion = (
    connected: ConnectedAddress.ConnectedAddress,
    nonce: bigint,
    nowMillis: number,
    tip: Option.Option<Tip>
  ) => {
    const nowSeconds = Math.floor(nowMillis / 1000)
    const isolated = connected._tag === "Isolated"
    const nowhere = PeerSocketAddress.fromIp(NetAddress.ipv4Unspecified, chain.defaultPort)
    return Message.Version({
      version: ourProtocolVersion,
      services: isolated ? 0n : local.services,
      timestamp: BigInt(Math.floor(nowSeconds / timestampGranularitySeconds) * timestampGranularitySeconds),
      addressReceiver: { address: ConnectedAddress.transientAddress(connected) ?? nowhere, services: NODE_NETWORK },
      addressFrom: isolated ? { address: nowhere, services: 0n } : { address: own.stated, services: local.services },
      nonce,
      userAgent: local.userAgent,
      startHeight: isolated ? 0 : statedHeight(tip),
      relay: !isolated && local.relay
    })
  }

  const look = (theirs: Version): Effect.Effect<Facts> => {
    const height = Option.match(tipNow(), { onNone: () => 0, onSome: ({ height }) => height })
    const facts = { isOurNonce: nonces.has(theirs.nonce), minimumVersion: minimumVersion(chain, height) }
    if (theirs.services === theirs.addressFrom.services) return Effect.succeed(facts)
    return Effect.logDebug("a peer states two kinds of services").pipe(
      Effect.annotateLogs({ services: theirs.services, ofAddress: theirs.addressFrom.services }),
      Effect.as(facts)
    )
  }

  /** The exchange alone. */
  const negotiate = Effect.fnUntraced(function* (
    messages: MessageStream,
    connected: ConnectedAddress.ConnectedAddress,
    counts: ConnectionMetrics.HandshakeCount
  ) {
    const nonce = yield* rememberedNonce
    const nowMillis = yield* Clock.currentTimeMillis
    const atStart = tipNow()
    const machine = new HandshakeMachine({
      ours: ourVersion(connected, nonce, nowMillis, atStart),
      isSyncing: !isNearTip(atStart, nowMillis / 1000, policy.nearTipAge),
      isOutbound: ConnectedAddress.isOutbound(connected),
      isRefusing: true
    })
    const actions = [...machine.begin]
    for (let action = actions.shift(); action !== undefined; action = actions.shift()) {
      switch (action._tag) {
        case "Send":
          yield* messages.send(action.message)
          break
        case "Accept":
          counts.accepted(action.met.remote.version, action.met.negotiatedVersion, action.minimumVersion)
          break
        case "Read":
          actions.push(...machine.step({ _tag: "Message", message: yield* messages.receive }))
          break
        case "Look":
          counts.versionReceived(action.theirs)
          actions.push(...machine.step({ _tag: "Looked", facts: yield* look(action.theirs) }))
          break
        case "End":
          return action.met
      }
    }
    return yield* Effect.die(new Error("a handshake that does not know what comes next"))
  })

  /** The limit of a whole handshake. */
  const limit = new TimeLimit.Shared(alarmClock, policy.handshakeTimeout)
  const inTime = <A, E, R>(exchange: Effect.Effect<A, E, R>) =>
    limit.within(exchange, () => Effect.fail(new HandshakeTimeout()))

  const run = Effect.fnUntraced(function* (
    stream: ByteStream,
    connected: ConnectedAddress.ConnectedAddress,
    host: ConnectionHost
  ) {
    const callers = yield* Effect.context<never>()
    const messages = new MessageStream(stream, chain.magic, policy, callers)
    const counts = ConnectionMetrics.handshake(chain, connected, callers)
    const info = yield* negotiate(messages, connected, counts).pipe(
      Effect.flatMap(({ negotiatedVersion, refusal, remote }) =>
        refusal === undefined
          ? Effect.succeed({ connectedAddress: connected, remote, negotiatedVersion })
          : Effect.fail(refusal)
      ),
      // Both limits are ours; a peer that does not read fails the handshake, whichever is shorter.
      Effect.catchTag("ConnectionSendTimeout", () => Effect.fail(new HandshakeTimeout())),
      Effect.onExit((exit) => Effect.sync(() => counts.exchanged(exit))),
      inTime,
      Effect.onExit((exit) => Effect.sync(() => counts.decided(exit))),
      Effect.mapError((reason) => new HandshakeError({ reason })),
      Spans.within("negotiator", { attributes: { peer: ConnectedAddress.label(connected) } })
    )
    messages.agree(info.negotiatedVersion)
    const id = ++connections
    const connection = Connection.makeIn(yield* Effect.scope, {
      id,
      info,
      messages,
      host,
      inbound,
      policy,
      nonce,
      log,
      sleepers,
      alarmClock
    })
    return yield* Effect.setContext(connection, context)
  })

  return Handshake.of({
    run,
    nonceCount: Effect.sync(() => nonces.size)
  })
}
