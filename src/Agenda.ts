/**
 * What is to be done, and when: earliest first, and in the order of arrival where times are equal.
 *
 * That second rule is what makes a simulation repeat itself. What is taken out before its time costs as little as what is added:
 * most time limits are.
 *
 * @module
 */

/** Something to be done; `what` is for whoever keeps the agenda. */
export interface Entry<A> {
  /** In the unit of whoever keeps the agenda. */
  readonly at: number
  readonly order: number
  readonly what: A
  /** Where it is in the heap; -1 when it is no more. Only the agenda's. */
  place: number
}

const isBefore = <A>(a: Entry<A>, b: Entry<A>): boolean => a.at < b.at || (a.at === b.at && a.order < b.order)

/** A binary heap, whose entries know their places. */
export class Agenda<A> {
  readonly #heap: Array<Entry<A>> = []
  #added = 0

  add(at: number, what: A): Entry<A> {
    const place = this.#heap.length
    const entry: Entry<A> = { at, order: this.#added++, what, place }
    this.#heap.push(entry)
    this.#rise(entry, place)
    return entry
  }

  /** When the earliest is due; `undefined` when there is nothing. */
  nextAt(): number | undefined {
    return this.#heap[0]?.at
  }

  /** Takes the earliest that is due at `now`. */
  takeDue(now: number): Entry<A> | undefined {
    const first = this.#heap[0]
    if (first === undefined || first.at > now) return undefined
    this.remove(first)
    return first
  }

  /** Takes one out before its time, as most time limits are; `false` when it is out already. */
  remove(entry: Entry<A>): boolean {
    const { place } = entry
    if (place < 0) return false
    entry.place = -1
    const last = this.#heap.pop()!
    if (last === entry) return true
    const parent = this.#heap[(place - 1) >> 1]
    if (parent !== undefined && isBefore(last, parent)) this.#rise(last, place)
    else this.#sink(last, place)
    return true
  }

  /** In no order. */
  entries(): Iterable<Entry<A>> {
    return this.#heap
  }

  #rise(entry: Entry<A>, place: number): void {
    const heap = this.#heap
    while (place > 0) {
      const parent = heap[(place - 1) >> 1]!
      if (isBefore(parent, entry)) break
      heap[place] = parent
      const above = parent.place
      parent.place = place
      place = above
    }
    heap[place] = entry
    entry.place = place
  }

  #sink(entry: Entry<A>, place: number): void {
    const heap = this.#heap
    for (;;) {
      let below = 2 * place + 1
      if (below >= heap.length) break
      if (below + 1 < heap.length && isBefore(heap[below + 1]!, heap[below]!)) below++
      const child = heap[below]!
      if (isBefore(entry, child)) break
      heap[place] = child
      child.place = place
      place = below
    }
    heap[place] = entry
    entry.place = place
  }
}
