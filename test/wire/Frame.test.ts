import { assert, describe, it } from "@effect/vitest"
import { Result } from "effect"
import { regtest } from "../../src/chain/ChainParams.ts"
import * as Frame from "../../src/wire/Frame.ts"

const frame = (command: string, length: number): Frame.Unsealed => ({
  command,
  body: Uint8Array.from({ length }, (_, i) => (i * 7) & 0xff)
})

const bytesOf = (...frames: ReadonlyArray<Frame.Unsealed>): Buffer =>
  Buffer.concat(frames.map((frame) => Frame.encode(regtest.magic, frame)))

/** Every frame of a stream that comes in pieces of these sizes, over and over. */
const decodeIn = (bytes: Uint8Array, sizes: ReadonlyArray<number>) => {
  const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
  const frames: Array<Frame.Unsealed> = []
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const size = sizes[n % sizes.length] ?? 1
    const hasNews = decoder.push(Uint8Array.from(bytes.subarray(at, at + size)))
    const before = frames.length
    at += size
    for (let next = Result.getOrThrow(decoder.next()); next !== undefined; next = Result.getOrThrow(decoder.next())) {
      frames.push({ command: next.command, body: Uint8Array.from(Frame.bodyOf(next)) })
    }
    if (!hasNews && frames.length > before) assert.fail("a chunk that brings a frame says so")
  }
  return { frames, decoder }
}

describe("the name of a command", () => {
  it("is its bytes up to the zeros behind it, whatever they are, and however often it comes", () => {
    const names = Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte))
    const all = [
      "",
      ...names.slice(1),
      ...names.map((one) => `\0\0\0${one}x`),
      "twelve bytes",
      "inv",
      "inw",
      "getblocktxn"
    ]
    for (const name of [...all, ...all.toReversed()]) {
      const bytes = Buffer.from(Frame.encode(regtest.magic, { command: "x", body: new Uint8Array(0) }))
      bytes.fill(0, 4, 16)
      bytes.write(name, 4, 12, "latin1")
      const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
      decoder.push(bytes)
      assert.strictEqual(Result.getOrThrow(decoder.next())?.command, name)
    }
  })
})

