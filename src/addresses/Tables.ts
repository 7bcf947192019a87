/**
 * Where an address stands among those a node has only heard of (`new`) and those it has met (`tried`), so that no source and
 * no part of the internet can fill a book.
 *
 *     new     one bucket of 1,024: of the 64 that are open to whoever told of it
 *     tried   one bucket of 256: of the 8 that are open to the group it is in
 *
 * Which buckets these are depends on a secret, so nobody can choose addresses that meet in one bucket. A full bucket takes
 * nobody in; whoever is in one stays there until it proves to be useless. A small book has fewer buckets, in the same
 * proportion.
 *
 * Source: Bitcoin Core addrman_impl.h, `ADDRMAN_NEW_BUCKETS_PER_SOURCE_GROUP` of `ADDRMAN_NEW_BUCKET_COUNT` and
 * `ADDRMAN_TRIED_BUCKETS_PER_GROUP` of `ADDRMAN_TRIED_BUCKET_COUNT`. Unlike there an address has one place, in any free part
 * of its bucket.
 *
 * @module
 */
import { hash } from "node:crypto"
import type { Table } from "./Book.ts"

/** How many buckets there are, how many of them are open to one source or group, and how many addresses each holds. */
export interface Shape {
  readonly buckets: number
  readonly open: number
  readonly places: number
}

const full: Record<Table, { readonly buckets: number; readonly open: number; readonly share: number }> = {
  new: { buckets: 1024, open: 64, share: 0.82 },
  tried: { buckets: 256, open: 8, share: 0.155 }
}

/** A table of a book that holds so many addresses; what is left over is for those that are in no table. */
export const shapeOf = (table: Table, capacity: number): Shape => {
  const { buckets, open, share } = full[table]
  const total = capacity * share
  let shrink = 1
  // Buckets of one or two would be full at once while others are empty.
  while (shrink < 8 && total / (buckets / shrink) < 3) shrink *= 2
  return { buckets: buckets / shrink, open: open / shrink, places: Math.max(1, Math.floor(total / (buckets / shrink))) }
}

/** Both tables, of whatever an address is kept as. */
export class Tables<A> {
  readonly #key: string
  readonly shapes: Record<Table, Shape>
  readonly #buckets: Record<Table, Map<number, Array<A>>> = { new: new Map(), tried: new Map() }
  readonly sizes: Record<Table, number> = { new: 0, tried: 0 }

  /** `key` is 32 bytes that nobody else knows. */
  constructor(key: Uint8Array, capacity: number) {
    this.#key = Buffer.from(key).toString("hex")
    this.shapes = { new: shapeOf("new", capacity), tried: shapeOf("tried", capacity) }
  }

  /** The bucket of an address in `group` that somebody in the group `source` told of. */
  newBucket(group: string, source: string): number {
    const { buckets, open } = this.shapes.new
    return this.#draw(buckets, "new", source, this.#draw(open, "of source", group, source))
  }

  /** The bucket of an address that was met. */
  triedBucket(address: string, group: string): number {
    const { buckets, open } = this.shapes.tried
    return this.#draw(buckets, "tried", group, this.#draw(open, "of group", address))
  }

  /** Who is in a bucket. Not to be changed. */
  inside(table: Table, bucket: number): ReadonlyArray<A> {
    return this.#buckets[table].get(bucket) ?? []
  }

  isFull(table: Table, bucket: number): boolean {
    return this.inside(table, bucket).length >= this.shapes[table].places
  }

  add(table: Table, bucket: number, item: A): void {
    const inside = this.#buckets[table].get(bucket)
    if (inside === undefined) this.#buckets[table].set(bucket, [item])
    else inside.push(item)
    this.sizes[table]++
  }

  remove(table: Table, bucket: number, item: A): void {
    const inside = this.#buckets[table].get(bucket)
    const index = inside?.indexOf(item) ?? -1
    if (inside === undefined || index < 0) return
    inside.splice(index, 1)
    if (inside.length === 0) this.#buckets[table].delete(bucket)
    this.sizes[table]--
  }

  /** From [0, below), the same for the same words and this key. */
  #draw(below: number, ...words: ReadonlyArray<string | number>): number {
    return hash("sha256", `${this.#key} ${words.join(" ")}`, "buffer").readUInt32LE(0) % below
  }
}
