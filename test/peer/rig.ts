/** Alice is us, with one real connection over a simulated network. What Bob says is written out, message by message. */
import { Cause, Clock, Effect, Exit, Fiber, Layer, Metric, Option, Random, Result, Scope } from "effect"
import { TestClock } from "effect/testing"
import { type ChainParamsShape, regtest } from "../../src/chain/ChainParams.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../../src/chain/ProtocolVersion.ts"
import type { LimitedLog } from "../../src/LimitedLog.ts"
import * as Alarms from "../../src/peer/Alarms.ts"
import * as Connection from "../../src/peer/Connection.ts"
import type { AnswerFailed, Overloaded } from "../../src/peer/InboundRequests.ts"
import { MessageStream } from "../../src/peer/MessageStream.ts"
import type { ConnectedAddress, ConnectionHost, ConnectionInfo, PeerReport } from "../../src/peer/Peer.ts"
import type { InboundRequest, Response } from "../../src/peer/Request.ts"
import { Policy } from "../../src/Policy.ts"
import * as LinkRule from "../../src/simulation/LinkRule.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { SimNetwork } from "../../src/simulation/SimNetwork.ts"
import type { ByteStream } from "../../src/transport/Transport.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { decode, encode, Message, type Version } from "../../src/wire/Message.ts"
import { alice, bob as bobAddress } from "../support/addresses.ts"
import { settle } from "../support/time.ts"

/** A network of its own, chance that repeats itself, and metrics nobody else counts. */
export const world = Layer.mergeAll(
  SimNetwork.layer,
  Layer.sync(Metric.MetricRegistry, () => new Map())
).pipe(Layer.provideMerge(SeededRandom.layer("peer")))

export { settle }

/** Lets time pass, and what it sets off run. */
export const pass = (time: Parameters<typeof TestClock.adjust>[0]) =>
  Effect.andThen(settle, Effect.andThen(TestClock.adjust(time), settle))

/** Runs an effect beside the test, which looks at it from time to time. */
export const start = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.forkChild(effect, { startImmediately: true }), (fiber) => ({
    /** What it succeeded or failed with. A defect is thrown; so is an interruption. */
    result: (): "pending" | A | E => {
      const exit = fiber.pollUnsafe()
      if (exit === undefined) return "pending"
      return Exit.isSuccess(exit) ? exit.value : Option.getOrThrow(Cause.findErrorOption(exit.cause))
    },
    exit: () => fiber.pollUnsafe(),
    cancel: Fiber.interrupt(fiber)
  }))

/** Bob's end of a stream. He reads only when a test says so. */
export const remoteEnd = (stream: ByteStream, chain: ChainParamsShape = regtest) => {
  const decoder = new Frame.FrameDecoder(chain.magic, Frame.maxBodyBytes)
  const options = { magic: chain.magic, negotiatedVersion: ourProtocolVersion, maxBodyBytes: Frame.maxBodyBytes }

  const buffered = (): Message | undefined => {
    for (;;) {
      const frame = Result.getOrThrow(decoder.next())
      if (frame === undefined) return undefined
      const message = Result.getOrThrow(decode(frame, options))
      if (message !== undefined) return message
    }
  }

  const hears: Effect.Effect<Message> = Effect.suspend(() => {
    const message = buffered()
    if (message !== undefined) return Effect.succeed(message)
    return Effect.flatMap(Effect.orDie(stream.read), (chunk) => {
      decoder.push(chunk)
      return hears
    })
  })

  return {
    stream,
    sayBytes: (bytes: Uint8Array) => Effect.orDie(stream.write(bytes)),
    /** All of them in one write. */
    says: (...messages: ReadonlyArray<Message>) =>
      Effect.orDie(stream.write(Buffer.concat(messages.map((message) => Result.getOrThrow(encode(message, options)))))),
    /** A body of any kind, header and checksum filled in. */
    saysRaw: (command: string, body: Uint8Array) =>
      Effect.orDie(stream.write(Frame.encode(chain.magic, { command, body }))),
    /** Alice's next message; waits for it. */
    hears,
    /** Everything Alice has said so far. */
    heard: Effect.gen(function* () {
      yield* settle
      const messages: Array<Message> = []
      for (;;) {
        const next = yield* Effect.forkChild(hears, { startImmediately: true })
        const exit = next.pollUnsafe()
        if (exit === undefined || Exit.isFailure(exit)) {
          next.interruptUnsafe()
          return messages
        }
        messages.push(exit.value)
      }
    }),
    /** How the stream ended, after everything Alice said. */
    end: Effect.gen(function* () {
      for (;;) {
        const chunk = yield* Effect.exit(stream.read)
        if (Exit.isFailure(chunk)) return yield* Effect.flip(chunk)
      }
    })
  }
}

