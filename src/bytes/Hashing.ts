/**
 * The two hash functions of Zcash's data formats: double SHA-256 and personalised BLAKE2b.
 *
 * @module
 */
import { hash } from "node:crypto"
import { blake2b } from "@noble/hashes/blake2.js"

/** SHA-256 of the SHA-256: 32 bytes in the order of the wire. */
export const sha256d = (bytes: Uint8Array): Buffer => hash("sha256", hash("sha256", bytes, "buffer"), "buffer")

/** BLAKE2b with 32 bytes of output and a personalisation of 16 bytes, as ZIP 244 uses it. */
export const blake2b256 = (personalization: Uint8Array, bytes: Uint8Array): Uint8Array =>
  blake2b(bytes, { dkLen: 32, personalization })
