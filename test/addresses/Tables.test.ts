import { assert, describe, it } from "@effect/vitest"
import { Tables } from "../../src/addresses/Tables.ts"

describe("a bucket", () => {
  it("loses whoever is taken out, and nobody else", () => {
    const tables = new Tables<string>(new Uint8Array(32), 5000)
    for (const item of ["a", "b", "c"]) tables.add("new", 7, item)
    tables.add("tried", 7, "d")
    tables.remove("new", 7, "a")
    assert.deepStrictEqual([tables.inside("new", 7), tables.sizes], [["b", "c"], { new: 2, tried: 1 }])
    // Who is not there is nobody's loss.
    tables.remove("new", 7, "a")
    tables.remove("new", 8, "b")
    assert.deepStrictEqual([tables.inside("new", 7), tables.sizes], [["b", "c"], { new: 2, tried: 1 }])
    tables.remove("new", 7, "c")
    tables.remove("new", 7, "b")
    assert.deepStrictEqual([tables.inside("new", 7), tables.inside("tried", 7)], [[], ["d"]])
    assert.deepStrictEqual(tables.sizes, { new: 0, tried: 1 })
  })

  it("is full with as many as it has places for", () => {
    const tables = new Tables<number>(new Uint8Array(32), 5000)
    const { places } = tables.shapes.tried
    for (let item = 1; item < places; item++) tables.add("tried", 3, item)
    assert.isFalse(tables.isFull("tried", 3))
    tables.add("tried", 3, places)
    assert.isTrue(tables.isFull("tried", 3))
    tables.remove("tried", 3, 1)
    assert.isFalse(tables.isFull("tried", 3))
  })
})
