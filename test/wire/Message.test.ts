import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { Reader } from "../../src/bytes/Reader.ts"
import { Writer } from "../../src/bytes/Writer.ts"
import { Block } from "../../src/chain/Block.ts"
import { mainnet, regtest, testnet } from "../../src/chain/ChainParams.ts"
import type { BlockHash, TxId, WtxId } from "../../src/chain/Hash.ts"
import * as PeerSocketAddress from "../../src/chain/PeerSocketAddress.ts"
import { ourProtocolVersion } from "../../src/chain/ProtocolVersion.ts"
import * as Frame from "../../src/wire/Frame.ts"
import {
  decode,
  decodeSlices,
  encode,
  encodeAddrV2,
  encodeInPieces,
  type InventoryItem,
  Message,
  wholeBodyBytes
} from "../../src/wire/Message.ts"
import { genesis, messages, transactions } from "../support/goldens.ts"

const magicOf = (name: string) =>
  name.endsWith("Testnet") ? testnet.magic : name.endsWith("Regtest") ? regtest.magic : mainnet.magic

/** The version the locators of the goldens state. */
const negotiatedVersion = 170_160

const read = (bytes: Uint8Array, magic: Frame.Magic, version = negotiatedVersion) => {
  const decoder = new Frame.FrameDecoder(magic, Frame.maxBodyBytes)
  decoder.push(Uint8Array.from(bytes))
  return Result.flatMap(decoder.next(), (frame) =>
    frame === undefined ? Result.succeed(undefined) : decode(frame, { negotiatedVersion: version })
  )
}

describe("a message", () => {
  for (const [name, bytes] of Object.entries(messages)) {
    it(`of another program is read and written again: ${name}`, () => {
      const magic = magicOf(name)
      const results = [negotiatedVersion, ourProtocolVersion, 170_150].map((version) => ({
        version,
        result: read(bytes, magic, version)
      }))
      // A locator states its version; the others are the same for all.
      const found = results.find(({ result }) => Result.isSuccess(result))
      if (found === undefined) return assert.fail(JSON.stringify(results[0]?.result))
      const message = Result.getOrThrow(found.result)
      assert.isDefined(message)
      const options = { magic, negotiatedVersion: found.version, maxBodyBytes: Frame.maxBodyBytes }
      const again =
        name.startsWith("addrv2") && message?._tag === "Addr"
          ? encodeAddrV2(message, options)
          : encode(message!, options)
      assert.strictEqual(Buffer.from(Result.getOrThrow(again)).toString("hex"), Buffer.from(bytes).toString("hex"))
    })
  }

  it("that is kept keeps nothing of what came with it", () => {
    /** Bytes that a value and what it is made of refer to, by what holds them. */
    const heldBy = (value: unknown, seen = new Set<unknown>()): ReadonlyArray<ArrayBufferLike> => {
      if (typeof value !== "object" || value === null || seen.has(value)) return []
      seen.add(value)
      return value instanceof Uint8Array ? [value.buffer] : Object.values(value).flatMap((part) => heldBy(part, seen))
    }
    let holding = 0
    for (const [name, bytes] of Object.entries(messages)) {
      const decoder = new Frame.FrameDecoder(magicOf(name), Frame.maxBodyBytes)
      const chunk = new Uint8Array(bytes.length + 100_000)
      chunk.set(bytes)
      decoder.push(chunk)
      const frame = Result.getOrThrow(decoder.next())
      assert(frame !== undefined)
      for (const version of [negotiatedVersion, ourProtocolVersion, 170_150]) {
        const message = Result.getOrUndefined(decode(frame, { negotiatedVersion: version }))
        const held = new Set(heldBy(message))
        for (const { byteLength } of held) assert.isAtMost(byteLength, bytes.length, name)
        holding += held.size
      }
    }
    assert.isAbove(holding, 3)
  })

  it("that is views of its body is views of nothing else, decoded at once or in slices", () => {
    const block = Buffer.from(genesis.mainnet.bytes)
    const bodies = {
      block,
      tx: Buffer.from(transactions.v1.bytes),
      headers: Buffer.concat([Buffer.of(1), block.subarray(0, 1487), Buffer.of(0)])
    }
    for (const [command, body] of Object.entries(bodies)) {
      const chunk = Buffer.concat([Frame.encode(mainnet.magic, { command, body }), Buffer.alloc(100_000)])
      const decoder = new Frame.FrameDecoder(mainnet.magic, Frame.maxBodyBytes)
      decoder.push(chunk)
      const frame = Result.getOrThrow(decoder.next())
      assert(frame !== undefined)
      const slices = decodeSlices(frame, { negotiatedVersion })
      const last = slices.next()
      for (const result of [decode(frame, { negotiatedVersion }), last.done === true ? last.value : undefined]) {
        const message = result === undefined ? undefined : Result.getOrThrow(result)
        const bytes =
          message?._tag === "Block"
            ? message.block.bytes
            : message?._tag === "Tx"
              ? message.transaction.bytes
              : message?._tag === "Headers"
                ? message.headers[0]?.bytes
                : undefined
        assert.strictEqual(bytes?.buffer.byteLength, body.length, command)
      }
    }
  })

  it("of its version takes every extreme of every field", () => {
    for (const { magic } of [mainnet, testnet]) {
      for (const version of [0, 170_190, 0xffff_ffff]) {
        const message = Message.Version({
          version,
          services: 1n,
          timestamp: 8_210_266_876_799n,
          addressReceiver: { address: PeerSocketAddress.fromStringUnsafe("[ff::1]:65535"), services: 1n },
          addressFrom: { address: PeerSocketAddress.fromStringUnsafe("0.0.0.0:0"), services: 0n },
          nonce: 0xffff_ffff_ffff_ffffn,
          userAgent: "é".repeat(128),
          startHeight: version === 0 ? -0x8000_0000 : 0x7fff_ffff,
          relay: false
        })
        const options = { magic, negotiatedVersion, maxBodyBytes: Frame.maxHandshakeBodyBytes }
        assert.deepStrictEqual(Result.getOrThrow(read(Result.getOrThrow(encode(message, options)), magic)), message)
      }
    }
  })
})

