/** Source is changed by meaning: in the one place that is meant, or not at all. */
import { assert, describe, it } from "@effect/vitest"
import { applied, type Edit, makeSource, placeFor } from "./sourceEdits.ts"

type EditOfA = Omit<Edit, "file">

const sourcesOf = (texts: Record<string, string>) =>
  new Map(Object.entries(texts).map(([file, text]) => [file, makeSource(text)]))

const ofA = (edit: EditOfA): Edit => ({ file: "a.ts", ...edit })

/** What edits make of the text of `a.ts`. */
const edited = (text: string, ...edits: ReadonlyArray<EditOfA>): string | undefined =>
  applied(sourcesOf({ "a.ts": text }), edits.map(ofA)).get("a.ts")

/** What edits of `a.ts` are refused with. */
const refusal = (texts: Record<string, string>, ...edits: ReadonlyArray<EditOfA>): string => {
  try {
    applied(sourcesOf(texts), edits.map(ofA))
    return "nothing"
  } catch (error) {
    return error instanceof Error ? error.message : "no error"
  }
}

describe("an edit", () => {
  it.each([
    ["on one line", "if (isFull(a, b)) go()", "if (false) go()"],
    ["on several lines", "if (\n  isFull(\n    a,\n    b,\n  )\n) go()", "if (\n  false\n) go()"],
    [
      "among comments",
      "/* Größe ─▶ 𝟙 */ x(isFull(/* one */ a, // two\n b)) // three",
      "/* Größe ─▶ 𝟙 */ x(false) // three"
    ],
    ["in parentheses", "x(((isFull)((a), b)) && c)", "x((false) && c)"],
    ["with types", "x((isFull as F)<N>(a!, b satisfies B))", "x(false)"],
    [
      "within more",
      "const f = function* () { yield* x[`${isFull(a, b)}`]?.y }",
      "const f = function* () { yield* x[`${false}`]?.y }"
    ]
  ])("finds an expression %s, and replaces nothing else", (_how, text, expected) => {
    assert.strictEqual(edited(text, { find: "isFull(a, b)", replace: "false" }), expected)
  })

  it.each([
    ["isFull(a)", "x(isFull(a, b), isFull(b), isFull?.(a), isFull(...a), o.isFull(a))"],
    ["yield* x", "function* f() { yield x; return x }"],
    ["a.b", "x(a?.b, a[b], a.#b, { a: b })"],
    ["const x = 1", "let x = 1; const y = 1"],
    ['f("x")', "f(`x`); f(x); f('y')"]
  ])("does not take %s for what is almost the same", (find, text) => {
    assert.match(refusal({ "a.ts": text }, { find, replace: "z" }), /does not have/)
  })

  it("takes what is written in another way for the same", () => {
    const text = "x('a', 0x10, { 'b': 1 }, /c/g)"
    assert.strictEqual(edited(text, { find: 'x("a", 16, { "b": 1 }, /c/g)', replace: "0" }), "0")
    assert.match(refusal({ "a.ts": text }, { find: 'x("a", 16, { "b": 1 }, /c/)', replace: "0" }), /does not have/)
  })

  it("finds statements that follow each other, with or without braces", () => {
    const find = "if (isFull) return; this.#go()"
    const text = "class A {\n  #go() { if (isFull) { return }\n    this.#go() // On.\n  }\n}"
    assert.strictEqual(edited(text, { find, replace: "this.#go()" }), "class A {\n  #go() { this.#go() // On.\n  }\n}")
    assert.match(
      refusal({ "a.ts": "function f() { if (isFull) return; x(); go() }" }, { find, replace: "" }),
      /not have/
    )
  })

  it("finds a property of an object", () => {
    assert.strictEqual(edited("f({ a: 1, b: 2 }, a)", { find: "a: 1", replace: "a: 3" }), "f({ a: 3, b: 2 }, a)")
  })

  it("keeps the text of what the holes stand for", () => {
    assert.strictEqual(
      edited("let f, g\nf(a /* first */, b(\n1), c).pipe(x)", {
        find: "f($FIRST, $$$OTHERS)",
        replace: "g($$$OTHERS, $FIRST)"
      }),
      "let f, g\ng(b(\n1), c, a).pipe(x)"
    )
    assert.strictEqual(
      edited("let a; if (a) { b(); // B.\nc() } else d()", {
        find: "if (a) { $$$THEN } else { $$$ELSE }",
        replace: "if (!a) { $$$ELSE } else { $$$THEN }"
      }),
      "let a; if (!a) { d() } else { b(); // B.\nc() }"
    )
    // A hole that is named twice stands for the same.
    assert.strictEqual(edited("x(a - b, a - a)", { find: "$A - $A", replace: "0" }), "x(a - b, 0)")
  })

  it("removes statements without giving an `if` another body", () => {
    assert.strictEqual(edited("if (a) go()\nb()", { find: "go()", replace: "" }), "if (a) {;}\nb()")
    assert.strictEqual(
      edited("const a = 1\ngo()\n;[a].map(b)", { find: "go()", replace: "" }),
      "const a = 1\n{;}[a].map(b)"
    )
  })

  it("finds code in the definition it is said to be in", () => {
    const before = "const stay = 1\n"
    const text = "const f = () => go()\nclass A { m() { x(go()) } static readonly #n = go() }"
    for (const [within, expected] of [
      ["f", "const f = () => stay\nclass A { m() { x(go()) } static readonly #n = go() }"],
      ["m", "const f = () => go()\nclass A { m() { x(stay) } static readonly #n = go() }"],
      ["#n", "const f = () => go()\nclass A { m() { x(go()) } static readonly #n = stay }"]
    ] as const) {
      assert.strictEqual(edited(before + text, { within, find: "go()", replace: "stay" }), before + expected)
    }
  })

  it("may use what is declared where it is, also by another edit", () => {
    const text = `import { a as b } from "c"
      function f(g) { const h = (i) => 0; if (g) { let o } try { x() } catch (e) { y(z) } }
      let { j = 1, k: [l], ...m } = n
      class A { p(q) { let r } }
      function w() {}`
    const edits = [
      { find: "const h = $H", replace: "const h = $H; const s = (t) => t" },
      { find: "y(z)", replace: "f(b, g, h, e, j, l, m, A, w, s, (u) => u.v, console)" }
    ]
    assert.include(edited(text, ...edits), "f(b, g, h, e, j, l, m, A, w, s, (u) => u.v, console)")
    for (const unknown of ["a", "c", "i", "k", "n", "o", "p", "q", "r", "z"]) {
      const refused = refusal({ "a.ts": text }, { find: "y(z)", replace: `f(${unknown})` })
      assert.strictEqual(refused, `a.ts: there is no ${unknown} for: f(${unknown})`)
    }
  })

  it("finds code of the file as it was, whatever else is edited", () => {
    const text = "let a = 0\na = 1\na = 2"
    const edits = [
      { find: "a = 2", replace: "a = 1" },
      { find: "a = 1", replace: "a = 2" }
    ]
    assert.strictEqual(edited(text, ...edits), "let a = 0\na = 2\na = 1")
    assert.strictEqual(edited(text, ...edits.toReversed()), "let a = 0\na = 2\na = 1")
  })

  it("has a place that can be told", () => {
    const sources = sourcesOf({ "a.ts": "// A.\nconst f = () => {\n  function g() { go() }\n}" })
    const place = placeFor(sources, ofA({ find: "go()", replace: "" }))
    assert.deepStrictEqual(place, { file: "a.ts", line: 3, within: "g" })
  })
})

