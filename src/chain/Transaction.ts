/**
 * Transactions v1 to v6: extent and fields.
 *
 * @module
 */
import type { TransactionId } from "./Hash.ts"

export interface Transaction {
  readonly version: number
  /** The id it is asked for and advertised with. */
  readonly id: TransactionId
  /** The whole transaction as it travels. */
  readonly bytes: Uint8Array
}
