/**
 * How a node answers its peers: addresses from the book, blocks and transactions from the program, if it has any.
 *
 * A program adds what it has an answer for, when it is ready to give it: `yield* (yield* NodeAnswers).add({ block: … })`. What
 * its answers need is taken from where it adds them, so they may ask the network themselves. The limits are kept here, so a
 * program cannot forget them: how much one answer may hold, how many items of one sender may be pending, how many requests
 * are answered at the same time.
 *
 * @module
 */
import { Context, Duration, Effect, FiberSet, Layer, Option, Ref, Scope, Semaphore } from "effect"
import { limitKey } from "../addresses/AddressRules.ts"
import { AddressBook } from "../addresses/AddressBook.ts"
import { BackgroundTasks, type TaskNameTaken } from "../BackgroundTasks.ts"
import type { Block, BlockHeader } from "../chain/Block.ts"
import type { BlockHash, TransactionId } from "../chain/Hash.ts"
import type { Transaction } from "../chain/Transaction.ts"
import * as LimitedLog from "../LimitedLog.ts"
import * as Monotonic from "../Monotonic.ts"
import { AnswerFailed, InboundRequests, Overloaded } from "../peer/InboundRequests.ts"
import type { InboundRequest, InventoryResponse, Response, Source } from "../peer/Request.ts"
import { Policy } from "../Policy.ts"
import type { GossipedAddress } from "../wire/AddressCodec.ts"

/** What a program can answer. Leave out what it has no answer for: the peer then hears that we lack it, or nothing. */
export interface Answers<R = never> {
  /** A block of ours; `None` tells the peer that we lack it. */
  readonly block?: (hash: BlockHash) => Effect.Effect<Option.Option<Block>, AnswerFailed, R>
  /** A transaction of ours, by either kind of id; `None` tells the peer that we lack it. */
  readonly transaction?: (id: TransactionId) => Effect.Effect<Option.Option<Transaction>, AnswerFailed, R>
  /** Up to 500 hashes after the first known one on the best chain; none says nothing. */
  readonly findBlocks?: (
    known: ReadonlyArray<BlockHash>,
    stop: BlockHash | undefined
  ) => Effect.Effect<ReadonlyArray<BlockHash>, AnswerFailed, R>
  /** Up to 160 headers; none is an answer too. */
  readonly findHeaders?: (
    known: ReadonlyArray<BlockHash>,
    stop: BlockHash | undefined
  ) => Effect.Effect<ReadonlyArray<BlockHeader>, AnswerFailed, R>
  /** What waits to be mined here; at most 25,000 ids are sent. */
  readonly mempool?: Effect.Effect<ReadonlyArray<TransactionId>, AnswerFailed, R>
  /**
   * A peer pushed a transaction. Runs beside the connection; one of its sender's `Policy.pendingItemsPerSender` places
   * stays taken until it ends.
   */
  readonly onTransaction?: (
    transaction: Transaction,
    source: Source | undefined
  ) => Effect.Effect<void, AnswerFailed, R>
  /**
   * A peer advertised transactions; runs like `onTransaction`. Ask for one at a time, `PeerSet.request` with
   * `TransactionsById`: then somebody is asked who advertised it.
   */
  readonly onTransactionIds?: (
    ids: ReadonlySet<TransactionId>,
    source: Source | undefined
  ) => Effect.Effect<void, AnswerFailed, R>
  /** A peer advertised a block; runs like `onTransaction`. */
  readonly onBlock?: (hash: BlockHash, source: Source | undefined) => Effect.Effect<void, AnswerFailed, R>
}

/** Takes what programs have an answer for. */
export class NodeAnswers extends Context.Service<
  NodeAnswers,
  {
    /**
     * Answers with these too, for as long as the scope. What several programs have an answer for is asked of the one that
     * came last, and of the one before when it has no such block or transaction; all of them hear what peers push and
     * advertise. A program that knows nothing yet adds nothing yet.
     */
    readonly add: <R>(answers: Answers<R>) => Effect.Effect<void, never, R | Scope.Scope>
  }