describe("an inventory", () => {
  /** 64 digits that no other has, and no byte of them like the next. */
  const digitsOf = (n: number) =>
    Array.from({ length: 32 }, (_, i) => (n + 7 * i) % 256)
      .map(hexOf)
      .join("")
  const hexOf = (byte: number) => byte.toString(16).padStart(2, "0")
  const wire = (digits: string) => Buffer.from(digits, "hex").toReversed()
  const options = { magic: mainnet.magic, negotiatedVersion, maxBodyBytes: Frame.maxBodyBytes }

  it("is written in order, item by item, however many there are", () => {
    for (const count of [0, 1, 2, 63, 64, 65, 129, 300]) {
      const items = Array.from({ length: count }, (_, n): InventoryItem => {
        const [id, digest] = [digitsOf(n), digitsOf(n + 100)]
        switch (n % 5) {
          case 0:
            return { _tag: "Tx", id: id as TxId }
          case 1:
            return { _tag: "Block", hash: id as BlockHash }
          case 2:
            return { _tag: "Wtx", id: (id + digest) as WtxId }
          case 3:
            return { _tag: "FilteredBlock", hash: id as BlockHash }
          default:
            return { _tag: "Error" }
        }
      })
      const expected = items.flatMap((item, n) => {
        const [id, digest] = [wire(digitsOf(n)), wire(digitsOf(n + 100))]
        const type = [1, 2, 5, 3, 0][n % 5]!
        return [
          Buffer.of(type, 0, 0, 0),
          item._tag === "Error" ? Buffer.alloc(32) : id,
          ...(type === 5 ? [digest] : [])
        ]
      })
      const length = count < 0xfd ? Buffer.of(count) : Buffer.of(0xfd, count & 0xff, count >> 8)
      const bytes = Buffer.from(Result.getOrThrow(encode(Message.Inv({ items }), options)))
      assert.strictEqual(
        bytes.subarray(Frame.headerBytes).toString("hex"),
        Buffer.concat([length, ...expected]).toString("hex")
      )
    }
  })

  it("takes no id of another length, though two of them may have as many digits as two that are right", () => {
    const [short, long] = [digitsOf(1).slice(2), `${digitsOf(2)}00`]
    for (const wrong of [
      [short, long],
      [long, short]
    ]) {
      const items = wrong.map((id) => ({ _tag: "Tx", id: id as TxId }) as const)
      assert.throws(() => encode(Message.Inv({ items }), options), /64 hexadecimal digits/)
    }
    assert.throws(() => encode(Message.Inv({ items: [{ _tag: "Wtx", id: digitsOf(1) as WtxId }] }), options), /128: /)
  })
})

