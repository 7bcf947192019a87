/** Lines of records that no recorder writes, each refused for its own reason; and those of every error. */
import { assert, describe, it } from "@effect/vitest"
import type { PeerError, Serialization } from "../../src/peer/Peer.ts"
import * as Format from "../../src/recording/Format.ts"
import * as Reading from "../../src/recording/Reading.ts"
import { genesis } from "../support/goldens.ts"
import { memoryRecorder, ping, talk, wholeOf } from "./talk.ts"

const { segment } = (() => {
  const { recorder, sink } = memoryRecorder()
  talk(recorder.recording("")).hears(ping)
  recorder.stop()
  return wholeOf(sink.segments()[0]?.text ?? "")
})()

/** What a line says that happened. */
const read = (on: unknown) => {
  const entry = Reading.entry(JSON.stringify({ at: 0, on }), 2)
  assert("on" in entry)
  return new Reading.Reading(segment).event(entry.on)
}

const reasonOf = (act: () => unknown): string => {
  try {
    act()
  } catch (thrown) {
    if (thrown instanceof Reading.Unreadable) return thrown.message
    throw thrown
  }
  return "it is read"
}

const kept = { length: 90, sha256: "00".repeat(32) }
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString("base64")
const header = base64(genesis.mainnet.bytes.subarray(0, 1487))
const answered = (response: unknown) => ({ _tag: "Answered", outcome: { _tag: "Answered", response } })

describe("a line is refused that", () => {
  it.each<readonly [reason: string, on: unknown]>([
    ["has a message ping that is none", { message: "ping", body: "AAAA" }],
    ["has a message with-a-very-long-nam that is none", { message: "with-a-very-long-name" }],
    ["has a message ping without its body", { message: "ping", ...kept }],
    ["has a transaction without its id", { message: "tx", ...kept }],
    ["has a block that is none", { message: "block", ...kept }],
    ["has more headers than there can be", { message: "headers", count: 100_001, ...kept }],
    ["has a block that is none", answered({ _tag: "Blocks", items: [{ bytes: "AAAA" }] })],
    ["has a transaction that is none", answered({ _tag: "Transactions", items: [{ bytes: "AAAA" }] })],
    ["has headers that are none", answered({ _tag: "BlockHeaders", count: 1, headers: { bytes: "AAAA" } })],
    ["has an address that is none", answered({ _tag: "Peers", addresses: [["nowhere", "1", 0]] })],
    ["has an end of input that is none", { _tag: "InputEnd", error: { _tag: "PeerOverloaded" } }],
    ["has an end of input that is none", { _tag: "WriteFailed", error: { _tag: "ConnectionReceiveTimeout" } }],
    ["has an error that is none", { _tag: "InputEnd", error: { _tag: "Serialization" } }],
    ["has an error that is none", { _tag: "Close", error: { _tag: "Serialization", cause: { _tag: "Other" } } }],
    // No error is what every object has.
    ["has an error that is none", { _tag: "Close", error: { _tag: "toString" } }],
    ["has something in line 2 that no record has", { _tag: "Later" }]
  ])("%s", (reason, on) => {
    assert.strictEqual(
      reasonOf(() => read(on)),
      reason
    )
  })

  it("is no JSON, or no first line", () => {
    const first = JSON.stringify(segment)
    for (const [line, reason] of [
      ["", "is no record"],
      ['{"format":', "has no JSON in line 1"],
      ['{"format":"another","version":1}', "is no record"],
      ['{"format":"network-effect record","version":"1"}', "is no record"],
      [
        first.replace('"version":1', `"version":${Format.version + 1}`),
        `is a record of version ${Format.version + 1}, and this program reads ${Format.version}`
      ],
      [first.replace('"segment":1', '"segment":-1'), "has something in line 1 that no record has"]
    ] as const) {
      assert.strictEqual(
        reasonOf(() => Reading.segment(line)),
        reason
      )
    }
    assert.strictEqual(
      reasonOf(() => Reading.entry("{", 7)),
      "has no JSON in line 7"
    )
  })
})

