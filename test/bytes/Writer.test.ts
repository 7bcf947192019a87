import { assert, describe, it } from "@effect/vitest"
import { Reader } from "../../src/bytes/Reader.ts"
import { Writer } from "../../src/bytes/Writer.ts"

const digits = "00112233445566778899aabbccddeeff0123456789abcdeffedcba9876543210"

describe("a writer", () => {
  it("writes what a reader reads, also beyond the room it began with", () => {
    for (const capacity of [0, 1, 7, 256]) {
      const writer = new Writer(capacity)
      writer.u8(0xfe)
      writer.u16be(0x1234)
      writer.u32(0xdead_beef)
      writer.u64(0xffff_ffff_ffff_fffen)
      writer.i64(-2n)
      writer.bytes(Uint8Array.of(1, 2, 3))
      writer.zeros(2)
      writer.displayHash(digits)
      writer.text("é", 2, "text")
      const bytes = writer.finish()
      assert.strictEqual(writer.position, bytes.length)
      const reader = new Reader(bytes)
      assert.strictEqual(reader.u8("x"), 0xfe)
      assert.strictEqual(reader.u16be("x"), 0x1234)
      assert.strictEqual(reader.u32("x"), 0xdead_beef)
      assert.strictEqual(reader.u64("x"), 0xffff_ffff_ffff_fffen)
      assert.strictEqual(reader.i64("x"), -2n)
      assert.strictEqual(reader.view(5, "x").toString("hex"), "0102030000")
      assert.strictEqual(reader.displayHash("x"), digits)
      assert.strictEqual(reader.text(2, "x"), "é")
      assert.strictEqual(reader.remaining, 0)
      assert.isUndefined(reader.failure)
    }
  })

  it("remembers the first reason for which a reader would refuse it", () => {
    const writer = new Writer()
    writer.count(3, 2, "things")
    writer.text("ééé", 5, "text")
    assert.deepStrictEqual(writer.failure, { _tag: "Malformed", reason: "things above its limit" })
  })

  it("refuses a number that its field cannot hold, and none that it can", () => {
    const whole: ReadonlyArray<readonly [(writer: Writer, value: number) => void, number, number]> = [
      [(writer, value) => writer.u8(value), 0, 0xff],
      [(writer, value) => writer.u16be(value), 0, 0xffff],
      [(writer, value) => writer.u32(value), 0, 0xffff_ffff],
      [(writer, value) => writer.i32(value), -0x8000_0000, 0x7fff_ffff],
      [(writer, value) => writer.compactSize(value), 0, 0xffff_ffff]
    ]
    const failureOf = (write: (writer: Writer) => void) => {
      const writer = new Writer()
      write(writer)
      return writer.failure
    }
    for (const [write, least, most] of whole) {
      for (const value of [least, most]) assert.isUndefined(failureOf((writer) => write(writer, value)))
      for (const value of [least - 1, most + 1, least + 0.5, Number.NaN, Infinity]) {
        const failure = failureOf((writer) => write(writer, value))
        assert.deepStrictEqual(failure, { _tag: "Malformed", reason: `${value} does not fit its field` })
      }
    }
    const long: ReadonlyArray<readonly [(writer: Writer, value: bigint) => void, bigint, bigint]> = [
      [(writer, value) => writer.u64(value), 0n, 2n ** 64n - 1n],
      [(writer, value) => writer.i64(value), -(2n ** 63n), 2n ** 63n - 1n],
      [(writer, value) => writer.compactSize64(value), 0n, 2n ** 64n - 1n]
    ]
    for (const [write, least, most] of long) {
      for (const value of [least, most]) assert.isUndefined(failureOf((writer) => write(writer, value)))
      for (const value of [least - 1n, most + 1n]) {
        const failure = failureOf((writer) => write(writer, value))
        assert.deepStrictEqual(failure, { _tag: "Malformed", reason: `${value} does not fit its field` })
      }
    }
  })

  it("takes no hash without its 64 digits: that would be our bug", () => {
    for (const wrong of ["", digits.slice(1), `${digits.slice(0, 63)}g`]) {
      assert.throws(() => new Writer().displayHash(wrong), /64 hexadecimal digits/)
    }
  })
})
