/**
 * What is to be done, and when: earliest first, and in the order of arrival where times are equal.
 *
 * That second rule is what makes a simulation repeat itself.
 *
 * @module
 */

export interface Entry {
  /** In the unit of whoever keeps the agenda. */
  readonly at: number
  readonly order: number
  readonly run: () => void
}

const isBefore = (a: Entry, b: Entry): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** A binary heap. */
export class Agenda {
  readonly #heap: Array<Entry> = []
  #added = 0

  add(at: number, run: () => void): void {
    const entry: Entry = { at, order: this.#added++, run }
    const heap = this.#heap
    let index = heap.push(entry) - 1
    while (index > 0) {
      const parent = (index - 1) >> 1
      if (isBefore(heap[parent]!, entry)) break
      heap[index] = heap[parent]!
      index = parent
    }
    heap[index] = entry
  }

  /** When the earliest is due; `undefined` when there is nothing. */
  nextAt(): number | undefined {
    return this.#heap[0]?.at
  }

  /** Takes the earliest that is due at `now`. */
  takeDue(now: number): Entry | undefined {
    const heap = this.#heap
    const first = heap[0]
    if (first === undefined || first.at > now) return undefined
    const last = heap.pop()!
    if (heap.length > 0) this.#sink(last)
    return first
  }

  #sink(entry: Entry): void {
    const heap = this.#heap
    let index = 0
    for (;;) {
      let child = 2 * index + 1
      if (child >= heap.length) break
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++
      if (isBefore(entry, heap[child]!)) break
      heap[index] = heap[child]!
      index = child
    }
    heap[index] = entry
  }
}
