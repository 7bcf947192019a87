/**
 * What a connection has been good for, and how far its word is believed. Plain state of one connection.
 *
 * A peer's word is contradicted when it does not deliver what it advertised or listed itself, whether it says that it lacks
 * it or says nothing, and when the program that uses us reports its host. (A block that nobody asked for is no answer, so a
 * wrong one counts as silence; headers that are none end the connection.)
 *
 * @module
 */

/** Part of its weight that a peer keeps however often it was contradicted: it is still asked now and then, and can mend. */
export const leastCredit = 1 / 16

/** What one delivered block or transaction gives back: sixteen make up for a first contradiction. */
const mended = 1 / 32

export class Merit {
  /** Its weight when somebody is chosen, from `leastCredit` to 1. */
  credit = 1
  /** When it last delivered a block that it was asked for, in nanoseconds of the monotonic clock. */
  blockAtNanos: bigint | undefined
  /** The same of a transaction. */
  transactionAtNanos: bigint | undefined
  /** Addresses it told us of where a peer answered us. */
  provenAddresses = 0

  /** Its word was contradicted: it has half the weight. */
  contradicted(): void {
    this.credit = Math.max(leastCredit, this.credit / 2)
  }

  /** It delivered something that it was asked for. */
  delivered(what: "block" | "transaction", nowNanos: bigint): void {
    if (what === "block") this.blockAtNanos = nowNanos
    else this.transactionAtNanos = nowNanos
    this.credit = Math.min(1, this.credit + mended)
  }
}
