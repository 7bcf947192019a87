/**
 * How a node answers its peers: addresses from the book, blocks and transactions from the program, if it has any.
 *
 * A program overrides what it has an answer for and leaves the rest: `NodeAnswers.layerWith({ block: … })`. The limits
 * are kept here, so a program cannot forget them: how much one answer may hold, how many items of one sender may be
 * pending, how many requests are answered at the same time.
 *
 * @module
 */
import { Clock, Duration, Effect, FiberSet, Layer, Option, Ref, Semaphore } from "effect"
import { limitKey } from "../addresses/AddressRules.ts"
import { AddressBook } from "../addresses/AddressBook.ts"
import type { Block, BlockHeader } from "../chain/Block.ts"
import type { BlockHash, TransactionId } from "../chain/Hash.ts"
import type { Transaction } from "../chain/Transaction.ts"
import { AnswerFailed, InboundRequests, Overloaded } from "../peer/InboundRequests.ts"
import type { InboundRequest, InventoryResponse, Response, Source } from "../peer/Request.ts"
import { Policy } from "../Policy.ts"
import type { GossipedAddress } from "../wire/AddressCodec.ts"

/** What a program can answer. Leave out what it has no answer for: the peer then hears that we lack it, or nothing. */
export interface Answers {
  readonly block?: (hash: BlockHash) => Effect.Effect<Option.Option<Block>, AnswerFailed>
  readonly transaction?: (id: TransactionId) => Effect.Effect<Option.Option<Transaction>, AnswerFailed>
  /** Up to 500 hashes after the first known one on the best chain; none says nothing. */
  readonly findBlocks?: (
    known: ReadonlyArray<BlockHash>,
    stop: BlockHash | undefined
  ) => Effect.Effect<ReadonlyArray<BlockHash>, AnswerFailed>
  /** Up to 160 headers; none is an answer too. */
  readonly findHeaders?: (
    known: ReadonlyArray<BlockHash>,
    stop: BlockHash | undefined
  ) => Effect.Effect<ReadonlyArray<BlockHeader>, AnswerFailed>
  readonly mempool?: Effect.Effect<ReadonlyArray<TransactionId>, AnswerFailed>
  /**
   * A peer pushed a transaction. Runs beside the connection; one of its sender's `Policy.pendingItemsPerSender` places
   * stays taken until it ends.
   */
  readonly onTransaction?: (transaction: Transaction, source: Source | undefined) => Effect.Effect<void, AnswerFailed>
  /** A peer advertised transactions; runs like `onTransaction`. */
  readonly onTransactionIds?: (
    ids: ReadonlySet<TransactionId>,
    source: Source | undefined
  ) => Effect.Effect<void, AnswerFailed>
  /** A peer advertised a block; runs like `onTransaction`. */
  readonly onBlock?: (hash: BlockHash, source: Source | undefined) => Effect.Effect<void, AnswerFailed>
}

const nil: Response = { _tag: "Nil" }

/**
 * Hashes a `getblocks` answer holds, at most.
 *
 * Source: zebra-state constants.rs, `MAX_FIND_BLOCK_HASHES_RESULTS`.
 */
const maxBlockHashes = 500

/**
 * Headers a `headers` answer holds, at most.
 *
 * Source: zebra-state constants.rs, `MAX_FIND_BLOCK_HEADERS_RESULTS`; Zebra message.rs, `MAX_HEADERS_PER_MESSAGE`.
 */
const maxHeaders = 160

/**
 * Transactions looked up for one `getdata`, and ids in one `inv` of ours.
 *
 * Source: Zebra constants.rs, `MAX_TX_INV_IN_SENT_MESSAGE`.
 */
const maxTransactionIds = 25_000

/** Answers from the book alone. */
export const layer = Layer.suspend(() => layerWith({}))

/** Answers from the book and from `answers`. */
export const layerWith = (answers: Answers) => Layer.effect(InboundRequests, make(answers))

