/**
 * Changes of state that run one at a time, from any callback, with nothing in between.
 *
 * A step brings state up to date, changes it and then settles it. What a step sets off outside (callers that resume,
 * connections that close) is put off until the state is settled, because it may lead straight back here.
 *
 * A bug in one of them loses nothing of the others: each of what was put off is done, and then the bug is told.
 *
 * @module
 */
export class Steps {
  readonly #tellDefect: (defect: unknown) => void
  #prepare = nothing
  #settle = nothing
  #afterwards: Array<() => void> = []
  #isRunning = false

  /** `tellDefect` is told what was thrown in a step or by what it set off, after all the rest was done. */
  constructor(tellDefect: (defect: unknown) => void) {
    this.#tellDefect = tellDefect
  }

  /** From now on `prepare` begins every outermost step, and `settle` ends it. */
  frame(prepare: () => void, settle: () => void): void {
    this.#prepare = prepare
    this.#settle = settle
  }

  /** Runs a change at once. Within another step it is a part of that. What it throws is thrown on, and told. */
  run<A>(change: () => A): A {
    if (this.#isRunning) return change()
    this.#isRunning = true
    let result: A
    try {
      this.#prepare()
      result = change()
      this.#settle()
    } catch (defect) {
      this.#isRunning = false
      this.#doTheRest()
      this.#tellDefect(defect)
      throw defect
    }
    this.#isRunning = false
    this.#doTheRest()
    return result
  }

  /** To be done once the state is settled, in the order of asking. */
  later(action: () => void): void {
    this.#afterwards.push(action)
  }

  #doTheRest(): void {
    // Each step does its own, so that a thousand of them in a row are not a thousand deep on the stack.
    const actions = this.#afterwards
    if (actions.length === 0) return
    this.#afterwards = []
    const defects: Array<unknown> = []
    for (const action of actions) {
      try {
        action()
      } catch (defect) {
        defects.push(defect)
      }
    }
    for (const defect of defects) this.#tellDefect(defect)
  }
}

const nothing = (): void => undefined
