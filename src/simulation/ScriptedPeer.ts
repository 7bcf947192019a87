/**
 * Peers that do what a script says: honest, silent, slow, lying, flooding. Written with the node's own codec, over any
 * transport.
 *
 * A script is a few answers; scripts compose, the later ones first:
 *
 *     ScriptedPeer.listen(address, ScriptedPeer.compose(ScriptedPeer.honest(), ScriptedPeer.lyingHeight(4_000_000)))
 *
 * @module
 */
import { Clock, Duration, Effect, Exit, FiberSet, Random, Result, Scope } from "effect"
import { ChainParams } from "../chain/ChainParams.ts"
import type { PeerSocketAddress } from "../chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../chain/ProtocolVersion.ts"
import {
  type ByteStream,
  type DialError,
  InboundTransport,
  type ListenError,
  OutboundTransport,
  type StreamClosed
} from "../transport/Transport.ts"
import { type GossipedAddress, NODE_NETWORK } from "../wire/AddressCodec.ts"
import * as Frame from "../wire/Frame.ts"
import { decode, encode, Message, type Version } from "../wire/Message.ts"

/** What a script can do on a connection. */
export interface Line {
  /** Sends messages, in one write. */
  readonly say: (...messages: ReadonlyArray<Message>) => Effect.Effect<void, StreamClosed>
  /** Sends bytes as they are. */
  readonly sayBytes: (bytes: Uint8Array) => Effect.Effect<void, StreamClosed>
  readonly remoteAddress: PeerSocketAddress
}

/** Every part may be left out; what is left out is not done. */
export interface Script {
  /** Changes the `version` that is sent. */
  readonly version?: (version: Version) => Version
  /** `false`: never says `version` or `verack`, nor anything else by itself. */
  readonly shakes?: boolean
  /** Begins when both have said `verack`. Ends with the connection. */
  readonly begin?: (line: Line) => Effect.Effect<void, StreamClosed>
  /** Answers a message; `false` leaves it to the scripts composed before this one. */
  readonly answer?: (message: Message, line: Line) => Effect.Effect<boolean, StreamClosed>
  /** Waited before each answer. */
  readonly pause?: Duration.Duration
}

/** One script that does what all do; where two say something about the same, the later one counts. */
export const compose = (...scripts: ReadonlyArray<Script>): Script => ({
  version: (version) => scripts.reduce((version, script) => script.version?.(version) ?? version, version),
  shakes: scripts.every(({ shakes }) => shakes !== false),
  begin: (line) =>
    Effect.forEach(scripts, ({ begin }) => begin?.(line) ?? Effect.void, { concurrency: "unbounded", discard: true }),
  answer: Effect.fnUntraced(function* (message: Message, line: Line) {
    for (const { answer } of scripts.toReversed()) {
      if (answer !== undefined && (yield* answer(message, line))) return true
    }
    return false
  }),
  pause: scripts.reduce((pause, script) => Duration.sum(pause, script.pause ?? Duration.zero), Duration.zero)
})

// -- scripts -------------------------------------------------------------------------------------

/** Answers pings, and address requests with what it is given. Has no blocks. */
export const honest = (addresses: ReadonlyArray<GossipedAddress> = []): Script => ({
  answer: (message, { say }) => {
    switch (message._tag) {
      case "Ping":
        return Effect.as(say(Message.Pong({ nonce: message.nonce })), true)
      case "GetAddr":
        return Effect.as(say(Message.Addr({ addresses })), true)
      case "GetData":
        return Effect.as(say(Message.NotFound({ items: message.items })), true)
      default:
        return Effect.succeed(false)
    }
  }
})

/** Accepts, and never says a word. */
export const silent: Script = { shakes: false }

/** Takes its time for everything. */
export const slow = (pause: Duration.Input): Script => ({ pause: Duration.fromInputUnsafe(pause) })

/** Shakes hands and answers pings, and nothing else. */
export const stalling: Script = {
  answer: (message, { say }) =>
    message._tag === "Ping" ? Effect.as(say(Message.Pong({ nonce: message.nonce })), true) : Effect.succeed(true)
}

/** Answers every request with nothing. */
export const answeringEmpty: Script = {
  answer: (message, { say }) => {
    switch (message._tag) {
      case "GetBlocks":
      case "Mempool":
        return Effect.as(say(Message.Inv({ items: [] })), true)
      case "GetHeaders":
        return Effect.as(say(Message.Headers({ headers: [] })), true)
      case "GetAddr":
        return Effect.as(say(Message.Addr({ addresses: [] })), true)
      default:
        return Effect.succeed(false)
    }
  }
}