const make = Effect.fnUntraced(function* (answers: Answers) {
  const policy = yield* Policy
  const sharedAddresses = yield* makeSharedAddresses
  const busy = yield* Semaphore.make(policy.inboundConcurrency)
  const pending = yield* makePending(policy.pendingItemsPerSender)

  /** Looks items up until enough bytes or items are found; what was not looked at is not reported missing. */
  const collect = Effect.fnUntraced(function* <A extends { readonly bytes: Uint8Array }, Id>(
    ids: Iterable<Id>,
    maxItems: number,
    lookUp: (id: Id) => Effect.Effect<Option.Option<A>, AnswerFailed>
  ) {
    const items: Array<InventoryResponse<A, Id>> = []
    let bytes = 0
    for (const id of ids) {
      if (items.length >= maxItems || bytes >= policy.bytesPerAnswer) break
      const found = yield* lookUp(id)
      if (Option.isNone(found)) {
        items.push({ _tag: "Missing", id })
      } else {
        bytes += found.value.bytes.length
        items.push({ _tag: "Available", value: found.value, source: undefined })
      }
    }
    return items
  })

  const respond = (request: InboundRequest): Effect.Effect<Response, AnswerFailed | Overloaded> => {
    switch (request._tag) {
      case "Peers":
        return Effect.map(sharedAddresses, (addresses): Response =>
          addresses.length === 0 ? nil : { _tag: "Peers", addresses }
        )
      case "BlocksByHash":
        if (request.hashes.size === 0) return Effect.succeed(nil)
        return Effect.map(
          collect(request.hashes, policy.blocksPerAnswer, answers.block ?? (() => Effect.succeedNone)),
          (items): Response => ({ _tag: "Blocks", items })
        )
      case "TransactionsById":
        if (request.ids.size === 0) return Effect.succeed(nil)
        return Effect.map(
          collect(request.ids, maxTransactionIds, answers.transaction ?? (() => Effect.succeedNone)),
          (items): Response => ({ _tag: "Transactions", items })
        )
      case "FindBlocks":
        return answers.findBlocks === undefined
          ? Effect.succeed(nil)
          : Effect.map(answers.findBlocks(request.known, request.stop), (hashes): Response =>
              hashes.length === 0
                ? nil
                : { _tag: "BlockHashes", hashes: hashes.slice(0, maxBlockHashes), source: undefined }
            )
      case "FindHeaders":
        // Always an answer: a missing one stalls zcashd peers.
        return Effect.map(
          answers.findHeaders?.(request.known, request.stop) ?? Effect.succeed([]),
          (headers): Response => ({
            _tag: "BlockHeaders",
            headers: headers.slice(0, maxHeaders),
            source: undefined
          })
        )
      case "MempoolTransactionIds":
        return Effect.map(answers.mempool ?? Effect.succeed([]), (ids): Response => ({
          _tag: "TransactionIds",
          ids: ids.slice(0, maxTransactionIds)
        }))
      case "PushTransaction":
        return pending(request.source, answers.onTransaction?.(request.transaction, request.source))
      case "AdvertiseTransactionIds":
        return pending(request.source, answers.onTransactionIds?.(request.ids, request.source))
      case "AdvertiseBlock":
        return pending(request.source, answers.onBlock?.(request.hash, request.source))
    }
  }

  return InboundRequests.of({
    answer: (request) =>
      Effect.flatMap(
        busy.withPermitsIfAvailable(1)(respond(request)),
        Option.match({ onNone: () => Effect.fail(new Overloaded()), onSome: Effect.succeed })
      )
  })
})

/**
 * The `addr` answer all peers share, so that repeated asking shows nobody more of the book. Refreshed when it is
 * `Policy.addrAnswerAge` old; when nothing fresh can be had, it is kept for that time again, then dropped.
 */
const makeSharedAddresses = Effect.gen(function* () {
  const policy = yield* Policy
  const book = yield* AddressBook
  const shared = yield* Ref.make<{
    readonly addresses: ReadonlyArray<GossipedAddress>
    readonly refreshAtMillis: number
  }>({
    addresses: [],
    refreshAtMillis: 0
  })
  const ageMillis = Duration.toMillis(policy.addrAnswerAge)
  return Effect.gen(function* () {
    const now = yield* Clock.currentTimeMillis
    const current = yield* Ref.get(shared)
    if (now < current.refreshAtMillis) return current.addresses
    const fresh = yield* book.gossip
    if (fresh.length > 0) {
      yield* Ref.set(shared, { addresses: fresh, refreshAtMillis: now + ageMillis })
      return fresh
    }
    return now < current.refreshAtMillis + ageMillis ? current.addresses : []
  })
})

/**
 * Starts what a peer's delivery sets off and answers at once, so that a `ping` behind it does not tell how long the
 * program looks at it. Unless too many of its group's deliveries are pending: that is overload, never silent success,
 * or one sender could hold every place unseen.
 *
 * Source: zebrad components/mempool/downloads.rs and components/inbound/downloads.rs, slots per peer.
 */
const makePending = Effect.fnUntraced(function* (limit: number) {
  const counts = new Map<string, number>()
  const running = yield* FiberSet.make<void>()

  const release = (sender: string) => {
    const left = (counts.get(sender) ?? 1) - 1
    if (left > 0) counts.set(sender, left)
    else counts.delete(sender)
  }

  return (source: Source | undefined, work: Effect.Effect<void, AnswerFailed> | undefined) =>
    Effect.suspend((): Effect.Effect<Response, Overloaded> => {
      if (work === undefined) return Effect.succeed(nil)
      const sender = source === undefined ? "" : limitKey(source.address)
      const count = counts.get(sender) ?? 0
      if (count >= limit) return Effect.fail(new Overloaded())
      counts.set(sender, count + 1)
      return work.pipe(
        Effect.catchCause((cause) => Effect.logInfo("the program failed on what a peer sent", cause)),
        Effect.ensuring(Effect.sync(() => release(sender))),
        // Started here and now: a fiber that is interrupted before it starts would never release its place.
        (guarded) => FiberSet.run(running, guarded, { startImmediately: true }),
        Effect.as(nil)
      )
    })
})
