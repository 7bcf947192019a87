/** What holds of all messages and of all bytes. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Result } from "effect"
import { regtest } from "../../src/chain/ChainParams.ts"
import * as Generators from "../../src/simulation/Generators.ts"
import * as Frame from "../../src/wire/Frame.ts"
import {
  commandOf,
  decode,
  decodeSlices,
  encode,
  encodeAddrV2,
  Message,
  sliceElements,
  wholeBodyBytes
} from "../../src/wire/Message.ts"
import { withoutIgnored } from "../support/withoutIgnored.ts"

const options = {
  magic: regtest.magic,
  negotiatedVersion: Generators.negotiatedVersion,
  maxBodyBytes: Frame.maxBodyBytes
}

/** The same cases each time; `npm run fuzz` draws others. */
const seed = 1

const encoded = (message: Message): Buffer => Buffer.from(Result.getOrThrow(encode(message, options)))

/** Everything a stream of bytes holds, fed in pieces of this size; the error it ends with, if it does. */
const decodeStream = (bytes: Uint8Array, chunkBytes = bytes.length) => {
  const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
  const messages: Array<Message | undefined> = []
  let most = 0
  for (let at = 0; at < bytes.length || at === 0; at += Math.max(1, chunkBytes)) {
    decoder.push(Uint8Array.from(bytes.subarray(at, at + Math.max(1, chunkBytes))))
    most = Math.max(most, decoder.bufferedBytes())
    for (;;) {
      const frame = decoder.next()
      if (Result.isFailure(frame)) return { messages, error: frame.failure._tag, most }
      if (frame.success === undefined) break
      const message = decode(frame.success, options)
      if (Result.isFailure(message)) return { messages, error: message.failure._tag, most }
      messages.push(message.success)
    }
  }
  return { messages, error: undefined, most }
}

describe("a message", () => {
  it.prop(
    "that was written is read as it was",
    { message: Generators.message },
    ({ message }) => {
      const { error, messages } = decodeStream(encoded(message))
      assert.isUndefined(error)
      assert.strictEqual(messages.length, 1)
      // Blocks and transactions are views of their bytes: what they hold is compared.
      const [again] = messages
      assert.deepStrictEqual(encoded(again!), encoded(message))
      if (message._tag !== "Block" && message._tag !== "Tx" && message._tag !== "Headers") {
        assert.deepStrictEqual(again, message)
      }
    },
    { arbitrary: { runs: 500, seed } }
  )

  it.prop(
    "of addresses is the same as addrv2, which only tests write",
    { addresses: Arbitrary.array(Generators.gossipedAddress, { maxLength: 50 }) },
    ({ addresses }) => {
      const { messages } = decodeStream(Result.getOrThrow(encodeAddrV2(Message.Addr({ addresses }), options)))
      assert.deepStrictEqual(messages, [Message.Addr({ addresses })])
    },
    { arbitrary: { runs: 100, seed } }
  )

  it.prop(
    "is the same however the stream is cut",
    { message: Generators.message, other: Generators.message },
    ({ message, other }) => {
      const bytes = Buffer.concat([encoded(message), encoded(other)])
      const whole = decodeStream(bytes)
      for (const chunkBytes of [1, 7, 100]) {
        const cut = decodeStream(bytes, chunkBytes)
        assert.strictEqual(cut.error, whole.error)
        assert.deepStrictEqual(
          cut.messages.map((message) => encoded(message!)),
          whole.messages.map((message) => encoded(message!))
        )
      }
    },
    { arbitrary: { runs: 60, seed } }
  )
})

/** A message changed here and there; its checksum is right, so that what is in it is looked at. */
const mutatedMessage = Arbitrary.flatMap(Generators.message, (message) => {
  const bytes = encoded(message)
  return Arbitrary.map(Generators.mutated(bytes.subarray(Frame.headerBytes)), (body) => ({
    command: bytes.toString("latin1", 4, 16).replaceAll("\0", ""),
    body
  }))
})

/** The same, of `addrv2`. */
const mutatedAddrV2 = Arbitrary.flatMap(Arbitrary.array(Generators.gossipedAddress, { maxLength: 20 }), (addresses) => {
  const bytes = Result.getOrThrow(encodeAddrV2(Message.Addr({ addresses }), options))
  return Arbitrary.map(Generators.mutated(bytes.subarray(Frame.headerBytes)), (body) => ({ command: "addrv2", body }))
})

/** Decoded with a rest after every `most` elements. */
const decodeInSlices = (frame: Frame.Frame, most: number) => {
  const slices = decodeSlices(frame, options, most)
  for (let rests = 0; ; rests++) {
    const slice = slices.next()
    if (slice.done === true) return { result: slice.value, rests }
  }
}

