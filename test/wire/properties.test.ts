/** What holds of all messages and of all bytes. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { regtest } from "../../src/chain/ChainParams.ts"
import * as Generators from "../../src/simulation/Generators.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { decode, encode, type Message } from "../../src/wire/Message.ts"

const options = {
  magic: regtest.magic,
  negotiatedVersion: Generators.negotiatedVersion,
  maxBodyBytes: Frame.maxBodyBytes
}

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
    { arbitrary: { runs: 500 } }
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
    { arbitrary: { runs: 60 } }
  )
})

describe("bytes of any kind", () => {
  it.prop(
    "that are accepted and hold nothing ignored are written as they were",
    { message: Generators.message, at: Generators.bytesOf(4) },
    ({ at, message }) => {
      const bytes = encoded(message)
      if (bytes.length === Frame.headerBytes) return
      const where = Frame.headerBytes + (Buffer.from(at).readUInt32LE(0) % (bytes.length - Frame.headerBytes))
      const body = Uint8Array.from(bytes.subarray(Frame.headerBytes))
      body[where - Frame.headerBytes]! ^= 1 << (at[0]! & 7)
      const command = bytes.subarray(4, 16).toString("latin1").replaceAll("\0", "")
      const { error, messages } = decodeStream(Frame.encode(regtest.magic, { command, body }))
      if (error !== undefined) return
      const [changed] = messages
      const again = encode(changed!, options)
      // Some changes are in what is ignored or dropped: then what is written is the message without it.
      assert.isTrue(Result.isSuccess(again))
      const second = decodeStream(Result.getOrThrow(again))
      assert.deepStrictEqual(encoded(second.messages[0]!), Buffer.from(Result.getOrThrow(again)))
    },
    { arbitrary: { runs: 400 } }
  )

  it.prop(
    "never throw, never loop, and are never held beyond the limit",
    { bytes: Generators.bytesUpTo(400), message: Generators.message, chunk: Generators.bytesOf(1) },
    ({ bytes, chunk, message }) => {
      const framed = Frame.encode(regtest.magic, { command: "addrv2", body: bytes })
      for (const stream of [bytes, framed, Buffer.concat([encoded(message), bytes])]) {
        const { most } = decodeStream(stream, 1 + chunk[0]!)
        assert.isAtMost(most, Frame.maxBodyBytes + Frame.headerBytes + 256)
      }
    },
    { arbitrary: { runs: 300 } }
  )
})
