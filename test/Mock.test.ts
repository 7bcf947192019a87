/** Services that a test makes up: what is given is used, and whatever is missing says so when it is used. */
import { assert, describe, it } from "@effect/vitest"
import { Cause, Effect, Exit, Layer, Option, Stream } from "effect"
import {
  AddressBook,
  Hash,
  InboundRequests,
  Network,
  NetworkClosed,
  NodeAnswers,
  NotFoundResponse,
  NotMocked,
  PeerSet,
  RequestError,
  type TransactionId
} from "network-effect"

/** The sentence an effect ends with. */
const sentence = <A, E>(effect: Effect.Effect<A, E>) =>
  Effect.map(Effect.exit(effect), (exit) => {
    if (Exit.isSuccess(exit)) return "nothing is missing"
    const defect = Cause.squash(exit.cause)
    return defect instanceof NotMocked ? defect.message : `not what was expected: ${String(defect)}`
  })

const without = (member: string, given = `${member}: …`) =>
  `The test uses Network.${member}, which its mock does not have: Network.layerTest({ ${given} }).`

const ask = Effect.flatMap(Network, (network) => network.request({ _tag: "Peers" }))

describe("a mock of Network", () => {
  it.effect("has what it is given, and nothing else is needed", () =>
    Effect.gen(function* () {
      const network = yield* Network
      assert.deepStrictEqual(yield* network.request({ _tag: "Peers" }), { _tag: "Peers", addresses: [] })
      assert.deepStrictEqual(yield* Stream.runCollect(network.events), [])
      assert.deepStrictEqual(network.listenAddress, Option.none())
    }).pipe(
      Effect.provide(
        Network.layerTest({
          listenAddress: Option.none(),
          events: Stream.empty,
          request: { Peers: () => Effect.succeed({ _tag: "Peers", addresses: [] }) }
        })
      )
    )
  )

  it.effect("gives requests to the answer of their tag, with their options, and hands its failure on", () => {
    const id = Option.getOrThrow(Hash.transactionIdFromString("1".repeat(64)))
    const asked: Array<TransactionId | number> = []
    return Effect.gen(function* () {
      const network = yield* Network
      const request = { _tag: "TransactionsById", ids: new Set([id]) } as const
      const missing = yield* network.request(request, { exclude: new Set([7]) }).pipe(
        Effect.as("found"),
        Effect.catchReason("RequestError", "NotFoundResponse", ({ _tag }) => Effect.succeed(_tag))
      )
      assert.strictEqual(missing, "NotFoundResponse")
      assert.deepStrictEqual(asked, [id, 7])
    }).pipe(
      Effect.provide(
        Network.layerTest({
          request: {
            TransactionsById: ({ ids }, options) =>
              Effect.suspend(() => {
                asked.push(...ids, ...(options?.exclude ?? []))
                return Effect.fail(new RequestError({ reason: new NotFoundResponse({ hashes: [] }) }))
              })
          }
        })
      )
    )
  })

  it.effect("says in one sentence what it was not given, when that is used and not before", () =>
    Effect.gen(function* () {
      const network = yield* Network
      const used: ReadonlyArray<readonly [string, () => Effect.Effect<unknown, unknown>]> = [
        ["request", () => network.request({ _tag: "Peers" })],
        ["awaitStarted", () => network.awaitStarted],
        ["awaitReady", () => network.awaitReady({ peers: 1 })],
        ["awaitEnd", () => network.awaitEnd],
        ["events", () => Stream.runDrain(network.events)],
        ["listenAddress", () => Effect.sync(() => Option.isSome(network.listenAddress))],
        ["addressBook", () => Effect.suspend(() => network.addressBook.entries)]
      ]
      for (const [member, use] of used) assert.strictEqual(yield* sentence(Effect.suspend(use)), without(member))
      // Describing is not using.
      const described = [network.awaitStarted, network.events, network.awaitReady({ peers: 1 })]
      assert.lengthOf(described, 3)
    }).pipe(Effect.provide(Network.layerTest({})))
  )

  it.effect("names the request that it has no answer for", () =>
    Effect.gen(function* () {
      const mock = Network.layerTest({ request: { FindBlocks: () => Effect.never } })
      const found = yield* sentence(Effect.provide(ask, mock))
      assert.strictEqual(found, without(`request of "Peers"`, "request: { Peers: … }"))
    })
  )
})

describe("a mock of PeerSet", () => {
  it.effect("has what it is given and says what it was not given", () =>
    Effect.gen(function* () {
      const peerSet = yield* PeerSet
      assert.deepStrictEqual((yield* peerSet.counts).ready, 2)
      const { message } = yield* Effect.flip(peerSet.awaitPeers({ peers: 1 }))
      assert.strictEqual(message, new NetworkClosed().message)
      assert.include(yield* sentence(peerSet.request({ _tag: "Peers" })), `PeerSet.request of "Peers"`)
      assert.throws(() => peerSet.peersUnsafe(), "The test uses PeerSet.peersUnsafe,")
      assert.throws(() => peerSet.demand.takeUnsafe(), "The test uses PeerSet.demand,")
    }).pipe(
      Effect.provide(
        PeerSet.layerTest({
          request: {},
          counts: Effect.succeed({ ready: 2, busy: 0, inbound: 0, outbound: 2 }),
          awaitPeers: () => Effect.fail(new NetworkClosed())
        })
      )
    )
  )
})

describe("a mock of AddressBook", () => {
  it.effect("makes one of Network complete", () =>
    Effect.gen(function* () {
      const { addressBook } = yield* Network
      assert.strictEqual(yield* addressBook.readyCount, 3)
      assert.include(yield* sentence(addressBook.entries), "The test uses AddressBook.entries,")
      assert.throws(() => addressBook.metrics.getUnsafe(), "The test uses AddressBook.metrics,")
    }).pipe(
      Effect.provide(
        Layer.unwrap(Effect.map(AddressBook, (addressBook) => Network.layerTest({ addressBook }))).pipe(
          Layer.provide(AddressBook.layerTest({ readyCount: Effect.succeed(3) }))
        )
      )
    )
  )
})

describe("answers without a node", () => {
  it.effect("are asked as a peer would ask", () =>
    Effect.gen(function* () {
      const { answer } = yield* InboundRequests
      assert.deepStrictEqual(yield* answer({ _tag: "Peers" }), { _tag: "Nil" })
      const id = Option.getOrThrow(Hash.transactionIdFromString("2".repeat(64)))
      yield* (yield* NodeAnswers).add({ mempool: Effect.succeed([id]) })
      assert.deepStrictEqual(yield* answer({ _tag: "MempoolTransactionIds" }), { _tag: "TransactionIds", ids: [id] })
    }).pipe(Effect.scoped, Effect.provide(NodeAnswers.layerTest))
  )
})