>()("network-effect/network/NodeAnswers") {
  /** Answers from the book, and from whatever is added. */
  static readonly layer: Layer.Layer<NodeAnswers | InboundRequests, TaskNameTaken, AddressBook | BackgroundTasks> =
    Layer.effectContext(Effect.gen(make))

  /** Adds answers to a node for as long as the layer lives. */
  static readonly layerAdd = <R>(
    answers: Answers<R>
  ): Layer.Layer<never, never, NodeAnswers | Exclude<R, Scope.Scope>> =>
    Layer.effectDiscard(Effect.flatMap(NodeAnswers, ({ add }) => add(answers)))

  /** The same as `layer`, with some answers from the start. */
  static readonly layerWith = <R>(
    answers: Answers<R>
  ): Layer.Layer<
    NodeAnswers | InboundRequests,
    TaskNameTaken,
    AddressBook | BackgroundTasks | Exclude<Exclude<R, Scope.Scope>, NodeAnswers | InboundRequests>
  > => NodeAnswers.layerAdd(answers).pipe(Layer.provideMerge(NodeAnswers.layer))

  /**
   * Answers without a node, which knows no addresses: a test says what a peer would say, and sees what it would hear.
   *
   *     yield* (yield* InboundRequests).answer({ _tag: "AdvertiseTransactionIds", ids, source: undefined })
   */
  static readonly layerTest: Layer.Layer<NodeAnswers | InboundRequests | BackgroundTasks> = Layer.orDie(
    NodeAnswers.layer.pipe(
      Layer.provide(AddressBook.layerTest({ gossip: Effect.succeed([]) })),
      Layer.provideMerge(BackgroundTasks.layer)
    )
  )
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

function* make() {
  const policy = yield* Policy
  const sharedAddresses = yield* makeSharedAddresses
  const busy = yield* Semaphore.make(policy.inboundConcurrency)
  const pending = yield* makePending(policy.pendingItemsPerSender)
  /** The latest first. */
  let added: ReadonlyArray<Answers> = []

  const add = <R>(answers: Answers<R>) =>
    Effect.flatMap(Effect.context<R>(), (context) => {
      const own = withContext(answers, context)
      return Effect.asVoid(
        Effect.acquireRelease(
          Effect.sync(() => {
            added = [own, ...added]
          }),
          () =>
            Effect.sync(() => {
              added = added.filter((other) => other !== own)
            })
        )
      )
    })

  /** What the first of them has that has it. */
  const firstOf = <A>(
    lookUps: ReadonlyArray<Effect.Effect<Option.Option<A>, AnswerFailed> | undefined>
  ): Effect.Effect<Option.Option<A>, AnswerFailed> =>
    lookUps.reduceRight<Effect.Effect<Option.Option<A>, AnswerFailed>>(
      (others, lookUp) =>
        lookUp === undefined
          ? others
          : Effect.flatMap(lookUp, (found) => (Option.isSome(found) ? Effect.succeed(found) : others)),
      Effect.succeedNone
    )

  /** The latest one's answer of a kind, if any has one. */
  const latest = <A>(pick: (answers: Answers) => A | undefined): A | undefined => {
    for (const answers of added) {
      const picked = pick(answers)
      if (picked !== undefined) return picked
    }
    return undefined
  }

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
          collect(request.hashes, policy.blocksPerAnswer, (hash) => firstOf(added.map(({ block }) => block?.(hash)))),
          (items): Response => ({ _tag: "Blocks", items })
        )
      case "TransactionsById":
        if (request.ids.size === 0) return Effect.succeed(nil)
        return Effect.map(
          collect(request.ids, maxTransactionIds, (id) => firstOf(added.map(({ transaction }) => transaction?.(id)))),
          (items): Response => ({ _tag: "Transactions", items })
        )
      case "FindBlocks": {
        const findBlocks = latest((answers) => answers.findBlocks)
        return findBlocks === undefined
          ? Effect.succeed(nil)
          : Effect.map(findBlocks(request.known, request.stop), (hashes): Response =>
              hashes.length === 0
                ? nil
                : { _tag: "BlockHashes", hashes: hashes.slice(0, maxBlockHashes), source: undefined }
            )
      }
      case "FindHeaders":
        // Always an answer: a missing one stalls zcashd peers.
        return Effect.map(
          latest((answers) => answers.findHeaders)?.(request.known, request.stop) ?? Effect.succeed([]),
          (headers): Response => ({
            _tag: "BlockHeaders",
            headers: headers.slice(0, maxHeaders),
            source: undefined
          })
        )
      case "MempoolTransactionIds":
        return Effect.map(latest((answers) => answers.mempool) ?? Effect.succeed([]), (ids): Response => ({
          _tag: "TransactionIds",
          ids: ids.slice(0, maxTransactionIds)
        }))
      case "PushTransaction":
        return pending(
          request.source,
          added.flatMap(({ onTransaction }) =>
            onTransaction === undefined ? [] : () => onTransaction(request.transaction, request.source)
          )
        )
      case "AdvertiseTransactionIds":
        return pending(
          request.source,
          added.flatMap(({ onTransactionIds }) =>
            onTransactionIds === undefined ? [] : () => onTransactionIds(request.ids, request.source)
          )
        )
      case "AdvertiseBlock":
        return pending(
          request.source,
          added.flatMap(({ onBlock }) => (onBlock === undefined ? [] : () => onBlock(request.hash, request.source)))
        )
    }
  }

  const answer = (request: InboundRequest) =>
    Effect.flatMap(
      busy.withPermitsIfAvailable(1)(respond(request)),
      Option.match({ onNone: () => Effect.fail(new Overloaded()), onSome: Effect.succeed })
    )

  return Context.make(InboundRequests, InboundRequests.of({ answer })).pipe(
    Context.add(NodeAnswers, NodeAnswers.of({ add }))
  )
}

