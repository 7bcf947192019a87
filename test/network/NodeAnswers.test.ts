import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer, Option, References } from "effect"
import { TestClock } from "effect/testing"
import { AddressBook } from "../../src/addresses/AddressBook.ts"
import { BackgroundTasks } from "../../src/BackgroundTasks.ts"
import type { BlockHash } from "../../src/chain/Hash.ts"
import { type Answers, NodeAnswers } from "../../src/network/NodeAnswers.ts"
import { AnswerFailed, InboundRequests } from "../../src/peer/InboundRequests.ts"
import type { InboundRequest, Source } from "../../src/peer/Request.ts"
import type { Policy } from "../../src/Policy.ts"
import { block, hash, transaction, txId } from "../peer/items.ts"
import { address, bookWorld, gossiped, nowSeconds } from "../support/bookWorld.ts"
import { settle } from "../support/time.ts"
import { twoClocks } from "../support/twoClocks.ts"

const world = (answers: Answers = {}, policy: Partial<Policy> = {}) =>
  NodeAnswers.layerWith(answers).pipe(Layer.provideMerge(BackgroundTasks.layer), Layer.provideMerge(bookWorld(policy)))

const ask = (request: InboundRequest) => Effect.flatMap(InboundRequests, (requests) => requests.answer(request))

const from = (text: string): Source => ({ connection: 1, address: address(text) })
const advert = (text: string): InboundRequest => ({ _tag: "AdvertiseBlock", hash: hash(1), source: from(text) })

const quietly = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.provideService(effect, References.MinimumLogLevel, "None")

describe("a node without a chain", () => {
  it.effect("answers what it can: headers always, the rest with nothing or as missing", () =>
    Effect.gen(function* () {
      const hashes = new Set([hash(1), hash(2)])
      const nil = { _tag: "Nil" }
      assert.deepStrictEqual(yield* ask({ _tag: "BlocksByHash", hashes }), {
        _tag: "Blocks",
        items: [...hashes].map((id) => ({ _tag: "Missing", id }))
      } as never)
      assert.deepStrictEqual(yield* ask({ _tag: "FindBlocks", known: [], stop: undefined }), nil as never)
      assert.deepStrictEqual((yield* ask({ _tag: "FindHeaders", known: [], stop: undefined }))._tag, "BlockHeaders")
      assert.deepStrictEqual(yield* ask({ _tag: "MempoolTransactionIds" }), {
        _tag: "TransactionIds",
        ids: []
      } as never)
      assert.deepStrictEqual(yield* ask(advert("10.0.0.1:1")), nil as never)
      assert.deepStrictEqual(yield* ask({ _tag: "Peers" }), nil as never)
    }).pipe(Effect.provide(world()))
  )

  it.effect("tells all peers the same addresses for ten minutes, and nothing much older", () =>
    Effect.gen(function* () {
      const book = yield* AddressBook
      yield* TestClock.adjust("100 hours")
      const now = yield* nowSeconds
      yield* book.addGossiped(Array.from({ length: 40 }, (_, i) => gossiped(`10.0.0.${i}:8233`, now)))
      const first = yield* ask({ _tag: "Peers" })
      assert.strictEqual(first._tag === "Peers" ? first.addresses.length : 0, 20)
      yield* TestClock.adjust("599 seconds")
      assert.strictEqual(
        yield* Effect.map(ask({ _tag: "Peers" }), (answer) => JSON.stringify(answer, bigints)),
        JSON.stringify(first, bigints)
      )
      yield* TestClock.adjust("1 second")
      const second = yield* ask({ _tag: "Peers" })
      assert.notStrictEqual(JSON.stringify(second, bigints), JSON.stringify(first, bigints))
      // Three hours later nobody is worth telling of: the last answer is kept for a while, then dropped.
      yield* TestClock.adjust("3 hours")
      assert.deepStrictEqual(yield* ask({ _tag: "Peers" }), { _tag: "Nil" } as never)
    }).pipe(Effect.provide(world()))
  )

  it.effect("tells the last addresses for ten minutes more when there are no others, and then none", () =>
    Effect.gen(function* () {
      yield* TestClock.adjust("100 hours")
      const now = yield* nowSeconds
      // Told of for three hours, which are over.
      yield* (yield* AddressBook).addGossiped(
        Array.from({ length: 40 }, (_, i) => gossiped(`10.0.0.${i}:8233`, now - 10_800))
      )
      const told = Effect.map(ask({ _tag: "Peers" }), (answer) =>
        answer._tag === "Peers" ? answer.addresses.length : 0
      )
      const counts = [yield* told]
      for (const wait of ["600 seconds", "599999 millis", "1 millis"] as const) {
        yield* TestClock.adjust(wait)
        counts.push(yield* told)
      }
      assert.deepStrictEqual(counts, [20, 20, 20, 0])
      yield* (yield* AddressBook).addGossiped([gossiped("10.0.1.1:8233", now + 1200)])
      assert.strictEqual(yield* told, 1)
    }).pipe(Effect.provide(world()))
  )

  it.effect("tells others than ten minutes ago, whatever the wall clock was set to meanwhile", () => {
    const clocks = twoClocks(1_700_000_000)
    return Effect.gen(function* () {
      yield* (yield* AddressBook).addGossiped(
        Array.from({ length: 40 }, (_, i) => gossiped(`10.0.0.${i}:8233`, clocks.wallSeconds))
      )
      const told = Effect.map(ask({ _tag: "Peers" }), (answer) => JSON.stringify(answer, bigints))
      const first = yield* told
      clocks.pass(599)
      clocks.wallSeconds += 7200
      assert.strictEqual(yield* told, first)
      clocks.pass(1)
      clocks.wallSeconds -= 10_000
      assert.notStrictEqual(yield* told, first)
    }).pipe(Effect.provide(world()), clocks.provide)
  })
})

