/**
 * Changes of state that run one at a time, from any callback, with nothing in between.
 *
 * A step brings state up to date, changes it and then settles it. What a step sets off outside (callers that resume,
 * connections that close) is put off until the state is settled, because it may lead straight back here.
 *
 * @module
 */
export class Steps {
  readonly #prepare: () => void
  readonly #settle: () => void
  #afterwards: Array<() => void> = []
  #isRunning = false

  /** `prepare` begins every outermost step, and `settle` ends it. */
  constructor(prepare: () => void, settle: () => void) {
    this.#prepare = prepare
    this.#settle = settle
  }

  /** Runs a change at once. Within another step it is a part of that. */
  run<A>(change: () => A): A {
    if (this.#isRunning) return change()
    this.#isRunning = true
    let result: A
    try {
      this.#prepare()
      result = change()
      this.#settle()
    } finally {
      this.#isRunning = false
    }
    // Each step does its own, so that a thousand of them in a row are not a thousand deep on the stack.
    const actions = this.#afterwards
    this.#afterwards = []
    for (const action of actions) action()
    return result
  }

  /** To be done once the state is settled, in the order of asking. */
  later(action: () => void): void {
    this.#afterwards.push(action)
  }
}
