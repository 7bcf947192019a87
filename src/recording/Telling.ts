/**
 * Events, states and decisions in words, for whoever reads a record.
 *
 * `ruleOf` names the rule of `ConnectionMachine` by which an event had its actions. It looks at what went in and what came
 * out, as a reader would, and decides nothing.
 *
 * Pure. What a peer said comes out as it is: whoever prints it makes it harmless.
 *
 * @module
 */
import { Cause, Exit, Option } from "effect"
import * as PeerSocketAddress from "../chain/PeerSocketAddress.ts"
import type { Action, Event, Snapshot } from "../peer/ConnectionMachine.ts"
import type { PeerError } from "../peer/Peer.ts"
import type { Ping, Request } from "../peer/Request.ts"
import { commandOf, type InventoryItem, type Message } from "../wire/Message.ts"

/** What happened, in a line. */
export const eventText = (event: Event): string => {
  switch (event._tag) {
    case "Message":
      return `the peer says ${messageText(event.message)}`
    case "InputEnd":
      return `the peer's stream ends: ${errorText(event.error)}`
    case "Quiet":
      return "the peer has said nothing more"
    case "Request":
      return `this node asks (${event.waiter}): ${requestText(event.request)}`
    case "Advert":
      return `this node advertises a block (${event.waiter}): ${event.hash}`
    case "Cancel":
      return `whoever waits (${event.waiter}) gives up`
    case "Permitted":
      return event.isAllowed ? "the advert may go" : "the advert may not go"
    case "Written":
      return "the message is with the transport"
    case "WriteFailed":
      return `the message cannot be written: ${errorText(event.error)}`
    case "Answered":
      switch (event.outcome._tag) {
        case "Answered":
          return `the program answers: ${event.outcome.response._tag}`
        case "Overloaded":
          return "the program has too much to do to answer"
        case "TooSlow":
          return "the program took too long to answer"
        case "Failed":
          return "the program could not answer"
        case "Broken":
          return "the program that answers is broken or gone"
      }
      break
    case "Alarm":
      return "the alarm rings"
    case "Close":
      return `this node ends the connection: ${errorText(event.error)}`
  }
}

const shownItems = 3

const few = (texts: ReadonlyArray<string>): string =>
  texts.length <= shownItems
    ? texts.join(", ")
    : `${texts.slice(0, shownItems).join(", ")} and ${texts.length - shownItems} more`

const items = (items: ReadonlyArray<InventoryItem>): string =>
  items.length === 0
    ? "of nothing"
    : few(items.map((item) => (item._tag === "Error" ? "Error" : `${item._tag} ${"id" in item ? item.id : item.hash}`)))

/** What a message says, in a line. */
export const messageText = (message: Message): string => {
  const command = commandOf(message)
  switch (message._tag) {
    case "Ping":
    case "Pong":
      return `${command} ${message.nonce}`
    case "Addr":
      return `${command} of ${message.addresses.length}: ${few(message.addresses.map(({ address }) => PeerSocketAddress.format(address)))}`
    case "Inv":
    case "GetData":
    case "NotFound":
      return `${command} ${items(message.items)}`
    case "Headers":
      return `${command} of ${message.headers.length}`
    case "Block":
      return `${command} ${message.block.hash}`
    case "Tx":
      return `${command} ${message.transaction.id}`
    case "GetBlocks":
    case "GetHeaders":
      return `${command} from ${message.known[0] ?? "the start"}`
    case "Reject":
      return `${command} ${message.message}: ${message.reason}`
    case "Version":
      return `${command} ${message.version} ${message.userAgent}`
    default:
      return command
  }
}

const requestText = (request: Request | Ping): string => {
  switch (request._tag) {
    case "BlocksByHash":
      return `BlocksByHash ${few([...request.hashes])}`
    case "BlockDownload":
      return `BlockDownload ${request.hash}`
    case "TransactionsById":
    case "AdvertiseTransactionIds":
      return `${request._tag} ${few([...request.ids])}`
    default:
      return request._tag
  }
}

const errorText = (error: PeerError): string => {
  if (error._tag !== "Serialization") return error._tag
  const { cause } = error
  switch (cause._tag) {
    case "StreamClosed":
      return `Serialization, ${cause._tag} ${cause.reason} ${cause.code}`.trimEnd()
    case "WireParse":
      return `Serialization, ${cause._tag} of ${cause.command}: ${cause.reason}`
    case "WireEof":
      return `Serialization, ${cause._tag} of ${cause.command} in ${cause.field}`
    default:
      return `Serialization, ${cause._tag}`
  }
}

/** What a connection is at, in a line. Times are seconds since the segment began. */
export const stateText = (state: Snapshot, baseNanos: bigint): string => {
  const seconds = (nanos: bigint) => `${(Number(nanos - baseNanos) / 1e9).toFixed(3)} s`
  if (state.phase === "Closed") return phases.Closed
  const parts: Array<string> = [phases[state.phase]]
  if (state.current !== undefined) {
    const { request, isCancelled } = state.current
    const until = state.waiting === undefined ? "" : ` until ${seconds(state.waiting.deadlineNanos)}`
    parts.push(`asks for ${request._tag}${until}${isCancelled ? ", for nobody" : ""}`)
  }
  if (state.requests.length > 0) parts.push(`waiting: ${state.requests.map(({ request }) => request._tag).join(", ")}`)
  if (state.adverts.length > 0) parts.push(`adverts that wait: ${state.adverts.length}`)
  if (state.answer !== undefined) parts.push(`${state.answer.said} messages of ${state.answer.response._tag} said`)
  if (state.addresses.length > 0) parts.push(`addresses kept: ${state.addresses.length}`)
  if (state.alarmNanos !== undefined) parts.push(`alarm at ${seconds(state.alarmNanos)}`)
  if (state.overloadedAtNanos !== undefined) parts.push(`overloaded us at ${seconds(state.overloadedAtNanos)}`)
  return parts.join("; ")
}

