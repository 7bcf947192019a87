/** Whose turn it is, among crowds. */
import { assert, describe, it } from "@effect/vitest"
import { FairQueue, type Shares, type Waiting } from "../../src/network/FairQueue.ts"
import * as SeededRandom from "../../src/simulation/SeededRandom.ts"

interface Guest extends Waiting {
  readonly name: string
}

/** `a1.b` is somebody of group `a1` of network `a`. */
const guest = (name: string): Guest => ({ name, group: name.split(".")[0] ?? "", network: name[0] ?? "" })

const shares: Shares = { total: 6, perNetwork: 4, perGroup: 2 }

const offerAll = (queue: FairQueue<Guest>, ...names: ReadonlyArray<string>) =>
  names.map((name) => queue.offer(guest(name))?.name)

const takeAll = (queue: FairQueue<Guest>) => {
  const taken: Array<string> = []
  for (let next = queue.take(); next !== undefined; next = queue.take()) taken.push(next.name)
  return taken
}

describe("a fair queue", () => {
  it("goes round by network, within it by group, and within that in the order of coming", () => {
    const queue = new FairQueue<Guest>({ total: 100, perNetwork: 100, perGroup: 100 })
    offerAll(queue, "a1.1", "a1.2", "a1.3", "a2.1", "b1.1", "b1.2", "c1.1")
    assert.strictEqual(queue.size, 7)
    assert.deepStrictEqual(takeAll(queue), ["a1.1", "b1.1", "c1.1", "a2.1", "b1.2", "a1.2", "a1.3"])
    assert.strictEqual(queue.size, 0)
  })

  it("gives a newcomer the turn after one of each other network, whatever waits already", () => {
    const queue = new FairQueue<Guest>({ total: 10_000, perNetwork: 10_000, perGroup: 10_000 })
    for (let i = 0; i < 2000; i++) queue.offer(guest(`a${i}.1`))
    for (let i = 0; i < 10; i++) queue.take()
    queue.offer(guest("b1.1"))
    assert.deepStrictEqual([queue.take()?.network, queue.take()?.name], ["a", "b1.1"])
  })

  it("refuses whoever is beyond the share of its group or of its network", () => {
    const queue = new FairQueue<Guest>(shares)
    assert.deepStrictEqual(offerAll(queue, "a1.1", "a1.2", "a1.3", "a2.1", "a2.2", "a3.1"), [
      undefined,
      undefined,
      "a1.3",
      undefined,
      undefined,
      "a3.1"
    ])
    assert.strictEqual(queue.size, 4)
  })

  it("forgets whoever waits no longer, and gives the place to the next one", () => {
    const queue = new FairQueue<Guest>(shares)
    const [first, second, third] = [guest("a1.1"), guest("a1.2"), guest("b1.1")]
    for (const each of [first, second, third]) queue.offer(each)
    assert.deepStrictEqual(
      [queue.remove(second), queue.remove(second), queue.remove(guest("c1.1"))],
      [true, false, false]
    )
    assert.strictEqual(queue.size, 2)
    assert.isUndefined(queue.offer(guest("a1.3")))
    assert.isTrue(queue.remove(third))
    assert.deepStrictEqual(takeAll(queue), ["a1.1", "a1.3"])
    assert.isFalse(queue.remove(first))
    assert.strictEqual(queue.size, 0)
  })

  it("full, lets the latest of the most crowded network go for somebody of a less crowded one, and else nobody", () => {
    const queue = new FairQueue<Guest>(shares)
    offerAll(queue, "a1.1", "a1.2", "a2.1", "a2.2", "b1.1", "b2.1")
    assert.deepStrictEqual(offerAll(queue, "c1.1", "c2.1", "b3.1"), ["a2.2", "a1.2", "b3.1"])
    assert.strictEqual(queue.size, 6)
    assert.deepStrictEqual(takeAll(queue).toSorted(), ["a1.1", "a2.1", "b1.1", "b2.1", "c1.1", "c2.1"])
  })

  it("full, moves nobody of a network that would be no more crowded than the newcomer's", () => {
    const queue = new FairQueue<Guest>({ total: 3, perNetwork: 3, perGroup: 3 })
    offerAll(queue, "a1.1", "a1.2", "b1.1")
    assert.deepStrictEqual(offerAll(queue, "b2.1", "a2.1"), ["b2.1", "a2.1"])
    assert.deepStrictEqual(offerAll(queue, "c1.1"), ["a1.2"])
    assert.deepStrictEqual(offerAll(queue, "d1.1"), ["d1.1"])
    assert.deepStrictEqual(takeAll(queue), ["a1.1", "b1.1", "c1.1"])
  })

  it("loses and doubles nobody, whatever happens, and keeps the shares (20 stories)", () => {
    const draw = SeededRandom.draws(3, "queue")
    for (let story = 0; story < 20; story++) {
      const queue = new FairQueue<Guest>({ total: 6, perNetwork: 4, perGroup: 2 })
      const waiting = new Set<Guest>()
      const inNetwork = (network: string) => [...waiting].filter((one) => one.network === network).length
      for (let step = 0; step < 60; step++) {
        const one = guest(`${"abcd"[draw() % 4]}${draw() % 3}.${step}`)
        switch (draw() % 5) {
          case 0: {
            const next = queue.take()
            assert.strictEqual(next !== undefined, waiting.size > 0)
            // Whoever came first of its group.
            const ofGroup = [...waiting].find(({ group }) => group === next?.group)
            assert.strictEqual(next, ofGroup)
            if (next !== undefined) waiting.delete(next)
            break
          }
          case 1: {
            const [gone] = [...waiting].slice(draw() % 6)
            if (gone !== undefined) assert.isTrue(queue.remove(gone))
            if (gone !== undefined) waiting.delete(gone)
            assert.isFalse(queue.remove(one))
            break
          }
          default: {
            const sizes = new Map(["a", "b", "c", "d"].map((network) => [network, inNetwork(network)]))
            const most = Math.max(...sizes.values())
            const own = sizes.get(one.network)!
            const ofGroup = [...waiting].filter(({ group }) => group === one.group).length
            const isWithin = own < 4 && ofGroup < 2
            const gone = queue.offer(one)
            if (!isWithin || (waiting.size === 6 && most <= own + 1)) assert.strictEqual(gone, one)
            else if (waiting.size < 6) assert.isUndefined(gone)
            else assert.strictEqual(sizes.get(gone!.network), most)
            if (gone !== one) waiting.add(one)
            if (gone !== undefined) waiting.delete(gone)
          }
        }
        assert.strictEqual(queue.size, waiting.size)
      }
      assert.sameMembers([...queue.drain()], [...waiting])
      assert.strictEqual(queue.size, 0)
    }
  })

  it("gives a group that has nobody left the last turn when it comes back", () => {
    const queue = new FairQueue<Guest>({ total: 100, perNetwork: 100, perGroup: 100 })
    offerAll(queue, "a1.1", "a2.1")
    assert.strictEqual(queue.take()?.name, "a1.1")
    offerAll(queue, "a3.1", "a1.2")
    assert.deepStrictEqual(takeAll(queue), ["a2.1", "a3.1", "a1.2"])

    // The same where the last of a group went otherwise.
    const [first, second] = [guest("a1.1"), guest("a2.1")]
    for (const each of [first, second]) queue.offer(each)
    assert.isTrue(queue.remove(first))
    offerAll(queue, "a1.2")
    assert.deepStrictEqual(takeAll(queue), ["a2.1", "a1.2"])

    const full = new FairQueue<Guest>({ total: 3, perNetwork: 3, perGroup: 3 })
    offerAll(full, "a1.1", "a2.1", "a3.1")
    assert.deepStrictEqual(offerAll(full, "b1.1"), ["a3.1"])
    assert.strictEqual(full.take()?.name, "a1.1")
    offerAll(full, "a4.1")
    assert.strictEqual(full.take()?.name, "b1.1")
    offerAll(full, "a3.2")
    assert.deepStrictEqual(takeAll(full), ["a2.1", "a4.1", "a3.2"])
  })

  it("gives a network that has nobody left the last turn when it comes back", () => {
    const queue = new FairQueue<Guest>({ total: 100, perNetwork: 100, perGroup: 100 })
    const [first, second] = [guest("a1.1"), guest("b1.1")]
    for (const each of [first, second]) queue.offer(each)
    assert.isTrue(queue.remove(first))
    offerAll(queue, "a1.2")
    assert.deepStrictEqual(takeAll(queue), ["b1.1", "a1.2"])
    offerAll(queue, "a1.1", "b1.1")
    assert.strictEqual(queue.take()?.name, "a1.1")
    offerAll(queue, "c1.1", "a1.2")
    assert.deepStrictEqual(takeAll(queue), ["b1.1", "c1.1", "a1.2"])
  })

  it("counts anew when places are free again, and is empty when it was drained", () => {
    const queue = new FairQueue<Guest>(shares)
    offerAll(queue, "a1.1", "a1.2")
    assert.strictEqual(queue.take()?.name, "a1.1")
    assert.deepStrictEqual(offerAll(queue, "a1.3", "a1.4"), [undefined, "a1.4"])
    assert.deepStrictEqual(
      queue.drain().map(({ name }) => name),
      ["a1.2", "a1.3"]
    )
    assert.isUndefined(queue.take())
  })
})
