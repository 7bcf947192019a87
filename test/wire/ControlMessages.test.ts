/** What may be said in `reject` and of Bloom filters, in the bytes of BIP 61 and BIP 37, and what we refuse to say. */
import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { mainnet } from "../../src/chain/ChainParams.ts"
import { ourProtocolVersion } from "../../src/chain/ProtocolVersion.ts"
import * as Frame from "../../src/wire/Frame.ts"
import { decode, encodeBody, Message } from "../../src/wire/Message.ts"

const options = { negotiatedVersion: ourProtocolVersion }
const read = (command: string, body: Uint8Array) => {
  const decoder = new Frame.FrameDecoder(mainnet.magic, Frame.maxBodyBytes)
  decoder.push(Frame.encode(mainnet.magic, { command, body }))
  const frame = Result.getOrThrow(decoder.next())
  if (frame === undefined) throw new Error("the frame has no end")
  return decode(frame, options)
}
const isTaken = (command: string, body: Uint8Array) => Result.isSuccess(read(command, body))
const bytesOf = (message: Message): string =>
  Buffer.from(Result.getOrThrow(encodeBody(message, options))).toString("hex")
const isSaid = (message: Message) => Result.isSuccess(encodeBody(message, options))

describe("a reject", () => {
  // "tx", code 0x42 (nonstandard), "dust".
  const words = "02" + "7478" + "42" + "04" + "64757374"
  const plain = { message: "tx", code: 0x42, reason: "dust" }
  const id = new Uint8Array(32).fill(0xab)

  it("names a message, a code and a reason, and then perhaps 32 bytes of what is rejected", () => {
    assert.strictEqual(bytesOf(Message.Reject(plain)), words)
    assert.strictEqual(bytesOf(Message.Reject({ ...plain, data: id })), words + "ab".repeat(32))
    const withData = Result.getOrThrow(read("reject", Buffer.from(words + "ab".repeat(32), "hex")))
    assert.deepStrictEqual(withData, Message.Reject({ ...plain, data: id }))
    // Less than an id is no data.
    const cut = Result.getOrThrow(read("reject", Buffer.from(words + "ab".repeat(31), "hex")))
    assert.deepStrictEqual(cut, Message.Reject(plain))
  })

  it("has one of nine codes, whoever says it", () => {
    const known = [0x01, 0x10, 0x11, 0x12, 0x40, 0x41, 0x42, 0x43, 0x50]
    const codes = Array.from({ length: 256 }, (_, code) => code)
    const withCode = (code: number) => Buffer.from([0x02, 0x74, 0x78, code, 0x00])
    assert.deepStrictEqual(
      codes.filter((code) => isTaken("reject", withCode(code))),
      known
    )
    assert.deepStrictEqual(
      codes.filter((code) => isSaid(Message.Reject({ ...plain, code }))),
      known
    )
  })

  it("is not said with data of another length than an id has", () => {
    assert.isFalse(isSaid(Message.Reject({ ...plain, data: id.subarray(1) })))
    assert.isFalse(isSaid(Message.Reject({ ...plain, data: new Uint8Array(33) })))
  })
})

describe("a filter", () => {
  const load = (length: number) =>
    Message.FilterLoad({ filter: new Uint8Array(length).fill(0xcd), hashFunctions: 11, tweak: 0x0102_0304, flags: 1 })

  it("is followed by its three numbers", () => {
    assert.strictEqual(bytesOf(load(2)), "cdcd" + "0b000000" + "04030201" + "01")
    assert.deepStrictEqual(Result.getOrThrow(read("filterload", Buffer.from("cdcd0b0000000403020101", "hex"))), load(2))
  })

  it("is said up to the 36,000 bytes that are taken, and an element up to 520", () => {
    assert.deepStrictEqual(
      [36_000, 36_001].map((length) => isSaid(load(length))),
      [true, false]
    )
    const add = (length: number) => Message.FilterAdd({ data: new Uint8Array(length) })
    assert.deepStrictEqual(
      [520, 521].map((length) => isSaid(add(length))),
      [true, false]
    )
  })
})
