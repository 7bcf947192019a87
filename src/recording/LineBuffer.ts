/**
 * Text that becomes bytes as it is made: no piece of a line lives longer than it takes to write it.
 *
 * Most of a line is constant, and a constant is kept as bytes: those are copied at once, whatever their length. What is not
 * would have to be kept as strings until the line is done, and made one again for each; so it is copied as it comes,
 * character by character where that is faster than to ask for it.
 *
 * @module
 */
import { Buffer } from "node:buffer"

const firstBytes = 4096

/** A text longer than this is copied by the machine. */
const shortText = 16

/** A text that is put in often. */
export type Piece = Uint8Array

export const piece = (text: string): Piece => Buffer.from(text, "latin1")

/** Pieces that begin alike, each made when it is first asked for: names are few. */
export class Pieces<Name extends string> {
  readonly #prefix: string
  readonly #textOf: (name: Name) => string
  readonly #made = new Map<Name, Piece>()

  /** `textOf` says what stands for a name; the name itself unless told. */
  constructor(prefix: string, textOf: (name: Name) => string = (name) => name) {
    this.#prefix = prefix
    this.#textOf = textOf
  }

  of(name: Name): Piece {
    const made = this.#made.get(name)
    if (made !== undefined) return made
    const first = piece(this.#prefix + this.#textOf(name))
    this.#made.set(name, first)
    return first
  }
}

/** Lines of ASCII that grow. What is put in belongs to the line that is not ended yet. */
export class LineBuffer {
  #bytes: Buffer = none
  #length = 0
  #lineStart = 0

  /** Bytes of whole lines. */
  get length(): number {
    return this.#lineStart
  }

  put(text: string): void {
    const { length } = text
    const end = this.#length + length
    if (end >= this.#bytes.length) this.#grow(end + 1)
    const bytes = this.#bytes
    if (length > shortText) bytes.write(text, this.#length, "latin1")
    else for (let from = 0, to = this.#length; from < length;) bytes[to++] = text.charCodeAt(from++)
    this.#length = end
  }

  putPiece(piece: Piece): void {
    const end = this.#length + piece.length
    if (end >= this.#bytes.length) this.#grow(end + 1)
    this.#bytes.set(piece, this.#length)
    this.#length = end
  }

  /** A whole number from 0 to 2^53. Made of parts that are small integers, which are divided faster. */
  putWhole(number: number): void {
    if (number < billion) return this.#putDigits(number | 0, 1)
    const billions = Math.floor(number / billion)
    this.#putDigits(billions | 0, 1)
    this.#putDigits((number - billions * billion) | 0, 9)
  }

  #putDigits(number: number, least: number): void {
    if (this.#length + mostDigits >= this.#bytes.length) this.#grow(this.#length + mostDigits + 1)
    let digits = least
    while (digits < mostDigits && number >= powersOfTen[digits]!) digits++
    const end = this.#length + digits
    for (let at = end - 1, rest = number; at >= this.#length; at--) {
      const tenth = (rest / 10) | 0
      this.#bytes[at] = 48 + rest - tenth * 10
      rest = tenth
    }
    this.#length = end
  }

  /** Ends the line with what is its end. Returns its bytes, those among them. */
  endLine(end: Piece = newline): number {
    this.putPiece(end)
    const length = this.#length - this.#lineStart
    this.#lineStart = this.#length
    return length
  }

  /** Forgets the line that is not ended. */
  dropLine(): void {
    this.#length = this.#lineStart
  }

  /** Forgets all. */
  clear(): void {
    this.#length = 0
    this.#lineStart = 0
  }

  /** The whole lines, which are gone then: as they are until something is put in. More room than `kept` is given back. */
  take(kept: number): Buffer {
    const lines = this.#bytes.subarray(0, this.#lineStart)
    this.clear()
    if (this.#bytes.length > kept) this.#bytes = none
    return lines
  }

  #grow(needed: number): void {
    const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.#bytes.length * 2, firstBytes))
    this.#bytes.copy(larger, 0, 0, this.#length)
    this.#bytes = larger
  }
}

const none = Buffer.alloc(0)
const newline = piece("\n")
const billion = 1_000_000_000
const mostDigits = 10
const powersOfTen = Array.from({ length: mostDigits }, (_, power) => 10 ** power)