describe("a line is read", () => {
  it("of what was not kept, as something with what is known of it", () => {
    const filter = read({ message: "filterload", ...kept })
    assert(filter._tag === "Message" && filter.message._tag === "FilterLoad")
    assert.lengthOf(filter.message.filter, 0)
    const added = read({ message: "filteradd", ...kept })
    assert(added._tag === "Message" && added.message._tag === "FilterAdd")
    const headers = read({ message: "headers", ...kept, count: 3 })
    assert(headers._tag === "Message" && headers.message._tag === "Headers")
    assert.lengthOf(headers.message.headers, 3)
    const none = read({ message: "headers", ...kept })
    assert(none._tag === "Message" && none.message._tag === "Headers")
    assert.lengthOf(none.message.headers, 0)
    const block = read({ message: "block", ...kept, header })
    assert(block._tag === "Message" && block.message._tag === "Block")
    assert.strictEqual(block.message.block.hash as string, genesis.mainnet.hash)
    const id = "ab".repeat(32)
    const transaction = read({ message: "tx", ...kept, id })
    assert(transaction._tag === "Message" && transaction.message._tag === "Tx")
    assert.strictEqual(transaction.message.transaction.id as string, id)
  })

  it("of headers that were kept, as these", () => {
    const event = read(answered({ _tag: "BlockHeaders", count: 1, headers: { bytes: header } }))
    assert(event._tag === "Answered" && event.outcome._tag === "Answered")
    const { response } = event.outcome
    assert(response._tag === "BlockHeaders")
    assert.deepStrictEqual(
      response.headers.map(({ hash }) => hash as string),
      [genesis.mainnet.hash]
    )
  })

  it.each<PeerError["_tag"]>([
    "ConnectionClosed",
    "ConnectionDropped",
    "ClientDropped",
    "PeerEvicted",
    "ConnectionTaskExited",
    "ClientCancelledHeartbeatTask",
    "HeartbeatTaskExited",
    "ConnectionSendTimeout",
    "ConnectionReceiveTimeout",
    "DuplicateHandshake",
    "PeerOverloaded",
    "InboundTimeout",
    "ServiceShutdown",
    "AdvertAuthorizationRevoked",
    "NotFoundResponse"
  ])("of a connection that was closed with %s", (tag) => {
    const event = read({ _tag: "Close", error: { _tag: tag } })
    assert(event._tag === "Close")
    assert.strictEqual(event.error._tag, tag)
    assert.strictEqual(event.failure._tag, "Failure")
  })

  it.each<readonly [cause: Serialization["cause"]["_tag"], fields: Readonly<Record<string, string | number>>]>([
    ["WrongMagic", { magic: "00000000" }],
    ["BodyTooLong", { command: "ping", length: 9, limit: 8 }],
    ["BadChecksum", { command: "ping" }],
    ["Truncated", { bytesLeft: 3 }],
    ["WireParse", { command: "ping", reason: "why" }],
    ["WireEof", { command: "ping", field: "nonce" }],
    ["WireBalance", { command: "tx" }],
    ["StreamClosed", { reason: "Eof", code: "" }],
    ["StreamClosed", { reason: "Local", code: "" }],
    ["StreamClosed", { reason: "Reset", code: "ECONNRESET" }]
  ])("of input that ended with %s %o", (cause, fields) => {
    const event = read({ _tag: "InputEnd", error: { _tag: "Serialization", cause: { _tag: cause, fields } } })
    assert(event._tag === "InputEnd" && event.error._tag === "Serialization")
    assert.deepInclude(event.error.cause, { _tag: cause, ...fields })
  })

  it("of a write that failed, and of a bug of this node by its name", () => {
    const failed = read({ _tag: "WriteFailed", error: { _tag: "ConnectionSendTimeout" } })
    assert(failed._tag === "WriteFailed")
    assert.strictEqual(failed.error._tag, "ConnectionSendTimeout")
    const closed = read({ _tag: "Close", error: { _tag: "ConnectionTaskExited" }, defect: "RangeError" })
    assert(closed._tag === "Close")
    assert.match(String(closed.failure), /RangeError/)
  })
})
