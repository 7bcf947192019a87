/**
 * A list that stays in order: a place is found by halving, and nothing is ever sorted or copied whole.
 *
 * For some thousand items. They are kept in pieces, because moving thousands aside in one array costs more than finding
 * the place does.
 *
 * @module
 */

/** Items of one piece; one more, and it becomes two. */
const pieceCapacity = 128

export class SortedList<A> {
  readonly #compare: (a: A, b: A) => number
  /** In order; none is empty. */
  readonly #pieces: Array<Array<A>> = []
  #size = 0

  /** `compare` is a total order: two different items are never equal. */
  constructor(compare: (a: A, b: A) => number) {
    this.#compare = compare
  }

  get size(): number {
    return this.#size
  }

  get first(): A | undefined {
    return this.#pieces[0]?.[0]
  }

  get last(): A | undefined {
    return this.#pieces.at(-1)?.at(-1)
  }

  at(index: number): A | undefined {
    if (index < 0) return undefined
    for (const piece of this.#pieces) {
      if (index < piece.length) return piece[index]
      index -= piece.length
    }
    return undefined
  }

  /** In order. Not to be changed meanwhile. */
  *[Symbol.iterator](): IterableIterator<A> {
    for (const piece of this.#pieces) yield* piece
  }

  add(item: A): void {
    const before = (other: A) => this.#compare(other, item) < 0
    // Behind the last item of a piece is as well placed as before the first of the next.
    const found = Math.max(0, this.#pieceOf(before))
    const piece = this.#pieces[found]
    this.#size++
    if (piece === undefined) {
      this.#pieces.push([item])
      return
    }
    piece.splice(countWhile(piece, before), 0, item)
    if (piece.length > pieceCapacity) this.#pieces.splice(found + 1, 0, piece.splice(pieceCapacity >> 1))
  }

  /** Removes the item, which must compare as it did when it was added. `false` when it is not here. */
  remove(item: A): boolean {
    const found = this.#pieceOf((other) => this.#compare(other, item) <= 0)
    const piece = this.#pieces[found]
    if (piece === undefined) return false
    const index = countWhile(piece, (other) => this.#compare(other, item) < 0)
    const other = piece[index]
    if (other === undefined || this.#compare(other, item) !== 0) return false
    piece.splice(index, 1)
    if (piece.length === 0) this.#pieces.splice(found, 1)
    this.#size--
    return true
  }

  /** How many items, from the first on, satisfy a predicate that holds up to some place and not after. */
  countWhile(holds: (item: A) => boolean): number {
    const found = this.#pieceOf(holds)
    let count = 0
    for (let index = 0; index < found; index++) count += this.#pieces[index]?.length ?? 0
    return count + countWhile(this.#pieces[found] ?? [], holds)
  }

  /** The last piece whose first item satisfies a predicate that holds up to some place and not after; -1 when none does. */
  #pieceOf(holds: (item: A) => boolean): number {
    return countWhile(this.#pieces, ([first]) => first !== undefined && holds(first)) - 1
  }
}

const countWhile = <A>(items: ReadonlyArray<A>, holds: (item: A) => boolean): number => {
  let low = 0
  let high = items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const item = items[middle]
    if (item !== undefined && holds(item)) low = middle + 1
    else high = middle
  }
  return low
}