const bigints = (_key: string, value: unknown) => (typeof value === "bigint" ? String(value) : value)

describe("a node with a chain", () => {
  it.effect("answers as many blocks as one answer may hold, and keeps still about the others", () => {
    const looked: Array<BlockHash> = []
    const answers: Answers = {
      block: (hash) =>
        Effect.sync(() => {
          looked.push(hash)
          return looked.length === 2 ? Option.none() : Option.some(block(1))
        })
    }
    return Effect.gen(function* () {
      const hashes = new Set(Array.from({ length: 40 }, (_, i) => hash(i)))
      const answer = yield* ask({ _tag: "BlocksByHash", hashes })
      if (answer._tag !== "Blocks") return assert.fail(answer._tag)
      assert.strictEqual(answer.items.length, 16)
      assert.strictEqual(looked.length, 16)
      assert.deepStrictEqual(
        answer.items.map(({ _tag }) => _tag),
        ["Available", "Missing", ...Array.from({ length: 14 }, () => "Available")] as never
      )
    }).pipe(Effect.provide(world(answers)))
  })

  it.effect("stops when it has found enough bytes, to the byte", () =>
    Effect.gen(function* () {
      const { length } = block(1).bytes
      const found: Array<number> = []
      for (const bytesPerAnswer of [1, length, length + 1, 2 * length, 2 * length + 1]) {
        const answers = { block: () => Effect.succeed(Option.some(block(1))) }
        const answer = yield* Effect.provide(
          ask({ _tag: "BlocksByHash", hashes: new Set([hash(1), hash(2), hash(3)]) }),
          world(answers, { bytesPerAnswer })
        )
        found.push(answer._tag === "Blocks" ? answer.items.length : 0)
      }
      assert.deepStrictEqual(found, [1, 1, 2, 2, 3])
    })
  )

  it.effect("passes a failure on, and overrides one answer without the others", () => {
    const answers = { transaction: () => Effect.fail(new AnswerFailed({ cause: "the disk is gone" })) }
    return Effect.gen(function* () {
      const ids = new Set([transaction(1).id])
      const error = yield* Effect.flip(ask({ _tag: "TransactionsById", ids }))
      assert.strictEqual(error._tag, "AnswerFailed")
      assert.strictEqual((yield* ask({ _tag: "BlocksByHash", hashes: new Set([hash(1)]) }))._tag, "Blocks")
    }).pipe(Effect.provide(world(answers)))
  })
})

