/** What others say, in a terminal: made harmless, measured, cut and wrapped. */
import { assert, describe, it } from "@effect/vitest"
import { fit, harmless, padEnd, padStart, width, wrap } from "../../src/cli/Text.ts"

describe("text of others", () => {
  const cases: ReadonlyArray<readonly [what: string, text: string, shown: string]> = [
    ["moves the cursor and clears the screen", "a\u001b[2Jb", "a?[2Jb"],
    ["uses the controls of eight bits", "a\u009b2Jb", "a?2Jb"],
    ["breaks a line in any of five ways", "a\r\n\u0085\u2028\u2029b", "a?????b"],
    ["turns the text round", "a\u202eb\u2067c\u200fd", "a?b?c?d"],
    ["hides letters between others", "a\u200b\u00ad\u2060\ufeff\u180e\ufe0fb", "a??????b"],
    ["looks blank and is not", "a\u3164\u115f\uffa0\u2800\u00a0\u3000b", "a??????b"],
    ["carries tags that nobody sees", "a\u{e0041}b", "a?b"],
    ["has half a letter, and one that is none", "a\ud800\u{10ffff}\ue000b", "a???b"],
    ["heaps marks upon a letter", `e${"\u0301".repeat(50)}x`, "e\u0301\u0301x"]
  ]
  for (const [what, text, shown] of cases) {
    it(`that ${what} does not`, () => assert.strictEqual(harmless(text), shown))
  }

  it("that is only unusual stays as it is", () => {
    for (const text of ["/Zebra:5.2.0/", "Übung – naïve “x”", "漢字かな한글", "🦓 zebra", "n\u0303", "العربية"]) {
      assert.strictEqual(harmless(text), text)
    }
  })
})

describe("the width of a text", () => {
  it("is in columns of a terminal", () => {
    assert.deepStrictEqual(
      ["", "abc", "é", "e\u0301", "漢字", "한", "🦓", "–", "█"].map(width),
      [0, 3, 1, 1, 4, 2, 2, 1, 1]
    )
  })

  it("is what it is padded to, on either side, and never cut by that", () => {
    assert.strictEqual(padEnd("漢", 4), "漢  ")
    assert.strictEqual(padStart("漢", 4), "  漢")
    assert.strictEqual(padEnd("long", 2), "long")
  })

  it("is at most what there is room for, also where a wide letter would stand on the edge", () => {
    assert.strictEqual(fit("abcdef", 6), "abcdef")
    assert.strictEqual(fit("abcdef", 4), "abc…")
    assert.strictEqual(fit("漢字漢", 4), "漢…")
    assert.strictEqual(fit("abc", 0), "")
  })

  it("is that of a line, when it is wrapped; a word that is longer stands by itself", () => {
    assert.deepStrictEqual(wrap("one two three", 7), ["one two", "three"])
    assert.deepStrictEqual(wrap("a very_long_word b", 6), ["a", "very_long_word", "b"])
    assert.deepStrictEqual(wrap("one", Infinity), ["one"])
  })
})
