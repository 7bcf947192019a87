/**
 * The two hash functions of Zcash's data formats: double SHA-256 and personalised BLAKE2b.
 *
 * Their results are bytes in the order of the wire; `displayHash` turns one into the digits everybody else sees.
 *
 * @module
 */
import { hash } from "node:crypto"
import { blake2b } from "@noble/hashes/blake2.js"

/** SHA-256 of the SHA-256: 32 bytes. */
export const sha256d = (bytes: Uint8Array): Buffer => hash("sha256", hash("sha256", bytes, "buffer"), "buffer")

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

/** Where a hash is turned round. Never seen outside one call. */
const reversed = Buffer.alloc(32)

/** The 32 bytes of a hash at `at`, as 64 hexadecimal digits in display order: reversed. */
export const displayHash = (bytes: Uint8Array, at = 0): string => {
  for (let i = 0; i < 32; i++) reversed[i] = bytes[at + 31 - i]!
  return reversed.toString("hex")
}
