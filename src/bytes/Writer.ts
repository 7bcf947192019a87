/**
 * Appends fields to a growing buffer. The inverse of `Reader.ts`.
 *
 * A value that `Reader` would refuse (too many, too long) is recorded as the failure, as there, and so is a number that its
 * field cannot hold: a program that uses us may have said it. A hash without digits is our bug and throws.
 *
 * @module
 */
import { Buffer } from "node:buffer"
import type { Malformed } from "./Reader.ts"

/** Big enough for every short message, so that those never grow. */
const defaultCapacity = 256

export class Writer {
  private buffer: Buffer
  private length = 0
  /** Why the receiver would refuse what was written, if it would. */
  failure: Malformed | undefined

  /** `capacity` is how many bytes are expected; more are taken, with a copy. */
  constructor(capacity: number = defaultCapacity) {
    // Out of Node's pool, if it is short: it is gone as soon as the system has it, and memory of its own would cost more than all
    // that is written.
    this.buffer = Buffer.allocUnsafe(capacity)
    this.failure = undefined
  }

  /** Records that what is written would be refused. The first failure stays. */
  refuse(reason: string): void {
    this.failure ??= { _tag: "Malformed", reason }
  }

  /** How many bytes were written. */
  get position(): number {
    return this.length
  }

  /** Everything written so far. The writer must not be used afterwards. */
  finish(): Buffer {
    return this.buffer.subarray(0, this.length)
  }

  /** Makes room for `count` more bytes, so that writing them moves nothing. */
  reserve(count: number): void {
    const needed = this.length + count
    if (needed <= this.buffer.length) return
    const larger = Buffer.allocUnsafeSlow(needed)
    this.buffer.copy(larger, 0, 0, this.length)
    this.buffer = larger
  }

  /** Makes room for `count` more bytes and returns where they start. Before `buffer` is looked at: it may be another then. */
  private advance(count: number): number {
    const at = this.length
    const needed = at + count
    if (needed > this.buffer.length) this.reserve(Math.max(count, this.buffer.length * 2 - at))
    this.length = needed
    return at
  }

  /** What is written of a number: itself, or zero and the failure when the field cannot hold it. */
  private fitting(value: number, least: number, most: number): number {
    if (value >= least && value <= most && Number.isInteger(value)) return value
    this.refuse(`${value} does not fit its field`)
    return 0
  }

  private fitting64(value: bigint, least: bigint, most: bigint): bigint {
    if (value >= least && value <= most) return value
    this.refuse(`${value} does not fit its field`)
    return 0n
  }

  u8(value: number): void {
    const at = this.advance(1)
    this.buffer.writeUInt8(this.fitting(value, 0, 0xff), at)
  }

  /** A port. */
  u16be(value: number): void {
    const at = this.advance(2)
    this.buffer.writeUInt16BE(this.fitting(value, 0, 0xffff), at)
  }

  u32(value: number): void {
    const at = this.advance(4)
    this.buffer.writeUInt32LE(this.fitting(value, 0, 0xffff_ffff), at)
  }

  i32(value: number): void {
    const at = this.advance(4)
    this.buffer.writeInt32LE(this.fitting(value, -0x8000_0000, 0x7fff_ffff), at)
  }

  u64(value: bigint): void {
    const at = this.advance(8)
    this.buffer.writeBigUInt64LE(this.fitting64(value, 0n, 0xffff_ffff_ffff_ffffn), at)
  }

  i64(value: bigint): void {
    const at = this.advance(8)
    this.buffer.writeBigInt64LE(this.fitting64(value, -0x8000_0000_0000_0000n, 0x7fff_ffff_ffff_ffffn), at)
  }

  bytes(bytes: Uint8Array): void {
    const at = this.advance(bytes.length)
    this.buffer.set(bytes, at)
  }

  /** Zero bytes. */
  zeros(count: number): void {
    const at = this.advance(count)
    this.buffer.fill(0, at, at + count)
  }

  /** A hash in display order: 64 hexadecimal digits, written reversed as the wire has it. */
  displayHash(digits: string): void {
    if (digits.length !== 64) throw new Error(`a hash has 64 hexadecimal digits: ${digits}`)
    this.reversedHex(digits)
  }

  /** Hexadecimal digits, the last byte first: for whoever writes many hashes, for what one costs is the call. */
  reversedHex(digits: string): void {
    const length = digits.length / 2
    const at = this.advance(length)
    if (this.buffer.write(digits, at, length, "hex") !== length)
      throw new Error(`a hash has 64 hexadecimal digits: ${digits}`)
    this.buffer.subarray(at, at + length).reverse()
  }

  /** A count or length, in its shortest form. */
  compactSize(value: number): void {
    if (value < 0xfd) {
      this.u8(value)
    } else if (value <= 0xffff) {
      this.u8(0xfd)
      const at = this.advance(2)
      this.buffer.writeUInt16LE(this.fitting(value, 0, 0xffff), at)
    } else {
      this.u8(0xfe)
      this.u32(value)
    }
  }

  /** A 64-bit value, in its shortest form. */
  compactSize64(value: bigint): void {
    if (value <= 0xffff_ffffn) {
      this.compactSize(Number(value))
    } else {
      this.u8(0xff)
      this.u64(value)
    }
  }

  /** A count of at most `max`. */
  count(value: number, max: number, field: string): void {
    if (value > max) this.refuse(`${field} above its limit`)
    this.compactSize(value)
  }

  /** A length of at most `max` and that many bytes of UTF-8. */
  text(text: string, max: number, field: string): void {
    const bytes = Buffer.from(text, "utf8")
    this.count(bytes.length, max, `${field} length`)
    this.bytes(bytes)
  }
}
