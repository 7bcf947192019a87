/** What one looks for in a record, and the shortest record that still shows it. */
import { assert, describe, it } from "@effect/vitest"
import { type Action, ConnectionMachine, type Event } from "../../src/peer/ConnectionMachine.ts"
import * as Property from "../../src/recording/Property.ts"
import * as Replay from "../../src/recording/Replay.ts"
import * as Shrink from "../../src/recording/Shrink.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"
import { Message } from "../../src/wire/Message.ts"
import { bob } from "../support/addresses.ts"
import { blockItem, hash, txId, txItem } from "../peer/items.ts"
import { memoryRecorder, ping, talk, wholeOf } from "./talk.ts"

const property = (text: string): Property.Property => {
  const parsed = Property.parse(text)
  assert(parsed !== undefined, text)
  return parsed
}

const addr = Message.Addr({ addresses: [{ address: bob, services: 1n, lastSeenSeconds: 0 }] })

/** A record of `count` messages of many kinds, with requests of ours among them. */
const longRecord = (count: number) => {
  const { recorder, sink } = memoryRecorder({ segmentBytes: 1e9 })
  const { asks, hears, machine, step, pass } = talk(recorder.recording(""))
  const below = SeededRandom.fractions(SeededRandom.draws(1, "record"))
  for (let i = 0, waiter = 0; i < count; i++) {
    pass(0.1)
    const draw = Math.floor(below() * 6)
    if (draw === 0) hears(ping)
    else if (draw === 1) hears(addr)
    else if (draw === 2) hears(Message.Pong({ nonce: BigInt(i) }))
    else if (draw === 3) hears(Message.NotFound({ items: [txItem(txId(i))] }))
    else if (draw === 4) {
      step({ _tag: "Message", message: Message.Inv({ items: [blockItem(hash(i))] }) })
      if (machine.phase === "Asking") {
        step({ _tag: "Answered", outcome: { _tag: "Answered", response: { _tag: "Nil" } } })
      }
    } else {
      if (machine.awaited === undefined) asks(++waiter, { _tag: "MempoolTransactionIds" })
      hears(Message.Inv({ items: [] }))
    }
  }
  recorder.stop()
  return wholeOf(sink.segments()[0]?.text ?? "")
}

