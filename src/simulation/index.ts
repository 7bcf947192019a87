/**
 * What `network-effect/simulation` exports.
 *
 * @module
 */
export * as LinkRule from "./LinkRule.ts"
export * as SeededRandom from "./SeededRandom.ts"
export { SimNetwork } from "./SimNetwork.ts"