export type RemoteEnd = ReturnType<typeof remoteEnd>

/** What Bob's `version` says, unless a test says otherwise. */
export const bobsVersion = (overrides: Partial<Version> = {}): Version => ({
  _tag: "Version",
  version: ourProtocolVersion,
  services: NODE_NETWORK,
  timestamp: 0n,
  addressReceiver: { address: alice, services: 0n },
  addressFrom: { address: bobAddress, services: NODE_NETWORK },
  nonce: 7n,
  userAgent: "/Zebra:7.0.0/",
  startHeight: 0,
  relay: true,
  ...overrides
})

export interface RigOptions {
  /** Isolated unless a test is about something else. */
  readonly connected?: ConnectedAddress
  readonly remote?: Partial<Version>
  readonly answer?: (request: InboundRequest) => Effect.Effect<Response, Overloaded | AnswerFailed>
  readonly report?: (report: PeerReport) => Effect.Effect<void>
  readonly mayAdvertise?: Effect.Effect<boolean>
  readonly id?: number
  readonly log?: LimitedLog
  /** Between the connection and the network. */
  readonly stream?: (stream: ByteStream) => ByteStream
}

/** One stream between Alice and Bob; each end closes with a scope of its own. */
export const streams = Effect.gen(function* () {
  const network = yield* SimNetwork
  const listener = yield* network.host(bobAddress).listen(PeerSocketAddress.fromIp(bobAddress.address, 0))
  // Alice's closes first: what Bob could not send to her needs no flushing then.
  const bobsScope = yield* Scope.fork(yield* Effect.scope)
  const alicesScope = yield* Scope.fork(yield* Effect.scope)
  const alices = yield* Scope.provide(network.host(alice).dial(listener.address), alicesScope)
  const bobs = yield* Scope.provide(listener.accept, bobsScope)
  return { alices, bobs, alicesScope, bobsScope }
})

/** A connection after its handshake, and everything it told and asked. */
export const rig = Effect.fnUntraced(function* (options: RigOptions = {}) {
  const { alices, alicesScope, bobs, bobsScope } = yield* streams
  const policy = yield* Policy
  const network = yield* SimNetwork
  const reports: Array<PeerReport> = []
  const asked: Array<InboundRequest> = []
  const info: ConnectionInfo = {
    connectedAddress: options.connected ?? { _tag: "Isolated" },
    remote: bobsVersion(options.remote),
    negotiatedVersion: ourProtocolVersion
  }
  const host: ConnectionHost = {
    report: (_connection, report) =>
      Effect.andThen(
        Effect.sync(() => reports.push(report)),
        options.report?.(report) ?? Effect.void
      ),
    mayAdvertise: () => options.mayAdvertise ?? Effect.succeed(true)
  }
  const messages = new MessageStream(
    options.stream?.(alices) ?? alices,
    regtest.magic,
    policy,
    yield* Effect.context<never>()
  )
  messages.agree(ourProtocolVersion)
  const inbound = {
    answer: (request: InboundRequest) =>
      Effect.andThen(
        Effect.sync(() => asked.push(request)),
        Effect.suspend(() => options.answer?.(request) ?? Effect.succeed({ _tag: "Nil" } as const))
      )
  }
  const log: LimitedLog = options.log ?? ((_kind, line) => line)
  const nonce = Effect.map(Random.nextInt, (n) => BigInt(Math.abs(n)))
  const peer = yield* Scope.provide(
    Effect.gen(function* () {
      const sleepers = yield* Alarms.sleepers
      const clock = yield* Clock.Clock
      const alarmClock = new Alarms.AlarmClock(sleepers, clock, policy.requestTimeout)
      const id = options.id ?? 1
      const sleeping = { sleepers, alarmClock }
      return yield* Connection.make({ id, info, messages, host, inbound, policy, nonce, log, ...sleeping })
    }),
    alicesScope
  )
  return {
    peer,
    bob: remoteEnd(bobs),
    messages,
    reports,
    asked,
    /** As whoever owns the connection does when it is over, or when the node stops. */
    closeAlice: Scope.close(alicesScope, Exit.void),
    /** Bob hangs up. */
    closeBob: Scope.close(bobsScope, Exit.void),
    /** From now on nothing that Alice writes leaves her host, as when Bob does not read. */
    stall: network.addRule(LinkRule.blackHole({ from: [alice], to: [bobAddress] })),
    /** The error the connection ended with; `undefined` while it goes on. */
    ended: Effect.gen(function* () {
      const closed = yield* start(peer.awaitClosed)
      yield* settle
      const result = closed.result()
      yield* closed.cancel
      return result === "pending" ? undefined : result
    })
  }
})
