import { assert, describe, it } from "@effect/vitest"
import { shapeOf, Tables } from "../../src/addresses/Tables.ts"

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

describe("a table", () => {
  it("has 82 % of a book for those heard of and 15.5 % for those met, in buckets of three or more if it can", () => {
    const shapes: ReadonlyArray<readonly [capacity: number, heard: readonly number[], met: readonly number[]]> = [
      [50_000, [1024, 64, 40], [256, 8, 30]],
      [5000, [1024, 64, 4], [256, 8, 3]],
      [1000, [256, 16, 3], [32, 1, 4]],
      [500, [128, 8, 3], [32, 1, 2]],
      [3, [128, 8, 1], [32, 1, 1]]
    ]
    for (const [capacity, heard, met] of shapes) {
      const [one, other] = [shapeOf("new", capacity), shapeOf("tried", capacity)]
      assert.deepStrictEqual([one.buckets, one.open, one.places], heard, `new of ${capacity}`)
      assert.deepStrictEqual([other.buckets, other.open, other.places], met, `tried of ${capacity}`)
    }
  })
})
