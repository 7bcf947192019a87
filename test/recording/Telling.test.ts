/** What a reader of a record is told: each kind of event, message and state in words, and the rule behind each decision. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Exit } from "effect"
import type { Action, Event } from "../../src/peer/ConnectionMachine.ts"
import { ClientDropped, type PeerError, Serialization } from "../../src/peer/Peer.ts"
import * as Replay from "../../src/recording/Replay.ts"
import * as Telling from "../../src/recording/Telling.ts"
import { StreamClosed } from "../../src/transport/Transport.ts"
import { Message, WireBalance, WireEof, WireParse } from "../../src/wire/Message.ts"
import { bob } from "../support/addresses.ts"
import { block, blockItem, hash, transaction, txId, txItem } from "../peer/items.ts"
import { life, type Seen } from "../peer/machineWorld.ts"
import { info, memoryRecorder, ping, talk, wholeOf } from "./talk.ts"

const stepsOf = (text: string) => {
  const { entries, segment } = wholeOf(text)
  return Replay.walked(segment, entries)
}

/** Of each rule, the events that are decided by it, and an action that there is each time. */
const rules: Readonly<Record<string, readonly [on: ReadonlyArray<Event["_tag"]>, action?: Action["_tag"]]>> = {
  "what asks for nothing and answers nothing is ignored": [["Message"], "Unasked"],
  "a ping is answered by the connection itself": [["Message"], "Send"],
  "addresses that nobody asked for are kept on their connection, up to a limit, until the crawler asks": [
    ["Message"],
    "Unasked"
  ],
  "what asks for something or advertises is for the program, and nothing is read until it has answered": [
    ["Message"],
    "Ask"
  ],
  "version and verack come once, in the handshake: a second one ends the connection": [["Message"], "Close"],
  "it answers …": [["Message"], "Settle"],
  "it is part of the answer to …, or to an older one": [["Message"]],
  "it ends the wait for …, and means what it would mean otherwise": [["Message"], "Settle"],
  "bytes that are no message, and a stream that breaks, end the connection and count as a failure": [
    ["InputEnd"],
    "Close"
  ],
  "when the peer ends its stream, the connection ends": [["InputEnd"], "Close"],
  "there is nothing to do until something happens": [["Quiet"]],
  "a request goes when nothing else is to be done": [["Quiet"], "Send"],
  "a request that is out is waited for until its time limit": [["Quiet"]],
  "what nobody waits for any more is passed over": [["Quiet"], "Count"],
  "addresses the peer volunteered answer a request for addresses": [["Quiet"], "Settle"],
  "an advert goes after what the peer said, and only if it still may": [["Quiet"], "Permit"],
  "a ping that is not answered in time ends the connection: the peer is gone": [["Quiet"], "Close"],
  "the time limit of a request comes before whatever the peer says": [["Quiet"], "Settle"],
  "what the peer has said comes before a new request": [["Request"], "Read"],
  "what the peer has said comes before an advert": [["Advert"], "Read"],
  "more adverts than may wait are refused": [["Advert"], "Settle"],
  "one thing after the other: it waits until what is being done is done": [["Advert", "Request"]],
  "a request that nobody waits for is over; its answer, if it comes, answers nothing": [["Cancel"], "Read"],
  "what waits and is cancelled stays in its place until its turn": [["Cancel"]],
  "an advert is written right after it was permitted": [["Permitted"], "Send"],
  "a peer that may not have adverts any more is not kept": [["Permitted"], "Close"],
  "what was written is waited for by what the peer says next": [["Written"], "Read"],
  "what expects no answer is done when it is written": [["Written"], "Settle"],
  "when an answer is said, others have a turn": [["Written"], "Yield"],
  "an answer is said one message after the other": [["Answered", "Written"], "Send"],
  "a message that is not written in whole ends the connection": [["WriteFailed"], "Close"],
  "an answer with nothing to say sends nothing": [["Answered"], "Read"],
  "a program that cannot answer is no reason to end a connection": [["Answered"], "Read"],
  "without a program that answers there is no connection": [["Answered"], "Close"],
  "a request that could not be served closes its connection by chance, and it was drawn": [["Answered"], "Close"],
  "a request that could not be served closes its connection by chance, and it was not drawn": [["Answered"], "Read"],
  "when the alarm rings, what the peer has said comes first": [["Alarm"], "Read"],
  "the alarm waits its turn": [["Alarm"]],
  "the first error is the one that everybody hears": [["Close"], "Close"]
}

