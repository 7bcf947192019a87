import { describe, expect, it } from "vitest"
import { Agenda, type Entry } from "../src/Agenda.ts"
import * as SeededRandom from "../src/simulation/SeededRandom.ts"

describe("Agenda", () => {
  it("takes what is due first, in the order of arrival where times are equal, and nothing that was taken out", () => {
    const draw = SeededRandom.draws(1, "agenda")
    for (let round = 0; round < 200; round++) {
      const agenda = new Agenda<number>()
      const kept: Array<Entry<number>> = []
      for (let step = 0; step < 100; step++) {
        const isRemoval = kept.length > 0 && draw() % 3 === 0
        if (!isRemoval) kept.push(agenda.add(draw() % 20, step))
        else {
          const [entry] = kept.splice(draw() % kept.length, 1)
          expect(agenda.remove(entry!)).toBe(true)
          expect(agenda.remove(entry!)).toBe(false)
        }
      }
      // `what` is the order of arrival.
      const expected = kept.toSorted((a, b) => a.at - b.at || a.what - b.what).map(({ what }) => what)
      expect(agenda.nextAt()).toBe(Math.min(...kept.map(({ at }) => at)))
      const taken: Array<number> = []
      for (let due = agenda.takeDue(20); due !== undefined; due = agenda.takeDue(20)) taken.push(due.what)
      expect(taken).toEqual(expected)
      expect(agenda.nextAt()).toBeUndefined()
    }
  })
})