/** Goes wrong at the third ping after an `addr`, while a request of ours is out. */
class Faulty extends ConnectionMachine {
  #pings = 0
  override step(event: Event, nowNanos: bigint): ReadonlyArray<Action> {
    if (event._tag === "Message" && event.message._tag === "Ping" && this.held.addresses > 0) this.#pings++
    if (this.#pings >= 3 && this.awaited === "MempoolTransactionIds") throw new RangeError("a planted fault")
    return super.step(event, nowNanos)
  }
}

describe("a record of 10,000 messages", () => {
  const { entries, segment } = longRecord(10_000)

  it("shrinks to the few events that a planted fault needs, and those still show it", () => {
    const make: Replay.MakeMachine = (options, from) => new Faulty(options, from)
    const shrunk = Shrink.shrink(segment, entries, property("defect"), make)
    assert(shrunk !== undefined)
    assert.isAtLeast(entries.length, 15_000)
    assert.isBelow(shrunk.length, 20)
    assert.strictEqual(shrunk.at(-1)?.defect, "RangeError")
    const text = Shrink.textOf(segment, shrunk)
    // With the fault all is as it was, and without it the last event has other actions.
    assert.strictEqual(Replay.replay(text, make).difference, undefined)
    assert.strictEqual(Replay.replay(text).difference?.step.number, shrunk.length)
  })

  it("shrinks to what a decision needs, over chance and time", () => {
    const shrunk = Shrink.shrink(segment, entries, property("action:Settle 3 TransactionIds"))
    assert.deepStrictEqual(
      shrunk?.map(({ on }) => (typeof on === "string" ? on : "message" in on ? on.message : on._tag)),
      ["Request", "Quiet", "Written", "inv"]
    )
    assert(shrunk !== undefined)
    assert.deepStrictEqual(Replay.replay(Shrink.textOf(segment, shrunk)).difference, undefined)
  })

  it("that never shows it is said to be one", () => {
    assert.isUndefined(Shrink.shrink(segment, entries, property("ending:PeerOverloaded")))
  })
})

describe("a record of adverts, alarms and chance", () => {
  const { entries, segment } = (() => {
    const { recorder, sink } = memoryRecorder({ segmentBytes: 1e9 })
    let draws = 0
    const { asks, hears, pass, step } = talk(recorder.recording(""), { random: () => (draws++ % 97) / 97 })
    const addresses = Array.from({ length: 50 }, () => ({ address: bob, services: 1n, lastSeenSeconds: 0 }))
    for (let waiter = 1; waiter <= 3; waiter++) {
      hears(ping)
      hears(Message.Addr({ addresses }))
      // Some of the addresses are drawn for the answer.
      step({ _tag: "Request", waiter, request: { _tag: "Peers" } })
      step({ _tag: "Quiet" })
      pass(1)
    }
    step({ _tag: "Advert", waiter: 4, hash: hash(4) })
    step({ _tag: "Quiet" })
    step({ _tag: "Permitted", isAllowed: true })
    step({ _tag: "Written" })
    hears(ping)
    asks(5, { _tag: "MempoolTransactionIds" })
    pass(60)
    step({ _tag: "Alarm" })
    step({ _tag: "Quiet" })
    // Nobody may tell this peer of blocks any more, which is its end.
    step({ _tag: "Advert", waiter: 6, hash: hash(6) })
    step({ _tag: "Quiet" })
    step({ _tag: "Permitted", isAllowed: false })
    recorder.stop()
    return wholeOf(sink.segments()[0]?.text ?? "")
  })()
  const shortest = (text: string) => {
    const shrunk = Shrink.shrink(segment, entries, property(text))
    assert(shrunk !== undefined, text)
    assert.isUndefined(Replay.replay(Shrink.textOf(segment, shrunk)).difference)
    return shrunk.map(({ on }) => (typeof on === "string" ? on : "message" in on ? on.message : on._tag))
  }

  it.each<readonly [text: string, kinds: ReadonlyArray<string>]>([
    ["action:Settle 3", ["addr", "Request", "Quiet"]],
    ["action:Settle 4", ["Advert", "Quiet", "Permitted", "Written"]],
    // An alarm only makes it read again: what ends the request is that nothing has come.
    ["action:Settle 5", ["Request", "Quiet", "Written", "Quiet"]],
    ["ending", ["Advert", "Quiet", "Permitted"]]
  ])("shrinks to what %s needs", (text, kinds) => {
    assert.deepStrictEqual(shortest(text), kinds)
  })

  it("keeps what was drawn for an answer with it", () => {
    const whole = Shrink.shrink(segment, entries, property("action:Settle 3"))
    const drawn = entries.filter(({ chance }) => chance !== undefined)
    assert.isNotEmpty(drawn)
    assert.deepStrictEqual(whole?.at(-1)?.chance, drawn.at(-1)?.chance)
  })
})

describe("a property", () => {
  const thrown = undefined
  const { transcript } = new Replay.Replay(longRecord(1).segment)
  const holds = (text: string, event: Event, actions: ReadonlyArray<Action>) =>
    property(text)({ event, actions, thrown }, transcript)

  it("is an ending, a message, the beginning of an action, or a defect", () => {
    const { step } = talk(undefined)
    const verack: Event = { _tag: "Message", message: Message.Verack() }
    const ended = step(verack)
    assert.isTrue(holds("ending", verack, ended))
    assert.isTrue(holds("ending:DuplicateHandshake", verack, ended))
    assert.isFalse(holds("ending:PeerOverloaded", verack, ended))
    assert.isTrue(holds("message:verack", verack, ended))
    assert.isFalse(holds("message:version", verack, ended))
    assert.isTrue(holds("action:Close Dup", verack, ended))
    assert.isFalse(holds("action:Read", verack, ended))
    assert.isFalse(holds("defect", verack, ended))
    assert.isTrue(property("defect")({ event: verack, actions: [], thrown: "Error" }, transcript))
  })

  it("is nothing else", () => {
    for (const text of ["", "message", "message:nonsense", "action", "defect:x", "endings", ":x"]) {
      assert.isUndefined(Property.parse(text), text)
    }
  })
})
