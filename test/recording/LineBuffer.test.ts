/** Lines that become bytes as they are made. */
import { assert, describe, it } from "@effect/vitest"
import { LineBuffer, piece, Pieces } from "../../src/recording/LineBuffer.ts"

describe("a line buffer", () => {
  it("writes whole numbers as JSON does", () => {
    const lines = new LineBuffer()
    const numbers = [0, 9, 10, 999_999_999, 1_000_000_000, 1_000_000_001, 2 ** 31, 2 ** 32, 1e15, 2 ** 53 - 1]
    for (const number of numbers) {
      lines.putWhole(number)
      lines.endLine()
    }
    assert.strictEqual(lines.take(0).toString(), numbers.map((number) => `${JSON.stringify(number)}\n`).join(""))
  })

  it("takes what is constant as bytes, whatever its length, between what is not", () => {
    const lines = new LineBuffer()
    const long = "y".repeat(5000)
    const numbered = new Pieces("Count ")
    lines.putPiece(numbered.of("one"))
    lines.put(" of ")
    lines.putPiece(piece(long))
    lines.putWhole(7)
    lines.endLine()
    lines.putPiece(numbered.of("two"))
    lines.putPiece(numbered.of("one"))
    lines.endLine()
    assert.strictEqual(lines.take(0).toString(), `Count one of ${long}7\nCount twoCount one\n`)
  })

  it("grows, forgets a line that is not ended, and is empty after it was taken", () => {
    const lines = new LineBuffer()
    const long = "x".repeat(10_000)
    lines.put(long)
    assert.strictEqual(lines.endLine(), 10_001)
    lines.put("half")
    assert.strictEqual(lines.length, 10_001)
    lines.dropLine()
    lines.put("whole")
    lines.endLine()
    assert.strictEqual(lines.take(100).toString(), `${long}\nwhole\n`)
    assert.strictEqual(lines.length, 0)
    lines.put("again")
    lines.endLine()
    assert.strictEqual(lines.take(100).toString(), "again\n")
  })
})
