/**
 * Watches what waits to be mined: a service on top of a node that hears of transactions and asks for them.
 *
 * Add it to a node, `MempoolWatcher.layer.pipe(Layer.provideMerge(Node.layer({ chain: mainnet })))`, and use it like any
 * service. `test-a-mempool-watcher.ts` shows how to test it.
 */
import { Context, Effect, Layer, PubSub, Stream } from "effect"
import { NodeAnswers, PeerSet, type Transaction, type TransactionId } from "network-effect"

/** Ids that are remembered: peers decide how many there are, so the oldest make room. */
const capacity = 10_000

export class MempoolWatcher extends Context.Service<
  MempoolWatcher,
  {
    /** How many transactions are known. */
    readonly count: Effect.Effect<number>
    /** Those that arrive from now on. A slow reader loses the oldest. */
    readonly transactions: Stream.Stream<Transaction.Transaction>
  }
>()("examples/MempoolWatcher") {
  static readonly layer = Layer.effect(
    MempoolWatcher,
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      const seen = new Set<TransactionId>()
      const arrived = yield* PubSub.sliding<Transaction.Transaction>(100)

      // One at a time: then a peer is asked that told of it.
      const ask = (id: TransactionId) =>
        peerSet.request({ _tag: "TransactionsById", ids: new Set([id]) }).pipe(
          Effect.timeout("20 seconds"),
          Effect.tap(({ items }) =>
            Effect.forEach(items, (item) =>
              item._tag === "Available" ? PubSub.publish(arrived, item.value) : Effect.void
            )
          ),
          // Nobody has it, or nobody answered: whoever tells of it next is asked again.
          Effect.catch(() => Effect.sync(() => seen.delete(id)))
        )

      const hear = (id: TransactionId) =>
        Effect.suspend(() => {
          if (seen.has(id)) return Effect.void
          const [oldest] = seen
          if (oldest !== undefined && seen.size >= capacity) seen.delete(oldest)
          seen.add(id)
          return ask(id)
        })

      yield* (yield* NodeAnswers).add({
        onTransactionIds: (ids) => Effect.forEach(ids, hear, { concurrency: 4, discard: true })
      })

      return MempoolWatcher.of({ count: Effect.sync(() => seen.size), transactions: Stream.fromPubSub(arrived) })
    })
  )
}
