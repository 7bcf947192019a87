import { createHash } from "node:crypto"
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

describe("two names of commands", () => {
  it("are two wherever they differ, and whichever came before", () => {
    const headerOf = (name: string) => bytesOf({ command: name, body: new Uint8Array(0) })
    const base = "abcdefghijkl"
    const others = Array.from({ length: 12 * 8 }, (_, n) => {
      const letters = Buffer.from(base)
      letters[n >> 3]! ^= 1 << (n & 7)
      return letters.toString("latin1")
    })
    for (const name of others.flatMap((other) => [base, other, base])) {
      const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
      decoder.push(headerOf(name))
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

  it("is dropped wherever it is, and the next one is decoded as if nothing had been before", () => {
    const long = bytesOf(...Array.from({ length: 6 }, (_, n) => frame(`a${n}`, 600)))
    const next = [frame("b", 700), frame("c", 3), frame("d", 600)]
    const bytes = bytesOf(...next)
    for (const size of [100, 700, 1448, long.length]) {
      for (const decodedBefore of [0, 1, 2, 5, 6]) {
        for (const chunk of [1, 500, 650, bytes.length]) {
          const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
          for (let at = 0; at < long.length; at += size) decoder.push(Uint8Array.from(long.subarray(at, at + size)))
          for (let n = 0; n < decodedBefore; n++) {
            assert.strictEqual(Result.getOrThrow(decoder.next())?.command, `a${n}`)
          }
          decoder.release()
          const decoded: Array<Frame.Unsealed> = []
          for (let at = 0; at < bytes.length; at += chunk) {
            decoder.push(Uint8Array.from(bytes.subarray(at, at + chunk)))
            for (let one = Result.getOrThrow(decoder.next()); one !== undefined;) {
              decoded.push({ command: one.command, body: Uint8Array.from(Frame.bodyOf(one)) })
              one = Result.getOrThrow(decoder.next())
            }
          }
          assert.deepStrictEqual(decoded, next, `${size} ${decodedBefore} ${chunk}`)
          assert.strictEqual(decoder.bufferedBytes(), 0)
        }
      }
    }
  })

  it("is the same when hundreds of chunks wait, and says how many bytes do", () => {
    const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
    const all = Array.from({ length: 300 }, (_, n) => frame(`n${n}`, 600))
    const bytes = bytesOf(...all)
    for (let at = 0; at < bytes.length; at += 700) decoder.push(Uint8Array.from(bytes.subarray(at, at + 700)))
    let left = bytes.length
    assert.strictEqual(decoder.bufferedBytes(), left)
    for (const { body, command } of all) {
      const next = Result.getOrThrow(decoder.next())
      assert.strictEqual(next?.command, command)
      assert.isTrue(Frame.bodyOf(next!).equals(body))
      left -= 624
      assert.strictEqual(decoder.bufferedBytes(), left)
    }
    assert.isUndefined(Result.getOrThrow(decoder.next()))
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

  it("reserves by what was received of a body, and not by what its header announces", () => {
    const header = bytesOf(frame("block", 0))
    header.writeUInt32LE(Frame.maxBodyBytes, 16)
    const before = process.memoryUsage().arrayBuffers
    const decoders = Array.from({ length: 1000 }, () => {
      const decoder = new Frame.FrameDecoder(regtest.magic, Frame.maxBodyBytes)
      decoder.push(header)
      assert.isUndefined(Result.getOrThrow(decoder.next()))
      for (const chunk of [100, 1, 100]) {
        decoder.push(new Uint8Array(chunk))
        assert.isUndefined(Result.getOrThrow(decoder.next()))
      }
      return decoder
    })
    // A page each, where the largest piece has sixteen.
    assert.isBelow(process.memoryUsage().arrayBuffers - before, 2 * 4096 * decoders.length)
    assert.isTrue(decoders.every((decoder) => decoder.bufferedBytes() === 201))
  })

  it("copies what comes in short chunks, and joins a body that came in several, and nothing else", () => {
    /** Bytes copied for a frame with so long a body that comes in chunks of these sizes, the last one with the rest. */
    const copiedOf = (length: number, ...sizes: ReadonlyArray<number>) => {
      const bytes = bytesOf(frame("tx", length))
      const { decoder, frames } = decodeIn(bytes, [...sizes, bytes.length])
      assert.deepStrictEqual(frames, [frame("tx", length)])
      return decoder.copiedBytes()
    }
    assert.strictEqual(copiedOf(1000), 0)
    assert.strictEqual(copiedOf(1000, 24), 0)
    assert.strictEqual(copiedOf(1000, 24 + 400), 1000)
    // From 512 bytes on a chunk is kept as it came.
    assert.strictEqual(copiedOf(1111, 24 + 600), 511 + 1111)
    assert.strictEqual(copiedOf(1112, 24 + 600), 1112)
    // A header in two pieces is joined, the second one gathered first; so is the rest of it with the body.
    assert.strictEqual(copiedOf(1000, 10), 24)
    assert.strictEqual(copiedOf(300, 10), 314 + 24)
    assert.strictEqual(copiedOf(0, 10), 14 + 24)
    // Of several in a row nothing, as long as each is whole.
    const { decoder } = decodeIn(bytesOf(frame("a", 600), frame("b", 600), frame("c", 600)), [624])
    assert.strictEqual(decoder.copiedBytes(), 0)
  })

  it("says how many bytes were announced by the headers it took, whether their bodies came or not", () => {
    const decoder = new Frame.FrameDecoder(regtest.magic, 1000)
    const announcedAfter = (bytes: Uint8Array) => {
      decoder.push(Uint8Array.from(bytes))
      const isFailure = Result.isFailure(decoder.next())
      return [decoder.announcedBytes(), isFailure]
    }
    const [ping, long] = [bytesOf(frame("ping", 8)), bytesOf(frame("tx", 1000))]
    assert.deepStrictEqual(announcedAfter(new Uint8Array(0)), [0, false])
    assert.deepStrictEqual(announcedAfter(ping.subarray(0, 23)), [0, false])
    assert.deepStrictEqual(announcedAfter(ping.subarray(23, 24)), [32, false])
    assert.deepStrictEqual(announcedAfter(ping.subarray(24)), [32, false])
    assert.deepStrictEqual(announcedAfter(long.subarray(0, 24)), [32 + 1024, false])
    decoder.release()
    assert.deepStrictEqual(announcedAfter(bytesOf(frame("", 0))), [32 + 1024 + 24, false])
    assert.deepStrictEqual(announcedAfter(bytesOf(frame("tx", 1001))), [32 + 1024 + 24, true])
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

describe("a header", () => {
  it("is written over whatever was there, and over nothing behind it", () => {
    for (const [command, digits] of [
      ["inv", "696e76000000000000000000"],
      ["twelve bytes", "7477656c7665206279746573"],
      ["", "000000000000000000000000"]
    ] as const) {
      const to = Buffer.alloc(32, 0xee)
      Frame.writeHeader(to, [1, 2, 3, 4], command, 0x0a0b_0c0d, 0xfff0_0001)
      assert.strictEqual(to.toString("hex"), `01020304${digits}0d0c0b0a0100f0ff${"ee".repeat(8)}`)
    }
  })

  it("states the length and the first four bytes of the double hash of what is behind it", () => {
    // SHA-256 of SHA-256 of nothing begins with 5df6e0e2, as every `verack` says.
    const empty = Buffer.from(Frame.encode([1, 2, 3, 4], { command: "verack", body: new Uint8Array(0) }))
    assert.strictEqual(empty.toString("hex"), "01020304" + "76657261636b000000000000" + "00000000" + "5df6e0e2")
    const body = Buffer.from("hello")
    const once = createHash("sha256").update(body).digest()
    const sum = createHash("sha256").update(once).digest("hex").slice(0, 8)
    const bytes = Buffer.from(Frame.encode([1, 2, 3, 4], { command: "x", body }))
    assert.strictEqual(bytes.toString("hex"), `01020304${"78".padEnd(24, "0")}05000000${sum}${body.toString("hex")}`)
  })
})
