/**
 * One visit to one host: who are you, and whom do you know?
 *
 *     us                                    them
 *      ├── version ──────────────────────────▶│
 *      │◀───────────────────────── version ───┤   reached, whatever the version is
 *      ├── verack, ping, getaddr ────────────▶│
 *      │◀──────────────── verack, pong, addr ─┤
 *
 * `HandshakeMachine` decides, as for every handshake, but nobody is refused, and a host that never sends its `verack` has been
 * reached too.
 *
 * **Security**
 *
 * Every wait has its time, and a visit reads a bounded number of messages, bytes and addresses. What was found before a limit
 * is kept. Until `version` a message may have 1024 bytes, as in any handshake.
 *
 * @module
 */
import { Clock, Effect, Result, type Scope } from "effect"
import { SecureRandom } from "effect/crypto"
import { NetAddress } from "effect/net"
import * as AddressRules from "../addresses/AddressRules.ts"
import { ChainParams } from "../chain/ChainParams.ts"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import * as Monotonic from "../Monotonic.ts"
import { type Action, HandshakeMachine, type Met } from "../peer/HandshakeMachine.ts"
import { MessageStream } from "../peer/MessageStream.ts"
import { Policy } from "../Policy.ts"
import { type DialError, OutboundTransport } from "../transport/Transport.ts"
import { NODE_NETWORK } from "../wire/AddressCodec.ts"
import { Message, type Version } from "../wire/Message.ts"
import { CensusPolicy } from "./CensusPolicy.ts"
import { Finding, type How, hostOf, type UnreachableReason } from "./Finding.ts"

/** What our `version` says. */
export interface Greeting {
  /** At most 256 bytes of UTF-8. */
  readonly userAgent: string
  /** The protocol version we say; a peer may refuse one that is too old for it. */
  readonly protocolVersion: number
  /** Where we listen, for whoever tells others of it; nowhere unless told. */
  readonly stated?: PeerSocketAddress.PeerSocketAddress | undefined
}

/** What a visit is told. */
export interface Options extends Greeting {
  /** Whether the host is asked for addresses. */
  readonly asks: boolean
}

/** Nobody said `version`. */
export interface Unreached {
  readonly _tag: "Unreachable"
  readonly reason: UnreachableReason
  readonly code: string
}

/** A node that said `version`, and what it told. */
export type Reached = Extract<Outcome, { readonly _tag: "Reached" }>

/** What such a visit adds to a census: the node, and whom it told of if it told of any. */
export const findingsOf = (
  address: PeerSocketAddress.PeerSocketAddress,
  atMillis: number,
  how: How,
  { addresses, claims, clockOffsetSeconds, latencyMillis, told, version }: Reached
): ReadonlyArray<Finding> => {
  const reached = Finding.Reached({
    address,
    atMillis,
    how,
    protocolVersion: version.version,
    services: version.services,
    userAgent: version.userAgent,
    height: heightOf(version),
    clockOffsetSeconds,
    latencyMillis,
    told,
    claims
  })
  return addresses.length === 0 ? [reached] : [reached, Finding.Told({ teller: address, atMillis, addresses })]
}

type Needs = ChainParams | OutboundTransport | SecureRandom.SecureRandom | Scope.Scope

/** What a visit found. */
export type Outcome =
  | Unreached
  | {
      readonly _tag: "Reached"
      readonly version: Version
      readonly clockOffsetSeconds: number
      readonly latencyMillis: number | null
      /** Addresses it told, those that cannot be dialled included; `null` when there was no answer. */
      readonly told: number | null
      /** Those that may be dialled, each once. */
      readonly addresses: ReadonlyArray<PeerSocketAddress.PeerSocketAddress>
      readonly claims: string | null
    }

/** `version.timestamp` is rounded down to this, as nodes do. Source: Zebra peer/handshake.rs. */
const timestampGranularitySeconds = 300

/** A start height as it can be relied on: 0 is what a node says that does not know, or does not want to say; zcashd -1. */
export const heightOf = ({ startHeight }: Version): number | null => (startHeight <= 0 ? null : startHeight)

const unreachable = (reason: UnreachableReason, code = ""): Unreached => ({ _tag: "Unreachable", reason, code })

const ofDial = ({ code }: DialError): Unreached =>
  unreachable(code === "ECONNREFUSED" ? "Refused" : "NoConnection", code)

