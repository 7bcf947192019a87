/** Whose turn it is. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { FindRotation } from "../../src/routing/FindRotation.ts"

const everybody = { serving: true, others: true }
const ready = () => true

const rotationOf = (serving: ReadonlyArray<number>, others: ReadonlyArray<number> = []) => {
  const rotation = new FindRotation()
  for (const id of serving) rotation.join(id, true)
  for (const id of others) rotation.join(id, false)
  return rotation
}

const turns = (rotation: FindRotation, count: number, isReady: (id: number) => boolean = ready) =>
  Array.from({ length: count }, () => rotation.next(isReady, everybody))

describe("FindRotation", () => {
  it("takes turns in the order of joining", () => {
    assert.deepStrictEqual(turns(rotationOf([1, 2, 3]), 7), [1, 2, 3, 1, 2, 3, 1])
  })

  it("passes over busy peers, whose turn comes when they are ready again", () => {
    const rotation = rotationOf([1, 2, 3])
    assert.deepStrictEqual(
      turns(rotation, 3, (id) => id !== 1),
      [2, 3, 2]
    )
    assert.deepStrictEqual(turns(rotation, 3), [3, 1, 2])
  })

  it("gives nobody a turn who has left, whichever ring it was in", () => {
    const rotation = rotationOf([1, 2], [3, 4])
    for (const id of [1, 3]) rotation.leave(id)
    assert.deepStrictEqual(turns(rotation, 2), [2, 2])
    rotation.leave(2)
    assert.deepStrictEqual(turns(rotation, 2), [4, 4])
    rotation.leave(4)
    assert.deepStrictEqual(turns(rotation, 1), [undefined])
    rotation.join(5, false)
    assert.deepStrictEqual(turns(rotation, 2), [5, 5])
  })

  it("puts a newcomer last, and goes on with the next when somebody leaves", () => {
    const rotation = rotationOf([1, 2])
    assert.strictEqual(rotation.next(ready, everybody), 1)
    rotation.join(3, true)
    assert.deepStrictEqual(turns(rotation, 3), [2, 1, 3])
    rotation.leave(2)
    assert.deepStrictEqual(turns(rotation, 3), [1, 3, 1])
    rotation.leave(99)
    assert.deepStrictEqual(turns(rotation, 1), [3])
  })

  it("asks others only where allowed, and after those that serve", () => {
    const rotation = rotationOf([1], [2, 3])
    assert.deepStrictEqual(turns(rotation, 2), [1, 1])
    const busy = (id: number) => id !== 1
    assert.isUndefined(rotation.next(busy, { serving: true, others: false }))
    assert.deepStrictEqual(turns(rotation, 3, busy), [2, 3, 2])
    assert.isUndefined(rotation.next(busy, { serving: true, others: false }))
    assert.isUndefined(new FindRotation().next(ready, everybody))
  })

  it.prop(
    "is a queue that is turned past whoever is chosen",
    {
      steps: Schema.Array(
        Schema.Struct({
          kind: Schema.Literals(["join", "leave", "next", "next"]),
          id: Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 6 }))),
          busy: Schema.Array(Schema.Int.pipe(Schema.check(Schema.isBetween({ minimum: 0, maximum: 6 }))))
        })
      )
    },
    ({ steps }) => {
      const rotation = new FindRotation()
      let queue: Array<number> = []
      for (const { busy, id, kind } of steps) {
        if (kind === "join" && !queue.includes(id)) {
          rotation.join(id, true)
          queue.push(id)
        } else if (kind === "leave") {
          rotation.leave(id)
          queue = queue.filter((other) => other !== id)
        } else if (kind === "next") {
          const position = queue.findIndex((id) => !busy.includes(id))
          const expected = position < 0 ? undefined : queue[position]
          queue = [...queue.slice(position + 1), ...queue.slice(0, position + 1)]
          assert.strictEqual(
            rotation.next((id) => !busy.includes(id), everybody),
            expected
          )
        }
      }
    }
  )
})
