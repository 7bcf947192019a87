/**
 * Changes of state that run one at a time, from any callback, with nothing in between.
 *
 * A step brings state up to date, changes it and then settles it. What a step sets off outside (callers that resume, connections that close) is
 * put off until the state is settled, because it may lead straight back here.
 *
 * @module
 */
export class Steps {
  readonly #prepare: () => void
  readonly #settle: () => void
  readonly #afterwards: Array<() => void> = []
  #depth = 0

  /** `prepare` begins every outermost step, and `settle` ends it. */
  constructor(prepare: () => void, settle: () => void) {
    this.#prepare = prepare
    this.#settle = settle
  }

  /** Runs a change at once. Within another step it is a part of that. */
  run<A>(change: () => A): A {
    this.#depth++
    let result: A
    try {
      if (this.#depth === 1) this.#prepare()
      result = change()
      if (this.#depth === 1) this.#settle()
    } finally {
      this.#depth--
    }
    if (this.#depth === 0) {
      for (let action = this.#afterwards.shift(); action !== undefined; action = this.#afterwards.shift()) action()
    }
    return result
  }

  /** To be done once the state is settled, in the order of asking. */
  later(action: () => void): void {
    this.#afterwards.push(action)
  }
}
