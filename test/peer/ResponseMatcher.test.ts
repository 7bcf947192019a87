import { assert, describe, it } from "@effect/vitest"
import { Duration, Exit, Schema } from "effect"
import { BlockHeader } from "../../src/chain/Block.ts"
import type { TransactionId, WtxId } from "../../src/chain/Hash.ts"
import { ConnectionReceiveTimeout, NotFoundResponse } from "../../src/peer/Peer.ts"
import type { Ping, Request, Response, Source } from "../../src/peer/Request.ts"
import { ask, missingIn, type Verdict } from "../../src/peer/ResponseMatcher.ts"
import { type InventoryItem, Message } from "../../src/wire/Message.ts"
import { bob } from "../support/addresses.ts"
import { block, blockItem, hash, transaction, txId, txItem, witnessed, wtxId, wtxItem } from "./items.ts"

const source: Source = { connection: 7, address: bob }
const later = 5_000_000n

/** What each message is to the request, one after the other. */
const verdicts = (request: Request | Ping, ...messages: ReadonlyArray<Message>): ReadonlyArray<Verdict> => {
  const { matcher } = ask(request, source, 0n)
  assert(matcher !== undefined)
  return messages.map((message) => matcher(message, later))
}

const tags = (request: Request | Ping, ...messages: ReadonlyArray<Message>) =>
  verdicts(request, ...messages).map(({ _tag }) => _tag)

const answered = (response: Response): Verdict => ({ _tag: "Answered", response })
const unrelated: Verdict = { _tag: "Unrelated" }
const consumed: Verdict = { _tag: "Consumed" }

const inv = (...items: ReadonlyArray<InventoryItem>) => Message.Inv({ items })
const notFound = (...items: ReadonlyArray<InventoryItem>) => Message.NotFound({ items })
const blockMessage = (n: number) => Message.Block({ block: block(n) })
const tx = (n: number) => Message.Tx({ transaction: transaction(n) })

const available = <A>(value: A) => ({ _tag: "Available", value, source }) as const
const missing = <Id>(id: Id) => ({ _tag: "Missing", id }) as const

const blocks = (...ns: ReadonlyArray<number>): Request => ({
  _tag: "BlocksByHash",
  hashes: new Set(ns.map((n) => block(n).hash))
})
const transactions = (...ids: ReadonlyArray<TransactionId>): Request => ({
  _tag: "TransactionsById",
  ids: new Set(ids)
})
const findBlocks: Request = { _tag: "FindBlocks", known: [hash(1)], stop: undefined }
const findHeaders: Request = { _tag: "FindHeaders", known: [hash(1)], stop: hash(2) }
const mempool: Request = { _tag: "MempoolTransactionIds" }

/** Well formed and, unless a test is about one of them, no answer to anything. */
const chatter: ReadonlyArray<Message> = [
  Message.Ping({ nonce: 1n }),
  Message.Reject({ message: "tx", code: 1, reason: "" }),
  Message.GetAddr(),
  Message.GetBlocks({ known: [], stop: undefined }),
  Message.GetHeaders({ known: [], stop: undefined }),
  Message.GetData({ items: [blockItem(hash(1))] }),
  Message.Mempool(),
  Message.FilterClear()
]

describe("what is sent for a request (peer 65)", () => {
  it.each([
    [{ _tag: "Peers" }, Message.GetAddr()],
    [{ _tag: "Ping", nonce: 9n }, Message.Ping({ nonce: 9n })],
    [blocks(1, 2), Message.GetData({ items: [blockItem(block(1).hash), blockItem(block(2).hash)] })],
    [{ _tag: "BlockDownload", hash: hash(3), advertiser: bob }, Message.GetData({ items: [blockItem(hash(3))] })],
    [transactions(txId(1), wtxId(2)), Message.GetData({ items: [txItem(txId(1)), wtxItem(wtxId(2))] })],
    [findBlocks, Message.GetBlocks({ known: [hash(1)], stop: undefined })],
    [findHeaders, Message.GetHeaders({ known: [hash(1)], stop: hash(2) })],
    [mempool, Message.Mempool()],
    [{ _tag: "PushTransaction", transaction: transaction(1), source: undefined }, tx(1)],
    [{ _tag: "AdvertiseTransactionIds", ids: new Set([txId(1)]), source }, inv(txItem(txId(1)))]
  ] as ReadonlyArray<[Request | Ping, Message]>)("$0._tag", (request, message) => {
    assert.deepStrictEqual(ask(request, source, 0n).message, message)
  })

  it("names at most 25,000 transactions, the first ones", () => {
    const ids = new Set(Array.from({ length: 25_001 }, (_, n) => txId(n)))
    const { matcher, message } = ask({ _tag: "AdvertiseTransactionIds", ids, source: undefined }, source, 0n)
    assert.strictEqual(matcher, undefined)
    assert(message._tag === "Inv")
    assert.strictEqual(message.items.length, 25_000)
    assert.deepStrictEqual(message.items.at(-1), txItem(txId(24_999)))
  })
})