describe("an edit is refused", () => {
  it("when its code is not in the file, with where it is", () => {
    const edit = { find: "go(1)", replace: "" }
    assert.strictEqual(
      refusal({ "a.ts": "go(2)", "b.ts": "\nconst f = () =>\n  go(\n    1\n  )", "c/d.ts": "go(1)" }, edit),
      "a.ts does not have the statements: go(1)\n  which is in\n  b.ts:3 in f\n  c/d.ts:1"
    )
    assert.strictEqual(
      refusal({ "b.ts": "go(1)" }, edit),
      "a.ts does not have the statements: go(1)\n  which is in\n  b.ts:1"
    )
    assert.strictEqual(
      refusal({ "a.ts": "", "b.ts": "" }, edit),
      "a.ts does not have the statements: go(1)\n  nor does any other file"
    )
    assert.strictEqual(
      refusal({ "a.ts": "const f = () => 0\nconst g = () => go(1)" }, { ...edit, within: "f" }),
      "f of a.ts does not have the statements: go(1)\n  which is in\n  a.ts:2 in g"
    )
    assert.strictEqual(
      refusal({ "a.ts": "const g = () => go(1)", "b.ts": "const f = { h: go(1) }" }, { ...edit, within: "f" }),
      "f of a.ts does not have the statements: go(1)\n  which is in\n  b.ts:1 in h"
    )
  })

  it("when its code is there more than once, with the places", () => {
    assert.strictEqual(
      refusal({ "a.ts": "go(1)\nfunction f() { go(1) }" }, { find: "go(1)", replace: "" }),
      "a.ts has more than once the statements: go(1)\n  a.ts:1\n  a.ts:2 in f"
    )
  })

  it.each([
    ["is no code", "const a = 1", [{ find: "a +", replace: "" }], /not both expressions, statements or properties/],
    [
      "changes a part of what another does",
      "f(g(a))",
      [
        { find: "g(a)", replace: "1" },
        { find: "f($A)", replace: "2" }
      ],
      /another edit/
    ],
    ["has a hole that is not filled", "f(a)", [{ find: "f($A)", replace: "f($B)" }], /there is no \$B in: f\(\$A\)/],
    ["leaves what does not parse", "go()", [{ find: "go()", replace: "return go()" }], /does not parse/],
    [
      "would be torn apart",
      "const x = 1 * y",
      [{ find: "y", within: "x", replace: "y + 1" }],
      /means something else there/
    ],
    [
      "uses what the file does not know",
      "f(1)",
      [{ find: "f(1)", replace: "Duration.hours(1)" }],
      /there is no Duration for/
    ],
    ["changes nothing", "let f; f(  1)", [{ find: "f(1)", replace: "f(1,)" }], /nothing is changed/]
  ] as const)("when it %s", (_why, text, edits, expected) => {
    assert.match(refusal({ "a.ts": text }, ...edits), expected)
  })
})
