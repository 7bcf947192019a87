/**
 * What a connection is made of, and how what decides for it is made of that.
 *
 * @module
 */
import { Context, type Effect, Random } from "effect"
import type { LimitedLog } from "../LimitedLog.ts"
import type { Policy } from "../Policy.ts"
import type { AlarmClock, Sleepers } from "./Alarms.ts"
import * as ConnectedAddress from "./ConnectedAddress.ts"
import { ConnectionMachine } from "./ConnectionMachine.ts"
import type { InboundRequests } from "./InboundRequests.ts"
import type { MessageStream } from "./MessageStream.ts"
import type { ConnectionHost, ConnectionInfo } from "./Peer.ts"
import { type ConnectionRecord, Recording } from "./Recording.ts"
import type { ConnectionId } from "./Request.ts"

/** What a connection is made of. */
export interface Options {
  readonly id: ConnectionId
  readonly info: ConnectionInfo
  /** After `agree`. Its stream closes with a scope that outlives the connection's. */
  readonly messages: MessageStream
  readonly host: ConnectionHost
  readonly inbound: InboundRequests["Service"]
  readonly policy: Policy
  /** A number no peer can guess. */
  readonly nonce: Effect.Effect<bigint>
  /** Tells of what peers can set off at will: bugs, of this node or of the program that answers, and closes for overload. */
  readonly log: LimitedLog
  /** Where its heartbeats run: outlives the connection, as does the next. */
  readonly sleepers: Sleepers
  /** Who wakes for its time limits and heartbeats. */
  readonly alarmClock: AlarmClock
}

/** What decides, and who writes down what it decided, if anybody does. */
export interface Decider {
  readonly machine: ConnectionMachine
  readonly record: ConnectionRecord | undefined
}

/** The machine of a connection that begins now. */
export const deciderOf = (options: Options, nowMillis: number, context: Context.Context<never>): Decider => {
  const { id, info, policy } = options
  const random = Context.get(context, Random.Random)
  const address = ConnectedAddress.transientAddress(info.connectedAddress)
  const stated = info.remote.addressFrom.address
  const machineOptions = {
    limits: policy,
    source: address === undefined ? undefined : { connection: id, address },
    services: info.remote.services,
    addresses: ConnectedAddress.alternates(info.connectedAddress, stated, Math.floor(nowMillis / 1000)),
    random: () => random.nextDoubleUnsafe()
  }
  const record = Context.get(context, Recording)?.begin(id, info, machineOptions)
  return { machine: new ConnectionMachine(record?.options ?? machineOptions), record }
}