describe("an answer (peer 65)", () => {
  it.each([
    { _tag: "Peers" },
    { _tag: "Ping", nonce: 1n },
    blocks(1),
    { _tag: "BlockDownload", hash: hash(3), advertiser: undefined },
    transactions(txId(1)),
    findBlocks,
    findHeaders,
    mempool
  ] as ReadonlyArray<Request | Ping>)("to $_tag is never something the peer asks or says by itself", (request) => {
    assert.deepStrictEqual(
      verdicts(request, ...chatter),
      chatter.map(() => unrelated)
    )
  })

  it("to Peers is any addr, for the cache to choose from", () => {
    const addresses = [{ address: bob, services: 1n, lastSeenSeconds: 1 }]
    assert.deepStrictEqual(verdicts({ _tag: "Peers" }, inv(), Message.Addr({ addresses })), [
      unrelated,
      { _tag: "Addresses", addresses }
    ])
  })

  it("to Ping is the pong with its nonce; another one is swallowed", () => {
    const [other, own] = verdicts({ _tag: "Ping", nonce: 1n }, Message.Pong({ nonce: 2n }), Message.Pong({ nonce: 1n }))
    assert.deepStrictEqual(other, consumed)
    assert.deepStrictEqual(own, answered({ _tag: "Pong", roundTrip: Duration.nanos(later) }))
  })

  it("to FindBlocks is an inv of blocks alone, with the source of the list (advisory N4)", () => {
    const both = inv(blockItem(hash(1)), blockItem(hash(2)))
    assert.deepStrictEqual(
      verdicts(findBlocks, inv(), inv(txItem(txId(1))), inv(blockItem(hash(1)), txItem(txId(1))), both),
      [unrelated, unrelated, unrelated, answered({ _tag: "BlockHashes", hashes: [hash(1), hash(2)], source })]
    )
  })

  it("to FindBlocks may be a gossiped block: nothing tells them apart", () => {
    assert.deepStrictEqual(verdicts(findBlocks, inv(blockItem(hash(5)))), [
      answered({ _tag: "BlockHashes", hashes: [hash(5)], source })
    ])
  })

  it("to FindHeaders is any headers, also without one", () => {
    const header = block(1).header
    assert(header instanceof BlockHeader)
    assert.deepStrictEqual(verdicts(findHeaders, Message.Headers({ headers: [] })), [
      answered({ _tag: "BlockHeaders", headers: [], source })
    ])
    assert.deepStrictEqual(verdicts(findHeaders, Message.Headers({ headers: [header] })), [
      answered({ _tag: "BlockHeaders", headers: [header], source })
    ])
  })

  it("to MempoolTransactionIds is an inv of transactions alone, also an empty one", () => {
    const mixed = inv(txItem(txId(1)), blockItem(hash(1)))
    const ids = inv(txItem(txId(1)), wtxItem(wtxId(2)), txItem(txId(1)))
    assert.deepStrictEqual(verdicts(mempool, inv(blockItem(hash(1))), mixed, ids), [
      unrelated,
      unrelated,
      answered({ _tag: "TransactionIds", ids: [txId(1), wtxId(2), txId(1)] })
    ])
    assert.deepStrictEqual(verdicts(mempool, inv()), [answered({ _tag: "TransactionIds", ids: [] })])
  })
})

