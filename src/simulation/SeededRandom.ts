/**
 * Chance that replays: the same seed gives the same choices, for `Random` and for `SecureRandom`.
 *
 * Every part of a world draws from a stream of its own, named for it. So another node, or another draw of one node,
 * changes no choice of the others.
 *
 * **Security**
 *
 * Whoever knows the seed knows every nonce. For simulations and tests only.
 *
 * @module
 */
import { Context, Effect, Layer, Random } from "effect"
import { SecureRandom } from "effect/crypto"

/** Any text or number; two are two worlds. */
export type Seed = string | number

/** Uniform draws from 0..2^32 - 1. */
export type Draw32 = () => number

/**
 * The draws of `stream` under `seed`.
 *
 * The generator is sfc32 of Chris Doty-Humphrey's PractRand, seeded with three 32-bit hashes of both names.
 */
export const draws = (seed: Seed, stream: string): Draw32 => {
  let [a, b, c] = mixed(`${typeof seed} ${seed} ${stream}`)
  let counter = 1
  const draw = () => {
    const result = (a + b + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = (((c << 21) | (c >>> 11)) + result) | 0
    return result >>> 0
  }
  // As PractRand does: the first draws still show the seed.
  for (let skipped = 0; skipped < 12; skipped++) draw()
  return draw
}

/** Uniform draws from [0, 1), with all 53 bits a number has. */
export const fractions = (draw: Draw32): (() => number) => {
  return () => ((draw() >>> 5) * 67_108_864 + (draw() >>> 6)) / 9_007_199_254_740_992
}

/** `Random` and `SecureRandom` that replay. Give each node of a world its own `stream`. */
export const layer = (seed: Seed, stream = ""): Layer.Layer<SecureRandom.SecureRandom> =>
  Layer.effectContext(
    // Built for each run of the layer: one layer value run twice gives the same draws twice.
    Effect.sync(() => {
      const random = makeRandom(draws(seed, `${stream}/random`))
      const secure = SecureRandom.make(makeBytes(draws(seed, `${stream}/secure`)))
      return Context.make(SecureRandom.SecureRandom, secure).pipe(Context.add(Random.Random, random))
    })
  )

const makeRandom = (draw: Draw32): Random.Random => {
  const next = fractions(draw)
  const span = Number.MAX_SAFE_INTEGER - Number.MIN_SAFE_INTEGER + 1
  return {
    nextDoubleUnsafe: next,
    nextIntUnsafe: () => Math.floor(next() * span) + Number.MIN_SAFE_INTEGER
  }
}

const makeBytes =
  (draw: Draw32) =>
  (size: number): Uint8Array => {
    const bytes = new Uint8Array(size)
    for (let index = 0; index < size; index += 4) {
      const word = draw()
      for (let byte = 0; byte < 4 && index + byte < size; byte++) bytes[index + byte] = word >>> (8 * byte)
    }
    return bytes
  }

/** Three words that depend on every character: murmur3's mixing, once per word with another start. */
const mixed = (text: string): [number, number, number] => {
  const words: [number, number, number] = [0x9e3779b9, 0x243f6a88, 0xb7e15162]
  for (let word = 0; word < 3; word++) {
    let hash = words[word]!
    for (let index = 0; index < text.length; index++) {
      hash = Math.imul(hash ^ text.charCodeAt(index), 0x5bd1e995)
      hash = (hash << 13) | (hash >>> 19)
    }
    hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
    hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
    words[word] = hash ^ (hash >>> 16)
  }
  return words
}