describe("a long block", () => {
  const options = { magic: mainnet.magic, negotiatedVersion, maxBodyBytes: Frame.maxBodyBytes }
  const header = Result.getOrThrow(Block.decode(genesis.mainnet.bytes)).header.bytes
  const blockOf = (transactionCount: number) =>
    Buffer.concat([
      header,
      Buffer.of(0xfd, transactionCount & 0xff, transactionCount >> 8),
      ...Array.from({ length: transactionCount }, () => transactions.v1.bytes)
    ])

  it("is sent without a copy, as the bytes that it would be in one, each time", () => {
    for (const count of [300, 5000]) {
      const bytes = blockOf(count)
      const message = Message.Block({ block: Result.getOrThrow(Block.decode(bytes)) })
      const whole = Result.getOrThrow(encode(message, options))
      assert.strictEqual(Frame.headerBytes + bytes.length, whole.length)
      for (const { magic } of [mainnet, mainnet, testnet]) {
        const { first, rest } = Result.getOrThrow(encodeInPieces(message, { ...options, magic }))
        assert.strictEqual(rest === undefined, bytes.length <= wholeBodyBytes)
        const expected = Buffer.concat([Uint8Array.from(magic), whole.subarray(4)])
        assert.isTrue(expected.equals(Buffer.concat([first, rest ?? Buffer.alloc(0)])), `${count} of ${magic.join()}`)
      }
    }
  })

  it("is one of more than 65,536 bytes", () => {
    for (const [length, isLong] of [
      [65_536, false],
      [65_537, true]
    ] as const) {
      // One transaction with one output, of which the script is as long as it has to be.
      const script = length - header.length - 1 - 21
      const bytes = Buffer.concat([
        header,
        Buffer.from("01" + "01000000" + "00" + "01" + "0000000000000000" + "fd", "hex"),
        Buffer.of(script & 0xff, script >> 8),
        Buffer.alloc(script + 4)
      ])
      assert.lengthOf(bytes, length)
      const message = Message.Block({ block: Result.getOrThrow(Block.decode(bytes)) })
      const { first, rest } = Result.getOrThrow(encodeInPieces(message, options))
      assert.deepStrictEqual([first.length, rest?.length], isLong ? [24, length] : [24 + length, undefined])
    }
  })

  it("is not sent where it would be refused", () => {
    const message = Message.Block({ block: Result.getOrThrow(Block.decode(blockOf(5000))) })
    for (const [more, isSent] of [
      [-1, false],
      [0, true]
    ] as const) {
      const maxBodyBytes = message.block.bytes.length + more
      const pieces = encodeInPieces(message, { ...options, maxBodyBytes })
      assert.strictEqual(Result.isSuccess(pieces), isSent)
      if (Result.isFailure(pieces)) assert.strictEqual(pieces.failure._tag, "BodyTooLong")
    }
  })
})

describe("a height in a version", () => {
  it("is signed: a node without a chain says -1 (ZIP 204)", () => {
    const golden = Result.getOrThrow(read(messages.version, mainnet.magic))
    assert(golden?._tag === "Version")
    const options = { magic: mainnet.magic, negotiatedVersion, maxBodyBytes: Frame.maxHandshakeBodyBytes }
    const bytes = Buffer.from(Result.getOrThrow(encode({ ...golden, startHeight: -1 }, options)))
    // Before the flag at the end.
    assert.strictEqual(bytes.readUInt32LE(bytes.length - 5), 0xffff_ffff)
    const again = Result.getOrThrow(read(bytes, mainnet.magic))
    assert.strictEqual(again?._tag === "Version" ? again.startHeight : undefined, -1)
  })
})

describe("a string with a count (advisories W5 and W11)", () => {
  it("reserves nothing for bytes that are not there (wire W1, bytes_external_count_rejects_short_reader)", () => {
    const reader = new Reader(Buffer.from("fefbff1f00" + "00000000", "hex"))
    const before = process.memoryUsage().arrayBuffers
    reader.byteString(2_097_152, "bytes")
    assert.deepStrictEqual(reader.failure?._tag, "EndOfData")
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 1_000_000)
  })

  it("of text too, and says so before it looks at the letters (wire W3)", () => {
    const reader = new Reader(Buffer.from("fefbff1f00" + "ffffffff", "hex"))
    reader.text(2_097_152, "text")
    assert.strictEqual(reader.failure?._tag, "EndOfData")
  })

  it("is read as it was written, however long (wire W2, bytes_external_count_roundtrips_past_initial_allocation)", () => {
    const bytes = Uint8Array.from({ length: 2055 }, (_, i) => i % 256)
    const writer = new Writer(4096)
    writer.compactSize(bytes.length)
    writer.bytes(bytes)
    const reader = new Reader(writer.finish())
    assert.deepStrictEqual(Uint8Array.from(reader.byteString(4096, "bytes")), bytes)
    assert.isUndefined(reader.failure)
  })
})
