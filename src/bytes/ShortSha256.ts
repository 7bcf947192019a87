/**
 * SHA-256 in JavaScript, for what is too short to be worth a call of `node:crypto`.
 *
 * One call costs as much as two to three blocks computed here, and most messages have one block: pings, and
 * announcements of one transaction. `Hashing.ts` decides which is used. `npm run bench -- wire` shows where they cross.
 *
 * Source: FIPS 180-4.
 *
 * @module
 */

/** The first 32 bits of the fractional parts of the cube roots of the first 64 primes. */
const roundConstants = Int32Array.from([
  0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5, 0xd807aa98,
  0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786,
  0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8,
  0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13,
  0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819,
  0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a,
  0x5b9cca4f, 0x682e6ff3, 0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2
])

const blockBytes = 64

/** Where the length stands in the last block: in its last eight bytes. */
const lengthAt = 56

// Both are overwritten by every call; nothing of them is read in a later one.
const schedule = new Int32Array(64)
const state = new Int32Array(8)

/**
 * The hash of `bytes` from `start` to before `end`, as eight big-endian words. The array is the same in every call: read
 * it before the next one.
 */
export const sha256Words = (bytes: Uint8Array, start = 0, end: number = bytes.length): Int32Array => {
  reset()
  let at = start
  for (; end - at >= blockBytes; at += blockBytes) {
    for (let i = 0; i < 16; i++) schedule[i] = wordAt(bytes, at + 4 * i)
    compress()
  }
  schedule.fill(0, 0, 16)
  for (let i = 0; at + i < end; i++) put(i, bytes[at + i]!)
  put(end - at, 0x80)
  if (end - at >= lengthAt) {
    compress()
    schedule.fill(0, 0, 16)
  }
  schedule[15] = (end - start) * 8
  compress()
  return state
}

/** As `sha256Words`, of the 32 bytes that those eight words are. */
export const sha256OfWords = (words: Int32Array): Int32Array => {
  schedule.set(words)
  schedule.fill(0, 8, 15)
  schedule[8] = 0x8000_0000
  schedule[15] = 256
  reset()
  compress()
  return state
}

/** A hash of 32 bytes as eight big-endian words. */
export const wordsOf = (hash: Uint8Array): Int32Array => {
  for (let i = 0; i < 8; i++) state[i] = wordAt(hash, 4 * i)
  return state
}

const wordAt = (bytes: Uint8Array, at: number): number =>
  (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!

/** Puts a byte where there is none in the last block. */
const put = (at: number, byte: number): void => {
  schedule[at >> 2]! |= byte << (24 - 8 * (at & 3))
}

/** The first 32 bits of the fractional parts of the square roots of the first eight primes. */
const reset = (): void => {
  state[0] = 0x6a09e667
  state[1] = 0xbb67ae85
  state[2] = 0x3c6ef372
  state[3] = 0xa54ff53a
  state[4] = 0x510e527f
  state[5] = 0x9b05688c
  state[6] = 0x1f83d9ab
  state[7] = 0x5be0cd19
}

/** Takes the block in the first 16 words of the schedule into the state. */
const compress = (): void => {
  for (let i = 16; i < 64; i++) {
    const near = schedule[i - 2]!
    const far = schedule[i - 15]!
    const sigma1 = ((near >>> 17) | (near << 15)) ^ ((near >>> 19) | (near << 13)) ^ (near >>> 10)
    const sigma0 = ((far >>> 7) | (far << 25)) ^ ((far >>> 18) | (far << 14)) ^ (far >>> 3)
    schedule[i] = (schedule[i - 16]! + sigma0 + schedule[i - 7]! + sigma1) | 0
  }
  let a = state[0]!
  let b = state[1]!
  let c = state[2]!
  let d = state[3]!
  let e = state[4]!
  let f = state[5]!
  let g = state[6]!
  let h = state[7]!
  for (let i = 0; i < 64; i++) {
    const sum1 = ((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))
    const first = (h + sum1 + ((e & f) ^ (~e & g)) + roundConstants[i]! + schedule[i]!) | 0
    const sum0 = ((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))
    const second = (sum0 + ((a & b) ^ (a & c) ^ (b & c))) | 0
    h = g
    g = f
    f = e
    e = (d + first) | 0
    d = c
    c = b
    b = a
    a = (first + second) | 0
  }
  state[0]! += a
  state[1]! += b
  state[2]! += c
  state[3]! += d
  state[4]! += e
  state[5]! += f
  state[6]! += g
  state[7]! += h
}
