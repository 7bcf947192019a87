/** Records that are not what they were, and walking through one that is. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Duration, Exit } from "effect"
import { type Walk, moved, view } from "../../src/cli/stepper.ts"
import * as Pseudonyms from "../../src/recording/Pseudonyms.ts"
import * as Replay from "../../src/recording/Replay.ts"
import * as Telling from "../../src/recording/Telling.ts"
import { Unreadable } from "../../src/recording/Reading.ts"
import { ConnectionMachine, type Event } from "../../src/peer/ConnectionMachine.ts"
import type { Outcome } from "../../src/peer/InboundRequests.ts"
import * as Peers from "../../src/peer/Peer.ts"
import type { Response } from "../../src/peer/Request.ts"
import { StreamClosed } from "../../src/transport/Transport.ts"
import { BadChecksum, BodyTooLong, Truncated, WrongMagic } from "../../src/wire/Frame.ts"
import { Message, WireBalance, WireEof, WireParse } from "../../src/wire/Message.ts"
import { block, hash, transaction, txId } from "../peer/items.ts"
import { bob } from "../support/addresses.ts"
import { memoryRecorder, ping, talk, wholeOf } from "./talk.ts"

/** The record of a peer that says a few things and then `verack` once more. */
const record = (() => {
  const { recorder, sink } = memoryRecorder()
  const { asks, hears, pass } = talk(recorder.recording(""))
  hears(ping, Message.Addr({ addresses: [{ address: bob, services: 1n, lastSeenSeconds: 0 }] }))
  pass(1.5)
  asks(1, { _tag: "MempoolTransactionIds" })
  hears(
    Message.Inv({ items: [] }),
    Message.Reject({ message: "\x1b[2J", code: 1, reason: "\u202eevil" }),
    Message.Verack()
  )
  return sink.segments()[0]?.text ?? ""
})()

/** Every one there is. */
const endings: Readonly<Record<Peers.PeerError["_tag"], Peers.PeerError>> = {
  ConnectionClosed: new Peers.ConnectionClosed(),
  ConnectionDropped: new Peers.ConnectionDropped(),
  ClientDropped: new Peers.ClientDropped(),
  PeerEvicted: new Peers.PeerEvicted(),
  ConnectionTaskExited: new Peers.ConnectionTaskExited(),
  ClientCancelledHeartbeatTask: new Peers.ClientCancelledHeartbeatTask(),
  HeartbeatTaskExited: new Peers.HeartbeatTaskExited({ message: "late" }),
  ConnectionSendTimeout: new Peers.ConnectionSendTimeout(),
  ConnectionReceiveTimeout: new Peers.ConnectionReceiveTimeout(),
  Serialization: new Peers.Serialization({ cause: new StreamClosed({ reason: "Reset", code: "ECONNRESET" }) }),
  DuplicateHandshake: new Peers.DuplicateHandshake(),
  PeerOverloaded: new Peers.PeerOverloaded(),
  InboundTimeout: new Peers.InboundTimeout(),
  ServiceShutdown: new Peers.ServiceShutdown(),
  AdvertAuthorizationRevoked: new Peers.AdvertAuthorizationRevoked(),
  NotFoundResponse: new Peers.NotFoundResponse({ hashes: [] })
}

/** Every way of a stream to end with something that is wrong. */
const causes: ReadonlyArray<Peers.Serialization["cause"]> = [
  new WrongMagic({ magic: "00000000" }),
  new BodyTooLong({ command: "addr", length: 9, limit: 8 }),
  new BadChecksum({ command: "inv" }),
  new Truncated({ bytesLeft: 7 }),
  new WireParse({ command: "tx", reason: "no such thing" }),
  new WireEof({ command: "inv", field: "hash" }),
  new WireBalance({ command: "tx" }),
  new StreamClosed({ reason: "Reset", code: "ECONNRESET" }),
  new StreamClosed({ reason: "Local", code: "" })
]

