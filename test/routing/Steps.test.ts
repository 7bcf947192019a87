/** Changes do not interleave, and what they set off comes after them. */
import { assert, describe, it } from "@effect/vitest"
import { Steps } from "../../src/routing/Steps.ts"

const recorded = () => {
  const log: Array<string> = []
  const steps = new Steps((defect) => log.push(`told: ${String(defect)}`))
  steps.frame(
    () => log.push("prepare"),
    () => log.push("settle")
  )
  return { log, steps }
}

describe("Steps", () => {
  it("prepares, changes, settles, and only then lets others run", () => {
    const { log, steps } = recorded()
    const result = steps.run(() => {
      steps.later(() => log.push("others"))
      log.push("change")
      return 7
    })
    assert.strictEqual(result, 7)
    assert.deepStrictEqual(log, ["prepare", "change", "settle", "others"])
  })

  it("takes a step within a step as a part of it", () => {
    const { log, steps } = recorded()
    steps.run(() => {
      log.push("outer")
      steps.run(() => {
        steps.later(() => log.push("others"))
        log.push("inner")
      })
      log.push("outer again")
    })
    assert.deepStrictEqual(log, ["prepare", "outer", "inner", "outer again", "settle", "others"])
  })

  it("lets others come back with a step of their own, after which the rest runs", () => {
    const { log, steps } = recorded()
    steps.run(() => {
      steps.later(() => steps.run(() => log.push("back")))
      steps.later(() => log.push("rest"))
    })
    assert.deepStrictEqual(log, ["prepare", "settle", "prepare", "back", "settle", "rest"])
  })

  it("does not go deeper with each thing it sets off", () => {
    const { steps } = recorded()
    let deepest = 0
    let depth = 0
    steps.run(() => {
      for (let i = 0; i < 100_000; i++) {
        steps.later(() => {
          depth++
          steps.run(() => undefined)
          deepest = Math.max(deepest, depth)
          depth--
        })
      }
    })
    assert.strictEqual(deepest, 1)
  })

  it("tells of a change that failed, does what was put off all the same, and goes on", () => {
    const { log, steps } = recorded()
    assert.throws(
      () =>
        steps.run(() => {
          steps.later(() => log.push("others"))
          throw new Error("a bug")
        }),
      "a bug"
    )
    steps.run(() => log.push("change"))
    assert.deepStrictEqual(log, ["prepare", "others", "told: Error: a bug", "prepare", "change", "settle"])
  })

  it("does all that was put off, whichever of it fails, and then tells", () => {
    const { log, steps } = recorded()
    const fail = (name: string) => () => {
      throw new Error(name)
    }
    steps.run(() => {
      for (const action of [() => log.push("first"), fail("second"), () => log.push("third"), fail("fourth")]) {
        steps.later(action)
      }
    })
    assert.deepStrictEqual(log, ["prepare", "settle", "first", "third", "told: Error: second", "told: Error: fourth"])
  })

  it("neither prepares nor settles before it is told how", () => {
    assert.strictEqual(
      new Steps(() => undefined).run(() => 7),
      7
    )
  })
})