describe("a message that is decoded in slices", () => {
  const frameOf = ({ body, command }: { readonly command: string; readonly body: Uint8Array }): Frame.Frame => {
    const bytes = Buffer.from(body)
    return { command, bytes, start: 0, end: bytes.length }
  }

  /** Blocks and transactions are views of their bytes. */
  const told = (result: Result.Result<Message | undefined, unknown>) =>
    Result.map(result, (message) => (message === undefined ? undefined : [message._tag, encoded(message)]))

  it.prop(
    "is what it is when it is decoded at once, accepted or refused",
    { message: Generators.message, changed: mutatedMessage, addrV2: mutatedAddrV2 },
    ({ addrV2, changed, message }) => {
      const bytes = encoded(message)
      const whole = { command: commandOf(message), body: bytes.subarray(Frame.headerBytes) }
      for (const each of [whole, changed, addrV2]) {
        const expected = told(decode(frameOf(each), options))
        for (const most of [1, 2, 7]) assert.deepStrictEqual(told(decodeInSlices(frameOf(each), most).result), expected)
      }
    },
    { arbitrary: { runs: 1000, seed } }
  )

  const counted = (count: number, element: Uint8Array) => {
    const bytes = Buffer.alloc(5 + count * element.length, 0xfe)
    bytes.writeUInt32LE(count, 1)
    if (count <= 0xffff) bytes.fill(element, 5)
    return count <= 0xffff
      ? Buffer.concat([Buffer.of(0xfd, count & 0xff, count >> 8), bytes.subarray(5)])
      : Buffer.concat([bytes.subarray(0, 5), bytes.subarray(5).fill(element)])
  }
  const input = Buffer.alloc(41, 1).fill(0, 36, 37)
  const transaction = (inputs: number, outputs: number) =>
    Buffer.concat([
      Buffer.of(1, 0, 0, 0),
      inputs < 253 ? Buffer.concat([Buffer.of(inputs), Buffer.alloc(inputs * 41, input)]) : counted(inputs, input),
      outputs < 253 ? Buffer.alloc(1 + outputs * 9).fill(outputs, 0, 1) : counted(outputs, Buffer.alloc(9)),
      Buffer.alloc(4)
    ])
  const header = Buffer.concat([Buffer.of(4, 0, 0, 0), Buffer.alloc(136), Buffer.of(36), Buffer.alloc(36)])
  const block = (...transactions: ReadonlyArray<Buffer>) =>
    Buffer.concat([header, Buffer.of(transactions.length), ...transactions])

  it.each([
    ["inv", counted(50_000, Buffer.alloc(36).fill(1, 0, 1)), 6],
    ["getdata", counted(30_000, Buffer.alloc(68).fill(5, 0, 1)), 3],
    ["notfound", counted(8192, Buffer.alloc(36).fill(2, 0, 1)), 0],
    ["notfound", counted(8193, Buffer.alloc(36).fill(2, 0, 1)), 1],
    ["tx", transaction(0, 222_000), 27],
    ["tx", transaction(20_000, 100_000), 14],
    ["block", block(transaction(1, 100_000), transaction(20_000, 1)), 14],
    ["block", Buffer.concat([header, counted(37_000, transaction(0, 0))]), 4]
  ] as const)("%s is left for others to have a turn as often as its length demands", (command, body, rests) => {
    const sliced = decodeInSlices(frameOf({ command, body }), sliceElements)
    assert.deepStrictEqual(told(sliced.result), told(decode(frameOf({ command, body }), options)))
    assert.isTrue(Result.isSuccess(sliced.result))
    assert.strictEqual(sliced.rests, rests)
  })

  it("has no more elements than a slice where it is short enough to be decoded at once", () => {
    const body = transaction(0, Math.floor((wholeBodyBytes - 12) / 9))
    assert.strictEqual(decodeInSlices(frameOf({ command: "tx", body }), sliceElements).rests, 0)
  })
})

describe("a changed message", () => {
  it.prop(
    "that is still accepted is written as it was, without what is ignored in it",
    { frame: mutatedMessage },
    ({ frame }) => {
      const { error, messages } = decodeStream(Frame.encode(regtest.magic, frame))
      if (error !== undefined) return
      const [message] = messages
      const body = withoutIgnored(frame.command, frame.body)
      assert.strictEqual(
        encoded(message!).subarray(Frame.headerBytes).toString("hex"),
        Buffer.from(body).toString("hex")
      )
    },
    { arbitrary: { runs: 2000, seed } }
  )

  it.prop(
    "never throws, never loops, and is never held beyond the limit",
    { frame: mutatedMessage, addrV2: mutatedAddrV2, bytes: Generators.bytesUpTo(400), chunk: Generators.bytesOf(1) },
    ({ addrV2, bytes, chunk, frame }) => {
      for (const stream of [Frame.encode(regtest.magic, frame), Frame.encode(regtest.magic, addrV2), bytes]) {
        const { messages, most } = decodeStream(stream, 1 + chunk[0]!)
        assert.isAtMost(most, Math.min(stream.length, Frame.maxBodyBytes + Frame.headerBytes + 256))
        // What was accepted has all it says it has.
        for (const message of messages) {
          if (message?._tag === "Block")
            assert.strictEqual(message.block.transactionIds.length, message.block.transactionCount)
          if (message?._tag === "Tx") assert.isAtLeast(message.transaction.id.length, 64)
        }
      }
    },
    { arbitrary: { runs: 500, seed } }
  )
})