/** Answers address requests with a thousand addresses where nobody is, seen `seenInSeconds` from now. */
export const lyingAddresses = (makeAddress: (n: number) => PeerSocketAddress, seenInSeconds = 0): Script => ({
  answer: Effect.fnUntraced(function* (message: Message, { say }: Line) {
    if (message._tag !== "GetAddr") return false
    const nowSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
    const first = Math.abs(yield* Random.nextInt) % 1_000_000
    yield* say(
      Message.Addr({
        addresses: Array.from({ length: 1000 }, (_, n) => ({
          address: makeAddress(first + n),
          services: NODE_NETWORK,
          lastSeenSeconds: nowSeconds + seenInSeconds
        }))
      })
    )
    return true
  })
})

/** Says it has a chain of this height. */
export const lyingHeight = (startHeight: number): Script => ({ version: (version) => ({ ...version, startHeight }) })

/** Says it is another time. */
export const lyingTime = (bySeconds: number): Script => ({
  version: (version) => ({ ...version, timestamp: version.timestamp + BigInt(bySeconds) })
})

/** Speaks an old protocol. */
export const obsolete = (version = 170_100): Script => ({ version: (sent) => ({ ...sent, version }) })

/** Sends this message over and over, so many times per second. */
export const flooding = (message: Message, perSecond: number): Script => ({
  begin: ({ say }) => Effect.forever(Effect.andThen(say(message), Effect.sleep(Duration.millis(1000 / perSecond))))
})

/** Says back the nonce it is told, as a node does that we reach through ourselves. */
export const selfConnecting: Script = {
  shakes: false,
  answer: (message, { say }) => (message._tag === "Version" ? Effect.as(say(message), true) : Effect.succeed(false))
}

// -- the peer ------------------------------------------------------------------------------------

/** Runs a script on one stream until that ends. */
export const run = Effect.fnUntraced(function* (stream: ByteStream, script: Script) {
  const chain = yield* ChainParams
  const codec = { magic: chain.magic, negotiatedVersion: ourProtocolVersion, maxBodyBytes: Frame.maxBodyBytes }
  const decoder = new Frame.FrameDecoder(chain.magic, Frame.maxBodyBytes)
  const fibers = yield* FiberSet.make<void, StreamClosed>()
  const line: Line = {
    remoteAddress: stream.remoteAddress,
    sayBytes: (bytes) => stream.write(bytes),
    say: (...messages) =>
      stream.write(Buffer.concat(messages.map((message) => Result.getOrThrow(encode(message, codec)))))
  }
  const nonce = BigInt(Math.abs(yield* Random.nextInt))
  const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  const shakes = script.shakes !== false
  if (shakes) {
    const version: Version = {
      _tag: "Version",
      version: ourProtocolVersion,
      services: NODE_NETWORK,
      timestamp: BigInt(seconds),
      addressReceiver: { address: stream.remoteAddress, services: NODE_NETWORK },
      addressFrom: { address: stream.localAddress, services: NODE_NETWORK },
      nonce,
      userAgent: "/scripted:1.0.0/",
      startHeight: 0,
      relay: true
    }
    yield* line.say(Message.Version(script.version?.(version) ?? version))
  }

  const hear = Effect.fnUntraced(function* (message: Message) {
    if (script.pause !== undefined) yield* Effect.sleep(script.pause)
    if (shakes && message._tag === "Version") return yield* line.say(Message.Verack())
    if (shakes && message._tag === "Verack") {
      if (script.begin !== undefined) yield* FiberSet.run(fibers, script.begin(line))
      return
    }
    if (script.answer !== undefined) yield* script.answer(message, line)
  })

  for (;;) {
    for (;;) {
      const frame = Result.getOrThrow(decoder.next())
      if (frame === undefined) break
      const message = Result.getOrThrow(decode(frame, codec))
      if (message !== undefined) yield* hear(message)
    }
    decoder.push(yield* stream.read)
  }
}, Effect.scoped)

/** Accepts whoever comes, and plays the script with each, until the scope closes. */
export const listen = (
  address: PeerSocketAddress,
  script: Script
): Effect.Effect<void, ListenError, InboundTransport | ChainParams | Scope.Scope> =>
  Effect.gen(function* () {
    const listener = yield* (yield* InboundTransport).listen(address)
    const scope = yield* Effect.scope
    const connections = yield* FiberSet.make<void>()
    yield* Effect.gen(function* () {
      const streamScope = yield* Scope.fork(scope)
      const stream = yield* Scope.provide(listener.accept, streamScope)
      yield* FiberSet.run(
        connections,
        Effect.ensuring(Effect.ignore(run(stream, script)), Scope.close(streamScope, Exit.void))
      )
    }).pipe(Effect.forever, Effect.forkScoped)
  })

/** Dials and plays the script, until the connection ends. */
export const dial = (
  address: PeerSocketAddress,
  script: Script
): Effect.Effect<void, DialError, OutboundTransport | ChainParams> =>
  Effect.gen(function* () {
    const stream = yield* (yield* OutboundTransport).dial(address)
    yield* Effect.ignore(run(stream, script))
  }).pipe(Effect.scoped)