const phases: Readonly<Record<Snapshot["phase"], string>> = {
  Reading: "listens",
  Permitting: "asks whether an advert may go",
  SendingRequest: "writes a request",
  SendingAdvert: "writes an advert",
  Replying: "writes a reply",
  Asking: "lets the program answer",
  Answering: "writes an answer",
  Closed: "closed"
}

/** By which rule that followed. `thrown`: the machine refused it. */
export const ruleOf = (
  before: Snapshot,
  event: Event,
  actions: ReadonlyArray<Action>,
  thrown: string | undefined
): string => {
  if (thrown !== undefined) return "an event that nobody asked for is a bug of this node"
  const has = (tag: Action["_tag"]) => actions.some(({ _tag }) => _tag === tag)
  if (before.phase === "Closed") return "nothing comes after the end"
  const timedOut =
    before.waiting !== undefined &&
    actions.some(
      (action) =>
        (action._tag === "Settle" && isTimeout(action.exit)) ||
        (action._tag === "Close" && action.error._tag === "ConnectionReceiveTimeout")
    )
  if (timedOut) {
    return has("Close")
      ? "a ping that is not answered in time ends the connection: the peer is gone"
      : "the time limit of a request comes before whatever the peer says"
  }
  switch (event._tag) {
    case "Message":
      return ruleOfMessage(before, event.message, actions)
    case "InputEnd":
      return event.error._tag === "Serialization"
        ? "bytes that are no message, and a stream that breaks, end the connection and count as a failure"
        : "when the peer ends its stream, the connection ends"
    case "Quiet":
      if (has("Permit")) return "an advert goes after what the peer said, and only if it still may"
      if (has("Send")) return "a request goes when nothing else is to be done"
      if (has("SetAlarm")) return waitsForAnswer
      if (has("Settle")) return "addresses the peer volunteered answer a request for addresses"
      if (has("Count")) return "what nobody waits for any more is passed over"
      return before.waiting === undefined ? "there is nothing to do until something happens" : waitsForAnswer
    case "Request":
      return has("Read")
        ? "what the peer has said comes before a new request"
        : "one thing after the other: it waits until what is being done is done"
    case "Advert":
      if (has("Settle")) return "more adverts than may wait are refused"
      return has("Read")
        ? "what the peer has said comes before an advert"
        : "one thing after the other: it waits until what is being done is done"
    case "Cancel":
      return has("Read")
        ? "a request that nobody waits for is over; its answer, if it comes, answers nothing"
        : "what waits and is cancelled stays in its place until its turn"
    case "Permitted":
      return event.isAllowed
        ? "an advert is written right after it was permitted"
        : "a peer that may not have adverts any more is not kept"
    case "Written":
      if (has("Send")) return "an answer is said one message after the other"
      if (has("Yield")) return "when an answer is said, others have a turn"
      if (has("Settle")) return "what expects no answer is done when it is written"
      return "what was written is waited for by what the peer says next"
    case "WriteFailed":
      return "a message that is not written in whole ends the connection"
    case "Answered":
      return ruleOfAnswer(event.outcome._tag, actions)
    case "Alarm":
      return has("Read") ? "when the alarm rings, what the peer has said comes first" : "the alarm waits its turn"
    case "Close":
      return "the first error is the one that everybody hears"
  }
}

const waitsForAnswer = "a request that is out is waited for until its time limit"

const ruleOfAnswer = (outcome: string, actions: ReadonlyArray<Action>): string => {
  const isClosed = actions.some(({ _tag }) => _tag === "Close")
  switch (outcome) {
    case "Answered":
      return actions.some(({ _tag }) => _tag === "Send")
        ? "an answer is said one message after the other"
        : "an answer with nothing to say sends nothing"
    case "Overloaded":
    case "TooSlow":
      return isClosed
        ? "a request that could not be served closes its connection by chance, and it was drawn"
        : "a request that could not be served closes its connection by chance, and it was not drawn"
    case "Failed":
      return "a program that cannot answer is no reason to end a connection"
    default:
      return "without a program that answers there is no connection"
  }
}

const ruleOfMessage = (before: Snapshot, message: Message, actions: ReadonlyArray<Action>): string => {
  const has = (tag: Action["_tag"]) => actions.some(({ _tag }) => _tag === tag)
  const request = before.current?.request._tag
  if (has("Settle") && has("Unasked") && !has("Close")) {
    return `it ends the wait for ${request}, and means what it would mean otherwise`
  }
  if (has("Settle") && !has("Close")) return `it answers ${request}`
  if (!has("Unasked")) return `it is part of the answer to ${request}, or to an older one`
  if (has("Close")) return "version and verack come once, in the handshake: a second one ends the connection"
  switch (message._tag) {
    case "Ping":
      return "a ping is answered by the connection itself"
    case "Addr":
      return "addresses that nobody asked for are kept on their connection, up to a limit, until the crawler asks"
    default:
      return has("Ask")
        ? "what asks for something or advertises is for the program, and nothing is read until it has answered"
        : "what asks for nothing and answers nothing is ignored"
  }
}

const isTimeout = (exit: Exit.Exit<unknown, { readonly _tag: string }>): boolean =>
  Exit.isFailure(exit) &&
  Option.exists(Cause.findErrorOption(exit.cause), ({ _tag }) => _tag === "ConnectionReceiveTimeout")