describe("what a program has added", () => {
  it.effect("is asked for as long as its scope, and what came before it for what it has not", () =>
    Effect.gen(function* () {
      const { add } = yield* NodeAnswers
      const heard: Array<string> = []
      const hears = (name: string) => ({ onBlock: () => Effect.sync(() => heard.push(name)) })
      const advertised = Effect.gen(function* () {
        heard.length = 0
        yield* ask(advert("10.0.0.1:1"))
        yield* settle
        return heard.toSorted()
      })
      /** Which of the first two blocks there are. */
      const isThere = Effect.map(
        ask({ _tag: "BlocksByHash", hashes: new Set([block(1).hash, block(2).hash]) }),
        (response) => (response._tag === "Blocks" ? response.items.map(({ _tag }) => _tag) : [])
      )
      const has = (n: number) => ({
        block: (hash: BlockHash) => Effect.succeed(hash === block(n).hash ? Option.some(block(n)) : Option.none())
      })
      yield* add({ ...hears("first"), ...has(2) })
      assert.deepStrictEqual(yield* advertised, ["first"])
      yield* Effect.scoped(
        Effect.gen(function* () {
          yield* add({ ...hears("second"), ...has(1) })
          assert.deepStrictEqual(yield* advertised, ["first", "second"])
          assert.deepStrictEqual(yield* isThere, ["Available", "Available"])
        })
      )
      assert.deepStrictEqual(yield* advertised, ["first"])
      assert.deepStrictEqual(yield* isThere, ["Missing", "Available"])
    }).pipe(Effect.scoped, Effect.provide(world()))
  )
})

describe("a node with a chain and a mempool", () => {
  it.effect("answers with what the program has, as much as fits into one answer", () => {
    const known = [hash(7), hash(8)]
    const asked: Array<unknown> = []
    const answers: Answers = {
      transaction: (id) => Effect.succeed(id === transaction(1).id ? Option.some(transaction(1)) : Option.none()),
      findBlocks: (from, stop) =>
        Effect.sync(() => {
          asked.push([from, stop])
          return stop === undefined ? [] : Array.from({ length: 501 }, (_, n) => hash(n))
        }),
      findHeaders: (from, stop) =>
        Effect.sync(() => {
          asked.push([from, stop])
          return Array.from({ length: 161 }, () => block(1).header)
        }),
      mempool: Effect.succeed(Array.from({ length: 25_001 }, (_, n) => txId(n)))
    }
    return Effect.gen(function* () {
      const ids = new Set([transaction(1).id, transaction(2).id])
      const found = yield* ask({ _tag: "TransactionsById", ids })
      if (found._tag !== "Transactions") return assert.fail(found._tag)
      assert.deepStrictEqual(
        found.items.map((item) => (item._tag === "Available" ? item.value.id : item.id)),
        [...ids]
      )
      assert.deepStrictEqual(
        found.items.map(({ _tag }) => _tag),
        ["Available", "Missing"]
      )
      const hashes = yield* ask({ _tag: "FindBlocks", known, stop: hash(9) })
      assert.strictEqual(hashes._tag === "BlockHashes" ? hashes.hashes.length : 0, 500)
      assert.strictEqual((yield* ask({ _tag: "FindBlocks", known, stop: undefined }))._tag, "Nil")
      const headers = yield* ask({ _tag: "FindHeaders", known, stop: undefined })
      assert.strictEqual(headers._tag === "BlockHeaders" ? headers.headers.length : 0, 160)
      assert.deepStrictEqual(asked, [
        [known, hash(9)],
        [known, undefined],
        [known, undefined]
      ])
      const mempool = yield* ask({ _tag: "MempoolTransactionIds" })
      assert.strictEqual(mempool._tag === "TransactionIds" ? mempool.ids.length : 0, 25_000)
    }).pipe(Effect.provide(world(answers)))
  })

  it.effect("says nothing to whoever asks for nothing", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* ask({ _tag: "BlocksByHash", hashes: new Set() }))._tag, "Nil")
      assert.strictEqual((yield* ask({ _tag: "TransactionsById", ids: new Set() }))._tag, "Nil")
    }).pipe(Effect.provide(world()))
  )
})