describe("the rule of a decision", () => {
  it("is one of these, and each is come by where it is meant", () => {
    const seen: Seen = { events: 0, actions: new Map(), endings: new Map() }
    const { recorder, sink } = memoryRecorder()
    for (let seed = 1; seed <= 240; seed += 2) life(seed, 120, seen, recorder.recording(""))
    recorder.stop()
    const met = new Map<string, Set<Event["_tag"]>>()
    for (const { actions, before, event, thrown } of sink.segments().flatMap(({ text }) => stepsOf(text))) {
      const said = Telling.ruleOf(before, event, actions, thrown)
      const rule = said.replace(/(it answers|the answer to|the wait for) \w+/, "$1 …")
      met.set(rule, (met.get(rule) ?? new Set()).add(event._tag))
      const [, action] = rules[rule] ?? assert.fail(said)
      if (action !== undefined) {
        assert.include(
          actions.map(({ _tag }) => _tag),
          action,
          said
        )
      }
    }
    assert.deepStrictEqual(
      Object.fromEntries([...met].map(([rule, events]) => [rule, [...events].toSorted()])),
      Object.fromEntries(Object.entries(rules).map(([rule, [events]]) => [rule, events]))
    )
  })

  it("is that of the end, or of a bug, when there was one", () => {
    const { hears, machine } = talk(undefined)
    const before = machine.snapshot
    assert.include(Telling.ruleOf(before, { _tag: "Written" }, [], "Error"), "a bug of this node")
    hears(Message.Verack())
    assert.include(Telling.ruleOf(machine.snapshot, { _tag: "Quiet" }, [], undefined), "after the end")
  })
})

const broken = (cause: Serialization["cause"]): PeerError => new Serialization({ cause })
const answered = (outcome: Extract<Event, { _tag: "Answered" }>["outcome"]): Event => ({ _tag: "Answered", outcome })
const asked = (request: Extract<Event, { _tag: "Request" }>["request"]): Event => ({
  _tag: "Request",
  waiter: 7,
  request
})
const ended = (error: PeerError): Event => ({ _tag: "Close", error, failure: Exit.fail(error) })
const id = (n: number) => `${n}`.padStart(64, "0")

