/** What is recorded runs again: the same events at the same times, with the same chance, have the same actions. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Format from "../../src/recording/Format.ts"
import * as Replay from "../../src/recording/Replay.ts"
import { Recording } from "../../src/peer/Recording.ts"
import { NODE_NETWORK } from "../../src/wire/AddressCodec.ts"
import { Message } from "../../src/wire/Message.ts"
import { bob } from "../support/addresses.ts"
import { life, type Seen } from "../peer/machineWorld.ts"
import { hash, block, blockItem, transaction, txItem } from "../peer/items.ts"
import { rig, settle, start, world } from "../peer/rig.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import * as Pseudonyms from "../../src/recording/Pseudonyms.ts"
import type { RecorderOptions } from "../../src/recording/Recorder.ts"
import { NetAddress } from "effect/net"
import { longBlock, longHeaders, longTransaction } from "./bodies.ts"
import { info, memoryRecorder, ping, talk } from "./talk.ts"

describe("a recorded connection", () => {
  it.effect("is replayed with the same actions, from the first message to its end", () =>
    Effect.gen(function* () {
      const { recorder: records, sink } = memoryRecorder()
      const {
        bob: bobSays,
        peer,
        closeBob
      } = yield* rig({ connected: { _tag: "OutboundDirect", address: bob } }).pipe(
        Effect.provideService(Recording, records.recording("alice"))
      )
      const asked = yield* start(peer.request({ _tag: "Peers" }))
      yield* settle
      yield* bobSays.says(
        Message.Ping({ nonce: 5n }),
        Message.Addr({ addresses: [{ address: bob, services: NODE_NETWORK, lastSeenSeconds: 7 }] })
      )
      yield* settle
      yield* closeBob
      yield* settle
      assert.strictEqual(asked.result() === "pending", false)
      const [segment, ...others] = sink.segments()
      assert.deepStrictEqual(others, [])
      assert(segment !== undefined)
      assert.notInclude(segment.text, bob.address.toString())
      const { difference, end, events } = Replay.replay(segment.text)
      assert.deepStrictEqual(difference, undefined)
      assert.strictEqual(end, "closed")
      assert.isAtLeast(events, 9)
      assert.include(segment.text, '"do":["Unasked ping","Send pong 5"]')
    }).pipe(Effect.provide(world))
  )

  it("is, whatever happens on it, in segments that each stand alone", () => {
    const seen: Seen = { events: 0, actions: new Map(), endings: new Map() }
    const { recorder: records, sink } = memoryRecorder({ segmentBytes: 4000 })
    for (let seed = 1; seed <= 600; seed += 2) life(seed, 120, seen, records.recording(""))
    records.stop()
    const verdicts = sink.segments().map(({ text }) => Replay.replay(text))
    assert.deepStrictEqual(
      verdicts.filter(({ difference, end }) => difference !== undefined || end === undefined),
      []
    )
    // Events after the end are none of the connection's.
    const events = verdicts.reduce((sum, { events }) => sum + events, 0)
    assert.isAtLeast(events, seen.events - 4 * 300)
    assert.isAtLeast(verdicts.length, 600)
    assert.sameMembers([...new Set(verdicts.map(({ end }) => end))], ["closed", "full", "stopped"])
    assert.include(sink.segments()[0]?.text.slice(0, 60), Format.name)
  })

  it("may be isolated, and then it is not recorded", () => {
    const { recorder: records, sink } = memoryRecorder()
    assert.isFalse(talk(records.recording(""), { source: undefined }).isRecorded)
    assert.deepStrictEqual(sink.segments(), [])
  })

  it("that ends in a bug of this node says so", () => {
    const { recorder: records, sink } = memoryRecorder()
    const { hears, step } = talk(records.recording(""))
    hears(ping)
    // Nothing was to be permitted.
    assert.throws(() => step({ _tag: "Permitted", isAllowed: true }), "Permitted in the phase Reading")
    records.stop()
    const [segment] = sink.segments()
    assert.include(segment?.text, '"on":{"_tag":"Permitted","isAllowed":true},"defect":"Error"}')
    assert.deepStrictEqual(Replay.replay(segment?.text ?? "").difference, undefined)
  })
})

describe("addresses", () => {
  const [first, second] = ["198.51.100.7:8233", "[2001:db8::77:1234]:40001"].map((text) =>
    PeerSocketAddress.fromStringUnsafe(text)
  )
  assert(first !== undefined && second !== undefined)
  const gossiped = [first, second].map((address) => ({ address, services: 1n, lastSeenSeconds: 5 }))

  /** Everything that has addresses in it, over the ends of segments. */
  const texts = (options: Partial<RecorderOptions>) => {
    const { recorder, sink } = memoryRecorder({ segmentBytes: 600, ...options })
    const source = { connection: 1, address: first }
    const { asks, hears, step } = talk(recorder.recording(""), { source, addresses: gossiped })
    hears(Message.Addr({ addresses: gossiped }), ping)
    // Those that are kept answer it.
    step({ _tag: "Request", waiter: 1, request: { _tag: "Peers" } })
    step({ _tag: "Quiet" })
    asks(2, { _tag: "Peers" })
    hears(Message.Addr({ addresses: gossiped }))
    step({ _tag: "Message", message: Message.GetAddr() })
    step({ _tag: "Answered", outcome: { _tag: "Answered", response: { _tag: "Peers", addresses: gossiped } } })
    step({ _tag: "Written" })
    hears(
      Message.Version({
        ...info.remote,
        addressReceiver: { address: first, services: 1n },
        addressFrom: { address: second, services: 1n }
      })
    )
    return sink.segments().map(({ text }) => text)
  }

  /** In words, or as bytes in any text that may be base64. */
  const isIn = (text: string, { address }: PeerSocketAddress.PeerSocketAddress) => {
    const bytes = NetAddress.isIpv4Address(address)
      ? NetAddress.ipv4ToOctets(address)
      : NetAddress.ipv6ToOctets(address)
    const kept = (text.match(/[A-Za-z0-9+/]{8,}={0,2}/g) ?? []).map((base64) => Buffer.from(base64, "base64"))
    return text.includes(address.toString()) || kept.some((body) => body.includes(Buffer.from(bytes)))
  }

  it("are in no event, state or action, but pseudonyms that are the same in all of them", () => {
    const hidden = texts({})
    assert.isAtLeast(hidden.length, 5)
    assert.deepStrictEqual(
      hidden.filter((text) => isIn(text, first) || isIn(text, second)),
      []
    )
    assert.deepStrictEqual(
      hidden.map((text) => Replay.replay(text).difference),
      hidden.map(() => undefined)
    )
    const [named = ""] = /198\.51\.\d+\.\d+:8233/.exec(hidden.join("")) ?? []
    const all = hidden.join("").match(/198\.51\.\d+\.\d+:\d+/g) ?? []
    assert.isAtLeast(all.length, 8)
    assert.deepStrictEqual([...new Set(all)], [named])
  })

  it("are there when they are wanted", () => {
    const shown = texts({ pseudonym: Pseudonyms.none, showsAddresses: true })
    assert.isTrue(isIn(shown.join(""), first))
    assert.isTrue(shown.some((text) => /"message":"addr","body":"[^"]+"/.test(text) && isIn(text, second)))
  })
})

