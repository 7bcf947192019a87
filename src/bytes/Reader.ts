/**
 * A cursor over bytes a stranger sent. Every length in this package is checked here.
 *
 * Reading past the end, or a value the format forbids, records the first failure and returns a harmless value (0, or
 * no bytes) from then on: nothing throws and nothing moves. Whoever reads in a loop looks at `failure` once a turn;
 * whoever reads a few fields looks at it once at the end.
 *
 * Long lists can be read in slices: each of their elements takes one from `budget`, and where that is used up the reader has
 * paused. It behaves like one that failed, so whatever is left of a walk is quickly through, until `resume`.
 *
 * @module
 */
import { Buffer, isUtf8 } from "node:buffer"
import { displayHash, displayHashes, maxRunBytes, reversedHex } from "./Hashing.ts"

/** The bytes ended inside `field`. */
interface EndOfData {
  readonly _tag: "EndOfData"
  readonly field: string
}

/** The bytes are there and mean something forbidden. */
export interface Malformed {
  readonly _tag: "Malformed"
  readonly reason: string
}

/** Amounts contradict each other: a Sapling balance without anything in Sapling that it could come from. */
interface Unbalanced {
  readonly _tag: "Unbalanced"
}

/** The three ways in which bytes can be wrong. Peers tell them apart, so we do. */
export type ReadFailure = EndOfData | Malformed | Unbalanced

/**
 * Largest count or length outside transactions: 2 MiB.
 *
 * Source: zebra-chain serialization/compact_size.rs, `CompactSizeMessage`.
 */
export const maxMessageCompactSize = 2_097_152

/**
 * Largest count or length inside a transaction.
 *
 * Source: librustzcash zcash_encoding, `MAX_COMPACT_SIZE`.
 */
export const maxTransactionCompactSize = 0x0200_0000

/** More elements than there are bytes in any message; one of the numbers that V8 keeps without memory of their own. */
const noLimit = 0x3fff_ffff

/** A body that nobody went on with has not been read. */
const paused: Malformed = { _tag: "Malformed", reason: "not read to its end" }

/** No bytes at all. */
export const noBytes = Buffer.alloc(0)

/**
 * The same bytes, copied if they are part of a larger piece of memory: what is kept for long must not keep that alive.
 */
export const owned = (bytes: Uint8Array): Uint8Array =>
  bytes.length === bytes.buffer.byteLength ? bytes : Uint8Array.from(bytes)

/**
 * A `Buffer` over the same memory. The modules where every nanosecond counts import `Buffer`: Node's global of that name is a
 * getter, which V8 calls each time.
 */
export const asBuffer = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** The four bytes from `at`, which are there, as a little-endian number. */
export const u32At = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0

/** Eight bytes on their way into a bigint, which `Buffer` would put together out of several. Never seen outside one call. */
const wide = new DataView(new ArrayBuffer(8))

const wideAt = (bytes: Uint8Array, at: number): DataView => {
  wide.setUint32(0, u32At(bytes, at), true)
  wide.setUint32(4, u32At(bytes, at + 4), true)
  return wide
}

export class Reader {
  readonly bytes: Buffer
  /** Index of the next byte. */
  position: number
  /** Index after the last byte that may be read. */
  end: number
  /** What went wrong first; nothing is read after that. */
  failure: ReadFailure | undefined
  /** How many elements of long lists may be read before a pause. */
  private budget: number
  /** `bytes`, for reading eight at a time. */
  private wide: DataView | undefined
  /** The bytes up to `runEnd` that hold the next hashes of a list, as digits. A hash that is kept keeps its run alive. */
  private run: string
  private runEnd: number

  /** Reads `bytes` from `start` to before `end`. */
  constructor(bytes: Uint8Array, start = 0, end: number = bytes.length) {
    this.bytes = asBuffer(bytes)
    this.position = start
    this.end = end
    this.failure = undefined
    this.budget = noLimit
    this.wide = undefined
    this.run = ""
    this.runEnd = 0
  }

  get remaining(): number {
    return this.end - this.position
  }

  /** Whether another element of a long list can be read now: nothing is wrong, and it is not left for the next slice. */
  get goesOn(): boolean {
    if (this.failure !== undefined) return false
    if (this.budget-- > 0) return true
    this.failure = paused
    return false
  }

  /** Whether what is left is for the next slice. */
  get isPaused(): boolean {
    return this.failure === paused
  }

  /** A slice of so many elements begins. What is wrong stays so. */
  resume(budget: number): void {
    this.budget = budget
    if (this.failure === paused) this.failure = undefined
  }

  /** Records that the value just read is forbidden. The first failure stays. */
  refuse(reason: string): void {
    this.failure ??= { _tag: "Malformed", reason }
  }

  /** Records that the amounts just read contradict each other. The first failure stays. */
  refuseBalance(): void {
    this.failure ??= { _tag: "Unbalanced" }
  }

  /** Whether `count` more bytes are there; if not, the failure is recorded. */
  has(count: number, field: string): boolean {
    if (this.failure !== undefined) return false
    if (count <= this.end - this.position) return true
    this.failure = { _tag: "EndOfData", field }
    return false
  }

