import { assert, describe, it } from "@effect/vitest"
import { maxMessageCompactSize, owned, Reader } from "../../src/bytes/Reader.ts"
import { Writer } from "../../src/bytes/Writer.ts"

const readerOf = (hex: string): Reader => new Reader(Buffer.from(hex, "hex"))

/** What a reading gives, or the tag of its failure. */
const outcome = <A>(hex: string, read: (reader: Reader) => A): A | string => {
  const reader = readerOf(hex)
  const value = read(reader)
  return reader.failure === undefined ? value : reader.failure._tag
}

const compactSize = (hex: string) => outcome(hex, (reader) => reader.compactSize(maxMessageCompactSize, "count"))
const compactSize64 = (hex: string) => outcome(hex, (reader) => reader.compactSize64("services"))

describe("a CompactSize", () => {
  // Zebra zebra-chain/src/serialization/compact_size.rs has the same examples.
  for (const [hex, limited, wide] of [
    ["00", 0, 0n],
    ["12", 18, 18n],
    ["fc", 252, 252n],
    ["fdfd00", 253, 253n],
    ["fdfdaa", 43_773, 43_773n],
    ["fdffff", 65_535, 65_535n],
    ["fe00000100", 65_536, 65_536n],
    ["fe00002000", 2_097_152, 2_097_152n],
    ["fe01002000", "Malformed", 2_097_153n],
    ["fefdaabb00", "Malformed", 12_299_005n],
    ["feffffffff", "Malformed", 4_294_967_295n],
    ["ff0000000001000000", "Malformed", 4_294_967_296n],
    ["fffdaabbcc22000000", "Malformed", 149_463_739_133n],
    ["ffffffffffffffffff", "Malformed", 0xffff_ffff_ffff_ffffn],
    ["fdfc00", "Malformed", "Malformed"],
    ["fd0000", "Malformed", "Malformed"],
    ["fe00010000", "Malformed", "Malformed"],
    ["feffff0000", "Malformed", "Malformed"],
    ["ffffffffff00000000", "Malformed", "Malformed"],
    ["", "EndOfData", "EndOfData"],
    ["fd", "EndOfData", "EndOfData"],
    ["fdff", "EndOfData", "EndOfData"],
    ["fe000020", "EndOfData", "EndOfData"],
    ["ff00000000010000", "EndOfData", "EndOfData"]
  ] as const) {
    it(`${hex === "" ? "of no bytes" : hex} is ${limited}, or ${wide} where 64 bits are allowed`, () => {
      assert.strictEqual(compactSize(hex), limited)
      assert.strictEqual(compactSize64(hex), wide)
    })
  }

  it("is written as it is read, at every change of its width", () => {
    for (const value of [0, 252, 253, 65_535, 65_536, 2_097_152, 4_294_967_295]) {
      const writer = new Writer()
      writer.compactSize(value)
      assert.strictEqual(new Reader(writer.finish()).compactSize(value, "count"), value)
    }
    for (const value of [0n, 252n, 253n, 0xffff_ffffn, 0x1_0000_0000n, 0xffff_ffff_ffff_ffffn]) {
      const writer = new Writer()
      writer.compactSize64(value)
      assert.strictEqual(new Reader(writer.finish()).compactSize64("services"), value)
    }
  })
})

describe("reading past the end", () => {
  const reads: Record<string, readonly [number, (reader: Reader) => unknown, unknown]> = {
    u8: [1, (reader) => reader.u8("x"), 0],
    u16be: [2, (reader) => reader.u16be("x"), 0],
    u32: [4, (reader) => reader.u32("x"), 0],
    u64: [8, (reader) => reader.u64("x"), 0n],
    i64: [8, (reader) => reader.i64("x"), 0n],
    view: [5, (reader) => reader.view(5, "x").length, 0],
    copy: [5, (reader) => reader.copy(5, "x").length, 0],
    take: [5, (reader) => reader.take(5, "x"), 0],
    displayHash: [32, (reader) => reader.displayHash("x"), ""]
  }
  for (const [name, [bytes, read, nothing]] of Object.entries(reads)) {
    it(`by ${name} gives nothing, moves nothing and says where`, () => {
      for (let length = 0; length < bytes; length++) {
        const reader = new Reader(new Uint8Array(length).fill(0xff))
        assert.deepStrictEqual(read(reader), nothing)
        assert.strictEqual(reader.position, 0)
        assert.deepStrictEqual(reader.failure, { _tag: "EndOfData", field: "x" })
      }
      const reader = new Reader(new Uint8Array(bytes).fill(0xff))
      read(reader)
      assert.isUndefined(reader.failure)
      assert.strictEqual(reader.remaining, 0)
    })
  }

  it("stops at the end that was set, though more bytes are there", () => {
    const reader = new Reader(Buffer.from("0102030405060708", "hex"), 2, 5)
    assert.strictEqual(reader.u16be("x"), 0x0304)
    assert.strictEqual(reader.u32("y"), 0)
    assert.deepStrictEqual(reader.failure, { _tag: "EndOfData", field: "y" })
  })

  it("keeps the first failure, and reads nothing after it", () => {
    const reader = readerOf("0102")
    reader.refuse("first")
    reader.refuse("second")
    assert.strictEqual(reader.u8("x"), 0)
    assert.strictEqual(reader.u32("y"), 0)
    assert.deepStrictEqual(reader.failure, { _tag: "Malformed", reason: "first" })
  })
})

describe("a text", () => {
  it("is refused when it is no UTF-8, and read when it is", () => {
    const text = (hex: string) => outcome(hex, (reader) => reader.text(256, "text"))
    assert.strictEqual(text("06c3a9f09f8d8b"), "é🍋")
    // Cut short, overlong, half of a surrogate pair, beyond Unicode.
    for (const bad of ["01c3", "02c080", "03eda080", "04f4908080", "01ff"]) assert.strictEqual(text(bad), "Malformed")
  })

  it("above its limit is refused before its bytes are looked for", () => {
    assert.deepStrictEqual(
      outcome("fd0101", (reader) => reader.text(256, "text")),
      "Malformed"
    )
    assert.deepStrictEqual(
      outcome("fd0001", (reader) => reader.text(256, "text")),
      "EndOfData"
    )
  })
})

describe("room for a list", () => {
  it("is never more than the bytes that are here could fill", () => {
    const reader = new Reader(new Uint8Array(1000))
    assert.strictEqual(reader.arrayOf(5_000_000, 36).length, 27)
    assert.strictEqual(reader.arrayOf(20, 36).length, 20)
    assert.strictEqual(new Reader(new Uint8Array(35)).arrayOf(5_000_000, 36).length, 0)
  })
})

describe("bytes to be kept", () => {
  it("are copied out of a larger piece of memory, and only then", () => {
    const piece = Buffer.allocUnsafeSlow(64).fill(7)
    assert.strictEqual(owned(piece), piece)
    const part = owned(piece.subarray(8, 16))
    assert.strictEqual(part.buffer.byteLength, 8)
    piece.fill(0)
    assert.deepStrictEqual([...part], [7, 7, 7, 7, 7, 7, 7, 7])
  })
})