describe("what peers deliver", () => {
  it.effect("reaches the program with its sender: a transaction, ids, and a block's hash", () => {
    const heard: Array<unknown> = []
    const hears = (...what: ReadonlyArray<unknown>) => Effect.sync(() => heard.push(what))
    const source = from("10.0.0.1:1")
    const ids = new Set([txId(1), txId(2)])
    return Effect.gen(function* () {
      yield* ask({ _tag: "PushTransaction", transaction: transaction(1), source })
      yield* ask({ _tag: "AdvertiseTransactionIds", ids, source })
      yield* ask({ _tag: "AdvertiseBlock", hash: hash(1), source })
      yield* settle
      assert.deepStrictEqual(heard, [
        ["transaction", transaction(1).id, source],
        ["ids", ids, source],
        ["block", hash(1), source]
      ])
    }).pipe(
      Effect.provide(
        world({
          onTransaction: ({ id }, source) => hears("transaction", id, source),
          onTransactionIds: (ids, source) => hears("ids", ids, source),
          onBlock: (hash, source) => hears("block", hash, source)
        })
      )
    )
  })

  it.effect("is nothing to a program that wants blocks only", () => {
    const source = from("10.0.0.1:1")
    return Effect.gen(function* () {
      const pushed = yield* ask({ _tag: "PushTransaction", transaction: transaction(1), source })
      const listed = yield* ask({ _tag: "AdvertiseTransactionIds", ids: new Set([txId(1)]), source })
      assert.deepStrictEqual([pushed._tag, listed._tag], ["Nil", "Nil"])
    }).pipe(Effect.provide(world({ onBlock: () => Effect.never })))
  })

  it.effect("is looked at beside the connection, five of one host at a time, and other hosts have their own", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      let begun = 0
      const answers = {
        onBlock: () =>
          Effect.andThen(
            Effect.sync(() => begun++),
            Deferred.await(gate)
          )
      }
      yield* Effect.gen(function* () {
        for (let n = 0; n < 5; n++) assert.strictEqual((yield* ask(advert(`10.0.0.1:${n + 1}`)))._tag, "Nil")
        assert.strictEqual((yield* Effect.flip(ask(advert("10.0.0.1:9"))))._tag, "Overloaded")
        assert.strictEqual((yield* ask(advert("10.0.0.2:1")))._tag, "Nil")
        assert.strictEqual(begun, 6)
        yield* Deferred.succeed(gate, undefined)
        yield* settle
        assert.strictEqual((yield* ask(advert("10.0.0.1:9")))._tag, "Nil")
      }).pipe(Effect.provide(world(answers)))
    })
  )

  it.effect("frees one place with each that was looked at, and no more", () =>
    Effect.gen(function* () {
      const gates = yield* Effect.forEach([0, 1, 2, 3, 4, 5, 6, 7], () => Deferred.make<void>())
      let begun = 0
      const answers = { onBlock: () => Effect.suspend(() => Deferred.await(gates[begun++]!)) }
      yield* Effect.gen(function* () {
        for (let n = 0; n < 5; n++) yield* ask(advert("10.0.0.1:1"))
        for (const done of [0, 1]) {
          yield* Deferred.succeed(gates[done]!, undefined)
          yield* settle
          assert.strictEqual((yield* ask(advert("10.0.0.1:1")))._tag, "Nil")
          assert.strictEqual((yield* Effect.flip(ask(advert("10.0.0.1:1"))))._tag, "Overloaded")
        }
        for (const gate of gates) yield* Deferred.succeed(gate, undefined)
        yield* settle
        assert.strictEqual((yield* ask(advert("10.0.0.1:1")))._tag, "Nil")
        assert.strictEqual(begun, 8)
      }).pipe(Effect.provide(world(answers)))
    })
  )

  it.effect("frees its place also when the program fails or dies on it", () =>
    Effect.gen(function* () {
      for (let n = 0; n < 20; n++) {
        assert.strictEqual((yield* ask(advert("10.0.0.1:1")))._tag, "Nil")
        yield* settle
      }
    }).pipe(Effect.provide(world({ onBlock: () => Effect.die(new Error("a bug")) })), quietly)
  )

  it.effect("is too much when as much is being answered as may be", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const answers = { block: () => Effect.as(Deferred.await(gate), Option.none()) }
      yield* Effect.gen(function* () {
        const request: InboundRequest = { _tag: "BlocksByHash", hashes: new Set([hash(1)]) }
        const first = yield* Effect.forkChild(ask(request), { startImmediately: true })
        assert.strictEqual((yield* Effect.flip(ask(request)))._tag, "Overloaded")
        yield* Deferred.succeed(gate, undefined)
        assert.strictEqual((yield* Fiber.join(first))._tag, "Blocks")
        assert.strictEqual((yield* ask(request))._tag, "Blocks")
      }).pipe(Effect.provide(world(answers, { inboundConcurrency: 1 })))
    })
  )
})
