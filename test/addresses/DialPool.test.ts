import { assert, describe, it } from "@effect/vitest"
import { DialPool, type Pooled } from "../../src/addresses/DialPool.ts"

const item = (key: string, group: string): Pooled => ({
  key,
  group,
  poolDueMillis: 0,
  poolPlace: 0,
  poolState: "absent"
})

/** Three groups of three, who may be dialled after 10 ms. */
const pool = () => {
  const items = ["a", "b", "c"].flatMap((group) => [1, 2, 3].map((n) => item(`${group}${n}`, group)))
  const made = new DialPool<Pooled>()
  for (const each of items) made.put(each, 10)
  return { made, items }
}

const everywhere = () => true
const certain = () => 1
const hopeless = () => 1e-9

describe("a pool of whom to dial", () => {
  it("has nobody before their time, and everybody from the next millisecond on", () => {
    const { items, made } = pool()
    made.advance(10)
    assert.isUndefined(made.draw(() => 0, everywhere, everywhere, certain))
    made.advance(11)
    const ready = [...made.ready()].flatMap(({ members }) => members)
    assert.sameMembers(ready, items)
    assert.isEmpty([...made.waiting()])
  })

  it("finds the only one that suits, whatever chance says and however little it weighs", () => {
    for (const chance of [0, 0.2, 0.4, 0.6, 0.8, 0.999]) {
      for (const weight of [certain, hopeless]) {
        const { items, made } = pool()
        made.advance(11)
        for (const wanted of items) {
          const found = made.draw(
            () => chance,
            (group) => group === wanted.group,
            (each) => each === wanted,
            weight
          )
          assert.strictEqual(found, wanted, `${wanted.key} at ${chance}`)
        }
      }
    }
  })

  it("has nobody whose group is closed, who does not suit, or who was taken out", () => {
    const { items, made } = pool()
    made.advance(11)
    const nobody = () => false
    assert.isUndefined(made.draw(() => 0.5, nobody, everywhere, certain))
    assert.isUndefined(made.draw(() => 0.5, everywhere, nobody, certain))
    for (const each of items) made.remove(each)
    assert.isUndefined(made.draw(() => 0.5, everywhere, everywhere, certain))
    assert.isEmpty([...made.ready()])
  })
})
