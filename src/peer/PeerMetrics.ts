/**
 * What connections count, under the names and labels of the reference, so that its dashboards work.
 *
 * Every label has a fixed set of values, written down here: a peer can make us count, but not keep another series.
 *
 * Source: Zebra peer/{connection,handshake}.rs and protocol/external/codec.rs.
 *
 * @module
 */
import { type Context, Effect, Metric } from "effect"
import { commandOf, commands, type Message } from "../wire/Message.ts"
import type { Count } from "./ConnectionMachine.ts"
import type { InboundRequest, Ping, Request, Response } from "./Request.ts"

export type Counter = Metric.Counter<number>

/** What `make` makes for each key. */
const recordOf = <Key extends string, A>(keys: ReadonlyArray<Key>, make: (key: Key) => A) =>
  // Every key is there, which the type of `fromEntries` cannot tell.
  Object.fromEntries(keys.map((key) => [key, make(key)] as const)) as Readonly<Record<Key, A>>

/** One series for each of `values`. */
const counters = <Value extends string>(id: string, label: string, description: string, values: ReadonlyArray<Value>) =>
  recordOf(values, (value) => Metric.counter(id, { description, incremental: true, attributes: { [label]: value } }))

const counter = (id: string, description: string) => Metric.counter(id, { description, incremental: true })

const requests = [
  "Peers",
  "Ping",
  "BlocksByHash",
  "BlockDownload",
  "TransactionsById",
  "FindBlocks",
  "FindHeaders",
  "PushTransaction",
  "AdvertiseTransactionIds",
  "AdvertiseBlock",
  "MempoolTransactionIds"
] as const satisfies ReadonlyArray<(Request | InboundRequest | Ping)["_tag"]>

const responses = [
  "Nil",
  "Peers",
  "Pong",
  "BlockHashes",
  "BlockHeaders",
  "TransactionIds",
  "Blocks",
  "Transactions"
] as const satisfies ReadonlyArray<Response["_tag"]>

const every = Object.values(commands)
const received = counters("zcash.net.in.messages", "command", "messages received after the handshake", every)
const sent = counters("zcash.net.out.messages", "command", "messages sent after the handshake", every)

export const messageReceived = (message: Message) => received[commandOf(message)]
export const messageSent = (message: Message) => sent[commandOf(message)]

/** Header and body of every message of every connection, handshakes included. */
export const bytesReceived = counter("zcash.net.in.bytes.total", "bytes of messages received")
export const bytesSent = counter("zcash.net.out.bytes.total", "bytes of messages sent")

/** By the tag of what was wrong with the stream of a peer. */
export const streamFailed = counters("zebra.net.in.errors", "error", "streams that broke or held bad bytes", [
  "WrongMagic",
  "BodyTooLong",
  "BadChecksum",
  "Truncated",
  "WireParse",
  "WireEof",
  "WireBalance",
  "StreamClosed"
])

export const requestSent = counters("zebra.net.out.requests", "command", "requests sent to peers", requests)
export const requestCanceled = counters(
  "zebra.net.out.requests.canceled",
  "command",
  "requests nobody waited for any more when their turn came",
  requests
)
export const canceled = counter("peer.canceled", "requests and adverts nobody waited for any more")
export const responseReceived = counters("zebra.net.in.responses", "command", "answers of peers", responses)
export const requestReceived = counters("zebra.net.in.requests", "command", "requests of peers", requests)
export const responseSent = counters("zebra.net.out.responses", "command", "answers to peers", responses)

export const closedForOverload = counter("pool.closed.loadshed", "connections closed because we were overloaded")
export const closedForTimeout = counter("pool.closed.inbound.timeout", "connections closed because we were too slow")
export const ignoredForOverload = counter("pool.ignored.loadshed", "requests shed because we were overloaded")
export const ignoredForTimeout = counter("pool.ignored.inbound.timeout", "requests given up because we were too slow")

const overload = { closedForOverload, closedForTimeout, ignoredForOverload, ignoredForTimeout }

const counterOf = (count: Count): Counter => {
  switch (count.of) {
    case "requestSent":
      return requestSent[count.kind]
    case "requestCanceled":
      return requestCanceled[count.kind]
    case "requestReceived":
      return requestReceived[count.kind]
    case "responseSent":
      return responseSent[count.kind]
    case "responseReceived":
      return responseReceived[count.kind]
    default:
      return overload[count.of]
  }
}

/** Counts what the machine of a connection says. */
export const count = (what: Count, context: Context.Context<never>): undefined => {
  counterOf(what).updateUnsafe(1, context)
  if (what.of === "requestCanceled") canceled.updateUnsafe(1, context)
}

/** Sets what rarely happens to zero: whoever watches a rate needs the value before the first change. */
export const initial: Effect.Effect<void> = Effect.forEach(
  [
    canceled,
    closedForOverload,
    closedForTimeout,
    ignoredForOverload,
    ignoredForTimeout,
    ...Object.values(streamFailed),
    ...Object.values(requestCanceled)
  ],
  (metric) => Metric.update(metric, 0),
  { discard: true }
)

/** `AwaitingResponse` is by what is awaited. */
const states = [
  "AwaitingRequest",
  "Failed",
  ...requests.map((request) => `AwaitingResponse(${request})` as const)
] as const

export type StateName = (typeof states)[number]

const gauge = (state: StateName) =>
  Metric.gauge("zebra.net.connection.state", {
    description: "live connections in a state",
    attributes: { command: state }
  })

/** Live connections by what they do now. */
export const connectionsInState = recordOf(states, gauge)

/** What one connection does: the request whose answer it awaits, or nothing. */
export type Activity = (Request | Ping)["_tag"] | "idle"

const gaugeOf: Readonly<Record<(typeof requests)[number] | "idle", Metric.Gauge<number>>> = {
  ...recordOf(requests, (request) => connectionsInState[`AwaitingResponse(${request})`]),
  idle: connectionsInState.AwaitingRequest
}

/** A connection does something else now, which is given back; `undefined` before it begins and after it ended. */
export const connectionMoved = (
  from: Activity | undefined,
  to: Activity | undefined,
  context: Context.Context<never>
): Activity | undefined => {
  if (from !== undefined) gaugeOf[from].modifyUnsafe(-1, context)
  if (to !== undefined) gaugeOf[to].modifyUnsafe(1, context)
  return to
}
