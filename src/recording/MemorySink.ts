/**
 * Segments in memory, for simulated worlds and tests: what a `RecordFolder` would have written.
 *
 * Whole segments go, oldest first, when there is more than `limitCharacters`.
 *
 * @module
 */
import type { Buffer } from "node:buffer"
import type { SegmentName, Sink } from "./Recorder.ts"

/** A segment so far. */
export interface MemorySegment {
  readonly name: SegmentName
  readonly text: string
}

/** A sink that keeps texts. */
export class MemorySink implements Sink {
  readonly #limitCharacters: number
  readonly #segments = new Map<object, { readonly name: SegmentName; text: string }>()
  #characters = 0

  constructor(limitCharacters: number) {
    this.#limitCharacters = limitCharacters
  }

  /** Those that are left, oldest first. */
  segments(): ReadonlyArray<MemorySegment> {
    return [...this.#segments.values()]
  }

  open(name: SegmentName) {
    const segment = { name, text: "" }
    const key = {}
    this.#segments.set(key, segment)
    const add = (lines: Buffer) => {
      const text = lines.toString("latin1")
      segment.text += text
      if (!this.#segments.has(key)) return true
      this.#characters += text.length
      for (const [oldest, { text }] of this.#segments) {
        if (this.#characters <= this.#limitCharacters || oldest === key) break
        this.#segments.delete(oldest)
        this.#characters -= text.length
      }
      return true
    }
    return { write: add, end: (line: Buffer) => void add(line) }
  }
}
