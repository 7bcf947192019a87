/**
 * Requests for exactly one block or one transaction: they are routed by who may have it.
 *
 * Pure.
 *
 * @module
 */
import type { BlockHash, TransactionId } from "../chain/Hash.ts"
import type { Request } from "../peer/Request.ts"

/** The block that a request for exactly one asks for. */
export const singleBlock = (request: Request): BlockHash | undefined => {
  switch (request._tag) {
    case "BlockDownload":
      return request.hash
    case "BlocksByHash":
      return only(request.hashes)
    default:
      return undefined
  }
}

/** The transaction that a request for exactly one asks for. */
export const singleTransaction = (request: Request): TransactionId | undefined =>
  request._tag === "TransactionsById" ? only(request.ids) : undefined

/** The only member of a set, `undefined` when there are none or more. */
const only = <A>(set: ReadonlySet<A>): A | undefined => {
  if (set.size !== 1) return undefined
  const [first] = set
  return first
}
