/**
 * Tests a service of your own: with peers that the test makes up, then between two nodes of a simulated network.
 *
 *     node scripts/examples/test-a-mempool-watcher.ts
 */
import { strictEqual } from "node:assert"
import { Console, Context, Effect, Fiber, Layer, Option, References, Result, Stream } from "effect"
import {
  Hash,
  InboundRequests,
  Network,
  NodeAnswers,
  PeerSet,
  PeerSocketAddress,
  regtest,
  Transaction,
  type TransactionId
} from "network-effect"
import { Simulated } from "network-effect/layers"
import { SimNetwork, SimRuntime } from "network-effect/simulation"
import { MempoolWatcher } from "./mempool-watcher.ts"

/** Spends one output into another, and is the shortest there is: only its form is looked at here. */
const input = `${"11".repeat(32)}0000000000ffffffff`
const bytes = Buffer.from(`0100000001${input}01${"00".repeat(8)}0000000000`, "hex")
const transaction = Result.getOrThrow(Transaction.Transaction.decode(bytes))

/** Names a transaction that nobody has. */
const unknown = Option.getOrThrow(Hash.transactionIdFromString("f".repeat(64)))

const advert = (...ids: ReadonlyArray<TransactionId>) =>
  ({ _tag: "AdvertiseTransactionIds", ids: new Set(ids), source: undefined }) as const

/** What the watcher says once the transaction has arrived that `tell` makes it hear of. */
const watched = (watcher: MempoolWatcher["Service"], tell: Effect.Effect<unknown, unknown>) =>
  Effect.gen(function* () {
    const arrival = yield* Effect.forkChild(Stream.runHead(watcher.transactions), { startImmediately: true })
    yield* tell
    const arrived = yield* Fiber.join(arrival)
    strictEqual(Option.getOrThrow(arrived).id, transaction.id)
    return yield* watcher.count
  })

let asked = 0
const withMocks = Effect.gen(function* () {
  const { answer } = yield* InboundRequests
  const heard = answer(advert(transaction.id))
  const count = yield* watched(yield* MempoolWatcher, Effect.andThen(heard, heard))
  yield* Console.log(`made up: asked ${asked} time, knows ${count}`)
}).pipe(
  Effect.provide(
    MempoolWatcher.layer.pipe(
      Layer.provideMerge(NodeAnswers.layerTest),
      Layer.provide(
        PeerSet.layerTest({
          request: {
            TransactionsById: () =>
              Effect.sync(() => {
                asked++
                return { _tag: "Transactions", items: [{ _tag: "Available", value: transaction, source: undefined }] }
              })
          }
        })
      )
    )
  )
)

const alice = PeerSocketAddress.fromStringUnsafe("10.0.1.1:18233")
const bob = PeerSocketAddress.fromStringUnsafe("10.0.2.1:18233")

const simulated = Effect.gen(function* () {
  const other = yield* Layer.build(
    NodeAnswers.layerAdd({
      transaction: (id) => Effect.succeed(id === transaction.id ? Option.some(transaction) : Option.none())
    }).pipe(Layer.provideMerge(Simulated.layer({ chain: regtest, host: bob, listenAddress: bob, seed: 1 })))
  )
  const own = yield* Layer.build(
    MempoolWatcher.layer.pipe(
      Layer.provideMerge(Simulated.layer({ chain: regtest, host: alice, peers: [bob], seed: 1 }))
    )
  )
  yield* Context.get(own, Network).awaitReady({ peers: 1 })
  const tell = Context.get(other, PeerSet).request(advert(unknown, transaction.id))
  const count = yield* watched(Context.get(own, MempoolWatcher), tell)
  yield* Console.log(`simulated: knows ${count}`)
}).pipe(Effect.scoped, Effect.provide(SimNetwork.layer))

await Effect.runPromise(
  Effect.andThen(withMocks, simulated).pipe(
    // What a node says of itself.
    Effect.provideService(References.MinimumLogLevel, "Warn"),
    // The clock moves by itself. What waits for ever fails, and says who sleeps until when.
    SimRuntime.within("10 minutes")
  )
)