const events: ReadonlyArray<readonly [event: Event, said: string]> = [
  [{ _tag: "Message", message: ping }, "the peer says ping 5"],
  [
    { _tag: "InputEnd", error: new Serialization({ cause: new StreamClosed({ reason: "Reset", code: "EPIPE" }) }) },
    "the peer's stream ends: Serialization, StreamClosed Reset EPIPE"
  ],
  [{ _tag: "Quiet" }, "the peer has said nothing more"],
  [asked({ _tag: "Peers" }), "this node asks (7): Peers"],
  [asked({ _tag: "BlocksByHash", hashes: new Set([hash(1), hash(2)]) }), `(7): BlocksByHash ${id(1)}, ${id(2)}`],
  [asked({ _tag: "BlockDownload", hash: hash(3), advertiser: undefined }), `(7): BlockDownload ${id(3)}`],
  [
    asked({ _tag: "TransactionsById", ids: new Set([1, 2, 3, 4, 5].map(txId)) }),
    `(7): TransactionsById ${id(1)}, ${id(2)}, ${id(3)} and 2 more`
  ],
  [{ _tag: "Advert", waiter: 7, hash: hash(1) }, `this node advertises a block (7): ${id(1)}`],
  [{ _tag: "Cancel", waiter: 7 }, "whoever waits (7) gives up"],
  [{ _tag: "Permitted", isAllowed: true }, "the advert may go"],
  [{ _tag: "Permitted", isAllowed: false }, "the advert may not go"],
  [{ _tag: "Written" }, "the message is with the transport"],
  [
    { _tag: "WriteFailed", error: new Serialization({ cause: new StreamClosed({ reason: "Eof", code: "" }) }) },
    "the message cannot be written: Serialization, StreamClosed Eof"
  ],
  [answered({ _tag: "Answered", response: { _tag: "Nil" } }), "the program answers: Nil"],
  [answered({ _tag: "Overloaded" }), "the program has too much to do to answer"],
  [answered({ _tag: "TooSlow" }), "the program took too long to answer"],
  [answered({ _tag: "Failed", cause: "none" }), "the program could not answer"],
  [answered({ _tag: "Broken", cause: Cause.die("a bug") }), "the program that answers is broken or gone"],
  [{ _tag: "Alarm" }, "the alarm rings"],
  [ended(new ClientDropped()), "this node ends the connection: ClientDropped"],
  [ended(broken(new WireParse({ command: "addr", reason: "too many" }))), "Serialization, WireParse of addr: too many"],
  [ended(broken(new WireEof({ command: "inv", field: "hash" }))), "Serialization, WireEof of inv in hash"],
  [ended(broken(new WireBalance({ command: "tx" }))), "Serialization, WireBalance"]
]

const messages: ReadonlyArray<readonly [message: Message, said: string]> = [
  [Message.Pong({ nonce: 9n }), "pong 9"],
  [
    Message.Addr({ addresses: [{ address: bob, services: 1n, lastSeenSeconds: 0 }] }),
    `addr of 1: ${bob.address.toString()}:${bob.port}`
  ],
  [Message.Inv({ items: [] }), "inv of nothing"],
  [
    Message.GetData({ items: [blockItem(hash(1)), txItem(txId(2)), { _tag: "Error" }] }),
    `getdata Block ${id(1)}, Tx ${id(2)}, Error`
  ],
  [
    Message.NotFound({ items: [1, 2, 3, 4].map((n) => txItem(txId(n))) }),
    `notfound Tx ${id(1)}, Tx ${id(2)}, Tx ${id(3)} and 1 more`
  ],
  [Message.Headers({ headers: [block(1).header, block(2).header] }), "headers of 2"],
  [Message.Block({ block: block(1) }), `block ${block(1).hash}`],
  [Message.Tx({ transaction: transaction(1) }), `tx ${transaction(1).id}`],
  [Message.GetBlocks({ known: [], stop: undefined }), "getblocks from the start"],
  [Message.GetHeaders({ known: [hash(4), hash(3)], stop: undefined }), `getheaders from ${id(4)}`],
  [Message.Reject({ message: "tx", code: 1, reason: "no" }), "reject tx: no"],
  [info.remote, `version ${info.remote.version} /Zebra:7.0.0/`],
  [Message.Mempool(), "mempool"]
]

describe("in words", () => {
  for (const [event, said] of events) it(said, () => assert.include(Telling.eventText(event), said))
  for (const [message, said] of messages) it(said, () => assert.strictEqual(Telling.messageText(message), said))

  it("a connection is at what it does, and says what waits", () => {
    const { asks, hears, machine, pass, step } = talk(undefined)
    const said = () => Telling.stateText(machine.snapshot, 0n)
    assert.strictEqual(said(), "listens")
    pass(1)
    asks(1, { _tag: "MempoolTransactionIds" })
    step({ _tag: "Request", waiter: 2, request: { _tag: "Peers" } })
    step({ _tag: "Cancel", waiter: 1 })
    hears(Message.GetAddr())
    step({ _tag: "Advert", waiter: 3, hash: hash(1) })
    assert.strictEqual(said(), "lets the program answer; waiting: Peers; adverts that wait: 1; alarm at 21.000 s")
    step(answered({ _tag: "Overloaded" }))
    assert.include(said(), "overloaded us at 1.000 s")
  })
})
