/** Who did something of late, and that the rest is forgotten. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary } from "effect"
import { RecentTimes } from "../../src/addresses/RecentTimes.ts"
import { int } from "../support/addressChanges.ts"

const spanMillis = 100

describe("recent times", () => {
  it.prop(
    "are what a list of all times would say",
    { steps: Arbitrary.array(int(0, 9999), { minLength: 200, maxLength: 600 }) },
    ({ steps }) => {
      const answers = new RecentTimes(spanMillis)
      const all: Array<{ readonly host: string; readonly atMillis: number }> = []
      let now = 0
      for (const step of steps) {
        const host = `h${step % 7}`
        now += Math.floor(step / 7) % 60
        if (step % 5 === 0) {
          answers.forget(host)
          for (let n = all.length - 1; n >= 0; n--) if (all[n]?.host === host) all.splice(n, 1)
        } else if (step % 3 === 0) {
          const atMillis = now - (step % 150)
          answers.note(host, atMillis, now)
          all.push({ host, atMillis })
        }
        for (let n = 0; n < 7; n++) {
          const isRecent = all.some((one) => one.host === `h${n}` && now - one.atMillis <= spanMillis)
          assert.strictEqual(answers.has(`h${n}`, now), isRecent)
          if (isRecent) assert.isTrue(answers.knows(`h${n}`))
        }
      }
    },
    { arbitrary: { runs: 50 } }
  )

  it("are kept for two spans at most", () => {
    const answers = new RecentTimes(spanMillis)
    for (let now = 1; now <= 1000; now++) answers.note(`h${now}`, now, now)
    const kept = Array.from({ length: 1000 }, (_, n) => n + 1).filter((n) => answers.knows(`h${n}`))
    assert.isAtMost(kept.length, 2 * (spanMillis + 1))
    assert.strictEqual(kept.at(-1), 1000)
  })
})