describe("a download of blocks (peer 65)", () => {
  it("is complete with the last block, in the order they came, each with its source (advisory N3)", () => {
    assert.deepStrictEqual(verdicts(blocks(1, 2), blockMessage(2), blockMessage(1)), [
      consumed,
      answered({ _tag: "Blocks", items: [available(block(2)), available(block(1))] })
    ])
  })

  it("lets blocks pass that nobody waits for, once received ones too", () => {
    assert.deepStrictEqual(tags(blocks(1, 2), blockMessage(3), blockMessage(1), blockMessage(1), blockMessage(2)), [
      "Unrelated",
      "Consumed",
      "Unrelated",
      "Answered"
    ])
  })

  it("ends with a notfound of one that is pending: all pending ones are missing", () => {
    const [, last] = verdicts(blocks(1, 2, 3), blockMessage(2), notFound(blockItem(block(3).hash), blockItem(hash(9))))
    assert.deepStrictEqual(
      last,
      answered({ _tag: "Blocks", items: [available(block(2)), missing(block(1).hash), missing(block(3).hash)] })
    )
  })

  it("fails when nothing came before the notfound", () => {
    assert.deepStrictEqual(verdicts(blocks(1, 2), notFound(blockItem(block(2).hash))), [
      {
        _tag: "NotFound",
        error: new NotFoundResponse({ hashes: [blockItem(block(1).hash), blockItem(block(2).hash)] }),
        alsoUnrelated: false
      }
    ])
  })

  it("of one block with an advertiser is the same", () => {
    const request: Request = { _tag: "BlockDownload", hash: block(1).hash, advertiser: bob }
    assert.deepStrictEqual(verdicts(request, blockMessage(2), blockMessage(1)), [
      unrelated,
      answered({ _tag: "Blocks", items: [available(block(1))] })
    ])
    assert.deepStrictEqual(tags(request, notFound(blockItem(block(1).hash))), ["NotFound"])
  })

  it("of no blocks is complete with the next block and without it", () => {
    assert.deepStrictEqual(verdicts(blocks(), notFound(), notFound(blockItem(hash(1))), blockMessage(1)), [
      unrelated,
      unrelated,
      answered({ _tag: "Blocks", items: [] })
    ])
  })

  it.each([
    ["nothing", []],
    ["transactions only", [txItem(txId(1)), wtxItem(wtxId(1))]],
    ["other blocks only", [blockItem(hash(98)), blockItem(hash(99))]],
    ["a block that came already", [blockItem(block(1).hash)]],
    ["other kinds", [{ _tag: "Error" }, { _tag: "FilteredBlock", hash: block(2).hash }]]
  ] as ReadonlyArray<[string, ReadonlyArray<InventoryItem>]>)(
    "is not ended by a notfound of %s (peer 98; advisory P12)",
    (_, items) => {
      assert.deepStrictEqual(tags(blocks(1, 2), blockMessage(1), notFound(...items), blockMessage(2)), [
        "Consumed",
        "Unrelated",
        "Answered"
      ])
    }
  )

  it("is ended by a notfound of one pending block among others (peer 98; advisory P12)", () => {
    assert.deepStrictEqual(
      tags(blocks(1, 2), blockMessage(1), notFound(blockItem(hash(9)), blockItem(block(2).hash))),
      ["Consumed", "Answered"]
    )
  })
})

describe("a download of transactions (peer 65)", () => {
  it("is complete with the last one, of either kind", () => {
    const old = transaction(1)
    const young = witnessed(2)
    assert.deepStrictEqual(
      verdicts(transactions(old.id, young.id), Message.Tx({ transaction: young }), Message.Tx({ transaction: old })),
      [consumed, answered({ _tag: "Transactions", items: [available(young), available(old)] })]
    )
  })

  it("ends with a transaction nobody asked for, which then is pushed to us", () => {
    const [, last] = verdicts(transactions(transaction(1).id, transaction(2).id), tx(1), tx(3))
    assert.deepStrictEqual(last, {
      _tag: "AnsweredBefore",
      response: { _tag: "Transactions", items: [available(transaction(1)), missing(transaction(2).id)] }
    })
  })

  it("fails with one when nothing came before", () => {
    assert.deepStrictEqual(verdicts(transactions(transaction(1).id), tx(3)), [
      {
        _tag: "NotFound",
        error: new NotFoundResponse({ hashes: [txItem(transaction(1).id as never)] }),
        alsoUnrelated: true
      }
    ])
  })

  it("ends with a notfound of one that is pending", () => {
    const first = transaction(1)
    const pending = txId(2)
    const [, last] = verdicts(transactions(first.id, pending), tx(1), notFound(txItem(pending)))
    assert.deepStrictEqual(last, answered({ _tag: "Transactions", items: [available(first), missing(pending)] }))
    assert.deepStrictEqual(verdicts(transactions(wtxId(1), pending), notFound(wtxItem(wtxId(1)))), [
      {
        _tag: "NotFound",
        error: new NotFoundResponse({ hashes: [wtxItem(wtxId(1)), txItem(pending)] }),
        alsoUnrelated: false
      }
    ])
  })

  it.each([
    ["nothing", []],
    ["blocks only", [blockItem(hash(1))]],
    ["other transactions only", [txItem(txId(99)), wtxItem(wtxId(99))]],
    ["one that came already", [txItem(transaction(1).id as never)]],
    ["the id of a pending witnessed one without its digest", [txItem(witnessed(2).txId)]]
  ] as ReadonlyArray<[string, ReadonlyArray<InventoryItem>]>)(
    "is not ended by a notfound of %s (peer 98; advisory P12)",
    (_, items) => {
      const second = witnessed(2)
      assert.deepStrictEqual(
        tags(
          transactions(transaction(1).id, second.id),
          tx(1),
          notFound(...items),
          Message.Tx({ transaction: second })
        ),
        ["Consumed", "Unrelated", "Answered"]
      )
    }
  )

  it("is ended by a notfound of one pending transaction among others (peer 98; advisory P12)", () => {
    const id = witnessed(2).id as WtxId
    assert.deepStrictEqual(tags(transactions(transaction(1).id, id), tx(1), notFound(txItem(txId(9)), wtxItem(id))), [
      "Consumed",
      "Answered"
    ])
  })
})

