/** Who is drawn of those that may be dialled: by the part of the internet first, and by how often it failed. */
import { assert, describe, it } from "@effect/vitest"
import { DialPool, type Pooled } from "../../src/addresses/DialPool.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"

interface Item extends Pooled<Item> {}

const item = (key: string, group: string): Item => ({
  key,
  group,
  poolDueMillis: 0,
  poolPlace: 0,
  poolState: "absent",
  poolGroup: undefined
})

const random = (seed: string) => SeededRandom.fractions(SeededRandom.draws(seed, "draws"))

/** How often each group is drawn, of so many draws. */
const drawn = (
  pool: DialPool<Item>,
  times: number,
  weight: (one: Item) => number = () => 1,
  isOpen: (group: string) => boolean = () => true
) => {
  const chance = random("pool")
  const counts = new Map<string, number>()
  for (let n = 0; n < times; n++) {
    const one = pool.draw(chance, isOpen, () => true, weight)
    if (one !== undefined) counts.set(one.group, (counts.get(one.group) ?? 0) + 1)
  }
  return counts
}

const filled = (sizes: Readonly<Record<string, number>>) => {
  const pool = new DialPool<Item>()
  for (const [group, size] of Object.entries(sizes)) {
    for (let n = 0; n < size; n++) pool.put(item(`${group} ${n}`, group), 0)
  }
  pool.advance(1)
  return pool
}

describe("a draw", () => {
  it("takes a part of the internet first: a crowd is as likely as a single host (E4)", () => {
    const counts = drawn(filled({ crowd: 500, a: 1, b: 1, c: 1 }), 4000)
    for (const group of ["crowd", "a", "b", "c"]) {
      assert.isAbove(counts.get(group)!, 850, group)
      assert.isBelow(counts.get(group)!, 1150, group)
    }
  })

  it("is less likely of whoever failed, and never of nobody while somebody suits (E4)", () => {
    const pool = filled({ good: 1, failing: 1 })
    const counts = drawn(pool, 4000, ({ group }) => (group === "failing" ? 0.1 : 1))
    assert.isBelow(counts.get("failing")!, 800)
    assert.isAbove(counts.get("failing")!, 100)
    assert.deepStrictEqual([...drawn(filled({ failing: 3 }), 100, () => 0.04)], [["failing", 100]])
  })

  it("is of a part that is open, and only of those whose time has come", () => {
    const pool = filled({ a: 2, b: 2 })
    pool.put(item("later", "c"), 1)
    pool.advance(1)
    const counts = drawn(
      pool,
      200,
      () => 1,
      (group) => group !== "a"
    )
    assert.deepStrictEqual([...counts], [["b", 200]])
    pool.advance(2)
    assert.isAbove(drawn(pool, 300).get("c")!, 50)
  })

  it("finds the one that suits among many that do not", () => {
    const pool = filled(Object.fromEntries(Array.from({ length: 300 }, (_, n) => [`g${n}`, 2])))
    const chance = random("needle")
    for (let times = 0; times < 50; times++) {
      const found = pool.draw(
        chance,
        () => true,
        ({ key }) => key === "g7 1",
        () => 1
      )
      assert.strictEqual(found?.key, "g7 1")
    }
  })
})

/** Three groups of three, who may be dialled after 10 ms. */
const pool = () => {
  const items = ["a", "b", "c"].flatMap((group) => [1, 2, 3].map((n) => item(`${group}${n}`, group)))
  const made = new DialPool<Item>()
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
