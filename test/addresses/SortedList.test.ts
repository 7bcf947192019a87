import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { SortedList } from "../../src/addresses/SortedList.ts"
import { int } from "../support/addressChanges.ts"

describe("a sorted list", () => {
  it.prop(
    "is what sorting would make of it, through any number of changes",
    { steps: Arbitrary.array(int(0, 1999), { minLength: 1000, maxLength: 3000 }) },
    ({ steps }) => {
      const list = new SortedList<number>((a, b) => a - b)
      const model = new Set<number>()
      for (const item of steps) {
        // What is there goes: never two of a kind.
        assert.strictEqual(list.remove(item), model.delete(item))
        if ((item * 7 + model.size) % 3 === 0) continue
        list.add(item)
        model.add(item)
      }
      const sorted = [...model].toSorted((a, b) => a - b)
      assert.deepStrictEqual([...list], sorted)
      assert.deepStrictEqual([list.size, list.first, list.last], [sorted.length, sorted[0], sorted.at(-1)])
      for (const index of [-1, 0, 1, 63, 64, 127, 128, 129, 500, sorted.length - 1, sorted.length]) {
        assert.strictEqual(list.at(index), index < 0 ? undefined : sorted[index])
      }
      for (const bound of [0, 1, 500, 1000, 1999, 2000]) {
        assert.strictEqual(
          list.countWhile((item) => item < bound),
          sorted.filter((item) => item < bound).length
        )
      }
      for (const item of sorted) assert.isTrue(list.remove(item))
      assert.deepStrictEqual([list.size, list.first, list.last, list.remove(0)], [0, undefined, undefined, false])
    },
    { arbitrary: { runs: 50 } }
  )

  it("keeps thousands that come in order, forwards or backwards", () => {
    for (const items of [Array.from({ length: 5000 }, (_, i) => i), Array.from({ length: 5000 }, (_, i) => 4999 - i)]) {
      // Of an order only the sign counts, and not how far apart two are.
      const list = new SortedList<number>((a, b) => (a - b) / 8192)
      for (const item of items) list.add(item)
      assert.deepStrictEqual(
        [...list],
        items.toSorted((a, b) => a - b)
      )
      assert.strictEqual(list.at(3210), 3210)
      assert.deepStrictEqual(
        [1, 1.5, 1].map((item) => list.remove(item)),
        [true, false, false]
      )
      assert.deepStrictEqual([list.at(0), list.at(1), list.size], [0, 2, 4999])
    }
  })
})