const source = undefined
const responses: ReadonlyArray<Response> = [
  { _tag: "Nil" },
  { _tag: "Peers", addresses: [{ address: bob, services: 1n, lastSeenSeconds: 5 }] },
  { _tag: "Pong", roundTrip: Duration.nanos(5n) },
  {
    _tag: "Blocks",
    items: [
      { _tag: "Available", value: block(1), source },
      { _tag: "Missing", id: hash(2) }
    ]
  },
  {
    _tag: "Transactions",
    items: [
      { _tag: "Available", value: transaction(1), source },
      { _tag: "Missing", id: txId(2) }
    ]
  },
  { _tag: "BlockHashes", hashes: [hash(1)], source },
  { _tag: "BlockHeaders", headers: [block(1).header, block(2).header], source },
  { _tag: "TransactionIds", ids: [txId(1)] }
]
const outcomes: ReadonlyArray<readonly [what: string, outcome: Outcome]> = [
  ...responses.map((response) => [response._tag, { _tag: "Answered", response }] as const),
  ["TooSlow", { _tag: "TooSlow" }]
]

/** The last of these events, as a record of them has it. */
const lastOf = (events: ReadonlyArray<Event>): Event | undefined => {
  const { recorder, sink } = memoryRecorder({ showsAddresses: true, pseudonym: Pseudonyms.none })
  const { step } = talk(recorder.recording(""))
  for (const event of events) step(event)
  recorder.stop()
  const { entries, segment } = wholeOf(sink.segments()[0]?.text ?? "")
  return Replay.walked(segment, entries).at(-1)?.event
}

const problemOf = (text: string): string => {
  try {
    Replay.replay(text)
  } catch (thrown) {
    if (thrown instanceof Unreadable) return thrown.message
    throw thrown
  }
  return "none"
}

const cases: ReadonlyArray<readonly [what: string, text: string, problem: string]> = [
  ["as it was", record, "none"],
  ["nothing", "", "is empty"],
  ["bytes", "\u0000\u0001\n", "is no record"],
  ["text", "to whom it may concern\n", "is no record"],
  ["other JSON", "[]\n{}\n", "is no record"],
  ["of another program", '{"format":"another","version":1}\n', "is no record"],
  [
    "of another version",
    record.replace('"version":1', '"version":2'),
    "is a record of version 2, and this program reads 1"
  ],
  ["of a version that is none", record.replace('"version":1', '"version":"1"'), "is no record"],
  ["changed in an event", record.replace('"at":1500000000', '"at":1500000001'), "was changed after it was recorded"],
  ["changed at its beginning", record.replace('"services":"1"', '"services":"0"'), "was changed after it was recorded"],
  ["without an event", record.replace(/^.*"Quiet".*\n/m, ""), "was changed after it was recorded"],
  ["continued", record + record, "goes on behind its end"],
  [
    "with a state that is none",
    record.replace('"phase":"Reading"', '"phase":"Dreaming"'),
    "has something in line 1 that no record has"
  ],
  [
    "with an event that is none",
    record.replace('"_tag":"Request"', '"_tag":"Prayer"'),
    "has something in line 5 that no record has"
  ],
  [
    "with chance that is none",
    record.replace('"on":"Quiet"', '"on":"Quiet","chance":[1]'),
    "has something in line 6 that no record has"
  ],
  ["with a line that is none", record.replace('{"at":0', '{"at":'), "has no JSON in line 2"],
  [
    "with a body that is none",
    record.replace('"message":"addr","body":"AQ', '"message":"addr","body":"//'),
    "has a message addr that is none"
  ]
]

