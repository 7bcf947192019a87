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

  it("has everybody from the next millisecond on however long it ran", () => {
    for (const due of [999, 1000, 1999, 500_000, 86_400_000, 86_400_999]) {
      const made = new DialPool<Item>()
      made.put(item("a", "one"), due)
      made.advance(due)
      assert.isEmpty([...made.ready()])
      made.advance(due + 1)
      assert.lengthOf([...made.ready()], 1, String(due))
    }
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

  it("knows a part of the internet until the last one of it is taken out, and not longer", () => {
    const made = new DialPool<Item>()
    const [first, second, third] = [item("1", "a"), item("2", "a"), item("3", "a")]
    const ready = (one: Item) => {
      made.put(one, 0)
      made.advance(1)
      return one.poolGroup
    }
    const group = ready(first)
    assert.strictEqual(ready(second), group)
    made.remove(first)
    assert.strictEqual(ready(third), group)
    made.remove(second)
    made.remove(third)
    // Else whoever tells of more and more parts would have it remember them all.
    assert.notStrictEqual(ready(first), group)
  })
})

describe("a group of a pool", () => {
  it("is one and the same as long as anybody of it is there who was ready, and is forgotten with the last", () => {
    const made = new DialPool<Item>()
    const [first, second] = [item("1", "one"), item("2", "one")]
    const ready = (...items: ReadonlyArray<Item>) => {
      for (const each of items) made.put(each, 0)
      made.advance(1)
    }
    ready(first, second)
    const group = first.poolGroup
    assert.isDefined(group)
    assert.strictEqual(second.poolGroup, group)
    // Whoever waits again is still there.
    made.put(first, 5000)
    made.remove(second)
    assert.deepStrictEqual([first.poolGroup === group, second.poolGroup], [true, undefined])
    ready(second)
    assert.strictEqual(second.poolGroup, group)
    for (const each of [first, second]) made.remove(each)
    ready(first)
    assert.notStrictEqual(first.poolGroup, group)
  })
})

describe("whatever happens to a pool of whom to dial", () => {
  it("those are ready whose time has come, each in its group once, and a draw is of somebody who suits (12 stories)", () => {
    const draw = SeededRandom.draws(8, "pool")
    const chance = random("stories")
    const keysOf = (items: Iterable<Item>) =>
      Array.from(items, ({ key }) => key)
        .toSorted()
        .join(" ")
    for (let story = 0; story < 12; story++) {
      const made = new DialPool<Item>()
      const items = Array.from({ length: 12 }, (_, n) => item(`i${n}`, `g${n % 5}`))
      /** After which millisecond each may be dialled, of those that are in the pool; and whose time has come. */
      const due = new Map<Item, number>()
      const ready = new Set<Item>()
      let now = 0
      for (let step = 0; step < 30; step++) {
        const one = items[draw() % items.length]!
        switch (draw() % 4) {
          case 0:
          case 1:
            // In the second that others wait for, in the next one, or at once.
            due.set(one, now + [-1, 0, 1, 400, 998, 999, 1000, 1001][draw() % 8]!)
            ready.delete(one)
            made.put(one, due.get(one)!)
            break
          case 2:
            due.delete(one)
            ready.delete(one)
            made.remove(one)
            break
          case 3:
            now += draw() % 700
            made.advance(now)
            for (const [each, after] of due) if (after < now) ready.add(each)
        }
        const groups = [...made.ready()]
        const names = groups.map(({ name }) => name)
        assert.strictEqual(keysOf(groups.flatMap(({ members }) => members)), keysOf(ready))
        assert.strictEqual(
          names.toSorted().join(),
          [...new Set(Array.from(ready, ({ group }) => group))].toSorted().join()
        )
        assert.isTrue(groups.every(({ members, name }) => members.every(({ group }) => group === name)))
        const waits = [...made.waiting()]
        assert.strictEqual(keysOf(waits), keysOf([...due.keys()].filter((each) => !ready.has(each))))
        const seconds = waits.map((each) => Math.floor(due.get(each)! / 1000))
        assert.isTrue(seconds.every((second, n) => n === 0 || seconds[n - 1]! <= second))
        for (const each of items) {
          assert.strictEqual(each.poolState, ready.has(each) ? "ready" : due.has(each) ? "waiting" : "absent")
        }
        const closed = `g${draw() % 5}`
        const unwanted = items[draw() % items.length]!
        const may = [...ready].filter((each) => each.group !== closed && each !== unwanted)
        const found = made.draw(
          chance,
          (group) => group !== closed,
          (each) => each !== unwanted,
          () => 0.2
        )
        assert.strictEqual(found !== undefined, may.length > 0)
        if (found !== undefined) assert.isTrue(may.includes(found))
      }
    }
  })

  it("they are ready in the order of their times, and of one millisecond in that of their keys", () => {
    const made = new DialPool<Item>()
    const put = (key: string, after: number) => made.put(item(key, "one"), after)
    for (const [key, after] of [
      ["e", 700],
      ["c", 300],
      ["b", 300],
      ["f", 1200],
      ["a", 500],
      ["d", 999]
    ] as const) {
      put(key, after)
    }
    made.advance(2000)
    assert.deepStrictEqual(
      [...made.ready()].map(({ members }) => members.map(({ key }) => key)),
      [["b", "c", "a", "e", "d", "f"]]
    )
  })

  it("one that is drawn first goes to the group that chance says, and is of it the one that chance says", () => {
    const { made } = pool()
    made.advance(11)
    /** Who is drawn when chance says these, one after the other. */
    const drawnBy = (...said: ReadonlyArray<number>) => {
      const left = [...said]
      const found = made.draw(
        () => left.shift() ?? assert.fail("drawn too often"),
        everywhere,
        everywhere,
        () => 0.5
      )
      assert.isEmpty(left)
      return found?.key
    }
    const thirds = [0, 0.34, 0.67]
    for (const [g, group] of ["a", "b", "c"].entries()) {
      for (const [n, place] of thirds.entries()) {
        assert.strictEqual(drawnBy(thirds[g]!, place, 0.499), `${group}${n + 1}`)
      }
    }
    // Whoever is passed over makes the next one a fifth more welcome.
    assert.strictEqual(drawnBy(0, 0, 0.5, 0.34, 0.34, 0.599), "b2")
    assert.strictEqual(drawnBy(0, 0, 0.5, 0.34, 0.34, 0.6, 0.67, 0, 0.719), "c1")
  })

  it("asks chance for sixteen groups before it goes through all of them, from one on that chance says", () => {
    const { items, made } = pool()
    made.advance(11)
    let asked = 0
    const looked: Array<string> = []
    const found = made.draw(
      () => (asked++ < 16 ? 0 : 0.67),
      (group) => {
        looked.push(group)
        return group === "b"
      },
      everywhere,
      certain
    )
    // The third group is first, and of the second one the third member.
    assert.deepStrictEqual(looked, [...Array.from({ length: 16 }, () => "a"), "c", "a", "b"])
    assert.deepStrictEqual([found, asked], [items[5], 18])
  })
})
