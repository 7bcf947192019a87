/** Whose turn it is, among crowds. */
import { assert, describe, it } from "@effect/vitest"
import { FairQueue, type Shares, type Waiting } from "../../src/network/FairQueue.ts"

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