/** Our `version`, to whoever is at this address. */
export const ourVersion = Effect.fnUntraced(function* (
  address: PeerSocketAddress.PeerSocketAddress,
  { protocolVersion, stated, userAgent }: Greeting
) {
  const chain = yield* ChainParams
  const random = yield* SecureRandom.SecureRandom
  const bytes = yield* random.randomBytes(8)
  const nowSeconds = Math.floor((yield* Clock.currentTimeMillis) / 1000)
  const nowhere = PeerSocketAddress.fromIp(NetAddress.ipv4Unspecified, chain.defaultPort)
  return Message.Version({
    version: protocolVersion,
    services: 0n,
    timestamp: BigInt(nowSeconds - (nowSeconds % timestampGranularitySeconds)),
    addressReceiver: { address, services: NODE_NETWORK },
    addressFrom: { address: stated ?? nowhere, services: 0n },
    nonce: Buffer.from(bytes).readBigUInt64LE(0),
    userAgent,
    startHeight: 0,
    relay: false
  })
})

/** A handshake after the peer's `version`. */
export interface Exchange {
  readonly met: Met
  readonly machine: HandshakeMachine
  /** What is to be done next: `verack`, unless it is ourselves. */
  readonly rest: ReadonlyArray<Action>
}

/** A peer that said `version`, and has not heard our `verack` yet. The stream is the scope's. */
export interface Greeted {
  readonly _tag: "Greeted"
  readonly messages: MessageStream
  readonly exchange: Exchange
  readonly version: Version
  /** The one of our `version`: pings carry it too. */
  readonly nonce: bigint
  readonly bytesRead: () => number
}

/** Dials and exchanges `version`, within the times of `CensusPolicy`. Never fails. */
export const greet = Effect.fnUntraced(function* (
  address: PeerSocketAddress.PeerSocketAddress,
  options: Greeting
): Effect.fn.Return<Greeted | Unreached, never, Needs> {
  const numbers = yield* CensusPolicy
  const transport = yield* OutboundTransport
  const dialled = yield* transport.dial(address).pipe(Effect.result, Effect.timeoutOption(numbers.connectTimeout))
  if (dialled._tag === "None") return unreachable("NoConnection", "ETIMEDOUT")
  if (Result.isFailure(dialled.value)) return ofDial(dialled.value.failure)
  const stream = dialled.value.success

  const chain = yield* ChainParams
  const policy = yield* Policy
  const messages = new MessageStream(stream, chain.magic, policy, yield* Effect.context<never>())
  const ours = yield* ourVersion(address, options)
  const greeted = yield* exchangeVersions(messages, ours, true).pipe(
    Effect.result,
    Effect.timeoutOption(numbers.handshakeTimeout)
  )
  if (greeted._tag === "None") return unreachable("NoVersion")
  if (Result.isFailure(greeted.value)) {
    const { failure } = greeted.value
    if (failure._tag === "ConnectionSendTimeout") return unreachable("NoVersion")
    if (failure._tag === "ConnectionClosed") return unreachable("Closed")
    const { cause } = failure
    return cause._tag === "StreamClosed" ? unreachable("Closed", cause.code) : unreachable("OtherProtocol")
  }
  const exchange = greeted.value.success
  const { negotiatedVersion, refusal, remote } = exchange.met
  // What a node would refuse is what a census is there to see, but for an echo.
  if (refusal !== undefined) return unreachable("Echo")
  messages.agree(negotiatedVersion)
  return {
    _tag: "Greeted",
    messages,
    exchange,
    version: remote,
    nonce: ours.nonce,
    bytesRead: () => stream.bytesRead()
  }
})

/** Dials, asks and leaves. Never fails; all of it within the times of `CensusPolicy`. */
export const visit = (
  address: PeerSocketAddress.PeerSocketAddress,
  options: Options
): Effect.Effect<Outcome, never, Needs> => Effect.map(meet(address, options), ({ outcome }) => outcome)

/** The same without leaving: the connection is there until its scope closes or the other side ends it. */
export const meet = Effect.fnUntraced(function* (
  address: PeerSocketAddress.PeerSocketAddress,
  options: Options
): Effect.fn.Return<{ readonly outcome: Outcome; readonly greeted: Greeted | undefined }, never, Needs> {
  const numbers = yield* CensusPolicy
  const greeted = yield* greet(address, options)
  if (greeted._tag === "Unreachable") return { outcome: greeted, greeted: undefined }
  const nowSeconds = (yield* Clock.currentTimeMillis) / 1000
  const chain = yield* ChainParams
  const answers = new Answers(address)
  yield* ask(greeted, answers, options.asks).pipe(Effect.ignore, Effect.timeoutOption(numbers.answerTimeout))
  const outcome: Outcome = {
    _tag: "Reached",
    version: greeted.version,
    clockOffsetSeconds: Math.round(Number(greeted.version.timestamp) - nowSeconds),
    latencyMillis: answers.latencyMillis,
    told: answers.told,
    addresses: answers.addresses(chain, numbers.addressesPerVisit),
    claims: claimOf(address, greeted.version, chain)
  }
  return { outcome, greeted }
})