describe("bodies of more than 4 KiB", () => {
  /** Each kind of them in each direction, across the end of a segment. */
  const exchange = (keepsBodies: boolean) => {
    const { recorder: records, sink } = memoryRecorder({ keepsBodies, segmentBytes: 600 })
    const { asks, hears, machine, step } = talk(records.recording(""))
    const [first, second] = [longBlock(1), longBlock(2)]
    asks(1, { _tag: "BlocksByHash", hashes: new Set([first.hash, second.hash, hash(3)]) })
    hears(Message.Block({ block: first }), ping, Message.Block({ block: second }))
    hears(Message.NotFound({ items: [blockItem(hash(3))] }))
    const [one, other] = [longTransaction(1), transaction(2)]
    asks(2, { _tag: "TransactionsById", ids: new Set([one.id, other.id]) })
    hears(Message.Tx({ transaction: other }), ping, Message.Tx({ transaction: one }))
    asks(3, { _tag: "FindHeaders", known: [], stop: undefined })
    hears(Message.Headers({ headers: longHeaders }))
    hears(Message.FilterLoad({ filter: new Uint8Array(30_000), hashFunctions: 1, tweak: 2, flags: 3 }))
    step({ _tag: "Message", message: Message.GetData({ items: [blockItem(first.hash), txItem(other.txId)] }) })
    step({
      _tag: "Answered",
      outcome: {
        _tag: "Answered",
        response: {
          _tag: "Blocks",
          items: [
            { _tag: "Available", value: first, source: undefined },
            { _tag: "Available", value: block(1), source: undefined },
            { _tag: "Missing", id: hash(4) }
          ]
        }
      }
    })
    for (let i = 0; i < 3; i++) step({ _tag: "Written" })
    assert.strictEqual(machine.phase, "Reading")
    step({ _tag: "Request", waiter: 4, request: { _tag: "PushTransaction", transaction: one, source: undefined } })
    step({ _tag: "Quiet" })
    step({ _tag: "Written" })
    records.stop()
    return sink.segments().map(({ text }) => text)
  }

  it("are replayed by what a connection decides by, and by their digests", () => {
    const texts = exchange(false)
    assert.isAbove(texts.length, 8)
    assert.deepStrictEqual(
      texts.map((text) => Replay.replay(text).difference),
      texts.map(() => undefined)
    )
    // Nothing but the header of a long block is there.
    const kept = texts.join("")
    assert.notInclude(kept, Buffer.from(longBlock(1).bytes).toString("base64").slice(3000, 3400))
    assert.isBelow(kept.length, 60_000)
    assert.include(kept, '{"message":"headers","length":4461,"sha256":')
  })

  it("are there when they are wanted", () => {
    const texts = exchange(true)
    assert.deepStrictEqual(
      texts.map((text) => Replay.replay(text).difference),
      texts.map(() => undefined)
    )
    assert.include(texts.join(""), Buffer.from(longBlock(1).bytes).toString("base64"))
  })

  it("that are others than those of the record make a difference", () => {
    const [text = ""] = exchange(false).filter((text) => text.includes('"message":"headers"'))
    const sha256 = /"message":"headers","length":4461,"sha256":"([0-9a-f]{64})/.exec(text)?.[1] ?? ""
    const changed = text.replace(sha256, sha256.split("").toReversed().join(""))
    const lines = Replay.linesOf(changed).slice(0, -1)
    const { difference } = Replay.replay(lines.map((line) => `${line}\n`).join(""))
    assert.include(difference?.step.recorded.join(), "BlockHeaders")
  })
})
