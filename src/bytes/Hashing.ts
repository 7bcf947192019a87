/**
 * The two hash functions of Zcash's data formats: double SHA-256 and personalised BLAKE2b.
 *
 * Their results are bytes in the order of the wire; `displayHash` turns one into the digits everybody else sees.
 *
 * @module
 */
import { Buffer } from "node:buffer"
import { hash } from "node:crypto"
import { blake2b } from "@noble/hashes/blake2.js"
import { sha256OfWords, sha256Words, wordsOf } from "./ShortSha256.ts"

/**
 * Inputs up to so many bytes are hashed here, longer ones by `node:crypto`: two blocks, with their padding.
 *
 * Source: `npm run bench -- wire`, whose last table shows where the costs of both cross.
 */
export const shortInputBytes = 119

/** SHA-256 of the SHA-256, as words that hold until the next hash. The second input is one block: never worth a call. */
const sha256dWords = (bytes: Uint8Array, start: number, end: number): Int32Array =>
  sha256OfWords(
    end - start <= shortInputBytes
      ? sha256Words(bytes, start, end)
      : wordsOf(hash("sha256", bytes.subarray(start, end), "buffer"))
  )

/** SHA-256 of the SHA-256: 32 bytes. */
export const sha256d = (bytes: Uint8Array): Buffer => {
  const words = sha256dWords(bytes, 0, bytes.length)
  const result = Buffer.allocUnsafe(32)
  for (let i = 0; i < 8; i++) {
    const word = words[i]!
    result[4 * i] = word >>> 24
    result[4 * i + 1] = word >>> 16
    result[4 * i + 2] = word >>> 8
    result[4 * i + 3] = word
  }
  return result
}

/** The first four bytes of the `sha256d` of bytes from `start` to before `end`, as a little-endian number: a checksum. */
export const checksum = (bytes: Uint8Array, start = 0, end: number = bytes.length): number => {
  const word = sha256dWords(bytes, start, end)[0]!
  return ((word >>> 24) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff_0000) | (word << 24)) >>> 0
}

/** Takes the input of a hash piece by piece. */
export interface Blake2bInput {
  /** Appends `bytes` from `start` to before `end`. */
  readonly update: (bytes: Uint8Array, start: number, end: number) => void
}

/** BLAKE2b with 32 bytes of output and a personalisation of 16 bytes, as ZIP 244 uses it, over whatever `feed` gives. */
export const blake2b256 = (personalization: Uint8Array, feed: (input: Blake2bInput) => void): Buffer => {
  const state = blake2b.create({ dkLen: 32, personalization })
  feed({ update: (bytes, start, end) => state.update(bytes.subarray(start, end)) })
  return Buffer.from(state.digest())
}

/** `hexSlice` is what `toString("hex")` ends up calling. */
type BufferOfDigits = Buffer<ArrayBuffer> & { readonly hexSlice: (start: number, end: number) => string }

/** Where hashes are turned round. Never seen outside one call. */
const reversed = Buffer.alloc(64) as BufferOfDigits

/** The 32 bytes of a hash at `at`, as 64 hexadecimal digits in display order: reversed. */
export const displayHash = (bytes: Uint8Array, at = 0): string => {
  for (let i = 0; i < 32; i++) reversed[i] = bytes[at + 31 - i]!
  return reversed.hexSlice(0, 32)
}

/** Two hashes that stand side by side, each in display order, as one text of 128 digits. */
export const displayHashes = (bytes: Uint8Array, at: number): string => {
  for (let i = 0; i < 32; i++) {
    reversed[i] = bytes[at + 31 - i]!
    reversed[32 + i] = bytes[at + 63 - i]!
  }
  return reversed.hexSlice(0, 64)
}

/**
 * Longest run that `reversedHex` takes, in bytes: 16 hashes of an inventory. A multiple of 8. A hash that is kept of a run keeps all
 * its digits, 1.2 KB. With half of it an inventory takes a tenth longer, with twice as much no less.
 */
export const maxRunBytes = 576

const run = Buffer.alloc(maxRunBytes) as BufferOfDigits
const runView = new DataView(run.buffer, run.byteOffset, maxRunBytes)

/**
 * A run of bytes as hexadecimal digits, the last byte first: for whoever reads many hashes from the same bytes, for what
 * one costs is the call. The length is a multiple of 8.
 */
export const reversedHex = (bytes: DataView, at: number, length: number): string => {
  for (let to = 0, from = at + length - 8; to < length; to += 8, from -= 8) {
    runView.setBigUint64(to, bytes.getBigUint64(from, true))
  }
  return run.hexSlice(0, length)
}