/** The other host that a node says it is. */
const claimOf = (
  at: PeerSocketAddress.PeerSocketAddress,
  { addressFrom }: Version,
  chain: ChainParams["Service"]
): string | null => {
  if (AddressRules.validForOutbound(addressFrom.address, chain) !== undefined) return null
  const host = hostOf(addressFrom.address)
  return host === hostOf(at) ? null : host
}

/** Until the peer's `version` is here. Whatever comes before it is passed over, up to the messages of a visit. */
export const exchangeVersions = Effect.fnUntraced(function* (
  messages: MessageStream,
  ours: Version,
  isOutbound: boolean
) {
  const { messagesPerVisit } = yield* CensusPolicy
  const machine = new HandshakeMachine({ ours, isSyncing: false, isOutbound, isRefusing: false })
  const actions = [...machine.begin]
  for (let read = 0; read <= messagesPerVisit;) {
    const action = actions.shift()
    switch (action?._tag) {
      case "Send":
        yield* messages.send(action.message)
        break
      case "Read":
        read++
        actions.push(...machine.step({ _tag: "Message", message: yield* messages.receive }))
        break
      case "Look": {
        const facts = { isOurNonce: action.theirs.nonce === ours.nonce, minimumVersion: 0 }
        actions.push(...machine.step({ _tag: "Looked", facts }))
        break
      }
      case "Accept":
      case "End":
        return { met: action.met, machine, rest: actions } satisfies Exchange
    }
  }
  return yield* Effect.never
})

/** The `verack`, if there is to be one. */
export const finish = (messages: MessageStream, { rest }: Exchange) =>
  Effect.forEach(rest, (action) => (action._tag === "Send" ? messages.send(action.message) : Effect.void), {
    discard: true
  })

/** What came since `version`. */
class Answers {
  latencyMillis: number | null = null
  told: number | null = null
  readonly #from: string
  readonly #addresses = new Map<string, PeerSocketAddress.PeerSocketAddress>()

  constructor(from: PeerSocketAddress.PeerSocketAddress) {
    this.#from = hostOf(from)
  }

  /** Returns whether this was the answer, and not a node that tells us of itself. */
  add(addresses: ReadonlyArray<{ readonly address: PeerSocketAddress.PeerSocketAddress }>): boolean {
    this.told = (this.told ?? 0) + addresses.length
    for (const { address } of addresses) this.#addresses.set(PeerSocketAddress.format(address), address)
    const [only] = addresses
    return addresses.length !== 1 || only === undefined || hostOf(only.address) !== this.#from
  }

  addresses(chain: ChainParams["Service"], limit: number): ReadonlyArray<PeerSocketAddress.PeerSocketAddress> {
    const valid: Array<PeerSocketAddress.PeerSocketAddress> = []
    for (const address of this.#addresses.values()) {
      if (valid.length >= limit) break
      if (AddressRules.validForOutbound(address, chain) === undefined) valid.push(address)
    }
    return valid
  }
}

/** Ends when everything asked for is here; its limits are reached; or with the connection. */
const ask = Effect.fnUntraced(function* (
  { bytesRead, exchange, messages, nonce }: Greeted,
  answers: Answers,
  asks: boolean
) {
  const { addressesPerVisit, bytesPerVisit, messagesPerVisit } = yield* CensusPolicy
  yield* finish(messages, exchange)
  let isAsked = false
  let sentAt = 0
  for (let read = 0; read < messagesPerVisit && bytesRead() < bytesPerVisit; read++) {
    const message = yield* messages.receive
    if (exchange.machine.step({ _tag: "Message", message }).some(({ _tag }) => _tag === "End")) {
      isAsked = true
      sentAt = yield* Monotonic.millis
      // In this order: a pong that follows the answer would be late by the time the answer took.
      yield* messages.send(Message.Ping({ nonce }))
      if (asks) yield* messages.send(Message.GetAddr())
    }
    switch (message._tag) {
      case "Ping":
        yield* messages.send(Message.Pong({ nonce: message.nonce }))
        break
      case "Pong":
        if (!isAsked || message.nonce !== nonce) break
        answers.latencyMillis ??= (yield* Monotonic.millis) - sentAt
        if (!asks) return
        break
      case "Addr":
        if (!answers.add(message.addresses)) break
        if (isAsked || (answers.told ?? 0) >= addressesPerVisit) return
        break
      default:
        break
    }
  }
})