  /** For `count` items of at least `itemBytes` each: with room for them, but never for more than what is here could hold. */
  arrayOf<A>(count: number, itemBytes: number): Array<A> {
    const items: Array<A> = []
    // Short ones grow faster than they are sized.
    if (count > 16) items.length = Math.min(count, Math.floor(this.remaining / itemBytes))
    return items
  }

  u8(field: string): number {
    return this.has(1, field) ? this.bytes[this.position++]! : 0
  }

  /** The only big-endian integer of the protocol: a port. */
  u16be(field: string): number {
    if (!this.has(2, field)) return 0
    const at = this.position
    this.position += 2
    return (this.bytes[at]! << 8) | this.bytes[at + 1]!
  }

  u32(field: string): number {
    if (!this.has(4, field)) return 0
    this.position += 4
    return u32At(this.bytes, this.position - 4)
  }

  i32(field: string): number {
    return this.u32(field) | 0
  }

  u64(field: string): bigint {
    if (!this.has(8, field)) return 0n
    const at = this.position
    this.position += 8
    return wideAt(this.bytes, at).getBigUint64(0, true)
  }

  i64(field: string): bigint {
    if (!this.has(8, field)) return 0n
    const at = this.position
    this.position += 8
    return wideAt(this.bytes, at).getBigInt64(0, true)
  }

  /** The next `length` bytes, as a view. */
  view(length: number, field: string): Buffer {
    if (!this.has(length, field)) return noBytes
    const at = this.position
    this.position += length
    return this.bytes.subarray(at, this.position)
  }

  /** The next `length` bytes, as a copy that does not keep the rest alive. */
  copy(length: number, field: string): Uint8Array {
    return Uint8Array.from(this.view(length, field))
  }

  /** Where the next `length` bytes begin in `bytes`; they count as read. 0 when they are not there. */
  take(length: number, field: string): number {
    if (!this.has(length, field)) return 0
    const at = this.position
    this.position += length
    return at
  }

  skip(length: number, field: string): void {
    if (this.has(length, field)) this.position += length
  }

  /** 32 bytes in the order of the wire, as hexadecimal digits in display order: reversed. */
  displayHash(field: string): string {
    if (!this.has(32, field)) return ""
    const at = this.position
    this.position += 32
    if (this.position > this.runEnd) {
      // Worth its making for a list of hashes only.
      if (this.end - at < 4 * 32) return displayHash(this.bytes, at)
      const length = Math.min(maxRunBytes, (this.end - at) & ~7)
      this.wide ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength)
      this.run = reversedHex(this.wide, at, length)
      this.runEnd = at + length
    }
    const digits = 2 * (this.runEnd - this.position)
    return this.run.slice(digits, digits + 64)
  }

  /** Two times 32 bytes, each as `displayHash` has it, as one text. */
  displayHashes(first: string, second: string): string {
    const at = this.take(32, first)
    this.take(32, second)
    return this.failure === undefined ? displayHashes(this.bytes, at) : ""
  }

  /** A count or length of at most `max`, in its shortest form. */
  compactSize(max: number, field: string): number {
    const value = this.compactSizeOrMore(field)
    if (value > max) {
      this.refuse(`${field} above its limit`)
      return 0
    }
    return value
  }

  /** A 64-bit value in its shortest form. */
  compactSize64(field: string): bigint {
    if (!this.has(1, field)) return 0n
    if (this.bytes[this.position] !== 0xff) return BigInt(this.compactSizeOrMore(field))
    this.position++
    const value = this.u64(field)
    if (this.failure === undefined && value < 0x1_0000_0000n) this.refuse("CompactSize not in its shortest form")
    return this.failure === undefined ? value : 0n
  }

  /** Any CompactSize; those of nine bytes lose precision above 2^53, where every limit has long been passed. */
  private compactSizeOrMore(field: string): number {
    const first = this.u8(field)
    if (first < 0xfd || this.failure !== undefined) return first
    const width = first === 0xfd ? 2 : first === 0xfe ? 4 : 8
    if (!this.has(width, field)) return 0
    const { bytes } = this
    const at = this.position
    this.position += width
    let value = bytes[at]! | (bytes[at + 1]! << 8)
    let least = 0xfd
    if (width > 2) {
      value = (value | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0
      least = 0x1_0000
    }
    if (width > 4) {
      value += bytes.readUInt32LE(at + 4) * 0x1_0000_0000
      least = 0x1_0000_0000
    }
    if (value < least) {
      this.refuse("CompactSize not in its shortest form")
      return 0
    }
    return value
  }

  /** A length of at most `max` and that many bytes, as a view. */
  byteString(max: number, field: string): Buffer {
    return this.view(this.compactSize(max, `${field} length`), field)
  }

  /** A length of at most `max` and that many bytes of UTF-8. */
  text(max: number, field: string): string {
    const bytes = this.byteString(max, field)
    if (this.failure !== undefined) return ""
    if (!isUtf8(bytes)) {
      this.refuse(`${field} is not UTF-8`)
      return ""
    }
    return bytes.toString("utf8")
  }
}