describe("a stream of frames", () => {
  const frames = [frame("verack", 0), frame("ping", 8), frame("tx", 5000), frame("block", 200_000), frame("a", 1)]

  it("is the same wherever it is cut", () => {
    const bytes = bytesOf(...frames)
    for (const sizes of [[1], [2, 3], [23, 24, 25], [1448], [65_536], [1, 65_536], [1, 1, 100], [bytes.length]]) {
      const result = decodeIn(bytes, sizes)
      assert.deepStrictEqual(result.frames, frames, String(sizes))
      assert.strictEqual(result.decoder.bufferedBytes(), 0)
      assert.isTrue(Result.isSuccess(result.decoder.end()))
    }
  })

  it("is the same with empty chunks anywhere in it", () => {
    const bytes = bytesOf(...frames.slice(0, 2), frame("a", 40))
    const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
    const names: Array<string> = []
    for (const byte of bytes) {
      decoder.push(new Uint8Array(0))
      decoder.push(Uint8Array.of(byte))
      decoder.push(new Uint8Array(0))
      const next = Result.getOrThrow(decoder.next())
      if (next !== undefined) names.push(`${next.command} ${Frame.bodyOf(next).length}`)
    }
    assert.deepStrictEqual(names, ["verack 0", "ping 8", "a 40"])
    assert.strictEqual(decoder.bufferedBytes(), 0)
  })

  it("is the same when nobody asks before all of it is there, and after a stream that was dropped", () => {
    const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
    const shorter = frames.slice(0, 3)
    const bytes = bytesOf(...shorter)
    const pushEach = (upTo: number) => {
      for (let at = 0; at < upTo; at++) {
        decoder.push(Uint8Array.of(bytes[at]!))
        assert.strictEqual(decoder.bufferedBytes(), at + 1)
      }
    }
    for (const at of [1, 3, 30, 4000]) {
      pushEach(at)
      decoder.release()
      assert.strictEqual(decoder.bufferedBytes(), 0)
      assert.isUndefined(Result.getOrThrow(decoder.next()))
    }
    pushEach(bytes.length)
    for (const { command, body } of shorter) {
      const next = Result.getOrThrow(decoder.next())
      assert.deepStrictEqual(next && { command: next.command, body: Uint8Array.from(Frame.bodyOf(next)) }, {
        command,
        body
      })
    }
    assert.isUndefined(Result.getOrThrow(decoder.next()))
    assert.strictEqual(decoder.bufferedBytes(), 0)
  })

  it("has something to decode at the magic, the header and the end of a message, and after an error always", () => {
    const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
    const bytes = bytesOf(frame("ping", 8))
    const news: Array<number> = []
    for (const [at, byte] of bytes.entries()) {
      if (!decoder.push(Uint8Array.of(byte))) assert.isFalse(decoder.hasNext())
      else if (decoder.hasNext()) {
        news.push(at + 1)
        decoder.next()
      }
    }
    assert.deepStrictEqual(news, [4, 24, 32])
    decoder.push(new Uint8Array(0))
    assert.isFalse(decoder.hasNext())
    for (const length of [4, 0, 1]) {
      assert.isTrue(decoder.push(new Uint8Array(length)))
      assert.isTrue(decoder.hasNext())
      assert.isTrue(Result.isFailure(decoder.next()))
    }
    assert.strictEqual(decoder.bufferedBytes(), 0)
  })

  it("is the same whenever somebody asks, with single bytes among other chunks", () => {
    const some = [...frames.slice(0, 3), frame("addr", 12_000)]
    const bytes = bytesOf(...some)
    for (let asks = 1; asks <= 9; asks++) {
      for (const run of [1, 2, 3, 4, 7, 20]) {
        const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
        const decoded: Array<Frame.Unsealed> = []
        // So many single bytes, then as many bytes at once, and so on; every so many chunks somebody asks.
        for (let at = 0, n = 0; at < bytes.length; n++) {
          const size = n % (run + 1) === run ? run + (n % 5) : 1
          decoder.push(Uint8Array.from(bytes.subarray(at, at + size)))
          at = Math.min(bytes.length, at + size)
          if (n % 97 === 0) assert.isAtMost(decoder.bufferedBytes(), at)
          if (n % asks !== 0 && at < bytes.length) continue
          for (let next = Result.getOrThrow(decoder.next()); next !== undefined;) {
            decoded.push({ command: next.command, body: Uint8Array.from(Frame.bodyOf(next)) })
            next = Result.getOrThrow(decoder.next())
          }
        }
        assert.deepStrictEqual(decoded, some, `${asks} ${run}`)
        assert.strictEqual(decoder.bufferedBytes(), 0)
      }
    }
  })

  it("copies a body once at most, and twice where it comes in crumbs", () => {
    const bytes = bytesOf(frame("block", 1_000_000))
    for (const size of [1, 100, 1448, 65_536]) {
      const { decoder } = decodeIn(bytes, [size])
      // Crumbs are gathered first, or each would be kept with all that an object needs.
      assert.isAtMost(decoder.copiedBytes(), (size < 4096 ? 2 * bytes.length : bytes.length) + 64, String(size))
    }
    assert.strictEqual(decodeIn(bytes, [bytes.length]).decoder.copiedBytes(), 0)
  })

  it("is refused for a wrong magic as soon as its first four bytes came, however they are cut", () => {
    const header = bytesOf(frame("x", 0))
    header[3]! ^= 1
    header.writeUInt32LE(0xffff_ffff, 16)
    const wrong = Result.fail(new Frame.WrongMagic({ magic: "aae83f5e" }))
    for (const size of [1, 2, 3]) {
      const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
      for (let at = 0; at < 3; at += size) {
        assert.isUndefined(Result.getOrThrow(decoder.next()))
        decoder.push(Uint8Array.from(header.subarray(at, Math.min(at + size, 3))))
      }
      assert.isUndefined(Result.getOrThrow(decoder.next()))
      decoder.push(Uint8Array.from(header.subarray(3, 4)))
      assert.deepStrictEqual(decoder.next(), wrong)
    }
    const whole = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
    whole.push(header)
    assert.deepStrictEqual(whole.next(), wrong)
  })

  it("is refused for a length above the limit, with nothing of the body read", () => {
    for (const [limit, length, tag] of [
      [Frame.maxHandshakeBodyBytes, 1024, undefined],
      [Frame.maxHandshakeBodyBytes, 1025, "BodyTooLong"],
      [Frame.maxBodyBytes, 2 * 1024 * 1024, undefined],
      [Frame.maxBodyBytes, 2 * 1024 * 1024 + 1, "BodyTooLong"],
      [Frame.maxBodyBytes, 0xffff_ffff, "BodyTooLong"]
    ] as const) {
      const header = bytesOf(frame("x", 0))
      header.writeUInt32LE(length, 16)
      const decoder = new Frame.FrameDecoder(regtest.magic, limit)
      decoder.push(header)
      const result = decoder.next()
      assert.strictEqual(Result.isFailure(result) ? result.failure._tag : undefined, tag)
    }
  })

  it("takes a longer body as soon as it may, and not before", () => {
    const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxHandshakeBodyBytes)
    decoder.push(bytesOf(frame("verack", 0), frame("tx", 5000)))
    assert.strictEqual(Result.getOrThrow(decoder.next())?.command, "verack")
    decoder.setMaxBodyBytes(Frame.maxBodyBytes)
    const large = Result.getOrThrow(decoder.next())
    assert.strictEqual(large && Frame.bodyOf(large).length, 5000)
  })

  it("that ends inside a message is cut off, and between two it is over", () => {
    const bytes = bytesOf(frame("ping", 8))
    for (const at of [1, 23, 24, 31]) {
      const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
      decoder.push(bytes.subarray(0, at))
      assert.isUndefined(Result.getOrThrow(decoder.next()))
      const end = decoder.end()
      assert.deepStrictEqual(Result.isFailure(end) ? [end.failure._tag, end.failure.bytesLeft] : end, ["Truncated", at])
    }
  })

  it("says the same error for ever, and holds nothing after it was released", () => {
    const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
    const bytes = bytesOf(frame("ping", 8))
    bytes[20]! ^= 1
    decoder.push(bytes)
    for (let n = 0; n < 2; n++) {
      const result = decoder.next()
      assert.strictEqual(Result.isFailure(result) ? result.failure._tag : "", "BadChecksum")
      decoder.push(bytesOf(frame("ping", 8)))
      assert.strictEqual(decoder.bufferedBytes(), 0)
      decoder.release()
    }
    const other = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
    other.push(bytes.subarray(0, 30))
    assert.isAbove(other.bufferedBytes(), 0)
    other.release()
    assert.strictEqual(other.bufferedBytes(), 0)
  })
})