/** The same answers with what they need. */
const withContext = <R>(answers: Answers<R>, context: Context.Context<R>): Answers => {
  const provide = <A, E>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E> => Effect.provideContext(effect, context)
  const { block, findBlocks, findHeaders, mempool, onBlock, onTransaction, onTransactionIds, transaction } = answers
  return {
    ...(block && { block: (hash) => provide(block(hash)) }),
    ...(transaction && { transaction: (id) => provide(transaction(id)) }),
    ...(findBlocks && { findBlocks: (known, stop) => provide(findBlocks(known, stop)) }),
    ...(findHeaders && { findHeaders: (known, stop) => provide(findHeaders(known, stop)) }),
    ...(mempool && { mempool: provide(mempool) }),
    ...(onTransaction && { onTransaction: (transaction, source) => provide(onTransaction(transaction, source)) }),
    ...(onTransactionIds && { onTransactionIds: (ids, source) => provide(onTransactionIds(ids, source)) }),
    ...(onBlock && { onBlock: (hash, source) => provide(onBlock(hash, source)) })
  }
}

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
    refreshAtMillis: Number.NEGATIVE_INFINITY
  })
  const ageMillis = Duration.toMillis(policy.addrAnswerAge)
  return Effect.gen(function* () {
    const now = yield* Monotonic.millis
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
  const { statusLogInterval } = yield* Policy
  const tasks = yield* BackgroundTasks
  const limited = LimitedLog.make(statusLogInterval)
  const counts = new Map<string, number>()
  const running = yield* FiberSet.make<void>().pipe(Scope.provide(tasks.scope))
  yield* tasks.run("answers", Effect.andThen(FiberSet.join(running), Effect.never))

  const release = (sender: string) => {
    const left = (counts.get(sender) ?? 1) - 1
    if (left > 0) counts.set(sender, left)
    else counts.delete(sender)
  }

  /** One that fails, or throws, keeps no other from hearing of it. */
  const guarded = (handler: () => Effect.Effect<void, AnswerFailed>) =>
    Effect.catchCause(Effect.suspend(handler), (cause) =>
      limited("failed", Effect.logInfo("the program failed on what a peer sent", cause))
    )

  return (source: Source | undefined, handlers: ReadonlyArray<() => Effect.Effect<void, AnswerFailed>>) =>
    Effect.suspend((): Effect.Effect<Response, Overloaded> => {
      if (handlers.length === 0) return Effect.succeed(nil)
      const sender = source === undefined ? "" : limitKey(source.address)
      const count = counts.get(sender) ?? 0
      if (count >= limit) return Effect.fail(new Overloaded())
      counts.set(sender, count + 1)
      return Effect.forEach(handlers, guarded, { discard: true }).pipe(
        Effect.ensuring(Effect.sync(() => release(sender))),
        // Started here and now: a fiber that is interrupted before it starts would never release its place.
        (work) => FiberSet.run(running, work, { startImmediately: true }),
        Effect.as(nil)
      )
    })
})