describe("a record that is", () => {
  for (const [what, text, problem] of cases) {
    it(`${what} is read with: ${problem}`, () => assert.strictEqual(problemOf(text), problem))
  }

  it.each(Object.entries(endings))("of a connection that this node ended with %s is replayed", (tag, error) => {
    const { recorder, sink } = memoryRecorder()
    const { asks, hears, step } = talk(recorder.recording(""))
    hears(ping)
    asks(1, { _tag: "MempoolTransactionIds" })
    step({ _tag: "Close", error, failure: Exit.fail(error) })
    const text = sink.segments()[0]?.text ?? ""
    const { difference, end } = Replay.replay(text)
    assert.deepStrictEqual([difference, end], [undefined, "closed"])
    assert.include(text, `"Close ${tag}`)
  })

  it.each(causes)("of a stream whose end was $_tag has that end", (cause) => {
    const event = { _tag: "InputEnd", error: new Peers.Serialization({ cause }) } as const
    const last = lastOf([event])
    assert(last?._tag === "InputEnd" && last.error._tag === "Serialization")
    // An error is compared by its name and message alone.
    assert.deepStrictEqual({ ...last.error.cause }, { ...cause })
  })

  it.each(outcomes)("of an answer of the program, %s, has that answer", (_, outcome) => {
    const asks: Event = { _tag: "Message", message: Message.GetAddr() }
    const event = { _tag: "Answered", outcome } as const
    assert.deepStrictEqual(lastOf([asks, event]), event)
  })

  it("of what never answers anything has the tag of its failure, and of a defect its name", () => {
    const asks: Event = { _tag: "Message", message: Message.GetAddr() }
    const failed = lastOf([asks, { _tag: "Answered", outcome: { _tag: "Failed", cause: new RangeError("2") } }])
    assert.deepStrictEqual(failed, { _tag: "Answered", outcome: { _tag: "Failed", cause: "RangeError" } })
    const broken = lastOf([asks, { _tag: "Answered", outcome: { _tag: "Broken", cause: Cause.die(new TypeError()) } }])
    assert(broken?._tag === "Answered" && broken.outcome._tag === "Broken")
    assert.strictEqual(String(Cause.squash(broken.outcome.cause)), "Error: TypeError")
    const closed = new Peers.ConnectionTaskExited()
    const last = lastOf([{ _tag: "Close", error: closed, failure: Exit.die(new TypeError()) }])
    assert(last?._tag === "Close" && Exit.isFailure(last.failure))
    assert.strictEqual(String(Cause.squash(last.failure.cause)), "Error: TypeError")
  })

  it("of an answer that was said to its end, and more, begins there", () => {
    const { recorder, sink } = memoryRecorder()
    const { step } = talk(recorder.recording(""))
    step({ _tag: "Message", message: Message.GetAddr() })
    step({ _tag: "Close", error: new Peers.PeerEvicted(), failure: Exit.fail(new Peers.PeerEvicted()) })
    const answering = '"phase":"Answering","answer":{"response":{"_tag":"TransactionIds","ids":[]},"said":9e15},'
    const [first = ""] = (sink.segments()[0]?.text ?? "").replace('"phase":"Reading",', answering).split("\n")
    const { difference } = Replay.replay(`${first}\n{"at":0,"on":"Written","do":["Yield","Read"]}\n`)
    assert.isUndefined(difference)
  })

  it("cut is replayed up to there, and has no end", () => {
    for (const at of [record.length - 1, record.length - 200, Math.floor(record.length / 2)]) {
      const { difference, end } = Replay.replay(record.slice(0, at))
      assert.deepStrictEqual([difference, end], [undefined, undefined])
    }
  })

  it("replayed by a machine that draws less, or more, has a difference", () => {
    const { recorder, sink } = memoryRecorder()
    const { hears, step } = talk(recorder.recording(""))
    step({ _tag: "Message", message: Message.GetAddr() })
    step({ _tag: "Answered", outcome: { _tag: "Overloaded" } })
    hears(ping)
    recorder.stop()
    const text = sink.segments()[0]?.text ?? ""
    assert.include(text, '"chance":[0.25]')
    const without = Replay.replay(text.replace(',"chance":[0.25]', "").replace(/\{"end".*\n/, ""))
    assert.deepStrictEqual(without.difference?.step.decided, ["defect NoMoreChance"])
    const careless: Replay.MakeMachine = (options, from) =>
      new ConnectionMachine({ ...options, random: () => 0.25 }, from)
    assert.deepStrictEqual(Replay.replay(text, careless).difference?.step.decided.at(-1), "1 draws less")
  })
})

describe("a walk through a record", () => {
  const { entries, segment } = wholeOf(record)
  const steps = Replay.walked(segment, entries)
  const walk = (at: number): Walk => ({ title: "connection 1", steps, baseNanos: 0n, at })
  const lineOf = (at: number, head: string) =>
    view(walk(at))
      .find((line) => line.startsWith(head))
      ?.slice(10)

  it("shows what happened, what the connection was at, what it decided, and by which rule", () => {
    const last = steps.length - 1
    assert.strictEqual(lineOf(0, "before"), "listens")
    assert.strictEqual(lineOf(0, "decision"), "Unasked ping")
    assert.strictEqual(lineOf(0, "rule"), "a ping is answered by the connection itself")
    assert.strictEqual(lineOf(0, "after"), "writes a reply")
    assert.strictEqual(
      lineOf(last, "rule"),
      "version and verack come once, in the handshake: a second one ends the connection"
    )
    assert.strictEqual(lineOf(last, "after"), "closed")
    const waiting = steps.findIndex(({ event }) => event._tag === "Message" && event.message._tag === "Inv")
    assert.include(lineOf(waiting, "before"), "asks for MempoolTransactionIds until 21.500 s; addresses kept: 1")
    assert.strictEqual(lineOf(waiting, "rule"), "it answers MempoolTransactionIds")
  })

  it("says of silence what is waited for", () => {
    const { recorder, sink } = memoryRecorder()
    const { asks, hears, step } = talk(recorder.recording(""))
    step({ _tag: "Quiet" })
    // The alarm of the first is early enough for the second.
    asks(1, { _tag: "MempoolTransactionIds" })
    hears(Message.Inv({ items: [] }))
    asks(2, { _tag: "MempoolTransactionIds" })
    recorder.stop()
    const { entries, segment } = wholeOf(sink.segments()[0]?.text ?? "")
    const silent = Replay.walked(segment, entries).filter(({ actions }) => actions.length === 0)
    assert.deepStrictEqual(
      silent.map(({ actions, before, event, thrown }) => Telling.ruleOf(before, event, actions, thrown)),
      ["there is nothing to do until something happens", "a request that is out is waited for until its time limit"]
    )
  })

  it("goes forward and back, and from message to message, and not beyond its ends", () => {
    const last = steps.length - 1
    assert.deepStrictEqual(
      [moved(walk(0), "n"), moved(walk(1), "p"), moved(walk(0), "p"), moved(walk(last), "n")],
      [1, 0, 0, last]
    )
    assert.deepStrictEqual([moved(walk(3), "g"), moved(walk(3), "G"), moved(walk(3), "x")], [0, last, 3])
    assert.strictEqual(steps[moved(walk(0), "m") ?? -1]?.event._tag, "Message")
    assert.strictEqual(moved(walk(last), "m"), last)
    assert.strictEqual(moved(walk(0), "q"), undefined)
  })

  it("shows what was decided then where it is something else now, and that nothing was", () => {
    const [first, ...others] = steps
    assert(first !== undefined)
    const seen = (changes: Partial<typeof first>) =>
      view({ title: "connection 1", steps: [{ ...first, ...changes }, ...others], baseNanos: 0n, at: 0 })
    assert.notInclude(seen({}), "then it was:")
    const then = seen({ recorded: ["Send pong 6", "Read"] })
    assert.deepStrictEqual(then.slice(then.indexOf("then it was:"), -2), [
      "then it was:",
      "    Send pong 6",
      "    Read"
    ])
    assert.include(seen({ decided: [] }), "decision  nothing")
    assert.deepStrictEqual(view({ title: "connection 1", steps: [], baseNanos: 0n, at: 0 }), ["connection 1"])
  })

  it("leaves a terminal alone, whatever the peer said", () => {
    const all = steps.flatMap((_, at) => view(walk(at))).join("")
    assert.notMatch(all, /[\p{Cc}\p{Cf}]/u)
    assert.include(all, "reject ?[2J: ?evil")
  })
})