describe("any sequence of messages", () => {
  const step = Schema.Literals([
    "block 1",
    "block 2",
    "block 3",
    "other block",
    "notfound 1",
    "notfound other",
    "tx",
    "headers",
    "empty"
  ])
  const said: Record<typeof step.Type, Message> = {
    "block 1": blockMessage(1),
    "block 2": blockMessage(2),
    "block 3": blockMessage(3),
    "other block": blockMessage(9),
    "notfound 1": notFound(blockItem(block(1).hash)),
    "notfound other": notFound(...Array.from({ length: 100 }, (_, n) => blockItem(hash(n)))),
    tx: tx(1),
    headers: Message.Headers({ headers: [] }),
    empty: inv()
  }

  it.prop(
    "gives a download at most what it asked for, each once (advisory P6, CVE-2024-35202)",
    { steps: Schema.Array(step) },
    ({ steps }) => {
      const wanted = [1, 2, 3].map((n) => block(n).hash)
      const { matcher } = ask(blocks(1, 2, 3), source, 0n)
      assert(matcher !== undefined)
      for (const step of steps) {
        const verdict = matcher(said[step], later)
        if (verdict._tag === "Unrelated" || verdict._tag === "Consumed") continue
        // The connection asks the matcher nothing more now.
        if (verdict._tag === "NotFound") {
          assert.strictEqual(verdict.error.hashes.length, 3)
          return
        }
        assert(verdict._tag === "Answered" && verdict.response._tag === "Blocks")
        const ids = verdict.response.items.map((item) => (item._tag === "Available" ? item.value.hash : item.id))
        assert.deepStrictEqual([...ids].sort(), [...wanted].sort())
        return
      }
    },
    { arbitrary: { runs: 300 } }
  )
})

describe("what a peer turned out to lack (peer 76)", () => {
  const lacks = (request: Request, exit: Parameters<typeof missingIn>[1], limit = 1000) =>
    missingIn(request, exit, limit)

  it("is everything it was asked for when it has nothing of it", () => {
    const nothing = Exit.fail(new NotFoundResponse({ hashes: [] }))
    assert.deepStrictEqual(lacks(blocks(1, 2), nothing), [blockItem(block(1).hash), blockItem(block(2).hash)])
    assert.deepStrictEqual(lacks(transactions(txId(1), wtxId(2)), nothing), [txItem(txId(1)), wtxItem(wtxId(2))])
    assert.deepStrictEqual(lacks({ _tag: "BlockDownload", hash: hash(1), advertiser: bob }, nothing), [
      blockItem(hash(1))
    ])
    assert.deepStrictEqual(lacks(findBlocks, nothing), [])
  })

  it("is what an answer leaves out", () => {
    const some: Response = { _tag: "Blocks", items: [available(block(1)), missing(hash(2))] }
    assert.deepStrictEqual(lacks(blocks(1), Exit.succeed(some)), [blockItem(hash(2))])
    const ids: Response = { _tag: "Transactions", items: [missing(txId(1)), missing(wtxId(2))] }
    assert.deepStrictEqual(lacks(transactions(), Exit.succeed(ids)), [txItem(txId(1)), wtxItem(wtxId(2))])
    assert.deepStrictEqual(lacks(findBlocks, Exit.succeed({ _tag: "Nil" })), [])
  })

  it("is not what our own errors say (peer 32, missing_inv_collector_ignores_local_registry_errors)", () => {
    // The peer set's own conclusion is no error of a peer: its type does not fit here.
    assert.deepStrictEqual(lacks(blocks(1), Exit.fail(new ConnectionReceiveTimeout())), [])
    assert.deepStrictEqual(lacks(blocks(1), Exit.die("a bug")), [])
  })

  it("is at most so many items", () => {
    const nothing = Exit.fail(new NotFoundResponse({ hashes: [] }))
    const ids = Array.from({ length: 1001 }, (_, n) => txId(n))
    assert.strictEqual(lacks(transactions(...ids), nothing).length, 1000)
    assert.strictEqual(lacks(blocks(1, 2, 3), nothing, 2).length, 2)
    const items = ids.map(missing)
    assert.strictEqual(lacks(transactions(), Exit.succeed({ _tag: "Transactions", items })).length, 1000)
  })
})
